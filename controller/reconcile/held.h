/*
 * An inventory as core holds it between runs: one block of bytes, in which
 * what many inventories have (kinds, namespaces, accounts) is a shared name,
 * a UUID takes 16 bytes and a digest that is zero none. Nothing is left out:
 * what is read of it is what was held.
 */
#ifndef RECONCILE_HELD_H
#define RECONCILE_HELD_H

#include "api/inventory.h"

struct held;

/* Of an inventory whose texts are not NULL; `app` is not kept, the holder knows it. */
struct held *held_new(const struct inventory *inventory);
/* Into the arena; some texts are borrowed of `held`. app is "". */
void held_read(const struct held *held, struct arena *arena, struct inventory *out);
/* Whether it has an item of this identity and, as its uid, just this text. */
bool held_has(const struct held *held, const struct inventory_item *item);
void held_free(struct held *held);                /* NULL is fine */

#endif
