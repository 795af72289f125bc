/*
 * What unit tests share: cmocka with its includes, JSON from a literal, and a
 * failed check that shows both values.
 */
#ifndef TEST_UNIT_H
#define TEST_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/json.h"

/* Parses a literal written with ' for ", so that it reads. */
static inline struct json *J(struct arena *arena, const char *text)
{
	char *copy = arena_strdup(arena, text);
	struct error err = ERROR_INIT;
	struct json *value = NULL;

	for (char *c = copy; *c; c++)
		if (*c == '\'')
			*c = '"';
	if (json_parse(span_of(copy), arena, 0, &value, &err))
		fail_msg("bad test JSON: %s: %s", err.text, copy);
	return value;
}

/* The value as sorted JSON, in the arena. */
static inline const char *T(struct arena *arena, const struct json *value)
{
	CLEANUP(str_release) struct str text = STR_INIT;

	if (!value)
		return "absent";
	json_write(value, JSON_SORTED, &text);
	return arena_strndup(arena, str_span(&text));
}

#define ASSERT_TEXT(name, got, want)                                               \
	do {                                                                       \
		const char *got_ = (got), *want_ = (want);                         \
		if (strcmp(got_, want_))                                           \
			fail_msg("%s: got \"%s\", want \"%s\"", (name), got_, want_); \
	} while (0)

#define WITH_ARENA(name) CLEANUP(arena_cleanup) struct arena *name = arena_new(0)

#endif
