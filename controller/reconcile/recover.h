/*
 * After a crash: every sync.intent without a result is resolved. What it
 * announced may or may not have been written; the objects are put into the
 * inventory as candidates, the Application is run, and a sync.result says what
 * became of each.
 */
#ifndef RECONCILE_RECOVER_H
#define RECONCILE_RECOVER_H

#include "gate/images.h"
#include "reconcile/core.h"

/*
 * Reads the open intents of the log and sees to each, but those of Applications that tell a result themselves yet (core->recover_due
 * then). Called when core begins to lead, and by core_recover. Another run of an Application concerned is called off.
 */
void recover_open_intents(struct core *core);

/*
 * What became of an announced write (one of the intent's objects): "ok", "not-done", or "unknown" where nothing tells. `live`: the
 * object as it is now, NULL when there is none; `custom`: where policies say that it keeps images; `app`: of the intent;
 * `announced_ns`: when, by the API server's clock. Pure.
 */
const char *recover_outcome(const struct json *announced, const struct json *live, const struct custom_paths *custom, const char *app,
			    int64_t announced_ns);

/* Forgets those under way, at the end of core: their intents stay open. */
void recover_release(struct core *core);

#endif
