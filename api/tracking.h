/*
 * Whose an object is. The label is a short hash of (installation, namespace,
 * name) of the Application, since names may be longer than a label's value;
 * the annotation is the full id and counts only if it names the very object
 * it is on, since controllers copy labels and annotations around.
 */
#ifndef API_TRACKING_H
#define API_TRACKING_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/json.h"

#define TRACKING_LABEL_SIZE 33

/* 32 hex digits and NUL. `installation` is the controller's namespace. */
void tracking_label(const char *installation, const char *app_namespace, const char *app_name, char out[TRACKING_LABEL_SIZE]);

/* "NS/APP:GROUP/KIND:OBJECTNS/NAME". */
char *tracking_id(struct arena *arena, const char *app_namespace, const char *app_name, const char *group, const char *kind,
		  const char *namespace, const char *name);

/* The Application ("namespace/name", in the arena) that an object's own annotation names, if the rest of it names the object; else NULL. */
char *tracking_app(struct arena *arena, const struct json *object);

/* Group of an apiVersion: "" for core. */
struct span api_version_group(struct span api_version);
struct span api_version_version(struct span api_version);

#endif
