/* Finding images; see images.h. */
#include "gate/images.h"

#include <stdio.h>

#include "api/tracking.h"
#include "base/limits.h"
#include "base/jsonpath.h"
#include "base/map.h"

struct search {
	struct arena *arena;
	struct image_use *uses;
	size_t count, capacity;
	struct str pointer;
	bool is_custom;            /* of a custom resource */
};

static const struct {
	const char *list, *position;
} container_lists[] = {
	{ "containers", "container" },
	{ "initContainers", "init container" },
	{ "ephemeralContainers", "ephemeral container" },
};

static struct image_use *add(struct search *search, const char *position, struct json *value, uint32_t line)
{
	struct image_use *use = arena_push(search->arena, &search->uses, &search->count, &search->capacity, sizeof(*use));

	use->position = position;
	use->pointer = arena_strndup(search->arena, str_span(&search->pointer));
	use->line = value && value->line ? value->line : line;
	use->container = "";
	use->image = "";
	if (!value)
		use->problem = "has no image";
	else if (!json_is(value, JSON_STRING))
		use->problem = arena_printf(search->arena, "has an image that is a %s, not a string", json_type_name(value));
	else if (!value->as.text.length)
		use->problem = "has an empty image";
	else if (span_has_nul(value->as.text))
		use->problem = "has an image with a NUL character";
	if (json_is(value, JSON_STRING))
		use->image = value->as.text.data;
	if (!use->problem)
		use->value = value;
	return use;
}

static void add_token(struct search *search, const char *token)
{
	json_pointer_add(&search->pointer, span_of(token));
}

static const char *name_of(const struct json *item)
{
	const char *name = json_get_text(item, "name");

	return name ? name : "";
}

/* An operator takes an image of its own where a custom resource names none, as where it names no container at all. */
static bool is_left_to_operator(const struct search *search, const struct json *image)
{
	return search->is_custom &&
	       (!image || json_is(image, JSON_NULL) || (json_is(image, JSON_STRING) && !image->as.text.length));
}

/* Items that are no objects are no containers; the API server refuses them. */
static void containers_of(struct search *search, struct json *spec, const char *list, const char *position)
{
	struct json *items = json_get(spec, list);
	size_t length = search->pointer.length;

	for (size_t i = 0; i < json_count(items); i++) {
		struct json *item = json_at(items, i);

		if (!json_is(item, JSON_OBJECT) || is_left_to_operator(search, json_get(item, "image")))
			continue;
		add_token(search, list);
		json_pointer_add_index(&search->pointer, i);
		add_token(search, "image");
		add(search, position, json_get(item, "image"), item->line)->container = name_of(item);
		str_drop_to(&search->pointer, length);
	}
}

static void volumes_of(struct search *search, struct json *spec)
{
	struct json *items = json_get(spec, "volumes");
	size_t length = search->pointer.length;

	for (size_t i = 0; i < json_count(items); i++) {
		struct json *item = json_at(items, i), *image = json_get(item, "image");

		if (!json_is(image, JSON_OBJECT) || is_left_to_operator(search, json_get(image, "reference")))
			continue;
		add_token(search, "volumes");
		json_pointer_add_index(&search->pointer, i);
		add_token(search, "image");
		add_token(search, "reference");
		add(search, "image volume", json_get(image, "reference"), item->line)->container = name_of(item);
		str_drop_to(&search->pointer, length);
	}
}

/* A list of objects, at least one; a list of strings named containers is something else. */
static bool is_container_list(const struct json *list)
{
	for (size_t i = 0; i < json_count(list); i++)
		if (json_is(list, JSON_ARRAY) && json_is(json_at(list, i), JSON_OBJECT))
			return true;
	return false;
}

static void walk(struct search *search, struct json *value, unsigned depth)
{
	size_t length = search->pointer.length, index = 0;

	if ((!json_is(value, JSON_OBJECT) && !json_is(value, JSON_ARRAY)) || depth > LIMIT_JSON_DEPTH)
		return;
	if (json_is(value, JSON_OBJECT)) {
		for (size_t i = 0; i < COUNT_OF(container_lists); i++)
			if (is_container_list(json_get(value, container_lists[i].list)))
				containers_of(search, value, container_lists[i].list, container_lists[i].position);
		volumes_of(search, value);
	}
	JSON_EACH(member, value) {
		if (json_is(value, JSON_OBJECT))
			json_pointer_add(&search->pointer, member->key);
		else
			json_pointer_add_index(&search->pointer, index++);
		walk(search, member->value, depth + 1);
		str_drop_to(&search->pointer, length);
	}
}

/* The API server's own groups have no dots, or end in .k8s.io. */
static bool is_of_kubernetes(struct span group)
{
	return span_index(group, '.') < 0 || span_ends(group, ".k8s.io");
}

/* metadata holds no PodSpec, and managedFields would look like one. */
static void walk_object(struct search *search, struct json *object)
{
	JSON_EACH(member, object) {
		if (span_is(member->key, "metadata") || span_is(member->key, "status"))
			continue;
		json_pointer_add(&search->pointer, member->key);
		walk(search, member->value, 1);
		str_reset(&search->pointer);
	}
	for (size_t i = 0; i < COUNT_OF(container_lists); i++)
		if (is_container_list(json_get(object, container_lists[i].list)))
			containers_of(search, object, container_lists[i].list, container_lists[i].position);
	volumes_of(search, object);
}

struct custom_search {
	struct search *search;
	struct map found; /* pointers, so that each stands for one image however many paths lead to it */
	uint32_t line;
};

static void on_custom(void *data, struct json *value, struct span pointer)
{
	struct custom_search *custom = data;
	struct search *search = custom->search;

	if (map_set(&custom->found, pointer, search))
		return;
	str_reset(&search->pointer);
	str_add(&search->pointer, pointer);
	add(search, "custom path", value, custom->line);
	str_reset(&search->pointer);
}

/* Those found as containers already. */
static void begin_custom(struct custom_search *custom)
{
	const struct search *search = custom->search;

	if (custom->found.count)
		return;
	for (size_t i = 0; i < search->count; i++)
		map_set(&custom->found, span_of(search->uses[i].pointer), custom->search);
}

/* There are images somewhere in it, as a policy says, and nobody knows where. */
static void add_unreadable(struct search *search, const char *path, uint32_t line)
{
	struct image_use *use = add(search, "custom path", NULL, line);

	use->container = path;
	use->problem = "is named by a policy for objects of this kind and cannot be understood: none is applied until the policy is mended";
}

static void walk_custom(struct search *search, struct json *object, const struct custom_paths *custom)
{
	struct span group = api_version_group(json_text_span(json_get(object, "apiVersion")));
	struct span kind = json_text_span(json_get(object, "kind"));
	struct custom_search found = { search, MAP_INIT, object->line };

	for (size_t i = 0; custom && i < custom->count; i++) {
		struct span path = span_of(custom->paths[i].path);

		if (!span_is(group, custom->paths[i].group) || !span_is(kind, custom->paths[i].kind))
			continue;
		begin_custom(&found);
		if (jsonpath_valid(path))
			jsonpath_each(path, object, on_custom, &found);
		else
			add_unreadable(search, custom->paths[i].path, object->line);
	}
	map_release(&found.found);
}

void gate_find_images(struct json *object, const struct custom_paths *custom, struct arena *arena, struct image_use **uses,
		      size_t *count)
{
	struct search search = { .arena = arena, .is_custom = !is_of_kubernetes(api_version_group(json_text_span(json_get(object, "apiVersion")))) };

	walk_object(&search, object);
	walk_custom(&search, object, custom);
	str_release(&search.pointer);
	*uses = search.uses;
	*count = search.count;
}

struct digest gate_images_digest(const struct json *object, const struct custom_paths *custom, struct arena *arena)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	struct image_use *uses;
	size_t count;

	/* nothing is changed by the search */
	gate_find_images((struct json *)(uintptr_t)object, custom, arena, &uses, &count);
	if (!count)
		return (struct digest){ { 0 } };
	for (size_t i = 0; i < count; i++)
		str_addf(&text, "%s\n", uses[i].image);
	return digest_of(str_span(&text));
}
