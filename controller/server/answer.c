/* Answers as bytes; see answer.h. */
#include "server/answer.h"

#include "base/error.h"

#define TEXT "text/plain; charset=utf-8"
#define METRICS_TEXT "text/plain; version=0.0.4; charset=utf-8"

static const struct { int status; const char *text; } statuses[] = {
	{ 200, "OK" },                 { 400, "Bad Request" },  { 404, "Not Found" },
	{ 405, "Method Not Allowed" }, { 413, "Content Too Large" }, { 414, "URI Too Long" },
	{ 431, "Request Header Fields Too Large" }, { 503, "Service Unavailable" }, { 505, "HTTP Version Not Supported" },
};

static const char *status_text(int status)
{
	for (size_t i = 0; i < COUNT_OF(statuses); i++)
		if (statuses[i].status == status)
			return statuses[i].text;
	return "Error";
}

struct page {
	bool known, ready;          /* /readyz rather than /livez */
	struct span check;          /* /readyz/NAME; data NULL: all */
	enum vitals_ask needs;
};

static struct page find_page(const struct request *request)
{
	struct span query, path = request_path(request, &query), rest = span_from(path, 1), first = span_cut(&rest, '/');
	struct page page = { .check = rest };

	if (span_is(first, "metrics") && !rest.data)
		page.needs = VITALS_METRICS;
	else if (span_is(first, "readyz") || span_is(first, "livez"))
		page.needs = VITALS_CHECKS;
	page.ready = span_is(first, "readyz");
	page.known = page.needs != VITALS_NONE;
	return page;
}

enum vitals_ask answer_needs(const struct request *request)
{
	return request->state == REQUEST_WHOLE ? find_page(request).needs : VITALS_NONE;
}

static void write_head(const struct request *request, int status, const char *type, size_t length, struct str *out)
{
	str_addf(out, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n", status, status_text(status), type, length);
	str_adds(out, "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n");
	if (status == 405)
		str_adds(out, "Allow: GET, HEAD\r\n");
	if (!request->keep_alive)
		str_adds(out, "Connection: close\r\n");
	str_adds(out, "\r\n");
}

static void write_whole(const struct request *request, int status, const char *type, struct span body, struct str *out)
{
	write_head(request, status, type, body.length, out);
	if (!request->is_head)
		str_add(out, body);
}

static void write_line(const struct vitals_check *check, bool excluded, struct str *body)
{
	if (excluded)
		str_addf(body, "[+]%s excluded: ok\n", check->name);
	else if (check->ok)
		str_addf(body, "[+]%s ok%s%s\n", check->name, *check->detail ? ": " : "", check->detail);
	else
		str_addf(body, "[-]%s failed: %s\n", check->name, check->detail);
}

static bool has_check(const struct vitals *vitals, struct span name)
{
	for (size_t i = 0; i < vitals->check_count; i++)
		if (span_is(name, vitals->checks[i].name))
			return true;
	return false;
}

/* As Kubernetes does: what cannot be left out is told, and is no failure. */
static void warn_unknown(struct span query, const struct vitals *vitals, struct str *body)
{
	while (query.data) {
		struct span value = span_cut(&query, '&'), key = span_cut(&value, '=');

		if (span_is(key, "exclude") && !has_check(vitals, value))
			str_adds(body, "warn: there is no check of the name given to exclude\n");
	}
}

static void write_checks(const struct request *request, const struct page *page, const struct vitals *vitals, struct str *out)
{
	CLEANUP(str_release) struct str body = STR_INIT;
	const char *title = page->ready ? "readyz" : "livez";
	struct span query;
	bool good = true;

	request_path(request, &query);
	for (size_t i = 0; i < vitals->check_count; i++) {
		const struct vitals_check *check = &vitals->checks[i];
		bool excluded = query_names(query, "exclude", span_of(check->name));

		if ((!page->ready && !check->live) || (page->check.data && !span_is(page->check, check->name)))
			continue;
		good &= check->ok || excluded;
		write_line(check, excluded, &body);
	}
	warn_unknown(query, vitals, &body);
	str_addf(&body, "%s check %s\n", title, good ? "passed" : "failed");
	if (good && !query_has(query, "verbose"))
		write_whole(request, 200, TEXT, SPAN("ok"), out);
	else
		write_whole(request, good ? 200 : 503, TEXT, str_span(&body), out);
}

static void write_plain(const struct request *request, int status, const char *problem, struct str *out)
{
	CLEANUP(str_release) struct str body = STR_INIT;

	str_addf(&body, "%s\n", problem ? problem : status_text(status));
	write_whole(request, status, TEXT, str_span(&body), out);
}

void answer_write(const struct request *request, const struct vitals *vitals, const char *problem, struct str *out)
{
	struct page page;

	if (request->state != REQUEST_WHOLE) {
		write_plain(request, request->status ? request->status : 400, NULL, out);
		return;
	}
	page = find_page(request);
	if (!page.known)
		write_plain(request, 404, "there are /livez, /readyz and /metrics", out);
	else if (!vitals || vitals->what != page.needs)
		write_plain(request, 503, problem, out);
	else if (page.needs == VITALS_METRICS)
		write_whole(request, 200, METRICS_TEXT, vitals->metrics, out);
	else if (page.check.data && !has_check(vitals, page.check))
		write_plain(request, 404, "there is no check of that name", out);
	else
		write_checks(request, &page, vitals, out);
}
