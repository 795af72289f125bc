/*
 * A set of things that carry their own key: what map.h is, for where there
 * are so many that a copy of each key and a wide slot count. Things are not
 * owned. A key must not change while its thing is in the set.
 */
#ifndef BASE_KEYSET_H
#define BASE_KEYSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct keyset {
	struct span (*key_of)(const void *thing);
	void **things;           /* NULL: free slot */
	uint32_t *hashes;        /* of the thing in the same slot */
	size_t count, capacity;
};

#define KEYSET_INIT(key_of) { (key_of), NULL, NULL, 0, 0 }

void keyset_release(struct keyset *set);                          /* things are left alone */
void *keyset_get(const struct keyset *set, struct span key);      /* NULL: absent */
/* One of the same key must not be there. */
void keyset_add(struct keyset *set, void *thing);
void *keyset_remove(struct keyset *set, struct span key);         /* what was there, or NULL */
/* The slot after `slot` (NULL: the first) that is in use; NULL at the end. The set must not change meanwhile. */
void **keyset_next(const struct keyset *set, void **slot);
#define KEYSET_EACH(slot, set) for (void **slot = keyset_next((set), NULL); slot; slot = keyset_next((set), slot))

#endif
