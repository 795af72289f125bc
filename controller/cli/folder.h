/*
 * A folder on a person's disk, read as if it had been pushed: the rules of
 * directory sources (source/tree_filter.h), symbolic links never followed.
 */
#ifndef CLI_FOLDER_H
#define CLI_FOLDER_H

#include "base/arena.h"
#include "base/error.h"
#include "source/tree.h"

/*
 * Reads what the options select; options->path is not looked at, a `.git` folder is left out, untracked files are not. Paths are
 * relative to the folder; blob ids are zero. ERROR_NOT_FOUND or INVALID "PathNotFound", INVALID "SymlinkInPath", "BadFileName",
 * LIMIT "TooLarge". Everything lives in the arena.
 */
int folder_read(const char *directory, const struct tree_options *options, struct arena *arena, struct tree_stream *out,
		struct error *err);

#endif
