/*
 * kubectl's JSONPath without filters, scripts and recursion: enough to name
 * where a custom resource keeps its images.
 *
 *	{.spec.image}   .spec.template.image   spec.sets[*].image   .spec['odd.name'][0]
 *
 * The braces and the first dot are optional. "*" stands for every member or item. Unions, ranges and indices from the end are none.
 */
#ifndef BASE_JSONPATH_H
#define BASE_JSONPATH_H

#include <stdbool.h>

#include "base/json.h"
#include "base/str.h"

/* Whether the text is such a path, of at most 64 steps. */
bool jsonpath_valid(struct span path);

/* Calls each(data, value, JSON pointer) for every value at the path, in order. An invalid path finds nothing. */
void jsonpath_each(struct span path, struct json *root, void (*each)(void *data, struct json *value, struct span pointer),
		   void *data);

#endif
