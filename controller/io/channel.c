/* Frames without blocking; see channel.h. */
#include "io/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/limits.h"
#include "io/frame.h"

struct outgoing {
	struct outgoing *next;
	struct str bytes;      /* header and content */
	size_t sent;
	int fd;
};

struct channel {
	int socket;
	struct poller *poller;
	struct outgoing *first, **last;
	struct str in;         /* header and content so far */
	int in_fd;
	void (*on_frame)(void *, struct span, int);
	void (*on_closed)(void *, const struct error *);
	void *data;
	bool *freed;           /* set while callbacks run, so that they may free us */
};

static void outgoing_free(struct outgoing *one)
{
	fd_cleanup(&one->fd);
	str_release(&one->bytes);
	free(one);
}

static void watch(struct channel *channel)
{
	poller_set(channel->poller, POLL_READ | (channel->first ? POLL_WRITE : 0));
}

/* 0: all sent or the socket is full; -1: broken. */
static int send_some(struct channel *channel, struct error *err)
{
	while (channel->first) {
		struct outgoing *one = channel->first;
		struct span rest = span_from(str_span(&one->bytes), one->sent);
		ssize_t put = socket_send_fd(channel->socket, rest, one->sent ? -1 : one->fd, MSG_DONTWAIT);

		if (put < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (put < 0)
			return error_errno(err, errno, "send to a worker");
		one->sent += (size_t)put;
		if (one->sent < one->bytes.length)
			continue;
		channel->first = one->next;
		if (!channel->first)
			channel->last = &channel->first;
		outgoing_free(one);
	}
	return 0;
}

/* Hands out whole frames; returns 1 when a callback freed the channel. */
static int deliver(struct channel *channel, struct error *err)
{
	while (channel->in.length >= FRAME_HEADER) {
		bool has_fd, freed = false;
		size_t length;
		int fd;

		if (frame_header_parse((const unsigned char *)channel->in.data, &length, &has_fd, err))
			return -1;
		if (channel->in.length < FRAME_HEADER + length)
			return 0;
		/* one that was not announced would be taken for the next frame's */
		if (has_fd != (channel->in_fd >= 0))
			return error_set(err, ERROR_INVALID, "BadFrame", "a descriptor is missing or was not announced");
		fd = TAKE_FD(channel->in_fd);
		channel->freed = &freed;
		channel->on_frame(channel->data, span_sub(str_span(&channel->in), FRAME_HEADER, length), fd);
		if (freed)
			return 1;
		channel->freed = NULL;
		str_drop(&channel->in, FRAME_HEADER + length);
	}
	return 0;
}

/* How much to read at once: the rest of the frame, so that a descriptor is never mixed up with the next frame's. */
static size_t wanted(const struct channel *channel)
{
	size_t length = 0;
	bool has_fd;

	if (channel->in.length < FRAME_HEADER)
		return FRAME_HEADER - channel->in.length;
	if (frame_header_parse((const unsigned char *)channel->in.data, &length, &has_fd, NULL))
		return 1;
	return FRAME_HEADER + length - channel->in.length;
}

/* 0: nothing more now; 1: freed by a callback; -1: broken. */
static int receive_some(struct channel *channel, struct error *err)
{
	for (;;) {
		size_t size = wanted(channel);
		char *room = str_reserve(&channel->in, size ? size : 1);
		ssize_t got;
		int rc;

		if (!room)
			return error_set(err, ERROR_LIMIT, "TooLarge", "a frame over the limit");
		got = size ? socket_receive_fd(channel->socket, room, size, &channel->in_fd, MSG_DONTWAIT) : 0;
		if (size && got < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (size && got <= 0)
			return error_set(err, ERROR_CANCELED, "Closed", "the worker is gone");
		str_grew(&channel->in, (size_t)got);
		rc = deliver(channel, err);
		if (rc)
			return rc;
	}
}

static void on_ready(void *data, int events)
{
	struct channel *channel = data;
	struct error err = ERROR_INIT;
	int rc = 0;

	if (events & POLL_WRITE)
		rc = send_some(channel, &err);
	/* what the other end still said before it went is read first */
	if (rc >= 0 || (events & POLL_READ)) {
		rc = receive_some(channel, &err);
		if (rc > 0)
			return;
	}
	if (rc >= 0) {
		watch(channel);
		return;
	}
	poller_set(channel->poller, 0);
	channel->on_closed(channel->data, &err);
}

struct channel *channel_new(struct loop *loop, int socket, void (*on_frame)(void *, struct span, int fd),
			    void (*on_closed)(void *, const struct error *), void *data)
{
	struct channel *channel = mem_alloc(sizeof(*channel));

	channel->socket = socket;
	channel->in_fd = -1;
	channel->in.limit = LIMIT_FRAME_BYTES + FRAME_HEADER;
	channel->last = &channel->first;
	channel->on_frame = on_frame;
	channel->on_closed = on_closed;
	channel->data = data;
	channel->poller = poller_new(loop, socket, on_ready, channel);
	watch(channel);
	return channel;
}

void channel_send(struct channel *channel, struct span bytes, int fd)
{
	struct outgoing *one = mem_alloc(sizeof(*one));
	unsigned char header[FRAME_HEADER];

	one->bytes.limit = LIMIT_FRAME_BYTES + FRAME_HEADER;
	frame_header(bytes.length, fd >= 0, header);
	str_add(&one->bytes, span_make(header, sizeof(header)));
	str_add(&one->bytes, bytes);
	ASSERT(!one->bytes.overflow);
	one->fd = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;
	*channel->last = one;
	channel->last = &one->next;
	watch(channel);
}

void channel_free(struct channel *channel)
{
	if (!channel)
		return;
	if (channel->freed)
		*channel->freed = true;
	poller_free(channel->poller);
	while (channel->first) {
		struct outgoing *one = channel->first;

		channel->first = one->next;
		outgoing_free(one);
	}
	fd_cleanup(&channel->in_fd);
	fd_cleanup(&channel->socket);
	str_release(&channel->in);
	free(channel);
}
