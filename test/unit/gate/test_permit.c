/*
 * gate/permit.h: what each rule of a Project says to each thing that may be done to an object, in one table; and what no Project
 * can allow. A refusal names the object, its line in Git, the entry of the Project, and a way out.
 */
#include "unit.h"

#include "api/application.h"
#include "api/tracking.h"
#include "gate/permit.h"

#define HERE "'server':'https://kubernetes.default.svc'"
#define OPEN "'destinations':[{'server':'*','namespace':'*'}],'clusterResourceWhitelist':[{'group':'*','kind':'*'}]"
#define CM "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'x','namespace':'shop'}}"
#define CR "{'apiVersion':'rbac.authorization.k8s.io/v1','kind':'ClusterRole','metadata':{'name':'x'}}"

/* --- every rule, for writing and for deleting ------------------------------------------------------------------------ */

static const struct rule {
	const char *spec, *object, *reason, *entry;   /* reason "": allowed */
} table[] = {
	/* destinations */
	{ OPEN, CM, "", "" },
	{ "'destinations':[{" HERE ",'namespace':'shop'}]", CM, "", "" },
	{ "'destinations':[{'name':'in-cluster','namespace':'shop'}]", CM, "", "" },
	{ "'destinations':[{'name':'in-*','namespace':'sh*'}]", CM, "", "" },
	{ "'destinations':[]", CM, "NamespaceNotPermitted", "no entry of spec.destinations" },
	{ "'destinations':[{" HERE ",'namespace':'other'}]", CM, "NamespaceNotPermitted", "no entry of spec.destinations" },
	{ "'destinations':[{'server':'https://other','namespace':'*'}]", CM, "NamespaceNotPermitted", "no entry of spec.destinations" },
	{ "'destinations':[{'name':'other','namespace':'*'}]", CM, "NamespaceNotPermitted", "no entry of spec.destinations" },
	{ "'destinations':[{'namespace':'*'}]", CM, "NamespaceNotPermitted", "no entry of spec.destinations" },
	{ "'destinations':[{'server':'*','namespace':'*'},{'server':'*','namespace':'!shop'}]", CM, "NamespaceNotPermitted", "spec.destinations[1]" },
	{ "'destinations':[{'server':'*','namespace':'!sh*'},{'server':'*','namespace':'*'}]", CM, "NamespaceNotPermitted", "spec.destinations[0]" },
	{ "'destinations':[{'server':'*','namespace':'*'},{'server':'!https://kubernetes*','namespace':'*'}]", CM, "NamespaceNotPermitted",
	  "spec.destinations[1]" },
	{ "'destinations':[{'server':'*','namespace':'*'},{'name':'!in-cluster','namespace':'*'}]", CM, "NamespaceNotPermitted",
	  "spec.destinations[1]" },
	/* a denial alone allows nothing */
	{ "'destinations':[{'server':'*','namespace':'!kube-system'}]", CM, "NamespaceNotPermitted", "no entry of spec.destinations" },
	/* namespaced kinds */
	{ OPEN ",'namespaceResourceBlacklist':[{'group':'','kind':'ConfigMap'}]", CM, "KindNotPermitted", "spec.namespaceResourceBlacklist[0]" },
	{ OPEN ",'namespaceResourceBlacklist':[{'group':'apps','kind':'*'},{'group':'*','kind':'Config*'}]", CM, "KindNotPermitted",
	  "spec.namespaceResourceBlacklist[1]" },
	{ OPEN ",'namespaceResourceBlacklist':[{'group':'apps','kind':'*'}]", CM, "", "" },
	{ OPEN ",'namespaceResourceWhitelist':[]", CM, "KindNotPermitted", "no entry of spec.namespaceResourceWhitelist" },
	{ OPEN ",'namespaceResourceWhitelist':[{'group':'apps','kind':'*'}]", CM, "KindNotPermitted", "no entry of spec.namespaceResourceWhitelist" },
	{ OPEN ",'namespaceResourceWhitelist':[{'group':'','kind':'ConfigMap'}]", CM, "", "" },
	{ OPEN ",'namespaceResourceWhitelist':[{'group':'*','kind':'*'}],'namespaceResourceBlacklist':[{'group':'','kind':'ConfigMap'}]", CM,
	  "KindNotPermitted", "spec.namespaceResourceBlacklist[0]" },
	/* cluster-scoped kinds */
	{ "'destinations':[{'server':'*','namespace':'*'}]", CR, "KindNotPermitted", "no entry of spec.clusterResourceWhitelist" },
	{ "'clusterResourceWhitelist':[{'group':'','kind':'Namespace'}]", CR, "KindNotPermitted", "no entry of spec.clusterResourceWhitelist" },
	{ "'clusterResourceWhitelist':[{'group':'rbac.*','kind':'ClusterRole'}]", CR, "", "" },
	{ "'clusterResourceWhitelist':[{'group':'*','kind':'*','name':'y'}]", CR, "KindNotPermitted", "no entry of spec.clusterResourceWhitelist" },
	{ "'clusterResourceWhitelist':[{'group':'*','kind':'*','name':'x*'}]", CR, "", "" },
	{ OPEN ",'clusterResourceBlacklist':[{'group':'rbac.authorization.k8s.io','kind':'*'}]", CR, "KindNotPermitted",
	  "spec.clusterResourceBlacklist[0]" },
	{ OPEN ",'clusterResourceBlacklist':[{'group':'*','kind':'*','name':'x'}]", CR, "KindNotPermitted", "spec.clusterResourceBlacklist[0]" },
	{ OPEN ",'clusterResourceBlacklist':[{'group':'*','kind':'*','name':'y'}]", CR, "", "" },
};

static struct permit_request request_of(struct arena *arena, const struct project *project, const char *json, enum permit_verb verb)
{
	struct json *object = J(arena, json);
	struct span group = api_version_group(json_text_span(json_get(object, "apiVersion")));
	const char *namespace = json_text(json_path(object, "metadata", "namespace", NULL));
	bool writes = verb == PERMIT_WRITE;

	return (struct permit_request){
		.verb = verb, .project = project, .server = IN_CLUSTER_SERVER, .installation = "cs", .admin_project = "",
		.object = writes ? object : NULL, .group = arena_strndup(arena, group), .kind = json_get_text(object, "kind"),
		.namespace = namespace ? namespace : "", .name = json_text(json_path(object, "metadata", "name", NULL)),
		.namespaced = namespace != NULL, .file = writes ? "f.yaml" : NULL, .line = writes ? 3 : 0,
	};
}

static void decode(struct arena *arena, const char *spec, struct project *out)
{
	struct error err = ERROR_INIT;
	char *text = arena_printf(arena, "{'metadata':{'name':'red','namespace':'cs'},'spec':{%s}}", spec);

	if (project_decode(J(arena, text), arena, out, &err))
		fail_msg("%s: %s", spec, err.text);
}

static void check_text(const struct rule *rule, enum permit_verb verb, const struct error *err)
{
	const char *const words[] = { "Project red", rule->entry, verb == PERMIT_WRITE ? "(f.yaml:3)" : "delete ",
				      verb == PERMIT_WRITE ? "take the object out of Git" : "finalizer" };

	for (size_t i = 0; i < COUNT_OF(words); i++)
		if (!strstr(err->text, words[i]))
			fail_msg("%s: \"%s\" is not in: %s", rule->spec, words[i], err->text);
}

static void every_rule_holds_for_writing_and_for_deleting(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(table); i++)
		for (enum permit_verb verb = PERMIT_WRITE; verb <= PERMIT_DELETE; verb++) {
			WITH_ARENA(arena);
			struct project project;
			struct permit_request request;
			struct error err = ERROR_INIT;
			int rc;

			decode(arena, table[i].spec, &project);
			request = request_of(arena, &project, table[i].object, verb);
			rc = gate_permit(&request, &err);
			ASSERT_TEXT(table[i].spec, err.reason, table[i].reason);
			assert_int_equal(rc, *table[i].reason ? -1 : 0);
			if (rc)
				check_text(&table[i], verb, &err);
		}
}

/* --- what no Project can allow ------------------------------------------------------------------------------------------ */

#define APP(project) "{'apiVersion':'countersign.dev/v1alpha1','kind':'Application','metadata':{'name':'a','namespace':'cs'},'spec':{'project':'" project "'}}"
#define POLICY "{'apiVersion':'countersign.dev/v1alpha1','kind':'ImagePolicy','metadata':{'name':'p','namespace':'shop'}}"
#define TOKEN "{'apiVersion':'v1','kind':'Secret','type':'kubernetes.io/service-account-token','metadata':{'name':'t','namespace':'shop'," \
	      "'annotations':{'kubernetes.io/service-account.name':'applier'}}}"
#define INSIDE "{'apiVersion':'v1','kind':'Secret','metadata':{'name':'s','namespace':'cs'}}"
#define DEFINITION(name) "{'apiVersion':'apiextensions.k8s.io/v1','kind':'CustomResourceDefinition','metadata':{'name':'" name "'}}"
#define SERVICE(name) "{'apiVersion':'apiregistration.k8s.io/v1','kind':'APIService','metadata':{'name':'" name "'}}"
#define NAMESPACE(name) "{'apiVersion':'v1','kind':'Namespace','metadata':{'name':'" name "'}}"

static void a_tenant_may_not_be_the_controller(void **state)
{
	static const struct { const char *name, *object, *admin, *live; enum permit_verb verb; const char *reason; } cases[] = {
		{ "an Application of its own", APP("red"), "", NULL, PERMIT_WRITE, "" },
		{ "an Application of another", APP("blue"), "", NULL, PERMIT_WRITE, "ApplicationNotPermitted" },
		{ "taking over an Application of another", APP("red"), "", "blue", PERMIT_WRITE, "ApplicationNotPermitted" },
		{ "deleting an Application of another", APP("red"), "", "blue", PERMIT_DELETE, "ApplicationNotPermitted" },
		{ "changing its own", APP("red"), "", "red", PERMIT_WRITE, "" },
		{ "deleting its own", APP("red"), "", "red", PERMIT_DELETE, "" },
		{ "the admin project: an Application of another", APP("blue"), "red", "blue", PERMIT_WRITE, "" },
		{ "a policy", POLICY, "", NULL, PERMIT_WRITE, "PolicyNotPermitted" },
		{ "deleting a policy", POLICY, "other", NULL, PERMIT_DELETE, "PolicyNotPermitted" },
		{ "the admin project: a policy", POLICY, "red", NULL, PERMIT_WRITE, "" },
		{ "a token", TOKEN, "", NULL, PERMIT_WRITE, "TokenNotPermitted" },
		{ "the admin project: a token", TOKEN, "red", NULL, PERMIT_WRITE, "" },
		{ "a Secret of the installation", INSIDE, "", NULL, PERMIT_WRITE, "InstallationNotPermitted" },
		{ "deleting a Secret of the installation", INSIDE, "", NULL, PERMIT_DELETE, "InstallationNotPermitted" },
		{ "the admin project: a Secret of the installation", INSIDE, "red", NULL, PERMIT_WRITE, "" },
		{ "the definition of policies", DEFINITION("imagepolicies.countersign.dev"), "", NULL, PERMIT_WRITE, "InstallationNotPermitted" },
		{ "deleting that definition", DEFINITION("imagepolicies.countersign.dev"), "", NULL, PERMIT_DELETE, "InstallationNotPermitted" },
		{ "the admin project: that definition", DEFINITION("imagepolicies.countersign.dev"), "red", NULL, PERMIT_WRITE, "" },
		{ "another definition", DEFINITION("things.notcountersign.dev"), "", NULL, PERMIT_WRITE, "" },
		{ "what answers for the group", SERVICE("v1alpha1.countersign.dev"), "", NULL, PERMIT_WRITE, "InstallationNotPermitted" },
		{ "deleting what answers for the group", SERVICE("v1alpha1.countersign.dev"), "", NULL, PERMIT_DELETE, "InstallationNotPermitted" },
		{ "what answers for another group", SERVICE("v1.metrics.example"), "", NULL, PERMIT_WRITE, "" },
		{ "the installation's namespace", NAMESPACE("cs"), "", NULL, PERMIT_WRITE, "InstallationNotPermitted" },
		{ "deleting the installation's namespace", NAMESPACE("cs"), "", NULL, PERMIT_DELETE, "InstallationNotPermitted" },
		{ "the admin project: the installation's namespace", NAMESPACE("cs"), "red", NULL, PERMIT_WRITE, "" },
		{ "another namespace", NAMESPACE("csx"), "", NULL, PERMIT_WRITE, "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		WITH_ARENA(arena);
		struct project project;
		struct permit_request request;
		struct error err = ERROR_INIT;

		decode(arena, OPEN, &project);
		request = request_of(arena, &project, cases[i].object, cases[i].verb);
		request.admin_project = cases[i].admin;
		request.live_project = cases[i].live;
		gate_permit(&request, &err);
		ASSERT_TEXT(cases[i].name, err.reason, cases[i].reason);
		if (err.reason[0] && cases[i].verb == PERMIT_WRITE)
			assert_non_null(strstr(err.text, "(f.yaml:3)"));
	}
}

static void the_destination_s_namespace_may_be_made_unless_it_is_denied(void **state)
{
	static const struct { const char *spec, *reason; } cases[] = {
		{ "'destinations':[{" HERE ",'namespace':'shop'}]", "" },
		{ "'destinations':[{" HERE ",'namespace':'other'}]", "KindNotPermitted" },
		{ "'destinations':[{" HERE ",'namespace':'*'}],'clusterResourceBlacklist':[{'group':'','kind':'Namespace'}]", "KindNotPermitted" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		WITH_ARENA(arena);
		struct project project;
		struct permit_request request;
		struct error err = ERROR_INIT;

		decode(arena, cases[i].spec, &project);
		request = request_of(arena, &project, "{'apiVersion':'v1','kind':'Namespace','metadata':{'name':'shop'}}", PERMIT_WRITE);
		request.destination = true;
		gate_permit(&request, &err);
		ASSERT_TEXT(cases[i].spec, err.reason, cases[i].reason);
		/* a Namespace that Git declares is a kind like any other */
		request.destination = false;
		assert_int_equal(gate_permit(&request, &err), -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_rule_holds_for_writing_and_for_deleting), cmocka_unit_test(a_tenant_may_not_be_the_controller),
		cmocka_unit_test(the_destination_s_namespace_may_be_made_unless_it_is_denied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
