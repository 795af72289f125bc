/* Sets of things with keys of their own, beside a map that is told the same. */
#include "unit.h"

#include "base/map.h"
#include "base/keyset.h"

struct thing {
	char key[16];
};

static struct span key_of(const void *data)
{
	const struct thing *thing = data;

	return span_of(thing->key);
}

static void check_each(const struct keyset *set, const struct map *map)
{
	size_t seen = 0;

	assert_int_equal(set->count, map->count);
	KEYSET_EACH(slot, set) {
		seen++;
		assert_ptr_equal(map_get(map, key_of(*slot)), *slot);
	}
	assert_int_equal(seen, map->count);
}

static void things_are_found_until_they_are_removed(void **state)
{
	enum { COUNT = 5000 };
	WITH_ARENA(arena);
	CLEANUP(map_release) struct map map = MAP_INIT;
	struct keyset set = KEYSET_INIT(key_of);
	struct thing *things = arena_calloc(arena, COUNT, sizeof(*things));
	unsigned random = 1;

	(void)state;
	assert_null(keyset_get(&set, SPAN("none")));
	assert_null(keyset_remove(&set, SPAN("none")));
	for (size_t i = 0; i < COUNT; i++) {
		snprintf(things[i].key, sizeof(things[i].key), "thing-%zu", i);
		keyset_add(&set, &things[i]);
		map_set(&map, key_of(&things[i]), &things[i]);
	}
	check_each(&set, &map);
	for (size_t turn = 0; turn < 20000; turn++) {
		struct thing *thing = &things[(random = random * 1103515245 + 12345) / 65536 % COUNT];

		assert_ptr_equal(keyset_get(&set, key_of(thing)), map_get(&map, key_of(thing)));
		if (map_has(&map, key_of(thing))) {
			assert_ptr_equal(keyset_remove(&set, key_of(thing)), thing);
			map_remove(&map, key_of(thing));
		} else {
			keyset_add(&set, thing);
			map_set(&map, key_of(thing), thing);
		}
		assert_ptr_equal(keyset_get(&set, key_of(thing)), map_get(&map, key_of(thing)));
	}
	check_each(&set, &map);
	assert_null(keyset_get(&set, SPAN("thing-")));
	keyset_release(&set);
	assert_int_equal(set.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(things_are_found_until_they_are_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
