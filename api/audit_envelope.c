/*
 * One pass over a canonical record; see audit.h. Verifying a log is reading
 * every record of it, so this builds nothing and skips what is plain in blocks.
 */
#include <string.h>

#include "api/audit.h"
#include "base/encode.h"
#include "base/json_plain.h"

/* The envelope's members, in the order of their bits. */
enum { HAS_V = 1, HAS_ID = 2, HAS_SEQ = 4, HAS_T = 8, HAS_BOOT = 16, HAS_KIND = 32, HAS_OUTCOME = 64, HAS_VER = 128, HAS_ALL = 255 };

struct scan {
	const char *start, *at, *end;
	struct audit_envelope *out;
	unsigned has;
	struct error *err;
	bool high;              /* a byte over 0x7f was seen: the encoding is to be checked */
	bool escaped;           /* the last string has an escape */
};

static int bad(struct scan *scan, const char *what)
{
	return error_set(scan->err, ERROR_INVALID, "BadRecord", "byte %zu: %s", (size_t)(scan->at - scan->start), what);
}

static int expect(struct scan *scan, char c, const char *what)
{
	if (scan->at >= scan->end || *scan->at != c)
		return bad(scan, what);
	scan->at++;
	return 0;
}

/* RFC 8259 section 7 as json_write does it: short forms where there are any, \u00xx in lower case for the other controls. */
static int scan_escape(struct scan *scan)
{
	static const char hex[] = "0123456789abcdef";
	char c = scan->at + 1 < scan->end ? scan->at[1] : '\0';
	const char *digit;
	unsigned value;

	if (c && strchr("\"\\bfnrt", c)) {
		scan->at += 2;
		return 0;
	}
	if (c != 'u' || scan->end - scan->at < 6 || memcmp(scan->at, "\\u00", 4) != 0 || (scan->at[4] != '0' && scan->at[4] != '1'))
		return bad(scan, "an escape that canonical JSON does not have");
	digit = scan->at[5] ? strchr(hex, scan->at[5]) : NULL;
	if (!digit)
		return bad(scan, "an escape that canonical JSON does not have");
	value = (unsigned)(scan->at[4] - '0') * 16 + (unsigned)(digit - hex);
	if (value == 8 || value == 9 || value == 10 || value == 12 || value == 13)
		return bad(scan, "a character that has a shorter escape");
	scan->at += 6;
	return 0;
}

/* A string; *text is what stands between its quotes, escapes and all. */
static int scan_string(struct scan *scan, struct span *text)
{
	const char *from;

	if (expect(scan, '"', "a string was expected"))
		return -1;
	scan->escaped = false;
	for (from = scan->at;;) {
		uint8_t c;

		scan->at = json_plain(scan->at, scan->end);
		if (scan->at >= scan->end)
			return bad(scan, "the string does not end");
		c = (uint8_t)*scan->at;
		if (c == '"') {
			*text = span_make(from, (size_t)(scan->at - from));
			scan->at++;
			return 0;
		}
		if (c < 0x20)
			return bad(scan, "a control character that is not escaped");
		scan->high |= c > 0x7f;
		scan->escaped |= c == '\\';
		if (c != '\\')
			scan->at++;
		else if (scan_escape(scan))
			return -1;
	}
}

static bool is_digit(const struct scan *scan)
{
	return scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9';
}

/* An integer without sign, or with one: no leading zero, no fraction, no exponent. */
static int scan_integer(struct scan *scan, uint64_t *value)
{
	bool negative = scan->at < scan->end && *scan->at == '-';
	const char *from;

	scan->at += negative;
	from = scan->at;
	for (*value = 0; is_digit(scan); scan->at++)
		if (__builtin_mul_overflow(*value, 10, value) ||
		    __builtin_add_overflow(*value, (uint64_t)(*scan->at - '0'), value))
			return bad(scan, "an integer beyond 64 bits");
	if (scan->at == from || (*from == '0' && (scan->at > from + 1 || negative)))
		return bad(scan, "not an integer as canonical JSON writes it");
	if (scan->at < scan->end && (*scan->at == '.' || *scan->at == 'e' || *scan->at == 'E'))
		return bad(scan, "a number that is no integer");
	return 0;
}

static int scan_value(struct scan *scan, unsigned depth);

static int scan_word(struct scan *scan, const char *word)
{
	size_t length = strlen(word);

	if ((size_t)(scan->end - scan->at) < length || memcmp(scan->at, word, length) != 0)
		return bad(scan, "not a JSON value");
	scan->at += length;
	return 0;
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

/* Keys stand in byte order; equal ones would be two members of one name. */
static bool keys_rise(struct span before, struct span after, bool escaped)
{
	int a, b;

	if (!escaped && before.length && after.length && before.data[0] != after.data[0])
		return (uint8_t)before.data[0] < (uint8_t)after.data[0];
	if (!escaped) {
		int order = memcmp(before.data, after.data, before.length < after.length ? before.length : after.length);

		return order < 0 || (order == 0 && before.length < after.length);
	}
	do {
		a = key_byte(&before);
		b = key_byte(&after);
	} while (a == b && a >= 0);
	return a < b;
}

typedef int on_member(struct scan *scan, struct span key, unsigned depth);

static int scan_object(struct scan *scan, unsigned depth, on_member *member)
{
	struct span key, before = SPAN0;
	bool escaped = false;

	scan->at++;
	if (scan->at < scan->end && *scan->at == '}') {
		scan->at++;
		return 0;
	}
	for (;;) {
		const char *key_at = scan->at;

		if (scan_string(scan, &key))
			return -1;
		escaped |= scan->escaped;
		if (before.data && !keys_rise(before, key, escaped)) {
			scan->at = key_at;
			return bad(scan, "keys that are not sorted, or one that stands twice");
		}
		before = key;
		if (expect(scan, ':', "':' was expected") || member(scan, key, depth))
			return -1;
		if (scan->at < scan->end && *scan->at == '}') {
			scan->at++;
			return 0;
		}
		if (expect(scan, ',', "',' or '}' was expected"))
			return -1;
	}
}

static int inner_member(struct scan *scan, struct span key, unsigned depth)
{
	(void)key;
	return scan_value(scan, depth);
}

static int scan_array(struct scan *scan, unsigned depth)
{
	scan->at++;
	if (scan->at < scan->end && *scan->at == ']') {
		scan->at++;
		return 0;
	}
	for (;;) {
		if (scan_value(scan, depth))
			return -1;
		if (scan->at < scan->end && *scan->at == ']') {
			scan->at++;
			return 0;
		}
		if (expect(scan, ',', "',' or ']' was expected"))
			return -1;
	}
}

static int scan_value(struct scan *scan, unsigned depth)
{
	struct span text;
	uint64_t number;

	if (scan->at >= scan->end)
		return bad(scan, "it is cut off");
	/* what audit_clean lets through is one level less deep than this */
	if (depth > AUDIT_DEPTH + 1)
		return bad(scan, "nested too deeply");
	switch (*scan->at) {
	case '"':
		return scan_string(scan, &text);
	case '{':
		return scan_object(scan, depth + 1, inner_member);
	case '[':
		return scan_array(scan, depth + 1);
	case 't':
		return scan_word(scan, "true");
	case 'f':
		return scan_word(scan, "false");
	case 'n':
		return scan_word(scan, "null");
	default:
		return scan_integer(scan, &number);
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
	static const char form[] = "0000-00-00T00:00:00.000000000Z";

	if (t.length != sizeof(form) - 1)
		return false;
	for (size_t i = 0; i < t.length; i++)
		if (form[i] == '0' ? t.data[i] < '0' || t.data[i] > '9' : t.data[i] != form[i])
			return false;
	return in_range(t.data, 19, 99) && in_range(t.data + 5, 1, 12) && in_range(t.data + 8, 1, 31) &&
	       in_range(t.data + 11, 0, 23) && in_range(t.data + 14, 0, 59) && in_range(t.data + 17, 0, 60);
}

/* The value of a hexadecimal digit in lower case; -1: it is none. */
static int nibble(char c)
{
	/* without a branch, as what comes is as random as can be */
	unsigned digit = (unsigned)(uint8_t)c - '0', letter = (unsigned)(uint8_t)c - 'a';
	int value = digit < 10 ? (int)digit : -1;

	return letter < 6 ? (int)letter + 10 : value;
}

/* RFC 9562 section 5.7: a UUID of version 7, in lower case. */
static bool read_uuid7(struct span text, uint8_t out[16])
{
	/* where each of the 16 bytes stands in xxxxxxxx-xxxx-7xxx-xxxx-xxxxxxxxxxxx */
	static const uint8_t places[16] = { 0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34 };
	int bad = 0;

	if (text.length != 36 || text.data[8] != '-' || text.data[13] != '-' || text.data[18] != '-' || text.data[23] != '-')
		return false;
	for (unsigned i = 0; i < 16; i++) {
		int high = nibble(text.data[places[i]]), low = nibble(text.data[places[i] + 1]);

		bad |= high | low;
		out[i] = (uint8_t)((unsigned)high << 4 | (unsigned)low);
	}
	return bad >= 0 && (out[6] & 0xf0) == 0x70 && (out[8] & 0xc0) == 0x80;
}

static bool is_hex(struct span text, size_t length)
{
	int bad = 0;

	if (text.length != length)
		return false;
	for (size_t i = 0; i < length; i++)
		bad |= nibble(text.data[i]);
	return bad >= 0;
}

/* body: {"fields":[...],"sha256":"...","size":N} */
static int body_member(struct scan *scan, struct span key, unsigned depth)
{
	if (!span_is(key, "sha256"))
		return scan_value(scan, depth);
	if (scan_string(scan, &scan->out->body))
		return -1;
	return is_hex(scan->out->body, 64) ? 0 : bad(scan, "a body's sha256 that is not 64 hex digits");
}

static int number_member(struct scan *scan, uint64_t *out)
{
	if (scan->at >= scan->end || *scan->at == '-')
		return bad(scan, "an integer of 0 or more was expected");
	return scan_integer(scan, out);
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

static int text_member(struct scan *scan, unsigned bit)
{
	const char *from = scan->at, *wrong;
	struct span text;

	if (scan_string(scan, &text))
		return -1;
	wrong = check_text(scan->out, bit, text);
	if (!wrong)
		return 0;
	scan->at = from;
	return bad(scan, wrong);
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

static int version_member(struct scan *scan)
{
	uint64_t version;

	if (number_member(scan, &version))
		return -1;
	return version == 1 ? 0 : bad(scan, "a version (v) that is not 1");
}

static int outer_member(struct scan *scan, struct span key, unsigned depth)
{
	unsigned bit = envelope_bit(key);

	scan->has |= bit;
	if (bit == HAS_SEQ)
		return number_member(scan, &scan->out->seq);
	if (bit == HAS_V)
		return version_member(scan);
	if (bit)
		return text_member(scan, bit);
	if (key_is(key, "intent", 6)) {
		scan->out->has_intent = true;
		return number_member(scan, &scan->out->intent);
	}
	if (key_is(key, "app", 3) && scan->at < scan->end && *scan->at == '"')
		return scan_string(scan, &scan->out->app);
	if (key_is(key, "body", 4) && scan->at < scan->end && *scan->at == '{')
		return scan_object(scan, depth + 1, body_member);
	return scan_value(scan, depth);
}

static int scan_record(struct scan *scan)
{
	if (scan->at >= scan->end || *scan->at != '{')
		return bad(scan, "not a JSON object");
	if (scan_object(scan, 1, outer_member))
		return -1;
	if (scan->at != scan->end)
		return bad(scan, "bytes behind the record");
	if (scan->has != HAS_ALL) {
		scan->at = scan->start;
		return bad(scan, "not all of v, id, seq, t, boot, kind, outcome and ver are there");
	}
	if (!scan->high || utf8_valid(span_make(scan->start, (size_t)(scan->end - scan->start))))
		return 0;
	scan->at = scan->start;
	return bad(scan, "it is not UTF-8");
}

int audit_envelope_read(struct span line, struct audit_envelope *out, size_t *at, struct error *err)
{
	struct audit_envelope envelope = { 0 };
	struct scan scan = { .start = line.data, .at = line.data, .end = line.data + line.length, .out = &envelope, .err = err };

	if (scan_record(&scan)) {
		if (at)
			*at = (size_t)(scan.at - scan.start);
		return -1;
	}
	*out = envelope;
	return 0;
}
