/* getrandom(2); see rand.h. */
#include "base/rand.h"

#include <stdio.h>
#include <sys/random.h>

#include "base/error.h"

void rand_bytes(void *out, size_t length)
{
	char *at = out;

	while (length) {
		ssize_t got = getrandom(at, length, 0);

		ASSERT(got > 0);
		at += got;
		length -= (size_t)got;
	}
}

uint64_t rand_below(uint64_t bound)
{
	uint64_t value, most;

	ASSERT(bound);
	most = UINT64_MAX - UINT64_MAX % bound;
	do
		rand_bytes(&value, sizeof(value));
	while (value >= most);
	return value % bound;
}

void rand_uuid7(int64_t wall_ns, char out[37])
{
	uint64_t ms = (uint64_t)(wall_ns / 1000000);
	uint8_t r[10];

	rand_bytes(r, sizeof(r));
	/* RFC 9562 section 5.7: 48 bits of milliseconds, version 7, 12 bits, variant 10, 62 bits */
	snprintf(out, 37, "%08x-%04x-7%03x-%02x%02x-%02x%02x%02x%02x%02x%02x", (unsigned)(ms >> 16), (unsigned)(ms & 0xffff),
		 ((unsigned)r[0] << 8 | r[1]) & 0xfff, (r[2] & 0x3fu) | 0x80u, r[3], r[4], r[5], r[6], r[7], r[8], r[9]);
}
