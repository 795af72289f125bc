/* What a Project permits; see permit.h. */
#include "gate/permit.h"

#include <stdarg.h>

#include "api/application.h"

/* "ConfigMap shop/web (shop/web.yaml:12)"; what is deleted is in no file any more */
static int refuse(const struct permit_request *request, struct error *err, const char *reason, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

static int refuse(const struct permit_request *request, struct error *err, const char *reason, const char *format, ...)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	va_list list;

	str_addf(&text, "%s%s %s%s%s", request->verb == PERMIT_DELETE ? "delete " : "", request->kind, request->namespace,
		 *request->namespace ? "/" : "", request->name);
	if (request->file)
		str_addf(&text, " (%s:%u)", request->file, request->line);
	str_adds(&text, ": ");
	va_start(list, format);
	str_vaddf(&text, format, list);
	va_end(list);
	return error_set(err, ERROR_DENIED, reason, "%s", str_c(&text));
}

/* The other way out of a refusal. */
static const char *instead(const struct permit_request *request)
{
	return request->verb == PERMIT_DELETE ? "or take the Application's finalizer off to leave the object where it is"
					      : "or take the object out of Git";
}

static bool is_admin(const struct permit_request *request)
{
	return *request->admin_project && !strcmp(request->project->name, request->admin_project);
}

static int check_kind(const struct permit_request *request, struct error *err)
{
	CLEANUP(str_release) struct str why = STR_INIT;

	/* who may deploy to a namespace may have it made; an entry that denies Namespaces holds all the same */
	if (request->destination && !*request->group && !strcmp(request->kind, "Namespace") &&
	    project_allows_destination(request->project, request->server, request->name, &why) &&
	    !project_denies_kind(request->project, request->group, request->kind, request->name, false, &why))
		return 0;
	if (project_allows_kind(request->project, request->group, request->kind, request->name, request->namespaced, &why))
		return 0;
	return refuse(request, err, "KindNotPermitted", "Project %s does not permit the kind: %s, %s", request->project->name, str_c(&why),
		      instead(request));
}

static int check_namespace(const struct permit_request *request, struct error *err)
{
	CLEANUP(str_release) struct str why = STR_INIT;

	if (!request->namespaced || project_allows_destination(request->project, request->server, request->namespace, &why))
		return 0;
	return refuse(request, err, "NamespaceNotPermitted", "Project %s does not permit namespace %s: %s: change spec.destinations of the "
		      "Project, %s", request->project->name, request->namespace, str_c(&why), instead(request));
}

/* An Application speaks for its project: neither the one that is declared nor the one that is there may be another's. */
static int check_application(const struct permit_request *request, struct error *err)
{
	const char *declared = json_text(json_path(request->object, "spec", "project", NULL));

	if (!declared || !*declared)
		declared = "default";
	if (request->verb == PERMIT_WRITE && strcmp(declared, request->project->name))
		return refuse(request, err, "ApplicationNotPermitted",
			      "it is an Application of project %s, from a repository of project %s: a repository may declare Applications of "
			      "its own project only, or belong to the admin project; take it out of Git, or correct its spec.project", declared, request->project->name);
	if (request->live_project && strcmp(request->live_project, request->project->name))
		return refuse(request, err, "ApplicationNotPermitted",
			      "an Application of that name exists and is of project %s; project %s may not take it over: give it another "
			      "name in Git, or have it taken away first", request->live_project, request->project->name);
	return 0;
}

/* A tenant may not rewrite its own gate: these kinds only from the one project that is named for it. */
static int check_own_kinds(const struct permit_request *request, struct error *err)
{
	if (strcmp(request->group, API_GROUP) || is_admin(request))
		return 0;
	if (!strcmp(request->kind, "Application"))
		return check_application(request, err);
	return refuse(request, err, "PolicyNotPermitted",
		      "%s objects decide what may run, so project %s may not declare them: take it out of Git, or declare it through the admin "
		      "project%s%s", request->kind, request->project->name,
		      *request->admin_project ? " " : " (none is set: --admin-project)", request->admin_project);
}

/* The installation's namespace holds the controller's own account, credentials and keys: whoever writes there is the controller. */
static int check_installation(const struct permit_request *request, struct error *err)
{
	bool own = !strcmp(request->group, API_GROUP) && !strcmp(request->kind, "Application");

	if (!request->namespaced || strcmp(request->namespace, request->installation) || own || is_admin(request))
		return 0;
	return refuse(request, err, "InstallationNotPermitted",
		      "namespace %s is countersign's own; there project %s may declare Applications and nothing else, whatever its "
		      "spec.destinations say: take the object out of Git or move it to another namespace, or declare it through the admin "
		      "project%s%s",
		      request->installation, request->project->name, *request->admin_project ? " " : " (none is set: --admin-project)",
		      request->admin_project);
}

/* What answers for our own kinds: whoever writes it says what Projects and policies there are, whoever deletes it takes them all away. */
static bool is_foundation(const struct permit_request *request)
{
	bool definition = !strcmp(request->group, "apiextensions.k8s.io") && !strcmp(request->kind, "CustomResourceDefinition");
	bool service = !strcmp(request->group, "apiregistration.k8s.io") && !strcmp(request->kind, "APIService");
	bool home = !*request->group && !strcmp(request->kind, "Namespace") && !strcmp(request->name, request->installation);

	return home || ((definition || service) && span_ends(span_of(request->name), "." API_GROUP));
}

static int check_foundation(const struct permit_request *request, struct error *err)
{
	if (request->namespaced || !is_foundation(request) || is_admin(request))
		return 0;
	return refuse(request, err, "InstallationNotPermitted",
		      "countersign itself stands on it, so project %s may not declare it, whatever its spec.clusterResourceWhitelist says: take "
		      "it out of Git, or declare it through the admin project%s%s", request->project->name,
		      *request->admin_project ? " " : " (none is set: --admin-project)", request->admin_project);
}

/* A lasting token of an account, as an object: it outlives every right that was taken back, and who asks for one is not seen. */
static int check_token(const struct permit_request *request, struct error *err)
{
	const char *type = json_get_text(request->object, "type");
	const char *account = json_text(json_path(request->object, "metadata", "annotations", "kubernetes.io/service-account.name", NULL));

	if (*request->group || strcmp(request->kind, "Secret") || !type || strcmp(type, "kubernetes.io/service-account-token") || is_admin(request))
		return 0;
	return refuse(request, err, "TokenNotPermitted",
		      "it asks for a lasting token of service account %s, which project %s may not: take it out of Git and let the Pod have "
		      "a projected token (spec.serviceAccountName), or declare it through the admin project", account ? account : "(none named)",
		      request->project->name);
}

/* What is not to be declared: hooks are not built, and one that asks to be one would be applied at the wrong time. */
static int check_built(const struct permit_request *request, struct error *err)
{
	bool application = !strcmp(request->group, API_GROUP) && !strcmp(request->kind, "Application");
	const struct json *annotations = json_path(request->object, "metadata", "annotations", NULL);
	const struct json *metadata = json_get(request->object, "metadata");

	if (json_get(annotations, "argocd.argoproj.io/hook") || json_get(annotations, "helm.sh/hook"))
		return error_set(err, ERROR_INVALID, "NotSupported", "%s %s%s%s (%s:%u) is a hook, which is not built yet; it is refused "
				 "rather than applied at the wrong time", request->kind, request->namespace, *request->namespace ? "/" : "",
				 request->name, request->file, request->line);
	/* it would be asked for anew with each look, in whatever name the repository gives */
	if (application && json_get(request->object, "operation"))
		return error_set(err, ERROR_INVALID, "NotSupported", "Application %s (%s:%u) brings an operation, which is asked of the cluster by "
				 "whom it says and never declared: take operation out of Git", request->name, request->file, request->line);
	if (json_get(metadata, "generateName") && !json_get_text(metadata, "name"))
		return error_set(err, ERROR_INVALID, "NotSupported", "%s with generateName (%s:%u): every sync would make a new one; give it a "
				 "name", request->kind, request->file, request->line);
	return 0;
}

int gate_permit(const struct permit_request *request, struct error *err)
{
	if (request->verb == PERMIT_WRITE && check_built(request, err))
		return -1;
	if (check_own_kinds(request, err) || check_installation(request, err) || check_foundation(request, err) ||
	    check_token(request, err) || check_kind(request, err))
		return -1;
	return check_namespace(request, err);
}
