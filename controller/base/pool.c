/* Blocks of 64 KiB at addresses that are multiples of that, each for pieces of one size; see pool.h. */
#include "base/pool.h"

#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "base/error.h"
#include "base/mem.h"

#define BLOCK_SIZE ((size_t)64 << 10)
#define STEP ((size_t)16)
#define PIECE_MOST ((size_t)2048)

struct piece {
	struct piece *next;
};

struct block {
	struct block *next, *before;    /* those of this size with room */
	struct piece *free;             /* that were given back */
	uint32_t size, used;            /* of a piece; pieces in use */
	uint32_t fresh;                 /* where the part begins that was never used */
	alignas(max_align_t) char bytes[];
};

static struct block *with_room[PIECE_MOST / STEP + 1];

static size_t class_of(size_t size)
{
	return size ? (size + STEP - 1) / STEP : 1;
}

static bool is_full(const struct block *block)
{
	return !block->free && block->fresh + block->size > BLOCK_SIZE;
}

static void enter(struct block *block)
{
	struct block **first = &with_room[block->size / STEP];

	block->before = NULL;
	block->next = *first;
	if (*first)
		(*first)->before = block;
	*first = block;
}

static void leave(struct block *block)
{
	if (block->next)
		block->next->before = block->before;
	if (block->before)
		block->before->next = block->next;
	else
		with_room[block->size / STEP] = block->next;
}

/* Twice as much is mapped, and what is not at a multiple given back: pages that are not touched cost nothing. */
static struct block *block_new(size_t size)
{
	char *room = mmap(NULL, 2 * BLOCK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t before = -(uintptr_t)room % BLOCK_SIZE;
	struct block *block;

	if (room == MAP_FAILED)
		base_panic(__FILE__, __LINE__, "out of memory");
	if (before)
		munmap(room, before);
	munmap(room + before + BLOCK_SIZE, BLOCK_SIZE - before);
	block = (struct block *)(void *)(room + before);
	block->size = (uint32_t)size;
	block->fresh = (uint32_t)offsetof(struct block, bytes);
	enter(block);
	return block;
}

void *pool_alloc(size_t size)
{
	size_t class = class_of(size);
	struct block *block;
	void *piece;

	if (MEM_SANITIZED || size > PIECE_MOST)
		return mem_alloc(size);
	block = with_room[class] ? with_room[class] : block_new(class * STEP);
	piece = block->free;
	if (block->free) {
		block->free = block->free->next;
	} else {
		piece = (char *)block + block->fresh;
		block->fresh += block->size;
	}
	block->used++;
	if (is_full(block))
		leave(block);
	return memset(piece, 0, block->size);
}

void pool_free(void *data, size_t size)
{
	struct piece *piece = data;
	struct block *block;

	if (!piece || MEM_SANITIZED || size > PIECE_MOST) {
		free(piece);
		return;
	}
	block = (struct block *)((uintptr_t)piece & ~(BLOCK_SIZE - 1));
	ASSERT(block->size == class_of(size) * STEP && block->used);
	if (is_full(block))
		enter(block);
	piece->next = block->free;
	block->free = piece;
	if (--block->used)
		return;
	leave(block);
	munmap(block, BLOCK_SIZE);
}
