/*
 * Which kinds the API server knows: aggregated discovery (KEP-3352), core and
 * groups. A group whose server is down is known as stale: nothing of it is
 * pruned, objects of it wait.
 */
#ifndef KUBE_DISCOVERY_H
#define KUBE_DISCOVERY_H

#include "base/map.h"
#include "kube/client.h"

struct kube_kind {
	const char *group, *version, *kind, *resource;   /* group "" is core */
	bool namespaced, has_status, preferred;
	bool can_list;                                   /* has verbs list and watch */
};

struct discovery;

struct discovery *discovery_new(struct kube *kube);
void discovery_free(struct discovery *discovery);

/* Asks the server, at once or when it has answered what it was asked before; on_done(data, err) comes once, err NULL when the answer was whole. */
void discovery_refresh(struct discovery *discovery, void (*on_done)(void *, const struct error *), void *data);
/* It was asked, and nobody has doubted since what it said. */
bool discovery_known(const struct discovery *discovery);
/* A kind that it told of is not there (any more): whoever needs to know asks anew. What it said serves until then. */
void discovery_doubt(struct discovery *discovery);

/* The kind by group, version and kind; version NULL: the preferred one. NULL when unknown. */
const struct kube_kind *discovery_find(const struct discovery *discovery, struct span group, const char *version,
				       struct span kind);
/* Whether the group is served but its server did not answer. */
bool discovery_stale(const struct discovery *discovery, struct span group);
/* Raised by every refresh that changed something; for those who keep pointers to kinds. */
uint64_t discovery_generation(const struct discovery *discovery);

/* "/api/v1/namespaces/N/configmaps/X" and its like; namespace and name may be NULL. Names are escaped. */
char *kube_path(struct arena *arena, const struct kube_kind *kind, const char *namespace, const char *name);

#endif
