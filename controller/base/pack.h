/*
 * The frames that roles exchange: fixed-width little-endian integers and
 * length-prefixed bytes, no padding, no pointers. A reader never reads past
 * its end: the first thing that does not fit sets `bad` and everything after
 * gives zeroes, so a decoder checks once, at its end. Bytes that are left over
 * are an error too (unpack_end).
 */
#ifndef BASE_PACK_H
#define BASE_PACK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/str.h"

void pack_u8(struct str *out, uint8_t value);
void pack_u32(struct str *out, uint32_t value);
void pack_u64(struct str *out, uint64_t value);
void pack_span(struct str *out, struct span bytes);
void pack_text(struct str *out, const char *string);     /* NULL is written as empty */
void pack_digest(struct str *out, const struct digest *digest);
void pack_error(struct str *out, const struct error *err);

struct unpack {
	struct span rest;
	bool bad;
};

struct unpack unpack_begin(struct span bytes);
uint8_t unpack_u8(struct unpack *in);
uint32_t unpack_u32(struct unpack *in);
uint64_t unpack_u64(struct unpack *in);
bool unpack_bool(struct unpack *in);                      /* anything but 0 and 1 is bad */
struct span unpack_span(struct unpack *in);               /* borrowed from the input */
/* A count of things that each take at least `each` bytes: bad if they cannot fit into the rest. */
uint32_t unpack_count(struct unpack *in, uint32_t each);
/* A copy in the arena; bad if it holds a NUL. */
char *unpack_text(struct unpack *in, struct arena *arena);
struct digest unpack_digest(struct unpack *in);
void unpack_error(struct unpack *in, struct error *err);
/* ERROR_INTERNAL "BadFrame" if anything was bad or is left over; `what` names the frame. */
int unpack_end(const struct unpack *in, const char *what, struct error *err);

#endif
