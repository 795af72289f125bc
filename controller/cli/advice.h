/*
 * What a person can do about an Application that is not as it should be: one
 * table from a condition's type and reason to a next step. Pure.
 */
#ifndef CLI_ADVICE_H
#define CLI_ADVICE_H

#include "base/arena.h"
#include "base/json.h"

/*
 * Appends to *steps (an arena array of texts) what to do next, most pressing first, each once; nothing when the Application is
 * ready. `application` is the object as the API server gives it.
 */
void advice_of(const struct json *application, struct arena *arena, const char ***steps, size_t *count);

/* The condition of that type, or NULL. */
const struct json *advice_condition(const struct json *application, const char *type);

#endif
