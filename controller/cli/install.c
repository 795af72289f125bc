/* `countersign install` and `countersign project grant`; see operate.h. */
#include "cli/operate.h"

#include <stdio.h>

#include "api/application.h"
#include "base/yaml.h"
#include "cli/cli.h"
#include "cli/install_yaml.h"
#include "cli/person_kube.h"
#include "oci/reference.h"

#define FIELD_MANAGER "countersign-install"

/* --- install ------------------------------------------------------------------------------------------------------ */

enum { OPTION_EXPORT = OPTION_OWN, OPTION_IMAGE };

struct install {
	bool export;
	const char *image;
};

static int take_install(void *data, int which, const char *value)
{
	struct install *install = data;

	if (which == OPTION_EXPORT)
		install->export = true;
	if (which == OPTION_IMAGE)
		install->image = value;
	return 0;
}

static int apply_one(struct person *person, const struct json *object, struct error *err)
{
	CLEANUP(str_release) struct str body = STR_INIT;
	const char *api = json_get_text(object, "apiVersion"), *kind = json_get_text(object, "kind");
	const char *name = json_text(json_path(object, "metadata", "name", NULL));
	const char *namespace = json_text(json_path(object, "metadata", "namespace", NULL));
	struct span version = span_of(api), group = span_index(version, '/') < 0 ? SPAN0 : span_cut(&version, '/');
	const struct kube_kind *known;

	known = discovery_find(person->discovery, group, arena_strndup(person->arena, version), span_of(kind));
	if (!known)
		return error_set(err, ERROR_NOT_FOUND, "UnknownKind", "the API server does not know %s %s", api, kind);
	json_write(object, JSON_PLAIN, &body);
	if (person_request(person, "PATCH",
			   arena_printf(person->arena, "%s?fieldManager=" FIELD_MANAGER, kube_path(person->arena, known, namespace, name)),
			   KUBE_APPLY_PATCH, str_span(&body), NULL, err))
		return error_wrap(err, "%s %s", kind, name);
	printf("%s%s%.*s/%s applied\n", known->resource, group.length ? "." : "", SPAN_ARG(group), name);
	return 0;
}

static int apply_all(struct person *person, const struct json *objects, struct error *err)
{
	if (person_discover(person, err))
		return -1;
	for (size_t i = 0; i < json_count(objects); i++)
		if (apply_one(person, json_at(objects, i), err))
			return -1;
	return 0;
}

int cli_install(int argc, char **argv)
{
	static const struct option options[] = {
		PERSON_OPTIONS, { "export", no_argument, NULL, OPTION_EXPORT }, { "image", required_argument, NULL, OPTION_IMAGE },
		{ NULL, 0, NULL, 0 },
	};
	static const struct person_syntax syntax = { "install", "n:", options, take_install, 0, 0, "" };
	CLEANUP(person_close) struct person person = { 0 };
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct person_options common;
	struct install install = { 0 };
	struct reference reference;
	struct error err = ERROR_INIT;
	struct span text;
	int status = person_parse(argc, argv, &syntax, &install, &common, NULL);

	if (status)
		return status;
	if (!install_yaml_is_name(common.namespace))
		return cli_fail(EXIT_USAGE, "lower-case letters, digits and '-'", "%s is no name of a namespace", common.namespace);
	if (install.image && reference_parse(span_of(install.image), arena, &reference, &err))
		return cli_fail(EXIT_USAGE, "REGISTRY/countersign@sha256:...", "--image: %s", err.text);
	text = install_yaml_text(arena, INSTALL_CLUSTER, common.namespace, install.image);
	if (install.export) {
		struct str out = { (char *)(uintptr_t)text.data, text.length, text.length, 0, false };

		return person_print(&out);
	}
	if (!install.image)
		return cli_fail(EXIT_USAGE, "countersign install --image REGISTRY/countersign@sha256:..., or --export to see what would be applied",
				"which image is to run?");
	if (person_open(&common, &person, &err) || apply_all(&person, install_yaml_objects(arena, text), &err))
		return person_fail(&person, &err);
	return EXIT_DONE;
}

/* --- project grant ------------------------------------------------------------------------------------------------ */

enum { OPTION_ACCOUNT = OPTION_OWN };

static int take_account(void *data, int which, const char *value)
{
	(void)which;
	*(const char **)data = value;
	return 0;
}

/* DNS labels with dots between, as a service account may be named. */
static bool is_dotted_name(const char *text)
{
	struct span rest = span_of(text);
	char label[64];

	if (rest.length > 253)
		return false;
	while (rest.data) {
		struct span one = span_cut(&rest, '.');

		snprintf(label, sizeof(label), "%.*s", SPAN_ARG(one));
		if (one.length >= sizeof(label) || !install_yaml_is_name(label))
			return false;
	}
	return true;
}

/* Appends what lets the controller in `system` act as "NAMESPACE:NAME" and as nobody else. Quoted: "123" is a name, too. */
static int add_grant(const char *account, const char *system, struct str *out)
{
	struct span name = span_of(account), namespace = span_cut(&name, ':');
	char ns[64], who[256];

	snprintf(ns, sizeof(ns), "%.*s", SPAN_ARG(namespace));
	snprintf(who, sizeof(who), "%.*s", SPAN_ARG(name));
	if (!name.data || namespace.length > 63 || name.length > 253 || !install_yaml_is_name(ns) || !is_dotted_name(who))
		return cli_fail(EXIT_FAILED, "NAMESPACE:NAME, each a DNS label; for an account of each destination's namespace, name them one by one: "
				"--account NAMESPACE:NAME", "%s is no name of a service account", account);
	str_addf(out, "---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: \"%s\", namespace: \"%s\"}\n", who, ns);
	str_addf(out, "---\n# The controller may write as %s, and as nobody else. What %s itself may do, other rules say.\n", who, who);
	str_addf(out, "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: countersign-impersonates-%s, namespace: \"%s\"}\nrules:\n"
		 "- {apiGroups: [\"\"], resources: [serviceaccounts], resourceNames: [\"%s\"], verbs: [impersonate]}\n", who, ns, who);
	str_addf(out, "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: countersign-impersonates-%s, namespace: \"%s\"}\n"
		 "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: countersign-impersonates-%s}\n"
		 "subjects: [{kind: ServiceAccount, name: countersign-controller, namespace: \"%s\"}]\n", who, ns, who, system);
	return EXIT_DONE;
}

/* Each account that the Project names, once. */
static int grant_project(struct person *person, const char *name, struct str *out)
{
	CLEANUP(map_release) struct map told = MAP_INIT;
	struct error err = ERROR_INIT;
	struct json *project, *list;
	int status = EXIT_DONE;

	if (person_get(person, person_path(person, "projects", name), &project, &err))
		return person_fail(person, &err);
	list = json_path(project, "spec", "destinationServiceAccounts", NULL);
	for (size_t i = 0; !status && i < json_count(list); i++) {
		const char *account = json_get_text(json_at(list, i), "defaultServiceAccount"), *in = json_get_text(json_at(list, i), "namespace");

		if (!account || map_has(&told, span_of(account)))
			continue;
		map_set(&told, span_of(account), person);
		/* one without a namespace lies where the destination is, which may be a pattern */
		status = add_grant(strchr(account, ':') ? account : arena_printf(person->arena, "%s:%s", in ? in : "*", account),
				   person->namespace, out);
	}
	if (!status && !told.count)
		return cli_fail(EXIT_FAILED, "spec.destinationServiceAccounts says who writes; or name one: --account NAMESPACE:NAME",
				"Project %s names no service account", name);
	return status;
}

int cli_project(int argc, char **argv)
{
	static const struct option options[] = {
		PERSON_OPTIONS, { "account", required_argument, NULL, OPTION_ACCOUNT }, { NULL, 0, NULL, 0 },
	};
	const char *words[2] = { NULL }, *account = NULL;
	static const struct person_syntax syntax = { "project", "n:", options, take_account, 1, 2, "grant NAME" };
	CLEANUP(person_close) struct person person = { 0 };
	CLEANUP(str_release) struct str out = STR_INIT;
	struct person_options common;
	struct error err = ERROR_INIT;
	int status = person_parse(argc, argv, &syntax, &account, &common, words);

	if (status)
		return status;
	if (strcmp(words[0], "grant") || (!words[1] && !account))
		return cli_fail(EXIT_USAGE, "countersign project grant NAME | kubectl apply -f -", "what is to be granted?");
	if (!install_yaml_is_name(common.namespace))
		return cli_fail(EXIT_USAGE, NULL, "%s is no name of a namespace", common.namespace);
	if (account)
		status = add_grant(account, common.namespace, &out);
	else if (person_open(&common, &person, &err))
		return person_fail(&person, &err);
	else
		status = grant_project(&person, words[1], &out);
	return status ? status : person_print(&out);
}
