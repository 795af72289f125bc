/* Clocks and the texts of times; see clock.h. */
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/error.h"

#define NS 1000000000

static int64_t now(clockid_t which)
{
	struct timespec t;

	ASSERT(clock_gettime(which, &t) == 0);
	return (int64_t)t.tv_sec * NS + t.tv_nsec;
}

int64_t clock_wall_ns(void)
{
	return now(CLOCK_REALTIME);
}

#ifdef FAULTS
int64_t clock_pace(void)
{
	static int64_t pace;

	if (!pace && (!span_to_int64(span_of(getenv("COUNTERSIGN_CLOCK_PACE")), &pace) || pace < 1 || pace > 60))
		pace = 1;
	return pace;
}
#endif

int64_t clock_mono_ms(void)
{
	return clock_mono_ns() / 1000000;
}

int64_t clock_mono_ns(void)
{
	return now(CLOCK_MONOTONIC) * clock_pace();
}

/* With leading zeroes; returns what is behind. */
static char *put_digits(char *at, unsigned value, unsigned width)
{
	for (unsigned i = width; i-- > 0; value /= 10)
		at[i] = (char)('0' + value % 10);
	return at + width;
}

/* Each record of the log has one: no strftime. The range of wall_ns ends within the year 2262. */
static void format_utc(int64_t wall_ns, bool fraction, char out[TIME_TEXT])
{
	time_t seconds = (time_t)(wall_ns / NS);
	const char *between = "--T::";
	char *at = out;
	struct tm tm;

	gmtime_r(&seconds, &tm);
	at = put_digits(at, (unsigned)tm.tm_year + 1900, 4);
	for (const int *part = (const int[]){ tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec }; *between; part++) {
		*at++ = *between++;
		at = put_digits(at, (unsigned)*part, 2);
	}
	if (fraction) {
		*at++ = '.';
		at = put_digits(at, (unsigned)(wall_ns % NS), 9);
	}
	*at++ = 'Z';
	*at = '\0';
}

void time_format_ns(int64_t wall_ns, char out[TIME_TEXT])
{
	format_utc(wall_ns, true, out);
}

void time_format_s(int64_t wall_ns, char out[TIME_TEXT])
{
	format_utc(wall_ns, false, out);
}

/* Exactly `width` digits off the front. */
static bool digits(struct span *s, size_t width, int *out)
{
	int64_t value;

	if (s->length < width || !span_to_int64(span_sub(*s, 0, width), &value))
		return false;
	*s = span_from(*s, width);
	*out = (int)value;
	return true;
}

static bool literal(struct span *s, const char *any)
{
	if (!s->length || !s->data[0] || !strchr(any, s->data[0]))
		return false;
	*s = span_from(*s, 1);
	return true;
}

static bool parse_fraction(struct span *s, int64_t *ns)
{
	int64_t unit = NS / 10;
	size_t count = 0;

	*ns = 0;
	if (!s->length || s->data[0] != '.')
		return true;
	*s = span_from(*s, 1);
	for (; s->length && s->data[0] >= '0' && s->data[0] <= '9'; count++, unit /= 10) {
		*ns += (s->data[0] - '0') * unit;
		*s = span_from(*s, 1);
	}
	return count > 0;
}

static bool parse_offset(struct span *s, int *minutes)
{
	int sign, h, m;

	*minutes = 0;
	if (!s->length)
		return false;
	if (literal(s, "Zz"))
		return true;
	sign = s->data[0] == '-' ? -1 : 1;
	if (!literal(s, "+-") || !digits(s, 2, &h) || !literal(s, ":") || !digits(s, 2, &m) || h > 23 || m > 59)
		return false;
	*minutes = sign * (h * 60 + m);
	return true;
}

bool time_parse(struct span text, int64_t *wall_ns)
{
	struct tm tm = { 0 };
	int64_t fraction, seconds;
	int offset, day;

	if (!digits(&text, 4, &tm.tm_year) || !literal(&text, "-") || !digits(&text, 2, &tm.tm_mon) ||
	    !literal(&text, "-") || !digits(&text, 2, &tm.tm_mday) || !literal(&text, "Tt") ||
	    !digits(&text, 2, &tm.tm_hour) || !literal(&text, ":") || !digits(&text, 2, &tm.tm_min) ||
	    !literal(&text, ":") || !digits(&text, 2, &tm.tm_sec) || !parse_fraction(&text, &fraction) ||
	    !parse_offset(&text, &offset) || text.length)
		return false;
	if (tm.tm_year < 1970 || tm.tm_year > 2200 || tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 ||
	    tm.tm_mday > 31 || tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	day = tm.tm_mday;
	if (tm.tm_sec == 60)
		day = 0; /* a leap second may end the day */
	seconds = (int64_t)timegm(&tm) - offset * 60;
	/* timegm turns 31 February into 3 March; such a day is a mistake, not a time */
	if (seconds < 0 || (day && tm.tm_mday != day))
		return false;
	*wall_ns = seconds * NS + fraction;
	return true;
}

static bool duration_unit(struct span *s, int64_t *ms)
{
	static const struct { const char *name; int64_t ms; } units[] = {
		{ "ms", 1 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 },
	};

	for (size_t i = 0; i < COUNT_OF(units); i++) {
		if (!span_starts(*s, units[i].name))
			continue;
		*s = span_from(*s, strlen(units[i].name));
		*ms = units[i].ms;
		return true;
	}
	return false;
}

bool duration_parse(struct span text, int64_t *out_ms)
{
	int64_t total = 0, value, unit;

	if (span_is(text, "0")) {
		*out_ms = 0;
		return true;
	}
	if (!text.length)
		return false;
	while (text.length) {
		size_t n = 0;

		while (n < text.length && text.data[n] >= '0' && text.data[n] <= '9')
			n++;
		if (n > 9 || !span_to_int64(span_sub(text, 0, n), &value))
			return false;
		text = span_from(text, n);
		if (!duration_unit(&text, &unit))
			return false;
		total += value * unit;
		/* callers turn it into nanoseconds */
		if (total > INT64_MAX / NS)
			return false;
	}
	*out_ms = total;
	return true;
}
