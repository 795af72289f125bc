/*
 * The journal: one file beside the log into which each commit goes first, so
 * that one fdatasync makes it durable, however many files of the log change.
 *
 * A frame holds the records of one commit and the signed checkpoint behind
 * them. It needs no checksum: it counts only if the Merkle root over all
 * records up to its end is the one in its checkpoint, and the newest one's
 * signature is right. Frames begin at `base`, a multiple of 256 up to which
 * every tile was synced before the journal was begun, so tiles and journal
 * together always hold all that was acknowledged, whatever became of files
 * that were written but not synced.
 *
 * The file is longer than what is in use, and written over: syncing blocks that
 * are there costs a tenth of making a file longer. A full journal is replaced
 * (rename), and the old file is kept for the next time, which also keeps room
 * on a disk that fills up. Frames of an older journal in the same file have
 * another generation.
 */
#ifndef RECORD_JOURNAL_H
#define RECORD_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

struct journal;

struct journal_frame {
	uint64_t first;         /* seq of its first record */
	uint32_t count;         /* records; may be 0 */
	struct span note;       /* signed checkpoint behind them */
	struct span entries;    /* as in an entry bundle */
};

/*
 * Begins a journal at `path`, in place of the one that is there (it stays valid until this one is durable); `frame` is its
 * first, and must reach from `base` to the log's end. Also used to replace: *journal may be an open one of the same path.
 */
int journal_begin(const char *path, uint64_t base, const struct journal_frame *frame, struct journal **journal,
		  struct error *err);
/* Appends a frame and makes it durable; after a failure the journal must not be used again. */
int journal_append(struct journal *journal, const struct journal_frame *frame, struct error *err);
uint64_t journal_base(const struct journal *journal);
/* Bytes in use, and those of the first frame. */
size_t journal_size(const struct journal *journal, size_t *first_frame);
void journal_free(struct journal *journal);              /* NULL is fine; the file stays */

/* A journal as read at start. */
struct journal_image {
	struct str bytes;
	uint64_t base, generation;
	size_t at;              /* of the next frame */
};
#define JOURNAL_IMAGE_INIT { STR_LIMIT((size_t)256 << 20), 0, 0, 0 }

/* ERROR_NOT_FOUND when there is none; ERROR_INVALID "LogCorrupt" when its first bytes are not those of a journal. */
int journal_read(const char *path, struct journal_image *image, struct error *err);
/* Reads the header of bytes that are already in image->bytes; for journal_read and tests. */
int journal_image_begin(struct journal_image *image, struct error *err);
/* The next frame of this generation that is whole in form; false at the end. The spans point into the image. */
bool journal_next(struct journal_image *image, struct journal_frame *out);
void journal_image_release(struct journal_image *image);

#endif
