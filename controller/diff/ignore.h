/*
 * spec.ignoreDifferences: the fields that an Application leaves to others.
 * They are left out of what is applied (and so of every comparison); the
 * first time, their live value is handed to a manager of its own, or the API
 * server would reset it.
 */
#ifndef DIFF_IGNORE_H
#define DIFF_IGNORE_H

#include "api/application.h"
#include "base/digest.h"
#include "base/json.h"
#include "gate/images.h"

/* JSON pointers of ignored fields, one a line. */
struct ignored {
	const char *removed;     /* out of what is applied */
	const char *taken;       /* from the live object, see below */
};

/*
 * Removes the ignored fields from `desired` (changed in place). `live` (may be NULL) tells what the managers of managedFieldsManagers
 * hold, and which fields lie in something that the API server only replaces as a whole: of that nothing can be left out, so
 * `desired` takes it from the live object; but no image (`custom`: where else they are, or NULL) and nothing that weakens security.
 */
struct ignored ignore_apply(const struct application *app, struct json *desired, const struct json *live, const struct custom_paths *custom,
			    struct arena *arena);
/* The same anew, in *desired, for an object that was made with all its fields, by what was removed before; `live` is what it became. */
struct ignored ignore_again(const char *removed, struct json *desired, const struct json *live, const struct custom_paths *custom,
			    struct arena *arena);
/* Digest of what Git says in `desired`, whatever the live object had in the places that were taken from it. */
struct digest ignore_digest(const struct json *desired, const char *taken, struct arena *arena);
/* Whether all that `desired` declares is so in `live`, and nothing more where it is replaced as a whole. */
bool ignore_is_so(const struct json *desired, const char *taken, const struct json *live);
/* Whether the Application leaves to others what stands in `live` at the pointer and is held by that manager: it, or a part of it. */
bool ignore_leaves(const struct application *app, const struct json *live, const char *pointer, const char *manager);
/* Whether any rule of the Application concerns this object. */
bool ignore_concerns(const struct application *app, const struct json *object);

#endif
