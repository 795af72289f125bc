/*
 * Which commit an Application is at: the newest one, seen from the tip, that
 * changed what is read. History is simplified as `git log -- path` does it: at
 * a merge the walk follows the first parent that reads the same.
 */
#ifndef SOURCE_HISTORY_H
#define SOURCE_HISTORY_H

#include <git2.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/map.h"
#include "source/tree.h"

/* What earlier walks found, so that a new commit costs one comparison. One per mirror. */
struct history_memo {
	struct map tips;        /* path and options → struct memo_entry */
};

void history_memo_release(struct history_memo *memo);

/*
 * Finds it from `tip`, whose tree at options->path is `tree`. Walks at most
 * LIMIT_GIT_HISTORY commits and compares at most LIMIT_GIT_HISTORY_ENTRIES
 * entries; past them the oldest commit it reached is given. Cannot fail: a
 * parent that cannot be read reads something else.
 */
void history_revision(git_repository *repository, struct history_memo *memo, const git_oid *tip, const git_tree *tree,
		      const struct tree_options *options, git_oid *out);

#endif
