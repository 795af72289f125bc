/*
 * Results that are still owed to the audit log. A result is recorded once the
 * inventory that remembers what was written is in the cluster: a crash in
 * between leaves an open intent, by which recover.c finds what was made.
 * A run waits for that. While many Applications wait for a place it does not:
 * its result is kept here, as text, and recorded when its inventory is
 * written. The next intent of the Application comes after it; so does the end
 * of the process.
 *
 * An inventory that is not taken is sent again, once a second while a run waits
 * for it, for longer than a lease outlasts an API server that is away. Past
 * that the result is told without it: one that is refused for good keeps
 * nothing waiting. A process that ends before leaves the intent open.
 */
#ifndef RECONCILE_OWED_H
#define RECONCILE_OWED_H

#include "reconcile/run.h"

/* Whether a result may be told: what the inventory says is in the cluster, or was not taken so often that it is waited for no longer. */
bool owed_may_tell(const struct app *app);
/* Whether a result is not to be told any more: the process ends, and its inventory was not taken. */
bool owed_is_lost(const struct app *app);
/* Sends an inventory that was not taken again when it is time, and wakes the run for the next time. */
void owed_press(struct run *run);
/* Keeps the result of a run whose inventory is not written yet. */
void owed_take(struct run *run);
/* An inventory of the app was answered, or is not needed any more, or the process ends: what is owed is recorded, if it may be. */
void owed_pay(struct app *app);
/* Forgets it: the intent stays open and is resolved at the next start. */
void owed_drop(struct app *app);

#endif
