/*
 * The refs of a remote repository: what a server says (both protocol
 * generations), and what a targetRevision means among them. Pure.
 *
 * Meaning, in this order, as Argo CD has it:
 *   1. 40 hex digits are that commit, whatever refs there are.
 *   2. "" and "HEAD" are the default branch.
 *   3. A semver constraint ("1.x", ">=1.2 <2"; not a plain version) is the
 *      highest tag that matches, if one does.
 *   4. A full name ("refs/heads/x"), else a branch, else a tag of that name.
 *      Both, at different commits, are neither: who may make the one could
 *      have what others mean by the other.
 * Annotated tags are peeled to their commit.
 */
#ifndef SOURCE_REFS_H
#define SOURCE_REFS_H

#include "base/arena.h"
#include "base/error.h"
#include "source/source_job.h"

struct git_ref {
	struct span name;               /* "refs/heads/main", "HEAD" */
	char id[COMMIT_HEX];
	char peeled[COMMIT_HEX];        /* of an annotated tag; else "" */
};

struct git_refs {
	struct git_ref *items;
	size_t count;
};

/* What the first answer of a server (…/info/refs?service=git-upload-pack) says. */
struct advertisement {
	unsigned version;               /* 2: refs must be asked for; 0 and 1: they are here */
	struct git_refs refs;
};

/*
 * ERROR_TRANSIENT "BadProtocol" for what is no advertisement; ERROR_INVALID
 * "NotSupported" for a repository with SHA-256 names; ERROR_NOT_FOUND
 * "RepositoryNotFound" when the server says ERR; ERROR_LIMIT "TooLarge" past
 * LIMIT_GIT_REFS. Names are borrowed from `body`, arrays in the arena.
 */
int advertisement_parse(struct span body, struct arena *arena, struct advertisement *out, struct error *err);

/* The request for an `ls-refs` of what the revisions may mean, and its answer. */
void ls_refs_request(const struct source_refs_request *wanted, struct str *out);
int ls_refs_parse(struct span body, struct arena *arena, struct git_refs *out, struct error *err);

/*
 * Finds one revision. On failure out->error says why ("RevisionNotFound",
 * "AmbiguousRevision") and out->commit is "". Texts in the arena.
 */
void refs_resolve(const struct git_refs *refs, const char *revision, struct arena *arena, struct source_ref *out);

/* Whether this revision needs no server: a commit given as such. */
bool revision_is_commit(const char *revision);

#endif
