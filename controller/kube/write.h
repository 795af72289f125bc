/*
 * The one door to governed writes. What it takes is what must exist before a
 * write may be sent: the account the project writes as, the intent that is
 * durable in the audit log, the leader's term. Its only caller is apply/.
 */
#ifndef KUBE_WRITE_H
#define KUBE_WRITE_H

#include "kube/client.h"

/* Why a write may be done. All fields are needed; kube_write refuses (ASSERT) when one is missing. */
struct write_permit {
	const char *account;        /* "system:serviceaccount:NS:NAME", named by the Project for this destination */
	const char *log_id;         /* of the audit log in which the intent is durable */
	uint64_t intent_seq;
	bool intent_durable;        /* set only by the completion of audit_log_append */
	bool project_allows;        /* set only by apply/action.c for the one write that the Project permits at this moment */
	bool images_allowed;        /* set only from a verdict: every image that this object carries is allowed (or it carries none) */
};

struct write_request {
	const char *method, *path, *content_type;   /* path with query */
	struct span body;
	uint32_t ordinal, attempt;                  /* of the object in its intent; attempts from 1 */
	kube_done *on_done;
	void *data;
};

/*
 * Sends one write as the permit's account with Audit-ID LOG.SEQ.ORDINAL.ATTEMPT. When the lease is not surely ours at
 * this moment, nothing is sent: on_done gets ERROR_CANCELED "NotLeader", soon. While in doubt (see below) it waits.
 */
void kube_write(struct kube *kube, const struct write_permit *permit, const struct write_request *request);

/*
 * Doubt: since a connection broke, what answers may be another state of the cluster (a control plane that was restored from an
 * older snapshot). Governed writes wait from then on, until an answer about the lease, asked for since, has shown its version.
 */
struct kube_leading {
	bool (*is_leading)(const void *data);   /* are we surely the leader now? */
	void (*on_doubt)(void *data);           /* doubt began */
};

/* Set by kube/lease.c. NULL: nobody leads. */
void kube_set_leading(struct kube *kube, const struct kube_leading *leading, void *data);
/* How often a connection broke so far. */
unsigned kube_breaks(const struct kube *kube);
/* The cluster is known by what was asked for after so many breaks: ends the doubt, unless there was another since. */
void kube_trust(struct kube *kube, unsigned breaks);
bool kube_in_doubt(const struct kube *kube);

#endif
