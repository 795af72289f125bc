/* ignoreDifferences; see ignore.h. */
#include "diff/ignore.h"

#include <stdio.h>

#include "api/tracking.h"
#include "base/glob.h"
#include "diff/compare.h"
#include "diff/fields.h"
#include "diff/place.h"
#include "diff/posture.h"

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

/* Whether one of both lies within the other. */
static bool overlap(const char *one, const char *other)
{
	size_t length = strlen(one) < strlen(other) ? strlen(one) : strlen(other);

	return !strncmp(one, other, length) && (!one[length] || one[length] == '/') && (!other[length] || other[length] == '/');
}

bool ignore_leaves(const struct application *app, const struct json *live, const char *pointer, const char *manager)
{
	for (size_t i = 0; i < app->ignore_count; i++) {
		const struct ignore_rule *rule = &app->ignore[i];

		if (!concerns(rule, live))
			continue;
		for (const char **left = rule->pointers; *left; left++)
			if (overlap(*left, pointer))
				return true;
		for (const char **other = rule->managers; *other; other++)
			if (!strcmp(*other, manager))
				return true;
	}
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

struct leaving {
	struct json *desired;
	const struct json *live;
	const struct custom_paths *custom;
	struct arena *arena;
	struct str removed, taken;
};

/* Where the pointer's last token begins. */
static struct span parent_of(struct span pointer)
{
	return span_sub(pointer, 0, (size_t)span_rindex(pointer, '/'));
}

static struct json *at(const struct json *object, struct span pointer)
{
	return pointer.length ? json_pointer(object, pointer) : (struct json *)(uintptr_t)object;
}

/* The value of the live object in the place of Git's. */
static void put(const struct leaving *to, struct span pointer, const struct json *theirs)
{
	struct json *ours = json_pointer(to->desired, pointer), *parent = at(to->desired, parent_of(pointer));
	const struct json *from = at(to->live, parent_of(pointer));

	if (ours) {
		*ours = *json_copy(to->arena, theirs);
		return;
	}
	JSON_EACH(member, from)
		if (member->value == theirs && json_is(parent, JSON_OBJECT))
			json_set_span(to->arena, parent, arena_span(to->arena, member->key), json_copy(to->arena, theirs));
}

/* Whether it says of images and of security what it said before. */
static bool is_harmless(const struct leaving *to, const struct json *before)
{
	struct digest now = gate_images_digest(to->desired, to->custom, to->arena), then = gate_images_digest(before, to->custom, to->arena);
	const char **weaker;
	size_t count;

	posture_find(to->desired, before, to->arena, &weaker, &count);
	return digest_equal(&now, &then) && !count;
}

static void add_line(struct str *lines, struct span pointer)
{
	str_add(lines, pointer);
	str_addc(lines, '\n');
}

/* Others' share of a whole is sent as it is: what is left out of it would be lost. */
static void take_live(struct leaving *to, struct span pointer)
{
	const struct json *theirs = json_pointer(to->live, pointer);
	struct json *before = json_copy(to->arena, to->desired);

	/* what Git adds only now */
	if (!theirs && !at(to->live, parent_of(pointer)))
		return;
	if (theirs)
		put(to, pointer, theirs);
	else
		remove_pointer(to->desired, pointer);
	if (is_harmless(to, before))
		add_line(&to->taken, pointer);
	else
		*to->desired = *before;
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

static void drop_one(struct leaving *to, struct span pointer)
{
	if (is_kept(pointer))
		return;
	if (place_whole(to->live, pointer).length)
		take_live(to, pointer);
	else if (remove_pointer(to->desired, pointer))
		add_line(&to->removed, pointer);
}

/* All labels or annotations but ours, one by one. */
static void drop_members(struct leaving *to, struct span pointer)
{
	CLEANUP(str_release) struct str all = STR_INIT;
	struct span rest;

	JSON_EACH(member, json_pointer(to->desired, pointer)) {
		str_add(&all, pointer);
		json_pointer_add(&all, member->key);
		str_addc(&all, '\n');
	}
	for (rest = str_span(&all); rest.length;)
		drop_one(to, span_cut(&rest, '\n'));
}

static void drop(struct leaving *to, struct span pointer)
{
	if (span_is(pointer, "/metadata/labels") || span_is(pointer, "/metadata/annotations"))
		drop_members(to, pointer);
	else
		drop_one(to, pointer);
}

/* Whether the item says nothing else than those keys: some of them are left to defaults (the protocol of a port). */
static bool fits(const struct json *item, const struct json *keys)
{
	size_t said = 0;

	JSON_EACH(member, keys) {
		const struct json *value = json_get_span(item, member->key);

		if (value && !json_equal(value, member->value))
			return false;
		said += value != NULL;
	}
	return said;
}

/* As fields_step, but in what Git declares, where defaults are not written out. */
static const struct json *declared_step(const struct json *value, struct span element, struct arena *arena, ptrdiff_t *index)
{
	const struct json *child = fields_step(value, element, index), *found = NULL;
	struct json *keys;

	if (child || !json_is(value, JSON_ARRAY) || !span_starts(element, "k:") || json_parse(span_from(element, 2), arena, 4, &keys, NULL))
		return child;
	for (size_t i = 0; i < json_count(value); i++) {
		if (!fits(json_at(value, i), keys))
			continue;
		/* which of them is meant? */
		if (found)
			return NULL;
		found = json_at(value, i);
		*index = (ptrdiff_t)i;
	}
	return found;
}

/* Removes from `desired` every leaf that `set` holds. */
static void drop_set(struct leaving *to, const struct json *set, const struct json *at, struct str *pointer)
{
	size_t length = pointer->length;

	JSON_EACH(member, set) {
		ptrdiff_t index;
		const struct json *child;
		char number[24];

		if (span_is(member->key, "."))
			continue;
		child = declared_step(at, member->key, to->arena, &index);
		if (!child)
			continue;
		snprintf(number, sizeof(number), "%td", index);
		json_pointer_add(pointer, index < 0 ? span_from(member->key, 2) : span_of(number));
		if (!json_count(member->value))
			drop(to, str_span(pointer));
		else
			drop_set(to, member->value, child, pointer);
		str_drop_to(pointer, length);
	}
}

static void drop_managers(struct leaving *to, const struct ignore_rule *rule)
{
	const struct json *entries = json_path(to->live, "metadata", "managedFields", NULL);

	for (size_t i = 0; i < json_count(entries); i++) {
		const struct json *entry = json_at(entries, i);

		for (const char **manager = rule->managers; *manager; manager++) {
			CLEANUP(str_release) struct str pointer = STR_INIT;

			if (span_is(json_text_span(json_get(entry, "manager")), *manager))
				drop_set(to, json_get(entry, "fieldsV1"), to->desired, &pointer);
		}
	}
}

static struct ignored end(struct leaving *to)
{
	struct ignored ignored = { arena_strndup(to->arena, str_span(&to->removed)), arena_strndup(to->arena, str_span(&to->taken)) };

	str_release(&to->removed);
	str_release(&to->taken);
	return ignored;
}

struct ignored ignore_apply(const struct application *app, struct json *desired, const struct json *live, const struct custom_paths *custom,
			    struct arena *arena)
{
	struct leaving to = { desired, live, custom, arena, STR_INIT, STR_INIT };

	for (size_t i = 0; i < app->ignore_count; i++) {
		const struct ignore_rule *rule = &app->ignore[i];

		if (!concerns(rule, desired))
			continue;
		for (const char **pointer = rule->pointers; *pointer; pointer++)
			drop(&to, span_of(*pointer));
		drop_managers(&to, rule);
	}
	return end(&to);
}

struct ignored ignore_again(const char *removed, struct json *desired, const struct json *live, const struct custom_paths *custom,
			    struct arena *arena)
{
	struct leaving to = { desired, live, custom, arena, STR_INIT, STR_INIT };
	struct span rest = span_of(removed);

	while (rest.length) {
		struct span pointer = span_cut(&rest, '\n');

		if (pointer.length)
			drop(&to, pointer);
	}
	return end(&to);
}

struct digest ignore_digest(const struct json *desired, const char *taken, struct arena *arena)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	struct json *declared = *taken ? json_copy(arena, desired) : NULL;
	struct span rest = span_of(taken);

	while (rest.length)
		remove_pointer(declared, span_cut(&rest, '\n'));
	json_write(declared ? declared : desired, JSON_SORTED, &text);
	return digest_of(str_span(&text));
}

bool ignore_is_so(const struct json *desired, const char *taken, const struct json *live)
{
	CLEANUP(str_release) struct str pointer = STR_INIT;
	struct span rest = span_of(taken);

	while (rest.length) {
		struct span whole = place_whole(live, span_cut(&rest, '\n'));

		if (whole.length && !json_equal(json_pointer(desired, whole), json_pointer(live, whole)))
			return false;
	}
	return !compare_declared(desired, live, &pointer);
}
