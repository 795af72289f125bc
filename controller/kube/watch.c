/* List, then watch; see watch.h. One request is under way at a time. */
#include "kube/watch.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/limits.h"
#include "base/metric.h"
#include "base/rand.h"
#include "kube/status.h"

#define PAGE 500
#define BACKOFF_FIRST_MS 800
#define BACKOFF_MOST_MS 30000
/* a stream that told nothing for so long is taken for dead: the server sends a bookmark about once a minute */
#define IDLE_MS 150000
/* a list so old is made anew between two streams: what an API server failed to tell is found then */
#define LIST_AGE_MOST_MS 3600000
/* a stream that is sent away so often in a row is listed anew */
#define SENT_AWAY_MOST 5u
/* likewise one that ends in an error: what it cannot tell of the next change it cannot tell of at the same version again */
#define ERRORS_MOST 1u

struct watch {
	struct kube *kube;
	struct loop *loop;
	char *path, *selector, *as;
	bool metadata, listed;
	bool listing;              /* a list has begun: its first item, or its first page, was there */
	struct watch_handler handler;
	void *data;
	struct timer *timer;
	uint64_t request;
	struct str version;        /* the resourceVersion reached; empty: list anew without one */
	struct str next_page;      /* continue token */
	struct str line;           /* an event that is not whole yet */
	int64_t backoff_ms, started_ms, listed_ms;
	size_t events;
	unsigned token;            /* that the stream was asked for with */
	unsigned sent_away;        /* how often in a row the server asked to come back later */
	unsigned relists;          /* how often in a row a list was of no use: its stream ended, with nothing before, in a way that asks for another */
	unsigned errors;           /* how often in a row it ended the stream by an error, with nothing before it */
	bool failed;               /* it has done so with this one */
	bool expired;              /* 410 was told: the next list is without a version */
	bool broken;               /* an event could not be read: the stream is ended and listed anew */
	bool counted;              /* in the metrics: once a stream, with its first byte or at its end */
};

static void begin(void *data);

static void later(struct watch *watch)
{
	int64_t wait = watch->backoff_ms + (int64_t)rand_below((uint64_t)watch->backoff_ms);

	watch->backoff_ms = watch->backoff_ms * 2 > BACKOFF_MOST_MS ? BACKOFF_MOST_MS : watch->backoff_ms * 2;
	timer_start(watch->timer, wait);
}

static void fail(struct watch *watch, const struct error *err)
{
	if (watch->handler.on_error)
		watch->handler.on_error(watch->data, err);
	later(watch);
}

static void add_query(struct watch *watch, struct str *path)
{
	str_adds(path, watch->path);
	str_addc(path, '?');
	if (watch->selector) {
		str_adds(path, "labelSelector=");
		url_escape(span_of(watch->selector), path);
		str_addc(path, '&');
	}
}

static void set_version(struct watch *watch, const struct json *metadata)
{
	struct span version = json_text_span(json_get(metadata, "resourceVersion"));

	if (!version.length)
		return;
	str_reset(&watch->version);
	str_add(&watch->version, version);
}

/* How long one lasts is our own choice, so only the number is told. */
static void count(struct watch *watch, int status)
{
	char code[16];

	if (watch->counted)
		return;
	watch->counted = true;
	snprintf(code, sizeof(code), "%d", status);
	metric_add(METRIC_API_REQUESTS, 1, "WATCH", code, NULL);
}

/* One event of the stream; -1 ends it. */
static int on_line(struct watch *watch, struct span line)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct error err = ERROR_INIT;
	struct json *event, *object;
	struct span type;

	if (json_parse(line, arena, 0, &event, &err)) {
		watch->broken = true;
		return -1;
	}
	object = json_get(event, "object");
	if (!json_is(object, JSON_OBJECT)) {
		watch->broken = true;
		return -1;
	}
	type = json_text_span(json_get(event, "type"));
	watch->events++;
	if (span_is(type, "ERROR")) {
		/* HTTP 200, and yet: 410 comes this way too */
		watch->expired = json_get_int(object, "code", 0) == 410;
		if (!watch->expired) {
			watch->failed = true;
			watch->errors++;
			kube_status_error((int)json_get_int(object, "code", 500), object, &err);
			if (watch->handler.on_error)
				watch->handler.on_error(watch->data, &err);
		}
		return -1;
	}
	watch->errors = watch->relists = 0;
	set_version(watch, json_get(object, "metadata"));
	if (span_is(type, "ADDED"))
		watch->handler.on_event(watch->data, WATCH_ADDED, object);
	else if (span_is(type, "MODIFIED"))
		watch->handler.on_event(watch->data, WATCH_MODIFIED, object);
	else if (span_is(type, "DELETED"))
		watch->handler.on_event(watch->data, WATCH_DELETED, object);
	return 0;
}

static int on_piece(void *data, struct span piece)
{
	struct watch *watch = data;
	ptrdiff_t end;

	count(watch, 200);
	while ((end = span_index(piece, '\n')) >= 0) {
		struct span line = span_sub(piece, 0, (size_t)end);
		int rc;

		if (watch->line.length) {
			str_add(&watch->line, line);
			line = str_span(&watch->line);
		}
		watch->broken |= watch->line.overflow;
		rc = watch->broken || (line.length && on_line(watch, line)) ? -1 : 0;
		str_reset(&watch->line);
		if (rc)
			return -1;
		piece = span_from(piece, (size_t)end + 1);
	}
	str_add(&watch->line, piece);
	watch->broken |= watch->line.overflow;
	return watch->broken ? -1 : 0;
}

static void relist(struct watch *watch)
{
	watch->listed = watch->listing = false;
	str_reset(&watch->version);
	str_reset(&watch->next_page);
}

/* The list was of no use. A server that forgets sooner than it lists is asked no faster for it. */
static void begin_anew(struct watch *watch)
{
	relist(watch);
	if (watch->relists++)
		later(watch);
	else
		timer_start(watch->timer, watch->broken ? BACKOFF_FIRST_MS : 0);
}

static void on_stream_end(void *data, const struct http_answer *answer)
{
	struct watch *watch = data;
	bool short_lived = clock_mono_ms() - watch->started_ms < 1000 && !watch->events;
	struct error err = ERROR_INIT;
	int64_t wait = kube_status_wait_ms(answer->status, answer->retry_after_ms);

	watch->request = 0;
	count(watch, answer->status);
	/* also when it ends in order: a server that goes down takes its leave */
	if (!watch->expired && !watch->broken && !watch->failed && (!answer->status || answer->status == 200))
		kube_broke(watch->kube);
	str_reset(&watch->line);
	watch->sent_away = wait < 0 ? 0 : watch->sent_away + 1;
	if (watch->sent_away && watch->sent_away <= SENT_AWAY_MOST) {
		timer_start(watch->timer, wait);
		return;
	}
	if (answer->status == 401 && kube_token_changed(watch->kube, watch->token)) {
		timer_start(watch->timer, 0);
		return;
	}
	if (answer->status == 410 || watch->expired || watch->broken) {
		begin_anew(watch);
		return;
	}
	if (watch->failed) {
		/* a conversion webhook that is down answers so at once, however often it is asked */
		if (watch->errors > ERRORS_MOST)
			relist(watch);
		later(watch);
		return;
	}
	if (answer->status && answer->status != 200) {
		CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
		struct json *body = NULL;

		json_parse(answer->body, arena, 0, &body, NULL);
		kube_status_error(answer->status, body, &err);
		/* a lost right or kind needs a list to know what happened meanwhile */
		relist(watch);
		fail(watch, &err);
		return;
	}
	if (!answer->status && answer->err.kind == ERROR_TRANSIENT && short_lived) {
		fail(watch, &answer->err);
		return;
	}
	if (answer->status && clock_mono_ms() - watch->listed_ms > LIST_AGE_MOST_MS)
		relist(watch);
	if (short_lived) {
		later(watch);
		return;
	}
	watch->backoff_ms = BACKOFF_FIRST_MS;
	timer_start(watch->timer, answer->status ? 0 : BACKOFF_FIRST_MS / 4);
}

static void start_stream(struct watch *watch)
{
	CLEANUP(str_release) struct str path = STR_INIT;

	add_query(watch, &path);
	str_addf(&path, "watch=true&allowWatchBookmarks=true&timeoutSeconds=%d&resourceVersion=",
		 (int)(300 + rand_below(300)));
	url_escape(str_span(&watch->version), &path);
	watch->events = 0;
	watch->expired = watch->broken = watch->failed = watch->counted = false;
	watch->started_ms = clock_mono_ms();
	/* rbac: named where the watch is asked for */
	watch->request = kube_stream(watch->kube, str_c(&path), watch->metadata ? KUBE_METADATA : KUBE_JSON, watch->as, IDLE_MS, on_piece, on_stream_end,
				     watch);
	watch->token = kube_token(watch->kube);
}

static void begin_listing(struct watch *watch)
{
	if (watch->listing)
		return;
	watch->listing = true;
	if (watch->handler.on_listing)
		watch->handler.on_listing(watch->data);
}

static void on_item(void *data, const struct json *item)
{
	struct watch *watch = data;

	begin_listing(watch);
	watch->handler.on_event(watch->data, WATCH_ADDED, item);
}

/* Items may be null: an empty list as Go writes it. Those of an array were told. */
static bool is_page(const struct kube_answer *answer)
{
	const struct json *items = json_get(answer->object, "items");

	return json_get(answer->object, "metadata") && (json_is(items, JSON_NULL) || (json_is(items, JSON_ARRAY) && !json_count(items)));
}

static void on_page(void *data, const struct kube_answer *answer)
{
	struct watch *watch = data;
	const struct json *metadata = json_get(answer->object, "metadata");
	struct span next = json_text_span(json_get(metadata, "continue"));

	watch->request = 0;
	if (answer->err || !is_page(answer)) {
		struct error err = ERROR_INIT;

		if (answer->err)
			err = *answer->err;
		else
			error_set(&err, ERROR_TRANSIENT, "BadList", "the list of %s has no items", watch->path);
		relist(watch);
		fail(watch, &err);
		return;
	}
	begin_listing(watch);
	str_reset(&watch->next_page);
	str_add(&watch->next_page, next);
	if (!next.length) {
		set_version(watch, metadata);
		watch->listing = false;
		watch->listed = true;
		watch->listed_ms = clock_mono_ms();
		watch->handler.on_listed(watch->data);
	}
	timer_start(watch->timer, 0);
}

static void start_list(struct watch *watch)
{
	CLEANUP(str_release) struct str path = STR_INIT;

	add_query(watch, &path);
	str_addf(&path, "limit=%d", PAGE);
	if (watch->next_page.length) {
		str_adds(&path, "&continue=");
		url_escape(str_span(&watch->next_page), &path);
	}
	/* rbac: named where the watch is asked for */
	watch->request = kube_list(watch->kube, str_c(&path), watch->metadata ? KUBE_METADATA_LIST : KUBE_JSON, watch->as, on_item, on_page, watch);
}

static void begin(void *data)
{
	struct watch *watch = data;

	if (watch->request)
		return;
	if (watch->listed)
		start_stream(watch);
	else
		start_list(watch);
}

struct watch *watch_new(struct kube *kube, struct loop *loop, const char *path, const char *selector, bool metadata,
			const char *as, const struct watch_handler *handler, void *data)
{
	struct watch *watch = mem_alloc(sizeof(*watch));

	watch->kube = kube;
	watch->loop = loop;
	watch->path = mem_strdup(path);
	watch->selector = selector ? mem_strdup(selector) : NULL;
	watch->as = as ? mem_strdup(as) : NULL;
	watch->metadata = metadata;
	watch->handler = *handler;
	watch->data = data;
	watch->backoff_ms = BACKOFF_FIRST_MS;
	watch->line.limit = LIMIT_HTTP_BODY_BYTES;
	watch->timer = timer_new(loop, begin, watch);
	timer_start(watch->timer, 0);
	return watch;
}

bool watch_listed(const struct watch *watch)
{
	return watch->listed;
}

void watch_again(struct watch *watch)
{
	if (watch->request && watch->listed)
		return;
	watch->backoff_ms = BACKOFF_FIRST_MS;
	if (!watch->request)
		timer_start(watch->timer, 0);
}

void watch_free(struct watch *watch)
{
	if (!watch)
		return;
	if (watch->request)
		kube_cancel(watch->kube, watch->request);
	timer_free(watch->timer);
	str_release(&watch->version);
	str_release(&watch->next_page);
	str_release(&watch->line);
	free(watch->path);
	free(watch->selector);
	free(watch->as);
	free(watch);
}
