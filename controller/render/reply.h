/*
 * Render's answer as bytes. Layout, in the frames of base/pack.h: magic u32,
 * total problems u32, count of problems u32, the errors; then count of objects
 * u32 and for each its texts, line, document, item, its JSON (span) and the
 * lines of its values (span: in the order of the JSON text, the difference to
 * the one before as a zigzag varint).
 */
#ifndef RENDER_REPLY_H
#define RENDER_REPLY_H

#include "render/render.h"

/* Appends the answer. `out` may be NULL when there are problems. */
void render_reply_encode(const struct rendered *rendered, const struct render_problems *problems, struct str *out);

#endif
