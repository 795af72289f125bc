/* Requests of strangers: what is taken, what is refused with which status, and that cutting the bytes changes nothing. */
#include "unit.h"

#include "base/limits.h"
#include "server/answer.h"
#include "server/request.h"

struct row {
	const char *name, *bytes;
	enum request_state state;
	int status;
	const char *target;
};

static const struct row rows[] = {
	{ "a probe", "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n", REQUEST_WHOLE, 0, "/livez" },
	{ "HTTP/1.0", "GET /livez HTTP/1.0\r\n\r\n", REQUEST_WHOLE, 0, "/livez" },
	{ "HEAD", "HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n", REQUEST_WHOLE, 0, "/metrics" },
	{ "an empty body", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", REQUEST_WHOLE, 0, "/" },
	{ "an upgrade passed over", "GET /livez HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", REQUEST_WHOLE, 0,
	  "/livez" },
	{ "half a head", "GET /livez HTTP/1.1\r\nHost: a\r\n", REQUEST_PARTIAL, 0, "/livez" },
	{ "POST", "POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", REQUEST_BAD, 405, NULL },
	{ "CONNECT", "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", REQUEST_BAD, 405, NULL },
	{ "a body", "GET /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", REQUEST_BAD, 413, NULL },
	{ "a chunked body", "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", REQUEST_BAD, 413, NULL },
	{ "two lengths", "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", REQUEST_BAD, 400, NULL },
	{ "length and chunks", "GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", REQUEST_BAD, 400, NULL },
	{ "a folded header", "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", REQUEST_BAD, 400, NULL },
	{ "a space before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", REQUEST_BAD, 400, NULL },
	{ "a bare line feed in a value", "GET / HTTP/1.1\r\nA: b\nB: c\r\n\r\n", REQUEST_BAD, 400, NULL },
	{ "no target", "GET  HTTP/1.1\r\n\r\n", REQUEST_BAD, 400, NULL },
	{ "a whole URL", "GET http://a/livez HTTP/1.1\r\nHost: a\r\n\r\n", REQUEST_BAD, 400, NULL },
	{ "HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", REQUEST_BAD, 400, NULL },
	{ "HTTP/0.9", "GET /\r\n\r\n", REQUEST_BAD, 505, NULL },
	{ "TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", REQUEST_BAD, 400, NULL },
};

static void feed_all(struct request *request, struct span bytes, size_t piece)
{
	while (bytes.length && request->state == REQUEST_PARTIAL) {
		size_t used = request_feed(request, span_sub(bytes, 0, piece));

		bytes = span_from(bytes, used);
	}
}

static void each_request_is_what_the_table_says_however_it_is_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		for (size_t piece = 1; piece < 100; piece += piece < 4 ? 1 : 95) {
			struct request request;

			request_init(&request);
			feed_all(&request, span_of(rows[i].bytes), piece);
			if (request.state != rows[i].state || (rows[i].state == REQUEST_BAD && request.status != rows[i].status))
				fail_msg("%s, %zu bytes at a time: state %d, status %d", rows[i].name, piece, (int)request.state,
					 request.status);
			if (rows[i].target)
				ASSERT_TEXT(rows[i].name, str_c(&request.target), rows[i].target);
			request_release(&request);
		}
}

static void head_over_the_limit_is_refused_without_keeping_it(void **state)
{
	CLEANUP(str_release) struct str bytes = STR_INIT;
	struct request request;

	(void)state;
	request_init(&request);
	str_adds(&bytes, "GET / HTTP/1.1\r\nA: ");
	while (bytes.length < 10 * LIMIT_WEB_HEAD_BYTES)
		str_addc(&bytes, 'x');
	assert_int_equal(request_feed(&request, str_span(&bytes)), LIMIT_WEB_HEAD_BYTES);
	assert_int_equal(request.state, REQUEST_BAD);
	assert_int_equal(request.status, 431);
	request_reset(&request);
	str_reset(&bytes);
	str_adds(&bytes, "GET /");
	while (bytes.length < 10 * LIMIT_WEB_HEAD_BYTES)
		str_addc(&bytes, 'x');
	request_feed(&request, str_span(&bytes));
	assert_int_equal(request.state, REQUEST_BAD);
	request_release(&request);
}

static void request_ends_where_the_next_begins(void **state)
{
	static const char two[] = "GET /livez HTTP/1.1\r\nHost: a\r\n\r\nGET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
	struct request request;
	size_t used;

	(void)state;
	request_init(&request);
	used = request_feed(&request, span_of(two));
	assert_int_equal(used, strlen("GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"));
	assert_true(request.keep_alive);
	request_reset(&request);
	request_feed(&request, span_from(span_of(two), used));
	assert_int_equal(request.state, REQUEST_WHOLE);
	assert_string_equal(str_c(&request.target), "/readyz");
	assert_false(request.keep_alive);
	request_release(&request);
}

/* --- answers ------------------------------------------------------------------------------------------------------- */

static const struct vitals checks = { .what = VITALS_CHECKS, .check_count = 3, .checks = {
	{ "ping", true, true, "" }, { "audit-log", false, false, "the disk is full" }, { "leader", true, false, "leads" } } };
static const struct vitals numbers = { .what = VITALS_METRICS, .metrics = { "a_total 1\n", 10 } };

static const char *ask(const char *line, const struct vitals *vitals, struct str *out)
{
	CLEANUP(str_release) struct str bytes = STR_INIT;
	struct request request;

	request_init(&request);
	str_addf(&bytes, "%s HTTP/1.1\r\nHost: a\r\n\r\n", line);
	request_feed(&request, str_span(&bytes));
	str_reset(out);
	answer_write(&request, vitals, "core has not answered", out);
	request_release(&request);
	return str_c(out);
}

static void says(const char *line, const struct vitals *vitals, int status, const char *body)
{
	CLEANUP(str_release) struct str out = STR_INIT;
	char start[32];
	const char *answer = ask(line, vitals, &out), *got = strstr(answer, "\r\n\r\n") + 4;

	snprintf(start, sizeof(start), "HTTP/1.1 %d ", status);
	if (strncmp(answer, start, strlen(start)))
		fail_msg("%s: %s", line, answer);
	ASSERT_TEXT(line, got, body);
}

static void probes_speak_as_those_of_kubernetes(void **state)
{
	(void)state;
	says("GET /livez", &checks, 200, "ok");
	says("GET /livez?verbose", &checks, 200, "[+]ping ok\nlivez check passed\n");
	says("GET /readyz", &checks, 503, "[+]ping ok\n[-]audit-log failed: the disk is full\n[+]leader ok: leads\nreadyz check failed\n");
	says("GET /readyz?exclude=audit-log", &checks, 200, "ok");
	says("GET /readyz?verbose=1&exclude=audit-log", &checks, 200,
	     "[+]ping ok\n[+]audit-log excluded: ok\n[+]leader ok: leads\nreadyz check passed\n");
	says("GET /readyz?verbose&exclude=audit-log&exclude=moon", &checks, 200,
	     "[+]ping ok\n[+]audit-log excluded: ok\n[+]leader ok: leads\nwarn: there is no check of the name given to exclude\n"
	     "readyz check passed\n");
	says("GET /readyz/leader", &checks, 200, "ok");
	says("GET /readyz/audit-log", &checks, 503, "[-]audit-log failed: the disk is full\nreadyz check failed\n");
	says("GET /readyz/moon", &checks, 404, "there is no check of that name\n");
	says("HEAD /readyz", &checks, 503, "");
}

static void metrics_and_what_is_missing(void **state)
{
	(void)state;
	says("GET /metrics", &numbers, 200, "a_total 1\n");
	says("GET /metrics/", &numbers, 404, "there are /livez, /readyz and /metrics\n");
	says("GET /", NULL, 404, "there are /livez, /readyz and /metrics\n");
	says("GET /livez", NULL, 503, "core has not answered\n");
	/* an answer to another question is none */
	says("GET /metrics", &checks, 503, "core has not answered\n");
}

static void vitals_survive_their_frame_and_a_lie_does_not(void **state)
{
	CLEANUP(str_release) struct str frame = STR_INIT;
	struct vitals back;

	WITH_ARENA(arena);
	(void)state;
	vitals_encode(&checks, &frame);
	assert_int_equal(vitals_decode(str_span(&frame), arena, &back, NULL), 0);
	assert_int_equal(back.check_count, 3);
	assert_string_equal(back.checks[1].detail, "the disk is full");
	assert_false(back.checks[1].ok || back.checks[1].live);
	for (size_t length = 0; length < frame.length; length++)
		assert_int_equal(vitals_decode(span_sub(str_span(&frame), 0, length), arena, &back, NULL), -1);
	str_addc(&frame, 'x');
	assert_int_equal(vitals_decode(str_span(&frame), arena, &back, NULL), -1);
	assert_int_equal(vitals_ask_decode(SPAN("\1")), VITALS_CHECKS);
	assert_int_equal(vitals_ask_decode(SPAN("\3")), VITALS_NONE);
	assert_int_equal(vitals_ask_decode(SPAN("\1\1")), VITALS_NONE);
	assert_int_equal(vitals_ask_decode(SPAN0), VITALS_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_request_is_what_the_table_says_however_it_is_cut),
		cmocka_unit_test(head_over_the_limit_is_refused_without_keeping_it),
		cmocka_unit_test(request_ends_where_the_next_begins),
		cmocka_unit_test(probes_speak_as_those_of_kubernetes),
		cmocka_unit_test(metrics_and_what_is_missing),
		cmocka_unit_test(vitals_survive_their_frame_and_a_lie_does_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
