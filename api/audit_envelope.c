/*
 * One pass over a canonical record; see audit.h. Verifying a log is reading
 * every record of it, so this builds nothing and skips what is plain in blocks.
 */
#include <string.h>

#include "api/audit.h"
#include "base/encode.h"
#include "base/json_plain.h"
#include "base/sixteen.h"

/* The envelope's members, in the order of their bits. */
enum { HAS_V = 1, HAS_ID = 2, HAS_SEQ = 4, HAS_T = 8, HAS_BOOT = 16, HAS_KIND = 32, HAS_OUTCOME = 64, HAS_VER = 128, HAS_ALL = 255 };

/* What audit_clean lets through is one level less deep than this. */
#define DEPTH_MAX (AUDIT_DEPTH + 1)

struct scan {
	const char *start, *end;
	const char *block;      /* of up to 64 bytes, in which `marks` says what is not plain; past its end all bits are set */
	uint64_t marks;
	const char *wrong;      /* where it is not canonical */
	struct audit_envelope *out;
	struct error *err;
	const char *escape;     /* the last one that was seen */
	unsigned has;
	bool high;              /* a byte over 0x7f was seen: the encoding is to be checked */
};

/*
 * What scans takes the place where something begins and returns the place behind it, or NULL when it is not canonical. The place
 * goes from hand to hand, not through `struct scan`, so that it stays in a register.
 *
 * It is never the end, so that the byte there may be looked at: the last byte of the line is a '}', seen to before, which nothing
 * but an object ends with, and none but the outermost may end there (scan_inner).
 */
static __attribute__((cold, noinline)) void tell(struct scan *scan, const char *at, const char *what)
{
	scan->wrong = at;
	error_set(scan->err, ERROR_INVALID, "BadRecord", "byte %zu: %s", (size_t)(at - scan->start), what);
}

static inline const char *bad(struct scan *scan, const char *at, const char *what)
{
	tell(scan, at, what);
	return NULL;
}

/* RFC 8259 section 7 as json_write does it: short forms where there are any, \u00xx in lower case for the other controls. */
static const char *scan_escape(struct scan *scan, const char *at)
{
	static const char hex[] = "0123456789abcdef";
	char c = at + 1 < scan->end ? at[1] : '\0';
	const char *digit;
	unsigned value;

	if (c && strchr("\"\\bfnrt", c))
		return at + 2;
	if (c != 'u' || scan->end - at < 6 || memcmp(at, "\\u00", 4) != 0 || (at[4] != '0' && at[4] != '1'))
		return bad(scan, at, "an escape that canonical JSON does not have");
	digit = at[5] ? strchr(hex, at[5]) : NULL;
	if (!digit)
		return bad(scan, at, "an escape that canonical JSON does not have");
	value = (unsigned)(at[4] - '0') * 16 + (unsigned)(digit - hex);
	if (value == 8 || value == 9 || value == 10 || value == 12 || value == 13)
		return bad(scan, at, "a character that has a shorter escape");
	return at + 6;
}

/* Looks at the block that begins at `at`, before the end. Past the end, all is marked. */
static void look_at(struct scan *scan, const char *at)
{
	size_t left = (size_t)(scan->end - at);

	scan->block = at;
	scan->marks = ~0ull;
	if (left >= 64)
		scan->marks = json_marks64(at);
	else if (scan->end - scan->start >= 64)
		scan->marks = json_marks64(scan->end - 64) >> (64 - left) | ~0ull << left;
	else
		for (size_t i = 0; i < left; i++)
			scan->marks ^= (uint64_t)json_is_plain(at[i]) << i;
}

/* The same from behind the block on. */
static __attribute__((noinline)) const char *find_farther(struct scan *scan, const char *at)
{
	for (; at < scan->end; at += 64) {
		look_at(scan, at);
		if (scan->marks)
			return at + __builtin_ctzll(scan->marks);
	}
	return scan->end;
}

/* The first byte from `at` on that is not plain; the end when there is none. */
static inline const char *find_mark(struct scan *scan, const char *at)
{
	size_t offset = (size_t)(at - scan->block);
	uint64_t marks = offset < 64 ? scan->marks >> offset : 0;

	return marks ? at + __builtin_ctzll(marks) : find_farther(scan, offset < 64 ? scan->block + 64 : at);
}

/* The closing quote of a string with bytes that are not plain, from the first of them on. */
static __attribute__((noinline)) const char *find_quote(struct scan *scan, const char *at)
{
	for (;; at = find_mark(scan, at)) {
		if (at >= scan->end)
			return bad(scan, at, "the string does not end");
		if (*at == '"')
			return at;
		if ((uint8_t)*at < 0x20)
			return bad(scan, at, "a control character that is not escaped");
		if (*at == '\\')
			scan->escape = at;
		else
			scan->high = true;
		at = *at == '\\' ? scan_escape(scan, at) : at + 1;
		if (!at)
			return NULL;
	}
}

/* A string; *text is what stands between its quotes, escapes and all. */
static inline const char *scan_string(struct scan *scan, const char *at, struct span *text)
{
	const char *to;

	if (*at != '"')
		return bad(scan, at, "a string was expected");
	to = find_mark(scan, at + 1);
	if (to >= scan->end || *to != '"')
		to = find_quote(scan, to);
	if (!to)
		return NULL;
	*text = (struct span){ at + 1, (size_t)(to - (at + 1)) };
	return to + 1;
}

/* An integer without sign, or with one: no leading zero, no fraction, no exponent. */
static const char *scan_integer(struct scan *scan, const char *at, uint64_t *out)
{
	bool negative = *at == '-';
	const char *from = at + negative;
	uint64_t value = 0;

	for (at = from; *at >= '0' && *at <= '9'; at++)
		if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value))
			return bad(scan, at, "an integer beyond 64 bits");
	if (at == from || (*from == '0' && (at > from + 1 || negative)))
		return bad(scan, at, "not an integer as canonical JSON writes it");
	if (*at == '.' || *at == 'e' || *at == 'E')
		return bad(scan, at, "a number that is no integer");
	*out = value;
	return at;
}

static const char *scan_word(struct scan *scan, const char *at, const char *word)
{
	size_t length = strlen(word);

	if ((size_t)(scan->end - at) < length || memcmp(at, word, length) != 0)
		return bad(scan, at, "not a JSON value");
	return at + length;
}

/* The next byte of a key with its escapes undone; -1 at its end. */
static int key_byte(struct span *key)
{
	static const char shorts[] = "b\bf\fn\nr\rt\t\"\"\\\\";
	int c;

	if (!key->length)
		return -1;
	c = (uint8_t)key->data[0];
	if (c != '\\') {
		*key = span_from(*key, 1);
		return c;
	}
	if (key->data[1] == 'u') {
		int low = key->data[5];

		c = (key->data[4] - '0') * 16 + (low <= '9' ? low - '0' : low - 'a' + 10);
		*key = span_from(*key, 6);
		return c;
	}
	for (const char *p = shorts; *p; p += 2)
		if (*p == key->data[1])
			c = p[1];
	*key = span_from(*key, 2);
	return c;
}

static __attribute__((noinline)) bool alike_keys_rise(struct span before, struct span after, bool escaped)
{
	int a, b;

	if (!escaped)
		return span_compare(before, after) < 0;
	do {
		a = key_byte(&before);
		b = key_byte(&after);
	} while (a == b && a >= 0);
	return a < b;
}

/* Keys stand in byte order; equal ones would be two members of one name. */
static inline bool keys_rise(struct span before, struct span after, bool escaped)
{
	/* behind an empty one stands its quote */
	if (before.data[0] == after.data[0] || escaped || !before.length || !after.length)
		return alike_keys_rise(before, after, escaped);
	return (uint8_t)before.data[0] < (uint8_t)after.data[0];
}

typedef const char *scan_member(struct scan *scan, const char *at, struct span key, unsigned depth);

/* Made anew for each kind of object, whose members are then scanned without a call through a pointer. */
static inline __attribute__((always_inline)) const char *scan_members(struct scan *scan, const char *at, unsigned depth,
								      scan_member *member)
{
	struct span key, before = SPAN0;
	bool escaped = false;

	if (*++at == '}')
		return at + 1;
	for (;; at++) {
		const char *key_at = at;

		at = scan_string(scan, at, &key);
		if (!at)
			return NULL;
		escaped |= scan->escape >= key.data;
		if (before.data && !keys_rise(before, key, escaped))
			return bad(scan, key_at, "keys that are not sorted, or one that stands twice");
		before = key;
		if (*at != ':')
			return bad(scan, at, "':' was expected");
		at = member(scan, at + 1, key, depth);
		if (!at)
			return NULL;
		if (*at == '}')
			return at + 1;
		if (*at != ',')
			return bad(scan, at, "',' or '}' was expected");
	}
}

static const char *scan_value(struct scan *scan, const char *at, unsigned depth);

static inline const char *inner_member(struct scan *scan, const char *at, struct span key, unsigned depth)
{
	struct span text;

	(void)key;
	/* most values are texts */
	return *at == '"' && depth <= DEPTH_MAX ? scan_string(scan, at, &text) : scan_value(scan, at, depth);
}

/* Behind an object within another, of which the end is still to come. */
static inline const char *scan_inner(struct scan *scan, const char *at)
{
	return at == scan->end ? bad(scan, at, "',' or '}' was expected") : at;
}

static const char *scan_array(struct scan *scan, const char *at, unsigned depth)
{
	if (*++at == ']')
		return at + 1;
	for (;; at++) {
		at = scan_value(scan, at, depth);
		if (!at)
			return NULL;
		if (*at == ']')
			return at + 1;
		if (*at != ',')
			return bad(scan, at, "',' or ']' was expected");
	}
}

static const char *scan_value(struct scan *scan, const char *at, unsigned depth)
{
	struct span text;
	uint64_t number;

	if (depth > DEPTH_MAX)
		return bad(scan, at, "nested too deeply");
	switch (*at) {
	case '"':
		return scan_string(scan, at, &text);
	case '{':
		return scan_inner(scan, scan_members(scan, at, depth + 1, inner_member));
	case '[':
		return scan_array(scan, at, depth + 1);
	case 't':
		return scan_word(scan, at, "true");
	case 'f':
		return scan_word(scan, at, "false");
	case 'n':
		return scan_word(scan, at, "null");
	default:
		return scan_integer(scan, at, &number);
	}
}

static bool in_range(const char *two, int low, int high)
{
	int value = (two[0] - '0') * 10 + (two[1] - '0');

	return value >= low && value <= high;
}

/* "2026-01-02T03:04:05.123456789Z", the one form that the log writes. */
static bool is_time(struct span t)
{
	static const char form[] = "0000-00-00T00:00:00.000000000Z", more[] = "\x9\x9\x9\x9\0\x9\x9\0\x9\x9\0\x9\x9\0\x9\x9\0\x9\x9\0"
										"\x9\x9\x9\x9\x9\x9\x9\x9\x9";
	const size_t second = sizeof(form) - 1 - 16;

	if (t.length != sizeof(form) - 1 || !sixteen_within(t.data, form, more) ||
	    !sixteen_within(t.data + second, form + second, more + second))
		return false;
	return in_range(t.data, 19, 99) && in_range(t.data + 5, 1, 12) && in_range(t.data + 8, 1, 31) &&
	       in_range(t.data + 11, 0, 23) && in_range(t.data + 14, 0, 59) && in_range(t.data + 17, 0, 60);
}

/* RFC 9562 section 5.7: a UUID of version 7, in lower case. */
static bool read_uuid7(struct span text, uint8_t out[16])
{
	return uuid_parse(text, out) && (out[6] & 0xf0) == 0x70 && (out[8] & 0xc0) == 0x80;
}

/* `length` is a multiple of 16. */
static bool is_hex(struct span text, size_t length)
{
	uint8_t bytes[8];

	if (text.length != length)
		return false;
	for (size_t i = 0; i < length; i += 16)
		if (!sixteen_hex(text.data + i, bytes))
			return false;
	return true;
}

/* body: {"fields":[...],"sha256":"...","size":N} */
static inline const char *body_member(struct scan *scan, const char *at, struct span key, unsigned depth)
{
	if (!span_is(key, "sha256"))
		return scan_value(scan, at, depth);
	at = scan_string(scan, at, &scan->out->body);
	return !at || is_hex(scan->out->body, 64) ? at : bad(scan, at, "a body's sha256 that is not 64 hex digits");
}

static const char *number_member(struct scan *scan, const char *at, uint64_t *out)
{
	if (*at == '-')
		return bad(scan, at, "an integer of 0 or more was expected");
	return scan_integer(scan, at, out);
}

/* What is wrong with a text member of the envelope, or NULL. */
static const char *check_text(struct audit_envelope *out, unsigned bit, struct span text)
{
	switch (bit) {
	case HAS_ID:
		out->id = text;
		return read_uuid7(text, out->id_bytes) ? NULL : "an id that is no UUIDv7";
	case HAS_T:
		out->t = text;
		return is_time(text) ? NULL : "a t that is no time as the log writes it";
	case HAS_BOOT:
		out->boot = text;
		return is_hex(text, 32) ? NULL : "a boot that is not 32 hex digits";
	case HAS_KIND:
		return audit_kind_parse(text, &out->kind) ? NULL : "a kind that is not known";
	case HAS_OUTCOME:
		return audit_outcome_parse(text, &out->outcome) ? NULL : "an outcome that is not known";
	default:
		return text.length ? NULL : "an empty ver";
	}
}

static const char *text_member(struct scan *scan, const char *at, unsigned bit)
{
	const char *from = at, *wrong;
	struct span text;

	at = scan_string(scan, at, &text);
	if (!at)
		return NULL;
	wrong = check_text(scan->out, bit, text);
	return wrong ? bad(scan, from, wrong) : at;
}

static bool key_is(struct span key, const char *name, size_t length)
{
	return key.length == length && !memcmp(key.data, name, length);
}

/* Which member of the envelope the key is; 0: none. By its first letter, since every key of every record comes by here. */
static unsigned envelope_bit(struct span key)
{
	switch (key.length ? key.data[0] : '\0') {
	case 'b':
		return key_is(key, "boot", 4) ? HAS_BOOT : 0;
	case 'i':
		return key_is(key, "id", 2) ? HAS_ID : 0;
	case 'k':
		return key_is(key, "kind", 4) ? HAS_KIND : 0;
	case 'o':
		return key_is(key, "outcome", 7) ? HAS_OUTCOME : 0;
	case 's':
		return key_is(key, "seq", 3) ? HAS_SEQ : 0;
	case 't':
		return key_is(key, "t", 1) ? HAS_T : 0;
	case 'v':
		return key_is(key, "ver", 3) ? HAS_VER : key_is(key, "v", 1) ? HAS_V : 0;
	default:
		return 0;
	}
}

static const char *version_member(struct scan *scan, const char *at)
{
	uint64_t version;

	at = number_member(scan, at, &version);
	return !at || version == 1 ? at : bad(scan, at, "a version (v) that is not 1");
}

static inline const char *outer_member(struct scan *scan, const char *at, struct span key, unsigned depth)
{
	unsigned bit = envelope_bit(key);

	scan->has |= bit;
	if (bit == HAS_SEQ)
		return number_member(scan, at, &scan->out->seq);
	if (bit == HAS_V)
		return version_member(scan, at);
	if (bit)
		return text_member(scan, at, bit);
	if (key_is(key, "intent", 6)) {
		scan->out->has_intent = true;
		return number_member(scan, at, &scan->out->intent);
	}
	if (key_is(key, "app", 3) && *at == '"')
		return scan_string(scan, at, &scan->out->app);
	if (key_is(key, "body", 4) && *at == '{')
		return scan_inner(scan, scan_members(scan, at, depth + 1, body_member));
	return scan_value(scan, at, depth);
}

static const char *scan_record(struct scan *scan)
{
	const char *at = scan->start;

	if (at == scan->end || *at != '{')
		return bad(scan, at, "not a JSON object");
	if (scan->end[-1] != '}')
		return bad(scan, scan->end - 1, "the object does not end here");
	look_at(scan, at);
	at = scan_members(scan, at, 1, outer_member);
	if (!at)
		return NULL;
	if (at != scan->end)
		return bad(scan, at, "bytes behind the record");
	if (scan->has != HAS_ALL)
		return bad(scan, scan->start, "not all of v, id, seq, t, boot, kind, outcome and ver are there");
	if (scan->high && !utf8_valid(span_make(scan->start, (size_t)(scan->end - scan->start))))
		return bad(scan, scan->start, "it is not UTF-8");
	return at;
}

int audit_envelope_read(struct span line, struct audit_envelope *out, size_t *at, struct error *err)
{
	struct audit_envelope envelope = { 0 };
	struct scan scan = { .start = line.data, .end = line.data + line.length, .out = &envelope, .err = err };

	if (scan_record(&scan)) {
		*out = envelope;
		return 0;
	}
	if (at)
		*at = (size_t)(scan.wrong - scan.start);
	return -1;
}
