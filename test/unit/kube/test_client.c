/* Requests that are sent again, against a server on loopback that answers by path and counts. */
#include "kube/client.c" /* its clocks are its own */

#include "unit.h"
#include "loopback.h"
#include "io/file.h"

/* --- the server: a thread a connection, one answer each ------------------------------------------------------------- */

#define GOOD "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
#define BUSY(code, after) "HTTP/1.1 " code " X\r\n" after "Content-Length: 2\r\nConnection: close\r\n\r\n{}"

#define REFUSED "HTTP/1.1 401 X\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"

/* The answers of a path, one after the other, the last again and again; "" breaks the connection. */
static struct site {
	const char *path, *answers[3];
	unsigned asked;
	int64_t asked_ms[8];
	char bodies[8][32], tokens[8][32];
	bool metadata;          /* was asked for, the last time */
} sites[] = {
	{ .path = "/once", .answers = { BUSY("429", "Retry-After: 1\r\n"), GOOD } },
	{ .path = "/untold", .answers = { BUSY("429", ""), GOOD } },
	{ .path = "/always", .answers = { BUSY("429", "Retry-After: 0\r\n") } },
	{ .path = "/long", .answers = { BUSY("429", "Retry-After: 3000\r\n") } },
	{ .path = "/maintained", .answers = { BUSY("503", "Retry-After: 0\r\n"), GOOD } },
	{ .path = "/down", .answers = { BUSY("503", "") } },
	{ .path = "/future", .answers = { BUSY("504", "Retry-After: 0\r\n"), GOOD } },
	{ .path = "/broken", .answers = { "", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", GOOD } },
	{ .path = "/garbled", .answers = { "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\n{", GOOD } },
	{ .path = "/gone", .answers = { "" } },
	{ .path = "/replaced", .answers = { REFUSED, GOOD } },
	{ .path = "/api/replaced", .answers = { REFUSED, GOOD } },
	{ .path = "/apis/countersign.dev/v1alpha1/namespaces/replaced", .answers = { REFUSED, GOOD } },
	{ .path = "/apis/coordination.k8s.io/replaced", .answers = { REFUSED, GOOD } },
	{ .path = "/refused", .answers = { REFUSED } },
	{ .path = "/good", .answers = { GOOD } },
	{ .path = "/apis/countersign.dev/v1alpha1/namespaces/busy", .answers = { BUSY("429", "Retry-After: 0\r\n"), GOOD } },
	{ .path = "/apis/countersign.dev/v1alpha1/namespaces/broken", .answers = { "" } },
	{ .path = "/apis/countersign.dev/v1alpha1/namespaces/late", .answers = { BUSY("504", "Retry-After: 0\r\n") } },
	{ .path = "/apis/countersign.dev/v1alpha1/namespaces/good", .answers = { GOOD } },
	{ .path = ACCESS_REVIEWS, .answers = { GOOD } },
	{ .path = "/apis/coordination.k8s.io/lease", .answers = { BUSY("429", "Retry-After: 0\r\n") } },
	{ .path = "/api/governed", .answers = { BUSY("429", "Retry-After: 0\r\n") } },
};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static const char *answer_of(struct site *site, const char *request)
{
	const char *body = strstr(request, "\r\n\r\n") + 4, *token = strstr(request, "Bearer "), *answer;
	size_t n;

	pthread_mutex_lock(&lock);
	n = site->asked < COUNT_OF(site->answers) ? site->asked : COUNT_OF(site->answers) - 1;
	while (n && !site->answers[n])
		n--;
	answer = site->answers[n];
	if (site->asked < COUNT_OF(site->bodies)) {
		site->asked_ms[site->asked] = clock_mono_ms();
		snprintf(site->bodies[site->asked], sizeof(site->bodies[0]), "%s", body);
		snprintf(site->tokens[site->asked], sizeof(site->tokens[0]), "%.*s", token ? (int)strcspn(token, "\r") : 0,
			 token);
	}
	site->metadata = strstr(request, "\r\nAccept: " KUBE_METADATA "\r\n") != NULL;
	site->asked++;
	pthread_mutex_unlock(&lock);
	return answer;
}

/* The path follows the method and ends at a space. */
static void *serve(void *argument)
{
	int client = (int)(intptr_t)argument;
	const char *answer = "";
	char request[4096], *path, *end;

	loopback_read(client, request, sizeof(request));
	path = loopback_is_whole(request) ? strchr(request, ' ') : NULL;
	end = path ? strchr(path + 1, ' ') : NULL;
	for (size_t i = 0; end && i < COUNT_OF(sites); i++)
		if (span_equal(span_make(path + 1, (size_t)(end - path - 1)), span_of(sites[i].path)))
			answer = answer_of(&sites[i], request);
	loopback_answer(client, answer);
	return NULL;
}

static int start_server(void **state)
{
	(void)state;
	return loopback_start(serve, 25000);
}

/* --- the client ------------------------------------------------------------------------------------------------------ */

static struct world {
	struct loop *loop;
	struct kube *kube;
	struct timer *guard, *look;
	unsigned answers, left;
	int status;
	char reason[ERROR_REASON_MAX];
} world;

static void on_guard(void *data)
{
	(void)data;
	base_panic(__FILE__, __LINE__, "nothing came for 20 s");
}

static int begin(void **state)
{
	const struct kube_config config = { .server = base_url };

	(void)state;
	world = (struct world){ .loop = loop_new() };
	world.kube = kube_new(world.loop, &config, "countersign-test");
	world.guard = timer_new(world.loop, on_guard, NULL);
	timer_start(world.guard, 20000);
	for (size_t i = 0; i < COUNT_OF(sites); i++)
		sites[i].asked = 0;
	return 0;
}

static int end(void **state)
{
	(void)state;
	timer_free(world.guard);
	timer_free(world.look);
	kube_free(world.kube);
	loop_free(world.loop);
	return 0;
}

static void on_done(void *data, const struct kube_answer *answer)
{
	(void)data;
	world.answers++;
	world.status = answer->status;
	snprintf(world.reason, sizeof(world.reason), "%s", answer->err ? answer->err->reason : "");
	if (!--world.left)
		loop_stop(world.loop);
}

static struct site *site_of(const char *path)
{
	for (size_t i = 0; i < COUNT_OF(sites); i++)
		if (!strcmp(sites[i].path, path))
			return &sites[i];
	fail_msg("no site %s", path);
	return NULL;
}

static struct site *get(const char *path)
{
	world.left = 1;
	kube_get(world.kube, path, NULL, NULL, on_done, NULL);
	loop_run(world.loop);
	return site_of(path);
}

static struct site *book(const char *path)
{
	world.left = 1;
	kube_bookkeep(world.kube, "PATCH", path, KUBE_MERGE_PATCH, SPAN("{\"a\":1}"), on_done, NULL);
	loop_run(world.loop);
	return site_of(path);
}

static void check(const char *path, int status, unsigned asked)
{
	if (world.status != status || site_of(path)->asked != asked || world.answers != 1)
		fail_msg("%s: status %d, asked %u times, told %u times; want %d, %u, once", path, world.status, site_of(path)->asked, world.answers,
			 status, asked);
	world.answers = 0;
}

static void request_sent_away_is_sent_again_after_its_time(void **state)
{
	struct site *site = get("/once");

	(void)state;
	check("/once", 200, 2);
	assert_in_range(site->asked_ms[1] - site->asked_ms[0], 1000, 2500);
	site = get("/untold");
	check("/untold", 200, 2);
	assert_in_range(site->asked_ms[1] - site->asked_ms[0], 1000, 2500);
	get("/maintained");
	check("/maintained", 200, 2);
	get("/future");
	check("/future", 200, 2);
}

static void request_is_sent_again_five_times_at_most(void **state)
{
	(void)state;
	get("/always");
	check("/always", 429, 6);
	ASSERT_TEXT("reason", world.reason, "TooManyRequests");
}

static void refusal_that_names_no_time_is_told_at_once(void **state)
{
	(void)state;
	get("/down");
	check("/down", 503, 1);
}

static void read_that_broke_on_its_way_is_sent_again(void **state)
{
	(void)state;
	get("/broken");
	check("/broken", 200, 3);
	get("/garbled");
	check("/garbled", 200, 2);
}

static void read_of_a_server_that_is_away_is_told_at_once(void **state)
{
	(void)state;
	world.kube->answered_ms -= AWAY_MS;
	get("/gone");
	check("/gone", 0, 1);
}

static void write_of_our_books_is_sent_again_whole_if_nothing_was_done(void **state)
{
	struct site *site = book("/apis/countersign.dev/v1alpha1/namespaces/busy");

	(void)state;
	check(site->path, 200, 2);
	ASSERT_TEXT("body", site->bodies[0], "{\"a\":1}");
	ASSERT_TEXT("body", site->bodies[1], "{\"a\":1}");
}

/* What was written is known. */
static void answer_to_a_write_of_our_books_is_metadata_but_a_review_is_whole(void **state)
{
	(void)state;
	assert_true(book("/apis/countersign.dev/v1alpha1/namespaces/good")->metadata);
	assert_false(book(ACCESS_REVIEWS)->metadata);
}

static void write_of_which_nobody_knows_is_not_sent_again(void **state)
{
	(void)state;
	book("/apis/countersign.dev/v1alpha1/namespaces/broken");
	check("/apis/countersign.dev/v1alpha1/namespaces/broken", 0, 1);
	book("/apis/countersign.dev/v1alpha1/namespaces/late");
	check("/apis/countersign.dev/v1alpha1/namespaces/late", 504, 1);
}

static bool leads(const void *data)
{
	(void)data;
	return true;
}

static unsigned doubts;

static void on_doubt(void *data)
{
	(void)data;
	doubts++;
}

static const struct kube_leading leading = { leads, on_doubt };

static void ask_governed(const char *path)
{
	const struct write_permit permit = { .account = "system:serviceaccount:a:b", .log_id = "log", .intent_seq = 1, .intent_durable = true,
					     .project_allows = true, .images_allowed = true };
	const struct write_request request = { .method = "PATCH", .path = path, .content_type = KUBE_APPLY_PATCH, .body = SPAN("{\"a\":1}"),
					       .ordinal = 1, .attempt = 1, .on_done = on_done };

	kube_set_leading(world.kube, &leading, NULL);
	world.left = 1;
	kube_write(world.kube, &permit, &request);
}

static struct site *write_governed(const char *path)
{
	ask_governed(path);
	loop_run(world.loop);
	return site_of(path);
}

static void governed_write_and_lease_are_sent_once(void **state)
{
	(void)state;
	write_governed("/api/governed");
	check("/api/governed", 429, 1);
	get("/apis/coordination.k8s.io/lease");
	check("/apis/coordination.k8s.io/lease", 429, 1);
}

/* --- what a broken connection leaves open --------------------------------------------------------------------------- */

/* A read is answered meanwhile, a governed write is not. */
static void break_and_ask(void)
{
	kube_set_leading(world.kube, &leading, NULL);
	doubts = 0;
	world.kube->answered_ms -= AWAY_MS;
	get("/gone");
	check("/gone", 0, 1);
	ask_governed("/api/governed");
	get("/good");
	check("/good", 200, 1);
	assert_int_equal(site_of("/api/governed")->asked, 0);
	assert_true(kube_in_doubt(world.kube));
	assert_int_equal(doubts, 1);
	world.left = 1;
}

static void governed_write_after_a_broken_connection_waits_until_the_cluster_is_known(void **state)
{
	unsigned before = kube_breaks(world.kube);

	(void)state;
	break_and_ask();
	kube_trust(world.kube, before);
	assert_true(kube_in_doubt(world.kube)); /* what was asked for before the break tells nothing */
	kube_trust(world.kube, before + 1);
	loop_run(world.loop);
	check("/api/governed", 429, 1);
	kube_broke(world.kube);
	kube_broke(world.kube);
	assert_int_equal(doubts, 2);
}

static void governed_write_that_waits_when_the_process_ends_is_not_sent(void **state)
{
	(void)state;
	break_and_ask();
	kube_closing(world.kube);
	loop_run(world.loop);
	check("/api/governed", 0, 0);
	ASSERT_TEXT("reason", world.reason, "NotLeader");
}

/* It had passed the look at the lease, and waited for its connection; what follows is sent. */
static void governed_write_whose_lease_is_over_when_its_connection_is_made_is_not_sent(void **state)
{
	(void)state;
	ask_governed("/api/governed");
	kube_set_leading(world.kube, NULL, NULL);
	loop_run(world.loop);
	check("/api/governed", 0, 0);
	ASSERT_TEXT("reason", world.reason, "NotLeader");
	assert_false(kube_in_doubt(world.kube));
	get("/good");
	check("/good", 200, 1);
}

/* The command line writes under a person's rights, and nobody leads there. */
static void without_a_leader_a_broken_connection_holds_nothing(void **state)
{
	(void)state;
	kube_broke(world.kube);
	assert_false(kube_in_doubt(world.kube));
}

/* --- tokens that are replaced ---------------------------------------------------------------------------------------- */

static char token_file[64];

static void write_token(const char *token)
{
	assert_int_equal(file_write(token_file, span_of(token), 0600, NULL), 0);
}

/* A client that has read its token from a file in which there is another by now. */
static int begin_with_replaced_token(void **state)
{
	const struct kube_config config = { .server = base_url, .token_file = token_file };

	begin(state);
	kube_free(world.kube);
	snprintf(token_file, sizeof(token_file), "/tmp/test_client.%d.token", getpid());
	write_token("old\n");
	world.kube = kube_new(world.loop, &config, "countersign-test");
	write_token("new\n");
	return 0;
}

static int end_with_token(void **state)
{
	unlink(token_file);
	return end(state);
}

static void check_renewed(const struct site *site, const char *body)
{
	check(site->path, 200, 2);
	ASSERT_TEXT("first token", site->tokens[0], "Bearer old");
	ASSERT_TEXT("second token", site->tokens[1], "Bearer new");
	ASSERT_TEXT("first body", site->bodies[0], body);
	ASSERT_TEXT("second body", site->bodies[1], body);
	assert_in_range(site->asked_ms[1] - site->asked_ms[0], 0, 500);
}

static void read_refused_with_a_token_that_was_replaced_is_sent_again(void **state)
{
	(void)state;
	check_renewed(get("/replaced"), "");
	get("/good");
	ASSERT_TEXT("token of what follows", site_of("/good")->tokens[0], "Bearer new");
}

static void write_of_our_books_refused_with_a_token_that_was_replaced_is_sent_again(void **state)
{
	(void)state;
	check_renewed(book("/apis/countersign.dev/v1alpha1/namespaces/replaced"), "{\"a\":1}");
}

static void governed_write_refused_with_a_token_that_was_replaced_is_sent_again(void **state)
{
	(void)state;
	check_renewed(write_governed("/api/replaced"), "{\"a\":1}");
}

static void lease_refused_with_a_token_that_was_replaced_is_asked_for_again(void **state)
{
	(void)state;
	check_renewed(get("/apis/coordination.k8s.io/replaced"), "");
}

static void refusal_of_the_new_token_is_told(void **state)
{
	(void)state;
	get("/refused");
	check("/refused", 401, 2);
	ASSERT_TEXT("reason", world.reason, "Unauthorized");
}

static void refusal_of_a_token_that_is_still_the_same_is_told_at_once(void **state)
{
	(void)state;
	write_token("old");
	get("/refused");
	check("/refused", 401, 1);
	unlink(token_file);
	get("/replaced");
	check("/replaced", 401, 1);
	write_token("newest");
	get("/refused");
	ASSERT_TEXT("token", site_of("/refused")->tokens[1], "Bearer newest");
}

/* Twice the window is refused at once, as when a token ends in a crowd: each goes once more, with one look at the file for each.
 */
static void crowd_refused_with_a_token_that_was_replaced_is_sent_again(void **state)
{
	(void)state;
	world.left = 2 * WINDOW_WIDTH;
	for (unsigned i = 0; i < 2 * WINDOW_WIDTH; i++)
		kube_get(world.kube, i % 2 ? "/good" : "/refused", NULL, NULL, on_done, NULL);
	loop_run(world.loop);
	assert_int_equal(world.answers, 2 * WINDOW_WIDTH);
	assert_in_range(site_of("/refused")->asked, WINDOW_WIDTH, 2 * WINDOW_WIDTH);
	assert_int_equal(world.kube->requests.count, 0);
}

static void stop(void *data)
{
	(void)data;
	loop_stop(world.loop);
}

/* More than the window holds wait, and another is answered; a waiting one is canceled, the others go with the client. */
static void waiting_request_holds_up_nobody_and_can_be_canceled(void **state)
{
	uint64_t first = 0;

	(void)state;
	for (unsigned i = 0; i < 2 * WINDOW_WIDTH; i++) {
		uint64_t id = kube_get(world.kube, "/long", NULL, NULL, on_done, NULL);

		first = first ? first : id;
	}
	world.left = 1;
	kube_get(world.kube, "/good", NULL, NULL, on_done, NULL);
	loop_run(world.loop);
	check("/good", 200, 1);
	world.look = timer_new(world.loop, stop, NULL);
	timer_start(world.look, 300);
	loop_run(world.loop);
	assert_int_equal(site_of("/long")->asked, 2 * WINDOW_WIDTH);
	assert_int_equal(world.kube->window.in_flight, 0);
	kube_cancel(world.kube, first);
	assert_int_equal(world.kube->requests.count, 2 * WINDOW_WIDTH - 1);
	assert_int_equal(world.answers, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(request_sent_away_is_sent_again_after_its_time, begin, end),
		cmocka_unit_test_setup_teardown(request_is_sent_again_five_times_at_most, begin, end),
		cmocka_unit_test_setup_teardown(refusal_that_names_no_time_is_told_at_once, begin, end),
		cmocka_unit_test_setup_teardown(read_that_broke_on_its_way_is_sent_again, begin, end),
		cmocka_unit_test_setup_teardown(read_of_a_server_that_is_away_is_told_at_once, begin, end),
		cmocka_unit_test_setup_teardown(write_of_our_books_is_sent_again_whole_if_nothing_was_done, begin, end),
		cmocka_unit_test_setup_teardown(answer_to_a_write_of_our_books_is_metadata_but_a_review_is_whole, begin, end),
		cmocka_unit_test_setup_teardown(write_of_which_nobody_knows_is_not_sent_again, begin, end),
		cmocka_unit_test_setup_teardown(governed_write_and_lease_are_sent_once, begin, end),
		cmocka_unit_test_setup_teardown(governed_write_after_a_broken_connection_waits_until_the_cluster_is_known, begin, end),
		cmocka_unit_test_setup_teardown(governed_write_that_waits_when_the_process_ends_is_not_sent, begin, end),
		cmocka_unit_test_setup_teardown(governed_write_whose_lease_is_over_when_its_connection_is_made_is_not_sent, begin, end),
		cmocka_unit_test_setup_teardown(without_a_leader_a_broken_connection_holds_nothing, begin, end),
		cmocka_unit_test_setup_teardown(waiting_request_holds_up_nobody_and_can_be_canceled, begin, end),
		cmocka_unit_test_setup_teardown(read_refused_with_a_token_that_was_replaced_is_sent_again,
						begin_with_replaced_token, end_with_token),
		cmocka_unit_test_setup_teardown(write_of_our_books_refused_with_a_token_that_was_replaced_is_sent_again,
						begin_with_replaced_token, end_with_token),
		cmocka_unit_test_setup_teardown(governed_write_refused_with_a_token_that_was_replaced_is_sent_again,
						begin_with_replaced_token, end_with_token),
		cmocka_unit_test_setup_teardown(lease_refused_with_a_token_that_was_replaced_is_asked_for_again,
						begin_with_replaced_token, end_with_token),
		cmocka_unit_test_setup_teardown(refusal_of_the_new_token_is_told, begin_with_replaced_token, end_with_token),
		cmocka_unit_test_setup_teardown(refusal_of_a_token_that_is_still_the_same_is_told_at_once,
						begin_with_replaced_token, end_with_token),
		cmocka_unit_test_setup_teardown(crowd_refused_with_a_token_that_was_replaced_is_sent_again,
						begin_with_replaced_token, end_with_token),
	};

	return cmocka_run_group_tests(tests, start_server, NULL);
}
