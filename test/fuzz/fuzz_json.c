/*
 * Any bytes as JSON; what is read must be written and read back as the same, plain, sorted and pretty. With its array `items` cut out, it must have the
 * same elements.
 */
#include "base/json.h"
#include "base/json_items.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* `whole` NULL: it is no JSON. */
static void cut(struct span text, const struct json *whole, struct arena *arena)
{
	CLEANUP(str_release) struct str text_of_rest = STR_INIT;
	const struct json *list = json_get(whole, "items");
	struct error err = ERROR_INIT;
	struct json *rest, *element;
	struct span items, item;
	size_t count = 0;

	if (json_cut_items(text, "items", &text_of_rest, &items, &err)) {
		ASSERT(!json_is(whole, JSON_OBJECT));
		return;
	}
	while (json_next_item(&items, &item, &err)) {
		if (json_parse(item, arena, 0, &element, NULL)) {
			ASSERT(!whole);
			return;
		}
		ASSERT(!whole || json_equal(element, json_at(list, count)));
		count++;
	}
	if (!whole)
		return;
	ASSERT(!err.reason[0] && !json_parse(str_span(&text_of_rest), arena, 0, &rest, NULL));
	ASSERT(json_count(rest) == json_count(whole) && (!json_is(list, JSON_ARRAY) || !count || count == json_count(list)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	static const unsigned flags[] = { JSON_PLAIN, JSON_SORTED, JSON_PRETTY };
	struct json *value, *again;

	if (json_parse(span_make(data, size), arena, 0, &value, NULL)) {
		cut(span_make(data, size), NULL, arena);
		return 0;
	}
	cut(span_make(data, size), value, arena);
	for (size_t i = 0; i < COUNT_OF(flags); i++) {
		CLEANUP(str_release) struct str text = STR_INIT;

		json_write(value, flags[i], &text);
		ASSERT(!json_parse(str_span(&text), arena, 0, &again, NULL));
		ASSERT(json_equal(value, again));
	}
	return 0;
}
