/*
 * Posture: what an object says about pod security and RBAC. Found in the
 * object's content alone, against what Git declares: who holds which field
 * (managedFields) can be forged or wiped, so it names a culprit and decides
 * nothing. Pure.
 *
 * Looked at: every PodSpec shape (an object with a list of containers,
 * wherever it stands), rules, subjects and aggregation of RBAC objects, and
 * the labels that widen a ClusterRole or the pod security of a Namespace.
 * Values that weaken nothing (false, RuntimeDefault, the account "default",
 * capabilities that are dropped) are what defaults and hardening set: left alone.
 */
#ifndef DIFF_POSTURE_H
#define DIFF_POSTURE_H

#include "base/arena.h"
#include "base/json.h"

/*
 * The JSON pointers into `live` of what weakens it and is not declared in `desired`, each the topmost such member (a volume with
 * a hostPath: the whole volume). List items are the same when they have the same name. In the arena, in the order of the object.
 */
void posture_find(const struct json *live, const struct json *desired, struct arena *arena, const char ***pointers, size_t *count);

/* The object without all that posture_find would not look at, which is small enough to keep; NULL when nothing is left of it. */
struct json *posture_of(const struct json *live, struct arena *arena);

#endif
