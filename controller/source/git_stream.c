/*
 * One request on libcurl's multi interface, driven by whoever reads: bytes wait
 * in a buffer, and curl is paused while there are enough of them.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/address.h"
#include "base/limits.h"
#include "source/git_http_internal.h"

#define BUFFER_FULL ((size_t)1 << 20)
#define RESULT_TYPE "application/x-git-upload-pack-result"
#define REFS_TYPE "application/x-git-upload-pack-advertisement"

struct git_stream {
	struct git_http *http;
	CURL *easy;
	struct curl_slist *headers;
	struct str body;        /* of the request */
	struct str buffer;      /* received, from `taken` on not yet read */
	size_t taken;
	enum git_request request;
	bool paused, done, status_known;
	bool refused;           /* an address was off limits */
	CURLcode result;
	char message[CURL_ERROR_SIZE];
};

static size_t on_body(char *bytes, size_t size, size_t count, void *data)
{
	struct git_stream *stream = data;
	long status = 0;

	stream->status_known = true;
	curl_easy_getinfo(stream->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200)
		return size * count;    /* an error's page is of no use */
	if (stream->buffer.length - stream->taken >= BUFFER_FULL) {
		stream->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	str_add(&stream->buffer, span_make(bytes, size * count));
	return size * count;
}

static void set_credentials(CURL *easy, const struct git_http *http)
{
	const struct source_config *c = &http->config;

	if (c->bearer_token[0]) {
		curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
		curl_easy_setopt(easy, CURLOPT_XOAUTH2_BEARER, c->bearer_token);
	} else if (c->username[0] || c->password[0]) {
		curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
		curl_easy_setopt(easy, CURLOPT_USERNAME, c->username);
		curl_easy_setopt(easy, CURLOPT_PASSWORD, c->password);
	}
}

static void set_blob(CURL *easy, CURLoption option, struct span pem)
{
	struct curl_blob blob = { (void *)(uintptr_t)pem.data, pem.length, CURL_BLOB_COPY };

	if (pem.length)
		curl_easy_setopt(easy, option, &blob);
}

static long port_of(const struct sockaddr *address)
{
	return ntohs(address->sa_family == AF_INET ? ((const struct sockaddr_in *)(const void *)address)->sin_port :
						     ((const struct sockaddr_in6 *)(const void *)address)->sin6_port);
}

/* Whether it is where a proxy on this machine listens, a neighbour in the pod: the operator wants it to be dialled. */
static bool is_proxy(const char *variable, const struct sockaddr *address)
{
	const char *proxy = getenv(variable);
	char *host = NULL, *port = NULL;
	CURLU *parsed = proxy ? curl_url() : NULL;
	bool is = parsed && address_is_loopback(address) && !curl_url_set(parsed, CURLUPART_URL, proxy, CURLU_GUESS_SCHEME) &&
		  !curl_url_get(parsed, CURLUPART_HOST, &host, 0) && !curl_url_get(parsed, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) &&
		  address_host_is_loopback(span_of(host)) && strtol(port, NULL, 10) == port_of(address);

	curl_free(host);
	curl_free(port);
	curl_url_cleanup(parsed);
	return is;
}

static bool may_dial(const struct git_http *http, const struct sockaddr *address)
{
	static const char *const proxies[] = { "http_proxy", "https_proxy", "HTTPS_PROXY" };

	if (!git_http_is_off_limits(http, address))
		return true;
	for (size_t i = 0; i < COUNT_OF(proxies); i++)
		if (is_proxy(proxies[i], address))
			return true;
	return false;
}

/* Asked with the resolved address, so that no spelling of a name gets around it, nor one that means something else each time. */
static curl_socket_t on_socket(void *data, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct git_stream *stream = data;

	(void)purpose;
	if (may_dial(stream->http, &address->addr))
		return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
	stream->refused = true;
	return CURL_SOCKET_BAD;
}

static void set_limits(CURL *easy, int64_t timeout_ms)
{
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)LIMIT_GIT_CONNECT_MS);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1024L);
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)LIMIT_GIT_STALL_S);
	curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)LIMIT_GIT_PACK_BYTES);
}

static void set_request(struct git_stream *stream, unsigned protocol)
{
	bool refs = stream->request == GIT_REQUEST_REFS;
	CLEANUP(str_release) struct str url = STR_INIT;

	str_addf(&url, "%s%s", stream->http->url.url, refs ? "/info/refs?service=git-upload-pack" : "/git-upload-pack");
	curl_easy_setopt(stream->easy, CURLOPT_URL, str_c(&url));
	/* some servers give a web page to what does not begin like this */
	curl_easy_setopt(stream->easy, CURLOPT_USERAGENT, "git/countersign");
	curl_easy_setopt(stream->easy, CURLOPT_ACCEPT_ENCODING, "gzip");
	stream->headers = curl_slist_append(NULL, refs ? "Accept: */*" : "Accept: " RESULT_TYPE);
	if (protocol == 2)
		stream->headers = curl_slist_append(stream->headers, "Git-Protocol: version=2");
	if (!refs) {
		stream->headers = curl_slist_append(stream->headers, "Content-Type: application/x-git-upload-pack-request");
		stream->headers = curl_slist_append(stream->headers, "Expect:");
		curl_easy_setopt(stream->easy, CURLOPT_POST, 1L);
		curl_easy_setopt(stream->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)stream->body.length);
		curl_easy_setopt(stream->easy, CURLOPT_POSTFIELDS, str_c(&stream->body));
	}
	curl_easy_setopt(stream->easy, CURLOPT_HTTPHEADER, stream->headers);
}

struct git_stream *git_stream_open(struct git_http *http, enum git_request request, unsigned protocol, struct span body,
				   int64_t timeout_ms)
{
	struct git_stream *stream = mem_alloc(sizeof(*stream));

	stream->http = http;
	stream->request = request;
	str_add(&stream->body, body);
	stream->easy = curl_easy_init();
	ASSERT(stream->easy);
	set_request(stream, protocol);
	set_limits(stream->easy, timeout_ms);
	set_credentials(stream->easy, http);
	set_blob(stream->easy, CURLOPT_CAINFO_BLOB, http->config.ca);
	set_blob(stream->easy, CURLOPT_SSLCERT_BLOB, http->config.client_cert);
	set_blob(stream->easy, CURLOPT_SSLKEY_BLOB, http->config.client_key);
	curl_easy_setopt(stream->easy, CURLOPT_OPENSOCKETFUNCTION, on_socket);
	curl_easy_setopt(stream->easy, CURLOPT_OPENSOCKETDATA, stream);
	curl_easy_setopt(stream->easy, CURLOPT_ERRORBUFFER, stream->message);
	curl_easy_setopt(stream->easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(stream->easy, CURLOPT_WRITEDATA, stream);
	curl_multi_add_handle(http->multi, stream->easy);
	return stream;
}

void git_stream_free(struct git_stream *stream)
{
	if (!stream)
		return;
	curl_multi_remove_handle(stream->http->multi, stream->easy);
	curl_easy_cleanup(stream->easy);
	curl_slist_free_all(stream->headers);
	str_release(&stream->body);
	str_release(&stream->buffer);
	free(stream);
}

/* --- errors ------------------------------------------------------------------------------------------------------ */

static bool is_certificate_error(CURLcode code)
{
	switch (code) {
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS:
		return true;
	default:
		return false;
	}
}

static int transfer_error(struct git_stream *stream, struct error *err)
{
	const char *why = stream->message[0] ? stream->message : curl_easy_strerror(stream->result);
	const char *url = stream->http->url.url;

	if (stream->refused)
		return git_http_refuse(stream->http, err);
	git_text_redact(stream->message);
	if (is_certificate_error(stream->result))
		return error_set(err, ERROR_TRANSIENT, "CertificateError", "%s: %s", url, why);
	if (stream->result == CURLE_OPERATION_TIMEDOUT)
		return error_set(err, ERROR_TRANSIENT, "RepositoryTimeout", "%s: %s", url, why);
	if (stream->result == CURLE_FILESIZE_EXCEEDED)
		return error_set(err, ERROR_LIMIT, "TooLarge", "%s: the answer is larger than %llu bytes", url, LIMIT_GIT_PACK_BYTES);
	return error_set(err, ERROR_TRANSIENT, "RepositoryUnreachable", "%s: %s", url, why);
}

static bool has_credential(const struct git_http *http)
{
	return http->config.bearer_token[0] || http->config.username[0] || http->config.password[0] || http->config.client_cert.length;
}

static int status_error(const struct git_stream *stream, long status, struct error *err)
{
	const char *url = stream->http->url.url;

	switch (status) {
	case 401:
	case 403:
		return error_set(err, ERROR_FORBIDDEN, "RepositoryAuth", "%s: the server answers %ld: %s", url, status,
				 has_credential(stream->http) ? "it refuses the credential of this repository" :
								"no credential is configured for this repository");
	case 404:
	case 410:
		return error_set(err, ERROR_NOT_FOUND, "RepositoryNotFound", "%s: the server answers %ld: there is no such repository%s",
				 url, status, has_credential(stream->http) ? ", or the credential does not open it" :
									     ", or it needs a credential and none is configured");
	case 408:
	case 425:
	case 429:
		return error_set(err, ERROR_TRANSIENT, "RepositoryUnreachable", "%s: the server answers %ld", url, status);
	default:
		break;
	}
	if (status >= 300 && status < 400)
		return error_set(err, ERROR_INVALID, "BadRedirect", "%s: the server redirects (%ld) where it must not", url, status);
	return error_set(err, status >= 500 ? ERROR_TRANSIENT : ERROR_INVALID,
			 status >= 500 ? "RepositoryUnreachable" : "NotAGitRepository", "%s: the server answers %ld", url, status);
}

int git_stream_status(struct git_stream *stream, struct error *err)
{
	const char *type = NULL, *wanted = stream->request == GIT_REQUEST_REFS ? REFS_TYPE : RESULT_TYPE;
	long status = 0;

	curl_easy_getinfo(stream->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200)
		return status_error(stream, status, err);
	curl_easy_getinfo(stream->easy, CURLINFO_CONTENT_TYPE, &type);
	if (!type || strncmp(type, wanted, strlen(wanted)) != 0)
		return error_set(err, ERROR_INVALID, "NotAGitRepository",
				 "%s: the server answers with a page of type '%.80s', not as a Git server does", stream->http->url.url,
				 type ? type : "");
	return 0;
}

const char *git_stream_redirect(struct git_stream *stream)
{
	char *target = NULL;
	long status = 0;

	curl_easy_getinfo(stream->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status != 301 && status != 302 && status != 303 && status != 307 && status != 308)
		return NULL;
	curl_easy_getinfo(stream->easy, CURLINFO_REDIRECT_URL, &target);
	return target;
}

/* --- reading ----------------------------------------------------------------------------------------------------- */

static void collect_result(struct git_stream *stream)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(stream->http->multi, &left)) != NULL) {
		if (message->msg != CURLMSG_DONE || message->easy_handle != stream->easy)
			continue;
		stream->done = true;
		stream->status_known = true;
		stream->result = message->data.result;
	}
}

/* Lets curl work until there is something to look at. */
static int drive(struct git_stream *stream, struct error *err)
{
	int running;

	if (stream->paused) {
		stream->paused = false;
		curl_easy_pause(stream->easy, CURLPAUSE_CONT);
	}
	if (curl_multi_perform(stream->http->multi, &running))
		return error_set(err, ERROR_INTERNAL, "CurlError", "%s: libcurl's multi interface failed", stream->http->url.url);
	collect_result(stream);
	if (!stream->done && stream->buffer.length == stream->taken)
		curl_multi_poll(stream->http->multi, NULL, 0, 1000, NULL);
	return 0;
}

int git_stream_wait(struct git_stream *stream, struct error *err)
{
	while (!stream->status_known)
		if (drive(stream, err))
			return -1;
	if (stream->done && stream->result)
		return transfer_error(stream, err);
	return 0;
}

int git_stream_read(struct git_stream *stream, char *out, size_t size, size_t *got, struct error *err)
{
	size_t there;

	if (git_stream_wait(stream, err) || git_stream_status(stream, err))
		return -1;
	while (stream->buffer.length == stream->taken && !stream->done) {
		str_reset(&stream->buffer);
		stream->taken = 0;
		if (drive(stream, err))
			return -1;
	}
	there = stream->buffer.length - stream->taken;
	if (!there && stream->result)
		return transfer_error(stream, err);
	if (stream->buffer.overflow)
		return error_set(err, ERROR_INTERNAL, "CurlError", "libcurl gave more than it was asked for");
	*got = there < size ? there : size;
	if (*got)
		memcpy(out, stream->buffer.data + stream->taken, *got);
	stream->taken += *got;
	return 0;
}
