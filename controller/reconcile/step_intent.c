/*
 * intent, settle: no write before its record is durable, no write without a
 * record of how it went.
 */
#include "base/log.h"
#include "diff/ignore.h"
#include "gate/images.h"
#include "reconcile/claims.h"
#include "reconcile/contest.h"
#include "reconcile/live.h"
#include "reconcile/owed.h"
#include "reconcile/planning.h"
#include "reconcile/records.h"
#include "reconcile/report.h"
#include "reconcile/steps.h"
#include "reconcile/turns.h"

static size_t open_actions(struct run *run)
{
	size_t count = 0;

	for (size_t i = 0; i < run->action_count; i++) {
		run->actions[i].in_plan = !run->actions[i].finished;
		count += run->actions[i].in_plan;
	}
	return count;
}

static void on_durable(void *data, uint64_t seq, const struct error *err)
{
	struct run *run = data;

	(void)seq;
	if (err)
		run_fail(run, err);
	else
		run->intent_durable = true;
	run_wake(run);
	run_release(run);
}

enum step_result step_intent(struct run *run)
{
	struct error err = ERROR_INIT;

	if (run->intent_asked)
		return run->intent_durable ? STEP_NEXT : run->err.reason[0] && !run->only_told ? STEP_FAIL : STEP_WAIT;
	if (!open_actions(run))
		return STEP_NEXT;
	if (run->app->owed) {
		owed_press(run);
		return STEP_WAIT;
	}
	if (run->core->recovering)
		return STEP_WAIT;
	if (core_may_record(run->core, &err)) {
		error_wrap(&err, "nothing is written that cannot be recorded");
		return run_fail(run, &err);
	}
	if (claims_begin(run, &err))
		return run_fail(run, &err);
	run->intent_asked = true;
	run->intent_seq = audit_log_next_seq(run->core->audit);
	run_hold(run);
	audit_log_append(run->core->audit, records_intent(run, run->intent_seq), on_durable, run);
	return STEP_WAIT;
}

/* --- settle ----------------------------------------------------------------------------------------------------- */

static struct inventory_item *push_item(struct run *run, struct inventory *inventory, size_t *capacity)
{
	return arena_push(run->arena, &inventory->items, &inventory->count, capacity, sizeof(struct inventory_item));
}

static const struct action *action_of(const struct run *run, const char *key)
{
	for (size_t i = 0; i < run->action_count; i++)
		if (!strcmp(run->actions[i].key, key))
			return &run->actions[i];
	return NULL;
}

/* What was sent of it last: its creation may have told better what is left to others. */
static const struct json *sent_of(const struct desired *desired, const struct action *action)
{
	return action && action->object ? action->object : desired->object;
}

/* What is remembered of one desired object: as before, or as the last answer gave it. */
static void keep_item(struct run *run, const struct desired *desired, struct inventory *out, size_t *capacity)
{
	const struct inventory_item *before =
		inventory_find(app_inventory(run->app), desired->group, desired->kind, desired->namespace, desired->name);
	const struct action *action = action_of(run, desired->key);
	const struct json *after = desired->found ? desired->found : action ? action->after : NULL;
	const char *uid = json_text(json_path(after, "metadata", "uid", NULL));
	struct inventory_item *item;

	/* what may have been written, though no answer came, is remembered too */
	if (!before && !after && (!action || !action->attempt_count))
		return;
	item = push_item(run, out, capacity);
	if (before)
		*item = *before;
	else
		*item = (struct inventory_item){ .group = desired->group, .kind = desired->kind, .namespace = desired->namespace,
						 .name = desired->name, .uid = "" };
	item->version = desired->version;
	item->wave = desired->wave;
	item->no_prune = desired->options.prune_disabled;
	item->no_delete = desired->options.delete_disabled;
	if (desired->images_outdated)
		item->images = gate_images_digest(desired->object, &run->custom, run->arena);
	if (!uid)
		return;
	item->uid = uid;
	item->owned = live_owned(run->core->live, desired->key, after);
	/* adopted or made half way: it is there, and the next sync goes on with it */
	if (action && !desired->found && !action->applied) {
		item->desired = (struct digest){ { 0 } };
		item->images = gate_images_digest(after, &run->custom, run->arena);
		return;
	}
	item->desired = sent_of(desired, action) == desired->object ? desired->digest : ignore_digest(action->object, action->taken, run->arena);
	/* what was sent, not what came back: an image that a webhook put in is foreign, and is judged as such */
	item->images = gate_images_digest(sent_of(desired, action), &run->custom, run->arena);
}

/* Until it is gone it is ours, but not one that we have: declared again it is made anew, which is no heal. */
static void keep_going(struct run *run, const struct action *action, struct inventory_item *to, const struct inventory_item *item)
{
	const struct live_object *live = live_find(run->core->live, action->key);

	*to = *item;
	to->uid = "";
	/* else the watch tells of it in a moment, which begins another run */
	if (run->going || !live->deleting)
		return;
	run->going = plan_hangs(run, live);
	run->going_count = 1;
	run->holds_back = true;
}

/* Objects that Git no longer declares stay remembered until they are deleted for sure. */
static void keep_rest(struct run *run, struct inventory *out, size_t *capacity)
{
	for (size_t i = 0; i < app_inventory(run->app)->count; i++) {
		const struct inventory_item *item = &app_inventory(run->app)->items[i];
		const char *key = live_key(run->arena, item->group, item->kind, item->namespace, item->name);
		const struct action *action = action_of(run, key);

		if (inventory_find(out, item->group, item->kind, item->namespace, item->name))
			continue;
		if (action && action->act == ACT_DELETE && action->in_plan && action->finished && !action->err.reason[0]) {
			if (!action->kept && plan_stays(run, action))
				keep_going(run, action, push_item(run, out, capacity), item);
			continue;
		}
		*push_item(run, out, capacity) = *item;
	}
}

/* Whether everything the revision declares was written: then it is the applied one. */
static bool is_whole(const struct run *run)
{
	for (size_t i = 0; i < run->action_count; i++)
		if (run->actions[i].act != ACT_DELETE && (!run->actions[i].in_plan || run->actions[i].err.reason[0] || !run->actions[i].finished))
			return false;
	return !run->apply_failed;
}

/* Whether a request of it may have changed the cluster: it was let through, or no answer came. */
static bool may_have_written(const struct action *action)
{
	for (size_t i = 0; i < action->attempt_count; i++)
		if (!action->attempts[i].code || action->attempts[i].code / 100 == 2)
			return true;
	return false;
}

/* A part of the revision was written: it is not what runs, and until all of it is, tags stand for what they stand for in that part. */
static void set_partly(const struct run *run, struct inventory *out)
{
	bool written = false;

	for (size_t i = 0; i < run->action_count && !written; i++)
		written = run->actions[i].in_plan && may_have_written(&run->actions[i]);
	if (run->goal != GOAL_SYNC || !written)
		return;
	out->partly |= !run->same_revision;
	if (run->pins.count && strcmp(out->revision, run->pins.revision))
		out->pending = run->pins;
	else if (run->pins.count && run->hard)
		out->applied = run->pins;
}

static void set_applied(struct run *run, struct inventory *out)
{
	if (run->goal == GOAL_DELETE)
		return;
	if (!is_whole(run)) {
		set_partly(run, out);
		return;
	}
	out->partly = false;
	out->revision = run->revision;
	out->repo_url = run->repo_shown;
	out->path = run->spec.path;
	out->input = run->input;
	out->applied = run->pins;
	/* a heal turns to nothing: the branch by which the revision came stays the one that it is held to */
	if (run->goal != GOAL_SYNC)
		return;
	out->target_revision = run->spec.target_revision;
	out->namespace = run->spec.destination_namespace;
	out->pending = (struct pins){ "", NULL, 0 };
}

static void update_live(struct run *run)
{
	for (size_t i = 0; i < run->action_count; i++) {
		const struct action *action = &run->actions[i];

		/* nobody tells of what is not managed when it goes */
		if (action->after && !action->destination)
			live_take(run->core->live, action->after, action->group, action->kind);
	}
	/* somebody was quicker than we: looked at again after this run, or, where this one could not mend it, when it is time to try again */
	if (live_drifted(run->core->live, run->app)) {
		run->app->dirty = true;
		run->app->again |= !run->apply_failed;
	}
}

static void remember(struct run *run)
{
	struct inventory next = *app_inventory(run->app);
	size_t capacity = 0;

	next.items = NULL;
	next.count = 0;
	next.app = run->app->key;
	next.uid = run->spec.uid;
	if (run->goal != GOAL_DELETE) {
		next.project = run->spec.project;
		next.account = run->account;
	}
	for (size_t i = 0; i < run->desired_count; i++)
		if (!run->desired[i].unmanaged)
			keep_item(run, &run->desired[i], &next, &capacity);
	keep_rest(run, &next, &capacity);
	set_applied(run, &next);
	app_set_inventory(run->app, &next);
	claims_moved(run);
	update_live(run);
	if (run->goal != GOAL_DELETE || next.count)
		report_inventory(run->app);
}

static void on_result(void *data, uint64_t seq, const struct error *err)
{
	struct run *run = data;

	(void)seq;
	if (err)
		log_error(LOG_ERROR, "the result of a sync is not in the audit log", err, "app", run->app->key, NULL);
	run->result_durable = true;
	run_wake(run);
	run_release(run);
}

/* The tags of a revision that is not applied are remembered too: a restart never resolves them anew. */
static void remember_pending(struct run *run)
{
	struct inventory next = *app_inventory(run->app);

	if (run->goal != GOAL_SYNC || !run->pins.count || !run->pins.revision)
		return;
	if (!strcmp(next.revision, run->pins.revision) && !run->hard) {
		if (!*next.pending.revision)
			return;
		next.pending = (struct pins){ "", NULL, 0 };
	} else if (!run->verified) {
		if (!strcmp(next.pending.revision, run->pins.revision) && next.pending.count == run->pins.count)
			return;
		next.pending = run->pins;
	} else {
		return;
	}
	next.app = run->app->key;
	app_set_inventory(run->app, &next);
	report_inventory(run->app);
}

static bool is_same_source(const struct run *run, const struct inventory *inventory)
{
	return !strcmp(inventory->path, run->spec.path) && !strcmp(inventory->repo_url, run->repo_shown) &&
	       !strcmp(inventory->target_revision, run->spec.target_revision) && !strcmp(inventory->namespace, run->spec.destination_namespace);
}

/* Nothing had to be written, but the revision is a newer one that says the same. */
static void adopt_revision(struct run *run)
{
	struct inventory next = *app_inventory(run->app);

	if (run->goal != GOAL_SYNC || !run->verified || run->out_of_sync || run->err.reason[0])
		return;
	if (!strcmp(next.revision, run->revision) && digest_equal(&next.input, &run->input) && !run->hard && !next.partly && is_same_source(run, &next))
		return;
	next.app = run->app->key;
	next.uid = run->spec.uid;
	next.project = run->spec.project;
	next.account = run->account;
	set_applied(run, &next);
	app_set_inventory(run->app, &next);
	report_inventory(run->app);
}

/* Or leaves, where others wait for its place, and nothing went wrong. */
static enum step_result wait_for_inventory(struct run *run)
{
	if (run->err.reason[0] || run->goal != GOAL_SYNC || !turns_wanted(run->core)) {
		owed_press(run);
		return STEP_WAIT;
	}
	owed_take(run);
	run->applying = false;
	return STEP_NEXT;
}

static void remember_unwritten(struct run *run)
{
	/* a rehearsal applies nothing, also where nothing would have to be written for it */
	if (run->operation_dry_run)
		return;
	if ((run->found_any || run->outdated) && !run->err.reason[0])
		remember(run);
	remember_pending(run);
	adopt_revision(run);
}

enum step_result step_settle(struct run *run)
{
	if (!run->intent_durable) {
		remember_unwritten(run);
		return run->err.reason[0] ? STEP_FAIL : STEP_NEXT;
	}
	if (!run->remembered) {
		run->remembered = true;
		contest_count(run);
		remember(run);
	}
	/* first the inventory, then the result: a crash in between leaves an open intent, by which recover.c finds what was made */
	if (!run->result_asked && owed_is_lost(run->app)) {
		run->applying = false;
		return STEP_NEXT;
	}
	if (!run->result_asked && !owed_may_tell(run->app))
		return wait_for_inventory(run);
	if (!run->result_asked) {
		run->result_asked = true;
		if (!run->core->audit) {
			/* the log broke meanwhile: the intent stays open and is resolved when it can be written again */
			log_error(LOG_ERROR, "the result of a sync is not in the audit log", &run->core->audit_error, "app", run->app->key, NULL);
			run->applying = false;
			return STEP_NEXT;
		}
		run_hold(run);
		audit_log_append(run->core->audit, records_result(run), on_result, run);
		return STEP_WAIT;
	}
	if (!run->result_durable)
		return STEP_WAIT;
	run->applying = false;
	return run->err.reason[0] ? STEP_FAIL : STEP_NEXT;
}
