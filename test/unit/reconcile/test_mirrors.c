/* Mirrors that nobody wants, in a real folder. */
#include "reconcile/mirrors.c" /* its timer is its own */

#include <unistd.h>

#include "unit.h"

static struct world {
	char folder[64];
	struct loop *loop;
	struct mirrors *mirrors;
	const char *wanted;
	bool known;
} world;

static bool is_wanted(void *data, struct span name)
{
	(void)data;
	return span_is(name, world.wanted);
}

static bool is_known(void *data)
{
	(void)data;
	return world.known;
}

static void make(const char *name)
{
	CLEANUP(str_release) struct str path = STR_INIT;

	str_addf(&path, "%s/%s/mirror/git", world.folder, name);
	assert_int_equal(dir_make(str_c(&path), NULL), 0);
	str_adds(&path, "/HEAD");
	assert_int_equal(file_write(str_c(&path), SPAN("ref"), 0400, NULL), 0);
}

static bool stands(const char *name)
{
	CLEANUP(str_release) struct str path = STR_INIT;

	str_addf(&path, "%s/%s", world.folder, name);
	return file_exists(str_c(&path));
}

static int begin(void **state)
{
	(void)state;
	world = (struct world){ .loop = loop_new(), .wanted = "a", .known = true };
	snprintf(world.folder, sizeof(world.folder), "/tmp/test_mirrors.%d", getpid());
	make("a");
	make("b");
	world.mirrors = mirrors_new(world.loop, &(struct mirrors_of){ world.folder, is_wanted, is_known, NULL });
	return 0;
}

static int end(void **state)
{
	(void)state;
	assert_true(timer_running(world.mirrors->timer));
	mirrors_free(world.mirrors);
	loop_free(world.loop);
	assert_int_equal(dir_remove(world.folder, NULL), 0);
	assert_int_equal(dir_remove(world.folder, NULL), 0);
	return 0;
}

static void mirror_goes_when_nobody_wanted_it_at_two_looks(void **state)
{
	(void)state;
	on_timer(world.mirrors);
	assert_true(stands("b"));
	on_timer(world.mirrors);
	assert_false(stands("b"));
	assert_true(stands("a"));
}

static void mirror_that_is_wanted_again_stays(void **state)
{
	(void)state;
	on_timer(world.mirrors);
	world.wanted = "b";
	on_timer(world.mirrors);
	assert_true(stands("a") && stands("b"));
	world.wanted = "a";
	on_timer(world.mirrors);
	assert_true(stands("b"));
}

static void nothing_goes_before_all_applications_are_known(void **state)
{
	(void)state;
	on_timer(world.mirrors);
	world.known = false;
	on_timer(world.mirrors);
	world.known = true;
	on_timer(world.mirrors);
	assert_true(stands("b"));
}

static void what_a_link_leads_to_stays(void **state)
{
	char outside[96], link[96];

	(void)state;
	snprintf(outside, sizeof(outside), "%s/a", world.folder);
	snprintf(link, sizeof(link), "%s/b/link", world.folder);
	assert_int_equal(symlink(outside, link), 0);
	on_timer(world.mirrors);
	on_timer(world.mirrors);
	assert_false(stands("b"));
	assert_true(stands("a/mirror/git/HEAD"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(mirror_goes_when_nobody_wanted_it_at_two_looks, begin, end),
		cmocka_unit_test_setup_teardown(mirror_that_is_wanted_again_stays, begin, end),
		cmocka_unit_test_setup_teardown(nothing_goes_before_all_applications_are_known, begin, end),
		cmocka_unit_test_setup_teardown(what_a_link_leads_to_stays, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
