/* Verification of a log's folder; see audit_verify.h. */
#include "record/audit_verify.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "record/log_check.h"

#define LIVE_TRIES 1000         /* of the end of a log that grows meanwhile, 2 ms apart */

struct verification {
	const struct audit_verify_options *options;
	struct log_files files;
	struct log_check full;          /* up to the last full bundle */
	struct log_check check;         /* up to the end: a copy of `full` and the tail */
	struct note_key key;
	struct checkpoint checkpoint, last_known;
	uint64_t old_size;
};

static int read_checkpoint(struct verification *v, struct error *err)
{
	CLEANUP(str_release) struct str note = STR_LIMIT(NOTE_BYTES_MAX);

	if (log_files_checkpoint(&v->files, &v->key, &v->checkpoint, &note, err)) {
		if (err && err->kind == ERROR_NOT_FOUND)
			return log_corrupt(err, NULL);
		return -1;
	}
	if (v->options->key && (strcmp(v->options->key->name, v->key.name) != 0 ||
				memcmp(v->options->key->public_key, v->key.public_key, sizeof(v->key.public_key)) != 0))
		return error_set(err, ERROR_INVALID, "WrongKey", "vkey: byte 0: the log is signed by another key than the one given: %s",
				 v->key.name);
	return 0;
}

static int read_last_known(struct verification *v, struct error *err)
{
	if (!v->options->last_known.length)
		return 0;
	if (checkpoint_open(v->options->last_known, &v->key, false, &v->last_known, err)) {
		if (!err)
			return -1;
		error_wrap(err, "the last known checkpoint is not one of this log");
		snprintf(err->reason, sizeof(err->reason), "BadLastKnown");
		err->kind = ERROR_INVALID;
		return -1;
	}
	v->old_size = v->last_known.size;
	v->full.old_size = &v->old_size;
	if (v->old_size > v->checkpoint.size)
		return error_set(err, ERROR_INVALID, "LogTruncated", "checkpoint: byte 0: the log has %" PRIu64
				 " records, but once had %" PRIu64 ": the last are gone", v->checkpoint.size, v->old_size);
	return 0;
}

static int check_old_root(const struct verification *v, struct error *err)
{
	if (!v->options->last_known.length)
		return 0;
	ASSERT(v->check.old_root_known);
	if (!digest_equal(&v->check.old_root, &v->last_known.root))
		return error_set(err, ERROR_INVALID, "LogForked", "checkpoint: byte 0: the first %" PRIu64
				 " records are not those of the last known checkpoint", v->old_size);
	return 0;
}

/* One file of the folder: is it one that a log of this size has? */
static int belongs(void *data, const char *name, bool plain, struct error *err)
{
	const struct verification *v = data;
	int level;
	uint64_t index;
	unsigned width;

	if (plain && (span_is(span_of(name), "checkpoint") || span_is(span_of(name), "vkey")))
		return 0;
	if (plain && tlog_path_parse(span_of(name), &level, &index, &width) &&
	    tlog_tile_width(level, index, v->checkpoint.size) == width)
		return 0;
	return error_set(err, ERROR_INVALID, "LogCorrupt", "%s: byte 0: it does not belong to a log of %" PRIu64 " records", name,
			 v->checkpoint.size);
}

/* All that can change while the log grows. */
static int check_end(struct verification *v, struct error *err)
{
	uint64_t size = v->checkpoint.size;

	if (log_check_full(&v->full, size - size % TLOG_WIDTH, err))
		return -1;
	v->check = v->full;
	if (log_check_tail(&v->check, size, err) || log_check_root(&v->check, &v->checkpoint, err))
		return -1;
	return log_files_walk(&v->files, belongs, v, err);
}

static int verify(struct verification *v, struct error *err)
{
	struct timespec moment = { 0, 2000000 };

	if (read_checkpoint(v, err) || read_last_known(v, err))
		return -1;
	/* a writer replaces the last, partial tiles with each commit: what is wrong now may be right at the next checkpoint */
	for (int i = 0; check_end(v, err); i++) {
		if (i >= LIVE_TRIES || v->options->alone || !log_files_are_live(&v->files))
			return -1;
		nanosleep(&moment, NULL);
		if (read_checkpoint(v, err))
			return -1;
	}
	return check_old_root(v, err);
}

static unsigned processors(void)
{
	long count = sysconf(_SC_NPROCESSORS_ONLN);

	return count > 0 ? (unsigned)count : 1;
}

int audit_verify(const char *dir, const struct audit_verify_options *options, struct audit_verdict *out, struct error *err)
{
	CLEANUP(mem_cleanup) struct verification *v = mem_alloc(sizeof(*v));
	int result;

	v->options = options;
	v->files = (struct log_files)LOG_FILES_INIT;
	v->full.files = &v->files;
	v->full.threads = options->threads ? options->threads : processors();
	if (log_files_open(dir, &v->files, err))
		return -1;
	result = verify(v, err);
	if (!result)
		*out = (struct audit_verdict){ v->checkpoint, v->key, v->check.bodies, v->check.bodies_absent };
	log_files_release(&v->files);
	return result;
}
