/* Verification of a log's folder; see audit_verify.h. */
#include "record/audit_verify.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "record/log_check.h"

#define LIVE_TRIES 1000         /* of the end of a log that grows meanwhile, 2 ms apart */
#define DOUBTS_MAX 64           /* names that a writer is just now changing; it changes a few at a time */

struct verification {
	const struct audit_verify_options *options;
	struct log_files files;
	struct log_check full;          /* up to the last full bundle */
	struct log_check check;         /* up to the end: a copy of `full` and the tail */
	struct note_key key;
	struct checkpoint checkpoint, last_known;
	uint64_t old_size;
	struct str doubts[DOUBTS_MAX];
	size_t doubt_count;
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

static bool belongs(const struct verification *v, const char *name)
{
	int level;
	uint64_t index;
	unsigned width;

	if (span_is(span_of(name), "checkpoint") || span_is(span_of(name), "vkey"))
		return true;
	return tlog_path_parse(span_of(name), &level, &index, &width) && tlog_tile_width(level, index, v->checkpoint.size) == width;
}

/* Whether a writer may have it there for a moment: the last tile of a level at another width, or one behind it. */
static bool may_be_passing(const struct verification *v, const char *name)
{
	int level;
	uint64_t index;
	unsigned width;

	return tlog_path_parse(span_of(name), &level, &index, &width) && tlog_tile_width(level, index, v->checkpoint.size) < TLOG_WIDTH;
}

static int foreign(const struct verification *v, const char *name, struct error *err)
{
	return error_set(err, ERROR_INVALID, "LogCorrupt", "%s: byte 0: it does not belong to a log of %" PRIu64 " records", name,
			 v->checkpoint.size);
}

static int see_file(void *data, const char *name, bool plain, struct error *err)
{
	struct verification *v = data;

	if (plain && belongs(v, name))
		return 0;
	if (!plain || v->options->alone || v->doubt_count == DOUBTS_MAX || !may_be_passing(v, name))
		return foreign(v, name, err);
	str_reset(&v->doubts[v->doubt_count]);
	str_adds(&v->doubts[v->doubt_count++], name);
	return 0;
}

/* A file in doubt is all right when a later checkpoint has it, or when it is gone. */
static int settle_doubt(struct verification *v, const char *name, struct error *err)
{
	struct timespec moment = { 0, 2000000 };

	for (int i = 0;; i++) {
		struct stat st;

		if (read_checkpoint(v, err))
			return -1;
		if (belongs(v, name) || (fstatat(v->files.fd, name, &st, AT_SYMLINK_NOFOLLOW) && errno == ENOENT))
			return 0;
		if (i >= LIVE_TRIES || !log_files_are_live(&v->files))
			return foreign(v, name, err);
		nanosleep(&moment, NULL);
	}
}

/* Nothing stands there that is not of the log. A large log takes longer to look through than its writer between commits. */
static int check_files(struct verification *v, struct error *err)
{
	struct checkpoint checked = v->checkpoint;
	int result = 0;

	v->doubt_count = 0;
	if (log_files_walk(&v->files, see_file, v, err))
		return -1;
	for (size_t i = 0; !result && i < v->doubt_count; i++)
		result = settle_doubt(v, str_c(&v->doubts[i]), err);
	v->checkpoint = checked;
	return result;
}

/* All that can change while the log grows. */
static int check_end(struct verification *v, struct error *err)
{
	uint64_t size = v->checkpoint.size;

	if (log_check_full(&v->full, size - size % TLOG_WIDTH, err))
		return -1;
	v->check = v->full;
	return log_check_tail(&v->check, size, err) || log_check_root(&v->check, &v->checkpoint, err) ? -1 : 0;
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
	return check_old_root(v, err) || check_files(v, err) ? -1 : 0;
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
	for (size_t i = 0; i < DOUBTS_MAX; i++)
		str_release(&v->doubts[i]);
	return result;
}
