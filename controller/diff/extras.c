/* Extras and attribution; see extras.h. */
#include "diff/extras.h"

#include <stdio.h>

#include "base/limits.h"
#include "diff/compare.h"
#include "diff/fields.h"

struct finder {
	struct arena *arena;
	struct extra *extras;
	size_t count, capacity, more;
	const char *manager, *time;
	struct str pointer;
};

/* Notes of the control plane and of kubectl; nobody calls these drift. */
static const char *const notes[] = {
	"/metadata/annotations/deployment.kubernetes.io~1", "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration",
	"/metadata/annotations/deprecated.daemonset.template.generation", "/metadata/annotations/pv.kubernetes.io~1",
	"/metadata/annotations/volume.kubernetes.io~1", "/metadata/annotations/volume.beta.kubernetes.io~1",
	"/metadata/annotations/control-plane.alpha.kubernetes.io~1", "/metadata/annotations/autoscaling.alpha.kubernetes.io~1",
	"/metadata/annotations/batch.kubernetes.io~1", "/metadata/annotations/cronjob.kubernetes.io~1",
	"/metadata/labels/kubernetes.io~1metadata.name", "/metadata/finalizers", "/metadata/ownerReferences", "/status",
	"/spec/finalizers", "/spec/claimRef", "/spec/volumeName", "/metadata/resourceVersion", "/metadata/uid",
};

static bool is_note(struct span pointer)
{
	for (size_t i = 0; i < COUNT_OF(notes); i++)
		if (span_starts(pointer, notes[i]))
			return true;
	return span_is(pointer, "/metadata/annotations") || span_is(pointer, "/metadata/labels") ||
	       span_is(pointer, "/metadata");
}

static void add(struct finder *finder)
{
	struct extra *extra;

	if (is_note(str_span(&finder->pointer)))
		return;
	for (size_t i = 0; i < finder->count; i++)
		if (span_is(str_span(&finder->pointer), finder->extras[i].path))
			return;
	if (finder->count >= LIMIT_EXTRAS) {
		finder->more++;
		return;
	}
	extra = arena_push(finder->arena, &finder->extras, &finder->count, &finder->capacity, sizeof(*extra));
	*extra = (struct extra){ arena_strndup(finder->arena, str_span(&finder->pointer)), finder->manager, finder->time };
}

static void add_element(struct str *pointer, struct span element, ptrdiff_t index)
{
	char number[24];

	if (index < 0) {
		json_pointer_add(pointer, span_from(element, 2));
		return;
	}
	snprintf(number, sizeof(number), "%td", index);
	json_pointer_add(pointer, span_of(number));
}

/* `set`: theirs at this place; `ours`: our set there, NULL when we hold nothing below. */
static void walk(struct finder *finder, const struct json *set, const struct json *ours, const struct json *value)
{
	struct fields_steps steps = { .value = value };
	size_t length = finder->pointer.length;

	JSON_EACH(member, set) {
		ptrdiff_t index;
		const struct json *child, *our_child;

		if (span_is(member->key, "."))
			continue;
		child = fields_steps_to(&steps, member->key, &index);
		our_child = json_get_span(ours, member->key);
		/* no longer there, or a leaf of ours: then it is drift, not an extra */
		if (!child || (our_child && !json_count(our_child)))
			continue;
		add_element(&finder->pointer, member->key, index);
		/* wholly theirs, or metadata maps, of which each key is told for itself */
		if (!our_child && (!json_count(member->value) || json_get(member->value, ".")) &&
		    !is_note(str_span(&finder->pointer)))
			add(finder);
		else
			walk(finder, member->value, our_child, child);
		str_drop_to(&finder->pointer, length);
	}
	fields_steps_release(&steps);
}

void extras_find(const struct json *live, struct arena *arena, struct extra **out, size_t *count, size_t *more)
{
	const struct json *entries = json_path(live, "metadata", "managedFields", NULL);
	const struct json *ours = fields_of(live, FIELD_MANAGER, "Apply");
	struct finder finder = { .arena = arena };

	for (size_t i = 0; i < json_count(entries); i++) {
		const struct json *entry = json_at(entries, i);
		const char *manager = json_get_text(entry, "manager"), *time = json_get_text(entry, "time");

		/* our own Update entry is what webhooks and defaults added to our requests; a name that only begins like ours is not ours */
		if (json_text_span(json_get(entry, "subresource")).length || !manager || !strcmp(manager, FIELD_MANAGER) ||
		    !strcmp(manager, FIELD_MANAGER "-released"))
			continue;
		finder.manager = arena_strdup(arena, manager);
		finder.time = time ? arena_strdup(arena, time) : "";
		walk(&finder, json_get(entry, "fieldsV1"), ours, live);
	}
	str_release(&finder.pointer);
	*out = finder.extras;
	*count = finder.count;
	*more = finder.more;
}

struct digest extras_digest(const struct extra *extras, size_t count)
{
	CLEANUP(str_release) struct str text = STR_INIT;

	if (!count)
		return (struct digest){ { 0 } };
	for (size_t i = 0; i < count; i++)
		str_addf(&text, "%s\n%s\n", extras[i].path, extras[i].manager);
	return digest_of(str_span(&text));
}

/* Whether a set holds the pointer's path, or a part above it as a leaf. */
static bool holds(const struct json *set, const struct json *value, struct span pointer)
{
	while (pointer.length) {
		struct span token, rest = span_from(pointer, 1);
		const struct json *next = NULL, *next_value = NULL;
		struct fields_steps steps = { .value = value };

		token = span_cut(&rest, '/');
		JSON_EACH(member, set) {
			CLEANUP(str_release) struct str one = STR_INIT;
			ptrdiff_t index;
			const struct json *child;

			if (span_is(member->key, "."))
				continue;
			child = fields_steps_to(&steps, member->key, &index);
			add_element(&one, member->key, index);
			if (span_equal(span_from(str_span(&one), 1), token)) {
				next = member->value;
				next_value = child;
			}
		}
		fields_steps_release(&steps);
		if (!next)
			return false;
		if (!json_count(next))
			return true;
		set = next;
		value = next_value;
		pointer = rest.data ? span_make(rest.data - 1, rest.length + 1) : SPAN0;
	}
	return true;
}

bool extras_who(const struct json *live, const char *pointer, struct arena *arena, struct extra *out)
{
	const struct json *entries = json_path(live, "metadata", "managedFields", NULL);
	const char *newest = "";

	*out = (struct extra){ pointer, "", "" };
	for (size_t i = 0; i < json_count(entries); i++) {
		const struct json *entry = json_at(entries, i);
		const char *manager = json_get_text(entry, "manager"), *time = json_get_text(entry, "time");

		if (!manager || !strcmp(manager, FIELD_MANAGER) || !time || strcmp(time, newest) < 0)
			continue;
		/* whoever notes the status last changed nothing that is declared */
		if (!*pointer && json_text_span(json_get(entry, "subresource")).length)
			continue;
		if (*pointer && !holds(json_get(entry, "fieldsV1"), live, span_of(pointer)))
			continue;
		newest = time;
		out->manager = arena_strdup(arena, manager);
		out->time = arena_strdup(arena, time);
	}
	return *out->manager != '\0';
}

bool drift_attribution(const struct json *live, const struct json *desired, struct arena *arena, struct extra *out)
{
	CLEANUP(str_release) struct str pointer = STR_INIT;

	if (!desired || !compare_declared(desired, live, &pointer))
		str_reset(&pointer);
	return extras_who(live, arena_strndup(arena, str_span(&pointer)), arena, out);
}
