/*
 * Registry client; see client.h. client_get → follow (redirects) → send_patiently
 * (429) → send_once (budget); a 401 goes through authenticate once and again.
 */
#include "oci/client.h"

#include <time.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/json.h"
#include "base/limits.h"
#include "oci/header.h"

#define TOKEN_BYTES_MAX 65536u
#define PATIENCE_TRIES 3
#define PATIENCE_MS 1000           /* between tries when a registry says 429 and not how long */

struct client {
	struct client_config config;
	struct transport *transport;
	struct arena *arena;              /* of what lives as long as the job: the token */
	const char *home;                 /* origin of the registry */
	const char *base;                 /* scheme://host */
	const char *authorization;        /* header value for the registry; NULL: none yet */
	int64_t deadline_ms;
	unsigned requests;
	size_t bytes;
};

/* One request on the way: where it goes now, and what it may take along. */
struct trip {
	const char *url, *origin;
	const char *accept, *authorization, *form;
	size_t body_max;
};

static bool is_set(const char *text)
{
	return text && text[0];
}

struct client *client_new(const struct client_config *config)
{
	struct client *client = mem_alloc(sizeof(*client));
	bool has_user;

	client->config = *config;
	client->transport = transport_new();
	client->arena = arena_new(0);
	client->base = arena_printf(client->arena, "%s://%s", config->plain_http ? "http" : "https", config->host);
	if (is_set(config->credential.registry_token))
		client->authorization = arena_printf(client->arena, "Bearer %s", config->credential.registry_token);
	client->deadline_ms = clock_mono_ms() + config->timeout_ms;
	if (!url_split(client->base, client->arena, &client->home, &has_user))
		client->home = "";
	return client;
}

void client_free(struct client *client)
{
	if (!client)
		return;
	transport_free(client->transport);
	arena_free(client->arena);
	free(client);
}

void client_cleanup(struct client **client)
{
	client_free(*client);
}

unsigned client_requests(const struct client *client)
{
	return client->requests;
}

size_t client_bytes(const struct client *client)
{
	return client->bytes;
}

/* For messages: the whole URL at home; of other hosts the origin alone, since such URLs carry signatures of their own. */
static const char *shown(const struct client *client, const struct trip *trip, struct arena *arena)
{
	bool home = !strcmp(trip->origin, client->home);

	return arena_printf(arena, "%s %.500s", trip->form ? "POST" : "GET", home && !trip->form ? trip->url : trip->origin);
}

static int send_once(struct client *client, const struct trip *trip, struct arena *arena, struct response *out, struct error *err)
{
	bool home = !strcmp(trip->origin, client->home);
	int64_t left_ms = client->deadline_ms - clock_mono_ms();
	struct exchange exchange = {
		.url = trip->url,
		.shown = shown(client, trip, arena),
		.accept = trip->accept,
		.authorization = trip->authorization,
		.form = trip->form,
		.ca_pem = client->config.ca_pem,
		.ca_beside = !home,
		.plain_http = client->config.plain_http,
		.foreign = !home,
		.body_max = trip->body_max ? trip->body_max : 1,
		.timeout_ms = left_ms,
	};

	if (left_ms <= 0)
		return error_set(err, ERROR_TRANSIENT, "FetchError", "%s: the time for this image (%lld s) is used up", exchange.shown,
				 (long long)client->config.timeout_ms / 1000);
	if (client->requests >= LIMIT_REGISTRY_REQUESTS)
		return error_set(err, ERROR_LIMIT, "TooManyRequests", "%s: more than %u requests for one image", exchange.shown,
				 LIMIT_REGISTRY_REQUESTS);
	client->requests++;
	if (transport_send(client->transport, &exchange, arena, out, err))
		return -1;
	client->bytes += out->body.length;
	if (client->bytes > LIMIT_EVIDENCE_BYTES)
		return error_set(err, ERROR_LIMIT, "TooLarge", "%s: more than %u bytes for one image", exchange.shown, LIMIT_EVIDENCE_BYTES);
	return 0;
}

static void pause_ms(int64_t ms)
{
	struct timespec t = { ms / 1000, (ms % 1000) * 1000000 };

	while (nanosleep(&t, &t))
		;
}

/* RFC 6585 4: 429 says when to come again; more than the time that is left is an error that says so. */
static int send_patiently(struct client *client, const struct trip *trip, struct arena *arena, struct response *out, struct error *err)
{
	for (int try = 1;; try++) {
		int64_t wait_ms;

		if (send_once(client, trip, arena, out, err))
			return -1;
		if (out->status != 429)
			return 0;
		wait_ms = out->retry_after_s > 0 ? out->retry_after_s * 1000 : PATIENCE_MS * try;
		if (try == PATIENCE_TRIES || clock_mono_ms() + wait_ms >= client->deadline_ms)
			return error_set(err, ERROR_TRANSIENT, "FetchError",
					 "%s: the registry answered 429 (too many requests) and asks to wait %lld s", shown(client, trip, arena),
					 (long long)(wait_ms + 999) / 1000);
		pause_ms(wait_ms);
	}
}

static bool is_redirect(int status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* Where a redirect leads: http(s), never from https to http, and without the credential unless it stays at home. */
static int redirect(struct client *client, struct trip *trip, const struct response *response, struct arena *arena, struct error *err)
{
	const char *from = trip->origin, *url = url_resolve(trip->url, response->location, arena);
	bool has_user = false;

	if (!url || !url_split(url, arena, &trip->origin, &has_user) || has_user) {
		trip->origin = from;
		return error_set(err, ERROR_TRANSIENT, "FetchError", "%s: the registry answered %d with a place that is no http(s) URL",
				 shown(client, trip, arena), response->status);
	}
	if (!strncmp(from, "https:", 6) && strncmp(trip->origin, "https:", 6) != 0)
		return error_set(err, ERROR_TRANSIENT, "FetchError", "%s redirects from https to %s: refused", from, trip->origin);
	if (strcmp(trip->origin, client->home) != 0)
		trip->authorization = NULL;
	trip->url = url;
	return 0;
}

/* `first` is at home. */
static int follow(struct client *client, struct trip first, struct arena *arena, struct trip *last, struct response *out,
		  struct error *err)
{
	*last = first;
	for (int hops = 0;; hops++) {
		if (send_patiently(client, last, arena, out, err))
			return -1;
		if (!is_redirect(out->status))
			return 0;
		if (hops == LIMIT_HTTP_REDIRECTS)
			return error_set(err, ERROR_TRANSIENT, "FetchError", "%s: more than %d redirects", shown(client, last, arena),
					 LIMIT_HTTP_REDIRECTS);
		if (redirect(client, last, out, arena, err))
			return -1;
	}
}

/* --- authentication -------------------------------------------------------------------------------------------------- */

static const char *basic_value(const struct client *client)
{
	CLEANUP(str_release) struct str plain = STR_INIT, value = STR_INIT;

	str_addf(&plain, "%s:%s", client->config.credential.username, is_set(client->config.credential.password) ? client->config.credential.password : "");
	str_adds(&value, "Basic ");
	base64_encode(str_span(&plain), &value);
	return arena_strndup(client->arena, str_span(&value));
}

/* Token servers on another host are spoken to only over https: what goes there is the credential. */
static int check_realm(const struct client *client, const char *realm, struct arena *arena, struct trip *trip, struct error *err)
{
	bool has_user = false;

	if (!url_split(realm, arena, &trip->origin, &has_user) || has_user)
		return error_set(err, ERROR_FORBIDDEN, "FetchError", "%s names a token server by what is no plain http(s) URL: no credential was sent",
				 client->base);
	if (strncmp(trip->origin, "https:", 6) != 0 && strcmp(trip->origin, client->home) != 0)
		return error_set(err, ERROR_FORBIDDEN, "FetchError",
				 "%s names the token server %s, which is neither https nor the registry itself: no credential was sent",
				 client->base, trip->origin);
	trip->url = realm;
	return 0;
}

/* The Docker token protocol: GET with the credential as Basic, or none for an anonymous token. */
static int by_basic(const struct client *client, const struct challenge *challenge, const char *scope, struct arena *arena,
		    struct trip *trip, struct error *err)
{
	const char *url = trip->url;

	if (is_set(challenge->service))
		url = url_with(url, "service", challenge->service, arena);
	url = url ? url_with(url, "scope", scope, arena) : NULL;
	if (!url)
		return error_set(err, ERROR_FORBIDDEN, "FetchError", "%s names a token server whose URL cannot be used", client->base);
	trip->url = url;
	if (is_set(client->config.credential.username))
		trip->authorization = basic_value(client);
	return 0;
}

/* Its OAuth2 form: POST with an identity token, which is a refresh token. */
static void by_refresh_token(const struct client *client, const struct challenge *challenge, const char *scope, struct arena *arena,
			     struct trip *trip)
{
	CLEANUP(str_release) struct str form = STR_INIT;

	str_adds(&form, "grant_type=refresh_token&client_id=countersign&service=");
	url_escape(span_of(challenge->service), &form);
	str_adds(&form, "&scope=");
	url_escape(span_of(scope), &form);
	str_adds(&form, "&refresh_token=");
	url_escape(span_of(client->config.credential.identity_token), &form);
	trip->form = arena_strndup(arena, str_span(&form));
}

/* A token becomes a header value: only what may stand in one. */
static bool token_valid(struct span token)
{
	for (size_t i = 0; i < token.length; i++)
		if (token.data[i] <= ' ' || token.data[i] >= 0x7f)
			return false;
	return token.length > 0 && token.length <= TOKEN_BYTES_MAX;
}

static int take_token(struct client *client, const struct trip *trip, const struct response *response, struct arena *arena,
		      struct error *err)
{
	struct json *document = NULL;
	struct span token;

	if (response->status != 200)
		return error_set(err, response->status >= 500 || response->status == 429 ? ERROR_TRANSIENT : ERROR_FORBIDDEN, "FetchError",
				 "%s: the token server answered %d%s", trip->origin, response->status,
				 response->status != 401 && response->status != 403 ? "" : trip->authorization || trip->form
					 ? ": it refuses the credential" : ": it wants a credential: name one in a pull secret");
	if (json_parse(response->body, arena, 16, &document, NULL))
		return error_set(err, ERROR_TRANSIENT, "FetchError", "%s: the token server's answer is no JSON", trip->origin);
	token = json_text_span(json_get(document, "token"));
	if (!token.length)
		token = json_text_span(json_get(document, "access_token"));
	if (!token_valid(token))
		return error_set(err, ERROR_TRANSIENT, "FetchError", "%s: the token server's answer holds no token", trip->origin);
	client->authorization = arena_printf(client->arena, "Bearer %.*s", SPAN_ARG(token));
	return 0;
}

static int by_bearer(struct client *client, const struct challenge *challenge, struct arena *arena, struct error *err)
{
	const char *scope = arena_printf(arena, "repository:%s:pull", client->config.repository);
	struct trip trip = { .accept = "application/json", .body_max = TOKEN_BYTES_MAX };
	struct response response;

	if (check_realm(client, challenge->realm, arena, &trip, err))
		return -1;
	if (is_set(client->config.credential.identity_token))
		by_refresh_token(client, challenge, scope, arena, &trip);
	else if (by_basic(client, challenge, scope, arena, &trip, err))
		return -1;
	if (send_patiently(client, &trip, arena, &response, err))
		return -1;
	return take_token(client, &trip, &response, arena, err);
}

static int authenticate(struct client *client, const struct trip *trip, const struct response *response, struct arena *arena,
			struct error *err)
{
	struct challenge challenge;

	challenge_parse(span_of(response->challenge), arena, &challenge);
	if (challenge.scheme == CHALLENGE_BEARER)
		return by_bearer(client, &challenge, arena, err);
	if (challenge.scheme == CHALLENGE_BASIC && is_set(client->config.credential.username)) {
		client->authorization = basic_value(client);
		return 0;
	}
	return error_set(err, ERROR_FORBIDDEN, "FetchError", "%s: the registry answered 401%s", shown(client, trip, arena),
			 challenge.scheme == CHALLENGE_BASIC ? " and there is no credential for it: name one in a pull secret"
							     : " without a challenge that is understood");
}

/* --- answers ---------------------------------------------------------------------------------------------------------- */

/* 200, and the statuses whose meaning depends on what was asked; everything else is never "it does not exist". */
static int check_status(const struct client *client, const struct trip *trip, const struct response *response, struct arena *arena,
			struct error *err)
{
	const char *what = shown(client, trip, arena);

	switch (response->status) {
	case 200:
	case 400:
	case 404:
	case 406:
		return 0;
	case 401:
	case 403:
		return error_set(err, ERROR_FORBIDDEN, "FetchError", "%s: the registry answered %d: it refuses %s", what, response->status,
				 credential_is_anonymous(&client->config.credential) ? "anonymous access" : "the credential");
	default:
		return error_set(err, ERROR_TRANSIENT, "FetchError", "%s: the registry answered %d", what, response->status);
	}
}

const char *client_url(const struct client *client, const char *path, struct arena *arena)
{
	return path[0] == '/' ? arena_printf(arena, "%s%s", client->base, path) : path;
}

int client_get(struct client *client, const char *path, const char *accept, size_t body_max, struct arena *arena,
	       struct response *out, struct error *err)
{
	const char *url = client_url(client, path, arena);
	struct trip first = { .url = url, .accept = accept, .authorization = client->authorization, .body_max = body_max }, last;
	struct response response;
	bool has_user = false;

	if (!url_split(url, arena, &first.origin, &has_user) || has_user || strcmp(first.origin, client->home) != 0)
		return error_set(err, ERROR_TRANSIENT, "FetchError", "%s: '%.200s' is no URL of this registry", client->base, url);
	if (follow(client, first, arena, &last, &response, err))
		return -1;
	if (response.status == 401 && !client->authorization && !strcmp(last.origin, client->home)) {
		if (authenticate(client, &last, &response, arena, err))
			return -1;
		first.authorization = client->authorization;
		if (follow(client, first, arena, &last, &response, err))
			return -1;
	}
	if (check_status(client, &last, &response, arena, err))
		return -1;
	*out = response;
	return 0;
}
