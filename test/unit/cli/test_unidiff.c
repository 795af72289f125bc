/* cli/unidiff.h: the diff is right (it patches one text into the other), short, and bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/arena.h"
#include "cli/unidiff.h"

static void equal_texts_give_no_diff(void **state)
{
	CLEANUP(str_release) struct str out = STR_INIT;

	(void)state;
	assert_false(unidiff(SPAN("a\nb\n"), SPAN("a\nb\n"), "x", "y", &out));
	assert_false(unidiff(SPAN0, SPAN0, "x", "y", &out));
	assert_int_equal(out.length, 0);
}

static void diff_is_written_as_diff_u_writes_it(void **state)
{
	static const struct {
		const char *before, *after, *diff;
	} cases[] = {
		{ "", "a\nb\n", "--- x\n+++ y\n@@ -0,0 +1,2 @@\n+a\n+b\n" },
		{ "a\nb\n", "", "--- x\n+++ y\n@@ -1,2 +0,0 @@\n-a\n-b\n" },
		{ "a\nb\nc\n", "a\nB\nc\n", "--- x\n+++ y\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n" },
		{ "1\n2\n3\n4\n5\n", "1\n2\n3\n4\n5\n6\n", "--- x\n+++ y\n@@ -3,3 +3,4 @@\n 3\n 4\n 5\n+6\n" },
		{ "1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\nX\n3\n4\n5\n6\n7\nY\n9\n",
		  "--- x\n+++ y\n@@ -1,9 +1,9 @@\n 1\n-2\n+X\n 3\n 4\n 5\n 6\n 7\n-8\n+Y\n 9\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP(str_release) struct str out = STR_INIT;

		assert_true(unidiff(span_of(cases[i].before), span_of(cases[i].after), "x", "y", &out));
		assert_string_equal(str_c(&out), cases[i].diff);
	}
}

static void changes_far_apart_are_hunks_of_their_own(void **state)
{
	CLEANUP(str_release) struct str before = STR_INIT, after = STR_INIT, out = STR_INIT;
	size_t hunks = 0;

	(void)state;
	for (int i = 0; i < 40; i++) {
		str_addf(&before, "%d\n", i);
		str_addf(&after, i == 5 || i == 30 ? "changed %d\n" : "%d\n", i);
	}
	assert_true(unidiff(str_span(&before), str_span(&after), "x", "y", &out));
	for (const char *at = str_c(&out); (at = strstr(at, "\n@@ -")); at++)
		hunks++;
	assert_int_equal(hunks, 2);
	assert_non_null(strstr(str_c(&out), "@@ -3,7 +3,7 @@"));
	assert_non_null(strstr(str_c(&out), "@@ -28,7 +28,7 @@"));
}

/* Applies a diff whose hunks have all lines of both sides counted; gives the after side. */
static void patch(const char *before, const char *diff, struct str *out)
{
	struct span lines = span_of(before), rest = span_of(diff);
	size_t taken = 0;

	span_cut(&rest, '\n');
	span_cut(&rest, '\n');
	while (rest.length) {
		struct span line = span_cut(&rest, '\n');

		if (line.data[0] == '@') {
			size_t start = strtoul(line.data + 4, NULL, 10), count = strtoul(strchr(line.data, ',') + 1, NULL, 10);
			size_t until = count ? start - 1 : start;

			for (; taken < until; taken++) {
				str_add(out, span_cut(&lines, '\n'));
				str_addc(out, '\n');
			}
			continue;
		}
		if (line.data[0] != '+') {
			struct span old = span_cut(&lines, '\n');

			taken++;
			assert_true(span_equal(old, span_from(line, 1)));
		}
		if (line.data[0] != '-') {
			str_add(out, span_from(line, 1));
			str_addc(out, '\n');
		}
	}
	while (lines.length) {
		str_add(out, span_cut(&lines, '\n'));
		str_addc(out, '\n');
	}
}

static void random_lines(unsigned *seed, int most, struct str *out)
{
	int count = rand_r(seed) % most;

	for (int i = 0; i < count; i++)
		str_addf(out, "%c\n", 'a' + rand_r(seed) % 5);
}

static void diff_of_any_two_texts_patches_one_into_the_other(void **state)
{
	unsigned seed = 7;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		CLEANUP(str_release) struct str before = STR_INIT, after = STR_INIT, diff = STR_INIT, patched = STR_INIT;

		random_lines(&seed, 30, &before);
		random_lines(&seed, 30, &after);
		if (!unidiff(str_span(&before), str_span(&after), "x", "y", &diff))
			continue;
		patch(str_c(&before), str_c(&diff), &patched);
		assert_string_equal(str_c(&patched), str_c(&after));
	}
}

static void texts_with_too_many_edits_are_replaced_as_a_whole(void **state)
{
	CLEANUP(str_release) struct str before = STR_INIT, after = STR_INIT, diff = STR_INIT, patched = STR_INIT;

	(void)state;
	for (int i = 0; i < UNIDIFF_EDITS_MAX + 50; i++) {
		str_addf(&before, "old %d\n", i);
		str_addf(&after, "new %d\n", i);
	}
	assert_true(unidiff(str_span(&before), str_span(&after), "x", "y", &diff));
	patch(str_c(&before), str_c(&diff), &patched);
	assert_string_equal(str_c(&patched), str_c(&after));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_texts_give_no_diff),
		cmocka_unit_test(diff_is_written_as_diff_u_writes_it),
		cmocka_unit_test(changes_far_apart_are_hunks_of_their_own),
		cmocka_unit_test(diff_of_any_two_texts_patches_one_into_the_other),
		cmocka_unit_test(texts_with_too_many_edits_are_replaced_as_a_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
