/* See repository_secret.h. */
#include "api/repository_secret.h"

#include "base/encode.h"

static bool is_type(const struct json *secret, const char *type)
{
	const struct json *labels = json_path(secret, "metadata", "labels", NULL);

	return span_is(json_text_span(json_get(labels, "countersign.dev/secret-type")), type) ||
	       span_is(json_text_span(json_get(labels, "argocd.argoproj.io/secret-type")), type);
}

bool is_repository_secret(const struct json *secret)
{
	return is_type(secret, "repository") || is_type(secret, "repo-creds");
}

/* https://h/x.git and https://h/x/ are one repository. */
static struct span without_suffix(struct span url)
{
	while (span_ends(url, "/"))
		url.length--;
	if (span_ends(url, ".git"))
		url.length -= 4;
	return url;
}

static bool names_a_path(struct span url)
{
	for (size_t i = 0; i + 2 < url.length; i++)
		if (!memcmp(url.data + i, "://", 3))
			return span_index(span_from(url, i + 3), '/') >= 0;
	return false;
}

/* A host's name must end where the given one does: its credential is not for another host that begins so. */
static bool begins(struct span wanted, struct span given)
{
	if (!given.length || wanted.length < given.length || !span_equal(span_sub(wanted, 0, given.length), given))
		return false;
	return names_a_path(given) || wanted.length == given.length || wanted.data[given.length] == '/';
}

void repository_search_consider(struct repository_search *search, const struct json *secret)
{
	CLEANUP(str_release) struct str bytes = STR_INIT;
	struct span wanted = without_suffix(span_of(search->url)), given;

	if (search->length == SIZE_MAX || base64_decode(json_text_span(json_path(secret, "data", "url", NULL)), &bytes, NULL))
		return;
	given = without_suffix(span_trim(str_span(&bytes)));
	if (is_type(secret, "repository") && given.length && span_equal(given, wanted)) {
		search->best = secret;
		search->length = SIZE_MAX;
	} else if (is_type(secret, "repo-creds") && given.length > search->length && begins(wanted, given)) {
		search->best = secret;
		search->length = given.length;
	}
}

static const char *text_of(const struct json *secret, const char *key, struct arena *arena)
{
	CLEANUP(str_release) struct str bytes = STR_INIT;

	if (base64_decode(json_text_span(json_path(secret, "data", key, NULL)), &bytes, NULL))
		return "";
	return arena_strndup(arena, str_span(&bytes));
}

const char *repository_secret_project(const struct json *secret, struct arena *arena)
{
	return text_of(secret, "project", arena);
}

void repository_login_read(const struct json *secret, struct arena *arena, struct repository_login *out)
{
	out->username = text_of(secret, "username", arena);
	out->password = text_of(secret, "password", arena);
	out->bearer_token = text_of(secret, "bearerToken", arena);
	out->client_cert = text_of(secret, "tlsClientCertData", arena);
	out->client_key = text_of(secret, "tlsClientCertKey", arena);
}
