/* May this be written, by the Project as it is now; see permission.h. */
#include "reconcile/permission.h"

#include "base/clock.h"
#include "reconcile/objects.h"
#include "source/git_url.h"

static const char *project_name(const struct run *run)
{
	/* of an Application whose spec does not read, the project that it was applied for */
	return *run->spec.project ? run->spec.project : app_inventory(run->app)->project;
}

static int check_source(struct run *run, struct error *err)
{
	const struct application *spec = &run->spec;
	CLEANUP(str_release) struct str why = STR_INIT;

	if (!project_allows_repo(&run->project, spec->repo_url, !run->core->options->kubeconfig, &why))
		return error_set(err, ERROR_DENIED, "RepositoryNotPermitted",
				 "Project %s does not allow the repository %s (spec.source.repoURL of Application %s); it was not contacted: %s",
				 run->project.name, git_url_redact(spec->repo_url, run->arena), run->app->key, str_c(&why));
	if (!project_allows_destination(&run->project, spec->destination_server, spec->destination_namespace, &why))
		return error_set(err, ERROR_DENIED, "DestinationNotPermitted",
				 "Project %s does not allow the destination %s, namespace \"%s\" (spec.destination of Application %s): %s; change "
				 "spec.destinations of the Project, or the Application", run->project.name, spec->destination_server,
				 spec->destination_namespace, run->app->key, str_c(&why));
	return 0;
}

int permission_project(struct run *run, struct error *err)
{
	const char *name = project_name(run);
	const char *now = objects_project_version(run->core->objects, name);

	if (objects_readable(run->core->objects, err))
		return -1;
	if (!now || !run->project.resource_version || strcmp(now, run->project.resource_version))
		if (objects_project(run->core->objects, name, run->arena, &run->project, err))
			return -1;
	return run->goal == GOAL_DELETE ? 0 : check_source(run, err);
}

/* The project of the Application that exists under this name in the installation; NULL: none, or it is no Application. */
static const char *live_project(const struct run *run, const char *group, const char *kind, const char *namespace, const char *name)
{
	CLEANUP(str_release) struct str key = STR_INIT;
	const struct app *app;

	if (strcmp(group, API_GROUP) || strcmp(kind, "Application"))
		return NULL;
	str_addf(&key, "%s/%s", namespace, name);
	app = app_find(run->core, str_span(&key));
	if (!app || !app->present)
		return NULL;
	return app->brief.project && *app->brief.project ? app->brief.project : NULL;
}

static struct permit_request request_of(const struct run *run, enum permit_verb verb, const char *group, const char *kind,
					const char *namespace, const char *name)
{
	return (struct permit_request){
		.verb = verb,
		.project = &run->project,
		/* an Application that is going may not say any more where it went: there is one cluster */
		.server = IN_CLUSTER_SERVER,
		.installation = run->core->options->namespace,
		.admin_project = run->core->options->admin_project,
		.group = group,
		.kind = kind,
		.namespace = namespace,
		.name = name,
		.namespaced = *namespace != '\0',
		.live_project = live_project(run, group, kind, namespace, name),
	};
}

/* An object of a cluster-scoped kind is written by the account of the destination's namespace. */
static int find_account(struct run *run, const struct permit_request *request, const char **account, struct error *err)
{
	const char *destination = run->spec.destination_namespace ? run->spec.destination_namespace : "";
	const char *namespace = request->namespaced ? request->namespace : destination;

	*account = project_account(&run->project, request->server, namespace, run->arena);
	if (*account)
		return 0;
	return error_set(err, ERROR_DENIED, "NoServiceAccount",
			 "%s %s%s%s: Project %s names no account that writes to namespace \"%s\": add it to spec.destinationServiceAccounts of "
			 "the Project (nothing is written as countersign itself)", request->kind, request->namespace,
			 *request->namespace ? "/" : "", request->name, run->project.name, namespace);
}

int permission_of_desired(struct run *run, const struct desired *desired, const char **account, struct error *err)
{
	struct permit_request request = request_of(run, PERMIT_WRITE, desired->group, desired->kind, desired->namespace, desired->name);

	request.object = desired->object;
	request.namespaced = desired->namespaced;
	request.destination = desired->unmanaged;
	request.file = desired->file;
	request.line = desired->line;
	return gate_permit(&request, err) || find_account(run, &request, account, err) ? -1 : 0;
}

int permission_of_item(struct run *run, const struct inventory_item *item, const char **account, struct error *err)
{
	struct permit_request request = request_of(run, PERMIT_DELETE, item->group, item->kind, item->namespace, item->name);

	return gate_permit(&request, err) || find_account(run, &request, account, err) ? -1 : 0;
}

int permission_verdicts(const struct run *run, struct error *err)
{
	if (run->policies_version != objects_policies_version(run->core->objects))
		return error_set(err, ERROR_CANCELED, "Superseded", "the ImagePolicies, or a key of theirs, changed since the images were judged; they are "
				 "judged anew before anything more is written");
	if (run->exempt_until_ns && clock_wall_ns() >= run->exempt_until_ns)
		return error_set(err, ERROR_CANCELED, "Superseded", "an exemption by which an image was to run has ended; the images are judged anew "
				 "before anything more is written");
	return 0;
}

int permission_to_send(const struct action *action, void *data, struct error *err)
{
	struct run *run = data;
	enum permit_verb verb = action->act == ACT_DELETE ? PERMIT_DELETE : PERMIT_WRITE;
	struct permit_request request = request_of(run, verb, action->group, action->kind, action->namespace, action->name);
	const char *account;

	request.object = action->object;
	request.destination = action->destination;
	request.file = action->file;
	request.line = action->line;
	/* the intent is durable, but what comes of it could not be told */
	if (core_may_record(run->core, err))
		return -1;
	if ((verb == PERMIT_WRITE && permission_verdicts(run, err)) || permission_project(run, err) || gate_permit(&request, err) ||
	    find_account(run, &request, &account, err))
		return -1;
	if (!strcmp(kube_account(run->arena, account), action->permit.account))
		return 0;
	return error_set(err, ERROR_DENIED, "ProjectChanged", "Project %s names another account for this object since the sync began; it "
			 "begins anew", run->project.name);
}
