/* Fetch and verify jobs, shared and remembered; see vetting.h. */
#include "reconcile/vetting.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/metric.h"
#include "base/pool.h"
#include "oci/fetch.h"
#include "reconcile/objects.h"

#define FETCH_WORKERS 5            /* of which a project has four */
#define VERIFY_JOBS_MAX 100
#define FETCH_JOB_MS ((LIMIT_EVIDENCE_SECONDS + 5) * 1000)
#define REMEMBERED_MAX 20000
#define REMEMBERED_BYTES_MAX ((size_t)64 << 20)     /* of most images it is one signature, of half a kilobyte; but there may be two thousand */
#define TAGS_MAX 20000

struct waiter {
	struct waiter *next;
	void (*on_digest)(void *, const struct digest *, const struct error *);
	void (*on_claims)(void *, const struct claims *, const struct error *);
	void *data;
};

/* One question under way, of one project: a resolution, or evidence and claims of one digest. */
struct question {
	struct vetting *vetting;
	char *key;
	struct waiter *waiters;
	struct arena *arena;          /* of the trust, the project's name and the digest */
	struct trust trust;
	const char *project;
	const char *known_as;         /* of claims: their key in `remembered`, which is without the login */
	struct digest digest;
	int64_t asked_ms;
};

/* What a tag stood for, when it was last asked for. */
struct tag {
	int64_t asked_ms;
	struct digest digest;
};

/* As the worker said it, and it was read once: there may be one for each Application. */
struct remembered {
	size_t length;
	char frame[];
};

struct vetting {
	struct core *core;
	struct worker_pool *fetch;
	struct map verify;            /* project -> struct worker_pool: a worker serves one project */
	struct map questions;         /* key -> struct question */
	struct map remembered;        /* key -> struct remembered */
	size_t remembered_bytes;
	struct map tags;              /* key -> struct tag */
};

struct vetting *vetting_new(struct core *core)
{
	struct vetting *vetting = mem_alloc(sizeof(*vetting));

	vetting->core = core;
	vetting->fetch = worker_pool_new(core->workers, ROLE_FETCH, FETCH_WORKERS, 0, false);
	return vetting;
}

static void question_free(struct question *question)
{
	while (question->waiters) {
		struct waiter *waiter = question->waiters;

		question->waiters = waiter->next;
		free(waiter);
	}
	arena_free(question->arena);
	free(question->key);
	free(question);
}

static void remembered_free(struct vetting *vetting, struct remembered *one)
{
	if (!one)
		return;
	vetting->remembered_bytes -= one->length;
	pool_free(one, sizeof(*one) + one->length);
}

static void forget_remembered(struct vetting *vetting)
{
	MAP_EACH(entry, &vetting->remembered)
		remembered_free(vetting, entry->value);
	map_release(&vetting->remembered);
}

static void forget_tags(struct vetting *vetting)
{
	MAP_EACH(entry, &vetting->tags)
		free(entry->value);
	map_release(&vetting->tags);
}

void vetting_free(struct vetting *vetting)
{
	if (!vetting)
		return;
	worker_pool_free(vetting->fetch);
	MAP_EACH(entry, &vetting->verify)
		worker_pool_free(entry->value);
	MAP_EACH(entry, &vetting->questions)
		question_free(entry->value);
	forget_remembered(vetting);
	forget_tags(vetting);
	map_release(&vetting->verify);
	map_release(&vetting->questions);
	free(vetting);
}

/* --- questions --------------------------------------------------------------------------------------------------- */

static struct waiter *wait_for(struct question *question, void *data)
{
	struct waiter *waiter = mem_alloc(sizeof(*waiter));

	waiter->next = question->waiters;
	waiter->data = data;
	question->waiters = waiter;
	return waiter;
}

static struct question *question_get(struct vetting *vetting, const char *key, const char *project, bool *is_new)
{
	struct question *question = map_get(&vetting->questions, span_of(key));

	*is_new = !question;
	if (question)
		return question;
	question = mem_alloc(sizeof(*question));
	question->vetting = vetting;
	question->key = mem_strdup(key);
	question->arena = arena_new(0);
	question->project = arena_strdup(question->arena, project);
	map_set(&vetting->questions, span_of(key), question);
	return question;
}

/* Tells all that wait. A completion may ask again at once, which is another question. */
static void answer(struct question *question, const struct digest *digest, const struct claims *claims, const struct error *err)
{
	struct waiter *waiter = TAKE(question->waiters);

	map_remove(&question->vetting->questions, span_of(question->key));
	while (waiter) {
		struct waiter *next = waiter->next;

		if (waiter->on_digest)
			waiter->on_digest(waiter->data, err ? NULL : digest, err);
		else
			waiter->on_claims(waiter->data, err ? NULL : claims, err);
		free(waiter);
		waiter = next;
	}
	question_free(question);
}

static bool is_plain(const struct vetting *vetting, const char *host)
{
	for (const char **plain = vetting->core->options->plain_http; *plain; plain++)
		if (!strcmp(*plain, host))
			return true;
	return false;
}

static void login_key(const struct credential *login, struct str *key)
{
	struct digest digest;
	CLEANUP(str_release) struct str text = STR_INIT;
	char hex[DIGEST_HEX];

	str_addf(&text, "%s\n%s\n%s\n%s", login->username, login->password, login->identity_token, login->registry_token);
	digest = digest_of(str_span(&text));
	digest_hex(&digest, hex);
	str_addf(key, "|%s", hex);
}

static void submit_fetch(struct question *question, const struct reference *reference, const struct digest *digest,
			 const struct credential *login, worker_done *on_done)
{
	struct vetting *vetting = question->vetting;
	CLEANUP(str_release) struct str request = STR_INIT;
	struct fetch_request fetch = {
		.reference = *reference,
		.evidence = digest != NULL,
		.credential = *login,
		.ca_pem = objects_ca(vetting->core->objects, span_of(reference->host)),
		.plain_http = is_plain(vetting, reference->host),
	};

	if (digest) {
		fetch.reference.has_digest = true;
		fetch.reference.digest = *digest;
	}
	fetch_request_encode(&fetch, &request);
	worker_submit_for(vetting->fetch, question->project, str_span(&request), -1, FETCH_JOB_MS, on_done, question);
}

/* --- tags ---------------------------------------------------------------------------------------------------------- */

/* What was asked, without by whom: what a tag stands for is known to the login, not to the project. */
static struct span tag_key(const struct question *question)
{
	return span_from(span_of(question->key), strlen(question->project) + 1);
}

static void remember_tag(struct question *question, const struct digest *digest)
{
	struct vetting *vetting = question->vetting;
	struct tag *tag = map_get(&vetting->tags, tag_key(question));

	if (!tag) {
		/* an answer is of use for moments: to begin anew costs little */
		if (vetting->tags.count >= TAGS_MAX)
			forget_tags(vetting);
		tag = mem_alloc(sizeof(*tag));
		map_set(&vetting->tags, tag_key(question), tag);
	}
	*tag = (struct tag){ question->asked_ms, *digest };
}

static void on_resolved(void *data, struct span bytes, int fd, const struct error *err)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct question *question = data;
	struct fetch_reply reply;
	struct error bad = ERROR_INIT;

	fd_cleanup(&fd);
	if (!err && fetch_reply_decode(bytes, arena, &reply, &bad))
		err = &bad;
	if (!err)
		remember_tag(question, &reply.digest);
	answer(question, err ? NULL : &reply.digest, NULL, err);
}

struct told_tag {
	struct digest digest;
	void (*on_done)(void *, const struct digest *, const struct error *);
	void *data;
};

static void tell_tag(void *data)
{
	struct told_tag *told = data;

	told->on_done(told->data, &told->digest, NULL);
	free(told);
}

void vetting_resolve(struct vetting *vetting, const char *project, const struct reference *reference,
		     const struct credential *login, int64_t since_ms,
		     void (*on_done)(void *data, const struct digest *digest, const struct error *err), void *data)
{
	CLEANUP(str_release) struct str key = STR_INIT;
	struct question *question;
	const struct tag *tag;
	bool is_new;

	str_addf(&key, "%s\ntag ", project);
	reference_write(reference, &key);
	login_key(login, &key);
	tag = map_get(&vetting->tags, span_from(str_span(&key), strlen(project) + 1));
	if (tag && tag->asked_ms >= since_ms) {
		struct told_tag *told = mem_alloc(sizeof(*told));

		*told = (struct told_tag){ tag->digest, on_done, data };
		loop_defer(vetting->core->loop, tell_tag, told);
		return;
	}
	question = question_get(vetting, str_c(&key), project, &is_new);
	wait_for(question, data)->on_digest = on_done;
	if (!is_new)
		return;
	question->asked_ms = clock_mono_ms();
	submit_fetch(question, reference, NULL, login, on_resolved);
}

/* --- claims ---------------------------------------------------------------------------------------------------------- */

static struct digest digest_of_trust(const struct trust *trust)
{
	CLEANUP(str_release) struct str text = STR_INIT;

	for (size_t i = 0; i < trust->key_count; i++)
		str_addf(&text, "%s\n%s\n", trust->keys[i].id, trust->keys[i].pem);
	return digest_of(str_span(&text));
}

/* With the project: what one project's worker says, counts for no other. */
static void claims_key(const char *project, const struct reference *reference, const struct digest *digest, const struct trust *trust,
		       struct str *key)
{
	struct digest of_trust = digest_of_trust(trust);
	char hex[DIGEST_HEX];

	digest_hex(digest, hex);
	str_addf(key, "%s\nclaims %s %s ", project, reference->name, hex);
	digest_hex(&of_trust, hex);
	str_adds(key, hex);
}

static bool proves_something(const struct claims *claims)
{
	for (size_t i = 0; i < claims->count; i++)
		if (claims->items[i].proves == CLAIM_SIGNATURE)
			return true;
	return false;
}

/* Only proofs are kept: a missing signature may come the next moment. */
static void remember(struct question *question, struct span frame)
{
	struct vetting *vetting = question->vetting;
	struct remembered *one;

	/* most are of images and keys of long ago: what is in use is verified once more */
	if (vetting->remembered.count >= REMEMBERED_MAX || vetting->remembered_bytes + frame.length > REMEMBERED_BYTES_MAX)
		forget_remembered(vetting);
	vetting->remembered_bytes += frame.length;
	one = pool_alloc(sizeof(*one) + frame.length);
	one->length = frame.length;
	memcpy(one->frame, frame.data, frame.length);
	remembered_free(vetting, map_set(&vetting->remembered, span_of(question->known_as), one));
}

static void on_verified(void *data, struct span bytes, int fd, const struct error *err)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct question *question = data;
	struct claims claims;
	struct error bad = ERROR_INIT;

	fd_cleanup(&fd);
	if (!err && verify_reply_decode(bytes, &question->digest, arena, &claims, &bad))
		err = &bad;
	if (!err && proves_something(&claims))
		remember(question, bytes);
	answer(question, NULL, err ? NULL : &claims, err);
}

static struct worker_pool *verify_pool(struct vetting *vetting, const char *project)
{
	struct worker_pool *pool = map_get(&vetting->verify, span_of(project));

	if (!pool) {
		pool = worker_pool_new(vetting->core->workers, ROLE_VERIFY, 1, VERIFY_JOBS_MAX, true);
		map_set(&vetting->verify, span_of(project), pool);
	}
	return pool;
}

static void on_evidence(void *data, struct span bytes, int fd, const struct error *err)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	CLEANUP(str_release) struct str request = STR_INIT;
	struct question *question = data;
	struct fetch_reply reply;
	struct error bad = ERROR_INIT;

	fd_cleanup(&fd);
	if (!err && fetch_reply_decode(bytes, arena, &reply, &bad))
		err = &bad;
	if (err) {
		answer(question, NULL, NULL, err);
		return;
	}
	verify_request_encode(&reply.evidence, &question->trust, clock_wall_ns(), &question->digest, &request);
	worker_submit(verify_pool(question->vetting, question->project), str_span(&request), -1, 0, on_verified, question);
}

static void copy_trust(struct question *question, const struct trust *trust)
{
	struct trust_key *keys = arena_calloc(question->arena, trust->key_count + 1, sizeof(*keys));

	for (size_t i = 0; i < trust->key_count; i++)
		keys[i] = (struct trust_key){ arena_strdup(question->arena, trust->keys[i].id),
					      arena_strdup(question->arena, trust->keys[i].pem) };
	question->trust = *trust;
	question->trust.keys = keys;
}

struct told {
	struct arena *arena;         /* of this, and of the claims */
	struct claims claims;
	void (*on_done)(void *, const struct claims *, const struct error *);
	void *data;
};

/* From memory, but never from inside the call that asked. */
static void tell_remembered(void *data)
{
	struct told *told = data;

	told->on_done(told->data, &told->claims, NULL);
	arena_free(told->arena);
}

static void tell_soon(struct vetting *vetting, const struct remembered *one,
		      void (*on_done)(void *data, const struct claims *claims, const struct error *err), void *data)
{
	struct arena *arena = arena_new(0);
	struct told *told = ARENA_NEW(arena, struct told);

	*told = (struct told){ .arena = arena, .on_done = on_done, .data = data };
	/* it was read when it came */
	ASSERT(!claims_decode(arena_span(arena, span_make(one->frame, one->length)), arena, &told->claims, NULL));
	loop_defer(vetting->core->loop, tell_remembered, told);
}

void vetting_claims(struct vetting *vetting, const char *project, const struct reference *reference, const struct digest *digest,
		    const struct credential *login, const struct trust *trust,
		    void (*on_done)(void *data, const struct claims *claims, const struct error *err), void *data)
{
	CLEANUP(str_release) struct str key = STR_INIT;
	const struct remembered *known;
	struct question *question;
	size_t length;
	bool is_new;

	claims_key(project, reference, digest, trust, &key);
	known = map_get(&vetting->remembered, str_span(&key));
	if (known) {
		metric_add(METRIC_CACHE_REQUESTS, 1, "claims", "hit", NULL);
		tell_soon(vetting, known, on_done, data);
		return;
	}
	metric_add(METRIC_CACHE_REQUESTS, 1, "claims", "miss", NULL);
	/* an answer to who has no login is none to who has one */
	length = key.length;
	login_key(login, &key);
	question = question_get(vetting, str_c(&key), project, &is_new);
	wait_for(question, data)->on_claims = on_done;
	if (!is_new)
		return;
	question->known_as = arena_strndup(question->arena, span_sub(str_span(&key), 0, length));
	question->digest = *digest;
	copy_trust(question, trust);
	submit_fetch(question, reference, digest, login, on_evidence);
}

void vetting_forget(struct vetting *vetting, const char *project, const struct reference *reference, const struct digest *digest,
		    const struct trust *trust)
{
	CLEANUP(str_release) struct str key = STR_INIT;

	claims_key(project, reference, digest, trust, &key);
	remembered_free(vetting, map_remove(&vetting->remembered, str_span(&key)));
}
