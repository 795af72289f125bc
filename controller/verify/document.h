/*
 * JSON of strangers, read the way all documents of this folder are read: UTF-8,
 * no duplicate keys, bounded in depth and in the number of values before any
 * memory is taken, keys compared exactly.
 *
 * cosign is written in Go, whose JSON reader takes "Critical" for "critical" and
 * the last of two. Its writer never makes use of that, so nothing is lost by
 * demanding what it writes; and where a key is not known, a document is refused
 * if another reader could take it for a known one.
 */
#ifndef VERIFY_DOCUMENT_H
#define VERIFY_DOCUMENT_H

#include "base/json.h"
#include "verify/reason.h"

#define DOCUMENT_DEPTH 64
#define DOCUMENT_VALUES 1000000u    /* about 100 MB as a tree; a large SBOM has a third of it */
#define DOCUMENT_SHOWN 120          /* bytes of a stranger's string that a message shows */

/* One JSON object. `what` names the document in messages. BAD_JSON, TOO_LARGE. */
int document_read(struct span text, const char *what, struct arena *arena, struct json **out, struct error *err);

/* Standard base64, padded, canonical; the bytes live in the arena. BAD_BASE64 with `what`. */
int document_base64(struct span text, const char *what, struct arena *arena, struct span *out, struct error *err);

/* BAD_JSON unless each key of the object is one of `names` (NULL at the end). */
int document_only(const struct json *object, const char *what, const char *const *names, struct error *err);

/* A stranger's bytes for a message: escaped, cut after DOCUMENT_SHOWN. Lives in the arena. */
const char *document_shown(struct span text, struct arena *arena);

/* The string at key, which must be there, hold no NUL and at most `max` bytes. BAD_JSON. */
int document_text(const struct json *object, const char *key, const char *what, size_t max, const char **out, struct error *err);

#endif
