/* gate/images.h: every position that a kubelet would run an image from, and nothing else. */
#include "unit.h"

#include "gate/images.h"
#include "base/jsonpath.h"

#define POD "'containers':[{'name':'c','image':'a'}]"

static const struct custom_path custom_list[] = { { "x.example", "Widget", "{.spec.runner}" }, { "x.example", "Widget", ".spec.sets[*].img" } };
static const struct custom_paths custom = { custom_list, 2 };

static void finds_every_image_position(void **state)
{
	static const struct { const char *name, *object, *found; } cases[] = {
		{ "pod", "{'kind':'Pod','spec':{" POD "}}", "a@/spec/containers/0/image;" },
		{ "deployment", "{'kind':'Deployment','spec':{'template':{'spec':{" POD "}}}}", "a@/spec/template/spec/containers/0/image;" },
		{ "cron job", "{'kind':'CronJob','spec':{'jobTemplate':{'spec':{'template':{'spec':{" POD "}}}}}}",
		  "a@/spec/jobTemplate/spec/template/spec/containers/0/image;" },
		{ "init, sidecar and ephemeral",
		  "{'spec':{'initContainers':[{'name':'i','image':'b','restartPolicy':'Always'}],'ephemeralContainers':[{'name':'e','image':'d'}]}}",
		  "b@/spec/initContainers/0/image;d@/spec/ephemeralContainers/0/image;" },
		{ "image volume", "{'spec':{'volumes':[{'name':'v','image':{'reference':'r'}},{'name':'w','emptyDir':{}}]}}",
		  "r@/spec/volumes/0/image/reference;" },
		{ "pod template", "{'kind':'PodTemplate','template':{'spec':{" POD "}}}", "a@/template/spec/containers/0/image;" },
		{ "PodSpec shape deep in a custom resource", "{'kind':'X','spec':{'a':[{'b':{'podSpec':{" POD "}}}]}}",
		  "a@/spec/a/0/b/podSpec/containers/0/image;" },
		{ "lone init containers", "{'kind':'X','spec':{'p':{'initContainers':[{'image':'z'}]}}}", "z@/spec/p/initContainers/0/image;" },
		{ "custom paths", "{'apiVersion':'x.example/v1','kind':'Widget','spec':{'runner':'q','sets':[{'img':'r'},{'img':'s'}]}}",
		  "q@/spec/runner;r@/spec/sets/0/img;s@/spec/sets/1/img;" },
		{ "custom paths of another group", "{'apiVersion':'y.example/v1','kind':'Widget','spec':{'runner':'q'}}", "" },
		{ "items of a List", "{'kind':'List','items':[{'spec':{" POD "}}]}", "a@/items/0/spec/containers/0/image;" },
		{ "root containers", "{'kind':'X'," POD "}", "a@/containers/0/image;" },
		{ "config map", "{'kind':'ConfigMap','data':{'image':'nginx','containers':'x'}}", "" },
		{ "names, not containers", "{'kind':'X','spec':{'containers':['a','b']}}", "" },
		{ "managed fields are no containers", "{'metadata':{'x':{" POD "}}}", "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		WITH_ARENA(arena);
		CLEANUP(str_release) struct str found = STR_INIT;
		struct image_use *uses;
		size_t count;

		gate_find_images(J(arena, cases[i].object), &custom, arena, &uses, &count);
		for (size_t k = 0; k < count; k++)
			str_addf(&found, "%s@%s;", uses[k].image, uses[k].pointer);
		ASSERT_TEXT(cases[i].name, str_c(&found), cases[i].found);
	}
}

static void a_container_without_a_usable_image_is_told_not_passed_over(void **state)
{
	static const struct { const char *object, *problem; } cases[] = {
		{ "{'spec':{'containers':[{'name':'c'}]}}", "has no image" },
		{ "{'spec':{'containers':[{'name':'c','image':''}]}}", "has an empty image" },
		{ "{'spec':{'containers':[{'name':'c','image':7}]}}", "has an image that is a number, not a string" },
		{ "{'spec':{'volumes':[{'name':'c','image':{}}]}}", "has no image" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		WITH_ARENA(arena);
		struct image_use *uses;
		size_t count;

		gate_find_images(J(arena, cases[i].object), NULL, arena, &uses, &count);
		assert_int_equal(count, 1);
		ASSERT_TEXT(cases[i].object, uses[0].problem, cases[i].problem);
		assert_null(uses[0].value);
	}
}

static void a_container_of_a_custom_resource_may_leave_its_image_to_the_operator(void **state)
{
	static const char *const left_out[] = {
		"{'apiVersion':'elasticsearch.k8s.elastic.co/v1','spec':{'nodeSets':[{'podTemplate':{'spec':{'containers':[{'name':'c'}]}}}]}}",
		"{'apiVersion':'x.example/v1','spec':{'initContainers':[{'name':'c','image':null}]}}",
		"{'apiVersion':'x.example/v1','spec':{'containers':[{'name':'c','image':''}],'volumes':[{'name':'v','image':{}}]}}",
	};
	static const struct { const char *object, *problem; } told[] = {
		{ "{'apiVersion':'x.example/v1','spec':{'containers':[{'name':'c','image':7}]}}", "has an image that is a number, not a string" },
		{ "{'apiVersion':'apps/v1','spec':{'containers':[{'name':'c'}]}}", "has no image" },
		{ "{'apiVersion':'node.k8s.io/v1','spec':{'containers':[{'name':'c'}]}}", "has no image" },
	};
	WITH_ARENA(arena);
	struct image_use *uses;
	size_t count;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(left_out); i++) {
		gate_find_images(J(arena, left_out[i]), NULL, arena, &uses, &count);
		if (count)
			fail_msg("%s: %s", left_out[i], uses[0].problem);
	}
	for (size_t i = 0; i < COUNT_OF(told); i++) {
		gate_find_images(J(arena, told[i].object), NULL, arena, &uses, &count);
		assert_int_equal(count, 1);
		ASSERT_TEXT(told[i].object, uses[0].problem, told[i].problem);
	}
	gate_find_images(J(arena, "{'apiVersion':'x.example/v1','spec':{'containers':[{'name':'c'},{'name':'d','image':'a'}]}}"), NULL, arena, &uses,
			 &count);
	assert_int_equal(count, 1);
	ASSERT_TEXT("the other container", uses[0].pointer, "/spec/containers/1/image");
}

static void a_path_that_cannot_be_understood_is_a_problem_of_each_object_of_its_kind(void **state)
{
	WITH_ARENA(arena);
	static const struct custom_path list[] = { { "x.example", "Widget", ".spec.sets[?(@.on)].img" } };
	static const struct custom_paths paths = { list, 1 };
	struct image_use *uses;
	size_t count;

	(void)state;
	gate_find_images(J(arena, "{'apiVersion':'x.example/v1','kind':'Widget','spec':{'sets':[]}}"), &paths, arena, &uses, &count);
	assert_int_equal(count, 1);
	assert_non_null(uses[0].problem);
	ASSERT_TEXT("the path", uses[0].container, list[0].path);
	assert_null(uses[0].value);
	gate_find_images(J(arena, "{'apiVersion':'x.example/v1','kind':'Gadget','spec':{'sets':[]}}"), &paths, arena, &uses, &count);
	assert_int_equal(count, 0);
}

static void images_digest_changes_with_any_image_and_is_zero_without(void **state)
{
	WITH_ARENA(arena);
	struct digest a = gate_images_digest(J(arena, "{'spec':{" POD "}}"), NULL, arena);
	struct digest b = gate_images_digest(J(arena, "{'spec':{'containers':[{'name':'c','image':'a'},{'name':'d','image':'e'}]}}"), NULL, arena);
	struct digest none = gate_images_digest(J(arena, "{'spec':{}}"), NULL, arena);

	(void)state;
	assert_false(digest_equal(&a, &b));
	assert_true(digest_is_zero(&none));
}

static void on_value(void *data, struct json *value, struct span pointer)
{
	str_addf(data, "%s@%.*s;", json_text(value) ? json_text(value) : "-", SPAN_ARG(pointer));
}

static void jsonpath_finds(void **state)
{
	static const struct { const char *path, *found; } cases[] = {
		{ "{.a.b}", "x@/a/b;" }, { ".a.b", "x@/a/b;" }, { "a.b", "x@/a/b;" }, { "$.a.b", "x@/a/b;" },
		{ ".l[0].i", "1@/l/0/i;" }, { ".l[*].i", "1@/l/0/i;2@/l/1/i;" }, { ".l[9].i", "" },
		{ "['odd.key']", "y@/odd.key;" }, { ".a[\"b\"]", "x@/a/b;" }, { ".a.*", "x@/a/b;" },
	};
	static const char *const invalid[] = { "", "{}", ".", ".a[", ".a[?(@.x)]", "..a", ".a[0", "{.a", ".a['x]",
						  ".l[-1].i", ".a['b','c']", ".a[\"b\",\"c\"]", ".l[0,1].i" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		WITH_ARENA(arena);
		CLEANUP(str_release) struct str found = STR_INIT;

		assert_true(jsonpath_valid(span_of(cases[i].path)));
		jsonpath_each(span_of(cases[i].path), J(arena, "{'a':{'b':'x'},'l':[{'i':'1'},{'i':'2'}],'odd.key':'y'}"), on_value, &found);
		ASSERT_TEXT(cases[i].path, str_c(&found), cases[i].found);
	}
	for (size_t i = 0; i < COUNT_OF(invalid); i++)
		if (jsonpath_valid(span_of(invalid[i])))
			fail_msg("accepted: %s", invalid[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_every_image_position),
		cmocka_unit_test(a_container_without_a_usable_image_is_told_not_passed_over),
		cmocka_unit_test(a_container_of_a_custom_resource_may_leave_its_image_to_the_operator),
		cmocka_unit_test(a_path_that_cannot_be_understood_is_a_problem_of_each_object_of_its_kind),
		cmocka_unit_test(images_digest_changes_with_any_image_and_is_zero_without),
		cmocka_unit_test(jsonpath_finds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
