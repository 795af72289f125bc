/*
 * The audit records of a run (reliability.md 4.2; the contract's kinds).
 */
#ifndef RECONCILE_RECORDS_H
#define RECONCILE_RECORDS_H

#include "diff/extras.h"
#include "reconcile/run.h"

/* The common part: kind, outcome, app, project, cluster, ns, actor, as, git, images, policy. In the run's arena. */
struct json *records_begin(struct run *run, const char *kind, const char *outcome);

/* `drift`: which object, which field, who, when; it stands before the intent that mends it. */
void records_drift(struct run *run, const struct action *action, const struct extra *who);
/* `sync.denied`: why nothing of the revision is sent. Told once for each reason, not at each try. */
void records_denied(struct run *run, const struct error *err);
/* The intent's fields; the caller appends it. `seq` is the one that it will get. */
struct json *records_intent(struct run *run, uint64_t seq);
/* `sync.result` for the run's intent. */
struct json *records_result(struct run *run);

#endif
