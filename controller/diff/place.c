/* Pointers and field sets; see place.h. */
#include "diff/place.h"

#include "diff/fields.h"

struct span place_cut(struct span *pointer)
{
	struct span rest = span_from(*pointer, 1), token = span_cut(&rest, '/');

	*pointer = rest.data ? span_make(rest.data - 1, rest.length + 1) : SPAN0;
	return token;
}

/* Whether the member, which names `child` by its key or as item `index`, is meant by the token. */
static bool is_named(struct span key, ptrdiff_t index, struct span token)
{
	CLEANUP(str_release) struct str name = STR_INIT;
	int64_t place;

	if (index >= 0)
		return span_to_int64(token, &place) && place == index;
	json_pointer_add(&name, span_from(key, 2));
	return span_equal(span_from(str_span(&name), 1), token);
}

const struct json *place_step(const struct json *set, const struct json *value, struct span token, const struct json **child,
			      struct span *element)
{
	struct fields_steps steps = { .value = value };
	const struct json *below = NULL;

	JSON_EACH(member, set) {
		ptrdiff_t index;
		const struct json *found = span_is(member->key, ".") ? NULL : fields_steps_to(&steps, member->key, &index);

		if (!found || !is_named(member->key, index, token))
			continue;
		*child = found;
		*element = member->key;
		below = member->value;
		break;
	}
	fields_steps_release(&steps);
	return below;
}

enum hold { HOLD_NONE, HOLD_IT, HOLD_ABOVE };

/* How a set holds the pointer; *element is the last member on the way, *rest what of the pointer lies below a leaf. */
static enum hold holds(const struct json *set, const struct json *value, struct span pointer, struct span *element, struct span *rest)
{
	for (*rest = pointer; rest->length;) {
		struct span below = *rest, token = place_cut(&below);

		if (!json_count(set))
			return HOLD_ABOVE;
		*rest = below;
		set = place_step(set, value, token, &value, element);
		if (!set)
			return HOLD_NONE;
	}
	return HOLD_IT;
}

struct span place_keys(const struct json *live, struct span pointer)
{
	const struct json *entries = json_path(live, "metadata", "managedFields", NULL);

	for (size_t i = 0; i < json_count(entries); i++) {
		struct span element = SPAN0, rest;

		if (holds(json_get(json_at(entries, i), "fieldsV1"), live, pointer, &element, &rest) == HOLD_IT &&
		    (span_starts(element, "k:") || span_starts(element, "v:")))
			return element;
	}
	return SPAN0;
}

static struct span held_above(const struct json *live, struct span pointer)
{
	const struct json *entries = json_path(live, "metadata", "managedFields", NULL);

	for (size_t i = 0; i < json_count(entries); i++) {
		const struct json *set = json_get(json_at(entries, i), "fieldsV1");
		struct span element, rest;

		if (json_count(set) && holds(set, live, pointer, &element, &rest) == HOLD_ABOVE)
			return span_sub(pointer, 0, pointer.length - rest.length);
	}
	return SPAN0;
}

struct span place_whole(const struct json *live, struct span pointer)
{
	struct span rest = pointer, above = held_above(live, pointer);
	const struct json *value = live;

	if (above.length)
		return above;
	while (rest.length && value) {
		bool item = json_is(value, JSON_ARRAY);
		struct span before = rest, token = place_cut(&rest);

		value = json_pointer(value, span_sub(before, 0, token.length + 1));
		if (item && value && !json_get_text(value, "name") && !place_keys(live, span_sub(pointer, 0, pointer.length - rest.length)).length)
			return span_sub(pointer, 0, pointer.length - before.length);
	}
	return SPAN0;
}
