/*
 * Texts that many have, kept once: namespaces, kinds, accounts, repositories.
 * Whoever takes a name holds it until it drops it. Two names are the same
 * text when their pointers are equal.
 */
#ifndef BASE_NAME_H
#define BASE_NAME_H

#include "base/str.h"

/* The one copy of the text, NUL-terminated; NULL gives NULL. */
const char *name_take(const char *text);
/* If somebody holds it, not taken; else NULL. */
const char *name_find(const char *text);
/* Gives it back; with its last holder it goes. NULL is fine. */
void name_drop(const char *name);
/* Puts another text into a slot that holds a name or NULL. */
void name_set(const char **slot, const char *text);

#endif
