/* prepare: rendered objects become desired ones: a known kind, a namespace, permission, our marks, a place in the order. */
#include <stdlib.h>

#include "api/declared.h"
#include "api/tracking.h"
#include "diff/order.h"
#include "reconcile/claims.h"
#include "reconcile/live.h"
#include "reconcile/permission.h"
#include "reconcile/steps.h"
#include "render/render.h"

static void on_discovery(void *data, const struct error *err)
{
	struct run *run = data;

	run->discovery_done = true;
	/* what was known before still serves; a group that is down shows as stale */
	if (err && !discovery_known(run->core->discovery))
		run_fail(run, err);
	run_wake(run);
	run_release(run);
}

static enum step_result ask_discovery(struct run *run)
{
	if (!run->discovery_asked) {
		run->discovery_asked = true;
		run_hold(run);
		discovery_refresh(run->core->discovery, on_discovery, run);
	}
	return STEP_WAIT;
}

/* A kind that a CRD of this very revision defines. */
static const struct kube_kind *from_definition(struct run *run, const struct rendered_object *wanted, struct span version)
{
	for (size_t i = 0; i < run->rendered_count; i++) {
		const struct rendered_object *object = &run->rendered[i];
		const struct json *spec = json_get(object->object, "spec"), *versions = json_get(spec, "versions");
		struct kube_kind *kind;

		if (strcmp(object->kind, "CustomResourceDefinition") || strcmp(object->group, "apiextensions.k8s.io") ||
		    !span_is(json_text_span(json_get(spec, "group")), wanted->group) ||
		    !span_is(json_text_span(json_path(spec, "names", "kind", NULL)), wanted->kind))
			continue;
		for (size_t k = 0; k < json_count(versions); k++) {
			const struct json *one = json_at(versions, k);

			if (!span_equal(json_text_span(json_get(one, "name")), version) || !json_get_bool(one, "served", false))
				continue;
			kind = ARENA_NEW(run->arena, struct kube_kind);
			*kind = (struct kube_kind){ wanted->group, arena_strndup(run->arena, version), wanted->kind,
						    json_text(json_path(spec, "names", "plural", NULL)),
						    span_is(json_text_span(json_get(spec, "scope")), "Namespaced"),
						    json_path(one, "subresources", "status", NULL) != NULL, false, true };
			return kind->resource ? kind : NULL;
		}
	}
	return NULL;
}

/* Finds the kind; *later: it comes with this revision. */
static const struct kube_kind *find_kind(struct run *run, const struct rendered_object *object, bool *later)
{
	struct span version = api_version_version(span_of(object->api_version));
	const struct kube_kind *kind = discovery_find(run->core->discovery, span_of(object->group),
						      arena_strndup(run->arena, version), span_of(object->kind));
	struct kube_kind *copy;

	*later = false;
	if (!kind) {
		*later = true;
		return from_definition(run, object, version);
	}
	/* discovery may be refreshed while the run is under way */
	copy = ARENA_NEW(run->arena, struct kube_kind);
	*copy = (struct kube_kind){ arena_strdup(run->arena, kind->group), arena_strdup(run->arena, kind->version),
				    arena_strdup(run->arena, kind->kind), arena_strdup(run->arena, kind->resource), kind->namespaced,
				    kind->has_status, kind->preferred, kind->can_list };
	return copy;
}

static int unknown_kind(struct run *run, const struct rendered_object *object, struct error *err)
{
	if (discovery_stale(run->core->discovery, span_of(object->group)))
		return error_set(err, ERROR_TRANSIENT, "DiscoveryStale",
				 "%s (%s:%u): the API server's discovery for group %s is stale (its server does not answer); waiting for it",
				 rendered_object_title(object, run->arena), object->path, object->line, object->group);
	return error_set(err, ERROR_INVALID, "UnknownKind",
			 "%s (%s:%u): the API server knows no kind %s in %s, and no CustomResourceDefinition of this revision defines it",
			 rendered_object_title(object, run->arena), object->path, object->line, object->kind, object->api_version);
}

static void mark(struct run *run, struct desired *desired)
{
	struct json *metadata = json_get(desired->object, "metadata");
	struct json *labels = json_ensure_object(run->arena, metadata, "labels");
	struct json *annotations = json_ensure_object(run->arena, metadata, "annotations");

	if (labels)
		json_set_string(run->arena, labels, LABEL_APP, run->app->label);
	if (annotations)
		json_set_string(run->arena, annotations, ANNOTATION_TRACKING,
				tracking_id(run->arena, run->spec.namespace, run->spec.name, desired->group, desired->kind,
					    desired->namespace, desired->name));
}

static int set_namespace(struct run *run, struct desired *desired, struct error *err)
{
	struct json *metadata = json_get(desired->object, "metadata");

	if (!desired->namespaced) {
		/* as Argo CD: a namespace on a cluster-scoped object means nothing */
		json_remove(metadata, "namespace");
		desired->namespace = "";
		return 0;
	}
	if (!*desired->namespace)
		desired->namespace = run->spec.destination_namespace;
	if (!*desired->namespace)
		return error_set(err, ERROR_INVALID, "NoNamespace",
				 "%s %s (%s:%u) names no namespace, and spec.destination.namespace is empty", desired->kind, desired->name,
				 desired->file, desired->line);
	json_set_string(run->arena, metadata, "namespace", desired->namespace);
	return 0;
}

/* As the API server has it for every name; it reads an escaped slash as a slash, and then another resource is meant. */
static bool is_path_segment(const char *name)
{
	return !span_is(span_of(name), ".") && !span_is(span_of(name), "..") && !strpbrk(name, "/%");
}

static int check_address(const struct desired *desired, struct error *err)
{
	bool named = is_path_segment(desired->name);

	if (named && is_path_segment(desired->namespace))
		return 0;
	return error_set(err, ERROR_INVALID, "BadName", "%s (%s:%u): the %s '%s' cannot be one: no '/' or '%%', and neither '.' nor '..'",
			 desired->kind, desired->file, desired->line, named ? "namespace" : "name", named ? desired->namespace : desired->name);
}

static int read_options(struct run *run, struct desired *desired, struct error *err)
{
	struct span list = json_text_span(json_path(desired->object, "metadata", "annotations", "argocd.argoproj.io/sync-options", NULL));
	struct span keep = json_text_span(json_path(desired->object, "metadata", "annotations", "helm.sh/resource-policy", NULL));

	desired->options = run->spec.options;
	while (list.length) {
		struct span one = span_trim(span_cut(&list, ','));

		if (one.length && sync_option_read(one, &desired->options, err))
			return error_wrap(err, "%s %s (%s:%u)", desired->kind, desired->name, desired->file, desired->line);
	}
	if (span_is(keep, "keep"))
		desired->options.delete_disabled = true;
	return 0;
}

static int prepare_one(struct run *run, const struct rendered_object *object, struct error *err)
{
	bool later;
	const struct kube_kind *kind = find_kind(run, object, &later);
	struct desired *desired;

	if (!kind)
		return unknown_kind(run, object, err);
	desired = arena_push(run->arena, &run->desired, &run->desired_count, &run->desired_capacity, sizeof(*desired));
	*desired = (struct desired){ .object = object->object, .kind_known = kind, .kind_later = later, .group = object->group,
				     .version = kind->version, .kind = object->kind, .namespace = object->namespace,
				     .name = object->name, .file = object->path, .line = object->line,
				     /* whatever its kind is called: behind the CRD that brings it */
				     .namespaced = kind->namespaced, .rank = order_rank(later ? SPAN0 : span_of(object->kind)), .released = "",
				     .taken = "" };
	if (set_namespace(run, desired, err) || check_address(desired, err) || permission_of_desired(run, desired, &desired->account, err) || read_options(run, desired, err))
		return -1;
	if (order_wave(desired->object, &desired->wave, err))
		return error_wrap(err, "%s", rendered_object_title(object, run->arena));
	declared_strip(desired->object, desired->group, desired->kind);
	mark(run, desired);
	desired->key = live_key(run->arena, desired->group, desired->kind, desired->namespace, desired->name);
	return claims_check(run, desired, err);
}

/* The default namespace may have made two objects one. */
static int check_duplicates(struct run *run, struct error *err)
{
	CLEANUP(map_release) struct map seen = MAP_INIT;

	for (size_t i = 0; i < run->desired_count; i++) {
		const struct desired *desired = &run->desired[i];
		const struct desired *first = map_set(&seen, span_of(desired->key), &run->desired[i]);

		if (first)
			return error_set(err, ERROR_INVALID, "DuplicateObject", "%s %s/%s stands twice: %s:%u and %s:%u", desired->kind,
					 desired->namespace, desired->name, first->file, first->line, desired->file, desired->line);
	}
	return 0;
}

static int by_order(const void *a, const void *b)
{
	const struct desired *x = a, *y = b;

	if (x->wave != y->wave)
		return x->wave < y->wave ? -1 : 1;
	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return strcmp(x->key, y->key);
}

enum step_result step_prepare(struct run *run)
{
	struct error err = ERROR_INIT, refused = ERROR_INIT;
	bool only_claims = true;

	if (run->err.reason[0])
		return STEP_FAIL;
	/* for a deletion, too: what is not known would be taken for gone */
	if (!discovery_known(run->core->discovery) && !run->discovery_done)
		return ask_discovery(run);
	if (run->goal == GOAL_DELETE)
		return STEP_NEXT;
	run->desired_count = 0;
	for (size_t i = 0; i < run->rendered_count; i++) {
		if (!prepare_one(run, &run->rendered[i], &err))
			continue;
		/* the rest is looked at all the same: others want to know what this revision declares */
		if (err.kind == ERROR_CONFLICT || err.kind == ERROR_DENIED) {
			if (!refused.reason[0])
				refused = err;
			only_claims &= !strcmp(err.reason, "SharedResource");
			continue;
		}
		/* a kind may have come since we last asked */
		if (!strcmp(err.reason, "UnknownKind") && !run->discovery_done)
			return ask_discovery(run);
		return run_fail(run, &err);
	}
	claims_declared(run);
	if (refused.reason[0] && only_claims)
		claims_leave(run);
	if (refused.reason[0])
		return run_fail(run, &refused);
	if (check_duplicates(run, &err))
		return run_fail(run, &err);
	if (run->desired_count)
		qsort(run->desired, run->desired_count, sizeof(struct desired), by_order);
	return STEP_NEXT;
}
