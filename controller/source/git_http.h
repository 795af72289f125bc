/*
 * Git's smart HTTP over libcurl: one repository, its credential, and the
 * connections that stay open between jobs. Synchronous. Redirects are followed
 * on the first request only and only on the same host; what they end at is
 * where everything after goes. No text it makes holds a credential.
 *
 * Errors of all functions here:
 *   TRANSIENT "RepositoryUnreachable", "RepositoryTimeout" (network, 5xx, 429)
 *   TRANSIENT "CertificateError" (TLS: ours or the server's)
 *   FORBIDDEN "RepositoryAuth" (401, 403), NOT_FOUND "RepositoryNotFound" (404)
 *   DENIED "RepositoryNotPermitted" (an address that is off limits, base/address.h: it is not dialled)
 *   INVALID "NotAGitRepository" (another content type), "BadRedirect"
 *   LIMIT "TooLarge"
 */
#ifndef SOURCE_GIT_HTTP_H
#define SOURCE_GIT_HTTP_H

#include "base/error.h"
#include "source/source_job.h"

struct git_http;

struct git_http *git_http_new(void);
void git_http_free(struct git_http *http);
void git_http_cleanup(struct git_http **http);

/* Takes a copy of everything. ERROR_INVALID: those of git_url.h; DENIED for a host in digits that is off limits. Connections of before are closed. */
int git_http_configure(struct git_http *http, const struct source_config *config, struct error *err);
/* The URL that is dialled, without user information; "" before git_http_configure. */
const char *git_http_url(const struct git_http *http);

enum git_request {
	GIT_REQUEST_REFS,       /* GET  …/info/refs?service=git-upload-pack */
	GIT_REQUEST_RPC,        /* POST …/git-upload-pack */
};

/* An answer that is read as it comes. */
struct git_stream;

/*
 * Sends a request; `protocol` is 2 or 0 (what the Git-Protocol header asks for), `body` is copied. The stream is the
 * caller's. Nothing is waited for: errors come with the first read.
 */
struct git_stream *git_stream_open(struct git_http *http, enum git_request request, unsigned protocol, struct span body,
				   int64_t timeout_ms);
/* Up to `size` bytes; *got 0 is the end, which comes only when the whole answer was received. */
int git_stream_read(struct git_stream *stream, char *out, size_t size, size_t *got, struct error *err);
void git_stream_free(struct git_stream *stream);

/* A whole answer of at most LIMIT_HTTP_BODY_BYTES; follows redirects for GIT_REQUEST_REFS. */
int git_http_fetch(struct git_http *http, enum git_request request, unsigned protocol, struct span body, struct str *out,
		   struct error *err);

#endif
