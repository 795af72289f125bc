/* A path, a line end, and any JSON: an invalid path finds nothing, and what is found lies where its pointer says. */
#include "base/jsonpath.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct check {
	const struct json *root;
	bool valid;
};

static void each(void *data, struct json *value, struct span pointer)
{
	const struct check *check = data;

	ASSERT(check->valid);
	ASSERT(json_pointer(check->root, pointer) == value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct span rest = span_make(data, size), path = span_cut(&rest, '\n');
	struct check check = { .valid = jsonpath_valid(path) };
	struct json *root;

	if (json_parse(rest, arena, 64, &root, NULL))
		return 0;
	check.root = root;
	jsonpath_each(path, root, each, &check);
	return 0;
}
