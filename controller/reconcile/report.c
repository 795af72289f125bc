/* Status, inventory and events of an Application; see report.h. All of it is bookkeeping: our own account, our own objects. */
#include "reconcile/report.h"

#include <stdio.h>

#include "base/limits.h"
#include "base/log.h"
#include "kube/event.h"
#include "reconcile/live.h"
#include "reconcile/owed.h"
#include "reconcile/rest.h"

/* A write of ours that failed: a right that was lost, a webhook that refuses. */
#define WRITE_AGAIN_MS 1000
#define WRITE_AGAIN_MOST_MS 60000

static const char *const condition_names[CONDITION_COUNT] = { "Verified", "Synced", "Healthy", "Ready" };
static const char *const truth_names[] = { "Unknown", "True", "False" };

void report_text(char **slot, const char *text)
{
	free(*slot);
	*slot = text && *text ? mem_strdup(text) : NULL;
}

/* What the status said before us: transition times survive a restart. */
static void read_conditions(struct report *report, const struct json *status)
{
	const struct json *list = json_get(status, "conditions");

	for (size_t i = 0; i < json_count(list); i++) {
		const struct json *from = json_at(list, i);

		for (enum condition which = 0; which < CONDITION_COUNT; which++) {
			struct condition_line *line = &report->conditions[which];
			struct span truth = json_text_span(json_get(from, "status"));

			if (!span_is(json_text_span(json_get(from, "type")), condition_names[which]))
				continue;
			line->truth = span_is(truth, "True") ? TRUTH_TRUE : span_is(truth, "False") ? TRUTH_FALSE : TRUTH_UNKNOWN;
			snprintf(line->reason, sizeof(line->reason), "%s", json_get_text(from, "reason") ? json_get_text(from, "reason") : "");
			report_text(&line->message, json_get_text(from, "message"));
			snprintf(line->since, sizeof(line->since), "%s",
				 json_get_text(from, "lastTransitionTime") ? json_get_text(from, "lastTransitionTime") : "");
		}
	}
}

static void read_json(char **slot, const struct json *value)
{
	CLEANUP(str_release) struct str text = STR_INIT;

	if (!value)
		return;
	json_write(value, JSON_PLAIN, &text);
	report_text(slot, str_c(&text));
}

struct report *report_of(struct app *app)
{
	struct app_open *open = rest_open(app);
	struct report *report = open->report;
	const struct json *status = open->spec.status;
	char now[TIME_TEXT];

	if (report)
		return report;
	report = open->report = mem_alloc(sizeof(*report));
	time_format_s(clock_wall_ns(), now);
	for (enum condition which = 0; which < CONDITION_COUNT; which++) {
		struct condition_line *line = &report->conditions[which];

		snprintf(line->reason, sizeof(line->reason), "%s", "NotEvaluated");
		snprintf(line->since, sizeof(line->since), "%s", now);
	}
	report->sync_status = "Unknown";
	report->generation = json_get_int(status, "observedGeneration", 0);
	read_conditions(report, status);
	report_text(&report->compared_revision, json_text(json_path(status, "sync", "revision", NULL)));
	read_json(&report->operation, json_get(status, "operationState"));
	return report;
}

void report_free(struct report *report)
{
	if (!report)
		return;
	for (enum condition which = 0; which < CONDITION_COUNT; which++)
		free(report->conditions[which].message);
	free(report->compared_revision);
	free(report->operation);
	free(report->resources);
	free(report->images);
	free(report);
}

/* In the order of status.sync.status's meaning; packed as its place here. */
static const char *const sync_statuses[] = { "Unknown", "Synced", "OutOfSync" };

/* With its NUL: shorter than a length, after deflating. NULL as "". */
static void pack_string(const char *text, struct str *out)
{
	str_add(out, text ? span_make(text, strlen(text) + 1) : span_make("", 1));
}

void report_pack(const struct report *report, struct str *out)
{
	uint8_t sync = 0;

	for (enum condition which = 0; which < CONDITION_COUNT; which++) {
		const struct condition_line *line = &report->conditions[which];

		pack_string(line->reason, out);
		pack_string(line->message, out);
		pack_string(line->since, out);
		pack_u8(out, (uint8_t)line->truth);
	}
	for (uint8_t i = 0; i < COUNT_OF(sync_statuses); i++)
		if (!strcmp(report->sync_status, sync_statuses[i]))
			sync = i;
	pack_string(report->operation, out);
	pack_string(report->images, out);
	pack_string(report->compared_revision, out);
	pack_string(report->resources, out);
	pack_u8(out, sync);
	pack_u8(out, (uint8_t)report->health);
	pack_u32(out, (uint32_t)report->object_count);
	pack_u64(out, (uint64_t)report->generation);
}

static const char *unpack_string(struct unpack *in)
{
	struct span text = span_cut(&in->rest, '\0');

	/* no NUL was left */
	in->bad |= !in->rest.data;
	return in->bad ? "" : text.data;
}

static void unpack_slot(struct unpack *in, char **slot)
{
	report_text(slot, unpack_string(in));
}

struct report *report_unpack(struct unpack *in)
{
	struct report *report = mem_alloc(sizeof(*report));
	uint8_t sync;

	for (enum condition which = 0; which < CONDITION_COUNT; which++) {
		struct condition_line *line = &report->conditions[which];

		snprintf(line->reason, sizeof(line->reason), "%s", unpack_string(in));
		unpack_slot(in, &line->message);
		snprintf(line->since, sizeof(line->since), "%s", unpack_string(in));
		line->truth = (enum truth)unpack_u8(in);
	}
	unpack_slot(in, &report->operation);
	unpack_slot(in, &report->images);
	unpack_slot(in, &report->compared_revision);
	unpack_slot(in, &report->resources);
	sync = unpack_u8(in);
	report->sync_status = sync_statuses[sync < COUNT_OF(sync_statuses) ? sync : 0];
	report->health = (enum health)unpack_u8(in);
	report->object_count = unpack_u32(in);
	report->generation = (int64_t)unpack_u64(in);
	return report;
}

void report_looked_at(struct app *app, const struct application *spec)
{
	report_of(app)->generation = app_is_same_spec(spec, app_spec(app)) ? app_spec(app)->generation : spec->generation;
}

void report_condition(struct app *app, enum condition which, enum truth truth, const char *reason, const char *format, ...)
{
	struct condition_line *line = &report_of(app)->conditions[which];
	CLEANUP(str_release) struct str message = STR_INIT;
	va_list args;

	va_start(args, format);
	str_vaddf(&message, format, args);
	va_end(args);
	if (line->truth != truth || !line->since[0])
		time_format_s(clock_wall_ns(), line->since);
	line->truth = truth;
	snprintf(line->reason, sizeof(line->reason), "%s", reason);
	/* API conventions: at most 32,768 bytes */
	str_drop_to(&message, message.length > 32000 ? 32000 : message.length);
	report_text(&line->message, str_c(&message));
}

/* --- health ---------------------------------------------------------------------------------------------------- */

struct health_sum {
	enum health worst;
	size_t missing, progressing, degraded;
	char first[400];            /* what the worst object says */
};

static void count_health(struct health_sum *sum, const struct inventory_item *item, enum health health, const char *message)
{
	sum->missing += health == HEALTH_MISSING;
	sum->progressing += health == HEALTH_PROGRESSING;
	sum->degraded += health == HEALTH_DEGRADED;
	if (health <= sum->worst)
		return;
	sum->worst = health;
	snprintf(sum->first, sizeof(sum->first), "%s %s%s%s: %s", item->kind, item->namespace, *item->namespace ? "/" : "", item->name,
		 message && *message ? message : health_name(health));
}

static struct health_sum sum_health(struct app *app)
{
	struct health_sum sum = { .worst = HEALTH_HEALTHY };

	for (size_t i = 0; i < app_inventory(app)->count; i++) {
		const struct inventory_item *item = &app_inventory(app)->items[i];
		CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
		const struct live_object *live =
			live_find(app->core->live, live_key(arena, item->group, item->kind, item->namespace, item->name));

		if (live && live->aside)
			continue;
		count_health(&sum, item, live ? (enum health)live->health : HEALTH_MISSING,
			     live ? live_more(live)->health_message : "does not exist");
	}
	return sum;
}

/* The condition that keeps it from being ready: the first that is False, else the first that is not known; CONDITION_READY: none. */
static enum condition what_is_amiss(const struct condition_line *lines, bool warned)
{
	enum condition found = CONDITION_READY;

	for (enum condition which = 0; which < CONDITION_READY; which++) {
		if (lines[which].truth == TRUTH_TRUE || (which == CONDITION_VERIFIED && warned))
			continue;
		if (lines[which].truth == TRUTH_FALSE)
			return which;
		if (found == CONDITION_READY)
			found = which;
	}
	return found;
}

static void set_ready(struct app *app)
{
	const struct condition_line *lines = report_of(app)->conditions;
	bool warned = lines[CONDITION_VERIFIED].truth == TRUTH_FALSE && !strcmp(lines[CONDITION_VERIFIED].reason, "PolicyWarning");

	enum condition amiss = what_is_amiss(lines, warned);
	const struct condition_line *line = &lines[amiss];

	if (amiss != CONDITION_READY)
		report_condition(app, CONDITION_READY, line->truth, line->reason, "%s is %s: %s", condition_names[amiss],
				 truth_names[line->truth], line->message ? line->message : line->reason);
	else if (warned)
		report_condition(app, CONDITION_READY, TRUTH_TRUE, "PolicyWarning", "runs, but a policy in warn mode was not met: %s",
				 lines[CONDITION_VERIFIED].message ? lines[CONDITION_VERIFIED].message : "");
	else
		report_condition(app, CONDITION_READY, TRUTH_TRUE, "Ready", "synced, healthy and verified");
}

void report_health(struct app *app)
{
	struct health_sum sum = sum_health(app);

	report_of(app)->health = sum.worst;
	report_of(app)->object_count = app_inventory(app)->count;
	if (!*app_inventory(app)->revision && !app_inventory(app)->count) {
		report_of(app)->health = HEALTH_MISSING;
		report_condition(app, CONDITION_HEALTHY, TRUTH_UNKNOWN, "NothingApplied", "nothing was applied yet");
	} else if (sum.worst == HEALTH_HEALTHY) {
		report_condition(app, CONDITION_HEALTHY, TRUTH_TRUE, "Healthy", "%zu objects are healthy", app_inventory(app)->count);
	} else {
		report_condition(app, CONDITION_HEALTHY, sum.worst == HEALTH_UNKNOWN ? TRUTH_UNKNOWN : TRUTH_FALSE,
				 health_name(sum.worst), "%s", sum.first);
	}
	set_ready(app);
}

/* --- status ----------------------------------------------------------------------------------------------------- */

static struct json *conditions_json(struct app *app, struct arena *arena)
{
	struct json *list = json_array(arena);

	for (enum condition which = 0; which < CONDITION_COUNT; which++) {
		const struct condition_line *line = &report_of(app)->conditions[which];
		struct json *one = json_append(arena, list, json_object(arena));

		json_set_string(arena, one, "type", condition_names[which]);
		json_set_string(arena, one, "status", truth_names[line->truth]);
		json_set_string(arena, one, "reason", line->reason);
		json_set_string(arena, one, "message", line->message ? line->message : "");
		json_set_string(arena, one, "lastTransitionTime", line->since);
		json_set_int(arena, one, "observedGeneration", report_of(app)->generation);
	}
	return list;
}

static struct json *parsed(struct arena *arena, const char *text)
{
	struct json *value;

	if (!text || json_parse(span_of(text), arena, 0, &value, NULL))
		return json_null(arena);
	return value;
}

/* Foreign additions of all objects, at most LIMIT_EXTRAS. */
static struct json *extras_json(struct app *app, struct arena *arena)
{
	struct json *list = json_array(arena);

	for (size_t i = 0; i < app_inventory(app)->count; i++) {
		const struct inventory_item *item = &app_inventory(app)->items[i];
		const struct live_object *live =
			live_find(app->core->live, live_key(arena, item->group, item->kind, item->namespace, item->name));
		const struct json *own = live && live_more(live)->extras_text ? parsed(arena, live_more(live)->extras_text) : NULL;

		for (size_t k = 0; k < json_count(own) && json_count(list) < LIMIT_EXTRAS; k++) {
			struct json *one = json_append(arena, list, json_object(arena));

			json_set_string(arena, one, "group", item->group);
			json_set_string(arena, one, "kind", item->kind);
			json_set_string(arena, one, "namespace", item->namespace);
			json_set_string(arena, one, "name", item->name);
			JSON_EACH(member, json_at(own, k))
				json_set_span(arena, one, member->key, member->value);
		}
	}
	return list;
}

static struct json *status_json(struct app *app, struct arena *arena)
{
	struct report *report = report_of(app);
	struct json *status = json_object(arena), *sync = json_object(arena), *health = json_object(arena), *summary = json_object(arena);

	json_set_int(arena, status, "observedGeneration", report->generation);
	json_set(arena, status, "conditions", conditions_json(app, arena));
	json_set_string(arena, sync, "status", report->sync_status);
	json_set_string(arena, sync, "revision", report->compared_revision ? report->compared_revision : "");
	json_set(arena, status, "sync", sync);
	json_set_string(arena, health, "status", health_name(report->health));
	json_set(arena, status, "health", health);
	json_set_string(arena, status, "appliedRevision", app_inventory(app)->revision);
	json_set(arena, status, "operationState", parsed(arena, report->operation));
	json_set(arena, status, "extras", extras_json(app, arena));
	json_set(arena, status, "resources", report->resources ? parsed(arena, report->resources) : json_array(arena));
	json_set(arena, summary, "images", report->images ? parsed(arena, report->images) : json_array(arena));
	json_set_int(arena, summary, "objects", (int64_t)report->object_count);
	json_set(arena, status, "summary", summary);
	return status;
}

static char *app_path(const struct app *app, struct arena *arena, const char *subresource)
{
	return arena_printf(arena, API_PATH "/namespaces/%s/applications/%s%s", app_spec(app)->namespace, app_spec(app)->name, subresource);
}

/* Of each sort one write of an Application is under way at a time: two could arrive in the other order, and the older one stay. */
struct writing {
	struct core *core;
	char *key;
	const char *what;
	struct book *book;    /* of the app; NULL: not kept in order */
};

/* A result waits for this: the run's, or one that is owed. */
static void tell_inventory(struct app *app)
{
	if (app->run)
		run_wake(app->run);
	owed_pay(app);
}

/* A failed status write is repeated by the next run; the digest is forgotten so that it is not taken for written. */
static void on_written(void *data, const struct kube_answer *answer)
{
	struct writing *writing = data;
	struct app *app = app_find(writing->core, span_of(writing->key));
	/* a test of what is to be taken out that fails: it is another by now, or gone */
	bool moved = answer->err && app && writing->book == &app->operation_book && answer->err->kind == ERROR_INVALID;
	/* what an apply would make cannot be gone */
	bool gone = answer->err && app && writing->book != &app->inventory_book && answer->err->kind == ERROR_NOT_FOUND;

	if (answer->err && app && !moved && !gone) {
		app->status_written = app->inventory_written = (struct digest){ { 0 } };
		log_error(LOG_WARN, "could not write", answer->err, "what", writing->what, "app", writing->key, NULL);
		app->write_wait_ms = clock_backoff(app->write_wait_ms, WRITE_AGAIN_MS, WRITE_AGAIN_MOST_MS);
		app_enqueue(app, app->write_wait_ms);
	} else if (app && !answer->err) {
		app->write_wait_ms = 0;
	}
	if (app && writing->book) {
		bool again = writing->book->again;

		writing->book->failed = answer->err ? (uint8_t)(writing->book->failed + (writing->book->failed < UINT8_MAX)) : 0;
		writing->book->busy = writing->book->again = false;
		if (again && writing->book == &app->status_book)
			report_write(app);
		else if (again && app->present)
			report_inventory(app);
		if (writing->book == &app->inventory_book)
			tell_inventory(app);
		app_forget_if_done(app);
	}
	free(writing->key);
	free(writing);
}

static struct writing *writing_new(struct app *app, const char *what, struct book *book)
{
	struct writing *writing = mem_alloc(sizeof(*writing));

	*writing = (struct writing){ app->core, mem_strdup(app->key), what, book };
	if (book)
		book->busy = true;
	return writing;
}

/* Whether one is under way: then another follows it. */
static bool must_wait(struct book *book)
{
	book->again |= book->busy;
	return book->busy;
}

static struct json *patch_op(struct arena *arena, struct json *patch, const char *op, const char *path, struct json *value)
{
	struct json *one = json_append(arena, patch, json_object(arena));

	json_set_string(arena, one, "op", op);
	json_set_string(arena, one, "path", path);
	return json_set(arena, one, "value", value);
}

/* After a restart: the status that was read says this already. The API server drops members that are null. */
static bool is_read_so(const struct app *app, const struct json *status, struct arena *arena)
{
	struct json *wanted;

	if (app->status_sent || !app_spec(app)->status)
		return false;
	wanted = json_copy(arena, status);
	if (json_is(json_get(wanted, "operationState"), JSON_NULL))
		json_remove(wanted, "operationState");
	return json_equal(wanted, app_spec(app)->status);
}

/* The whole status is replaced: a merge would keep what an earlier operation left in it. */
void report_write(struct app *app)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	CLEANUP(str_release) struct str body = STR_INIT;
	struct json *patch = json_array(arena), *status;
	struct digest digest;
	bool same;

	report_of(app);
	if (app->inventory_book.failed)
		report_inventory(app);
	if (!app->present || must_wait(&app->status_book))
		return;
	status = status_json(app, arena);
	patch_op(arena, patch, "test", "/metadata/uid", json_string(arena, app_spec(app)->uid));
	patch_op(arena, patch, "add", "/status", status);
	json_write(patch, JSON_SORTED, &body);
	digest = digest_of(str_span(&body));
	if (digest_equal(&digest, &app->status_written))
		return;
	same = is_read_so(app, status, arena);
	app->status_written = digest;
	app->status_sent = true;
	app_drop_status(app);
	if (same)
		return;
	/* rbac: own countersign.dev/applications/status patch */
	kube_bookkeep(app->core->kube, "PATCH", app_path(app, arena, "/status"), KUBE_JSON_PATCH, str_span(&body), on_written,
		      writing_new(app, "status", &app->status_book));
}

/* --- inventory -------------------------------------------------------------------------------------------------- */

void report_inventory(struct app *app)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	CLEANUP(str_release) struct str body = STR_INIT, packed = STR_INIT;
	struct json *object = json_object(arena), *metadata = json_object(arena);
	const char *namespace = app->core->options->namespace;
	struct digest digest;

	if (must_wait(&app->inventory_book))
		return;
	inventory_encode(app_inventory(app), arena, &packed);
	/* what was changed by hand and taken back is as it was */
	digest = digest_of(str_span(&packed));
	if (digest_equal(&digest, &app->inventory_written))
		return;
	app->inventory_written = digest;
	json_set_string(arena, object, "apiVersion", API_VERSION);
	json_set_string(arena, object, "kind", "ApplicationInventory");
	json_set_string(arena, metadata, "name", app->label);
	json_set_string(arena, metadata, "namespace", namespace);
	json_set(arena, object, "metadata", metadata);
	json_set_string(arena, object, "app", app->key);
	json_set_string(arena, object, "revision", app_inventory(app)->revision);
	json_set_int(arena, object, "count", (int64_t)app_inventory(app)->count);
	json_set(arena, object, "data", json_span(arena, str_span(&packed)));
	json_write(object, JSON_PLAIN, &body);
	/* an apply makes or replaces it: one request whether it was there or not */
	/* rbac: own countersign.dev/applicationinventories create patch */
	kube_bookkeep(app->core->kube, "PATCH",
		      arena_printf(arena, API_PATH "/namespaces/%s/applicationinventories/%s?fieldManager=countersign&force=true",
				   namespace, app->label),
		      KUBE_APPLY_PATCH, str_span(&body), on_written, writing_new(app, "inventory", &app->inventory_book));
}

static void delete_inventory(struct app *app)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);

	/* rbac: own countersign.dev/applicationinventories delete */
	kube_bookkeep(app->core->kube, "DELETE",
		      arena_printf(arena, API_PATH "/namespaces/%s/applicationinventories/%s", app->core->options->namespace, app->label),
		      NULL, SPAN0, on_written, writing_new(app, "inventory", NULL));
}

void report_event(struct app *app, bool warning, const char *reason, const char *note)
{
	struct event event = { "Application", app_spec(app)->namespace, app_spec(app)->name, app_spec(app)->uid, warning, reason, "Reconcile", note };

	if (app->present)
		event_post(app->core->kube, app->core->options->instance, &event);
}

void report_refreshed(struct app *app)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	CLEANUP(str_release) struct str body = STR_INIT;
	struct json *patch = json_object(arena), *metadata = json_object(arena), *annotations = json_object(arena);

	json_set(arena, annotations, ANNOTATION_REFRESH, json_null(arena));
	json_set(arena, annotations, ANNOTATION_REFRESH_ARGO, json_null(arena));
	json_set(arena, metadata, "annotations", annotations);
	json_set_string(arena, metadata, "uid", app_spec(app)->uid);
	json_set(arena, patch, "metadata", metadata);
	json_write(patch, JSON_PLAIN, &body);
	/* rbac: own countersign.dev/applications patch */
	kube_bookkeep(app->core->kube, "PATCH", app_path(app, arena, ""), KUBE_MERGE_PATCH, str_span(&body), on_written,
		      writing_new(app, "what was taken up", NULL));
}

void report_carried_out(struct app *app, const struct json *operation)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	CLEANUP(str_release) struct str body = STR_INIT;
	struct json *patch = json_array(arena);

	if (app->operation_book.busy)
		return;
	patch_op(arena, patch, "test", "/metadata/uid", json_string(arena, app_spec(app)->uid));
	patch_op(arena, patch, "test", "/operation", json_copy(arena, operation));
	patch_op(arena, patch, "remove", "/operation", json_null(arena));
	json_write(patch, JSON_PLAIN, &body);
	/* rbac: own countersign.dev/applications patch */
	kube_bookkeep(app->core->kube, "PATCH", app_path(app, arena, ""), KUBE_JSON_PATCH, str_span(&body), on_written,
		      writing_new(app, "what was carried out", &app->operation_book));
}

void report_finalized(struct app *app)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	CLEANUP(str_release) struct str body = STR_INIT;
	const struct json *finalizers = json_path(app_spec(app)->object, "metadata", "finalizers", NULL);
	struct json *patch = json_object(arena), *metadata = json_object(arena), *kept = json_array(arena);

	for (size_t i = 0; i < json_count(finalizers); i++) {
		struct span one = json_text_span(json_at(finalizers, i));

		if (!span_is(one, FINALIZER) && !span_starts(one, FINALIZER_ARGO))
			json_append(arena, kept, json_span(arena, one));
	}
	json_set(arena, metadata, "finalizers", kept);
	json_set_string(arena, metadata, "resourceVersion", app_spec(app)->resource_version);
	json_set(arena, patch, "metadata", metadata);
	json_write(patch, JSON_PLAIN, &body);
	delete_inventory(app);
	/* rbac: own countersign.dev/applications patch */
	if (app->present && json_count(finalizers))
		kube_bookkeep(app->core->kube, "PATCH", app_path(app, arena, ""), KUBE_MERGE_PATCH, str_span(&body), on_written,
			      writing_new(app, "finalizers", NULL));
}
