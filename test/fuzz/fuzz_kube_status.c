/* An HTTP status (two bytes) and any JSON as the API server's refusal: always classified, never with a Secret's content. */
#include "kube/status.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool has(const char *text, const char *part)
{
	return text && strstr(text, part);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	CLEANUP(str_release) struct str managers = STR_INIT, fields = STR_INIT;
	struct error err = ERROR_INIT;
	struct json *body = NULL;
	const char *message;

	if (size < 2)
		return 0;
	json_parse(span_make(data + 2, size - 2), arena, 0, &body, NULL);
	ASSERT(kube_status_error(data[0] | data[1] << 8, body, &err) == -1);
	ASSERT(err.reason[0] && err.text[0]);
	message = json_get_text(body, "message");
	if (has(message, "Secret") && has(message, "Invalid value"))
		/* fields are named */
		ASSERT(has(err.text, "is left out") && (!has(err.text, "Invalid value") || json_get(body, "details")));
	ASSERT(kube_status_error_of_secret(422, body, &err) == -1);
	/* what comes after the words of refusal is the stranger's */
	ASSERT(!message || has(err.text, "is left out"));
	kube_status_conflicts(body, &managers, &fields);
	return 0;
}
