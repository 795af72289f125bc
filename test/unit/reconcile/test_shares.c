/* Who holds many places leaves as many; who has none gets one; who waits is served in order. */
#include "unit.h"

#include "base/mem.h"
#include "base/str.h"
#include "reconcile/shares.h"

#define PLACES 24

static struct shares *shares;
static char begun[512];

static int begin(void **state)
{
	(void)state;
	shares = shares_new(PLACES);
	begun[0] = '\0';
	return 0;
}

static int end(void **state)
{
	(void)state;
	shares_free(shares);
	return 0;
}

static void on_begin(void *data)
{
	strcat(begun, data);
}

static void take(const char *owner, const char *what, unsigned times)
{
	while (times--)
		shares_take(shares, owner, on_begin, (void *)(uintptr_t)what);
}

static void begun_is(const char *want)
{
	ASSERT_TEXT("begun", begun, want);
	begun[0] = '\0';
}

static void owner_has_no_more_than_he_leaves(void **state)
{
	(void)state;
	take("red", "r", 100);
	begun_is("rrrrrrrrrrrr");
	take("blue", "b", 100);
	begun_is("bbbbbb");
	take("green", "g", 100);
	begun_is("ggg");
	take("good", "!", 1);
	begun_is("!");
	take("better", "?", 1);
	begun_is("?");
	assert_int_equal(shares_of(shares, "red"), 100);
	assert_int_equal(shares_of(shares, "nobody"), 0);
}

static void place_that_is_given_back_goes_to_the_first_who_may_have_it(void **state)
{
	(void)state;
	take("red", "r", 13);
	take("blue", "b", 7);
	begun_is("rrrrrrrrrrrrbbbbbb");
	/* red has his share still */
	shares_give(shares, "blue");
	begun_is("b");
	for (unsigned i = 0; i < 6; i++)
		shares_give(shares, "blue");
	begun_is("");
	shares_give(shares, "red");
	begun_is("r");
	for (unsigned i = 0; i < 12; i++)
		shares_give(shares, "red");
	begun_is("");
	assert_int_equal(shares_of(shares, "red") + shares_of(shares, "blue"), 0);
	take("red", "r", 1);
	begun_is("r");
}

static void own_ones_are_served_in_order(void **state)
{
	(void)state;
	take("red", "-", 12);
	take("red", "1", 1);
	take("red", "2", 1);
	begun_is("------------");
	shares_give(shares, "red");
	shares_give(shares, "red");
	begun_is("12");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(owner_has_no_more_than_he_leaves),
		TEST(place_that_is_given_back_goes_to_the_first_who_may_have_it),
		TEST(own_ones_are_served_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
