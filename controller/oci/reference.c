/*
 * Image references; see reference.h. Cut from the right: digest, then tag (a
 * ':' behind the last '/'), then the registry at the left; each part is then
 * checked against its own alphabet.
 */
#include "oci/reference.h"

#define REASON "InvalidImageReference"
#define DOCKER_HUB "docker.io"
#define DOCKER_HUB_API "registry-1.docker.io"

static bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

static bool is_hex64(struct span s)
{
	for (size_t i = 0; i < s.length; i++)
		if (!is_digit(s.data[i]) && !(s.data[i] >= 'a' && s.data[i] <= 'f'))
			return false;
	return s.length == 64;
}

/* The text for messages: printable, and short. */
#define SHOWN(s) SPAN_ARG(span_sub((s), 0, 200))

static int check_bytes(struct span text, struct error *err)
{
	if (!text.length)
		return error_set(err, ERROR_INVALID, REASON, "the image is empty: name one, as in registry/name:tag");
	if (text.length > REFERENCE_MAX)
		return error_set(err, ERROR_INVALID, REASON, "image reference of %zu bytes is over the limit of %d", text.length,
				 REFERENCE_MAX);
	for (size_t i = 0; i < text.length; i++) {
		unsigned char c = (unsigned char)text.data[i];

		if (c <= ' ' || c >= 0x7f)
			return error_set(err, ERROR_INVALID, REASON,
					 "image '%.*s' has byte 0x%02x at position %zu: only printable ASCII without spaces is allowed",
					 SHOWN(span_sub(text, 0, i)), c, i + 1);
	}
	return 0;
}

/* [a-z0-9] runs joined by '.', '_', "__" or any number of '-'. */
static bool component_valid(struct span c)
{
	size_t i = 0;

	while (i < c.length) {
		size_t start = i;

		while (i < c.length && (is_lower(c.data[i]) || is_digit(c.data[i])))
			i++;
		if (i == start)
			return false;
		if (i == c.length)
			return true;
		start = i;
		while (i < c.length && c.data[i] == c.data[start])
			i++;
		if (c.data[start] == '.' ? i - start > 1 : c.data[start] == '_' ? i - start > 2 : c.data[start] != '-')
			return false;
	}
	return false; /* empty, or ends with a separator */
}

/* With what normalising adds, so that the normalised form is taken again. */
static int check_length(struct span text, const char *repository, struct error *err)
{
	if (strlen(repository) <= REFERENCE_NAME_MAX)
		return 0;
	return error_set(err, ERROR_INVALID, REASON, "repository name of %zu characters in image '%.*s' is over the limit of %d",
			 strlen(repository), SHOWN(text), REFERENCE_NAME_MAX);
}

static int check_repository(struct span text, struct span repository, struct error *err)
{
	struct span rest = repository;

	for (size_t i = 0; i < repository.length; i++)
		if (is_upper(repository.data[i]))
			return error_set(err, ERROR_INVALID, REASON, "image '%.*s': repository names are lower case, '%c' is not",
					 SHOWN(text), repository.data[i]);
	while (rest.data) {
		struct span part = span_cut(&rest, '/');

		if (!component_valid(part))
			return error_set(err, ERROR_INVALID, REASON,
					 "image '%.*s': '%.*s' is no part of a repository name (a-z, 0-9, single '.', '_', '-' between)",
					 SHOWN(text), SHOWN(part));
	}
	return 0;
}

/* One label of a DNS name: no '-' at its ends. */
static bool label_valid(struct span l)
{
	for (size_t i = 0; i < l.length; i++)
		if (!is_lower(l.data[i]) && !is_digit(l.data[i]) && l.data[i] != '-')
			return false;
	return l.length && l.length <= 63 && l.data[0] != '-' && l.data[l.length - 1] != '-';
}

static bool host_valid(struct span host)
{
	if (span_starts(host, "[")) { /* an IPv6 address; the resolver has the last word on it */
		struct span inside = span_sub(host, 1, host.length - 2);

		for (size_t i = 0; i < inside.length; i++)
			if (!is_digit(inside.data[i]) && !(inside.data[i] >= 'a' && inside.data[i] <= 'f') && inside.data[i] != ':')
				return false;
		return host.length > 4 && span_ends(host, "]");
	}
	for (struct span rest = host; rest.data;)
		if (!label_valid(span_cut(&rest, '.')))
			return false;
	return true;
}

static int check_registry(struct span text, struct span registry, struct error *err)
{
	ptrdiff_t colon = span_rindex(registry, ':'), bracket = span_rindex(registry, ']');
	struct span host = registry, port;
	int64_t number = 0;

	for (size_t i = 0; i < registry.length; i++)
		if (is_upper(registry.data[i]))
			return error_set(err, ERROR_INVALID, REASON, "image '%.*s': write the registry '%.*s' in lower case", SHOWN(text),
					 SHOWN(registry));
	if (colon > bracket) {
		host = span_sub(registry, 0, (size_t)colon);
		port = span_from(registry, (size_t)colon + 1);
		if (port.length > 5 || !span_to_int64(port, &number) || number < 1 || number > 65535 || port.data[0] == '0')
			return error_set(err, ERROR_INVALID, REASON, "image '%.*s': '%.*s' is no port", SHOWN(text), SHOWN(port));
	}
	if (registry.length > REFERENCE_NAME_MAX || !host_valid(host))
		return error_set(err, ERROR_INVALID, REASON, "image '%.*s': '%.*s' is no registry host", SHOWN(text), SHOWN(host));
	return 0;
}

static bool is_docker_hub(struct span registry)
{
	return span_is(registry, DOCKER_HUB) || span_is(registry, "index.docker.io") || span_is(registry, DOCKER_HUB_API);
}

bool registry_same(struct span a, struct span b)
{
	return span_equal(a, b) || (is_docker_hub(a) && is_docker_hub(b));
}

static int take_digest(struct span text, struct span *rest, struct reference *out, struct error *err)
{
	ptrdiff_t at = span_index(*rest, '@');
	struct span digest;

	if (at < 0)
		return 0;
	digest = span_from(*rest, (size_t)at + 1);
	*rest = span_sub(*rest, 0, (size_t)at);
	if (!digest_parse(digest, &out->digest))
		return error_set(err, ERROR_INVALID, REASON,
				 "image '%.*s': '%.*s' is no digest: it must be sha256: and 64 lower-case hex digits", SHOWN(text),
				 SHOWN(digest));
	out->has_digest = true;
	return 0;
}

static int take_tag(struct span text, struct span *rest, struct arena *arena, struct reference *out, struct error *err)
{
	ptrdiff_t colon = span_rindex(*rest, ':'), slash = span_rindex(*rest, '/');
	struct span tag;

	if (colon < 0 || colon < slash)
		return 0;
	tag = span_from(*rest, (size_t)colon + 1);
	*rest = span_sub(*rest, 0, (size_t)colon);
	if (!tag.length)
		return error_set(err, ERROR_INVALID, REASON, "image '%.*s' has an empty tag: leave the ':' out or name one", SHOWN(text));
	if (tag.length > REFERENCE_TAG_MAX)
		return error_set(err, ERROR_INVALID, REASON, "image '%.*s': a tag has at most %d characters", SHOWN(text),
				 REFERENCE_TAG_MAX);
	for (size_t i = 0; i < tag.length; i++) {
		char c = tag.data[i];

		if (!is_lower(c) && !is_upper(c) && !is_digit(c) && c != '_' && (i == 0 || (c != '.' && c != '-')))
			return error_set(err, ERROR_INVALID, REASON, "image '%.*s': '%.*s' is no tag ('%c' may not stand there)",
					 SHOWN(text), SHOWN(tag), c);
	}
	out->tag = arena_strndup(arena, tag);
	return 0;
}

static bool is_registry(struct span first)
{
	if (span_is(first, "localhost") || span_index(first, '.') >= 0 || span_index(first, ':') >= 0)
		return true;
	for (size_t i = 0; i < first.length; i++) /* Docker takes a part with capitals for a host; it is then refused as one */
		if (is_upper(first.data[i]))
			return true;
	return false;
}

/* A node looks such a thing up among the ids of the images that it has, whoever brought them there. */
static int refuse_image_id(struct span text, struct error *err)
{
	struct span hex = span_starts(text, "sha256:") ? span_from(text, 7) : text;

	if (!is_hex64(hex))
		return 0;
	return error_set(err, ERROR_INVALID, REASON, "'%.*s' is an image id, not a reference: write registry/name@sha256:...",
			 SHOWN(text));
}

int reference_parse(struct span text, struct arena *arena, struct reference *out, struct error *err)
{
	struct reference r = { .text = NULL };
	struct span rest = text, registry = SPAN(DOCKER_HUB);
	ptrdiff_t slash;

	if (check_bytes(text, err) || refuse_image_id(text, err))
		return -1;
	if (take_digest(text, &rest, &r, err) || take_tag(text, &rest, arena, &r, err))
		return -1;
	slash = span_index(rest, '/');
	if (slash >= 0 && is_registry(span_sub(rest, 0, (size_t)slash))) {
		registry = span_sub(rest, 0, (size_t)slash);
		rest = span_from(rest, (size_t)slash + 1);
	}
	if (check_registry(text, registry, err) || check_repository(text, rest, err))
		return -1;
	r.text = arena_strndup(arena, text);
	if (is_docker_hub(registry)) {
		r.registry = DOCKER_HUB;
		r.host = DOCKER_HUB_API;
		r.repository = span_index(rest, '/') < 0 ? arena_printf(arena, "library/%.*s", SPAN_ARG(rest)) : arena_strndup(arena, rest);
	} else {
		r.host = r.registry = arena_strndup(arena, registry);
		r.repository = arena_strndup(arena, rest);
	}
	if (check_length(text, r.repository, err))
		return -1;
	r.name = arena_printf(arena, "%s/%s", r.registry, r.repository);
	if (!r.tag && !r.has_digest)
		r.tag = "latest";
	*out = r;
	return 0;
}

void reference_pin(const struct reference *reference, const struct digest *digest, struct str *out)
{
	char hex[DIGEST_TEXT];

	digest_text(digest, hex);
	str_addf(out, reference->tag ? "%s:%s@%s" : "%s%s@%s", reference->name, reference->tag ? reference->tag : "", hex);
}

void reference_write(const struct reference *reference, struct str *out)
{
	if (reference->has_digest)
		reference_pin(reference, &reference->digest, out);
	else
		str_addf(out, "%s:%s", reference->name, reference->tag);
}
