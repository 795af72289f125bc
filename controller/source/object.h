/*
 * Commits and trees of strangers: libgit2 takes them into memory whole, and one
 * that is small in a pack may be of any size there. So it is asked first.
 *
 * As libgit2's own functions: 0, or an error that git_error.h turns into ours.
 */
#ifndef SOURCE_OBJECT_H
#define SOURCE_OBJECT_H

#include <git2.h>

int object_commit(git_repository *repository, const git_oid *id, git_commit **out);
int object_tree(git_repository *repository, const git_oid *id, git_tree **out);

#endif
