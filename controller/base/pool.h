/*
 * Small pieces that live long and are many: an Application's, an object's.
 * Taken from the heap they would stand between what a run takes and gives
 * back, and hold pages of which most is free. Here pieces of one size stand
 * together, and a block in which none is left goes back to the system. Under
 * a sanitizer they come from the heap, so that it sees each.
 *
 * For one thread.
 */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stddef.h>

/* Zeroed, aligned for any type; never NULL. */
void *pool_alloc(size_t size);
/* `size` as it was asked for. NULL is fine. */
void pool_free(void *piece, size_t size);

#endif
