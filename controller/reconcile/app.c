/* Applications in core; see app.h. */
#include "reconcile/app.h"

#include "api/tracking.h"
#include "base/clock.h"
#include "base/name.h"
#include "base/pool.h"
#include "reconcile/claims.h"
#include "reconcile/interests.h"
#include "reconcile/live.h"
#include "reconcile/objects.h"
#include "reconcile/operation.h"
#include "reconcile/owed.h"
#include "reconcile/report.h"
#include "reconcile/rest.h"
#include "reconcile/run.h"
#include "reconcile/turns.h"

/* Whoever has asked for a sync looks every second for what came of it; only the next who asks need not wait for that. */
static int64_t earliest(const struct app *app)
{
	int64_t until = app_setbacks(app)->outcome_until_ms;

	return until > clock_mono_ms() && !(app->present && app_spec(app)->operation) ? until : 0;
}

static void on_timer(void *data)
{
	struct app *app = data;
	struct core *core = app->core;

	/* most wait for nothing, most of the time */
	timer_free(TAKE(app->timer));
	if (app->run) {
		app->again = true;
		app->due_ms = app->due_ms ? app->due_ms : app->wake_at_ms;
		return;
	}
	/* it was to run at once before there was an outcome */
	if (earliest(app)) {
		app_enqueue(app, 0);
		return;
	}
	if (!core->leading || core->stopping || core->recovering || !objects_ready(core->objects) || !app->inventory_read)
		return;
	turns_ask(app);
}

struct span app_key(const void *data)
{
	const struct app *app = data;

	return span_of(app->key);
}

struct app *app_find(const struct core *core, struct span key)
{
	return keyset_get(&core->apps, key);
}

struct app *app_get(struct core *core, struct span key)
{
	struct app *app = app_find(core, key);
	struct span rest = key, namespace = span_cut(&rest, '/');
	CLEANUP(mem_cleanup) char *ns = NULL, *text = NULL;

	if (app)
		return app;
	app = pool_alloc(sizeof(*app));
	app->core = core;
	text = mem_strndup(key.data, key.length);
	app->key = name_take(text);
	ns = mem_strndup(namespace.data, namespace.length);
	tracking_label(core->options->namespace, ns, app->key + namespace.length + 1, app->label);
	app->inventory_read = core->objects && objects_ready(core->objects);
	keyset_add(&core->apps, app);
	return app;
}

void app_enqueue(struct app *app, int64_t delay_ms)
{
	int64_t now = clock_mono_ms(), at = now + (delay_ms > 0 ? delay_ms : 0), from = earliest(app);

	at = at < from ? from : at;
	if (app->timer && app->wake_at_ms <= at)
		return;
	if (!app->timer)
		app->timer = timer_new(app->core->loop, on_timer, app);
	app->wake_at_ms = at;
	timer_start(app->timer, at - now);
}

/* The generation counts operations too: those that come, and those that we take out. */
bool app_is_same_spec(const struct application *one, const struct application *other)
{
	return one->generation == other->generation || json_equal(json_get(one->object, "spec"), json_get(other->object, "spec"));
}

/* What else than our own writes and an operation changed: spec, deletion, a refresh. */
static bool is_news(const struct app *app, const struct application *now)
{
	const struct application *before;

	if (!app->present)
		return true;
	before = app_spec(app);
	return !app_is_same_spec(before, now) || before->deleting != now->deleting || strcmp(before->uid, now->uid) || now->refresh ||
	       before->skip != now->skip || !!before->finalizer != !!now->finalizer;
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

static void take_brief(struct app *app, const struct application *spec)
{
	struct brief *brief = &app->brief;

	name_set(&brief->project, spec->project);
	name_set(&brief->repo_url, spec->repo_url);
	name_set(&brief->target_revision, spec->target_revision);
	name_set(&brief->server, spec->destination_server);
	name_set(&brief->namespace, spec->destination_namespace);
	brief->automated = spec->automated;
	brief->deleting = spec->deleting;
}

static void drop_brief(struct app *app)
{
	static const struct application none = { 0 };

	take_brief(app, &none);
}

void app_drop_status(struct app *app)
{
	struct application *spec = app_spec(app);

	if (!spec->status)
		return;
	/* the tree is the app's own */
	json_remove((struct json *)(uintptr_t)spec->object, "status");
	spec->status = NULL;
}

void app_update(struct app *app, const struct json *object)
{
	struct app_open *open;
	struct arena *arena;
	struct application spec;
	struct error err = ERROR_INIT;
	bool news, generation, told;

	if (!object) {
		app->present = false;
		app->again = true;
		if (app->run)
			run_cancel(app->run);
		owed_pay(app);
		app_enqueue(app, 0);
		return;
	}
	open = rest_open(app);
	arena = arena_new(0);
	/* a run tells what is wrong in it */
	application_decode(keep(arena, object, !open->report), arena, &spec, &err);
	operation_seen(app, &spec);
	news = is_news(app, &spec);
	generation = app->present && open->spec.generation != spec.generation;
	told = open->report && open->report->generation == open->spec.generation;
	arena_free(open->arena);
	open->arena = arena;
	open->spec = spec;
	take_brief(app, &spec);
	app->present = true;
	/* the status tells the generation; and what was synced may be another revision than the Application's own */
	if (!news && !spec.operation && generation) {
		if (told)
			report_looked_at(app, &spec);
		if (open->report)
			report_write(app);
		app_enqueue(app, 0);
	}
	if (!news && !spec.operation)
		return;
	app->from_start = !app->core->objects || !objects_ready(app->core->objects);
	app->force |= news;
	if (spec.refresh == REFRESH_HARD)
		app->hard = true;
	if (spec.deleting && app->run)
		run_cancel(app->run);
	app_enqueue(app, 0);
}

void app_set_inventory(struct app *app, const struct inventory *inventory)
{
	claims_release(app);
	rest_set_inventory(app, inventory);
	claims_take(app);
}

const struct setbacks *app_setbacks(const struct app *app)
{
	static const struct setbacks none = { 0 };

	return app->setbacks ? app->setbacks : &none;
}

struct setbacks *app_setback(struct app *app)
{
	if (!app->setbacks)
		app->setbacks = mem_alloc(sizeof(*app->setbacks));
	return app->setbacks;
}

static void drop_setbacks(struct app *app)
{
	if (app->setbacks)
		free(app->setbacks->event_told);
	free(TAKE(app->setbacks));
}

const struct dealings *app_dealings(const struct app *app)
{
	static const struct dealings none = { 0 };

	return app->dealings ? app->dealings : &none;
}

struct dealings *app_deal(struct app *app)
{
	if (!app->dealings)
		app->dealings = mem_alloc(sizeof(*app->dealings));
	return app->dealings;
}

static void drop_dealings(struct app *app)
{
	struct dealings *dealings = TAKE(app->dealings);

	if (!dealings)
		return;
	MAP_EACH(entry, &dealings->heals)
		free(entry->value);
	map_release(&dealings->heals);
	map_release(&dealings->wanted);
	map_release(&dealings->offers);
	map_release(&dealings->leaving);
	map_release(&dealings->claiming);
	free(dealings);
}

void app_trim(struct app *app)
{
	const struct setbacks *setbacks = app_setbacks(app);
	const struct dealings *dealings = app_dealings(app);

	if (!setbacks->denied_wait_ms && !setbacks->denied_until_ms && digest_is_zero(&setbacks->denied_told) && !setbacks->error_wait_ms &&
	    !setbacks->retry_count && !setbacks->retry_until_ms && !setbacks->mend_from_ms && setbacks->outcome_until_ms < clock_mono_ms() && !setbacks->event_told)
		drop_setbacks(app);
	if (!dealings->wanted.count && !dealings->offers.count && !dealings->leaving.count && !dealings->claiming.count && !dealings->heals.count)
		drop_dealings(app);
}

void app_free(struct app *app)
{
	owed_drop(app);
	claims_forget(app);
	turns_drop(app);
	interests_leave(app);
	keyset_remove(&app->core->apps, span_of(app->key));
	drop_setbacks(app);
	drop_dealings(app);
	rest_forget(app);
	drop_brief(app);
	timer_free(app->timer);
	name_drop(app->seen_tip);
	name_drop(app->tried_revision);
	name_drop(app->looked_tip);
	name_drop(app->key);
	pool_free(app, sizeof(*app));
}

/* Whether an answer is still to come that will want it: of a run that ended without it, or of a write of its status or inventory. */
static bool is_awaited(const struct app *app)
{
	return app->runs || app->owed || app->status_book.busy || app->inventory_book.busy || app->operation_book.busy;
}

void app_forget_if_done(struct app *app)
{
	if (!app->present && !is_awaited(app) && !app_inventory(app)->count && app->core->objects && objects_ready(app->core->objects))
		app_free(app);
}
