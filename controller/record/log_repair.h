/*
 * The files that a log's folder must hold from some size on, held against
 * those it does hold. First everything is compared, then all is repaired or,
 * when something is not a crash's work, nothing.
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
/* Compares the folder with what is expected; ERROR_INVALID "LogCorrupt" with file and byte. Changes nothing. */
int log_repair_compare(struct log_repair *repair, struct error *err);
/* Writes what is missing or cut short, removes what is superseded; *count of them. */
int log_repair_apply(struct log_repair *repair, unsigned *count, struct error *err);
void log_repair_release(struct log_repair *repair);

#endif
