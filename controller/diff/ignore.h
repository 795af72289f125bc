/*
 * spec.ignoreDifferences: the fields that an Application leaves to others.
 * They are left out of what is applied (and so of every comparison); the
 * first time, their live value is handed to a manager of its own, or the API
 * server would reset it.
 */
#ifndef DIFF_IGNORE_H
#define DIFF_IGNORE_H

#include "api/application.h"
#include "base/json.h"

/* Removes the ignored fields from `desired` (changed in place). Appends the JSON pointers that were removed to *removed, one
 * a line. `live` (may be NULL) tells what the managers of managedFieldsManagers hold. */
void ignore_apply(const struct application *app, struct json *desired, const struct json *live,
		  struct str *removed);
/* Whether any rule of the Application concerns this object. */
bool ignore_concerns(const struct application *app, const struct json *object);

#endif
