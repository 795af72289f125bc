/* Watches of our own kinds; see objects.h. */
#include "reconcile/objects.h"

#include "api/image_policy.h"
#include "api/repository_secret.h"
#include "base/log.h"
#include "gate/verdict.h"
#include "kube/watch.h"
#include "reconcile/app.h"
#include "reconcile/changes.h"
#include "reconcile/live.h"
#include "reconcile/recover.h"
#include "reconcile/repos.h"

enum own_kind { OWN_APPLICATION, OWN_PROJECT, OWN_POLICY, OWN_INVENTORY, OWN_SECRET, OWN_CONFIG_MAP, OWN_COUNT };

#define CERTS_NAME "countersign-tls-certs"
/* What may be changed while we run. */
#define SETTINGS_NAME "countersign-settings"

struct collection {
	struct objects *objects;
	enum own_kind kind;
	struct watch *watch;
	struct map copies;       /* name -> struct object_copy */
	bool listed_once;
	struct error failing;    /* why it cannot be read; reason "" while it can */
};

struct objects {
	struct core *core;
	struct collection collections[OWN_COUNT];
	struct arena *custom_arena;       /* of `custom` */
	struct custom_paths custom;
	uint64_t policies_version;
};

static const struct {
	const char *prefix;      /* before the namespace */
	const char *what;        /* the resource, behind it */
} sources[OWN_COUNT] = {
	/* rbac: own countersign.dev/applications list watch */
	[OWN_APPLICATION] = { "/apis/countersign.dev/v1alpha1", "applications" },
	/* rbac: own countersign.dev/projects list watch */
	[OWN_PROJECT] = { "/apis/countersign.dev/v1alpha1", "projects" },
	/* rbac: own countersign.dev/imagepolicies list watch */
	[OWN_POLICY] = { "/apis/countersign.dev/v1alpha1", "imagepolicies" },
	/* rbac: own countersign.dev/applicationinventories list watch */
	[OWN_INVENTORY] = { "/apis/countersign.dev/v1alpha1", "applicationinventories" },
	/* rbac: own core/secrets list watch */
	[OWN_SECRET] = { "/api/v1", "secrets" },
	/* rbac: own core/configmaps list watch */
	[OWN_CONFIG_MAP] = { "/api/v1", "configmaps" },
};

static void copy_free(struct object_copy *copy)
{
	if (!copy)
		return;
	arena_free(copy->arena);
	free(copy);
}

static void enqueue_all(struct core *core)
{
	KEYSET_EACH(slot, &core->apps) {
		struct app *app = *slot;

		app->force = true;
		app_enqueue(app, 0);
	}
}

static void enqueue_project(struct core *core, struct span project)
{
	KEYSET_EACH(slot, &core->apps) {
		struct app *app = *slot;

		if (!app->present || !app->brief.project || !span_is(project, app->brief.project))
			continue;
		app->force = true;
		app_enqueue(app, 0);
	}
}

static void app_changed(struct collection *collection, struct span name, const struct json *object)
{
	CLEANUP(str_release) struct str key = STR_INIT;
	struct core *core = collection->objects->core;
	struct app *app;

	str_addf(&key, "%s/%.*s", core->options->namespace, SPAN_ARG(name));
	app = app_get(core, str_span(&key));
	app->seen = object ? SIGHT_SEEN : SIGHT_NONE;
	app_update(app, object);
}

/* The next sync writes it again, also if it says the same. */
static void forget_inventory(struct app *app)
{
	app->inventory_seen = SIGHT_NONE;
	app->inventory_written = (struct digest){ { 0 } };
}

static void inventory_gone(struct core *core, struct span name)
{
	KEYSET_EACH(slot, &core->apps) {
		struct app *app = *slot;

		if (span_is(name, app->label))
			forget_inventory(app);
	}
}

static void inventory_changed(struct collection *collection, struct span name, const struct json *object)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct core *core = collection->objects->core;
	struct inventory inventory;
	struct error err = ERROR_INIT;
	struct app *app;

	if (!object) {
		inventory_gone(core, name);
		return;
	}
	/* what we wrote ourselves is known; only what was there before us is taken in */
	if (objects_ready(collection->objects)) {
		app = app_find(core, json_text_span(json_get(object, "app")));
		if (app && span_is(name, app->label))
			app->inventory_seen = SIGHT_SEEN;
		return;
	}
	if (inventory_decode(json_text_span(json_path(object, "data", NULL)), arena, &inventory, &err)) {
		log_error(LOG_ERROR, "inventory does not read; its Application will adopt by label", &err, "inventory",
			  arena_strndup(arena, name), NULL);
		return;
	}
	app = app_get(core, span_of(inventory.app));
	if (span_is(name, app->label))
		app->inventory_seen = SIGHT_SEEN;
	app->inventory_written = digest_of(json_text_span(json_path(object, "data", NULL)));
	app_set_inventory(app, &inventory);
}

/* Same content as before: a status update or a relist. */
static bool is_same(const struct object_copy *copy, const struct json *object)
{
	return copy && copy->object && json_equal(json_get(copy->object, "spec"), json_get(object, "spec")) &&
	       json_equal(json_get(copy->object, "data"), json_get(object, "data")) &&
	       json_equal(json_path(copy->object, "metadata", "labels", NULL), json_path(object, "metadata", "labels", NULL));
}

/* The level of log lines: the ConfigMap's, and without one what the command line said. */
static void take_settings(struct core *core, const struct json *object)
{
	const char *level = json_text(json_path(object, "data", "log-level", NULL));
	enum log_level wanted = core->options->log_level;

	if (level && !log_level_of(level, &wanted))
		log_line(LOG_WARN, "log-level is none of debug, info, warn, error; the level stays", "configmap", SETTINGS_NAME, "value", level,
			 NULL);
	else if (wanted != log_level()) {
		log_set_level(LOG_INFO);
		log_line(LOG_INFO, "log level changes", "to", level ? level : "what the command line said", NULL);
		log_set_level(wanted);
	}
}

/* Whether an ImagePolicy takes a key from the Secret of that name. */
static bool is_key_of_policy(const struct objects *objects, struct span name)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);

	MAP_EACH(entry, objects_policies(objects)) {
		const struct object_copy *copy = entry->value;
		struct image_policy policy;

		image_policy_decode(json_copy(arena, copy->object), arena, &policy);
		for (size_t i = 0; i < policy.authority_count; i++)
			if (policy.authorities[i].secret_name && span_is(name, policy.authorities[i].secret_name))
				return true;
	}
	return false;
}

/* What was judged by them is judged anew, and until then not written: permission_to_send. */
static void policies_changed(struct objects *objects)
{
	objects->policies_version++;
	enqueue_all(objects->core);
}

/* Whether a Secret or ConfigMap decides what is trusted, by what credential a repository is read, or what is logged. */
static bool is_configuration(const struct collection *collection, const struct json *object, bool is_key)
{
	return collection->kind == OWN_CONFIG_MAP || is_key || is_repository_secret(object);
}

/* A Secret, or one of the ConfigMaps that are wanted. */
static void setting_changed(struct collection *collection, struct span name, const struct json *object, const char *op)
{
	const struct object_copy *copy = map_get(&collection->copies, name);
	bool is_key = collection->kind == OWN_SECRET && is_key_of_policy(collection->objects, name);
	const struct json *told = object ? object : copy ? copy->object : NULL;
	struct core *core = collection->objects->core;

	if (collection->listed_once && is_configuration(collection, told, is_key))
		changes_record(core->changes, collection->kind == OWN_SECRET ? "Secret" : "ConfigMap", told, op);
	if (collection->kind == OWN_CONFIG_MAP && span_is(name, SETTINGS_NAME)) {
		take_settings(core, object);
		return;
	}
	if (!collection->listed_once)
		return;
	/* whom a policy trusts has changed, as if the policy had */
	if (is_key)
		policies_changed(collection->objects);
	repos_credentials_changed(core->repos);
}

static void react(struct collection *collection, struct span name, const struct json *object, bool same, const char *op)
{
	struct core *core = collection->objects->core;

	switch (collection->kind) {
	case OWN_APPLICATION:
		app_changed(collection, name, object);
		return;
	case OWN_INVENTORY:
		inventory_changed(collection, name, object);
		return;
	case OWN_PROJECT:
	case OWN_POLICY:
		if (same)
			return;
		if (collection->listed_once) {
			const struct object_copy *copy = map_get(&collection->copies, name);

			changes_record(core->changes, collection->kind == OWN_PROJECT ? "Project" : "ImagePolicy",
				       object ? object : copy ? copy->object : NULL, op);
		}
		if (collection->kind == OWN_PROJECT)
			enqueue_project(core, name);
		else
			policies_changed(collection->objects);
		return;
	default:
		if (!same)
			setting_changed(collection, name, object, op);
	}
}

static bool is_same_paths(const struct custom_paths *a, const struct custom_paths *b)
{
	for (size_t i = 0; i < a->count && a->count == b->count; i++)
		if (strcmp(a->paths[i].group, b->paths[i].group) || strcmp(a->paths[i].kind, b->paths[i].kind) ||
		    strcmp(a->paths[i].path, b->paths[i].path))
			return false;
	return a->count == b->count;
}

static void read_again(struct core *core, const struct custom_paths *custom)
{
	for (size_t i = 0; i < custom->count; i++)
		live_read_again(core->live, custom->paths[i].group, custom->paths[i].kind);
}

/* After a policy came, changed or went. What lies in the cluster is looked at with the new paths. */
static void take_custom_paths(struct objects *objects)
{
	const struct map *copies = objects_policies(objects);
	struct arena *arena = arena_new(0), *before = objects->custom_arena;
	struct image_policy *policies = arena_calloc(arena, copies->count, sizeof(*policies));
	struct custom_paths former = objects->custom;
	struct policy_set set = { policies, 0 };

	MAP_EACH(entry, copies)
		image_policy_decode(json_copy(arena, ((const struct object_copy *)entry->value)->object), arena, &policies[set.count++]);
	objects->custom_arena = arena;
	objects->custom = verdict_custom_paths(&set, arena);
	if (!is_same_paths(&former, &objects->custom)) {
		read_again(objects->core, &former);
		read_again(objects->core, &objects->custom);
	}
	arena_free(before);
}

static void forget_copy(struct collection *collection, struct span name)
{
	react(collection, name, NULL, false, "delete");
	copy_free(map_remove(&collection->copies, name));
	if (collection->kind == OWN_POLICY)
		take_custom_paths(collection->objects);
}

/* Of Secrets and ConfigMaps of the namespace only what concerns us is kept. */
static bool is_wanted(const struct collection *collection, const struct json *object)
{
	struct span name = json_text_span(json_path(object, "metadata", "name", NULL));

	if (collection->kind == OWN_CONFIG_MAP)
		return span_is(name, CERTS_NAME) || span_is(name, SETTINGS_NAME);
	if (collection->kind == OWN_SECRET)
		return !span_starts(json_text_span(json_get(object, "type")), "kubernetes.io/service-account-token");
	return true;
}

/* Of these there are many, and struct app takes what it needs: no copies. */
static bool is_of_apps(const struct collection *collection)
{
	return collection->kind == OWN_APPLICATION || collection->kind == OWN_INVENTORY;
}

/* Who changed it was all that they are good for. */
static void forget_managers(const struct object_copy *copy)
{
	json_remove(json_get(copy->object, "metadata"), "managedFields");
}

static void on_event(void *data, enum watch_event event, const struct json *object)
{
	struct collection *collection = data;
	struct span name = json_text_span(json_path(object, "metadata", "name", NULL));
	struct object_copy *copy = map_get(&collection->copies, name);
	bool same = event != WATCH_DELETED && is_same(copy, object);

	if (!name.length || !is_wanted(collection, object))
		return;
	if (is_of_apps(collection)) {
		react(collection, name, event == WATCH_DELETED ? NULL : object, false, "");
		return;
	}
	if (event == WATCH_DELETED) {
		forget_copy(collection, name);
		return;
	}
	if (!copy) {
		copy = mem_alloc(sizeof(*copy));
		map_set(&collection->copies, name, copy);
	}
	copy->seen = true;
	arena_free(copy->arena);
	copy->arena = arena_new(0);
	copy->object = json_copy(copy->arena, object);
	react(collection, name, copy->object, same, event == WATCH_ADDED ? "create" : "update");
	if (collection->listed_once)
		forget_managers(copy);
	if (collection->kind == OWN_POLICY && !same)
		take_custom_paths(collection->objects);
}

static uint8_t *sight_of(const struct collection *collection, struct app *app)
{
	return collection->kind == OWN_APPLICATION ? &app->seen : &app->inventory_seen;
}

static void on_listing(void *data)
{
	struct collection *collection = data;

	MAP_EACH(entry, &collection->copies)
		((struct object_copy *)entry->value)->seen = false;
	if (!is_of_apps(collection))
		return;
	KEYSET_EACH(slot, &collection->objects->core->apps) {
		uint8_t *sight = sight_of(collection, *slot);

		if (*sight == SIGHT_SEEN)
			*sight = SIGHT_MISSED;
	}
}

/* Those that were there and are not in the list that has just ended. */
static void drop_missed(const struct collection *collection)
{
	KEYSET_EACH(slot, &collection->objects->core->apps) {
		struct app *app = *slot;

		if (*sight_of(collection, app) != SIGHT_MISSED)
			continue;
		if (collection->kind == OWN_INVENTORY) {
			forget_inventory(app);
			continue;
		}
		app->seen = SIGHT_NONE;
		app_update(app, NULL);
	}
}

/* The first that is not there any more, or NULL. */
static struct map_entry *unseen(const struct collection *collection)
{
	MAP_EACH(entry, &collection->copies)
		if (!((struct object_copy *)entry->value)->seen)
			return entry;
	return NULL;
}

/* Whatever else fails passes, and till then the API server answers nothing else either. */
static bool is_refused(const struct collection *collection)
{
	enum error_kind kind = collection->failing.kind;

	return collection->failing.reason[0] && (kind == ERROR_FORBIDDEN || kind == ERROR_NOT_FOUND);
}

int objects_readable(const struct objects *objects, struct error *err)
{
	static const enum own_kind deciding[] = { OWN_PROJECT, OWN_POLICY, OWN_SECRET };

	for (size_t i = 0; i < COUNT_OF(deciding); i++) {
		const struct collection *collection = &objects->collections[deciding[i]];

		if (is_refused(collection) && !watch_listed(collection->watch))
			return error_set(err, ERROR_TRANSIENT, "SettingsUnreadable",
					 "%s of namespace %s cannot be read any more, so that nobody knows what they allow by now; nothing is judged, written or "
					 "deleted until they can be: %s", sources[collection->kind].what, objects->core->options->namespace, collection->failing.text);
	}
	return 0;
}

/* What holds when we begin: nobody saw what changed since the last term. */
static void record_found(struct objects *objects)
{
	static const struct { enum own_kind kind; const char *name; } settings[] = {
		{ OWN_PROJECT, "Project" }, { OWN_POLICY, "ImagePolicy" }, { OWN_SECRET, "Secret" }, { OWN_CONFIG_MAP, "ConfigMap" },
	};

	for (size_t i = 0; i < COUNT_OF(settings); i++) {
		const struct collection *collection = &objects->collections[settings[i].kind];

		MAP_EACH(entry, &collection->copies) {
			const struct object_copy *copy = entry->value;
			bool secret = settings[i].kind == OWN_SECRET;

			if (!secret || is_repository_secret(copy->object) || is_key_of_policy(objects, span_make(entry->key, entry->length)))
				changes_record(objects->core->changes, settings[i].name, copy->object, "found");
			forget_managers(copy);
		}
	}
}

static void on_listed(void *data)
{
	struct collection *collection = data;
	struct core *core = collection->objects->core;
	struct map_entry *entry;
	bool first = !collection->listed_once, refused = is_refused(collection);

	while ((entry = unseen(collection)) != NULL) {
		CLEANUP(mem_cleanup) char *name = mem_strndup(entry->key, entry->length);

		forget_copy(collection, span_of(name));
	}
	if (is_of_apps(collection))
		drop_missed(collection);
	collection->listed_once = true;
	if (collection->failing.reason[0])
		log_line(LOG_INFO, "reading again", "what", sources[collection->kind].what, NULL);
	collection->failing = (struct error)ERROR_INIT;
	if (refused)
		enqueue_all(core);
	if (!first || !objects_ready(collection->objects))
		return;
	KEYSET_EACH(slot, &core->apps)
		((struct app *)*slot)->inventory_read = true;
	record_found(collection->objects);
	recover_open_intents(core);
	KEYSET_EACH(slot, &core->apps)
		app_enqueue(*slot, 0);
}

static void on_error(void *data, const struct error *err)
{
	struct collection *collection = data;
	bool news = strcmp(collection->failing.reason, err->reason) != 0;

	collection->failing = *err;
	/* once for each cause */
	if (!news)
		return;
	log_error(LOG_ERROR, "cannot read; trying again", err, "what", sources[collection->kind].what, NULL);
	if (is_refused(collection))
		enqueue_all(collection->objects->core);
}

struct objects *objects_new(struct core *core)
{
	static const struct watch_handler handler = { on_event, on_listing, on_listed, on_error };
	struct objects *objects = mem_alloc(sizeof(*objects));

	objects->core = core;
	for (enum own_kind kind = 0; kind < OWN_COUNT; kind++) {
		struct collection *collection = &objects->collections[kind];
		char *path = arena_printf(core->arena, "%s/namespaces/%s/%s", sources[kind].prefix, core->options->namespace,
					  sources[kind].what);

		collection->objects = objects;
		collection->kind = kind;
		collection->watch = watch_new(core->kube, core->loop, path, NULL, false, NULL, &handler, collection);
	}
	return objects;
}

void objects_free(struct objects *objects)
{
	if (!objects)
		return;
	for (enum own_kind kind = 0; kind < OWN_COUNT; kind++) {
		watch_free(objects->collections[kind].watch);
		MAP_EACH(entry, &objects->collections[kind].copies)
			copy_free(entry->value);
		map_release(&objects->collections[kind].copies);
	}
	arena_free(objects->custom_arena);
	free(objects);
}

bool objects_ready(const struct objects *objects)
{
	for (enum own_kind kind = 0; kind < OWN_COUNT; kind++)
		if (!objects->collections[kind].listed_once)
			return false;
	return true;
}

int objects_project(const struct objects *objects, const char *name, struct arena *arena, struct project *out,
		    struct error *err)
{
	const struct object_copy *copy = map_get(&objects->collections[OWN_PROJECT].copies, span_of(name));

	if (!copy)
		return error_set(err, ERROR_DENIED, "ProjectNotFound",
				 "there is no Project \"%s\" in namespace %s; nothing is allowed that no Project allows: create it, "
				 "or name another in spec.project", name, objects->core->options->namespace);
	if (project_decode(json_copy(arena, copy->object), arena, out, err))
		return error_wrap(err, "Project %s", name);
	return 0;
}

const char *objects_project_version(const struct objects *objects, const char *name)
{
	const struct object_copy *copy = map_get(&objects->collections[OWN_PROJECT].copies, span_of(name));

	return copy ? json_text(json_path(copy->object, "metadata", "resourceVersion", NULL)) : NULL;
}

const struct map *objects_policies(const struct objects *objects)
{
	return &objects->collections[OWN_POLICY].copies;
}

uint64_t objects_policies_version(const struct objects *objects)
{
	return objects->policies_version;
}

const struct custom_paths *objects_custom_paths(const struct objects *objects)
{
	return &objects->custom;
}

const struct json *objects_secret(const struct objects *objects, const char *name)
{
	const struct object_copy *copy = map_get(&objects->collections[OWN_SECRET].copies, span_of(name));

	return copy ? copy->object : NULL;
}

const struct json *objects_repository_secret(const struct objects *objects, const char *url)
{
	struct repository_search search = { .url = url };

	MAP_EACH(entry, &objects->collections[OWN_SECRET].copies)
		repository_search_consider(&search, ((struct object_copy *)entry->value)->object);
	return search.best;
}

const char *objects_ca(const struct objects *objects, struct span host)
{
	const struct object_copy *copy = map_get(&objects->collections[OWN_CONFIG_MAP].copies, SPAN(CERTS_NAME));
	const struct json *data = copy ? json_get(copy->object, "data") : NULL;
	struct json *pem = json_get_span(data, host);
	ptrdiff_t colon = span_rindex(host, ':');

	if (!pem && colon > 0)
		pem = json_get_span(data, span_sub(host, 0, (size_t)colon));
	return json_text(pem);
}
