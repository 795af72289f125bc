/* Any bytes from a lying peer, read by both sides of the protocol: blocking (frame.h) and on the loop (channel.h). Both see the same frames. */
#include "io/frame.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/limits.h"
#include "io/channel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct reader {
	struct loop *loop;
	struct str seen;
};

static void note(struct str *seen, struct span frame)
{
	str_addf(seen, "%zu:", frame.length);
	str_add(seen, frame);
}

static void on_frame(void *data, struct span frame, int fd)
{
	struct reader *reader = data;

	ASSERT(fd < 0);
	note(&reader->seen, frame);
}

static void on_closed(void *data, const struct error *err)
{
	struct reader *reader = data;

	ASSERT(err->reason[0]);
	loop_stop(reader->loop);
}

/* One end of a pair into whose other end the bytes went, which is closed then. */
static int filled(struct span bytes)
{
	int pair[2];

	ASSERT(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	ASSERT(send(pair[1], bytes.data, bytes.length, MSG_NOSIGNAL) == (ssize_t)bytes.length);
	close(pair[1]);
	return pair[0];
}

static void read_blocking(struct span bytes, struct str *seen)
{
	CLEANUP(fd_cleanup) int socket = filled(bytes), fd = -1;
	CLEANUP(str_release) struct str frame = STR_LIMIT(LIMIT_FRAME_BYTES);

	while (!frame_receive(socket, &frame, &fd, NULL))
		note(seen, str_span(&frame));
	ASSERT(fd < 0);
}

static void read_on_loop(struct span bytes, struct str *seen)
{
	struct reader reader = { loop_new(), STR_INIT };
	struct channel *channel = channel_new(reader.loop, filled(bytes), on_frame, on_closed, &reader);

	loop_run(reader.loop);
	channel_free(channel);
	loop_free(reader.loop);
	str_add(seen, str_span(&reader.seen));
	str_release(&reader.seen);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(str_release) struct str blocking = STR_INIT, looped = STR_INIT;
	unsigned char again[FRAME_HEADER];
	size_t length;
	bool has_fd;

	if (!size || size > 4096)
		return 0;
	if (size >= FRAME_HEADER && !frame_header_parse(data, &length, &has_fd, NULL)) {
		frame_header(length, has_fd, again);
		ASSERT(length <= LIMIT_FRAME_BYTES && !memcmp(again, data, FRAME_HEADER));
	}
	read_blocking(span_make(data, size), &blocking);
	read_on_loop(span_make(data, size), &looped);
	ASSERT(span_equal(str_span(&blocking), str_span(&looped)));
	return 0;
}
