/*
 * What is counted, for /metrics: one table of families (metric.c), one register
 * a process. Library code counts here where the thing happens; who serves the
 * numbers writes them out. No clock, no I/O; used from one thread.
 *
 * A family has few series by design. One that would get more than
 * LIMIT_METRIC_SERIES of them (a label with values of strangers) counts into
 * countersign_metric_series_dropped_total instead of growing.
 */
#ifndef BASE_METRIC_H
#define BASE_METRIC_H

#include "base/str.h"

enum metric {
	METRIC_BUILD_INFO,             /* version */
	METRIC_LEADER,
	METRIC_RUNS,                   /* result */
	METRIC_RUN_SECONDS,
	METRIC_RUNS_ACTIVE,
	METRIC_QUEUE_DEPTH,
	METRIC_QUEUE_WAIT_SECONDS,
	METRIC_COMMIT_TO_LIVE_SECONDS,
	METRIC_API_REQUESTS,           /* verb, code */
	METRIC_API_REQUEST_SECONDS,    /* verb */
	METRIC_VERIFICATIONS,          /* result, reason */
	METRIC_CACHE_REQUESTS,         /* cache, result */
	METRIC_AUDIT_RECORDS,
	METRIC_AUDIT_BYTES,
	METRIC_AUDIT_WRITABLE,
	METRIC_AUDIT_LAST_DURABLE,
	METRIC_AUDIT_CHECKPOINT_AGE,
	METRIC_AUDIT_SYNC_SECONDS,
	METRIC_WORKER_JOBS,            /* role, result */
	METRIC_WORKER_CRASHES,         /* role, reason */
	METRIC_WORKER_QUEUE_DEPTH,     /* role */
	METRIC_PROCESSES,              /* role */
	METRIC_PROCESS_MEMORY,         /* role */
	METRIC_PROCESS_CPU,            /* role */
	METRIC_HEAP,
	METRIC_ARGO_APP_INFO,          /* as Argo CD labels them: name, namespace, project, ... */
	METRIC_ARGO_APP_SYNC,          /* dest_server, dry_run, name, namespace, phase, project */
	METRIC_DROPPED,                /* family */
	METRIC_COUNT
};

/*
 * Counter: adds; gauge: adds, too. The texts are the values of the family's labels in the table's order, NULL at the end:
 *	metric_add(METRIC_API_REQUESTS, 1, "GET", "200", NULL);
 */
void metric_add(enum metric which, double value, ...) __attribute__((sentinel));
/* Gauge, or a counter whose sum is kept elsewhere: sets. */
void metric_set(enum metric which, double value, ...) __attribute__((sentinel));
/* Histogram: one observation. */
void metric_observe(enum metric which, double value, ...) __attribute__((sentinel));
/* Forgets the series of a family that is set anew for each reading. */
void metric_clear(enum metric which);
/* The sum of a counter or gauge over all its series; of a histogram, how many were observed. For tests and for checks. */
double metric_sum(enum metric which);
/* All of it in Prometheus' text format 0.0.4. */
void metric_write(struct str *out);
/* Forgets everything. */
void metric_reset(void);

#endif
