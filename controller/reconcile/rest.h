/*
 * Applications at rest. With many Applications what each keeps between two
 * runs is most of core's memory: spec and report are deflated, the inventory
 * is bytes (held.h). Whoever reads one opens it; what is open and has no run
 * is packed again from the event loop, so that whatever was borrowed of it is
 * good until then.
 */
#ifndef RECONCILE_REST_H
#define RECONCILE_REST_H

#include "reconcile/app.h"

struct rest;

struct rest *rest_new(struct core *core);
/* After the last Application was freed. NULL is fine. */
void rest_free(struct rest *rest);

/* Spec and report, opened; made empty when there are none. */
struct app_open *rest_open(struct app *app);
/* It was opened, or its run has ended: packed again when nobody needs it. */
void rest_soon(struct app *app);
/* The inventory is another one now. */
void rest_set_inventory(struct app *app, const struct inventory *inventory);
/* All that is kept of the app goes. */
void rest_forget(struct app *app);

#endif
