/*
 * A declared object against a live one, without schema: declared values must
 * stand in the live object; list items are told apart by their names.
 */
#ifndef DIFF_COMPARE_H
#define DIFF_COMPARE_H

#include "base/json.h"

/* Whether they differ; the JSON pointer of the first place (in declared order) is appended to *pointer then. */
bool compare_declared(const struct json *desired, const struct json *live, struct str *pointer);

/* Whether `desired` has something at a JSON pointer into the live object; list items are told apart by their names. */
bool compare_declares(const struct json *desired, const struct json *live, struct span pointer);

/* The item of a list that has the name of `item`; without a name, the one at the same place; NULL for none. */
const struct json *compare_same_item(const struct json *list, const struct json *item, size_t place);

/*
 * Whether this very content was applied by us already: nothing declared differs, and our field set holds nothing that is
 * not declared. Values that the API server writes in another form (quantities) count as different: then it is applied again.
 */
bool compare_is_applied(const struct json *desired, const struct json *live);

#endif
