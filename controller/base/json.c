/* The tree: making, changing, finding, comparing. Reading and writing text are in json_text.c. */
#include "base/json.h"

#include <stdarg.h>
#include <stdlib.h>

static struct json *make(struct arena *arena, enum json_type type)
{
	struct json *value = ARENA_NEW(arena, struct json);

	value->type = type;
	return value;
}

struct json *json_null(struct arena *arena)
{
	return make(arena, JSON_NULL);
}

struct json *json_bool(struct arena *arena, bool value)
{
	struct json *json = make(arena, JSON_BOOL);

	json->as.boolean = value;
	return json;
}

struct json *json_int(struct arena *arena, int64_t value)
{
	struct json *json = make(arena, JSON_INT);

	json->as.i = value;
	return json;
}

struct json *json_span(struct arena *arena, struct span value)
{
	struct json *json = make(arena, JSON_STRING);

	json->as.text = arena_span(arena, value);
	return json;
}

struct json *json_string(struct arena *arena, const char *value)
{
	return json_span(arena, span_of(value));
}

struct json *json_stringf(struct arena *arena, const char *format, ...)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	va_list args;

	va_start(args, format);
	str_vaddf(&text, format, args);
	va_end(args);
	return json_span(arena, str_span(&text));
}

struct json *json_array(struct arena *arena)
{
	return make(arena, JSON_ARRAY);
}

struct json *json_object(struct arena *arena)
{
	return make(arena, JSON_OBJECT);
}

struct json *json_copy(struct arena *arena, const struct json *value)
{
	struct json *copy = ARENA_NEW(arena, struct json);

	*copy = *value;
	if (value->type == JSON_STRING || value->type == JSON_NUMBER)
		copy->as.text = arena_span(arena, value->as.text);
	if (value->type != JSON_ARRAY && value->type != JSON_OBJECT)
		return copy;
	copy->as.list.capacity = value->as.list.count;
	copy->as.list.members = arena_calloc(arena, value->as.list.count, sizeof(struct json_member));
	for (uint32_t i = 0; i < value->as.list.count; i++) {
		const struct json_member *from = &value->as.list.members[i];
		struct json_member *to = &copy->as.list.members[i];

		to->key = value->type == JSON_OBJECT ? arena_span(arena, from->key) : SPAN0;
		to->value = json_copy(arena, from->value);
	}
	return copy;
}

static struct json_member *add_member(struct arena *arena, struct json *list)
{
	size_t count = list->as.list.count, capacity = list->as.list.capacity;
	struct json_member *member;

	ASSERT(count < UINT32_MAX / 2);
	member = arena_push(arena, &list->as.list.members, &count, &capacity, sizeof(*member));
	list->as.list.count = (uint32_t)count;
	list->as.list.capacity = (uint32_t)capacity;
	return member;
}

static int by_key(const void *a, const void *b)
{
	return span_compare(((const struct json_member *)a)->key, ((const struct json_member *)b)->key);
}

static struct json_member *find(const struct json *object, struct span key)
{
	struct json_member wanted = { key, NULL };

	if (!json_is(object, JSON_OBJECT))
		return NULL;
	if (object->sorted && object->as.list.count > JSON_LINEAR_KEYS)
		return bsearch(&wanted, object->as.list.members, object->as.list.count, sizeof(wanted), by_key);
	JSON_EACH(member, object)
		if (span_equal(member->key, key))
			return member;
	return NULL;
}

void json_add_span(struct arena *arena, struct json *object, struct span key, struct json *value)
{
	struct json_member *member;

	ASSERT(json_is(object, JSON_OBJECT) && value);
	object->sorted = false;
	member = add_member(arena, object);
	*member = (struct json_member){ arena_span(arena, key), value };
}

struct json *json_set_span(struct arena *arena, struct json *object, struct span key, struct json *value)
{
	struct json_member *member;

	ASSERT(json_is(object, JSON_OBJECT) && value);
	member = find(object, key);
	if (member)
		member->value = value;
	else
		json_add_span(arena, object, key, value);
	return value;
}

void json_sort(struct json *value)
{
	if (json_is(value, JSON_OBJECT) && json_count(value)) {
		qsort(value->as.list.members, json_count(value), sizeof(struct json_member), by_key);
		value->sorted = true;
	}
	JSON_EACH(member, value)
		json_sort(member->value);
}

struct json *json_set(struct arena *arena, struct json *object, const char *key, struct json *value)
{
	return json_set_span(arena, object, span_of(key), value);
}

void json_set_string(struct arena *arena, struct json *object, const char *key, const char *value)
{
	json_set(arena, object, key, json_string(arena, value));
}

void json_set_int(struct arena *arena, struct json *object, const char *key, int64_t value)
{
	json_set(arena, object, key, json_int(arena, value));
}

void json_set_bool(struct arena *arena, struct json *object, const char *key, bool value)
{
	json_set(arena, object, key, json_bool(arena, value));
}

struct json *json_append(struct arena *arena, struct json *array, struct json *value)
{
	ASSERT(json_is(array, JSON_ARRAY) && value);
	add_member(arena, array)->value = value;
	return value;
}

void json_append_string(struct arena *arena, struct json *array, const char *value)
{
	json_append(arena, array, json_string(arena, value));
}

void json_remove_at(struct json *list, size_t index)
{
	struct json_member *members = list->as.list.members;

	ASSERT(index < json_count(list));
	memmove(members + index, members + index + 1, (list->as.list.count - index - 1) * sizeof(*members));
	list->as.list.count--;
}

void json_remove(struct json *object, const char *key)
{
	struct json_member *member = find(object, span_of(key));

	if (member)
		json_remove_at(object, (size_t)(member - object->as.list.members));
}

struct json *json_ensure_object(struct arena *arena, struct json *object, const char *key)
{
	struct json *value = json_get(object, key);

	if (!value || value->type == JSON_NULL)
		return json_set(arena, object, key, json_object(arena));
	return value->type == JSON_OBJECT ? value : NULL;
}

struct json *json_get_span(const struct json *object, struct span key)
{
	struct json_member *member = find(object, key);

	return member ? member->value : NULL;
}

struct json *json_path(const struct json *object, ...)
{
	const struct json *at = object;
	const char *key;
	va_list keys;

	va_start(keys, object);
	while (at && (key = va_arg(keys, const char *)) != NULL)
		at = json_get(at, key);
	va_end(keys);
	return (struct json *)(uintptr_t)at;
}

struct json *json_at(const struct json *array, size_t index)
{
	return json_is(array, JSON_ARRAY) && index < json_count(array) ? array->as.list.members[index].value : NULL;
}

size_t json_count(const struct json *list)
{
	return json_is(list, JSON_ARRAY) || json_is(list, JSON_OBJECT) ? list->as.list.count : 0;
}

struct json_member *json_first_(const struct json *list)
{
	static struct json_member none;

	/* never NULL: JSON_EACH adds the count to it, and NULL + 0 is undefined in C17 */
	return json_count(list) ? list->as.list.members : &none;
}

bool json_is(const struct json *value, enum json_type type)
{
	return value && value->type == type;
}

struct span json_text_span(const struct json *value)
{
	return json_is(value, JSON_STRING) ? value->as.text : SPAN0;
}

const char *json_text(const struct json *value)
{
	return json_is(value, JSON_STRING) ? value->as.text.data : NULL;
}

const char *json_get_text(const struct json *object, const char *key)
{
	return json_text(json_get(object, key));
}

bool json_get_bool(const struct json *object, const char *key, bool otherwise)
{
	const struct json *value = json_get(object, key);

	return json_is(value, JSON_BOOL) ? value->as.boolean : otherwise;
}

int64_t json_get_int(const struct json *object, const char *key, int64_t otherwise)
{
	const struct json *value = json_get(object, key);

	return json_is(value, JSON_INT) ? value->as.i : otherwise;
}

static bool is_number(const struct json *value)
{
	return value->type == JSON_INT || value->type == JSON_UINT || value->type == JSON_NUMBER;
}

static double to_double(const struct json *value)
{
	if (value->type == JSON_INT)
		return (double)value->as.i;
	return value->type == JSON_UINT ? (double)value->as.u : strtod(value->as.text.data, NULL);
}

static bool equal_number(const struct json *a, const struct json *b)
{
	if (a->type == JSON_INT && b->type == JSON_INT)
		return a->as.i == b->as.i;
	if (a->type == JSON_UINT && b->type == JSON_UINT)
		return a->as.u == b->as.u;
	if (a->type != JSON_NUMBER && b->type != JSON_NUMBER)
		return false;
	return to_double(a) == to_double(b);
}

static bool equal_list(const struct json *a, const struct json *b)
{
	if (a->as.list.count != b->as.list.count)
		return false;
	for (uint32_t i = 0; i < a->as.list.count; i++) {
		const struct json_member *member = &a->as.list.members[i], *other = &b->as.list.members[i];
		/* mostly both are in one order */
		const struct json *match = a->type == JSON_ARRAY || span_equal(member->key, other->key) ? other->value
													 : json_get_span(b, member->key);

		if (!match || !json_equal(member->value, match))
			return false;
	}
	return true;
}

bool json_equal(const struct json *a, const struct json *b)
{
	if (!a || !b)
		return a == b;
	if (is_number(a) && is_number(b))
		return equal_number(a, b);
	if (a->type != b->type)
		return false;
	switch (a->type) {
	case JSON_BOOL: return a->as.boolean == b->as.boolean;
	case JSON_STRING: return span_equal(a->as.text, b->as.text);
	case JSON_ARRAY:
	case JSON_OBJECT: return equal_list(a, b);
	default: return true;
	}
}

const char *json_type_name(const struct json *value)
{
	static const char *const names[] = { "absent", "null", "bool", "number", "number", "number", "string", "array", "object" };

	return names[value ? value->type : 0];
}

void json_pointer_add(struct str *pointer, struct span token)
{
	size_t plain = 0;

	str_addc(pointer, '/');
	for (size_t i = 0; i < token.length; i++) {
		if (token.data[i] != '~' && token.data[i] != '/')
			continue;
		str_add(pointer, span_sub(token, plain, i - plain));
		str_adds(pointer, token.data[i] == '~' ? "~0" : "~1");
		plain = i + 1;
	}
	str_add(pointer, span_from(token, plain));
}

void json_pointer_add_index(struct str *pointer, size_t index)
{
	str_addc(pointer, '/');
	str_addu(pointer, index);
}

/* RFC 6901 section 4: ~1 first, then ~0; any other ~ is no pointer. */
static bool unescape(struct span token, struct str *out)
{
	for (size_t i = 0; i < token.length; i++) {
		if (token.data[i] != '~') {
			str_addc(out, token.data[i]);
			continue;
		}
		if (++i >= token.length || (token.data[i] != '0' && token.data[i] != '1'))
			return false;
		str_addc(out, token.data[i] == '1' ? '/' : '~');
	}
	return true;
}

struct json *json_pointer(const struct json *root, struct span pointer)
{
	CLEANUP(str_release) struct str token = STR_INIT;
	const struct json *at = root;

	if (!pointer.length)
		return (struct json *)(uintptr_t)at;
	if (pointer.data[0] != '/')
		return NULL;
	pointer = span_from(pointer, 1);
	while (at && pointer.data) {
		int64_t index;

		str_reset(&token);
		if (!unescape(span_cut(&pointer, '/'), &token))
			return NULL;
		if (json_is(at, JSON_ARRAY))
			at = span_to_int64(str_span(&token), &index) ? json_at(at, (size_t)index) : NULL;
		else
			at = json_get_span(at, str_span(&token));
	}
	return (struct json *)(uintptr_t)at;
}
