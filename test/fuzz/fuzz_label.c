/* Any JSON as an object that claims to be somebody's: the annotation counts only if it names the object it is on. */
#include "api/tracking.h"

#include "api/application.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_object(const struct json *object, struct arena *arena)
{
	struct span claim = json_text_span(json_path(object, "metadata", "annotations", ANNOTATION_TRACKING, NULL));
	const char *app = tracking_app(arena, object);

	if (!app)
		return;
	ASSERT(strchr(app, '/') && span_starts(claim, app));
}

static void try_label(struct span bytes, struct arena *arena)
{
	const char *installation = arena_strndup(arena, span_cut(&bytes, '\n')), *namespace = arena_strndup(arena, span_cut(&bytes, '\n'));
	const char *name = arena_strndup(arena, bytes);
	char label[TRACKING_LABEL_SIZE];

	tracking_label(installation, namespace, name, label);
	ASSERT(strlen(label) == TRACKING_LABEL_SIZE - 1 && strspn(label, "0123456789abcdef") == TRACKING_LABEL_SIZE - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct json *object;

	try_label(span_make(data, size), arena);
	if (!json_parse(span_make(data, size), arena, 0, &object, NULL))
		try_object(object, arena);
	return 0;
}
