/* Blocks of an arena that are kept for the next: few, of one size, and as good as new. */
#define MEM_SANITIZED 0
#include "unit.h"

#include "base/arena.c"

static void blocks_that_are_kept_are_few(void **state)
{
	struct arena *arenas[3 * KEPT_MOST];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(arenas); i++) {
		arenas[i] = arena_new(0);
		arena_alloc(arenas[i], BLOCK_LEAST);
		arena_alloc(arenas[i], 1);
	}
	assert_int_equal(kept.count, 0);
	for (size_t i = 0; i < COUNT_OF(arenas); i++)
		arena_free(arenas[i]);
	assert_int_equal(kept.count, KEPT_MOST);
}

static void large_blocks_are_not_kept(void **state)
{
	unsigned before = kept.count;
	struct arena *arena = arena_new(0);

	(void)state;
	arena_alloc(arena, 10 * BLOCK_LEAST);
	arena_free(arena);
	assert_int_equal(kept.count, before);
}

static void what_was_in_a_kept_block_is_not_seen_again(void **state)
{
	struct arena *arena = arena_new(0);
	char *bytes;

	(void)state;
	memset(arena_alloc(arena, BLOCK_LEAST), 0xff, BLOCK_LEAST);
	arena_free(arena);
	assert_true(kept.count);
	arena = arena_new(0);
	bytes = arena_alloc(arena, BLOCK_LEAST);
	for (size_t i = 0; i < BLOCK_LEAST; i++)
		assert_int_equal(bytes[i], 0);
	assert_int_equal(arena_used(arena), BLOCK_LEAST);
	arena_free(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_that_are_kept_are_few),
		cmocka_unit_test(large_blocks_are_not_kept),
		cmocka_unit_test(what_was_in_a_kept_block_is_not_seen_again),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	while (kept.count)
		free(block_take(BLOCK_LEAST));
	return failed;
}
