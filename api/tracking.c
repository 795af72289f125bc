/* Whose an object is; see tracking.h. */
#include "api/tracking.h"

#include "api/application.h"
#include "base/digest.h"

void tracking_label(const char *installation, const char *app_namespace, const char *app_name, char out[TRACKING_LABEL_SIZE])
{
	CLEANUP(str_release) struct str text = STR_INIT;
	struct digest digest;
	char hex[DIGEST_HEX];

	str_addf(&text, "%s\n%s\n%s", installation, app_namespace, app_name);
	digest = digest_of(str_span(&text));
	digest_hex(&digest, hex);
	memcpy(out, hex, TRACKING_LABEL_SIZE - 1);
	out[TRACKING_LABEL_SIZE - 1] = '\0';
}

char *tracking_id(struct arena *arena, const char *app_namespace, const char *app_name, const char *group, const char *kind,
		  const char *namespace, const char *name)
{
	return arena_printf(arena, "%s/%s:%s/%s:%s/%s", app_namespace, app_name, group, kind, namespace ? namespace : "", name);
}

struct span api_version_group(struct span api_version)
{
	ptrdiff_t slash = span_index(api_version, '/');

	return slash < 0 ? SPAN("") : span_sub(api_version, 0, (size_t)slash);
}

struct span api_version_version(struct span api_version)
{
	return span_from(api_version, (size_t)(span_index(api_version, '/') + 1));
}

char *tracking_app(struct arena *arena, const struct json *object)
{
	const struct json *metadata = json_get(object, "metadata");
	struct span id = json_text_span(json_path(metadata, "annotations", ANNOTATION_TRACKING, NULL)), app;
	struct span group = api_version_group(json_text_span(json_get(object, "apiVersion")));
	CLEANUP(str_release) struct str rest = STR_INIT;

	app = span_cut(&id, ':');
	if (span_index(app, '/') <= 0 || span_ends(app, "/"))
		return NULL;
	str_addf(&rest, "%.*s/%.*s:%.*s/%.*s", SPAN_ARG(group), SPAN_ARG(json_text_span(json_get(object, "kind"))),
		 SPAN_ARG(json_text_span(json_get(metadata, "namespace"))), SPAN_ARG(json_text_span(json_get(metadata, "name"))));
	return span_equal(id, str_span(&rest)) ? arena_strndup(arena, app) : NULL;
}
