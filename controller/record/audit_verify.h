/*
 * Verifies a log as it lies in a folder, with nothing but the folder: every
 * record, every byte of every tile, the signed checkpoint, and that no file is
 * missing or does not belong there.
 *
 * What it cannot see alone: records cut off the end together with their
 * checkpoint. For that a checkpoint kept elsewhere is given (last_known).
 * A log that a controller is writing meanwhile verifies too.
 */
#ifndef RECORD_AUDIT_VERIFY_H
#define RECORD_AUDIT_VERIFY_H

#include "record/log_files.h"

struct audit_verify_options {
	const struct note_key *key;     /* NULL: that of DIR/vkey; else that must be the same */
	struct span last_known;         /* a checkpoint of this log from elsewhere, other signatures beside ours allowed; or SPAN0 */
	unsigned threads;               /* 0: as many as there are processors */
	bool alone;                     /* nobody else can be writing it: the caller holds the lock */
};

struct audit_verdict {
	struct checkpoint checkpoint;
	struct note_key key;
	uint64_t bodies, bodies_absent; /* parts of large records: checked; not there to be checked */
};

/*
 * 0 when the log is intact. -1 with ERROR_INVALID when it is not: "LogCorrupt" (file and byte), "WrongKey", "LogTruncated"
 * or "LogForked" (against last_known), "BadLastKnown" (that is no checkpoint of this log). Other kinds: it could not be
 * read.
 */
int audit_verify(const char *dir, const struct audit_verify_options *options, struct audit_verdict *out, struct error *err);

#endif
