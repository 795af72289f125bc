/*
 * The elements of one array of a large JSON object, one at a time. A tree takes
 * several times the size of its text; of a list of the API server with hundreds
 * of objects only one is wanted at once.
 */
#ifndef BASE_JSON_ITEMS_H
#define BASE_JSON_ITEMS_H

#include "base/error.h"
#include "base/str.h"

/*
 * Cuts the array at `key` out of the object `text`: *rest is the object with an empty one in its place, *items what stood between its brackets
 * (of `text`; empty, too, when there is no such array). Only nesting and strings are looked at: what is inside is validated by
 * whoever parses it, the rest and each element. ERROR_INVALID "BadJSON" when `text` is no object or does not end.
 */
int json_cut_items(struct span text, const char *key, struct str *rest, struct span *items, struct error *err);

/* The next element, without the comma behind it. False: there is none; ERROR_INVALID "BadJSON" when what is left is no element. */
bool json_next_item(struct span *items, struct span *item, struct error *err);

#endif
