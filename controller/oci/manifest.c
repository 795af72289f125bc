/* Manifests and indices; see manifest.h. */
#include "oci/manifest.h"

#include "base/limits.h"

#define TYPE_MAX 255u              /* RFC 6838 4.2: a name has at most 127 characters on each side */
#define DEPTH_MAX 32
#define VALUES_MAX 400000u         /* 4 MiB of the smallest values that make sense */

/* An optional media type: "" when absent or null. */
static int take_type(const struct json *object, const char *key, const char **out, const char *reason, struct error *err)
{
	const struct json *value = json_get(object, key);
	struct span text = json_text_span(value);

	*out = "";
	if (!value || json_is(value, JSON_NULL))
		return 0;
	if (!json_is(value, JSON_STRING) || text.length > TYPE_MAX || span_has_nul(text))
		return error_set(err, ERROR_INVALID, reason, "%s is %s, must be a media type", key, json_type_name(value));
	*out = json_text(value);
	return 0;
}

static int take_descriptor(const struct json *object, struct descriptor *out, const char *reason, struct error *err)
{
	int64_t size = json_get_int(object, "size", -1);
	const struct json *annotations = json_get(object, "annotations");

	if (!json_is(object, JSON_OBJECT))
		return error_set(err, ERROR_INVALID, reason, "a descriptor is %s, must be an object", json_type_name(object));
	if (!digest_parse(json_text_span(json_get(object, "digest")), &out->digest))
		return error_set(err, ERROR_INVALID, reason, "a descriptor's digest is not sha256: and 64 lower-case hex digits");
	if (size < 0)
		return error_set(err, ERROR_INVALID, reason, "a descriptor's size is %s, must be a number of bytes",
				 json_type_name(json_get(object, "size")));
	out->size = (uint64_t)size;
	out->annotations = json_is(annotations, JSON_OBJECT) ? annotations : NULL;
	return take_type(object, "mediaType", &out->media_type, reason, err) ||
	       take_type(object, "artifactType", &out->artifact_type, reason, err) ? -1 : 0;
}

/* An array of descriptors; null, which olareg writes for none, is an empty one. */
static int take_descriptors(const struct json *object, const char *key, struct arena *arena, struct descriptor **out, size_t *count,
			    const char *reason, struct error *err)
{
	const struct json *list = json_get(object, key);
	size_t n = 0;

	if (!json_is(list, JSON_ARRAY) && !json_is(list, JSON_NULL))
		return error_set(err, ERROR_INVALID, reason, "%s is %s, must be an array", key, json_type_name(list));
	*out = arena_calloc(arena, json_count(list), sizeof(**out));
	JSON_EACH(item, list)
		if (take_descriptor(item->value, &(*out)[n++], reason, err))
			return -1;
	*count = n;
	return 0;
}

static int read_object(struct span bytes, struct arena *arena, struct json **out, const char *reason, struct error *err)
{
	struct error cause = ERROR_INIT;
	size_t values = 1;

	for (size_t i = 0; i < bytes.length; i++)
		values += bytes.data[i] == ',' || bytes.data[i] == '[' || bytes.data[i] == '{';
	if (bytes.length > LIMIT_OCI_MANIFEST_BYTES || values > VALUES_MAX)
		return error_set(err, ERROR_INVALID, reason, "it is too large");
	if (json_parse(bytes, arena, DEPTH_MAX, out, &cause))
		return error_set(err, ERROR_INVALID, reason, "%s", cause.text);
	if (!json_is(*out, JSON_OBJECT))
		return error_set(err, ERROR_INVALID, reason, "it is %s, must be an object", json_type_name(*out));
	if (json_get_int(*out, "schemaVersion", -1) != 2)
		return error_set(err, ERROR_INVALID, reason, "schemaVersion must be 2");
	return 0;
}

int manifest_parse(struct span bytes, struct arena *arena, struct manifest *out, struct error *err)
{
	static const char reason[] = "BadManifest";
	struct manifest m = { .layer_count = 0 };
	const struct json *config;
	struct json *document;

	if (read_object(bytes, arena, &document, reason, err) || take_type(document, "artifactType", &m.artifact_type, reason, err) ||
	    take_descriptors(document, "layers", arena, &m.layers, &m.layer_count, reason, err))
		return -1;
	config = json_get(document, "config");
	/* OCI image 1.1, "Guidelines for Artifact Usage": without artifactType, the config's media type stands for it. */
	if (!m.artifact_type[0] && json_is(config, JSON_OBJECT) && take_type(config, "mediaType", &m.artifact_type, reason, err))
		return -1;
	*out = m;
	return 0;
}

int index_parse(struct span bytes, struct arena *arena, struct descriptor **out, size_t *count, struct error *err)
{
	static const char reason[] = "BadIndex";
	struct descriptor *descriptors;
	struct json *document;
	size_t n;

	if (read_object(bytes, arena, &document, reason, err) ||
	    take_descriptors(document, "manifests", arena, &descriptors, &n, reason, err))
		return -1;
	*out = descriptors;
	*count = n;
	return 0;
}

bool descriptor_may_be_signature(const struct descriptor *descriptor)
{
	const char *type = descriptor->artifact_type;

	return !type[0] || !strcmp(type, MEDIA_OCI_EMPTY) || !strcmp(type, MEDIA_LEGACY_REFERRER) ||
	       span_starts(span_of(type), MEDIA_BUNDLE_PREFIX);
}

bool descriptor_says_attestation(const struct descriptor *descriptor)
{
	struct span predicate = json_text_span(json_get(descriptor->annotations, "dev.sigstore.bundle.predicateType"));

	return predicate.length && !span_is(predicate, "https://sigstore.dev/cosign/sign/v1");
}

struct span descriptor_created(const struct descriptor *descriptor)
{
	return json_text_span(json_get(descriptor->annotations, "org.opencontainers.image.created"));
}

bool manifest_is_bundle(const struct manifest *manifest)
{
	for (size_t i = 0; i < manifest->layer_count; i++)
		if (span_starts(span_of(manifest->layers[i].media_type), MEDIA_BUNDLE_PREFIX))
			return true;
	return span_starts(span_of(manifest->artifact_type), MEDIA_BUNDLE_PREFIX);
}

bool manifest_is_legacy(const struct manifest *manifest)
{
	return !strcmp(manifest->artifact_type, MEDIA_LEGACY_REFERRER);
}

void descriptor_annotations(const struct descriptor *descriptor, struct arena *arena, struct evidence_document *document)
{
	size_t capacity = json_count(descriptor->annotations);

	if (capacity > EVIDENCE_ANNOTATIONS_MAX)
		capacity = EVIDENCE_ANNOTATIONS_MAX;
	document->annotations = arena_calloc(arena, capacity, sizeof(*document->annotations));
	JSON_EACH(member, descriptor->annotations) {
		if (document->annotation_count == capacity)
			break;
		if (!json_is(member->value, JSON_STRING) || span_has_nul(member->key))
			continue;
		document->annotations[document->annotation_count++] =
			(struct evidence_annotation){ arena_strndup(arena, member->key), json_text_span(member->value) };
	}
}
