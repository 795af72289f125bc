/*
 * What an object in Git declares. Kept by people as files, it may be a copy of
 * a live one, with fields that only the API server writes.
 */
#ifndef API_DECLARED_H
#define API_DECLARED_H

#include "base/json.h"

/*
 * Takes out what is not for Git to declare: the fields of a live object, its status, and of an Application what is asked of it once
 * (refresh): taken off by us, it would be put back and asked for again, for ever.
 */
void declared_strip(struct json *object, const char *group, const char *kind);

#endif
