/*
 * Repository URLs: read once, shown without their secrets everywhere.
 */
#ifndef SOURCE_GIT_URL_H
#define SOURCE_GIT_URL_H

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

struct git_url {
	const char *url;                /* what is dialled: no user information, no '/' at the end */
	const char *scheme;             /* "http" or "https" */
	const char *host;               /* with ":port" if the URL has one; lower case */
	const char *user, *password;    /* from the URL, decoded; "" when it has none */
};

/*
 * Texts in the arena. ERROR_INVALID "NotSupported" for ssh and local
 * repositories, "BadURL" for what is none, with a query, a fragment, control
 * characters or no host. Error texts never hold user information.
 */
int git_url_parse(const char *text, struct arena *arena, struct git_url *out, struct error *err);

/* The text without what stands between "://" (or its start) and the last '@' before the path, nor what a query or fragment says;
 * for messages. */
const char *git_url_redact(const char *text, struct arena *arena);

/* Takes user information and queries out of every URL in a message, in place. */
void git_text_redact(char *text);

#endif
