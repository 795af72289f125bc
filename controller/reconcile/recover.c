/*
 * Open intents; see recover.h. Each object is read as the account that was to
 * write it. What was to be made is ours by its tracking id now; what was ours
 * before tells by its version and by the time of our last apply whether it was
 * written; what was to be deleted is gone, or going. Where another replica has
 * led since, only an object that nobody has written since tells anything.
 */
#include "reconcile/recover.h"

#include "api/inventory.h"
#include "api/tracking.h"
#include "base/clock.h"
#include "base/log.h"
#include "diff/fields.h"
#include "reconcile/app.h"
#include "reconcile/live.h"
#include "reconcile/objects.h"
#include "reconcile/report.h"
#include "reconcile/run.h"

struct recovery {
	struct core *core;
	struct arena *arena;
	struct json *intent;
	struct json *results;      /* objects[] of the sync.result */
	size_t waiting;
	/* another has led since it was announced: whose work an object shows nobody can tell, nor is its revision the newest that was begun */
	bool other_led;
	bool begun;                /* its objects are asked for */
	bool remembered;           /* the inventory says more than the one in the cluster */
	struct timer *poll;        /* runs until a run has ended, and while that is being written */
	unsigned tries;
	struct recovery *next;
};

#define POLL_MS 50
#define RETRY_MS 1000
/* One inventory that the API server refuses must not keep all Applications waiting. */
#define TRIES_MOST 60u

struct question {
	struct recovery *recovery;
	const struct json *object; /* of the intent */
};

static const char *text(const struct json *object, const char *key)
{
	const char *value = json_get_text(object, key);

	return value ? value : "";
}

/* `gvk` of a record's object: GROUP/VERSION/KIND, or VERSION/KIND in the core group. */
struct gvk {
	const char *group, *version, *kind;
};

static struct gvk gvk_of(struct recovery *recovery, const struct json *object)
{
	struct span all = span_of(text(object, "gvk")), kind, rest;
	ptrdiff_t last = span_rindex(all, '/'), first;

	kind = span_from(all, (size_t)(last + 1));
	rest = span_sub(all, 0, last > 0 ? (size_t)last : 0);
	first = span_index(rest, '/');
	return (struct gvk){ arena_strndup(recovery->arena, span_sub(rest, 0, first > 0 ? (size_t)first : 0)),
			     arena_strndup(recovery->arena, span_from(rest, (size_t)(first + 1))), arena_strndup(recovery->arena, kind) };
}

static void recovery_free(struct recovery *recovery)
{
	struct recovery **link = &recovery->core->recoveries;

	while (*link != recovery)
		link = &(*link)->next;
	*link = recovery->next;
	timer_free(recovery->poll);
	arena_free(recovery->arena);
	free(recovery);
}

/* The last of them lets the runs begin, and those go on that wanted to announce something. */
static void leave(struct recovery *recovery)
{
	struct core *core = recovery->core;

	recovery_free(recovery);
	if (--core->recovering)
		return;
	core_recover(core);
	KEYSET_EACH(slot, &core->apps) {
		struct app *app = *slot;

		if (app->run)
			run_wake(app->run);
		app_enqueue(app, 0);
	}
}

static void conclude(struct recovery *recovery)
{
	struct json *record = json_object(recovery->arena);
	struct core *core = recovery->core;

	json_set_string(recovery->arena, record, "kind", "sync.result");
	json_set_string(recovery->arena, record, "outcome", "unknown");
	json_set_string(recovery->arena, record, "reason", "Interrupted");
	json_set_string(recovery->arena, record, "message",
			"the controller ended while this was under way; what is told was read from the cluster afterwards");
	json_set(recovery->arena, record, "app", json_copy(recovery->arena, json_get(recovery->intent, "app")));
	json_set(recovery->arena, record, "project", json_copy(recovery->arena, json_get(recovery->intent, "project")));
	json_set_int(recovery->arena, record, "intent", json_get_int(recovery->intent, "seq", 0));
	json_set(recovery->arena, record, "objects", recovery->results);
	if (core->audit)
		audit_log_append(core->audit, record, NULL, NULL);
	log_line(LOG_INFO, "an interrupted sync was resolved", "app", text(recovery->intent, "app"), NULL);
	leave(recovery);
}

/* First the inventory, then the result: what a second crash leaves in between is an open intent still, and is found again. */
static void finish(struct recovery *recovery)
{
	struct app *app = app_find(recovery->core, span_of(text(recovery->intent, "app")));

	if (!app || !recovery->remembered || (!app->inventory_book.busy && !app->inventory_book.failed)) {
		conclude(recovery);
		return;
	}
	if (recovery->tries >= TRIES_MOST) {
		log_line(LOG_ERROR, "an interrupted sync is not resolved, since its inventory cannot be written; it will be at the next start", "app",
			 app->key, NULL);
		leave(recovery);
		return;
	}
	if (!app->inventory_book.busy) {
		recovery->tries++;
		report_inventory(app);
	}
	timer_start(recovery->poll, app->inventory_book.failed ? RETRY_MS : POLL_MS);
}

static void on_all_read(struct recovery *recovery)
{
	struct app *app = app_find(recovery->core, span_of(text(recovery->intent, "app")));

	if (app && recovery->remembered)
		report_inventory(app);
	finish(recovery);
}

static void note(struct recovery *recovery, const struct json *object, const char *outcome)
{
	struct json *one = json_append(recovery->arena, recovery->results, json_object(recovery->arena));
	static const char *const kept[] = { "gvk", "ns", "name", "op", "audit_id" };

	for (size_t i = 0; i < COUNT_OF(kept); i++)
		json_set_string(recovery->arena, one, kept[i], text(object, kept[i]));
	json_set_string(recovery->arena, one, "outcome", outcome);
	json_set(recovery->arena, one, "attempts", json_array(recovery->arena));
}

/* Something of the intent was done, of a revision that the inventory does not call applied. */
static void note_part(struct recovery *recovery)
{
	const char *revision = json_text(json_path(recovery->intent, "git", "commit", NULL));
	struct app *app = app_get(recovery->core, span_of(text(recovery->intent, "app")));
	struct inventory next = *app_inventory(app);

	if (!revision || next.partly || !strcmp(next.revision, revision))
		return;
	recovery->remembered = next.partly = true;
	next.app = app->key;
	app_set_inventory(app, &next);
}

/*
 * An object that was written but is in no inventory becomes a candidate, so that it is pruned or kept like any other; and one
 * that was made anew has another uid than the inventory says.
 */
static void remember(struct recovery *recovery, const struct json *object, const struct json *live)
{
	struct app *app = app_get(recovery->core, span_of(text(recovery->intent, "app")));
	struct gvk gvk = gvk_of(recovery, object);
	struct inventory next = *app_inventory(app);
	const char *uid = text(json_get(live, "metadata"), "uid");
	struct inventory_item *items, *item;

	recovery->remembered = true;
	items = arena_calloc(recovery->arena, next.count + 1, sizeof(*items));
	for (size_t i = 0; i < next.count; i++)
		items[i] = next.items[i];
	next.items = items;
	item = inventory_find(&next, gvk.group, gvk.kind, text(object, "ns"), text(object, "name"));
	/* how far one came that was made anew nobody knows: it is applied once more */
	if (item && strcmp(item->uid, uid))
		item->desired = (struct digest){ { 0 } };
	if (item)
		item->uid = uid;
	else
		items[next.count++] = (struct inventory_item){ .group = gvk.group, .version = gvk.version, .kind = gvk.kind,
							       .namespace = text(object, "ns"), .name = text(object, "name"), .uid = uid };
	next.app = app->key;
	if (!*next.account)
		next.account = text(recovery->intent, "as");
	if (!*next.project)
		next.project = text(recovery->intent, "project");
	app_set_inventory(app, &next);
}

static bool is_ours(const struct json *live, const char *app)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	const char *owner = live ? tracking_app(arena, live) : NULL;

	return owner && !strcmp(owner, app);
}

/* Whether our apply is no older; the API server keeps its time in whole seconds, and moves it when the apply changed something. */
static bool is_applied_since(const struct json *live, int64_t since_ns)
{
	return ((int64_t)fields_applied_s(live) + 1) * 1000000000 > since_ns;
}

static bool is_same_version(const struct json *announced, const struct json *live)
{
	const char *before = text(announced, "rv_before");

	return *before && !strcmp(before, text(json_get(live, "metadata"), "resourceVersion"));
}

/* Whether an apply of ours changed something since, though nobody knows in what second it was announced. */
static bool is_applied_again(const struct json *announced, const struct json *live)
{
	int64_t before_ns;

	return time_parse(span_of(text(announced, "applied_before")), &before_ns) && fields_applied_s(live) > before_ns / 1000000000;
}

/* Others may have written since, what they keep on it (a status, say); of all that a write of ours may change nothing was. */
static bool is_same_state(const struct json *announced, const struct json *live, const struct custom_paths *custom)
{
	const char *before = text(announced, "state_before");
	struct digest state = live_state_of(live, custom);
	char hex[DIGEST_HEX];

	digest_hex(&state, hex);
	return !strcmp(before, hex);
}

/*
 * What bears no mark though fields of it are ours: a namespace that CreateNamespace made, perhaps for another Application; and what is
 * adopted half way, whose fields were handed over with the time that they had.
 */
static bool may_be_written_unmarked(const struct json *announced, const struct json *live, bool same, int64_t announced_ns)
{
	return same ? !is_same_version(announced, live) && fields_applied_s(live) : is_applied_since(live, announced_ns);
}

const char *recover_outcome(const struct json *announced, const struct json *live, const struct custom_paths *custom, const char *app,
			    int64_t announced_ns)
{
	const struct json *metadata = json_get(live, "metadata");
	const char *uid = text(announced, "uid"), *op = text(announced, "op");
	bool ours = is_ours(live, app), same = live && *uid && !strcmp(uid, text(metadata, "uid"));

	if (!strcmp(op, "delete"))
		return (same || (ours && !*uid)) && !json_get(metadata, "deletionTimestamp") ? "not-done" : "ok";
	/* it was not there, or not ours */
	if (!same || !strcmp(op, "adopt"))
		return ours ? "ok" : may_be_written_unmarked(announced, live, same, announced_ns) ? "unknown" : "not-done";
	if (is_same_version(announced, live))
		return "not-done";
	if (is_applied_again(announced, live))
		return "ok";
	if (is_same_state(announced, live, custom))
		return "not-done";
	/* within the second of the apply before it, or not at all; what is taken out again leaves no mark of when */
	return is_applied_since(live, announced_ns) ? "ok" : !strcmp(op, "heal") ? "unknown" : "not-done";
}

/* By the API server's clock, which is that of its objects; it is known to the second, and rather too early than too late. */
static int64_t announced_ns(const struct recovery *recovery)
{
	int64_t at_ns = 0, ahead_s = 0;

	time_parse(span_of(text(recovery->intent, "t")), &at_ns);
	kube_clock_ahead(recovery->core->kube, &ahead_s);
	return at_ns - (ahead_s + 1) * 1000000000;
}

/* Of what another may have written since; what nobody has written since we did not write either. */
static const char *outcome_of(const struct recovery *recovery, const struct json *object, const struct json *live)
{
	if (recovery->other_led && !(live && is_same_version(object, live)))
		return "unknown";
	return recover_outcome(object, live, objects_custom_paths(recovery->core->objects), text(recovery->intent, "app"), announced_ns(recovery));
}

static void on_read(void *data, const struct kube_answer *answer)
{
	struct question *question = data;
	struct recovery *recovery = question->recovery;
	const struct json *object = question->object, *live = answer->err ? NULL : answer->object;
	const char *app = text(recovery->intent, "app");

	if (answer->err && !kube_says_absent(answer)) {
		note(recovery, object, "unknown");
	} else {
		const char *outcome = outcome_of(recovery, object, live);

		note(recovery, object, outcome);
		if (is_ours(live, app) && strcmp(text(object, "op"), "delete"))
			remember(recovery, object, live);
		if (strcmp(outcome, "not-done") && !recovery->other_led)
			note_part(recovery);
	}
	free(question);
	if (!--recovery->waiting)
		on_all_read(recovery);
}

/* A kind that discovery does not name: there is none, or nobody could say. */
static bool is_kind_gone(const struct discovery *discovery, const char *group)
{
	return discovery_known(discovery) && !discovery_stale(discovery, span_of(group));
}

static void ask(struct recovery *recovery, const struct json *object)
{
	struct gvk gvk = gvk_of(recovery, object);
	const struct kube_kind *kind = discovery_find(recovery->core->discovery, span_of(gvk.group), NULL, span_of(gvk.kind));
	const char *as = text(object, "as");
	struct question *question;

	if (!kind) {
		bool gone = is_kind_gone(recovery->core->discovery, gvk.group);

		note(recovery, object, gone ? outcome_of(recovery, object, NULL) : "unknown");
		return;
	}
	question = mem_alloc(sizeof(*question));
	*question = (struct question){ recovery, object };
	recovery->waiting++;
	/* rbac: reader get */
	kube_get(recovery->core->kube, kube_path(recovery->arena, kind, text(object, "ns"), text(object, "name")), KUBE_JSON,
		 *as ? as : NULL, on_read, question);
}

/* What each tag stood for in that revision: a restart never resolves it anew. */
static void remember_pins(struct recovery *recovery)
{
	const struct json *images = json_get(recovery->intent, "images");
	const char *revision = json_text(json_path(recovery->intent, "git", "commit", NULL));
	struct app *app = app_get(recovery->core, span_of(text(recovery->intent, "app")));
	struct inventory next = *app_inventory(app);
	struct pins pins = { revision, NULL, 0 };
	size_t capacity = 0;

	if (!revision || !strcmp(next.pending.revision, revision))
		return;
	for (size_t i = 0; i < json_count(images); i++) {
		const struct json *image = json_at(images, i);
		struct digest digest;
		struct pin *pin;

		if (!digest_parse(span_of(text(image, "digest")), &digest))
			continue;
		pin = arena_push(recovery->arena, &pins.pins, &pins.count, &capacity, sizeof(*pin));
		*pin = (struct pin){ text(image, "ref"), digest };
	}
	next.pending = pins;
	next.app = app->key;
	app_set_inventory(app, &next);
}

static void begin(struct recovery *recovery)
{
	const struct json *objects = json_get(recovery->intent, "objects");
	const struct app *app = app_find(recovery->core, span_of(text(recovery->intent, "app")));

	/* what a run reads of the inventory is its own until it has ended */
	if (app && app->run) {
		timer_start(recovery->poll, POLL_MS);
		return;
	}
	recovery->begun = true;
	if (!recovery->other_led)
		remember_pins(recovery);
	recovery->waiting++;
	for (size_t i = 0; i < json_count(objects); i++)
		ask(recovery, json_at(objects, i));
	if (!--recovery->waiting)
		on_all_read(recovery);
}

static void on_discovered(void *data, const struct error *err)
{
	(void)err;
	begin(data);
}

static void on_poll(void *data)
{
	struct recovery *recovery = data;

	if (recovery->begun)
		finish(recovery);
	else
		begin(recovery);
}

/* A run that has announced something and goes on, or what is owed of one: it tells the result itself. */
static bool tells_itself(const struct app *app)
{
	const struct run *run = app->run;

	if (app->owed)
		return true;
	return run && run->intent_asked && !run->result_asked && (run->intent_durable || !run->err.reason[0] || run->only_told);
}

static void on_intent(void *data, const struct json *intent)
{
	struct core *core = data;
	struct app *app = app_find(core, span_of(text(intent, "app")));
	struct recovery *recovery;

	if (app && tells_itself(app)) {
		/* or tells that of a later one: seen to when it has ended */
		core->recover_due = true;
		return;
	}
	/* it begins anew afterwards */
	if (app && app->run)
		run_cancel(app->run);
	recovery = mem_alloc(sizeof(*recovery));
	recovery->core = core;
	recovery->arena = arena_new(0);
	recovery->intent = json_copy(recovery->arena, intent);
	recovery->results = json_array(recovery->arena);
	recovery->other_led = audit_log_has_other_led(core->audit, (uint64_t)json_get_int(intent, "seq", 0));
	recovery->poll = timer_new(core->loop, on_poll, recovery);
	recovery->next = core->recoveries;
	core->recoveries = recovery;
	core->recovering++;
	discovery_refresh(core->discovery, on_discovered, recovery);
}

void recover_release(struct core *core)
{
	while (core->recoveries)
		recovery_free(core->recoveries);
}

void recover_open_intents(struct core *core)
{
	if (core->audit)
		audit_log_each_open_intent(core->audit, on_intent, core);
}
