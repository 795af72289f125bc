/*
 * The Secrets that hold credentials of Git repositories, with Argo CD's keys
 * and labels: countersign.dev/secret-type (Argo's own label is read too) is
 * "repository" for one URL or "repo-creds" for all that begin so.
 *
 * Stricter than Argo CD in one thing: a "repo-creds" URL that names no path
 * counts for its own host only, not for one whose name begins with it
 * (https://git.example for https://git.example.evil).
 */
#ifndef API_REPOSITORY_SECRET_H
#define API_REPOSITORY_SECRET_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/json.h"

/* Whether a Secret is one of them, by its labels. */
bool is_repository_secret(const struct json *secret);

/* Looks for the Secret of one repository: begin with { .url = ... }, then consider every Secret; `best` is the answer. */
struct repository_search {
	const char *url;
	const struct json *best;   /* borrowed; NULL: none so far */
	size_t length;             /* of the URL that was matched; SIZE_MAX: the repository's own */
};

/* Takes the Secret as the best if it fits better than what was found: the same URL, else the longest that begins it. Pure. */
void repository_search_consider(struct repository_search *search, const struct json *secret);

/* What a Secret says; each "" when it does not. In the arena. */
struct repository_login {
	const char *username, *password, *bearer_token;
	const char *client_cert, *client_key;   /* PEM */
};

/* The only project whose Applications it is for; "" for any (Argo CD: a project-scoped repository). In the arena; secret may be NULL. */
const char *repository_secret_project(const struct json *secret, struct arena *arena);

/* Reads the credentials of a Secret (NULL: all ""). What is no base64 is read as "". */
void repository_login_read(const struct json *secret, struct arena *arena, struct repository_login *out);

#endif
