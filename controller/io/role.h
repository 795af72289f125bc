/*
 * Roles: which processes there are, and how they come to be. The supervisor
 * starts each by exec of the same binary with `--role NAME`, so that no role
 * inherits another's memory; descriptor 3 is its channel. Core asks the
 * supervisor for workers and gets one end of a socket pair back.
 *
 * The supervisor parses nothing but fixed-size requests of core.
 */
#ifndef IO_ROLE_H
#define IO_ROLE_H

#include "base/error.h"
#include "base/str.h"

enum role { ROLE_NONE = 0, ROLE_SUPERVISOR, ROLE_CORE, ROLE_SOURCE, ROLE_FETCH, ROLE_RENDER, ROLE_VERIFY, ROLE_WEB, ROLE_COUNT };

/* The descriptor on which a role finds its channel. */
#define ROLE_CHANNEL 3

const char *role_name(enum role role);
enum role role_of_name(const char *name);  /* ROLE_NONE when there is none of that name */

/*
 * Runs the supervisor until SIGTERM or SIGINT: starts core with `core_args` (NULL at the end; what follows
 * `--role core`), starts workers when core asks, reaps, starts core again when it died (backing off up to 10 s).
 * SIGTERM goes to core, which has 20 s to stop. Returns the exit status of the program.
 */
int supervisor_run(char *const core_args[]);

/*
 * A worker's life: takes frames from descriptor 3, one at a time, until its end, and answers each.
 * `serve` appends its answer to *reply and may hand out a descriptor (closed here after it was sent); on failure the
 * error is sent. Never returns.
 */
struct worker_handler {
	/* request_fd is -1 or a descriptor lent for the call; *reply_fd starts at -1 */
	int (*serve)(void *session, struct span request, int request_fd, struct str *reply, int *reply_fd, struct error *err);
	void *(*session_new)(void);            /* NULL: no session */
	/* Asked after each job until it names the folder that the role works in from then on, and whether it writes there; NULL: never asked. */
	const char *(*folder)(const void *session, bool *writable);
};
void worker_main(enum role role, const struct worker_handler *handler) __attribute__((noreturn));

#endif
