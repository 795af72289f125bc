/*
 * One HTTP/1.1 request as its bytes come in, by llhttp in its strict mode.
 * Nothing is kept but method, target and whether the connection stays: no
 * header has a meaning here. Pure; the bytes are anybody's.
 *
 * What a probe or a scrape never needs is refused: other methods than GET and
 * HEAD, a body, an upgrade, a head over LIMIT_WEB_HEAD_BYTES.
 */
#ifndef SERVER_REQUEST_H
#define SERVER_REQUEST_H

#include <llhttp.h>
#include <stdbool.h>

#include "base/str.h"

enum request_state {
	REQUEST_PARTIAL,       /* more bytes are needed */
	REQUEST_WHOLE,
	REQUEST_BAD,           /* `status` is the answer, after which the connection ends */
};

struct request {
	llhttp_t parser;
	enum request_state state;
	int status;            /* of REQUEST_BAD: 400, 405, 413, 414, 431, 505 */
	bool is_head, keep_alive;
	struct str target;     /* as sent: path and query */
	size_t taken;          /* bytes of this request so far */
};

void request_init(struct request *request);
void request_release(struct request *request);
/* Makes it ready for the next request of the connection. */
void request_reset(struct request *request);

/*
 * Takes bytes in; returns how many belonged to this request: the rest, after a whole one, is the next one's. `state` says how
 * far it is. Not called again once it is whole or bad.
 */
size_t request_feed(struct request *request, struct span bytes);

/* The path of the target, up to '?'; *query the rest, or SPAN0. Borrowed from the request. */
struct span request_path(const struct request *request, struct span *query);
/* Whether the query has `name`, with or without a value: ?verbose, ?verbose=1. */
bool query_has(struct span query, const char *name);
/* Whether the query has name=value; several are given as name=a&name=b. No escapes: our names need none. */
bool query_names(struct span query, const char *name, struct span value);

#endif
