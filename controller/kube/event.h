/*
 * Events (events.k8s.io/v1) about our own objects: what a person sees with
 * kubectl describe. Best effort: an event that cannot be written is dropped;
 * the audit log is what counts.
 */
#ifndef KUBE_EVENT_H
#define KUBE_EVENT_H

#include "kube/client.h"

struct event {
	const char *kind, *namespace, *name, *uid;  /* about this countersign.dev object */
	bool warning;
	const char *reason, *action, *note;         /* note is cut at 1,000 bytes */
};

/* Posts one. `instance`: the reporting instance (pod or host name). */
void event_post(struct kube *kube, const char *instance, const struct event *event);

#endif
