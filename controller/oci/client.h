/*
 * A registry, as one job sees it: GETs with authentication, redirects, patience
 * and limits. Blocking; for the fetch role. One client serves one image.
 *
 * - A credential goes to the registry's own host, and to the token server that it
 *   names only over https or when that is the registry's own address. After a
 *   redirect to another host nothing is sent along.
 * - http is spoken only to a registry that was named for it, and never after https.
 * - 401 once, then the token of the challenge; 429 waits as told, within the time.
 * - All requests of the job share one budget of time, number and bytes.
 * Everything that is no answer about what was asked is ERROR_TRANSIENT or, for 401
 * and 403, ERROR_FORBIDDEN, with reason "FetchError" and a text that says which URL
 * and which status; limits are ERROR_LIMIT.
 */
#ifndef OCI_CLIENT_H
#define OCI_CLIENT_H

#include <stdbool.h>

#include "oci/dockerconfig.h"
#include "oci/transport.h"

struct client;

/* Texts are borrowed for the client's life; NULL or "" where there is none. */
struct client_config {
	const char *host;                 /* host[:port] of the API */
	const char *repository;           /* for the scope of tokens */
	struct credential credential;
	const char *ca_pem;               /* takes the place of the system's for the registry's host, stands beside it for others */
	bool plain_http;
	int64_t timeout_ms;               /* of the whole job */
};

struct client *client_new(const struct client_config *config);
void client_free(struct client *client);
void client_cleanup(struct client **client);

/*
 * GETs `path` ("/v2/..."), or a URL on the registry's own host. The response is in the arena; its
 * status is 200, or 400, 404 or 406, which mean different things in different places.
 * `body_max` bounds the body of a 200.
 */
int client_get(struct client *client, const char *path, const char *accept, size_t body_max, struct arena *arena,
	       struct response *out, struct error *err);

/* The whole URL of a path, in the arena: what a relative Link is resolved against. */
const char *client_url(const struct client *client, const char *path, struct arena *arena);

/* Spent so far. */
unsigned client_requests(const struct client *client);
size_t client_bytes(const struct client *client);

#endif
