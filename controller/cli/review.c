/* See review.h. */
#include "cli/review.h"

#include "api/application.h"

static void remove_empty(struct json *object, const char *key)
{
	if (json_get(object, key) && !json_count(json_get(object, key)))
		json_remove(object, key);
}

void review_trim(struct json *object)
{
	static const char *const metadata_fields[] = { "managedFields", "uid", "resourceVersion", "generation", "creationTimestamp",
						       "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds", "ownerReferences" };
	static const char *const annotation_names[] = { ANNOTATION_TRACKING, "kubectl.kubernetes.io/last-applied-configuration",
							"deployment.kubernetes.io/revision", "deprecated.daemonset.template.generation" };
	struct json *metadata = json_get(object, "metadata");

	json_remove(object, "status");
	for (size_t i = 0; i < COUNT_OF(metadata_fields); i++)
		json_remove(metadata, metadata_fields[i]);
	for (size_t i = 0; i < COUNT_OF(annotation_names); i++)
		json_remove(json_get(metadata, "annotations"), annotation_names[i]);
	json_remove(json_get(metadata, "labels"), LABEL_APP);
	remove_empty(metadata, "annotations");
	remove_empty(metadata, "labels");
}

static bool is_secret(const struct json *object)
{
	return span_is(json_text_span(json_get(object, "kind")), "Secret") && span_is(json_text_span(json_get(object, "apiVersion")), "v1");
}

/* Each value of `data` becomes "***", with `mark` behind where the other side has another or none. */
static void mask(struct json *data, const struct json *other, const char *mark, struct arena *arena)
{
	JSON_EACH(member, data) {
		bool same = json_equal(member->value, json_get_span(other, member->key));

		member->value = json_stringf(arena, "***%s", same ? "" : mark);
	}
}

static void mask_field(struct json *before, struct json *after, const char *field, struct arena *arena)
{
	struct json *old = json_get(before, field), *new = json_get(after, field);
	struct json *kept = old ? json_copy(arena, old) : NULL;

	mask(old, new, after ? " (before)" : "", arena);
	mask(new, kept, before ? " (after)" : "", arena);
}

void review_mask(struct json *before, struct json *after, struct arena *arena)
{
	if (!is_secret(before) && !is_secret(after))
		return;
	mask_field(before, after, "data", arena);
	mask_field(before, after, "stringData", arena);
}
