/* What a Project permits; see permit.h. */
#include "gate/permit.h"

#include "api/application.h"

#define WHERE "%s %s%s%s (%s:%u)"
#define WHERE_OF(r) (r)->kind, (r)->namespace, *(r)->namespace ? "/" : "", (r)->name, (r)->file, (r)->line

static int check_kind(const struct permit_request *request, struct error *err)
{
	if (project_allows_kind(request->project, request->group, request->kind, request->name, request->namespaced))
		return 0;
	return error_set(err, ERROR_DENIED, "KindNotPermitted",
			 WHERE " is of a kind that Project %s does not permit: add {group: \"%s\", kind: %s} to spec.%sResourceWhitelist of "
			 "the Project, or take the object out", WHERE_OF(request), request->project->name, request->group, request->kind,
			 request->namespaced ? "namespace" : "cluster");
}

static int check_namespace(const struct permit_request *request, struct error *err)
{
	if (!request->namespaced || project_allows_destination(request->project, request->server, request->namespace))
		return 0;
	return error_set(err, ERROR_DENIED, "NamespaceNotPermitted",
			 WHERE " is in namespace %s, which Project %s does not permit: add it to spec.destinations of the Project, or move "
			 "the object", WHERE_OF(request), request->namespace, request->project->name);
}

/* A tenant may not rewrite its own gate: these kinds only from the one project that is named for it. */
static int check_own_kinds(const struct permit_request *request, struct error *err)
{
	bool admin = *request->admin_project && !strcmp(request->project->name, request->admin_project);
	const char *project = json_text(json_path(request->object, "spec", "project", NULL));

	if (strcmp(request->group, API_GROUP) || admin)
		return 0;
	if (strcmp(request->kind, "Application"))
		return error_set(err, ERROR_DENIED, "PolicyNotPermitted",
				 WHERE ": %s objects decide what may run; Git may declare them only through the admin project%s%s", WHERE_OF(request),
				 request->kind, *request->admin_project ? " " : " (none is set: --admin-project)", request->admin_project);
	if (!project || !*project)
		project = "default";
	if (!strcmp(project, request->project->name))
		return 0;
	return error_set(err, ERROR_DENIED, "ApplicationNotPermitted",
			 WHERE " declares an Application of project %s from a repository of project %s: a repository may declare "
			 "Applications of its own project only, or belong to the admin project", WHERE_OF(request), project,
			 request->project->name);
}

/* Hooks are not built: an object that asks to be one would be applied at the wrong time. */
static int check_hooks(const struct permit_request *request, struct error *err)
{
	const struct json *annotations = json_path(request->object, "metadata", "annotations", NULL);
	const struct json *metadata = json_get(request->object, "metadata");

	if (json_get(annotations, "argocd.argoproj.io/hook") || json_get(annotations, "helm.sh/hook"))
		return error_set(err, ERROR_INVALID, "NotSupported", WHERE " is a hook, which is not built yet; it is refused rather than "
				 "applied at the wrong time", WHERE_OF(request));
	if (json_get(metadata, "generateName") && !json_get_text(metadata, "name"))
		return error_set(err, ERROR_INVALID, "NotSupported", "%s with generateName (%s:%u): every sync would make a new one; give it a "
				 "name", request->kind, request->file, request->line);
	return 0;
}

int gate_permit(const struct permit_request *request, struct error *err)
{
	if (check_hooks(request, err) || check_own_kinds(request, err) || check_kind(request, err))
		return -1;
	return check_namespace(request, err);
}
