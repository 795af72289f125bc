/*
 * A sync that a person asks for, as bytes, and how far it is, read from the
 * Application. Pure.
 */
#ifndef CLI_SYNC_STATE_H
#define CLI_SYNC_STATE_H

#include "base/arena.h"
#include "base/json.h"

struct sync_wish {
	const char *id;                /* by which the outcome is known */
	const char *username;
	const char *revision;          /* NULL: the Application's own */
	bool prune, dry_run, hard;
};

/* Appends the JSON merge patch of an Application that asks for it; `hard`: tags are resolved anew too. */
void sync_patch(const struct sync_wish *wish, struct arena *arena, struct str *out);

enum sync_stage {
	SYNC_ASKED,       /* the controller has not taken it up */
	SYNC_TAKEN,       /* it has, and has not told an outcome */
	SYNC_DONE,        /* synced, or there was nothing to do; Ready is not True */
	SYNC_FAILED,
	SYNC_READY,       /* done, and Ready is True */
};

/* How far the sync with that id is. Another one's outcome never counts. */
enum sync_stage sync_stage(const struct json *application, const char *id);

#endif
