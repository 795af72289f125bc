/* Tables, paragraphs and ages; see text.h. */
#include "cli/text.h"

#include "base/clock.h"

#define GAP 3

/* --- cleaning ------------------------------------------------------------------------------------------------------ */

/* Length in bytes of a control or direction character at the front of `s`; 0 if there is none. */
static size_t unsafe_at(struct span s)
{
	const unsigned char *c = (const unsigned char *)s.data;

	if (c[0] < 0x20 || c[0] == 0x7f)
		return 1;
	/* U+0080 to U+009F: C1 controls */
	if (s.length > 1 && c[0] == 0xc2 && c[1] < 0xa0)
		return 2;
	/* U+200E, U+200F, U+2028 to U+202E, U+2066 to U+2069 */
	if (s.length > 2 && c[0] == 0xe2 && ((c[1] == 0x80 && (c[2] == 0x8e || c[2] == 0x8f || (c[2] >= 0xa8 && c[2] <= 0xae))) ||
					     (c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9)))
		return 3;
	return 0;
}

void text_clean(struct span text, struct str *out)
{
	while (text.length) {
		size_t skip = unsafe_at(text);

		str_addc(out, skip ? '?' : text.data[0]);
		text = span_from(text, skip ? skip : 1);
	}
}

size_t text_width(struct span text)
{
	size_t width = 0;

	for (size_t i = 0; i < text.length; i++)
		width += ((unsigned char)text.data[i] & 0xc0) != 0x80;
	return width;
}

/* --- tables -------------------------------------------------------------------------------------------------------- */

static void add_cell(struct table *table, const char *cell)
{
	const char **slot = arena_push(table->arena, &table->cells, &table->count, &table->capacity, sizeof(*slot));

	*slot = cell;
}

void table_begin(struct table *table, struct arena *arena, const char *const *headers)
{
	*table = (struct table){ .arena = arena };
	for (; *headers; headers++, table->columns++)
		add_cell(table, *headers);
}

void table_add(struct table *table, const char *cell)
{
	CLEANUP(str_release) struct str clean = STR_INIT;

	text_clean(span_of(cell), &clean);
	add_cell(table, arena_strndup(table->arena, str_span(&clean)));
}

static void add_spaces(struct str *out, size_t count)
{
	while (count--)
		str_addc(out, ' ');
}

static void trim_end(struct str *out)
{
	while (out->length && out->data[out->length - 1] == ' ')
		str_drop_to(out, out->length - 1);
}

static size_t column_width(const struct table *table, size_t column)
{
	size_t width = 0;

	for (size_t i = column; i < table->count; i += table->columns)
		if (text_width(span_of(table->cells[i])) > width)
			width = text_width(span_of(table->cells[i]));
	return width;
}

void table_print(const struct table *table, struct str *out)
{
	size_t *widths = arena_calloc(table->arena, table->columns, sizeof(size_t)), whole = table->count - table->count % table->columns;

	for (size_t k = 0; k < table->columns; k++)
		widths[k] = column_width(table, k);
	for (size_t i = 0; i < whole; i++) {
		size_t column = i % table->columns;

		str_adds(out, table->cells[i]);
		if (column + 1 < table->columns) {
			add_spaces(out, widths[column] - text_width(span_of(table->cells[i])) + GAP);
			continue;
		}
		trim_end(out);
		str_addc(out, '\n');
	}
}

/* --- paragraphs ---------------------------------------------------------------------------------------------------- */

static void wrap_line(struct span line, unsigned indent, unsigned width, struct str *out)
{
	size_t column = 0, room = width > indent + 20 ? width - indent : 20;

	while (line.length) {
		struct span word = span_cut(&line, ' ');
		size_t wide = text_width(word);

		if (!word.length)
			continue;
		if (column && column + 1 + wide > room) {
			str_addc(out, '\n');
			column = 0;
		}
		if (column)
			str_addc(out, ' ');
		else
			add_spaces(out, indent);
		text_clean(word, out);
		column += wide + (column ? 1 : 0);
	}
	if (column)
		str_addc(out, '\n');
}

void text_wrap(struct span text, unsigned indent, unsigned width, struct str *out)
{
	while (text.length)
		wrap_line(span_cut(&text, '\n'), indent, width, out);
}

/* --- ages ---------------------------------------------------------------------------------------------------------- */

static char *two(struct arena *arena, int64_t seconds, int64_t unit, char name, int64_t rest_unit, char rest_name)
{
	int64_t rest = seconds % unit / rest_unit;

	if (!rest)
		return arena_printf(arena, "%lld%c", (long long)(seconds / unit), name);
	return arena_printf(arena, "%lld%c%lld%c", (long long)(seconds / unit), name, (long long)rest, rest_name);
}

char *text_age(struct arena *arena, int64_t seconds)
{
	const int64_t minute = 60, hour = 3600, day = 86400, year = 365 * day;

	if (seconds < 2 * minute)
		return arena_printf(arena, "%llds", (long long)(seconds < 0 ? 0 : seconds));
	if (seconds < 10 * minute)
		return two(arena, seconds, minute, 'm', 1, 's');
	if (seconds < 3 * hour)
		return arena_printf(arena, "%lldm", (long long)(seconds / minute));
	if (seconds < 8 * hour)
		return two(arena, seconds, hour, 'h', minute, 'm');
	if (seconds < 2 * day)
		return arena_printf(arena, "%lldh", (long long)(seconds / hour));
	if (seconds < 8 * day)
		return two(arena, seconds, day, 'd', hour, 'h');
	if (seconds < 2 * year)
		return arena_printf(arena, "%lldd", (long long)(seconds / day));
	return two(arena, seconds, year, 'y', day, 'd');
}

char *text_age_of(struct arena *arena, const char *time, int64_t now_ns)
{
	int64_t then;

	if (!time || !time_parse(span_of(time), &then))
		return arena_strdup(arena, "");
	return text_age(arena, (now_ns - then) / 1000000000);
}

const char *text_revision(struct arena *arena, const char *revision)
{
	size_t length = revision ? strlen(revision) : 0;

	if (length == 40 && strspn(revision, "0123456789abcdef") == length)
		return arena_strndup(arena, span_make(revision, 10));
	return revision ? revision : "";
}
