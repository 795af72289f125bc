/* Elements of a large array; see json_items.h. */
#include "base/json_items.h"

#include <string.h>

static bool is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static const char *past_spaces(const char *at, const char *end)
{
	while (at < end && is_space(*at))
		at++;
	return at;
}

/* Past the string that begins at `at`, or NULL when it does not end. */
static const char *past_string(const char *at, const char *end)
{
	for (at++; at < end; at++) {
		if (*at == '"')
			return at + 1;
		if (*at == '\\' && ++at == end)
			break;
	}
	return NULL;
}

/* Past the value that begins at `at`, or NULL when it does not end or is none. */
static const char *past_value(const char *at, const char *end)
{
	const char *begin = at;
	size_t depth = 0;

	while (at < end) {
		char c = *at;

		if (c == '"') {
			at = past_string(at, end);
			if (!at || !depth)
				return at;
			continue;
		}
		if (c == '{' || c == '[')
			depth++;
		else if ((c == '}' || c == ']') && depth && !--depth)
			return at + 1;
		else if (!depth && (c == ',' || c == '}' || c == ']' || is_space(c)))
			break;
		at++;
	}
	return depth || at == begin ? NULL : at;
}

static int bad(const char *what, struct error *err)
{
	return error_set(err, ERROR_INVALID, "BadJSON", "%s", what);
}

/* The array at `key`, with its brackets; empty when there is none. -1: `text` is no object. */
static int find_array(struct span text, const char *key, struct span *out)
{
	const char *end = text.data + text.length, *at = past_spaces(text.data, end);

	*out = SPAN0;
	if (at == end || *at != '{')
		return -1;
	at = past_spaces(at + 1, end);
	while (at < end && *at == '"') {
		const char *name = at + 1, *stop = past_string(at, end), *value;

		if (!stop)
			return -1;
		at = past_spaces(stop, end);
		if (at == end || *at != ':')
			return -1;
		value = past_spaces(at + 1, end);
		at = value < end ? past_value(value, end) : NULL;
		if (!at)
			return -1;
		if (!out->data && *value == '[' && span_is(span_make(name, (size_t)(stop - 1 - name)), key))
			*out = span_make(value, (size_t)(at - value));
		at = past_spaces(at, end);
		if (at < end && *at == ',')
			at = past_spaces(at + 1, end);
	}
	return at < end && *at == '}' && past_spaces(at + 1, end) == end ? 0 : -1;
}

int json_cut_items(struct span text, const char *key, struct str *rest, struct span *items, struct error *err)
{
	struct span array;
	size_t at;

	if (!text.length || find_array(text, key, &array))
		return bad("no JSON object, or one that does not end", err);
	str_reset(rest);
	*items = SPAN0;
	if (!array.length) {
		str_add(rest, text);
		return 0;
	}
	at = (size_t)(array.data - text.data);
	str_add(rest, span_sub(text, 0, at + 1));
	str_add(rest, span_from(text, at + array.length - 1));
	*items = span_trim(span_make(array.data + 1, array.length - 2));
	return 0;
}

bool json_next_item(struct span *items, struct span *item, struct error *err)
{
	const char *end, *at;

	if (!items->length)
		return false;
	end = items->data + items->length;
	at = past_value(items->data, end);
	if (!at) {
		bad("no element of an array", err);
		return false;
	}
	*item = span_make(items->data, (size_t)(at - items->data));
	at = past_spaces(at, end);
	if (at < end && (*at != ',' || past_spaces(at + 1, end) == end)) {
		bad("no comma, or no element behind one", err);
		return false;
	}
	at = at < end ? past_spaces(at + 1, end) : end;
	*items = span_make(at, (size_t)(end - at));
	return true;
}
