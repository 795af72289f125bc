/* The journal; see journal.h. Numbers in it are little-endian: it never leaves the machine that wrote it. */
#include "record/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/metric.h"
#include "base/rand.h"
#include "io/file.h"

#define MAGIC "countersign journal 1\n"
#define FRAME_MAGIC 0x464a5343u         /* "CSJF" */
#define GROWTH ((size_t)1 << 20)        /* of the file at once */

struct file_header {
	char magic[24];
	uint64_t generation, base;
	uint64_t reserved[3];
};

struct frame_header {
	uint32_t magic, count;
	uint64_t generation, first;
	uint32_t note_length, entries_length;
};

struct journal {
	int fd;
	char *path;
	uint64_t generation, base;
	size_t size, first_frame;
	size_t allocated;       /* bytes of the file that were written once */
};

static int write_at(const struct journal *journal, const struct iovec *parts, int count, size_t offset, struct error *err)
{
	struct iovec rest[3];
	int fault = fault_at("log.write"), from = 0;

	if (fault)
		return error_errno(err, fault, "write %s", journal->path);
	memcpy(rest, parts, (size_t)count * sizeof(*rest));
	while (from < count) {
		ssize_t put = pwritev(journal->fd, rest + from, count - from, (off_t)offset);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return error_errno(err, errno, "write %s", journal->path);
		offset += (size_t)put;
		for (; from < count && (size_t)put >= rest[from].iov_len; from++)
			put -= (ssize_t)rest[from].iov_len;
		if (from < count) {
			rest[from].iov_base = (char *)rest[from].iov_base + put;
			rest[from].iov_len -= (size_t)put;
		}
	}
	return 0;
}

static struct iovec part(const void *data, size_t length)
{
	return (struct iovec){ (void *)(uintptr_t)data, length };
}

/*
 * Makes the file long enough with zeroes. A sync of blocks that were written before is a write and no more; one that makes
 * a file longer has the file system commit all that is changed elsewhere too, the tiles among it: ten times as slow.
 */
static int grow(struct journal *journal, size_t needed, struct error *err)
{
	CLEANUP(mem_cleanup) char *zeroes = NULL;
	struct iovec parts[1];

	if (journal->size + needed <= journal->allocated)
		return 0;
	zeroes = mem_alloc(needed + GROWTH);
	parts[0] = part(zeroes, journal->size + needed + GROWTH - journal->allocated);
	if (write_at(journal, parts, 1, journal->allocated, err))
		return -1;
	journal->allocated = journal->size + needed + GROWTH;
	return 0;
}

static int write_frame(struct journal *journal, const struct journal_frame *frame, struct error *err)
{
	struct frame_header header = { FRAME_MAGIC, frame->count, journal->generation, frame->first,
				       (uint32_t)frame->note.length, (uint32_t)frame->entries.length };
	struct iovec parts[] = { part(&header, sizeof(header)), part(frame->note.data, frame->note.length),
				 part(frame->entries.data, frame->entries.length) };

	size_t length = sizeof(header) + frame->note.length + frame->entries.length;

	if (grow(journal, length, err) || write_at(journal, parts, 3, journal->size, err))
		return -1;
	journal->size += length;
	return 0;
}

static int sync_data(const struct journal *journal, struct error *err)
{
	int fault = fault_at("log.fdatasync");

	if (fault || fdatasync(journal->fd))
		return error_errno(err, fault ? fault : errno, "fdatasync %s", journal->path);
	return 0;
}

static void cleanup_journal(struct journal **journal)
{
	journal_free(*journal);
}

/* Puts the new file in the old one's place; where the kernel can, the old one takes the name of the new. */
static int put_in_place(const char *from, const char *path, struct error *err)
{
	int fault = fault_at("log.rename");

	if (fault)
		return error_errno(err, fault, "rename %s", from);
	if (!renameat2(AT_FDCWD, from, AT_FDCWD, path, RENAME_EXCHANGE))
		return 0;
	if (rename(from, path))
		return error_errno(err, errno, "rename %s to %s", from, path);
	return 0;
}

static int sync_parent(const char *path, struct error *err)
{
	ptrdiff_t slash = span_rindex(span_of(path), '/');
	CLEANUP(mem_cleanup) char *parent = slash > 0 ? mem_strndup(path, (size_t)slash) : mem_strdup(slash ? "." : "/");

	return dir_sync(parent, err);
}

int journal_begin(const char *path, uint64_t base, const struct journal_frame *frame, struct journal **journal,
		  struct error *err)
{
	CLEANUP(cleanup_journal) struct journal *fresh = mem_alloc(sizeof(*fresh));
	struct file_header header = { .magic = MAGIC, .base = base };
	CLEANUP(str_release) struct str name = STR_INIT;
	struct iovec parts[] = { part(&header, sizeof(header)) };
	struct stat st;

	str_addf(&name, "%s.new", path);
	rand_bytes(&header.generation, sizeof(header.generation));
	fresh->path = mem_strdup(path);
	fresh->generation = header.generation;
	fresh->base = base;
	/* not truncated: its old blocks are what makes it cheap */
	fresh->fd = open(str_c(&name), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fresh->fd < 0 || fstat(fresh->fd, &st))
		return error_errno(err, errno, "create %s", str_c(&name));
	fresh->allocated = (size_t)st.st_size;
	if (write_at(fresh, parts, 1, 0, err))
		return -1;
	fresh->size = sizeof(header);
	if (fresh->allocated < fresh->size)
		fresh->allocated = fresh->size;
	if (write_frame(fresh, frame, err) || sync_data(fresh, err) || put_in_place(str_c(&name), path, err) ||
	    sync_parent(path, err))
		return -1;
	fresh->first_frame = fresh->size - sizeof(header);
	journal_free(*journal);
	*journal = TAKE(fresh);
	return 0;
}

int journal_append(struct journal *journal, const struct journal_frame *frame, struct error *err)
{
	int64_t began;

	if (write_frame(journal, frame, err))
		return -1;
	began = clock_mono_ns();
	if (sync_data(journal, err))
		return -1;
	metric_observe(METRIC_AUDIT_SYNC_SECONDS, (double)(clock_mono_ns() - began) / 1e9, NULL);
	return 0;
}

uint64_t journal_base(const struct journal *journal)
{
	return journal->base;
}

size_t journal_size(const struct journal *journal, size_t *first_frame)
{
	if (first_frame)
		*first_frame = journal->first_frame;
	return journal->size;
}

void journal_free(struct journal *journal)
{
	if (!journal)
		return;
	if (journal->fd >= 0)
		close(journal->fd);
	free(journal->path);
	free(journal);
}

int journal_read(const char *path, struct journal_image *image, struct error *err)
{
	if (file_read(path, image->bytes.limit, &image->bytes, err))
		return -1;
	return journal_image_begin(image, err);
}

int journal_image_begin(struct journal_image *image, struct error *err)
{
	struct file_header header, want = { .magic = MAGIC };

	if (image->bytes.length < sizeof(header))
		return error_set(err, ERROR_INVALID, "LogCorrupt", "the journal is cut at byte %zu, within its header",
				 image->bytes.length);
	memcpy(&header, image->bytes.data, sizeof(header));
	if (memcmp(header.magic, want.magic, sizeof(want.magic)) != 0 || header.base % 256 != 0)
		return error_set(err, ERROR_INVALID, "LogCorrupt", "byte 0: it does not begin as a journal does");
	image->base = header.base;
	image->generation = header.generation;
	image->at = sizeof(header);
	return 0;
}

bool journal_next(struct journal_image *image, struct journal_frame *out)
{
	struct span rest = span_from(str_span(&image->bytes), image->at);
	struct frame_header header;

	if (rest.length < sizeof(header))
		return false;
	memcpy(&header, rest.data, sizeof(header));
	if (header.magic != FRAME_MAGIC || header.generation != image->generation ||
	    rest.length - sizeof(header) < (uint64_t)header.note_length + header.entries_length)
		return false;
	out->first = header.first;
	out->count = header.count;
	out->note = span_sub(rest, sizeof(header), header.note_length);
	out->entries = span_sub(rest, sizeof(header) + header.note_length, header.entries_length);
	image->at += sizeof(header) + header.note_length + header.entries_length;
	return true;
}

void journal_image_release(struct journal_image *image)
{
	str_release(&image->bytes);
}
