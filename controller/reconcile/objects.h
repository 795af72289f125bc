/*
 * Our own kinds, as watched in the installation's namespace: Applications,
 * Projects, ImagePolicies, inventories, repository Secrets, private CAs. An
 * event updates the copy here and enqueues whom it concerns.
 */
#ifndef RECONCILE_OBJECTS_H
#define RECONCILE_OBJECTS_H

#include "api/project.h"
#include "gate/images.h"
#include "reconcile/core.h"

struct objects *objects_new(struct core *core);
void objects_free(struct objects *objects);

/* Whether everything was listed once: before that no Application is looked at. */
bool objects_ready(const struct objects *objects);

/*
 * ERROR_TRANSIENT "SettingsUnreadable": Projects, ImagePolicies or the Secrets with their keys may not be read any more; what was known of
 * them may be true no longer.
 */
int objects_readable(const struct objects *objects, struct error *err);

/* Decodes the Project into the arena. ERROR_DENIED "ProjectNotFound" or ERROR_INVALID "InvalidProject". */
int objects_project(const struct objects *objects, const char *name, struct arena *arena, struct project *out,
		    struct error *err);

/* The resourceVersion of the Project as it is now, or NULL: whether one that was decoded is still it. */
const char *objects_project_version(const struct objects *objects, const char *name);

/* All ImagePolicies as JSON, borrowed until the next event: MAP_EACH gives struct object_copy. */
const struct map *objects_policies(const struct objects *objects);
/* Another number after each change of an ImagePolicy, or of a key that one takes from a Secret. */
uint64_t objects_policies_version(const struct objects *objects);

/* Where all ImagePolicies together say that custom resources keep images. Borrowed until the next event. */
const struct custom_paths *objects_custom_paths(const struct objects *objects);

/* A Secret of the installation's namespace that is labelled as a repository, whose `url` is this one; NULL: none. */
const struct json *objects_repository_secret(const struct objects *objects, const char *url);
/* The PEM of countersign-tls-certs for a host (without port), or NULL. */
const char *objects_ca(const struct objects *objects, struct span host);
/* Any Secret of the installation's namespace by name (keys of policies), or NULL. */
const struct json *objects_secret(const struct objects *objects, const char *name);

struct object_copy {
	struct arena *arena;
	struct json *object;
	bool seen;      /* in the list that is under way */
};

#endif
