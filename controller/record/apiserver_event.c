/* One event of the API server's audit log; see audit_join.h. */
#include <ctype.h>

#include "base/limits.h"
#include "record/audit_join.h"

int apiserver_event_read(struct span line, struct arena *arena, struct apiserver_event *out, struct error *err)
{
	struct json *event;
	const struct json *object;
	const char *version, *kind;

	if (line.length > LIMIT_APISERVER_EVENT_BYTES)
		return error_set(err, ERROR_INVALID, "BadEvent", "a line of %zu bytes is longer than an event may be (%u)", line.length,
				 LIMIT_APISERVER_EVENT_BYTES);
	if (json_parse(line, arena, 0, &event, err))
		return error_wrap(err, "not JSON");
	version = json_get_text(event, "apiVersion");
	kind = json_get_text(event, "kind");
	if (!version || strcmp(version, "audit.k8s.io/v1") != 0 || !kind || strcmp(kind, "Event") != 0)
		return error_set(err, ERROR_INVALID, "BadEvent", "not an Event of audit.k8s.io/v1, but %.80s of %.80s",
				 kind ? kind : "nothing", version ? version : "no version");
	object = json_get(event, "objectRef");
	*out = (struct apiserver_event){
		.audit_id = json_get_text(event, "auditID"),
		.stage = json_get_text(event, "stage"),
		.verb = json_get_text(event, "verb"),
		.user = json_text(json_path(event, "user", "username", NULL)),
		.as = json_text(json_path(event, "impersonatedUser", "username", NULL)),
		.time = json_get_text(event, "requestReceivedTimestamp"),
		.group = json_get_text(object, "apiGroup"),
		.resource = json_get_text(object, "resource"),
		.subresource = json_get_text(object, "subresource"),
		.namespace = json_get_text(object, "namespace"),
		.name = json_get_text(object, "name"),
		.code = json_get_int(json_get(event, "responseStatus"), "code", 0),
	};
	if (!out->audit_id || !out->stage || !out->verb)
		return error_set(err, ERROR_INVALID, "BadEvent", "an event without auditID, stage or verb");
	return 0;
}

/* Kubernetes names its own resources by the lower-case kind and the English plural. */
static bool is_plural(const char *resource, const char *kind)
{
	size_t n = strlen(kind), i;

	for (i = 0; i < n && resource[i] && resource[i] == tolower((unsigned char)kind[i]); i++)
		;
	if (i == n)
		return !resource[n] || !strcmp(resource + n, "s") || !strcmp(resource + n, "es");
	return i == n - 1 && tolower((unsigned char)kind[i]) == 'y' && !strcmp(resource + i, "ies");
}

bool audit_resource_is_of_kind(const char *resource, const char *kind, const char *group)
{
	bool builtin = !strchr(group, '.') || span_ends(span_of(group), ".k8s.io");

	return is_plural(resource, kind) || !builtin;
}
