/* Files whole; see file.h. */
#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"

int file_read(const char *path, size_t limit, struct str *out, struct error *err)
{
	CLEANUP(fd_cleanup) int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t total = 0;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return error_set(err, ERROR_NOT_FOUND, "FileNotFound", "%s does not exist", path);
	if (fd < 0)
		return error_errno(err, errno, "open %s", path);
	for (;;) {
		char buffer[16384];
		ssize_t got = read(fd, buffer, sizeof(buffer));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_errno(err, errno, "read %s", path);
		if (!got)
			return 0;
		total += (size_t)got;
		if (total > limit)
			return error_set(err, ERROR_LIMIT, "TooLarge", "%s is larger than %zu bytes", path, limit);
		str_add(out, span_make(buffer, (size_t)got));
	}
}

int file_write_all(int fd, struct span bytes, const char *path, struct error *err)
{
	int fault = fault_at("file.write");

	if (fault)
		return error_errno(err, fault, "write %s", path);
	while (bytes.length) {
		ssize_t put = write(fd, bytes.data, bytes.length);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return error_errno(err, errno, "write %s", path);
		bytes = span_from(bytes, (size_t)put);
	}
	return 0;
}

static int sync_fd(int fd, const char *path, struct error *err)
{
	int fault = fault_at("file.fsync");

	if (fault || fsync(fd))
		return error_errno(err, fault ? fault : errno, "fsync %s", path);
	return 0;
}

int dir_sync(const char *path, struct error *err)
{
	CLEANUP(fd_cleanup) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return error_errno(err, errno, "open folder %s", path);
	return sync_fd(fd, path, err);
}

/* The folder that holds `path`. */
static void parent_of(const char *path, struct str *out)
{
	ptrdiff_t slash = span_rindex(span_of(path), '/');

	str_add(out, slash < 0 ? SPAN(".") : slash == 0 ? SPAN("/") : span_make(path, (size_t)slash));
}

static int write_temporary(const char *path, struct span bytes, mode_t mode, struct error *err)
{
	CLEANUP(fd_cleanup) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);

	if (fd < 0)
		return error_errno(err, errno, "create %s", path);
	if (file_write_all(fd, bytes, path, err))
		return -1;
	return sync_fd(fd, path, err);
}

int file_write(const char *path, struct span bytes, mode_t mode, struct error *err)
{
	CLEANUP(str_release) struct str temporary = STR_INIT, parent = STR_INIT;

	str_addf(&temporary, "%s.tmp", path);
	parent_of(path, &parent);
	if (write_temporary(str_c(&temporary), bytes, mode, err)) {
		unlink(str_c(&temporary));
		return -1;
	}
	if (rename(str_c(&temporary), path))
		return error_errno(err, errno, "rename to %s", path);
	return dir_sync(str_c(&parent), err);
}

int dir_make(const char *path, struct error *err)
{
	CLEANUP(str_release) struct str parent = STR_INIT;

	if (!mkdir(path, 0700) || errno == EEXIST)
		return 0;
	if (errno != ENOENT)
		return error_errno(err, errno, "make folder %s", path);
	parent_of(path, &parent);
	if (span_is(str_span(&parent), path) || dir_make(str_c(&parent), err))
		return -1;
	if (mkdir(path, 0700) && errno != EEXIST)
		return error_errno(err, errno, "make folder %s", path);
	return 0;
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *ftw)
{
	(void)stat;
	(void)type;
	(void)ftw;
	return remove(path);
}

int dir_remove(const char *path, struct error *err)
{
	if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) && errno != ENOENT)
		return error_errno(err, errno, "remove the folder %s", path);
	return 0;
}

bool file_exists(const char *path)
{
	return access(path, F_OK) == 0;
}
