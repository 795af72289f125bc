/* The dispatcher of runs; see run.h. The story is in steps.c. */
#include "reconcile/run.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"
#include "reconcile/claims.h"
#include "reconcile/report.h"
#include "reconcile/rest.h"
#include "reconcile/turns.h"
#include "reconcile/vetting.h"

/* A run without progress for so long is given up: nothing may hang for ever. */
#define RUN_DEADLINE_MS (10 * 60 * 1000)

static void run_free(struct run *run)
{
	struct app *app = run->app;
	struct core *core = run->core;

	turns_end(run);
	if (run->tree_fd >= 0)
		close(run->tree_fd);
	for (size_t i = 0; i < run->action_count; i++)
		action_release(&run->actions[i]);
	timer_free(run->wait);
	map_release(&run->reads);
	map_release(&run->keys);
	map_release(&run->disturbed);
	if (core->audit)
		audit_log_forget(core->audit, run);
	arena_free(run->arena);
	core->runs_active--;
	app->runs--;
	rest_soon(app);
	free(run);
	core_recover(core);
	if (app->again) {
		app->again = false;
		app_enqueue(app, 0);
	}
	app_forget_if_done(app);
}

static const char *result_of(const struct run *run)
{
	if (run->canceled || run->err.kind == ERROR_CANCELED)
		return "canceled";
	if (!run->err.reason[0])
		return run->quiet || run->early ? "quiet" : "done";
	return run->err.kind == ERROR_DENIED || run->judge_failed ? "denied" : "failed";
}

/* Ends the run once no completion is outstanding any more. */
static void finish(struct run *run)
{
	log_line(LOG_DEBUG, "run ended", "app", run->app->key, "revision", run->revision, "how", run->quiet ? "quiet" : run->early ? "early" : "whole",
		 "reason", run->err.reason[0] ? run->err.reason : NULL, NULL);
	metric_add(METRIC_RUNS, 1, result_of(run), NULL);
	metric_observe(METRIC_RUN_SECONDS, (double)(clock_wall_ns() - run->started_ns) / 1e9, NULL);
	run->finished = true;
	claims_end(run);
	run->app->run = NULL;
	if (!run->pending)
		run_free(run);
}

/* The index of the last step, which runs on every path. */
static size_t last_step(void)
{
	size_t count = 0;

	while (sync_steps[count + 1].go)
		count++;
	return count;
}

/* The only place that moves a run from step to step. */
static void run_advance(struct run *run)
{
	const size_t last = last_step();

	if (run->in_step || run->finished)
		return;
	run->in_step = true;
	while (!run->finished) {
		enum step_result result;

		/* one that has announced what it will do says at least that it did not */
		if (run->canceled && run->step < last && !run->applying && (!run->intent_asked || run->result_asked))
			run->step = last;
		result = sync_steps[run->step].go(run);
		if (result == STEP_WAIT) {
			if (!run->woken)
				break;
			run->woken = false;
			continue;
		}
		if (run->step == last) {
			finish(run);
			return;
		}
		if (result == STEP_FAIL)
			log_error(run->err.kind == ERROR_DENIED || run->err.kind == ERROR_INVALID ? LOG_WARN : LOG_ERROR, "run failed",
				  &run->err, "app", run->app->key, "step", sync_steps[run->step].name, NULL);
		run->step = result == STEP_NEXT ? run->step + 1 : last;
		turns_progress(run);
	}
	run->in_step = false;
}

static void on_wake(void *data)
{
	struct run *run = data;

	run->woken = false;
	run_advance(run);
	run_release(run);
}

void run_wake(struct run *run)
{
	if (run->finished || run->woken)
		return;
	run->woken = true;
	if (run->in_step)
		return;
	run_hold(run);
	loop_defer(run->core->loop, on_wake, run);
}

static void on_wait(void *data)
{
	run_wake(data);
}

void run_wake_in(struct run *run, int64_t ms)
{
	if (!run->wait)
		run->wait = timer_new(run->core->loop, on_wait, run);
	timer_start(run->wait, ms);
}

void run_hold(struct run *run)
{
	run->pending++;
}

void run_release(struct run *run)
{
	ASSERT(run->pending);
	run->pending--;
	if (run->finished && !run->pending)
		run_free(run);
}

enum step_result run_fail(struct run *run, const struct error *err)
{
	/* what the plan only tells gives way to what went wrong with the rest of it, which is tried again */
	if (!run->err.reason[0] || run->only_told) {
		run->err = *err;
		run->only_told = run->prune_refused = false;
	}
	return STEP_FAIL;
}

void run_cancel(struct run *run)
{
	run->canceled = true;
	run_wake(run);
}

void run_start(struct app *app)
{
	struct run *run = mem_alloc(sizeof(*run));

	ASSERT(!app->run);
	run->app = app;
	run->core = app->core;
	run->arena = arena_new(0);
	run->tree_fd = -1;
	run->started_ns = clock_wall_ns();
	run->began_ms = clock_mono_ms();
	run->deadline_ms = run->began_ms + RUN_DEADLINE_MS;
	app->run = run;
	app->runs++;
	app->core->runs_active++;
	metric_observe(METRIC_QUEUE_WAIT_SECONDS, (double)(clock_mono_ms() - (app->due_ms ? app->due_ms : app->wake_at_ms)) / 1e3, NULL);
	app->due_ms = 0;
	turns_begin(run);
	log_line(LOG_DEBUG, "run begins", "app", app->key, NULL);
	run_advance(run);
}
