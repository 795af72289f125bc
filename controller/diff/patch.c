/* Patches for a live object; see patch.h. */
#include "diff/patch.h"

#include <stdlib.h>

#include "diff/compare.h"
#include "diff/extras.h"
#include "diff/fields.h"
#include "diff/ignore.h"
#include "diff/place.h"
#include "diff/posture.h"

static const struct image_use *find_use(const struct image_use *uses, size_t count, const struct image_use *like)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(uses[i].position, like->position) && !strcmp(uses[i].container, like->container) &&
		    !strcmp(uses[i].image, like->image))
			return &uses[i];
	return NULL;
}

static bool is_allowed(const struct json *allowed, const char *image)
{
	for (size_t i = 0; i < json_count(allowed); i++)
		if (span_is(json_text_span(json_at(allowed, i)), image))
			return true;
	return false;
}

static bool is_custom(const struct image_use *use)
{
	return !strcmp(use->position, "custom path");
}

/* The list item that an image belongs to: without "/image", or "/image/reference" of a volume. At a path of a policy the image itself. */
static struct span item_pointer(const struct image_use *use)
{
	struct span pointer = span_of(use->pointer);

	if (is_custom(use))
		return pointer;
	if (span_ends(pointer, "/image/reference"))
		return span_sub(pointer, 0, pointer.length - strlen("/image/reference"));
	return span_sub(pointer, 0, pointer.length - strlen("/image"));
}

struct foreign_image patch_foreign(const struct json *live, const struct json *desired, const struct custom_paths *custom, struct arena *arena)
{
	struct foreign_image none = { "", "", "", "" };
	struct image_use *there, *wanted;
	size_t there_count, wanted_count;

	gate_find_images((struct json *)(uintptr_t)live, custom, arena, &there, &there_count);
	gate_find_images((struct json *)(uintptr_t)desired, custom, arena, &wanted, &wanted_count);
	for (size_t i = 0; i < there_count; i++)
		if (!find_use(wanted, wanted_count, &there[i]))
			return (struct foreign_image){ arena_strndup(arena, item_pointer(&there[i])), there[i].position, there[i].container,
						       there[i].image };
	return none;
}

static struct json *operation(struct arena *arena, const char *op, struct span path)
{
	struct json *one = json_object(arena);

	json_set_string(arena, one, "op", op);
	json_set(arena, one, "path", json_span(arena, path));
	return one;
}

static struct json *begin_patch(const struct json *live, struct arena *arena)
{
	struct json *patch = json_array(arena), *test = operation(arena, "test", SPAN("/metadata/resourceVersion"));

	json_set(arena, test, "value", json_span(arena, json_text_span(json_path(live, "metadata", "resourceVersion", NULL))));
	json_append(arena, patch, test);
	return patch;
}

/* --- what must not stay --------------------------------------------------------------------------------------------- */

struct pointers {
	struct arena *arena;
	const char **list;
	size_t count, capacity;
};

static void add(struct pointers *pointers, const char *pointer)
{
	const char **slot = arena_push(pointers->arena, &pointers->list, &pointers->count, &pointers->capacity, sizeof(*slot));

	*slot = pointer;
}

/* The image that Git names for the container or the path of `like`, or NULL. */
static const char *image_of(const struct image_use *uses, size_t count, const struct image_use *like)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(uses[i].position, like->position) && !strcmp(uses[i].container, like->container) &&
		    (!is_custom(like) || !strcmp(uses[i].pointer, like->pointer)))
			return uses[i].image;
	return NULL;
}

/* Whether Git declares the container of `use`, in a custom resource that leaves the image to its operator: then the image alone is foreign. */
static bool is_without_image(const struct json *desired, const struct image_use *use)
{
	struct span item = item_pointer(use);
	ptrdiff_t slash = span_rindex(item, '/');
	const struct json *list = slash > 0 ? json_pointer(desired, span_sub(item, 0, (size_t)slash)) : NULL;

	for (size_t i = 0; !is_custom(use) && *use->container && i < json_count(list); i++)
		if (span_is(json_text_span(json_get(json_at(list, i), "name")), use->container))
			return true;
	return false;
}

/* Foreign images: their list items are to be removed (*pointers), or they are put back in *patch where Git leaves the image to others. */
static void add_images(struct pointers *pointers, const struct json *live, const struct json *desired, const struct json *full,
		       const struct json *allowed, const struct custom_paths *custom, struct json *patch)
{
	struct arena *arena = pointers->arena;
	struct image_use *there, *wanted, *named = NULL;
	size_t there_count, wanted_count, named_count = 0;

	gate_find_images((struct json *)(uintptr_t)live, custom, arena, &there, &there_count);
	if (!there_count)
		return;
	gate_find_images((struct json *)(uintptr_t)desired, custom, arena, &wanted, &wanted_count);
	if (full)
		gate_find_images((struct json *)(uintptr_t)full, custom, arena, &named, &named_count);
	for (size_t i = 0; i < there_count; i++) {
		const char *image = image_of(named, named_count, &there[i]);
		struct json *put_back;

		if (find_use(wanted, wanted_count, &there[i]) || is_allowed(allowed, there[i].image) || (image && !strcmp(image, there[i].image)))
			continue;
		if (!image) {
			add(pointers, !image_of(wanted, wanted_count, &there[i]) && is_without_image(desired, &there[i])
					      ? there[i].pointer : arena_strndup(arena, item_pointer(&there[i])));
			continue;
		}
		put_back = operation(arena, "replace", span_of(there[i].pointer));
		json_set(arena, put_back, "value", json_span(arena, span_of(image)));
		json_append(arena, patch, put_back);
	}
}

/* By content, so that no forged or wiped managedFields hide it; by manager only where everything foreign goes. */
static void add_extras(struct pointers *pointers, const struct json *live, const struct json *desired, const struct application *exact)
{
	const char **weak;
	struct extra *extras;
	size_t count, more;

	posture_find(live, desired, pointers->arena, &weak, &count);
	for (size_t i = 0; i < count; i++)
		add(pointers, weak[i]);
	if (!exact)
		return;
	extras_find(live, pointers->arena, &extras, &count, &more);
	for (size_t i = 0; i < count; i++)
		if (!compare_declares(desired, live, span_of(extras[i].path)) && !ignore_leaves(exact, live, extras[i].path, extras[i].manager))
			add(pointers, extras[i].path);
}

/* Whether the pointer at that place is told twice, or lies within another one: gone with that. */
static bool is_covered(const struct pointers *pointers, size_t place)
{
	struct span pointer = span_of(pointers->list[place]);

	for (size_t i = 0; i < pointers->count; i++) {
		struct span other = span_of(pointers->list[i]);

		if (i < place && span_equal(pointer, other))
			return true;
		if (pointer.length > other.length && pointer.data[other.length] == '/' && span_starts(pointer, pointers->list[i]))
			return true;
	}
	return false;
}

static void add_mounts_of(struct pointers *pointers, const struct json *pod, struct span base, const char *list, struct span volume)
{
	const struct json *containers = json_get(pod, list);

	for (size_t i = 0; i < json_count(containers); i++) {
		const struct json *mounts = json_get(json_at(containers, i), "volumeMounts");

		for (size_t k = 0; k < json_count(mounts); k++)
			if (span_equal(json_text_span(json_get(json_at(mounts, k), "name")), volume))
				add(pointers, arena_printf(pointers->arena, "%.*s/%s/%zu/volumeMounts/%zu", SPAN_ARG(base), list, i, k));
	}
}

/* A mount of a volume that goes would make the API server refuse the patch, and so hold the volume in place. */
static void add_mounts(struct pointers *pointers, const struct json *live)
{
	size_t before = pointers->count;

	for (size_t i = 0; i < before; i++) {
		struct span pointer = span_of(pointers->list[i]), base;
		const char *at = strstr(pointers->list[i], "/volumes/"), *name = json_get_text(json_pointer(live, pointer), "name");

		if (!at || !name || strchr(at + strlen("/volumes/"), '/'))
			continue;
		base = span_sub(pointer, 0, (size_t)(at - pointers->list[i]));
		add_mounts_of(pointers, json_pointer(live, base), base, "containers", span_of(name));
		add_mounts_of(pointers, json_pointer(live, base), base, "initContainers", span_of(name));
	}
}

/* From the back, so that no removal moves what is still to be removed: longer list indices first. */
static int by_place(const void *a, const void *b)
{
	return strverscmp(*(const char *const *)b, *(const char *const *)a);
}

bool patch_has_extras(const struct json *live, const struct json *desired, const struct application *exact, struct arena *arena, struct extra *who)
{
	struct pointers pointers = { .arena = arena };

	add_extras(&pointers, live, desired, exact);
	if (pointers.count)
		extras_who(live, pointers.list[0], arena, who);
	return pointers.count;
}

struct json *patch_strip(const struct json *live, const struct json *desired, const struct json *full, const struct json *allowed,
			 const struct custom_paths *custom, const struct application *exact, struct arena *arena)
{
	struct json *patch = begin_patch(live, arena);
	struct pointers pointers = { .arena = arena };

	add_images(&pointers, live, desired, full, allowed, custom, patch);
	add_extras(&pointers, live, desired, exact);
	add_mounts(&pointers, live);
	if (pointers.count)
		qsort(pointers.list, pointers.count, sizeof(*pointers.list), by_place);
	for (size_t i = 0; i < pointers.count; i++)
		if (!is_covered(&pointers, i))
			json_append(arena, patch, operation(arena, "remove", span_of(pointers.list[i])));
	return json_count(patch) > 1 ? patch : NULL;
}

/* --- released fields ---------------------------------------------------------------------------------------------- */

/* Whether a set holds the pointer's field (as a leaf, or below one). */
static bool set_holds(const struct json *set, const struct json *value, struct span pointer)
{
	struct span element;

	while (set && json_count(set) && pointer.length) {
		struct span token = place_cut(&pointer);

		set = place_step(set, value, token, &value, &element);
	}
	return set;
}

bool patch_holds(const struct json *live, const char *pointers)
{
	const struct json *ours = fields_of(live, FIELD_MANAGER, "Apply");
	struct span rest = span_of(pointers);

	while (ours && rest.length) {
		struct span pointer = span_cut(&rest, '\n');

		if (pointer.length && json_pointer(live, pointer) && set_holds(ours, live, pointer))
			return true;
	}
	return false;
}

/* What tells the list item at the pointer apart: the keys by which somebody holds it, else its name. */
static struct json *item_identity(const struct json *live, struct span pointer, const struct json *item, struct arena *arena)
{
	struct span keys = place_keys(live, pointer);
	struct json *identity;

	if (span_starts(keys, "k:") && !json_parse(span_from(keys, 2), arena, 4, &identity, NULL) && json_is(identity, JSON_OBJECT))
		return identity;
	identity = json_object(arena);
	if (json_get(item, "name"))
		json_set(arena, identity, "name", json_copy(arena, json_get(item, "name")));
	return identity;
}

/* The item of `list` that has those keys already, or a new one. */
static struct json *item_in(struct json *list, struct json *identity, struct arena *arena)
{
	for (size_t i = 0; i < json_count(list); i++) {
		bool same = json_count(identity);

		JSON_EACH(member, identity)
			same = same && json_equal(json_get_span(json_at(list, i), member->key), member->value);
		if (same)
			return json_at(list, i);
	}
	return json_append(arena, list, identity);
}

static struct json *member_in(struct json *object, struct span key, const struct json *child, bool last, struct arena *arena)
{
	struct json *there = json_get_span(object, key);

	if (there && !last)
		return there;
	return json_set_span(arena, object, key, last ? json_copy(arena, child) : json_is(child, JSON_ARRAY) ? json_array(arena) : json_object(arena));
}

/* The key, as it is, of the member of `object` that is `child`. */
static struct span key_of(const struct json *object, const struct json *child)
{
	JSON_EACH(member, object)
		if (member->value == child)
			return member->key;
	return SPAN0;
}

/* Copies the value at the pointer from `live` into `to`, making what leads there; list items are named by their keys. */
static void copy_at(struct json *to, const struct json *live, struct span pointer, struct arena *arena)
{
	const struct json *from = live;
	struct span rest = pointer;

	while (rest.length) {
		struct span before = rest, token = place_cut(&rest);
		const struct json *child = json_pointer(from, span_sub(before, 0, token.length + 1));
		bool last = !rest.length;

		if (!child)
			return;
		if (!json_is(from, JSON_ARRAY))
			to = member_in(to, key_of(from, child), child, last, arena);
		else if (last || !json_is(child, JSON_OBJECT))
			to = json_append(arena, to, json_copy(arena, child));
		else
			to = item_in(to, item_identity(live, span_sub(pointer, 0, pointer.length - rest.length), child, arena), arena);
		from = child;
	}
}

static void copy_field(struct json *to, const struct json *from, const char *key, struct arena *arena)
{
	const struct json *value = json_get(from, key);

	if (value)
		json_set(arena, to, key, json_copy(arena, value));
}

static struct json *identity_of(const struct json *live, struct arena *arena)
{
	struct json *object = json_object(arena), *metadata = json_object(arena);
	const struct json *from = json_get(live, "metadata");

	copy_field(object, live, "apiVersion", arena);
	copy_field(object, live, "kind", arena);
	copy_field(metadata, from, "name", arena);
	copy_field(metadata, from, "namespace", arena);
	json_set(arena, object, "metadata", metadata);
	return object;
}

struct json *patch_released(const struct json *live, const char *pointers, struct arena *arena)
{
	struct json *object = identity_of(live, arena);
	struct span rest = span_of(pointers);

	while (rest.length) {
		struct span pointer = span_cut(&rest, '\n');

		if (pointer.length)
			copy_at(object, live, pointer, arena);
	}
	return object;
}

/* --- adoption ------------------------------------------------------------------------------------------------------- */

static bool is_adoptable(const struct json *entry, bool any)
{
	struct span manager = json_text_span(json_get(entry, "manager"));

	if (json_text_span(json_get(entry, "subresource")).length)
		return false;
	if (span_is(manager, FIELD_MANAGER) && span_is(json_text_span(json_get(entry, "operation")), "Apply"))
		return true;
	return fields_is_kubectl(manager) ||
	       (any && (span_starts(manager, "argocd") || span_is(manager, "helm") || span_is(manager, "kustomize-controller") ||
			span_is(manager, "helm-controller") || span_is(manager, "flux-client-side-apply")));
}

/* Keys that were applied as stringData lie in data, where nobody owns them: they are ours with the rest, or would stay for ever. */
static struct json *own_string_data(struct json *fields, struct arena *arena)
{
	struct json *texts = json_get(fields, "f:stringData"), *both = fields_union(arena, json_get(fields, "f:data"), texts);

	if (both)
		json_set(arena, fields, "f:data", both);
	json_remove(fields, "f:stringData");
	return fields;
}

struct json *patch_own(const struct json *live, bool any, struct arena *arena)
{
	const struct json *entries = json_path(live, "metadata", "managedFields", NULL);
	struct json *kept = json_array(arena), *patch, *replace, *ours = NULL, *fields = NULL;
	bool found = false;

	if (!json_is(entries, JSON_ARRAY))
		return NULL;
	for (size_t i = 0; i < json_count(entries); i++) {
		const struct json *entry = json_at(entries, i);

		if (!is_adoptable(entry, any) ||
		    (ours && !json_equal(json_get(ours, "apiVersion"), json_get(entry, "apiVersion")))) {
			json_append(arena, kept, json_copy(arena, entry));
			continue;
		}
		found |= !span_is(json_text_span(json_get(entry, "manager")), FIELD_MANAGER);
		fields = fields_union(arena, fields, json_get(entry, "fieldsV1"));
		if (!ours)
			ours = json_copy(arena, entry);
	}
	if (!found || !fields)
		return NULL;
	json_set_string(arena, ours, "manager", FIELD_MANAGER);
	json_set_string(arena, ours, "operation", "Apply");
	json_set(arena, ours, "fieldsV1", span_is(json_text_span(json_get(live, "kind")), "Secret") ? own_string_data(fields, arena) : fields);
	json_append(arena, kept, ours);
	patch = begin_patch(live, arena);
	replace = operation(arena, "replace", SPAN("/metadata/managedFields"));
	json_set(arena, replace, "value", kept);
	json_append(arena, patch, replace);
	return patch;
}

