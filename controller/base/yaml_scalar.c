/*
 * The resolver: a table of words, then integers as Go's strconv reads them with
 * base 0, then floats. The order is that of gopkg.in/yaml.v2, on which
 * sigs.k8s.io/yaml is built, because the first rule that fits wins.
 */
#include "base/yaml_scalar.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/encode.h"
#include "base/limits.h"

#define TAG_PREFIX "tag:yaml.org,2002:"

enum scalar_type { TYPE_NULL, TYPE_BOOL, TYPE_INT, TYPE_UINT, TYPE_FLOAT, TYPE_STRING };

struct meaning {
	enum scalar_type type;
	bool boolean;
	int64_t i;
	uint64_t u;
	double number;
};

static const struct {
	const char *word;
	enum scalar_type type;
	bool boolean;
	double number;
} words[] = {
	{ "y", TYPE_BOOL, true, 0 }, { "Y", TYPE_BOOL, true, 0 },
	{ "yes", TYPE_BOOL, true, 0 }, { "Yes", TYPE_BOOL, true, 0 }, { "YES", TYPE_BOOL, true, 0 },
	{ "true", TYPE_BOOL, true, 0 }, { "True", TYPE_BOOL, true, 0 }, { "TRUE", TYPE_BOOL, true, 0 },
	{ "on", TYPE_BOOL, true, 0 }, { "On", TYPE_BOOL, true, 0 }, { "ON", TYPE_BOOL, true, 0 },
	{ "n", TYPE_BOOL, false, 0 }, { "N", TYPE_BOOL, false, 0 },
	{ "no", TYPE_BOOL, false, 0 }, { "No", TYPE_BOOL, false, 0 }, { "NO", TYPE_BOOL, false, 0 },
	{ "false", TYPE_BOOL, false, 0 }, { "False", TYPE_BOOL, false, 0 }, { "FALSE", TYPE_BOOL, false, 0 },
	{ "off", TYPE_BOOL, false, 0 }, { "Off", TYPE_BOOL, false, 0 }, { "OFF", TYPE_BOOL, false, 0 },
	{ "", TYPE_NULL, false, 0 }, { "~", TYPE_NULL, false, 0 },
	{ "null", TYPE_NULL, false, 0 }, { "Null", TYPE_NULL, false, 0 }, { "NULL", TYPE_NULL, false, 0 },
	{ ".nan", TYPE_FLOAT, false, NAN }, { ".NaN", TYPE_FLOAT, false, NAN }, { ".NAN", TYPE_FLOAT, false, NAN },
	{ ".inf", TYPE_FLOAT, false, INFINITY }, { ".Inf", TYPE_FLOAT, false, INFINITY },
	{ ".INF", TYPE_FLOAT, false, INFINITY }, { "+.inf", TYPE_FLOAT, false, INFINITY },
	{ "+.Inf", TYPE_FLOAT, false, INFINITY }, { "+.INF", TYPE_FLOAT, false, INFINITY },
	{ "-.inf", TYPE_FLOAT, false, -INFINITY }, { "-.Inf", TYPE_FLOAT, false, -INFINITY },
	{ "-.INF", TYPE_FLOAT, false, -INFINITY },
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool find_word(struct span text, struct meaning *out)
{
	if (text.length > 5)
		return false;
	for (size_t i = 0; i < COUNT_OF(words); i++) {
		if (!span_is(text, words[i].word))
			continue;
		*out = (struct meaning){ .type = words[i].type, .boolean = words[i].boolean, .number = words[i].number };
		return true;
	}
	return false;
}

/* Cuts a base prefix as strconv does for base 0: 0b, 0o, 0x, a leading 0 for octal, else decimal. */
static unsigned cut_base(struct span *digits)
{
	unsigned base = 10;

	if (digits->length < 2 || digits->data[0] != '0')
		return base;
	switch (digits->data[1] | 0x20) {
	case 'b': base = 2; break;
	case 'o': base = 8; break;
	case 'x': base = 16; break;
	default:
		*digits = span_from(*digits, 1);
		return 8;
	}
	*digits = span_from(*digits, 2);
	return base;
}

static bool parse_magnitude(struct span digits, unsigned base, uint64_t *out)
{
	uint64_t value = 0;

	if (!digits.length)
		return false;
	for (size_t i = 0; i < digits.length; i++) {
		char c = digits.data[i], lower = (char)(c | 0x20);
		unsigned digit = is_digit(c) ? (unsigned)(c - '0') :
				 lower >= 'a' && lower <= 'f' ? (unsigned)(lower - 'a') + 10 : 99;

		if (digit >= base || __builtin_mul_overflow(value, (uint64_t)base, &value) ||
		    __builtin_add_overflow(value, (uint64_t)digit, &value))
			return false;
	}
	*out = value;
	return true;
}

/* An integer in the range of int64, or without a sign in that of uint64. */
static bool parse_integer(struct span text, struct meaning *out)
{
	bool sign = text.length && (text.data[0] == '+' || text.data[0] == '-');
	bool negative = sign && text.data[0] == '-';
	struct span digits = span_from(text, sign);
	unsigned base = cut_base(&digits);
	uint64_t value;

	if (!parse_magnitude(digits, base, &value))
		return false;
	if (negative && value <= (uint64_t)INT64_MAX + 1)
		*out = (struct meaning){ .type = TYPE_INT, .i = (int64_t)(0 - value) };
	else if (!negative && value <= INT64_MAX)
		*out = (struct meaning){ .type = TYPE_INT, .i = (int64_t)value };
	else if (!sign)
		*out = (struct meaning){ .type = TYPE_UINT, .u = value };
	else
		return false;
	return true;
}

/* "0b+1" and "0b-1" are no integers to strconv, but the package tries what follows "0b" once more. */
static bool parse_odd_binary(struct span text, struct meaning *out)
{
	bool negative = text.length > 2 && text.data[2] == '-';
	uint64_t value;

	if (!span_starts(text, "0b+") && !span_starts(text, "0b-"))
		return false;
	if (!parse_magnitude(span_from(text, 3), 2, &value) || value > (uint64_t)INT64_MAX + negative)
		return false;
	*out = (struct meaning){ .type = TYPE_INT, .i = (int64_t)(negative ? 0 - value : value) };
	return true;
}

static size_t skip_digits(struct span text, size_t at)
{
	while (at < text.length && is_digit(text.data[at]))
		at++;
	return at;
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool is_float(struct span text)
{
	size_t at = text.length && (text.data[0] == '+' || text.data[0] == '-'), whole, part;

	whole = skip_digits(text, at);
	if (whole < text.length && text.data[whole] == '.') {
		part = skip_digits(text, whole + 1);
		if (whole == at && part == whole + 1)
			return false;
	} else {
		part = whole;
		if (whole == at)
			return false;
	}
	if (part == text.length)
		return true;
	if ((text.data[part] | 0x20) != 'e')
		return false;
	part++;
	if (part < text.length && (text.data[part] == '+' || text.data[part] == '-'))
		part++;
	return part < text.length && skip_digits(text, part) == text.length;
}

/* A number out of a double's range is no number but a string, as strconv.ParseFloat's error makes it one. */
static bool parse_float(struct span text, struct meaning *out)
{
	CLEANUP(str_release) struct str copy = STR_INIT;
	double number;

	if (!is_float(text))
		return false;
	str_add(&copy, text);
	number = strtod(str_c(&copy), NULL);
	if (isinf(number))
		return false;
	*out = (struct meaning){ .type = TYPE_FLOAT, .number = number };
	return true;
}

static bool underscores_between_digits(struct span text)
{
	for (size_t i = 0; i < text.length; i++)
		if (text.data[i] == '_' &&
		    (!i || i + 1 == text.length || !is_digit(text.data[i - 1]) || !is_digit(text.data[i + 1])))
			return false;
	return true;
}

/* A number as it begins with a dot, a sign or a digit. */
static bool parse_number(struct span text, struct meaning *out)
{
	CLEANUP(str_release) struct str digits = STR_INIT;
	char first = text.data[0];

	if (first != '.' && first != '+' && first != '-' && !is_digit(first))
		return false;
	/* after a dot strconv sees the underscores, elsewhere they are dropped first */
	if (first == '.' && !underscores_between_digits(text))
		return false;
	for (size_t i = 0; i < text.length; i++)
		if (text.data[i] != '_')
			str_addc(&digits, text.data[i]);
	if (first != '.' && parse_integer(str_span(&digits), out))
		return true;
	return parse_float(str_span(&digits), out) || parse_odd_binary(str_span(&digits), out);
}

static struct meaning meaning_of(struct span text)
{
	struct meaning meaning = { .type = TYPE_STRING };

	if (find_word(text, &meaning) || text.length > 400 || parse_number(text, &meaning))
		return meaning;
	return (struct meaning){ .type = TYPE_STRING };
}

bool yaml_plain_is_special(struct span text)
{
	return meaning_of(text).type != TYPE_STRING;
}

/* --- numbers as text ---------------------------------------------------------------------------------------- */

struct shortest {
	char digits[24];        /* without a dot */
	int exponent;           /* of the first digit */
	bool negative;
};

static void find_shortest(double value, bool single, struct shortest *out)
{
	char text[40];

	out->negative = signbit(value);
	for (int precision = 0; precision <= 16; precision++) {
		snprintf(text, sizeof(text), "%.*e", precision, fabs(value));
		if (single ? strtof(text, NULL) == (float)fabs(value) : strtod(text, NULL) == fabs(value))
			break;
	}
	out->digits[0] = text[0];
	out->digits[1] = '\0';
	if (text[1] == '.')
		snprintf(out->digits + 1, sizeof(out->digits) - 1, "%.*s", (int)strcspn(text + 2, "e"), text + 2);
	out->exponent = atoi(strchr(text, 'e') + 1);
}

static void write_decimal(const struct shortest *number, struct str *out)
{
	int count = (int)strlen(number->digits), before = number->exponent + 1;

	if (before <= 0) {
		str_adds(out, "0.");
		for (int i = before; i < 0; i++)
			str_addc(out, '0');
		str_adds(out, number->digits);
		return;
	}
	for (int i = 0; i < before; i++)
		str_addc(out, i < count ? number->digits[i] : '0');
	if (count > before)
		str_addf(out, ".%s", number->digits + before);
}

static void write_exponent(const struct shortest *number, int width, struct str *out)
{
	str_addc(out, number->digits[0]);
	if (number->digits[1])
		str_addf(out, ".%s", number->digits + 1);
	str_addf(out, "e%c%0*d", number->exponent < 0 ? '-' : '+', width, abs(number->exponent));
}

void yaml_write_double(double value, struct str *out)
{
	struct shortest number;

	find_shortest(value, false, &number);
	if (number.negative)
		str_addc(out, '-');
	if (value != 0 && (fabs(value) < 1e-6 || fabs(value) >= 1e21))
		write_exponent(&number, 1, out);
	else
		write_decimal(&number, out);
}

/* A float as a key: the package formats it with %g and 32 bits, whatever its size. */
static void write_key_double(double value, struct str *out)
{
	struct shortest number;

	if (isnan(value) || isinf((float)value)) {
		str_adds(out, isnan(value) ? ".nan" : value < 0 ? "-.inf" : ".inf");
		return;
	}
	find_shortest((float)value, true, &number);
	if (number.negative)
		str_addc(out, '-');
	if (number.exponent < -4 || number.exponent >= 6)
		write_exponent(&number, 2, out);
	else
		write_decimal(&number, out);
}

/* --- tags ---------------------------------------------------------------------------------------------------- */

/* The short name of a core tag ("int"), or NULL. */
static const char *core_tag(const char *tag)
{
	static const char *const known[] = { "str", "int", "float", "bool", "null", "binary" };

	if (strncmp(tag, TAG_PREFIX, strlen(TAG_PREFIX)) != 0)
		return NULL;
	for (size_t i = 0; i < COUNT_OF(known); i++)
		if (strcmp(tag + strlen(TAG_PREFIX), known[i]) == 0)
			return known[i];
	return NULL;
}

static bool fits(const char *tag, struct meaning *meaning)
{
	switch (meaning->type) {
	case TYPE_NULL: return strcmp(tag, "null") == 0;
	case TYPE_BOOL: return strcmp(tag, "bool") == 0;
	case TYPE_FLOAT: return strcmp(tag, "float") == 0;
	case TYPE_UINT: return strcmp(tag, "int") == 0;
	case TYPE_INT:
		if (strcmp(tag, "float") == 0)
			*meaning = (struct meaning){ .type = TYPE_FLOAT, .number = (double)meaning->i };
		return strcmp(tag, "int") == 0 || meaning->type == TYPE_FLOAT;
	default: return false;
	}
}

static int decode_binary(struct span text, struct str *out, struct error *err)
{
	CLEANUP(str_release) struct str packed = STR_INIT;

	for (size_t i = 0; i < text.length; i++)
		if (text.data[i] != '\n' && text.data[i] != '\r')
			str_addc(&packed, text.data[i]);
	if (base64_decode(str_span(&packed), out, NULL))
		return error_set(err, ERROR_INVALID, "YAMLError", "!!binary is not base64");
	if (!utf8_valid(str_span(out)) || span_has_nul(str_span(out)))
		return error_set(err, ERROR_INVALID, "YAMLError",
				 "!!binary of bytes that no JSON string can hold; give the base64 text as a plain string");
	return 0;
}

/* Decides type and text of a scalar; `text` is replaced only by !!binary (held in *decoded). */
static int understand(const struct yaml_scalar *scalar, struct meaning *meaning, struct span *text, struct str *decoded,
		      struct error *err)
{
	const char *tag;

	*meaning = (struct meaning){ .type = TYPE_STRING };
	*text = scalar->text;
	if (!scalar->tag) {
		if (scalar->plain)
			*meaning = meaning_of(scalar->text);
		return 0;
	}
	tag = core_tag(scalar->tag);
	/* which is not told: it may be a password that somebody forgot to quote */
	if (!tag)
		return error_set(err, ERROR_INVALID, "UnknownTag",
				 "a tag that is not one of !!str !!int !!float !!bool !!null !!binary; a text that begins with ! needs quotes");
	if (strcmp(tag, "str") == 0)
		return 0;
	if (strcmp(tag, "binary") == 0) {
		if (decode_binary(scalar->text, decoded, err))
			return -1;
		*text = str_span(decoded);
		return 0;
	}
	*meaning = meaning_of(scalar->text);
	if (!fits(tag, meaning))
		return error_set(err, ERROR_INVALID, "YAMLError", "a scalar that is no !!%s, as its tag says", tag);
	return 0;
}

/* A double becomes an integer again when its text is one: 1.0 and 1e3 are whole numbers to Kubernetes. */
static int make_double(double number, struct arena *arena, struct json **out, struct error *err)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	struct json *value;
	struct meaning whole;

	if (!isfinite(number))
		return error_set(err, ERROR_INVALID, "BadNumber", "JSON has no infinity and no NaN; quote it if it is a string");
	yaml_write_double(number, &text);
	if (!span_is(str_span(&text), "-0") && parse_integer(str_span(&text), &whole)) {
		value = json_int(arena, whole.i);
		if (whole.type == TYPE_UINT) {
			value->type = JSON_UINT;
			value->as.u = whole.u;
		}
		*out = value;
		return 0;
	}
	value = json_span(arena, str_span(&text));
	value->type = JSON_NUMBER;
	*out = value;
	return 0;
}

int yaml_resolve(const struct yaml_scalar *scalar, struct arena *arena, struct json **out, struct error *err)
{
	CLEANUP(str_release) struct str decoded = STR_INIT;
	struct meaning meaning;
	struct span text;

	if (understand(scalar, &meaning, &text, &decoded, err))
		return -1;
	switch (meaning.type) {
	case TYPE_NULL:
		*out = json_null(arena);
		return 0;
	case TYPE_BOOL:
		*out = json_bool(arena, meaning.boolean);
		return 0;
	case TYPE_INT:
		*out = json_int(arena, meaning.i);
		return 0;
	case TYPE_UINT:
		*out = json_int(arena, 0);
		(*out)->type = JSON_UINT;
		(*out)->as.u = meaning.u;
		return 0;
	case TYPE_FLOAT:
		return make_double(meaning.number, arena, out, err);
	default:
		*out = json_span(arena, text);
		return 0;
	}
}

int yaml_resolve_key(const struct yaml_scalar *scalar, struct arena *arena, struct span *out, struct error *err)
{
	CLEANUP(str_release) struct str decoded = STR_INIT, number = STR_INIT;
	struct meaning meaning;
	struct span text;

	if (understand(scalar, &meaning, &text, &decoded, err))
		return -1;
	switch (meaning.type) {
	case TYPE_NULL:
		return error_set(err, ERROR_INVALID, "BadKey", "null cannot be a key; quote it if it is a string");
	case TYPE_UINT:
		return error_set(err, ERROR_INVALID, "BadKey", "the number %llu is too large for a key; quote it",
				 (unsigned long long)meaning.u);
	case TYPE_BOOL:
		text = meaning.boolean ? SPAN("true") : SPAN("false");
		break;
	case TYPE_INT:
		str_addf(&number, "%lld", (long long)meaning.i);
		text = str_span(&number);
		break;
	case TYPE_FLOAT:
		write_key_double(meaning.number, &number);
		text = str_span(&number);
		break;
	default:
		break;
	}
	*out = arena_span(arena, text);
	return 0;
}
