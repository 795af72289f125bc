/* Objects read again: what fails is asked again, and an answer that was overtaken is not believed. */
#include "unit.h"

#include "io/loop.h"
#include "kube/client.h"

/* A client whose one request the test answers when it likes. */
static struct {
	unsigned asked, canceled;
	kube_done *on_done;
	void *data;
} server;

static uint64_t fake_get(struct kube *kube, const char *path, const char *accept, const char *as, kube_done *on_done, void *data)
{
	(void)kube, (void)path, (void)accept, (void)as;
	server.asked++;
	server.on_done = on_done;
	server.data = data;
	return server.asked;
}

static void fake_cancel(struct kube *kube, uint64_t id)
{
	(void)kube, (void)id;
	server.canceled++;
}

#define kube_get fake_get
#define kube_cancel fake_cancel
#include "reconcile/fetches.c"
#undef kube_get
#undef kube_cancel

static struct { bool kind_gone; unsigned found, gone; struct loop *loop; struct fetches *fetches; } world;

static void on_found(void *data, const struct json *object, const char *group, const char *kind)
{
	(void)data, (void)object;
	ASSERT_TEXT("group", group, "apps");
	ASSERT_TEXT("kind", kind, "Deployment");
	world.found++;
}

static void on_gone(void *data, const char *key)
{
	(void)data;
	ASSERT_TEXT("key", key, "apps/Deployment/shop/web");
	world.gone++;
}

static bool is_kind_gone(void *data, const char *group, const char *kind)
{
	(void)data;
	ASSERT_TEXT("group", group, "apps");
	ASSERT_TEXT("kind", kind, "Deployment");
	return world.kind_gone;
}

static const struct fetch_of web = { "apps/Deployment/shop/web", "/apis/apps/v1/namespaces/shop/deployments/web", "apps", "Deployment", NULL };

static int begin(void **state)
{
	static const struct fetches_handler handler = { on_found, on_gone, is_kind_gone };

	(void)state;
	memset(&server, 0, sizeof(server));
	memset(&world, 0, sizeof(world));
	world.loop = loop_new();
	world.fetches = fetches_new(NULL, world.loop, &handler, NULL);
	return 0;
}

static int end(void **state)
{
	(void)state;
	fetches_free(world.fetches);
	loop_free(world.loop);
	return 0;
}

static void refuse(int status, enum error_kind kind, const char *reason)
{
	struct error err = ERROR_INIT;
	struct kube_answer out = { .status = status, .retry_after_ms = -1, .err = status == 200 ? NULL : &err };

	error_set(&err, kind, reason, "status %d", status);
	server.on_done(server.data, &out);
}

static void answer(int status, enum error_kind kind)
{
	refuse(status, kind, status == 404 ? "NotFound" : "X");
}

static struct fetch *fetch_of_web(void)
{
	return map_get(&world.fetches->all, span_of(web.key));
}

static void object_is_read_once_and_told_once(void **state)
{
	(void)state;
	fetches_ask(world.fetches, &web);
	answer(200, 0);
	assert_int_equal(server.asked, 1);
	assert_int_equal(world.found, 1);
	assert_null(fetch_of_web());
	fetches_ask(world.fetches, &web);
	answer(404, ERROR_NOT_FOUND);
	assert_int_equal(world.gone, 1);
	assert_null(fetch_of_web());
}

static void read_that_failed_is_asked_again_less_and_less_often(void **state)
{
	int64_t before = 0;

	(void)state;
	fetches_ask(world.fetches, &web);
	for (unsigned i = 1; i <= 20; i++) {
		answer(i % 2 ? 500 : 403, i % 2 ? ERROR_TRANSIENT : ERROR_FORBIDDEN);
		assert_true(timer_running(fetch_of_web()->timer));
		assert_true(fetch_of_web()->wait_ms >= before && fetch_of_web()->wait_ms <= RETRY_MOST_MS);
		before = fetch_of_web()->wait_ms;
		/* an event meanwhile asks for nothing more */
		fetches_ask(world.fetches, &web);
		assert_int_equal(server.asked, i);
		ask(fetch_of_web());
	}
	answer(404, ERROR_NOT_FOUND);
	assert_int_equal(world.gone, 1);
}

/* A version that is served no longer, a server that begins, a proxy in between: the object may be there. */
static void path_that_is_not_served_says_nothing_of_the_object(void **state)
{
	(void)state;
	fetches_ask(world.fetches, &web);
	refuse(404, ERROR_NOT_FOUND, "NotServed");
	assert_int_equal(world.gone, 0);
	assert_true(timer_running(fetch_of_web()->timer));
}

/* Its definition was deleted: nobody would ever answer otherwise. */
static void object_of_a_kind_that_is_gone_is_not_asked_for_for_ever(void **state)
{
	(void)state;
	fetches_ask(world.fetches, &web);
	refuse(404, ERROR_NOT_FOUND, "NotServed");
	world.kind_gone = true;
	ask(fetch_of_web());
	answer(500, ERROR_TRANSIENT);
	assert_int_equal(world.gone, 0);
	ask(fetch_of_web());
	refuse(404, ERROR_NOT_FOUND, "NotServed");
	assert_int_equal(world.gone, 1);
	assert_null(fetch_of_web());
}

/* A 404 from before the object was made again, and an object from before it was deleted. */
static void answer_that_was_overtaken_is_asked_for_again(void **state)
{
	(void)state;
	fetches_ask(world.fetches, &web);
	fetches_outdated(world.fetches, web.key);
	answer(404, ERROR_NOT_FOUND);
	assert_int_equal(server.asked, 2);
	fetches_ask(world.fetches, &web);
	answer(200, 0);
	assert_int_equal(server.asked, 3);
	assert_int_equal(world.gone + world.found, 0);
	answer(200, 0);
	assert_int_equal(world.found, 1);
}

static void nothing_is_told_after_the_end(void **state)
{
	(void)state;
	fetches_ask(world.fetches, &web);
	fetches_free(TAKE(world.fetches));
	assert_int_equal(server.canceled, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(object_is_read_once_and_told_once, begin, end),
		cmocka_unit_test_setup_teardown(read_that_failed_is_asked_again_less_and_less_often, begin, end),
		cmocka_unit_test_setup_teardown(path_that_is_not_served_says_nothing_of_the_object, begin, end),
		cmocka_unit_test_setup_teardown(object_of_a_kind_that_is_gone_is_not_asked_for_for_ever, begin, end),
		cmocka_unit_test_setup_teardown(answer_that_was_overtaken_is_asked_for_again, begin, end),
		cmocka_unit_test_setup_teardown(nothing_is_told_after_the_end, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
