/*
 * What a run has to tell: the four conditions, sync and health as Argo CD
 * names them, extras, what is not in order. Kept with the Application between
 * runs, written when it changed, once a run, from one place.
 */
#ifndef RECONCILE_REPORT_H
#define RECONCILE_REPORT_H

#include "base/clock.h"
#include "base/pack.h"
#include "diff/health.h"
#include "reconcile/run.h"

enum condition { CONDITION_VERIFIED, CONDITION_SYNCED, CONDITION_HEALTHY, CONDITION_READY, CONDITION_COUNT };
enum truth { TRUTH_UNKNOWN = 0, TRUTH_TRUE, TRUTH_FALSE };

struct condition_line {
	enum truth truth;
	char reason[ERROR_REASON_MAX];
	char *message;             /* NULL when empty */
	char since[TIME_TEXT];     /* lastTransitionTime */
};

struct report {
	struct condition_line conditions[CONDITION_COUNT];
	char *compared_revision;   /* status.sync.revision */
	const char *sync_status;   /* Synced, OutOfSync, Unknown */
	char *operation;           /* JSON of status.operationState, or NULL */
	char *resources;           /* JSON array of objects that are not in order, or NULL */
	char *images;              /* JSON array: what runs, pinned; or NULL */
	size_t object_count;
	enum health health;
	int64_t generation;        /* of the spec that all this was found out of */
};

/* The Application's report; made from its status when core first sees it. */
struct report *report_of(struct app *app);
void report_free(struct report *report);
/* As bytes, and from them: between two runs it is kept so (rest.h). What was not packed here sets in->bad. */
void report_pack(const struct report *report, struct str *out);
struct report *report_unpack(struct unpack *in);

/* Sets a condition; the transition time moves only when the truth does. */
void report_condition(struct app *app, enum condition which, enum truth truth, const char *reason, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
void report_text(char **slot, const char *text);
/* What is told from now on is of this spec, and of what the Application says now if that is the same. */
void report_looked_at(struct app *app, const struct application *spec);

/* Recomputes Healthy and Ready and the extras from the live objects. */
void report_health(struct app *app);

/* Writes the status if it differs from what was last written. */
void report_write(struct app *app);
/* Writes the inventory object. */
void report_inventory(struct app *app);
/* An event about the Application. */
void report_event(struct app *app, bool warning, const char *reason, const char *note);
/* Removes the refresh annotations, which were taken up. */
void report_refreshed(struct app *app);
/* Removes the operation, which was carried out, unless there is another by now. */
void report_carried_out(struct app *app, const struct json *operation);
/* Removes our finalizers, after which the Application goes. */
void report_finalized(struct app *app);

#endif
