/* Pieces of a pool: each is the caller's alone, zeroed, aligned, of any size, in any order. */
/* its blocks, which a sanitizer's build does not use otherwise */
#define MEM_SANITIZED 0
#include "unit.h"

#include <stdalign.h>

#include "base/pool.c"

static bool is_all(const unsigned char *piece, unsigned char value, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (piece[i] != value)
			return false;
	return true;
}

static void pieces_do_not_meet(void **state)
{
	enum { COUNT = 4000 };
	static unsigned char *pieces[COUNT];
	static size_t sizes[COUNT];
	unsigned random = 1;

	(void)state;
	for (size_t turn = 0; turn < 60000; turn++) {
		size_t at = (random = random * 1103515245 + 12345) / 65536 % COUNT;

		if (pieces[at]) {
			assert_true(is_all(pieces[at], (unsigned char)at, sizes[at]));
			pool_free(pieces[at], sizes[at]);
			pieces[at] = NULL;
			continue;
		}
		/* past the largest of a block, too */
		sizes[at] = (random = random * 1103515245 + 12345) / 65536 % 2100;
		pieces[at] = pool_alloc(sizes[at]);
		assert_int_equal((uintptr_t)pieces[at] % alignof(max_align_t), 0);
		assert_true(is_all(pieces[at], 0, sizes[at]));
		memset(pieces[at], (int)at, sizes[at]);
	}
	for (size_t at = 0; at < COUNT; at++) {
		if (pieces[at])
			assert_true(is_all(pieces[at], (unsigned char)at, sizes[at]));
		pool_free(pieces[at], sizes[at]);
	}
}

static void what_was_full_is_used_again(void **state)
{
	enum { COUNT = 3000 };
	static void *pieces[COUNT];

	(void)state;
	for (int turn = 0; turn < 3; turn++) {
		for (size_t i = 0; i < COUNT; i++)
			memset(pieces[i] = pool_alloc(112), 1, 112);
		for (size_t i = 0; i < COUNT; i++)
			pool_free(pieces[(i * 7) % COUNT], 112);
	}
	pool_free(NULL, 112);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_do_not_meet),
		cmocka_unit_test(what_was_full_is_used_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
