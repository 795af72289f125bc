/*
 * Whether an object is there that is not known as managed: asked of the API
 * server one by one, and where many are asked for in one namespace at the same
 * time, by one list of what is not managed there (without the label
 * countersign.dev/app; metadata only). A new repository of a thousand
 * Applications would otherwise begin with thousands of GETs that find nothing.
 *
 * A list answers for a second: no longer than a run that has read may wait for
 * its turn to write. What is found is read whole, one by one.
 */
#ifndef RECONCILE_SURVEY_H
#define RECONCILE_SURVEY_H

#include "kube/discovery.h"

struct survey;

struct survey *survey_new(struct loop *loop, struct kube *kube);
/* Callbacks that did not come yet do not come. */
void survey_free(struct survey *survey);

/*
 * Reads an object of a namespaced kind of which the watch of managed objects knows nothing, as ourselves. on_done as for
 * kube_get, never from inside: the whole object, or ERROR_NOT_FOUND.
 */
void survey_read(struct survey *survey, const struct kube_kind *kind, const char *namespace, const char *name, kube_done *on_done,
		 void *data);

#endif
