/* api/project.h and gate/permit.h: nothing is allowed that a Project does not name. */
#include "unit.h"

#include "api/application.h"
#include "api/image_policy.h"
#include "gate/permit.h"

static struct project project_of(struct arena *arena, const char *spec)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	struct project project;
	struct error err = ERROR_INIT;

	str_addf(&text, "{'metadata':{'name':'shop','namespace':'cs'},'spec':%s}", spec);
	if (project_decode(J(arena, str_c(&text)), arena, &project, &err))
		fail_msg("%s", err.text);
	return project;
}

static void repositories(void **state)
{
	static const struct { const char *rules, *url; bool allowed; } cases[] = {
		{ "['https://git.example/ops/*']", "https://git.example/ops/shop.git", true },
		{ "['https://git.example/ops/*']", "https://GIT.example/ops/shop", true },
		{ "['https://git.example/ops/*']", "https://git.example/ops/a/b", false },
		{ "['https://git.example/ops/**']", "https://git.example/ops/a/b", true },
		{ "['https://git.example/ops/*']", "https://evil.example/?https://git.example/ops/x", false },
		{ "['*']", "https://anything.example/a/b/c", true },
		{ "['*','!https://git.example/secret/*']", "https://git.example/secret/x", false },
		{ "[]", "https://git.example/ops/shop", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		WITH_ARENA(arena);
		CLEANUP(str_release) struct str spec = STR_INIT;

		str_addf(&spec, "{'sourceRepos':%s}", cases[i].rules);
		struct project project = project_of(arena, str_c(&spec));

		if (project_allows_repo(&project, cases[i].url, true, NULL) != cases[i].allowed)
			fail_msg("%s ~ %s: want %d", cases[i].rules, cases[i].url, cases[i].allowed);
	}
}

#define HERE "'server':'https://kubernetes.default.svc'"

static void destinations(void **state)
{
	static const struct { const char *rules, *namespace; bool allowed; } cases[] = {
		{ "[{" HERE ",'namespace':'shop'}]", "shop", true }, { "[{" HERE ",'namespace':'shop'}]", "shop2", false },
		{ "[{" HERE ",'namespace':'shop-*'}]", "shop-a", true }, { "[{'server':'*','namespace':'*'}]", "x", true },
		{ "[{'server':'*','namespace':'*'},{'server':'*','namespace':'!kube-system'}]", "kube-system", false },
		{ "[{'server':'https://other','namespace':'*'}]", "x", false }, { "[]", "x", false },
		{ "[{'name':'in-cluster','namespace':'x'}]", "x", true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		WITH_ARENA(arena);
		CLEANUP(str_release) struct str spec = STR_INIT;

		str_addf(&spec, "{'destinations':%s}", cases[i].rules);
		struct project project = project_of(arena, str_c(&spec));

		if (project_allows_destination(&project, "https://kubernetes.default.svc", cases[i].namespace, NULL) != cases[i].allowed)
			fail_msg("%s ~ %s: want %d", cases[i].rules, cases[i].namespace, cases[i].allowed);
	}
}

static void kinds(void **state)
{
	static const struct { const char *spec, *group, *kind; bool namespaced, allowed; } cases[] = {
		{ "{}", "apps", "Deployment", true, true },
		{ "{}", "", "Namespace", false, false },
		{ "{'clusterResourceWhitelist':[{'group':'','kind':'Namespace'}]}", "", "Namespace", false, true },
		{ "{'clusterResourceWhitelist':[{'group':'*','kind':'*'}],'clusterResourceBlacklist':[{'group':'rbac.authorization.k8s.io','kind':'*'}]}",
		  "rbac.authorization.k8s.io", "ClusterRole", false, false },
		{ "{'namespaceResourceBlacklist':[{'group':'','kind':'Secret'}]}", "", "Secret", true, false },
		{ "{'namespaceResourceWhitelist':[{'group':'apps','kind':'*'}]}", "", "ConfigMap", true, false },
		{ "{'namespaceResourceWhitelist':[]}", "", "ConfigMap", true, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		WITH_ARENA(arena);
		struct project project = project_of(arena, cases[i].spec);

		if (project_allows_kind(&project, cases[i].group, cases[i].kind, "x", cases[i].namespaced, NULL) != cases[i].allowed)
			fail_msg("%s ~ %s: want %d", cases[i].spec, cases[i].kind, cases[i].allowed);
	}
}

static void an_unknown_or_broken_field_makes_the_project_invalid(void **state)
{
	static const char *const specs[] = {
		"{'sourceRepo':['*']}", "{'destinations':[{'servr':'x'}]}", "{'sourceRepos':'x'}", "{'sourceRepos':[7]}",
		"{'clusterResourceWhitelist':[{'kind':'x'}]}", "{'destinationServiceAccounts':[{'server':'*','defaultServiceAccount':'a b'}]}",
		"{'sourceRepos':['https://[x']}",
		/* a rule that denies and was never tried would let all through */
		"{'sourceRepos':['*','!https://{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}.example/**']}",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(specs); i++) {
		WITH_ARENA(arena);
		CLEANUP(str_release) struct str text = STR_INIT;
		struct project project;
		struct error err = ERROR_INIT;

		str_addf(&text, "{'metadata':{'name':'shop'},'spec':%s}", specs[i]);
		if (!project_decode(J(arena, str_c(&text)), arena, &project, &err))
			fail_msg("accepted: %s", specs[i]);
		ASSERT_TEXT(specs[i], err.reason, "InvalidProject");
	}
}

static void accounts(void **state)
{
	WITH_ARENA(arena);
	struct project project = project_of(arena, "{'destinationServiceAccounts':[{" HERE ",'namespace':'shop','defaultServiceAccount':'cs:a'},"
						   "{'server':'*','namespace':'*','defaultServiceAccount':'b'}]}");

	(void)state;
	ASSERT_TEXT("named", project_account(&project, IN_CLUSTER_SERVER, "shop", arena), "cs:a");
	ASSERT_TEXT("of the namespace", project_account(&project, IN_CLUSTER_SERVER, "other", arena), "other:b");
}

static void permits(void **state)
{
	static const struct { const char *object, *admin, *reason; } cases[] = {
		{ "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'x','namespace':'shop'}}", "", "" },
		{ "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'x','namespace':'other'}}", "", "NamespaceNotPermitted" },
		{ "{'apiVersion':'rbac.authorization.k8s.io/v1','kind':'ClusterRoleBinding','metadata':{'name':'x'}}", "", "KindNotPermitted" },
		{ "{'apiVersion':'countersign.dev/v1alpha1','kind':'ImagePolicy','metadata':{'name':'x','namespace':'shop'}}", "", "PolicyNotPermitted" },
		{ "{'apiVersion':'countersign.dev/v1alpha1','kind':'Project','metadata':{'name':'x','namespace':'shop'}}", "other", "PolicyNotPermitted" },
		{ "{'apiVersion':'countersign.dev/v1alpha1','kind':'ImagePolicy','metadata':{'name':'x','namespace':'shop'}}", "shop", "" },
		{ "{'apiVersion':'countersign.dev/v1alpha1','kind':'Application','metadata':{'name':'x','namespace':'shop'},'spec':{'project':'shop'}}", "", "" },
		{ "{'apiVersion':'countersign.dev/v1alpha1','kind':'Application','metadata':{'name':'x','namespace':'shop'},'spec':{'project':'root'}}", "",
		  "ApplicationNotPermitted" },
		{ "{'apiVersion':'countersign.dev/v1alpha1','kind':'Application','metadata':{'name':'x','namespace':'shop'},'spec':{}}", "", "ApplicationNotPermitted" },
		{ "{'apiVersion':'batch/v1','kind':'Job','metadata':{'generateName':'x-','namespace':'shop'}}", "", "NotSupported" },
		{ "{'apiVersion':'batch/v1','kind':'Job','metadata':{'name':'x','namespace':'shop','annotations':{'argocd.argoproj.io/hook':'PreSync'}}}", "",
		  "NotSupported" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		WITH_ARENA(arena);
		struct project project = project_of(arena, "{'destinations':[{" HERE ",'namespace':'shop'}]}");
		struct json *object = J(arena, cases[i].object);
		const char *api = json_get_text(object, "apiVersion"), *slash = strchr(api, '/');
		const char *namespace = json_text(json_path(object, "metadata", "namespace", NULL));
		const char *name = json_text(json_path(object, "metadata", "name", NULL));
		struct error err = ERROR_INIT;
		struct permit_request request = {
			.project = &project, .server = IN_CLUSTER_SERVER, .installation = "cs", .admin_project = cases[i].admin,
			.object = object, .group = slash ? arena_strndup(arena, span_make(api, (size_t)(slash - api))) : "",
			.kind = json_get_text(object, "kind"), .namespace = namespace ? namespace : "", .name = name ? name : "",
			.namespaced = namespace != NULL, .file = "f.yaml", .line = 3,
		};

		gate_permit(&request, &err);
		ASSERT_TEXT(cases[i].object, err.reason, cases[i].reason);
		if (err.reason[0])
			assert_non_null(strstr(err.text, "f.yaml:3"));
	}
}

static void an_application_refuses_what_is_not_built_by_name(void **state)
{
	static const struct { const char *spec, *word; } cases[] = {
		{ "'sources':[{'repoURL':'x'}]", "spec.sources" }, { "'source':{'repoURL':'x','helm':{'releaseName':'a'}}", "spec.source.helm" },
		{ "'source':{'repoURL':'x','kustomize':{'namePrefix':'a'}}", "spec.source.kustomize" },
		{ "'source':{'repoURL':'x','chart':'y'}", "spec.source.chart" },
		{ "'source':{'repoURL':'x'},'syncPolicy':{'syncOptions':['Replace=true']}", "Replace=true" },
		{ "'source':{'repoURL':'x'},'sourceHydrator':{'drySource':{'path':'a'}}", "spec.sourceHydrator" },
		{ "'source':{'repoURL':'x'},'ignoreDifferences':[{'kind':'D','jqPathExpressions':['.x']}]", "jqPathExpressions" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		WITH_ARENA(arena);
		CLEANUP(str_release) struct str text = STR_INIT;
		struct application app;
		struct error err = ERROR_INIT;

		str_addf(&text, "{'metadata':{'name':'a','namespace':'n'},'spec':{'destination':{" HERE "},%s}}", cases[i].spec);
		if (!application_decode(J(arena, str_c(&text)), arena, &app, &err))
			fail_msg("accepted: %s", cases[i].spec);
		ASSERT_TEXT(cases[i].spec, err.reason, "NotSupported");
		assert_non_null(strstr(err.text, cases[i].word));
		assert_string_equal(app.name, "a");
	}
}

static struct application application_of(struct arena *arena, const char *policy)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	struct application app;

	str_addf(&text, "{'metadata':{'name':'a','namespace':'n'},'spec':{'destination':{" HERE "},'source':{'repoURL':'x','helm':{'releaseName':'y'}},"
		 "'syncPolicy':%s}}", policy);
	assert_int_equal(application_decode(J(arena, str_c(&text)), arena, &app, NULL), -1);
	return app;
}

static void revision_that_is_too_long_makes_an_application_invalid(void **state)
{
	WITH_ARENA(arena);
	char name[1026] = "";

	(void)state;
	for (size_t length = 1024; length <= 1025; length++) {
		struct application app;
		struct error err = ERROR_INIT;
		const char *text;

		memset(name, 'x', length);
		text = arena_printf(arena, "{'metadata':{'name':'a','namespace':'n'},'spec':{'project':'p','destination':{" HERE "},"
				    "'source':{'repoURL':'https://git.example/x','targetRevision':'%s'}}}", name);
		if (!application_decode(J(arena, text), arena, &app, &err) != (length == 1024))
			fail_msg("%zu bytes: %s", length, err.text);
	}
}

static void what_may_be_deleted_is_known_whatever_else_of_an_application_is_refused(void **state)
{
	static const struct { const char *options; bool keeps; } cases[] = {
		{ "[]", false }, { "['Delete=false']", true }, { "['Nothing=known','Delete=false']", true }, { "['Delete=confirm']", true },
		{ "['Delete=true']", false }, { "['Nothing=known']", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		WITH_ARENA(arena);
		struct application app = application_of(arena, arena_printf(arena, "{'syncOptions':%s}", cases[i].options));

		if (app.options.delete_disabled != cases[i].keeps || !app.options.validate)
			fail_msg("%s: want %d", cases[i].options, cases[i].keeps);
	}
}

#define WITH_POLICY(policy) \
	"{'metadata':{'name':'a','namespace':'n'},'spec':{'destination':{" HERE "},'source':{'repoURL':'x'},'syncPolicy':" policy "}}"

static void an_option_that_is_not_known_is_refused_wherever_it_stands(void **state)
{
	static const char *const lists[] = { "['Delete=confirm']", "['Prune=confirm','Prune=false']", "['Prune=false','Nothing=known']" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(lists); i++) {
		WITH_ARENA(arena);
		struct application app;
		struct error err = ERROR_INIT;

		assert_int_equal(application_decode(J(arena, arena_printf(arena, WITH_POLICY("{'syncOptions':%s}"), lists[i])), arena, &app, &err), -1);
		ASSERT_TEXT(lists[i], err.reason, "NotSupported");
	}
}

static void retries_always_have_a_pause_between_them(void **state)
{
	static const struct { const char *backoff; int64_t first_ms, most_ms; } cases[] = {
		{ "{}", 5000, 180000 }, { "{'duration':'0'}", 100, 180000 }, { "{'duration':'10s','maxDuration':'0'}", 10000, 10000 },
		{ "{'duration':'0','maxDuration':'1ms'}", 100, 100 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		WITH_ARENA(arena);
		struct application app;
		struct error err = ERROR_INIT;

		if (application_decode(J(arena, arena_printf(arena, WITH_POLICY("{'retry':{'limit':-1,'backoff':%s}}"), cases[i].backoff)), arena, &app, &err))
			fail_msg("%s: %s", cases[i].backoff, err.text);
		assert_int_equal(app.retry.duration_ms, cases[i].first_ms);
		assert_int_equal(app.retry.duration_max_ms, cases[i].most_ms);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(repositories), cmocka_unit_test(destinations), cmocka_unit_test(kinds),
		cmocka_unit_test(an_unknown_or_broken_field_makes_the_project_invalid), cmocka_unit_test(accounts),
		cmocka_unit_test(permits), cmocka_unit_test(an_application_refuses_what_is_not_built_by_name),
		cmocka_unit_test(revision_that_is_too_long_makes_an_application_invalid),
		cmocka_unit_test(what_may_be_deleted_is_known_whatever_else_of_an_application_is_refused),
		cmocka_unit_test(an_option_that_is_not_known_is_refused_wherever_it_stands),
		cmocka_unit_test(retries_always_have_a_pause_between_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
