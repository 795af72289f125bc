/*
 * One line an event on stderr: time, level, message, key=value pairs. The
 * message is constant text, what varies is in the values. Values are escaped so
 * that a commit message cannot forge a line. Library code does not log.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

#include "base/error.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* Lines below this level are dropped; default LOG_INFO. The role is shown as role=... in every line. */
void log_setup(enum log_level level, const char *role);
enum log_level log_level(void);
/* Changes the level alone, while we run. */
void log_set_level(enum log_level level);
/* "debug", "info", "warn", "error"; false for any other word. */
bool log_level_of(const char *name, enum log_level *out);

/*
 * Pairs of (key, value) strings, closed by NULL:
 *	log_line(LOG_INFO, "sync started", "app", name, "revision", commit, NULL);
 * A NULL value leaves its pair out.
 */
void log_line(enum log_level level, const char *message, ...) __attribute__((sentinel));
/* The same with reason and text of an error as pairs `reason` and `error`. */
void log_error(enum log_level level, const char *message, const struct error *err, ...) __attribute__((sentinel));

#endif
