/* The framer of a watch: events in the order they came, however the stream was cut; what is no event ends it. */
#include "kube/watch.c" /* the framer is its own */

#include "unit.h"
#include "kube/answer.h"
#include "kube/write.h"

struct told {
	struct str text;
	char error[ERROR_REASON_MAX];
};

static void note_event(void *data, enum watch_event event, const struct json *object)
{
	static const char *const names[] = { "added", "modified", "deleted" };
	struct told *told = data;

	str_addf(&told->text, "%s %s;", names[event], json_get_text(json_get(object, "metadata"), "name"));
}

static void note_error(void *data, const struct error *err)
{
	struct told *told = data;

	snprintf(told->error, sizeof(told->error), "%s", err->reason);
}

static struct watch framer(struct told *told)
{
	return (struct watch){ .handler = { .on_event = note_event, .on_error = note_error }, .data = told,
			       .line = { .limit = LIMIT_HTTP_BODY_BYTES } };
}

static void framer_end(struct watch *watch, struct told *told)
{
	str_release(&watch->line);
	str_release(&watch->version);
	str_release(&watch->next_page);
	str_release(&told->text);
}

/* A watch whose stream was asked for, of a server that is never asked. */
static void begin_stream(struct watch *watch, struct loop *loop)
{
	const struct kube_config config = { .server = "http://127.0.0.1:1" };

	watch->kube = kube_new(loop, &config, "countersign-test");
	watch->timer = timer_new(loop, begin, watch);
	watch->backoff_ms = BACKOFF_FIRST_MS;
	watch->listed = true;
}

static void end_stream(struct watch *watch, struct loop *loop)
{
	timer_free(watch->timer);
	kube_free(watch->kube);
	loop_free(loop);
}

#define EVENT(type, name, version) \
	"{\"type\":\"" type "\",\"object\":{\"metadata\":{\"name\":\"" name "\",\"resourceVersion\":\"" version "\"}}}\n"

static void events_are_told_however_the_stream_is_cut(void **state)
{
	static const char stream[] = EVENT("ADDED", "a", "1") EVENT("MODIFIED", "a", "2") "\n" EVENT("BOOKMARK", "", "5") EVENT("DELETED", "a", "7");

	(void)state;
	for (size_t step = 1; step < sizeof(stream); step++) {
		struct told told = { .text = STR_INIT };
		struct watch watch = framer(&told);

		for (size_t at = 0; at < sizeof(stream) - 1; at += step)
			assert_int_equal(on_piece(&watch, span_sub(SPAN(stream), at, step)), 0);
		ASSERT_TEXT("events", str_c(&told.text), "added a;modified a;deleted a;");
		ASSERT_TEXT("version", str_c(&watch.version), "7");
		assert_false(watch.broken || watch.expired);
		framer_end(&watch, &told);
	}
}

static void what_is_no_event_ends_the_stream_and_lists_anew(void **state)
{
	static const char *const lines[] = {
		"no json\n", "{\"type\":\"ADDED\"}\n", "{\"type\":\"ADDED\",\"object\":null}\n", "{\"type\":\"DELETED\",\"object\":[]}\n",
		"[]\n", "{\"type\":\"ADDED\",\"object\":{},\"object\":{}}\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(lines); i++) {
		struct told told = { .text = STR_INIT };
		struct watch watch = framer(&told);

		assert_int_equal(on_piece(&watch, span_of(lines[i])), -1);
		if (!watch.broken)
			fail_msg("taken: %s", lines[i]);
		ASSERT_TEXT("events", str_c(&told.text), "");
		framer_end(&watch, &told);
	}
}

static void a_stream_counts_as_one_request(void **state)
{
	struct told told = { .text = STR_INIT };
	struct watch watch = framer(&told);
	struct str text = STR_INIT;

	(void)state;
	metric_reset();
	for (int i = 0; i < 3; i++)
		on_piece(&watch, SPAN(EVENT("ADDED", "a", "1")));
	count(&watch, 0); /* its end */
	watch.counted = false;
	count(&watch, 403); /* the next one, refused */
	metric_write(&text);
	assert_non_null(strstr(str_c(&text), "countersign_api_requests_total{verb=\"WATCH\",code=\"200\"} 1\n"));
	assert_non_null(strstr(str_c(&text), "countersign_api_requests_total{verb=\"WATCH\",code=\"403\"} 1\n"));
	assert_int_equal((int)metric_sum(METRIC_API_REQUESTS), 2);
	str_release(&text);
	framer_end(&watch, &told);
	metric_reset();
}

static void event_over_the_limit_lists_anew(void **state)
{
	struct told told = { .text = STR_INIT };
	struct watch watch = framer(&told);

	(void)state;
	watch.line.limit = 64;
	for (int i = 0; i < 16 && !watch.broken; i++)
		on_piece(&watch, SPAN("{\"type\":\"ADDED\""));
	assert_true(watch.broken);
	framer_end(&watch, &told);
}

static void error_in_the_stream_ends_it(void **state)
{
	struct told told = { .text = STR_INIT }, old = { .text = STR_INIT };
	struct watch watch = framer(&told), expired = framer(&old);

	(void)state;
	assert_int_equal(on_piece(&watch, SPAN("{\"type\":\"ERROR\",\"object\":{\"code\":500,\"message\":\"etcd\"}}\n")), -1);
	ASSERT_TEXT("error", told.error, "ServerError");
	assert_false(watch.expired);
	/* 410 as an event of an answer that began with 200 */
	assert_int_equal(on_piece(&expired, SPAN("{\"type\":\"ERROR\",\"object\":{\"code\":410,\"reason\":\"Expired\"}}\n")), -1);
	assert_true(expired.expired);
	ASSERT_TEXT("error", old.error, "");
	framer_end(&watch, &told);
	framer_end(&expired, &old);
}

static void list_that_is_an_hour_old_is_made_anew_when_a_stream_ends_well(void **state)
{
	const struct http_answer well = { .status = 200, .retry_after_ms = -1 };
	const struct http_answer cut = { .retry_after_ms = -1, .err = { .kind = ERROR_TRANSIENT, .reason = "ConnectionError" } };
	struct told told = { .text = STR_INIT };
	struct watch watch = framer(&told);
	struct loop *loop = loop_new();

	(void)state;
	begin_stream(&watch, loop);
	str_adds(&watch.version, "7");
	watch.events = 1;
	watch.listed_ms = clock_mono_ms() - LIST_AGE_MOST_MS + 60000;
	on_stream_end(&watch, &well);
	assert_true(watch.listed);
	watch.listed_ms -= 120000;
	on_stream_end(&watch, &cut);
	assert_true(watch.listed);
	on_stream_end(&watch, &well);
	assert_false(watch.listed);
	ASSERT_TEXT("version", str_c(&watch.version), "");
	assert_true(timer_running(watch.timer));
	ASSERT_TEXT("error", told.error, "");
	assert_int_equal(kube_breaks(watch.kube), 3);
	end_stream(&watch, loop);
	framer_end(&watch, &told);
}

/* As while a conversion webhook is down: the stream begins well and tells an error at once, each time. */
static void stream_that_always_ends_in_an_error_is_asked_for_ever_less_often_and_listed_anew(void **state)
{
	const struct http_answer ended = { .status = 200, .retry_after_ms = -1 };
	struct told told = { .text = STR_INIT };
	struct watch watch = framer(&told);
	struct loop *loop = loop_new();

	(void)state;
	begin_stream(&watch, loop);
	str_adds(&watch.version, "7");
	for (int64_t wait = BACKOFF_FIRST_MS, i = 0; i < 3; wait *= 2, i++) {
		assert_int_equal(watch.backoff_ms, wait);
		watch.failed = false;
		watch.events = 0;
		watch.started_ms = clock_mono_ms();
		assert_int_equal(on_piece(&watch, SPAN("{\"type\":\"ERROR\",\"object\":{\"code\":500,\"message\":\"conversion webhook failed\"}}\n")), -1);
		on_stream_end(&watch, &ended);
		assert_int_equal(watch.listed, i < 1);
		assert_true(timer_running(watch.timer));
	}
	ASSERT_TEXT("error", told.error, "ServerError");
	assert_int_equal(kube_breaks(watch.kube), 0); /* it was we who ended them */
	end_stream(&watch, loop);
	framer_end(&watch, &told);
}

/* As where a list takes longer than the server remembers what came after it. */
static void list_that_is_too_old_for_its_stream_each_time_is_made_ever_less_often(void **state)
{
	const struct http_answer ended = { .status = 200, .retry_after_ms = -1 }, gone = { .status = 410, .retry_after_ms = -1 };
	struct told told = { .text = STR_INIT };
	struct watch watch = framer(&told);
	struct loop *loop = loop_new();

	(void)state;
	begin_stream(&watch, loop);
	on_stream_end(&watch, &gone);
	assert_int_equal(watch.backoff_ms, BACKOFF_FIRST_MS); /* the first time at once */
	for (int64_t wait = BACKOFF_FIRST_MS, i = 0; i < 3; wait *= 2, i++) {
		assert_int_equal(watch.backoff_ms, wait);
		assert_false(watch.listed);
		assert_true(timer_running(watch.timer));
		watch.listed = true;
		on_piece(&watch, SPAN("{\"type\":\"ERROR\",\"object\":{\"code\":410,\"reason\":\"Expired\"}}\n"));
		on_stream_end(&watch, i % 2 ? &gone : &ended);
	}
	watch.expired = false;
	on_piece(&watch, SPAN("{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"9\"}}}\n"));
	watch.backoff_ms = BACKOFF_FIRST_MS;
	on_stream_end(&watch, &gone);
	assert_int_equal(watch.backoff_ms, BACKOFF_FIRST_MS);
	ASSERT_TEXT("error", told.error, "");
	end_stream(&watch, loop);
	framer_end(&watch, &told);
}

/* Nothing is listed anew and nobody told, the first five times. */
static void stream_that_is_sent_away_goes_on_where_it_was(void **state)
{
	const struct http_answer away = { .status = 429, .retry_after_ms = 2000 }, well = { .status = 200, .retry_after_ms = -1 };
	struct told told = { .text = STR_INIT };
	struct watch watch = framer(&told);
	struct loop *loop = loop_new();

	(void)state;
	begin_stream(&watch, loop);
	watch.listed_ms = clock_mono_ms();
	str_adds(&watch.version, "7");
	for (unsigned i = 0; i < 2 * SENT_AWAY_MOST; i++) {
		if (i == SENT_AWAY_MOST)
			on_stream_end(&watch, &well);
		on_stream_end(&watch, &away);
		assert_true(watch.listed && timer_running(watch.timer));
	}
	ASSERT_TEXT("error", told.error, "");
	ASSERT_TEXT("version", str_c(&watch.version), "7");
	on_stream_end(&watch, &away);
	assert_false(watch.listed);
	ASSERT_TEXT("error", told.error, "TooManyRequests");
	assert_int_equal(kube_breaks(watch.kube), 1); /* an answer is no break */
	end_stream(&watch, loop);
	framer_end(&watch, &told);
}

/* Hands a page to the watch as the client does. */
static void page(struct watch *watch, const char *body)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	const struct http_answer http = { .status = 200, .body = span_of(body) };
	struct kube_answer answer = { .status = 200, .arena = arena };
	struct error err = ERROR_INIT;
	struct span items;

	answer_read("/api/v1/pods", true, &http, &answer, &items, &err);
	if (!answer.err)
		answer_tell_items(on_item, watch, items, &answer, &err);
	on_page(watch, &answer);
}

static void note_listing(void *data)
{
	str_adds(&((struct told *)data)->text, "listing;");
}

static void note_listed(void *data)
{
	str_adds(&((struct told *)data)->text, "listed;");
}

#define ITEM(name) "{\"metadata\":{\"name\":\"" name "\"}}"

static void items_of_all_pages_are_one_list(void **state)
{
	struct loop *loop = loop_new();
	struct told told = { .text = STR_INIT };
	struct watch watch = framer(&told);

	(void)state;
	watch.handler.on_listing = note_listing;
	watch.handler.on_listed = note_listed;
	begin_stream(&watch, loop);
	page(&watch, "{\"metadata\":{\"continue\":\"more\"},\"items\":[" ITEM("a") "," ITEM("b") "]}");
	ASSERT_TEXT("the token of the next page", str_c(&watch.next_page), "more");
	page(&watch, "{\"items\":[" ITEM("c") "],\"metadata\":{\"resourceVersion\":\"7\"}}");
	page(&watch, "{\"items\":null,\"metadata\":{\"resourceVersion\":\"8\"}}");
	page(&watch, "{\"items\":[],\"metadata\":{\"resourceVersion\":\"9\"}}");
	ASSERT_TEXT("events", str_c(&told.text), "listing;added a;added b;added c;listed;listing;listed;listing;listed;");
	ASSERT_TEXT("version", str_c(&watch.version), "9");
	end_stream(&watch, loop);
	framer_end(&watch, &told);
}

static void page_that_cannot_be_read_to_its_end_begins_the_list_anew(void **state)
{
	static const char *const pages[] = {
		"{\"metadata\":{\"resourceVersion\":\"7\"},\"items\":[" ITEM("a") ",{]}", "{\"metadata\":{},\"items\":[" ITEM("a") ",}]}",
		"{\"metadata\":{},\"items\":[" ITEM("a") "]", "{\"metadata\":{},\"items\":[" ITEM("a") "],\"items\":[" ITEM("b") "]}",
		"{\"items\":[" ITEM("a") "]}", "{\"metadata\":{},\"items\":{}}", "{\"metadata\":{}}", "[]", "",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(pages); i++) {
		struct loop *loop = loop_new();
		struct told told = { .text = STR_INIT };
		struct watch watch = framer(&told);

		begin_stream(&watch, loop);
		page(&watch, pages[i]);
		if (watch.listed || watch.listing || watch.version.length || !*told.error)
			fail_msg("taken for a list: %s", pages[i]);
		end_stream(&watch, loop);
		framer_end(&watch, &told);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_are_told_however_the_stream_is_cut),
		cmocka_unit_test(what_is_no_event_ends_the_stream_and_lists_anew),
		cmocka_unit_test(a_stream_counts_as_one_request),
		cmocka_unit_test(event_over_the_limit_lists_anew),
		cmocka_unit_test(error_in_the_stream_ends_it),
		cmocka_unit_test(list_that_is_an_hour_old_is_made_anew_when_a_stream_ends_well),
		cmocka_unit_test(stream_that_always_ends_in_an_error_is_asked_for_ever_less_often_and_listed_anew),
		cmocka_unit_test(list_that_is_too_old_for_its_stream_each_time_is_made_ever_less_often),
		cmocka_unit_test(stream_that_is_sent_away_goes_on_where_it_was),
		cmocka_unit_test(items_of_all_pages_are_one_list),
		cmocka_unit_test(page_that_cannot_be_read_to_its_end_begins_the_list_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
