/* Places for runs; see turns.h. */
#include "reconcile/turns.h"

#include <malloc.h>

#include "base/clock.h"
#include "reconcile/app.h"
#include "reconcile/run.h"

#define RUNS_AT_WORK 64u
#define IDLE_MOST_MS 1000
#define LOOK_EVERY_MS 250
/*
 * Runs leave holes between what is kept, two thirds of the heap after a cold sync: given back to the system soon after many of them, and late after
 * few, whose holes are small and wanted again by the next.
 */
#define TIDY_AFTER 50u
#define TIDY_SOON_MS 3000
#define TIDY_LATE_MS 60000

static void put(struct turns *turns, struct app *app)
{
	app->ready = true;
	app->ready_late = !app->dirty;
	app->ready_next = NULL;
	app->ready_before = turns->last[app->ready_late];
	if (app->ready_before)
		app->ready_before->ready_next = app;
	else
		turns->first[app->ready_late] = app;
	turns->last[app->ready_late] = app;
}

void turns_drop(struct app *app)
{
	struct turns *turns = &app->core->turns;

	if (!app->ready)
		return;
	if (app->ready_next)
		app->ready_next->ready_before = app->ready_before;
	else
		turns->last[app->ready_late] = app->ready_before;
	if (app->ready_before)
		app->ready_before->ready_next = app->ready_next;
	else
		turns->first[app->ready_late] = app->ready_next;
	app->ready = false;
	app->ready_next = app->ready_before = NULL;
}

static struct app *first_ready(const struct turns *turns)
{
	return turns->first[0] ? turns->first[0] : turns->first[1];
}

static void leave(struct run *run)
{
	struct turns *turns = &run->core->turns;

	if (!run->at_work)
		return;
	run->at_work = false;
	turns->at_work--;
	if (run->work_next)
		run->work_next->work_before = run->work_before;
	if (run->work_before)
		run->work_before->work_next = run->work_next;
	else
		turns->runs = run->work_next;
}

static void fill(void *data)
{
	struct core *core = data;
	struct turns *turns = &core->turns;

	turns->filling = false;
	while (first_ready(turns) && turns->at_work < RUNS_AT_WORK) {
		struct app *app = first_ready(turns);

		turns_drop(app);
		if (app->run)
			app->again = true;
		else if (core->leading && !core->stopping && !core->recovering)
			run_start(app);
	}
	if (first_ready(turns))
		timer_start(turns->timer, LOOK_EVERY_MS);
}

static void fill_soon(struct core *core)
{
	if (core->turns.filling || !first_ready(&core->turns))
		return;
	core->turns.filling = true;
	loop_defer(core->loop, fill, core);
}

/* Whether it only waits for what the API server has been asked. */
static bool is_served(const struct run *run)
{
	return run->in_flight || run->reading;
}

static void look(void *data)
{
	struct core *core = data;
	int64_t now = clock_mono_ms();

	for (struct run *run = core->turns.runs, *next; run; run = next) {
		next = run->work_next;
		if (now - run->moved_ms > IDLE_MOST_MS && !is_served(run))
			leave(run);
	}
	fill(core);
}

void turns_ask(struct app *app)
{
	/* it drifted meanwhile: not behind the rest any more */
	if (app->ready && app->ready_late && app->dirty)
		turns_drop(app);
	if (app->ready)
		return;
	put(&app->core->turns, app);
	fill_soon(app->core);
}

void turns_begin(struct run *run)
{
	struct turns *turns = &run->core->turns;

	run->at_work = true;
	run->moved_ms = clock_mono_ms();
	run->work_next = turns->runs;
	if (turns->runs)
		turns->runs->work_before = run;
	turns->runs = run;
	turns->at_work++;
}

void turns_progress(struct run *run)
{
	run->moved_ms = clock_mono_ms();
}

static void tidy(void *data)
{
	struct core *core = data;

	core->turns.ended = 0;
	malloc_trim(0);
}

void turns_end(struct run *run)
{
	struct turns *turns = &run->core->turns;

	if (++turns->ended == TIDY_AFTER || !timer_running(turns->tidy))
		timer_start(turns->tidy, turns->ended < TIDY_AFTER ? TIDY_LATE_MS : TIDY_SOON_MS);
	leave(run);
	fill_soon(run->core);
}

bool turns_wanted(const struct core *core)
{
	return first_ready(&core->turns);
}

void turns_init(struct core *core)
{
	core->turns.timer = timer_new(core->loop, look, core);
	core->turns.tidy = timer_new(core->loop, tidy, core);
}

void turns_release(struct core *core)
{
	timer_free(core->turns.timer);
	timer_free(core->turns.tidy);
}
