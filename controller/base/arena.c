/* Blocks of a quarter of what is used, from 4 up to 256 KiB, and a list of things to release; see arena.h. */
#include "base/arena.h"

#include <stdalign.h>
#include <stdio.h>

#include "base/error.h"

#define BLOCK_LEAST ((size_t)4096 - sizeof(struct block))
#define BLOCK_MOST ((size_t)256 << 10)
#define ARENA_LIMIT_DEFAULT ((size_t)1 << 30)

struct block {
	struct block *older;
	size_t size, used;
	alignas(max_align_t) char bytes[];
};

struct deferred {
	struct deferred *older;
	void (*release)(void *);
	void *object;
};

struct arena {
	struct block *block;
	struct deferred *deferred;
	size_t used, limit;
};

/* Most arenas live for one event and need a block or two of the least size: a few of those wait for the next. */
#define KEPT_MOST 8u
static _Thread_local struct {
	struct block *blocks;
	unsigned count;
} kept;

static struct block *block_take(size_t size)
{
	struct block *block = kept.blocks;

	if (size != BLOCK_LEAST || !block)
		return mem_realloc(NULL, sizeof(*block) + size);
	kept.blocks = block->older;
	kept.count--;
	return block;
}

static void block_free(struct block *block)
{
	if (MEM_SANITIZED || block->size != BLOCK_LEAST || kept.count == KEPT_MOST) {
		free(block);
		return;
	}
	block->older = kept.blocks;
	kept.blocks = block;
	kept.count++;
}

static struct block *block_new(size_t size, struct block *older)
{
	struct block *block = block_take(size);

	block->older = older;
	block->size = size;
	block->used = 0;
	return block;
}

struct arena *arena_new(size_t limit)
{
	struct arena *arena = mem_alloc(sizeof(*arena));

	arena->limit = limit ? limit : ARENA_LIMIT_DEFAULT;
	arena->block = block_new(BLOCK_LEAST, NULL);
	return arena;
}

static void run_deferred(struct arena *arena)
{
	while (arena->deferred) {
		struct deferred *one = arena->deferred;

		arena->deferred = one->older;
		one->release(one->object);
	}
}

void arena_reset(struct arena *arena)
{
	run_deferred(arena);
	while (arena->block->older) {
		struct block *older = arena->block->older;

		block_free(arena->block);
		arena->block = older;
	}
	arena->block->used = 0;
	arena->used = 0;
}

void arena_free(struct arena *arena)
{
	if (!arena)
		return;
	arena_reset(arena);
	block_free(arena->block);
	free(arena);
}

void arena_cleanup(struct arena **arena)
{
	arena_free(*arena);
	*arena = NULL;
}

/* A quarter: what the last block leaves unused is little beside the rest. */
static size_t next_size(const struct arena *arena, size_t wanted)
{
	size_t size = arena->used / 4 - arena->used / 4 % BLOCK_LEAST;

	if (size < BLOCK_LEAST)
		size = BLOCK_LEAST;
	if (size > BLOCK_MOST)
		size = BLOCK_MOST;
	return size < wanted ? wanted : size;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	size_t rounded = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	void *room;

	if (rounded < size || rounded > arena->limit - arena->used)
		base_panic(__FILE__, __LINE__, "arena limit reached");
	if (rounded > arena->block->size - arena->block->used)
		arena->block = block_new(next_size(arena, rounded), arena->block);
	room = arena->block->bytes + arena->block->used;
	arena->block->used += rounded;
	arena->used += rounded;
	return memset(room, 0, rounded);
}

void *arena_calloc(struct arena *arena, size_t count, size_t size)
{
	ASSERT(!size || count <= SIZE_MAX / size);
	return arena_alloc(arena, count * size);
}

struct span arena_span(struct arena *arena, struct span bytes)
{
	char *copy = arena_alloc(arena, bytes.length + 1);

	if (bytes.length)
		memcpy(copy, bytes.data, bytes.length);
	return (struct span){ copy, bytes.length };
}

char *arena_strndup(struct arena *arena, struct span bytes)
{
	char *copy = arena_alloc(arena, bytes.length + 1);

	if (bytes.length)
		memcpy(copy, bytes.data, bytes.length);
	return copy;
}

char *arena_strdup(struct arena *arena, const char *string)
{
	return arena_strndup(arena, span_of(string));
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
	char few[256], *text;
	va_list args;
	int length;

	/* most are short: then they are formatted once */
	va_start(args, format);
	length = vsnprintf(few, sizeof(few), format, args);
	va_end(args);
	ASSERT(length >= 0);
	if ((size_t)length < sizeof(few))
		return arena_strndup(arena, span_make(few, (size_t)length));
	text = arena_alloc(arena, (size_t)length + 1);
	va_start(args, format);
	vsnprintf(text, (size_t)length + 1, format, args);
	va_end(args);
	return text;
}

void arena_defer(struct arena *arena, void (*release)(void *), void *object)
{
	struct deferred *one = ARENA_NEW(arena, struct deferred);

	one->older = arena->deferred;
	one->release = release;
	one->object = object;
	arena->deferred = one;
}

size_t arena_used(const struct arena *arena)
{
	return arena->used;
}

void *arena_push(struct arena *arena, void *items, size_t *count, size_t *capacity, size_t size)
{
	char **array = items;

	if (*count == *capacity) {
		size_t larger = *capacity ? *capacity * 2 : 8;
		char *moved = arena_calloc(arena, larger, size);

		if (*count)
			memcpy(moved, *array, *count * size);
		*array = moved;
		*capacity = larger;
	}
	return *array + (*count)++ * size;
}
