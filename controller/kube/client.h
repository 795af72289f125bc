/*
 * Requests to one API server. Answers are parsed into an arena that lives for
 * the callback. Errors come classified (kube/status.h).
 *
 * What the server sent away unheard (429, 503 with Retry-After), and a read that
 * broke on its way, is sent again after the time it named, at most five times
 * and for a minute, and waits for that outside of the window; only then does
 * its caller hear of it. Not so a governed write, of which apply/ counts every
 * attempt, nor the lease, which has a pace of its own. reliability.md section 3.
 *
 * Whatever was refused with 401 is sent once more, at once, when the token that it carried was replaced meanwhile.
 *
 * Reading is open to every layer above. Writing is not: bookkeeping (our own
 * objects' status, the inventory, events, the lease) goes by kube_bookkeep,
 * which refuses any path but those; everything else by kube_write
 * (kube/write.h), whose only caller is apply/.
 */
#ifndef KUBE_CLIENT_H
#define KUBE_CLIENT_H

#include "base/arena.h"
#include "base/error.h"
#include "base/json.h"
#include "io/http.h"
#include "io/loop.h"
#include "kube/config.h"

struct kube;

struct kube *kube_new(struct loop *loop, const struct kube_config *config, const char *user_agent);
void kube_free(struct kube *kube);
/* Takes credentials and authorities of a configuration that was read again; the server's address stays as it was. */
void kube_reload(struct kube *kube, const struct kube_config *config);

struct kube_answer {
	int status;                /* HTTP; 0: no answer */
	struct json *object;       /* the body, or NULL; in `arena` */
	struct arena *arena;       /* lives until the callback returns */
	struct span body;          /* as received */
	int64_t retry_after_ms;    /* -1: none */
	const struct error *err;   /* NULL when the status is 2xx and the body parses */
};

/*
 * Whether the server said that the object is not there. A 404 "NotServed" says nothing of it: its version is served no longer (or not yet, by a
 * server that begins), or something in between answers.
 */
static inline bool kube_says_absent(const struct kube_answer *answer)
{
	return answer->err && answer->err->kind == ERROR_NOT_FOUND && !strcmp(answer->err->reason, "NotFound");
}

typedef void kube_done(void *data, const struct kube_answer *answer);

/* Media types of Accept. */
#define KUBE_JSON "application/json"
#define KUBE_METADATA_LIST "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
#define KUBE_METADATA "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
#define KUBE_DISCOVERY "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"

/* GETs `path` (from '/', with query); `as` impersonates an account ("system:serviceaccount:ns:name"), NULL: ourselves. */
uint64_t kube_get(struct kube *kube, const char *path, const char *accept, const char *as, kube_done *on_done, void *data);
/*
 * GETs a page of a list. Its items, of hundreds of objects several megabytes as trees, are told one at a time, each in an arena of its own, before
 * on_done, whose answer has none; when one of them cannot be read, on_done has the error after those before it were told.
 */
typedef void kube_item(void *data, const struct json *item);
uint64_t kube_list(struct kube *kube, const char *path, const char *accept, const char *as, kube_item *on_item, kube_done *on_done, void *data);
void kube_cancel(struct kube *kube, uint64_t id);
/* The process ends soon: what it must not owe goes before what only tells. */
void kube_closing(struct kube *kube);

/* A raw streaming GET, for watch.c. The callbacks are those of http.h. */
uint64_t kube_stream(struct kube *kube, const char *path, const char *accept, const char *as, int64_t idle_timeout_ms,
		     int (*on_data)(void *, struct span), void (*on_done)(void *, const struct http_answer *), void *data);

/* A stream that was answered ended, or there was no answer: see "Doubt" in kube/write.h. */
void kube_broke(struct kube *kube);

/* The number of the token that a stream sent just now carries; after a 401: whether there is another by now (the file is read anew). */
unsigned kube_token(const struct kube *kube);
bool kube_token_changed(struct kube *kube, unsigned token);

/*
 * A write of our own books; ASSERTs that the path is one of them. content_type as for PATCH or POST. The answer has the object's
 * metadata only, but for an access review, which is whole.
 */
uint64_t kube_bookkeep(struct kube *kube, const char *method, const char *path, const char *content_type,
		       struct span body, kube_done *on_done, void *data);

/* For the CLI: any request under the person's own rights. Never called by the controller. */
uint64_t kube_person(struct kube *kube, const char *method, const char *path, const char *content_type, struct span body,
		     kube_done *on_done, void *data);

#define KUBE_APPLY_PATCH "application/apply-patch+yaml"
#define KUBE_JSON_PATCH "application/json-patch+json"
#define KUBE_MERGE_PATCH "application/merge-patch+json"

/* "system:serviceaccount:NS:NAME" of "NS:NAME". */
char *kube_account(struct arena *arena, const char *namespace_and_name);

/* How far our clock is ahead of the server's, in seconds, by its last answer's Date; false when it gave none. */
bool kube_clock_ahead(const struct kube *kube, int64_t *seconds);
uint64_t kube_requests(const struct kube *kube);
const char *kube_server(const struct kube *kube);

#endif
