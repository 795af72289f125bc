/* Lines on stderr; see log.h. */
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/str.h"

#define LOG_LINE_MAX ((size_t)16 << 10)

static enum log_level lowest = LOG_INFO;
static const char *role_name = "";

void log_setup(enum log_level level, const char *role)
{
	lowest = level;
	role_name = role ? role : "";
}

enum log_level log_level(void)
{
	return lowest;
}

static const char *const level_names[] = { "debug", "info", "warn", "error" };

void log_set_level(enum log_level level)
{
	lowest = level;
}

bool log_level_of(const char *name, enum log_level *out)
{
	for (size_t i = 0; i < COUNT_OF(level_names); i++)
		if (!strcmp(name, level_names[i])) {
			*out = (enum log_level)i;
			return true;
		}
	return false;
}

static bool needs_quotes(const char *value)
{
	if (!*value)
		return true;
	for (; *value; value++)
		if (*value <= ' ' || *value == '"' || *value == '\\' || *value == '=' || *value == 0x7f || (*value & 0x80))
			return true;
	return false;
}

static void add_pair(struct str *line, const char *key, const char *value)
{
	if (!value)
		return;
	str_addf(line, " %s=", key);
	if (!needs_quotes(value)) {
		str_adds(line, value);
		return;
	}
	str_addc(line, '"');
	text_escape(span_of(value), line);
	str_addc(line, '"');
}

static void begin(struct str *line, enum log_level level, const char *message)
{
	char t[TIME_TEXT];

	time_format_ns(clock_wall_ns(), t);
	str_addf(line, "%.23sZ level=%s", t, level_names[level]);
	add_pair(line, "role", *role_name ? role_name : NULL);
	add_pair(line, "msg", message);
}

static void add_pairs(struct str *line, va_list args)
{
	const char *key;

	while ((key = va_arg(args, const char *)) != NULL)
		add_pair(line, key, va_arg(args, const char *));
}

/* One write a line, so that the lines of several roles on one stderr do not mix. */
static void emit(struct str *line)
{
	if (line->overflow) {
		line->overflow = false;
		line->length = line->length < LOG_LINE_MAX - 16 ? line->length : LOG_LINE_MAX - 16;
		str_adds(line, " cut=true");
	}
	str_addc(line, '\n');
	while (write(STDERR_FILENO, str_c(line), line->length) < 0 && errno == EINTR)
		;
}

void log_line(enum log_level level, const char *message, ...)
{
	CLEANUP(str_release) struct str line = STR_LIMIT(LOG_LINE_MAX);
	va_list args;

	if (level < lowest)
		return;
	begin(&line, level, message);
	va_start(args, message);
	add_pairs(&line, args);
	va_end(args);
	emit(&line);
}

void log_error(enum log_level level, const char *message, const struct error *err, ...)
{
	CLEANUP(str_release) struct str line = STR_LIMIT(LOG_LINE_MAX);
	va_list args;

	if (level < lowest)
		return;
	begin(&line, level, message);
	va_start(args, err);
	add_pairs(&line, args);
	va_end(args);
	add_pair(&line, "reason", err->reason);
	add_pair(&line, "error", err->text);
	emit(&line);
}
