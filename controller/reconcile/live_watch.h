/*
 * Which kinds are watched, and what the watches tell; and what they share with
 * live.c, which keeps what is known of each object. For these two alone.
 */
#ifndef RECONCILE_LIVE_WATCH_H
#define RECONCILE_LIVE_WATCH_H

#include "base/keyset.h"
#include "reconcile/fetches.h"
#include "reconcile/live.h"

struct live {
	struct core *core;
	struct fetches *fetches;
	struct keyset objects;      /* struct live_object: those that exist, and those that are held */
	struct map watches;         /* GROUP/KIND[/NAMESPACE/ACCOUNT] -> struct kind_watch */
	struct timer *sweep;        /* ends watches that nobody needs any more */
	struct map gone;            /* uids of what was found deleted: an answer that comes later does not bring it back */
};

void kind_watch_free(struct kind_watch *watch);
/* Begins to look, every now and then, for watches of which nothing is there nor is to be there: namespaces and kinds come and go. */
void live_sweep(struct live *live);

/* The record of an object, whether it exists or not; NULL: there is none. */
struct live_object *live_record_of(const struct live *live, const char *key);
/* It exists: made when there is none. */
struct live_object *live_exists(struct live *live, const char *key);
/* Whose it is to look at a change of this object: who claims it, or whom it names itself. */
struct app *live_concerns(const struct live *live, const struct live_object *object);
/* An object as it was read; `quietly`: by the answer to a write of a run, which sees to it itself. */
void live_tell(struct live *live, const struct json *from, const char *group, const char *kind, bool quietly);
/* It does not exist any more. */
void live_gone(struct live *live, const char *key);

#endif
