/*
 * One HTTP request after another over one connection cache: the only file of oci/
 * that knows libcurl's types. Blocking; for the fetch role. No policy: redirects,
 * credentials and retries are client.h's.
 *
 * A body that ends early, that is longer than allowed, that trickles, or a server
 * that hangs is an error, never a shorter body.
 */
#ifndef OCI_TRANSPORT_H
#define OCI_TRANSPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

struct transport;

struct transport *transport_new(void);
void transport_free(struct transport *transport); /* NULL is fine */

/* Texts are borrowed for the call; NULL where there is none. */
struct exchange {
	const char *url;
	const char *shown;                /* the URL as messages may show it: without what may be secret */
	const char *accept;
	const char *authorization;        /* value of the header */
	const char *form;                 /* body of a POST, form-encoded; NULL: GET */
	const char *ca_pem;               /* trusted in place of the system's authorities, or beside them */
	bool ca_beside;
	bool plain_http;                  /* http is allowed for this URL; else https alone is */
	bool foreign;                     /* a host that the registry named: may not be this machine, nor a link-local address */
	size_t body_max;                  /* bytes */
	int64_t timeout_ms;               /* of the whole exchange */
};

/* Texts live in the arena, "" when absent; repeated headers are joined by ", ". */
struct response {
	int status;
	const char *content_type, *digest, *link, *challenge, *location;
	int64_t retry_after_s;            /* -1: none */
	struct span body;
};

/*
 * Sends and receives. Any HTTP status is a success here. ERROR_TRANSIENT "FetchError"
 * (connection, TLS, time-out, truncated), ERROR_LIMIT "TooLarge" (body or headers).
 */
int transport_send(struct transport *transport, const struct exchange *exchange, struct arena *arena, struct response *out,
		   struct error *err);

/* Splits a URL. origin: scheme://host:port in lower case, with the default port written out. False for what is no http(s) URL. */
bool url_split(const char *url, struct arena *arena, const char **origin, bool *has_user);
/* `reference` (absolute or relative) as seen from `base`; NULL when it is no URL. */
const char *url_resolve(const char *base, const char *reference, struct arena *arena);
/* The URL with name=value added to its query, percent-encoded; NULL when it is no URL. */
const char *url_with(const char *url, const char *name, const char *value, struct arena *arena);

#endif
