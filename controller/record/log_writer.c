/* Tiles and checkpoint on disk; see log_writer.h. */
#include "record/log_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/limits.h"
#include "base/map.h"
#include "io/file.h"

struct staged_tile {
	unsigned level;
	uint64_t index;
	struct digest hashes[TLOG_WIDTH];
};

void log_writer_release(struct log_writer *writer)
{
	log_files_release(&writer->files);
	str_release(&writer->bundle);
	str_release(&writer->entries);
	free(writer->full);
	writer->full = NULL;
}

/* Makes the folders above `name`. */
static int make_folders(const struct log_files *files, const char *name, struct error *err)
{
	CLEANUP(str_release) struct str path = STR_INIT;

	for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
		str_reset(&path);
		str_add(&path, span_make(name, (size_t)(slash - name)));
		if (mkdirat(files->fd, str_c(&path), 0755) && errno != EEXIST)
			return error_errno(err, errno, "make folder %s/%s", files->dir, str_c(&path));
	}
	return 0;
}

/* Opens a file for writing, made with the folders above it if `flags` say so. */
static int open_file(const struct log_files *files, const char *name, int flags, struct error *err)
{
	int fault = fault_at("log.open"), fd = -1;

	if (!fault)
		fd = openat(files->fd, name, flags | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0 && !fault && errno == ENOENT && (flags & O_CREAT)) {
		if (make_folders(files, name, err))
			return -1;
		fd = openat(files->fd, name, flags | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0644);
	}
	if (fd < 0)
		return error_errno(err, fault ? fault : errno, "open %s/%s", files->dir, name);
	return fd;
}

static int write_all(int fd, struct span bytes, size_t offset, const char *name, struct error *err)
{
	int fault = fault_at("log.tile");

	if (fault)
		return error_errno(err, fault, "write %s", name);
	while (bytes.length) {
		ssize_t put = pwrite(fd, bytes.data, bytes.length, (off_t)offset);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return error_errno(err, errno, "write %s", name);
		offset += (size_t)put;
		bytes = span_from(bytes, (size_t)put);
	}
	return 0;
}

static int move(const struct log_files *files, const char *from, const char *to, struct error *err)
{
	int fault = fault_at("log.rename");

	if (fault || renameat(files->fd, from, files->fd, to))
		return error_errno(err, fault ? fault : errno, "rename %s/%s to %s", files->dir, from, to);
	return 0;
}

/* The .p folder of a partial tile that is gone; another file in it would keep it, and is none of ours. */
static void drop_partial_folder(const struct log_files *files, const char *name)
{
	CLEANUP(str_release) struct str folder = STR_INIT;
	ptrdiff_t slash = span_rindex(span_of(name), '/');

	if (slash < 2 || memcmp(name + slash - 2, ".p", 2) != 0)
		return;
	str_add(&folder, span_make(name, (size_t)slash));
	unlinkat(files->fd, str_c(&folder), AT_REMOVEDIR);
}

/*
 * The .p folder of the tile before, which is full now, becomes that of this one: making and removing a folder each time
 * costs ext4 more than the tiles do. Where it cannot be had, a new one is made as any other.
 */
static void inherit_partial_folder(const struct log_files *files, int level, uint64_t index)
{
	CLEANUP(str_release) struct str from = STR_INIT, to = STR_INIT;

	if (!index)
		return;
	tlog_path(level, index - 1, 1, &from);
	tlog_path(level, index, 1, &to);
	str_drop_to(&from, from.length - strlen("/1"));
	str_drop_to(&to, to.length - strlen("/1"));
	/* fails where a file is in the way, and is then left to whoever finds it there */
	renameat(files->fd, str_c(&from), files->fd, str_c(&to));
}

/* A tile grows from `old_width` (0: it is not there) to `width`: `bytes` belong at `offset` of its file. */
static int grow(const struct log_files *files, int level, uint64_t index, unsigned old_width, unsigned width, struct span bytes,
		size_t offset, struct error *err)
{
	CLEANUP(str_release) struct str from = STR_INIT, to = STR_INIT;
	CLEANUP(fd_cleanup) int fd = -1;

	tlog_path(level, index, width, &to);
	if (old_width)
		tlog_path(level, index, old_width, &from);
	else
		str_add(&from, str_span(&to));
	if (!old_width && width < TLOG_WIDTH)
		inherit_partial_folder(files, level, index);
	fd = open_file(files, str_c(&from), old_width ? 0 : O_CREAT | O_TRUNC, err);
	if (fd < 0 || write_all(fd, bytes, offset, str_c(&from), err))
		return -1;
	if (!old_width)
		return 0;
	return move(files, str_c(&from), str_c(&to), err);
}

/* An edge forgets a tile when the next one of its level begins. */
static void keep_full(void *data, unsigned level, uint64_t index, const struct digest *hashes)
{
	struct log_writer *writer = data;
	struct staged_tile *tile;

	if (writer->full_count == writer->full_capacity) {
		writer->full_capacity = writer->full_capacity ? 2 * writer->full_capacity : 4;
		writer->full = mem_realloc(writer->full, writer->full_capacity * sizeof(*writer->full));
	}
	tile = &writer->full[writer->full_count++];
	tile->level = level;
	tile->index = index;
	memcpy(tile->hashes, hashes, sizeof(tile->hashes));
}

void log_writer_stage(struct log_writer *writer, struct span record)
{
	struct digest leaf = tlog_leaf(record);

	tlog_edge_add(&writer->edge, 0, &leaf, keep_full, writer);
	log_entry_add(&writer->entries, record);
	ASSERT(!writer->entries.overflow);
}

struct span log_writer_staged(const struct log_writer *writer)
{
	return str_span(&writer->entries);
}

static int grow_hashes(const struct log_writer *writer, unsigned level, uint64_t index, unsigned width,
		       const struct digest *hashes, struct error *err)
{
	unsigned old_width = tlog_tile_width((int)level, index, writer->written);

	if (width == old_width)
		return 0;
	return grow(&writer->files, (int)level, index, old_width, width,
		    span_make(hashes[old_width].bytes, (size_t)(width - old_width) * DIGEST_SIZE), (size_t)old_width * DIGEST_SIZE,
		    err);
}

static int flush_tiles(struct log_writer *writer, struct error *err)
{
	for (size_t i = 0; i < writer->full_count; i++) {
		const struct staged_tile *tile = &writer->full[i];

		if (grow_hashes(writer, tile->level, tile->index, TLOG_WIDTH, tile->hashes, err))
			return -1;
	}
	writer->full_count = 0;
	for (unsigned level = 0; level < TLOG_LEVELS; level++) {
		unsigned width;
		uint64_t tiles = tlog_tiles((int)level, writer->edge.tree.size, &width);

		if (tiles && width < TLOG_WIDTH && grow_hashes(writer, level, tiles - 1, width, writer->edge.tile[level], err))
			return -1;
	}
	return 0;
}

/* Entries up to the end of one bundle, cut off *entries. */
static int flush_bundle(struct log_writer *writer, struct span *entries, uint64_t *at, struct error *err)
{
	unsigned old_width = (unsigned)(*at % TLOG_WIDTH), width = old_width;
	uint64_t index = *at / TLOG_WIDTH;
	size_t offset = writer->bundle.length;
	struct span fresh = *entries, record;

	for (; width < TLOG_WIDTH && entries->length; width++, (*at)++)
		ASSERT(log_entry_next(entries, &record));
	fresh.length -= entries->length;
	str_add(&writer->bundle, fresh);
	if (width == TLOG_WIDTH)
		str_reset(&writer->bundle);
	return grow(&writer->files, TLOG_ENTRIES, index, old_width, width, fresh, offset, err);
}

int log_writer_flush(struct log_writer *writer, struct error *err)
{
	struct span entries = str_span(&writer->entries);
	uint64_t at = writer->written;

	while (entries.length)
		if (flush_bundle(writer, &entries, &at, err))
			return -1;
	if (flush_tiles(writer, err))
		return -1;
	str_reset(&writer->entries);
	writer->written = writer->edge.tree.size;
	return 0;
}

/* Not truncated first: the blocks of what was there are written over. Most often it is as long as what was there, too. */
static int write_temporary(const char *path, struct span content, struct error *err)
{
	CLEANUP(fd_cleanup) int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	struct stat st;

	if (fd < 0)
		return error_errno(err, errno, "create %s", path);
	if (write_all(fd, content, 0, path, err))
		return -1;
	if (fstat(fd, &st))
		return error_errno(err, errno, "stat %s", path);
	if ((size_t)st.st_size > content.length && ftruncate(fd, (off_t)content.length))
		return error_errno(err, errno, "truncate %s", path);
	return 0;
}

/* The temporary file becomes `name`. With RENAME_EXCHANGE what was there is the next temporary one, where that can be. */
static int put_in_place(const struct log_files *files, const char *temporary, const char *name, unsigned flags, struct error *err)
{
	int fault = fault_at("log.rename");

	if (!fault && flags && !renameat2(AT_FDCWD, temporary, files->fd, name, flags))
		return 0;
	if (!fault && !renameat(AT_FDCWD, temporary, files->fd, name))
		return 0;
	if (!fault && errno == EXDEV)
		return error_set(err, ERROR_INVALID, "LogMisplaced",
				 "%s is on a file system of its own; the log's folder and what lies beside it must be on one: mount the folder "
				 "above it instead", files->dir);
	return error_errno(err, fault ? fault : errno, "rename %s to %s/%s", temporary, files->dir, name);
}

int log_writer_put(const struct log_files *files, const char *name, struct span content, struct error *err)
{
	CLEANUP(str_release) struct str temporary = STR_INIT;

	log_files_beside(files, ".tmp", &temporary);
	if (unlink(str_c(&temporary)) && errno != ENOENT)
		return error_errno(err, errno, "remove %s", str_c(&temporary));
	if (write_temporary(str_c(&temporary), content, err) || make_folders(files, name, err))
		return -1;
	return put_in_place(files, str_c(&temporary), name, 0, err);
}

int log_writer_again(const struct log_files *files, const char *name, struct span content, struct error *err)
{
	CLEANUP(str_release) struct str temporary = STR_INIT;
	CLEANUP(fd_cleanup) int fd = open_file(files, name, 0, err);

	if (fd < 0)
		return -1;
	/* what is left of a new one that there was no room for */
	log_files_beside(files, ".tmp", &temporary);
	unlink(str_c(&temporary));
	return write_all(fd, content, 0, name, err);
}

int log_writer_remove(const struct log_files *files, const char *name, struct error *err)
{
	if (unlinkat(files->fd, name, 0) && errno != ENOENT)
		return error_errno(err, errno, "remove %s/%s", files->dir, name);
	drop_partial_folder(files, name);
	return 0;
}

int log_writer_checkpoint(struct log_writer *writer, struct span note, struct error *err)
{
	CLEANUP(str_release) struct str temporary = STR_INIT;

	log_files_beside(&writer->files, ".tmp", &temporary);
	if (write_temporary(str_c(&temporary), note, err))
		return -1;
	/* making and freeing an inode with each checkpoint costs ext4 more than all the rest of a commit */
	return put_in_place(&writer->files, str_c(&temporary), "checkpoint", RENAME_EXCHANGE, err);
}

static int sync_file(const struct log_files *files, const char *name, int flags, struct error *err)
{
	CLEANUP(fd_cleanup) int fd = openat(files->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | flags);
	int fault = fault_at("log.fsync");

	if (fd < 0)
		return error_errno(err, errno, "open %s/%s", files->dir, name);
	if (fault || fsync(fd))
		return error_errno(err, fault ? fault : errno, "fsync %s/%s", files->dir, name);
	return 0;
}

/* Every folder above `name`, to be synced once. */
static void note_folders(struct map *folders, struct span name)
{
	for (ptrdiff_t slash = span_rindex(name, '/'); slash > 0; slash = span_rindex(name, '/')) {
		name = span_sub(name, 0, (size_t)slash);
		map_set(folders, name, folders);
	}
}

/* Asks the kernel to write a file, without waiting: the disk then works at all of them while each is synced in turn. No promise, so no error. */
static int begin_sync(const struct log_files *files, const char *name, int flags, struct error *err)
{
	CLEANUP(fd_cleanup) int fd = openat(files->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | flags);

	(void)err;
	if (fd >= 0)
		sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	return 0;
}

typedef int each_tile(const struct log_files *files, const char *name, int flags, struct error *err);

/* Every full tile of a level that holds records from `from` on. */
static int each_of_level(const struct log_writer *writer, int level, uint64_t from, each_tile *each, struct map *folders, struct error *err)
{
	unsigned shift = TLOG_HEIGHT * ((unsigned)(level == TLOG_ENTRIES ? 0 : level) + 1);
	uint64_t end = shift < 64 ? writer->edge.tree.size >> shift : 0;

	for (uint64_t index = shift < 64 ? from >> shift : 0; index < end; index++) {
		CLEANUP(str_release) struct str name = STR_INIT;

		tlog_path(level, index, TLOG_WIDTH, &name);
		note_folders(folders, str_span(&name));
		if (each(&writer->files, str_c(&name), 0, err))
			return -1;
	}
	return 0;
}

int log_writer_sync(const struct log_writer *writer, uint64_t from, struct error *err)
{
	CLEANUP(map_release) struct map folders = MAP_INIT;

	for (int level = TLOG_ENTRIES; level < TLOG_LEVELS; level++)
		each_of_level(writer, level, from, begin_sync, &folders, NULL);
	for (int level = TLOG_ENTRIES; level < TLOG_LEVELS; level++)
		if (each_of_level(writer, level, from, sync_file, &folders, err))
			return -1;
	MAP_EACH(folder, &folders)
		if (sync_file(&writer->files, folder->key, O_DIRECTORY, err))
			return -1;
	return sync_file(&writer->files, "checkpoint", 0, err) || sync_file(&writer->files, "vkey", 0, err) ||
			       sync_file(&writer->files, ".", O_DIRECTORY, err) ? -1 : 0;
}
