/* HTTP by a libcurl easy handle that is reused for its connections; see transport.h. */
#include "oci/transport.h"

#include <curl/curl.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/address.h"
#include "base/limits.h"

#define CONNECT_TIMEOUT_MS 5000L
#define LOW_SPEED_BYTES 64L        /* a second, on average over the time below: less is a server that holds us up */
#define LOW_SPEED_SECONDS 6L
#define ERROR_BODY_MAX 65536u      /* of an answer that is not 200 */

struct transport {
	CURL *easy;
	bool home_is_local;        /* the registry itself was reached at a loopback address: tests, and registries of one node */
	/* of the exchange under way */
	const struct exchange *exchange;
	struct str body;
	size_t header_bytes, dropped_bytes;
	bool in_body, headers_too_large;
	struct str content_type, digest, link, challenge, location;
};

struct transport *transport_new(void)
{
	struct transport *transport = mem_alloc(sizeof(*transport));

	transport->easy = curl_easy_init();
	ASSERT(transport->easy);
	return transport;
}

static void reset(struct transport *t)
{
	struct str *all[] = { &t->body, &t->content_type, &t->digest, &t->link, &t->challenge, &t->location };

	for (size_t i = 0; i < COUNT_OF(all); i++)
		str_release(all[i]);
	t->header_bytes = t->dropped_bytes = 0;
	t->in_body = t->headers_too_large = false;
}

void transport_free(struct transport *transport)
{
	if (!transport)
		return;
	reset(transport);
	curl_easy_cleanup(transport->easy);
	free(transport);
}

static int status_of(const struct transport *t)
{
	long status = 0;

	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	return (int)status;
}

/* What comes with another status than 200 is nothing that was asked for: read a little, to keep the connection, and dropped. */
static size_t drop(struct transport *t, size_t length)
{
	t->dropped_bytes += length;
	return t->dropped_bytes > ERROR_BODY_MAX ? 0 : length;
}

static size_t on_body(char *data, size_t size, size_t count, void *user)
{
	struct transport *t = user;

	if (status_of(t) != 200)
		return drop(t, size * count);
	str_add(&t->body, span_make(data, size * count));
	return t->body.overflow ? 0 : size * count;
}

static void keep_header(struct transport *t, struct span line)
{
	struct { const char *name; struct str *at; } known[] = {
		{ "content-type", &t->content_type }, { "docker-content-digest", &t->digest }, { "link", &t->link },
		{ "www-authenticate", &t->challenge }, { "location", &t->location },
	};
	struct span name = span_cut(&line, ':');

	for (size_t i = 0; i < COUNT_OF(known); i++) {
		if (name.length != strlen(known[i].name) || strncasecmp(name.data, known[i].name, name.length) != 0)
			continue;
		if (known[i].at->length)
			str_adds(known[i].at, ", ");
		str_add(known[i].at, span_trim(line));
	}
}

/* Each line of the head. A new status line (after 100 Continue) begins anew; lines behind the body are trailers and not read. */
static size_t on_header(char *data, size_t size, size_t count, void *user)
{
	struct transport *t = user;
	struct span line = span_make(data, size * count);

	t->header_bytes += line.length;
	if (t->header_bytes > LIMIT_HTTP_HEADER_BYTES) {
		t->headers_too_large = true;
		return 0;
	}
	if (span_starts(line, "HTTP/") && !t->body.length) {
		size_t seen = t->header_bytes;

		reset(t);
		t->body.limit = t->exchange->body_max;
		t->header_bytes = seen;
	} else if (!span_trim(line).length) {
		t->in_body = true;
	} else if (!t->in_body && !span_has_nul(line)) {
		keep_header(t, line);
	}
	return line.length;
}

/* Asked with the resolved address, so that no spelling of a name gets around it. */
static curl_socket_t on_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct transport *t = user;

	(void)purpose;
	if (!t->exchange->foreign)
		t->home_is_local = address_is_loopback(&address->addr);
	else if (!t->home_is_local && address_is_off_limits(&address->addr))
		return CURL_SOCKET_BAD;
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* Options of each exchange; the handle keeps its connections over a reset. */
static void set_options(struct transport *t, const struct exchange *e, struct curl_slist *headers)
{
	CURL *easy = t->easy;

	curl_easy_reset(easy);
	curl_easy_setopt(easy, CURLOPT_URL, e->url);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, e->plain_http ? "http,https" : "https");
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "countersign");
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)e->timeout_ms);
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, LOW_SPEED_BYTES);
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, LOW_SPEED_SECONDS);
	curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE,
			 (curl_off_t)(e->body_max > ERROR_BODY_MAX ? e->body_max : ERROR_BODY_MAX));
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_socket);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, t);
	if (e->form)
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, e->form);
	if (e->ca_pem && e->ca_pem[0]) {
		struct curl_blob blob = { (void *)(uintptr_t)e->ca_pem, strlen(e->ca_pem), CURL_BLOB_COPY };

		/* The blob takes the place of the bundle file; the system's folder is searched too unless it is taken away. */
		curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &blob);
		if (!e->ca_beside)
			curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	}
}

static int fail(const struct transport *t, CURLcode code, const char *detail, struct error *err)
{
	const struct exchange *e = t->exchange;

	if (t->body.overflow || code == CURLE_FILESIZE_EXCEEDED)
		return error_set(err, ERROR_LIMIT, "TooLarge", "%s: the answer is larger than %zu bytes", e->shown, e->body_max);
	if (t->headers_too_large)
		return error_set(err, ERROR_LIMIT, "TooLarge", "%s: the headers of the answer are larger than %u bytes", e->shown,
				 LIMIT_HTTP_HEADER_BYTES);
	if (code == CURLE_UNSUPPORTED_PROTOCOL)
		return error_set(err, ERROR_TRANSIENT, "FetchError", "%s: only https is allowed for this registry", e->shown);
	return error_set(err, ERROR_TRANSIENT, "FetchError", "%s: %s", e->shown, detail[0] ? detail : curl_easy_strerror(code));
}

/* Whether the transfer ended because an answer other than 200 had a long body; its status is the answer all the same. */
static bool is_only_dropped(const struct transport *t, CURLcode code)
{
	int status = status_of(t);

	return status && status != 200 && !t->headers_too_large &&
	       (code == CURLE_FILESIZE_EXCEEDED || (code == CURLE_WRITE_ERROR && t->dropped_bytes > ERROR_BODY_MAX));
}

static const char *kept(const struct str *text, struct arena *arena)
{
	return arena_strndup(arena, str_span(text));
}

static void take_response(struct transport *t, struct arena *arena, struct response *out)
{
	curl_off_t retry_after = 0;

	curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &retry_after);
	*out = (struct response){ .status = status_of(t),
				  .content_type = kept(&t->content_type, arena),
				  .digest = kept(&t->digest, arena),
				  .link = kept(&t->link, arena),
				  .challenge = kept(&t->challenge, arena),
				  .location = kept(&t->location, arena),
				  .retry_after_s = retry_after > 0 ? (int64_t)retry_after : -1,
				  .body = arena_span(arena, str_span(&t->body)) };
}

static void slist_cleanup(struct curl_slist **list)
{
	curl_slist_free_all(*list);
}

static struct curl_slist *append(struct curl_slist *list, const char *name, const char *value)
{
	CLEANUP(str_release) struct str line = STR_INIT;

	str_addf(&line, "%s: %s", name, value);
	list = curl_slist_append(list, str_c(&line));
	ASSERT(list);
	return list;
}

int transport_send(struct transport *transport, const struct exchange *exchange, struct arena *arena, struct response *out,
		   struct error *err)
{
	CLEANUP(slist_cleanup) struct curl_slist *headers = NULL;
	char detail[CURL_ERROR_SIZE] = "";
	CURLcode code;

	if (exchange->accept)
		headers = append(headers, "Accept", exchange->accept);
	if (exchange->authorization)
		headers = append(headers, "Authorization", exchange->authorization);
	transport->exchange = exchange;
	reset(transport);
	transport->body.limit = exchange->body_max;
	set_options(transport, exchange, headers);
	curl_easy_setopt(transport->easy, CURLOPT_ERRORBUFFER, detail);
	code = curl_easy_perform(transport->easy);
	curl_easy_setopt(transport->easy, CURLOPT_ERRORBUFFER, NULL);
	/* libcurl takes an end inside of the headers for the end of an answer without a body */
	if (code == CURLE_OK && !transport->in_body)
		code = CURLE_PARTIAL_FILE;
	if (code != CURLE_OK && !is_only_dropped(transport, code))
		return fail(transport, code, detail, err);
	take_response(transport, arena, out);
	reset(transport);
	return 0;
}

/* --- URLs --------------------------------------------------------------------------------------------------------- */

static void url_cleanup(CURLU **url)
{
	curl_url_cleanup(*url);
}

/* A part in the arena, "" when the URL has none. */
static const char *url_part(CURLU *url, CURLUPart part, unsigned flags, struct arena *arena)
{
	char *text = NULL;
	const char *copy;

	if (curl_url_get(url, part, &text, flags) != CURLUE_OK)
		return "";
	copy = arena_strdup(arena, text);
	curl_free(text);
	return copy;
}

static CURLU *url_new(const char *text)
{
	CURLU *url = curl_url();

	ASSERT(url);
	if (curl_url_set(url, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK)
		return url;
	curl_url_cleanup(url);
	return NULL;
}

bool url_split(const char *text, struct arena *arena, const char **origin, bool *has_user)
{
	CLEANUP(url_cleanup) CURLU *url = url_new(text);
	const char *scheme, *host, *port;
	char *lower;

	if (!url)
		return false;
	scheme = url_part(url, CURLUPART_SCHEME, 0, arena);
	host = url_part(url, CURLUPART_HOST, 0, arena);
	port = url_part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT, arena);
	if ((strcmp(scheme, "https") != 0 && strcmp(scheme, "http") != 0) || !host[0])
		return false;
	*has_user = url_part(url, CURLUPART_USER, 0, arena)[0] || url_part(url, CURLUPART_PASSWORD, 0, arena)[0];
	lower = arena_printf(arena, "%s://%s:%s", scheme, host, port);
	for (char *c = lower; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	*origin = lower;
	return true;
}

const char *url_resolve(const char *base, const char *reference, struct arena *arena)
{
	CLEANUP(url_cleanup) CURLU *url = url_new(base);
	const char *out;

	if (!url || curl_url_set(url, CURLUPART_URL, reference, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK)
		return NULL;
	curl_url_set(url, CURLUPART_FRAGMENT, NULL, 0);
	out = url_part(url, CURLUPART_URL, 0, arena);
	return out[0] ? out : NULL;
}

const char *url_with(const char *text, const char *name, const char *value, struct arena *arena)
{
	CLEANUP(url_cleanup) CURLU *url = url_new(text);
	CLEANUP(str_release) struct str pair = STR_INIT;

	if (!url)
		return NULL;
	str_addf(&pair, "%s=", name);
	str_adds(&pair, value);
	if (curl_url_set(url, CURLUPART_QUERY, str_c(&pair), CURLU_APPENDQUERY | CURLU_URLENCODE) != CURLUE_OK)
		return NULL;
	return url_part(url, CURLUPART_URL, 0, arena);
}
