/* Operations, from their being taken up to their outcome; see operation.h. */
#include "reconcile/operation.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/metric.h"
#include "reconcile/report.h"

/* somewhat longer than countersign sync waits between two looks */
#define OUTCOME_STAYS_MS 1500
/* One that others come between so often is told as failed. */
#define TRIES_MOST 5

/* What tells one from another; never 0. */
static uint64_t mark_of(const struct json *operation)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	struct digest digest;
	uint64_t mark;

	json_write(operation, JSON_SORTED, &text);
	digest = digest_of(str_span(&text));
	memcpy(&mark, digest.bytes, sizeof(mark));
	return mark | 1;
}

static void forget(struct app *app)
{
	app->operation_taken = 0;
	app->operation_tries = 0;
	app->operation_told = false;
}

void operation_seen(struct app *app, struct application *spec)
{
	bool other = !app->present || strcmp(app_spec(app)->uid, spec->uid);

	if (other || !spec->operation || (app->operation_taken && mark_of(spec->operation) != app->operation_taken))
		forget(app);
	else if (app->operation_taken)
		spec->operation = NULL;
}

void operation_begin(struct run *run)
{
	struct app *app = run->app;

	if (!run->spec.operation)
		return;
	app->operation_taken = mark_of(run->spec.operation);
	app->operation_told = false;
	run->operation = run->spec.operation;
	run->initiated_by = json_text(json_path(run->operation, "initiatedBy", "username", NULL));
	run->manual = true;
	/* taken up once, also if the object is not read again before the next run */
	app_spec(app)->operation = NULL;
}

/* --- status.operationState, as Argo CD has it ------------------------------------------------------------------------ */

static struct json *state_of(struct run *run, const char *phase, const char *message)
{
	struct json *state = json_object(run->arena), *operation = json_object(run->arena), *by = json_object(run->arena);
	char started[TIME_TEXT];

	time_format_s(run->started_ns, started);
	if (run->operation) {
		operation = json_copy(run->arena, run->operation);
	} else {
		json_set_bool(run->arena, by, "automated", true);
		json_set(run->arena, operation, "initiatedBy", by);
	}
	json_set(run->arena, state, "operation", operation);
	json_set_string(run->arena, state, "phase", phase);
	json_set_string(run->arena, state, "message", message);
	json_set_string(run->arena, state, "startedAt", started);
	return state;
}

static void tell(struct run *run, const struct json *state)
{
	CLEANUP(str_release) struct str text = STR_INIT;

	json_write(state, JSON_PLAIN, &text);
	report_text(&report_of(run->app)->operation, str_c(&text));
}

void operation_begun(struct run *run)
{
	if (!run->manual)
		return;
	tell(run, state_of(run, "Running", "is being carried out"));
	report_write(run->app);
}

/* Or looked at, when there was nothing left to delete. */
static bool was_sent(const struct action *action)
{
	return action->attempt_count || (action->act == ACT_DELETE && action->finished);
}

static const char *result_status(const struct action *action)
{
	if (action->err.reason[0] || !was_sent(action))
		return "SyncFailed";
	if (action->kept)
		return "PruneSkipped";
	return action->act == ACT_DELETE ? "Pruned" : "Synced";
}

static struct json *result_json(struct run *run)
{
	struct json *result = json_object(run->arena), *resources = json_array(run->arena);

	json_set_string(run->arena, result, "revision", run->revision ? run->revision : "");
	for (size_t i = 0; i < run->action_count && json_count(resources) < LIMIT_STATUS_RESOURCES; i++) {
		const struct action *action = &run->actions[i];
		struct json *one;

		if (!action->in_plan)
			continue;
		one = json_append(run->arena, resources, json_object(run->arena));
		json_set_string(run->arena, one, "group", action->group);
		json_set_string(run->arena, one, "version", action->version);
		json_set_string(run->arena, one, "kind", action->kind);
		json_set_string(run->arena, one, "namespace", action->namespace);
		json_set_string(run->arena, one, "name", action->name);
		json_set_string(run->arena, one, "status", result_status(action));
		json_set_string(run->arena, one, "message",
				action->err.reason[0] ? action->err.text : !was_sent(action) ? "not sent" : action->kept ? action->kept : action->why ? action->why : "");
	}
	json_set(run->arena, result, "resources", resources);
	return result;
}

/* Something came between, after which there is a new plan to make: by itself it makes none where syncs are not automated. */
static bool is_to_be_repeated(const struct run *run)
{
	return run->manual && run->err.kind == ERROR_CANCELED && run->err.reason[0] && run->app->operation_tries < TRIES_MOST &&
	       json_get(app_spec(run->app)->object, "operation");
}

static void repeat(struct run *run)
{
	struct app *app = run->app;

	app->operation_tries++;
	app->operation_taken = 0;
	app_spec(app)->operation = json_get(app_spec(app)->object, "operation");
	app->again = true;
	app->hard |= run->hard;
}

void operation_ended(struct run *run)
{
	const char *phase = run->err.reason[0] ? run->apply_failed ? "Failed" : "Error" : "Succeeded";
	char finished[TIME_TEXT];
	struct json *state;

	if (!run->intent_durable && !run->manual)
		return;
	if (is_to_be_repeated(run)) {
		repeat(run);
		return;
	}
	if (run->manual) {
		app_setback(run->app)->outcome_until_ms = clock_mono_ms() + OUTCOME_STAYS_MS;
		run->app->operation_told = true;
	}
	time_format_s(clock_wall_ns(), finished);
	state = state_of(run, phase, run->err.reason[0] ? run->err.text : run->intent_durable ? "successfully synced" : "nothing to do");
	json_set_string(run->arena, state, "finishedAt", finished);
	json_set_int(run->arena, state, "retryCount", app_setbacks(run->app)->retry_count);
	json_set(run->arena, state, "syncResult", result_json(run));
	tell(run, state);
	metric_add(METRIC_ARGO_APP_SYNC, 1, run->spec.destination_server, run->operation_dry_run ? "true" : "false", run->spec.name,
		   run->spec.namespace, phase, run->spec.project, NULL);
}

void operation_take_out(struct app *app)
{
	const struct json *operation = app->operation_told && app->present ? json_get(app_spec(app)->object, "operation") : NULL;

	if (operation && mark_of(operation) == app->operation_taken)
		report_carried_out(app, operation);
}
