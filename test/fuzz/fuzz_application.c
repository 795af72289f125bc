/* Any JSON as an Application, and any text as a sync option. What is refused is told; what is taken has what a run needs. */
#include "api/application.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_option(struct span text)
{
	struct sync_options options = { 0 };
	struct error err = ERROR_INIT;

	if (sync_option_read(text, &options, &err))
		ASSERT(err.reason[0] && err.text[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct error err = ERROR_INIT;
	struct application app;
	struct json *object;

	try_option(span_make(data, size));
	if (json_parse(span_make(data, size), arena, 0, &object, NULL))
		return 0;
	if (application_decode(object, arena, &app, &err)) {
		ASSERT(err.reason[0] && err.text[0]);
		return 0;
	}
	ASSERT(app.namespace && app.name && app.project && app.repo_url && app.path && app.target_revision);
	ASSERT(app.include && app.exclude && app.destination_server && app.destination_namespace);
	for (size_t i = 0; i < app.ignore_count; i++)
		ASSERT(app.ignore[i].pointers || app.ignore[i].managers);
	return 0;
}
