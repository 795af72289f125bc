/* The one table of refusals; see status.h. */
#include "kube/status.h"

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
	{ 404, "", "", ERROR_NOT_FOUND, "NotFound" },
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
	{ 500, "", "failed calling webhook", ERROR_TRANSIENT, "WebhookFailed" },
	{ 504, "", "", ERROR_TRANSIENT, "ServerTimeout" },
	{ 0, "", "", ERROR_TRANSIENT, "ServerError" },
};

int kube_status_error(int status, const struct json *body, struct error *err)
{
	const char *reason = json_get_text(body, "reason"), *message = json_get_text(body, "message");

	if (!reason)
		reason = "";
	if (!message)
		message = "no message";
	for (size_t i = 0; i < COUNT_OF(table); i++) {
		if ((table[i].code && table[i].code != status) || (*table[i].reason && strcmp(table[i].reason, reason)) ||
		    (*table[i].message && !strstr(message, table[i].message)))
			continue;
		/* "Secret "x" is invalid: data[k]: Invalid value: "…"" would carry content: the part after the name goes */
		if (strstr(message, "ecret") && strstr(message, "nvalid value"))
			return error_set(err, table[i].kind, table[i].condition,
					 "the API server refused the Secret (HTTP %d); its message may hold content and is left out",
					 status);
		return error_set(err, table[i].kind, table[i].condition, "%s (HTTP %d)", message, status);
	}
	return error_set(err, ERROR_TRANSIENT, "ServerError", "HTTP %d", status);
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
