/*
 * What a run's Project permits, and whether its verdicts hold, asked with the
 * Project and the policies as they are at this moment: for a plan, and once more
 * for each write by apply/action.c, so that what an administrator takes away stops
 * a sync that is under way.
 */
#ifndef RECONCILE_PERMISSION_H
#define RECONCILE_PERMISSION_H

#include "gate/permit.h"
#include "reconcile/run.h"

/* Takes the Project in again if it changed since; ERROR_DENIED "ProjectNotFound", "RepositoryNotPermitted",
 * "DestinationNotPermitted", ERROR_INVALID "InvalidProject" or ERROR_TRANSIENT "SettingsUnreadable". A deletion reads no repository, so it
 * needs neither of the first two permissions. */
int permission_project(struct run *run, struct error *err);

/* Whether an object may be written, and who writes it: "namespace:name" in *account. */
int permission_of_desired(struct run *run, const struct desired *desired, const char **account, struct error *err);

/* Whether an object of the inventory may be deleted, and as whom. */
int permission_of_item(struct run *run, const struct inventory_item *item, const char **account, struct error *err);

/*
 * Whether the verdicts hold still: no ImagePolicy and no key of one has changed since, and no exemption in use has ended.
 * ERROR_CANCELED "Superseded": the run ends, and the next one judges anew.
 */
int permission_verdicts(const struct run *run, struct error *err);

/* The question of apply/action.h before each write; `data` is the run. */
int permission_to_send(const struct action *action, void *data, struct error *err);

#endif
