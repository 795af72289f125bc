/*
 * Files whole: read within a limit, written so that a crash leaves the old or
 * the new content, never a part (write, fsync, rename, fsync of the folder).
 */
#ifndef IO_FILE_H
#define IO_FILE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/str.h"

/* Appends the whole file to *out; ERROR_NOT_FOUND when there is none, ERROR_LIMIT past `limit` bytes. */
int file_read(const char *path, size_t limit, struct str *out, struct error *err);
/* Replaces the file at `path` atomically and durably; `mode` as in open(2). */
int file_write(const char *path, struct span bytes, mode_t mode, struct error *err);
/* Writes all bytes to a descriptor; EINTR and short writes are gone on with. */
int file_write_all(int fd, struct span bytes, const char *path, struct error *err);
/* fsync of the folder itself, so that a rename or a new name in it is durable. */
int dir_sync(const char *path, struct error *err);
/* Makes the folder and its parents where missing (mode 0700). */
int dir_make(const char *path, struct error *err);
/* Removes the folder with all that is in it; links are removed, not followed. None there is fine. */
int dir_remove(const char *path, struct error *err);
bool file_exists(const char *path);

#endif
