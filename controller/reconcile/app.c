/* Applications in core; see app.h. */
#include "reconcile/app.h"

#include "api/tracking.h"
#include "base/clock.h"
#include "base/log.h"
#include "reconcile/claims.h"
#include "reconcile/interests.h"
#include "reconcile/live.h"
#include "reconcile/objects.h"
#include "reconcile/owed.h"
#include "reconcile/report.h"
#include "reconcile/run.h"
#include "reconcile/turns.h"

static void on_timer(void *data)
{
	struct app *app = data;
	struct core *core = app->core;

	if (app->run) {
		app->again = true;
		app->due_ms = app->due_ms ? app->due_ms : app->wake_at_ms;
		return;
	}
	if (!core->leading || core->stopping || core->recovering || !objects_ready(core->objects) || !app->inventory_read)
		return;
	turns_ask(app);
}

struct app *app_find(const struct core *core, struct span key)
{
	return map_get(&core->apps, key);
}

struct app *app_get(struct core *core, struct span key)
{
	struct app *app = app_find(core, key);
	struct span rest = key, namespace = span_cut(&rest, '/');
	CLEANUP(mem_cleanup) char *ns = NULL;

	if (app)
		return app;
	app = mem_alloc(sizeof(*app));
	app->core = core;
	app->key = mem_strndup(key.data, key.length);
	ns = mem_strndup(namespace.data, namespace.length);
	tracking_label(core->options->namespace, ns, app->key + namespace.length + 1, app->label);
	app->timer = timer_new(core->loop, on_timer, app);
	app->inventory.app = app->inventory.uid = app->inventory.project = app->inventory.account = "";
	app->inventory.revision = app->inventory.repo_url = app->inventory.path = app->inventory.target_revision = "";
	app->inventory.applied.revision = app->inventory.pending.revision = "";
	app->inventory_read = core->objects && objects_ready(core->objects);
	map_set(&core->apps, key, app);
	return app;
}

void app_enqueue(struct app *app, int64_t delay_ms)
{
	int64_t at = clock_mono_ms() + (delay_ms > 0 ? delay_ms : 0);

	if (timer_running(app->timer) && app->wake_at_ms <= at)
		return;
	app->wake_at_ms = at;
	timer_start(app->timer, delay_ms);
}

/* What else than our own status writes changed: spec, deletion, an operation, a refresh. */
static bool is_news(const struct app *app, const struct application *now)
{
	return !app->present || app->spec.generation != now->generation || app->spec.deleting != now->deleting ||
	       strcmp(app->spec.uid, now->uid) || now->refresh || now->operation || !!app->spec.finalizer != !!now->finalizer;
}

/* The object without what nobody here reads: who owns its fields, and the status once the report has it. */
static struct json *keep(struct arena *arena, const struct json *object, bool with_status)
{
	struct json *out = json_object(arena), *metadata = json_object(arena);

	JSON_EACH(member, object)
		if (!span_is(member->key, "metadata") && (with_status || !span_is(member->key, "status")))
			json_set_span(arena, out, arena_span(arena, member->key), json_copy(arena, member->value));
	JSON_EACH(member, json_get(object, "metadata"))
		if (!span_is(member->key, "managedFields"))
			json_set_span(arena, metadata, arena_span(arena, member->key), json_copy(arena, member->value));
	json_set(arena, out, "metadata", metadata);
	return out;
}

/* Decoded twice: to know what it takes, and into just that. */
static struct arena *decode_fitting(const struct json *object, bool with_status, struct application *spec, struct error *err)
{
	CLEANUP(arena_cleanup) struct arena *scratch = arena_new(0);
	struct arena *arena;

	application_decode(keep(scratch, object, with_status), scratch, spec, err);
	arena = arena_new_like(scratch);
	application_decode(keep(arena, object, with_status), arena, spec, err);
	return arena;
}

void app_drop_status(struct app *app)
{
	struct arena *arena;
	struct application spec;
	struct error err = ERROR_INIT;
	enum refresh refresh = app->spec.refresh;
	bool operation = app->spec.operation != NULL;

	if (!app->spec.status)
		return;
	arena = decode_fitting(app->spec.object, false, &spec, &err);
	arena_free(app->spec_arena);
	app->spec_arena = arena;
	app->spec = spec;
	/* what was taken up stays so */
	app->spec.refresh = refresh;
	if (!operation)
		app->spec.operation = NULL;
}

void app_update(struct app *app, const struct json *object)
{
	struct arena *arena;
	struct application spec;
	struct error err = ERROR_INIT;
	bool news;

	if (!object) {
		app->present = false;
		app->again = true;
		if (app->run)
			run_cancel(app->run);
		app_enqueue(app, 0);
		return;
	}
	/* a run tells what is wrong in it */
	arena = decode_fitting(object, !app->report, &spec, &err);
	news = is_news(app, &spec);
	arena_free(app->spec_arena);
	app->spec_arena = arena;
	app->spec = spec;
	app->present = true;
	if (!news)
		return;
	app->force = true;
	if (spec.refresh == REFRESH_HARD)
		app->hard = true;
	if (spec.deleting && app->run)
		run_cancel(app->run);
	app_enqueue(app, 0);
}

void app_set_inventory(struct app *app, const struct inventory *inventory, const char *resource_version)
{
	CLEANUP(arena_cleanup) struct arena *scratch = arena_new(0);
	struct arena *arena;
	struct inventory copy;

	/* twice: to know what it takes, and into just that */
	inventory_copy(scratch, inventory, &copy);
	arena = arena_new_like(scratch);
	inventory_copy(arena, inventory, &copy);
	claims_release(app);
	arena_free(app->inventory_arena);
	app->inventory_arena = arena;
	app->inventory = copy;
	if (resource_version) {
		free(app->inventory_version);
		app->inventory_version = mem_strdup(resource_version);
	}
	claims_take(app);
}

void app_free(struct app *app)
{
	owed_drop(app);
	claims_forget(app);
	turns_drop(app);
	interests_leave(app);
	map_remove(&app->core->apps, span_of(app->key));
	MAP_EACH(entry, &app->heals)
		free(entry->value);
	map_release(&app->heals);
	arena_free(app->spec_arena);
	arena_free(app->inventory_arena);
	timer_free(app->timer);
	report_free(app->report);
	free(app->inventory_version);
	free(app->event_told);
	free(app->seen_tip);
	free(app->tried_revision);
	free(app->key);
	free(app);
}

void app_forget_if_done(struct app *app)
{
	if (!app->present && !app->run && !app->owed && !app->inventory.count && app->core->objects && objects_ready(app->core->objects))
		app_free(app);
}
