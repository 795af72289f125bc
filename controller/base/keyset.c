/* Open addressing as in map.c, in two arrays: what is probed, and what it stands for; see keyset.h. */
#include "base/keyset.h"

#include "base/error.h"
#include "base/map.h"

#define CAPACITY_FIRST 16u

static uint32_t hash_of(struct span key)
{
	return (uint32_t)map_hash(key);
}

static size_t slot_of(const struct keyset *set, struct span key, uint32_t hash)
{
	size_t mask = set->capacity - 1, at = hash & mask;

	while (set->things[at] && (set->hashes[at] != hash || !span_equal(set->key_of(set->things[at]), key)))
		at = (at + 1) & mask;
	return at;
}

static void put(struct keyset *set, void *thing, uint32_t hash)
{
	size_t mask = set->capacity - 1, at = hash & mask;

	while (set->things[at])
		at = (at + 1) & mask;
	set->things[at] = thing;
	set->hashes[at] = hash;
}

static void resize(struct keyset *set, size_t capacity)
{
	struct keyset next = *set;

	next.capacity = capacity;
	next.things = mem_calloc(capacity, sizeof(*next.things));
	next.hashes = mem_calloc(capacity, sizeof(*next.hashes));
	for (size_t i = 0; i < set->capacity; i++)
		if (set->things[i])
			put(&next, set->things[i], set->hashes[i]);
	free(set->things);
	free(set->hashes);
	*set = next;
}

void keyset_release(struct keyset *set)
{
	free(set->things);
	free(set->hashes);
	*set = (struct keyset)KEYSET_INIT(set->key_of);
}

void *keyset_get(const struct keyset *set, struct span key)
{
	return set->count ? set->things[slot_of(set, key, hash_of(key))] : NULL;
}

void keyset_add(struct keyset *set, void *thing)
{
	/* seven of eight in use at most; the hash in the slot spares looking at most of those that are passed */
	if ((set->count + 1) * 8 > set->capacity * 7)
		resize(set, set->capacity ? set->capacity * 2 : CAPACITY_FIRST);
	put(set, thing, hash_of(set->key_of(thing)));
	set->count++;
}

void *keyset_remove(struct keyset *set, struct span key)
{
	size_t mask = set->capacity - 1, hole;
	void *thing;

	if (!set->count)
		return NULL;
	hole = slot_of(set, key, hash_of(key));
	thing = set->things[hole];
	if (!thing)
		return NULL;
	for (size_t at = (hole + 1) & mask; set->things[at]; at = (at + 1) & mask) {
		size_t home = set->hashes[at] & mask;

		/* one may move back only if its home is not between the hole and itself */
		if (((at - home) & mask) < ((at - hole) & mask))
			continue;
		set->things[hole] = set->things[at];
		set->hashes[hole] = set->hashes[at];
		hole = at;
	}
	set->things[hole] = NULL;
	set->count--;
	return thing;
}

void **keyset_next(const struct keyset *set, void **slot)
{
	size_t at = slot ? (size_t)(slot - set->things) + 1 : 0;

	for (; at < set->capacity; at++)
		if (set->things[at])
			return &set->things[at];
	return NULL;
}
