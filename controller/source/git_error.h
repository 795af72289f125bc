/*
 * libgit2's thread-local error becomes ours, at the place that called it.
 */
#ifndef SOURCE_GIT_ERROR_H
#define SOURCE_GIT_ERROR_H

#include "base/error.h"

/*
 * As error_set, with libgit2's last message after ": ", made one line; what does not fit into memory is ERROR_LIMIT "TooLarge", whatever it
 * was to be. Returns -1.
 */
int git_error_to(struct error *err, enum error_kind kind, const char *reason, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#endif
