/* The managed objects of the cluster; see live.h. */
#include "reconcile/live.h"

#include <stdio.h>

#include "api/tracking.h"
#include "base/log.h"
#include "diff/compare.h"
#include "diff/extras.h"
#include "diff/fields.h"
#include "diff/posture.h"
#include "gate/images.h"
#include "kube/watch.h"
#include "reconcile/fetches.h"
#include "reconcile/run.h"

struct kind_watch {
	struct live *live;
	char *group, *kind;
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
	struct map objects;         /* key -> struct live_object */
	struct map watches;         /* GROUP/KIND[/NAMESPACE/ACCOUNT] -> struct kind_watch */
	struct map gone;            /* uids of what was found deleted: an answer that comes later does not bring it back */
};

char *live_key(struct arena *arena, const char *group, const char *kind, const char *namespace, const char *name)
{
	return arena_printf(arena, "%s/%s/%s/%s", group, kind, namespace ? namespace : "", name);
}

static void object_free(struct live_object *object)
{
	if (!object)
		return;
	free(object->key);
	free(object->resource_version);
	free(object->health_message);
	free(object->posture);
	free(object->extras_text);
	free(object->drifted);
	free(object->app);
	free(object);
}

static void set_text(char **slot, const char *text)
{
	free(*slot);
	*slot = text && *text ? mem_strdup(text) : NULL;
}

/* Whose it is to look at a change of this object: who claims it, or whom it names itself. */
static struct app *concerned(const struct live *live, const struct live_object *object)
{
	struct app *app = map_get(&live->core->claims, span_of(object->key));

	if (!app && object->app)
		app = app_find(live->core, span_of(object->app));
	return app;
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
	if (!*item->uid || strcmp(item->uid, object->uid))
		return true;
	if (object->metadata_only)
		return false;
	return !digest_equal(&object->owned, &item->owned) || !digest_equal(&object->images, &item->images);
}

/* Tells the Application that something of it is not as it was; a run under way is woken instead. */
static void tell(struct app *app, bool dirty)
{
	if (!app)
		return;
	app->dirty |= dirty;
	if (app->run) {
		/* while it applies, health is what changes: it tells that itself when it is done */
		app->again |= dirty || !app->run->applying;
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

static void take_extras(struct live_object *object, const struct json *from, struct arena *arena)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	struct json *list = json_array(arena);
	struct extra *extras;
	size_t count, more;

	extras_find(from, arena, &extras, &count, &more);
	object->extras = extras_digest(extras, count);
	for (size_t i = 0; i < count; i++) {
		struct json *one = json_object(arena);

		json_set_string(arena, one, "path", extras[i].path);
		json_set_string(arena, one, "manager", extras[i].manager);
		json_set_string(arena, one, "time", extras[i].time);
		json_append(arena, list, one);
	}
	json_write(list, JSON_PLAIN, &text);
	set_text(&object->extras_text, count ? str_c(&text) : NULL);
}

void live_declared(struct live *live, const char *key, const struct json *object, const struct json *desired)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	CLEANUP(str_release) struct str text = STR_INIT;
	struct live_object *known = map_get(&live->objects, span_of(key));
	struct json *extras, *kept = json_array(arena);

	if (!known || !known->extras_text || json_parse(span_of(known->extras_text), arena, 0, &extras, NULL))
		return;
	for (size_t i = 0; i < json_count(extras); i++)
		if (!compare_declares(desired, object, json_text_span(json_get(json_at(extras, i), "path"))))
			json_append(arena, kept, json_at(extras, i));
	json_write(kept, JSON_PLAIN, &text);
	set_text(&known->extras_text, json_count(kept) ? str_c(&text) : NULL);
}

/* What of it weakens security; returns whether that changed. By content: managedFields may have been wiped or forged. */
static bool take_posture(struct live_object *object, const struct json *from, struct arena *arena)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	const struct json *posture = posture_of(from, arena);
	const char *before = object->posture ? object->posture : "";

	if (posture)
		json_write(posture, JSON_PLAIN, &text);
	if (!strcmp(before, str_c(&text)))
		return false;
	set_text(&object->posture, str_c(&text));
	return true;
}

/* Digests an object into its record; returns whether anything that matters changed. */
static bool digest_object(struct live_object *object, const struct json *from, struct arena *arena)
{
	const struct json *metadata = json_get(from, "metadata");
	struct live_object before = *object;
	const char *message = "";
	bool first = !object->resource_version, posture;

	snprintf(object->uid, sizeof(object->uid), "%s", json_get_text(metadata, "uid") ? json_get_text(metadata, "uid") : "");
	set_text(&object->resource_version, json_get_text(metadata, "resourceVersion"));
	object->generation = json_get_int(metadata, "generation", 0);
	object->deleting = json_get_text(metadata, "deletionTimestamp") != NULL;
	set_text(&object->app, tracking_app(arena, from));
	object->metadata_only = false;
	object->owned = fields_digest(from);
	object->images = gate_images_digest(from, arena);
	object->health = health_of(from, arena, &message);
	set_text(&object->health_message, message);
	take_extras(object, from, arena);
	posture = take_posture(object, from, arena);
	return first || posture || strcmp(before.uid, object->uid) || !digest_equal(&before.owned, &object->owned) ||
	       !digest_equal(&before.images, &object->images) || !digest_equal(&before.extras, &object->extras) ||
	       before.health != object->health || before.deleting != object->deleting;
}

static struct live_object *object_get(struct live *live, const char *key)
{
	struct live_object *object = map_get(&live->objects, span_of(key));

	if (object)
		return object;
	object = mem_alloc(sizeof(*object));
	object->key = mem_strdup(key);
	map_set(&live->objects, span_of(key), object);
	return object;
}

static void keep_drifted(struct live_object *object, const struct json *from, bool drifted)
{
	CLEANUP(str_release) struct str text = STR_INIT;

	if (drifted)
		json_write(from, JSON_PLAIN, &text);
	set_text(&object->drifted, drifted ? str_c(&text) : NULL);
}

/*
 * Answers and watches come over streams of their own, so the answer to an apply can arrive after the watch has told of a later state.
 * Resource versions of one object are numbers that grow.
 */
static bool is_older(const struct live_object *object, const struct json *metadata)
{
	const char *uid = json_get_text(metadata, "uid"), *version = json_get_text(metadata, "resourceVersion");

	return object->resource_version && uid && version && !strcmp(uid, object->uid) &&
	       strtoull(version, NULL, 10) < strtoull(object->resource_version, NULL, 10);
}

/* Digested already. A version names one content. */
static bool is_same(const struct live_object *object, const struct json *metadata)
{
	const char *uid = json_get_text(metadata, "uid"), *version = json_get_text(metadata, "resourceVersion");

	return !object->metadata_only && object->resource_version && uid && version && !strcmp(uid, object->uid) &&
	       !strcmp(version, object->resource_version);
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
	app = map_get(&live->core->claims, span_of(object->key));
	if (is_older(object, metadata)) {
		/* what looked drifted before the inventory was written may be just as it was left */
		if (app && !is_drifted(object, item_of(app, object->key)))
			keep_drifted(object, NULL, false);
		return;
	}
	fetches_outdated(live->fetches, object->key);
	/* the answer to our own write, and then the watch, tell of the same version */
	changed = !is_same(object, metadata) && digest_object(object, from, arena);
	app = concerned(live, object);
	log_line(LOG_DEBUG, "live object", "key", object->key, "version", object->resource_version, "health", health_name(object->health),
		 "app", app ? app->key : NULL, "changed", changed ? "true" : "false", "from", quietly ? "answer" : "watch", NULL);
	drifted = app && is_drifted(object, item_of(app, object->key));
	/* the answer to our own write: taken in again when the inventory says so, too */
	if (!quietly || !drifted || !is_being_written(app))
		keep_drifted(object, from, drifted);
	if (changed && !quietly)
		tell(app, (drifted && !is_being_written(app)) || object->posture || (object->extras_text && !digest_is_zero(&object->extras)));
}

void live_take(struct live *live, const struct json *object, const char *group, const char *kind)
{
	if (!map_has(&live->gone, json_text_span(json_path(object, "metadata", "uid", NULL))))
		take(live, object, group, kind, true);
}

/* --- what the watches tell ------------------------------------------------------------------------------------- */

static void gone(struct live *live, const char *key)
{
	struct live_object *object = map_remove(&live->objects, span_of(key));
	struct app *app;

	fetches_outdated(live->fetches, key);
	if (!object)
		return;
	app = concerned(live, object);
	tell(app, app && item_of(app, key));
	object_free(object);
}

static void on_found(void *data, const struct json *object, const char *group, const char *kind)
{
	take(data, object, group, kind, false);
}

/* The API server does not have it: not only that its label was taken off. */
static void on_gone(void *data, const char *key)
{
	struct live *live = data;
	const struct live_object *object = map_get(&live->objects, span_of(key));

	if (live->gone.count >= GONE_MAX)
		map_release(&live->gone);
	if (object)
		map_set(&live->gone, span_of(object->uid), live);
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
	object = map_get(&live->objects, span_of(key));
	if (event == WATCH_DELETED) {
		if (object)
			object->watch = NULL;
		/* our label may have been taken off, which looks the same */
		if (map_has(&live->core->claims, span_of(key)))
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
		if (!json_get_text(from, "kind")) {
			struct json *copy = json_copy(arena, from);

			json_set_string(arena, copy, "kind", watch->kind);
			json_set(arena, copy, "apiVersion", json_stringf(arena, "%s%sv1", watch->group, *watch->group ? "/" : ""));
			from = copy;
		}
		take(live, from, watch->group, watch->kind, false);
		return;
	}
	if (object->resource_version && span_is(json_text_span(json_get(metadata, "resourceVersion")), object->resource_version))
		return;
	if (!object->resource_version) {
		object->metadata_only = true;
		snprintf(object->uid, sizeof(object->uid), "%s", json_get_text(metadata, "uid") ? json_get_text(metadata, "uid") : "");
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
	MAP_EACH(entry, &live->core->apps) {
		struct app *app = entry->value;

		if (app->run)
			run_wake(app->run);
	}
}

/* Told before, and not in the list that has just ended. */
static void vanished(struct kind_watch *watch, const char *key)
{
	CLEANUP(mem_cleanup) char *copy = mem_strdup(key);
	struct span rest = span_of(copy), namespace;

	span_cut(&rest, '/');
	span_cut(&rest, '/');
	namespace = span_cut(&rest, '/');
	if (map_has(&watch->live->core->claims, span_of(copy))) {
		CLEANUP(mem_cleanup) char *ns = mem_strndup(namespace.data, namespace.length);

		fetch(watch, ns, rest.data, copy);
	} else {
		gone(watch->live, copy);
	}
}

static void on_listed(void *data)
{
	struct kind_watch *watch = data;
	CLEANUP(str_release) struct str keys = STR_INIT;
	struct span rest;

	/* gathered first: what is gone is taken out of the map */
	MAP_EACH(entry, &watch->live->objects) {
		const struct live_object *object = entry->value;

		if (object->watch == watch && object->list != watch->list)
			str_add(&keys, span_make(entry->key, entry->length + 1));
	}
	for (rest = str_span(&keys); rest.length;) {
		struct span key = span_cut(&rest, '\0');
		struct live_object *object = map_get(&watch->live->objects, key);

		object->watch = NULL;
		vanished(watch, key.data);
	}
	watch->err = (struct error)ERROR_INIT;
	wake_all(watch->live);
}

static void on_error(void *data, const struct error *err)
{
	struct kind_watch *watch = data;

	/* once for each cause: a refused certificate may follow a connection that broke */
	if (strcmp(watch->err.reason, err->reason))
		log_error(LOG_WARN, "cannot watch a kind; trying again", err, "group", watch->group, "kind", watch->kind,
			  "as", watch->account, NULL);
	watch->err = *err;
	wake_all(watch->live);
}

struct live *live_new(struct core *core)
{
	static const struct fetches_handler handler = { on_found, on_gone };
	struct live *live = mem_alloc(sizeof(*live));

	live->core = core;
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
		free(watch->group);
		free(watch->kind);
		free(watch->account);
		free(watch->namespace);
		free(watch);
	}
	map_release(&live->gone);
	MAP_EACH(entry, &live->objects)
		object_free(entry->value);
	map_release(&live->watches);
	map_release(&live->objects);
	free(live);
}

static struct kind_watch *start_watch(struct live *live, const struct kube_kind *kind, const char *namespace,
				      const char *account, const char *key)
{
	static const struct watch_handler handler = { on_event, on_listing, on_listed, on_error };
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct kind_watch *watch = mem_alloc(sizeof(*watch));

	watch->live = live;
	watch->group = mem_strdup(kind->group);
	watch->kind = mem_strdup(kind->kind);
	watch->metadata = account != NULL;
	watch->account = account ? mem_strdup(kube_account(arena, account)) : NULL;
	watch->namespace = namespace ? mem_strdup(namespace) : NULL;
	/* rbac: reader list watch (Secrets: as the project's account) */
	watch->watch = watch_new(live->core->kube, live->core->loop, kube_path(arena, kind, namespace, NULL),
				 LABEL_APP, watch->metadata, watch->account, &handler, watch);
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
	return map_get(&live->objects, span_of(key));
}

void live_drop(struct live *live, const char *key)
{
	object_free(map_remove(&live->objects, span_of(key)));
}

void live_deleted(struct live *live, const char *key)
{
	struct live_object *object = map_get(&live->objects, span_of(key));

	if (object)
		object->leaving = true;
}

bool live_leaving(const struct live *live, const struct app *app)
{
	MAP_EACH(entry, &live->objects) {
		const struct live_object *object = entry->value;

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
			map_get(&live->objects, span_of(live_key(arena, item->group, item->kind, item->namespace, item->name)));

		if (object ? is_drifted(object, item) : map_has(&live->gone, span_of(item->uid)))
			return true;
	}
	return false;
}
