/* Open addressing with linear probing and backward-shift deletion; see map.h. */
#include "base/map.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/rand.h"

static uint64_t rotate(uint64_t x, unsigned by)
{
	return x << by | x >> (64 - by);
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1]; v[1] = rotate(v[1], 13) ^ v[0]; v[0] = rotate(v[0], 32);
	v[2] += v[3]; v[3] = rotate(v[3], 16) ^ v[2];
	v[0] += v[3]; v[3] = rotate(v[3], 21) ^ v[0];
	v[2] += v[1]; v[1] = rotate(v[1], 17) ^ v[2]; v[2] = rotate(v[2], 32);
}

/* SipHash-1-3 (Aumasson, Bernstein 2012) under a key drawn once a process. */
uint64_t map_hash(struct span key)
{
	static uint64_t secret[2];
	uint64_t v[4], word;
	size_t whole = key.length & ~(size_t)7;

	if (!secret[0])
		rand_bytes(secret, sizeof(secret));
	v[0] = secret[0] ^ 0x736f6d6570736575u; v[1] = secret[1] ^ 0x646f72616e646f6du;
	v[2] = secret[0] ^ 0x6c7967656e657261u; v[3] = secret[1] ^ 0x7465646279746573u;
	for (size_t i = 0; i <= whole; i += 8) {
		word = 0;
		memcpy(&word, key.data + i, i < whole ? 8 : key.length - whole);
		if (i == whole)
			word |= (uint64_t)key.length << 56;
		v[3] ^= word;
		sip_round(v);
		v[0] ^= word;
	}
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* The slot that holds the key, or the free one where it would go. */
static struct map_entry *slot_of(const struct map *map, struct span key, uint64_t hash)
{
	size_t at = hash & (map->capacity - 1);

	for (;; at = (at + 1) & (map->capacity - 1)) {
		struct map_entry *entry = &map->entries[at];

		if (!entry->key || (entry->hash == hash && span_equal(span_make(entry->key, entry->length), key)))
			return entry;
	}
}

static void grow(struct map *map)
{
	struct map larger = { NULL, map->count, map->capacity ? map->capacity * 2 : 16 };

	larger.entries = mem_calloc(larger.capacity, sizeof(*larger.entries));
	MAP_EACH(entry, map)
		*slot_of(&larger, span_make(entry->key, entry->length), entry->hash) = *entry;
	free(map->entries);
	*map = larger;
}

void map_release(struct map *map)
{
	MAP_EACH(entry, map)
		free(entry->key);
	free(map->entries);
	*map = (struct map)MAP_INIT;
}

void *map_set(struct map *map, struct span key, void *value)
{
	uint64_t hash;
	struct map_entry *entry;
	void *former;

	if (!key.data)
		key.data = "";
	hash = map_hash(key);
	if ((map->count + 1) * 4 > map->capacity * 3)
		grow(map);
	entry = slot_of(map, key, hash);
	former = entry->key ? entry->value : NULL;
	if (!entry->key) {
		*entry = (struct map_entry){ mem_strndup(key.data, key.length), key.length, hash, NULL };
		map->count++;
	}
	entry->value = value;
	return former;
}

static struct map_entry *find(const struct map *map, struct span key)
{
	struct map_entry *entry;

	if (!map->count)
		return NULL;
	if (!key.data)
		key.data = "";
	entry = slot_of(map, key, map_hash(key));
	return entry->key ? entry : NULL;
}

void *map_get(const struct map *map, struct span key)
{
	struct map_entry *entry = find(map, key);

	return entry ? entry->value : NULL;
}

bool map_has(const struct map *map, struct span key)
{
	return find(map, key) != NULL;
}

void *map_remove(struct map *map, struct span key)
{
	struct map_entry *entry = find(map, key);
	size_t mask = map->capacity - 1, hole;
	void *value;

	if (!entry)
		return NULL;
	value = entry->value;
	free(entry->key);
	hole = (size_t)(entry - map->entries);
	for (size_t at = (hole + 1) & mask; map->entries[at].key; at = (at + 1) & mask) {
		size_t home = map->entries[at].hash & mask;

		/* an entry may move back only if its home is not between the hole and itself */
		if (((at - home) & mask) < ((at - hole) & mask))
			continue;
		map->entries[hole] = map->entries[at];
		hole = at;
	}
	map->entries[hole] = (struct map_entry){ NULL, 0, 0, NULL };
	map->count--;
	return value;
}

struct map_entry *map_next(const struct map *map, const struct map_entry *entry)
{
	size_t at = entry ? (size_t)(entry - map->entries) + 1 : 0;

	for (; at < map->capacity; at++)
		if (map->entries[at].key)
			return &map->entries[at];
	return NULL;
}
