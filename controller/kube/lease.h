/*
 * The leader's lease (coordination.k8s.io/v1): 15 s long, renewed every 2 s,
 * given up after 10 s without a renewal; a slow answer is waited for. Times are
 * taken from our own monotonic clock only: somebody else's lease is over when
 * it has not changed for as long as it says, counted from when we first saw
 * that version.
 *
 * When a connection broke it is read at once, before any governed write: its
 * version tells whether this is still the cluster that we knew (kube/write.h).
 */
#ifndef KUBE_LEASE_H
#define KUBE_LEASE_H

#include "kube/client.h"

struct lease;

struct lease_handler {
	void (*on_leading)(void *data, int64_t transitions); /* we are the leader from now on */
	void (*on_lost)(void *data);                          /* we are not any more: stop, flush, exit */
	/* The version of the lease as the server has it now; before the others. False: not the cluster that we knew; nothing more is written. May be NULL. */
	bool (*on_version)(void *data, uint64_t version);
	struct span (*note)(void *data);                      /* what the lease is to carry for whoever follows; SPAN0: as it is */
	/*
	 * May we take it, with the note ("": none) that it carries? NULL: yes. Asked before the note is replaced, and for each note of
	 * another log that was the holder's before; false: later, perhaps.
	 */
	bool (*may_take)(void *data, struct span note);
};

/* Competes for lease `namespace`/`name` as `identity`. Also sets kube_set_leading. */
struct lease *lease_new(struct kube *kube, struct loop *loop, const char *namespace, const char *name, const char *identity,
			const struct lease_handler *handler, void *data);
/* Whether we are surely the leader at this moment. */
bool lease_held(const struct lease *lease);
/* Who held it before us, "" for nobody, and the note that it carried then ("": none). Borrowed. */
const char *lease_former(const struct lease *lease, const char **note);
/* How long the API server has not answered about it; -1: never yet. */
int64_t lease_silent_ms(const struct lease *lease);
/* Gives it up (after all guarded work), then calls on_done soon or after 2 s at the latest. */
void lease_release(struct lease *lease, void (*on_done)(void *), void *data);
void lease_free(struct lease *lease);

#endif
