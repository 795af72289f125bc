/*
 * record: on every path, what came of the run: conditions, status, events, and
 * when the Application is looked at again. How a run ends (done, later, retry,
 * never) is decided here, by the kind of the error.
 */
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/name.h"
#include "reconcile/claims.h"
#include "reconcile/contest.h"
#include "reconcile/live.h"
#include "reconcile/operation.h"
#include "reconcile/planning.h"
#include "reconcile/records.h"
#include "reconcile/report.h"
#include "reconcile/steps.h"

#define DENIED_FIRST_MS 5000
#define DENIED_MOST_MS 60000
#define RETRY_FIRST_MS 1000
#define RETRY_MOST_MS 60000
#define KIND_RETRY_MS 15000
#define GONE_POLL_MS 1000
#define HEALED_EVENTS_MAX 10
/* A deletion that is not over by then is told of. */
#define HANGS_AFTER_NS (5 * 1000000000LL)

/* --- when to look again ------------------------------------------------------------------------------------------- */

static int64_t error_wait(struct app *app, int64_t first_ms)
{
	struct setbacks *setbacks = app_setback(app);

	return setbacks->error_wait_ms = clock_backoff(setbacks->error_wait_ms, first_ms, RETRY_MOST_MS);
}

/* By spec.syncPolicy.retry, as Argo CD counts it; -1: no more. */
static int64_t sync_retry(struct run *run)
{
	const struct retry *retry = &run->spec.retry;
	int64_t wait = retry->duration_ms;

	if (retry->limit >= 0 && app_setbacks(run->app)->retry_count >= retry->limit)
		return -1;
	for (int64_t i = 0; i < app_setbacks(run->app)->retry_count && wait < retry->duration_max_ms; i++)
		wait = wait > retry->duration_max_ms / retry->factor ? retry->duration_max_ms : wait * retry->factor;
	app_setback(run->app)->retry_count++;
	return wait > retry->duration_max_ms ? retry->duration_max_ms : wait;
}

/* Milliseconds until the next try; -1: not before something changes. */
static int64_t next_try(struct run *run)
{
	const struct error *err = &run->err;

	if (run->apply_failed)
		return err->kind == ERROR_CANCELED ? 0 : sync_retry(run);
	if (!strcmp(err->reason, "UnknownKind") || !strcmp(err->reason, "CannotRead"))
		return KIND_RETRY_MS;
	if (err->kind == ERROR_INVALID || err->kind == ERROR_LIMIT || err->kind == ERROR_DENIED)
		return -1;
	return error_wait(run->app, RETRY_FIRST_MS);
}

/* By then "it is tried again" would be a lie. */
static void say_given_up(struct run *run)
{
	struct error plain = run->err;

	error_set(&run->err, plain.kind, plain.reason, "%s; it was tried %lld times and is not tried again before something changes or somebody syncs",
		  plain.text, (long long)app_setbacks(run->app)->retry_count + 1);
}

static void plan_next(struct run *run)
{
	struct app *app = run->app;
	struct setbacks *setbacks = app_setback(app);
	int64_t now = clock_mono_ms(), wait;

	setbacks->denied_until_ms = setbacks->retry_until_ms = 0;
	if (run->judge_failed) {
		setbacks->denied_wait_ms = clock_backoff(setbacks->denied_wait_ms, DENIED_FIRST_MS, DENIED_MOST_MS);
		setbacks->denied_until_ms = now + setbacks->denied_wait_ms;
		app_enqueue(app, setbacks->denied_wait_ms);
		return;
	}
	setbacks->denied_wait_ms = 0;
	app->exempt_until_ns = run->exempt_until_ns;
	if (!run->err.reason[0] || run->prune_refused) {
		setbacks->retry_count = setbacks->error_wait_ms = setbacks->mend_from_ms = 0;
		return;
	}
	if (run->apply_failed && run->err.kind != ERROR_CANCELED)
		setbacks->mend_from_ms = now + error_wait(app, RETRY_FIRST_MS);
	wait = next_try(run);
	setbacks->retry_until_ms = wait < 0 ? INT64_MAX : now + wait;
	if (wait < 0 && run->apply_failed)
		say_given_up(run);
	if (wait >= 0)
		app_enqueue(app, wait);
}

/* --- conditions ------------------------------------------------------------------------------------------------------ */

/* The first few objects that differ, and how. */
static const char *differences_text(struct run *run)
{
	CLEANUP(str_release) struct str text = STR_INIT;

	for (size_t i = 0; i < json_count(run->differences) && i < 3; i++) {
		const struct json *one = json_at(run->differences, i);

		str_addf(&text, "%s%s %s/%s: %s", i ? "; " : "", json_get_text(one, "kind"), json_get_text(one, "namespace"),
			 json_get_text(one, "name"), json_get_text(one, "message"));
	}
	if (run->differing > 3)
		str_adds(&text, "; …");
	return arena_strndup(run->arena, str_span(&text));
}

static const char *hold_back_text(const struct run *run)
{
	if (!run->spec.automated)
		return "; automated sync is off";
	return run->prune_waits ? "; nothing is deleted yet" : run->moves ? "; objects move to another Application" : "; self-heal or pruning is off";
}

static const char *going_text(const struct run *run)
{
	return run->going_count > 1 ? arena_printf(run->arena, "%s (and %zu other objects)", run->going, run->going_count - 1) : run->going;
}

static void tell_synced(struct run *run)
{
	struct app *app = run->app;
	struct report *report = report_of(app);

	if (run->err.reason[0]) {
		report_condition(app, CONDITION_SYNCED, TRUTH_FALSE, run->judge_failed ? "VerificationFailed" : run->err.reason, "%s",
				 run->err.text);
		report->sync_status = run->differences || run->judge_failed ? "OutOfSync" : "Unknown";
		return;
	}
	if (run->going) {
		report_condition(app, CONDITION_SYNCED, TRUTH_FALSE, "BeingDeleted", "revision %.12s is applied, but what it declares no longer is not gone: %s", run->revision,
				 going_text(run));
		report->sync_status = "OutOfSync";
		return;
	}
	if (run->holds_back) {
		report_condition(app, CONDITION_SYNCED, TRUTH_FALSE, "OutOfSync", "%zu objects differ from revision %.12s%s: %s",
				 run->differing, run->revision,
				 hold_back_text(run), differences_text(run));
		report->sync_status = "OutOfSync";
		return;
	}
	report_condition(app, CONDITION_SYNCED, TRUTH_TRUE, "Synced", "the cluster is as revision %.12s says", run->revision);
	report->sync_status = "Synced";
}

static bool was_written(const struct run *run, const struct desired *desired)
{
	for (size_t i = 0; i < run->action_count; i++)
		if (!strcmp(run->actions[i].key, desired->key))
			return run->actions[i].finished && run->actions[i].attempt_count && !run->actions[i].err.reason[0];
	return false;
}

/* What the newest revision is refused for stands there already. */
static void add_violations(struct run *run, const char *reason, const char *text)
{
	const struct condition_line *line = &report_of(run->app)->conditions[CONDITION_VERIFIED];
	bool refused = line->truth == TRUTH_FALSE && line->message;
	const char *before = refused ? arena_strdup(run->arena, line->message) : "";

	if (!strstr(before, text))
		report_condition(run->app, CONDITION_VERIFIED, TRUTH_FALSE, refused ? arena_strdup(run->arena, line->reason) : reason, "%s%s%s", before,
				 refused ? "\n" : "", text);
}

/* A violation stays one for as long as it is not taken out: self-heal is off, the API server refuses, the log cannot be written. Whether there is one. */
static bool tell_violations(struct run *run)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	const char *reason = "";
	size_t told = 0;

	for (size_t i = 0; i < run->violation_count; i++) {
		const struct violation *violation = &run->violations[i];

		if (was_written(run, violation->desired) || (text.length && violation->image == told))
			continue;
		told = violation->image;
		if (!text.length)
			reason = violation->reason;
		str_addf(&text, "%s%s", text.length ? "\n" : "", violation->text);
	}
	if (text.length && run->goal == GOAL_HEAL)
		add_violations(run, reason, str_c(&text));
	else if (text.length)
		report_condition(run->app, CONDITION_VERIFIED, TRUTH_FALSE, reason, "%s", str_c(&text));
	return text.length;
}

static void tell_verified(struct run *run)
{
	if (run->judged) {
		/* judge told the rest */
		run->app->violation_told = tell_violations(run);
		return;
	}
	run->app->violation_told = false;
	report_condition(run->app, CONDITION_VERIFIED, TRUTH_UNKNOWN, "NotEvaluated", "%s",
			 run->err.reason[0] ? "refused before images were looked at" : "not looked at yet");
}

static void tell_resources(struct run *run)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	struct report *report = report_of(run->app);

	if (!run->differences)
		return;
	if (run->holds_back || run->err.reason[0])
		json_write(run->differences, JSON_PLAIN, &text);
	report_text(&report->resources, str_c(&text));
	run->app->differs_told = run->goal == GOAL_HEAL;
}

static void tell_images(struct run *run)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	struct json *list = json_array(run->arena);

	if (!run->images || run->err.reason[0])
		return;
	for (size_t i = 0; i < json_count(run->images); i++)
		if (json_get_text(json_at(run->images, i), "pinned"))
			json_append_string(run->arena, list, json_get_text(json_at(run->images, i), "pinned"));
	json_write(list, JSON_PLAIN, &text);
	report_text(&report_of(run->app)->images, str_c(&text));
}

/* A new revision is live: how long after it was committed? Commits of another day say nothing about us. */
static void measure_commit(struct run *run)
{
	double age_s = (double)clock_wall_ns() / 1e9 - (double)run->committed_s;

	if (!run->err.reason[0] && run->intent_durable && !run->same_revision && age_s < 86400)
		metric_observe(METRIC_COMMIT_TO_LIVE_SECONDS, age_s < 0 ? 0 : age_s, NULL);
}

/* Once for each cause. */
static void tell_going(struct run *run, const char *text)
{
	struct setbacks *setbacks = app_setback(run->app);

	if (setbacks->event_told && !strcmp(setbacks->event_told, text))
		return;
	report_text(&setbacks->event_told, text);
	report_event(run->app, true, "BeingDeleted", text);
	log_line(LOG_WARN, "a deletion takes its time", "app", run->app->key, "what", text, NULL);
}

/* The first few by name; what is mended again and again was told as contested. */
static void tell_healed(struct run *run)
{
	size_t told = 0, more = 0;

	for (size_t i = 0; i < run->action_count; i++) {
		const struct action *action = &run->actions[i];

		if (!action->in_plan || action->act != ACT_HEAL || contest_is_old(run, action))
			continue;
		if (told++ < HEALED_EVENTS_MAX)
			report_event(run->app, true, "DriftHealed", arena_printf(run->arena, "%s: %s", action->title, action->why));
		else
			more++;
	}
	if (more)
		report_event(run->app, true, "DriftHealed", arena_printf(run->arena, "and %zu more objects: the audit log names each", more));
}

static void tell_events(struct run *run)
{
	CLEANUP(str_release) struct str note = STR_INIT;
	size_t applied = 0, pruned = 0, healed = 0;

	if (run->err.reason[0]) {
		/* once for each cause, not for each try, nor each time that it is contested again after it was mended for a moment */
		struct setbacks *setbacks = app_setback(run->app);

		if (run->only_told && !strcmp(run->err.reason, "Contested") && !run->contested_anew)
			return;
		if (setbacks->event_told && !strcmp(setbacks->event_told, run->err.text))
			return;
		report_text(&setbacks->event_told, run->err.text);
		report_event(run->app, true, run->err.reason, run->err.text);
		return;
	}
	if (run->going && run->goal == GOAL_SYNC)
		tell_going(run, run->going);
	else
		report_text(&app_setback(run->app)->event_told, NULL);
	tell_healed(run);
	for (size_t i = 0; i < run->action_count; i++) {
		const struct action *action = &run->actions[i];

		applied += action->in_plan && action->act != ACT_DELETE && action->act != ACT_HEAL;
		healed += action->in_plan && action->act == ACT_HEAL;
		pruned += action->in_plan && action->act == ACT_DELETE && action->attempt_count;
		if (action->in_plan && action_met_another(action))
			report_event(run->app, true, "AdoptedUnseen",
				     arena_printf(run->arena, "%s: an object of that name was there when it was written, though not a moment "
						  "before; it is managed from now on", action->title));
	}
	if (!run->intent_durable || !(applied + pruned))
		return;
	str_addf(&note, "revision %.12s: %zu applied, %zu healed, %zu pruned", run->revision ? run->revision : "", applied, healed, pruned);
	report_event(run->app, false, "Synced", str_c(&note));
	log_line(LOG_INFO, "synced", "app", run->app->key, "revision", run->revision, "what", str_c(&note), NULL);
}

/* Somebody's decision, a Project's, another Application's claim, or a branch or tag that was put in another's place: it has a record of its own. */
static bool is_refusal(const struct error *err)
{
	static const char *const reasons[] = { "SharedResource", "ApplicationCycle", "OwnedByAnother", "HistoryRewritten", "AmbiguousRevision" };

	for (size_t i = 0; i < COUNT_OF(reasons); i++)
		if (!strcmp(err->reason, reasons[i]))
			return true;
	return err->reason[0] && err->kind == ERROR_DENIED;
}

static void tell_denied(struct run *run)
{
	if (run->err.reason[0] && (is_refusal(&run->err) || run->judge_failed || run->prune_refused))
		records_denied(run, &run->err);
}

/* --- ends of each goal ------------------------------------------------------------------------------------------------- */

static enum step_result record_forget(struct run *run)
{
	struct app *app = run->app;
	struct inventory none = { .app = app->key, .uid = "", .project = "", .account = "", .revision = "", .repo_url = "", .path = "",
				  .target_revision = "", .namespace = "", .applied = { "", NULL, 0 }, .pending = { "", NULL, 0 } };

	/* without our finalizer its objects stay, as with Argo CD; only what we remember goes */
	if (run->goal == GOAL_DELETE || app_inventory(app)->count || *app_inventory(app)->revision)
		report_finalized(app);
	app_set_inventory(app, &none);
	return STEP_NEXT;
}

static const struct live_object *still_there(const struct run *run)
{
	const struct app *app = run->app;

	for (size_t i = 0; i < app_inventory(app)->count; i++) {
		const struct inventory_item *item = &app_inventory(app)->items[i];
		CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
		const struct live_object *live =
			plan_takes(run, item) ? live_find(app->core->live, live_key(arena, item->group, item->kind, item->namespace, item->name)) : NULL;

		if (live)
			return live;
	}
	/* what was deleted in the foreground goes after its own objects */
	return live_leaving(app->core->live, app);
}

/* A deletion that takes its time is told, with what it waits for: a finalizer that nobody takes off keeps the Application for ever. */
static void tell_hanging(struct run *run, const struct live_object *live)
{
	const char *since = json_text(json_path(run->spec.object, "metadata", "deletionTimestamp", NULL)), *text;
	int64_t since_ns;

	if (!since || !time_parse(span_of(since), &since_ns) || clock_wall_ns() - since_ns < HANGS_AFTER_NS)
		return;
	text = plan_hangs(run, live);
	report_of(run->app)->sync_status = "Unknown";
	report_condition(run->app, CONDITION_SYNCED, TRUTH_FALSE, "BeingDeleted", "deleting since %s: %s", since, text);
	tell_going(run, text);
}

static enum step_result record_delete(struct run *run)
{
	struct app *app = run->app;
	const struct live_object *live = still_there(run);
	bool left = false;

	report_looked_at(app, &run->spec);
	for (size_t i = 0; i < app_inventory(app)->count; i++)
		left |= plan_takes(run, &app_inventory(app)->items[i]);
	if (run->err.reason[0] || left || live) {
		if (run->err.reason[0]) {
			report_condition(app, CONDITION_SYNCED, TRUTH_FALSE, run->err.reason, "deleting: %s", run->err.text);
			tell_events(run);
		} else if (live) {
			tell_hanging(run, live);
		}
		if (is_refusal(&run->err))
			records_denied(run, &run->err);
		report_health(app);
		report_write(app);
		app_enqueue(app, error_wait(app, GONE_POLL_MS));
		return STEP_NEXT;
	}
	log_line(LOG_INFO, "deleted with all its objects", "app", app->key, NULL);
	return record_forget(run);
}

static enum step_result record_quietly(struct run *run)
{
	struct app *app = run->app;
	const struct setbacks *setbacks = app_setbacks(app);
	int64_t now = clock_mono_ms(), next = setbacks->denied_until_ms ? setbacks->denied_until_ms : setbacks->retry_until_ms;

	report_health(app);
	report_write(app);
	/* a time that has passed is now; but not for a heal that failed: with Git away the next run would be such a heal at once, for ever */
	if (next && next < INT64_MAX && (next > now || !run->err.reason[0]))
		app_enqueue(app, next - now);
	return STEP_NEXT;
}

/* Another revision, a changed spec or a person's wish has retries of its own: the older ones say nothing of it. */
static bool is_new_attempt(const struct run *run)
{
	const char *tried = run->app->tried_revision;

	return run->refreshed || (run->revision && (!tried || strcmp(tried, run->revision)));
}

/*
 * What a person asked for beside the Application's own course: a rehearsal, a revision that is not to be had, an operation that is not built.
 * Whoever asked is told; the status, the retries and what else was asked for are as if it had not been.
 */
static bool is_aside(const struct run *run)
{
	return run->goal == GOAL_SYNC && run->manual && (run->operation_dry_run || run->operation_refused || (run->operation_revision && !run->tip));
}

static enum step_result record_aside(struct run *run)
{
	struct app *app = run->app;

	app->force |= run->forced;
	app->hard |= run->hard;
	app->dirty |= run->dirty;
	app->again |= app->force || app->dirty;
	report_looked_at(app, &run->spec);
	tell_denied(run);
	if (run->err.reason[0] && run->err.kind != ERROR_CANCELED && !run->only_told)
		report_event(app, true, run->err.reason, run->err.text);
	operation_ended(run);
	report_write(app);
	return STEP_NEXT;
}

static enum step_result record_sync(struct run *run)
{
	struct app *app = run->app;

	if (run->err.kind == ERROR_CANCELED && run->err.reason[0] && !run->apply_failed) {
		if (run->manual)
			operation_ended(run);
		return STEP_NEXT;
	}
	report_looked_at(app, &run->spec);
	/* where no commit was found, what was told of the last one is told no longer: once it is found again, it is looked at anew; and a branch that
	 * was gone is another one, whose retries begin anew */
	name_set(&app->seen_tip, run->tip);
	if (is_new_attempt(run))
		app_setback(app)->retry_count = 0;
	if (run->revision || !strcmp(run->err.reason, "RevisionNotFound"))
		name_set(&app->tried_revision, run->revision);
	if (run->revision)
		report_text(&report_of(app)->compared_revision, run->revision);
	app->settled = !run->err.reason[0] && !run->holds_back;
	plan_next(run);
	tell_denied(run);
	if (!run->err.reason[0])
		app_setback(app)->denied_told = (struct digest){ { 0 } };
	tell_verified(run);
	tell_synced(run);
	tell_resources(run);
	tell_images(run);
	operation_ended(run);
	measure_commit(run);
	report_health(app);
	tell_events(run);
	report_write(app);
	/* what this run could not put back */
	if (run->apply_failed && app->dirty)
		app_enqueue(app, app_setbacks(app)->mend_from_ms - clock_mono_ms());
	/* while the new revision may not be applied, what runs is kept as it was, and what was not looked at since the start may have drifted; where nothing
	 * but its pruning is refused it is that already, and what holds this run back before its Project is known holds back the next one too */
	if (run->err.reason[0] && (run->dirty || !app->watched) && run->permitted && !run->prune_refused && may_keep(run)) {
		app->dirty = true;
		app->again = true;
	}
	return STEP_NEXT;
}

/* What was given up was the applied revision itself: a whole run tells that it is in order again. */
static void tell_mended(struct app *app)
{
	if (app_setbacks(app)->retry_until_ms != INT64_MAX || !app->tried_revision || strcmp(app->tried_revision, app_inventory(app)->revision))
		return;
	app_setback(app)->retry_until_ms = clock_mono_ms();
	app->again = true;
}

/* What was told beside the newest revision is so no longer: where no try follows, a whole run is made that tells what is left. */
static void take_back(struct run *run, bool violated)
{
	struct app *app = run->app;
	bool violation_gone = app->violation_told && !violated, differs_no_more = app->differs_told && !run->holds_back;

	if (!violation_gone && !differs_no_more)
		return;
	if (differs_no_more)
		report_text(&report_of(app)->resources, "");
	app->differs_told = run->holds_back;
	app->violation_told = violated;
	/* a next try that comes anyway tells it all by itself, and until then who is contested stays told */
	if (app_setbacks(app)->retry_until_ms == INT64_MAX)
		app->again = app->force = true;
}

static enum step_result record_heal(struct run *run)
{
	bool violated;

	if (run->err.reason[0]) {
		run->app->dirty = true;
		app_enqueue(run->app, error_wait(run->app, RETRY_FIRST_MS));
	} else if (run->looked) {
		tell_mended(run->app);
	}
	tell_events(run);
	violated = tell_violations(run);
	if (!run->err.reason[0] && run->looked)
		take_back(run, violated);
	run->app->violation_told |= violated;
	if (run->holds_back)
		tell_resources(run);
	return record_quietly(run);
}

static enum step_result record(struct run *run)
{
	if (run->canceled && !run->applying && run->goal != GOAL_DELETE && run->goal != GOAL_FORGET) {
		run->app->again = true;
		run->app->force |= run->refreshed;
		run->app->dirty |= run->dirty;
		run->app->hard |= run->hard;
		return STEP_NEXT;
	}
	switch (run->goal) {
	case GOAL_FORGET: return record_forget(run);
	case GOAL_DELETE: return record_delete(run);
	case GOAL_HEAL: return record_heal(run);
	default: break;
	}
	if (is_aside(run))
		return record_aside(run);
	if (run->tip || run->err.kind != ERROR_CANCELED)
		claims_looked(run);
	if (!run->quiet && !run->early)
		return record_sync(run);
	report_looked_at(run->app, &run->spec);
	return record_quietly(run);
}

enum step_result step_record(struct run *run)
{
	enum step_result result = record(run);
	int64_t until_ns = run->app->exempt_until_ns;

	operation_take_out(run->app);
	/* an exemption in use ends by itself, without any event */
	if (until_ns)
		app_enqueue(run->app, (until_ns - clock_wall_ns()) / 1000000 + 50);
	return result;
}
