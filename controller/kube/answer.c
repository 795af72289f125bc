/* Answers of the API server; see answer.h. */
#include "kube/answer.h"

#include "base/json_items.h"
#include "kube/status.h"

/* Its refusal may hold content. */
static bool is_of_secret(struct span path)
{
	struct span rest = path, resource = span_cut(&rest, '?');

	return span_ends(resource, "/secrets") || memmem(resource.data, resource.length, "/secrets/", 9);
}

/* Cut or garbled on its way: nothing that a person could mend, so tried again. */
static void refuse_garbled(struct kube_answer *answer, struct error *err)
{
	error_wrap(err, "the API server's answer");
	err->kind = ERROR_TRANSIENT;
	answer->err = err;
}

static int read_list(struct span body, struct kube_answer *answer, struct span *items, struct error *err)
{
	CLEANUP(str_release) struct str rest = STR_INIT;

	if (json_cut_items(body, "items", &rest, items, err))
		return -1;
	return json_parse(str_span(&rest), answer->arena, 0, &answer->object, err);
}

void answer_read(const char *path, bool is_list, const struct http_answer *http, struct kube_answer *answer, struct span *items,
		 struct error *err)
{
	bool good = http->status >= 200 && http->status < 300;
	int failed;

	*items = SPAN0;
	if (!http->status) {
		answer->err = err;
		return;
	}
	failed = is_list ? read_list(http->body, answer, items, err) : json_parse(http->body, answer->arena, 0, &answer->object, err);
	if (failed && good) {
		refuse_garbled(answer, err);
	} else if (!good) {
		(is_of_secret(span_of(path)) ? kube_status_error_of_secret : kube_status_error)(http->status, answer->object, err);
		answer->err = err;
	}
}

void answer_tell_items(kube_item *on_item, void *data, struct span items, struct kube_answer *answer, struct error *err)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct span text;
	struct json *item;

	while (json_next_item(&items, &text, err) && !json_parse(text, arena, 0, &item, err)) {
		on_item(data, item);
		arena_reset(arena);
	}
	if (err->reason[0])
		refuse_garbled(answer, err);
}
