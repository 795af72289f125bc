/* What Git no longer declares: pruned, let go to another Application, or left; and the deletion of a whole Application. */
#include "diff/order.h"
#include "reconcile/claims.h"
#include "reconcile/live.h"
#include "reconcile/permission.h"
#include "reconcile/planning.h"

/* Fewer objects than this may all go in one commit; see controller/decisions/0003. */
#define PRUNE_GUARD_MIN 4
/* Nobody tells when the server of a group answers again. */
#define STALE_RETRY_MS 15000

static bool is_desired(const struct map *keys, const char *key)
{
	return map_has(keys, span_of(key));
}

/* That of one whose creation was never answered is what the watch told of an object with our mark. "": nobody knows of any. */
static char *uid_of(struct run *run, const struct inventory_item *item, const char *key)
{
	const struct live_object *live = *item->uid ? NULL : live_find(run->core->live, key);
	bool ours = live && live->app && !strcmp(live->app, run->app->key);

	return ours ? live_uid(live, run->arena) : arena_strdup(run->arena, item->uid);
}

static struct action *plan_delete(struct run *run, const struct inventory_item *item, const char *key, const char *why, struct error *err)
{
	struct action *action = plan_add(run, ACT_DELETE, NULL, why);
	const struct kube_kind *kind;
	const char *account;

	action->stage = STAGE_LOOK;
	/* the inventory is replaced while the run still tells of this */
	action->group = arena_strdup(run->arena, item->group);
	action->version = arena_strdup(run->arena, item->version);
	action->kind = arena_strdup(run->arena, item->kind);
	action->namespace = arena_strdup(run->arena, item->namespace);
	action->name = arena_strdup(run->arena, item->name);
	action->uid = uid_of(run, item, key);
	action->key = key;
	action->title = arena_printf(run->arena, "%s %s%s%s", item->kind, item->namespace, *item->namespace ? "/" : "", item->name);
	action->permit.account = kube_account(run->arena, permission_of_item(run, item, &account, err) ? app_inventory(run->app)->account : account);
	action->permit.images_allowed = true;  /* a delete carries none */
	kind = discovery_find(run->core->discovery, span_of(item->group), NULL, span_of(item->kind));
	if (kind) {
		struct kube_kind *copy = ARENA_NEW(run->arena, struct kube_kind);

		*copy = (struct kube_kind){ action->group, arena_strdup(run->arena, kind->version), action->kind,
					    arena_strdup(run->arena, kind->resource), kind->namespaced, false, false, true };
		action->resource = copy;
	}
	action->wave = item->wave;
	action->rank = order_rank(span_of(item->kind));
	return action;
}

/* automated.prune is said of what is done by itself: where that is switched off, a person says for each sync. */
static bool may_prune(const struct run *run)
{
	bool by_itself = run->spec.automated && run->spec.prune;

	return !run->spec.options.prune_disabled && (by_itself || (run->manual && run->operation_prune));
}

/* Whoever deleted it wants its own objects left behind: it is deleted once more. */
static bool is_to_orphan(const struct live_object *live)
{
	struct span rest = span_of(live_more(live)->health_message ? live_more(live)->health_message : "");

	while (rest.length) {
		struct span one = span_trim(span_cut(&rest, ','));

		if (span_is(one, "orphan") || span_ends(one, " orphan"))
			return true;
	}
	return false;
}

/* An object of ours that is deleted, by us or by somebody else, and is not gone yet. Of which no uid is known is one of those, as long as it is being read. */
static bool is_going(const struct run *run, const char *key, const char *uid)
{
	const struct live_object *live = live_find(run->core->live, key);

	if (live && !live->digested && !*uid)
		return true;
	return live && (live->leaving || (live->deleting && !is_to_orphan(live))) && live->app && !strcmp(live->app, run->app->key);
}

bool plan_stays(const struct run *run, const struct action *action)
{
	const struct json *metadata = json_get(action->live, "metadata"), *finalizers = json_get(metadata, "finalizers");
	const struct live_object *live = live_find(run->core->live, action->key);
	const char *uid = json_get_text(metadata, "uid");

	if (!uid || strcmp(uid, action->uid) || !live || !live_has_uid(live, uid))
		return false;
	for (size_t i = 0; i < json_count(finalizers); i++) {
		struct span one = json_text_span(json_at(finalizers, i));

		/* the garbage collector's */
		if (!span_is(one, "foregroundDeletion") && !span_is(one, "orphan"))
			return true;
	}
	return false;
}

/* As far as anybody knows: what somebody deleted, or what was refused when it was made, is not. */
static bool is_there(struct run *run, const struct inventory_item *item, const char *key)
{
	return live_find(run->core->live, key) || plan_watch(run, item) != LIVE_LISTED;
}

static size_t count_there(struct run *run)
{
	size_t count = 0;

	for (size_t i = 0; i < app_inventory(run->app)->count; i++) {
		const struct inventory_item *item = &app_inventory(run->app)->items[i];

		const char *key = live_key(run->arena, item->group, item->kind, item->namespace, item->name);

		count += is_there(run, item, key) && !is_going(run, key, item->uid);
	}
	return count;
}

/* 0, or why so much may not go at once. */
static int guard(struct run *run, size_t going, struct error *err)
{
	size_t all;

	if (!going || run->spec.allow_empty || run->operation_prune)
		return 0;
	all = count_there(run);
	if (!run->desired_count)
		return error_set(err, ERROR_DENIED, "PruneRefused",
				 "the revision declares nothing, and all %zu objects would be deleted; refused: if that is meant, set "
				 "spec.syncPolicy.automated.allowEmpty, or sync by hand with pruning", all);
	if (all >= PRUNE_GUARD_MIN && going * 2 > all)
		return error_set(err, ERROR_DENIED, "PruneRefused",
				 "%zu of %zu objects would be deleted at once; refused: if that is meant, set "
				 "spec.syncPolicy.automated.allowEmpty, or sync by hand with pruning", going, all);
	return 0;
}

enum live_state plan_watch(struct run *run, const struct inventory_item *item)
{
	const struct kube_kind *kind = discovery_find(run->core->discovery, span_of(item->group), NULL, span_of(item->kind));
	bool secret = !*item->group && !strcmp(item->kind, "Secret");
	struct error ignored = ERROR_INIT;
	const char *account = NULL;

	if (!kind || (secret && permission_of_item(run, item, &account, &ignored)))
		return LIVE_FAILED;
	return live_want(run->core->live, kind, item->namespace, account, &ignored);
}

/* Told, and left where it is. */
static void leave(struct run *run, struct action *action, const char *why)
{
	action->why = why;
	plan_hold_back(run, action);
	plan_differs(run, action, "OutOfSync", why);
}

/* Likewise, and nothing will change that by itself; one that says so of itself does not count. */
static void leave_for_good(struct run *run, struct action *action, const char *why)
{
	const struct live_object *live = live_find(run->core->live, action->key);

	if (live && live->extraneous)
		action->finished = true;
	else
		leave(run, action, why);
}

/* Another Application declares it now: it is let go, never deleted. Whether that is so. */
static bool plan_move(struct run *run, const struct inventory_item *item, char *key)
{
	struct error ignored = ERROR_INIT;
	bool moved, let_go = run->goal == GOAL_SYNC && plan_may_write(run) && run->verified && !run->operation_dry_run;
	const char *mover = claims_mover(run, item, key, let_go, &moved);

	if (mover && !moved) {
		leave(run, plan_delete(run, item, key, "", &ignored),
		      arena_printf(run->arena, "Git declares it in Application %s now, which takes it over as it is", mover));
		run->moves = true;
	}
	return mover;
}

/* What is deleted already, and waits for somebody's finalizer: told as such, while the revision is applied as it is. */
static void note_going(struct run *run, struct action *action)
{
	bool out_of_sync = run->out_of_sync;

	action->why = plan_hangs(run, live_find(run->core->live, action->key));
	if (!run->going)
		run->going = action->why;
	run->going_count++;
	run->holds_back = true;
	plan_differs(run, action, "OutOfSync", action->why);
	/* nothing is to be done about it, so a newer revision that changes nothing else is applied */
	run->out_of_sync = out_of_sync;
}

/* It is not looked at again for its own sake, but where others are deleted: those of earlier waves wait for its end. */
static void leave_going(struct run *run)
{
	for (size_t i = 0; i < run->action_count; i++)
		if (run->actions[i].act == ACT_DELETE && !run->actions[i].finished && !is_going(run, run->actions[i].key, run->actions[i].uid))
			return;
	for (size_t i = 0; i < run->action_count; i++)
		run->actions[i].finished |= run->actions[i].act == ACT_DELETE;
}

/* One object that Git no longer declares; true: it is there, and to be deleted. */
static bool plan_gone(struct run *run, const struct inventory_item *item, char *key, struct error *err)
{
	struct error refused = ERROR_INIT;
	struct action *action;

	if (plan_move(run, item, key))
		return false;
	action = plan_delete(run, item, key, "Git no longer declares it", &refused);
	if (is_going(run, key, action->uid)) {
		note_going(run, action);
		return false;
	}
	/* what is gone is deleted without harm, and forgotten by that */
	if (item->no_prune && is_there(run, item, key)) {
		leave_for_good(run, action, "Git no longer declares it; it stays, as its sync option Prune=false says");
		return false;
	}
	if (!may_prune(run)) {
		leave_for_good(run, action, "Git no longer declares it; pruning is off");
		return true;
	}
	/* nothing is deleted while its group's server does not answer */
	if (discovery_stale(run->core->discovery, span_of(item->group))) {
		leave(run, action, "Git no longer declares it; it is not deleted yet: the server of its group does not answer");
		discovery_doubt(run->core->discovery);
		run->app->force = true;
		app_enqueue(run->app, STALE_RETRY_MS);
		return true;
	}
	if (run->prune_waits || refused.reason[0]) {
		leave(run, action, arena_printf(run->arena, "Git no longer declares it; it is not deleted yet: %s",
						run->prune_waits ? run->prune_waits : refused.text));
		if (!err->reason[0] && !run->prune_waits)
			*err = refused;
		return false;
	}
	plan_differs(run, action, "OutOfSync", action->why);
	return is_there(run, item, key);
}

const char *plan_hangs(struct run *run, const struct live_object *live)
{
	struct span rest = span_of(live->key), group = span_cut(&rest, '/'), kind = span_cut(&rest, '/'), namespace = span_cut(&rest, '/');
	const char *message = live_more(live)->health_message;
	const char *title = arena_printf(run->arena, "%.*s %.*s%s%.*s", SPAN_ARG(kind), SPAN_ARG(namespace), namespace.length ? "/" : "", SPAN_ARG(rest));

	if (!live->deleting || !message)
		return arena_printf(run->arena, "%s is still there", title);
	/* the garbage collector's own, which goes after the object's own objects */
	if (!strstr(message, "finalizers") || strstr(message, "foregroundDeletion"))
		return arena_printf(run->arena, "%s %s", title, message);
	return arena_printf(run->arena, "%s %s: whoever set them takes them off when all is done; if that one is gone for good, see what it would have cleaned up, "
			    "then kubectl %s%.*s%spatch %.*s%s%.*s %.*s --type=merge -p '{\"metadata\":{\"finalizers\":null}}'", title, message,
			    namespace.length ? "-n " : "", SPAN_ARG(namespace), namespace.length ? " " : "", SPAN_ARG(kind), group.length ? "." : "",
			    SPAN_ARG(group), SPAN_ARG(rest));
}

/*
 * Nothing is left of it to prune; where this run may, it looks once more and tells of it as of the others. A rehearsal, and a revision that is
 * refused, say nothing of what the Application declares.
 */
static bool is_past(struct run *run, const struct inventory_item *item, const char *key)
{
	if (run->operation_dry_run || (run->goal == GOAL_SYNC && !run->verified))
		return false;
	return (!may_prune(run) || !plan_may_write(run)) && !is_there(run, item, key);
}

/* What a crash left in two inventories, and what went without us. */
static void drop_past(struct run *run)
{
	CLEANUP(map_release) struct map past = MAP_INIT;

	for (size_t i = 0; i < app_inventory(run->app)->count; i++) {
		const struct inventory_item *item = &app_inventory(run->app)->items[i];
		char *key = live_key(run->arena, item->group, item->kind, item->namespace, item->name);
		bool moved;

		if (map_has(&run->keys, span_of(key)))
			continue;
		claims_mover(run, item, key, false, &moved);
		if (moved || is_past(run, item, key))
			map_set(&past, span_of(key), run);
	}
	if (past.count)
		claims_drop(run->app, &past);
}

int plan_prune(struct run *run, struct error *err)
{
	size_t going = 0, first = run->action_count;
	struct error guarded = ERROR_INIT;

	for (size_t i = 0; i < run->desired_count; i++)
		map_set(&run->keys, span_of(run->desired[i].key), run);
	drop_past(run);
	for (size_t i = 0; i < app_inventory(run->app)->count; i++) {
		const struct inventory_item *item = &app_inventory(run->app)->items[i];
		char *key = live_key(run->arena, item->group, item->kind, item->namespace, item->name);

		if (is_desired(&run->keys, key))
			continue;
		if (!run->prune_waits && !going)
			run->prune_waits = claims_wait(run);
		going += plan_gone(run, item, key, err);
	}
	leave_going(run);
	/* what one deletion is refused for says nothing of the others: so many may not go all the same */
	if (!may_prune(run) || !guard(run, going, &guarded))
		return err->reason[0] ? -1 : 0;
	*err = guarded;
	for (size_t i = first; i < run->action_count; i++)
		run->actions[i].finished = true;
	run->holds_back = true;
	return -1;
}

/* A kind that is not known is gone with its objects, unless nobody could say: then it is asked anew. */
static int check_seen(struct run *run, const struct action *action, struct error *err)
{
	if (action->resource || !discovery_stale(run->core->discovery, span_of(action->group)))
		return 0;
	discovery_doubt(run->core->discovery);
	return error_set(err, ERROR_TRANSIENT, "DiscoveryStale", "delete %s: the API server's discovery for group %s is stale (its server does "
			 "not answer); waiting for it", action->title, action->group);
}

bool plan_takes(const struct run *run, const struct inventory_item *item)
{
	/* the Application's own Delete=false may be newer than what is remembered; a circle of Applications ends here: each would wait for the
	 * other's end */
	return !item->no_delete && !run->spec.options.delete_disabled && !claims_is_above(run, item);
}

void plan_forget_gone(struct run *run)
{
	CLEANUP(map_release) struct map gone = MAP_INIT;

	for (size_t i = 0; i < app_inventory(run->app)->count; i++) {
		const struct inventory_item *item = &app_inventory(run->app)->items[i];
		char *key = live_key(run->arena, item->group, item->kind, item->namespace, item->name);

		if (!*item->uid && !is_there(run, item, key))
			map_set(&gone, span_of(key), run);
	}
	if (gone.count)
		claims_drop(run->app, &gone);
}

int plan_deletion(struct run *run, struct error *err)
{
	for (size_t i = 0; i < app_inventory(run->app)->count; i++) {
		const struct inventory_item *item = &app_inventory(run->app)->items[i];
		struct action *action;

		if (!plan_takes(run, item))
			continue;
		action = plan_delete(run, item, live_key(run->arena, item->group, item->kind, item->namespace, item->name),
				     "its Application is being deleted", err);
		if (err->reason[0] || check_seen(run, action, err))
			return -1;
	}
	leave_going(run);
	return 0;
}
