/*
 * What an Application reads of a commit: the files below its path that
 * directory.{recurse,include,exclude} select, from the object database and
 * never from a work tree.
 *
 * Paths are clean: relative, no "..". Symbolic links and submodules are never
 * followed. One on the way to the path, one that would be read as a manifest,
 * and with recurse any that `exclude` does not name, is an error: leaving out
 * in silence what a person meant to apply would be worse.
 */
#ifndef SOURCE_TREE_H
#define SOURCE_TREE_H

#include <git2.h>

#include "base/arena.h"
#include "base/error.h"
#include "source/tree_filter.h"
#include "source/tree_stream.h"

/*
 * Puts a path into its one form: no empty and no "." parts; "" is the root.
 * ERROR_INVALID "BadPath": absolute, "..", control characters, not UTF-8, too long.
 */
int tree_path_clean(const char *path, struct arena *arena, const char **out, struct error *err);
/* ERROR_INVALID "BadGlob" naming the one that does not parse. */
int tree_options_check(const struct tree_options *options, struct error *err);

/*
 * The tree at a clean path. ERROR_INVALID "PathNotFound", "PathIsFile",
 * "SymlinkInPath", "SubmoduleInPath", each with the path. *out is the caller's.
 */
int tree_at_path(git_repository *repository, const git_oid *commit, const char *path, git_tree **out, struct error *err);

/*
 * Lists the selected files, sorted, without their content (bytes are SPAN0).
 * `tree` is the one at options->path, which must be clean. ERROR_INVALID
 * "SymlinkInPath", "SubmoduleInPath", "BadFileName", "BadTree"; ERROR_LIMIT "TooLarge".
 */
int tree_select(git_repository *repository, const git_tree *tree, const struct tree_options *options, struct arena *arena,
		struct tree_stream *out, struct error *err);
/* Reads the content of all files into the arena. ERROR_LIMIT "TooLarge" before the memory is taken. */
int tree_read(git_repository *repository, struct tree_stream *files, struct arena *arena, struct error *err);

/*
 * Whether two trees at options->path select the same (path, mode, blob) list.
 * Equal subtrees are not entered. Adds what it looked at to *entries. When in doubt (a link, an unreadable tree): no.
 */
bool tree_selects_same(git_repository *repository, const git_tree *a, const git_tree *b, const struct tree_options *options,
		       size_t *entries);

void tree_cleanup(git_tree **tree); /* for CLEANUP */

#endif
