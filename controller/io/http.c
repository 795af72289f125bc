/*
 * curl multi_socket on libuv. Traps that shaped it: finished transfers are
 * drained after every socket action (also the one of the timer, or the last
 * one to time out is never told); a time-out of 0 means soon, not now; a poll
 * handle is stopped before curl closes its socket; callbacks run from a
 * deferred drain, so that they may send and cancel freely. A stream's data
 * comes from inside curl, which must not be entered again: what is sent or
 * canceled there waits until curl has returned.
 */
#include "io/http.h"

#include <curl/curl.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/map.h"

struct transfer {
	struct http *http;
	uint64_t id;
	CURL *easy;
	struct curl_slist *headers;
	struct str body, content_type;
	char *request_body;
	struct timer *idle;
	int64_t idle_timeout_ms, retry_after_ms, date_s;
	int (*on_data)(void *, struct span);
	void (*on_done)(void *, const struct http_answer *);
	bool (*may_send)(void *);
	void *data;
	bool too_large, stalled, ended_by_reader;
	bool repeatable;   /* a GET */
	bool begun;        /* it was given a connection to be sent on */
	bool cut_off;      /* and its connection broke: libcurl would have sent it once more */
	bool withheld;     /* may_send said no */
	bool added, canceled;
	bool headers_done; /* of the last answer: libcurl takes an end inside of the headers for one */
	struct transfer *next_waiting;  /* in http->waiting: to be added or freed */
	unsigned reloads;               /* of http when the handle was configured */
	char error_text[CURL_ERROR_SIZE];
};

/* Handles kept for the next requests: making and configuring one costs as much as a small request itself. */
#define IDLE_MOST 32u

struct http {
	struct loop *loop;
	CURLM *multi;
	CURL *idle[IDLE_MOST];
	size_t idle_count;
	unsigned reloads;
	struct timer *timer;
	struct map transfers; /* id bytes -> transfer */
	uint64_t next_id;
	char *base_url, *ca_pem, *cert_pem, *key_pem, *proxy_url, *user_agent;
	bool environment_proxy;
	struct curl_slist *connect_to;
	char *request_base; /* base_url, or the same with tls_server_name in place of the host */
	bool insecure, draining, inside;
	struct transfer *waiting;
};

static struct span id_key(const uint64_t *id)
{
	return span_make(id, sizeof(*id));
}

/* Keeps a handle, without anything of the request it carried, or ends it. */
static void give_back(struct transfer *transfer)
{
	struct http *http = transfer->http;

	if (http->idle_count == IDLE_MOST || transfer->reloads != http->reloads) {
		curl_easy_cleanup(transfer->easy);
		return;
	}
	/* setting a body, even none, makes it a POST */
	curl_easy_setopt(transfer->easy, CURLOPT_POSTFIELDS, NULL);
	curl_easy_setopt(transfer->easy, CURLOPT_HTTPGET, 1L);
	curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, NULL);
	curl_easy_setopt(transfer->easy, CURLOPT_ERRORBUFFER, NULL);
	curl_easy_setopt(transfer->easy, CURLOPT_PRIVATE, NULL);
	http->idle[http->idle_count++] = transfer->easy;
}

static void transfer_free(struct transfer *transfer)
{
	if (transfer->added)
		curl_multi_remove_handle(transfer->http->multi, transfer->easy);
	give_back(transfer);
	curl_slist_free_all(transfer->headers);
	str_release(&transfer->body);
	str_release(&transfer->content_type);
	free(transfer->request_body);
	timer_free(transfer->idle);
	free(transfer);
}

static void explain(const struct transfer *transfer, CURLcode code, struct http_answer *answer)
{
	if (transfer->too_large)
		error_set(&answer->err, ERROR_LIMIT, "TooLarge", "the answer is larger than %zu bytes", transfer->body.limit);
	else if (transfer->stalled)
		error_set(&answer->err, ERROR_TRANSIENT, "Timeout", "no byte came for %lld ms",
			  (long long)transfer->idle_timeout_ms);
	else if (transfer->ended_by_reader)
		error_set(&answer->err, ERROR_TRANSIENT, "StreamEnded", "the stream was ended by its reader");
	else if (transfer->withheld)
		error_set(&answer->err, ERROR_CANCELED, "Withheld", "it may not be sent any more; nothing was sent");
	else if (transfer->cut_off)
		error_set(&answer->err, ERROR_TRANSIENT, "ConnectionError", "the connection broke before an answer came; whether it was done is not known");
	else
		error_set(&answer->err, ERROR_TRANSIENT,
			  code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ? "CertificateError" :
			  code == CURLE_OPERATION_TIMEDOUT ? "Timeout" : "ConnectionError",
			  "%s", transfer->error_text[0] ? transfer->error_text : curl_easy_strerror(code));
}

static void finish(struct transfer *transfer, CURLcode code)
{
	struct http_answer answer = { .retry_after_ms = transfer->retry_after_ms, .date_s = transfer->date_s };
	void (*on_done)(void *, const struct http_answer *) = transfer->on_done;
	long status = 0;

	map_remove(&transfer->http->transfers, id_key(&transfer->id));
	if (code == CURLE_OK && !transfer->headers_done)
		code = CURLE_PARTIAL_FILE;
	if (code == CURLE_OK)
		curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
	else
		explain(transfer, code, &answer);
	answer.status = (int)status;
	answer.withheld = transfer->withheld;
	answer.body = str_span(&transfer->body);
	answer.content_type = str_span(&transfer->content_type);
	on_done(transfer->data, &answer);
	transfer_free(transfer);
}

static void drain(void *data)
{
	struct http *http = data;
	CURLMsg *message;
	int left;

	http->draining = false;
	while ((message = curl_multi_info_read(http->multi, &left)) != NULL) {
		struct transfer *transfer = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
		if (!transfer->canceled)
			finish(transfer, message->data.result);
	}
}

static void drain_soon(struct http *http)
{
	if (http->draining)
		return;
	http->draining = true;
	loop_defer(http->loop, drain, http);
}

static void add_transfer(struct transfer *transfer)
{
	ASSERT(curl_multi_add_handle(transfer->http->multi, transfer->easy) == CURLM_OK);
	transfer->added = true;
}

/* What was asked for from inside of curl's own callbacks. */
static void do_waiting(struct http *http)
{
	while (http->waiting) {
		struct transfer *transfer = http->waiting;

		http->waiting = transfer->next_waiting;
		if (transfer->canceled)
			transfer_free(transfer);
		else if (!transfer->added)
			add_transfer(transfer);
	}
}

static void action(struct http *http, curl_socket_t socket, int flags)
{
	int running;

	http->inside = true;
	curl_multi_socket_action(http->multi, socket, flags, &running);
	http->inside = false;
	do_waiting(http);
	drain_soon(http);
}

static void wait_for_curl(struct transfer *transfer)
{
	transfer->next_waiting = transfer->http->waiting;
	transfer->http->waiting = transfer;
}

static void on_timeout(void *data)
{
	action(data, CURL_SOCKET_TIMEOUT, 0);
}

static int set_timer(CURLM *multi, long ms, void *data)
{
	struct http *http = data;

	(void)multi;
	if (ms < 0)
		timer_stop(http->timer);
	else
		timer_start(http->timer, ms);
	return 0;
}

struct watched {
	struct http *http;
	curl_socket_t socket;
	struct poller *poller;
};

static void on_ready(void *data, int events)
{
	struct watched *watched = data;
	int flags = (events & POLL_READ ? CURL_CSELECT_IN : 0) | (events & POLL_WRITE ? CURL_CSELECT_OUT : 0) |
		    (events & POLL_FAILED ? CURL_CSELECT_ERR : 0);

	action(watched->http, watched->socket, flags);
}

static int set_socket(CURL *easy, curl_socket_t socket, int what, void *data, void *assigned)
{
	struct http *http = data;
	struct watched *watched = assigned;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (watched)
			poller_free(watched->poller);
		free(watched);
		curl_multi_assign(http->multi, socket, NULL);
		return 0;
	}
	if (!watched) {
		watched = mem_alloc(sizeof(*watched));
		*watched = (struct watched){ http, socket, NULL };
		watched->poller = poller_new(http->loop, socket, on_ready, watched);
		curl_multi_assign(http->multi, socket, watched);
	}
	poller_set(watched->poller, (what & CURL_POLL_IN ? POLL_READ : 0) | (what & CURL_POLL_OUT ? POLL_WRITE : 0));
	return 0;
}

static char *copy(const char *text)
{
	return text ? mem_strdup(text) : NULL;
}

/*
 * The certificate's name where it is not the URL's host: the URL then names
 * the certificate's host and CONNECT_TO the address, so that libcurl checks
 * the name that was asked for.
 */
static void use_server_name(struct http *http, const char *name)
{
	struct span rest = span_of(http->base_url), host;
	CLEANUP(str_release) struct str text = STR_INIT;
	ptrdiff_t scheme = 0, colon;

	for (size_t i = 0; i + 2 < rest.length; i++)
		if (!memcmp(rest.data + i, "://", 3)) {
			scheme = (ptrdiff_t)i + 3;
			break;
		}
	host = span_from(rest, (size_t)scheme);
	colon = span_rindex(host, ':');
	if (colon < 0 || host.data[host.length - 1] == ']')
		colon = (ptrdiff_t)host.length;
	str_add(&text, span_sub(rest, 0, (size_t)scheme));
	str_adds(&text, name);
	str_add(&text, span_from(host, (size_t)colon));
	http->request_base = str_take(&text);
	str_addf(&text, "%s:%.*s:%.*s:%.*s", name, SPAN_ARG(span_from(host, (size_t)colon + 1)),
		 SPAN_ARG(span_sub(host, 0, (size_t)colon)), SPAN_ARG(span_from(host, (size_t)colon + 1)));
	http->connect_to = curl_slist_append(NULL, str_c(&text));
}

struct http *http_new(struct loop *loop, const struct http_config *config)
{
	struct http *http = mem_alloc(sizeof(*http));

	curl_global_init(CURL_GLOBAL_DEFAULT);
	http->loop = loop;
	http->base_url = copy(config->base_url);
	http->ca_pem = copy(config->ca_pem);
	http->cert_pem = copy(config->client_cert_pem);
	http->key_pem = copy(config->client_key_pem);
	http->proxy_url = copy(config->proxy_url);
	http->environment_proxy = config->environment_proxy;
	http->user_agent = copy(config->user_agent);
	http->insecure = config->insecure;
	if (config->tls_server_name && *config->tls_server_name)
		use_server_name(http, config->tls_server_name);
	else
		http->request_base = copy(config->base_url);
	http->timer = timer_new(loop, on_timeout, http);
	http->multi = curl_multi_init();
	ASSERT(http->multi);
	curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, set_socket);
	curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
	curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
	curl_multi_setopt(http->multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
	if (config->shared_most)
		curl_multi_setopt(http->multi, CURLMOPT_MAX_CONCURRENT_STREAMS, (long)config->shared_most);
	return http;
}

static void replace(char **slot, const char *text)
{
	free(*slot);
	*slot = copy(text);
}

static void drop_idle(struct http *http)
{
	while (http->idle_count)
		curl_easy_cleanup(http->idle[--http->idle_count]);
}

/* libcurl has its own copies of what requests under way use, and never takes a connection that was made with other certificates. */
void http_reload(struct http *http, const char *ca_pem, const char *client_cert_pem, const char *client_key_pem)
{
	drop_idle(http);
	http->reloads++;
	replace(&http->ca_pem, ca_pem);
	replace(&http->cert_pem, client_cert_pem);
	replace(&http->key_pem, client_key_pem);
}

void http_free(struct http *http)
{
	if (!http)
		return;
	MAP_EACH(entry, &http->transfers)
		transfer_free(entry->value);
	map_release(&http->transfers);
	drop_idle(http);
	curl_multi_cleanup(http->multi);
	timer_free(http->timer);
	curl_slist_free_all(http->connect_to);
	free(http->base_url);
	free(http->request_base);
	free(http->ca_pem);
	free(http->cert_pem);
	free(http->key_pem);
	free(http->proxy_url);
	free(http->user_agent);
	free(http);
}

static size_t on_body(char *bytes, size_t size, size_t count, void *data)
{
	struct transfer *transfer = data;
	struct span piece = span_make(bytes, size * count);
	long status = 0;

	if (transfer->canceled)
		return 0;
	timer_start(transfer->idle, transfer->idle_timeout_ms);
	curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
	if (transfer->on_data && status == 200) {
		transfer->ended_by_reader = transfer->on_data(transfer->data, piece) != 0;
		return transfer->ended_by_reader ? 0 : piece.length;
	}
	str_add(&transfer->body, piece);
	transfer->too_large = transfer->body.overflow;
	return transfer->too_large ? 0 : piece.length;
}

/* RFC 9110 section 10.2.3: seconds or an HTTP date; anything else is as good as none. */
static int64_t parse_retry_after(struct span value)
{
	CLEANUP(mem_cleanup) char *text = NULL;
	int64_t seconds;
	time_t at;

	if (span_to_int64(value, &seconds))
		return seconds > 3600 ? 3600000 : seconds * 1000;
	text = mem_strndup(value.data, value.length);
	at = curl_getdate(text, NULL);
	if (at == -1)
		return -1;
	seconds = (int64_t)at - clock_wall_ns() / 1000000000;
	return seconds < 0 ? 0 : seconds > 3600 ? 3600000 : seconds * 1000;
}

static int64_t parse_date(struct span value)
{
	CLEANUP(mem_cleanup) char *text = mem_strndup(value.data, value.length < 64 ? value.length : 0);

	return curl_getdate(text, NULL);
}

static size_t on_header(char *bytes, size_t size, size_t count, void *data)
{
	struct transfer *transfer = data;
	struct span value = span_make(bytes, size * count), name = span_cut(&value, ':');

	/* an informational answer (1xx) is followed by another; trailers come without an empty line */
	if (span_starts(name, "HTTP/"))
		transfer->headers_done = false;
	else if (!span_trim(name).length)
		transfer->headers_done = true;
	value = span_trim(value);
	if (name.length == 12 && !strncasecmp(name.data, "content-type", 12)) {
		str_reset(&transfer->content_type);
		str_add(&transfer->content_type, value);
	}
	if (name.length == 11 && !strncasecmp(name.data, "retry-after", 11))
		transfer->retry_after_ms = parse_retry_after(value);
	if (name.length == 4 && !strncasecmp(name.data, "date", 4))
		transfer->date_s = parse_date(value);
	return size * count;
}

static void on_idle(void *data)
{
	struct transfer *transfer = data;

	transfer->stalled = true;
	finish(transfer, CURLE_OPERATION_TIMEDOUT);
}

static void set_tls(struct http *http, CURL *easy)
{
	struct curl_blob blob = { .flags = CURL_BLOB_COPY };

	if (http->ca_pem) {
		blob.data = http->ca_pem;
		blob.len = strlen(http->ca_pem);
		curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &blob);
	}
	if (http->cert_pem && http->key_pem) {
		blob.data = http->cert_pem;
		blob.len = strlen(http->cert_pem);
		curl_easy_setopt(easy, CURLOPT_SSLCERT_BLOB, &blob);
		blob.data = http->key_pem;
		blob.len = strlen(http->key_pem);
		curl_easy_setopt(easy, CURLOPT_SSLKEY_BLOB, &blob);
	}
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, http->insecure ? 0L : 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, http->insecure ? 0L : 2L);
}

/*
 * libcurl sends a request again by itself when a kept connection breaks before the first byte of its answer. The server may have done it
 * by then, so for anything but a GET that is the caller's to decide.
 */
static int on_sending(void *data, char *to, char *from, int port, int our_port)
{
	struct transfer *transfer = data;

	(void)to, (void)from, (void)port, (void)our_port;
	transfer->cut_off = transfer->begun && !transfer->repeatable;
	transfer->withheld = !transfer->begun && !transfer->canceled && transfer->may_send && !transfer->may_send(transfer->data);
	transfer->begun = true;
	return transfer->cut_off || transfer->withheld ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

/* A handle with all that requests of this client have in common. */
static CURL *take_handle(struct http *http)
{
	CURL *easy;

	if (http->idle_count)
		return http->idle[--http->idle_count];
	easy = curl_easy_init();
	ASSERT(easy);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, 10000L);
	/* a request is a few kB: libcurl's own 64 kB would be taken for each */
	curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, 16384L);
	if (http->proxy_url || !http->environment_proxy)
		curl_easy_setopt(easy, CURLOPT_PROXY, http->proxy_url ? http->proxy_url : "");
	curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_sending);
	if (http->user_agent)
		curl_easy_setopt(easy, CURLOPT_USERAGENT, http->user_agent);
	if (http->connect_to)
		curl_easy_setopt(easy, CURLOPT_CONNECT_TO, http->connect_to);
	set_tls(http, easy);
	return easy;
}

static void set_request(struct transfer *transfer, const struct http_request *request)
{
	CLEANUP(str_release) struct str url = STR_INIT;
	CURL *easy = transfer->easy;

	str_adds(&url, transfer->http->request_base);
	str_adds(&url, request->path);
	curl_easy_setopt(easy, CURLOPT_URL, str_c(&url));
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
	for (const char *const *header = request->headers; header && *header; header++)
		transfer->headers = curl_slist_append(transfer->headers, *header);
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
	transfer->repeatable = !strcmp(request->method, "GET");
	curl_easy_setopt(easy, CURLOPT_PREREQDATA, transfer);
	if (request->body.length) {
		transfer->request_body = mem_strndup(request->body.data, request->body.length);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, transfer->request_body);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.length);
		transfer->headers = curl_slist_append(transfer->headers, "Expect:");
	}
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error_text);
}

uint64_t http_send(struct http *http, const struct http_request *request)
{
	struct transfer *transfer = mem_alloc(sizeof(*transfer));

	transfer->http = http;
	transfer->id = ++http->next_id;
	transfer->easy = take_handle(http);
	transfer->reloads = http->reloads;
	transfer->body.limit = request->body_max ? request->body_max : LIMIT_HTTP_BODY_BYTES;
	transfer->retry_after_ms = transfer->date_s = -1;
	transfer->on_data = request->on_data;
	transfer->on_done = request->on_done;
	transfer->may_send = request->may_send;
	transfer->data = request->data;
	transfer->idle_timeout_ms = request->idle_timeout_ms ? request->idle_timeout_ms : 30000;
	transfer->idle = timer_new(http->loop, on_idle, transfer);
	timer_start(transfer->idle, transfer->idle_timeout_ms);
	set_request(transfer, request);
	map_set(&http->transfers, id_key(&transfer->id), transfer);
	if (http->inside)
		wait_for_curl(transfer);
	else
		add_transfer(transfer);
	return transfer->id;
}

void http_cancel(struct http *http, uint64_t id)
{
	struct transfer *transfer = map_remove(&http->transfers, id_key(&id));

	if (!transfer)
		return;
	if (!http->inside) {
		transfer_free(transfer);
		return;
	}
	transfer->canceled = true;
	timer_stop(transfer->idle);
	if (transfer->added)
		wait_for_curl(transfer);
}

uint64_t http_sent(const struct http *http)
{
	return http->next_id;
}

size_t http_in_flight(const struct http *http)
{
	return http->transfers.count;
}
