/*
 * What one entry of a tree is to an Application: the rules of Argo CD's
 * directory sources, with links and submodules refused instead of followed.
 * Pure: the command line selects local files with it.
 */
#ifndef SOURCE_TREE_FILTER_H
#define SOURCE_TREE_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct tree_options {
	const char *path;               /* "" and "." are the root */
	bool recurse;
	const char *include, *exclude;  /* globs on the path below `path`, "" for none; '*' crosses '/', {a,b} */
};

enum filter { FILTER_SKIP, FILTER_READ, FILTER_ENTER, FILTER_REFUSE };

/*
 * `path` is relative to options->path; `mode` as it stands in the tree, since
 * libgit2 would make 0120755 a file. Only 0100644, 0100755 and the 0100664 of
 * ancient repositories are files.
 */
enum filter tree_filter(const struct tree_options *options, uint32_t mode, struct span path);

#endif
