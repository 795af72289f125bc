/* The parser's callbacks; see request.h. */
#include "server/request.h"

#include "base/error.h"
#include "base/limits.h"
#include "base/mem.h"

static struct request *of(llhttp_t *parser)
{
	return CONTAINER_OF(parser, struct request, parser);
}

static int refuse(struct request *request, int status)
{
	request->state = REQUEST_BAD;
	request->status = status;
	return HPE_USER;
}

static int on_url(llhttp_t *parser, const char *at, size_t length)
{
	struct request *request = of(parser);

	str_add(&request->target, span_make(at, length));
	return request->target.overflow ? refuse(request, 414) : 0;
}

/* All headers are in: only now is anything answered, so that a cut head is never taken for a whole one. */
static int on_headers_complete(llhttp_t *parser)
{
	struct request *request = of(parser);
	bool has_body = (parser->flags & F_CHUNKED) || ((parser->flags & F_CONTENT_LENGTH) && parser->content_length);

	if (llhttp_get_http_major(parser) != 1)
		return refuse(request, 505);
	if (parser->method != HTTP_GET && parser->method != HTTP_HEAD)
		return refuse(request, 405);
	if (has_body || (parser->flags & F_TRANSFER_ENCODING))
		return refuse(request, 413);
	if (!request->target.length || request->target.data[0] != '/')
		return refuse(request, 400);
	request->is_head = parser->method == HTTP_HEAD;
	request->keep_alive = llhttp_should_keep_alive(parser);
	/* an Upgrade is passed over, as RFC 9110 allows */
	parser->upgrade = 0;
	return 0;
}

static int on_message_complete(llhttp_t *parser)
{
	of(parser)->state = REQUEST_WHOLE;
	return HPE_PAUSED;
}

static llhttp_settings_t settings(void)
{
	llhttp_settings_t settings;

	llhttp_settings_init(&settings);
	settings.on_url = on_url;
	settings.on_headers_complete = on_headers_complete;
	settings.on_message_complete = on_message_complete;
	return settings;
}

void request_init(struct request *request)
{
	*request = (struct request){ .target = STR_LIMIT(LIMIT_WEB_HEAD_BYTES) };
	request_reset(request);
}

void request_release(struct request *request)
{
	str_release(&request->target);
}

void request_reset(struct request *request)
{
	static llhttp_settings_t callbacks;

	if (!callbacks.on_url)
		callbacks = settings();
	llhttp_init(&request->parser, HTTP_REQUEST, &callbacks);
	request->state = REQUEST_PARTIAL;
	request->status = 0;
	request->is_head = request->keep_alive = false;
	str_reset(&request->target);
	request->taken = 0;
}

/* The head may not grow past its limit: what would is not even looked at. */
size_t request_feed(struct request *request, struct span bytes)
{
	size_t room = LIMIT_WEB_HEAD_BYTES - request->taken, used;
	struct span piece = span_sub(bytes, 0, room);
	llhttp_errno_t rc;

	if (!bytes.length || request->state != REQUEST_PARTIAL)
		return 0;
	rc = llhttp_execute(&request->parser, piece.data, piece.length);
	used = piece.length;
	if (rc == HPE_PAUSED)
		used = (size_t)(llhttp_get_error_pos(&request->parser) - piece.data);
	ASSERT(used <= piece.length);
	request->taken += used;
	if (request->state == REQUEST_PARTIAL && rc != HPE_OK)
		refuse(request, 400);
	else if (request->state == REQUEST_PARTIAL && request->taken >= LIMIT_WEB_HEAD_BYTES)
		refuse(request, 431);
	return used;
}

struct span request_path(const struct request *request, struct span *query)
{
	*query = str_span(&request->target);
	return span_cut(query, '?');
}

/* The next parameter of *query; false at the end. */
static bool next_parameter(struct span *query, struct span *name, struct span *value)
{
	if (!query->data)
		return false;
	*value = span_cut(query, '&');
	*name = span_cut(value, '=');
	return true;
}

bool query_has(struct span query, const char *name)
{
	struct span key, value;

	while (next_parameter(&query, &key, &value))
		if (span_is(key, name))
			return true;
	return false;
}

bool query_names(struct span query, const char *name, struct span wanted)
{
	struct span key, value;

	while (next_parameter(&query, &key, &value))
		if (span_is(key, name) && span_equal(value, wanted))
			return true;
	return false;
}
