/* Changed settings in the audit log; see changes.h. */
#include "reconcile/changes.h"

#include "api/audit.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"

/* While there is no log; nobody changes more settings in that time, and each takes half a kilobyte. */
#define WAITING_MOST 10000u

struct change {
	struct changes *changes;
	struct change *next;
	char *record;
	char seen[TIME_TEXT];
	bool sent;                    /* to the log, which has not answered yet */
};

struct changes {
	struct core *core;
	struct change *first, **last;
	size_t count;
};

/* Who wrote it last, as it says itself: we may have, for the admin project. Of a deletion nobody knows here (the API server's own log does). */
static void set_actor(struct json *record, const struct json *object, struct arena *arena)
{
	struct audit_actor actor = { .type = "manager", .time = "" };

	JSON_EACH(entry, json_path(object, "metadata", "managedFields", NULL)) {
		const char *time = json_get_text(entry->value, "time");

		if (!time || strcmp(time, actor.time) < 0 || json_text_span(json_get(entry->value, "subresource")).length)
			continue;
		actor.time = time;
		actor.user = json_get_text(entry->value, "manager");
	}
	if (actor.user)
		audit_set_actor(arena, record, &actor);
}

/* What is in a Secret is not told, not even as a digest: it may be guessed. */
static struct json *config_of(const char *kind, const struct json *object, const char *op, struct arena *arena)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	struct json *config = json_object(arena);
	bool is_data = !strcmp(kind, "ConfigMap");
	const struct json *content = json_get(object, is_data ? "data" : "spec");
	struct digest digest;
	char hex[DIGEST_HEX];

	json_set_string(arena, config, "kind", kind);
	json_set_string(arena, config, "op", op);
	json_set(arena, config, "namespace", json_copy(arena, json_path(object, "metadata", "namespace", NULL)));
	json_set(arena, config, "name", json_copy(arena, json_path(object, "metadata", "name", NULL)));
	json_set_int(arena, config, "generation", json_get_int(json_get(object, "metadata"), "generation", 0));
	if (!content)
		return config;
	json_write(content, JSON_SORTED, &text);
	digest = digest_of(str_span(&text));
	digest_hex(&digest, hex);
	json_set_string(arena, config, is_data ? "data_sha256" : "spec_sha256", hex);
	return config;
}

static void drop(struct change *change)
{
	struct changes *changes = change->changes;
	struct change **link = &changes->first;

	while (*link != change)
		link = &(*link)->next;
	*link = change->next;
	if (changes->last == &change->next)
		changes->last = link;
	changes->count--;
	free(change->record);
	free(change);
}

static void on_recorded(void *data, uint64_t seq, const struct error *err)
{
	struct change *change = data;

	(void)seq;
	change->sent = false;
	if (!err || err->kind == ERROR_LIMIT || err->kind == ERROR_INVALID)
		drop(change);
}

static void send(struct change *change, bool late)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct audit_log *log = change->changes->core->audit;
	struct json *record;

	if (!log || !audit_log_ok(log, NULL))
		return;
	ASSERT(!json_parse(span_of(change->record), arena, 0, &record, NULL));
	if (late)
		json_set_string(arena, json_get(record, "config"), "seen", change->seen);
	change->sent = true;
	audit_log_append(log, record, on_recorded, change);
}

void changes_record(struct changes *changes, const char *kind, const struct json *object, const char *op)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	CLEANUP(str_release) struct str text = STR_INIT;
	struct json *record = audit_record(arena, AUDIT_CONFIG_CHANGE, AUDIT_OK);
	struct change *change;

	if (changes->count >= WAITING_MOST) {
		log_line(LOG_ERROR, "a changed setting is not recorded: too many wait for the audit log", "kind", kind, "name",
			 json_text(json_path(object, "metadata", "name", NULL)), NULL);
		return;
	}
	json_set(arena, record, "config", config_of(kind, object, op, arena));
	set_actor(record, object, arena);
	json_write(record, JSON_PLAIN, &text);
	change = mem_alloc(sizeof(*change));
	*change = (struct change){ .changes = changes, .record = str_take(&text) };
	time_format_ns(clock_wall_ns(), change->seen);
	*changes->last = change;
	changes->last = &change->next;
	changes->count++;
	send(change, false);
}

void changes_record_waiting(struct changes *changes)
{
	for (struct change *change = changes->first; change; change = change->next)
		if (!change->sent)
			send(change, true);
}

struct changes *changes_new(struct core *core)
{
	struct changes *changes = mem_alloc(sizeof(*changes));

	changes->core = core;
	changes->last = &changes->first;
	return changes;
}

void changes_free(struct changes *changes)
{
	if (!changes)
		return;
	while (changes->first)
		drop(changes->first);
	free(changes);
}
