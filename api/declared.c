/* What is not for Git to declare; see declared.h. */
#include "api/declared.h"

#include <string.h>

#include "api/application.h"

static void strip_live(struct json *object)
{
	static const char *const live_only[] = { "managedFields", "uid", "resourceVersion", "generation", "creationTimestamp",
						 "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds" };

	for (size_t i = 0; i < COUNT_OF(live_only); i++)
		json_remove(json_get(object, "metadata"), live_only[i]);
	json_remove(object, "status");
}

void declared_strip(struct json *object, const char *group, const char *kind)
{
	struct json *annotations = json_path(object, "metadata", "annotations", NULL);

	strip_live(object);
	if (strcmp(group, API_GROUP) || strcmp(kind, "Application"))
		return;
	json_remove(annotations, ANNOTATION_REFRESH);
	json_remove(annotations, ANNOTATION_REFRESH_ARGO);
}
