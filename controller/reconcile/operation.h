/*
 * The top-level `operation` of an Application: what a person or a tool asks
 * for now. It stands in the object until its outcome is told, so that neither
 * a crash nor an orderly stop loses it: whoever leads then carries it out once
 * more, which is safe to repeat. status.operationState says Running meanwhile,
 * and then what came of it, as Argo CD has it.
 */
#ifndef RECONCILE_OPERATION_H
#define RECONCILE_OPERATION_H

#include "reconcile/run.h"

/* The object as it was just read: one that is carried out already asks for nothing more. */
void operation_seen(struct app *app, struct application *spec);
/* load: the run takes up what run->spec.operation asks for. */
void operation_begin(struct run *run);
/* load: it may be carried out. */
void operation_begun(struct run *run);
/* record: what came of it, or of a sync that nobody asked for. One that something else came between is carried out once more. */
void operation_ended(struct run *run);
/* Takes it out of the object once its outcome is told. */
void operation_take_out(struct app *app);

#endif
