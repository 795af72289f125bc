/* The HTTP client against a server on loopback that answers by path: whole, cut, stalled, too large, redirected, endless. */
#include "unit.h"
#include "loopback.h"

#include <stdatomic.h>

#include "base/clock.h"
#include "base/error.h"
#include "io/http.h"

/* --- the server: a thread a connection, one answer each ------------------------------------------------------------- */

static const struct { const char *path, *answer; bool stalls; } answers[] = {
	{ "/ok", "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello", false },
	{ "/cut", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello", false },
	{ "/chunks-cut", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", false },
	{ "/headers-cut", "HTTP/1.1 200 OK\r\nContent-Le", false },
	{ "/no-http", "220 mail.example ESMTP\r\n\r\n", false },
	{ "/stall", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello", true },
	{ "/silent", "", true },
	{ "/busy", "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nbusy", false },
	{ "/nonsense-busy", "HTTP/1.1 429 X\r\nRetry-After: soon\r\nContent-Length: 0\r\n\r\n", false },
	{ "/moved", "HTTP/1.1 302 Found\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n", false },
	{ "/stream", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n4\r\ntwo\n\r\n", true },
	{ "/stream-refused", "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", false },
};

static atomic_uint kept_requests;

/* The first request of a connection is answered, and a second breaks it; so does one to /kept/write. */
static void serve_kept(int client, const char *first)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
	const struct linger now = { 1, 0 };
	char request[4096];

	if (!strstr(first, " /kept/write ")) {
		send(client, answer, sizeof(answer) - 1, MSG_NOSIGNAL);
		kept_requests += recv(client, request, sizeof(request), 0) > 0;
	} else {
		kept_requests++;
	}
	setsockopt(client, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(client);
}

static void *serve(void *argument)
{
	int client = (int)(intptr_t)argument;
	char request[4096];

	loopback_read(client, request, sizeof(request));
	if (strstr(request, " /kept")) {
		serve_kept(client, request);
		return NULL;
	}
	for (size_t i = 0; i < COUNT_OF(answers); i++) {
		size_t size = strlen(answers[i].path);

		if (strncmp(request, "GET ", 4) || strcasestr(request, "content-") || strncmp(request + 4, answers[i].path, size) || request[4 + size] != ' ')
			continue;
		send(client, answers[i].answer, strlen(answers[i].answer), MSG_NOSIGNAL);
		/* until the client goes */
		while (answers[i].stalls && recv(client, request, sizeof(request), 0) > 0)
			;
	}
	shutdown(client, SHUT_WR);
	close(client);
	return NULL;
}

static int start_server(void **state)
{
	(void)state;
	return loopback_start(serve, 21000);
}

/* --- the client ------------------------------------------------------------------------------------------------------ */

struct call {
	struct loop *loop;
	struct http *http;
	struct timer *guard;
	uint64_t id, other;
	size_t expected, done, pieces;
	int status;
	int64_t retry_after_ms;
	struct str body;
	struct error err;
	unsigned asked;                /* whether it may be sent */
	bool withheld, end_stream, cancel_in_stream;
};

static void on_guard(void *data)
{
	(void)data;
	base_panic(__FILE__, __LINE__, "nothing came for 10 s");
}

static void on_done(void *data, const struct http_answer *answer)
{
	struct call *call = data;

	call->status = answer->status;
	call->retry_after_ms = answer->retry_after_ms;
	call->err = answer->err;
	call->withheld = answer->withheld;
	str_reset(&call->body);
	str_add(&call->body, answer->body);
	if (++call->done == call->expected)
		loop_stop(call->loop);
}

static void call_begin(struct call *call)
{
	const struct http_config config = { .base_url = base_url, .user_agent = "countersign-test" };

	call->expected = 1;
	call->loop = loop_new();
	call->http = http_new(call->loop, &config);
	call->guard = timer_new(call->loop, on_guard, NULL);
	timer_start(call->guard, 10000);
}

static void call_end(struct call *call)
{
	timer_free(call->guard);
	http_free(call->http);
	loop_free(call->loop);
	str_release(&call->body);
}

static struct http_request get(struct call *call, const char *path)
{
	return (struct http_request){ .method = "GET", .path = path, .on_done = on_done, .data = call };
}

/* One request from beginning to end. */
static void get_once(struct call *call, const char *path, int64_t idle_ms, int64_t timeout_ms, size_t body_max)
{
	struct http_request request;

	call_begin(call);
	request = get(call, path);
	request.idle_timeout_ms = idle_ms;
	request.timeout_ms = timeout_ms;
	request.body_max = body_max;
	http_send(call->http, &request);
	assert_int_equal(call->done, 0);
	loop_run(call->loop);
	assert_int_equal(call->done, 1);
	assert_int_equal(http_in_flight(call->http), 0);
}

static void http_gives_the_whole_answer(void **state)
{
	struct call call = { 0 };

	(void)state;
	get_once(&call, "/ok", 0, 0, 0);
	assert_int_equal(call.status, 200);
	ASSERT_TEXT("body", str_c(&call.body), "hello");
	ASSERT_TEXT("error", call.err.reason, "");
	assert_int_equal(call.retry_after_ms, -1);
	call_end(&call);
}

/* The server answers a GET without content only. */
static void http_request_after_one_with_content_is_free_of_it(void **state)
{
	static const char *const headers[] = { "Content-Type: text/plain", NULL };
	struct call call = { 0 };
	struct http_request request;

	(void)state;
	call_begin(&call);
	request = get(&call, "/ok");
	request.method = "PATCH";
	request.headers = headers;
	request.body = SPAN("content");
	http_send(call.http, &request);
	loop_run(call.loop);
	assert_int_equal(call.status, 0);
	call.expected = 2;
	request = get(&call, "/ok");
	http_send(call.http, &request);
	loop_run(call.loop);
	assert_int_equal(call.status, 200);
	call_end(&call);
}

static void http_answer_that_ends_early_is_an_error_never_a_shorter_body(void **state)
{
	static const char *const paths[] = { "/cut", "/chunks-cut", "/headers-cut", "/no-http", "/closes-at-once" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(paths); i++) {
		struct call call = { 0 };

		get_once(&call, paths[i], 0, 0, 0);
		if (call.status)
			fail_msg("%s: status %d", paths[i], call.status);
		ASSERT_TEXT(paths[i], call.err.reason, "ConnectionError");
		assert_int_equal(call.err.kind, ERROR_TRANSIENT);
		call_end(&call);
	}
}

static void http_server_that_stalls_is_given_up(void **state)
{
	static const struct { const char *path; int64_t idle_ms, timeout_ms; } cases[] = {
		{ "/stall", 200, 0 }, { "/silent", 200, 0 }, { "/stall", 5000, 200 }, { "/silent", 5000, 200 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct call call = { 0 };
		int64_t began = clock_mono_ms();

		get_once(&call, cases[i].path, cases[i].idle_ms, cases[i].timeout_ms, 0);
		assert_int_equal(call.status, 0);
		ASSERT_TEXT(cases[i].path, call.err.reason, "Timeout");
		assert_true(clock_mono_ms() - began >= 190 && clock_mono_ms() - began < 3000);
		call_end(&call);
	}
}

static void http_body_over_its_limit_is_an_error(void **state)
{
	struct call call = { 0 }, fits = { 0 };

	(void)state;
	get_once(&call, "/ok", 0, 0, 4);
	assert_int_equal(call.status, 0);
	ASSERT_TEXT("reason", call.err.reason, "TooLarge");
	assert_int_equal(call.err.kind, ERROR_LIMIT);
	call_end(&call);
	get_once(&fits, "/ok", 0, 0, 5);
	assert_int_equal(fits.status, 200);
	call_end(&fits);
}

static void http_follows_no_redirect(void **state)
{
	struct call call = { 0 };

	(void)state;
	get_once(&call, "/moved", 0, 0, 0);
	assert_int_equal(call.status, 302);
	assert_int_equal(http_sent(call.http), 1);
	call_end(&call);
}

static void http_tells_retry_after_if_it_makes_sense(void **state)
{
	struct call busy = { 0 }, nonsense = { 0 };

	(void)state;
	get_once(&busy, "/busy", 0, 0, 0);
	assert_int_equal(busy.status, 503);
	ASSERT_TEXT("body", str_c(&busy.body), "busy");
	assert_int_equal(busy.retry_after_ms, 7000);
	call_end(&busy);
	get_once(&nonsense, "/nonsense-busy", 0, 0, 0);
	assert_int_equal(nonsense.status, 429);
	assert_int_equal(nonsense.retry_after_ms, -1);
	call_end(&nonsense);
}

static void http_nobody_listening_is_transient(void **state)
{
	const struct http_config config = { .base_url = "http://127.0.0.1:9" };
	struct call call = { 0 };
	struct http_request request;
	struct http *ours;

	(void)state;
	call_begin(&call);
	ours = call.http;
	call.http = http_new(call.loop, &config);
	request = get(&call, "/");
	http_send(call.http, &request);
	loop_run(call.loop);
	assert_int_equal(call.status, 0);
	ASSERT_TEXT("reason", call.err.reason, "ConnectionError");
	http_free(ours);
	call_end(&call);
}

static int on_piece(void *data, struct span piece)
{
	struct call *call = data;

	call->pieces += piece.length;
	if (call->end_stream)
		return -1;
	if (call->cancel_in_stream) {
		struct http_request request = get(call, "/ok");

		/* inside of the library's own callback: another request begins and this one ends */
		call->other = http_send(call->http, &request);
		http_cancel(call->http, call->id);
	}
	return 0;
}

static void start_stream(struct call *call, const char *path)
{
	struct http_request request;

	call_begin(call);
	request = get(call, path);
	request.on_data = on_piece;
	request.idle_timeout_ms = 300;
	call->id = http_send(call->http, &request);
	loop_run(call->loop);
}

static void http_stream_gets_pieces_until_it_stalls(void **state)
{
	struct call call = { 0 };

	(void)state;
	start_stream(&call, "/stream");
	assert_int_equal(call.pieces, 8);
	ASSERT_TEXT("reason", call.err.reason, "Timeout");
	call_end(&call);
}

static void http_stream_that_its_reader_ends_says_so(void **state)
{
	struct call call = { .end_stream = true };

	(void)state;
	start_stream(&call, "/stream");
	assert_true(call.pieces > 0);
	ASSERT_TEXT("reason", call.err.reason, "StreamEnded");
	call_end(&call);
}

static void http_stream_canceled_from_its_own_callback_is_silent(void **state)
{
	struct call call = { .cancel_in_stream = true };

	(void)state;
	start_stream(&call, "/stream");
	/* the one completion is that of the other request */
	assert_int_equal(call.done, 1);
	assert_int_equal(call.status, 200);
	ASSERT_TEXT("body", str_c(&call.body), "hello");
	assert_int_equal(http_in_flight(call.http), 0);
	http_cancel(call.http, call.id);
	http_cancel(call.http, call.other);
	call_end(&call);
}

static void http_refused_stream_gives_its_body_to_the_completion(void **state)
{
	struct call call = { 0 };

	(void)state;
	start_stream(&call, "/stream-refused");
	assert_int_equal(call.pieces, 0);
	assert_int_equal(call.status, 403);
	ASSERT_TEXT("body", str_c(&call.body), "no");
	call_end(&call);
}

static void http_many_at_once_each_complete_once(void **state)
{
	struct call call = { 0 };
	struct http_request request;

	(void)state;
	call_begin(&call);
	call.expected = 150;
	request = get(&call, "/ok");
	for (size_t i = 0; i < call.expected; i++)
		http_send(call.http, &request);
	assert_int_equal(http_in_flight(call.http), 150);
	loop_run(call.loop);
	assert_int_equal(call.done, 150);
	assert_int_equal(http_in_flight(call.http), 0);
	assert_int_equal(http_sent(call.http), 150);
	call_end(&call);
}

static void on_enough(void *data)
{
	loop_stop(data);
}

static void http_freed_or_canceled_in_flight_calls_nobody(void **state)
{
	struct call call = { 0 };
	struct http_request silent, ok;
	struct timer *enough;

	(void)state;
	call_begin(&call);
	enough = timer_new(call.loop, on_enough, call.loop);
	silent = get(&call, "/silent");
	ok = get(&call, "/ok");
	http_cancel(call.http, http_send(call.http, &ok));
	http_send(call.http, &silent);
	timer_start(enough, 100);
	loop_run(call.loop);
	http_free(TAKE(call.http));
	timer_start(enough, 50);
	loop_run(call.loop);
	assert_int_equal(call.done, 0);
	timer_free(enough);
	call_end(&call);
}

/* The connection is kept, and broken when the next request comes over it: a server that died with the write done, or not. */
static void http_write_whose_connection_broke_is_not_sent_again(void **state)
{
	/* how often it may arrive: libcurl sends a GET again in most cases, not in all */
	static const struct { const char *method; unsigned most; } cases[] = { { "POST", 1 }, { "PATCH", 1 }, { "DELETE", 1 }, { "GET", 2 } };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct call call = { 0 };
		struct http_request request;

		get_once(&call, "/kept", 0, 0, 0);
		assert_int_equal(call.status, 200);
		kept_requests = 0;
		call.expected = 2;
		request = get(&call, "/kept/write");
		request.method = cases[i].method;
		if (cases[i].most == 1)
			request.body = SPAN("{}");
		http_send(call.http, &request);
		loop_run(call.loop);
		assert_int_equal(call.status, 0);
		ASSERT_TEXT(cases[i].method, call.err.reason, "ConnectionError");
		if (!kept_requests || kept_requests > cases[i].most)
			fail_msg("%s: sent %u times", cases[i].method, kept_requests);
		call_end(&call);
	}
}

static bool never(void *data)
{
	struct call *call = data;

	call->asked++;
	return false;
}

/* On a new connection, which takes its time to be made, and on one that is kept; what follows goes out. */
static void http_request_that_may_not_be_sent_any_more_is_withheld(void **state)
{
	static const char *const paths[] = { "/kept", "/ok" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(paths); i++) {
		struct call call = { 0 };
		struct http_request request;

		get_once(&call, paths[i], 0, 0, 0);
		kept_requests = 0;
		call.expected = 2;
		request = get(&call, "/kept/write");
		request.method = "PATCH";
		request.body = SPAN("{}");
		request.may_send = never;
		http_send(call.http, &request);
		assert_int_equal(call.asked, 0);
		loop_run(call.loop);
		assert_int_equal(call.status, 0);
		assert_int_equal(call.asked, 1);
		assert_true(call.withheld);
		assert_int_equal(call.err.kind, ERROR_CANCELED);
		ASSERT_TEXT(paths[i], call.err.reason, "Withheld");
		call.expected = 3;
		request = get(&call, "/ok");
		http_send(call.http, &request);
		loop_run(call.loop);
		assert_int_equal(call.status, 200);
		assert_false(call.withheld);
		assert_int_equal(kept_requests, 0);
		call_end(&call);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(http_gives_the_whole_answer),
		cmocka_unit_test(http_request_after_one_with_content_is_free_of_it),
		cmocka_unit_test(http_answer_that_ends_early_is_an_error_never_a_shorter_body),
		cmocka_unit_test(http_server_that_stalls_is_given_up),
		cmocka_unit_test(http_body_over_its_limit_is_an_error),
		cmocka_unit_test(http_follows_no_redirect),
		cmocka_unit_test(http_tells_retry_after_if_it_makes_sense),
		cmocka_unit_test(http_nobody_listening_is_transient),
		cmocka_unit_test(http_stream_gets_pieces_until_it_stalls),
		cmocka_unit_test(http_stream_that_its_reader_ends_says_so),
		cmocka_unit_test(http_stream_canceled_from_its_own_callback_is_silent),
		cmocka_unit_test(http_refused_stream_gives_its_body_to_the_completion),
		cmocka_unit_test(http_write_whose_connection_broke_is_not_sent_again),
		cmocka_unit_test(http_request_that_may_not_be_sent_any_more_is_withheld),
		cmocka_unit_test(http_many_at_once_each_complete_once),
		cmocka_unit_test(http_freed_or_canceled_in_flight_calls_nobody),
	};

	return cmocka_run_group_tests(tests, start_server, NULL);
}
