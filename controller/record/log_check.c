/* Tiles against records, records against their places; see log_check.h. */
#include "record/log_check.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/audit.h"
#include "base/limits.h"
#include "io/file.h"

#define ROUND_BUNDLES 16384u            /* checked by threads before they are put together in order */
#define CLAIM_BUNDLES 4u                /* a thread takes at once */

/* What one bundle comes to. */
struct bundle_report {
	struct digest root;             /* over its 256 records */
	uint8_t first_id[16], last_id[16];
};

struct worker {
	struct log_check *check;
	struct round *round;
	pthread_t thread;
	struct str entries, tile;
	struct digest leaves[TLOG_WIDTH];
	struct log_suspicion suspicion;
	uint64_t failed_at, bodies, bodies_absent;      /* failed_at: UINT64_MAX while all is well */
	struct error err;
};

struct round {
	uint64_t first, count;
	atomic_uint_fast64_t next;
	atomic_bool failed;
	struct bundle_report *reports;
};

static int corrupt(struct error *err, int level, uint64_t index, unsigned width, size_t byte, const char *what)
{
	CLEANUP(str_release) struct str path = STR_INIT;

	tlog_path(level, index, width, &path);
	return error_set(err, ERROR_INVALID, "LogCorrupt", "%s: byte %zu: %s", str_c(&path), byte, what);
}

/* A tile that cannot be read because it is not there is as corrupt as one with other content. */
static int read_tile(const struct log_check *check, int level, uint64_t index, unsigned width, struct str *out, struct error *err)
{
	str_reset(out);
	if (!log_files_read_tile(check->files, level, index, width, out, err))
		return 0;
	if (err && err->kind == ERROR_NOT_FOUND)
		return log_corrupt(err, NULL);
	return -1;
}

/* Says what is wrong with it: read again for that, so that no error need be made ready for each record that is right. */
static int not_canonical(struct span record, uint64_t seq, const char *name, size_t byte, struct error *err)
{
	struct audit_envelope envelope;
	struct error why = ERROR_INIT;
	size_t at = 0;

	ASSERT(audit_envelope_read(record, &envelope, &at, &why));
	return error_set(err, ERROR_INVALID, "LogCorrupt", "%s: byte %zu: record %" PRIu64 " is not canonical: %s", name, byte + at, seq,
			 why.text);
}

int log_check_record(struct span record, uint64_t seq, uint8_t last_id[16], const char *name, size_t byte, struct span *body,
		     struct error *err)
{
	struct audit_envelope envelope;

	if (audit_envelope_read(record, &envelope, NULL, NULL))
		return not_canonical(record, seq, name, byte, err);
	if (envelope.seq != seq)
		return error_set(err, ERROR_INVALID, "LogCorrupt", "%s: byte %zu: at the place of record %" PRIu64
				 " stands one that says seq %" PRIu64, name, byte, seq, envelope.seq);
	if (memcmp(last_id, envelope.id_bytes, 16) >= 0)
		return error_set(err, ERROR_INVALID, "LogCorrupt", "%s: byte %zu: the id of record %" PRIu64
				 " does not come after that of the record before it", name, byte, seq);
	memcpy(last_id, envelope.id_bytes, 16);
	*body = envelope.body;
	return 0;
}

int log_check_body(const struct log_files *files, struct span sha256, bool *absent, struct error *err)
{
	CLEANUP(str_release) struct str folder = STR_INIT, content = STR_LIMIT(LIMIT_AUDIT_BODY_BYTES);
	struct digest digest;
	char hex[DIGEST_HEX];

	log_files_beside(files, "-bodies", &folder);
	*absent = !file_exists(str_c(&folder));
	if (*absent)
		return 0;
	str_addf(&folder, "/%.*s", SPAN_ARG(sha256));
	if (file_read(str_c(&folder), LIMIT_AUDIT_BODY_BYTES, &content, err))
		return log_corrupt(err, "a record's body");
	digest = digest_of(str_span(&content));
	digest_hex(&digest, hex);
	if (!span_is(sha256, hex))
		return error_set(err, ERROR_INVALID, "LogCorrupt", "%s: byte 0: its SHA-256 is %s", str_c(&folder), hex);
	return 0;
}

static int check_body(struct worker *worker, struct span sha256, struct error *err)
{
	bool absent;

	if (log_check_body(worker->check->files, sha256, &absent, err))
		return -1;
	*(absent ? &worker->bodies_absent : &worker->bodies) += 1;
	return 0;
}

static void suspect(struct log_suspicion *suspicion, uint64_t record, size_t entry_byte, const struct digest *leaf,
		    const char *in_tile, size_t tile_byte)
{
	if (suspicion->any && suspicion->record < record)
		return;
	while (leaf->bytes[tile_byte % DIGEST_SIZE] == (uint8_t)in_tile[tile_byte])
		tile_byte++;
	*suspicion = (struct log_suspicion){ true, record, entry_byte, tile_byte };
}

/* The records of a bundle: form, place, hash. */
static int check_entries(struct worker *worker, uint64_t index, unsigned width, struct bundle_report *report, struct error *err)
{
	CLEANUP(str_release) struct str path = STR_INIT;
	struct span rest = str_span(&worker->entries), record, body;
	uint8_t last_id[16] = { 0 };

	tlog_path(TLOG_ENTRIES, index, width, &path);
	for (unsigned i = 0; i < width; i++) {
		uint64_t seq = index * TLOG_WIDTH + i;
		size_t byte = (size_t)(rest.data - worker->entries.data);

		if (!log_entry_next(&rest, &record))
			return corrupt(err, TLOG_ENTRIES, index, width, rest.data ? byte : 0, "it ends within a record");
		if (log_check_record(record, seq, last_id, str_c(&path), byte + 2, &body, err))
			return -1;
		if (body.length && check_body(worker, body, err))
			return -1;
		if (!i)
			memcpy(report->first_id, last_id, 16);
		worker->leaves[i] = tlog_leaf(record);
		if (memcmp(worker->leaves[i].bytes, worker->tile.data + i * DIGEST_SIZE, DIGEST_SIZE) != 0)
			suspect(&worker->suspicion, seq, byte, &worker->leaves[i], worker->tile.data, i * DIGEST_SIZE);
	}
	memcpy(report->last_id, last_id, 16);
	if (rest.length)
		return corrupt(err, TLOG_ENTRIES, index, width, worker->entries.length - rest.length, "bytes behind its last record");
	return 0;
}

static struct digest root_of_tile(const struct digest leaves[TLOG_WIDTH])
{
	struct digest row[TLOG_WIDTH / 2];

	for (unsigned i = 0; i < TLOG_WIDTH / 2; i++)
		row[i] = tlog_node(&leaves[2 * i], &leaves[2 * i + 1]);
	for (unsigned n = TLOG_WIDTH / 4; n; n /= 2)
		for (unsigned i = 0; i < n; i++)
			row[i] = tlog_node(&row[2 * i], &row[2 * i + 1]);
	return row[0];
}

/* A bundle and its tile/0; the hashes of its records are then in worker->leaves. */
static int check_bundle(struct worker *worker, uint64_t index, unsigned width, struct bundle_report *report, struct error *err)
{
	if (read_tile(worker->check, 0, index, width, &worker->tile, err))
		return -1;
	if (worker->tile.length != width * DIGEST_SIZE)
		return corrupt(err, 0, index, width, worker->tile.length, "it is not as long as its name says");
	if (index * TLOG_WIDTH < worker->check->entries_from) {
		memcpy(worker->leaves, worker->tile.data, worker->tile.length);
		memset(report->first_id, 0xff, 16);
		return 0;
	}
	if (read_tile(worker->check, TLOG_ENTRIES, index, width, &worker->entries, err))
		return -1;
	return check_entries(worker, index, width, report, err);
}

static void *work(void *data)
{
	struct worker *worker = data;
	struct round *round = worker->round;
	uint64_t from;

	/* one that fails stops the others soon; all that was claimed before is finished, so the first problem is found */
	while (!atomic_load(&round->failed) && (from = atomic_fetch_add(&round->next, CLAIM_BUNDLES)) < round->count)
		for (uint64_t i = from; i < round->count && i < from + CLAIM_BUNDLES; i++) {
			if (check_bundle(worker, round->first + i, TLOG_WIDTH, &round->reports[i], &worker->err)) {
				worker->failed_at = i;
				atomic_store(&round->failed, true);
				return NULL;
			}
			round->reports[i].root = root_of_tile(worker->leaves);
		}
	return NULL;
}

static void free_worker(struct worker *worker)
{
	str_release(&worker->entries);
	str_release(&worker->tile);
}

static void init_worker(struct worker *worker, struct log_check *check, struct round *round)
{
	*worker = (struct worker){ .check = check, .round = round, .entries = STR_LIMIT(LOG_BUNDLE_MAX),
				   .tile = STR_LIMIT(TLOG_WIDTH * DIGEST_SIZE), .failed_at = UINT64_MAX };
}

/* Takes over what a worker found; the earliest failure wins. */
static void gather(struct log_check *check, const struct worker *worker, const struct worker **failed)
{
	check->bodies += worker->bodies;
	check->bodies_absent += worker->bodies_absent;
	if (worker->suspicion.any && (!check->suspicion.any || worker->suspicion.record < check->suspicion.record))
		check->suspicion = worker->suspicion;
	if (worker->failed_at != UINT64_MAX && (!*failed || worker->failed_at < (*failed)->failed_at))
		*failed = worker;
}

static int run_round(struct log_check *check, struct round *round, struct error *err)
{
	unsigned count = check->threads > 1 ? check->threads : 1, started = 0;
	CLEANUP(mem_cleanup) struct worker *workers = NULL;
	const struct worker *failed = NULL;

	if (count > LIMIT_AUDIT_VERIFY_THREADS)
		count = LIMIT_AUDIT_VERIFY_THREADS;
	workers = mem_calloc(count, sizeof(*workers));
	for (unsigned i = 0; i < count; i++)
		init_worker(&workers[i], check, round);
	while (started + 1 < count && !pthread_create(&workers[started].thread, NULL, work, &workers[started]))
		started++;
	work(&workers[started]);
	for (unsigned i = 0; i < started; i++)
		pthread_join(workers[i].thread, NULL);
	for (unsigned i = 0; i < count; i++) {
		gather(check, &workers[i], &failed);
		free_worker(&workers[i]);
	}
	if (!failed)
		return 0;
	if (err)
		*err = failed->err;
	return -1;
}

struct upper {
	const struct log_check *check;
	uint64_t size;          /* of the log, or any larger */
	struct error *err;
	int failed;
};

/* Levels above 0 are computed, never taken from the disk; what is there must be the same. */
static void compare_upper(struct upper *upper, unsigned level, uint64_t index, unsigned width, const struct digest *hashes)
{
	CLEANUP(str_release) struct str tile = STR_LIMIT(TLOG_WIDTH * DIGEST_SIZE);
	const char *want = (const char *)hashes;
	size_t length = width * DIGEST_SIZE, at = 0;

	if (upper->failed || !level)
		return;
	upper->failed = read_tile(upper->check, (int)level, index, width, &tile, upper->err);
	if (upper->failed)
		return;
	while (at < length && at < tile.length && tile.data[at] == want[at])
		at++;
	if (at >= length && at >= tile.length)
		return;
	/* a record that was changed makes every hash above it differ: it, not they, is to be named */
	upper->failed = -1;
	if (upper->check->suspicion.any)
		log_check_blame(upper->check, upper->size, false, upper->err);
	else
		upper->failed = corrupt(upper->err, (int)level, index, width, at, "it is not what the tiles below it give");
}

static void on_tile(void *data, unsigned level, uint64_t index, const struct digest *hashes)
{
	compare_upper(data, level, index, TLOG_WIDTH, hashes);
}

/* The root at old_size, from the tree before the bundle that holds its end and the hashes in that bundle's tile/0. */
static int find_old_root(struct log_check *check, uint64_t bundle, unsigned width, struct error *err)
{
	CLEANUP(str_release) struct str tile = STR_LIMIT(TLOG_WIDTH * DIGEST_SIZE);
	struct tlog_tree tree = check->edge.tree;
	struct digest hash;

	if (!check->old_size || check->old_root_known || *check->old_size < tree.size || *check->old_size > tree.size + width)
		return 0;
	if (*check->old_size > tree.size && read_tile(check, 0, bundle, width, &tile, err))
		return -1;
	for (size_t i = 0; tree.size < *check->old_size; i++) {
		ASSERT((i + 1) * DIGEST_SIZE <= tile.length);
		memcpy(hash.bytes, tile.data + i * DIGEST_SIZE, DIGEST_SIZE);
		tlog_add(&tree, 0, &hash, NULL, NULL);
	}
	check->old_root = tlog_root(&tree);
	check->old_root_known = true;
	return 0;
}

/* Puts a round's bundles together, in order. */
static int add_bundles(struct log_check *check, const struct round *round, struct error *err)
{
	struct upper upper = { check, UINT64_MAX, err, 0 };

	for (uint64_t i = 0; i < round->count; i++) {
		const struct bundle_report *report = &round->reports[i];

		if ((round->first + i) * TLOG_WIDTH >= check->entries_from) {
			if (memcmp(check->last_id, report->first_id, 16) >= 0)
				return corrupt(err, TLOG_ENTRIES, round->first + i, TLOG_WIDTH, 2,
					       "the id of its first record does not come after that of the record before it");
			memcpy(check->last_id, report->last_id, 16);
		}
		if (find_old_root(check, round->first + i, TLOG_WIDTH, err))
			return -1;
		tlog_edge_add(&check->edge, TLOG_HEIGHT, &report->root, on_tile, &upper);
		if (upper.failed)
			return -1;
	}
	return 0;
}

int log_check_full(struct log_check *check, uint64_t size, struct error *err)
{
	CLEANUP(mem_cleanup) struct bundle_report *reports = NULL;
	uint64_t next = check->edge.tree.size / TLOG_WIDTH, end = size / TLOG_WIDTH;

	ASSERT(check->edge.tree.size % TLOG_WIDTH == 0);
	if (next < end)
		reports = mem_calloc(end - next < ROUND_BUNDLES ? (size_t)(end - next) : ROUND_BUNDLES, sizeof(*reports));
	while (next < end) {
		struct round round = { .first = next, .reports = reports };

		round.count = end - next < ROUND_BUNDLES ? end - next : ROUND_BUNDLES;
		if (run_round(check, &round, err) || add_bundles(check, &round, err))
			return -1;
		next += round.count;
	}
	return 0;
}

static int compare_partials(struct log_check *check, uint64_t size, struct error *err)
{
	struct upper upper = { check, size, err, 0 };

	for (unsigned level = 1; level < TLOG_LEVELS && !upper.failed; level++) {
		unsigned width;
		uint64_t tiles = tlog_tiles((int)level, size, &width);

		if (tiles && width < TLOG_WIDTH)
			compare_upper(&upper, level, tiles - 1, width, check->edge.tile[level]);
	}
	return upper.failed;
}

static int add_tail(struct log_check *check, uint64_t size, struct worker *worker, struct error *err)
{
	uint64_t bundle = size / TLOG_WIDTH;
	unsigned width = (unsigned)(size % TLOG_WIDTH);
	struct bundle_report report;
	const struct worker *failed = NULL;

	if (width && check_bundle(worker, bundle, width, &report, err))
		return -1;
	gather(check, worker, &failed);
	if (width && memcmp(check->last_id, report.first_id, 16) >= 0)
		return corrupt(err, TLOG_ENTRIES, bundle, width, 2,
			       "the id of its first record does not come after that of the record before it");
	if (find_old_root(check, bundle, width, err))
		return -1;
	if (width)
		memcpy(check->last_id, report.last_id, 16);
	for (unsigned i = 0; i < width; i++)
		tlog_edge_add(&check->edge, 0, &worker->leaves[i], NULL, NULL);
	return compare_partials(check, size, err);
}

int log_check_tail(struct log_check *check, uint64_t size, struct error *err)
{
	struct worker worker;
	int result;

	init_worker(&worker, check, NULL);
	result = add_tail(check, size, &worker, err);
	free_worker(&worker);
	return result;
}

int log_check_blame(const struct log_check *check, uint64_t size, bool root_is_right, struct error *err)
{
	const struct log_suspicion *suspicion = &check->suspicion;
	uint64_t bundle = suspicion->record / TLOG_WIDTH;
	unsigned width = tlog_tile_width(0, bundle, size);

	if (root_is_right)
		return corrupt(err, 0, bundle, width, suspicion->tile_byte, "it is not the hash of its record, which is as it was signed");
	return corrupt(err, TLOG_ENTRIES, bundle, width, suspicion->entry_byte,
		       "here begins a record that is not the one that was signed");
}

int log_check_root(const struct log_check *check, const struct checkpoint *signed_one, struct error *err)
{
	struct digest root = tlog_root(&check->edge.tree);
	bool right = digest_equal(&root, &signed_one->root);

	ASSERT(check->edge.tree.size == signed_one->size);
	if (check->suspicion.any)
		return log_check_blame(check, signed_one->size, right, err);
	if (right)
		return 0;
	return error_set(err, ERROR_INVALID, "LogCorrupt", "checkpoint: byte 0: its root is not that of the %" PRIu64
			 " records that are there", signed_one->size);
}
