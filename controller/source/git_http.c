/* A repository's configuration, whole answers, and redirects; one request is in git_stream.c. */
#include "base/limits.h"
#include "source/git_http_internal.h"

#define REFS_SUFFIX "/info/refs?service=git-upload-pack"

struct git_http *git_http_new(void)
{
	struct git_http *http = mem_alloc(sizeof(*http));

	http->multi = curl_multi_init();
	ASSERT(http->multi);
	curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, 4L);
	return http;
}

void git_http_free(struct git_http *http)
{
	if (!http)
		return;
	curl_multi_cleanup(http->multi);
	arena_free(http->arena);
	free(http);
}

void git_http_cleanup(struct git_http **http)
{
	git_http_free(*http);
	*http = NULL;
}

const char *git_http_url(const struct git_http *http)
{
	return http->url.url ? http->url.url : "";
}

static const char *copy(struct arena *arena, const char *text)
{
	return arena_strdup(arena, text ? text : "");
}

/* Credentials of the URL serve when no others are given. */
static void copy_config(struct git_http *http, const struct source_config *config)
{
	struct source_config *own = &http->config;

	own->url = http->url.url;
	own->directory = copy(http->arena, config->directory);
	own->username = copy(http->arena, config->username);
	own->password = copy(http->arena, config->password);
	own->bearer_token = copy(http->arena, config->bearer_token);
	own->client_cert = config->client_cert.length ? arena_span(http->arena, config->client_cert) : SPAN0;
	own->client_key = config->client_key.length ? arena_span(http->arena, config->client_key) : SPAN0;
	own->ca = config->ca.length ? arena_span(http->arena, config->ca) : SPAN0;
	if (!own->username[0] && !own->password[0] && !own->bearer_token[0]) {
		own->username = http->url.user;
		own->password = http->url.password;
	}
}

int git_http_refuse(const struct git_http *http, struct error *err)
{
	return error_set(err, ERROR_DENIED, "RepositoryNotPermitted", "%s: the host is the controller itself, a neighbour on its link or no single "
			 "machine; nothing was sent there", http->url.url);
}

bool git_http_is_off_limits(const struct git_http *http, const struct sockaddr *address)
{
	return address_is_off_limits(address) && !(http->at_home && address_is_loopback(address));
}

/* An address that the URL has in digits, also in odd ones, as libcurl takes them: a proxy would dial it without asking us. */
static bool says_off_limits(const struct git_http *http)
{
	struct sockaddr_storage address;
	char *host = NULL;
	CURLU *parsed = curl_url();
	bool off_limits;

	ASSERT(parsed);
	off_limits = !curl_url_set(parsed, CURLUPART_URL, http->url.url, 0) && !curl_url_get(parsed, CURLUPART_HOST, &host, 0) &&
		     address_parse(span_of(host), &address) && git_http_is_off_limits(http, (const struct sockaddr *)&address);
	curl_free(host);
	curl_url_cleanup(parsed);
	return off_limits;
}

int git_http_configure(struct git_http *http, const struct source_config *config, struct error *err)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct git_url url;

	if (git_url_parse(config->url, arena, &url, err))
		return -1;
	/* connections that were opened as somebody else must not be used again */
	curl_multi_cleanup(http->multi);
	http->multi = curl_multi_init();
	ASSERT(http->multi);
	arena_free(http->arena);
	http->arena = TAKE(arena);
	http->url = url;
	copy_config(http, config);
	http->at_home = config->at_home || address_host_is_loopback(span_of(url.host));
	return says_off_limits(http) ? git_http_refuse(http, err) : 0;
}

static bool same_host(const struct git_url *from, const struct git_url *to)
{
	if (strcmp(from->host, to->host) != 0)
		return false;
	if (strcmp(from->scheme, to->scheme) == 0)
		return true;
	/* from http to https where neither names a port */
	return strcmp(to->scheme, "https") == 0 && !strchr(from->host, ':');
}

/* Moves http->url to where the redirect leads. */
static int follow(struct git_http *http, const char *target, struct error *err)
{
	CLEANUP(str_release) struct str base = STR_INIT;
	struct span suffix = SPAN(REFS_SUFFIX), all = span_of(target);
	struct git_url url;

	if (!span_ends(all, REFS_SUFFIX))
		return error_set(err, ERROR_INVALID, "BadRedirect", "%s: the server redirects to something that is no Git repository",
				 http->url.url);
	str_add(&base, span_sub(all, 0, all.length - suffix.length));
	if (git_url_parse(str_c(&base), http->arena, &url, NULL) || !same_host(&http->url, &url))
		return error_set(err, ERROR_INVALID, "BadRedirect", "%s: the server redirects to %s, another host; change repoURL if that is right",
				 http->url.url, git_url_redact(str_c(&base), http->arena));
	http->url = url;
	return 0;
}

static int read_all(struct git_stream *stream, struct str *out, struct error *err)
{
	char bytes[16384];
	size_t got;

	do {
		if (git_stream_read(stream, bytes, sizeof(bytes), &got, err))
			return -1;
		str_add(out, span_make(bytes, got));
		if (out->overflow || out->length > LIMIT_HTTP_BODY_BYTES)
			return error_set(err, ERROR_LIMIT, "TooLarge", "the Git server's list of refs is larger than %u bytes",
					 LIMIT_HTTP_BODY_BYTES);
	} while (got);
	return 0;
}

static void stream_cleanup(struct git_stream **stream)
{
	git_stream_free(*stream);
}

/* One request; *redirected tells that http->url moved and it must be sent again. */
static int fetch_once(struct git_http *http, enum git_request request, unsigned protocol, struct span body, struct str *out,
		      bool *redirected, struct error *err)
{
	CLEANUP(stream_cleanup) struct git_stream *stream = git_stream_open(http, request, protocol, body, LIMIT_GIT_REFS_MS);
	const char *target;

	*redirected = false;
	if (git_stream_wait(stream, err))
		return -1;
	target = request == GIT_REQUEST_REFS ? git_stream_redirect(stream) : NULL;
	if (target) {
		*redirected = true;
		return follow(http, target, err);
	}
	return read_all(stream, out, err);
}

int git_http_fetch(struct git_http *http, enum git_request request, unsigned protocol, struct span body, struct str *out,
		   struct error *err)
{
	for (unsigned i = 0; i <= LIMIT_HTTP_REDIRECTS; i++) {
		bool redirected;

		if (fetch_once(http, request, protocol, body, out, &redirected, err))
			return -1;
		if (!redirected)
			return 0;
	}
	return error_set(err, ERROR_INVALID, "BadRedirect", "%s: more than %d redirects", http->url.url, LIMIT_HTTP_REDIRECTS);
}
