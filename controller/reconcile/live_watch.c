/* The kinds that are watched; see live_watch.h. */
#include "reconcile/live_watch.h"

#include "api/tracking.h"
#include "base/clock.h"
#include "base/log.h"
#include "diff/fields.h"
#include "kube/watch.h"
#include "reconcile/live_record.h"
#include "reconcile/run.h"

/* A run that asks for a watch has made what it makes long before. */
#define UNUSED_MS (15 * 60 * 1000)
#define SWEEP_EVERY_MS (10 * 60 * 1000)

struct kind_watch {
	struct live *live;
	char *group, *kind;
	char *path, *version;       /* that is listed: of the version in which the kind was first asked for */
	struct watch *watch;
	bool metadata;
	char *account;              /* "system:serviceaccount:..." for Secrets, else NULL */
	char *namespace;            /* likewise */
	int64_t asked_ms;           /* when a run last asked for it */
	uint32_t list;              /* counts lists: what was not told in the last one has vanished */
	struct error err;           /* reason "" while it works */
};

void kind_watch_free(struct kind_watch *watch)
{
	watch_free(watch->watch);
	free(watch->path);
	free(watch->version);
	free(watch->group);
	free(watch->kind);
	free(watch->account);
	free(watch->namespace);
	free(watch);
}

/* --- what the watches tell ------------------------------------------------------------------------------------- */

/* Reads one object in full: a Secret of which only metadata is watched, one that left the selection, or one in that version (NULL: any). */
static void fetch(struct kind_watch *watch, const char *version, const char *namespace, const char *name, const char *key)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct live *live = watch->live;
	const struct kube_kind *kind = discovery_find(live->core->discovery, span_of(watch->group), version, span_of(watch->kind));

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
	fetch(watch, NULL, ns, rest.data, key);
}

/*
 * The version to read it in, where it was applied in another one than the watch tells it in (HorizontalPodAutoscalers of v1 beside
 * some of v2): what our fields are is said in that one's paths. NULL: as it is told will do.
 */
static const char *other_form(const struct kind_watch *watch, const struct json *from, const char *key, struct arena *arena)
{
	struct span version = api_version_version(fields_version(from));
	const struct json *metadata = json_get(from, "metadata");
	const char *namespace = json_get_text(metadata, "namespace"), *text;
	const struct app *app = live_holder(watch->live, key);
	const struct inventory_item *item;
	struct digest owned;

	if (!version.length || span_is(version, watch->version))
		return NULL;
	item = app ? inventory_find(app_inventory(app), watch->group, watch->kind, namespace ? namespace : "", json_get_text(metadata, "name")) : NULL;
	owned = fields_digest(from);
	text = arena_strndup(arena, version);
	if ((item && digest_equal(&owned, &item->owned)) ||
	    !discovery_find(watch->live->core->discovery, span_of(watch->group), text, span_of(watch->kind)))
		return NULL;
	return text;
}

static void on_event(void *data, enum watch_event event, const struct json *from)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct kind_watch *watch = data;
	struct live *live = watch->live;
	const struct json *metadata = json_get(from, "metadata");
	const char *name = json_get_text(metadata, "name"), *namespace = json_get_text(metadata, "namespace"), *version;
	struct live_object *object;
	char *key;

	if (!name)
		return;
	key = live_key(arena, watch->group, watch->kind, namespace, name);
	object = live_record_of(live, key);
	if (event == WATCH_DELETED) {
		if (object)
			object->watch = NULL;
		/* our label may have been taken off, which looks the same */
		if (object && object->holder)
			fetch(watch, NULL, namespace, name, key);
		else
			live_gone(live, key);
		return;
	}
	object = live_exists(live, key);
	object->watch = watch;
	object->list = watch->list;
	version = watch->metadata ? NULL : other_form(watch, from, key, arena);
	if (!watch->metadata && !version) {
		/* items of a list carry neither */
		if (!json_get_text(from, "kind"))
			from = record_with_kind(from, watch->group, watch->kind, arena);
		live_tell(live, from, watch->group, watch->kind, false);
		return;
	}
	if (object->digested && object->version && record_version(metadata) == object->version)
		return;
	if (!object->digested) {
		object->metadata_only = true;
		record_set_uid(object, json_get_text(metadata, "uid"));
	}
	fetch(watch, version, namespace, name, key);
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
		live_gone(watch->live, copy);
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

		live_record_of(watch->live, key.data)->watch = NULL;
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
		struct app *app = object->exists && object->watch == watch ? live_concerns(watch->live, object) : NULL;

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

/* --- what is watched --------------------------------------------------------------------------------------------- */

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
	free(watch->version);
	watch->version = mem_strdup(kind->version);
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

	/* a Binding, a review: a question in the shape of an object, which no right makes readable */
	if (!kind->can_list) {
		error_set(err, ERROR_INVALID, "CannotRead",
			  "the API server lets nobody list and watch %s.%s, so it cannot be kept as Git says: take it out of Git", kind->resource,
			  *kind->group ? kind->group : "core");
		return LIVE_FAILED;
	}
	if (!watch)
		watch = start_watch(live, kind, here ? namespace : NULL, secret ? account : NULL, key);
	watch->asked_ms = clock_mono_ms();
	if (watch_listed(watch->watch))
		return LIVE_LISTED;
	if (!watch->err.reason[0])
		return LIVE_WAITING;
	/* the version by which it was watched is served no longer */
	if (watch->err.kind == ERROR_NOT_FOUND && look_by(watch, kind))
		return LIVE_WAITING;
	/* nor is the kind itself, though it may come again: with this very revision, if that defines it */
	if (watch->err.kind == ERROR_NOT_FOUND)
		discovery_doubt(live->core->discovery);
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

/* --- what nobody needs any more ------------------------------------------------------------------------------------ */

/* Kinds, and kinds in a namespace, of which something is there or stands in an inventory: "GROUP/KIND", "GROUP/KIND/NAMESPACE". */
static void find_used(const struct live *live, struct map *used)
{
	KEYSET_EACH(slot, &live->objects) {
		const struct live_object *object = *slot;
		struct span key = span_of(object->key), rest = key;

		if (!object->exists && !object->holder)
			continue;
		span_cut(&rest, '/');
		span_cut(&rest, '/');
		map_set(used, span_sub(key, 0, (size_t)(rest.data - key.data) - 1), used);
		span_cut(&rest, '/');
		map_set(used, span_sub(key, 0, (size_t)(rest.data - key.data) - 1), used);
	}
}

static bool is_used(const struct kind_watch *watch, const struct map *used)
{
	CLEANUP(str_release) struct str key = STR_INIT;

	str_addf(&key, "%s/%s%s%s", watch->group, watch->kind, watch->namespace ? "/" : "", watch->namespace ? watch->namespace : "");
	return clock_mono_ms() - watch->asked_ms < UNUSED_MS || map_has(used, str_span(&key));
}

/* The key of one that is not needed, or NULL. */
static struct map_entry *unused(const struct live *live, const struct map *used)
{
	MAP_EACH(entry, &live->watches)
		if (!is_used(entry->value, used))
			return entry;
	return NULL;
}

static void sweep(void *data)
{
	CLEANUP(map_release) struct map used = MAP_INIT;
	struct live *live = data;
	struct map_entry *entry;

	find_used(live, &used);
	while ((entry = unused(live, &used)) != NULL) {
		CLEANUP(mem_cleanup) char *key = mem_strndup(entry->key, entry->length);
		struct kind_watch *watch = map_remove(&live->watches, span_of(key));

		log_line(LOG_INFO, "a kind is watched no longer, nothing of it is left", "group", watch->group, "kind", watch->kind, "namespace",
			 watch->namespace, NULL);
		kind_watch_free(watch);
	}
	timer_start(live->sweep, SWEEP_EVERY_MS);
}

void live_sweep(struct live *live)
{
	live->sweep = timer_new(live->core->loop, sweep, live);
	timer_start(live->sweep, SWEEP_EVERY_MS);
}
