/*
 * Jobs for the source worker of one repository: what repos.c and repos_tree.c
 * share. A repository has one process, which does one job at a time.
 */
#ifndef RECONCILE_REPO_JOBS_H
#define RECONCILE_REPO_JOBS_H

#include "base/str.h"
#include "io/worker.h"

struct repo;
struct repos;

/* The repository of a URL, made when unknown. */
struct repo *repo_get(struct repos *repos, const char *url);
/* Queues a job, configuring the worker first where it is a new one; takes the content of *request. on_done: as of worker.h. */
void repo_send(struct repo *repo, struct str *request, worker_done *on_done, void *data);

#endif
