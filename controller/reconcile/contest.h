/*
 * Who takes back what a run mends, again and again. A few times it is mended at
 * once: that may be a person at work. Then it is told as Contested, and
 *
 * - a field is left alone for minutes;
 * - what must not stay is taken out for ever, every few seconds: nobody wins by
 *   persistence;
 * - an object that is deleted each time is made anew ever more seldom, and all of
 *   an Application together no faster than one a second: whoever lets objects
 *   vanish by what Git declares (an owner that does not exist) must not fill the
 *   audit log of all the others.
 *
 * A new revision, and a sync by a person, begin anew.
 */
#ifndef RECONCILE_CONTEST_H
#define RECONCILE_CONTEST_H

#include "diff/extras.h"
#include "reconcile/run.h"

/* A change that would be mended: recorded unless it was since the last time, and held back where it is contested. `grave`: it must not stay. */
void contest_change(struct run *run, struct action *action, const struct extra *who, bool grave);
/* Likewise an object of ours that is gone and would be made anew. */
void contest_deletion(struct run *run, struct action *action);

/* Counts what was mended, after it was: what was never sent (no log, no API server) or was refused was no fight. */
void contest_count(struct run *run);
/* What was recorded of late may have come to nothing with the log: what is not mended yet is recorded again. */
void contest_log_is_back(struct app *app);
/* Whether the event of this heal would be one of a series without end. */
bool contest_is_old(const struct run *run, const struct action *action);

#endif
