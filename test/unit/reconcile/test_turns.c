/* Places for runs, and the memory that is given back to the system behind them. Time is a hundred times as fast here. */
#include "unit.h"

#include <malloc.h>

#include "base/clock.h"
#include "io/loop.h"
#include "reconcile/run.h"

#define FASTER 100

static struct {
	struct core core;
	struct timer *clock, *end;
	struct run runs[200];
	struct app apps[200];
	unsigned begun, trims, left;
	int64_t trimmed_ms[64];
} world;

static int fake_trim(size_t pad)
{
	assert_int_equal(pad, 0);
	assert_true(world.trims < COUNT_OF(world.trimmed_ms));
	world.trimmed_ms[world.trims++] = clock_mono_ms();
	return 1;
}

static void fast_timer_start(struct timer *timer, int64_t ms)
{
	timer_start(timer, ms / FASTER);
}

static void fake_run_start(struct app *app);

#define malloc_trim fake_trim
#define timer_start fast_timer_start
#define run_start fake_run_start
#include "reconcile/turns.c"
#undef malloc_trim
#undef timer_start
#undef run_start

static void fake_run_start(struct app *app)
{
	struct run *run = &world.runs[world.begun++];

	run->app = app;
	run->core = app->core;
	turns_begin(run);
}

static int begin(void **state)
{
	(void)state;
	memset(&world, 0, sizeof(world));
	world.core.loop = loop_new();
	world.core.leading = true;
	turns_init(&world.core);
	for (size_t i = 0; i < COUNT_OF(world.apps); i++)
		world.apps[i].core = &world.core;
	return 0;
}

static int end(void **state)
{
	(void)state;
	timer_free(world.clock);
	timer_free(world.end);
	turns_release(&world.core);
	loop_free(world.core.loop);
	return 0;
}

static void stop(void *data)
{
	(void)data;
	loop_stop(world.core.loop);
}

/* Lets so much of the fast time pass. */
static void pass(int64_t ms)
{
	if (!world.end)
		world.end = timer_new(world.core.loop, stop, NULL);
	timer_start(world.end, ms / FASTER);
	loop_run(world.core.loop);
}

static void no_more_than_there_are_places_work_at_once_and_all_come_to_their_turn(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(world.apps); i++)
		turns_ask(&world.apps[i]);
	pass(100);
	assert_int_equal(world.begun, RUNS_AT_WORK);
	assert_true(turns_wanted(&world.core));
	for (unsigned i = 0; i < COUNT_OF(world.apps); i++) {
		assert_true(i < world.begun);
		turns_end(&world.runs[i]);
		pass(100);
		assert_true(world.core.turns.at_work <= RUNS_AT_WORK);
	}
	assert_int_equal(world.begun, COUNT_OF(world.apps));
	assert_int_equal(world.core.turns.at_work, 0);
	assert_false(turns_wanted(&world.core));
}

static void memory_is_given_back_once_and_late_after_few_runs(void **state)
{
	int64_t began;

	(void)state;
	pass(2 * TIDY_SOON_MS);
	assert_int_equal(world.trims, 0);
	for (size_t i = 0; i < 5; i++)
		turns_ask(&world.apps[i]);
	pass(100);
	began = clock_mono_ms();
	for (unsigned i = 0; i < 5; i++)
		turns_end(&world.runs[i]);
	pass(4 * TIDY_SOON_MS);
	assert_int_equal(world.trims, 0);
	pass(3 * TIDY_LATE_MS);
	assert_int_equal(world.trims, 1);
	assert_in_range(world.trimmed_ms[0] - began, TIDY_LATE_MS / FASTER - 1, 2 * TIDY_LATE_MS / FASTER);
}

/* One run after the other, as drift that comes back again and again makes them. */
static void on_clock(void *data)
{
	unsigned n = world.begun;

	(void)data;
	if (!world.left--)
		return;
	turns_ask(&world.apps[n % COUNT_OF(world.apps)]);
	if (n)
		turns_end(&world.runs[n - 1]);
	timer_start(world.clock, 1);
}

static void memory_is_given_back_while_runs_go_on_but_not_all_the_time(void **state)
{
	(void)state;
	world.left = COUNT_OF(world.runs);
	world.clock = timer_new(world.core.loop, on_clock, NULL);
	timer_start(world.clock, 0);
	pass(40000);
	assert_true(world.begun > 50);
	assert_in_range(world.trims, 2, 40000 / TIDY_SOON_MS + 1);
	for (unsigned i = 1; i < world.trims; i++)
		assert_true(world.trimmed_ms[i] - world.trimmed_ms[i - 1] >= TIDY_SOON_MS / FASTER - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(no_more_than_there_are_places_work_at_once_and_all_come_to_their_turn, begin, end),
		cmocka_unit_test_setup_teardown(memory_is_given_back_once_and_late_after_few_runs, begin, end),
		cmocka_unit_test_setup_teardown(memory_is_given_back_while_runs_go_on_but_not_all_the_time, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
