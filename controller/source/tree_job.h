/*
 * The tree job: a commit and what to read of it → what core has to know, and
 * the files in a sealed memfd unless they are what core has already.
 */
#ifndef SOURCE_TREE_JOB_H
#define SOURCE_TREE_JOB_H

#include <git2.h>

#include "source/history.h"
#include "source/source_job.h"

/*
 * *fd is -1 when reply->changed is false, else the caller's. Texts of the reply are in the arena. Errors: those of
 * tree.h, and TRANSIENT "CommitMissing" when the commit is not in the mirror (fetch it first).
 */
int tree_job(git_repository *repository, struct history_memo *memo, const struct source_tree_request *request,
	     struct arena *arena, struct source_tree_reply *reply, int *fd, struct error *err);

#endif
