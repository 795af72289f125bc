/*
 * Where the parts of a log lie, and reading them. DIR is the log's own folder,
 * DIR/audit of the controller's data:
 *
 *	DIR/checkpoint DIR/vkey DIR/tile/…   the log: C2SP tlog-tiles
 *	DIR.key         the private key (0600); not in the log's folder, where every byte counts
 *	DIR.journal     what the last commits wrote, until it is surely in the tiles (journal.h)
 *	DIR.journal.new the journal before, kept to be written over
 *	DIR.tmp         the next checkpoint, before it changes places with the one that is there; at start any file that is written anew
 *	DIR-bodies/     parts of records that are too large for a leaf, named by their SHA-256
 *
 * All must be on one file system, since files are moved between them.
 */
#ifndef RECORD_LOG_FILES_H
#define RECORD_LOG_FILES_H

#include <stdbool.h>

#include "base/error.h"
#include "base/str.h"
#include "record/note.h"
#include "record/tlog.h"

struct log_files {
	char *dir;              /* without a slash at its end */
	int fd;                 /* of the folder, open for reading */
};

/* Opens the folder. ERROR_NOT_FOUND "FileNotFound" when there is none. */
int log_files_open(const char *dir, struct log_files *out, struct error *err);
void log_files_release(struct log_files *files);         /* also of a zeroed one */
#define LOG_FILES_INIT { NULL, -1 }

/* Adds DIR and the ending, ".key" for one. */
void log_files_beside(const struct log_files *files, const char *ending, struct str *out);

/*
 * Appends a file of the folder, at most `limit` bytes, following no links. ERROR_NOT_FOUND "FileNotFound", ERROR_INVALID
 * "LogCorrupt" when it is larger or no plain file.
 */
int log_files_read(const struct log_files *files, const char *name, size_t limit, struct str *out, struct error *err);
/* A tile or an entry bundle. */
int log_files_read_tile(const struct log_files *files, int level, uint64_t index, unsigned width, struct str *out,
			struct error *err);
/* The checkpoint as it stands there, with the key of DIR/vkey, which *key (may be NULL) becomes. LogCorrupt otherwise. */
int log_files_checkpoint(const struct log_files *files, struct note_key *key, struct checkpoint *out, struct str *note,
			 struct error *err);

/* Makes *err (which is set, or NULL) a LogCorrupt, of the place unless that is NULL; -1. */
int log_corrupt(struct error *err, const char *where);

/* Most bytes of an entry bundle. */
#define LOG_BUNDLE_MAX ((size_t)TLOG_WIDTH * (2 + 65535))

/* tlog-tiles: entries are "big-endian uint16 length-prefixed". Cuts one off *rest; false when it is not whole. */
bool log_entry_next(struct span *rest, struct span *record);
/* Adds one; the record is at most LIMIT_RECORD_BYTES. */
void log_entry_add(struct str *out, struct span record);

/* Whether another process has the log open for writing just now. */
bool log_files_are_live(const struct log_files *files);
/* Takes the lock that says so, until the descriptor is closed. ERROR_CONFLICT "LogInUse". */
int log_files_lock(const struct log_files *files, struct error *err);

/* Calls each file (not folder) below DIR by its path from there, in no order; stops at the first -1, which it returns. */
int log_files_walk(const struct log_files *files, int (*each)(void *data, const char *name, bool plain, struct error *err),
		   void *data, struct error *err);

#endif
