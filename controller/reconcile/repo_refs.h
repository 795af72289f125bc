/*
 * What the target revisions of one repository stand for, asked of its server
 * in questions of a bounded size: whoever names a great many revisions, or long
 * ones, makes more questions and not one that cannot be sent. A full commit
 * stands for itself and is not asked about.
 */
#ifndef RECONCILE_REPO_REFS_H
#define RECONCILE_REPO_REFS_H

#include "reconcile/repo_jobs.h"
#include "source/source_job.h"

struct repo_refs;

struct repo_refs_of {
	struct repo_jobs *jobs;
	/* What came of one revision: ref, or err with NULL for it. Both are borrowed. */
	void (*on_ref)(void *data, const char *revision, const struct source_ref *ref, const struct error *err);
	/* After the last one; err: of a question that failed, NULL: none did. */
	void (*on_end)(void *data, const struct error *err);
	void *data;
};

struct repo_refs *repo_refs_new(const struct repo_refs_of *of);
/* After its jobs were freed. NULL is fine. */
void repo_refs_free(struct repo_refs *refs);
/* Asks about all, which are copied; not again before the end, which may come from within where nothing is to be asked. */
void repo_refs_ask(struct repo_refs *refs, const char *const *revisions, size_t count);

#endif
