/*
 * How many runs work at a time. All that are due at once (a commit in a
 * repository of thousands of Applications) would only hold memory while they
 * wait for the same API server. So a few dozen work, and the others wait in
 * order; what repairs drift goes first. A run that waits for something else
 * than the API server (a registry, health) gives its place away after a
 * second, so that none of them holds up the rest.
 */
#ifndef RECONCILE_TURNS_H
#define RECONCILE_TURNS_H

#include "reconcile/core.h"

struct app;
struct run;

/* Starts a run of the app, now or when there is a place. */
void turns_ask(struct app *app);
/* The app goes: it waits no more. */
void turns_drop(struct app *app);
/* A run begins; it took another step; it has ended. */
void turns_begin(struct run *run);
void turns_progress(struct run *run);
void turns_end(struct run *run);
/* Whether others wait for a place: then a run does not stay for what can be done without it. */
bool turns_wanted(const struct core *core);

void turns_init(struct core *core);
void turns_release(struct core *core);

#endif
