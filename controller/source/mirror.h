/*
 * The one bare mirror of a repository on disk: DIR/countersign-mirror says
 * whose it is, DIR/git is the object database. It is a cache: whatever is wrong
 * with it, it is made anew. One process uses it at a time; others may look in
 * (mirror_view).
 *
 * A commit that is there costs nothing. Packs are verified as they arrive; a cut
 * or corrupt one is never seen by a reader. References of ours only tell the
 * server what we have, under names derived from a hash, so that no branch name
 * can clash with another.
 */
#ifndef SOURCE_MIRROR_H
#define SOURCE_MIRROR_H

#include <git2.h>

#include "source/git_http.h"
#include "source/source_job.h"

struct mirror {
	git_repository *repository;     /* NULL until opened */
	char *directory, *url;
	bool broken;                    /* an object is missing or corrupt: the next fetch makes it anew */
};

/* Once a process, before anything else of libgit2: no configuration of the machine is read. */
void mirror_library_init(void);

/*
 * Opens it, making it (and its folder) when missing and anew when it is of
 * another URL or cannot be opened; *rebuilt tells. Removes what a killed fetch
 * left behind. ERROR_INTERNAL "NotAMirror" when the folder holds something else.
 */
int mirror_open(struct mirror *mirror, const char *directory, const char *url, bool *rebuilt, struct error *err);
void mirror_close(struct mirror *mirror);

/*
 * Puts the small packs of many fetches into one. All objects stay, also those
 * that no branch names any more: they may be what runs. A kill in between
 * leaves some objects twice, none lost. Returns -1 when it could not: the mirror
 * is as before, only slower.
 */
int mirror_consolidate(struct mirror *mirror);
/* How many packs there are, and how large all are together. */
size_t mirror_packs(const struct mirror *mirror);
uint64_t mirror_bytes(const struct mirror *mirror);

/*
 * Makes sure that the commit is there. Errors: those of git_http.h;
 * INVALID "RevisionNotFound": the repository has no such commit; TRANSIENT
 * "RevisionMoved": `ref` moved meanwhile and the commit is gone (resolve
 * again); TRANSIENT "FetchFailed": the pack is cut or corrupt; LIMIT
 * "TooLarge": it, or an object in it, is.
 */
int mirror_fetch(struct mirror *mirror, struct git_http *http, const struct source_fetch_request *request,
		 struct source_fetch_reply *reply, struct error *err);

/*
 * What a process sees that only reads, beside the one that uses the mirror: nothing is made, repaired or cleaned by it, and for
 * as long as it is open nothing is taken away. New packs may come meanwhile.
 */
struct mirror_view {
	git_repository *repository;
	int lock;
};

#define MIRROR_VIEW_INIT { NULL, -1 }

/* TRANSIENT "MirrorBusy", "MirrorError": there is nothing to look at now. */
int mirror_view_open(struct mirror_view *view, const char *directory, struct error *err);
void mirror_view_close(struct mirror_view *view);

/*
 * For whoever takes something out of the mirror: waits until nobody looks; to be closed soon. -1: not to be had, and then views
 * are not to be had either.
 */
int mirror_lock(const struct mirror *mirror);

#endif
