/* The register of metrics: what is counted is what is written, and no label of a stranger can make it grow without end. */
#include "unit.h"

#include "base/limits.h"
#include "base/metric.h"

static bool has_line(const char *line)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	struct span rest, one;

	metric_write(&text);
	rest = str_span(&text);
	while (rest.data) {
		one = span_cut(&rest, '\n');
		if (span_is(one, line))
			return true;
	}
	return false;
}

static int reset(void **state)
{
	(void)state;
	metric_reset();
	return 0;
}

static void counters_add_and_gauges_are_set(void **state)
{
	(void)state;
	metric_add(METRIC_API_REQUESTS, 1, "GET", "200", NULL);
	metric_add(METRIC_API_REQUESTS, 2, "GET", "200", NULL);
	metric_add(METRIC_API_REQUESTS, 1, "GET", "404", NULL);
	metric_set(METRIC_LEADER, 1, NULL);
	metric_set(METRIC_LEADER, 0, NULL);
	assert_true(has_line("countersign_api_requests_total{verb=\"GET\",code=\"200\"} 3"));
	assert_true(has_line("countersign_api_requests_total{verb=\"GET\",code=\"404\"} 1"));
	assert_true(has_line("countersign_leader 0"));
	assert_true(metric_sum(METRIC_API_REQUESTS) > 3.9 && metric_sum(METRIC_API_REQUESTS) < 4.1);
}

static void histogram_counts_each_bucket_below_and_the_sum(void **state)
{
	(void)state;
	metric_observe(METRIC_RUN_SECONDS, 0.02, NULL);
	metric_observe(METRIC_RUN_SECONDS, 7, NULL);
	metric_observe(METRIC_RUN_SECONDS, 1e6, NULL);
	metric_observe(METRIC_API_REQUEST_SECONDS, 0.005, "GET", NULL);
	assert_true(has_line("countersign_run_duration_seconds_bucket{le=\"0.01\"} 0"));
	assert_true(has_line("countersign_run_duration_seconds_bucket{le=\"0.025\"} 1"));
	assert_true(has_line("countersign_run_duration_seconds_bucket{le=\"10\"} 2"));
	assert_true(has_line("countersign_run_duration_seconds_bucket{le=\"+Inf\"} 3"));
	assert_true(has_line("countersign_run_duration_seconds_sum 1000007.02"));
	assert_true(has_line("countersign_run_duration_seconds_count 3"));
	assert_true(has_line("countersign_api_request_duration_seconds_bucket{verb=\"GET\",le=\"0.005\"} 1"));
}

static void label_values_are_escaped(void **state)
{
	(void)state;
	metric_add(METRIC_RUNS, 1, "a\"b\\c\nd", NULL);
	assert_true(has_line("countersign_runs_total{result=\"a\\\"b\\\\c\\nd\"} 1"));
}

static void family_without_labels_is_there_from_the_start(void **state)
{
	(void)state;
	assert_true(has_line("countersign_runs_active 0"));
	assert_true(has_line("# TYPE countersign_runs_total counter"));
	assert_false(has_line("countersign_runs_total 0"));
}

static void series_have_a_limit_and_what_is_past_it_is_counted(void **state)
{
	char name[32];

	(void)state;
	for (unsigned i = 0; i < LIMIT_METRIC_SERIES + 7; i++) {
		snprintf(name, sizeof(name), "r%u", i);
		metric_add(METRIC_RUNS, 1, name, NULL);
	}
	metric_add(METRIC_RUNS, 1, "r0", NULL);
	assert_true(has_line("countersign_metric_series_dropped_total{family=\"countersign_runs_total\"} 7"));
	assert_true(has_line("countersign_runs_total{result=\"r0\"} 2"));
	metric_clear(METRIC_RUNS);
	assert_false(has_line("countersign_runs_total{result=\"r0\"} 2"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(counters_add_and_gauges_are_set, reset, reset),
		cmocka_unit_test_setup_teardown(histogram_counts_each_bucket_below_and_the_sum, reset, reset),
		cmocka_unit_test_setup_teardown(label_values_are_escaped, reset, reset),
		cmocka_unit_test_setup_teardown(family_without_labels_is_there_from_the_start, reset, reset),
		cmocka_unit_test_setup_teardown(series_have_a_limit_and_what_is_past_it_is_counted, reset, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
