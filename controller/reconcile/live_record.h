/* One object of live.h: made, filled from what the API server says, and read. For live.c and live_watch.c alone. */
#ifndef RECONCILE_LIVE_RECORD_H
#define RECONCILE_LIVE_RECORD_H

#include "gate/images.h"
#include "reconcile/live.h"

struct live_object *record_new(const char *key);
void record_free(struct live_object *object);         /* NULL is fine */

/* Digests an object into its record; returns whether anything that matters changed. `custom`: where policies say that it keeps images. */
bool record_take(struct live_object *object, const struct json *from, const struct custom_paths *custom, struct arena *arena);
/* Of metadata.resourceVersion; 0: it is no number. */
uint64_t record_version(const struct json *metadata);
/* Nothing is known of it any more but who holds it. */
void record_clear(struct live_object *object);
/* Only metadata is known, and so of it only this. */
void record_set_uid(struct live_object *object, const char *uid);
/* The object while it differs from what was applied; NULL: it does not. */
void record_set_drifted(struct live_object *object, const struct json *from);
/* Of its extras leaves out what is declared. */
void record_declared(struct live_object *object, const struct json *live, const struct json *desired);
/* The same object with its kind, which items of a list lack. */
struct json *record_with_kind(const struct json *from, const char *group, const char *kind, struct arena *arena);

#endif
