/* Requests and their answers; see client.h. */
#include "kube/client.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/metric.h"
#include "base/rand.h"
#include "kube/answer.h"
#include "kube/status.h"
#include "kube/token.h"
#include "kube/window.h"
#include "kube/write.h"

#define REQUEST_TIMEOUT_MS 30000
/* A request that may be sent again is, so often and for so long in all; then its caller hears of it. */
#define AGAIN_MOST 5u
#define AGAIN_MOST_MS 60000
#define BROKEN_WAIT_MS 500
/* A server that told nothing for so long is away: requests that break then are not sent again. */
#define AWAY_MS 10000
/*
 * libcurl looks at every request of a connection whenever the connection has something to read: with all on one, each answer costs as much as there
 * are others, watches included. So watches have connections of their own, and few share one.
 */
#define SHARED_MOST 8u

struct kube {
	struct http *http, *streams;   /* see SHARED_MOST */
	char *server, *impersonate;
	struct token token;
	int64_t ahead_s;               /* our clock before the server's */
	bool ahead_known;
	int64_t answered_ms;           /* when the server last answered anything, or when we began */
	struct loop *loop;
	struct kube_leading leading;   /* all NULL: nobody leads */
	void *lease;
	unsigned breaks;               /* of connections; window.held: since the last nobody knows which cluster it is */
	struct window window;
	struct map requests;           /* id bytes -> struct request: waiting and under way */
	uint64_t next_id;
	bool pumping;
};

#define LEASES "/apis/coordination.k8s.io/"

/* One request as it is asked for. */
struct kube_request {
	const char *method, *path, *accept, *content_type, *as, *audit_id;
	struct span body;
	kube_item *on_item;
	kube_done *on_done;
	void *data;
};

/* Ids of streams are those of http.h; ours have this bit. */
#define OWN_ID (1ull << 63)

struct request {
	struct turn turn;              /* the first: a turn is its request */
	struct kube *kube;
	uint64_t id, http_id;
	const char *method;            /* literals of the callers, as are the media types */
	const char *accept, *content_type;
	char *path, *as, *audit_id;
	char *body;                    /* of body_length; NULL when there is none, or none is needed any more */
	size_t body_length;
	bool governed, once;           /* once: who asks counts its attempts (apply/) or has a pace of its own (the lease) */
	unsigned again;                /* how often it was sent again */
	unsigned token;                /* kube_token when it was sent */
	bool renewed;                  /* it was sent again with another */
	int64_t sent_ms, waited_ms;
	struct timer *wait;            /* NULL: it never waited to be sent again */
	kube_item *on_item;            /* of a list; else NULL */
	kube_done *on_done;
	void *data;
};

unsigned kube_token(const struct kube *kube)
{
	return kube->token.number;
}

bool kube_token_changed(struct kube *kube, unsigned token)
{
	return token_changed(&kube->token, token);
}

struct kube *kube_new(struct loop *loop, const struct kube_config *config, const char *user_agent)
{
	struct kube *kube = mem_alloc(sizeof(*kube));
	struct http_config http = {
		.base_url = config->server,
		.ca_pem = config->ca_pem,
		.client_cert_pem = config->client_cert_pem,
		.client_key_pem = config->client_key_pem,
		.tls_server_name = config->tls_server_name,
		.insecure = config->insecure,
		.proxy_url = config->proxy_url,
		.environment_proxy = config->environment_proxy,
		.user_agent = user_agent,
		.shared_most = SHARED_MOST,
	};

	kube->http = http_new(loop, &http);
	kube->streams = http_new(loop, &http);
	kube->loop = loop;
	kube->answered_ms = clock_mono_ms();
	window_init(&kube->window);
	kube->server = mem_strdup(config->server);
	kube->impersonate = config->impersonate ? mem_strdup(config->impersonate) : NULL;
	token_set(&kube->token, config);
	return kube;
}

static struct span id_key(const uint64_t *id)
{
	return span_make(id, sizeof(*id));
}

static void request_free(struct request *request)
{
	timer_free(request->wait);
	free(request->path);
	free(request->as);
	free(request->audit_id);
	free(request->body);
	free(request);
}

void kube_reload(struct kube *kube, const struct kube_config *config)
{
	http_reload(kube->http, config->ca_pem, config->client_cert_pem, config->client_key_pem);
	http_reload(kube->streams, config->ca_pem, config->client_cert_pem, config->client_key_pem);
	token_set(&kube->token, config);
}

void kube_free(struct kube *kube)
{
	if (!kube)
		return;
	http_free(kube->http);
	http_free(kube->streams);
	MAP_EACH(entry, &kube->requests)
		request_free(entry->value);
	map_release(&kube->requests);
	token_release(&kube->token);
	free(kube->server);
	free(kube->impersonate);
	free(kube);
}

static void pump(struct kube *kube);

static void count(const struct request *request, int status)
{
	char code[16];

	snprintf(code, sizeof(code), "%d", status);
	metric_add(METRIC_API_REQUESTS, 1, request->method, code, NULL);
	metric_observe(METRIC_API_REQUEST_SECONDS, (double)(clock_mono_ms() - request->sent_ms) / 1e3, request->method, NULL);
}

static void note_server(struct kube *kube, const struct http_answer *http)
{
	if (http->status)
		kube->answered_ms = clock_mono_ms();
	if (http->date_s >= 0) {
		kube->ahead_s = clock_wall_ns() / 1000000000 - http->date_s;
		kube->ahead_known = true;
	}
}

/* No answer came, or none that is whole; a time-out is none of these, since it has cost its 30 s already. */
static bool is_broken(const struct kube_answer *answer)
{
	return answer->err && (answer->status ? answer->status < 300 : !strcmp(answer->err->reason, "ConnectionError"));
}

/* A 401 did nothing: the same goes once more when there is another token by now, so that one that was replaced costs nothing. */
static bool is_renewed(struct request *request)
{
	bool whole = request->body || !request->body_length;

	if (!kube_token_changed(request->kube, request->token) || request->renewed || !whole)
		return false;
	request->renewed = true;
	return true;
}

/*
 * In how many ms we send the same request once more, so that one refusal or one cut does not cost a whole run; -1: not, its caller hears of it.
 * The server did nothing of what it answered with 429 or 503. What a broken connection or a 504 left of a write nobody knows: only reads go again.
 */
static int64_t again_in(struct request *request, const struct kube_answer *answer)
{
	bool reads = !strcmp(request->method, "GET");
	int64_t wait = -1;

	if (answer->status == 401 && is_renewed(request))
		return 0;
	if (request->once || request->again >= AGAIN_MOST)
		return -1;
	if (answer->status != 504 || reads)
		wait = kube_status_wait_ms(answer->status, answer->retry_after_ms);
	if (wait < 0 && reads && is_broken(answer) && clock_mono_ms() - request->kube->answered_ms < AWAY_MS)
		wait = BROKEN_WAIT_MS + (int64_t)rand_below(BROKEN_WAIT_MS);
	return wait < 0 || request->waited_ms >= AGAIN_MOST_MS ? -1 : wait;
}

static void on_wait_over(void *data)
{
	struct request *request = data;

	window_queue(&request->kube->window, &request->turn, request->turn.lane);
	pump(request->kube);
}

/* Its turn is given back meanwhile: those that wait hold up nobody. */
static void send_later(struct request *request, int64_t wait_ms)
{
	request->http_id = 0;
	request->again++;
	request->waited_ms += wait_ms;
	if (!request->wait)
		request->wait = timer_new(request->kube->loop, on_wait_over, request);
	timer_start(request->wait, wait_ms);
}

void kube_broke(struct kube *kube)
{
	bool first = !kube->window.held;

	kube->breaks++;
	if (!kube->leading.is_leading)
		return;
	kube->window.held = true;
	if (first)
		kube->leading.on_doubt(kube->lease);
}

static void refuse_not_leader(void *data)
{
	struct request *request = data;
	struct error err = ERROR_INIT;
	struct kube_answer answer = { .retry_after_ms = -1, .err = &err };

	error_set(&err, ERROR_CANCELED, "NotLeader", "the lease is not surely ours at this moment; nothing was sent");
	request->on_done(request->data, &answer);
	request_free(request);
}

/* Asked when it is on its way already: the process may have been stopped since it was asked for, for longer than the lease lasts. */
static bool may_send(void *data)
{
	const struct kube *kube = ((const struct request *)data)->kube;

	return kube->leading.is_leading && kube->leading.is_leading(kube->lease);
}

static void on_withheld(struct request *request)
{
	struct kube *kube = request->kube;

	window_done(&kube->window, &request->turn, false, clock_mono_ms());
	map_remove(&kube->requests, id_key(&request->id));
	refuse_not_leader(request);
	pump(kube);
}

static void on_answer(void *data, const struct http_answer *http)
{
	struct request *request = data;
	struct kube *kube = request->kube;
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct kube_answer answer = { .status = http->status, .arena = arena, .body = http->body,
				      .retry_after_ms = http->retry_after_ms };
	struct span items = SPAN0;
	struct error err = http->err;
	int64_t wait;

	if (http->withheld) {
		on_withheld(request);
		return;
	}
	count(request, http->status);
	answer_read(request->path, request->on_item, http, &answer, &items, &err);
	note_server(kube, http);
	if (!http->status)
		kube_broke(kube);
	window_done(&kube->window, &request->turn, http->status == 429, clock_mono_ms());
	wait = again_in(request, &answer);
	if (wait >= 0) {
		send_later(request, wait);
	} else {
		map_remove(&kube->requests, id_key(&request->id));
		if (!answer.err)
			answer_tell_items(request->on_item, request->data, items, &answer, &err);
		request->on_done(request->data, &answer);
		request_free(request);
	}
	pump(kube);
}

struct headers {
	const char *list[8];
	char text[7][600];
	size_t count;
};

static void add_header(struct headers *headers, const char *name, const char *value)
{
	if (!value)
		return;
	snprintf(headers->text[headers->count], sizeof(headers->text[0]), "%s: %s", name, value);
	headers->list[headers->count] = headers->text[headers->count];
	headers->count++;
}

static void make_headers(struct kube *kube, const char *accept, const char *content_type, const char *as,
			 const char *audit_id, struct headers *out)
{
	out->count = 0;
	memset(out->list, 0, sizeof(out->list));
	token_refresh(&kube->token);
	add_header(out, "Accept", accept ? accept : KUBE_JSON);
	add_header(out, "Content-Type", content_type);
	add_header(out, "Impersonate-User", as ? as : kube->impersonate);
	add_header(out, "Audit-ID", audit_id);
	if (kube->token.header.length)
		out->list[out->count++] = str_c(&kube->token.header);
	out->list[out->count] = NULL;
}

/* In doubt only a process that ends comes to ask. */
static bool may_write(const struct kube *kube)
{
	return kube->leading.is_leading && kube->leading.is_leading(kube->lease) && !kube->window.held;
}

/* What a request may rest on is looked at when it is sent, not when it was asked for. */
static void send_now(struct request *request)
{
	struct kube *kube = request->kube;
	struct headers headers;
	struct http_request http = {
		.method = request->method,
		.path = request->path,
		.body = span_make(request->body, request->body ? request->body_length : 0),
		.timeout_ms = REQUEST_TIMEOUT_MS,
		.may_send = request->governed ? may_send : NULL,
		.on_done = on_answer,
		.data = request,
	};

	if (request->governed && !may_write(kube)) {
		window_drop(&kube->window, &request->turn);
		map_remove(&kube->requests, id_key(&request->id));
		loop_defer(kube->loop, refuse_not_leader, request);
		return;
	}
	request->sent_ms = clock_mono_ms();
	make_headers(kube, request->accept, request->content_type, request->as, request->audit_id, &headers);
	http.headers = headers.list;
	request->token = kube->token.number;
	request->http_id = http_send(kube->http, &http);
	/* unless it may be sent again with another token; no more of them than the window is wide */
	if (request->once && !kube->token.file)
		free(TAKE(request->body));
}

/* Sends what may be sent now. */
static void pump(struct kube *kube)
{
	struct turn *turn;

	if (kube->pumping)
		return;
	kube->pumping = true;
	while ((turn = window_next(&kube->window)) != NULL)
		send_now((struct request *)turn);
	kube->pumping = false;
}

static char *copy(const char *text)
{
	return text ? mem_strdup(text) : NULL;
}

static uint64_t ask(struct kube *kube, const struct kube_request *from, enum lane lane, bool governed)
{
	struct request *request = mem_alloc(sizeof(*request));

	request->kube = kube;
	request->id = OWN_ID | ++kube->next_id;
	request->method = from->method;
	request->accept = from->accept;
	request->content_type = from->content_type;
	request->path = mem_strdup(from->path);
	request->as = copy(from->as);
	request->audit_id = copy(from->audit_id);
	/* thousands may wait: no byte more than it takes */
	request->body = from->body.length ? mem_strndup(from->body.data, from->body.length) : NULL;
	request->body_length = from->body.length;
	request->governed = governed;
	request->once = governed || span_starts(span_of(from->path), LEASES);
	request->on_item = from->on_item;
	request->on_done = from->on_done;
	request->data = from->data;
	map_set(&kube->requests, id_key(&request->id), request);
	window_queue(&kube->window, &request->turn, lane);
	pump(kube);
	return request->id;
}

static enum lane lane_of(struct span path, const char *method, enum lane other)
{
	if (strcmp(method, "GET") && span_starts(path, "/apis/countersign.dev/") && strstr(path.data, "/applicationinventories/"))
		return LANE_INVENTORY;
	return span_starts(path, LEASES) ? LANE_URGENT : span_starts(path, "/apis/events.k8s.io/") ? LANE_EVENT :
	       span_starts(path, "/apis/authorization.k8s.io/") ? LANE_READ : other;
}

uint64_t kube_get(struct kube *kube, const char *path, const char *accept, const char *as, kube_done *on_done, void *data)
{
	struct kube_request request = { .method = "GET", .path = path, .accept = accept, .as = as, .on_done = on_done,
					.data = data };

	return ask(kube, &request, lane_of(span_of(path), "GET", LANE_READ), false);
}

uint64_t kube_list(struct kube *kube, const char *path, const char *accept, const char *as, kube_item *on_item, kube_done *on_done, void *data)
{
	struct kube_request request = { .method = "GET", .path = path, .accept = accept, .as = as, .on_item = on_item, .on_done = on_done,
					.data = data };

	return ask(kube, &request, LANE_READ, false);
}

void kube_cancel(struct kube *kube, uint64_t id)
{
	struct request *request = id & OWN_ID ? map_remove(&kube->requests, id_key(&id)) : NULL;

	if (!request) {
		http_cancel(kube->streams, id);
		return;
	}
	if (request->http_id)
		http_cancel(kube->http, request->http_id);
	window_drop(&kube->window, &request->turn);
	request_free(request);
	pump(kube);
}

void kube_closing(struct kube *kube)
{
	kube->window.closing = true;
	pump(kube);
}

uint64_t kube_stream(struct kube *kube, const char *path, const char *accept, const char *as, int64_t idle_timeout_ms,
		     int (*on_data)(void *, struct span), void (*on_done)(void *, const struct http_answer *), void *data)
{
	struct headers headers;
	struct http_request http = {
		.method = "GET",
		.path = path,
		.idle_timeout_ms = idle_timeout_ms,
		.on_data = on_data,
		.on_done = on_done,
		.data = data,
	};

	make_headers(kube, accept, NULL, as, NULL, &headers);
	http.headers = headers.list;
	return http_send(kube->streams, &http);
}

/* Asks what we may do; stores nothing. */
#define ACCESS_REVIEWS "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

/* Our own books: see the design, "bookkeeping writes". */
static bool is_bookkeeping(struct span path)
{
	static const char *const prefixes[] = { "/apis/countersign.dev/v1alpha1/namespaces/",
						"/apis/coordination.k8s.io/v1/namespaces/",
						"/apis/events.k8s.io/v1/namespaces/", ACCESS_REVIEWS };

	for (size_t i = 0; i < COUNT_OF(prefixes); i++)
		if (span_starts(path, prefixes[i]))
			return true;
	return false;
}

uint64_t kube_bookkeep(struct kube *kube, const char *method, const char *path, const char *content_type,
		       struct span body, kube_done *on_done, void *data)
{
	/* what was written is known: of the answer no more than its metadata is asked for, but of a review that is all */
	const char *accept = strcmp(path, ACCESS_REVIEWS) ? KUBE_METADATA : KUBE_JSON;
	struct kube_request request = { .method = method, .path = path, .accept = accept, .content_type = content_type, .body = body,
					.on_done = on_done, .data = data };

	ASSERT(is_bookkeeping(span_of(path)));
	return ask(kube, &request, lane_of(span_of(path), method, LANE_BOOK), false);
}

void kube_write(struct kube *kube, const struct write_permit *permit, const struct write_request *request)
{
	struct kube_request send = { .method = request->method, .path = request->path, .content_type = request->content_type,
				     .as = permit->account, .body = request->body, .on_done = request->on_done,
				     .data = request->data };
	char audit_id[128];

	ASSERT(permit->account && span_starts(span_of(permit->account), "system:serviceaccount:"));
	ASSERT(permit->project_allows);
	ASSERT(permit->intent_durable && permit->log_id && permit->images_allowed && request->attempt);
	snprintf(audit_id, sizeof(audit_id), "%s.%llu.%u.%u", permit->log_id, (unsigned long long)permit->intent_seq,
		 request->ordinal, request->attempt);
	send.audit_id = audit_id;
	ask(kube, &send, LANE_WRITE, true);
}

void kube_set_leading(struct kube *kube, const struct kube_leading *leading, void *data)
{
	kube->leading = leading ? *leading : (struct kube_leading){ 0 };
	kube->lease = data;
}

unsigned kube_breaks(const struct kube *kube)
{
	return kube->breaks;
}

bool kube_in_doubt(const struct kube *kube)
{
	return kube->window.held;
}

void kube_trust(struct kube *kube, unsigned breaks)
{
	if (breaks != kube->breaks)
		return;
	kube->window.held = false;
	pump(kube);
}

uint64_t kube_person(struct kube *kube, const char *method, const char *path, const char *content_type, struct span body,
		     kube_done *on_done, void *data)
{
	struct kube_request request = { .method = method, .path = path, .content_type = content_type, .body = body,
					.on_done = on_done, .data = data };

	return ask(kube, &request, LANE_URGENT, false);
}

char *kube_account(struct arena *arena, const char *namespace_and_name)
{
	return arena_printf(arena, "system:serviceaccount:%s", namespace_and_name);
}

bool kube_clock_ahead(const struct kube *kube, int64_t *seconds)
{
	*seconds = kube->ahead_s;
	return kube->ahead_known;
}

uint64_t kube_requests(const struct kube *kube)
{
	return http_sent(kube->http) + http_sent(kube->streams);
}

const char *kube_server(const struct kube *kube)
{
	return kube->server;
}
