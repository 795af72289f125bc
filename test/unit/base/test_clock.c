/* Times and durations as strangers write them. */
#include "unit.h"

#include <stdlib.h>
#include <time.h>

#include "base/clock.h"

static void time_is_read_and_written_back(void **state)
{
	static const struct { const char *text, *utc; } cases[] = {
		{ "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000000Z" },
		{ "2026-01-02T03:04:05.678+02:00", "2026-01-02T01:04:05.678000000Z" },
		{ "2024-02-29t23:59:59.999999999z", "2024-02-29T23:59:59.999999999Z" },
		{ "2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000000000Z" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char out[TIME_TEXT];
		int64_t ns;

		if (!time_parse(span_of(cases[i].text), &ns))
			fail_msg("refused: %s", cases[i].text);
		time_format_ns(ns, out);
		ASSERT_TEXT(cases[i].text, out, cases[i].utc);
	}
}

static void what_is_no_time_is_refused(void **state)
{
	static const struct span cases[] = {
		{ "", 0 }, { "2026-02-31T00:00:00Z", 20 }, { "2025-02-29T00:00:00Z", 20 }, { "2026-04-31T23:00:00Z", 20 },
		{ "2026-13-01T00:00:00Z", 20 }, { "2026-01-01T24:00:00Z", 20 }, { "2026-01-01T00:00:00", 19 }, { "2026-01-01 00:00:00Z", 20 },
		{ "2026\00001-01T00:00:00Z", 20 }, { "1969-12-31T23:59:59Z", 20 }, { "1970-01-01T00:00:00+00:01", 25 },
		{ "2026-01-01T00:00:00.Z", 21 }, { "2026-01-01T00:00:00+24:00", 25 }, { "9999-01-01T00:00:00Z", 20 },
	};
	int64_t ns;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		if (time_parse(cases[i], &ns))
			fail_msg("taken: %s", cases[i].data);
}

static void duration_is_read_as_go_writes_it(void **state)
{
	static const struct { const char *text; int64_t ms; } cases[] = {
		{ "0", 0 }, { "5s", 5000 }, { "3m", 180000 }, { "1h30m", 5400000 }, { "500ms", 500 }, { "1m1ms", 60001 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		int64_t ms = -1;

		if (!duration_parse(span_of(cases[i].text), &ms) || ms != cases[i].ms)
			fail_msg("%s: %lld", cases[i].text, (long long)ms);
	}
}

static void what_is_no_duration_or_overflows_is_refused(void **state)
{
	static const char *const cases[] = { "", "5", "s", "-1s", "1.5h", "1d", "5 s", "9999999999s", "999999999h999999999h999999999h" };
	int64_t ms;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		if (duration_parse(span_of(cases[i]), &ms))
			fail_msg("taken: %s", cases[i]);
}

#ifdef FAULTS
static void test_build_lets_time_pass_faster(void **state)
{
	const struct timespec tenth = { 0, 100000000 };
	int64_t before;

	(void)state;
	assert_int_equal(clock_pace(), 20);
	before = clock_mono_ms();
	nanosleep(&tenth, NULL);
	assert_true(clock_mono_ms() - before >= 2000);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
#ifdef FAULTS
		cmocka_unit_test(test_build_lets_time_pass_faster),
#endif
		cmocka_unit_test(time_is_read_and_written_back),
		cmocka_unit_test(what_is_no_time_is_refused),
		cmocka_unit_test(duration_is_read_as_go_writes_it),
		cmocka_unit_test(what_is_no_duration_or_overflows_is_refused),
	};

	setenv("COUNTERSIGN_CLOCK_PACE", "20", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
