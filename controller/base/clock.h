/*
 * Two clocks that are never mixed: wall time for what people and certificates
 * read, monotonic time for time-outs and leases. Pure folders take a time as an
 * argument instead.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

int64_t clock_wall_ns(void);       /* nanoseconds since 1970-01-01T00:00:00Z */
int64_t clock_mono_ms(void);       /* milliseconds, never goes back */
int64_t clock_mono_ns(void);       /* the same clock in nanoseconds */

/*
 * How many times faster than the real one the monotonic clock runs; who waits by the real one divides by it. 1, but a test build (-DFAULTS)
 * makes ten minutes out of forty seconds by COUNTERSIGN_CLOCK_PACE=15.
 */
#ifdef FAULTS
int64_t clock_pace(void);
#else
static inline int64_t clock_pace(void)
{
	return 1;
}
#endif

/* The next of pauses that grow from `first`, doubling up to `most`; `before` 0: there was none. */
static inline int64_t clock_backoff(int64_t before, int64_t first, int64_t most)
{
	int64_t next = before ? before * 2 : first;

	return next > most ? most : next;
}

#define TIME_TEXT 40
/* RFC 3339 in UTC: with nanoseconds, or whole seconds as Kubernetes writes metav1.Time. */
void time_format_ns(int64_t wall_ns, char out[TIME_TEXT]);
void time_format_s(int64_t wall_ns, char out[TIME_TEXT]);
/* Any RFC 3339 time with offset from 1970 to 2200, to nanoseconds; false when it is not one, as for 31 February. */
bool time_parse(struct span text, int64_t *wall_ns);
/* Go's duration syntax in whole numbers, as Argo CD's fields use it ("5s", "3m", "1h30m", "500ms"); false when it is not one, and past 290,000 years. */
bool duration_parse(struct span text, int64_t *out_ms);

#endif
