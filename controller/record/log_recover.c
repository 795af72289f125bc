/* Making and recovering a log; the reasoning is in log_recover.h. */
#include "record/log_recover.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/limits.h"
#include "base/rand.h"
#include "io/file.h"
#include "record/audit_verify.h"
#include "record/log_check.h"
#include "record/log_repair.h"

#define ORIGIN "countersign.dev/"
#define ID_BYTES 10             /* 20 digits: an Audit-ID of four numbers stays within the 64 bytes that the API server keeps */

struct recovery {
	struct log_recovered *to;
	struct str journal_path, key_path;
	const struct note_key *key;             /* of to->signer */
	struct journal_image image;
	bool has_journal, has_checkpoint;       /* has_checkpoint: a whole and right one lies in the folder */
	bool torn_checkpoint;                   /* or else the beginning of one that the journal has */
	struct str disk_note;                   /* DIR/checkpoint as it is, without zeroes at its end */
	struct checkpoint disk;
	struct log_check check;                 /* the tiles before the base */
	struct str entries;                     /* all records from the base on */
	struct checkpoint last;                 /* what the newest good frame says */
	uint64_t base;
	uint32_t count;                         /* records in `entries` */
	struct log_repair repair;
};

void log_recovered_release(struct log_recovered *recovered)
{
	log_writer_release(&recovered->writer);
	note_signer_free(recovered->signer);
	journal_free(recovered->journal);
	str_release(&recovered->note);
	str_release(&recovered->predecessor_note);
	*recovered = (struct log_recovered)LOG_RECOVERED_INIT;
}

static void wipe(struct str *s)
{
	if (s->data)
		explicit_bzero(s->data, s->capacity);
	str_release(s);
}

static int make_signer(struct recovery *r, struct error *err)
{
	CLEANUP(str_release) struct str name = STR_INIT;
	uint8_t id[ID_BYTES];

	rand_bytes(id, sizeof(id));
	str_adds(&name, ORIGIN);
	hex_encode(span_make(id, sizeof(id)), &name);
	return note_signer_new(str_c(&name), &r->to->signer, err);
}

static int write_signer(const struct recovery *r, struct error *err)
{
	CLEANUP(wipe) struct str text = STR_INIT;

	note_signer_write(r->to->signer, &text);
	str_addc(&text, '\n');
	return file_write(str_c(&r->key_path), str_span(&text), 0600, err);
}

static int find_any(void *data, const char *name, bool plain, struct error *err)
{
	(void)name;
	(void)plain;
	(void)err;
	*(bool *)data = true;
	return -1;
}

static int read_signer(struct recovery *r, struct error *err)
{
	CLEANUP(wipe) struct str text = STR_LIMIT(512);

	if (file_read(str_c(&r->key_path), 512, &text, err))
		return -1;
	if (!note_signer_parse(str_span(&text), &r->to->signer, err))
		return 0;
	error_wrap(err, "%s: byte 0", str_c(&r->key_path));
	return -1;
}

/* Moves what is left of another log out of the way, under its id. */
static int set_aside(const struct recovery *r, const char *path, const char *ending, struct error *err)
{
	CLEANUP(str_release) struct str to = STR_INIT;
	const char *slash = strrchr(r->to->predecessor, '/');

	log_files_beside(&r->to->writer.files, ".lost-", &to);
	str_addf(&to, "%s%s", slash ? slash + 1 : "unknown", ending);
	if (rename(path, str_c(&to)) && errno != ENOENT)
		return error_errno(err, errno, "rename %s to %s", path, str_c(&to));
	return 0;
}

/* The name of the key that is left; "" where there is none. */
static int name_by_key(struct recovery *r, char *out, size_t size, struct error *err)
{
	*out = '\0';
	if (!file_exists(str_c(&r->key_path)))
		return 0;
	if (read_signer(r, err))
		return -1;
	snprintf(out, size, "%s", note_signer_key(r->to->signer)->name);
	note_signer_free(TAKE(r->to->signer));
	return 0;
}

/*
 * Whether there was a log before the one that is begun, with records in it: its journal says so, or else its key. No crash leaves
 * a journal without any commit: what it was the journal of is then for the key to say.
 */
static int note_predecessor(struct recovery *r, struct error *err)
{
	struct log_recovered *to = r->to;
	struct checkpoint checkpoint = { 0 };
	struct journal_frame frame;
	bool told = false;

	while (r->has_journal && journal_next(&r->image, &frame) && !checkpoint_peek(frame.note, &checkpoint, NULL)) {
		told = true;
		str_reset(&to->predecessor_note);
		str_add(&to->predecessor_note, frame.note);
	}
	if (told)
		snprintf(to->predecessor, sizeof(to->predecessor), "%s", checkpoint.size ? checkpoint.origin : "");
	else if (name_by_key(r, to->predecessor, sizeof(to->predecessor), err))
		return -1;
	r->has_journal = false;
	if (!*to->predecessor)
		return 0;
	return set_aside(r, str_c(&r->journal_path), ".journal", err) || set_aside(r, str_c(&r->key_path), ".key", err) ? -1 : 0;
}

/* The key of the log that is here, or of the new one that is begun. */
static int find_key(struct recovery *r, bool *fresh, struct error *err)
{
	bool any = false;

	/* one that cannot be looked through is not empty for that: a new log would take the key of this one from it */
	if (log_files_walk(&r->to->writer.files, find_any, &any, err) && !any)
		return -1;
	*fresh = !any;
	if (*fresh)
		return note_predecessor(r, err) || make_signer(r, err) ? -1 : 0;
	if (!file_exists(str_c(&r->key_path)))
		return error_set(err, ERROR_INVALID, "LogKeyMissing",
				 "the log %s is there, but not its key %s; put the key back, or move the log elsewhere to begin a new one",
				 r->to->writer.files.dir, str_c(&r->key_path));
	return read_signer(r, err);
}

static int read_journal(struct recovery *r, struct error *err)
{
	struct error why = ERROR_INIT;

	if (!journal_read(str_c(&r->journal_path), &r->image, &why)) {
		r->has_journal = true;
		return 0;
	}
	if (why.kind == ERROR_NOT_FOUND)
		return 0;
	error_set(err, why.kind, why.reason, "%s", why.text);
	return error_wrap(err, "%s", str_c(&r->journal_path));
}

/*
 * Zeroes behind a checkpoint are the room of one with a digit more whose text did not reach the disk. What lies before them was
 * there, and is of any earlier commit: if it is whole, its signature says so.
 */
static void drop_zeroes(struct str *note)
{
	while (note->length && !note->data[note->length - 1])
		str_drop_to(note, note->length - 1);
}

/* DIR/checkpoint. Cut short, or missing, it may be what a crash left, if a journal can say what it should be. */
static int read_disk_checkpoint(struct recovery *r, struct error *err)
{
	struct error why = ERROR_INIT;

	if (log_files_read(&r->to->writer.files, "checkpoint", NOTE_BYTES_MAX, &r->disk_note, &why)) {
		if (why.kind == ERROR_NOT_FOUND && r->has_journal)
			return 0;
		if (why.kind == ERROR_NOT_FOUND)
			return error_set(err, ERROR_INVALID, "LogCorrupt", "checkpoint: byte 0: it is missing");
		return error_set(err, why.kind, why.reason, "%s", why.text);
	}
	if (r->has_journal)
		drop_zeroes(&r->disk_note);
	if (!checkpoint_open(str_span(&r->disk_note), r->key, true, &r->disk, &why))
		r->has_checkpoint = true;
	else if (!r->has_journal)
		return error_set(err, ERROR_INVALID, "LogCorrupt", "checkpoint: byte 0: %s", why.text);
	return 0;
}

/* Without a journal the folder must be whole by itself; its last bundle is the tail. */
static int tail_from_folder(struct recovery *r, struct error *err)
{
	struct audit_verify_options options = { .threads = 1, .alone = true };
	unsigned width = (unsigned)(r->disk.size % TLOG_WIDTH);
	struct audit_verdict verdict;

	if (audit_verify(r->to->writer.files.dir, &options, &verdict, err))
		return -1;
	r->base = r->disk.size - width;
	r->last = r->disk;
	str_add(&r->to->note, str_span(&r->disk_note));
	return width ? log_files_read_tile(&r->to->writer.files, TLOG_ENTRIES, r->base / TLOG_WIDTH, width, &r->entries, err) : 0;
}

/* Adds a frame's records to the tree; false when the frame is not what its own checkpoint says. */
static bool replay_frame(const struct journal_frame *frame, struct tlog_tree *tree, const struct recovery *r,
			 struct checkpoint *checkpoint, bool *contradicts)
{
	struct span rest = frame->entries, record;
	bool other_past = false;
	struct digest root;

	if (frame->first != tree->size || checkpoint_peek(frame->note, checkpoint, NULL) ||
	    strcmp(checkpoint->origin, r->key->name) != 0)
		return false;
	for (uint32_t i = 0; i < frame->count; i++) {
		struct digest leaf;

		if (!log_entry_next(&rest, &record))
			return false;
		leaf = tlog_leaf(record);
		tlog_add(tree, 0, &leaf, NULL, NULL);
		if (r->has_checkpoint && tree->size == r->disk.size) {
			root = tlog_root(tree);
			other_past = !digest_equal(&root, &r->disk.root);
		}
	}
	root = tlog_root(tree);
	if (rest.length || checkpoint->size != tree->size || !digest_equal(&root, &checkpoint->root))
		return false;
	*contradicts |= other_past;
	return true;
}

/* A checkpoint that a power cut left short may be that of any commit since the journal was begun. */
static void compare_torn(struct recovery *r, const struct journal_frame *frame)
{
	if (!r->has_checkpoint && r->disk_note.length < frame->note.length &&
	    !memcmp(frame->note.data, str_c(&r->disk_note), r->disk_note.length))
		r->torn_checkpoint = true;
}

static void take_frame(struct recovery *r, const struct journal_frame *frame, const struct checkpoint *checkpoint)
{
	str_add(&r->entries, frame->entries);
	r->count += frame->count;
	r->last = *checkpoint;
	str_reset(&r->to->note);
	str_add(&r->to->note, frame->note);
}

/*
 * All frames up to the first that is not good. The newest frame's signature counts for all before it, so it alone is
 * checked: if it is wrong, the frame is taken for cut, and the one before it must be right.
 */
static int tail_from_journal(struct recovery *r, struct error *err)
{
	struct tlog_tree tree = r->check.edge.tree;
	struct journal_frame frame, held = { 0 };
	struct checkpoint checkpoint, held_checkpoint = { 0 }, sure;
	size_t good_to = r->image.at;
	bool any = false, contradicts = false;

	while (journal_next(&r->image, &frame) && replay_frame(&frame, &tree, r, &checkpoint, &contradicts)) {
		compare_torn(r, &frame);
		if (any)
			take_frame(r, &held, &held_checkpoint);
		held = frame;
		held_checkpoint = checkpoint;
		any = true;
		good_to = r->image.at;
	}
	if (any && !checkpoint_open(held.note, r->key, true, &sure, NULL))
		take_frame(r, &held, &held_checkpoint);
	if ((!r->to->note.length || checkpoint_open(str_span(&r->to->note), r->key, true, &sure, NULL)) && r->check.suspicion.any)
		return log_check_blame(&r->check, r->base, false, err);
	if (!r->to->note.length || checkpoint_open(str_span(&r->to->note), r->key, true, &sure, NULL))
		return error_set(err, ERROR_INVALID, "LogCorrupt",
				 "%s: byte %zu: no commit in it goes with the %" PRIu64 " records that the folder begins with",
				 str_c(&r->journal_path), good_to, r->base);
	if (contradicts)
		return error_set(err, ERROR_INVALID, "LogCorrupt",
				 "checkpoint: byte 0: it is not of the records that the journal has");
	if (r->has_checkpoint && r->disk.size > r->last.size)
		return error_set(err, ERROR_INVALID, "LogCorrupt", "%s: byte %zu: a commit is damaged that the checkpoint covers: it has %"
				 PRIu64 " records, the journal %" PRIu64, str_c(&r->journal_path), good_to, r->disk.size,
				 r->last.size);
	return 0;
}

/* What lies before the base was synced: it must be right, and be what the signed checkpoint was made of. */
static int check_prefix(struct recovery *r, struct error *err)
{
	uint64_t from = r->base > LIMIT_AUDIT_OPEN_RECORDS ? r->base - LIMIT_AUDIT_OPEN_RECORDS : 0;

	r->check.files = &r->to->writer.files;
	r->check.entries_from = from - from % TLOG_WIDTH;
	if (r->has_checkpoint && r->disk.size <= r->base)
		r->check.old_size = &r->disk.size;
	return log_check_full(&r->check, r->base, err);
}

/* A checkpoint that is older than the base: rolled back by hand, or a copy of the folder that was put back. */
static int check_old_checkpoint(const struct recovery *r, struct error *err)
{
	if (r->check.old_size && r->check.old_root_known && !digest_equal(&r->check.old_root, &r->disk.root))
		return error_set(err, ERROR_INVALID, "LogCorrupt", "checkpoint: byte 0: it is not of the records that are there");
	return 0;
}

/* Checks root and blame over prefix and tail together, with the tail's records as the journal has them. */
static int check_tail(struct recovery *r, struct error *err)
{
	struct span rest = str_span(&r->entries), record, body;

	for (uint64_t seq = r->base; rest.length; seq++) {
		size_t byte = (size_t)(rest.data - r->entries.data);
		struct digest leaf;
		bool absent;

		ASSERT(log_entry_next(&rest, &record));
		if (log_check_record(record, seq, r->check.last_id, "the records since the last full bundles", byte, &body, err) ||
		    (body.length && log_check_body(&r->to->writer.files, body, &absent, err)))
			return -1;
		leaf = tlog_leaf(record);
		tlog_edge_add(&r->check.edge, 0, &leaf, NULL, NULL);
	}
	return log_check_root(&r->check, &r->last, err);
}

static void on_full_tile(void *data, unsigned level, uint64_t index, const struct digest *hashes)
{
	struct recovery *r = data;
	CLEANUP(str_release) struct str path = STR_INIT;

	tlog_path((int)level, index, TLOG_WIDTH, &path);
	log_repair_expect(&r->repair, str_c(&path), span_make(hashes, (size_t)TLOG_WIDTH * DIGEST_SIZE));
}

static void expect_bundle(struct recovery *r, uint64_t index, struct span content, unsigned width)
{
	CLEANUP(str_release) struct str path = STR_INIT;

	tlog_path(TLOG_ENTRIES, index, width, &path);
	log_repair_expect(&r->repair, str_c(&path), content);
}

/* Lists every file from the base on; the writer's edge and bundle become those of the end. */
static void expect_tail(struct recovery *r, const struct tlog_edge *at_base)
{
	struct log_writer *writer = &r->to->writer;
	struct span rest = str_span(&r->entries), record;
	const char *bundle = rest.data;
	unsigned width;

	writer->edge = *at_base;
	while (rest.length) {
		struct digest leaf;

		ASSERT(log_entry_next(&rest, &record));
		leaf = tlog_leaf(record);
		tlog_edge_add(&writer->edge, 0, &leaf, on_full_tile, r);
		if (writer->edge.tree.size % TLOG_WIDTH && rest.length)
			continue;
		width = (unsigned)((writer->edge.tree.size - 1) % TLOG_WIDTH) + 1;
		expect_bundle(r, (writer->edge.tree.size - 1) / TLOG_WIDTH, span_make(bundle, (size_t)(record.data + record.length - bundle)),
			      width);
		str_reset(&writer->bundle);
		if (width < TLOG_WIDTH)
			str_add(&writer->bundle, span_make(bundle, (size_t)(record.data + record.length - bundle)));
		bundle = rest.data;
	}
	writer->written = writer->edge.tree.size;
	for (int level = 0; level < TLOG_LEVELS; level++) {
		CLEANUP(str_release) struct str path = STR_INIT;
		uint64_t tiles = tlog_tiles(level, writer->edge.tree.size, &width);

		if (!tiles || width == TLOG_WIDTH)
			continue;
		tlog_path(level, tiles - 1, width, &path);
		log_repair_expect(&r->repair, str_c(&path), span_make(writer->edge.tile[level], (size_t)width * DIGEST_SIZE));
	}
}

static int expect_files(struct recovery *r, const struct tlog_edge *at_base, struct error *err)
{
	CLEANUP(str_release) struct str vkey = STR_INIT;

	r->repair.files = &r->to->writer.files;
	r->repair.base = r->base;
	r->repair.size = r->last.size;
	note_key_write(r->key, &vkey);
	str_addc(&vkey, '\n');
	log_repair_expect(&r->repair, "vkey", str_span(&vkey));
	/* a checkpoint of an earlier commit, or what is left of one, is no damage: it was compared above and is replaced */
	if (r->has_checkpoint || r->torn_checkpoint)
		log_repair_replace(&r->repair, "checkpoint", str_span(&r->to->note));
	else
		log_repair_expect(&r->repair, "checkpoint", str_span(&r->to->note));
	expect_tail(r, at_base);
	return log_repair_compare(&r->repair, err);
}

/* From here on things are changed. */
static int settle(struct recovery *r, struct error *err)
{
	struct log_recovered *to = r->to;
	struct journal_frame frame = { .note = str_span(&to->note), .entries = str_span(&to->writer.bundle) };
	uint64_t base = r->last.size - r->last.size % TLOG_WIDTH;

	frame.first = base;
	frame.count = (uint32_t)(r->last.size - base);
	/* nothing is written over that no journal has; a folder without one is whole, but who says that it was synced? */
	if (!r->has_journal && !to->journal &&
	    (log_writer_sync(&to->writer, 0, err) || journal_begin(str_c(&r->journal_path), base, &frame, &to->journal, err)))
		return -1;
	if (log_repair_apply(&r->repair, &to->repaired, err) || log_writer_sync(&to->writer, r->base, err))
		return -1;
	/* also one that was just begun: the file before is kept as room for the next, on a disk that fills up */
	if (journal_begin(str_c(&r->journal_path), base, &frame, &to->journal, err))
		return -1;
	memcpy(to->last_id, r->check.last_id, sizeof(to->last_id));
	return 0;
}

/* An empty log: its journal, then its key, then the folder's first files, all durable before there is a record. */
static int begin_log(struct recovery *r, struct error *err)
{
	struct checkpoint empty = { .root = tlog_root(&r->to->writer.edge.tree) };
	struct journal_frame frame = { 0 };

	snprintf(empty.origin, sizeof(empty.origin), "%s", r->key->name);
	if (checkpoint_sign(&empty, r->to->signer, &r->to->note, err))
		return -1;
	frame.note = str_span(&r->to->note);
	r->last = empty;
	if (journal_begin(str_c(&r->journal_path), 0, &frame, &r->to->journal, err) || write_signer(r, err) ||
	    expect_files(r, &r->check.edge, err))
		return -1;
	return settle(r, err);
}

static int recover(struct recovery *r, struct error *err)
{
	CLEANUP(mem_cleanup) struct tlog_edge *at_base = mem_alloc(sizeof(*at_base));

	if (read_disk_checkpoint(r, err))
		return -1;
	if (r->has_journal)
		r->base = r->image.base;
	else if (tail_from_folder(r, err))
		return -1;
	if (check_prefix(r, err))
		return -1;
	*at_base = r->check.edge;
	if ((r->has_journal && tail_from_journal(r, err)) || check_old_checkpoint(r, err) || check_tail(r, err) ||
	    expect_files(r, at_base, err))
		return -1;
	return settle(r, err);
}

static int open_parts(struct recovery *r, const char *dir, struct error *err)
{
	struct log_files *files = &r->to->writer.files;
	bool fresh;

	if (dir_make(dir, err) || log_files_open(dir, files, err) || log_files_lock(files, err))
		return -1;
	log_files_beside(files, ".journal", &r->journal_path);
	log_files_beside(files, ".key", &r->key_path);
	if (read_journal(r, err) || find_key(r, &fresh, err))
		return -1;
	r->key = note_signer_key(r->to->signer);
	return fresh ? begin_log(r, err) : recover(r, err);
}

static void free_recovery(struct recovery **recovery)
{
	struct recovery *r = *recovery;

	str_release(&r->journal_path);
	str_release(&r->key_path);
	journal_image_release(&r->image);
	str_release(&r->disk_note);
	str_release(&r->entries);
	log_repair_release(&r->repair);
	free(r);
}

int log_recover(const char *dir, struct log_recovered *out, struct error *err)
{
	CLEANUP(free_recovery) struct recovery *r = mem_alloc(sizeof(*r));

	*out = (struct log_recovered)LOG_RECOVERED_INIT;
	r->to = out;
	r->image = (struct journal_image)JOURNAL_IMAGE_INIT;
	r->entries.limit = r->image.bytes.limit;
	if (!open_parts(r, dir, err))
		return 0;
	log_recovered_release(out);
	return -1;
}
