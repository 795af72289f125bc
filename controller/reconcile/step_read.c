/*
 * read: what the cluster has of the revision. Every kind in use is watched
 * (and may be read at all: what we cannot see we do not write). An object
 * that is not known as managed is looked for once (survey.h), so that nothing
 * of others is taken over in silence; so is one of which fields are ignored, and
 * one that we made and that no watch tells of.
 */
#include "api/tracking.h"
#include "diff/ignore.h"
#include "diff/posture.h"
#include "reconcile/live.h"
#include "reconcile/planning.h"
#include "reconcile/steps.h"
#include "reconcile/survey.h"

/* Of one run, a quarter of what may be under way in all (kube/window.h): reads that hang must not hold up everybody else's. */
#define READS_MAX 8

struct reading {
	struct run *run;
	const char *key;
	const struct desired *desired;
};

/* One that we made, and of which no watch tells: its label was taken off. It is what we know of all the same. */
static void take_unwatched(const struct reading *reading, const struct json *object)
{
	const struct desired *desired = reading->desired;
	const struct inventory_item *item =
		inventory_find(app_inventory(reading->run->app), desired->group, desired->kind, desired->namespace, desired->name);
	const char *uid = json_text(json_path(object, "metadata", "uid", NULL));

	if (item && uid && *item->uid && !strcmp(uid, item->uid))
		live_take(reading->run->core->live, object, desired->group, desired->kind);
}

static void on_read(void *data, const struct kube_answer *answer)
{
	struct reading *reading = data;
	struct run *run = reading->run;

	if (!answer->err)
		take_unwatched(reading, answer->object);
	if (answer->err && !kube_says_absent(answer)) {
		struct error err = *answer->err;

		error_wrap(&err, "read %s %s/%s (%s:%u)", reading->desired->kind, reading->desired->namespace, reading->desired->name,
			   reading->desired->file, reading->desired->line);
		run_fail(run, &err);
	} else {
		/* the answer's arena goes: absent objects are remembered as JSON null */
		map_set(&run->reads, span_of(reading->key),
			answer->err ? json_null(run->arena) : json_copy(run->arena, answer->object));
	}
	free(reading);
	run->reading--;
	run_wake(run);
	run_release(run);
}

static bool is_secret(const struct desired *desired)
{
	return !*desired->group && !strcmp(desired->kind, "Secret");
}

/* Nothing says that it was ever made: many such may be looked for at once. What we may have made, though its answer was lost, is read. */
static bool is_new(const struct run *run, const struct desired *desired)
{
	return *desired->namespace && !live_find(run->core->live, desired->key) &&
	       !inventory_find(app_inventory(run->app), desired->group, desired->kind, desired->namespace, desired->name);
}

static void read_object(struct run *run, const struct desired *desired)
{
	struct reading *reading = mem_alloc(sizeof(*reading));
	const char *as = is_secret(desired) ? kube_account(run->arena, desired->account) : NULL;

	*reading = (struct reading){ run, desired->key, desired };
	map_set(&run->reads, span_of(desired->key), NULL);
	run->reading++;
	run_hold(run);
	if (!as && is_new(run, desired)) {
		survey_read(run->core->survey, desired->kind_known, desired->namespace, desired->name, on_read, reading);
		return;
	}
	/* rbac: reader get (Secrets: as the project's account) */
	kube_get(run->core->kube, kube_path(run->arena, desired->kind_known, desired->namespace, desired->name), KUBE_JSON, as, on_read,
		 reading);
}

enum namespace_state { NAMESPACE_UNKNOWN, NAMESPACE_THERE, NAMESPACE_ABSENT };

/* The Namespace as something to read, whether the revision declares it or not. */
static const struct desired *namespace_desired(struct run *run, const char *namespace, const char *key)
{
	struct desired *wanted = ARENA_NEW(run->arena, struct desired);
	struct kube_kind *kind = ARENA_NEW(run->arena, struct kube_kind);

	*kind = (struct kube_kind){ "", "v1", "Namespace", "namespaces", false, true, true, true };
	*wanted = (struct desired){ .kind_known = kind, .group = "", .version = "v1", .kind = "Namespace", .namespace = "",
				    .name = namespace, .key = key, .file = run->spec.path, .account = run->account };
	return wanted;
}

/* Whether the namespace exists; asked once a run and namespace. */
static enum namespace_state namespace_state(struct run *run, const char *namespace)
{
	const char *key = live_key(run->arena, "", "Namespace", "", namespace);
	const struct json *object = map_get(&run->reads, span_of(key));

	if (live_find(run->core->live, key))
		return NAMESPACE_THERE;
	if (object)
		return json_is(object, JSON_NULL) ? NAMESPACE_ABSENT : NAMESPACE_THERE;
	if (!map_has(&run->reads, span_of(key)))
		read_object(run, namespace_desired(run, namespace, key));
	return NAMESPACE_UNKNOWN;
}

/* SelfSubjectAccessReview: a kind whose CRD is still to come cannot be listed, but the right to can be asked for. */
static void on_review(void *data, const struct kube_answer *answer)
{
	struct reading *reading = data;
	struct run *run = reading->run;
	const struct kube_kind *kind = reading->desired->kind_known;
	struct error err = ERROR_INIT;

	if (answer->err) {
		run_fail(run, answer->err);
	} else if (!json_get_bool(json_get(answer->object, "status"), "allowed", false)) {
		error_set(&err, ERROR_FORBIDDEN, "CannotRead",
			  "countersign may not read %s.%s, which this revision defines (%s:%u): add a ClusterRole labelled "
			  "countersign.dev/aggregate-to-reader: \"true\" with {apiGroups: [\"%s\"], resources: [%s], verbs: [get, list, "
			  "watch]}; nothing of the revision was applied", kind->resource, kind->group, reading->desired->file,
			  reading->desired->line, kind->group, kind->resource);
		run_fail(run, &err);
	}
	free(reading);
	run->reading--;
	run_wake(run);
	run_release(run);
}

static void ask_right(struct run *run, const struct desired *desired)
{
	CLEANUP(str_release) struct str body = STR_INIT;
	struct json *review = json_object(run->arena), *spec = json_object(run->arena), *what = json_object(run->arena);
	const struct kube_kind *kind = desired->kind_known;
	struct reading *reading;
	char *key = arena_printf(run->arena, "right/%s/%s", kind->group, kind->kind);

	if (map_has(&run->reads, span_of(key)))
		return;
	map_set(&run->reads, span_of(key), json_null(run->arena));
	json_set_string(run->arena, review, "apiVersion", "authorization.k8s.io/v1");
	json_set_string(run->arena, review, "kind", "SelfSubjectAccessReview");
	json_set(run->arena, review, "spec", spec);
	json_set(run->arena, spec, "resourceAttributes", what);
	json_set_string(run->arena, what, "verb", "watch");
	json_set_string(run->arena, what, "group", kind->group);
	json_set_string(run->arena, what, "version", kind->version);
	json_set_string(run->arena, what, "resource", kind->resource);
	json_write(review, JSON_PLAIN, &body);
	reading = mem_alloc(sizeof(*reading));
	*reading = (struct reading){ run, key, desired };
	run->reading++;
	run_hold(run);
	/* rbac: everybody's own right (system:basic-user) */
	kube_bookkeep(run->core->kube, "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", KUBE_JSON, str_span(&body),
		      on_review, reading);
}

/* 0: known or asked for; *waiting is raised while something is still to come. */
static int watch_kind(struct run *run, const struct desired *desired, bool *waiting, struct error *err)
{
	const char *namespace = run->core->options->namespaced ? desired->namespace : NULL;

	if (desired->kind_later) {
		ask_right(run, desired);
		return 0;
	}
	/* without cluster roles nothing is known of Namespaces: they are there, or the API server will say so */
	if (is_secret(desired) && !namespace) {
		enum namespace_state state = namespace_state(run, desired->namespace);

		/* Secrets are watched per namespace, as its account; one that is still to come has none */
		*waiting |= state == NAMESPACE_UNKNOWN;
		if (state != NAMESPACE_THERE)
			return 0;
		namespace = desired->namespace;
	}
	switch (live_want(run->core->live, desired->kind_known, namespace, desired->account, err)) {
	case LIVE_LISTED:
		return 0;
	case LIVE_WAITING:
		*waiting = true;
		return 0;
	default:
		return error_wrap(err, "%s %s (%s:%u)", desired->kind, desired->name, desired->file, desired->line);
	}
}

/* What Git no longer declares may stay for long: kept by an annotation, or while pruning is off. What cannot be watched is not known. */
static bool watch_rest(struct run *run)
{
	const struct inventory *inventory = app_inventory(run->app);
	bool waiting = false;

	for (size_t i = 0; i < inventory->count; i++) {
		const struct inventory_item *item = &inventory->items[i], *before = i ? item - 1 : NULL;

		if (!before || strcmp(item->kind, before->kind) || strcmp(item->group, before->group) || strcmp(item->namespace, before->namespace))
			waiting |= plan_watch(run, item) == LIVE_WAITING;
	}
	return waiting;
}

/* What is known by its mark alone: an object whose creation was never answered, or one that is deleted and not gone yet. */
static bool watch_unnamed(struct run *run)
{
	bool waiting = false;

	for (size_t i = 0; i < app_inventory(run->app)->count; i++) {
		const struct inventory_item *item = &app_inventory(run->app)->items[i];

		if (!*item->uid)
			waiting |= plan_watch(run, item) == LIVE_WAITING;
	}
	return waiting;
}

/* Whether it weakens security where Git does not declare it. */
static bool is_weakened(struct run *run, const struct desired *desired, const struct live_object *live)
{
	const char **pointers;
	struct json *posture;
	size_t count;

	if (!live || !live_more(live)->posture || json_parse(span_of(live_more(live)->posture), run->arena, 0, &posture, NULL))
		return false;
	posture_find(posture, desired->full ? desired->full : desired->object, run->arena, &pointers, &count);
	return count;
}

/* Not known as ours, or not the one we made, or not watched, or with fields that are left to others. */
static bool needs_reading(struct run *run, const struct desired *desired)
{
	const struct live_object *live = live_find(run->core->live, desired->key);
	const struct inventory_item *item =
		inventory_find(app_inventory(run->app), desired->group, desired->kind, desired->namespace, desired->name);

	if (desired->kind_later || map_has(&run->reads, span_of(desired->key)))
		return false;
	if (!item || !*item->uid)
		return true;
	/* no watch tells of it: it is gone, or its label is */
	if (!live || !live->watch || !live_has_uid(live, item->uid))
		return true;
	if (is_weakened(run, desired, live))
		return true;
	/* extras may have to be taken out again: which, the whole object tells */
	if (live_more(live)->extras_text && run->dirty)
		return true;
	return ignore_concerns(&run->spec, desired->object);
}

enum step_result step_read(struct run *run)
{
	struct error err = ERROR_INIT;
	bool waiting = false;

	if (run->err.reason[0])
		return run->reading ? STEP_WAIT : STEP_FAIL;
	run->looked = run->goal == GOAL_DELETE;
	if (run->goal == GOAL_DELETE)
		return watch_unnamed(run) ? STEP_WAIT : STEP_NEXT;
	for (size_t i = 0; i < run->desired_count; i++)
		if (watch_kind(run, &run->desired[i], &waiting, &err))
			return run_fail(run, &err);
	waiting |= watch_rest(run);
	if (run->spec.options.create_namespace && *run->spec.destination_namespace)
		waiting |= namespace_state(run, run->spec.destination_namespace) == NAMESPACE_UNKNOWN;
	/* a few at a time: the answers wake the run, which comes by here again */
	for (size_t i = 0; i < run->desired_count && !waiting && run->reading < READS_MAX; i++)
		if (needs_reading(run, &run->desired[i]))
			read_object(run, &run->desired[i]);
	run->looked = !waiting;
	run->app->watched |= run->looked;
	return waiting || run->reading ? STEP_WAIT : STEP_NEXT;
}
