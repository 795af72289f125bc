/*
 * libgit2's smart protocol over our HTTP: libgit2 speaks Git, git_http.h moves
 * the bytes, so that trust, credentials, limits and time-outs are one place's.
 */
#ifndef SOURCE_TRANSPORT_H
#define SOURCE_TRANSPORT_H

#include <git2.h>

#include "source/git_http.h"

/* One use of the transport: what went wrong below libgit2, whose own errors hold one string only. */
struct transport_session {
	struct git_http *http;
	bool failed;
	struct error err;               /* set when failed */
	const char *directory;          /* of the mirror: the audit log lies on the same volume, and must find room there */
	uint64_t mirror_bytes;          /* of it before */
	uint64_t received_bytes;        /* of packs */
	uint64_t checked_bytes;         /* of them, when it was last looked whether there is room */
};

/* For git_remote_callbacks.transport, with a struct transport_session as payload. */
int source_transport_new(git_transport **out, git_remote *owner, void *payload);

#endif
