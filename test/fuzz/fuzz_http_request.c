/* Any bytes as requests of one connection, in pieces that the first byte chooses: states stay sane, and every answer is whole. */
#include "base/error.h"
#include "base/limits.h"
#include "server/answer.h"
#include "server/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void answer(const struct request *request)
{
	static const struct vitals checks = { .what = VITALS_CHECKS, .check_count = 1, .checks = { { "ping", false, true, "x" } } };
	static const struct vitals metrics = { .what = VITALS_METRICS, .metrics = { "a 1\n", 4 } };
	CLEANUP(str_release) struct str out = STR_INIT;

	answer_write(request, answer_needs(request) == VITALS_METRICS ? &metrics : &checks, NULL, &out);
	ASSERT(!out.overflow && span_starts(str_span(&out), "HTTP/1.1 ") && strstr(str_c(&out), "\r\n\r\n"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct request request;
	struct span rest;
	size_t piece;

	if (!size)
		return 0;
	piece = data[0] % 64 + 1u;
	rest = span_make(data + 1, size - 1);
	request_init(&request);
	while (rest.length && request.state != REQUEST_BAD) {
		size_t used = request_feed(&request, span_sub(rest, 0, piece));

		ASSERT(used <= rest.length && request.taken <= LIMIT_WEB_HEAD_BYTES);
		ASSERT(used || request.state != REQUEST_PARTIAL);
		rest = span_from(rest, used);
		if (request.state == REQUEST_PARTIAL)
			continue;
		ASSERT(request.state == REQUEST_WHOLE || request.status >= 400);
		answer(&request);
		if (request.state == REQUEST_WHOLE)
			request_reset(&request);
	}
	request_release(&request);
	return 0;
}
