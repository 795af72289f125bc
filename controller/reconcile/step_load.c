/* load: the Application as it is now, what asks for this run, and what its Project allows. */
#include "api/repository_secret.h"
#include "base/clock.h"
#include "reconcile/interests.h"
#include "reconcile/objects.h"
#include "reconcile/operation.h"
#include "reconcile/permission.h"
#include "reconcile/planning.h"
#include "reconcile/report.h"
#include "reconcile/rollback.h"
#include "reconcile/steps.h"
#include "source/git_url.h"

/* The top-level `operation` of Argo CD: a person or a tool asks for a sync now. */
static int read_operation(struct run *run, struct error *err)
{
	const struct json *operation = run->operation, *sync = json_get(operation, "sync");
	const struct json *options = json_get(sync, "syncOptions");

	if (!operation)
		return 0;
	if (!json_is(sync, JSON_OBJECT))
		return error_set(err, ERROR_INVALID, "NotSupported", "operation without sync is not built: only operation.sync is");
	if (json_count(json_get(sync, "resources")) || json_get(sync, "manifests") || json_get(sync, "source") || json_get(sync, "sources"))
		return error_set(err, ERROR_INVALID, "NotSupported",
				 "operation.sync.resources, manifests and source(s) are not built yet: sync the whole Application");
	if (json_count(json_get(sync, "revisions")))
		return error_set(err, ERROR_INVALID, "NotSupported",
				 "operation.sync.revisions is for several sources, which are not built yet: name the commit in operation.sync.revision");
	if (json_get_int(json_get(operation, "retry"), "limit", 0))
		return error_set(err, ERROR_INVALID, "NotSupported",
				 "operation.retry is not built: ask again, or let an automated Application try again by spec.syncPolicy.retry");
	if (json_get_bool(json_path(sync, "syncStrategy", "apply", NULL), "force", false) ||
	    json_get_bool(json_path(sync, "syncStrategy", "hook", NULL), "force", false))
		return error_set(err, ERROR_INVALID, "NotSupported",
				 "operation.sync.syncStrategy with force is not built: delete the object that shall be made anew, then sync");
	run->operation_revision = json_get_text(sync, "revision");
	/* as Argo CD: an empty one is the Application's own */
	if (run->operation_revision && !*run->operation_revision)
		run->operation_revision = NULL;
	run->operation_prune = json_get_bool(sync, "prune", false);
	run->operation_dry_run = json_get_bool(sync, "dryRun", false);
	for (size_t i = 0; i < json_count(options); i++)
		if (sync_option_read(json_text_span(json_at(options, i)), &run->spec.options, err))
			return -1;
	return 0;
}

static void take_up(struct run *run)
{
	struct app *app = run->app;

	run->refreshed = app->force || run->spec.refresh != REFRESH_NONE || run->spec.operation;
	/* at a start whatever the repository says from then on is new to us: not one question an Application */
	run->fresh = run->refreshed && (!app->from_start || run->spec.refresh != REFRESH_NONE || run->spec.operation);
	app->from_start = false;
	run->hard = app->hard || run->spec.refresh == REFRESH_HARD;
	run->dirty = app->dirty;
	run->forced = app->force || run->spec.refresh != REFRESH_NONE;
	if (app->exempt_until_ns && clock_wall_ns() >= app->exempt_until_ns) {
		app->exempt_until_ns = 0;
		run->refreshed = run->forced = true;
	}
	app->force = app->hard = app->dirty = false;
	if (run->spec.refresh != REFRESH_NONE)
		report_refreshed(app);
	/* taken up once, also if the object is not read again before the next run */
	app_spec(app)->refresh = REFRESH_NONE;
	operation_begin(run);
}

/* What one project's credential opens is not another's to read. */
static int check_credential(struct run *run, struct error *err)
{
	const struct json *secret = objects_repository_secret(run->core->objects, run->spec.repo_url);
	const char *project = repository_secret_project(secret, run->arena);

	if (!*project || !strcmp(project, run->project.name))
		return 0;
	return error_set(err, ERROR_DENIED, "RepositoryNotPermitted",
			 "the credential of the repository %s is for project %s alone, as its Secret %s says (project), and Application %s is of project "
			 "%s; it was not contacted: let the Secret say another project or none, or move the Application", run->repo_shown, project,
			 json_text(json_path(secret, "metadata", "name", NULL)), run->app->key, run->project.name);
}

static enum step_result permit(struct run *run)
{
	const struct application *spec = &run->spec;
	struct error err = ERROR_INIT;

	if (permission_project(run, &err) || check_credential(run, &err))
		return run_fail(run, &err);
	run->account = project_account(&run->project, spec->destination_server, spec->destination_namespace, run->arena);
	if (!run->account) {
		error_set(&err, ERROR_DENIED, "NoServiceAccount",
			  "Project %s names no account that writes to namespace \"%s\": add it to spec.destinationServiceAccounts of the "
			  "Project (nothing is written as countersign itself)", spec->project, spec->destination_namespace);
		return run_fail(run, &err);
	}
	run->permitted = true;
	operation_begun(run);
	return STEP_NEXT;
}

/* What goes waits for no commit, and is judged no more: no exemption ends for it. */
static void end_waiting(struct app *app)
{
	interests_leave(app);
	app->exempt_until_ns = 0;
}

enum step_result step_load(struct run *run)
{
	struct app *app = run->app;
	struct error err = ERROR_INIT;

	if (!app->present) {
		end_waiting(app);
		run->goal = GOAL_FORGET;
		return STEP_STOP;
	}
	/* the app's copy may be replaced while the run is under way */
	application_decode(json_copy(run->arena, app_spec(app)->object), run->arena, &run->spec, &err);
	run->repo_shown = git_url_redact(run->spec.repo_url ? run->spec.repo_url : "", run->arena);
	run->spec.operation = app_spec(app)->operation ? run->spec.operation : NULL;
	run->spec.refresh = app_spec(app)->refresh;
	if (run->spec.deleting) {
		end_waiting(app);
		run->goal = run->spec.finalizer ? GOAL_DELETE : GOAL_FORGET;
		if (run->goal == GOAL_FORGET)
			return STEP_STOP;
		err = (struct error)ERROR_INIT;
		if (!app_inventory(app)->count)
			return STEP_NEXT;
		if (rollback_check(run->core->rollback, run, &err))
			return run_fail(run, &err);
		if (!permission_project(run, &err))
			return STEP_NEXT;
		/* nobody's permission is needed where all was deleted while there was one */
		plan_forget_gone(run);
		return app_inventory(app)->count ? run_fail(run, &err) : STEP_NEXT;
	}
	take_up(run);
	if (err.reason[0])
		return run_fail(run, &err);
	if (read_operation(run, &err)) {
		run->operation_refused = true;
		return run_fail(run, &err);
	}
	if (rollback_check(run->core->rollback, run, &err))
		return run_fail(run, &err);
	return permit(run);
}
