/* An older copy of a log is told from the newest; see log_anchor.h. */
#include "record/log_anchor.h"

#include <inttypes.h>

#include "record/log_check.h"

#define WAY_OUT "an older copy was put back, or another went on from it; put the newest back, or move the folder away: " \
		"a log of its own then begins, which says what is lost"

int log_anchor_check(const struct log_files *files, uint64_t size, const struct note_key *key, struct span note, struct error *err)
{
	CLEANUP(mem_cleanup) struct log_check *check = NULL;
	struct checkpoint anchor;

	if (!note.length || checkpoint_open(note, key, false, &anchor, NULL))
		return 0;
	if (anchor.size > size)
		return error_set(err, ERROR_INVALID, "LogTruncated", "%s/checkpoint: byte 0: the log has %" PRIu64 " records, but it once had %"
				 PRIu64 ", as a signed checkpoint outside of its volume says: " WAY_OUT, files->dir, size, anchor.size);
	check = mem_alloc(sizeof(*check));
	check->files = files;
	check->entries_from = size + TLOG_WIDTH; /* no record is read */
	check->old_size = &anchor.size;
	if (log_check_full(check, size - size % TLOG_WIDTH, err) || log_check_tail(check, size, err))
		return -1;
	ASSERT(check->old_root_known);
	if (digest_equal(&check->old_root, &anchor.root))
		return 0;
	return error_set(err, ERROR_INVALID, "LogForked", "%s/checkpoint: byte 0: its first %" PRIu64
			 " records are not those of a signed checkpoint outside of its volume: " WAY_OUT, files->dir, anchor.size);
}
