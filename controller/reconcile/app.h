/*
 * One Application as core knows it: its spec as last seen, what it has put
 * into the cluster (inventory), and when it is to be looked at again.
 *
 * Of many Applications few have a run under way. What only a run reads is
 * packed meanwhile (rest.h), so it is reached by functions: app_spec,
 * app_inventory, report_of.
 */
#ifndef RECONCILE_APP_H
#define RECONCILE_APP_H

#include "api/application.h"
#include "api/inventory.h"
#include "reconcile/core.h"

struct run;
struct report;
struct interest;
struct held;
struct packed;

/* One sort of bookkeeping write of an Application. */
struct book {
	bool busy, again;       /* one is under way; another is to follow it */
	uint8_t failed;         /* so many in a row were not written: the next run repeats it */
};

/* What is asked of all Applications at once, and so is never packed. Texts are names (base/name.h), NULL while it was not seen. */
struct brief {
	const char *project, *repo_url, *target_revision, *server, *namespace;   /* the last two: of the destination */
	const char *sync_status;            /* of the report, not a name */
	uint8_t health;                     /* likewise: enum health */
	bool automated, deleting, operation;
};

/* What a run reads of it, while it is not packed. */
struct app_open {
	struct arena *arena;                /* of `spec` */
	struct application spec;
	struct report *report;              /* what is told of it; NULL before the first run */
};

/* Where a list stands with an object of ours. */
enum sight { SIGHT_NONE, SIGHT_SEEN, SIGHT_MISSED };       /* the last: was seen, and not yet in the list that is under way */

/* What went wrong lately, and when it is tried again. Forgotten at a restart, where it is found out again. */
struct setbacks {
	int64_t denied_wait_ms;             /* 5 s doubling to 60 s, 0 after success */
	int64_t denied_until_ms;            /* monotonic: before it the tried revision is not judged again */
	struct digest denied_told;          /* of the denial that was last recorded */
	int64_t error_wait_ms;              /* backoff of other errors, 0 after success */
	int64_t retry_count;                /* failed syncs of the tried revision */
	int64_t retry_until_ms;
	int64_t mend_from_ms;               /* monotonic: before it drift begins no further attempt at a revision of which a part was applied */
	int64_t outcome_until_ms;           /* monotonic: so long the status tells what came of a person's operation, and no run writes over it */
	char *event_told;                   /* text of the last warning event, so that each cause is told once */
};

/* With others about objects. All but the last two is claims.h's part. */
struct dealings {
	struct map wanted;                  /* keys of what its newest revision declares and it does not have yet */
	struct map offers;                  /* keys of what it has, declares no longer, and another declares: that one may take it */
	struct map leaving;                 /* keys of what it has and declares no longer, where only others' claims keep its newest revision back */
	struct map claiming;                /* keys that the run under way has claimed */
	struct map heals;                   /* object key -> struct heal: who takes fields back (contest.h) */
	int64_t anew_from_ms;               /* monotonic: before it nothing is made anew of what is deleted again and again */
};

struct app {
	struct core *core;
	const char *key;                    /* "namespace/name": a name (base/name.h), which its objects share */
	struct brief brief;

	/* rest.h's part */
	struct app_open *open;              /* NULL: packed, or never seen */
	struct packed *packed;              /* what `open` is made of again; NULL while that is open */
	struct held *held;                  /* the inventory; NULL: there is none */
	struct arena *inventory_arena;      /* of `inventory` */
	struct inventory *inventory;        /* read of `held`, or NULL */
	struct app *open_next;

	struct interest *interest;          /* in a repository's target revision, or NULL: see interests.h */
	struct run *run;                    /* under way, or NULL */
	struct app *ready_next, *ready_before;
	struct timer *timer;                /* when to look again without an event; NULL: never */
	int64_t wake_at_ms;                 /* monotonic: when the timer fires */
	int64_t write_wait_ms;              /* after writes of status, inventory or finalizers that failed in a row; 0: none did */
	int64_t due_ms;                     /* monotonic: since when a run waits for the one before it to end; 0: none does */

	/* what the last runs came to; forgotten at a restart, where it is found out again */
	const char *seen_tip;               /* name: the commit that the last whole run looked at, or NULL */
	const char *tried_revision;         /* name: the newest revision that was judged, or NULL */
	int64_t exempt_until_ns;            /* wall time at which an exemption in use ends: then it is judged anew; 0: none */
	struct setbacks *setbacks;          /* NULL: none; read by app_setbacks() */
	char *owed;                         /* result that is recorded when the inventory is written (owed.h), or NULL */
	struct digest status_written;       /* of the status last written */
	struct digest inventory_written;    /* of the packed inventory last read or written; zero: not known, or gone */

	/* claims.h's part */
	struct dealings *dealings;          /* NULL: none; read by app_dealings() */
	char *waits_for;                    /* key of an object that another has and it is refused for, or NULL */
	const char *looked_tip;             /* name: the commit at which `wanted` was found out, or NULL */
	bool looked_once;                   /* since the start */
	bool look_failed;                   /* at looked_tip: what it declares there is not known */
	bool look_refused;                  /* it does not come as far as its repository */
	bool news;                          /* it was told of a commit and has not looked at it yet */
	bool waits_for_looks;               /* it prunes nothing until others have looked */

	bool present;                       /* the Application exists */
	uint8_t seen, inventory_seen;       /* enum sight: objects.c's part */
	uint64_t operation_taken;           /* of the operation in the object that is carried out, or was; 0: none: operation.h's part, with the next two */
	uint8_t operation_tries;
	bool operation_told;                /* its outcome */
	bool from_start;                    /* in the lists of our start, and no run has looked at it: nobody asks for anything */
	bool watched;                       /* since the start a run has looked at the cluster: what drifts is told from then on */
	bool inventory_read;                /* the list of inventories was whole since we started */
	bool open_listed;
	bool ready, ready_late;             /* its time has come, but it waits for a place; behind all that drifted: see turns.h */
	bool again;                         /* something happened during the run: look again after it */
	bool settled;                       /* the last whole run left nothing to do */
	bool force;                         /* a refresh: judge now */
	bool hard;                          /* and resolve tags anew */
	bool dirty;                         /* an object of it is not as it was left */
	bool status_sent;                   /* a status was sent since we started: what was read may be older */
	bool unhealed;                      /* something that must not stay comes back with each write */
	bool violation_told;                /* by the last run that looked: an image that somebody put into the cluster */
	bool differs_told;                  /* status.resources is of the applied revision, while a newer one may not be applied */
	struct book status_book, inventory_book, operation_book;
	unsigned runs;                      /* that were started and not freed yet: nothing is packed meanwhile */
	char label[33];                     /* value of countersign.dev/app */
};

/* Of a struct app, for core->apps. */
struct span app_key(const void *app);
/* The app of a key, made when unknown. */
struct app *app_get(struct core *core, struct span key);
/* NULL when unknown. */
struct app *app_find(const struct core *core, struct span key);
/* Looks at the Application in `delay_ms` (0: soon); an earlier time already set stays. */
void app_enqueue(struct app *app, int64_t delay_ms);
/* Whether both say the same; of what they are told by, the generation, operations are a part, too. */
bool app_is_same_spec(const struct application *one, const struct application *other);
/* Takes a changed object in; NULL: it is gone. */
void app_update(struct app *app, const struct json *object);
/* The status that was read is not needed any more. */
void app_drop_status(struct app *app);
/* Takes an inventory in that was read from the cluster or made by a run. */
void app_set_inventory(struct app *app, const struct inventory *inventory);

/*
 * Both are good until the event loop has its next turn, and for as long as a run is under way. `spec` is empty (NULL texts)
 * before the Application was seen; the inventory has no NULL texts, and nothing in it while there is none.
 */
struct application *app_spec(const struct app *app);
const struct inventory *app_inventory(const struct app *app);
/* Opens nothing. Good as long as those. */
const struct brief *app_brief(const struct app *app);
/* What is there, or what says that nothing is. */
const struct setbacks *app_setbacks(const struct app *app);
const struct dealings *app_dealings(const struct app *app);
/* To be filled. */
struct setbacks *app_setback(struct app *app);
struct dealings *app_deal(struct app *app);
/* Gives up those in which nothing is; borrowed pointers to them go. */
void app_trim(struct app *app);
void app_free(struct app *app);
/* Frees it when the Application is gone and nothing is left to do for it. */
void app_forget_if_done(struct app *app);

#endif
