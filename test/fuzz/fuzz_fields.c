/*
 * Any JSON {live, desired, allowed, pointers}: the live object is what a stranger with kubectl can make of it, managedFields
 * and all. Digests, extras and patches must hold for each, and a patch must begin by asking for the version it was made from.
 */
#include "api/application.h"
#include "diff/extras.h"
#include "diff/fields.h"
#include "diff/patch.h"

#include "base/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_patch(const struct json *patch, const struct json *live)
{
	const struct json *first = json_at(patch, 0);

	if (!patch)
		return;
	ASSERT(json_count(patch) > 1 && span_is(json_text_span(json_get(first, "op")), "test"));
	ASSERT(json_equal(json_get(first, "value"), json_path(live, "metadata", "resourceVersion", NULL)) ||
	       !json_path(live, "metadata", "resourceVersion", NULL));
	for (size_t i = 1; i < json_count(patch); i++) {
		const struct json *step = json_at(patch, i);

		ASSERT(json_get_text(step, "op") && json_get_text(step, "path"));
		/* taking out the whole object is not what a patch is for */
		ASSERT(json_text_span(json_get(step, "path")).length > 1);
	}
}

static void try_extras(const struct json *live, struct arena *arena)
{
	struct extra *extras, who;
	size_t count = 0, more = 0;

	extras_find(live, arena, &extras, &count, &more);
	ASSERT(count <= LIMIT_EXTRAS && (count == LIMIT_EXTRAS || !more));
	for (size_t i = 0; i < count; i++)
		ASSERT(extras[i].path && extras[i].manager && json_pointer(live, span_of(extras[i].path)));
	extras_digest(extras, count);
	drift_attribution(live, live, arena, &who);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	const struct json *live, *desired, *allowed;
	const char *pointers;
	struct digest once, twice;
	struct application everything = { 0 };
	struct json *root;

	if (json_parse(span_make(data, size), arena, 0, &root, NULL))
		return 0;
	live = json_get(root, "live");
	desired = json_get(root, "desired");
	allowed = json_get(root, "allowed");
	pointers = json_get_text(root, "pointers");
	if (!json_is(live, JSON_OBJECT) || !json_is(desired, JSON_OBJECT))
		return 0;
	once = fields_digest(live);
	twice = fields_digest(json_copy(arena, live));
	ASSERT(digest_equal(&once, &twice));
	try_extras(live, arena);
	check_patch(patch_strip(live, desired, NULL, allowed, NULL, NULL, arena), live);
	check_patch(patch_strip(live, desired, desired, allowed, NULL, &everything, arena), live);
	check_patch(patch_own(live, false, arena), live);
	check_patch(patch_own(live, true, arena), live);
	if (pointers) {
		patch_holds(live, pointers);
		ASSERT(json_is(patch_released(live, pointers, arena), JSON_OBJECT));
	}
	return 0;
}
