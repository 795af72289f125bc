/*
 * Makes or recovers a log at start: reads what is there, decides, and only
 * then changes anything.
 *
 * Why it is safe. A commit (1) appends records and signed checkpoint to the
 * journal, (2) syncs the journal, (3) grows the tiles, (4) replaces the
 * checkpoint, and then is acknowledged; (3) and (4) are not synced. So
 *  - whatever was acknowledged is in the journal or in tiles synced before the
 *    journal was begun;
 *  - tiles and checkpoint never say more than the journal does;
 *  - a frame of the journal that is not whole, or whose root or signature is
 *    wrong, was cut by a crash before (2) ended: it was never acknowledged and
 *    no checkpoint in the folder covers it, so it is dropped. If one does cover
 *    it, somebody changed the journal: LogCorrupt.
 *  - a file of the folder that a crash cut short is a beginning of what the
 *    journal gives, has zeroes where its last sectors did not reach the disk
 *    (log_repair.h), or has the name of an earlier width: it is written anew.
 *    One that differs was changed by somebody: LogCorrupt, nothing is touched.
 * Full tiles before the journal's base were synced; they are only read. All
 * from there on is written anew at every opening, into new files, and synced
 * before the journal is dropped: after a sync that failed the kernel shows
 * what it has in memory, be it on the disk or not, and says so no second time.
 * Where a disk has no room for a new file, one that reads as it must is written
 * over with the same: a full disk does not keep a whole log from being opened.
 *
 * A folder without any file is no log: a new one is begun, with an id of its
 * own, since numbers of a log that is gone must not be given out twice. What is
 * left of the one before, key and journal, is kept as DIR.lost-ID.*.
 */
#ifndef RECORD_LOG_RECOVER_H
#define RECORD_LOG_RECOVER_H

#include "record/journal.h"
#include "record/log_writer.h"

struct log_recovered {
	struct log_writer writer;       /* its files are open and locked */
	struct note_signer *signer;
	struct journal *journal;
	struct str note;                /* the checkpoint */
	uint8_t last_id[16];            /* of the newest record */
	unsigned repaired;              /* files that were not as they must be, or removed */
	char predecessor[NOTE_NAME_MAX + 1];    /* origin of a log of which only key or journal were left; "" none */
	struct str predecessor_note;    /* its last checkpoint, where that is known */
};
#define LOG_RECOVERED_INIT \
	{ .writer = LOG_WRITER_INIT, .note = STR_LIMIT(NOTE_BYTES_MAX), .predecessor_note = STR_LIMIT(NOTE_BYTES_MAX) }

/* As audit_log_open says. */
int log_recover(const char *dir, struct log_recovered *out, struct error *err);
void log_recovered_release(struct log_recovered *recovered);

#endif
