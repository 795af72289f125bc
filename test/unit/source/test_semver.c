/* base/semver.h against what the Go package answered (test/semverdiff), and the order of versions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/json.h"
#include "base/semver.h"

static struct json *next_row(FILE *file, struct arena *arena)
{
	CLEANUP(mem_cleanup) char *line = NULL;
	struct error err = ERROR_INIT;
	size_t size = 0;
	ssize_t length = getline(&line, &size, file);
	struct json *row;

	if (length <= 0)
		return NULL;
	if (json_parse(span_make(line, (size_t)length), arena, 0, &row, &err))
		fail_msg("%s", err.text);
	return row;
}

static char answer(const struct semver_constraint *constraint, struct span text)
{
	struct semver version;

	if (!semver_parse(text, &version))
		return '-';
	return semver_constraint_matches(constraint, &version) ? '1' : '0';
}

static void semver_answers_as_the_go_package(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	FILE *file = fopen("test/semverdiff/golden.jsonl", "r");
	struct json *versions, *row;
	size_t rows = 0, wrong = 0;

	(void)state;
	assert_non_null(file);
	versions = json_get(next_row(file, arena), "versions");
	for (; (row = next_row(file, arena)) != NULL; rows++) {
		const char *text = json_get_text(row, "constraint"), *want = json_get_text(row, "matches");
		struct semver_constraint constraint;
		bool valid = semver_constraint_parse(span_of(text), &constraint);

		if (valid != json_get_bool(row, "valid", false)) {
			print_error("constraint '%s': valid %d\n", text, valid);
			wrong++;
			continue;
		}
		for (size_t i = 0; valid && i < json_count(versions); i++) {
			struct span version = json_text_span(json_at(versions, i));

			if (answer(&constraint, version) != want[i]) {
				print_error("'%s' on '%.*s': want %c\n", text, SPAN_ARG(version), want[i]);
				wrong++;
			}
		}
	}
	fclose(file);
	assert_int_equal(wrong, 0);
	assert_true(rows > 120);
}

/* The list of https://semver.org 11.4, and numbers before words. */
static void semver_orders_as_the_specification(void **state)
{
	static const char *const ascending[] = { "0.0.1", "0.9", "1.0.0-0", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta",
						 "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "v1", "1.0.1", "1.10", "2", "10.0.0" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(ascending); i++)
		for (size_t j = 0; j < COUNT_OF(ascending); j++) {
			struct semver a, b;

			assert_true(semver_parse(span_of(ascending[i]), &a) && semver_parse(span_of(ascending[j]), &b));
			assert_int_equal(semver_compare(&a, &b), (i > j) - (i < j));
		}
}

static void semver_refuses_too_long_texts_and_too_many_clauses(void **state)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	struct semver_constraint constraint;
	struct semver version;

	(void)state;
	for (unsigned i = 0; i < SEMVER_CLAUSES_MAX; i++)
		str_adds(&text, ">=1 ");
	assert_true(semver_constraint_parse(str_span(&text), &constraint));
	assert_int_equal(constraint.count, SEMVER_CLAUSES_MAX);
	str_adds(&text, ">=1 ");
	assert_false(semver_constraint_parse(str_span(&text), &constraint));
	for (unsigned i = 0; i < 300; i++)
		str_adds(&text, "1");
	assert_false(semver_parse(str_span(&text), &version));
	assert_false(semver_constraint_parse(str_span(&text), &constraint));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(semver_answers_as_the_go_package),
		cmocka_unit_test(semver_orders_as_the_specification),
		cmocka_unit_test(semver_refuses_too_long_texts_and_too_many_clauses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
