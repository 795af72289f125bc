/*
 * plan: desired, live and inventory become actions. Nothing is sent to find
 * out whether something differs: an object is in order when it exists under
 * the uid we made it with, what we last applied is what Git says now, and D1
 * and its images are as we left them.
 */
#include <stdlib.h>

#include "api/tracking.h"
#include "base/limits.h"
#include "diff/fields.h"
#include "diff/ignore.h"
#include "diff/compare.h"
#include "diff/extras.h"
#include "diff/health.h"
#include "diff/order.h"
#include "diff/patch.h"
#include "reconcile/claims.h"
#include "reconcile/contest.h"
#include "reconcile/live.h"
#include "reconcile/permission.h"
#include "reconcile/planning.h"
#include "reconcile/records.h"
#include "reconcile/steps.h"

struct action *plan_add(struct run *run, enum act act, struct desired *desired, const char *why)
{
	struct action *action =
		arena_push(run->arena, &run->actions, &run->action_count, &run->action_capacity, sizeof(*action));

	*action = (struct action){ .act = act, .why = why, .released = "", .taken = "" };
	if (!desired)
		return action;
	action->resource = desired->kind_known;
	action->kind_later = desired->kind_later;
	action->object = desired->object;
	action->full = desired->full;
	action->released = desired->released;
	action->taken = desired->taken;
	action->allowed = desired->allowed;
	action->custom = &run->custom;
	action->adopt_any = desired->options.adopt == ADOPT_ANY;
	action->validate = desired->options.validate;
	action->title = arena_printf(run->arena, "%s %s%s%s (%s:%u)", desired->kind, desired->namespace, *desired->namespace ? "/" : "",
				     desired->name, desired->file, desired->line);
	action->file = desired->file;
	action->destination = desired->unmanaged;
	action->line = desired->line;
	action->permit.account = kube_account(run->arena, desired->account);
	action->permit.images_allowed = desired->images_allowed;
	action->group = desired->group;
	action->version = desired->version;
	action->kind = desired->kind;
	action->namespace = desired->namespace;
	action->name = desired->name;
	action->key = desired->key;
	action->wave = desired->wave;
	action->rank = desired->rank;
	return action;
}

/* Something that is not in order, for status.resources. */
void plan_differs(struct run *run, const struct action *action, const char *status, const char *message)
{
	struct json *one = json_object(run->arena);

	run->out_of_sync = true;
	run->differing++;
	json_set_string(run->arena, one, "group", action->group);
	json_set_string(run->arena, one, "version", action->version);
	json_set_string(run->arena, one, "kind", action->kind);
	json_set_string(run->arena, one, "namespace", action->namespace);
	json_set_string(run->arena, one, "name", action->name);
	json_set_string(run->arena, one, "status", status);
	json_set_string(run->arena, one, "message", message);
	if (action->act == ACT_DELETE)
		json_set_bool(run->arena, one, "requiresPruning", true);
	if (json_count(run->differences) < LIMIT_STATUS_RESOURCES)
		json_append(run->arena, run->differences, one);
}

static const struct json *read_of(const struct run *run, const char *key)
{
	const struct json *object = map_get(&run->reads, span_of(key));

	return json_is(object, JSON_OBJECT) ? object : NULL;
}

/* --- somebody else's object ------------------------------------------------------------------------------------ */

static const char *tracked_by_others(const struct json *live, struct arena *arena)
{
	const struct json *metadata = json_get(live, "metadata"), *labels = json_get(metadata, "labels");
	const char *argo = json_text(json_path(metadata, "annotations", "argocd.argoproj.io/tracking-id", NULL));
	const char *flux = json_get_text(labels, "kustomize.toolkit.fluxcd.io/name");

	if (!flux)
		flux = json_get_text(labels, "helm.toolkit.fluxcd.io/name");
	if (argo)
		return arena_printf(arena, "Argo CD (%s)", argo);
	return flux ? arena_printf(arena, "Flux (%s)", flux) : NULL;
}

static int may_adopt(struct run *run, const struct desired *desired, const struct json *live, struct error *err)
{
	const char *other_app = tracking_app(run->arena, live), *tool = tracked_by_others(live, run->arena);

	if (other_app && desired->from && !strcmp(desired->from, other_app))
		return 0;
	if (other_app)
		return error_set(err, ERROR_CONFLICT, "OwnedByAnother",
				 "%s %s/%s (%s:%u) of Application %s exists and belongs to Application %s%s: one object has one Application",
				 desired->kind, desired->namespace, desired->name, desired->file, desired->line, run->app->key, other_app,
				 app_find(run->core, span_of(other_app)) ? ""
					: " (there is none of that name: take the annotation " ANNOTATION_TRACKING " off the object)");
	if (desired->options.adopt == ADOPT_NEVER)
		return error_set(err, ERROR_CONFLICT, "NotAdopted",
				 "%s %s/%s (%s:%u) exists already and syncOptions say Adopt=never: delete it, or allow Adopt=kubectl",
				 desired->kind, desired->namespace, desired->name, desired->file, desired->line);
	/* whatever Adopt says: two controllers that both believe an object theirs would fight for ever */
	if (tool)
		return error_set(err, ERROR_CONFLICT, "OwnedByAnother",
				 "%s %s/%s (%s:%u) exists and is tracked by %s: take it out there first (and its tracking mark off the object)",
				 desired->kind, desired->namespace, desired->name, desired->file, desired->line, tool);
	return 0;
}

/* What goes away cannot be kept by an apply: it is made anew when it is gone. The rest of the plan does not wait for that. */
static void await_end(struct run *run, struct desired *desired, const struct json *live)
{
	const char *since = json_text(json_path(live, "metadata", "deletionTimestamp", NULL)), *how;
	struct action *action = plan_add(run, ACT_CREATE, desired, "");

	health_of(live, run->arena, &how);
	action->why = arena_printf(run->arena, "the one of that name %s (since %s); it is made anew when that is gone", how, since);
	action->live = live;
	plan_hold_back(run, action);
	plan_differs(run, action, "OutOfSync", action->why);
	error_set(&run->undone, ERROR_TRANSIENT, "BeingDeleted", "%s: %s", action->title, action->why);
}

static int plan_existing(struct run *run, struct desired *desired, const struct json *live, struct error *err)
{
	const char *mine = tracking_app(run->arena, live);
	const struct app *other = mine ? app_find(run->core, span_of(mine)) : NULL;
	struct action *action;

	if (json_text(json_path(live, "metadata", "deletionTimestamp", NULL))) {
		await_end(run, desired, live);
		return 0;
	}
	/* made by us before a crash, or under an inventory that was lost: its own annotation says so */
	if (mine && !strcmp(mine, run->app->key) && compare_is_applied(desired->object, live)) {
		desired->found = live;
		run->found_any = true;
		return 0;
	}
	if (mine && !strcmp(mine, run->app->key)) {
		action = plan_add(run, ACT_UPDATE, desired, "ours by its tracking id, but not in the inventory");
		action->stage = STAGE_APPLY;
		action->force = true;
	} else {
		/* claimed by an earlier run that could not write it: the claim is ours, the object the other's */
		if (!desired->from && other && claims_lets_go(other, desired->key))
			desired->from = mine;
		if (may_adopt(run, desired, live, err))
			return -1;
		action = plan_add(run, ACT_ADOPT, desired, "exists and is adopted");
		action->stage = STAGE_CHECK;
		action->force = action->adopt_any;
		if (desired->from) {
			action->why = arena_printf(run->arena, "moves here from Application %s", desired->from);
			action->stage = STAGE_APPLY;
			action->force = true;
		}
	}
	/* as in an update: what is left to others from now on, and is still held in our name */
	if (action->stage == STAGE_APPLY && *desired->released && patch_holds(live, desired->released))
		action->stage = STAGE_RELEASE;
	action->live = live;
	action->uid = json_text(json_path(live, "metadata", "uid", NULL));
	plan_differs(run, action, "OutOfSync", action->why);
	return 0;
}

/* --- our own object -------------------------------------------------------------------------------------------- */

/* Who changed what, for people: "spec.replicas changed by kubectl-edit at ...". */
static const char *drift_text(struct run *run, const struct desired *desired, const struct json *live, bool images, struct extra *who)
{
	const char *by, *at;
	struct foreign_image foreign;

	drift_attribution(live, desired->object, run->arena, who);
	foreign = images ? patch_foreign(live, desired->object, &run->custom, run->arena) : (struct foreign_image){ "", "", "", "" };
	if (*foreign.pointer && !*who->path)
		extras_who(live, foreign.pointer, run->arena, who);
	by = *who->manager ? who->manager : "an unknown manager";
	at = *who->time ? arena_printf(run->arena, " at %s", who->time) : "";
	if (!*foreign.pointer)
		return arena_printf(run->arena, "%s changed by %s%s", *who->path ? who->path : "a declared field", by, at);
	return arena_printf(run->arena, "%s %s with image %s added by %s%s", foreign.position, foreign.name, foreign.image, by, at);
}

/* Not ours to mend now: told, and left alone. */
void plan_hold_back(struct run *run, struct action *action)
{
	action->finished = true;
	run->holds_back = true;
}

static bool may_heal(const struct run *run)
{
	return run->goal == GOAL_DELETE || run->manual || run->spec.self_heal || (run->goal == GOAL_SYNC && !run->same_revision);
}

/* Whether the live object holds images or rights that must go. */
static bool is_grave(struct run *run, const struct desired *desired, const struct json *live)
{
	return live && patch_strip(live, desired->object, desired->full, desired->allowed, &run->custom, NULL, run->arena);
}

/* Somebody changed an object: it is told and recorded, and mended unless that is off or they take it back each time. */
static void heal_or_tell(struct run *run, struct action *action, const struct desired *desired, const struct extra *who)
{
	plan_differs(run, action, "OutOfSync", action->why);
	if (may_heal(run)) {
		contest_change(run, action, who, is_grave(run, desired, action->live));
		return;
	}
	records_drift(run, action, who);
	plan_hold_back(run, action);
}

/* Whose exactness is asked for; NULL: extras may stay. */
static const struct application *exact_of(const struct run *run, const struct desired *desired)
{
	return desired->options.exact ? &run->spec : NULL;
}

/* Policies look for images elsewhere than when it was written, and find what is declared there. */
static bool is_looked_at_anew(struct run *run, const struct desired *desired, const struct live_object *live, const struct inventory_item *item)
{
	const struct digest *now = &live_more(live)->images;
	struct digest declared;

	if (live->metadata_only || digest_equal(now, &item->images))
		return false;
	declared = gate_images_digest(desired->object, &run->custom, run->arena);
	return digest_equal(now, &declared);
}

/* What is remembered of an object that is in order, and was said anew meanwhile without a change of the object: by the Application, by a policy. */
static void note_outdated(struct run *run, struct desired *desired, const struct live_object *live, const struct inventory_item *item)
{
	if (run->operation_dry_run)
		return;
	desired->images_outdated = is_looked_at_anew(run, desired, live, item);
	run->outdated |= desired->images_outdated || item->no_prune != desired->options.prune_disabled ||
			 item->no_delete != desired->options.delete_disabled;
}

/* By whoever changed it: nothing differs any more, and where nothing is healed his hold on the field is not taken from him. */
static bool is_set_back(const struct run *run, const struct desired *desired, const struct json *live)
{
	CLEANUP(str_release) struct str pointer = STR_INIT;

	return !may_heal(run) && !compare_declared(desired->object, live, &pointer);
}

static void plan_drift(struct run *run, struct desired *desired, const struct live_object *live, const struct inventory_item *item)
{
	struct extra who = { "", "", "" };
	struct json *object = NULL;
	const char *why = "a declared field was changed";
	struct action *action;
	bool same;

	if (live_more(live)->drifted && !json_parse(span_of(live_more(live)->drifted), run->arena, 0, &object, NULL))
		why = drift_text(run, desired, object, !digest_equal(&live_more(live)->images, &item->images), &who);
	if (object)
		live_declared(run->core->live, desired->key, object, desired->object);
	/* somebody else holds it by now, and yet it is all as it would be applied, with what is left to others as they have it */
	same = digest_equal(&live->owned, &item->owned) || (object && *desired->taken && ignore_is_so(desired->object, desired->taken, object)) ||
	       (object && is_set_back(run, desired, object));
	/* images that came in from elsewhere and were judged as any other: they may stay */
	if (object && same &&
	    !patch_strip(object, desired->object, desired->full, desired->allowed, &run->custom, exact_of(run, desired), run->arena)) {
		note_outdated(run, desired, live, item);
		return;
	}
	action = plan_add(run, ACT_HEAL, desired, why);
	action->live = object;
	action->uid = live_uid(live, run->arena);
	action->force = true;
	action->exact = exact_of(run, desired);
	action->stage = same ? STAGE_STRIP : STAGE_APPLY;
	heal_or_tell(run, action, desired, &who);
}

/* Extras that are taken out again: all of them where exactness is asked for, those that weaken security anyway. */
static bool plan_extras(struct run *run, struct desired *desired, const struct live_object *live, const struct json *read)
{
	const struct application *exact = exact_of(run, desired);
	struct action *action;
	struct extra who;
	const char *why;

	if (!read || !patch_has_extras(read, desired->object, exact, run->arena, &who))
		return false;
	why = arena_printf(run->arena, "%s added by %s%s%s", who.path, *who.manager ? who.manager : "an unknown manager",
			   *who.time ? " at " : "", who.time);
	action = plan_add(run, ACT_HEAL, desired, why);
	action->stage = STAGE_STRIP;
	action->live = read;
	action->exact = exact;
	action->uid = live_uid(live, run->arena);
	heal_or_tell(run, action, desired, &who);
	return true;
}

static void plan_update(struct run *run, struct desired *desired, const struct live_object *live, const struct json *read)
{
	struct action *action = plan_add(run, ACT_UPDATE, desired, "differs from what Git declares");

	action->uid = live_uid(live, run->arena);
	action->live = read;
	action->force = true;
	action->stage = STAGE_APPLY;
	/* a field that is ignored from now on: its live value must outlive our giving it up */
	if (*desired->released && patch_holds(read, desired->released))
		action->stage = STAGE_RELEASE;
	plan_differs(run, action, "OutOfSync", action->why);
}

static void plan_missing(struct run *run, struct desired *desired, const struct inventory_item *item)
{
	/* what we only tried to make, and got no uid for, was never there as far as anybody knows */
	bool made = item && *item->uid;
	struct action *action = plan_add(run, made ? ACT_HEAL : ACT_CREATE, desired, made ? "was deleted by somebody" : "does not exist yet");
	struct extra nobody = { "", "", "" };

	action->stage = *desired->released ? STAGE_FULL : STAGE_APPLY;
	plan_differs(run, action, "OutOfSync", action->why);
	if (!made)
		return;
	action->force = true;
	if (may_heal(run)) {
		contest_deletion(run, action);
		return;
	}
	records_drift(run, action, &nobody);
	plan_hold_back(run, action);
}

static int plan_one(struct run *run, struct desired *desired, struct error *err)
{
	const struct live_object *live = live_find(run->core->live, desired->key);
	const struct json *read = read_of(run, desired->key);
	const struct inventory_item *item =
		inventory_find(app_inventory(run->app), desired->group, desired->kind, desired->namespace, desired->name);
	CLEANUP(str_release) struct str text = STR_INIT;
	bool same_uid = item && live && *item->uid && live_has_uid(live, item->uid);
	struct ignored ignored;

	if (ignore_concerns(&run->spec, desired->object)) {
		desired->full = json_copy(run->arena, desired->object);
		ignored = ignore_apply(&run->spec, desired->object, read, &run->custom, run->arena);
		desired->released = ignored.removed;
		desired->taken = ignored.taken;
	}
	json_write(desired->object, JSON_SORTED, &text);
	desired->digest = *desired->taken ? ignore_digest(desired->object, desired->taken, run->arena) : digest_of(str_span(&text));
	if (text.length > LIMIT_OBJECT_BYTES)
		return error_set(err, ERROR_LIMIT, "TooLarge", "%s %s/%s (%s:%u) has %zu bytes; etcd takes at most %u", desired->kind,
				 desired->namespace, desired->name, desired->file, desired->line, text.length, LIMIT_OBJECT_BYTES);
	if (same_uid && !digest_equal(&item->desired, &desired->digest))
		plan_update(run, desired, live, read);
	else if (same_uid && !live->metadata_only &&
		 (!digest_equal(&live->owned, &item->owned) || !digest_equal(&live_more(live)->images, &item->images)))
		plan_drift(run, desired, live, item);
	else if (same_uid && !plan_extras(run, desired, live, read))
		note_outdated(run, desired, live, item);
	else if (!same_uid && read)
		return plan_existing(run, desired, read, err);
	else if (!same_uid)
		plan_missing(run, desired, item);
	return 0;
}

/* CreateNamespace=true: the destination, where neither Git nor the cluster has it. Not in the inventory, so never pruned. */
static int plan_namespace(struct run *run, struct error *err)
{
	const char *name = run->spec.destination_namespace;
	char *key = live_key(run->arena, "", "Namespace", "", name);
	const struct json *read = map_get(&run->reads, span_of(key));
	struct desired *desired;
	struct kube_kind *kind;
	struct json *metadata;

	if (!run->spec.options.create_namespace || !*name || live_find(run->core->live, key) || !json_is(read, JSON_NULL))
		return 0;
	for (size_t i = 0; i < run->desired_count; i++)
		if (!strcmp(run->desired[i].key, key))
			return 0;
	kind = ARENA_NEW(run->arena, struct kube_kind);
	*kind = (struct kube_kind){ "", "v1", "Namespace", "namespaces", false, true, true, true };
	desired = ARENA_NEW(run->arena, struct desired);
	*desired = (struct desired){ .object = json_object(run->arena), .kind_known = kind, .group = "", .version = "v1",
				     .kind = "Namespace", .namespace = "", .name = name, .key = key, .file = "syncOptions",
				     .account = run->account, .wave = -1000001, .released = "", .taken = "", .unmanaged = true,
				     .images_allowed = true };  /* made here: it carries none */
	json_set_string(run->arena, desired->object, "apiVersion", "v1");
	json_set_string(run->arena, desired->object, "kind", "Namespace");
	metadata = json_set(run->arena, desired->object, "metadata", json_object(run->arena));
	json_set_string(run->arena, metadata, "name", name);
	if (permission_of_desired(run, desired, &desired->account, err))
		return -1;
	plan_add(run, ACT_CREATE, desired, "CreateNamespace=true")->stage = STAGE_APPLY;
	run->out_of_sync = true;
	return 0;
}

/* What is put back first, then applies, in order; then deletes, last made first. */
static int by_turn(const void *a, const void *b)
{
	const struct action *x = a, *y = b;
	bool dx = x->act == ACT_DELETE, dy = y->act == ACT_DELETE;
	int sign = dx ? -1 : 1;

	if (dx != dy)
		return dx ? 1 : -1;
	if (action_comes_first(x) != action_comes_first(y))
		return action_comes_first(x) ? -1 : 1;
	if (x->wave != y->wave)
		return x->wave < y->wave ? -sign : sign;
	if (x->rank != y->rank)
		return x->rank < y->rank ? -sign : sign;
	return strcmp(x->key, y->key);
}

/* Whether this run may change the cluster at all. */
bool plan_may_write(const struct run *run)
{
	return run->goal == GOAL_DELETE || run->manual || (run->spec.automated && (run->goal != GOAL_HEAL || run->spec.self_heal));
}

static void number(struct run *run)
{
	uint32_t ordinal = 0;

	if (run->action_count)
		qsort(run->actions, run->action_count, sizeof(struct action), by_turn);
	for (size_t i = 0; i < run->action_count; i++) {
		struct action *action = &run->actions[i];

		if (!plan_may_write(run) || run->operation_dry_run || !run->verified) {
			run->holds_back |= !action->finished;
			action->finished = true;
		}
		if (!action->finished)
			action->ordinal = ordinal++;
	}
}

enum step_result step_plan(struct run *run)
{
	struct error err = ERROR_INIT, refused = ERROR_INIT;

	run->differences = json_array(run->arena);
	run->differing = 0;
	run->undone = (struct error)ERROR_INIT;
	run->same_revision = run->revision && !strcmp(app_inventory(run->app)->revision, run->revision);
	if (run->goal == GOAL_DELETE) {
		if (plan_deletion(run, &err))
			return run_fail(run, &err);
		run->verified = true;
		number(run);
		return STEP_NEXT;
	}
	claims_pruning_waits(run->app, false);
	if (plan_namespace(run, &err))
		return run_fail(run, &err);
	for (size_t i = 0; i < run->desired_count; i++)
		if (plan_one(run, &run->desired[i], &err))
			return run_fail(run, &err);
	if (plan_prune(run, &refused)) {
		run->err = refused;   /* told, but the rest of the plan goes on */
		run->prune_refused = run->only_told = true;
	}
	if (run->app->unhealed && !run->out_of_sync) {
		/* gone without our doing: told anew by a whole run */
		run->app->unhealed = false;
		run->app->again = run->app->force = true;
	}
	if (run->undone.reason[0] && !run->err.reason[0]) {
		run->err = run->undone;   /* likewise */
		run->only_told = true;
	}
	number(run);
	return STEP_NEXT;
}
