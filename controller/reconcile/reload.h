/*
 * Where the API server is and who we are there, read from files that may be
 * replaced while we run: a kubeconfig and what it names, or the pod's projected
 * token and ca.crt. Kubernetes replaces those by turning a link (`..data`) of
 * the folder, so the content is read and compared every few seconds instead of
 * watching any file. (The token is read more often still: kube/client.c.)
 */
#ifndef RECONCILE_RELOAD_H
#define RECONCILE_RELOAD_H

#include "kube/config.h"
#include "reconcile/core.h"

/* Reads the configuration that the options name, into the arena. */
int reload_config(const struct core_options *options, struct arena *arena, struct kube_config *out, struct error *err);

/* Looks for changes from now on; `config` is what is in use. */
struct reload *reload_new(struct core *core, const struct kube_config *config);
void reload_free(struct reload *reload);   /* NULL is fine */

#endif
