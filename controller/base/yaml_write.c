/*
 * Block YAML for people: plain where that is safe, a literal block for text of
 * several lines, double quotes for the rest. Double-quoted text uses JSON's
 * escapes and two more for what libyaml will not read raw.
 */
#include "base/limits.h"
#include "base/yaml.h"
#include "base/yaml_scalar.h"

#define SIMPLE_KEY_MOST 128     /* longer keys are written in their explicit form, "? key" */

static void indent(unsigned depth, struct str *out)
{
	for (unsigned i = 0; i < depth; i++)
		str_adds(out, "  ");
}

/* Whether every character may stand unescaped in YAML 1.1 (5.1), and is not a line break of its own kind. */
static bool printable(struct span text)
{
	for (size_t i = 0; i < text.length; i++) {
		uint8_t c = (uint8_t)text.data[i], next = i + 1 < text.length ? (uint8_t)text.data[i + 1] : 0;
		uint8_t third = i + 2 < text.length ? (uint8_t)text.data[i + 2] : 0;

		if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f || (c == 0xc2 && next < 0xa0))
			return false;
		if (c == 0xe2 && next == 0x80 && (third == 0xa8 || third == 0xa9))
			return false;
		if (c == 0xef && ((next == 0xbb && third == 0xbf) || (next == 0xbf && third >= 0xbe)))
			return false;
	}
	return true;
}

static bool plain_is_safe(struct span text)
{
	static const char first_bad[] = "-?:,[]{}#&*!|>'\"%@`= \t<~.";

	if (!text.length || strchr(first_bad, text.data[0]) || !printable(text) || yaml_plain_is_special(text))
		return false;
	if (span_ends(text, " ") || span_ends(text, ":") || span_ends(text, "\t"))
		return false;
	for (size_t i = 0; i < text.length; i++) {
		char c = text.data[i], next = i + 1 < text.length ? text.data[i + 1] : '\0';

		if (c == '\n' || c == '\t' || (c == ':' && next == ' ') || (c == ' ' && next == '#') || strchr(",[]{}", c))
			return false;
	}
	return true;
}

/* A literal block keeps the text only if its first line shows the indentation. */
static bool literal_is_safe(struct span text)
{
	return span_index(text, '\n') >= 0 && text.data[0] != '\n' && text.data[0] != ' ' && text.data[0] != '\t' &&
	       printable(text);
}

static void write_escape(uint32_t code, struct str *out)
{
	str_addf(out, code > 0xff ? "\\u%04x" : "\\x%02x", code);
}

/* Bytes of the character at `at` and whether it has to be escaped; the text is UTF-8. */
static size_t next_char(struct span text, size_t at, uint32_t *code)
{
	uint8_t c = (uint8_t)text.data[at];
	size_t length = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	uint32_t value = length == 1 ? c : c & (0x7fu >> length);

	for (size_t i = 1; i < length && at + i < text.length; i++)
		value = value << 6 | ((uint8_t)text.data[at + i] & 0x3f);
	*code = value;
	return length;
}

static void write_quoted(struct span text, struct str *out)
{
	uint32_t code;

	str_addc(out, '"');
	for (size_t at = 0, length; at < text.length; at += length) {
		struct span one;

		length = next_char(text, at, &code);
		one = span_sub(text, at, length);
		if (code == '"' || code == '\\')
			str_addf(out, "\\%c", (char)code);
		else if (code == '\n')
			str_adds(out, "\\n");
		else if (code == '\t')
			str_adds(out, "\\t");
		else if (!printable(one))
			write_escape(code, out);
		else
			str_add(out, one);
	}
	str_addc(out, '"');
}

static void write_literal(struct span text, unsigned depth, struct str *out)
{
	bool ends = span_ends(text, "\n"), more = ends && text.length > 1 && text.data[text.length - 2] == '\n';
	struct span rest = ends ? span_sub(text, 0, text.length - 1) : text;

	str_adds(out, ends ? more ? "|+" : "|" : "|-");
	while (rest.data) {
		struct span line = span_cut(&rest, '\n');

		str_addc(out, '\n');
		if (line.length)
			indent(depth, out);
		str_add(out, line);
	}
}

static void write_string(struct span text, unsigned depth, struct str *out)
{
	if (plain_is_safe(text))
		str_add(out, text);
	else if (literal_is_safe(text))
		write_literal(text, depth ? depth : 1, out);
	else
		write_quoted(text, out);
}

static void write_node(const struct json *value, unsigned depth, bool after_dash, struct str *out);

static void write_key(struct span key, unsigned depth, struct str *out)
{
	CLEANUP(str_release) struct str text = STR_INIT;

	if (plain_is_safe(key))
		str_add(&text, key);
	else
		write_quoted(key, &text);
	if (text.length <= SIMPLE_KEY_MOST) {
		str_add(out, str_span(&text));
	} else {
		str_addf(out, "? %s\n", str_c(&text));
		indent(depth, out);
	}
	str_addc(out, ':');
}

static bool is_block(const struct json *value)
{
	return json_count(value) > 0;
}

static void write_members(const struct json *object, unsigned depth, bool after_dash, struct str *out)
{
	JSON_EACH(member, object) {
		bool list = json_is(member->value, JSON_ARRAY);

		if (!after_dash)
			indent(depth, out);
		after_dash = false;
		write_key(member->key, depth, out);
		str_addc(out, is_block(member->value) ? '\n' : ' ');
		/* lists stand below their key without indentation, as kubectl prints them */
		write_node(member->value, is_block(member->value) && list ? depth : depth + 1, false, out);
	}
}

static void write_items(const struct json *array, unsigned depth, bool after_dash, struct str *out)
{
	JSON_EACH(member, array) {
		if (!after_dash)
			indent(depth, out);
		after_dash = false;
		str_adds(out, "- ");
		write_node(member->value, depth + 1, true, out);
	}
}

static void write_node(const struct json *value, unsigned depth, bool after_dash, struct str *out)
{
	if (is_block(value)) {
		if (value->type == JSON_OBJECT)
			write_members(value, depth, after_dash, out);
		else
			write_items(value, depth, after_dash, out);
		return;
	}
	if (value->type == JSON_STRING)
		write_string(value->as.text, depth, out);
	else
		json_write(value, JSON_PLAIN, out);
	str_addc(out, '\n');
}

void yaml_write(const struct json *value, struct str *out)
{
	write_node(value, 0, false, out);
}
