/*
 * Text for a terminal: tables, wrapped paragraphs, ages. Much of what is shown
 * was written by strangers (image names, commit subjects, messages of a
 * registry), so everything goes through text_clean, which lets no control
 * character through: no escape sequence, no hidden change of direction.
 */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include "base/arena.h"
#include "base/str.h"

/* Appends the text with '?' for control and direction characters; line ends too. */
void text_clean(struct span text, struct str *out);
/* How many columns it takes: one a code point. */
size_t text_width(struct span text);

struct table {
	struct arena *arena;
	const char **cells;            /* row by row, the headers first */
	size_t columns, count, capacity;
};

/* `headers` ends with NULL. Cells live in the arena. */
void table_begin(struct table *table, struct arena *arena, const char *const *headers);
/* The next cell, cleaned; NULL and "" are shown as nothing. A row is as many cells as there are headers. */
void table_add(struct table *table, const char *cell);
/* Appends it: columns three spaces apart, no space at line ends. A last row that is not full is left out. */
void table_print(const struct table *table, struct str *out);

/* Appends the text cleaned, broken at spaces to `width` columns, each line behind `indent` spaces. Its own line ends are kept. */
void text_wrap(struct span text, unsigned indent, unsigned width, struct str *out);

/* "17s", "5m10s", "3h", "2d4h", "1y20d": as kubectl shows an age. Negative is "0s". */
char *text_age(struct arena *arena, int64_t seconds);
/* The age of an RFC 3339 time at `now_ns`; "" when it is none. */
char *text_age_of(struct arena *arena, const char *time, int64_t now_ns);

/* The first ten digits of a commit; any other text as it is. NULL gives "". */
const char *text_revision(struct arena *arena, const char *revision);

#endif
