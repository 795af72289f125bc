/* Spans and growing strings; see str.h. */
#include "base/str.h"

#include <stdio.h>

#include "base/error.h"

struct span span_make(const void *data, size_t length)
{
	return (struct span){ data, length };
}

int span_compare(struct span a, struct span b)
{
	size_t common = a.length < b.length ? a.length : b.length;
	int order = common ? memcmp(a.data, b.data, common) : 0;

	return order ? order : (a.length > b.length) - (a.length < b.length);
}

bool span_starts(struct span s, const char *prefix)
{
	size_t length = strlen(prefix);

	return s.length >= length && (!length || memcmp(s.data, prefix, length) == 0);
}

bool span_ends(struct span s, const char *suffix)
{
	size_t length = strlen(suffix);

	return s.length >= length && (!length || memcmp(s.data + s.length - length, suffix, length) == 0);
}

ptrdiff_t span_index(struct span s, char c)
{
	const char *found = s.length ? memchr(s.data, c, s.length) : NULL;

	return found ? found - s.data : -1;
}

ptrdiff_t span_rindex(struct span s, char c)
{
	const char *found = s.length ? memrchr(s.data, c, s.length) : NULL;

	return found ? found - s.data : -1;
}

struct span span_sub(struct span s, size_t from, size_t length)
{
	if (from > s.length)
		from = s.length;
	if (length > s.length - from)
		length = s.length - from;
	return (struct span){ s.data ? s.data + from : NULL, length };
}

struct span span_from(struct span s, size_t from)
{
	return span_sub(s, from, s.length);
}

struct span span_cut(struct span *rest, char separator)
{
	struct span all = *rest;
	ptrdiff_t at = span_index(all, separator);

	if (at < 0) {
		*rest = SPAN0;
		return all;
	}
	*rest = span_from(all, (size_t)at + 1);
	return span_sub(all, 0, (size_t)at);
}

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

struct span span_trim(struct span s)
{
	while (s.length && is_space(s.data[0]))
		s = span_from(s, 1);
	while (s.length && is_space(s.data[s.length - 1]))
		s.length--;
	return s;
}

bool span_has_nul(struct span s)
{
	return span_index(s, '\0') >= 0;
}

bool span_to_int64(struct span s, int64_t *out)
{
	int64_t value = 0;

	if (s.length < 1 || s.length > 18)
		return false;
	for (size_t i = 0; i < s.length; i++) {
		if (s.data[i] < '0' || s.data[i] > '9')
			return false;
		value = value * 10 + (s.data[i] - '0');
	}
	*out = value;
	return true;
}

void str_release(struct str *s)
{
	free(s->data);
	*s = (struct str)STR_LIMIT(s->limit);
}

void str_reset(struct str *s)
{
	s->length = 0;
	s->overflow = false;
	if (s->data)
		s->data[0] = '\0';
}

char *str_make_room_(struct str *s, size_t extra)
{
	size_t limit = s->limit ? s->limit : STR_LIMIT_DEFAULT, capacity = s->capacity ? s->capacity : 256;

	if (extra > limit || s->length > limit - extra) {
		s->overflow = true;
		return NULL;
	}
	while (capacity <= s->length + extra)
		capacity *= 2;
	s->data = mem_realloc(s->data, capacity);
	s->capacity = capacity;
	s->data[s->length] = '\0';
	return s->data + s->length;
}

void str_add(struct str *s, struct span bytes)
{
	char *room = str_reserve(s, bytes.length);

	if (!room)
		return;
	if (bytes.length)
		memcpy(room, bytes.data, bytes.length);
	str_grew(s, bytes.length);
}

void str_adds(struct str *s, const char *string)
{
	str_add(s, span_of(string));
}

void str_addc(struct str *s, char c)
{
	char *room = str_reserve(s, 1);

	if (!room)
		return;
	*room = c;
	str_grew(s, 1);
}

void str_addu(struct str *s, uint64_t number)
{
	char digits[20], *at = digits + sizeof(digits);

	do
		*--at = (char)('0' + number % 10);
	while (number /= 10);
	str_add(s, span_make(at, (size_t)(digits + sizeof(digits) - at)));
}

void str_vaddf(struct str *s, const char *format, va_list args)
{
	size_t free_bytes = s->data ? s->capacity - s->length : 0;
	va_list again;
	char *room;
	int length;

	/* most often it fits: then it is formatted once */
	va_copy(again, args);
	length = vsnprintf(free_bytes ? s->data + s->length : NULL, free_bytes, format, again);
	va_end(again);
	ASSERT(length >= 0);
	room = str_reserve(s, (size_t)length);
	if (!room) {
		if (free_bytes)
			s->data[s->length] = '\0';
		return;
	}
	if ((size_t)length >= free_bytes)
		vsnprintf(room, (size_t)length + 1, format, args);
	str_grew(s, (size_t)length);
}

void str_addf(struct str *s, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	str_vaddf(s, format, args);
	va_end(args);
}

void str_add_one_line(struct str *s, struct span text)
{
	size_t from = s->length;

	while (text.length) {
		struct span line = span_trim(span_cut(&text, '\n'));

		if (!line.length)
			continue;
		if (s->length > from)
			str_adds(s, memchr(":;,.", s->data[s->length - 1], 4) ? " " : "; ");
		str_add(s, line);
	}
}

struct span str_span(const struct str *s)
{
	return (struct span){ s->data ? s->data : "", s->length };
}

const char *str_c(const struct str *s)
{
	return s->data ? s->data : "";
}

char *str_take(struct str *s)
{
	char *data = s->data ? s->data : mem_strdup("");

	s->data = NULL;
	str_release(s);
	return data;
}

void str_drop_to(struct str *s, size_t length)
{
	ASSERT(length <= s->length);
	s->length = length;
	if (s->data)
		s->data[length] = '\0';
}

void str_drop(struct str *s, size_t count)
{
	ASSERT(count <= s->length);
	if (!count)
		return;
	memmove(s->data, s->data + count, s->length - count);
	s->length -= count;
	s->data[s->length] = '\0';
}
