/*
 * Images that are in the cluster and not in Git: what somebody else put into an
 * object, and all of an object that Git no longer declares and that is still
 * there. They are judged as any other, by their digests.
 */
#include "reconcile/judging.h"
#include "reconcile/live.h"
#include "reconcile/permission.h"

/* A container of an object with the image that it has; those of a custom resource may all be of one name. */
static void add_container(const struct image_use *use, struct span image, struct str *key)
{
	str_addf(key, "%s %zu %s %.*s", use->position, strlen(use->container), use->container, SPAN_ARG(image));
}

/* What this revision pins, container by container. */
static void find_pinned(struct judging *judging, const struct desired *desired, struct map *pinned)
{
	struct image_use *uses;
	size_t count;

	gate_find_images(desired->object, &judging->run->custom, judging->run->arena, &uses, &count);
	for (size_t i = 0; i < count; i++) {
		const struct judged_image *image =
		    uses[i].problem ? NULL : judging_find(judging, uses[i].image, desired->namespace, false);
		CLEANUP(str_release) struct str text = STR_INIT, key = STR_INIT;

		if (!image || !image->readable || digest_is_zero(&image->digest))
			continue;
		reference_pin(&image->reference, &image->digest, &text);
		add_container(&uses[i], str_span(&text), &key);
		map_set(pinned, str_span(&key), judging);
	}
}

/* Foreign images in a live object are judged like any other: a signed sidecar may stay, if a digest says which it is. */
static void add_foreign(struct judging *judging, struct desired *desired)
{
	const struct live_object *live = live_find(judging->run->core->live, desired->key);
	CLEANUP(map_release) struct map pinned = MAP_INIT;
	struct image_use *uses;
	struct json *object;
	size_t count;

	if (!live || !live_more(live)->drifted || json_parse(span_of(live_more(live)->drifted), judging->run->arena, 0, &object, NULL))
		return;
	gate_find_images(object, &judging->run->custom, judging->run->arena, &uses, &count);
	find_pinned(judging, desired, &pinned);
	for (size_t i = 0; i < count; i++) {
		CLEANUP(str_release) struct str key = STR_INIT;

		add_container(&uses[i], span_of(uses[i].image), &key);
		if (!uses[i].problem && !map_has(&pinned, str_span(&key)))
			judging_add_use(judging, desired, &uses[i], true);
	}
}

/* Of what Git no longer declares and is still there all images are foreign. Those that it had when it was left were judged then. */
static void add_left(struct judging *judging, const struct inventory_item *item, char *key)
{
	struct run *run = judging->run;
	const struct live_object *live = live_find(run->core->live, key);
	struct error ignored = ERROR_INIT;
	struct desired *left;
	struct image_use *uses;
	struct json *object;
	size_t count;

	if (!live || !live_more(live)->drifted || json_parse(span_of(live_more(live)->drifted), run->arena, 0, &object, NULL))
		return;
	left = ARENA_NEW(run->arena, struct desired);
	*left = (struct desired){ .object = object, .group = arena_strdup(run->arena, item->group), .kind = arena_strdup(run->arena, item->kind),
				  .namespace = arena_strdup(run->arena, item->namespace), .name = arena_strdup(run->arena, item->name), .key = key,
				  .file = "no longer in Git" };
	if (permission_of_item(run, item, &left->account, &ignored))
		left->account = arena_strdup(run->arena, app_inventory(run->app)->account);
	gate_find_images(object, &run->custom, run->arena, &uses, &count);
	for (size_t i = 0; i < count; i++)
		if (!uses[i].problem)
			judging_add_use(judging, left, &uses[i], true);
}

void foreign_collect(struct judging *judging)
{
	CLEANUP(map_release) struct map declared = MAP_INIT;
	struct run *run = judging->run;

	for (size_t i = 0; i < run->desired_count; i++) {
		add_foreign(judging, &run->desired[i]);
		map_set(&declared, span_of(run->desired[i].key), run);
	}
	for (size_t i = 0; i < app_inventory(run->app)->count; i++) {
		const struct inventory_item *item = &app_inventory(run->app)->items[i];
		char *key = live_key(run->arena, item->group, item->kind, item->namespace, item->name);

		if (!map_has(&declared, span_of(key)))
			add_left(judging, item, key);
	}
}
