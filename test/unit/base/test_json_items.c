/* The elements of one array, cut out of an object's text. */
#include "unit.h"

#include "base/json_items.h"

/* "rest|one|two|", or "BadJSON" where the object or an element of the array is none. */
static const char *cut(const char *text, struct str *out)
{
	CLEANUP(str_release) struct str rest = STR_INIT;
	struct error err = ERROR_INIT;
	struct span items, item;

	str_reset(out);
	if (json_cut_items(span_of(text), "items", &rest, &items, &err))
		return "BadJSON";
	str_addf(out, "%s|", str_c(&rest));
	while (json_next_item(&items, &item, &err))
		str_addf(out, "%.*s|", SPAN_ARG(item));
	return err.reason[0] ? "BadJSON" : str_c(out);
}

static void elements_are_told_one_by_one_and_the_rest_is_whole(void **state)
{
	CLEANUP(str_release) struct str out = STR_INIT;

	(void)state;
	assert_string_equal(cut("{\"a\":1,\"items\":[{\"b\":[1,{}]},{\"c\":\"}],{\\\"\"}],\"d\":2}", &out),
			    "{\"a\":1,\"items\":[],\"d\":2}|{\"b\":[1,{}]}|{\"c\":\"}],{\\\"\"}|");
	assert_string_equal(cut(" { \"items\" : [ 1 , \"x\" ,\n[2] ] } ", &out), " { \"items\" : [] } |1|\"x\"|[2]|");
	assert_string_equal(cut("{\"items\":[]}", &out), "{\"items\":[]}|");
	assert_string_equal(cut("{\"items\":[ ]}", &out), "{\"items\":[]}|");
}

static void only_the_array_at_the_top_is_cut_out(void **state)
{
	CLEANUP(str_release) struct str out = STR_INIT;

	(void)state;
	assert_string_equal(cut("{\"a\":{\"items\":[1]}}", &out), "{\"a\":{\"items\":[1]}}|");
	assert_string_equal(cut("{\"items\":null}", &out), "{\"items\":null}|");
	assert_string_equal(cut("{\"x\":\"items\",\"items\":[1],\"items\":[2]}", &out), "{\"x\":\"items\",\"items\":[],\"items\":[2]}|1|");
	assert_string_equal(cut("{}", &out), "{}|");
}

static void what_does_not_end_or_is_no_object_is_refused(void **state)
{
	static const char *const bad[] = { "", " ", "[]", "1", "{", "{\"items\":[1}", "{\"items\":[1]", "{\"items\"", "{\"items\":", "{\"items\":[\"a]}",
					   "{\"items\":[{]}", "{\"a\"}", "{\"a\":}", "{} x", "{\"items\":[1 2]}", "{\"items\":[1,]}", "{\"items\":[,1]}",
					   "{\"items\":[\"a\\" };
	CLEANUP(str_release) struct str out = STR_INIT;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_string_equal(cut(bad[i], &out), "BadJSON");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(elements_are_told_one_by_one_and_the_rest_is_whole),
		cmocka_unit_test(only_the_array_at_the_top_is_cut_out),
		cmocka_unit_test(what_does_not_end_or_is_no_object_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
