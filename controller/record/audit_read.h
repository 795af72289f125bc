/*
 * Reading a log's records, by people's commands and at start. Nothing is
 * verified here but form; audit_verify says whether it may be believed.
 * Works while a controller appends.
 */
#ifndef RECORD_AUDIT_READ_H
#define RECORD_AUDIT_READ_H

#include "base/json.h"
#include "record/log_files.h"

struct audit_reader {
	struct log_files files;
	struct note_key key;
	struct checkpoint checkpoint;   /* what is there to be read */
	struct str note;                /* the checkpoint's text */
};
#define AUDIT_READER_INIT { .files = LOG_FILES_INIT, .note = STR_LIMIT(NOTE_BYTES_MAX) }

/* `dir` is the log's folder, or the data folder that holds it as `audit`. ERROR_NOT_FOUND when neither is a log. */
int audit_reader_open(const char *dir, struct audit_reader *out, struct error *err);
/* Reads the checkpoint again; the log may have grown. */
int audit_reader_refresh(struct audit_reader *reader, struct error *err);
void audit_reader_release(struct audit_reader *reader);
/* What Audit-IDs of this log begin with: the last part of its origin. Borrowed. */
const char *audit_reader_id(const struct audit_reader *reader);

/* Appends the exact bytes of one record. ERROR_NOT_FOUND "NoSuchRecord". */
int audit_read_record(struct audit_reader *reader, uint64_t seq, struct str *out, struct error *err);
/* Calls each record from `from` up to, without, `to`; stops at the first -1, which it returns. */
int audit_read_each(struct audit_reader *reader, uint64_t from, uint64_t to,
		    int (*each)(void *data, uint64_t seq, struct span record, struct error *err), void *data, struct error *err);

/*
 * A record as a tree, with what was moved beside the log put back (its hash is checked). ERROR_INVALID "LogCorrupt" when it, or
 * its body, has not the form of one: what the envelope has is there and is what it should be. Where the body is not to be had the
 * record stays as it is in the log, with `body` to say so.
 */
int audit_expand(const struct log_files *files, struct span record, struct arena *arena, struct json **out, struct error *err);
/* Makes a record fit for a leaf: moves its largest members into DIR-bodies/, durable on return. `record` is changed. */
int audit_shrink(const struct log_files *files, struct arena *arena, struct json *record, struct error *err);

/* The C2SP tlog-proof of a record against the checkpoint of the reader, checked before it is given out. */
int audit_prove(struct audit_reader *reader, uint64_t seq, struct str *out, struct error *err);

#endif
