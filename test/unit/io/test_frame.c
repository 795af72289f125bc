/* frame.h and channel.h over a socket pair: an honest peer, a lying one, one that goes. */
#include "unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/limits.h"
#include "io/channel.h"
#include "io/frame.h"
#include "io/sealed.h"

struct pair {
	int near, far;
};

static void pair_close(struct pair *pair)
{
	fd_cleanup(&pair->near);
	fd_cleanup(&pair->far);
}

static struct pair pair_make(void)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	return (struct pair){ ends[0], ends[1] };
}

#define WITH_PAIR(name) CLEANUP(pair_close) struct pair name = pair_make()

static size_t open_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	size_t count = 0;

	assert_non_null(folder);
	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

static void frame_arrives_as_it_was_sent(void **state)
{
	static const char *const texts[] = { "", "a", "several words" };
	WITH_PAIR(pair);
	CLEANUP(str_release) struct str got = STR_INIT;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		int fd = 77;

		assert_int_equal(frame_send(pair.far, span_of(texts[i]), -1, NULL), 0);
		assert_int_equal(frame_receive(pair.near, &got, &fd, NULL), 0);
		ASSERT_TEXT("frame", str_c(&got), texts[i]);
		assert_int_equal(fd, -1);
	}
}

static void frame_brings_its_descriptor(void **state)
{
	WITH_PAIR(pair);
	CLEANUP(str_release) struct str got = STR_INIT;
	CLEANUP(sealed_unmap) struct sealed content = { SPAN0 };
	CLEANUP(fd_cleanup) int sent = -1, received = -1;

	(void)state;
	assert_int_equal(sealed_new(SPAN("inside"), &sent, NULL), 0);
	assert_int_equal(frame_send(pair.far, SPAN("beside"), sent, NULL), 0);
	assert_int_equal(frame_receive(pair.near, &got, &received, NULL), 0);
	assert_true(received >= 0 && received != sent);
	assert_true(fcntl(received, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(sealed_map(received, 100, &content, NULL), 0);
	assert_true(span_is(content.bytes, "inside"));
}

static void sealed_content_is_refused_when_it_could_change_or_is_too_large(void **state)
{
	CLEANUP(sealed_unmap) struct sealed content = { SPAN0 };
	CLEANUP(fd_cleanup) int open_memfd = memfd_create("open", MFD_ALLOW_SEALING), sealed = -1;
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(write(open_memfd, "x", 1), 1);
	assert_int_equal(sealed_map(open_memfd, 100, &content, &err), -1);
	ASSERT_TEXT("reason", err.reason, "NotSealed");
	assert_int_equal(sealed_new(SPAN("12345"), &sealed, NULL), 0);
	assert_int_equal(write(sealed, "x", 1), -1);
	assert_int_equal(ftruncate(sealed, 0), -1);
	assert_int_equal(sealed_map(sealed, 4, &content, &err), -1);
	ASSERT_TEXT("reason", err.reason, "TooLarge");
	assert_int_equal(sealed_map(sealed, 5, &content, &err), 0);
}

static void frame_from_a_peer_that_went_is_closed_not_shorter(void **state)
{
	static const struct { const char *name; struct span bytes; } cases[] = {
		{ "nothing", { "", 0 } },
		{ "half a header", { "\5\0", 2 } },
		{ "a header", { "\5\0\0\0\0", 5 } },
		{ "part of the content", { "\5\0\0\0\0abc", 8 } },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		WITH_PAIR(pair);
		CLEANUP(str_release) struct str got = STR_INIT;
		struct error err = ERROR_INIT;
		int fd = -1;

		if (cases[i].bytes.length)
			assert_int_equal(send(pair.far, cases[i].bytes.data, cases[i].bytes.length, 0), cases[i].bytes.length);
		close(TAKE_FD(pair.far));
		assert_int_equal(frame_receive(pair.near, &got, &fd, &err), -1);
		ASSERT_TEXT(cases[i].name, err.reason, "Closed");
		assert_int_equal(err.kind, ERROR_CANCELED);
	}
}

static void frame_to_a_peer_that_went_is_an_error_and_no_signal(void **state)
{
	WITH_PAIR(pair);
	struct error err = ERROR_INIT;

	(void)state;
	close(TAKE_FD(pair.far));
	assert_int_equal(frame_send(pair.near, SPAN("x"), -1, &err), -1);
	ASSERT_TEXT("reason", err.reason, "Closed");
}

static void frame_header_that_lies_is_refused_before_memory_is_taken(void **state)
{
	static const unsigned char too_long[FRAME_HEADER] = { 1, 0, 0, 4, 0 }, no_flag[FRAME_HEADER] = { 1, 0, 0, 0, 2 };
	static const unsigned char longest[FRAME_HEADER] = { 0, 0, 0, 4, 0 };
	struct error err = ERROR_INIT;
	size_t length;
	bool has_fd;

	(void)state;
	assert_int_equal(LIMIT_FRAME_BYTES, 0x4000000);
	assert_int_equal(frame_header_parse(longest, &length, &has_fd, &err), 0);
	assert_int_equal(length, LIMIT_FRAME_BYTES);
	assert_int_equal(frame_header_parse(too_long, &length, &has_fd, &err), -1);
	ASSERT_TEXT("reason", err.reason, "BadFrame");
	assert_int_equal(frame_header_parse(no_flag, &length, &has_fd, &err), -1);
}

static void frame_whose_descriptor_is_missing_or_not_announced_is_refused(void **state)
{
	(void)state;
	for (int announced = 0; announced < 2; announced++) {
		WITH_PAIR(pair);
		CLEANUP(str_release) struct str got = STR_INIT;
		const char header[FRAME_HEADER] = { 1, 0, 0, 0, (char)announced };
		size_t before = open_descriptors();
		struct error err = ERROR_INIT;
		int fd = -1;

		assert_int_equal(socket_send_fd(pair.far, span_make(header, FRAME_HEADER), announced ? -1 : pair.far, 0), FRAME_HEADER);
		assert_int_equal(send(pair.far, "x", 1, 0), 1);
		assert_int_equal(frame_receive(pair.near, &got, &fd, &err), -1);
		ASSERT_TEXT("reason", err.reason, "BadFrame");
		assert_int_equal(fd, -1);
		assert_int_equal(open_descriptors(), before);
	}
}

static void many_descriptors_at_once_do_not_stay_open(void **state)
{
	union { char bytes[CMSG_SPACE(3 * sizeof(int))]; struct cmsghdr align; } control = { { 0 } };
	WITH_PAIR(pair);
	CLEANUP(str_release) struct str got = STR_INIT;
	char frame[] = "\1\0\0\0\1x";
	struct iovec part = { frame, 6 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control.bytes) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	const int three[3] = { pair.far, pair.far, pair.far };
	CLEANUP(fd_cleanup) int fd = -1;
	size_t before = open_descriptors();

	(void)state;
	*header = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(three)) };
	memcpy(CMSG_DATA(header), three, sizeof(three));
	assert_int_equal(sendmsg(pair.far, &message, 0), 6);
	assert_int_equal(frame_receive(pair.near, &got, &fd, NULL), 0);
	assert_int_equal(open_descriptors(), before + 1);
}

/* --- the same on the loop ----------------------------------------------------------------------------------------- */

struct listener {
	struct loop *loop;
	struct channel *channel;
	struct str seen;
	char reason[ERROR_REASON_MAX];
	size_t stop_after, frames, descriptors, closed;
	bool free_in_callback;
};

static void on_frame(void *data, struct span frame, int fd)
{
	struct listener *listener = data;

	str_addf(&listener->seen, "%zu ", frame.length);
	listener->descriptors += fd >= 0;
	fd_cleanup(&fd);
	if (listener->free_in_callback)
		channel_free(TAKE(listener->channel));
	if (++listener->frames == listener->stop_after)
		loop_stop(listener->loop);
}

static void on_closed(void *data, const struct error *err)
{
	struct listener *listener = data;

	listener->closed++;
	snprintf(listener->reason, sizeof(listener->reason), "%s", err->reason);
	if (listener->free_in_callback)
		channel_free(TAKE(listener->channel));
	loop_stop(listener->loop);
}

static void listener_begin(struct listener *listener, struct pair *pair)
{
	listener->loop = loop_new();
	listener->channel = channel_new(listener->loop, TAKE_FD(pair->near), on_frame, on_closed, listener);
}

static void listener_end(struct listener *listener)
{
	channel_free(listener->channel);
	loop_free(listener->loop);
	str_release(&listener->seen);
}

static void channel_hands_out_whole_frames_then_tells_the_end_once(void **state)
{
	WITH_PAIR(pair);
	struct listener listener = { 0 };

	(void)state;
	listener_begin(&listener, &pair);
	assert_int_equal(frame_send(pair.far, SPAN("abc"), -1, NULL), 0);
	assert_int_equal(frame_send(pair.far, SPAN0, pair.far, NULL), 0);
	assert_int_equal(frame_send(pair.far, SPAN("de"), -1, NULL), 0);
	/* and a part of one more */
	assert_int_equal(send(pair.far, "\7\0\0\0\0rest", 9, 0), 9);
	close(TAKE_FD(pair.far));
	loop_run(listener.loop);
	ASSERT_TEXT("frames", str_c(&listener.seen), "3 0 2 ");
	assert_int_equal(listener.descriptors, 1);
	assert_int_equal(listener.closed, 1);
	ASSERT_TEXT("reason", listener.reason, "Closed");
	listener_end(&listener);
}

static void channel_ends_with_a_lying_peer(void **state)
{
	static const struct { const char *name, *bytes; size_t length; bool descriptor; } cases[] = {
		{ "longer than any", "\377\377\377\377\0", 5, false },
		{ "no such flag", "\1\0\0\0\7x", 6, false },
		{ "descriptor missing", "\1\0\0\0\1x", 6, false },
		{ "descriptor not announced", "\1\0\0\0\0x", 6, true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		WITH_PAIR(pair);
		struct listener listener = { 0 };
		ssize_t put;

		listener_begin(&listener, &pair);
		put = socket_send_fd(pair.far, span_make(cases[i].bytes, cases[i].length), cases[i].descriptor ? pair.far : -1, 0);
		assert_int_equal(put, cases[i].length);
		loop_run(listener.loop);
		assert_int_equal(listener.frames, 0);
		ASSERT_TEXT(cases[i].name, listener.reason, "BadFrame");
		listener_end(&listener);
	}
}

static void channel_may_be_freed_in_its_own_callbacks(void **state)
{
	(void)state;
	for (int frames = 0; frames < 2; frames++) {
		WITH_PAIR(pair);
		struct listener listener = { .free_in_callback = true, .stop_after = 1 };
		size_t before = open_descriptors();

		listener_begin(&listener, &pair);
		/* not the far end itself: a socket that lies in its own queue is closed only when the kernel happens to collect it */
		channel_send(listener.channel, SPAN("never read"), STDERR_FILENO);
		if (frames)
			assert_int_equal(frame_send(pair.far, SPAN("x"), -1, NULL), 0);
		close(TAKE_FD(pair.far));
		loop_run(listener.loop);
		assert_int_equal(listener.frames + listener.closed, 1);
		listener_end(&listener);
		assert_true(open_descriptors() < before);
	}
}

static void channel_sends_more_than_the_socket_holds(void **state)
{
	WITH_PAIR(pair);
	struct listener near = { .stop_after = 2 }, far = { .stop_after = 3 };
	CLEANUP(str_release) struct str big = STR_INIT;

	(void)state;
	memset(str_reserve(&big, 3 << 20), 'x', 3 << 20);
	str_grew(&big, 3 << 20);
	near.loop = far.loop = loop_new();
	near.channel = channel_new(near.loop, TAKE_FD(pair.near), on_frame, on_closed, &near);
	far.channel = channel_new(near.loop, TAKE_FD(pair.far), on_frame, on_closed, &far);
	channel_send(near.channel, SPAN("first"), -1);
	channel_send(near.channel, str_span(&big), -1);
	channel_send(near.channel, SPAN0, 0);
	loop_run(near.loop);
	ASSERT_TEXT("frames", str_c(&far.seen), "5 3145728 0 ");
	assert_int_equal(far.descriptors, 1);
	channel_free(far.channel);
	str_release(&far.seen);
	listener_end(&near);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frame_arrives_as_it_was_sent),
		cmocka_unit_test(frame_brings_its_descriptor),
		cmocka_unit_test(sealed_content_is_refused_when_it_could_change_or_is_too_large),
		cmocka_unit_test(frame_from_a_peer_that_went_is_closed_not_shorter),
		cmocka_unit_test(frame_to_a_peer_that_went_is_an_error_and_no_signal),
		cmocka_unit_test(frame_header_that_lies_is_refused_before_memory_is_taken),
		cmocka_unit_test(frame_whose_descriptor_is_missing_or_not_announced_is_refused),
		cmocka_unit_test(many_descriptors_at_once_do_not_stay_open),
		cmocka_unit_test(channel_hands_out_whole_frames_then_tells_the_end_once),
		cmocka_unit_test(channel_ends_with_a_lying_peer),
		cmocka_unit_test(channel_may_be_freed_in_its_own_callbacks),
		cmocka_unit_test(channel_sends_more_than_the_socket_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
