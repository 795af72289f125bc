/* resolve, tree, render: from the target revision to the objects in its files. */
#include "base/clock.h"
#include "base/limits.h"
#include "base/name.h"
#include "reconcile/claims.h"
#include "reconcile/live.h"
#include "reconcile/repos.h"
#include "reconcile/report.h"
#include "reconcile/steps.h"
#include "render/render.h"

/* Whether this very commit was judged before and is not to be judged again yet. */
static bool is_too_early(const struct run *run)
{
	const struct app *app = run->app;
	int64_t now = clock_mono_ms();

	return !run->refreshed && (now < app_setbacks(app)->denied_until_ms || now < app_setbacks(app)->retry_until_ms);
}

/*
 * Not when a part of the newer revision was applied, since to keep the older one would then undo that part: the next attempt at the
 * newer one repairs what else has changed. Nor when the Application reads something else by now, or puts it elsewhere: of that nothing was applied.
 */
bool may_keep(const struct run *run)
{
	const struct inventory *inventory = app_inventory(run->app);

	return *inventory->revision && !inventory->partly && !strcmp(inventory->repo_url, run->repo_shown) && !strcmp(inventory->path, run->spec.path) &&
	       (!*inventory->namespace || !strcmp(inventory->namespace, run->spec.destination_namespace));
}

/* Likewise where the spec selects other files of the applied revision by now: what it declares in those that are left out would be deleted. */
static bool reads_otherwise(const struct run *run)
{
	return run->goal == GOAL_HEAL && !digest_equal(&run->input, &app_inventory(run->app)->input);
}

/*
 * Where a part of the newer revision was applied, nothing but another attempt at it mends what has drifted: that does not wait for the time of the next
 * retry, which may never come, but is made no more often than errors are tried again.
 */
static bool may_mend(struct run *run)
{
	struct app *app = run->app;
	int64_t now = clock_mono_ms(), from = app_setbacks(app)->mend_from_ms;

	if (!run->dirty || !app_inventory(app)->partly || !run->spec.automated || !run->spec.self_heal || now < app_setbacks(app)->denied_until_ms)
		return false;
	/* the echo of what the attempt before wrote is no drift */
	if (!live_drifted(run->core->live, app))
		return false;
	if (now >= from)
		return true;
	app->dirty = true;
	app_enqueue(app, from - now);
	return false;
}

/* While the newer revision may not be applied, what runs is kept as it was left. */
static enum step_result heal_instead(struct run *run)
{
	if (!run->dirty || !may_keep(run))
		return STEP_STOP;
	run->goal = GOAL_HEAL;
	run->tip = arena_strdup(run->arena, app_inventory(run->app)->revision);
	return STEP_NEXT;
}

/*
 * The server takes its time. Drift does not wait for it, also when it comes meanwhile: nothing of the cluster was looked at yet.
 * Whoever asked for this run gets another, which the answer begins; not where an answer is asked for that is newer than the run:
 * that may be for the sake of a spec that is.
 */
static enum step_result wait_for_server(struct run *run)
{
	struct app *app = run->app;
	bool drifted = run->dirty || app->dirty;
	int64_t left = run->began_ms + (drifted ? LIMIT_GIT_PATIENCE_MS : LIMIT_GIT_START_PATIENCE_MS) - clock_mono_ms();

	/* after a sync of another revision the Application has to turn to its own again: a run of its own */
	run->resolving = !run->operation_revision;
	if (run->resolve_since_ms || (!drifted && app->watched) || !may_keep(run))
		return STEP_WAIT;
	if (left > 0) {
		run_wake_in(run, left);
		return STEP_WAIT;
	}
	run->dirty = true;
	app->dirty = false;
	run->resolving = false;
	app->from_start |= run->refreshed && !app->force;
	app->force |= run->refreshed;
	app->hard |= run->hard;
	return heal_instead(run);
}

enum step_result step_resolve(struct run *run)
{
	struct app *app = run->app;
	const char *target = run->operation_revision ? run->operation_revision : run->spec.target_revision;
	struct error err = ERROR_INIT;
	char commit[65];

	if (run->goal == GOAL_DELETE)
		return STEP_NEXT;
	if (!run->resolve_since_ms && (run->fresh || run->manual))
		run->resolve_since_ms = clock_mono_ms();
	run->resolving = false;
	switch (repos_resolve(run->core->repos, app, run->spec.repo_url, target, run->resolve_since_ms, commit, &err)) {
	case REPO_WAITING:
		return wait_for_server(run);
	case REPO_FAILED:
		/* whoever asked for this one is told what came of it; drift is the next one's */
		if (!run->manual && heal_instead(run) == STEP_NEXT)
			return STEP_NEXT;
		return run_fail(run, &err);
	default:
		break;
	}
	run->tip = arena_strdup(run->arena, commit);
	run->found_ms = repos_found_ms(run->core->repos, run->spec.repo_url, target);
	if (!app->seen_tip || strcmp(app->seen_tip, commit) || run->refreshed || run->hard)
		return STEP_NEXT;
	if (is_too_early(run) && !may_mend(run)) {
		run->early = true;
		return heal_instead(run);
	}
	/* nothing new in Git, nothing touched in the cluster, nothing owed: only health is told anew */
	if (!run->dirty && !app_setbacks(app)->denied_until_ms && !app_setbacks(app)->retry_until_ms) {
		run->quiet = true;
		return STEP_STOP;
	}
	return STEP_NEXT;
}

static void on_tree(void *data, const struct tree_answer *answer, const struct error *err)
{
	struct run *run = data;

	run->tree_done = true;
	if (err) {
		run_fail(run, err);
	} else {
		run->input = answer->input;
		run->revision = arena_strdup(run->arena, answer->revision);
		run->commit_author = arena_strdup(run->arena, answer->author ? answer->author : "");
		run->commit_subject = arena_strdup(run->arena, answer->subject ? answer->subject : "");
		run->committed_s = answer->committed_s;
		run->unchanged = answer->unchanged;
		run->rewritten = answer->rewritten;
		run->tree_fd = answer->fd;
	}
	run_wake(run);
	run_release(run);
}

/* Whether equal files mean that there is nothing to do. */
static bool is_settled(const struct run *run)
{
	const struct app *app = run->app;
	const struct inventory *inventory = app_inventory(app);

	return run->goal == GOAL_SYNC && !run->dirty && !run->hard && !run->refreshed && !run->manual && app->settled &&
	       *inventory->revision && !strcmp(inventory->path, run->spec.path) && !strcmp(inventory->repo_url, run->repo_shown);
}

/* What the branch's new commit must descend from; "": nothing, or a person, the Project or a changed target has said so. */
static const char *base_of(const struct run *run)
{
	const struct inventory *inventory = app_inventory(run->app);

	if (run->goal != GOAL_SYNC || run->manual || run->project.allow_rewritten_history || strcmp(inventory->repo_url, run->repo_shown) ||
	    strcmp(inventory->target_revision, run->spec.target_revision) ||
	    !repos_is_branch(run->core->repos, run->spec.repo_url, run->spec.target_revision))
		return "";
	return inventory->revision;
}

/* As heal_instead, where the files of the newer commit were read already. */
static enum step_result heal_after_all(struct run *run)
{
	fd_cleanup(&run->tree_fd);
	if (heal_instead(run) == STEP_STOP)
		return STEP_STOP;
	run->tree_asked = run->tree_done = run->rewritten = false;
	run->revision = NULL;
	return step_tree(run);
}

/* Whoever may push may not undo in silence what was applied, and with it perhaps a repair: a person looks first. */
static enum step_result hold_rewritten(struct run *run)
{
	struct app *app = run->app;
	struct error err = ERROR_INIT;
	enum step_result healing = heal_after_all(run);

	if (healing != STEP_STOP)
		return healing;
	name_set(&app->seen_tip, run->tip);
	error_set(&err, ERROR_CONFLICT, "HistoryRewritten",
		  "the new commit %.12s of branch %s does not descend from %.12s, which was applied: history was rewritten (force-push), or the "
		  "repository is another one; nothing of it is applied until a person syncs it (countersign sync %s --revision %.12s) or its Project "
		  "has allowRewrittenHistory: true", run->tip, run->spec.target_revision, app_inventory(app)->revision, strchr(app->key, '/') + 1, run->tip);
	return run_fail(run, &err);
}

enum step_result step_tree(struct run *run)
{
	struct app *app = run->app;

	if (run->goal == GOAL_DELETE)
		return STEP_NEXT;
	if (!run->tree_asked) {
		struct tree_request request = { run->spec.repo_url, run->tip, run->spec.path, run->spec.recurse, run->spec.include,
						run->spec.exclude, { { 0 } }, base_of(run) };

		if (is_settled(run))
			request.previous = app_inventory(app)->input;
		run->tree_asked = true;
		run_hold(run);
		repos_tree(run->core->repos, &request, on_tree, run);
		return STEP_WAIT;
	}
	if (!run->tree_done)
		return STEP_WAIT;
	if (run->err.reason[0])
		return STEP_FAIL;
	if (reads_otherwise(run))
		return STEP_STOP;
	if (run->rewritten)
		return hold_rewritten(run);
	if (run->unchanged) {
		/* a commit that changes nothing it reads: no work, no word */
		name_set(&app->seen_tip, run->tip);
		run->quiet = true;
		return STEP_STOP;
	}
	if (run->goal == GOAL_SYNC && app->tried_revision && !strcmp(app->tried_revision, run->revision) && is_too_early(run) && !may_mend(run)) {
		name_set(&app->seen_tip, run->tip);
		run->early = true;
		claims_looked_before(run);
		return heal_after_all(run);
	}
	return STEP_NEXT;
}

static void on_rendered(void *data, struct span answer, int fd, const struct error *err)
{
	struct run *run = data;
	struct rendered rendered;
	struct error bad = ERROR_INIT;

	fd_cleanup(&fd);
	run->render_done = true;
	if (err) {
		run_fail(run, err);
	} else if (render_reply_decode(answer, run->arena, &rendered, NULL, &bad)) {
		run_fail(run, &bad);
	} else {
		run->rendered = rendered.objects;
		run->rendered_count = rendered.count;
	}
	run_wake(run);
	run_release(run);
}

enum step_result step_render(struct run *run)
{
	if (run->goal == GOAL_DELETE)
		return STEP_NEXT;
	if (!run->render_asked) {
		run->render_asked = true;
		run_hold(run);
		worker_submit_for(run->core->render, run->spec.project, SPAN0, run->tree_fd, 0, on_rendered, run);
		return STEP_WAIT;
	}
	if (!run->render_done)
		return STEP_WAIT;
	fd_cleanup(&run->tree_fd);
	return run->err.reason[0] ? STEP_FAIL : STEP_NEXT;
}
