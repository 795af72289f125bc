/* Which entry of a Docker configuration is for which image; see dockerconfig.h. */
#include "oci/dockerconfig.h"

#include <stdlib.h>

#include "base/encode.h"
#include "base/glob.h"
#include "base/json.h"

#define REASON "BadDockerConfig"
#define ENTRIES_MAX 1000u

struct location {
	struct span host, port, path;     /* path without its first '/', "" for none */
};

static struct location location_of(struct span text)
{
	struct location l = { SPAN0, SPAN0, SPAN0 };
	ptrdiff_t colon;

	if (span_starts(text, "https://"))
		text = span_from(text, 8);
	else if (span_starts(text, "http://"))
		text = span_from(text, 7);
	l.host = span_cut(&text, '/');
	l.path = text;
	if (span_starts(l.path, "v1/") || span_starts(l.path, "v2/"))
		l.path = span_from(l.path, 3);
	else if (span_is(l.path, "v1") || span_is(l.path, "v2"))
		l.path = SPAN0;
	colon = span_rindex(l.host, ':');
	if (colon >= 0 && colon > span_rindex(l.host, ']')) {
		l.port = span_from(l.host, (size_t)colon + 1);
		l.host = span_sub(l.host, 0, (size_t)colon);
	}
	return l;
}

/* Globs do not cross a '.', so "*.example" is one label before it. */
static bool host_matches(struct span pattern, struct span host)
{
	while (pattern.data && host.data)
		if (!glob_match(span_cut(&pattern, '.'), span_cut(&host, '.'), GLOB_ANY))
			return false;
	return !pattern.data && !host.data;
}

static bool key_matches(struct span key, const struct reference *reference)
{
	struct location wanted = location_of(key), image = location_of(span_of(reference->registry));
	struct span repository = span_of(reference->repository);

	if (!wanted.host.length || !span_equal(wanted.port, image.port))
		return false;
	if (!registry_same(wanted.host, image.host) && !host_matches(wanted.host, image.host))
		return false;
	return wanted.path.length <= repository.length && span_equal(span_sub(repository, 0, wanted.path.length), wanted.path);
}

/* A text member: "" when absent or null; secrets are not quoted in errors. */
static int take_text(const struct json *entry, const char *key, const char **out, struct error *err)
{
	const struct json *value = json_get(entry, key);
	struct span text = json_text_span(value);

	if (!value || json_is(value, JSON_NULL))
		return 0;
	if (!json_is(value, JSON_STRING) || text.length > CREDENTIAL_MAX || span_has_nul(text))
		return error_set(err, ERROR_INVALID, REASON, "the entry's %s is %s, must be a short string", key, json_type_name(value));
	*out = json_text(value);
	return 0;
}

/* base64 of user:password; some writers leave the padding out. */
static int take_auth(const char *auth, struct arena *arena, struct credential *out, struct error *err)
{
	CLEANUP(str_release) struct str padded = STR_INIT, plain = STR_INIT;
	ptrdiff_t colon;

	str_adds(&padded, auth);
	while (padded.length % 4)
		str_addc(&padded, '=');
	if (base64_decode(str_span(&padded), &plain, NULL) || span_has_nul(str_span(&plain)))
		return error_set(err, ERROR_INVALID, REASON, "the entry's auth is no base64 of user:password");
	colon = span_index(str_span(&plain), ':');
	if (colon <= 0)
		return error_set(err, ERROR_INVALID, REASON, "the entry's auth has no user before a ':'");
	out->username = arena_strndup(arena, span_sub(str_span(&plain), 0, (size_t)colon));
	out->password = arena_strndup(arena, span_from(str_span(&plain), (size_t)colon + 1));
	return 0;
}

/* It becomes a header as it is. */
static int check_registry_token(const char *token, struct error *err)
{
	for (const char *c = token; *c; c++)
		if (*c <= ' ' || *c >= 0x7f)
			return error_set(err, ERROR_INVALID, REASON, "the entry's registrytoken has bytes that no token has");
	return 0;
}

static int take_entry(const struct json *entry, struct arena *arena, struct credential *out, struct error *err)
{
	struct credential c = CREDENTIAL_ANONYMOUS;
	const char *auth = "";

	if (take_text(entry, "username", &c.username, err) || take_text(entry, "password", &c.password, err) ||
	    take_text(entry, "identitytoken", &c.identity_token, err) || take_text(entry, "registrytoken", &c.registry_token, err) ||
	    take_text(entry, "auth", &auth, err))
		return -1;
	if (check_registry_token(c.registry_token, err))
		return -1;
	if (auth[0] && take_auth(auth, arena, &c, err))
		return -1;
	*out = c;
	return 0;
}

bool credential_is_anonymous(const struct credential *credential)
{
	const char *const all[] = { credential->username, credential->password, credential->identity_token, credential->registry_token };

	for (size_t i = 0; i < COUNT_OF(all); i++)
		if (all[i] && all[i][0])
			return false;
	return true;
}

static const struct json_member *find_entry(const struct json *auths, const struct reference *reference)
{
	const struct json_member *best = NULL;

	JSON_EACH(member, auths)
		if (key_matches(member->key, reference) && (!best || member->key.length > best->key.length))
			best = member;
	return best;
}

static bool names_helper(const struct json *document, const struct reference *reference)
{
	if (json_text_span(json_get(document, "credsStore")).length)
		return true;
	JSON_EACH(member, json_get(document, "credHelpers"))
		if (registry_same(location_of(member->key).host, span_of(reference->registry)) ||
		    span_is(member->key, reference->registry))
			return true;
	return false;
}

static int read_document(struct span json, struct arena *arena, struct json **out, struct error *err)
{
	if (json.length > DOCKERCONFIG_MAX)
		return error_set(err, ERROR_INVALID, REASON, "a Docker configuration of %zu bytes is over the limit of %u", json.length,
				 DOCKERCONFIG_MAX);
	if (json_parse(json, arena, 16, out, NULL) || !json_is(*out, JSON_OBJECT))
		return error_set(err, ERROR_INVALID, REASON, "the Docker configuration is no JSON object");
	return 0;
}

static int check_auths(const struct json *auths, struct error *err)
{
	if (auths && !json_is(auths, JSON_OBJECT) && !json_is(auths, JSON_NULL))
		return error_set(err, ERROR_INVALID, REASON, "auths is %s, must be an object", json_type_name(auths));
	if (json_count(auths) > ENTRIES_MAX)
		return error_set(err, ERROR_INVALID, REASON, "auths has more than %u entries", ENTRIES_MAX);
	return 0;
}

static int take_entry_of(const struct reference *reference, const struct json *entry, struct arena *arena, struct credential *out,
			 struct error *err)
{
	if (take_entry(entry, arena, out, err))
		return error_wrap(err, "Docker configuration, entry for %s", reference->registry);
	return 0;
}

int dockerconfig_find(struct span json, const struct reference *reference, struct arena *arena, struct credential *out, bool *found,
		      bool *helper, struct error *err)
{
	struct credential credential = CREDENTIAL_ANONYMOUS;
	const struct json_member *entry;
	const struct json *auths;
	struct json *document;

	if (read_document(json, arena, &document, err))
		return -1;
	auths = json_get(document, "auths");
	if (check_auths(auths, err))
		return -1;
	entry = find_entry(auths, reference);
	if (entry && take_entry_of(reference, entry->value, arena, &credential, err))
		return -1;
	*out = credential;
	*found = entry && !credential_is_anonymous(&credential);
	*helper = !*found && names_helper(document, reference);
	return 0;
}

struct match {
	size_t length;                    /* of its key */
	struct credential credential;
};

static int by_length(const void *a, const void *b)
{
	size_t one = ((const struct match *)a)->length, two = ((const struct match *)b)->length;

	return one < two ? 1 : one > two ? -1 : 0;
}

int dockerconfig_find_all(struct span json, enum dockerconfig_form form, const struct reference *reference, struct arena *arena,
			  struct credential **out, size_t *count, struct error *err)
{
	struct match *matches = NULL;
	size_t found = 0, capacity = 0;
	const struct json *auths;
	struct json *document;

	if (read_document(json, arena, &document, err))
		return -1;
	auths = form == DOCKERCONFIG_CFG ? document : json_get(document, "auths");
	if (check_auths(auths, err))
		return -1;
	JSON_EACH(member, auths) {
		struct match one = { member->key.length, CREDENTIAL_ANONYMOUS };

		if (!key_matches(member->key, reference))
			continue;
		if (take_entry_of(reference, member->value, arena, &one.credential, err))
			return -1;
		if (!credential_is_anonymous(&one.credential))
			*(struct match *)arena_push(arena, &matches, &found, &capacity, sizeof(one)) = one;
	}
	if (found)
		qsort(matches, found, sizeof(*matches), by_length);
	*out = arena_calloc(arena, found, sizeof(**out));
	for (size_t i = 0; i < found; i++)
		(*out)[i] = matches[i].credential;
	*count = found;
	return 0;
}
