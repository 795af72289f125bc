/* The steps of a run, in their order; the table is in steps.c. */
#ifndef RECONCILE_STEPS_H
#define RECONCILE_STEPS_H

#include "reconcile/run.h"

enum step_result step_load(struct run *run);
enum step_result step_resolve(struct run *run);
enum step_result step_tree(struct run *run);
enum step_result step_render(struct run *run);
enum step_result step_prepare(struct run *run);
enum step_result step_read(struct run *run);
enum step_result step_judge(struct run *run);
enum step_result step_plan(struct run *run);
enum step_result step_intent(struct run *run);
enum step_result step_apply(struct run *run);
enum step_result step_settle(struct run *run);
enum step_result step_record(struct run *run);

/* Whether what was applied is to be looked after, as it was left, while the newest revision may not be applied, or is not to be had: step_source.c. */
bool may_keep(const struct run *run);

#endif
