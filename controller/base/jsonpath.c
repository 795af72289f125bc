/* JSONPath; see jsonpath.h. */
#include "base/jsonpath.h"

#define STEPS_MAX 64

struct path_step {
	enum { STEP_NAME, STEP_INDEX, STEP_ALL } kind;
	struct span name;
	int64_t index;
};

struct path {
	struct path_step steps[STEPS_MAX];
	size_t count;
};

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '/';
}

static struct path_step *push(struct path *path)
{
	return path->count < STEPS_MAX ? &path->steps[path->count++] : NULL;
}

/* .name, .* — and the first name without its dot. Returns the rest, data NULL when it is wrong. */
static struct span parse_name(struct span text, struct path *path)
{
	struct path_step *step = push(path);
	size_t length = 0;

	if (!step)
		return SPAN0;
	if (span_starts(text, "*")) {
		step->kind = STEP_ALL;
		return span_from(text, 1);
	}
	while (length < text.length && is_name_char(text.data[length]))
		length++;
	if (!length)
		return SPAN0;
	*step = (struct path_step){ STEP_NAME, span_sub(text, 0, length), 0 };
	return span_from(text, length);
}

/* 'name' or "name"; a list of names is none, and must not be taken for one odd name. */
static bool is_quoted(struct span text)
{
	char quote = text.length > 2 ? text.data[0] : '\0';

	return (quote == '\'' || quote == '"') && span_index(span_from(text, 1), quote) == (ptrdiff_t)text.length - 2;
}

/* [0], [*], ['name'] or ["name"]; kubectl counts from the end where an index is negative */
static struct span parse_bracket(struct span text, struct path *path)
{
	ptrdiff_t end = span_index(text, ']');
	struct span inside = end < 0 ? SPAN0 : span_sub(text, 1, (size_t)end - 1);
	struct path_step *step = push(path);

	if (!step || !inside.length)
		return SPAN0;
	if (span_is(inside, "*"))
		step->kind = STEP_ALL;
	else if (span_to_int64(inside, &step->index) && step->index >= 0)
		step->kind = STEP_INDEX;
	else if (is_quoted(inside))
		*step = (struct path_step){ STEP_NAME, span_sub(inside, 1, inside.length - 2), 0 };
	else
		return SPAN0;
	return span_from(text, (size_t)end + 1);
}

static bool parse(struct span text, struct path *path)
{
	path->count = 0;
	if (span_starts(text, "{") && span_ends(text, "}"))
		text = span_sub(text, 1, text.length - 2);
	if (span_starts(text, "$"))
		text = span_from(text, 1);
	if (text.length && text.data[0] != '.' && text.data[0] != '[')
		text = parse_name(text, path);
	while (text.data && text.length) {
		if (text.data[0] == '.')
			text = parse_name(span_from(text, 1), path);
		else if (text.data[0] == '[')
			text = parse_bracket(text, path);
		else
			return false;
	}
	return text.data && path->count;
}

bool jsonpath_valid(struct span text)
{
	struct path path;

	return parse(text, &path);
}

struct finder {
	const struct path *path;
	void (*each)(void *, struct json *, struct span);
	void *data;
	struct str pointer;
};

static void find(struct finder *finder, size_t at, struct json *value)
{
	const struct path_step *step = &finder->path->steps[at];
	size_t length = finder->pointer.length, index = 0;

	if (at == finder->path->count) {
		finder->each(finder->data, value, str_span(&finder->pointer));
		return;
	}
	JSON_EACH(member, value) {
		bool is_array = json_is(value, JSON_ARRAY);
		size_t place = index++;

		if ((step->kind == STEP_NAME && (is_array || !span_equal(member->key, step->name))) ||
		    (step->kind == STEP_INDEX && (!is_array || (int64_t)place != step->index)))
			continue;
		if (is_array)
			json_pointer_add_index(&finder->pointer, place);
		else
			json_pointer_add(&finder->pointer, member->key);
		find(finder, at + 1, member->value);
		str_drop_to(&finder->pointer, length);
	}
}

void jsonpath_each(struct span text, struct json *root, void (*each)(void *data, struct json *value, struct span pointer),
		   void *data)
{
	struct path path;
	struct finder finder = { .path = &path, .each = each, .data = data };

	if (!parse(text, &path))
		return;
	find(&finder, 0, root);
	str_release(&finder.pointer);
}
