/* Declared against live; see compare.h. */
#include "diff/compare.h"

#include "base/map.h"
#include "diff/fields.h"

/* Of items of one name the last is meant. Of a long list the names are noted. */
static const struct json *named_item(const struct json *list, const char *name, struct map *names)
{
	size_t count = json_count(list), place;

	if (count > FIELDS_LINEAR_ITEMS && !names->count)
		for (size_t i = 0; i < count; i++)
			map_set(names, json_text_span(json_get(json_at(list, i), "name")), (void *)(uintptr_t)(i + 1));
	if (names->count) {
		place = (size_t)(uintptr_t)map_get(names, span_of(name));
		return place ? json_at(list, place - 1) : NULL;
	}
	for (size_t i = count; i-- > 0;)
		if (span_is(json_text_span(json_get(json_at(list, i), "name")), name))
			return json_at(list, i);
	return NULL;
}

static bool compare_items(const struct json *desired, const struct json *live, struct str *pointer)
{
	CLEANUP(map_release) struct map names = MAP_INIT;
	size_t length = pointer->length;

	for (size_t i = 0; i < json_count(desired); i++) {
		const struct json *item = json_at(desired, i);
		const char *name = json_get_text(item, "name");
		/* items with names are told apart by them, whatever their place */
		const struct json *match = name ? named_item(live, name, &names) : NULL;

		json_pointer_add_index(pointer, i);
		if (compare_declared(item, match ? match : json_at(live, i), pointer))
			return true;
		str_drop_to(pointer, length);
	}
	return false;
}

bool compare_declared(const struct json *desired, const struct json *live, struct str *pointer)
{
	size_t length = pointer->length;

	if (json_is(desired, JSON_ARRAY) && json_is(live, JSON_ARRAY))
		return compare_items(desired, live, pointer);
	if (!json_is(desired, JSON_OBJECT) || !json_is(live, JSON_OBJECT))
		return !json_equal(desired, live);
	JSON_EACH(member, desired) {
		json_pointer_add(pointer, member->key);
		if (compare_declared(member->value, json_get_span(live, member->key), pointer))
			return true;
		str_drop_to(pointer, length);
	}
	return false;
}

const struct json *compare_same_item(const struct json *list, const struct json *item, size_t place)
{
	struct span name = json_text_span(json_get(item, "name"));

	for (size_t i = 0; name.length && i < json_count(list); i++)
		if (span_equal(json_text_span(json_get(json_at(list, i), "name")), name))
			return json_at(list, i);
	return name.length ? NULL : json_at(list, place);
}

bool compare_declares(const struct json *desired, const struct json *live, struct span pointer)
{
	while (pointer.length && desired) {
		struct span rest = span_from(pointer, 1), token = span_cut(&rest, '/');
		struct span one = span_sub(pointer, 0, token.length + 1);
		const struct json *child = json_pointer(live, one);
		int64_t place;

		if (json_is(live, JSON_ARRAY))
			desired = span_to_int64(token, &place) ? compare_same_item(desired, child, (size_t)place) : NULL;
		else
			desired = json_pointer(desired, one);
		live = child;
		pointer = rest.data ? span_make(rest.data - 1, rest.length + 1) : SPAN0;
	}
	return desired != NULL;
}

/* Whether every leaf of our set stands in `desired` too: a key that was dropped from it would not. */
static bool all_declared(const struct json *set, const struct json *desired)
{
	struct fields_steps steps = { .value = desired };
	bool all = json_count(set) || desired;

	JSON_EACH(member, set) {
		ptrdiff_t index;

		all = all &&
		      (span_is(member->key, ".") || all_declared(member->value, fields_steps_to(&steps, member->key, &index)));
	}
	fields_steps_release(&steps);
	return all;
}

bool compare_is_applied(const struct json *desired, const struct json *live)
{
	CLEANUP(str_release) struct str pointer = STR_INIT;
	const struct json *ours = fields_of(live, FIELD_MANAGER, "Apply");

	return json_count(ours) && !compare_declared(desired, live, &pointer) && all_declared(ours, desired);
}
