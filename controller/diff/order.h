/*
 * The order in which objects are applied: wave, rank of the kind, name. Data,
 * not code: Argo CD's kind order (gitops.md 1.6), unknown kinds last.
 */
#ifndef DIFF_ORDER_H
#define DIFF_ORDER_H

#include "base/error.h"
#include "base/json.h"

/* Rank of a kind, from 0; CustomResourceDefinition and Namespace come before what needs them. */
int order_rank(struct span kind);

/* The wave by argocd.argoproj.io/sync-wave, else helm.sh/hook-weight, else 0. ERROR_INVALID "BadSyncWave" when neither reads. */
int order_wave(const struct json *object, int *wave, struct error *err);

#endif
