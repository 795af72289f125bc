/*
 * Randomness from the kernel (getrandom); never seeded, never predictable.
 */
#ifndef BASE_RAND_H
#define BASE_RAND_H

#include <stddef.h>
#include <stdint.h>

void rand_bytes(void *out, size_t length);
/* Uniform in [0, bound); bound > 0. */
uint64_t rand_below(uint64_t bound);
/* RFC 9562 UUIDv7 of a wall time in ns, with NUL: 37 bytes. */
void rand_uuid7(int64_t wall_ns, char out[37]);

#endif
