/*
 * The life of a run, top to bottom. Each step is in the file that is named
 * beside it; a step that has nothing to do for the run's goal says NEXT.
 */
#include "reconcile/steps.h"

const struct step sync_steps[] = {
	{ "load",    step_load    },   /* step_load.c     the Application, what asks for this run, its Project */
	{ "resolve", step_resolve },   /* step_source.c   target revision -> commit */
	{ "tree",    step_tree    },   /* step_source.c   commit -> files */
	{ "render",  step_render  },   /* step_source.c   files -> objects */
	{ "prepare", step_prepare },   /* step_prepare.c  objects -> desired: kind, namespace, project, tracking, order */
	{ "read",    step_read    },   /* step_read.c     what the cluster has of it */
	{ "judge",   step_judge   },   /* step_judge.c    images -> digests -> evidence -> verdict; pinned */
	{ "plan",    step_plan    },   /* step_plan.c, plan_gone.c  desired + live + inventory -> actions */
	{ "intent",  step_intent  },   /* step_intent.c   what will be written, durable in the audit log */
	{ "apply",   step_apply   },   /* step_apply.c    actions -> outcome, wave by wave */
	{ "settle",  step_settle  },   /* step_intent.c   the result, durable; inventory */
	{ "record",  step_record  },   /* step_record.c   always: status, events, when to look again */
	{ NULL, NULL },
};
