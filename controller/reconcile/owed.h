/*
 * Results that are still owed to the audit log. A result is recorded once the
 * inventory that remembers what was written is in the cluster: a crash in
 * between leaves an open intent, by which recover.c finds what was made.
 * A run waits for that. While many Applications wait for a place it does not:
 * its result is kept here, as text, and recorded when its inventory is
 * written. The next intent of the Application comes after it; so does the end
 * of the process.
 */
#ifndef RECONCILE_OWED_H
#define RECONCILE_OWED_H

#include "reconcile/run.h"

/* Keeps the result of a run whose inventory is on its way. */
void owed_take(struct run *run);
/* An inventory of the app was answered: what is owed is recorded, if none is on its way any more. */
void owed_pay(struct app *app);
/* Forgets it: the intent stays open and is resolved at the next start. */
void owed_drop(struct app *app);

#endif
