/* cli/text.h: nothing a stranger wrote reaches the terminal raw; tables line up; ages read as kubectl's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "cli/text.h"

static void clean_lets_no_control_character_through(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "plain", "plain" },
		{ "\033[31mred", "?[31mred" },
		{ "a\nb\tc\r", "a?b?c?" },
		{ "\x7f", "?" },
		{ "\xc2\x9b" "31m", "?31m" },              /* U+009B, CSI */
		{ "\xe2\x80\xae" "gpj.exe", "?gpj.exe" },  /* U+202E turns the reading direction */
		{ "\xe2\x81\xa6x", "?x" },
		{ "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f" },
		{ "\xe2\x80\x94", "\xe2\x80\x94" },        /* a dash is text */
		{ "", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP(str_release) struct str out = STR_INIT;

		text_clean(span_of(cases[i].in), &out);
		assert_string_equal(str_c(&out), cases[i].out);
	}
}

static void clean_does_not_read_past_a_cut_sequence(void **state)
{
	CLEANUP(str_release) struct str out = STR_INIT;

	(void)state;
	text_clean(span_make("\xe2\x80\xae", 2), &out);
	assert_int_equal(out.length, 2);
}

static void width_counts_characters_and_not_bytes(void **state)
{
	(void)state;
	assert_int_equal(text_width(SPAN("gr\xc3\xbc\xc3\x9f")), 4);
	assert_int_equal(text_width(SPAN0), 0);
}

static void table_lines_columns_up_without_trailing_space(void **state)
{
	static const char *const headers[] = { "NAME", "STATE", "LAST", NULL };
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	CLEANUP(str_release) struct str out = STR_INIT;
	struct table table;

	(void)state;
	table_begin(&table, arena, headers);
	table_add(&table, "gr\xc3\xbc" "ner-name");
	table_add(&table, "ok");
	table_add(&table, NULL);
	table_add(&table, "b");
	table_add(&table, "\033[2J");
	table_add(&table, "x");
	table_print(&table, &out);
	assert_string_equal(str_c(&out), "NAME          STATE   LAST\n"
					 "gr\xc3\xbc" "ner-name   ok\n"
					 "b             ?[2J    x\n");
}

static void table_leaves_out_a_row_that_is_not_full(void **state)
{
	static const char *const headers[] = { "A", "B", NULL };
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	CLEANUP(str_release) struct str out = STR_INIT;
	struct table table;

	(void)state;
	table_begin(&table, arena, headers);
	table_add(&table, "1");
	table_print(&table, &out);
	assert_string_equal(str_c(&out), "A   B\n");
}

static void wrap_breaks_at_spaces_and_indents_every_line(void **state)
{
	CLEANUP(str_release) struct str out = STR_INIT;

	(void)state;
	text_wrap(SPAN("one two three four five six seven\nnew line"), 2, 22, &out);
	assert_string_equal(str_c(&out), "  one two three four\n  five six seven\n  new line\n");
}

static void wrap_keeps_a_word_that_is_longer_than_the_line(void **state)
{
	CLEANUP(str_release) struct str out = STR_INIT;

	(void)state;
	text_wrap(SPAN("see registry.example/a/very/long/name@sha256:0123456789 there"), 1, 10, &out);
	assert_string_equal(str_c(&out), " see\n registry.example/a/very/long/name@sha256:0123456789\n there\n");
}

static void wrap_of_nothing_is_nothing(void **state)
{
	CLEANUP(str_release) struct str out = STR_INIT;

	(void)state;
	text_wrap(SPAN0, 4, 80, &out);
	text_wrap(SPAN("   "), 4, 80, &out);
	assert_int_equal(out.length, 0);
}

static void age_reads_as_kubectl_writes_it(void **state)
{
	static const struct {
		int64_t seconds;
		const char *text;
	} cases[] = {
		{ -5, "0s" }, { 0, "0s" }, { 119, "119s" }, { 120, "2m" }, { 310, "5m10s" }, { 600, "10m" }, { 3 * 3600 - 1, "179m" },
		{ 3 * 3600, "3h" }, { 3 * 3600 + 300, "3h5m" }, { 8 * 3600 + 300, "8h" }, { 47 * 3600, "47h" }, { 48 * 3600, "2d" },
		{ 52 * 3600, "2d4h" }, { 8 * 86400 + 3600, "8d" }, { 700 * 86400, "700d" }, { (730 + 20) * 86400LL, "2y20d" },
	};
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(text_age(arena, cases[i].seconds), cases[i].text);
}

static void age_of_what_is_no_time_is_empty(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	int64_t then;

	(void)state;
	assert_true(time_parse(SPAN("2026-01-01T00:00:00Z"), &then));
	assert_string_equal(text_age_of(arena, "2026-01-01T00:00:00Z", then + 42 * 1000000000LL), "42s");
	assert_string_equal(text_age_of(arena, "yesterday", then), "");
	assert_string_equal(text_age_of(arena, NULL, then), "");
}

static void revision_is_short_only_for_commits(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);

	(void)state;
	assert_string_equal(text_revision(arena, "0123456789abcdef0123456789abcdef01234567"), "0123456789");
	assert_string_equal(text_revision(arena, "release-branch-with-a-name-of-forty-chars"), "release-branch-with-a-name-of-forty-chars");
	assert_string_equal(text_revision(arena, NULL), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clean_lets_no_control_character_through),
		cmocka_unit_test(clean_does_not_read_past_a_cut_sequence),
		cmocka_unit_test(width_counts_characters_and_not_bytes),
		cmocka_unit_test(table_lines_columns_up_without_trailing_space),
		cmocka_unit_test(table_leaves_out_a_row_that_is_not_full),
		cmocka_unit_test(wrap_breaks_at_spaces_and_indents_every_line),
		cmocka_unit_test(wrap_keeps_a_word_that_is_longer_than_the_line),
		cmocka_unit_test(wrap_of_nothing_is_nothing),
		cmocka_unit_test(age_reads_as_kubectl_writes_it),
		cmocka_unit_test(age_of_what_is_no_time_is_empty),
		cmocka_unit_test(revision_is_short_only_for_commits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
