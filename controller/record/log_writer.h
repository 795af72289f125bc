/*
 * Puts a log's tiles on disk as it grows, never keeping a superseded partial
 * tile: new bytes are written behind the old ones of the partial file, which
 * then takes the name of its new width. Nothing here is synced but by
 * log_writer_sync; until then the journal holds it all.
 */
#ifndef RECORD_LOG_WRITER_H
#define RECORD_LOG_WRITER_H

#include "record/log_files.h"

struct staged_tile;

struct log_writer {
	struct log_files files;
	struct tlog_edge edge;          /* with what is staged */
	uint64_t written;               /* records that the tiles on disk hold */
	struct str bundle;              /* content of the last entry bundle while it is not full */
	struct str entries;             /* staged */
	struct staged_tile *full;       /* tiles that became full since, owned */
	size_t full_count, full_capacity;
};
#define LOG_WRITER_INIT { .files = LOG_FILES_INIT, .bundle = STR_LIMIT(LOG_BUNDLE_MAX), .entries = STR_LIMIT(LOG_STAGE_MAX) }
#define LOG_STAGE_MAX ((size_t)32 << 20)
void log_writer_release(struct log_writer *writer);

/* Adds a record (at most LIMIT_RECORD_BYTES) to the tree, in memory: the root is then that of writer->edge.tree. */
void log_writer_stage(struct log_writer *writer, struct span record);
/* What is staged, as in an entry bundle. Borrowed until the next change. */
struct span log_writer_staged(const struct log_writer *writer);
/* Brings the tiles on disk up to what is staged. After a failure the writer must not be used again. */
int log_writer_flush(struct log_writer *writer, struct error *err);
/* Replaces DIR/checkpoint at once. */
int log_writer_checkpoint(struct log_writer *writer, struct span note, struct error *err);

/*
 * Replaces one file of the folder at once, whole, making the folders above it. The new one has blocks of its own: where they
 * cannot be written or a power cut comes first, it is never what another file was.
 */
int log_writer_put(const struct log_files *files, const char *name, struct span content, struct error *err);
/* Writes what a file of the folder holds over it once more, which takes no room. The same bytes: no crash can harm it. */
int log_writer_again(const struct log_files *files, const char *name, struct span content, struct error *err);
/* Removes one, and the .p folder it leaves empty. */
int log_writer_remove(const struct log_files *files, const char *name, struct error *err);

/*
 * Syncs the checkpoint and every tile that is full now and was not when the log had `from` records (a multiple of 256), with
 * the folders above them. After that the journal may forget what lies before the last full entry bundle.
 */
int log_writer_sync(const struct log_writer *writer, uint64_t from, struct error *err);

#endif
