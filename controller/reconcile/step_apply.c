/*
 * apply: the plan's actions, wave by wave; within a wave by rank of kind, and
 * within a rank side by side. The next wave waits until what is there is
 * healthy. Deletes come last, and only if everything before them went well.
 */
#include "base/clock.h"
#include "diff/fields.h"
#include "diff/patch.h"
#include "gate/images.h"
#include "reconcile/claims.h"
#include "reconcile/live.h"
#include "reconcile/permission.h"
#include "reconcile/repos.h"
#include "reconcile/report.h"
#include "reconcile/steps.h"

/* Of one run, a third of what may be under way in all (kube/window.h): writes that hang must not hold up everybody else. */
#define IN_FLIGHT_MAX 12
/* So long a kind that came with the sync may take to be watched. */
#define SEE_MOST_MS 10000
#define SEE_AGAIN_MS 200

/* The first place in an object that holds what must not stay; NULL: there is none. */
static const char *what_must_go(struct run *run, const struct action *action, const struct json *live)
{
	const struct json *patch = patch_strip(live, action->object, action->full, action->allowed, action->custom, NULL, run->arena);

	return patch ? json_get_text(json_at(patch, 1), "path") : NULL;
}

/* What must not stay and the API server does not let go. */
static void check_left(struct run *run, struct action *action)
{
	const char *left = action->live && action->act == ACT_HEAL ? what_must_go(run, action, action->live) : NULL;
	struct error err = action->err;

	if (left && err.kind == ERROR_INVALID)
		error_set(&action->err, err.kind, "CannotBeTakenOut", "%s; but %s must not stay: delete the object, and it is made anew without it", err.text,
			  left);
}

/* What must not stay and came back within the very answer: something in the API server's way in puts it there. */
static void check_gone(struct run *run, struct action *action)
{
	const struct json *patch;

	if (action->err.reason[0])
		check_left(run, action);
	if (action->err.reason[0] || !action->after || action->act == ACT_DELETE)
		return;
	patch = action->clean ? NULL
			      : patch_strip(action->after, action->object, action->full, action->allowed, action->custom, NULL, run->arena);
	if (!patch && run->app->unhealed) {
		/* gone at last: told anew by a whole run */
		run->app->unhealed = false;
		run->app->again = run->app->force = true;
	}
	if (!patch)
		return;
	run->app->unhealed = true;
	error_set(&action->err, ERROR_CONFLICT, "Contested", "%s: %s must not stay, but comes back with each write: a mutating webhook or "
		  "admission policy of the cluster puts it there; exempt the object there, or have what it adds signed", action->title,
		  json_get_text(json_at(patch, 1), "path"));
}

static void note_deleted(struct live *live, const struct action *action)
{
	const struct live_object *object = live_find(live, action->key);

	if (!action->kept)
		live_deleted(live, action->key);
	else if (object && !object->app)
		/* without a mark nobody tells of it any more */
		live_drop(live, action->key);
}

static void on_done(struct action *action, void *data)
{
	struct run *run = data;

	run->in_flight--;
	check_gone(run, action);
	if (action->err.reason[0]) {
		run->apply_failed = true;
		run_fail(run, &action->err);
	}
	if (action->act == ACT_DELETE && !action->err.reason[0])
		note_deleted(run->core->live, action);
	if (action->after && !action->destination)
		live_take(run->core->live, action->after, action->group, action->kind);
	if (!strcmp(action->kind, "CustomResourceDefinition") && action->after)
		run->definitions_applied = true;
	run_wake(run);
	run_release(run);
}

static void start(struct run *run, struct action *action)
{
	static const struct action_rules rules = { permission_to_send, claims_why_kept };
	struct error err = ERROR_INIT;

	if (!action->resource) {
		/* the kind itself is gone, and its objects with it */
		action->finished = true;
		return;
	}
	if (!action->permit.images_allowed) {
		error_set(&err, ERROR_DENIED, "NotVerified", "%s carries an image that no verdict allows", action->title);
		action->err = err;
		action->finished = true;
		run->apply_failed = true;
		run_fail(run, &err);
		return;
	}
	action->permit.log_id = run->core->log_id;
	action->permit.intent_seq = run->intent_seq;
	action->permit.intent_durable = run->intent_durable;
	run->in_flight++;
	run_hold(run);
	action_start(action, run->core->kube, run->core->loop, run->arena, &rules, on_done, run);
}

static bool same_turn(const struct action *a, const struct action *b)
{
	return a->wave == b->wave && a->rank == b->rank && (a->act == ACT_DELETE) == (b->act == ACT_DELETE) &&
	       action_comes_first(a) == action_comes_first(b);
}

/* The first action that is neither finished nor under way; NULL: none. */
static struct action *first_open(struct run *run)
{
	for (size_t i = 0; i < run->action_count; i++)
		if (!run->actions[i].finished && !run->actions[i].in_flight)
			return &run->actions[i];
	return NULL;
}

static const struct action *any_in_flight(const struct run *run)
{
	for (size_t i = 0; i < run->action_count; i++)
		if (run->actions[i].in_flight)
			return &run->actions[i];
	return NULL;
}

/* --- waiting for health between waves ------------------------------------------------------------------------------ */

static enum health health_in(const struct run *run, const struct desired *desired, const char **message)
{
	const struct live_object *live = live_find(run->core->live, desired->key);

	*message = live && live_more(live)->health_message ? live_more(live)->health_message : live ? "" : "was not seen yet";
	/* kinds that are only now being watched tell nothing yet; what is not watched cannot be waited for */
	return live ? (enum health)live->health : HEALTH_PROGRESSING;
}

/* Whether all of the waves before `wave` is healthy; false: *desired is what is waited for, *degraded that it will not be. */
static bool are_healthy_before(struct run *run, int wave, const struct desired **waited, bool *degraded, const char **message)
{
	*degraded = false;
	for (size_t i = 0; i < run->desired_count; i++) {
		const struct desired *desired = &run->desired[i];
		enum health health;

		if (desired->wave >= wave || desired->unmanaged)
			continue;
		health = health_in(run, desired, message);
		if (health == HEALTH_HEALTHY || health == HEALTH_SUSPENDED)
			continue;
		*waited = desired;
		*degraded = health == HEALTH_DEGRADED;
		return false;
	}
	return true;
}

/* A CRD serves its kind a moment after it was applied, or never: its names may be another's. *waited and the rest as above. */
static bool are_definitions_ready(struct run *run, const struct action *next, const struct desired **waited, bool *degraded,
				  const char **message)
{
	for (size_t i = 0; i < run->desired_count; i++) {
		const struct desired *desired = &run->desired[i];
		enum health health;

		if (strcmp(desired->kind, "CustomResourceDefinition") || desired->wave > next->wave || desired->rank >= next->rank)
			continue;
		health = health_in(run, desired, message);
		if (health == HEALTH_HEALTHY)
			continue;
		*waited = desired;
		*degraded = health == HEALTH_DEGRADED;
		return false;
	}
	return true;
}

static enum step_result wait_a_little(struct run *run)
{
	run_wake_in(run, 1000);
	return STEP_WAIT;
}

/* A newer commit supersedes a sync that does not progress. */
static bool is_superseded(struct run *run)
{
	struct error err = ERROR_INIT;
	char commit[65];

	return run->goal == GOAL_SYNC && !run->manual &&
	       repos_resolve(run->core->repos, run->app, run->spec.repo_url, run->spec.target_revision, 0, commit, &err) == REPO_READY &&
	       strcmp(commit, run->tip);
}

/* Held back until the one of that name is gone. */
static bool is_awaited(const struct action *action)
{
	return action->act == ACT_CREATE && !action->in_plan && action->live;
}

/* It is not as the answer to its last write gave it. */
static bool is_tampered_with(struct run *run, const struct action *action, const struct live_object *live)
{
	struct digest left, images;

	if (!action->after || live->metadata_only)
		return false;
	left = fields_digest(action->after);
	images = gate_images_digest(action->after, &run->custom, run->arena);
	return !digest_equal(&left, &live->owned) || !digest_equal(&images, &live_more(live)->images);
}

/*
 * An object that somebody deleted since this run wrote it, or, if it does not write it, deleted or changed since it was planned:
 * only a new plan mends it.
 */
static bool is_drifted_since(struct run *run, const struct desired *desired)
{
	const struct live_object *live = live_find(run->core->live, desired->key);
	const struct inventory_item *item =
		inventory_find(app_inventory(run->app), desired->group, desired->kind, desired->namespace, desired->name);

	/* what was written is known from its answer on, so it is missing only when it is gone */
	for (size_t i = 0; i < run->action_count; i++)
		if (!strcmp(run->actions[i].key, desired->key))
			return run->actions[i].finished && (live ? is_tampered_with(run, &run->actions[i], live)
								 : run->actions[i].after || is_awaited(&run->actions[i]));
	if (!item || !*item->uid || desired->found)
		return false;
	return !live || !live_has_uid(live, item->uid) || (!live->metadata_only && !digest_equal(&live->owned, &item->owned));
}

/* An image in it that was not there, of what this run does not write. One that may stay is there for long: so only after something happened. */
static bool has_other_images(const struct run *run, const struct desired *desired)
{
	const struct live_object *live = live_find(run->core->live, desired->key);
	const struct inventory_item *item =
		inventory_find(app_inventory(run->app), desired->group, desired->kind, desired->namespace, desired->name);

	for (size_t i = 0; i < run->action_count; i++)
		if (!strcmp(run->actions[i].key, desired->key))
			return false;
	return live && item && !live->metadata_only && !digest_equal(&live_more(live)->images, &item->images);
}

/* The first such object: the one that is waited for (or NULL), or one of those with which something happened since this was asked. NULL: none. */
static const struct desired *find_drifted(struct run *run, const struct desired *waited)
{
	if (waited && is_drifted_since(run, waited))
		return waited;
	for (size_t i = 0; run->disturbed.count && i < run->desired_count; i++) {
		const struct desired *one = &run->desired[i];

		/* each is looked at once: a large wave tells of thousands */
		if (map_remove(&run->disturbed, span_of(one->key)) && !one->unmanaged && (is_drifted_since(run, one) || has_other_images(run, one)))
			return one;
	}
	map_release(&run->disturbed);
	return NULL;
}

/* Told while it lasts, since it may last long: whoever waits until it is ready must not go by what it was before. */
static void tell_waiting(struct run *run)
{
	if (run->goal == GOAL_SYNC) {
		report_of(run->app)->sync_status = "OutOfSync";
		report_text(&report_of(run->app)->compared_revision, run->revision);
		report_looked_at(run->app, &run->spec);
		/* of the first that it writes nothing is remembered yet, and it would say that nothing was applied */
		if (app_inventory(run->app)->count)
			report_health(run->app);
	}
	report_write(run->app);
}

static enum step_result wait_for_health(struct run *run, const struct desired *desired, bool degraded, const char *message)
{
	const struct desired *drifted;
	struct error err = ERROR_INIT;

	report_condition(run->app, CONDITION_SYNCED, TRUTH_UNKNOWN, "WaitingForHealth", "wave %d waits for %s %s/%s: %s",
			 desired->wave, desired->kind, desired->namespace, desired->name, message);
	if (is_superseded(run)) {
		error_set(&err, ERROR_CANCELED, "Superseded", "a newer commit is there; this sync did not progress (%s %s/%s: %s)",
			  desired->kind, desired->namespace, desired->name, message);
		run->app->again = true;
	} else if ((drifted = find_drifted(run, desired)) != NULL) {
		error_set(&err, ERROR_CANCELED, "Superseded", "%s %s/%s was changed by somebody meanwhile, and is mended before the later waves",
			  drifted->kind, drifted->namespace, drifted->name);
		run->app->dirty = run->app->again = true;
	} else if (permission_verdicts(run, &err)) {
		run->app->again = true;
	} else if (degraded || clock_mono_ms() > run->deadline_ms) {
		error_set(&err, ERROR_TRANSIENT, degraded ? "Degraded" : "HealthTimeout",
			  "%s %s/%s (%s:%u) did not become healthy, so what comes after it was not applied: %s", desired->kind,
			  desired->namespace, desired->name, desired->file, desired->line, message);
	} else {
		tell_waiting(run);
		return wait_a_little(run);
	}
	run->apply_failed = true;
	run_fail(run, &err);
	return STEP_NEXT;
}

/* --- waiting for the end of what was deleted, between waves ---------------------------------------------------------- */

/* What was deleted of another wave and is there still: who ends it (an operator, say) may be in the wave that goes next. NULL: nothing. */
static const struct action *still_going(const struct run *run, int wave)
{
	for (size_t i = 0; i < run->action_count; i++) {
		const struct action *action = &run->actions[i];
		const struct live_object *live = action->act == ACT_DELETE && action->in_plan && action->finished && !action->kept && action->wave != wave
							 ? live_find(run->core->live, action->key) : NULL;

		if (live && live_has_uid(live, action->uid))
			return action;
	}
	return NULL;
}

/* Not past a newer commit, nor past drift, which would not be healed meanwhile. */
static enum step_result wait_for_end(struct run *run, const struct action *going)
{
	const char *message = live_more(live_find(run->core->live, going->key))->health_message;
	struct error err = ERROR_INIT;

	message = message ? message : "is being deleted";
	report_condition(run->app, CONDITION_SYNCED, TRUTH_UNKNOWN, "WaitingForDeletion", "%s of wave %d %s; what is of earlier waves is deleted when it is gone",
			 going->title, going->wave, message);
	if (is_superseded(run) || find_drifted(run, NULL)) {
		error_set(&err, ERROR_CANCELED, "Superseded", "a newer commit, or drift, comes first; after it the rest is deleted, which waits for %s: it %s", going->title,
			  message);
		run->app->again = true;
	} else if (clock_mono_ms() > run->deadline_ms) {
		error_set(&err, ERROR_TRANSIENT, "BeingDeleted", "%s %s, and so what is of earlier waves was not deleted", going->title, message);
	} else {
		tell_waiting(run);
		return wait_a_little(run);
	}
	run->apply_failed = true;
	run_fail(run, &err);
	return STEP_NEXT;
}

/* --- the step ------------------------------------------------------------------------------------------------------- */

/* What is left undone after a failure is told as not sent. */
static enum step_result stop_here(struct run *run)
{
	return run->in_flight ? STEP_WAIT : STEP_NEXT;
}

static void on_discovered(void *data, const struct error *err)
{
	struct run *run = data;

	(void)err; /* the action's own retries tell if the kind does not come */
	run->discovering = false;
	run_wake(run);
	run_release(run);
}

static bool is_discovered(const struct run *run, const struct desired *desired)
{
	return discovery_find(run->core->discovery, span_of(desired->group), desired->version, span_of(desired->kind)) != NULL;
}

/* Kinds that came with this revision are watched from now on. */
static bool watch_new_kinds(struct run *run)
{
	struct error ignored = ERROR_INIT;

	if (run->definitions_applied && !run->discovering) {
		run->definitions_applied = false;
		run->discovering = true;
		run_hold(run);
		discovery_refresh(run->core->discovery, on_discovered, run);
	}
	if (run->discovering)
		return false;
	for (size_t i = 0; i < run->desired_count; i++) {
		const struct desired *desired = &run->desired[i];

		if (desired->kind_later && is_discovered(run, desired))
			live_want(run->core->live, desired->kind_known, desired->namespace, NULL, &ignored);
	}
	return true;
}

/* How much is known of a kind, or of a namespace's Secrets, that may have come with this very sync: before it there was nothing to watch. */
static enum live_state sight_of(struct run *run, const struct desired *desired, struct error *err)
{
	bool secret = !*desired->group && !strcmp(desired->kind, "Secret");
	enum live_state state;

	if (!secret && !desired->kind_later)
		return LIVE_LISTED;
	if (!secret && !is_discovered(run, desired)) {
		/* asked again: its CRD is established before discovery shows it */
		run->definitions_applied = true;
		error_set(err, ERROR_TRANSIENT, "KindUnknown", "discovery does not show the kind yet");
		return LIVE_FAILED;
	}
	state = live_want(run->core->live, desired->kind_known, desired->namespace, secret ? desired->account : NULL, err);
	if (state == LIVE_WAITING)
		error_set(err, ERROR_TRANSIENT, "KindUnknown", "the kind is not listed yet");
	return state;
}

/* What was written is in order only once whatever becomes of it would be seen. */
static enum step_result see_what_came(struct run *run)
{
	struct error err = ERROR_INIT;
	const struct desired *desired = run->desired;
	enum live_state state = LIVE_LISTED;

	for (size_t i = 0; i < run->desired_count && state == LIVE_LISTED; i++) {
		desired = &run->desired[i];
		state = sight_of(run, desired, &err);
	}
	if (state == LIVE_LISTED)
		return STEP_NEXT;
	if (!run->see_by_ms)
		run->see_by_ms = clock_mono_ms() + SEE_MOST_MS;
	if (state != LIVE_FORBIDDEN && clock_mono_ms() < run->see_by_ms) {
		run_wake_in(run, SEE_AGAIN_MS);
		return STEP_WAIT;
	}
	error_wrap(&err, "%s %s (%s:%u) was applied, but what becomes of it would not be seen", desired->kind, desired->name, desired->file,
		   desired->line);
	run_fail(run, &err);
	return STEP_NEXT;
}

/* One that cannot be put back keeps none of the others that can from being put back; all else waits. */
static bool is_over(const struct run *run, const struct action *next)
{
	return run->canceled || run->core->stopping || (run->apply_failed && !(next && action_comes_first(next)));
}

static bool waits_for_others(const struct action *action)
{
	return action->act != ACT_DELETE && !action_comes_first(action);
}

enum step_result step_apply(struct run *run)
{
	const struct action *busy = any_in_flight(run), *going;
	const struct desired *waited;
	const char *message;
	struct action *next = first_open(run);
	bool degraded;

	if (!run->intent_durable)
		return STEP_NEXT;
	run->applying = true;
	if (is_over(run, next))
		return stop_here(run);
	for (; next && !is_over(run, next); next = first_open(run)) {
		if (busy && (!same_turn(busy, next) || run->in_flight >= IN_FLIGHT_MAX))
			return STEP_WAIT;
		if (!busy && waits_for_others(next) && !are_definitions_ready(run, next, &waited, &degraded, &message))
			return wait_for_health(run, waited, degraded, message);
		if (!busy && !watch_new_kinds(run))
			return STEP_WAIT;
		if (!busy && run->goal == GOAL_SYNC && waits_for_others(next) &&
		    !are_healthy_before(run, next->wave, &waited, &degraded, &message))
			return wait_for_health(run, waited, degraded, message);
		going = !busy && next->act == ACT_DELETE ? still_going(run, next->wave) : NULL;
		if (going)
			return wait_for_end(run, going);
		start(run, next);
		busy = any_in_flight(run);
	}
	if (is_over(run, next) || run->in_flight)
		return stop_here(run);
	return watch_new_kinds(run) ? see_what_came(run) : STEP_WAIT;
}
