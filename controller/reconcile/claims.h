/*
 * Whose an object is. One object has one Application: the one in whose
 * inventory it stands, or whose sync is about to put it there. Who is second
 * is refused, naming both; after a restart the inventories say the same again.
 *
 * An object moves when the Application that has it declares it no longer and
 * another does. The first then does not prune it but lets it go; it stays in
 * its inventory until the other has taken it over, so that at no time it is
 * nobody's. Since both may read one repository and look at one commit in any
 * order, nothing is pruned before every other Application of the repository
 * has looked at what is newest there.
 *
 * Applications that declare Applications form a tree by these claims; who
 * would close a circle is refused.
 */
#ifndef RECONCILE_CLAIMS_H
#define RECONCILE_CLAIMS_H

#include "reconcile/run.h"

/* The claims that an inventory makes: given back before it is replaced, taken after. */
void claims_release(struct app *app);
void claims_take(struct app *app);
/* The app goes: nothing may point to it any more. */
void claims_forget(struct app *app);

/*
 * prepare: whether the run's Application may have the object. ERROR_CONFLICT "SharedResource" or "ApplicationCycle". Sets
 * desired->from when it comes from another one.
 */
int claims_check(struct run *run, struct desired *desired, struct error *err);
/* Whether `other` lets the object of that key go, so that whoever declares it may take it over. */
bool claims_lets_go(const struct app *other, const char *key);
/* prepare: what the revision declares is known (run->desired). */
void claims_declared(struct run *run);
/*
 * prepare: nothing but what others have keeps this revision back. What it declares no longer they may take at once: else two that
 * exchange objects in one commit would wait for each other.
 */
void claims_leave(struct run *run);
/* tree: what it declares at this commit was found out before; the run may go on to something else. */
void claims_looked_before(struct run *run);
/* record: the Application was looked at, with what came of it; whoever waits for that goes on. */
void claims_looked(struct run *run);

/* intent: checks again and takes all of run->desired, since other runs went on meanwhile. */
int claims_begin(struct run *run, struct error *err);
/* settle: what the run has taken over is no longer the other's. */
void claims_moved(struct run *run);
/* The run ends: what it claimed but never wrote is given back. */
void claims_end(struct run *run);

/*
 * plan: the Application that declares what this one declares no longer; NULL: none. `let_go`: that one may take it over from now
 * on. *moved: it has done so already (a crash came between the two inventories), so that claims_drop is due.
 */
const char *claims_mover(struct run *run, const struct inventory_item *item, const char *key, bool let_go, bool *moved);
/* These objects are another's for good, or gone: the inventory is made and written anew once for all of them. */
void claims_drop(struct app *app, const struct map *keys);
/* plan: what has to be known of others before anything is pruned, as text for a person; NULL: nothing. */
const char *claims_wait(struct run *run);
void claims_pruning_waits(struct app *app, bool waits);
/* Nobody else is concerned by a new commit: those whose pruning waited go on. */
void claims_no_news(struct core *core);
/* Whether the item is the run's own Application or one of those above it: it is not for its children to delete. */
bool claims_is_above(const struct run *run, const struct inventory_item *item);

/* The question of apply/action.h before a deletion; `data` is the run. */
const char *claims_why_kept(const struct action *action, const struct json *live, void *data);

#endif
