/* Whose an object is; see claims.h. */
#include "reconcile/claims.h"

#include "api/repo_url.h"
#include "api/tracking.h"
#include "base/log.h"
#include "base/name.h"
#include "reconcile/held.h"
#include "reconcile/live.h"
#include "reconcile/planning.h"
#include "reconcile/repos.h"
#include "reconcile/report.h"

/* A chain of Applications above one; longer ones are taken for a circle. */
#define CHAIN_MOST 64

static struct app *holder(const struct core *core, const char *key)
{
	return live_holder(core->live, key);
}

static char *item_key(struct arena *arena, const struct inventory_item *item)
{
	return live_key(arena, item->group, item->kind, item->namespace, item->name);
}

static void look_again(struct app *app)
{
	app->force = true;
	if (app->run)
		app->again = true;
	else
		app_enqueue(app, 0);
}

/* Whoever was refused because of this object may have it now. */
static void tell_waiting(struct core *core, const char *key)
{
	if (!core->waiting)
		return;
	KEYSET_EACH(slot, &core->apps) {
		struct app *app = *slot;

		if (app->waits_for && !strcmp(app->waits_for, key))
			look_again(app);
	}
}

static void wait_for(struct app *app, const char *key)
{
	if (app->waits_for)
		app->core->waiting--;
	report_text(&app->waits_for, key);
	if (app->waits_for)
		app->core->waiting++;
}

/* --- inventories ------------------------------------------------------------------------------------------------- */

void claims_release(struct app *app)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);

	for (size_t i = 0; i < app_inventory(app)->count; i++) {
		char *key = item_key(arena, &app_inventory(app)->items[i]);

		if (holder(app->core, key) == app)
			live_hold(app->core->live, key, NULL);
	}
}

void claims_take(struct app *app)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);

	for (size_t i = 0; i < app_inventory(app)->count; i++) {
		char *key = item_key(arena, &app_inventory(app)->items[i]);

		if (*app_inventory(app)->items[i].uid && app->dealings)
			map_remove(&app->dealings->wanted, span_of(key));
		/* who is first keeps it: inventories are listed by name, so that each start says the same */
		if (!holder(app->core, key))
			live_hold(app->core->live, key, app);
	}
}

/* Who lets it go for this app may have to prune it after all. */
static void tell_offering(struct app *app, const char *key)
{
	struct app *other = holder(app->core, key);

	if (other && other != app && map_has(&app_dealings(other)->offers, span_of(key)))
		look_again(other);
}

void claims_forget(struct app *app)
{
	claims_release(app);
	MAP_EACH(entry, &app_dealings(app)->wanted)
		tell_offering(app, entry->key);
	MAP_EACH(entry, &app_dealings(app)->claiming)
		if (holder(app->core, entry->key) == app)
			live_hold(app->core->live, entry->key, NULL);
	wait_for(app, NULL);
	claims_pruning_waits(app, false);
}

void claims_drop(struct app *app, const struct map *keys)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct inventory next = *app_inventory(app);

	next.items = arena_calloc(arena, next.count + 1, sizeof(*next.items));
	next.count = 0;
	for (size_t i = 0; i < app_inventory(app)->count; i++)
		if (!map_has(keys, span_of(item_key(arena, &app_inventory(app)->items[i]))))
			next.items[next.count++] = app_inventory(app)->items[i];
	MAP_EACH(entry, keys) {
		if (!app->dealings)
			break;
		map_remove(&app->dealings->offers, span_of(entry->key));
		map_remove(&app->dealings->leaving, span_of(entry->key));
	}
	if (next.count == app_inventory(app)->count)
		return;
	app_set_inventory(app, &next);
	report_inventory(app);
	look_again(app);
}

/* Whether the app's inventory has it as written for sure. */
static bool has_written(const struct app *app, const struct inventory_item *item)
{
	return app->held && *item->uid && held_has(app->held, item);
}

/* --- circles of Applications ---------------------------------------------------------------------------------------- */

/* The Application that declares this one; NULL: nobody in Git does. */
static struct app *parent_of(const struct app *app)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct span name = span_of(app->key), namespace = span_cut(&name, '/');
	char *key = live_key(arena, API_GROUP, "Application", arena_strndup(arena, namespace), name.data);

	return holder(app->core, key);
}

static struct app *app_of_object(const struct core *core, const char *group, const char *kind, const char *namespace, const char *name)
{
	CLEANUP(str_release) struct str key = STR_INIT;

	if (strcmp(group, API_GROUP) || strcmp(kind, "Application"))
		return NULL;
	str_addf(&key, "%s/%s", namespace, name);
	return app_find(core, str_span(&key));
}

/* Whether `above` is `app` or one of those above it; *path (NULL: nobody asks) gets "above -> ... -> app". */
static bool is_above(const struct app *above, const struct app *app, struct str *path)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	const struct app *at = app;
	const char *text = app->key;

	for (unsigned depth = 0; at && depth < CHAIN_MOST; depth++) {
		if (at == above) {
			if (path)
				str_adds(path, text);
			return true;
		}
		at = parent_of(at);
		if (at)
			text = arena_printf(arena, "%s -> %s", at->key, text);
	}
	return false;
}

static int check_circle(const struct run *run, const struct desired *desired, struct error *err)
{
	const struct app *declared = app_of_object(run->core, desired->group, desired->kind, desired->namespace, desired->name);
	CLEANUP(str_release) struct str path = STR_INIT;

	if (!declared || !is_above(declared, run->app, &path))
		return 0;
	if (declared == run->app)
		return error_set(err, ERROR_CONFLICT, "ApplicationCycle",
				 "Application %s declares itself (%s:%u): its deletion would wait for its own end. Take it out of its own "
				 "folder; let another Application, or a person, declare it", run->app->key, desired->file, desired->line);
	return error_set(err, ERROR_CONFLICT, "ApplicationCycle",
			 "Applications declare each other in a circle: %s -> %s (%s:%u). Nothing of this revision was applied: take one "
			 "of these declarations out of Git", str_c(&path), declared->key, desired->file, desired->line);
}

bool claims_is_above(const struct run *run, const struct inventory_item *item)
{
	const struct app *app = app_of_object(run->core, item->group, item->kind, item->namespace, item->name);

	return app && is_above(app, run->app, NULL);
}

/* --- one run --------------------------------------------------------------------------------------------------------- */

bool claims_lets_go(const struct app *other, const char *key)
{
	return map_has(&app_dealings(other)->offers, span_of(key)) || map_has(&app_dealings(other)->leaving, span_of(key));
}

int claims_check(struct run *run, struct desired *desired, struct error *err)
{
	struct app *other = holder(run->core, desired->key);

	if (check_circle(run, desired, err))
		return -1;
	if (!other || other == run->app)
		return 0;
	if (claims_lets_go(other, desired->key)) {
		desired->from = arena_strdup(run->arena, other->key);
		return 0;
	}
	/* it may be that it declares the object no longer, and has not been asked to let go */
	if (!run->refused && (!run->app->waits_for || strcmp(run->app->waits_for, desired->key))) {
		look_again(other);
		wait_for(run->app, desired->key);
	}
	run->refused = true;
	return error_set(err, ERROR_CONFLICT, "SharedResource",
			 "%s %s%s%s (%s:%u) of Application %s belongs to Application %s already: one object has one Application, and the "
			 "one that has it keeps it. Nothing of this revision was applied: take the object out of the Git of %s or of %s",
			 desired->kind, desired->namespace, *desired->namespace ? "/" : "", desired->name, desired->file, desired->line,
			 run->app->key, other->key, run->app->key, other->key);
}

/* Those whose pruning waited for this look. */
static void tell_pruning(struct core *core, const struct app *looked)
{
	if (!core->pruning_waits)
		return;
	KEYSET_EACH(slot, &core->apps) {
		struct app *app = *slot;

		if (app != looked && app->waits_for_looks)
			look_again(app);
	}
}

/* Tells of a look only if it tells something new: two that wait for a third must not wake each other for ever. */
static void take_look(struct app *app, const char *tip, bool failed, bool refused)
{
	char known[65];
	bool news = !app->looked_once || app->look_failed != failed || app->look_refused != refused ||
		    (tip && (!app->looked_tip || strcmp(app->looked_tip, tip)));

	app->looked_once = true;
	app->look_failed = failed;
	app->look_refused = refused;
	if (tip)
		name_set(&app->looked_tip, tip);
	if (tip && repos_known(app->core->repos, app, known) && !strcmp(known, tip))
		app->news = false;
	if (news)
		tell_pruning(app->core, app);
}

void claims_no_news(struct core *core)
{
	tell_pruning(core, NULL);
}

void claims_pruning_waits(struct app *app, bool waits)
{
	app->core->pruning_waits += waits;
	app->core->pruning_waits -= app->waits_for_looks;
	app->waits_for_looks = waits;
}

void claims_declared(struct run *run)
{
	struct app *app = run->app;
	CLEANUP(map_release) struct map had = MAP_INIT;
	struct dealings *dealings = app_deal(app);
	struct map before = dealings->wanted;

	if (run->goal != GOAL_SYNC || run->operation_revision)
		return;
	dealings->wanted = (struct map)MAP_INIT;
	for (size_t i = 0; i < app_inventory(app)->count; i++)
		if (*app_inventory(app)->items[i].uid)
			map_set(&had, span_of(item_key(run->arena, &app_inventory(app)->items[i])), app);
	for (size_t i = 0; i < run->desired_count; i++) {
		const char *key = run->desired[i].key;

		/* one without a key is refused by the Project, and so will not be taken */
		if (key && !map_has(&had, span_of(key)))
			map_set(&dealings->wanted, span_of(key), app);
	}
	MAP_EACH(entry, &before)
		if (!map_has(&dealings->wanted, span_of(entry->key)))
			tell_offering(app, entry->key);
	map_release(&before);
	map_release(&dealings->leaving);
	run->declared = true;
	take_look(app, run->tip, false, false);
}

void claims_leave(struct run *run)
{
	CLEANUP(map_release) struct map keys = MAP_INIT;
	struct app *app = run->app;

	if (!run->declared || !plan_may_write(run) || run->operation_dry_run)
		return;
	for (size_t i = 0; i < run->desired_count; i++)
		if (run->desired[i].key)
			map_set(&keys, span_of(run->desired[i].key), app);
	for (size_t i = 0; i < app_inventory(app)->count; i++) {
		char *key = item_key(run->arena, &app_inventory(app)->items[i]);

		if (map_has(&keys, span_of(key)) || holder(app->core, key) != app)
			continue;
		map_set(&app_deal(app)->leaving, span_of(key), app);
		tell_waiting(app->core, key);
	}
}

void claims_looked_before(struct run *run)
{
	if (!run->operation_revision)
		take_look(run->app, run->tip, run->app->look_failed, false);
}

void claims_looked(struct run *run)
{
	struct app *app = run->app;
	bool whole = !run->quiet && !run->early;

	if (whole && !run->refused)
		wait_for(app, NULL);
	if (run->goal != GOAL_SYNC || run->declared)
		return;
	if (whole && app->dealings)
		map_release(&app->dealings->leaving);
	if (run->operation_revision)
		return;
	take_look(app, run->tip, whole && run->err.reason[0] ? true : app->look_failed, whole && !run->permitted && run->err.reason[0]);
}

int claims_begin(struct run *run, struct error *err)
{
	for (size_t i = 0; i < run->desired_count; i++)
		if (!run->desired[i].unmanaged && claims_check(run, &run->desired[i], err))
			return -1;
	for (size_t i = 0; i < run->desired_count; i++) {
		if (run->desired[i].unmanaged)
			continue;
		live_hold(run->core->live, run->desired[i].key, run->app);
		map_set(&app_deal(run->app)->claiming, span_of(run->desired[i].key), run->app);
	}
	return 0;
}

void claims_moved(struct run *run)
{
	for (size_t i = 0; i < run->desired_count; i++) {
		const struct desired *one = &run->desired[i];
		struct app *other = one->from ? app_find(run->core, span_of(one->from)) : NULL;
		CLEANUP(map_release) struct map key = MAP_INIT;
		const struct inventory_item *item;

		if (!other || other == run->app)
			continue;
		item = inventory_find(app_inventory(run->app), one->group, one->kind, one->namespace, one->name);
		if (!item || !*item->uid)
			continue;
		log_line(LOG_INFO, "an object has moved", "key", one->key, "from", one->from, "to", run->app->key, NULL);
		map_set(&key, span_of(one->key), run);
		claims_drop(other, &key);
	}
}

void claims_end(struct run *run)
{
	CLEANUP(map_release) struct map kept = MAP_INIT;
	struct app *app = run->app;

	if (!app_dealings(app)->claiming.count)
		return;
	for (size_t i = 0; i < app_inventory(app)->count; i++)
		map_set(&kept, span_of(item_key(run->arena, &app_inventory(app)->items[i])), app);
	MAP_EACH(entry, &app_dealings(app)->claiming)
		if (!map_has(&kept, span_of(entry->key)) && holder(app->core, entry->key) == app) {
			live_hold(app->core->live, entry->key, NULL);
			tell_waiting(app->core, entry->key);
		}
	map_release(&app->dealings->claiming);
	/* what was not taken over after all is the other's as before */
	for (size_t i = 0; i < run->desired_count; i++) {
		struct app *other = run->desired[i].from ? app_find(run->core, span_of(run->desired[i].from)) : NULL;

		if (other)
			claims_take(other);
	}
}

/* --- what Git declares no longer -------------------------------------------------------------------------------------- */

const char *claims_mover(struct run *run, const struct inventory_item *item, const char *key, bool let_go, bool *moved)
{
	struct app *app = run->app;

	*moved = false;
	KEYSET_EACH(slot, &run->core->apps) {
		struct app *other = *slot;

		if (other == app || !other->present || other->brief.deleting)
			continue;
		*moved = has_written(other, item);
		if (*moved)
			return other->key;
		if (map_has(&app_dealings(other)->wanted, span_of(key)) || holder(run->core, key) == other) {
			if (let_go && !map_has(&app_dealings(app)->offers, span_of(key))) {
				map_set(&app_deal(app)->offers, span_of(key), app);
				tell_waiting(run->core, key);
			}
			return other->key;
		}
	}
	if (app->dealings)
		map_remove(&app->dealings->offers, span_of(key));
	return NULL;
}

/* However the two spell it. */
static bool is_same_repo(const char *one, const char *other)
{
	CLEANUP(str_release) struct str a = STR_INIT, b = STR_INIT;

	return !strcmp(one, other) ||
	       (!repo_url_canonical(one, &a, NULL) && !repo_url_canonical(other, &b, NULL) && span_equal(str_span(&a), str_span(&b)));
}

/* One that is spelled otherwise is asked for itself, so that what is its newest commit may be an older one. */
static bool is_behind(const struct run *run, const struct app *other, const char *tip)
{
	return strcmp(other->brief.repo_url, run->spec.repo_url) && !run->operation_revision && run->tip && other->brief.target_revision &&
	       !strcmp(other->brief.target_revision, run->spec.target_revision) && strcmp(tip, run->tip);
}

/* Whether an Application may still turn out to declare, at this commit, what another declares no longer. */
static const char *not_known_of(const struct run *run, const struct app *other)
{
	char tip[65];

	if (other == run->app || !other->present || other->brief.deleting || !other->brief.repo_url ||
	    !is_same_repo(other->brief.repo_url, run->spec.repo_url))
		return NULL;
	if (other->look_refused)
		return NULL;
	if (!other->looked_once)
		return "has not been looked at since the start";
	if (!repos_known(run->core->repos, other, tip))
		return NULL; /* its revision does not exist */
	/* a commit that touches nothing it reads needs no look */
	if (is_behind(run, other, tip) ||
	    ((!other->looked_tip || strcmp(other->looked_tip, tip)) && (!repos_told(run->core->repos, other) || other->news)))
		return "has not looked at the newest commit yet";
	/* what is wrong in it came with the very commit that took the objects from here */
	if (other->look_failed && other->tried_revision && run->revision && !strcmp(other->tried_revision, run->revision))
		return "cannot be read at this commit, so whether the objects moved there is not known: mend it first";
	return NULL;
}

const char *claims_wait(struct run *run)
{
	claims_pruning_waits(run->app, false);
	KEYSET_EACH(slot, &run->core->apps) {
		const struct app *other = *slot;
		const char *why = not_known_of(run, other);

		if (!why)
			continue;
		claims_pruning_waits(run->app, true);
		return arena_printf(run->arena, "Application %s, of the same repository, %s", other->key, why);
	}
	return NULL;
}

/* Whether that Application says the same: the mark alone is not enough, since who may write the object may write it too. */
static bool is_of(const struct app *other, const struct action *action)
{
	return other->present && (holder(other->core, action->key) == other || map_has(&app_dealings(other)->wanted, span_of(action->key)) ||
				  inventory_find(app_inventory(other), action->group, action->kind, action->namespace, action->name));
}

const char *claims_why_kept(const struct action *action, const struct json *live, void *data)
{
	struct run *run = data;
	const char *name = tracking_app(run->arena, live);
	const struct app *other = name ? app_find(run->core, span_of(name)) : NULL;

	if (!json_path(live, "metadata", "annotations", ANNOTATION_TRACKING, NULL))
		return "the annotation " ANNOTATION_TRACKING " was taken off it: it belongs to no Application any more, and stays";
	if (other && other != run->app && is_of(other, action))
		return arena_printf(run->arena, "Application %s has taken it over", other->key);
	return NULL;
}
