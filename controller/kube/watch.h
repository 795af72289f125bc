/*
 * List, then watch: one kind, one selector, for ever.
 *
 * The first list has no resourceVersion (a quorum read); pages of 500; the
 * watch goes on from the list, moved by events and bookmarks; 410 in any of
 * its three places, a stall, a cut or a broken frame ends the stream and the
 * next list or watch repairs. Backoff 0.8 s doubling to 30 s with jitter. A
 * stream that is sent away (429, 503 with Retry-After) goes on where it was,
 * after the time it was told.
 * A list that was cut is never told as if it were whole.
 *
 * An event that a server failed to tell is found by the next list. That comes
 * at a stream's end when the last is an hour old.
 */
#ifndef KUBE_WATCH_H
#define KUBE_WATCH_H

#include "kube/client.h"

enum watch_event { WATCH_ADDED, WATCH_MODIFIED, WATCH_DELETED };

struct watch;

struct watch_handler {
	/* One object; `object` lives for the call. From a list all come as WATCH_ADDED. */
	void (*on_event)(void *data, enum watch_event event, const struct json *object);
	/* A list begins: what is not told before on_listed is gone. May be NULL. */
	void (*on_listing)(void *data);
	/* The list is complete; from now on events. */
	void (*on_listed)(void *data);
	/* It does not work at the moment (also: it is not allowed to); it goes on trying. May be NULL. */
	void (*on_error)(void *data, const struct error *err);
};

/*
 * `path`: of the collection, without query. `selector`: label selector or NULL. `metadata`: only metadata is asked for.
 * `as`: account to impersonate or NULL. All copied.
 */
struct watch *watch_new(struct kube *kube, struct loop *loop, const char *path, const char *selector, bool metadata,
			const char *as, const struct watch_handler *handler, void *data);
bool watch_listed(const struct watch *watch);      /* whether a list was complete since the last error that needs one */
/* Lists again soon (a kind came back, rights were given). */
void watch_again(struct watch *watch);
void watch_free(struct watch *watch);              /* no callback comes after it; NULL is fine */

#endif
