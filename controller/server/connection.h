/*
 * Listening, and the connections of strangers: how many, how long, how much.
 * libuv's stream side stays behind this header. At most LIMIT_WEB_CONNECTIONS
 * are open; one more ends the one that has gone longest without a whole
 * request, so that somebody who holds many open cannot keep a probe out.
 */
#ifndef SERVER_CONNECTION_H
#define SERVER_CONNECTION_H

#include "base/error.h"
#include "io/loop.h"
#include "server/request.h"

struct connections;
struct connection;

/*
 * Binds and listens on "HOST:PORT", "[HOST]:PORT" or ":PORT" (all addresses); HOST is an address, not a name. `on_request` is
 * called for each whole request and for each bad one; it answers by connection_answer, at once or later.
 */
struct connections *connections_new(struct loop *loop, const char *address, void (*on_request)(void *data, struct connection *),
				    void *data, struct error *err);

const struct request *connection_request(const struct connection *connection);
/* Sends the bytes and goes on with the connection, or ends it. Once a request. */
void connection_answer(struct connection *connection, struct span bytes);
/* Calls each(data, connection) for all that wait for an answer; each may answer. */
void connections_waiting(struct connections *connections, void (*each)(void *data, struct connection *), void *data);

#endif
