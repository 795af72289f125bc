/*
 * Records of changed settings: Projects, policies and their keys, authorities,
 * credentials of repositories. Such a change is somebody else's act and is not
 * held up by a log that cannot be written; it is recorded as soon as one can.
 */
#ifndef RECONCILE_CHANGES_H
#define RECONCILE_CHANGES_H

#include "reconcile/core.h"

struct changes;

struct changes *changes_new(struct core *core);
void changes_free(struct changes *changes);           /* NULL is fine; what waits is not recorded any more */

/* `object` as it is now, or was last; `op`: "create", "update", "delete"; "found": it holds when a term begins. */
void changes_record(struct changes *changes, const char *kind, const struct json *object, const char *op);
/* There is a log again: what waited is recorded. */
void changes_record_waiting(struct changes *changes);

#endif
