/* The one table of refusals; see status.h. */
#include "kube/status.h"

#include "base/rand.h"

#define WAIT_UNTOLD_MS 1000
#define WAIT_LEAST_MS 100
#define WAIT_MOST_MS 60000

/* First match wins; "" and 0 match anything. */
static const struct {
	int code;
	const char *reason, *message;   /* message: a part of it */
	enum error_kind kind;
	const char *condition;          /* our reason; NULL: the server's */
} table[] = {
	{ 401, "", "", ERROR_FORBIDDEN, "Unauthorized" },
	{ 403, "", "because it is being terminated", ERROR_TRANSIENT, "NamespaceTerminating" },
	{ 403, "", "exceeded quota", ERROR_TRANSIENT, "QuotaExceeded" },
	{ 403, "", "", ERROR_FORBIDDEN, "Forbidden" },
	{ 404, "", "the server could not find the requested resource", ERROR_NOT_FOUND, "NotServed" },
	{ 404, "NotFound", "", ERROR_NOT_FOUND, "NotFound" },
	{ 404, "", "", ERROR_NOT_FOUND, "NotServed" },
	{ 409, "AlreadyExists", "", ERROR_CONFLICT, "AlreadyExists" },
	{ 409, "", "", ERROR_CONFLICT, "Conflict" },
	{ 410, "", "", ERROR_CONFLICT, "Expired" },
	{ 429, "", "", ERROR_TRANSIENT, "TooManyRequests" },
	{ 400, "", "", ERROR_INVALID, "BadRequest" },
	{ 406, "", "", ERROR_INVALID, "NotAcceptable" },
	{ 413, "", "", ERROR_INVALID, "TooLarge" },
	{ 415, "", "", ERROR_INVALID, "UnsupportedMediaType" },
	{ 422, "", "", ERROR_INVALID, "Invalid" },
	{ 405, "", "", ERROR_INVALID, "MethodNotAllowed" },
	/* 500s that no repetition mends */
	{ 500, "", "duplicate entries for key", ERROR_INVALID, "Invalid" },
	{ 500, "", "request is too large", ERROR_INVALID, "TooLarge" },
	{ 500, "", "message larger than max", ERROR_INVALID, "TooLarge" },
	{ 500, "", "failed to create typed patch object", ERROR_INVALID, "Invalid" },
	{ 500, "", "field not declared in schema", ERROR_INVALID, "Invalid" },
	{ 500, "", "unable to convert unstructured object to", ERROR_INVALID, "Invalid" },
	{ 500, "", "failed calling webhook", ERROR_TRANSIENT, "WebhookFailed" },
	{ 504, "", "", ERROR_TRANSIENT, "ServerTimeout" },
	{ 0, "", "", ERROR_TRANSIENT, "ServerError" },
};

static void add_fields(const struct json *causes, struct str *text)
{
	JSON_EACH(cause, causes) {
		struct span field = json_text_span(json_get(cause->value, "field"));

		if (field.length && field.length < 300)
			str_addf(text, "%s%.*s", text->length ? ", " : "", SPAN_ARG(field));
	}
}

/* The end of a message that says what is wrong and cannot be content; "" for others. */
static const char *known_end(struct span message)
{
	static const char *const ends[] = { "field is immutable", "field is immutable when `immutable` is set", "may not change once set" };

	for (size_t i = 0; i < COUNT_OF(ends); i++)
		if (span_ends(message, ends[i]))
			return ends[i];
	return "";
}

/* The same of a whole refusal: all its causes must end so, since what is said then stands behind the names of all their fields. */
static const char *known_words(const struct json *causes, const char *message)
{
	const char *words = "";

	JSON_EACH(cause, causes) {
		const char *end = known_end(json_text_span(json_get(cause->value, "message")));

		if (!*end)
			return "";
		words = *words ? words : end;
	}
	return *words ? words : known_end(span_of(message));
}

/* Of a changed claim, volume or pod the validation adds how its own two structures differ; that is many lines, and the sentence before says it. */
static void add_without_diff(struct span message, struct str *out)
{
	bool in_diff = false, after_diff = false;

	while (message.length) {
		struct span line = span_cut(&message, '\n');

		in_diff = span_starts(line, "@@ ") || (in_diff && line.length && strchr(" +-", line.data[0]));
		if (!in_diff) {
			str_adds(out, out->length && !after_diff ? "\n" : "");
			str_add(out, line);
		}
		after_diff = in_diff;
	}
}

/* What a value stands in is told, and what is wrong with it where that says nothing of the value. */
static int refuse_without_values(size_t row, int status, const struct json *body, const char *message, struct error *err)
{
	CLEANUP(str_release) struct str fields = STR_INIT;
	const struct json *causes = json_path(body, "details", "causes", NULL);
	const char *end = known_words(causes, message);

	add_fields(causes, &fields);
	return error_set(err, table[row].kind, table[row].condition,
			 "the API server refused it%s%s%s%s (HTTP %d); its message may hold content and is left out", fields.length ? " for " : "",
			 fields.length ? str_c(&fields) : "", *end ? ": " : "", end, status);
}

int kube_status_error(int status, const struct json *body, struct error *err)
{
	CLEANUP(str_release) struct str whole = STR_INIT, told = STR_INIT;
	const char *reason = json_get_text(body, "reason"), *message = json_get_text(body, "message");

	if (!reason)
		reason = "";
	if (!message)
		message = status == 404 ? "the server answers that there is no such path" : "no message";
	for (size_t i = 0; i < COUNT_OF(table); i++) {
		if ((table[i].code && table[i].code != status) || (*table[i].reason && strcmp(table[i].reason, reason)) ||
		    (*table[i].message && !strstr(message, table[i].message)))
			continue;
		/* "Secret "x" is invalid: data[k]: Invalid value: "…"" would carry content: the part after the name goes */
		if (strstr(message, "ecret") && strstr(message, "nvalid value"))
			return refuse_without_values(i, status, body, message, err);
		add_without_diff(span_of(message), &whole);
		str_add_one_line(&told, str_span(&whole));
		return error_set(err, table[i].kind, table[i].condition, "%s (HTTP %d)", str_c(&told), status);
	}
	return error_set(err, ERROR_TRANSIENT, "ServerError", "HTTP %d", status);
}

/* Refusals that the API server's own handlers write, of who asks and of what state things are in; none looks at content. */
static bool speaks_of_no_content(int status, const char *reason, const char *message)
{
	static const int codes[] = { 401, 404, 409, 410, 429, 503, 504 };

	for (size_t i = 0; i < COUNT_OF(codes); i++)
		if (status == codes[i])
			return true;
	return status == 403 && !strcmp(reason, "Forbidden") && !strstr(message, "denied") &&
	       (strstr(message, " cannot ") || strstr(message, "is being terminated") || strstr(message, "exceeded quota"));
}

/* "admission webhook "w" denied the request", "ValidatingAdmissionPolicy 'p' with binding 'b' denied request", or "" */
static struct span who_denied(struct span message)
{
	static const char *const begins[] = { "admission webhook ", "ValidatingAdmissionPolicy " }, *const ends[] = { "denied the request", "denied request" };

	for (size_t i = 0; i < COUNT_OF(begins); i++) {
		const char *from = memmem(message.data, message.length, begins[i], strlen(begins[i]));
		struct span rest = from ? span_from(message, (size_t)(from - message.data)) : SPAN0;
		const char *to = from ? memmem(rest.data, rest.length, ends[i], strlen(ends[i])) : NULL;

		if (to && to - from < 300)
			return span_make(from, (size_t)(to - from) + strlen(ends[i]));
	}
	return SPAN0;
}

int kube_status_error_of_secret(int status, const struct json *body, struct error *err)
{
	CLEANUP(str_release) struct str fields = STR_INIT;
	struct error full = ERROR_INIT;
	const char *reason = json_get_text(body, "reason"), *message = json_get_text(body, "message");
	const struct json *causes = json_path(body, "details", "causes", NULL);
	struct span denied = who_denied(span_of(message ? message : "")), told;

	kube_status_error(status, body, &full);
	if (!message || speaks_of_no_content(status, reason ? reason : "", message)) {
		*err = full;
		return -1;
	}
	add_fields(causes, &fields);
	told = denied.length ? denied : span_of(known_words(causes, message));
	return error_set(err, full.kind, full.reason, "the API server refused the Secret%s%s%s%.*s (HTTP %d); its message may hold content and is left out",
			 fields.length ? " for " : "", fields.length ? str_c(&fields) : "", told.length ? ": " : "", SPAN_ARG(told), status);
}

int64_t kube_status_wait_ms(int status, int64_t retry_after_ms)
{
	int64_t wait = retry_after_ms < 0 ? WAIT_UNTOLD_MS : retry_after_ms < WAIT_LEAST_MS ? WAIT_LEAST_MS : retry_after_ms;

	/* a 503, or a 504 of a version that is yet to come, without a time says nothing of when it ends */
	if (status != 429 && ((status != 503 && status != 504) || retry_after_ms < 0))
		return -1;
	wait = wait > WAIT_MOST_MS ? WAIT_MOST_MS : wait;
	return wait + (int64_t)rand_below((uint64_t)wait / 4 + 1);
}

/* `conflict with "kubectl" using apps/v1: .spec.replicas` -> kubectl */
static struct span manager_of(struct span message)
{
	span_cut(&message, '"');
	return span_cut(&message, '"');
}

static void add_once(struct str *list, struct span item)
{
	struct span rest = str_span(list);

	while (rest.length)
		if (span_equal(span_trim(span_cut(&rest, ',')), item))
			return;
	if (list->length)
		str_adds(list, ", ");
	str_add(list, item);
}

void kube_status_conflicts(const struct json *body, struct str *managers, struct str *fields)
{
	const struct json *causes = json_path(body, "details", "causes", NULL);

	for (size_t i = 0; i < json_count(causes); i++) {
		const struct json *cause = json_at(causes, i);

		if (!span_is(json_text_span(json_get(cause, "reason")), "FieldManagerConflict"))
			continue;
		add_once(managers, manager_of(json_text_span(json_get(cause, "message"))));
		add_once(fields, json_text_span(json_get(cause, "field")));
	}
}
