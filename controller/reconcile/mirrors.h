/*
 * The mirrors on the volume: one of a repository that nobody has wanted for an
 * hour is removed, also when it is left from before a restart. It is a cache,
 * but of any number of repositories, and the volume is the audit log's, too.
 * Loop thread only; removing blocks it for as long as unlinking some packs takes.
 */
#ifndef RECONCILE_MIRRORS_H
#define RECONCILE_MIRRORS_H

#include "base/str.h"
#include "io/loop.h"

struct mirrors;

struct mirrors_of {
	const char *folder;          /* in which each mirror has a folder; copied */
	/* Whether somebody wants what is in the folder of that name, or a process may still be at it. */
	bool (*is_wanted)(void *data, struct span name);
	/* Whether is_wanted knows of everybody yet; until then nothing counts as unwanted. */
	bool (*is_known)(void *data);
	void *data;
};

struct mirrors *mirrors_new(struct loop *loop, const struct mirrors_of *of);
/* NULL is fine. */
void mirrors_free(struct mirrors *mirrors);

#endif
