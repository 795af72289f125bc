/* One connection's life: read a request, wait for the answer, write it, again. See connection.h. */
#include "server/connection.h"

#include <stdio.h>
#include <uv.h>

#include "base/limits.h"

#define BACKLOG 128
#define DRAIN_MS 1000
#define DRAIN_BYTES 65536u

enum phase {
	IDLE,          /* no byte of a request yet */
	READING,       /* a part of one */
	WAITING,       /* it is whole; the answer is to come */
	WRITING,
	DRAINING,      /* answered and ending: what still comes is thrown away, so that the answer is not lost to a reset */
};

struct connection {
	uv_tcp_t tcp;
	uv_write_t write;
	uv_shutdown_t shutdown;
	struct connections *all;
	struct connection *next, *previous;    /* longest without a whole request first */
	struct timer *deadline;
	struct request request;
	enum phase phase;
	struct str rest;                       /* came behind the request */
	struct str answer;
	size_t drained;
	bool closing, in_feed;
};

struct connections {
	struct loop *loop;
	uv_tcp_t listener;
	struct connection *first, *last;
	size_t count;
	void (*on_request)(void *, struct connection *);
	void *data;
	char buffer[LIMIT_WEB_HEAD_BYTES];     /* of the one read that is under way */
};

static void feed(struct connection *connection, struct span bytes);

/* --- the list ---------------------------------------------------------------------------------------------------- */

static void list_remove(struct connection *connection)
{
	struct connections *all = connection->all;

	*(connection->previous ? &connection->previous->next : &all->first) = connection->next;
	*(connection->next ? &connection->next->previous : &all->last) = connection->previous;
	connection->next = connection->previous = NULL;
}

static void list_append(struct connection *connection)
{
	struct connections *all = connection->all;

	connection->previous = all->last;
	*(all->last ? &all->last->next : &all->first) = connection;
	all->last = connection;
}

/* --- the end ------------------------------------------------------------------------------------------------------ */

static void on_closed(uv_handle_t *handle)
{
	struct connection *connection = CONTAINER_OF(handle, struct connection, tcp);

	request_release(&connection->request);
	str_release(&connection->rest);
	str_release(&connection->answer);
	free(connection);
}

static void end(struct connection *connection)
{
	if (connection->closing)
		return;
	connection->closing = true;
	list_remove(connection);
	connection->all->count--;
	timer_free(connection->deadline);
	uv_close((uv_handle_t *)&connection->tcp, on_closed);
}

static void on_deadline(void *data)
{
	end(data);
}

/* Ends the one that has gone longest without a whole request, and rather not one that is being answered. */
static void make_room(struct connections *all)
{
	struct connection *victim = all->first;

	while (victim && (victim->phase == WAITING || victim->phase == WRITING))
		victim = victim->next;
	end(victim ? victim : all->first);
}

/* --- writing ------------------------------------------------------------------------------------------------------ */

static void on_shut_down(uv_shutdown_t *shutdown, int status)
{
	if (status)
		end(CONTAINER_OF(shutdown, struct connection, shutdown));
}

static void begin_drain(struct connection *connection)
{
	connection->phase = DRAINING;
	timer_start(connection->deadline, DRAIN_MS);
	if (uv_shutdown(&connection->shutdown, (uv_stream_t *)&connection->tcp, on_shut_down))
		end(connection);
}

static void begin_request(struct connection *connection)
{
	CLEANUP(str_release) struct str rest = connection->rest;

	connection->rest = (struct str)STR_LIMIT(LIMIT_WEB_HEAD_BYTES);
	request_reset(&connection->request);
	connection->phase = IDLE;
	timer_start(connection->deadline, LIMIT_WEB_IDLE_MS);
	feed(connection, str_span(&rest));
}

static void on_written(uv_write_t *write, int status)
{
	struct connection *connection = CONTAINER_OF(write, struct connection, write);

	if (connection->closing)
		return;
	str_reset(&connection->answer);
	if (status)
		end(connection);
	else if (connection->request.keep_alive)
		begin_request(connection);
	else
		begin_drain(connection);
}

void connection_answer(struct connection *connection, struct span bytes)
{
	uv_buf_t buffer;

	if (connection->closing)
		return;
	ASSERT(connection->phase == WAITING);
	connection->phase = WRITING;
	timer_start(connection->deadline, LIMIT_WEB_WRITE_MS);
	str_add(&connection->answer, bytes);
	buffer = uv_buf_init(connection->answer.data, (unsigned)connection->answer.length);
	if (uv_write(&connection->write, (uv_stream_t *)&connection->tcp, &buffer, 1, on_written))
		end(connection);
}

/* --- reading ------------------------------------------------------------------------------------------------------- */

static void feed(struct connection *connection, struct span bytes)
{
	struct request *request = &connection->request;
	size_t used;

	if (!bytes.length)
		return;
	if (connection->phase == IDLE) {
		connection->phase = READING;
		/* from the first byte, whatever trickles in after it */
		timer_start(connection->deadline, LIMIT_WEB_REQUEST_MS);
	}
	used = request_feed(request, bytes);
	if (request->state == REQUEST_PARTIAL)
		return;
	str_add(&connection->rest, span_from(bytes, used));
	/* more than one head of requests sent ahead of their answers is not taken */
	if (connection->rest.overflow)
		request->keep_alive = false;
	connection->phase = WAITING;
	timer_start(connection->deadline, 2 * LIMIT_WEB_CORE_MS);
	if (request->state == REQUEST_WHOLE) {
		list_remove(connection);
		list_append(connection);
	}
	connection->all->on_request(connection->all->data, connection);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
	struct connection *connection = CONTAINER_OF(handle, struct connection, tcp);

	(void)suggested;
	*buffer = uv_buf_init(connection->all->buffer, sizeof(connection->all->buffer));
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buffer)
{
	struct connection *connection = CONTAINER_OF(stream, struct connection, tcp);
	struct span bytes = span_make(buffer->base, got > 0 ? (size_t)got : 0);

	if (got < 0 || connection->closing) {
		/* an answer that is on its way to somebody who only closed their half still goes out */
		if (got != UV_EOF || (connection->phase != WAITING && connection->phase != WRITING))
			end(connection);
		else
			connection->request.keep_alive = false;
		return;
	}
	if (connection->phase == IDLE || connection->phase == READING) {
		feed(connection, bytes);
		return;
	}
	if (connection->phase == DRAINING) {
		connection->drained += bytes.length;
		if (connection->drained > DRAIN_BYTES)
			end(connection);
		return;
	}
	/* sent ahead of the answer */
	str_add(&connection->rest, bytes);
	if (connection->rest.overflow)
		end(connection);
}

/* --- listening ----------------------------------------------------------------------------------------------------- */

static void on_connection(uv_stream_t *listener, int status)
{
	struct connections *all = CONTAINER_OF(listener, struct connections, listener);
	struct connection *connection;

	if (status)
		return;
	if (all->count == LIMIT_WEB_CONNECTIONS)
		make_room(all);
	connection = mem_alloc(sizeof(*connection));
	connection->all = all;
	connection->rest.limit = LIMIT_WEB_HEAD_BYTES;
	request_init(&connection->request);
	connection->deadline = timer_new(all->loop, on_deadline, connection);
	list_append(connection);
	all->count++;
	uv_tcp_init(listener->loop, &connection->tcp);
	if (uv_accept(listener, (uv_stream_t *)&connection->tcp) ||
	    uv_read_start((uv_stream_t *)&connection->tcp, on_alloc, on_read)) {
		end(connection);
		return;
	}
	/* a connection that says nothing is given no longer than a request */
	timer_start(connection->deadline, LIMIT_WEB_REQUEST_MS);
}

/* Fills *out; 0 or a libuv error. */
static int parse_address(const char *address, struct sockaddr_storage *out, bool *any)
{
	struct span text = span_of(address);
	ptrdiff_t colon = span_rindex(text, ':');
	struct span host = span_sub(text, 0, colon < 0 ? 0 : (size_t)colon);
	char name[64];
	int64_t port;

	if (colon < 0 || !span_to_int64(span_from(text, (size_t)colon + 1), &port) || port < 0 || port > 65535)
		return UV_EINVAL;
	if (span_starts(host, "[") && span_ends(host, "]"))
		host = span_sub(host, 1, host.length - 2);
	if (host.length >= sizeof(name))
		return UV_EINVAL;
	*any = !host.length;
	snprintf(name, sizeof(name), "%.*s", SPAN_ARG(host));
	if (*any || span_index(host, ':') >= 0)
		return uv_ip6_addr(*any ? "::" : name, (int)port, (struct sockaddr_in6 *)out);
	return uv_ip4_addr(name, (int)port, (struct sockaddr_in *)out);
}

static int listen_on(struct connections *all, struct sockaddr_storage *where)
{
	int rc = uv_tcp_init(loop_uv(all->loop), &all->listener);

	if (!rc)
		rc = uv_tcp_bind(&all->listener, (struct sockaddr *)where, 0);
	return rc ? rc : uv_listen((uv_stream_t *)&all->listener, BACKLOG, on_connection);
}

struct connections *connections_new(struct loop *loop, const char *address, void (*on_request)(void *data, struct connection *),
				    void *data, struct error *err)
{
	struct connections *all = mem_alloc(sizeof(*all));
	struct sockaddr_storage where;
	bool any;
	int rc = parse_address(address, &where, &any);

	all->loop = loop;
	all->on_request = on_request;
	all->data = data;
	if (!rc) {
		rc = listen_on(all, &where);
		if (rc && any) {
			/* a machine without IPv6; the handle that failed stays with the loop until the process ends */
			all = mem_alloc(sizeof(*all));
			*all = (struct connections){ .loop = loop, .on_request = on_request, .data = data };
			uv_ip4_addr("0.0.0.0", ntohs(((struct sockaddr_in6 *)&where)->sin6_port), (struct sockaddr_in *)&where);
			rc = listen_on(all, &where);
		}
	}
	if (!rc)
		return all;
	error_set(err, ERROR_INVALID, "CannotListen", "listen on %s: %s", address, uv_strerror(rc));
	return NULL;
}

const struct request *connection_request(const struct connection *connection)
{
	return &connection->request;
}

void connections_waiting(struct connections *connections, void (*each)(void *data, struct connection *), void *data)
{
	for (struct connection *one = connections->first, *next; one; one = next) {
		next = one->next;
		if (one->phase == WAITING)
			each(data, one);
	}
}
