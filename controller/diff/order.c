/* Waves and ranks; see order.h. */
#include "diff/order.h"

static const char *const ranks[] = {
	"Namespace", "NetworkPolicy", "ResourceQuota", "LimitRange", "PodSecurityPolicy", "PodDisruptionBudget",
	"ServiceAccount", "Secret", "SecretList", "ConfigMap", "StorageClass", "PersistentVolume",
	"PersistentVolumeClaim", "CustomResourceDefinition", "ClusterRole", "ClusterRoleList", "ClusterRoleBinding",
	"ClusterRoleBindingList", "Role", "RoleList", "RoleBinding", "RoleBindingList", "Service", "DaemonSet", "Pod",
	"ReplicationController", "ReplicaSet", "Deployment", "HorizontalPodAutoscaler", "StatefulSet", "Job", "CronJob",
	"IngressClass", "Ingress", "APIService",
};

int order_rank(struct span kind)
{
	for (size_t i = 0; i < COUNT_OF(ranks); i++)
		if (span_is(kind, ranks[i]))
			return (int)i;
	return (int)COUNT_OF(ranks);
}

static bool to_wave(struct span text, int *wave)
{
	bool negative = span_starts(text, "-");
	int64_t value;

	if (!span_to_int64(span_from(text, negative || span_starts(text, "+")), &value) || value > 1000000)
		return false;
	*wave = negative ? -(int)value : (int)value;
	return true;
}

int order_wave(const struct json *object, int *wave, struct error *err)
{
	const struct json *annotations = json_path(object, "metadata", "annotations", NULL);
	const struct json *sync_wave = json_get(annotations, "argocd.argoproj.io/sync-wave");
	const struct json *weight = json_get(annotations, "helm.sh/hook-weight");

	*wave = 0;
	if (!sync_wave && !weight)
		return 0;
	if ((sync_wave && to_wave(json_text_span(sync_wave), wave)) || (weight && to_wave(json_text_span(weight), wave)))
		return 0;
	return error_set(err, ERROR_INVALID, "BadSyncWave", "the annotation argocd.argoproj.io/sync-wave is no whole number: \"%.*s\"",
			 SPAN_ARG(span_sub(json_text_span(sync_wave ? sync_wave : weight), 0, 60)));
}
