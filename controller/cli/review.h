/*
 * Objects made fit to be compared by a person: without what the API server and
 * controllers keep in them, and without the content of Secrets. Pure.
 */
#ifndef CLI_REVIEW_H
#define CLI_REVIEW_H

#include "base/arena.h"
#include "base/json.h"

/* Removes status, managedFields, resourceVersion and their like, our own marks, and kubectl's copy of what was applied. */
void review_trim(struct json *object);

/*
 * Replaces every value of two Secrets' data, so that it shows which differ and not what they hold. Either may be NULL. Objects of
 * other kinds are left alone.
 */
void review_mask(struct json *before, struct json *after, struct arena *arena);

#endif
