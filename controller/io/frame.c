/* Frames; see frame.h. */
#include "io/frame.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/limits.h"

ssize_t socket_send_fd(int socket, struct span bytes, int fd, int flags)
{
	union { char bytes[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } control = { { 0 } };
	struct iovec part = { (void *)(uintptr_t)bytes.data, bytes.length };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	if (fd >= 0) {
		struct cmsghdr *header;

		message.msg_control = &control;
		message.msg_controllen = sizeof(control.bytes);
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), &fd, sizeof(int));
	}
	return sendmsg(socket, &message, flags | MSG_NOSIGNAL);
}

/* The first descriptor of a message; any further ones are closed, since none is ever sent. */
static void take_fd(struct msghdr *message, int *fd)
{
	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
		size_t count;

		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int received;

			memcpy(&received, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
			if (*fd < 0)
				*fd = received;
			else
				close(received);
		}
	}
}

ssize_t socket_receive_fd(int socket, void *buffer, size_t size, int *fd, int flags)
{
	union { char bytes[CMSG_SPACE(4 * sizeof(int))]; struct cmsghdr align; } control;
	struct iovec part = { buffer, size };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
				  .msg_controllen = sizeof(control.bytes) };
	ssize_t got = recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);

	if (got >= 0)
		take_fd(&message, fd);
	return got;
}

void frame_header(size_t length, bool has_fd, unsigned char out[FRAME_HEADER])
{
	for (unsigned i = 0; i < 4; i++)
		out[i] = (unsigned char)(length >> (8 * i));
	out[4] = has_fd;
}

int frame_header_parse(const unsigned char in[FRAME_HEADER], size_t *length, bool *has_fd, struct error *err)
{
	size_t value = 0;

	for (unsigned i = 0; i < 4; i++)
		value |= (size_t)in[i] << (8 * i);
	if (value > LIMIT_FRAME_BYTES || in[4] > 1)
		return error_set(err, ERROR_INVALID, "BadFrame", "a frame header that no role sends");
	*length = value;
	*has_fd = in[4];
	return 0;
}

static int send_all(int socket, struct span bytes, int fd, struct error *err)
{
	while (bytes.length) {
		ssize_t put = socket_send_fd(socket, bytes, fd, 0);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0 && (errno == EPIPE || errno == ECONNRESET))
			return error_set(err, ERROR_CANCELED, "Closed", "the other role is gone");
		if (put < 0)
			return error_errno(err, errno, "send to another role");
		bytes = span_from(bytes, (size_t)put);
		fd = -1;
	}
	return 0;
}

int frame_send(int socket, struct span bytes, int fd, struct error *err)
{
	unsigned char header[FRAME_HEADER];

	ASSERT(bytes.length <= LIMIT_FRAME_BYTES);
	frame_header(bytes.length, fd >= 0, header);
	if (send_all(socket, span_make(header, sizeof(header)), fd, err))
		return -1;
	return send_all(socket, bytes, -1, err);
}

static int receive_all(int socket, char *to, size_t size, int *fd, struct error *err)
{
	while (size) {
		ssize_t got = socket_receive_fd(socket, to, size, fd, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got == 0 || (got < 0 && errno == ECONNRESET))
			return error_set(err, ERROR_CANCELED, "Closed", "the other role is gone");
		if (got < 0)
			return error_errno(err, errno, "receive from another role");
		to += got;
		size -= (size_t)got;
	}
	return 0;
}

int frame_receive(int socket, struct str *out, int *fd, struct error *err)
{
	CLEANUP(fd_cleanup) int received = -1;
	unsigned char header[FRAME_HEADER];
	size_t length;
	bool has_fd;
	char *room;

	str_reset(out);
	if (receive_all(socket, (char *)header, sizeof(header), &received, err) ||
	    frame_header_parse(header, &length, &has_fd, err))
		return -1;
	room = str_reserve(out, length);
	if (!room)
		return error_set(err, ERROR_LIMIT, "TooLarge", "a frame of %zu bytes", length);
	if (receive_all(socket, room, length, &received, err))
		return -1;
	str_grew(out, length);
	if (has_fd != (received >= 0))
		return error_set(err, ERROR_INVALID, "BadFrame", "a descriptor is missing or was not announced");
	*fd = TAKE_FD(received);
	return 0;
}
