/* One element of a field set in a value; see fields.h. */
#include "base/map.h"
#include "diff/fields.h"

/* Elements of one list that name other key fields than its first does: a list has one set of them. */
#define ODD_MOST 64u

/* The item of a list whose key fields have the values that `keys` gives. */
static struct json *item_by_keys(const struct json *list, struct span keys, ptrdiff_t *index)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct json *wanted;

	if (json_parse(keys, arena, 4, &wanted, NULL) || !json_is(wanted, JSON_OBJECT))
		return NULL;
	for (size_t i = 0; i < json_count(list); i++) {
		struct json *item = json_at(list, i);
		bool equal = true;

		JSON_EACH(member, wanted)
			equal = equal && json_equal(json_get_span(item, member->key), member->value);
		if (!equal)
			continue;
		*index = (ptrdiff_t)i;
		return item;
	}
	return NULL;
}

static struct json *item_by_value(const struct json *list, struct span text, ptrdiff_t *index)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct json *wanted;

	if (json_parse(text, arena, 16, &wanted, NULL))
		return NULL;
	for (size_t i = 0; i < json_count(list); i++)
		if (json_equal(json_at(list, i), wanted)) {
			*index = (ptrdiff_t)i;
			return json_at(list, i);
		}
	return NULL;
}

struct json *fields_step(const struct json *value, struct span element, ptrdiff_t *index)
{
	struct span rest = span_from(element, 2);
	int64_t at;

	*index = -1;
	if (span_starts(element, "f:"))
		return json_get_span(value, rest);
	if (span_starts(element, "k:"))
		return item_by_keys(value, rest, index);
	if (span_starts(element, "v:"))
		return item_by_value(value, rest, index);
	if (span_starts(element, "i:") && span_to_int64(rest, &at)) {
		*index = (ptrdiff_t)at;
		return json_at(value, (size_t)at);
	}
	return NULL;
}

/* What tells an item apart by the fields that `keys` names, as text; false: it lacks one. */
static bool add_keys(const struct json *keys, const struct json *item, struct str *text)
{
	str_addc(text, 'k');
	JSON_EACH(member, keys) {
		const struct json *value = json_get_span(item, member->key);

		if (!value)
			return false;
		json_write(value, JSON_SORTED, text);
		str_addc(text, '\0');
	}
	return true;
}

static void add_value(const struct json *value, struct str *text)
{
	str_addc(text, 'v');
	json_write(value, JSON_SORTED, text);
}

/* Where items are alike, the first is meant. */
static void note_item(struct fields_steps *steps, const struct str *text, size_t index)
{
	if (!map_has(&steps->items, str_span(text)))
		map_set(&steps->items, str_span(text), (void *)(uintptr_t)(index + 1));
}

static void note_items(struct fields_steps *steps, const struct json *keys)
{
	for (size_t i = 0; i < json_count(steps->value); i++) {
		CLEANUP(str_release) struct str text = STR_INIT;

		if (!keys)
			add_value(json_at(steps->value, i), &text);
		if (!keys || add_keys(keys, json_at(steps->value, i), &text))
			note_item(steps, &text, i);
	}
}

static struct json *noted_item(const struct fields_steps *steps, const struct str *text, ptrdiff_t *index)
{
	size_t place = (size_t)(uintptr_t)map_get(&steps->items, str_span(text));

	if (!place)
		return NULL;
	*index = (ptrdiff_t)place - 1;
	return json_at(steps->value, place - 1);
}

static struct json *step_by_keys(struct fields_steps *steps, const struct json *wanted, struct span element, ptrdiff_t *index)
{
	CLEANUP(str_release) struct str text = STR_INIT;

	if (!steps->keys) {
		steps->arena = arena_new(0);
		steps->keys = json_copy(steps->arena, wanted);
		note_items(steps, steps->keys);
	}
	if (json_count(wanted) == json_count(steps->keys) && add_keys(steps->keys, wanted, &text))
		return noted_item(steps, &text, index);
	return steps->odd++ < ODD_MOST ? fields_step(steps->value, element, index) : NULL;
}

static struct json *step_by_value(struct fields_steps *steps, const struct json *wanted, ptrdiff_t *index)
{
	CLEANUP(str_release) struct str text = STR_INIT;

	if (!steps->by_value)
		note_items(steps, NULL);
	steps->by_value = true;
	add_value(wanted, &text);
	return noted_item(steps, &text, index);
}

struct json *fields_steps_to(struct fields_steps *steps, struct span element, ptrdiff_t *index)
{
	CLEANUP(arena_cleanup) struct arena *arena = NULL;
	struct json *wanted;

	if (!json_is(steps->value, JSON_ARRAY) || json_count(steps->value) <= FIELDS_LINEAR_ITEMS || span_starts(element, "i:"))
		return fields_step(steps->value, element, index);
	*index = -1;
	arena = arena_new(0);
	if (json_parse(span_from(element, 2), arena, 16, &wanted, NULL))
		return NULL;
	if (span_starts(element, "v:"))
		return step_by_value(steps, wanted, index);
	return span_starts(element, "k:") && json_is(wanted, JSON_OBJECT) ? step_by_keys(steps, wanted, element, index) : NULL;
}

void fields_steps_release(struct fields_steps *steps)
{
	map_release(&steps->items);
	arena_free(steps->arena);
}
