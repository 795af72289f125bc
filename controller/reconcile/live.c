/* The managed objects of the cluster: what is known of each; see live.h. What is watched for it: live_watch.c. */
#include "reconcile/live.h"

#include <stdio.h>

#include "base/log.h"
#include "diff/fields.h"
#include "reconcile/live_record.h"
#include "reconcile/live_watch.h"
#include "reconcile/objects.h"
#include "reconcile/run.h"

#define GONE_MAX 4096       /* uids; older ones are of no use: answers come within half a minute */

char *live_key(struct arena *arena, const char *group, const char *kind, const char *namespace, const char *name)
{
	return arena_printf(arena, "%s/%s/%s/%s", group, kind, namespace ? namespace : "", name);
}

static struct span key_of(const void *thing)
{
	const struct live_object *object = thing;

	return span_of(object->key);
}

struct live_object *live_record_of(const struct live *live, const char *key)
{
	return keyset_get(&live->objects, span_of(key));
}

/* That exists, or NULL. */
static struct live_object *object_of(const struct live *live, const char *key)
{
	struct live_object *object = live_record_of(live, key);

	return object && object->exists ? object : NULL;
}

static struct live_object *record_get(struct live *live, const char *key)
{
	struct live_object *object = live_record_of(live, key);

	if (object)
		return object;
	object = record_new(key);
	keyset_add(&live->objects, object);
	return object;
}

static void drop_unless_needed(struct live *live, struct live_object *object)
{
	if (object->exists || object->holder)
		return;
	keyset_remove(&live->objects, span_of(object->key));
	record_free(object);
}

/* It does not exist any more. */
static void drop(struct live *live, struct live_object *object)
{
	record_clear(object);
	drop_unless_needed(live, object);
}

struct app *live_holder(const struct live *live, const char *key)
{
	const struct live_object *object = live_record_of(live, key);

	return object ? object->holder : NULL;
}

void live_hold(struct live *live, const char *key, struct app *holder)
{
	struct live_object *object = holder ? record_get(live, key) : live_record_of(live, key);

	if (!object)
		return;
	object->holder = holder;
	drop_unless_needed(live, object);
}

struct app *live_concerns(const struct live *live, const struct live_object *object)
{
	if (object->holder || !object->app)
		return object->holder;
	return app_find(live->core, span_of(object->app));
}

static const struct inventory_item *item_of(const struct app *app, const char *key)
{
	struct span rest = span_of(key), group = span_cut(&rest, '/'), kind = span_cut(&rest, '/'), namespace = span_cut(&rest, '/');

	for (size_t i = 0; i < app_inventory(app)->count; i++) {
		const struct inventory_item *item = &app_inventory(app)->items[i];

		if (span_is(rest, item->name) && span_is(kind, item->kind) && span_is(group, item->group) &&
		    span_is(namespace, item->namespace))
			return item;
	}
	return NULL;
}

static bool is_drifted(const struct live_object *object, const struct inventory_item *item)
{
	if (!item)
		return false;
	if (!*item->uid || !live_has_uid(object, item->uid))
		return true;
	if (object->metadata_only)
		return false;
	return !digest_equal(&object->owned, &item->owned) || !digest_equal(&live_more(object)->images, &item->images);
}

/* Tells the Application that something of it is not as it was; a run under way is woken instead. */
static void tell(struct app *app, bool dirty)
{
	if (!app)
		return;
	app->dirty |= dirty;
	if (app->run) {
		/* while it applies, health is what changes: it tells that itself when it is done; and before it has looked it will see */
		app->again |= dirty || (!app->run->applying && app->run->looked);
		run_wake(app->run);
		return;
	}
	app_enqueue(app, dirty ? 0 : 50);
}

/* What a run writes differs from the inventory until the run settles: then all objects are compared with the new one. */
static bool is_being_written(const struct app *app)
{
	return app->run && app->run->applying && !app->run->remembered;
}

void live_declared(struct live *live, const char *key, const struct json *object, const struct json *desired)
{
	struct live_object *known = object_of(live, key);

	if (known)
		record_declared(known, object, desired);
}

struct live_object *live_exists(struct live *live, const char *key)
{
	struct live_object *object = record_get(live, key);

	object->exists = true;
	return object;
}

static bool is_of_uid(const struct live_object *object, const struct json *metadata)
{
	const char *uid = json_get_text(metadata, "uid");

	return object->digested && uid && live_has_uid(object, uid);
}

/*
 * Answers and watches come over streams of their own, so the answer to an apply can arrive after the watch has told of a later state.
 * Resource versions of one object are numbers that grow.
 */
static bool is_older(const struct live_object *object, const struct json *metadata)
{
	return is_of_uid(object, metadata) && record_version(metadata) && record_version(metadata) < object->version;
}

/* Digested already. A version names one content. */
static bool is_same(const struct live_object *object, const struct json *metadata)
{
	return !object->metadata_only && is_of_uid(object, metadata) && object->version && record_version(metadata) == object->version;
}

/* Whether there is something about it that a run mends or tells of. */
static bool is_amiss(const struct live_object *object, bool drifted)
{
	const struct live_more *more = live_more(object);

	return drifted || more->posture || (more->extras_text && !digest_is_zero(&more->extras));
}

void live_tell(struct live *live, const struct json *from, const char *group, const char *kind, bool quietly)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	const struct json *metadata = json_get(from, "metadata");
	const char *name = json_get_text(metadata, "name");
	struct live_object *object;
	struct app *app;
	bool changed, drifted, amiss;

	if (!name)
		return;
	object = live_exists(live, live_key(arena, group, kind, json_get_text(metadata, "namespace"), name));
	if (is_older(object, metadata)) {
		/* what looked drifted before the inventory was written may be just as it was left */
		if (object->holder && !is_drifted(object, item_of(object->holder, object->key)))
			record_set_drifted(object, NULL);
		return;
	}
	fetches_outdated(live->fetches, object->key);
	amiss = is_amiss(object, live_more(object)->drifted);
	/* the answer to our own write, and then the watch, tell of the same version */
	changed = !is_same(object, metadata) && record_take(object, from, objects_custom_paths(live->core->objects), arena);
	app = live_concerns(live, object);
	log_line(LOG_DEBUG, "live object", "key", object->key, "version", json_get_text(metadata, "resourceVersion"), "health",
		 health_name((enum health)object->health),
		 "app", app ? app->key : NULL, "changed", changed ? "true" : "false", "from", quietly ? "answer" : "watch", NULL);
	drifted = app && is_drifted(object, item_of(app, object->key));
	/* the answer to our own write: taken in again when the inventory says so, too */
	if (!quietly || !drifted || !is_being_written(app))
		record_set_drifted(object, drifted ? from : NULL);
	if (changed && drifted && !quietly && is_being_written(app))
		map_set(&app->run->disturbed, span_of(object->key), app);
	/* what somebody else put right was told of, and is not so any more */
	if (app && changed && !quietly)
		tell(app, is_amiss(object, (drifted || amiss) && !is_being_written(app)));
}

void live_take(struct live *live, const struct json *object, const char *group, const char *kind)
{
	if (!map_has(&live->gone, json_text_span(json_path(object, "metadata", "uid", NULL))))
		live_tell(live, object, group, kind, true);
}

struct digest live_owned(const struct live *live, const char *key, const struct json *object)
{
	const struct live_object *known = object_of(live, key);

	return known && is_same(known, json_get(object, "metadata")) ? known->owned : fields_digest(object);
}

/* --- what is gone -------------------------------------------------------------------------------------------------- */

void live_gone(struct live *live, const char *key)
{
	struct live_object *object = object_of(live, key);
	struct app *app;

	fetches_outdated(live->fetches, key);
	if (!object)
		return;
	app = live_concerns(live, object);
	/* what was pruned and is declared again is made anew now */
	if (app && map_has(&app_dealings(app)->wanted, span_of(key)))
		app->force = true;
	if (app && app->run)
		map_set(&app->run->disturbed, span_of(key), app);
	tell(app, app && item_of(app, key));
	drop(live, object);
}

static void on_found(void *data, const struct json *object, const char *group, const char *kind)
{
	live_tell(data, object, group, kind, false);
}

/* The API server does not have it: not only that its label was taken off. */
static void on_gone(void *data, const char *key)
{
	struct live *live = data;
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	const struct live_object *object = object_of(live, key);

	if (live->gone.count >= GONE_MAX)
		map_release(&live->gone);
	if (object)
		map_set(&live->gone, span_of(live_uid(object, arena)), live);
	live_gone(live, key);
}

static bool is_kind_gone(void *data, const char *group, const char *kind)
{
	const struct discovery *discovery = ((struct live *)data)->core->discovery;

	return discovery_known(discovery) && !discovery_stale(discovery, span_of(group)) && !discovery_find(discovery, span_of(group), NULL, span_of(kind));
}

struct live *live_new(struct core *core)
{
	static const struct fetches_handler handler = { on_found, on_gone, is_kind_gone };
	struct live *live = mem_alloc(sizeof(*live));

	live->core = core;
	live->objects = (struct keyset)KEYSET_INIT(key_of);
	live->fetches = fetches_new(core->kube, core->loop, &handler, live);
	live_sweep(live);
	return live;
}

void live_free(struct live *live)
{
	if (!live)
		return;
	fetches_free(live->fetches);
	timer_free(live->sweep);
	MAP_EACH(entry, &live->watches)
		kind_watch_free(entry->value);
	map_release(&live->gone);
	KEYSET_EACH(slot, &live->objects)
		record_free(*slot);
	map_release(&live->watches);
	keyset_release(&live->objects);
	free(live);
}

const struct live_object *live_find(const struct live *live, const char *key)
{
	return object_of(live, key);
}

void live_drop(struct live *live, const char *key)
{
	struct live_object *object = object_of(live, key);

	if (object)
		drop(live, object);
}

void live_deleted(struct live *live, const char *key)
{
	struct live_object *object = object_of(live, key);

	if (object)
		object->leaving = true;
}

const struct live_object *live_leaving(const struct live *live, const struct app *app)
{
	KEYSET_EACH(slot, &live->objects) {
		const struct live_object *object = *slot;

		if (object->leaving && object->app && !strcmp(object->app, app->key))
			return object;
	}
	return NULL;
}

/* Deleted by us, and held by somebody's finalizer: what changes of it is looked at, but there is nothing to mend. */
static bool is_held(const struct live_object *object, const struct inventory_item *item)
{
	return !*item->uid && (object->leaving || object->deleting);
}

bool live_drifted(const struct live *live, const struct app *app)
{
	for (size_t i = 0; i < app_inventory(app)->count; i++) {
		CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
		const struct inventory_item *item = &app_inventory(app)->items[i];
		const struct live_object *object =
			object_of(live, live_key(arena, item->group, item->kind, item->namespace, item->name));

		if (object ? is_drifted(object, item) && !is_held(object, item) : map_has(&live->gone, span_of(item->uid)))
			return true;
	}
	return false;
}
