/* The parts of a log on disk; see log_files.h. */
#include "record/log_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/limits.h"

#define LOCK_TRIES 50           /* a verifier holds its look at the lock for microseconds only */
#define WALK_DEPTH 12           /* tile/L/ and at most seven folders of an index */

int log_files_open(const char *dir, struct log_files *out, struct error *err)
{
	struct span path = span_of(dir);
	CLEANUP(fd_cleanup) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return error_set(err, ERROR_NOT_FOUND, "FileNotFound", "there is no folder %s", dir);
	if (fd < 0)
		return error_errno(err, errno, "open folder %s", dir);
	while (path.length > 1 && span_ends(path, "/"))
		path.length--;
	out->dir = mem_strndup(path.data, path.length);
	out->fd = TAKE_FD(fd);
	return 0;
}

void log_files_release(struct log_files *files)
{
	if (!files->dir)
		return;
	close(files->fd);
	free(files->dir);
	*files = (struct log_files)LOG_FILES_INIT;
}

void log_files_beside(const struct log_files *files, const char *ending, struct str *out)
{
	str_addf(out, "%s%s", files->dir, ending);
}

static int read_rest(int fd, size_t size, const char *name, struct str *out, struct error *err)
{
	char *to = str_reserve(out, size);
	size_t done = 0;

	if (!to)
		return error_set(err, ERROR_LIMIT, "TooLarge", "%s: no room for %zu bytes", name, size);
	while (done < size) {
		ssize_t got = read(fd, to + done, size - done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_errno(err, errno, "read %s", name);
		if (!got)
			break;
		done += (size_t)got;
	}
	str_grew(out, done);
	return 0;
}

int log_files_read(const struct log_files *files, const char *name, size_t limit, struct str *out, struct error *err)
{
	CLEANUP(fd_cleanup) int fd = openat(files->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return error_set(err, ERROR_NOT_FOUND, "FileNotFound", "%s: byte 0: it is missing", name);
	if (fd < 0 && errno == ELOOP)
		return error_set(err, ERROR_INVALID, "LogCorrupt", "%s: byte 0: it is not a plain file", name);
	if (fd < 0)
		return error_errno(err, errno, "open %s/%s", files->dir, name);
	if (fstat(fd, &st))
		return error_errno(err, errno, "stat %s/%s", files->dir, name);
	if (!S_ISREG(st.st_mode))
		return error_set(err, ERROR_INVALID, "LogCorrupt", "%s: byte 0: it is not a plain file", name);
	if ((size_t)st.st_size > limit)
		return error_set(err, ERROR_INVALID, "LogCorrupt", "%s: byte %zu: it is longer than such a file can be", name, limit);
	return read_rest(fd, (size_t)st.st_size, name, out, err);
}

int log_files_read_tile(const struct log_files *files, int level, uint64_t index, unsigned width, struct str *out,
			struct error *err)
{
	CLEANUP(str_release) struct str path = STR_INIT;

	tlog_path(level, index, width, &path);
	return log_files_read(files, str_c(&path), level == TLOG_ENTRIES ? LOG_BUNDLE_MAX : TLOG_WIDTH * DIGEST_SIZE, out, err);
}

int log_corrupt(struct error *err, const char *where)
{
	if (!err)
		return -1;
	if (where)
		error_wrap(err, "%s", where);
	err->kind = ERROR_INVALID;
	snprintf(err->reason, sizeof(err->reason), "LogCorrupt");
	return -1;
}

static int read_key(const struct log_files *files, struct note_key *key, struct error *err)
{
	CLEANUP(str_release) struct str vkey = STR_INIT;

	if (log_files_read(files, "vkey", 512, &vkey, err))
		return -1;
	if (!span_ends(str_span(&vkey), "\n"))
		return error_set(err, ERROR_INVALID, "LogCorrupt", "vkey: byte %zu: its line does not end", vkey.length);
	return note_key_parse(str_span(&vkey), key, err) ? log_corrupt(err, "vkey: byte 0") : 0;
}

int log_files_checkpoint(const struct log_files *files, struct note_key *key, struct checkpoint *out, struct str *note,
			 struct error *err)
{
	struct note_key own;

	if (read_key(files, &own, err) || log_files_read(files, "checkpoint", NOTE_BYTES_MAX, note, err))
		return -1;
	if (key)
		*key = own;
	return checkpoint_open(str_span(note), &own, true, out, err) ? log_corrupt(err, "checkpoint: byte 0") : 0;
}

bool log_entry_next(struct span *rest, struct span *record)
{
	size_t length;

	if (rest->length < 2)
		return false;
	length = (size_t)(uint8_t)rest->data[0] << 8 | (uint8_t)rest->data[1];
	if (rest->length < 2 + length)
		return false;
	*record = span_make(rest->data + 2, length);
	*rest = span_from(*rest, 2 + length);
	return true;
}

void log_entry_add(struct str *out, struct span record)
{
	ASSERT(record.length <= LIMIT_RECORD_BYTES);
	str_addc(out, (char)(record.length >> 8));
	str_addc(out, (char)(record.length & 0xff));
	str_add(out, record);
}

bool log_files_are_live(const struct log_files *files)
{
	if (flock(files->fd, LOCK_SH | LOCK_NB))
		return errno == EWOULDBLOCK;
	flock(files->fd, LOCK_UN);
	return false;
}

int log_files_lock(const struct log_files *files, struct error *err)
{
	struct timespec moment = { 0, 2000000 };

	for (int i = 0; flock(files->fd, LOCK_EX | LOCK_NB); i++) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return error_errno(err, errno, "lock %s", files->dir);
		if (i >= LOCK_TRIES)
			return error_set(err, ERROR_CONFLICT, "LogInUse",
					 "another process has the audit log %s open; stop it, or give this one a data folder of its own",
					 files->dir);
		nanosleep(&moment, NULL);
	}
	return 0;
}

struct walk {
	int (*each)(void *, const char *, bool, struct error *);
	void *data;
	struct error *err;
	struct str name;
};

static void close_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static int walk_folder(struct walk *walk, int parent, const char *name, unsigned depth);

static int walk_entry(struct walk *walk, int parent, const struct dirent *entry, unsigned depth)
{
	size_t length = walk->name.length;
	struct stat st;
	int result;

	if (span_is(span_of(entry->d_name), ".") || span_is(span_of(entry->d_name), ".."))
		return 0;
	if (fstatat(parent, entry->d_name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : error_errno(walk->err, errno, "stat %s%s", str_c(&walk->name), entry->d_name);
	str_adds(&walk->name, entry->d_name);
	if (S_ISDIR(st.st_mode)) {
		str_addc(&walk->name, '/');
		result = walk_folder(walk, parent, entry->d_name, depth + 1);
	} else {
		result = walk->each(walk->data, str_c(&walk->name), S_ISREG(st.st_mode), walk->err);
	}
	str_drop_to(&walk->name, length);
	return result;
}

static int walk_folder(struct walk *walk, int parent, const char *name, unsigned depth)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	CLEANUP(close_dir) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (!dir)
		return errno == ENOENT ? 0 : error_errno(walk->err, errno, "open folder %s", str_c(&walk->name));
	if (depth > WALK_DEPTH)
		return error_set(walk->err, ERROR_INVALID, "LogCorrupt", "%s does not belong there", str_c(&walk->name));
	while (errno = 0, (entry = readdir(dir)) != NULL)
		if (walk_entry(walk, dirfd(dir), entry, depth))
			return -1;
	return errno ? error_errno(walk->err, errno, "read folder %s", str_c(&walk->name)) : 0;
}

int log_files_walk(const struct log_files *files, int (*each)(void *data, const char *name, bool plain, struct error *err),
		   void *data, struct error *err)
{
	struct walk walk = { each, data, err, STR_INIT };
	int result = walk_folder(&walk, files->fd, ".", 0);

	str_release(&walk.name);
	return result;
}
