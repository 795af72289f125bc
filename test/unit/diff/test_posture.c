/* diff/posture: what weakens security is found by content, and what is kept of an object finds the same. */
#include "unit.h"

#include "diff/patch.h"
#include "diff/posture.h"

#define WORKLOAD(pod) "{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'resourceVersion':'1'},'spec':{'template':{'spec':" pod "}}}"
#define POD "/spec/template/spec"
#define MAIN "'containers':[{'name':'c'}]"

static const char *found(struct arena *arena, const struct json *live, const struct json *desired)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	const char **pointers;
	size_t count;

	posture_find(live, desired, arena, &pointers, &count);
	for (size_t i = 0; i < count; i++)
		str_addf(&text, "%s%s", i ? " " : "", pointers[i]);
	return arena_strndup(arena, str_span(&text));
}

static const struct { const char *name, *live, *desired, *found; } cases[] = {
	{ "nothing is added", WORKLOAD("{" MAIN "}"), WORKLOAD("{" MAIN "}"), "" },
	{ "a host namespace", WORKLOAD("{" MAIN ",'hostNetwork':true,'hostPID':false}"), WORKLOAD("{" MAIN "}"), POD "/hostNetwork" },
	{ "a whole securityContext", WORKLOAD("{'containers':[{'name':'c','securityContext':{'privileged':true}}]}"), WORKLOAD("{" MAIN "}"),
	  POD "/containers/0/securityContext" },
	{ "a member of a declared one", WORKLOAD("{'containers':[{'name':'c','securityContext':{'runAsUser':1,'privileged':true}}]}"),
	  WORKLOAD("{'containers':[{'name':'c','securityContext':{'runAsUser':1}}]}"), POD "/containers/0/securityContext/privileged" },
	{ "the same item at another place", WORKLOAD("{'containers':[{'name':'x'},{'name':'c','securityContext':{'privileged':true}}]}"),
	  WORKLOAD("{'containers':[{'name':'c','securityContext':{'privileged':true}}]}"), "" },
	{ "an empty context is a default", WORKLOAD("{" MAIN ",'securityContext':{}}"), WORKLOAD("{" MAIN "}"), "" },
	{ "hardening is left", WORKLOAD("{" MAIN ",'automountServiceAccountToken':false,'securityContext':{'runAsNonRoot':true,"
	  "'seccompProfile':{'type':'RuntimeDefault'}}}"), WORKLOAD("{" MAIN "}"), "" },
	{ "dropped capabilities are left", WORKLOAD("{'containers':[{'name':'c','securityContext':{'capabilities':{'drop':['ALL']}}}]}"), WORKLOAD("{" MAIN "}"), "" },
	{ "an unconfined profile", WORKLOAD("{" MAIN ",'securityContext':{'seccompProfile':{'type':'Unconfined'}}}"), WORKLOAD("{" MAIN "}"), POD "/securityContext" },
	{ "root where the pod forbids it", WORKLOAD("{'containers':[{'name':'c','securityContext':{'runAsNonRoot':false}}]}"), WORKLOAD("{" MAIN "}"),
	  POD "/containers/0/securityContext" },
	{ "a volume of the host, whole", WORKLOAD("{" MAIN ",'volumes':[{'name':'v','hostPath':{'path':'/'}}]}"), WORKLOAD("{" MAIN "}"), POD "/volumes/0" },
	{ "both names of the account", WORKLOAD("{" MAIN ",'serviceAccountName':'a','serviceAccount':'a'}"), WORKLOAD("{" MAIN "}"),
	  POD "/serviceAccountName " POD "/serviceAccount" },
	{ "the old name follows the declared one", WORKLOAD("{" MAIN ",'serviceAccountName':'a','serviceAccount':'a'}"),
	  WORKLOAD("{" MAIN ",'serviceAccountName':'a'}"), "" },
	{ "the account everything has", WORKLOAD("{" MAIN ",'serviceAccountName':'default'}"), WORKLOAD("{" MAIN "}"), "" },
	{ "host ports", WORKLOAD("{'containers':[{'name':'c','ports':[{'hostPort':1}]}]}"), WORKLOAD("{'containers':[{'name':'c','ports':[{}]}]}"),
	  POD "/containers/0/ports/0/hostPort" },
	{ "host ports that the declared host network brings", WORKLOAD("{'hostNetwork':true,'containers':[{'name':'c','ports':[{'hostPort':1}]}]}"),
	  WORKLOAD("{'hostNetwork':true,'containers':[{'name':'c','ports':[{}]}]}"), "" },
	{ "the same words outside a pod", "{'apiVersion':'x/v1','spec':{'serviceAccountName':'a','privileged':true}}", "{'spec':{}}", "" },
	{ "a pod deep in a custom resource", "{'apiVersion':'x/v1','spec':{'a':[{'b':{'containers':[{'name':'c'}],'hostIPC':true}}]}}", "{'spec':{}}", "/spec/a/0/b/hostIPC" },
	{ "subjects", "{'apiVersion':'rbac.authorization.k8s.io/v1','subjects':[{'kind':'User'}],'roleRef':{}}", "{'roleRef':{}}", "/subjects" },
	{ "rules of an aggregated role", "{'apiVersion':'rbac.authorization.k8s.io/v1','aggregationRule':{},'rules':[{}]}", "{'aggregationRule':{}}", "" },
	{ "a label that widens another role", "{'apiVersion':'rbac.authorization.k8s.io/v1','metadata':{'labels':{'rbac.authorization.k8s.io/aggregate-to-admin':'true'}}}", "{}",
	  "/metadata/labels/rbac.authorization.k8s.io~1aggregate-to-admin" },
	{ "a namespace opened", "{'apiVersion':'v1','metadata':{'labels':{'pod-security.kubernetes.io/enforce':'privileged'}}}", "{}", "/metadata/labels/pod-security.kubernetes.io~1enforce" },
	{ "a namespace tightened", "{'apiVersion':'v1','metadata':{'labels':{'pod-security.kubernetes.io/enforce':'restricted'}}}", "{}", "" },
};

static void what_weakens_and_is_not_declared_is_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		WITH_ARENA(arena);

		ASSERT_TEXT(cases[i].name, found(arena, J(arena, cases[i].live), J(arena, cases[i].desired)), cases[i].found);
	}
}

static void what_is_kept_of_an_object_finds_the_same(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		WITH_ARENA(arena);
		struct json *kept = posture_of(J(arena, cases[i].live), arena);

		ASSERT_TEXT(cases[i].name, kept ? found(arena, kept, J(arena, cases[i].desired)) : "", cases[i].found);
	}
}

static void nothing_is_kept_of_an_object_without_any_of_it(void **state)
{
	WITH_ARENA(arena);

	(void)state;
	assert_null(posture_of(J(arena, WORKLOAD("{" MAIN ",'securityContext':{},'nodeSelector':{'a':'b'}}")), arena));
	assert_null(posture_of(J(arena, "{'apiVersion':'v1','kind':'ConfigMap','data':{'hostNetwork':'true'}}"), arena));
}

static void a_volume_goes_with_its_mounts_and_from_the_back(void **state)
{
	WITH_ARENA(arena);
	struct json *live = J(arena, WORKLOAD("{'hostPID':true,'containers':[{'name':'c','volumeMounts':[{'name':'v'},{'name':'w'},{'name':'v'}]}],"
						"'volumes':[{'name':'w'},{'name':'v','hostPath':{'path':'/'}}]}"));
	struct json *desired = J(arena, WORKLOAD("{'containers':[{'name':'c','volumeMounts':[{'name':'w'}]}],'volumes':[{'name':'w'}]}"));

	(void)state;
	ASSERT_TEXT("patch", T(arena, patch_strip(live, desired, NULL, NULL, NULL, NULL, arena)),
		    "[{\"op\":\"test\",\"path\":\"/metadata/resourceVersion\",\"value\":\"1\"},{\"op\":\"remove\",\"path\":\"" POD "/volumes/1\"},"
		    "{\"op\":\"remove\",\"path\":\"" POD "/hostPID\"},{\"op\":\"remove\",\"path\":\"" POD "/containers/0/volumeMounts/2\"},"
		    "{\"op\":\"remove\",\"path\":\"" POD "/containers/0/volumeMounts/0\"}]");
}

static void a_foreign_container_goes_once_with_all_that_it_weakens(void **state)
{
	WITH_ARENA(arena);
	struct json *live = J(arena, WORKLOAD("{'containers':[{'name':'c'},{'name':'evil','image':'x','securityContext':{'privileged':true}}]}"));

	(void)state;
	ASSERT_TEXT("patch", T(arena, patch_strip(live, J(arena, WORKLOAD("{" MAIN "}")), NULL, NULL, NULL, NULL, arena)),
		    "[{\"op\":\"test\",\"path\":\"/metadata/resourceVersion\",\"value\":\"1\"},{\"op\":\"remove\",\"path\":\"" POD "/containers/1\"}]");
	ASSERT_TEXT("one that is allowed keeps nothing that weakens",
		    T(arena, json_at(patch_strip(live, J(arena, WORKLOAD("{" MAIN "}")), NULL, J(arena, "['x']"), NULL, NULL, arena), 1)),
		    "{\"op\":\"remove\",\"path\":\"" POD "/containers/1/securityContext\"}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_weakens_and_is_not_declared_is_found),
		cmocka_unit_test(what_is_kept_of_an_object_finds_the_same),
		cmocka_unit_test(nothing_is_kept_of_an_object_without_any_of_it),
		cmocka_unit_test(a_volume_goes_with_its_mounts_and_from_the_back),
		cmocka_unit_test(a_foreign_container_goes_once_with_all_that_it_weakens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
