/*
 * An error is a value that its caller owns: what kind it is, a CamelCase
 * reason and one line of text. Making one cannot fail and allocates nothing.
 *
 * Conventions, for the whole tree:
 * - a function that can fail returns 0 or -1 and takes `struct error *err` last;
 * - *err is written only on failure, so a chain of calls may share one;
 * - the kind says what the reconciler does about it, the reason becomes the
 *   reason of a condition, the text is its message;
 * - context is added going up (error_wrap), never replaced; only the step
 *   dispatcher and main() log.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdarg.h>
#include <stddef.h>

/* Bytes of the text, including the final NUL; longer texts are cut with "...". */
#define ERROR_TEXT_MAX 1536
#define ERROR_REASON_MAX 48

/* What is to be done about an error; the zero value is the one that fails closed. */
enum error_kind {
	ERROR_INTERNAL = 0, /* a promise of our own is broken: stop this run, retry with backoff */
	ERROR_TRANSIENT,    /* network, 5xx, time-out: retry with backoff */
	ERROR_INVALID,      /* the input is wrong: wait until it changes */
	ERROR_DENIED,       /* policy says no: record it, look again later */
	ERROR_CONFLICT,     /* somebody else owns or changed it: read again, decide again */
	ERROR_NOT_FOUND,    /* what was named does not exist */
	ERROR_FORBIDDEN,    /* the cluster or a registry refuses our account */
	ERROR_CANCELED,     /* superseded or shut down: drop it */
	ERROR_LIMIT,        /* the input is larger than limits.h allows */
};

struct error {
	enum error_kind kind;
	char reason[ERROR_REASON_MAX];
	char text[ERROR_TEXT_MAX];
};

#define ERROR_INIT { ERROR_INTERNAL, "", "" }

/*
 * Fills *err (which may be NULL) and returns -1, so that failing is one line:
 *	return error_set(err, ERROR_INVALID, "PathNotFound", "no folder '%s'", path);
 * The reason must not be empty: an empty one stands for "no error" wherever an error is kept. It may be err->reason.
 * The arguments must not point into *err.
 */
int error_set(struct error *err, enum error_kind kind, const char *reason, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Puts "context: " before the text of an error that is already set; returns -1. */
int error_wrap(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* As error_set, with the text of errno `number` after ": ". The kind is TRANSIENT. */
int error_errno(struct error *err, int number, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* A static word for a kind, "invalid" and so on. */
const char *error_kind_name(enum error_kind kind);

/* Whether trying the same again may help with nothing changed by a person. */
int error_is_retryable(const struct error *err);

/* Prints file, line and the text, and aborts: for what cannot happen and for lack of memory. */
void base_panic(const char *file, int line, const char *text) __attribute__((noreturn));

/* Checked in every build: a broken invariant must never go on. */
#define ASSERT(condition) \
	((condition) ? (void)0 : base_panic(__FILE__, __LINE__, "assertion failed: " #condition))

#endif
