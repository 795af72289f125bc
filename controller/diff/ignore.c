/* ignoreDifferences; see ignore.h. */
#include "diff/ignore.h"

#include <stdio.h>

#include "api/tracking.h"
#include "base/glob.h"
#include "diff/fields.h"

#define LABEL_APP_ESCAPED "countersign.dev~1app"
#define ANNOTATION_TRACKING_ESCAPED "countersign.dev~1tracking-id"

static bool hit(const char *pattern, struct span text)
{
	return !pattern || !*pattern || glob_match(span_of(pattern), text, GLOB_ANY);
}

static bool concerns(const struct ignore_rule *rule, const struct json *object)
{
	const struct json *metadata = json_get(object, "metadata");
	struct span group = api_version_group(json_text_span(json_get(object, "apiVersion")));

	/* an absent group is the core group, "*" is any: as Argo CD reads it */
	return (rule->group && *rule->group ? glob_match(span_of(rule->group), group, GLOB_ANY) : !group.length) &&
	       hit(rule->kind, json_text_span(json_get(object, "kind"))) &&
	       hit(rule->name, json_text_span(json_get(metadata, "name"))) &&
	       hit(rule->namespace, json_text_span(json_get(metadata, "namespace")));
}

bool ignore_concerns(const struct application *app, const struct json *object)
{
	for (size_t i = 0; i < app->ignore_count; i++)
		if (concerns(&app->ignore[i], object))
			return true;
	return false;
}

static bool remove_pointer(struct json *object, struct span pointer)
{
	ptrdiff_t slash = span_rindex(pointer, '/');
	struct json *parent = slash > 0 ? json_pointer(object, span_sub(pointer, 0, (size_t)slash)) : object;
	struct span token = span_from(pointer, (size_t)slash + 1);
	int64_t index;

	if (!json_pointer(object, pointer))
		return false;
	if (json_is(parent, JSON_ARRAY)) {
		if (!span_to_int64(token, &index))
			return false;
		json_remove_at(parent, (size_t)index);
		return true;
	}
	JSON_EACH(member, parent) {
		CLEANUP(str_release) struct str escaped = STR_INIT;

		json_pointer_add(&escaped, member->key);
		if (!span_equal(span_from(str_span(&escaped), 1), token))
			continue;
		json_remove_at(parent, (size_t)(member - json_first_(parent)));
		return true;
	}
	return false;
}

/* What names an object is never ignored, nor what says whose it is: without our label nobody would watch it any more. */
static bool is_kept(struct span pointer)
{
	static const char *const kept[] = { "/metadata", "/metadata/name", "/metadata/namespace", "/kind", "/apiVersion",
					    "/metadata/labels/" LABEL_APP_ESCAPED, "/metadata/annotations/" ANNOTATION_TRACKING_ESCAPED };

	for (size_t i = 0; i < COUNT_OF(kept); i++)
		if (span_is(pointer, kept[i]))
			return true;
	return false;
}

static void drop_one(struct json *desired, struct span pointer, struct str *removed)
{
	if (is_kept(pointer) || !remove_pointer(desired, pointer))
		return;
	str_add(removed, pointer);
	str_addc(removed, '\n');
}

/* All labels or annotations but ours, one by one. */
static void drop_members(struct json *desired, struct span pointer, struct str *removed)
{
	CLEANUP(str_release) struct str all = STR_INIT;
	struct span rest;

	JSON_EACH(member, json_pointer(desired, pointer)) {
		str_add(&all, pointer);
		json_pointer_add(&all, member->key);
		str_addc(&all, '\n');
	}
	for (rest = str_span(&all); rest.length;)
		drop_one(desired, span_cut(&rest, '\n'), removed);
}

static void drop(struct json *desired, struct span pointer, struct str *removed)
{
	if (span_is(pointer, "/metadata/labels") || span_is(pointer, "/metadata/annotations"))
		drop_members(desired, pointer, removed);
	else
		drop_one(desired, pointer, removed);
}

/* Removes from `desired` every leaf that `set` holds. */
static void drop_set(struct json *desired, const struct json *set, const struct json *at, struct str *pointer, struct str *removed)
{
	size_t length = pointer->length;

	JSON_EACH(member, set) {
		ptrdiff_t index;
		const struct json *child;
		char number[24];

		if (span_is(member->key, "."))
			continue;
		child = fields_step(at, member->key, &index);
		if (!child)
			continue;
		snprintf(number, sizeof(number), "%td", index);
		json_pointer_add(pointer, index < 0 ? span_from(member->key, 2) : span_of(number));
		if (!json_count(member->value))
			drop(desired, str_span(pointer), removed);
		else
			drop_set(desired, member->value, child, pointer, removed);
		str_drop_to(pointer, length);
	}
}

static void drop_managers(const struct ignore_rule *rule, struct json *desired, const struct json *live, struct str *removed)
{
	const struct json *entries = json_path(live, "metadata", "managedFields", NULL);

	for (size_t i = 0; i < json_count(entries); i++) {
		const struct json *entry = json_at(entries, i);

		for (const char **manager = rule->managers; *manager; manager++) {
			CLEANUP(str_release) struct str pointer = STR_INIT;

			if (span_is(json_text_span(json_get(entry, "manager")), *manager))
				drop_set(desired, json_get(entry, "fieldsV1"), desired, &pointer, removed);
		}
	}
}

void ignore_apply(const struct application *app, struct json *desired, const struct json *live,
		  struct str *removed)
{
	for (size_t i = 0; i < app->ignore_count; i++) {
		const struct ignore_rule *rule = &app->ignore[i];

		if (!concerns(rule, desired))
			continue;
		for (const char **pointer = rule->pointers; *pointer; pointer++)
			drop(desired, span_of(*pointer), removed);
		drop_managers(rule, desired, live, removed);
	}
}
