/*
 * The jobs of one repository, and the source processes that do them. The first
 * process does everything, one job at a time and in order, and holds the
 * credential. While it asks the server, it waits for as long as the server
 * likes to take; what is in the mirror is to be had all the same: a job that
 * only reads and has waited behind one that asks for LIMIT_GIT_PATIENCE_MS is
 * given to a second process, the reader (source/source.h), which is there for
 * no longer than it is needed. What the reader cannot answer goes back to the
 * first process, and waits. Past LIMIT_GIT_IDLE_PROCESSES a process without a
 * job ends, and the next job starts another.
 */
#ifndef RECONCILE_REPO_JOBS_H
#define RECONCILE_REPO_JOBS_H

#include "base/str.h"
#include "io/worker.h"

struct repo_jobs;

struct repo_jobs_of {
	struct workers *workers;
	struct loop *loop;
	const char *directory;       /* of the mirror; copied */
	/* Appends the job that configures the first process. */
	void (*configure)(void *data, struct str *request);
	void *data;
	size_t *living;              /* first processes of all repositories */
};

enum repo_job { JOB_ASKS, JOB_READS };

struct repo_jobs *repo_jobs_new(const struct repo_jobs_of *of);
/* What is under way is forgotten. NULL is fine. */
void repo_jobs_free(struct repo_jobs *jobs);
/* The first process is configured anew before its next job. */
void repo_jobs_reconfigure(struct repo_jobs *jobs);
/* Nobody wants the repository for now: its process ends, unless it has a job. */
void repo_jobs_rest(struct repo_jobs *jobs);
bool repo_jobs_idle(const struct repo_jobs *jobs);
/* Queues a job and takes the content of *request; configures its process first where it is a new one. on_done: as of worker.h. */
void repo_jobs_send(struct repo_jobs *jobs, enum repo_job kind, struct str *request, worker_done *on_done, void *data);

#endif
