/* Watches of kinds: one that nobody needs any more ends, and no other. */
#include "unit.h"

#include "base/clock.h"
#include "kube/watch.h"
#include "reconcile/core.h"

static int64_t now_ms = 1000;
static unsigned began, ended;

static int64_t fake_now(void)
{
	return now_ms;
}

static struct watch *fake_new(struct kube *kube, struct loop *loop, const char *path, const char *selector, bool metadata, const char *as,
			      const struct watch_handler *handler, void *data)
{
	(void)kube, (void)loop, (void)path, (void)selector, (void)metadata, (void)as, (void)handler, (void)data;
	began++;
	return mem_alloc(1);
}

static void fake_free(struct watch *watch)
{
	ended += watch != NULL;
	free(watch);
}

static bool fake_listed(const struct watch *watch)
{
	(void)watch;
	return true;
}

#define clock_mono_ms fake_now
#define watch_new fake_new
#define watch_free fake_free
#define watch_listed fake_listed
#include "reconcile/live_watch.c"
#undef clock_mono_ms
#undef watch_new
#undef watch_free
#undef watch_listed

static const struct kube_kind maps = { "", "v1", "ConfigMap", "configmaps", true, false, true, true },
			      secrets = { "", "v1", "Secret", "secrets", true, false, true, true },
			      widgets = { "x.example", "v1", "Widget", "widgets", true, false, true, true };

static void want(struct live *live, const struct kube_kind *kind, const char *namespace)
{
	struct error err = ERROR_INIT;

	assert_int_equal(live_want(live, kind, namespace, "cs:applier", &err), LIVE_LISTED);
}

static void watch_of_which_nothing_is_left_ends_and_no_other(void **state)
{
	static const struct core_options options = { .namespace = "cs" };
	struct core core = { .options = &options, .loop = loop_new() };
	struct live *live = live_new(&core);
	struct app *app = (struct app *)&core;       /* never looked into */

	(void)state;
	want(live, &maps, "shop");
	want(live, &secrets, "preview");
	want(live, &secrets, "shop");
	want(live, &widgets, "shop");
	assert_int_equal(began, 4);
	/* one stands in an inventory, and one is there */
	live_hold(live, "/Secret/shop/s", app);
	live_exists(live, "/ConfigMap/other/c");
	sweep(live);
	assert_int_equal(ended, 0);
	now_ms += UNUSED_MS;
	want(live, &widgets, "shop");
	sweep(live);
	assert_int_equal(ended, 1);
	live_hold(live, "/Secret/shop/s", NULL);
	now_ms += UNUSED_MS;
	sweep(live);
	assert_int_equal(ended, 3);
	want(live, &secrets, "preview");
	assert_int_equal(began, 5);
	live_free(live);
	assert_int_equal(ended, 5);
	loop_free(core.loop);
}

static void kind_that_can_only_be_created_is_not_watched_and_no_right_is_advised(void **state)
{
	static const struct core_options options = { .namespace = "cs" };
	static const struct kube_kind bindings = { "", "v1", "Binding", "bindings", true, false, true, false };
	struct core core = { .options = &options, .loop = loop_new() };
	struct live *live = live_new(&core);
	struct error err = ERROR_INIT;

	(void)state;
	began = 0;
	assert_int_equal(live_want(live, &bindings, "shop", "cs:applier", &err), LIVE_FAILED);
	assert_int_equal(err.kind, ERROR_INVALID);
	ASSERT_TEXT("text", err.text, "the API server lets nobody list and watch bindings.core, so it cannot be kept as Git says: take it out of Git");
	assert_int_equal(began, 0);
	live_free(live);
	loop_free(core.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(watch_of_which_nothing_is_left_ends_and_no_other),
					    cmocka_unit_test(kind_that_can_only_be_created_is_not_watched_and_no_right_is_advised) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
