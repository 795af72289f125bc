/* What is taken back again and again; see contest.h. */
#include "reconcile/contest.h"

#include "base/clock.h"
#include "reconcile/planning.h"
#include "reconcile/records.h"

#define HEALS_MAX 5
#define HEALS_WINDOW_MS (5 * 60 * 1000)
/* What must not stay is taken out no faster than this. */
#define GRAVE_PACE_MS 5000
/* What was deleted so often is made anew after pauses that double, from and to this; and one object a second in the long run. */
#define ANEW_AT_ONCE 10
#define ANEW_FIRST_MS 1000
#define ANEW_MOST_MS (10 * 60 * 1000)
#define ANEW_EACH_MS 1000

/* What was mended of one object of late. */
struct heal {
	int64_t first_ms, last_ms;
	int64_t missing_ms;          /* since when it is seen to be gone; 0: it was not since the last time */
	int64_t pause_ms;            /* it is made anew so long after the last time; 0: at once */
	unsigned count;
	struct digest told;          /* of the drift that was last recorded and not mended since */
	bool vanishes;               /* that it is deleted each time was recorded and told */
};

/* Retries of one revision do not: each would begin another round at once. */
static bool begins_anew(const struct run *run)
{
	const char *tried = run->app->tried_revision;

	return (run->manual && !run->operation_dry_run) || (run->goal == GOAL_SYNC && !run->same_revision && (!tried || strcmp(tried, run->revision)));
}

static struct heal *heal_of(struct run *run, const struct action *action)
{
	struct heal *heal = map_get(&app_dealings(run->app)->heals, span_of(action->key));
	int64_t now = clock_mono_ms();

	if (!heal) {
		heal = mem_alloc(sizeof(*heal));
		*heal = (struct heal){ .first_ms = now };
		map_set(&app_deal(run->app)->heals, span_of(action->key), heal);
	}
	if (begins_anew(run) || (!heal->pause_ms && now - heal->first_ms > HEALS_WINDOW_MS))
		*heal = (struct heal){ .first_ms = now };
	return heal;
}

/* One change is recorded once, however many runs see it until it is mended. */
static void record(struct run *run, const struct action *action, const struct extra *who, struct heal *heal)
{
	struct digest digest = digest_of(span_of(action->why));
	struct error ignored = ERROR_INIT;

	/* while the log is away the next run sees it again */
	if (digest_equal(&digest, &heal->told) || core_may_record(run->core, &ignored))
		return;
	heal->told = digest;
	records_drift(run, action, who);
}

/* --- fields, and what must not stay --------------------------------------------------------------------------- */

static void contest(struct run *run, struct action *action, const struct extra *who, bool grave)
{
	struct error err = ERROR_INIT;

	error_set(&err, ERROR_CONFLICT, "Contested", "%s: %s was taken back %d times within minutes, last by %s; %s", action->title,
		  *who->path ? who->path : "a declared field", HEALS_MAX, *who->manager ? who->manager : "an unknown manager",
		  grave ? "it may not stay and is taken out again every few seconds: stop who puts it there, or declare it in Git, then refresh"
			: "it is not fought any further: settle who owns the field (ignoreDifferences leaves it to others), then refresh");
	plan_hold_back(run, action);
	run->contested_anew = true;
	run->undone = err;
}

void contest_change(struct run *run, struct action *action, const struct extra *who, bool grave)
{
	struct heal *heal = heal_of(run, action);
	int64_t now = clock_mono_ms();

	/* it is there, so nobody deletes it faster than it is made */
	if (heal->pause_ms && now - heal->last_ms > HEALS_WINDOW_MS)
		*heal = (struct heal){ .first_ms = now };
	record(run, action, who, heal);
	if (heal->count < HEALS_MAX || (grave && now - heal->last_ms >= GRAVE_PACE_MS))
		return;
	if (grave)
		app_enqueue(run->app, GRAVE_PACE_MS - (now - heal->last_ms));
	contest(run, action, who, grave);
}

/* --- objects that are deleted ----------------------------------------------------------------------------------- */

/* When it may be made anew; 0: at once, as one that is deleted for the first time in minutes. */
static int64_t anew_from(const struct run *run, const struct heal *heal)
{
	int64_t own = heal->last_ms + heal->pause_ms, all = app_dealings(run->app)->anew_from_ms;

	if (!heal->pause_ms)
		return 0;
	return own > all ? own : all;
}

static void await_deleter(struct run *run, struct action *action)
{
	CLEANUP(str_release) struct str others = STR_INIT;

	plan_hold_back(run, action);
	if (!run->vanishing)
		run->vanishing = action->title;
	run->vanishing_count++;
	if (run->vanishing_count > 1)
		str_addf(&others, " (and so were %zu other objects)", run->vanishing_count - 1);
	run->undone = (struct error)ERROR_INIT;
	error_set(&run->undone, ERROR_CONFLICT, "Contested", "%s was deleted again %d times within minutes%s; it is made anew ever more seldom, every %d minutes "
		  "in the end: find out who deletes it (metadata.ownerReferences that name an owner which does not exist, a time to live, a tool that "
		  "cleans up), or take it out of Git; countersign sync makes it at once", run->vanishing, ANEW_AT_ONCE, str_c(&others), ANEW_MOST_MS / 60000);
}

void contest_deletion(struct run *run, struct action *action)
{
	static const struct extra nobody = { "", "", "" };
	struct heal *heal = heal_of(run, action);
	int64_t now = clock_mono_ms(), from;

	if (!heal->missing_ms)
		heal->missing_ms = now;
	/* it stayed for long meanwhile */
	if (heal->pause_ms && heal->missing_ms - heal->last_ms > HEALS_WINDOW_MS)
		*heal = (struct heal){ .first_ms = now, .missing_ms = now };
	from = anew_from(run, heal);
	if (!heal->vanishes)
		record(run, action, &nobody, heal);
	if (now >= from)
		return;
	run->contested_anew |= !heal->vanishes;
	heal->vanishes = true;
	await_deleter(run, action);
	app_enqueue(run->app, from - now);
}

void contest_log_is_back(struct app *app)
{
	MAP_EACH(entry, &app_dealings(app)->heals)
		((struct heal *)entry->value)->told = (struct digest){ { 0 } };
}

/* --- what was mended -------------------------------------------------------------------------------------------- */

/* It was found gone, so there was no object to name. */
static bool makes_anew(const struct action *action)
{
	return !action->uid;
}

void contest_count(struct run *run)
{
	int64_t now = clock_mono_ms(), paced = 0;

	for (size_t i = 0; i < run->action_count; i++) {
		const struct action *action = &run->actions[i];
		struct heal *heal = action->act == ACT_HEAL && action->applied ? map_get(&app_dealings(run->app)->heals, span_of(action->key)) : NULL;

		if (!heal)
			continue;
		paced += heal->pause_ms && makes_anew(action);
		heal->count++;
		heal->last_ms = now;
		heal->missing_ms = 0;
		heal->told = (struct digest){ { 0 } };
		if (makes_anew(action) && heal->count >= ANEW_AT_ONCE)
			heal->pause_ms = clock_backoff(heal->pause_ms, ANEW_FIRST_MS, ANEW_MOST_MS);
	}
	if (paced)
		app_deal(run->app)->anew_from_ms = now + (paced * ANEW_EACH_MS > ANEW_FIRST_MS ? paced * ANEW_EACH_MS : ANEW_FIRST_MS);
}

bool contest_is_old(const struct run *run, const struct action *action)
{
	const struct heal *heal = map_get(&app_dealings(run->app)->heals, span_of(action->key));

	return heal && heal->vanishes && makes_anew(action);
}
