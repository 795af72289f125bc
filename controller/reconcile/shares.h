/*
 * Places that owners share. An owner has no more of them than he leaves free:
 * whoever holds his for as long as he likes leaves half to all others, the next
 * one half of that. Who waits is served in order, past those whose owner has
 * his share.
 */
#ifndef RECONCILE_SHARES_H
#define RECONCILE_SHARES_H

#include <stddef.h>

struct shares;

struct shares *shares_new(size_t places);
/* Who waits is forgotten. NULL is fine. */
void shares_free(struct shares *shares);
/* Calls begin(data) once there is a place for the owner: from within, or when another is given back. */
void shares_take(struct shares *shares, const char *owner, void (*begin)(void *data), void *data);
/* Gives one back. */
void shares_give(struct shares *shares, const char *owner);
/* What he has, or waits for. */
size_t shares_of(const struct shares *shares, const char *owner);

#endif
