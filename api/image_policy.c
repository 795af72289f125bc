/* Reading ImagePolicies; see image_policy.h. */
#include "api/image_policy.h"

#include "base/clock.h"
#include "base/glob.h"
#include "base/jsonpath.h"
#include "base/limits.h"

static int invalid(struct error *err, const char *field, const char *why)
{
	return error_set(err, ERROR_INVALID, "InvalidPolicy", "%s %s", field, why);
}

static int only_known(const struct json *object, const char *where, const char *const known[], struct error *err)
{
	JSON_EACH(member, object) {
		bool found = false;

		for (const char *const *name = known; *name && !found; name++)
			found = span_is(member->key, *name);
		if (!found)
			return error_set(err, ERROR_INVALID, "InvalidPolicy",
					 "%s has the unknown field %.*s; what it meant to demand is not known, so all that the policy "
					 "governs is denied", where, SPAN_ARG(span_sub(member->key, 0, 80)));
	}
	return 0;
}

/* A list of objects, of at most `most`; absent is an empty one. */
static int want_list(const struct json *spec, const char *field, size_t most, const struct json **out, struct error *err)
{
	*out = json_get(spec, field);
	if (*out && !json_is(*out, JSON_NULL) && !json_is(*out, JSON_ARRAY))
		return error_set(err, ERROR_INVALID, "InvalidPolicy", "spec.%s is a %s, not a list", field, json_type_name(*out));
	if (json_count(*out) > most)
		return error_set(err, ERROR_INVALID, "InvalidPolicy", "spec.%s has more than %zu entries", field, most);
	for (size_t i = 0; i < json_count(*out); i++)
		if (!json_is(json_at(*out, i), JSON_OBJECT))
			return error_set(err, ERROR_INVALID, "InvalidPolicy", "spec.%s[%zu] is a %s, not an object", field, i,
					 json_type_name(json_at(*out, i)));
	return 0;
}

static int want_text(const struct json *object, const char *key, const char *field, const char **out, struct error *err)
{
	const struct json *value = json_get(object, key);

	if (!json_is(value, JSON_STRING) || !value->as.text.length || span_has_nul(value->as.text))
		return error_set(err, ERROR_INVALID, "InvalidPolicy", "%s is %s, where a text must stand", field,
				 value ? "empty or of another type" : "missing");
	*out = value->as.text.data;
	return 0;
}

/* policy-controller's characters, and '?', '-'... of a reference; "docker.io" forms are treated alike by gate/. */
static bool is_image_glob(const char *glob)
{
	for (const char *c = glob; *c; c++)
		if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || strchr("-_:/*.@?{},", *c)))
			return false;
	return glob_valid(span_of(glob));
}

static int read_images(const struct json *spec, struct arena *arena, struct image_policy *out, struct error *err)
{
	static const char *const known[] = { "glob", NULL };
	const struct json *list;

	if (want_list(spec, "images", LIMIT_GLOBS, &list, err))
		return -1;
	if (!json_count(list))
		return invalid(err, "spec.images", "is missing: a policy must say which images it governs");
	out->globs = arena_calloc(arena, json_count(list) + 1, sizeof(char *));
	for (size_t i = 0; i < json_count(list); i++) {
		const struct json *image = json_at(list, i);

		if (want_text(image, "glob", "spec.images[].glob", &out->globs[i], err) ||
		    only_known(image, "spec.images[]", known, err))
			return -1;
		if (!is_image_glob(out->globs[i]))
			return error_set(err, ERROR_INVALID, "InvalidPolicy", "spec.images[%zu].glob is no glob of image names " GLOB_BOUNDS ": %s",
					 i, out->globs[i]);
	}
	out->governs_all = false;
	return 0;
}

static int read_key(const struct json *key, struct authority *out, struct error *err)
{
	static const char *const known[] = { "data", "secretRef", NULL };
	static const char *const known_ref[] = { "name", "key", NULL };
	const struct json *reference = json_get(key, "secretRef");

	if (!json_is(key, JSON_OBJECT))
		return invalid(err, "spec.authorities[].key", "is missing: only key authorities are built");
	if (only_known(key, "spec.authorities[].key", known, err))
		return -1;
	if (!!json_get(key, "data") == !!reference)
		return invalid(err, "spec.authorities[].key", "needs data or secretRef, and not both");
	if (!reference)
		return want_text(key, "data", "spec.authorities[].key.data", &out->key_pem, err);
	if (!json_is(reference, JSON_OBJECT) || only_known(reference, "spec.authorities[].key.secretRef", known_ref, err) ||
	    want_text(reference, "name", "spec.authorities[].key.secretRef.name", &out->secret_name, err))
		return -1;
	out->secret_key = "cosign.pub";
	return json_get(reference, "key") ? want_text(reference, "key", "spec.authorities[].key.secretRef.key", &out->secret_key, err)
					  : 0;
}

static int read_authorities(const struct json *spec, struct arena *arena, struct image_policy *out, struct error *err)
{
	static const char *const known[] = { "name", "key", NULL };
	const struct json *list;

	if (want_list(spec, "authorities", LIMIT_AUTHORITIES, &list, err))
		return -1;
	if (!json_count(list))
		return invalid(err, "spec.authorities", "is empty: nobody could sign");
	out->authority_count = json_count(list);
	out->authorities = arena_calloc(arena, out->authority_count, sizeof(struct authority));
	for (size_t i = 0; i < out->authority_count; i++) {
		const struct json *from = json_at(list, i);
		struct authority *to = &out->authorities[i];

		if (only_known(from, "spec.authorities[]", known, err) || read_key(json_get(from, "key"), to, err))
			return -1;
		if (json_get(from, "name") && want_text(from, "name", "spec.authorities[].name", &to->name, err))
			return -1;
		if (!to->name)
			to->name = arena_printf(arena, "authority-%zu", i);
	}
	return 0;
}

static int read_texts(const struct json *object, const char *key, const char *field, struct arena *arena, const char ***out,
		      struct error *err)
{
	const struct json *list = json_get(object, key);

	if (!json_is(list, JSON_ARRAY) || !json_count(list) || json_count(list) > LIMIT_GLOBS)
		return error_set(err, ERROR_INVALID, "InvalidPolicy", "%s must be a list of 1 to %u texts", field, LIMIT_GLOBS);
	*out = arena_calloc(arena, json_count(list) + 1, sizeof(char *));
	for (size_t i = 0; i < json_count(list); i++) {
		(*out)[i] = json_text(json_at(list, i));
		if (!(*out)[i] || !*(*out)[i] || span_has_nul(json_text_span(json_at(list, i))))
			return error_set(err, ERROR_INVALID, "InvalidPolicy", "%s[%zu] is no text", field, i);
	}
	return 0;
}

static int read_exemptions(const struct json *spec, struct arena *arena, struct image_policy *out, struct error *err)
{
	static const char *const known[] = { "glob", "namespaces", "reason", "expires", NULL };
	const struct json *list;

	if (want_list(spec, "exemptions", LIMIT_GLOBS, &list, err))
		return -1;
	out->exemption_count = json_count(list);
	out->exemptions = arena_calloc(arena, out->exemption_count, sizeof(struct exemption));
	for (size_t i = 0; i < out->exemption_count; i++) {
		const struct json *from = json_at(list, i);
		struct exemption *to = &out->exemptions[i];

		if (only_known(from, "spec.exemptions[]", known, err) ||
		    want_text(from, "glob", "spec.exemptions[].glob", &to->glob, err) ||
		    want_text(from, "reason", "spec.exemptions[].reason", &to->reason, err) ||
		    want_text(from, "expires", "spec.exemptions[].expires", &to->expires_text, err) ||
		    read_texts(from, "namespaces", "spec.exemptions[].namespaces", arena, &to->namespaces, err))
			return -1;
		if (!is_image_glob(to->glob))
			return invalid(err, "spec.exemptions[].glob", "is no glob of image names " GLOB_BOUNDS);
		for (const char **glob = to->namespaces; *glob; glob++)
			if (!glob_valid(span_of(*glob)))
				return invalid(err, "spec.exemptions[].namespaces[]", "has an entry that is no glob " GLOB_BOUNDS);
		if (!time_parse(span_of(to->expires_text), &to->expires_ns))
			return invalid(err, "spec.exemptions[].expires", "is no RFC 3339 time such as 2027-01-31T00:00:00Z");
	}
	return 0;
}

static int check_paths(const char *const *paths, struct error *err)
{
	for (; *paths; paths++)
		if (!jsonpath_valid(span_of(*paths)))
			return error_set(err, ERROR_INVALID, "InvalidPolicy", "spec.customResources[].imagePaths[] has %.200s, which is no JSONPath "
					 "of names, indices and * such as .spec.jobs[*].image", *paths);
	return 0;
}

/* Of what cannot be read as much as can is kept: objects of a kind with images that nobody can find are denied by it. */
static int read_custom(const struct json *from, struct arena *arena, struct custom_resource *to, struct error *err)
{
	static const char *const known[] = { "group", "kind", "imagePaths", NULL };
	static const char *unreadable[] = { "", NULL };

	to->group = json_get_text(from, "group");
	if (!to->group)
		to->group = "";
	if (want_text(from, "kind", "spec.customResources[].kind", &to->kind, err))
		return -1;
	if (read_texts(from, "imagePaths", "spec.customResources[].imagePaths", arena, &to->image_paths, err)) {
		to->image_paths = unreadable;
		return -1;
	}
	return check_paths(to->image_paths, err) || only_known(from, "spec.customResources[]", known, err) ? -1 : 0;
}

/* All entries are read, also behind one that is wrong; the first error counts. */
static int read_customs(const struct json *spec, struct arena *arena, struct image_policy *out, struct error *err)
{
	const struct json *list = json_get(spec, "customResources"), *checked;

	out->customs = arena_calloc(arena, json_count(list), sizeof(struct custom_resource));
	for (size_t i = 0; json_is(list, JSON_ARRAY) && i < json_count(list); i++) {
		struct custom_resource *to = &out->customs[out->custom_count];
		struct error one = ERROR_INIT;

		if (read_custom(json_at(list, i), arena, to, &one) && !err->reason[0])
			*err = one;
		out->custom_count += to->kind != NULL;
	}
	return want_list(spec, "customResources", LIMIT_GLOBS, &checked, err) || err->reason[0] ? -1 : 0;
}

static int read_mode(const struct json *spec, struct image_policy *out, struct error *err)
{
	const struct json *mode = json_get(spec, "mode");

	if (!mode || span_is(json_text_span(mode), "enforce"))
		return 0;
	if (!span_is(json_text_span(mode), "warn"))
		return invalid(err, "spec.mode", "is neither enforce nor warn");
	out->warn = true;
	return 0;
}

static int read_all(const struct json *spec, struct arena *arena, struct image_policy *out, struct error *err)
{
	static const char *const known[] = { "images", "authorities", "mode", "customResources", "exemptions", NULL };

	if (!json_is(spec, JSON_OBJECT))
		return invalid(err, "spec", "is missing");
	if (read_images(spec, arena, out, err) || only_known(spec, "spec", known, err) || read_mode(spec, out, err) ||
	    read_authorities(spec, arena, out, err))
		return -1;
	return read_exemptions(spec, arena, out, err);
}

void image_policy_decode(const struct json *object, struct arena *arena, struct image_policy *out)
{
	const struct json *spec = json_get(object, "spec"), *metadata = json_get(object, "metadata");
	CLEANUP(str_release) struct str text = STR_INIT;
	struct error customs = ERROR_INIT;
	bool readable;

	*out = (struct image_policy){ .name = json_get_text(metadata, "name"), .governs_all = true,
				      .resource_version = json_get_text(metadata, "resourceVersion"),
				      .generation = json_get_int(metadata, "generation", 0) };
	if (!out->name)
		out->name = "";
	if (spec)
		json_write(spec, JSON_SORTED, &text);
	out->spec_digest = digest_of(str_span(&text));
	readable = !read_customs(spec, arena, out, &customs);
	if (!read_all(spec, arena, out, &out->problem) && !readable)
		out->problem = customs;
	if (out->problem.reason[0])
		error_wrap(&out->problem, "ImagePolicy %s", out->name);
}
