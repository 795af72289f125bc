/*
 * One arena a unit of work: everything that lives as long as a run (or a job,
 * or a message) is taken from its arena and goes when the arena goes. Foreign
 * objects join it by arena_defer and are released newest first.
 * An arena belongs to one thread at a time.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

#include "base/str.h"

struct arena;

/* `limit`: most bytes it may hand out; past it arena_alloc aborts the process, so bound the input first. 0: 1 GiB. */
struct arena *arena_new(size_t limit);
void arena_free(struct arena *arena);            /* NULL is fine */
void arena_cleanup(struct arena **arena);        /* for CLEANUP */
void arena_reset(struct arena *arena);           /* runs the deferred, keeps the first block */

/* Zeroed, aligned for any type; never NULL. */
void *arena_alloc(struct arena *arena, size_t size);
void *arena_calloc(struct arena *arena, size_t count, size_t size);
#define ARENA_NEW(arena, type) ((type *)arena_alloc((arena), sizeof(type)))

/* Copies; both are NUL-terminated behind their last byte. */
char *arena_strdup(struct arena *arena, const char *string);
struct span arena_span(struct arena *arena, struct span bytes);
char *arena_strndup(struct arena *arena, struct span bytes);
char *arena_printf(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Calls release(object) when the arena goes. */
void arena_defer(struct arena *arena, void (*release)(void *), void *object);

/* Bytes handed out so far. */
size_t arena_used(const struct arena *arena);

/*
 * Appends to an array that lives in the arena: grows *items (of `size` bytes
 * each, *count in use) as needed and returns the new, zeroed last item.
 */
void *arena_push(struct arena *arena, void *items, size_t *count, size_t *capacity, size_t size);

#endif
