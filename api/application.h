/*
 * Application, countersign.dev/v1alpha1: what a developer commits. Its spec
 * has the fields and the meaning of Argo CD's; what is not built yet is
 * refused by name, never ignored.
 *
 * Decoding is pure. Spans and strings live in the arena of the object.
 */
#ifndef API_APPLICATION_H
#define API_APPLICATION_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/json.h"

#define API_GROUP "countersign.dev"
#define API_VERSION "countersign.dev/v1alpha1"
#define API_PATH "/apis/countersign.dev/v1alpha1"

/* On managed objects. The label is a short hash, the annotation the full tracking id; see api/tracking.h. */
#define LABEL_APP "countersign.dev/app"
#define ANNOTATION_TRACKING "countersign.dev/tracking-id"

#define ANNOTATION_REFRESH "countersign.dev/refresh"
#define ANNOTATION_SKIP_ARGO "argocd.argoproj.io/skip-reconcile"
#define ANNOTATION_REFRESH_ARGO "argocd.argoproj.io/refresh"
#define FINALIZER "resources-finalizer.countersign.dev"
#define FINALIZER_ARGO "resources-finalizer.argocd.argoproj.io"

enum refresh { REFRESH_NONE = 0, REFRESH_NORMAL, REFRESH_HARD };

enum adopt { ADOPT_KUBECTL = 0, ADOPT_NEVER, ADOPT_ANY };

struct ignore_rule {           /* spec.ignoreDifferences[] */
	const char *group, *kind, *name, *namespace;   /* globs; NULL matches anything */
	const char **pointers;                         /* jsonPointers, NULL at the end */
	const char **managers;                         /* managedFieldsManagers, NULL at the end */
};

struct retry {                 /* spec.syncPolicy.retry; Argo CD's defaults */
	int64_t limit;         /* negative: for ever */
	int64_t duration_ms, factor, duration_max_ms;
};

struct sync_options {
	bool create_namespace, exact, prune_last, validate, fail_on_shared;
	enum adopt adopt;
	bool prune_disabled, delete_disabled;          /* Prune=false, Delete=false */
};

struct application {
	const char *namespace, *name, *uid, *resource_version;
	int64_t generation;
	bool deleting;                 /* metadata.deletionTimestamp is set */
	const char *finalizer;         /* the one that asks for cascading deletion, or NULL */
	enum refresh refresh;
	bool skip;                     /* ANNOTATION_SKIP_ARGO: nobody is to touch it now */

	const char *project;           /* never NULL */
	const char *repo_url, *target_revision, *path;         /* revision "" is HEAD, path "." the root */
	bool recurse;
	const char *include, *exclude;                         /* "" when not given */
	const char *destination_server, *destination_namespace; /* "" when not given */

	bool automated, prune, self_heal, allow_empty;
	struct sync_options options;
	struct retry retry;
	struct ignore_rule *ignore;
	size_t ignore_count;

	const struct json *operation;  /* top-level `operation`, or NULL */
	const struct json *status;     /* as read, or NULL */
	const struct json *object;     /* the whole */
};

/*
 * Reads an object as the API server gives it. ERROR_INVALID with reason "InvalidSpec" or "NotSupported" names the field;
 * namespace, name, uid, generation, deleting, finalizer, refresh, options and status are set even then (if the object has them).
 */
int application_decode(const struct json *object, struct arena *arena, struct application *out, struct error *err);

/* The options that one `Name=value` list gives, as on spec.syncPolicy or in a resource's annotation. ERROR_INVALID for unknown. */
int sync_option_read(struct span option, struct sync_options *options, struct error *err);

/* The one cluster that is built today. */
#define IN_CLUSTER_SERVER "https://kubernetes.default.svc"
#define IN_CLUSTER_NAME "in-cluster"

#endif
