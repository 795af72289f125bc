/*
 * JSON as text: read by yyjson, written here. The text is copied into the
 * arena once, and the strings of the tree are pieces of that copy.
 */
#include <stdlib.h>

#include <yyjson.h>

#include "base/json.h"
#include "base/json_plain.h"
#include "base/limits.h"
#include "base/map.h"

#define FEW_MEMBERS 24

struct reader {
	struct arena *arena;
	unsigned depth_max;
	struct error *err;
};

static int convert(struct reader *reader, yyjson_val *from, unsigned depth, struct json **out);

/* As the API server writes it; then no key stands twice. */
static bool is_in_order(const struct json *object)
{
	const struct json_member *members = object->as.list.members;

	for (size_t i = 1; i < json_count(object); i++)
		if (span_compare(members[i - 1].key, members[i].key) >= 0)
			return false;
	return true;
}

/* A large object is checked through a map, so that 10^5 keys cost no 10^10 comparisons. */
static int check_duplicates(struct reader *reader, const struct json *object)
{
	CLEANUP(map_release) struct map seen = MAP_INIT;

	JSON_EACH(member, object)
		if (map_set(&seen, member->key, member))
			return error_set(reader->err, ERROR_INVALID, "DuplicateKey", "key \"%.*s\" stands twice in one object",
					 SPAN_ARG(span_sub(member->key, 0, 80)));
	return 0;
}

static int convert_object(struct reader *reader, yyjson_val *from, unsigned depth, struct json *to)
{
	struct json_member *member = to->as.list.members;
	yyjson_obj_iter each = yyjson_obj_iter_with(from);
	yyjson_val *key;

	for (; (key = yyjson_obj_iter_next(&each)) != NULL; member++) {
		member->key = span_make(yyjson_get_str(key), yyjson_get_len(key));
		if (convert(reader, yyjson_obj_iter_get_val(key), depth, &member->value))
			return -1;
	}
	if (json_count(to) > JSON_LINEAR_KEYS) {
		to->sorted = is_in_order(to);
		return to->sorted ? 0 : check_duplicates(reader, to);
	}
	JSON_EACH(a, to)
		for (struct json_member *b = to->as.list.members; b < a; b++)
			if (span_equal(a->key, b->key))
				return error_set(reader->err, ERROR_INVALID, "DuplicateKey",
						 "key \"%.*s\" stands twice in one object",
						 SPAN_ARG(span_sub(a->key, 0, 80)));
	return 0;
}

static int convert_list(struct reader *reader, yyjson_val *from, unsigned depth, struct json *to)
{
	struct json_member *member;
	yyjson_arr_iter each;
	yyjson_val *item;

	if (depth >= reader->depth_max)
		return error_set(reader->err, ERROR_LIMIT, "TooDeep", "nested deeper than %u", reader->depth_max);
	to->as.list.count = to->as.list.capacity = (uint32_t)yyjson_get_len(from);
	to->as.list.members = arena_calloc(reader->arena, to->as.list.count, sizeof(*member));
	if (to->type == JSON_OBJECT)
		return convert_object(reader, from, depth + 1, to);
	member = to->as.list.members;
	each = yyjson_arr_iter_with(from);
	for (; (item = yyjson_arr_iter_next(&each)) != NULL; member++)
		if (convert(reader, item, depth + 1, &member->value))
			return -1;
	return 0;
}

/* Numbers arrive as their own text; what fits into 64 bits becomes an integer. */
static void convert_number(struct span text, struct json *to)
{
	bool negative = text.length && text.data[0] == '-';
	struct span digits = span_from(text, negative);
	uint64_t value = 0;

	for (size_t i = 0; i < digits.length; i++) {
		unsigned digit = (unsigned)(digits.data[i] - '0');

		if (digit > 9 || __builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, digit, &value))
			goto keep;
	}
	if (negative && value <= (uint64_t)INT64_MAX + 1 && value) {
		to->type = JSON_INT;
		to->as.i = (int64_t)(0 - value);
		return;
	}
	if (!negative) {
		to->type = value <= INT64_MAX ? JSON_INT : JSON_UINT;
		to->as.u = value;
		return;
	}
keep:
	to->type = JSON_NUMBER;
	to->as.text = text;
}

static int convert(struct reader *reader, yyjson_val *from, unsigned depth, struct json **out)
{
	struct json *to = ARENA_NEW(reader->arena, struct json);

	switch (yyjson_get_type(from)) {
	case YYJSON_TYPE_NULL:
		to->type = JSON_NULL;
		break;
	case YYJSON_TYPE_BOOL:
		to->type = JSON_BOOL;
		to->as.boolean = yyjson_get_bool(from);
		break;
	case YYJSON_TYPE_STR:
		to->type = JSON_STRING;
		to->as.text = span_make(yyjson_get_str(from), yyjson_get_len(from));
		break;
	case YYJSON_TYPE_RAW:
		convert_number(span_make(yyjson_get_raw(from), yyjson_get_len(from)), to);
		break;
	case YYJSON_TYPE_ARR:
	case YYJSON_TYPE_OBJ:
		to->type = yyjson_is_arr(from) ? JSON_ARRAY : JSON_OBJECT;
		if (convert_list(reader, from, depth, to))
			return -1;
		break;
	default:
		return error_set(reader->err, ERROR_INVALID, "BadJSON", "a value of no JSON type");
	}
	*out = to;
	return 0;
}

static void free_document(yyjson_doc **document)
{
	yyjson_doc_free(*document);
}

int json_parse(struct span text, struct arena *arena, unsigned depth_max, struct json **out, struct error *err)
{
	struct reader reader = { arena, depth_max ? depth_max : LIMIT_JSON_DEPTH, err };
	CLEANUP(free_document) yyjson_doc *document = NULL;
	yyjson_read_err bad;
	char *copy;

	if (text.length > LIMIT_JSON_BYTES)
		return error_set(err, ERROR_LIMIT, "TooLarge", "JSON of %zu bytes is over the limit of %u", text.length,
				 LIMIT_JSON_BYTES);
	copy = arena_alloc(arena, text.length + YYJSON_PADDING_SIZE);
	if (text.length)
		memcpy(copy, text.data, text.length);
	document = yyjson_read_opts(copy, text.length, YYJSON_READ_NUMBER_AS_RAW | YYJSON_READ_INSITU, NULL, &bad);
	if (!document)
		return error_set(err, ERROR_INVALID, "BadJSON", "%s at byte %zu", bad.msg ? bad.msg : "empty", bad.pos);
	return convert(&reader, yyjson_doc_get_root(document), 0, out);
}

/* Most texts need no escape, and are written in one piece. */
static bool write_plain(struct span text, char before, char after, struct str *out)
{
	size_t length = text.length + 2 + (before != '\0') + (after != '\0');
	char *room;

	if (!json_all_plain(text.data, text.length))
		return false;
	room = str_reserve(out, length);
	if (!room)
		return true;
	if (before)
		*room++ = before;
	*room++ = '"';
	if (text.length)
		memcpy(room, text.data, text.length);
	room += text.length;
	*room++ = '"';
	if (after)
		*room = after;
	str_grew(out, length);
	return true;
}

/* RFC 8259 section 7: the quotation mark, the reverse solidus and U+0000 to U+001F, nothing else. */
static void write_escaped(struct span text, struct str *out)
{
	size_t plain = 0;

	str_addc(out, '"');
	for (size_t i = 0; i < text.length; i++) {
		static const char shorts[] = "btn\0fr";
		uint8_t c = (uint8_t)text.data[i];

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		str_add(out, span_sub(text, plain, i - plain));
		plain = i + 1;
		if (c == '"' || c == '\\')
			str_add(out, span_make((const char[]){ '\\', (char)c }, 2));
		else if (c >= 8 && c <= 13 && c != 11)
			str_add(out, span_make((const char[]){ '\\', shorts[c - 8] }, 2));
		else
			str_addf(out, "\\u%04x", c);
	}
	str_add(out, span_from(text, plain));
	str_addc(out, '"');
}

/* With what stands before it and behind it; '\0': nothing. */
static void write_string(struct span text, char before, char after, struct str *out)
{
	if (write_plain(text, before, after, out))
		return;
	if (before)
		str_addc(out, before);
	write_escaped(text, out);
	if (after)
		str_addc(out, after);
}

static void newline(unsigned flags, unsigned depth, struct str *out)
{
	if (!(flags & JSON_PRETTY))
		return;
	str_addc(out, '\n');
	for (unsigned i = 0; i < depth; i++)
		str_adds(out, "  ");
}

static int by_key(const void *a, const void *b)
{
	const struct json_member *const *x = a, *const *y = b;

	return span_compare((*x)->key, (*y)->key);
}

/* Keys of one object mostly differ in their first byte; where they do not, and for an empty one, all is compared. */
static bool stands_behind(const struct json_member *a, const struct json_member *b)
{
	if (a->key.length && b->key.length && a->key.data[0] != b->key.data[0])
		return (uint8_t)a->key.data[0] > (uint8_t)b->key.data[0];
	return span_compare(a->key, b->key) > 0;
}

/* Few members, often in order already: insertion, without a call of qsort (which takes memory) for each object. */
static void sort_members(const struct json_member **members, size_t count)
{
	if (count > FEW_MEMBERS) {
		qsort(members, count, sizeof(*members), by_key);
		return;
	}
	for (size_t i = 1; i < count; i++) {
		const struct json_member *member = members[i];
		size_t at = i;

		for (; at && stands_behind(members[at - 1], member); at--)
			members[at] = members[at - 1];
		members[at] = member;
	}
}

static void write_value(const struct json *value, unsigned flags, unsigned depth, struct str *out);

/* `comma`: ',' unless it is the first. */
static void write_member(const struct json_member *member, bool keyed, char comma, unsigned flags, unsigned depth, struct str *out)
{
	bool pretty = flags & JSON_PRETTY;

	if (comma && (pretty || !keyed)) {
		str_addc(out, comma);
		comma = '\0';
	}
	newline(flags, depth, out);
	if (keyed)
		write_string(member->key, comma, ':', out);
	if (keyed && pretty)
		str_addc(out, ' ');
	write_value(member->value, flags, depth, out);
}

static void write_list(const struct json *list, unsigned flags, unsigned depth, struct str *out)
{
	bool keyed = list->type == JSON_OBJECT;
	size_t count = json_count(list);
	const struct json_member *few[FEW_MEMBERS], **sorted = NULL;
	CLEANUP(mem_cleanup) const struct json_member **many = NULL;

	str_addc(out, keyed ? '{' : '[');
	if (keyed && (flags & JSON_SORTED)) {
		sorted = few;
		if (count > FEW_MEMBERS)
			sorted = many = mem_calloc(count, sizeof(*many));
		for (size_t i = 0; i < count; i++)
			sorted[i] = &list->as.list.members[i];
		sort_members(sorted, count);
	}
	for (size_t i = 0; i < count; i++)
		write_member(sorted ? sorted[i] : &list->as.list.members[i], keyed, i ? ',' : '\0', flags, depth + 1, out);
	if (count)
		newline(flags, depth, out);
	str_addc(out, keyed ? '}' : ']');
}

static void write_value(const struct json *value, unsigned flags, unsigned depth, struct str *out)
{
	switch (value->type) {
	case JSON_BOOL:
		str_adds(out, value->as.boolean ? "true" : "false");
		return;
	case JSON_INT:
		if (value->as.i < 0)
			str_addc(out, '-');
		str_addu(out, value->as.i < 0 ? 0 - (uint64_t)value->as.i : (uint64_t)value->as.i);
		return;
	case JSON_UINT:
		str_addu(out, value->as.u);
		return;
	case JSON_NUMBER:
		str_add(out, value->as.text);
		return;
	case JSON_STRING:
		write_string(value->as.text, '\0', '\0', out);
		return;
	case JSON_ARRAY:
	case JSON_OBJECT:
		write_list(value, flags, depth, out);
		return;
	default:
		str_adds(out, "null");
	}
}

void json_write(const struct json *value, unsigned flags, struct str *out)
{
	write_value(value, flags, 0, out);
}
