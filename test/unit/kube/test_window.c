/* Lanes of requests: the order in which they may be sent, and how many at a time. */
#include "unit.h"

#include "kube/window.h"

#define MANY 3000

static struct window window;
static struct turn turns[MANY];

static void reset(void)
{
	window_init(&window);
	memset(turns, 0, sizeof(turns));
}

static size_t drain_all(struct turn **out, size_t most)
{
	size_t count = 0;
	struct turn *turn;

	while (count < most && (turn = window_next(&window)) != NULL)
		out[count++] = turn;
	return count;
}

static void sends_no_more_than_its_width(void **state)
{
	struct turn *sent[MANY];

	(void)state;
	reset();
	for (size_t i = 0; i < 100; i++)
		window_queue(&window, &turns[i], LANE_WRITE);
	assert_int_equal(drain_all(sent, MANY), WINDOW_WIDTH);
	assert_null(window_next(&window));
	window_done(&window, sent[0], false, 1);
	assert_ptr_equal(window_next(&window), &turns[WINDOW_WIDTH]);
	assert_null(window_next(&window));
}

static void the_lease_never_waits(void **state)
{
	struct turn *sent[MANY];

	(void)state;
	reset();
	for (size_t i = 0; i < 100; i++)
		window_queue(&window, &turns[i], LANE_READ);
	drain_all(sent, MANY);
	window_queue(&window, &turns[200], LANE_URGENT);
	assert_ptr_equal(window_next(&window), &turns[200]);
	window_done(&window, &turns[200], false, 1);
	assert_int_equal(window.in_flight, WINDOW_WIDTH);
}

static void governed_writes_that_are_held_let_the_others_pass(void **state)
{
	struct turn *sent[MANY];

	(void)state;
	reset();
	window.held = true;
	window_queue(&window, &turns[0], LANE_WRITE);
	window_queue(&window, &turns[1], LANE_READ);
	window_queue(&window, &turns[2], LANE_EVENT);
	assert_int_equal(drain_all(sent, MANY), 2);
	assert_ptr_equal(sent[0], &turns[1]);
	assert_ptr_equal(sent[1], &turns[2]);
	window.held = false;
	assert_ptr_equal(window_next(&window), &turns[0]);
}

static void reads_go_before_writes_before_books_before_events(void **state)
{
	(void)state;
	reset();
	window_queue(&window, &turns[0], LANE_EVENT);
	window_queue(&window, &turns[1], LANE_BOOK);
	window_queue(&window, &turns[2], LANE_WRITE);
	window_queue(&window, &turns[3], LANE_READ);
	for (size_t i = 4; i-- > 0;)
		assert_ptr_equal(window_next(&window), &turns[i]);
}

static void what_only_tells_is_not_starved(void **state)
{
	size_t given = 0;

	(void)state;
	reset();
	window_queue(&window, &turns[MANY - 1], LANE_EVENT);
	for (size_t i = 0; i < 100; i++)
		window_queue(&window, &turns[i], LANE_WRITE);
	for (;; given++) {
		struct turn *turn = window_next(&window);

		assert_non_null(turn);
		window_done(&window, turn, false, 1);
		if (turn == &turns[MANY - 1])
			break;
	}
	assert_in_range(given, 1, 80);
}

static void what_only_tells_does_not_lag_far_behind(void **state)
{
	size_t books = 0;

	(void)state;
	reset();
	for (size_t i = 0; i < MANY; i++)
		window_queue(&window, &turns[i], i < 20 ? LANE_WRITE : LANE_BOOK);
	for (size_t i = 0; i < 16; i++) {
		struct turn *turn = window_next(&window);

		books += turn->lane == LANE_BOOK;
		window_done(&window, turn, false, 1);
	}
	assert_int_equal(books, 4);
}

static void at_the_end_inventories_go_before_what_only_tells(void **state)
{
	static const enum lane asked[] = { LANE_EVENT, LANE_BOOK, LANE_INVENTORY, LANE_WRITE }, wanted[] = { LANE_WRITE, LANE_INVENTORY, LANE_BOOK,
													     LANE_EVENT };

	(void)state;
	reset();
	window.closing = true;
	for (size_t i = 0; i < COUNT_OF(asked); i++)
		window_queue(&window, &turns[i], asked[i]);
	for (size_t i = 0; i < COUNT_OF(wanted); i++)
		assert_int_equal(window_next(&window)->lane, wanted[i]);
}

static void events_do_not_take_the_turns_of_books(void **state)
{
	size_t books = 0, events = 0;

	(void)state;
	reset();
	for (size_t i = 0; i < 600; i++)
		window_queue(&window, &turns[i], i < 300 ? LANE_WRITE : i < 400 ? LANE_BOOK : LANE_EVENT);
	for (size_t i = 0; i < 256; i++) {
		struct turn *turn = window_next(&window);

		books += turn->lane == LANE_BOOK;
		events += turn->lane == LANE_EVENT;
		window_done(&window, turn, false, 1);
	}
	assert_in_range(books, 3, 4);
	assert_in_range(events, 3, 4);
}

static void pushed_back_it_narrows_once_a_second_and_widens_again(void **state)
{
	(void)state;
	reset();
	for (size_t i = 0; i < 8; i++)
		window_queue(&window, &turns[i], LANE_WRITE);
	for (size_t i = 0; i < 8; i++)
		assert_ptr_equal(window_next(&window), &turns[i]);
	for (size_t i = 0; i < 8; i++)
		window_done(&window, &turns[i], true, 5000 + (int64_t)i);
	assert_int_equal(window.width, WINDOW_WIDTH / 2);
	for (size_t i = 0; i < 500; i++) {
		window_queue(&window, &turns[i], LANE_WRITE);
		assert_ptr_equal(window_next(&window), &turns[i]);
		window_done(&window, &turns[i], false, 9000);
	}
	assert_int_equal(window.width, WINDOW_WIDTH);
	for (size_t i = 0; i < 60; i++) {
		window_queue(&window, &turns[i], LANE_WRITE);
		window_next(&window);
		window_done(&window, &turns[i], true, 20000 + (int64_t)i * 2000);
	}
	assert_in_range(window.width, 1, 4);
}

static void one_that_waits_can_be_taken_out(void **state)
{
	(void)state;
	reset();
	for (size_t i = 0; i < 3; i++)
		window_queue(&window, &turns[i], LANE_WRITE);
	window_drop(&window, &turns[1]);
	assert_ptr_equal(window_next(&window), &turns[0]);
	assert_ptr_equal(window_next(&window), &turns[2]);
	assert_null(window_next(&window));
	window_drop(&window, &turns[0]);
	assert_int_equal(window.in_flight, 1);
	assert_int_equal(window.queued, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sends_no_more_than_its_width),
		cmocka_unit_test(the_lease_never_waits),
		cmocka_unit_test(governed_writes_that_are_held_let_the_others_pass),
		cmocka_unit_test(reads_go_before_writes_before_books_before_events),
		cmocka_unit_test(what_only_tells_is_not_starved),
		cmocka_unit_test(what_only_tells_does_not_lag_far_behind),
		cmocka_unit_test(events_do_not_take_the_turns_of_books),
		cmocka_unit_test(at_the_end_inventories_go_before_what_only_tells),
		cmocka_unit_test(pushed_back_it_narrows_once_a_second_and_widens_again),
		cmocka_unit_test(one_that_waits_can_be_taken_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
