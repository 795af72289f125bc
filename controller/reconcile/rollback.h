/*
 * Noticing that the cluster went back to an older state: etcd restored from a
 * snapshot, or another cluster under the same address. Versions of one cluster
 * only grow, so a lease with a lower one than was seen before tells. The
 * highest is kept on our own volume, which is not part of the snapshot: every ten
 * seconds and at the end, so that after a crash a snapshot of the last seconds
 * before it may pass for the cluster as it was.
 *
 * What the cluster says then may be older than what people decided since: an
 * Application that was changed, a policy that was tightened, an inventory that
 * lacks objects. To heal or prune by it would undo that in silence. So the
 * process begins anew (nothing that it remembers holds any more), an audit
 * record says so, and every Application of that time is held, with the reason
 * ClusterRestored, until a person syncs it. A new Application, and a deletion
 * that was asked for since, are decisions made since.
 */
#ifndef RECONCILE_ROLLBACK_H
#define RECONCILE_ROLLBACK_H

#include "reconcile/run.h"

struct rollback;

/* Reads what was kept in the data folder. */
struct rollback *rollback_new(struct core *core);
/* Keeps the newest version first. NULL is fine. */
void rollback_free(struct rollback *rollback);

/* A version that the cluster gave just now; false: it went back, which stops the process, to begin anew. */
bool rollback_saw(struct rollback *rollback, uint64_t version);
/* Appends the record of a step back that has none yet; once we lead. */
void rollback_record(struct rollback *rollback);

/* Whether this run may go on: -1 and *err while its Application is held. A person's sync lets it go. */
int rollback_check(struct rollback *rollback, struct run *run, struct error *err);

#endif
