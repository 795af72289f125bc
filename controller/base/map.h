/*
 * A map from byte strings to pointers: open addressing, SipHash-1-3 under a
 * process-wide random key, so that keys from strangers cannot collide at will.
 * Keys are copied; values are not owned.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct map_entry {
	char *key;              /* NUL-terminated copy; NULL: free slot */
	size_t length;
	uint64_t hash;
	void *value;
};

struct map {
	struct map_entry *entries;
	size_t count, capacity;
};

#define MAP_INIT { NULL, 0, 0 }

/* The keyed hash of these bytes, for as long as the process lives. */
uint64_t map_hash(struct span key);

void map_release(struct map *map);                       /* values are left alone */
/* Sets or replaces; returns the former value or NULL. */
void *map_set(struct map *map, struct span key, void *value);
void *map_get(const struct map *map, struct span key);   /* NULL: absent */
bool map_has(const struct map *map, struct span key);
void *map_remove(struct map *map, struct span key);      /* the value it had, or NULL */
/* The next used entry after `entry` (NULL: the first); NULL at the end. The map must not change meanwhile. */
struct map_entry *map_next(const struct map *map, const struct map_entry *entry);
#define MAP_EACH(entry, map) for (struct map_entry *entry = map_next((map), NULL); entry; entry = map_next((map), entry))

#endif
