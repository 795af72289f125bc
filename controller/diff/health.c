/* Health by kind; see health.h. */
#include "diff/health.h"

#include "api/tracking.h"

static const char *const names[] = { "Healthy", "Suspended", "Progressing", "Missing", "Degraded", "Unknown" };

const char *health_name(enum health health)
{
	return names[health];
}

struct view {
	const struct json *object, *spec, *status;
	struct arena *arena;
	const char *message;
};

static enum health say(struct view *view, enum health health, const char *message)
{
	view->message = message;
	return health;
}

static const struct json *condition(const struct view *view, const char *type)
{
	const struct json *conditions = json_get(view->status, "conditions");

	for (size_t i = 0; i < json_count(conditions); i++)
		if (span_is(json_text_span(json_get(json_at(conditions, i), "type")), type))
			return json_at(conditions, i);
	return NULL;
}

static bool condition_is(const struct view *view, const char *type, const char *status)
{
	return span_is(json_text_span(json_get(condition(view, type), "status")), status);
}

/* The controller has not looked at this generation yet. */
static bool is_behind(const struct view *view)
{
	return json_get_int(view->status, "observedGeneration", 0) <
	       json_get_int(json_get(view->object, "metadata"), "generation", 0);
}

static enum health counted(struct view *view, const char *what, int64_t have, int64_t want)
{
	if (have >= want)
		return HEALTH_HEALTHY;
	return say(view, HEALTH_PROGRESSING,
		   arena_printf(view->arena, "%lld of %lld %s", (long long)have, (long long)want, what));
}

static enum health deployment(struct view *view)
{
	int64_t want = json_get_int(view->spec, "replicas", 1), updated = json_get_int(view->status, "updatedReplicas", 0);
	const struct json *progressing = condition(view, "Progressing");

	if (json_get_bool(view->spec, "paused", false))
		return say(view, HEALTH_SUSPENDED, "the Deployment is paused");
	if (is_behind(view))
		return say(view, HEALTH_PROGRESSING, "waiting for the Deployment controller to see it");
	if (span_is(json_text_span(json_get(progressing, "reason")), "ProgressDeadlineExceeded"))
		return say(view, HEALTH_DEGRADED, "the Deployment exceeded its progress deadline");
	if (updated < want)
		return counted(view, "replicas updated", updated, want);
	if (json_get_int(view->status, "replicas", 0) > updated)
		return say(view, HEALTH_PROGRESSING, "old replicas are still being ended");
	return counted(view, "updated replicas available", json_get_int(view->status, "availableReplicas", 0), want);
}

static enum health stateful_set(struct view *view)
{
	int64_t want = json_get_int(view->spec, "replicas", 1);
	const struct json *strategy = json_get(view->spec, "updateStrategy");
	struct span current = json_text_span(json_get(view->status, "currentRevision"));

	if (is_behind(view))
		return say(view, HEALTH_PROGRESSING, "waiting for the StatefulSet controller to see it");
	if (json_get_int(view->status, "readyReplicas", 0) < want)
		return counted(view, "replicas ready", json_get_int(view->status, "readyReplicas", 0), want);
	if (span_is(json_text_span(json_get(strategy, "type")), "OnDelete"))
		return HEALTH_HEALTHY;
	if (json_get_int(json_get(strategy, "rollingUpdate"), "partition", 0) > 0)
		return counted(view, "replicas updated", json_get_int(view->status, "updatedReplicas", 0),
			       want - json_get_int(json_get(strategy, "rollingUpdate"), "partition", 0));
	if (!span_equal(current, json_text_span(json_get(view->status, "updateRevision"))))
		return counted(view, "replicas updated", json_get_int(view->status, "updatedReplicas", 0), want);
	return HEALTH_HEALTHY;
}

static enum health daemon_set(struct view *view)
{
	int64_t want = json_get_int(view->status, "desiredNumberScheduled", 0);

	if (is_behind(view))
		return say(view, HEALTH_PROGRESSING, "waiting for the DaemonSet controller to see it");
	if (!span_is(json_text_span(json_path(view->spec, "updateStrategy", "type", NULL)), "OnDelete") &&
	    json_get_int(view->status, "updatedNumberScheduled", 0) < want)
		return counted(view, "pods updated", json_get_int(view->status, "updatedNumberScheduled", 0), want);
	return counted(view, "pods available", json_get_int(view->status, "numberAvailable", 0), want);
}

static enum health replica_set(struct view *view)
{
	if (is_behind(view))
		return say(view, HEALTH_PROGRESSING, "waiting for the ReplicaSet controller to see it");
	if (condition_is(view, "ReplicaFailure", "True"))
		return say(view, HEALTH_DEGRADED, json_get_text(condition(view, "ReplicaFailure"), "message"));
	return counted(view, "replicas available", json_get_int(view->status, "availableReplicas", 0),
		       json_get_int(view->spec, "replicas", 1));
}

/* What a container waits for that time alone does not mend: CrashLoopBackOff, ErrImagePull, CreateContainerError, ... */
static const struct json *stuck_container(const struct view *view)
{
	const struct json *containers = json_get(view->status, "containerStatuses");

	for (size_t i = 0; i < json_count(containers); i++) {
		const struct json *waiting = json_path(json_at(containers, i), "state", "waiting", NULL);
		struct span reason = json_text_span(json_get(waiting, "reason"));

		if (span_starts(reason, "Err") || span_ends(reason, "Error") || span_ends(reason, "BackOff"))
			return json_at(containers, i);
	}
	return NULL;
}

/* Of a Pod that is restarted for ever; others end in the phase Failed. */
static enum health stuck_pod(struct view *view, const struct json *container)
{
	const struct json *waiting = json_path(container, "state", "waiting", NULL);
	const char *name = json_get_text(container, "name"), *message = json_get_text(waiting, "message");

	return say(view, HEALTH_DEGRADED, arena_printf(view->arena, "container %s: %s%s%s", name ? name : "?", json_get_text(waiting, "reason"),
						       message ? ": " : "", message ? message : ""));
}

static enum health pod(struct view *view)
{
	struct span phase = json_text_span(json_get(view->status, "phase"));
	struct span policy = json_text_span(json_get(view->spec, "restartPolicy"));
	bool lasting = !policy.length || span_is(policy, "Always");
	const struct json *stuck = lasting ? stuck_container(view) : NULL;

	if (span_is(phase, "Succeeded"))
		return HEALTH_HEALTHY;
	if (span_is(phase, "Failed"))
		return say(view, HEALTH_DEGRADED, json_get_text(view->status, "message"));
	/* one that is to end has done its work when it has */
	if (span_is(phase, "Running") && !lasting)
		return say(view, HEALTH_PROGRESSING, "the Pod runs and is to end");
	if (span_is(phase, "Running") && condition_is(view, "Ready", "True"))
		return HEALTH_HEALTHY;
	if (stuck)
		return stuck_pod(view, stuck);
	return say(view, HEALTH_PROGRESSING, "the Pod is not ready");
}

static enum health job(struct view *view)
{
	if (condition_is(view, "Failed", "True"))
		return say(view, HEALTH_DEGRADED, json_get_text(condition(view, "Failed"), "message"));
	if (condition_is(view, "Complete", "True"))
		return HEALTH_HEALTHY;
	if (condition_is(view, "Suspended", "True"))
		return say(view, HEALTH_SUSPENDED, "the Job is suspended");
	return say(view, HEALTH_PROGRESSING, "the Job runs");
}

static enum health volume_claim(struct view *view)
{
	struct span phase = json_text_span(json_get(view->status, "phase"));

	if (span_is(phase, "Bound"))
		return HEALTH_HEALTHY;
	return span_is(phase, "Lost") ? say(view, HEALTH_DEGRADED, "the volume is lost")
				      : say(view, HEALTH_PROGRESSING, "the claim is not bound");
}

static enum health service(struct view *view)
{
	if (!span_is(json_text_span(json_get(view->spec, "type")), "LoadBalancer") ||
	    json_count(json_path(view->status, "loadBalancer", "ingress", NULL)))
		return HEALTH_HEALTHY;
	return say(view, HEALTH_PROGRESSING, "the load balancer has no address yet");
}


static enum health definition(struct view *view)
{
	if (condition_is(view, "NamesAccepted", "False"))
		return say(view, HEALTH_DEGRADED, json_get_text(condition(view, "NamesAccepted"), "message"));
	return condition_is(view, "Established", "True") ? HEALTH_HEALTHY
							 : say(view, HEALTH_PROGRESSING, "the CRD is not established");
}

static enum health application(struct view *view)
{
	struct span status = json_text_span(json_path(view->status, "health", "status", NULL));

	for (enum health health = HEALTH_HEALTHY; health <= HEALTH_UNKNOWN; health++)
		if (span_is(status, names[health]))
			return health;
	return say(view, HEALTH_PROGRESSING, "the Application was not looked at yet");
}

static enum health healthy(struct view *view)
{
	(void)view;
	return HEALTH_HEALTHY;
}

/* That it has no metrics to go by; one that is scaled to nothing does not scale by intention. */
static bool is_blind(const struct view *view)
{
	return condition_is(view, "ScalingActive", "False") &&
	       !span_is(json_text_span(json_get(condition(view, "ScalingActive"), "reason")), "ScalingDisabled");
}

static enum health autoscaler(struct view *view)
{
	/* where autoscaling/v1 keeps what v2 has in its status */
	const struct json *noted = json_path(view->object, "metadata", "annotations", "autoscaling.alpha.kubernetes.io/conditions", NULL);

	if (condition_is(view, "AbleToScale", "False"))
		return say(view, HEALTH_DEGRADED, json_get_text(condition(view, "AbleToScale"), "message"));
	if (is_blind(view))
		return say(view, HEALTH_DEGRADED, json_get_text(condition(view, "ScalingActive"), "message"));
	return json_count(json_get(view->status, "conditions")) || noted ? HEALTH_HEALTHY
									 : say(view, HEALTH_PROGRESSING, "waiting to autoscale");
}

static enum health api_service(struct view *view)
{
	return condition_is(view, "Available", "True") ? HEALTH_HEALTHY
						       : say(view, HEALTH_PROGRESSING, "the APIService is not available");
}

static enum health custom(struct view *view)
{
	static const char *const types[] = { "Ready", "Available" };

	/* what its status says is of an earlier spec */
	if (json_get(view->status, "observedGeneration") && is_behind(view))
		return say(view, HEALTH_PROGRESSING, "waiting for its controller to see it");
	/* Unknown is how controllers say that they are at it */
	for (size_t i = 0; i < COUNT_OF(types); i++)
		if (condition(view, types[i]) && !condition_is(view, types[i], "True"))
			return say(view, HEALTH_PROGRESSING, json_get_text(condition(view, types[i]), "message"));
	return HEALTH_HEALTHY;
}

/* It is there still, and nothing keeps it: whoever holds its finalizers lets it go or not. */
static enum health leaving(struct view *view)
{
	const struct json *finalizers = json_path(view->object, "metadata", "finalizers", NULL);
	CLEANUP(str_release) struct str who = STR_INIT;

	for (size_t i = 0; i < json_count(finalizers); i++)
		str_addf(&who, "%s%.*s", i ? ", " : "", SPAN_ARG(json_text_span(json_at(finalizers, i))));
	return say(view, HEALTH_PROGRESSING,
		   who.length ? arena_printf(view->arena, "is being deleted, and waits for its finalizers %s", str_c(&who)) : "is being deleted");
}

static const struct {
	const char *group, *kind;
	enum health (*judge)(struct view *);
} judges[] = {
	{ "apps", "Deployment", deployment },
	{ "apps", "StatefulSet", stateful_set },
	{ "apps", "DaemonSet", daemon_set },
	{ "apps", "ReplicaSet", replica_set },
	{ "", "Pod", pod },
	{ "batch", "Job", job },
	{ "", "PersistentVolumeClaim", volume_claim },
	{ "", "Service", service },
	{ "networking.k8s.io", "Ingress", healthy },
	{ "autoscaling", "HorizontalPodAutoscaler", autoscaler },
	{ "apiextensions.k8s.io", "CustomResourceDefinition", definition },
	{ "apiregistration.k8s.io", "APIService", api_service },
	{ "countersign.dev", "Application", application },
};

/* Whoever wrote it, it ends in a table. */
static const char *one_line(const char *message, struct arena *arena)
{
	CLEANUP(str_release) struct str line = STR_INIT;

	if (!message || !strpbrk(message, "\r\n"))
		return message ? message : "";
	str_add_one_line(&line, span_of(message));
	return arena_strndup(arena, str_span(&line));
}

enum health health_of(const struct json *live, struct arena *arena, const char **message)
{
	struct view view = { live, json_get(live, "spec"), json_get(live, "status"), arena, "" };
	struct span group = api_version_group(json_text_span(json_get(live, "apiVersion")));
	struct span kind = json_text_span(json_get(live, "kind"));
	/* the API server's own groups have no dots, or end in .k8s.io */
	enum health (*judge)(struct view *) = span_index(group, '.') >= 0 && !span_ends(group, ".k8s.io") ? custom : healthy;
	enum health health;

	for (size_t i = 0; i < COUNT_OF(judges); i++)
		if (span_is(group, judges[i].group) && span_is(kind, judges[i].kind))
			judge = judges[i].judge;
	if (json_get(json_get(live, "metadata"), "deletionTimestamp"))
		judge = leaving;
	health = judge(&view);
	if (message)
		*message = one_line(view.message, arena);
	return health;
}
