/*
 * The audit log of this volume: append, group commit, recover, read.
 *
 * On disk it is a C2SP tlog-tiles log: `checkpoint`, `tile/…`, `vkey`, and
 * nothing else, since every byte there counts. The key lies outside it. A
 * record is durable once on_durable was called without an error; only then may
 * what it announces be done. After one failed write nothing is acknowledged
 * any more by this process (the page cache may have dropped what failed).
 *
 * Everything runs on the loop's thread; completions come exactly once, never
 * from inside audit_log_append.
 */
#ifndef RECORD_AUDIT_LOG_H
#define RECORD_AUDIT_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/json.h"
#include "io/loop.h"

struct audit_log;

struct audit_log_config {
	const char *version;                 /* of the controller, for `ver` */
	void (*on_failed)(void *data, const struct error *err);  /* told once, when the log can write no more */
	void *data;
	const char *account;                 /* the controller's own, recorded so that `audit join` knows it; NULL: not known */
	bool unsure;                         /* an older copy may have been put in its place: nothing is appended before audit_log_begin */
};

/*
 * Opens or makes the log in `dir` and appends log.start (one that is `unsure` and has records: not yet); log.lost too when the
 * folder of a log that was here is gone. A torn tail that no checkpoint covers is cut off, files that a crash cut short are
 * completed (log_recover.h says how that is told from a change by hand); anything else that is not intact is ERROR_INVALID
 * "LogCorrupt" with file and byte, and nothing is changed; "LogKeyMissing" when the folder is there without its key.
 * ERROR_CONFLICT "LogInUse" when another process has it.
 * What lies beside the folder is listed in log_files.h.
 */
int audit_log_open(struct loop *loop, const char *dir, const struct audit_log_config *config, struct audit_log **out,
		   struct error *err);
/* It is the newest: appends log.start now, unless that was done. */
int audit_log_begin(struct audit_log *log, struct error *err);
/* Appends log.stop where there was a log.start, makes it durable (blocking), tells all who wait, closes. Not from inside on_durable. NULL is fine. */
void audit_log_close(struct audit_log *log);

/* The log's random id (lower-case hex); what Audit-IDs begin with. Borrowed. */
const char *audit_log_id(const struct audit_log *log);
/* The seq that the next append will get: a record may name itself (audit_id) before it is appended. */
uint64_t audit_log_next_seq(const struct audit_log *log);
/* False once a write has failed: no governed write may be done. *err (may be NULL) says why. */
bool audit_log_ok(const struct audit_log *log, struct error *err);

/*
 * Queues a record: `fields` has kind, outcome and what the kind needs; id, seq, t, boot, v and ver are put in here.
 * It is encoded before this returns; `fields` stays as it is. on_durable may be NULL. Returns the seq. A record that cannot be
 * written at all (ERROR_LIMIT "RecordTooLarge", ERROR_INVALID "BadRecord") is refused alone: on_durable tells, its seq goes to
 * the next.
 */
uint64_t audit_log_append(struct audit_log *log, struct json *fields, void (*on_durable)(void *data, uint64_t seq, const struct error *err),
			  void *data);
/* Forgets the completions of `data` (a run that ended); the records stay. */
void audit_log_forget(struct audit_log *log, const void *data);

/*
 * Whether this log goes on from a checkpoint of it that was kept elsewhere (a note that it did not sign is none of it: yes).
 * ERROR_INVALID "LogTruncated" or "LogForked": an older copy of it was put back, and nothing may be done that it records.
 */
int audit_log_goes_on_from(const struct audit_log *log, struct span note, struct error *err);
/* The newest signed checkpoint, a C2SP signed note. Borrowed until the next append. */
struct span audit_log_checkpoint(const struct audit_log *log);

/* Each sync.intent of before this was opened that no sync.result names yet, oldest first; `intent` lives for the call. */
void audit_log_each_open_intent(struct audit_log *log, void (*each)(void *data, const struct json *intent), void *data);
/* Whether a holder with another log may have led after the record `seq`: what the term.starts from there on say of the lease. */
bool audit_log_has_other_led(const struct audit_log *log, uint64_t seq);

#endif
