/* Reading records; see audit_read.h. */
#include "record/audit_read.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/encode.h"
#include "io/file.h"

#define GROWING_TRIES 2000      /* a millisecond apart: between tile and checkpoint the writer may lose the processor */

static bool is_log(const char *dir)
{
	CLEANUP(str_release) struct str path = STR_INIT;

	str_addf(&path, "%s/checkpoint", dir);
	return file_exists(str_c(&path));
}

int audit_reader_open(const char *dir, struct audit_reader *out, struct error *err)
{
	CLEANUP(str_release) struct str inner = STR_INIT;
	struct audit_reader reader = AUDIT_READER_INIT;

	str_addf(&inner, "%s/audit", dir);
	if (!is_log(dir) && is_log(str_c(&inner)))
		dir = str_c(&inner);
	if (log_files_open(dir, &reader.files, err))
		return -1;
	if (!is_log(dir)) {
		error_set(err, ERROR_NOT_FOUND, "NoLog", "%s holds no audit log: there is no checkpoint in it", dir);
		goto failed;
	}
	if (audit_reader_refresh(&reader, err))
		goto failed;
	*out = reader;
	return 0;
failed:
	audit_reader_release(&reader);
	return -1;
}

int audit_reader_refresh(struct audit_reader *reader, struct error *err)
{
	str_reset(&reader->note);
	return log_files_checkpoint(&reader->files, &reader->key, &reader->checkpoint, &reader->note, err);
}

void audit_reader_release(struct audit_reader *reader)
{
	log_files_release(&reader->files);
	str_release(&reader->note);
}

const char *audit_reader_id(const struct audit_reader *reader)
{
	const char *slash = strrchr(reader->checkpoint.origin, '/');

	return slash ? slash + 1 : reader->checkpoint.origin;
}

/* A writer that was killed between the tiles and their checkpoint leaves the wider one only, which begins with the same. */
static int read_wider(struct audit_reader *reader, int level, uint64_t index, unsigned width, struct str *out)
{
	while (++width <= TLOG_WIDTH) {
		str_reset(out);
		if (!log_files_read_tile(&reader->files, level, index, width, out, NULL))
			return 0;
	}
	return -1;
}

/* A tile at the width that it has now: a partial one changes its name with each commit, before the checkpoint does. */
static int read_growing(struct audit_reader *reader, int level, uint64_t index, struct str *out, struct error *err)
{
	struct timespec moment = { 0, 1000000 };
	struct error why = ERROR_INIT;

	for (int i = 0;; i++) {
		unsigned width = tlog_tile_width(level, index, reader->checkpoint.size);

		str_reset(out);
		if (!log_files_read_tile(&reader->files, level, index, width, out, &why))
			return 0;
		if (why.kind != ERROR_NOT_FOUND || width == TLOG_WIDTH || i >= GROWING_TRIES ||
		    (i && !log_files_are_live(&reader->files))) {
			if (why.kind == ERROR_NOT_FOUND && !read_wider(reader, level, index, width, out))
				return 0;
			error_set(err, why.kind, why.reason, "%s", why.text);
			/* the checkpoint says that it is there */
			return why.kind == ERROR_NOT_FOUND ? log_corrupt(err, NULL) : -1;
		}
		if (i)
			nanosleep(&moment, NULL);
		if (audit_reader_refresh(reader, err))
			return -1;
	}
}

int audit_read_each(struct audit_reader *reader, uint64_t from, uint64_t to,
		    int (*each)(void *data, uint64_t seq, struct span record, struct error *err), void *data, struct error *err)
{
	CLEANUP(str_release) struct str bundle = STR_LIMIT(LOG_BUNDLE_MAX);

	while (from < to) {
		uint64_t index = from / TLOG_WIDTH, seq = index * TLOG_WIDTH;
		struct span rest, record;

		if (read_growing(reader, TLOG_ENTRIES, index, &bundle, err))
			return -1;
		for (rest = str_span(&bundle); seq < to && seq < (index + 1) * TLOG_WIDTH; seq++) {
			if (!log_entry_next(&rest, &record))
				return error_set(err, ERROR_INVALID, "LogCorrupt", "record %" PRIu64 " is cut; see `audit verify`", seq);
			if (seq >= from && each(data, seq, record, err))
				return -1;
		}
		from = seq;
	}
	return 0;
}

static int copy_record(void *data, uint64_t seq, struct span record, struct error *err)
{
	(void)seq;
	(void)err;
	str_add(data, record);
	return 0;
}

int audit_read_record(struct audit_reader *reader, uint64_t seq, struct str *out, struct error *err)
{
	if (seq >= reader->checkpoint.size)
		return error_set(err, ERROR_NOT_FOUND, "NoSuchRecord", "the log has %" PRIu64 " records, from 0; there is no record %"
				 PRIu64, reader->checkpoint.size, seq);
	return audit_read_each(reader, seq, seq + 1, copy_record, out, err);
}

struct tile_cache {
	struct audit_reader *reader;
	unsigned level;
	uint64_t index;
	struct str tile;
};

static int cached_hash(void *data, unsigned level, uint64_t index, struct digest *out, struct error *err)
{
	struct tile_cache *cache = data;
	size_t at = (size_t)(index % TLOG_WIDTH) * DIGEST_SIZE;

	if (!cache->tile.length || cache->level != level || cache->index != index / TLOG_WIDTH) {
		cache->level = level;
		cache->index = index / TLOG_WIDTH;
		if (read_growing(cache->reader, (int)level, cache->index, &cache->tile, err))
			return -1;
	}
	if (cache->tile.length < at + DIGEST_SIZE)
		return error_set(err, ERROR_INVALID, "LogCorrupt", "tile %u/%" PRIu64 " is cut at byte %zu; see `audit verify`", level,
				 cache->index, cache->tile.length);
	memcpy(out->bytes, cache->tile.data + at, DIGEST_SIZE);
	return 0;
}

static void write_proof(uint64_t seq, const struct digest *proof, size_t count, struct span note, struct str *out)
{
	str_addf(out, "c2sp.org/tlog-proof@v1\nindex %" PRIu64 "\n", seq);
	for (size_t i = 0; i < count; i++) {
		base64_encode(span_make(proof[i].bytes, DIGEST_SIZE), out);
		str_addc(out, '\n');
	}
	str_addc(out, '\n');
	str_add(out, note);
}

int audit_prove(struct audit_reader *reader, uint64_t seq, struct str *out, struct error *err)
{
	CLEANUP(str_release) struct str record = STR_INIT, note = STR_INIT;
	struct tile_cache cache = { .reader = reader, .tile = STR_LIMIT(TLOG_WIDTH * DIGEST_SIZE) };
	struct tlog_reader hashes = { cached_hash, &cache };
	struct checkpoint checkpoint = reader->checkpoint;      /* reading may refresh the reader's */
	struct digest proof[TLOG_PROOF_MAX], leaf;
	size_t count = 0;
	int result;

	str_add(&note, str_span(&reader->note));
	if (audit_read_record(reader, seq, &record, err))
		return -1;
	result = tlog_prove(seq, checkpoint.size, &hashes, proof, &count, err);
	str_release(&cache.tile);
	if (result)
		return -1;
	leaf = tlog_leaf(str_span(&record));
	if (!tlog_proves(seq, checkpoint.size, &leaf, proof, count, &checkpoint.root))
		return error_set(err, ERROR_INVALID, "LogCorrupt",
				 "the tiles do not prove record %" PRIu64 ": the log was changed; see `audit verify`", seq);
	write_proof(seq, proof, count, str_span(&note), out);
	return 0;
}
