/*
 * What a commit says of itself, fit to be shown: text a stranger wrote becomes
 * one line of valid UTF-8 without control characters, and short.
 */
#ifndef SOURCE_COMMIT_H
#define SOURCE_COMMIT_H

#include <git2.h>

#include "base/arena.h"
#include "source/source_job.h"

/* Fills author, committer, subject and revision of *out. TRANSIENT "CommitMissing" when it is not there. */
int commit_describe(git_repository *repository, const git_oid *id, struct arena *arena, struct source_tree_reply *out,
		    struct error *err);

/* The text cut to LIMIT_GIT_SUBJECT_BYTES, bad bytes and control characters as '?'. In the arena. */
const char *commit_clean_text(const char *text, struct arena *arena);

/* The commit's id, if it is in the mirror; else ERROR_TRANSIENT "CommitMissing". */
int commit_find(git_repository *repository, const char *hex, git_oid *out, struct error *err);

#endif
