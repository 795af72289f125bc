/* Results that wait for their inventory; see owed.h. */
#include "reconcile/owed.h"

#include "base/clock.h"
#include "base/log.h"
#include "reconcile/records.h"
#include "reconcile/report.h"

#define AGAIN_MS 1000
/* So many seconds are longer than the lease is held while nothing answers: then the process has ended before. */
#define FAILED_MOST 15u

bool owed_may_tell(const struct app *app)
{
	const struct book *book = &app->inventory_book;

	/* of one that is gone nobody asks any more what it had */
	return !book->busy && (!book->failed || book->failed >= FAILED_MOST || !app->present);
}

bool owed_is_lost(const struct app *app)
{
	return app->core->stopping && app->inventory_book.failed && !app->inventory_book.busy;
}

void owed_press(struct run *run)
{
	int64_t now = clock_mono_ms();

	if (run->app->inventory_book.busy || owed_may_tell(run->app))
		return;
	if (now >= run->inventory_ms) {
		run->inventory_ms = now + AGAIN_MS;
		report_inventory(run->app);
	}
	run_wake_in(run, AGAIN_MS);
}

void owed_take(struct run *run)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	struct app *app = run->app;

	ASSERT(!app->owed);
	json_write(records_result(run), JSON_PLAIN, &text);
	app->owed = mem_strdup(str_c(&text));
	app->core->owed++;
}

static void on_recorded(void *data, uint64_t seq, const struct error *err)
{
	char *key = data;

	(void)seq;
	if (err)
		log_error(LOG_ERROR, "the result of a sync is not in the audit log", err, "app", key, NULL);
	free(key);
}

static void record(struct app *app)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct core *core = app->core;
	struct json *result;

	if (!core->audit) {
		log_error(LOG_ERROR, "the result of a sync is not in the audit log", &core->audit_error, "app", app->key, NULL);
		return;
	}
	ASSERT(!json_parse(span_of(app->owed), arena, 0, &result, NULL));
	audit_log_append(core->audit, result, on_recorded, mem_strdup(app->key));
}

void owed_pay(struct app *app)
{
	bool lost = owed_is_lost(app);

	if (!app->owed || (!lost && !owed_may_tell(app)))
		return;
	if (!lost)
		record(app);
	owed_drop(app);
	if (app->run)
		run_wake(app->run);
}

void owed_drop(struct app *app)
{
	if (!app->owed)
		return;
	free(TAKE(app->owed));
	app->core->owed--;
	core_recover(app->core);
}
