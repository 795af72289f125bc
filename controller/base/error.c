/* The error value; see error.h. */
#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Marks a text that did not fit, so that nobody takes the cut for the end. */
static void mark_cut(char *text, size_t size, int wanted)
{
	if (wanted >= 0 && (size_t)wanted >= size)
		memcpy(text + size - 4, "...", 4);
}

static void fill(struct error *err, enum error_kind kind, const char *reason, const char *format, va_list args)
{
	char copy[ERROR_REASON_MAX];

	/* the reason may be the error's own; and one without a reason would read as none */
	snprintf(copy, sizeof(copy), "%s", reason);
	ASSERT(copy[0]);
	err->kind = kind;
	memcpy(err->reason, copy, sizeof(copy));
	mark_cut(err->text, sizeof(err->text), vsnprintf(err->text, sizeof(err->text), format, args));
}

int error_set(struct error *err, enum error_kind kind, const char *reason, const char *format, ...)
{
	va_list args;

	if (!err)
		return -1;
	va_start(args, format);
	fill(err, kind, reason, format, args);
	va_end(args);
	return -1;
}

int error_wrap(struct error *err, const char *format, ...)
{
	char context[ERROR_TEXT_MAX / 2], old[ERROR_TEXT_MAX];
	va_list args;
	int wanted;

	if (!err)
		return -1;
	va_start(args, format);
	wanted = vsnprintf(context, sizeof(context), format, args);
	va_end(args);
	mark_cut(context, sizeof(context), wanted);
	memcpy(old, err->text, sizeof(old));
	old[sizeof(old) - 1] = '\0';
	wanted = snprintf(err->text, sizeof(err->text), "%s: %s", context, old);
	mark_cut(err->text, sizeof(err->text), wanted);
	return -1;
}

int error_errno(struct error *err, int number, const char *format, ...)
{
	char what[ERROR_TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	return error_set(err, ERROR_TRANSIENT, "SystemError", "%s: %s", what, strerror(number));
}

static const char *const kind_names[] = {
	[ERROR_INTERNAL] = "internal",   [ERROR_TRANSIENT] = "transient", [ERROR_INVALID] = "invalid",
	[ERROR_DENIED] = "denied",       [ERROR_CONFLICT] = "conflict",   [ERROR_NOT_FOUND] = "not-found",
	[ERROR_FORBIDDEN] = "forbidden", [ERROR_CANCELED] = "canceled",   [ERROR_LIMIT] = "limit",
};

const char *error_kind_name(enum error_kind kind)
{
	return (size_t)kind < sizeof(kind_names) / sizeof(kind_names[0]) ? kind_names[kind] : "internal";
}

int error_is_retryable(const struct error *err)
{
	return err->kind == ERROR_TRANSIENT || err->kind == ERROR_INTERNAL || err->kind == ERROR_CONFLICT;
}

void base_panic(const char *file, int line, const char *text)
{
	fprintf(stderr, "panic: %s:%d: %s\n", file, line, text);
	abort();
}
