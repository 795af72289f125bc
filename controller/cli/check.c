/* `countersign check`; see operate.h. */
#include "cli/checks.h"
#include "cli/cli.h"
#include "cli/install_yaml.h"
#include "cli/operate.h"
#include "io/sandbox.h"

/* selectableFields of CustomResourceDefinitions */
#define MINOR_MIN 31
#define CLOCK_S_MAX 10
#define ACCOUNT "countersign-controller"

enum { OPTION_PRE = OPTION_OWN, OPTION_NAMESPACED };

/* --- the server --------------------------------------------------------------------------------------------------- */

static bool check_server(struct check *check)
{
	struct error err = ERROR_INIT;
	struct json *version;
	struct span digits;
	int64_t minor = 0;

	if (person_get(check->person, "/version", &version, &err)) {
		check_tell(check, CHECK_FAILED, "api-server", "%s: %s", kube_server(check->person->kube), err.text);
		return false;
	}
	digits = json_text_span(json_get(version, "minor"));
	while (digits.length && (digits.data[digits.length - 1] < '0' || digits.data[digits.length - 1] > '9'))
		digits.length--; /* "31+" of some clouds */
	span_to_int64(digits, &minor);
	check_tell(check, minor >= MINOR_MIN ? CHECK_GOOD : CHECK_FAILED, "api-server", "%s, Kubernetes %s%s", kube_server(check->person->kube),
	     json_get_text(version, "gitVersion"), minor >= MINOR_MIN ? "" : "; at least 1.31 is needed");
	return true;
}

static void check_clock(struct check *check)
{
	int64_t ahead;

	if (!kube_clock_ahead(check->person->kube, &ahead))
		check_tell(check, CHECK_WARNED, "clock", "the API server does not tell its time");
	else
		check_tell(check, ahead <= CLOCK_S_MAX && ahead >= -CLOCK_S_MAX ? CHECK_GOOD : CHECK_FAILED, "clock", "ours is %lld s %s the API server's",
		     (long long)(ahead < 0 ? -ahead : ahead), ahead < 0 ? "behind" : "ahead of");
}

/* --- rights ------------------------------------------------------------------------------------------------------- */

struct right {
	const char *verb, *group, *resource, *subresource, *namespace, *name;   /* NULL: none, all */
};

static void set_if(struct arena *arena, struct json *object, const char *key, const char *value)
{
	if (value && *value)
		json_set_string(arena, object, key, value);
}

/* 1: allowed, 0: not, -1: *err. For ourselves, or for `user`. */
static int ask_right(struct check *check, const struct right *right, const char *user, struct error *err)
{
	struct arena *arena = check->person->arena;
	struct json *review = json_object(arena), *spec = json_object(arena), *attributes = json_object(arena), *groups, *answer;
	CLEANUP(str_release) struct str body = STR_INIT;

	json_set_string(arena, review, "apiVersion", "authorization.k8s.io/v1");
	json_set_string(arena, review, "kind", user ? "SubjectAccessReview" : "SelfSubjectAccessReview");
	set_if(arena, attributes, "verb", right->verb);
	set_if(arena, attributes, "group", right->group);
	set_if(arena, attributes, "resource", right->resource);
	set_if(arena, attributes, "subresource", right->subresource);
	set_if(arena, attributes, "namespace", right->namespace);
	set_if(arena, attributes, "name", right->name);
	json_set(arena, spec, "resourceAttributes", attributes);
	if (user) {
		groups = json_array(arena);
		json_append_string(arena, groups, "system:serviceaccounts");
		json_append_string(arena, groups, arena_printf(arena, "system:serviceaccounts:%s", check->person->namespace));
		json_append_string(arena, groups, "system:authenticated");
		json_set_string(arena, spec, "user", user);
		json_set(arena, spec, "groups", groups);
	}
	json_set(arena, review, "spec", spec);
	json_write(review, JSON_PLAIN, &body);
	if (person_request(check->person, "POST", user ? "/apis/authorization.k8s.io/v1/subjectaccessreviews"
						       : "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
			   KUBE_JSON, str_span(&body), &answer, err))
		return -1;
	return json_get_bool(json_get(answer, "status"), "allowed", false);
}

static void name_right(const struct right *right, struct str *out)
{
	str_addf(out, "%s%s %s%s%s%s%s%s%s", out->length ? ", " : "", right->verb, right->resource, right->subresource ? "/" : "",
		 right->subresource ? right->subresource : "", right->group && *right->group ? "." : "", right->group ? right->group : "",
		 right->namespace ? " in " : " everywhere", right->namespace ? right->namespace : "");
}

/* To apply an object that may not be there yet takes both. -1 when they cannot be asked. */
static int each_verb(struct check *check, const struct kube_kind *kind, const char *namespace, struct str *missing, struct error *err)
{
	static const char *const verbs[] = { "create", "patch" };

	for (size_t i = 0; i < COUNT_OF(verbs); i++) {
		struct right right = { verbs[i], kind->group, kind->resource, NULL, namespace, NULL };
		int allowed = ask_right(check, &right, NULL, err);

		if (allowed < 0)
			return -1;
		if (!allowed)
			name_right(&right, missing);
	}
	return 0;
}

static const struct json *installed_objects(struct check *check)
{
	struct arena *arena = check->person->arena;
	enum install_form form = check->namespaced ? INSTALL_NAMESPACED : INSTALL_CLUSTER;

	return install_yaml_objects(arena, install_yaml_text(arena, form, check->person->namespace, NULL));
}

/* All kinds that are installed, each once. */
static int each_installed(struct check *check, struct str *missing, struct error *err)
{
	struct arena *arena = check->person->arena;
	const struct json *objects = installed_objects(check);
	CLEANUP(map_release) struct map asked = MAP_INIT;

	if (person_discover(check->person, err))
		return -1;
	for (size_t i = 0; i < json_count(objects); i++) {
		const struct json *object = json_at(objects, i);
		struct span version = json_text_span(json_get(object, "apiVersion")), kind = json_text_span(json_get(object, "kind"));
		struct span group = span_index(version, '/') < 0 ? SPAN0 : span_cut(&version, '/');
		const struct kube_kind *known = discovery_find(check->person->discovery, group, arena_strndup(arena, version), kind);

		if (!known)
			return error_set(err, ERROR_NOT_FOUND, "UnknownKind", "the API server does not know %s", json_get_text(object, "kind"));
		if (map_has(&asked, kind))
			continue;
		map_set(&asked, kind, check);
		if (each_verb(check, known, json_text(json_path(object, "metadata", "namespace", NULL)), missing, err))
			return -1;
	}
	return 0;
}

/* Before an installation: may whoever installs do so? */
static void check_installer(struct check *check)
{
	CLEANUP(str_release) struct str missing = STR_INIT;
	struct error err = ERROR_INIT;

	if (each_installed(check, &missing, &err))
		check_tell(check, CHECK_FAILED, "your-rights", "%s", err.text);
	else if (missing.length)
		check_tell(check, CHECK_FAILED, "your-rights", "to install you lack: %s", str_c(&missing));
	else
		check_tell(check, CHECK_GOOD, "your-rights", "you may install into %s", check->person->namespace);
}

/* One rule of a Role: each verb on each resource of each of its groups. */
static int each_of_rule(struct check *check, const struct json *rule, const char *namespace, struct str *missing, unsigned *count, struct error *err)
{
	const struct json *groups = json_get(rule, "apiGroups"), *resources = json_get(rule, "resources"), *verbs = json_get(rule, "verbs");
	size_t of_group = json_count(resources) * json_count(verbs);

	for (size_t i = 0; i < json_count(groups) * of_group; i++) {
		struct span rest = json_text_span(json_at(resources, i % of_group / json_count(verbs))), resource = span_cut(&rest, '/');
		struct right right = { json_text(json_at(verbs, i % json_count(verbs))), json_text(json_at(groups, i / of_group)),
				       arena_strndup(check->person->arena, resource),
				       rest.data ? arena_strndup(check->person->arena, rest) : NULL, namespace, NULL };
		int allowed = ask_right(check, &right, check->is_account ? NULL : check->account, err);

		if (allowed < 0)
			return -1;
		if (!allowed)
			name_right(&right, missing);
		(*count)++;
	}
	return 0;
}

/* Every right of the installation's own Role and ClusterRole, one question each. -1 when they cannot be asked. */
static int each_right(struct check *check, const struct json *role, struct str *missing, unsigned *count, struct error *err)
{
	const struct json *rules = json_get(role, "rules");
	const char *namespace = json_text(json_path(role, "metadata", "namespace", NULL));

	for (size_t i = 0; i < json_count(rules); i++)
		if (each_of_rule(check, json_at(rules, i), namespace, missing, count, err))
			return -1;
	return 0;
}

/* What would undo the whole of it, if somebody had granted it. */
static int each_excess(struct check *check, struct str *excess, struct error *err)
{
	static const struct right never[] = {
		{ "get", "", "secrets", NULL, NULL, NULL },            { "list", "", "secrets", NULL, NULL, NULL },
		{ "create", "", "pods", NULL, NULL, NULL },            { "patch", "apps", "deployments", NULL, NULL, NULL },
		{ "create", "", "pods", "exec", NULL, NULL },          { "impersonate", "", "serviceaccounts", NULL, NULL, NULL },
		{ "impersonate", "", "users", NULL, NULL, NULL },      { "impersonate", "", "groups", NULL, NULL, NULL },
		{ "create", "", "serviceaccounts", "token", NULL, NULL },
		{ "bind", "rbac.authorization.k8s.io", "clusterroles", NULL, NULL, NULL },
		{ "escalate", "rbac.authorization.k8s.io", "clusterroles", NULL, NULL, NULL },
		{ "create", "rbac.authorization.k8s.io", "clusterrolebindings", NULL, NULL, NULL },
		{ "patch", "countersign.dev", "imagepolicies", NULL, NULL, NULL },
		{ "patch", "countersign.dev", "projects", NULL, NULL, NULL },
	};

	for (size_t i = 0; i < COUNT_OF(never); i++) {
		int allowed = ask_right(check, &never[i], check->is_account ? NULL : check->account, err);

		if (allowed < 0)
			return -1;
		if (allowed)
			name_right(&never[i], excess);
	}
	return 0;
}

static void check_account(struct check *check)
{
	const struct json *objects = installed_objects(check);
	CLEANUP(str_release) struct str missing = STR_INIT, excess = STR_INIT;
	struct error err = ERROR_INIT;
	unsigned count = 0;
	int failed = 0;

	for (size_t i = 0; !failed && i < json_count(objects); i++) {
		struct span kind = json_text_span(json_get(json_at(objects, i), "kind"));

		if (span_is(kind, "Role") || span_is(kind, "ClusterRole"))
			failed = each_right(check, json_at(objects, i), &missing, &count, &err);
	}
	if (failed || each_excess(check, &excess, &err)) {
		check_tell(check, CHECK_WARNED, "rights", "cannot be asked for (%s); run it with the account's own credential, or as an administrator", err.text);
		return;
	}
	if (missing.length)
		check_tell(check, CHECK_FAILED, "rights", "%s lacks: %s", check->account, str_c(&missing));
	else
		check_tell(check, CHECK_GOOD, "rights", "%s has the %u that it needs", check->account, count);
	if (excess.length)
		check_tell(check, CHECK_FAILED, "too-many", "%s may do what it never may: %s", check->account, str_c(&excess));
	else
		check_tell(check, CHECK_GOOD, "too-many", "it may not read all Secrets, write workloads, act as just anybody or bind roles");
}

/* --- what is installed -------------------------------------------------------------------------------------------- */

/* Who may not read definitions, which lie in the cluster, may ask what is served all the same. */
static bool is_served(struct check *check, const char *kind)
{
	struct error err = ERROR_INIT;

	return (check->person->discovery || !person_discover(check->person, &err)) &&
	       discovery_find(check->person->discovery, SPAN("countersign.dev"), "v1alpha1", span_of(kind));
}

static void check_kinds(struct check *check)
{
	static const struct { const char *name, *kind; } kinds[] = {
		{ "applications", "Application" }, { "projects", "Project" }, { "imagepolicies", "ImagePolicy" },
		{ "applicationinventories", "ApplicationInventory" },
	};
	struct error err = ERROR_INIT;
	unsigned good = 0;

	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		struct json *definition;
		const char *path = arena_printf(check->person->arena, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/%s.countersign.dev",
						kinds[i].name);
		bool unread = person_get(check->person, path, &definition, &err);

		if (unread && err.kind == ERROR_FORBIDDEN && is_served(check, kinds[i].kind))
			good++;
		else if (unread)
			check_tell(check, check->pre && err.kind == ERROR_NOT_FOUND ? CHECK_GOOD : CHECK_FAILED, "kinds", "%s.countersign.dev: %s",
			     kinds[i].name, err.kind == ERROR_NOT_FOUND ? "not installed" : err.text);
		else if (!check_condition(definition, "Established"))
			check_tell(check, CHECK_FAILED, "kinds", "%s.countersign.dev is there but not served", kinds[i].name);
		else
			good++;
	}
	if (good == COUNT_OF(kinds))
		check_tell(check, CHECK_GOOD, "kinds", "all %u are served", good);
}

static void check_policies(struct check *check)
{
	static const struct { const char *resource, *none; } kinds[] = {
		{ "projects", "no Project: no Application may do anything" },
		{ "imagepolicies", "no ImagePolicy: every image is denied" },
	};
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		struct json *list;

		if (person_list(check->person, person_path(check->person, kinds[i].resource, NULL), &list, &err))
			check_tell(check, CHECK_WARNED, kinds[i].resource, "%s", err.text);
		else if (!json_count(json_get(list, "items")))
			check_tell(check, CHECK_WARNED, kinds[i].resource, "%s", kinds[i].none);
		else
			check_tell(check, CHECK_GOOD, kinds[i].resource, "%zu", json_count(json_get(list, "items")));
	}
}

/* Who we are: the controller itself (in its pod), or a person. */
static void find_self(struct check *check)
{
	struct error err = ERROR_INIT;
	struct json *answer;

	check->account = arena_printf(check->person->arena, "system:serviceaccount:%s:" ACCOUNT, check->person->namespace);
	if (!person_request(check->person, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", KUBE_JSON,
			    SPAN("{\"apiVersion\":\"authentication.k8s.io/v1\",\"kind\":\"SelfSubjectReview\"}"), &answer, &err))
		check->is_account = span_is(json_text_span(json_path(answer, "status", "userInfo", "username", NULL)), check->account);
}

/* What runs tells itself how it is installed; one that runs elsewhere is not found, and asked for by the option. */
static void find_form(struct check *check)
{
	const char *path = arena_printf(check->person->arena, "/apis/apps/v1/namespaces/%s/statefulsets/countersign-controller", check->person->namespace);
	struct error err = ERROR_INIT;
	const struct json *args;
	struct json *set;

	if (person_get(check->person, path, &set, &err))
		return;
	args = json_get(json_at(json_path(set, "spec", "template", "spec", "containers", NULL), 0), "args");
	for (size_t i = 0; i < json_count(args); i++)
		check->namespaced |= span_is(json_text_span(json_at(args, i)), "--namespaced");
}

static int take_option(void *data, int which, const char *value)
{
	struct check *check = data;

	(void)value;
	check->pre |= which == OPTION_PRE;
	check->namespaced |= which == OPTION_NAMESPACED;
	return 0;
}

int cli_check(int argc, char **argv)
{
	static const struct option options[] = {
		PERSON_OPTIONS, { "pre", no_argument, NULL, OPTION_PRE }, { "namespaced", no_argument, NULL, OPTION_NAMESPACED }, { NULL, 0, NULL, 0 },
	};
	static const struct person_syntax syntax = { "check", "n:", options, take_option, 0, 0, "" };
	CLEANUP(person_close) struct person person = { 0 };
	struct check check = { .person = &person };
	struct person_options common;
	struct error err = ERROR_INIT;
	int status = person_parse(argc, argv, &syntax, &check, &common, NULL);

	if (status)
		return status;
	if (!install_yaml_is_name(common.namespace))
		return cli_fail(EXIT_USAGE, "lower-case letters, digits and '-'", "%s is no name of a namespace", common.namespace);
	if (person_open(&common, &person, &err))
		return person_fail(&person, &err);
	if (check_server(&check)) {
		check_clock(&check);
		check_kinds(&check);
		if (check.pre) {
			check_installer(&check);
			check_tell(&check, CHECK_GOOD, "sandbox", "this machine: %s; the node is asked once it runs", sandbox_layers());
		} else {
			find_self(&check);
			find_form(&check);
			check_account(&check);
			check_lease(&check);
			check_pods(&check);
			check_policies(&check);
		}
	}
	return check.failed ? EXIT_FAILED : EXIT_DONE;
}
