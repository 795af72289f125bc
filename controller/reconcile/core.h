/*
 * Core: what the `core` role holds, assembled once at start. Everything below
 * runs on one loop, on one thread.
 *
 * The story of one Application is in run.h and steps.c; this header only says
 * who is there. The rest of the folder:
 *   objects   our own kinds as watched: Applications, Projects, ImagePolicies, inventories, repository Secrets
 *   changes   what changed of those, as records
 *   repos     Git repositories: polled, fetched, read
 *   live      the managed objects of the cluster, a few hundred bytes each
 *   fetches   those of them that are read again
 *   survey    whether an object is there that is not managed
 *   vetting   image reference -> digest -> evidence -> claims, each fetched and checked once
 *   run       one pass over one Application: the table of steps
 *   report    status, events of a run
 *   operation what a person asks for, until its outcome is told
 *   rollback  notices that the cluster went back to an older state, and holds what was of that time
 *   reload    credentials on disk, read again when they change
 *   rest      what Applications keep between their runs, packed
 *   probe     what core tells of itself: checks and metrics, for the web role
 */
#ifndef RECONCILE_CORE_H
#define RECONCILE_CORE_H

#include "base/keyset.h"
#include "base/log.h"
#include "io/loop.h"
#include "io/worker.h"
#include "kube/client.h"
#include "kube/discovery.h"
#include "kube/lease.h"
#include "record/audit_log.h"

struct core_options {
	const char *kubeconfig;           /* NULL: in the cluster */
	const char *namespace;            /* the installation's */
	const char *data_dir;
	int64_t poll_ms;                  /* of repositories, before jitter */
	const char **plain_http;          /* registries that may be spoken to without TLS; NULL at the end */
	const char *admin_project;        /* "" when none */
	const char *instance;             /* host name or pod name */
	const char *listen;               /* where the web role listens; "" nowhere */
	bool namespaced;                  /* without cluster roles: kinds are watched namespace by namespace */
	enum log_level log_level;         /* while no ConfigMap says another */
};

struct app;
struct run;
struct objects;
struct changes;
struct repos;
struct live;
struct survey;
struct vetting;
struct probe;
struct reload;
struct rollback;
struct rest;

/* See turns.h. */
struct turns {
	struct app *first[2], *last[2];   /* due, and waiting for a place: what drifted, and the rest */
	struct run *runs;                 /* that have one */
	size_t at_work;
	struct timer *timer;
	size_t ended;                     /* since memory was given back */
	struct timer *tidy;               /* runs while it is to be */
	bool filling;
};

struct core {
	const struct core_options *options;
	struct arena *arena;              /* of what lives as long as the process */
	struct loop *loop;
	struct kube *kube;
	struct workers *workers;
	struct worker_pool *render;
	struct discovery *discovery;
	struct lease *lease;
	int64_t lease_transitions;
	struct audit_log *audit;          /* NULL while there is none to write to, which also comes in the middle of a run */
	const char *log_id;               /* its id, which stays that as long as the process */
	struct error audit_error;         /* why there is no log to write to; reason "" while there is one */
	struct objects *objects;
	struct changes *changes;
	struct repos *repos;
	struct live *live;
	struct survey *survey;
	struct vetting *vetting;
	struct probe *probe;
	struct reload *reload;
	struct rollback *rollback;
	struct rest *rest;
	struct keyset apps;               /* struct app, by "namespace/name" */
	size_t waiting;                   /* Applications that wait for an object of another's */
	size_t pruning_waits;             /* Applications with waits_for_looks */
	struct timer *audit_retry, *stop_timer;
	int64_t stop_by_ms;
	struct str last_checkpoint;       /* of the log that was closed last */
	const char *identity;             /* in the lease */
	bool leading, stopping;
	bool recover_due;                 /* the log was opened anew: intents without a result are to be looked for; or some could not be yet */
	int exit_status;
	size_t runs_active;
	size_t owed;                      /* Applications whose result waits for their inventory */
	struct turns turns;
	size_t recovering;                /* interrupted syncs that are being resolved: no run begins before, and none announces anything */
	struct recovery *recoveries;      /* those: recover.h's part */
};

/* Runs the core role until it is told to stop; returns the exit status (78: the configuration is wrong). */
int core_run(const struct core_options *options);

/* Whether what is done can be recorded at this moment; -1: ERROR_TRANSIENT "AuditUnavailable" with the cause. */
int core_may_record(const struct core *core, struct error *err);

/* Resolves intents whose result could not be written while the log was not to be had. Called when a run has ended or told what it owed, too. */
void core_recover(struct core *core);

/* Begins an orderly stop: runs end at a step boundary, the log is closed, the lease given up. */
void core_stop(struct core *core, int exit_status);

#endif
