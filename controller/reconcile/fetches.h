/*
 * Managed objects that are read again, because a watch told too little of
 * them: that one left its selection, or only a Secret's metadata. One request
 * an object at a time; one that fails is asked again until it is answered, or
 * what a watch told would be lost for ever. An answer that something newer has
 * overtaken is not believed, but asked for again.
 */
#ifndef RECONCILE_FETCHES_H
#define RECONCILE_FETCHES_H

#include "io/loop.h"
#include "kube/client.h"

struct fetches;

struct fetches_handler {
	/* Exactly one of these two comes for what was asked, never from inside of fetches_ask. */
	void (*on_found)(void *data, const struct json *object, const char *group, const char *kind);
	void (*on_gone)(void *data, const char *key);
	/* Of a path that is not served: whether the kind itself is known to be gone, and its objects with it. */
	bool (*is_kind_gone)(void *data, const char *group, const char *kind);
};

struct fetches *fetches_new(struct kube *kube, struct loop *loop, const struct fetches_handler *handler, void *data);
/* Before kube_free; nothing comes after it. NULL is fine. */
void fetches_free(struct fetches *fetches);

/* What is read: all copied. */
struct fetch_of {
	const char *key;            /* live_key of it */
	const char *path;           /* kube_path of it */
	const char *group, *kind;
	const char *account;        /* as whom; NULL: ourselves */
};

void fetches_ask(struct fetches *fetches, const struct fetch_of *of);
/* Something was told of the object: a request for it that is under way may have been answered before that. */
void fetches_outdated(struct fetches *fetches, const char *key);

#endif
