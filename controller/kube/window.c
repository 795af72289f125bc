/* Lanes of one width; see window.h. */
#include "kube/window.h"

#include "base/error.h"

#define WIDTH_LEAST 4u
#define NARROW_EVERY_MS 1000
/* of so many turns one goes to what only tells; of fewer when much of it waits, so that it is never far behind */
#define LOW_SHARE 64u
#define LAG_SHARE 4u
#define LAG_MOST 2048u

void window_init(struct window *window)
{
	*window = (struct window){ .width = WINDOW_WIDTH };
}

void window_queue(struct window *window, struct turn *turn, enum lane lane)
{
	ASSERT(!turn->queued && !turn->counted);
	*turn = (struct turn){ .before = window->last[lane], .lane = lane, .queued = true };
	if (turn->before)
		turn->before->next = turn;
	else
		window->first[lane] = turn;
	window->last[lane] = turn;
	window->waiting[lane]++;
	window->queued++;
}

static void take_out(struct window *window, struct turn *turn)
{
	if (turn->before)
		turn->before->next = turn->next;
	else
		window->first[turn->lane] = turn->next;
	if (turn->next)
		turn->next->before = turn->before;
	else
		window->last[turn->lane] = turn->before;
	turn->next = turn->before = NULL;
	turn->queued = false;
	window->waiting[turn->lane]--;
	window->queued--;
}

/* Whether it is this low lane's turn though higher ones wait. */
static bool is_due(struct window *window, enum lane lane)
{
	if (!window->waiting[lane] || ++window->passed[lane] < (window->waiting[lane] > LAG_MOST ? LAG_SHARE : LOW_SHARE))
		return false;
	window->passed[lane] = 0;
	return true;
}

static bool is_held(const struct window *window, enum lane lane)
{
	return lane == LANE_WRITE && window->held && !window->closing;
}

/* Of the lanes whose order is fixed, the first that waits. */
static struct turn *first_waiting(const struct window *window)
{
	if (window->closing && !window->first[LANE_READ] && !window->first[LANE_WRITE] && window->first[LANE_INVENTORY])
		return window->first[LANE_INVENTORY];
	for (enum lane lane = LANE_READ; lane < LANE_COUNT; lane++)
		if (window->first[lane] && !is_held(window, lane))
			return window->first[lane];
	return NULL;
}

static struct turn *choose(struct window *window)
{
	if (window->first[LANE_URGENT])
		return window->first[LANE_URGENT];
	if (window->in_flight >= window->width)
		return NULL;
	for (enum lane lane = LANE_BOOK; lane < LANE_COUNT && !window->closing; lane++)
		if (is_due(window, lane))
			return window->first[lane];
	return first_waiting(window);
}

struct turn *window_next(struct window *window)
{
	struct turn *turn = window->queued ? choose(window) : NULL;

	if (!turn)
		return NULL;
	take_out(window, turn);
	turn->counted = turn->lane != LANE_URGENT;
	window->in_flight += turn->counted;
	return turn;
}

void window_drop(struct window *window, struct turn *turn)
{
	if (turn->queued)
		take_out(window, turn);
	window->in_flight -= turn->counted;
	turn->counted = false;
}

void window_done(struct window *window, struct turn *turn, bool pushed_back, int64_t now_ms)
{
	window_drop(window, turn);
	if (pushed_back) {
		window->good = 0;
		if (window->narrowed_ms && now_ms - window->narrowed_ms < NARROW_EVERY_MS)
			return;
		window->narrowed_ms = now_ms;
		window->width = window->width / 2 < WIDTH_LEAST ? WIDTH_LEAST : window->width / 2;
		return;
	}
	if (window->width >= WINDOW_WIDTH || ++window->good < window->width)
		return;
	window->good = 0;
	window->width++;
}
