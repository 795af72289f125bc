/* The audit log; see audit_log.h. What a commit does, and why it survives a crash at any point, is in log_recover.h. */
#include "record/audit_log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/audit.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/metric.h"
#include "base/rand.h"
#include "record/audit_read.h"
#include "record/log_anchor.h"
#include "record/log_recover.h"

/*
 * While there is other work, at most so much of the time goes to the disk: a commit is followed by a pause of this many times its
 * length, in which the records of other runs join the next one. When there is nothing else to do, no record waits.
 */
#define COMMIT_PAUSE 4
#define COMMIT_PAUSE_MOST_MS 20

struct waiter {
	void (*on_durable)(void *data, uint64_t seq, const struct error *err);
	void *data;
	uint64_t seq;
	struct error *refused;  /* why its record was never queued; owned; NULL: it was */
};

struct waiters {
	struct waiter *items;
	size_t count, capacity;
};

struct audit_log {
	struct audit_log_config config;
	struct log_recovered on_disk;
	char *version, *journal_path, *id;
	char boot[33];
	struct lull *lull;              /* runs while something waits for the next commit */
	int64_t next_commit_ns;         /* monotonic: not before */
	struct arena *arena;            /* of one record while it is encoded */
	struct str line;                /* that record */
	uint32_t queued;                /* records staged in the writer: the commit to come */
	uint64_t next_seq;
	uint8_t last_id[16];
	struct waiters waiting, telling;
	bool begun;                     /* has its log.start */
	bool failed, told;
	struct error error;
	struct map open_intents;        /* seq as text -> the record's text, owned; at open */
	int64_t transitions;            /* of the lease, as the newest term.start has it; -1: none was seen */
	uint64_t other_led;             /* the newest term.start that came after a term of another log's holder; 0: none */
};

/*
 * RFC 9562 section 5.7, made to rise from record to record as its section 6.2, method 2, has it: within a millisecond, or
 * when the clock went back, the id before is counted up.
 */
static void next_id(struct audit_log *log, int64_t now_ns, char out[37])
{
	uint64_t ms = (uint64_t)(now_ns / 1000000), last_ms = 0;
	uint8_t *id = log->last_id;

	for (int i = 0; i < 6; i++)
		last_ms = last_ms << 8 | id[i];
	if (ms > last_ms) {
		for (int i = 0; i < 6; i++)
			id[i] = (uint8_t)(ms >> (40 - 8 * i));
		rand_bytes(id + 6, 10);
		id[6] = (uint8_t)(0x70 | (id[6] & 0x0f));
		id[8] = (uint8_t)(0x80 | (id[8] & 0x3f));
	} else {
		/* seven bytes to count in: they do not run over within the life of a log */
		for (int i = 15; i > 8 && ++id[i] == 0; i--)
			;
	}
	uuid_text(id, out);
}

static const struct span envelope_keys[] = { { "v", 1 },    { "id", 2 },   { "seq", 3 }, { "t", 1 },
					     { "mono", 4 }, { "boot", 4 }, { "ver", 3 } };

static bool is_of_envelope(struct span key)
{
	for (size_t i = 0; i < COUNT_OF(envelope_keys); i++)
		if (key.length == envelope_keys[i].length && !memcmp(key.data, envelope_keys[i].data, key.length))
			return true;
	return false;
}

/* `fields` within an envelope. Their own trees are not copied. */
static struct json *put_together(struct audit_log *log, const struct json *fields)
{
	struct arena *arena = log->arena;
	struct json *record = json_object(arena);
	struct json_member *to = arena_calloc(arena, json_count(fields) + COUNT_OF(envelope_keys), sizeof(*to));
	int64_t now_ns = clock_wall_ns();
	char text[TIME_TEXT], id[37];

	record->as.list.members = to;
	JSON_EACH(member, fields)
		if (!is_of_envelope(member->key))
			*to++ = *member;
	time_format_ns(now_ns, text);
	next_id(log, now_ns, id);
	/* in the order of envelope_keys */
	struct json *const values[] = { json_int(arena, 1),    json_string(arena, id), json_int(arena, (int64_t)log->next_seq),
					json_string(arena, text), json_int(arena, clock_mono_ms()), json_string(arena, log->boot),
					json_string(arena, log->version) };
	for (size_t i = 0; i < COUNT_OF(values); i++)
		*to++ = (struct json_member){ envelope_keys[i], values[i] };
	record->as.list.count = record->as.list.capacity = (uint32_t)(to - record->as.list.members);
	return record;
}

/* The record's one line. What Git and people put into it may be no UTF-8, or too much for a leaf. */
static int encode(struct audit_log *log, const struct json *fields, struct str *out, struct error *err)
{
	struct arena *arena = log->arena;
	struct json *record = put_together(log, fields);
	struct audit_envelope envelope;

	str_reset(out);
	json_write(record, JSON_SORTED, out);
	if (!out->overflow && out->length <= LIMIT_RECORD_INLINE_BYTES && !audit_envelope_read(str_span(out), &envelope, NULL, NULL))
		return 0;
	record = audit_clean(arena, json_copy(arena, record));
	str_reset(out);
	json_write(record, JSON_SORTED, out);
	if (out->overflow || out->length > LIMIT_RECORD_INLINE_BYTES) {
		if (audit_shrink(&log->on_disk.writer.files, arena, record, err))
			return -1;
		str_reset(out);
		json_write(record, JSON_SORTED, out);
	}
	return audit_envelope_read(str_span(out), &envelope, NULL, err);
}

static void wait_for(struct audit_log *log, struct waiter waiter)
{
	struct waiters *to = &log->waiting;

	if (to->count == to->capacity) {
		to->capacity = to->capacity ? 2 * to->capacity : 64;
		to->items = mem_realloc(to->items, to->capacity * sizeof(*to->items));
	}
	to->items[to->count++] = waiter;
}

static void fail(struct audit_log *log, const struct error *err)
{
	if (log->failed)
		return;
	log->failed = true;
	log->error = *err;
	error_wrap(&log->error, "the audit log cannot be written any more");
	snprintf(log->error.reason, sizeof(log->error.reason), "AuditUnavailable");
}

/* A journal that is long enough is begun anew behind what is then synced. */
static int turn_journal(struct audit_log *log, struct error *err)
{
	struct log_recovered *on_disk = &log->on_disk;
	struct journal_frame frame = { .note = str_span(&on_disk->note), .entries = str_span(&on_disk->writer.bundle) };
	uint64_t size = on_disk->writer.edge.tree.size;
	size_t first, used = journal_size(on_disk->journal, &first);

	if (used < LIMIT_AUDIT_JOURNAL_BYTES || used < 2 * first)
		return 0;
	frame.first = size - size % TLOG_WIDTH;
	frame.count = (uint32_t)(size % TLOG_WIDTH);
	if (log_writer_sync(&on_disk->writer, journal_base(on_disk->journal), err))
		return -1;
	return journal_begin(log->journal_path, frame.first, &frame, &on_disk->journal, err);
}

/* The checkpoint of the tree with what is staged. */
static int sign_next(const struct log_recovered *on_disk, struct str *note, struct error *err)
{
	struct checkpoint checkpoint = { .size = on_disk->writer.edge.tree.size, .root = tlog_root(&on_disk->writer.edge.tree) };

	snprintf(checkpoint.origin, sizeof(checkpoint.origin), "%s", note_signer_key(on_disk->signer)->name);
	return checkpoint_sign(&checkpoint, on_disk->signer, note, err);
}

static int commit(struct audit_log *log, struct error *err)
{
	struct log_recovered *on_disk = &log->on_disk;
	CLEANUP(str_release) struct str note = STR_LIMIT(NOTE_BYTES_MAX);
	struct journal_frame frame = { on_disk->writer.written, log->queued, SPAN0, log_writer_staged(&on_disk->writer) };
	size_t bytes = frame.entries.length;

	if (sign_next(on_disk, &note, err))
		return -1;
	frame.note = str_span(&note);
	if (journal_append(on_disk->journal, &frame, err) || log_writer_flush(&on_disk->writer, err) ||
	    log_writer_checkpoint(&on_disk->writer, frame.note, err))
		return -1;
	str_reset(&on_disk->note);
	str_add(&on_disk->note, str_span(&note));
	log->queued = 0;
	metric_add(METRIC_AUDIT_BYTES, (double)bytes, NULL);
	metric_set(METRIC_AUDIT_RECORDS, (double)on_disk->writer.edge.tree.size, NULL);
	metric_set(METRIC_AUDIT_LAST_DURABLE, (double)clock_wall_ns() / 1e9, NULL);
	return turn_journal(log, err);
}

/* Makes what is queued durable, unless that failed before. */
static void flush(struct audit_log *log)
{
	struct error err = ERROR_INIT;

	if (!log->failed && log->queued && commit(log, &err))
		fail(log, &err);
}

/* Tells everybody who waited; they may append more meanwhile, and forget others. */
static void tell(struct audit_log *log)
{
	struct waiters telling = log->waiting;

	log->waiting = (struct waiters){ 0 };
	log->telling = telling;
	for (size_t i = 0; i < telling.count; i++) {
		struct waiter *waiter = &telling.items[i];

		if (waiter->on_durable)
			waiter->on_durable(waiter->data, waiter->seq, waiter->refused ? waiter->refused : log->failed ? &log->error : NULL);
		free(waiter->refused);
	}
	log->telling = (struct waiters){ 0 };
	free(telling.items);
}

static void on_commit_time(void *data)
{
	struct audit_log *log = data;
	int64_t began = clock_mono_ns(), took;

	flush(log);
	took = clock_mono_ns() - began;
	log->next_commit_ns = began + (1 + COMMIT_PAUSE) * took;
	tell(log);
	if (!log->failed || log->told)
		return;
	log->told = true;
	/* the last thing done here: the log may be closed in it */
	if (log->config.on_failed)
		log->config.on_failed(log->config.data, &log->error);
}

/* Encodes and stages; a record that is no good is refused alone, a disk that is none ends the log. */
static struct error *take_record(struct audit_log *log, const struct json *fields)
{
	struct error err = ERROR_INIT, *refused;
	int failed = encode(log, fields, &log->line, &err);

	arena_reset(log->arena);
	if (failed && err.kind != ERROR_LIMIT && err.kind != ERROR_INVALID)
		fail(log, &err);
	else if (failed) {
		refused = mem_alloc(sizeof(*refused));
		*refused = err;
		return refused;
	}
	if (!log->failed && log_writer_staged(&log->on_disk.writer).length + log->line.length > LIMIT_AUDIT_QUEUE_BYTES)
		flush(log);
	if (log->failed)
		return NULL;
	log_writer_stage(&log->on_disk.writer, str_span(&log->line));
	log->queued++;
	return NULL;
}

static void commit_soon(struct audit_log *log)
{
	int64_t wait_ms;

	if (lull_running(log->lull))
		return;
	wait_ms = (log->next_commit_ns - clock_mono_ns()) / 1000000;
	lull_start(log->lull, wait_ms > COMMIT_PAUSE_MOST_MS ? COMMIT_PAUSE_MOST_MS : wait_ms);
}

static void forget_intent(struct audit_log *log, uint64_t seq)
{
	char key[24];
	struct str *text;

	snprintf(key, sizeof(key), "%020" PRIu64, seq);
	text = map_remove(&log->open_intents, span_of(key));
	if (text)
		str_release(text);
	free(text);
}

/* An intent that was open when the log was opened, and of which the run that made it tells the result after all. */
static void close_intent(struct audit_log *log, const struct json *fields)
{
	if (log->open_intents.count && span_is(json_text_span(json_get(fields, "kind")), "sync.result"))
		forget_intent(log, (uint64_t)json_get_int(fields, "intent", 0));
}

/*
 * A lease that changed hands between two terms of ours was taken by us alone: a step of one, when it had been given up. More are
 * another's, whom the lease does not name any more when we took it once without coming as far as a record.
 */
static void note_term(struct audit_log *log, uint64_t seq, const struct json *record)
{
	const struct json *lease = json_get(record, "lease");
	struct span former = json_text_span(json_get(lease, "former_holder"));
	int64_t transitions = json_get_int(lease, "transitions", 0), before = log->transitions;
	bool other = former.length && !span_equal(former, json_text_span(json_get(lease, "holder")));

	log->transitions = transitions;
	/* the same term: the log was opened anew, or the process was started anew */
	if (transitions == before)
		return;
	if (other || (before >= 0 && transitions != before + 1))
		log->other_led = seq;
}

bool audit_log_has_other_led(const struct audit_log *log, uint64_t seq)
{
	return seq < log->other_led;
}

/* Of what is appended, what the log itself has to know. */
static void note_appended(struct audit_log *log, const struct json *fields)
{
	close_intent(log, fields);
	if (span_is(json_text_span(json_get(fields, "kind")), "term.start"))
		note_term(log, log->next_seq, fields);
}

uint64_t audit_log_append(struct audit_log *log, struct json *fields, void (*on_durable)(void *data, uint64_t seq, const struct error *err),
			  void *data)
{
	struct waiter waiter = { .on_durable = on_durable, .data = data, .seq = log->next_seq };

	ASSERT(log->begun);
	if (!log->failed)
		waiter.refused = take_record(log, fields);
	if (!waiter.refused) {
		note_appended(log, fields);
		log->next_seq++;
	}
	wait_for(log, waiter);
	commit_soon(log);
	return waiter.seq;
}

void audit_log_forget(struct audit_log *log, const void *data)
{
	struct waiters *lists[] = { &log->waiting, &log->telling };

	for (size_t i = 0; i < COUNT_OF(lists); i++)
		for (size_t j = 0; j < lists[i]->count; j++)
			if (lists[i]->items[j].data == data)
				lists[i]->items[j].on_durable = NULL;
}

const char *audit_log_id(const struct audit_log *log)
{
	return log->id;
}

uint64_t audit_log_next_seq(const struct audit_log *log)
{
	return log->next_seq;
}

bool audit_log_ok(const struct audit_log *log, struct error *err)
{
	if (log->failed && err)
		*err = log->error;
	return !log->failed;
}

struct span audit_log_checkpoint(const struct audit_log *log)
{
	return str_span(&log->on_disk.note);
}

static void note_term_read(struct audit_log *log, uint64_t seq, struct span record)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct json *term;

	if (!json_parse(record, arena, 0, &term, NULL))
		note_term(log, seq, term);
}

static int note_record(void *data, uint64_t seq, struct span record, struct error *err)
{
	struct audit_log *log = data;
	struct audit_envelope envelope;
	struct str *text;
	char key[24];

	if (audit_envelope_read(record, &envelope, NULL, err))
		return log_corrupt(err, "a record");
	if (envelope.kind == AUDIT_SYNC_RESULT && envelope.has_intent)
		forget_intent(log, envelope.intent);
	if (envelope.kind == AUDIT_TERM_START)
		note_term_read(log, seq, record);
	if (envelope.kind != AUDIT_SYNC_INTENT)
		return 0;
	/* the oldest are told; when they have their results, the next start tells the rest */
	if (log->open_intents.count >= LIMIT_AUDIT_OPEN_INTENTS)
		return 0;
	text = mem_alloc(sizeof(*text));
	str_add(text, record);
	snprintf(key, sizeof(key), "%020" PRIu64, seq);
	map_set(&log->open_intents, span_of(key), text);
	return 0;
}

static int find_open_intents(struct audit_log *log, const char *dir, struct error *err)
{
	struct audit_reader reader = AUDIT_READER_INIT;
	uint64_t size = log->next_seq, from = size > LIMIT_AUDIT_OPEN_RECORDS ? size - LIMIT_AUDIT_OPEN_RECORDS : 0;
	int result;

	if (audit_reader_open(dir, &reader, err))
		return -1;
	result = audit_read_each(&reader, from, size, note_record, log, err);
	audit_reader_release(&reader);
	return result;
}

int audit_log_goes_on_from(const struct audit_log *log, struct span note, struct error *err)
{
	const struct log_recovered *on_disk = &log->on_disk;

	return log_anchor_check(&on_disk->writer.files, on_disk->writer.written, note_signer_key(on_disk->signer), note, err);
}

static int by_key(const void *a, const void *b)
{
	const struct map_entry *const *x = a, *const *y = b;

	return strcmp((*x)->key, (*y)->key);
}

void audit_log_each_open_intent(struct audit_log *log, void (*each)(void *data, const struct json *intent), void *data)
{
	CLEANUP(mem_cleanup) const struct map_entry **sorted = mem_calloc(log->open_intents.count + 1, sizeof(*sorted));
	size_t count = 0;

	MAP_EACH(entry, &log->open_intents)
		sorted[count++] = entry;
	qsort(sorted, count, sizeof(*sorted), by_key);
	for (size_t i = 0; i < count; i++) {
		CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
		struct json *intent;

		if (!audit_expand(&log->on_disk.writer.files, str_span(sorted[i]->value), arena, &intent, NULL))
			each(data, intent);
	}
}

/* Appends one record and makes it durable now; for the log's own, outside the loop's turn. */
static int append_now(struct audit_log *log, struct json *fields, struct error *err)
{
	audit_log_append(log, fields, NULL, NULL);
	flush(log);
	tell(log);
	lull_stop(log->lull);
	return audit_log_ok(log, err) ? 0 : -1;
}

static int append_start(struct audit_log *log, struct error *err)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct json *start = audit_record(arena, AUDIT_LOG_START, AUDIT_OK), *lost;

	json_set_string(arena, start, "origin", note_signer_key(log->on_disk.signer)->name);
	if (log->config.account)
		json_set_string(arena, start, "account", log->config.account);
	/* the files of a new log are made, not mended */
	if (log->on_disk.repaired && audit_log_next_seq(log))
		json_set_int(arena, start, "repaired_files", log->on_disk.repaired);
	if (append_now(log, start, err))
		return -1;
	if (!*log->on_disk.predecessor)
		return 0;
	lost = audit_record(arena, AUDIT_LOG_LOST, AUDIT_FAIL);
	json_set_string(arena, lost, "predecessor", log->on_disk.predecessor);
	if (log->on_disk.predecessor_note.length)
		json_set(arena, lost, "checkpoint", json_span(arena, str_span(&log->on_disk.predecessor_note)));
	audit_set_reason(arena, lost, "LogMissing", "the folder of the log before this one is gone");
	return append_now(log, lost, err);
}

int audit_log_begin(struct audit_log *log, struct error *err)
{
	if (log->begun)
		return audit_log_ok(log, err) ? 0 : -1;
	log->begun = true;
	return append_start(log, err);
}

static void free_log(struct audit_log *log)
{
	MAP_EACH(entry, &log->open_intents) {
		str_release(entry->value);
		free(entry->value);
	}
	map_release(&log->open_intents);
	lull_free(log->lull);
	log_recovered_release(&log->on_disk);
	arena_free(log->arena);
	str_release(&log->line);
	free(log->waiting.items);
	free(log->version);
	free(log->journal_path);
	free(log->id);
	free(log);
}

static void cleanup_log(struct audit_log **log)
{
	if (*log)
		free_log(*log);
}

static void name_log(struct audit_log *log)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	uint8_t boot[16];

	log->id = mem_strdup(strrchr(note_signer_key(log->on_disk.signer)->name, '/') + 1);
	log_files_beside(&log->on_disk.writer.files, ".journal", &text);
	log->journal_path = str_take(&text);
	rand_bytes(boot, sizeof(boot));
	hex_encode(span_make(boot, sizeof(boot)), &text);
	snprintf(log->boot, sizeof(log->boot), "%s", str_c(&text));
}

int audit_log_open(struct loop *loop, const char *dir, const struct audit_log_config *config, struct audit_log **out,
		   struct error *err)
{
	CLEANUP(cleanup_log) struct audit_log *log = mem_alloc(sizeof(*log));
	struct error own = ERROR_INIT;

	err = err ? err : &own;
	log->config = *config;
	log->version = mem_strdup(config->version && *config->version ? config->version : "unknown");
	log->arena = arena_new(0);
	log->transitions = -1;
	log->line.limit = LIMIT_AUDIT_BODY_BYTES;
	log->lull = lull_new(loop, on_commit_time, log);
	if (log_recover(dir, &log->on_disk, err))
		return -1;
	if (!strchr(note_signer_key(log->on_disk.signer)->name, '/'))
		return error_set(err, ERROR_INVALID, "LogCorrupt", "the key of %s has a name without '/'", dir);
	name_log(log);
	log->next_seq = log->on_disk.writer.edge.tree.size;
	memcpy(log->last_id, log->on_disk.last_id, sizeof(log->last_id));
	if (find_open_intents(log, dir, err))
		return -1;
	/* one without records is no older copy of anything */
	if ((!config->unsure || !log->next_seq) && audit_log_begin(log, err))
		return -1;
	*out = TAKE(log);
	return 0;
}

void audit_log_close(struct audit_log *log)
{
	CLEANUP(arena_cleanup) struct arena *arena = NULL;

	if (!log)
		return;
	arena = arena_new(0);
	if (log->begun && !log->failed)
		append_now(log, audit_record(arena, AUDIT_LOG_STOP, AUDIT_OK), NULL);
	tell(log);
	free_log(log);
}
