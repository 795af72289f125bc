/*
 * HTTP to one server, by libcurl's multi interface on the loop: HTTP/2 where
 * the server speaks it, all requests of a client over few connections. Used by
 * core for the API server. Redirects are not followed.
 *
 * Completion comes exactly once and never from inside http_send. A body that
 * ends early, a stall or a broken frame is an error (TRANSIENT, reason
 * "ConnectionError"), never a shorter body. Anything but a GET is sent once:
 * when its connection breaks before an answer, that is such an error, too.
 */
#ifndef IO_HTTP_H
#define IO_HTTP_H

#include "base/error.h"
#include "base/str.h"
#include "io/loop.h"

struct http;

/* All texts are copied. Only what is set is used. */
struct http_config {
	const char *base_url;        /* https://host:port, no slash at the end */
	const char *ca_pem;          /* NULL: the system's */
	const char *client_cert_pem, *client_key_pem;
	const char *tls_server_name; /* the name that the certificate must carry, where it is not the URL's host */
	bool insecure;               /* kubeconfig insecure-skip-tls-verify: the CLI only */
	const char *proxy_url;
	bool environment_proxy;      /* without a proxy_url HTTPS_PROXY and NO_PROXY decide: the CLI only */
	const char *user_agent;
	unsigned shared_most;        /* requests at once on one connection, where HTTP/2 allows more; 0: libcurl's own bound */
};

struct http *http_new(struct loop *loop, const struct http_config *config);
/* Other certificates (NULL: none, the system's) for the connections that are made from now on. */
void http_reload(struct http *http, const char *ca_pem, const char *client_cert_pem, const char *client_key_pem);
/* Cancels what is under way; its callbacks do not come. */
void http_free(struct http *http);

struct http_answer {
	int status;                  /* 0 when there was no answer: then err says why */
	struct span body;            /* borrowed for the callback; empty for streams */
	struct span content_type;
	int64_t retry_after_ms;      /* -1: no Retry-After, or none that makes sense */
	int64_t date_s;              /* the server's clock, since 1970; -1: no Date, or none that reads */
	bool withheld;               /* may_send said no: nothing was sent; err says so */
	struct error err;
};

struct http_request {
	const char *method, *path;   /* path with query, from '/' */
	const char *const *headers;  /* "Name: value", NULL at the end; may be NULL */
	struct span body;
	int64_t timeout_ms;          /* whole request; 0: none (streams) */
	int64_t idle_timeout_ms;     /* no byte for so long: an error; 0: 30 s */
	size_t body_max;             /* 0: LIMIT_HTTP_BODY_BYTES */
	/*
	 * Asked in the moment of sending, which may come long after http_send: a connection is made first, or the process was stopped
	 * meanwhile. May be NULL: yes.
	 */
	bool (*may_send)(void *data);
	/* A stream gets its body here, piece by piece, once the status was 200; return -1 to end it. May be NULL. */
	int (*on_data)(void *data, struct span piece);
	void (*on_done)(void *data, const struct http_answer *answer);
	void *data;
};

/* Sends; returns an id, never 0. */
uint64_t http_send(struct http *http, const struct http_request *request);
/* Ends a request without its callback; an id that is done already is fine. */
void http_cancel(struct http *http, uint64_t id);
/* Requests sent so far, by this client. */
uint64_t http_sent(const struct http *http);
size_t http_in_flight(const struct http *http);

#endif
