/*
 * Source: a repository's bytes, and nothing else of the cluster. It runs in a
 * process of its own for every repository, which holds that repository's
 * credential and mirror and parses what the server sends: core never does.
 *
 * Core sends jobs (source_job.h) and reads their answers with the decoders
 * there. In order: SOURCE_CONFIGURE once, then as often as is needed
 * SOURCE_REFS (what commit is targetRevision now? one small request),
 * SOURCE_FETCH (bring it here, free if it is), SOURCE_TREE (what does this
 * Application read of it?). Between jobs the mirror and the connections stay
 * open. Straight-line and synchronous. A mirror that lost a commit or an object
 * heals itself, also in a tree job; it then costs what a fetch costs.
 *
 * A second process may be configured without a URL: a reader. It holds no
 * credential and does tree and changed jobs while the first one waits for the
 * server. It changes nothing: whatever is not there or not as it should be is
 * an error, and the first one's to put right.
 */
#ifndef SOURCE_SOURCE_H
#define SOURCE_SOURCE_H

#include "base/error.h"
#include "base/str.h"

/* For io/role.h's worker_handler.session_new. Never fails. */
void *source_session_new(void);
void source_session_free(void *session);

/*
 * For worker_handler.folder: the folder that holds the mirror (its parent, since a broken one is made anew); NULL before. Borrowed.
 * A reader writes nothing there.
 */
const char *source_folder(const void *session, bool *writable);

/*
 * For worker_handler.serve: does one job. *reply_fd is set by a tree job that
 * has files to hand over (a sealed memfd for render). Errors: "NotConfigured",
 * "OnlyReads" (a reader is asked for what takes a server), "BadFrame", and those of git_http.h, mirror.h and tree.h. No text holds a
 * credential.
 */
int source_serve(void *session, struct span request, int request_fd, struct str *reply, int *reply_fd, struct error *err);

#endif
