/* The signed content of both formats; see statement.h. */
#include "verify/statement.h"

#include <stdio.h>

#include "base/limits.h"
#include "verify/document.h"

#define TEXT_MAX 1024u             /* predicate types and references */

void dsse_encode(struct span payload_type, struct span payload, struct str *out)
{
	str_addf(out, "DSSEv1 %zu ", payload_type.length);
	str_add(out, payload_type);
	str_addf(out, " %zu ", payload.length);
	str_add(out, payload);
}

/* Only what all readers read the same: strings without NUL, within limits. */
static int take_annotations(const struct json *object, const char *what, struct arena *arena, struct statement *out, struct error *err)
{
	size_t count = 0;

	if (!object || json_is(object, JSON_NULL))
		return 0;
	if (!json_is(object, JSON_OBJECT))
		return refuse(err, REASON_BAD_JSON, "%s is %s, must be an object", what, json_type_name(object));
	if (json_count(object) > CLAIM_ANNOTATIONS_MAX)
		return refuse(err, REASON_TOO_LARGE, "%s has %zu members, over the limit of %d", what, json_count(object),
			      CLAIM_ANNOTATIONS_MAX);
	out->annotations = arena_calloc(arena, json_count(object), sizeof(*out->annotations));
	JSON_EACH(member, object) {
		struct span value = json_text_span(member->value);

		if (!json_is(member->value, JSON_STRING)) /* skopeo writes a number as optional.timestamp; no policy can ask for it */
			continue;
		if (member->key.length > CLAIM_ANNOTATION_BYTES || value.length > CLAIM_ANNOTATION_BYTES || span_has_nul(value) ||
		    span_has_nul(member->key))
			return refuse(err, REASON_TOO_LARGE, "%s has a member that is too long or holds a zero byte", what);
		out->annotations[count++] = (struct claim_annotation){ arena_strndup(arena, member->key), arena_strndup(arena, value) };
	}
	out->annotation_count = count;
	return 0;
}

/* Whether the subject's digests hold the image's; each must be a string, and there are few of them. */
static int subject_matches(const struct json *subject, const char *wanted, bool *matches, struct error *err)
{
	const struct json *digests = json_get(subject, "digest");

	if (!json_is(subject, JSON_OBJECT) || !json_is(digests, JSON_OBJECT))
		return refuse(err, REASON_BAD_JSON, "statement: a subject without a digest object");
	if (json_count(digests) > LIMIT_SUBJECT_DIGESTS)
		return refuse(err, REASON_TOO_LARGE, "statement: a subject with %zu digests, over the limit of %u", json_count(digests),
			      LIMIT_SUBJECT_DIGESTS);
	JSON_EACH(digest, digests)
		if (!json_is(digest->value, JSON_STRING))
			return refuse(err, REASON_BAD_JSON, "statement: a digest of a subject is %s, must be a string",
				      json_type_name(digest->value));
	*matches = span_is(json_text_span(json_get(digests, "sha256")), wanted);
	return 0;
}

/* in-toto: a statement is about all its subjects, so one of them must be the image, by SHA-256. */
static int find_subject(const struct json *statement, const struct digest *image, const struct json **out, struct error *err)
{
	const struct json *subjects = json_get(statement, "subject");
	char wanted[DIGEST_HEX];

	digest_hex(image, wanted);
	if (!json_is(subjects, JSON_ARRAY))
		return refuse(err, REASON_BAD_JSON, "statement: subject is %s, must be an array", json_type_name(subjects));
	if (json_count(subjects) > LIMIT_SUBJECTS)
		return refuse(err, REASON_TOO_LARGE, "statement: %zu subjects are over the limit of %u", json_count(subjects), LIMIT_SUBJECTS);
	*out = NULL;
	JSON_EACH(subject, subjects) {
		bool matches = false;

		if (subject_matches(subject->value, wanted, &matches, err))
			return -1;
		if (matches && !*out)
			*out = subject->value;
	}
	if (!*out)
		return refuse(err, REASON_SUBJECT_MISMATCH, "statement: signed for another image: no subject has sha256:%s", wanted);
	return 0;
}

static int check_types(const char *payload_type, const struct json *statement, struct arena *arena, struct error *err)
{
	struct span type = json_text_span(json_get(statement, "_type"));

	if (strcmp(payload_type, DSSE_PAYLOAD_TYPE) != 0)
		return refuse(err, REASON_PAYLOAD_TYPE, "envelope: payloadType is '%s', must be " DSSE_PAYLOAD_TYPE,
			      document_shown(span_of(payload_type), arena));
	if (!statement)
		return 0;
	if (!span_is(type, "https://in-toto.io/Statement/v1") && !span_is(type, "https://in-toto.io/Statement/v0.1"))
		return refuse(err, REASON_PAYLOAD_TYPE, "statement: _type is '%s', must be an in-toto statement v0.1 or v1",
			      document_shown(type, arena));
	return 0;
}

int statement_read(const char *payload_type, struct span payload, const struct digest *image, struct arena *arena,
		   struct statement *out, struct error *err)
{
	struct statement s = { .predicate_type = NULL };
	const struct json *subject = NULL;
	struct json *statement;

	/* The type of the payload says how to read it, so it is checked before. */
	if (check_types(payload_type, NULL, arena, err) || document_read(payload, "statement", arena, &statement, err) ||
	    check_types(payload_type, statement, arena, err) || find_subject(statement, image, &subject, err) ||
	    document_text(statement, "predicateType", "statement", TEXT_MAX, &s.predicate_type, err) ||
	    take_annotations(json_get(subject, "annotations"), "statement: the annotations", arena, &s, err))
		return -1;
	*out = s;
	return 0;
}

static int object_at(const struct json *parent, const char *key, const char *const *fields, const struct json **out, struct error *err)
{
	const struct json *value = json_get(parent, key);
	char what[64];

	snprintf(what, sizeof(what), "payload: %s", key);
	if (!json_is(value, JSON_OBJECT))
		return refuse(err, REASON_BAD_JSON, "%s is %s, must be an object", what, json_type_name(value));
	if (document_only(value, what, fields, err))
		return -1;
	*out = value;
	return 0;
}

/* containers/image's simple signing: critical must name type, image and identity, and nothing that is not understood. */
static int read_critical(const struct json *payload, const struct digest *image, struct arena *arena, struct statement *out,
			 struct error *err)
{
	static const char *const fields[] = { "identity", "image", "type", NULL };
	static const char *const of_image[] = { "docker-manifest-digest", NULL };
	static const char *const of_identity[] = { "docker-reference", NULL };
	const struct json *critical, *about, *identity;
	const char *type, *digest;
	char wanted[DIGEST_TEXT];

	if (object_at(payload, "critical", fields, &critical, err) || object_at(critical, "image", of_image, &about, err) ||
	    object_at(critical, "identity", of_identity, &identity, err) ||
	    document_text(critical, "type", "payload: critical", TEXT_MAX, &type, err) ||
	    document_text(about, "docker-manifest-digest", "payload: critical.image", TEXT_MAX, &digest, err) ||
	    document_text(identity, "docker-reference", "payload: critical.identity", TEXT_MAX, &out->repository, err))
		return -1;
	if (strcmp(type, LEGACY_PAYLOAD_TYPE) != 0)
		return refuse(err, REASON_PAYLOAD_KIND, "payload: critical.type is '%s', must be '" LEGACY_PAYLOAD_TYPE "'",
			      document_shown(span_of(type), arena));
	digest_text(image, wanted);
	if (strcmp(digest, wanted) != 0)
		return refuse(err, REASON_PAYLOAD_DIGEST, "payload: signed for another image, %s", document_shown(span_of(digest), arena));
	return 0;
}

int simple_signing_read(struct span payload, const struct digest *image, struct arena *arena, struct statement *out,
			struct error *err)
{
	static const char *const fields[] = { "critical", "optional", NULL };
	struct statement s = { .predicate_type = NULL };
	struct json *document;

	if (document_read(payload, "payload", arena, &document, err) || document_only(document, "payload", fields, err) ||
	    read_critical(document, image, arena, &s, err) ||
	    take_annotations(json_get(document, "optional"), "payload: optional", arena, &s, err))
		return -1;
	*out = s;
	return 0;
}
