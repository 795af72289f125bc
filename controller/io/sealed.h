/*
 * Bytes that nobody can change any more, in a memfd: how content travels from
 * one role to another without either trusting the other's timing. The reader
 * refuses a descriptor without all seals, so what it checks is what it uses,
 * and no truncation can turn a read into a SIGBUS.
 */
#ifndef IO_SEALED_H
#define IO_SEALED_H

#include "base/error.h"
#include "base/str.h"

/* Makes a sealed memfd with these bytes; *fd is the caller's. */
int sealed_new(struct span bytes, int *fd, struct error *err);

/* A mapping of a sealed memfd. CLEANUP(sealed_unmap) struct sealed s = { SPAN0 }; */
struct sealed {
	struct span bytes;      /* borrowed from the mapping */
};

/* Maps it for reading. ERROR_INTERNAL "NotSealed": not a memfd or not sealed; ERROR_LIMIT "TooLarge" past `limit`. */
int sealed_map(int fd, size_t limit, struct sealed *out, struct error *err);
void sealed_unmap(struct sealed *sealed);

#endif
