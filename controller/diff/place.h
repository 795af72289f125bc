/*
 * Where a JSON pointer leads in a live object, as managedFields tell it: into
 * the item of a list that is told apart by keys, which several managers may
 * share, or into something that the API server only replaces as a whole
 * (Ingress rules, RBAC rules, most lists of custom resources).
 */
#ifndef DIFF_PLACE_H
#define DIFF_PLACE_H

#include "base/json.h"

/* The "k:{...}" or "v:..." by which some manager holds the list item at the pointer; SPAN0 where none does. */
struct span place_keys(const struct json *live, struct span pointer);

/*
 * The beginning of the pointer that leads to something that is replaced as a whole: a manager holds it as a leaf, or it is a list
 * whose items nobody holds by a key and that have no name. SPAN0: there is none, or (`live` NULL) it is not known.
 */
struct span place_whole(const struct json *live, struct span pointer);

/* The member of `set` (within `value`) that a pointer's token names, its value in *child and its key in *element; NULL: none. */
const struct json *place_step(const struct json *set, const struct json *value, struct span token, const struct json **child,
			      struct span *element);

/* Cuts the first token off a pointer, which then is what is left of it. */
struct span place_cut(struct span *pointer);

#endif
