/*
 * A log against a checkpoint of it that was kept elsewhere, in the cluster's
 * lease for one: an older copy of the volume, put back, is whole by itself.
 */
#ifndef RECORD_LOG_ANCHOR_H
#define RECORD_LOG_ANCHOR_H

#include "record/log_files.h"

/*
 * Whether the log of `size` records goes on from the checkpoint in `note`. 0 too when the note is none that `key` signed: of
 * another log, or nobody's. ERROR_INVALID "LogTruncated" or "LogForked" (as audit_verify names them); what reading the tiles
 * fails with otherwise. Reads hashes only, 32 bytes a record.
 */
int log_anchor_check(const struct log_files *files, uint64_t size, const struct note_key *key, struct span note, struct error *err);

#endif
