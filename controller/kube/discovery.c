/* Aggregated discovery; see discovery.h. */
#include "kube/discovery.h"

#include "base/encode.h"

struct discovery {
	struct kube *kube;
	struct arena *arena;       /* of the current answer */
	struct map kinds;          /* "group/version/kind" and "group//kind" (preferred) -> struct kube_kind */
	struct map stale;          /* group -> non-NULL */
	struct arena *next_arena;  /* while a refresh is under way */
	struct map next_kinds, next_stale;
	uint64_t generation;
	int waiting;
	struct error err;
	bool known, refreshing;
	struct waiter { struct waiter *next; void (*on_done)(void *, const struct error *); void *data; } *waiters, *late;
};

static void key_of(struct str *key, struct span group, struct span version, struct span kind)
{
	str_add(key, group);
	str_addc(key, '/');
	str_add(key, version);
	str_addc(key, '/');
	str_add(key, kind);
}

static bool has_verb(const struct json *resource, const char *verb)
{
	const struct json *verbs = json_get(resource, "verbs");

	for (size_t i = 0; i < json_count(verbs); i++)
		if (span_is(json_text_span(json_at(verbs, i)), verb))
			return true;
	return false;
}

static bool has_status(const struct json *resource)
{
	const struct json *subresources = json_get(resource, "subresources");

	for (size_t i = 0; i < json_count(subresources); i++)
		if (span_is(json_text_span(json_get(json_at(subresources, i), "subresource")), "status"))
			return true;
	return false;
}

static void add_kind(struct discovery *discovery, struct span group, struct span version, bool preferred,
		     const struct json *resource)
{
	struct span kind = json_text_span(json_path(resource, "responseKind", "kind", NULL));
	struct kube_kind *entry = ARENA_NEW(discovery->next_arena, struct kube_kind);
	CLEANUP(str_release) struct str key = STR_INIT, bare = STR_INIT;

	*entry = (struct kube_kind){
		.group = arena_strndup(discovery->next_arena, group),
		.version = arena_strndup(discovery->next_arena, version),
		.kind = arena_strndup(discovery->next_arena, kind),
		.resource = arena_strndup(discovery->next_arena, json_text_span(json_get(resource, "resource"))),
		.namespaced = span_is(json_text_span(json_get(resource, "scope")), "Namespaced"),
		.has_status = has_status(resource),
		.preferred = preferred,
		.can_list = has_verb(resource, "list") && has_verb(resource, "watch"),
	};
	key_of(&key, group, version, kind);
	key_of(&bare, group, SPAN0, kind);
	map_set(&discovery->next_kinds, str_span(&key), entry);
	/* versions come in the server's order of preference: the first that has the kind is the preferred one */
	if (!map_has(&discovery->next_kinds, str_span(&bare)))
		map_set(&discovery->next_kinds, str_span(&bare), entry);
}

static void add_group(struct discovery *discovery, const struct json *item)
{
	struct span group = json_text_span(json_path(item, "metadata", "name", NULL));
	const struct json *versions = json_get(item, "versions");

	for (size_t i = 0; i < json_count(versions); i++) {
		const struct json *version = json_at(versions, i), *resources = json_get(version, "resources");

		if (span_is(json_text_span(json_get(version, "freshness")), "Stale"))
			map_set(&discovery->next_stale, group, discovery);
		for (size_t k = 0; k < json_count(resources); k++)
			add_kind(discovery, group, json_text_span(json_get(version, "version")), i == 0,
				 json_at(resources, k));
	}
}

static bool same_kinds(const struct map *a, const struct map *b)
{
	if (a->count != b->count)
		return false;
	MAP_EACH(entry, a) {
		const struct kube_kind *x = entry->value, *y = map_get(b, span_make(entry->key, entry->length));

		if (!y || strcmp(x->resource, y->resource) || strcmp(x->version, y->version) ||
		    x->namespaced != y->namespaced || x->can_list != y->can_list)
			return false;
	}
	return true;
}

static void take_over(struct discovery *discovery)
{
	if (!same_kinds(&discovery->kinds, &discovery->next_kinds))
		discovery->generation++;
	map_release(&discovery->kinds);
	map_release(&discovery->stale);
	arena_free(discovery->arena);
	discovery->kinds = discovery->next_kinds;
	discovery->stale = discovery->next_stale;
	discovery->arena = TAKE(discovery->next_arena);
	discovery->known = true;
}

static void on_part(void *data, const struct kube_answer *answer);

static void ask(struct discovery *discovery)
{
	discovery->refreshing = true;
	discovery->err = (struct error)ERROR_INIT;
	discovery->next_arena = arena_new(0);
	discovery->waiting = 2;
	/* rbac: everybody's own right (system:discovery) */
	kube_get(discovery->kube, "/api", KUBE_DISCOVERY, NULL, on_part, discovery);
	kube_get(discovery->kube, "/apis", KUBE_DISCOVERY, NULL, on_part, discovery);
}

/* Those who asked meanwhile want to know of what came meanwhile. */
static void tell(struct discovery *discovery)
{
	struct waiter *waiter = discovery->waiters;
	struct error err = discovery->err;

	discovery->waiters = TAKE(discovery->late);
	if (discovery->waiters)
		ask(discovery);
	while (waiter) {
		struct waiter *next = waiter->next;

		waiter->on_done(waiter->data, err.reason[0] ? &err : NULL);
		free(waiter);
		waiter = next;
	}
}

static void on_part(void *data, const struct kube_answer *answer)
{
	struct discovery *discovery = data;
	const struct json *items = json_get(answer->object, "items");

	if (answer->err)
		discovery->err = *answer->err;
	else if (!json_is(items, JSON_ARRAY))
		error_set(&discovery->err, ERROR_TRANSIENT, "BadDiscovery", "the API server speaks no aggregated discovery (v2)");
	for (size_t i = 0; i < json_count(items); i++)
		add_group(discovery, json_at(items, i));
	if (--discovery->waiting)
		return;
	discovery->refreshing = false;
	if (!discovery->err.reason[0]) {
		take_over(discovery);
	} else {
		map_release(&discovery->next_kinds);
		map_release(&discovery->next_stale);
		arena_free(TAKE(discovery->next_arena));
	}
	discovery->next_kinds = discovery->next_stale = (struct map)MAP_INIT;
	tell(discovery);
}

struct discovery *discovery_new(struct kube *kube)
{
	struct discovery *discovery = mem_alloc(sizeof(*discovery));

	discovery->kube = kube;
	return discovery;
}

static void free_waiters(struct waiter *waiter)
{
	while (waiter) {
		struct waiter *next = waiter->next;

		free(waiter);
		waiter = next;
	}
}

void discovery_free(struct discovery *discovery)
{
	if (!discovery)
		return;
	free_waiters(discovery->waiters);
	free_waiters(discovery->late);
	map_release(&discovery->kinds);
	map_release(&discovery->stale);
	map_release(&discovery->next_kinds);
	map_release(&discovery->next_stale);
	arena_free(discovery->arena);
	arena_free(discovery->next_arena);
	free(discovery);
}

void discovery_refresh(struct discovery *discovery, void (*on_done)(void *, const struct error *), void *data)
{
	struct waiter *waiter = mem_alloc(sizeof(*waiter)), **list = discovery->refreshing ? &discovery->late : &discovery->waiters;

	*waiter = (struct waiter){ *list, on_done, data };
	*list = waiter;
	if (!discovery->refreshing)
		ask(discovery);
}

bool discovery_known(const struct discovery *discovery)
{
	return discovery->known;
}

void discovery_doubt(struct discovery *discovery)
{
	discovery->known = false;
}

const struct kube_kind *discovery_find(const struct discovery *discovery, struct span group, const char *version,
				       struct span kind)
{
	CLEANUP(str_release) struct str key = STR_INIT;

	key_of(&key, group, span_of(version), kind);
	return map_get(&discovery->kinds, str_span(&key));
}

bool discovery_stale(const struct discovery *discovery, struct span group)
{
	return map_has(&discovery->stale, group);
}

uint64_t discovery_generation(const struct discovery *discovery)
{
	return discovery->generation;
}

static void add_segment(struct str *path, const char *segment)
{
	str_addc(path, '/');
	url_escape(span_of(segment), path);
}

char *kube_path(struct arena *arena, const struct kube_kind *kind, const char *namespace, const char *name)
{
	CLEANUP(str_release) struct str path = STR_INIT;

	str_adds(&path, *kind->group ? "/apis" : "/api");
	if (*kind->group)
		add_segment(&path, kind->group);
	add_segment(&path, kind->version);
	if (kind->namespaced && namespace && *namespace) {
		str_adds(&path, "/namespaces");
		add_segment(&path, namespace);
	}
	add_segment(&path, kind->resource);
	if (name)
		add_segment(&path, name);
	return arena_strndup(arena, str_span(&path));
}
