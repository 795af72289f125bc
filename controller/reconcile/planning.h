/* What the two halves of the step plan share: step_plan.c (what Git declares), plan_gone.c (what it declares no longer). */
#ifndef RECONCILE_PLANNING_H
#define RECONCILE_PLANNING_H

#include "reconcile/live.h"
#include "reconcile/run.h"

/* A new action of the plan; desired NULL for a deletion. */
struct action *plan_add(struct run *run, enum act act, struct desired *desired, const char *why);
/* Something that is not in order, for status.resources. */
void plan_differs(struct run *run, const struct action *action, const char *status, const char *message);
/* Not ours to do now: told, and left alone. */
void plan_hold_back(struct run *run, struct action *action);
/* Whether this run may change the cluster at all. */
bool plan_may_write(const struct run *run);

/* Deletions of what Git no longer declares; -1 and *err: some of it is refused, which is told while the rest goes on. */
int plan_prune(struct run *run, struct error *err);
/*
 * Deletions of all that the Application has; -1 and *err: the Project does not permit one of them, or nobody knows whether its kind
 * is there, so none is sent.
 */
int plan_deletion(struct run *run, struct error *err);
/* Drops from the inventory what was deleted, was held by somebody's finalizer, and is gone by now; and what was never made. */
void plan_forget_gone(struct run *run);

/* Whether the end of its Application takes an object along. */
bool plan_takes(const struct run *run, const struct inventory_item *item);

/* Whether an object that a deletion was accepted of stays for now, since somebody's finalizer holds it: then it is not forgotten. */
bool plan_stays(const struct run *run, const struct action *action);
/* For people: what an object that is being deleted waits for, and how it comes to an end. */
const char *plan_hangs(struct run *run, const struct live_object *live);

/* Has the kind of an object of the inventory watched, also when Git declares none of it any more. LIVE_FAILED: that cannot be. */
enum live_state plan_watch(struct run *run, const struct inventory_item *item);

#endif
