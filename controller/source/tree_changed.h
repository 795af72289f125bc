/*
 * What differs between two commits, as paths: equal subtrees are not entered,
 * so the cost is that of what changed and not that of the repository.
 */
#ifndef SOURCE_TREE_CHANGED_H
#define SOURCE_TREE_CHANGED_H

#include <git2.h>

#include "source/source_job.h"

/*
 * Every file, link and submodule that is on one side only or not the same on both. When there are more than LIMIT_GIT_CHANGED,
 * or something cannot be read: reply->all. ERROR_TRANSIENT "CommitMissing" when a commit is not in the mirror.
 */
int tree_changed_job(git_repository *repository, const struct source_changed_request *request, struct arena *arena,
		     struct source_changed_reply *reply, struct error *err);

#endif
