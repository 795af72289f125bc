/*
 * What core tells of itself: named checks for /livez and /readyz, and the
 * metrics. The web role asks over its channel (record/vitals.h); it is not
 * trusted: what it may ask is one byte, and asking without end ends it.
 */
#ifndef RECONCILE_PROBE_H
#define RECONCILE_PROBE_H

#include "reconcile/core.h"
#include "record/vitals.h"

/* Starts the web role if the options name where it listens; NULL if not. */
struct probe *probe_new(struct core *core);
void probe_free(struct probe *probe);   /* NULL is fine */

/* The checks as they are now; texts live in the arena. */
void probe_checks(struct core *core, struct arena *arena, struct vitals *out);
/* The metrics as they are now. */
void probe_metrics(struct core *core, struct str *out);

#endif
