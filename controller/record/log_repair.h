/*
 * The files that a log's folder must hold from some size on, held against
 * those it does hold. First everything is compared, then all is repaired or,
 * when something is not a crash's work, nothing.
 *
 * A crash's work is a file that is missing, a beginning of what is expected,
 * one with zeroes from somewhere in a sector up to its end, and the name of an
 * earlier width. The zeroes are what ext4 leaves: bytes that are appended to a
 * block that a file has already become part of its length within seconds, and
 * reach the disk half a minute later; new blocks that are written together do
 * so in any order. So they are taken only in sectors and up to the sector's or
 * the file's end, and what should stand there is known: one byte that is set
 * to zero by hand is told like any other, unless it is a sector's last.
 */
#ifndef RECORD_LOG_REPAIR_H
#define RECORD_LOG_REPAIR_H

#include "base/map.h"
#include "record/log_writer.h"

struct log_repair {
	const struct log_files *files;
	uint64_t base, size;            /* what lies before base is not looked at; a multiple of 256 */
	struct map expected;            /* path -> struct expected_file, owned */
	struct str *superseded;         /* paths to remove, owned */
	size_t superseded_count, superseded_capacity;
};

/* Takes a copy: this file must be there with this content. */
void log_repair_expect(struct log_repair *repair, const char *path, struct span content);
/* The same, of a file that the caller has compared: what it holds now may be anything. */
void log_repair_replace(struct log_repair *repair, const char *path, struct span content);
/* Compares the folder with what is expected; ERROR_INVALID "LogCorrupt" with file and byte. Changes nothing. */
int log_repair_compare(struct log_repair *repair, struct error *err);
/*
 * Writes every expected file anew and removes what is superseded; *count of those that were not as they must be. One that is may
 * be so in memory only: what could not be written stays there, and a sync tells of it but once.
 */
int log_repair_apply(struct log_repair *repair, unsigned *count, struct error *err);
void log_repair_release(struct log_repair *repair);

#endif
