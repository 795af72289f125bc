/* See sync_state.h. */
#include "cli/sync_state.h"

#include "api/application.h"
#include "cli/advice.h"

#define INFO_NAME "countersign.dev/request"

void sync_patch(const struct sync_wish *wish, struct arena *arena, struct str *out)
{
	struct json *patch = json_object(arena), *operation = json_object(arena), *sync = json_object(arena), *by = json_object(arena);
	struct json *info = json_object(arena), *infos = json_array(arena), *annotations = json_object(arena), *metadata = json_object(arena);

	if (wish->revision)
		json_set_string(arena, sync, "revision", wish->revision);
	if (wish->prune)
		json_set_bool(arena, sync, "prune", true);
	if (wish->dry_run)
		json_set_bool(arena, sync, "dryRun", true);
	json_set_string(arena, by, "username", wish->username);
	json_set_string(arena, info, "name", INFO_NAME);
	json_set_string(arena, info, "value", wish->id);
	json_append(arena, infos, info);
	json_set(arena, operation, "sync", sync);
	json_set(arena, operation, "initiatedBy", by);
	json_set(arena, operation, "info", infos);
	json_set_string(arena, annotations, ANNOTATION_REFRESH, wish->hard ? "hard" : "normal");
	json_set(arena, metadata, "annotations", annotations);
	json_set(arena, patch, "metadata", metadata);
	json_set(arena, patch, "operation", operation);
	json_write(patch, JSON_PLAIN, out);
}

static bool carries(const struct json *operation, const char *id)
{
	const struct json *list = json_get(operation, "info");

	for (size_t i = 0; i < json_count(list); i++)
		if (span_is(json_text_span(json_get(json_at(list, i), "name")), INFO_NAME) &&
		    span_is(json_text_span(json_get(json_at(list, i), "value")), id))
			return true;
	return false;
}

enum sync_stage sync_stage(const struct json *application, const char *id)
{
	const struct json *state = json_path(application, "status", "operationState", NULL);
	const struct json *ready = advice_condition(application, "Ready");
	struct span phase = json_text_span(json_get(state, "phase"));

	/* it stands there until its outcome is told */
	if (!carries(json_get(state, "operation"), id))
		return carries(json_get(application, "operation"), id) ? SYNC_ASKED : SYNC_TAKEN;
	/* nor is whoever asks next in its way */
	if (span_is(phase, "Running") || span_is(phase, "Terminating") || carries(json_get(application, "operation"), id))
		return SYNC_TAKEN;
	if (!span_is(phase, "Succeeded"))
		return SYNC_FAILED;
	return span_is(json_text_span(json_get(ready, "status")), "True") ? SYNC_READY : SYNC_DONE;
}
