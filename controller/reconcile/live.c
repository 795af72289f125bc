/* The managed objects of the cluster; see live.h. */
#include "reconcile/live.h"

#include <stdio.h>

#include "base/keyset.h"
#include "base/log.h"
#include "diff/fields.h"
#include "kube/watch.h"
#include "reconcile/fetches.h"
#include "reconcile/live_record.h"
#include "reconcile/objects.h"
#include "reconcile/run.h"

struct kind_watch {
	struct live *live;
	char *group, *kind;
	char *path;                 /* that is listed: of the version in which the kind was first asked for */
	struct watch *watch;
	bool metadata;
	char *account;              /* "system:serviceaccount:..." for Secrets, else NULL */
	char *namespace;            /* likewise */
	uint32_t list;              /* counts lists: what was not told in the last one has vanished */
	struct error err;           /* reason "" while it works */
};

#define GONE_MAX 4096       /* uids; older ones are of no use: answers come within half a minute */

struct live {
	struct core *core;
	struct fetches *fetches;
	struct keyset objects;      /* struct live_object: those that exist, and those that are held */
	struct map watches;         /* GROUP/KIND[/NAMESPACE/ACCOUNT] -> struct kind_watch */
	struct map gone;            /* uids of what was found deleted: an answer that comes later does not bring it back */
};

char *live_key(struct arena *arena, const char *group, const char *kind, const char *namespace, const char *name)
{
	return arena_printf(arena, "%s/%s/%s/%s", group, kind, namespace ? namespace : "", name);
}

static struct span key_of(const void *thing)
{
	const struct live_object *object = thing;

	return span_of(object->key);
}

/* Whether it exists or not. */
static struct live_object *record_of(const struct live *live, const char *key)
{
	return keyset_get(&live->objects, span_of(key));
}

/* That exists, or NULL. */
static struct live_object *object_of(const struct live *live, const char *key)
{
	struct live_object *object = record_of(live, key);

	return object && object->exists ? object : NULL;
}

static struct live_object *record_get(struct live *live, const char *key)
{
	struct live_object *object = record_of(live, key);

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
	const struct live_object *object = record_of(live, key);

	return object ? object->holder : NULL;
}

void live_hold(struct live *live, const char *key, struct app *holder)
{
	struct live_object *object = holder ? record_get(live, key) : record_of(live, key);

	if (!object)
		return;
	object->holder = holder;
	drop_unless_needed(live, object);
}

/* Whose it is to look at a change of this object: who claims it, or whom it names itself. */
static struct app *concerned(const struct live *live, const struct live_object *object)
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

static struct live_object *object_get(struct live *live, const char *key)
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

static void take(struct live *live, const struct json *from, const char *group, const char *kind, bool quietly)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	const struct json *metadata = json_get(from, "metadata");
	const char *name = json_get_text(metadata, "name");
	struct live_object *object;
	struct app *app;
	bool changed, drifted;

	if (!name)
		return;
	object = object_get(live, live_key(arena, group, kind, json_get_text(metadata, "namespace"), name));
	if (is_older(object, metadata)) {
		/* what looked drifted before the inventory was written may be just as it was left */
		if (object->holder && !is_drifted(object, item_of(object->holder, object->key)))
			record_set_drifted(object, NULL);
		return;
	}
	fetches_outdated(live->fetches, object->key);
	/* the answer to our own write, and then the watch, tell of the same version */
	changed = !is_same(object, metadata) && record_take(object, from, objects_custom_paths(live->core->objects), arena);
	app = concerned(live, object);
	log_line(LOG_DEBUG, "live object", "key", object->key, "version", json_get_text(metadata, "resourceVersion"), "health",
		 health_name((enum health)object->health),
		 "app", app ? app->key : NULL, "changed", changed ? "true" : "false", "from", quietly ? "answer" : "watch", NULL);
	drifted = app && is_drifted(object, item_of(app, object->key));
	/* the answer to our own write: taken in again when the inventory says so, too */
	if (!quietly || !drifted || !is_being_written(app))
		record_set_drifted(object, drifted ? from : NULL);
	if (changed && !quietly)
		tell(app, (drifted && !is_being_written(app)) || live_more(object)->posture ||
				  (live_more(object)->extras_text && !digest_is_zero(&live_more(object)->extras)));
}

void live_take(struct live *live, const struct json *object, const char *group, const char *kind)
{
	if (!map_has(&live->gone, json_text_span(json_path(object, "metadata", "uid", NULL))))
		take(live, object, group, kind, true);
}

/* --- what the watches tell ------------------------------------------------------------------------------------- */

static void gone(struct live *live, const char *key)
{
	struct live_object *object = object_of(live, key);
	struct app *app;

	fetches_outdated(live->fetches, key);
	if (!object)
		return;
	app = concerned(live, object);
	tell(app, app && item_of(app, key));
	drop(live, object);
}

static void on_found(void *data, const struct json *object, const char *group, const char *kind)
{
	take(data, object, group, kind, false);
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
	gone(live, key);
}

/* Reads one object in full: a Secret of which only metadata is watched, or one that left the selection. */
static void fetch(struct kind_watch *watch, const char *namespace, const char *name, const char *key)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct live *live = watch->live;
	const struct kube_kind *kind = discovery_find(live->core->discovery, span_of(watch->group), NULL, span_of(watch->kind));

	if (kind)
		fetches_ask(live->fetches, &(struct fetch_of){ key, kube_path(arena, kind, namespace, name), watch->group, watch->kind, watch->account });
}

static void fetch_by_key(struct kind_watch *watch, const char *key)
{
	struct span rest = span_of(key), namespace;
	CLEANUP(mem_cleanup) char *ns = NULL;

	span_cut(&rest, '/');
	span_cut(&rest, '/');
	namespace = span_cut(&rest, '/');
	ns = mem_strndup(namespace.data, namespace.length);
	fetch(watch, ns, rest.data, key);
}

static void on_event(void *data, enum watch_event event, const struct json *from)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct kind_watch *watch = data;
	struct live *live = watch->live;
	const struct json *metadata = json_get(from, "metadata");
	const char *name = json_get_text(metadata, "name"), *namespace = json_get_text(metadata, "namespace");
	struct live_object *object;
	char *key;

	if (!name)
		return;
	key = live_key(arena, watch->group, watch->kind, namespace, name);
	object = record_of(live, key);
	if (event == WATCH_DELETED) {
		if (object)
			object->watch = NULL;
		/* our label may have been taken off, which looks the same */
		if (object && object->holder)
			fetch(watch, namespace, name, key);
		else
			gone(live, key);
		return;
	}
	object = object_get(live, key);
	object->watch = watch;
	object->list = watch->list;
	if (!watch->metadata) {
		/* items of a list carry neither */
		if (!json_get_text(from, "kind"))
			from = record_with_kind(from, watch->group, watch->kind, arena);
		take(live, from, watch->group, watch->kind, false);
		return;
	}
	if (object->digested && object->version && record_version(metadata) == object->version)
		return;
	if (!object->digested) {
		object->metadata_only = true;
		record_set_uid(object, json_get_text(metadata, "uid"));
	}
	fetch(watch, namespace, name, key);
}

static void on_listing(void *data)
{
	struct kind_watch *watch = data;

	watch->list++;
}

/* Runs that wait for a list look again. */
static void wake_all(struct live *live)
{
	KEYSET_EACH(slot, &live->core->apps) {
		struct app *app = *slot;

		if (app->run)
			run_wake(app->run);
	}
}

void live_read_again(struct live *live, const char *group, const char *kind)
{
	KEYSET_EACH(slot, &live->objects) {
		struct live_object *object = *slot;
		struct kind_watch *watch = object->watch;

		if (!watch || !object->exists || watch->metadata || strcmp(watch->group, group) || strcmp(watch->kind, kind))
			continue;
		/* what was digested of this very version is no longer all that matters */
		object->digested = false;
		fetch_by_key(watch, object->key);
	}
}

/* Told before, and not in the list that has just ended. */
static void vanished(struct kind_watch *watch, const char *key)
{
	CLEANUP(mem_cleanup) char *copy = mem_strdup(key);

	if (live_holder(watch->live, copy))
		fetch_by_key(watch, copy);
	else
		gone(watch->live, copy);
}

static void on_listed(void *data)
{
	struct kind_watch *watch = data;
	CLEANUP(str_release) struct str keys = STR_INIT;
	struct span rest;

	/* gathered first: what is gone is taken out of the map */
	KEYSET_EACH(slot, &watch->live->objects) {
		const struct live_object *object = *slot;

		if (object->watch == watch && object->list != watch->list)
			str_add(&keys, span_make(object->key, strlen(object->key) + 1));
	}
	for (rest = str_span(&keys); rest.length;) {
		struct span key = span_cut(&rest, '\0');

		record_of(watch->live, key.data)->watch = NULL;
		vanished(watch, key.data);
	}
	watch->err = (struct error)ERROR_INIT;
	wake_all(watch->live);
}

/* Of what cannot be seen any more nobody may say that it is in order: a whole run tells why. */
static void tell_blind(const struct kind_watch *watch)
{
	KEYSET_EACH(slot, &watch->live->objects) {
		const struct live_object *object = *slot;
		struct app *app = object->exists && object->watch == watch ? concerned(watch->live, object) : NULL;

		if (!app || app->force)
			continue;
		app->force = true;
		app_enqueue(app, 0);
	}
}

static void on_error(void *data, const struct error *err)
{
	struct kind_watch *watch = data;
	/* once for each cause: a refused certificate may follow a connection that broke */
	bool news = strcmp(watch->err.reason, err->reason) != 0;

	if (news)
		log_error(LOG_WARN, "cannot watch a kind; trying again", err, "group", watch->group, "kind", watch->kind,
			  "as", watch->account, NULL);
	watch->err = *err;
	/* whatever else it is passes, and what was missed is told then */
	if (news && (err->kind == ERROR_FORBIDDEN || err->kind == ERROR_NOT_FOUND))
		tell_blind(watch);
	wake_all(watch->live);
}

struct live *live_new(struct core *core)
{
	static const struct fetches_handler handler = { on_found, on_gone };
	struct live *live = mem_alloc(sizeof(*live));

	live->core = core;
	live->objects = (struct keyset)KEYSET_INIT(key_of);
	live->fetches = fetches_new(core->kube, core->loop, &handler, live);
	return live;
}

void live_free(struct live *live)
{
	if (!live)
		return;
	fetches_free(live->fetches);
	MAP_EACH(entry, &live->watches) {
		struct kind_watch *watch = entry->value;

		watch_free(watch->watch);
		free(watch->path);
		free(watch->group);
		free(watch->kind);
		free(watch->account);
		free(watch->namespace);
		free(watch);
	}
	map_release(&live->gone);
	KEYSET_EACH(slot, &live->objects)
		record_free(*slot);
	map_release(&live->watches);
	keyset_release(&live->objects);
	free(live);
}

/* Watches it by the version of `kind`; false: that is done already. */
static bool look_by(struct kind_watch *watch, const struct kube_kind *kind)
{
	static const struct watch_handler handler = { on_event, on_listing, on_listed, on_error };
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	const char *path = kube_path(arena, kind, watch->namespace, NULL);

	if (watch->path && !strcmp(watch->path, path))
		return false;
	free(watch->path);
	watch->path = mem_strdup(path);
	watch->err = (struct error)ERROR_INIT;
	watch_free(watch->watch);
	/* rbac: reader list watch (Secrets: as the project's account) */
	watch->watch = watch_new(watch->live->core->kube, watch->live->core->loop, path, LABEL_APP, watch->metadata, watch->account, &handler,
				 watch);
	return true;
}

static struct kind_watch *start_watch(struct live *live, const struct kube_kind *kind, const char *namespace,
				      const char *account, const char *key)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct kind_watch *watch = mem_alloc(sizeof(*watch));

	watch->live = live;
	watch->group = mem_strdup(kind->group);
	watch->kind = mem_strdup(kind->kind);
	watch->metadata = account != NULL;
	watch->account = account ? mem_strdup(kube_account(arena, account)) : NULL;
	watch->namespace = namespace ? mem_strdup(namespace) : NULL;
	look_by(watch, kind);
	map_set(&live->watches, span_of(key), watch);
	return watch;
}

static int explain_forbidden(const struct kind_watch *watch, const struct kube_kind *kind, struct error *err)
{
	if (watch->account)
		return error_set(err, ERROR_FORBIDDEN, "CannotRead",
				 "%s may not list and watch secrets in namespace %s, so drift there would not be seen: %s; add to a "
				 "Role of that account: {apiGroups: [\"\"], resources: [secrets], verbs: [get, list, watch]}",
				 watch->account, watch->namespace, watch->err.text);
	if (watch->namespace)
		return error_set(err, ERROR_FORBIDDEN, "CannotRead",
				 "countersign may not read %s.%s in namespace %s: bind its service account there to a Role with "
				 "{apiGroups: [\"%s\"], resources: [%s], verbs: [get, list, watch]}", kind->resource,
				 *kind->group ? kind->group : "core", watch->namespace, kind->group, kind->resource);
	return error_set(err, ERROR_FORBIDDEN, "CannotRead",
			 "countersign may not read %s.%s: add a ClusterRole labelled countersign.dev/aggregate-to-reader: \"true\" "
			 "with {apiGroups: [\"%s\"], resources: [%s], verbs: [get, list, watch]}",
			 kind->resource, *kind->group ? kind->group : "core", kind->group, kind->resource);
}

enum live_state live_want(struct live *live, const struct kube_kind *kind, const char *namespace, const char *account,
			  struct error *err)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	bool secret = !*kind->group && !strcmp(kind->kind, "Secret");
	bool here = secret || (live->core->options->namespaced && kind->namespaced);
	char *key = secret ? arena_printf(arena, "/Secret/%s/%s", namespace, account)
		    : here ? arena_printf(arena, "%s/%s/%s", kind->group, kind->kind, namespace)
			   : arena_printf(arena, "%s/%s", kind->group, kind->kind);
	struct kind_watch *watch = map_get(&live->watches, span_of(key));

	if (!watch) {
		start_watch(live, kind, here ? namespace : NULL, secret ? account : NULL, key);
		return LIVE_WAITING;
	}
	if (watch_listed(watch->watch))
		return LIVE_LISTED;
	if (!watch->err.reason[0])
		return LIVE_WAITING;
	/* the version by which it was watched is served no longer */
	if (watch->err.kind == ERROR_NOT_FOUND && look_by(watch, kind))
		return LIVE_WAITING;
	/* a right may have been given meanwhile: ask at once when somebody wants to know */
	watch_again(watch->watch);
	if (watch->err.kind == ERROR_FORBIDDEN) {
		explain_forbidden(watch, kind, err);
		return LIVE_FORBIDDEN;
	}
	*err = watch->err;
	error_wrap(err, "watch %s.%s", kind->resource, kind->group);
	return LIVE_FAILED;
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

bool live_leaving(const struct live *live, const struct app *app)
{
	KEYSET_EACH(slot, &live->objects) {
		const struct live_object *object = *slot;

		if (object->leaving && object->app && !strcmp(object->app, app->key))
			return true;
	}
	return false;
}

bool live_drifted(const struct live *live, const struct app *app)
{
	for (size_t i = 0; i < app_inventory(app)->count; i++) {
		CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
		const struct inventory_item *item = &app_inventory(app)->items[i];
		const struct live_object *object =
			object_of(live, live_key(arena, item->group, item->kind, item->namespace, item->name));

		if (object ? is_drifted(object, item) : map_has(&live->gone, span_of(item->uid)))
			return true;
	}
	return false;
}
