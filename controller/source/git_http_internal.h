/* What git_http.c and git_stream.c share; nobody else includes it. */
#ifndef SOURCE_GIT_HTTP_INTERNAL_H
#define SOURCE_GIT_HTTP_INTERNAL_H

#include <curl/curl.h>

#include "base/address.h"
#include "source/git_http.h"
#include "source/git_url.h"

struct git_http {
	CURLM *multi;           /* holds the connections */
	struct arena *arena;    /* of the configuration */
	struct git_url url;     /* moves when a redirect is followed */
	bool at_home;           /* loopback is meant: outside of a cluster, or its host spells it out, as then the Project does (api/repo_url.h) */
	struct source_config config;
};

/* Whether it may not be dialled (base/address.h). */
bool git_http_is_off_limits(const struct git_http *http, const struct sockaddr *address);
/* ERROR_DENIED "RepositoryNotPermitted": one text for whatever is off limits, since another would tell what is there. */
int git_http_refuse(const struct git_http *http, struct error *err);

/* The answer's status line turned into an error; 0 for 200. Known once a byte or the end has come. */
int git_stream_status(struct git_stream *stream, struct error *err);
/* Where a redirect leads, borrowed from the stream; NULL when the answer is none. */
const char *git_stream_redirect(struct git_stream *stream);
/* Waits for the status. */
int git_stream_wait(struct git_stream *stream, struct error *err);

#endif
