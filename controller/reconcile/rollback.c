/* The cluster's steps back; see rollback.h. */
#include "reconcile/rollback.h"

#include <inttypes.h>

#include "api/audit.h"
#include "base/clock.h"
#include "base/log.h"
#include "io/file.h"

#define FILE_MAX (4u << 20)
#define SAVE_EVERY_MS 10000

struct rollback {
	struct core *core;
	char *path;
	uint64_t version, saved;     /* the highest that was seen; that the file says */
	int64_t saved_ms;
	uint64_t from, to;           /* the last step back; from 0: none */
	int64_t at_ns;               /* when, by the server's clock */
	bool recorded, recording;    /* in the audit log; on its way there */
	bool failing;                /* the file could not be written, which was told */
	struct map released;         /* keys of Applications that a person has synced since */
};

static void take(struct rollback *rollback, const struct json *kept)
{
	const struct json *back = json_get(kept, "back"), *released = json_get(back, "released");

	rollback->version = rollback->saved = (uint64_t)json_get_int(kept, "version", 0);
	rollback->from = (uint64_t)json_get_int(back, "from", 0);
	rollback->to = (uint64_t)json_get_int(back, "to", 0);
	rollback->at_ns = json_get_int(back, "at", 0);
	rollback->recorded = json_get_bool(back, "recorded", false);
	for (size_t i = 0; i < json_count(released); i++)
		map_set(&rollback->released, json_text_span(json_at(released, i)), rollback);
}

struct rollback *rollback_new(struct core *core)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	CLEANUP(str_release) struct str text = STR_LIMIT(FILE_MAX), path = STR_INIT;
	struct rollback *rollback = mem_alloc(sizeof(*rollback));
	struct error err = ERROR_INIT;
	struct json *kept;

	str_addf(&path, "%s/cluster.json", core->options->data_dir);
	rollback->core = core;
	rollback->path = str_take(&path);
	if (file_read(rollback->path, FILE_MAX, &text, &err) || json_parse(str_span(&text), arena, 0, &kept, &err)) {
		if (err.kind != ERROR_NOT_FOUND)
			log_error(LOG_WARN, "what version the cluster had is not known", &err, "file", rollback->path, NULL);
		return rollback;
	}
	take(rollback, kept);
	return rollback;
}

static void save(struct rollback *rollback)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	CLEANUP(str_release) struct str text = STR_INIT;
	struct json *kept = json_object(arena), *back = json_object(arena), *released = json_array(arena);
	struct error err = ERROR_INIT;

	json_set_int(arena, kept, "version", (int64_t)rollback->version);
	if (rollback->from) {
		json_set_int(arena, back, "from", (int64_t)rollback->from);
		json_set_int(arena, back, "to", (int64_t)rollback->to);
		json_set_int(arena, back, "at", rollback->at_ns);
		json_set(arena, back, "recorded", json_bool(arena, rollback->recorded));
		MAP_EACH(entry, &rollback->released)
			json_append(arena, released, json_span(arena, span_make(entry->key, entry->length)));
		json_set(arena, back, "released", released);
		json_set(arena, kept, "back", back);
	}
	json_write(kept, JSON_PLAIN, &text);
	rollback->saved_ms = clock_mono_ms();
	if (!file_write(rollback->path, str_span(&text), 0600, &err)) {
		rollback->saved = rollback->version;
		rollback->failing = false;
		return;
	}
	if (!rollback->failing)
		log_error(LOG_WARN, "what version the cluster has cannot be kept; a restore while this process is down would not be noticed; "
			  "trying again", &err, "file", rollback->path, NULL);
	rollback->failing = true;
}

void rollback_free(struct rollback *rollback)
{
	if (!rollback)
		return;
	if (rollback->version > rollback->saved)
		save(rollback);
	map_release(&rollback->released);
	free(rollback->path);
	free(rollback);
}

static void step_back(struct rollback *rollback, uint64_t version)
{
	struct core *core = rollback->core;
	int64_t ahead_s = 0;

	kube_clock_ahead(core->kube, &ahead_s);
	rollback->from = rollback->version;
	rollback->to = rollback->version = version;
	rollback->at_ns = clock_wall_ns() - ahead_s * 1000000000;
	rollback->recorded = false;
	map_release(&rollback->released);
	log_line(LOG_ERROR, "the cluster went back to an older state (restored from a snapshot, or another one); nothing is written until a "
		 "person syncs each Application", NULL);
	save(rollback);
	core_stop(core, 1);
}

bool rollback_saw(struct rollback *rollback, uint64_t version)
{
	if (version < rollback->version) {
		step_back(rollback, version);
		return false;
	}
	rollback->version = version;
	if (version > rollback->saved && (!rollback->saved_ms || clock_mono_ms() - rollback->saved_ms >= SAVE_EVERY_MS))
		save(rollback);
	return true;
}

/* Not before it is durable: a crash in between has it recorded again. */
static void on_recorded(void *data, uint64_t seq, const struct error *err)
{
	struct rollback *rollback = data;

	(void)seq;
	rollback->recording = false;
	if (err)
		return;
	rollback->recorded = true;
	save(rollback);
}

void rollback_record(struct rollback *rollback)
{
	struct arena *arena;
	struct json *record;

	if (!rollback->from || rollback->recorded || rollback->recording || !rollback->core->audit)
		return;
	arena = arena_new(0);
	record = audit_record(arena, AUDIT_CLUSTER_RESTORED, AUDIT_FAIL);
	json_set(arena, record, "from_version", json_stringf(arena, "%" PRIu64, rollback->from));
	json_set(arena, record, "to_version", json_stringf(arena, "%" PRIu64, rollback->to));
	rollback->recording = true;
	audit_log_append(rollback->core->audit, record, on_recorded, rollback);
	arena_free(arena);
}

/* Whether what asks for it was decided after the step back: it was created then, or is to be deleted since then. */
static bool is_new(const struct rollback *rollback, const struct application *spec)
{
	const struct json *metadata = json_get(spec->object, "metadata");
	const char *text = json_get_text(metadata, spec->deleting ? "deletionTimestamp" : "creationTimestamp");
	int64_t at_ns;

	return text && time_parse(span_of(text), &at_ns) && at_ns > rollback->at_ns;
}

int rollback_check(struct rollback *rollback, struct run *run, struct error *err)
{
	struct app *app = run->app;
	char at[TIME_TEXT];

	if (!rollback->from || map_has(&rollback->released, span_of(app->key)) || is_new(rollback, &run->spec))
		return 0;
	if (run->manual && !run->operation_dry_run) {
		map_set(&rollback->released, span_of(app->key), rollback);
		save(rollback);
		return 0;
	}
	time_format_s(rollback->at_ns, at);
	return error_set(err, ERROR_CONFLICT, "ClusterRestored",
			 "the cluster was found restored from an older snapshot (or is another one) at %s: its version went back from %" PRIu64 " to %" PRIu64
			 ". Applications, Projects, policies and objects may be older than what was decided since; nothing of this one is written, healed "
			 "or pruned until a person has looked and syncs it (countersign sync %s)", at, rollback->from, rollback->to,
			 strchr(app->key, '/') + 1);
}
