/* diff/: field sets, extras, health, order, ignored fields, patches. */
#include "unit.h"

#include "base/clock.h"
#include "diff/compare.h"
#include "diff/extras.h"
#include "diff/fields.h"
#include "diff/health.h"
#include "diff/ignore.h"
#include "diff/order.h"
#include "diff/patch.h"

/* A Deployment of ours: replicas and container c by us, container s and an annotation by others. */
#define OURS "{'manager':'countersign','operation':'Apply','apiVersion':'apps/v1','fieldsV1':{'f:spec':{'f:replicas':{},'f:template':{'f:spec':{'f:containers':{'k:{\\'name\\':\\'c\\'}':{'.':{},'f:image':{},'f:name':{}}}}}}}}"
#define THEIRS "{'manager':'kubectl-edit','operation':'Update','time':'2026-01-02T00:00:00Z','apiVersion':'apps/v1','fieldsV1':{'f:spec':{'f:template':{'f:spec':{'f:containers':{'k:{\\'name\\':\\'s\\'}':{'.':{},'f:image':{},'f:name':{}}}}}}}}"
#define SPEC "'spec':{'replicas':2,'template':{'spec':{'containers':[{'name':'c','image':'a@1'},{'name':'s','image':'evil'}]}}}"

static struct json *object(struct arena *arena, const char *entries, const char *spec)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	char *fixed;

	str_addf(&text, "{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'name':'d','namespace':'n','uid':'u','resourceVersion':'7',"
		 "'managedFields':[%s]},%s}", entries, spec);
	/* \' inside of keys stands for an escaped double quote */
	fixed = arena_alloc(arena, text.length * 2 + 1);
	for (size_t i = 0, o = 0; i < text.length; i++) {
		if (text.data[i] == '\\' && text.data[i + 1] == '\'') {
			fixed[o++] = '\\';
			fixed[o++] = '"';
			i++;
		} else {
			fixed[o++] = text.data[i];
		}
	}
	return J(arena, fixed);
}

static void owned_digest_moves_with_values_and_with_ownership_only(void **state)
{
	static const struct { const char *name, *entries, *spec; bool same; } cases[] = {
		{ "a foreign field changed", OURS "," THEIRS, "'spec':{'replicas':2,'paused':true,'template':{'spec':{'containers':[{'name':'c','image':'a@1'}]}}}", true },
		{ "items moved", OURS, "'spec':{'replicas':2,'template':{'spec':{'containers':[{'name':'s','image':'evil'},{'name':'c','image':'a@1'}]}}}", true },
		{ "a declared value changed", OURS, "'spec':{'replicas':3,'template':{'spec':{'containers':[{'name':'c','image':'a@1'}]}}}", false },
		{ "a declared item went", OURS, "'spec':{'replicas':2,'template':{'spec':{'containers':[{'name':'s','image':'evil'}]}}}", false },
		{ "the entry was wiped", THEIRS, SPEC, false },
		{ "the entry was forged smaller", "{'manager':'countersign','operation':'Apply','fieldsV1':{'f:spec':{'f:replicas':{}}}}", SPEC, false },
		{ "an Update entry of our name is not ours", "{'manager':'countersign','operation':'Update','fieldsV1':{'f:spec':{'f:replicas':{}}}}", SPEC, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		WITH_ARENA(arena);
		struct digest before = fields_digest(object(arena, OURS, SPEC));
		struct digest after = fields_digest(object(arena, cases[i].entries, cases[i].spec));

		assert_false(digest_is_zero(&before));
		if (digest_equal(&before, &after) != cases[i].same)
			fail_msg("%s", cases[i].name);
	}
}

/* Inventories hold it: made another way, all that runs would look drifted after an upgrade. */
static void owned_digest_is_what_it_was(void **state)
{
	WITH_ARENA(arena);
	struct digest digest = fields_digest(object(arena, "{'manager':'countersign','operation':'Apply','fieldsV1':{'f:spec':{'f:gone':{},"
		"'f:replicas':{},'f:template':{'f:spec':{'f:containers':{'k:{\\'name\\':\\'c\\'}':{'.':{},'f:image':{},'f:name':{}}}}}}}}", SPEC));
	char hex[DIGEST_HEX];

	(void)state;
	digest_hex(&digest, hex);
	assert_string_equal(hex, "78a15cea7733b04061e6cb52a1c6fedd171fe0035c5705ddb86801b8dfdcfa2a");
}

static void extras_name_path_manager_and_time(void **state)
{
	WITH_ARENA(arena);
	struct extra *extras;
	size_t count, more;

	(void)state;
	extras_find(object(arena, OURS "," THEIRS, SPEC), arena, &extras, &count, &more);
	assert_int_equal(count, 1);
	ASSERT_TEXT("path", extras[0].path, "/spec/template/spec/containers/1");
	ASSERT_TEXT("manager", extras[0].manager, "kubectl-edit");
	ASSERT_TEXT("time", extras[0].time, "2026-01-02T00:00:00Z");
}

static void notes_of_the_control_plane_are_no_extras(void **state)
{
	static const char *const entries[] = {
		"{'manager':'kube-controller-manager','operation':'Update','subresource':'status','fieldsV1':{'f:status':{'f:replicas':{}}}}",
		"{'manager':'kube-controller-manager','operation':'Update','fieldsV1':{'f:metadata':{'f:annotations':{'.':{},'f:deployment.kubernetes.io/revision':{}}}}}",
		"{'manager':'countersign','operation':'Update','fieldsV1':{'f:spec':{'f:paused':{}}}}",
		"{'manager':'countersign-released','operation':'Apply','fieldsV1':{'f:spec':{'f:paused':{}}}}",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(entries); i++) {
		WITH_ARENA(arena);
		struct json *live = object(arena, entries[i], "'spec':{'paused':true},'status':{'replicas':1}");
		struct extra *extras;
		size_t count, more;

		json_set(arena, json_get(live, "metadata"), "annotations", J(arena, "{'deployment.kubernetes.io/revision':'1'}"));
		extras_find(live, arena, &extras, &count, &more);
		if (count)
			fail_msg("%s: %s", entries[i], extras[0].path);
	}
}

#define MANY 20000u

/* An object with a map, a list by keys and a list by values, each with `count` members of ours, and the last of each with `last`
 * in it. */
static struct json *large_object(struct arena *arena, unsigned count, const char *last)
{
	CLEANUP(str_release) struct str text = STR_INIT, map = STR_INIT, keyed = STR_INIT, values = STR_INIT;

	str_adds(&text, "{\"apiVersion\":\"v1\",\"kind\":\"X\",\"metadata\":{\"managedFields\":[{\"manager\":\"countersign\","
			"\"operation\":\"Apply\",\"fieldsV1\":{");
	for (unsigned i = 0; i < count; i++) {
		str_addf(&map, "%s\"f:a%06u\":{}", i ? "," : "", i);
		str_addf(&keyed, "%s\"k:{\\\"port\\\":%u}\":{\"f:image\":{}}", i ? "," : "", i);
		str_addf(&values, "%s\"v:%u\":{}", i ? "," : "", i);
	}
	str_addf(&text, "\"f:map\":{%s},\"f:keyed\":{%s},\"f:values\":{%s}}}]}", str_c(&map), str_c(&keyed), str_c(&values));
	str_reset(&map);
	str_reset(&keyed);
	str_reset(&values);
	for (unsigned i = 0; i < count; i++) {
		const char *value = i + 1 == count ? last : "v";

		str_addf(&map, "%s\"a%06u\":\"%s\"", i ? "," : "", i, value);
		str_addf(&keyed, "%s{\"image\":\"%s\",\"port\":%u}", i ? "," : "", value, i);
		str_addf(&values, "%s%u", i ? "," : "", *value == 'v' ? i : 1000000 + i);
	}
	str_addf(&text, ",\"map\":{%s},\"keyed\":[%s],\"values\":[%s]}", str_c(&map), str_c(&keyed), str_c(&values));
	return J(arena, str_c(&text));
}

static void digest_of_many_fields_is_not_quadratic(void **state)
{
	WITH_ARENA(arena);
	const struct json *large = large_object(arena, MANY, "v");
	int64_t start = clock_mono_ms();
	struct digest digest = fields_digest(large), other;
	struct json *desired = json_copy(arena, large);
	struct extra *extras;
	size_t count, more;

	(void)state;
	json_remove(desired, "metadata");
	extras_find(large, arena, &extras, &count, &more);
	assert_int_equal(count, 0);
	assert_true(compare_is_applied(desired, large));
	assert_true(json_equal(large, large));
	assert_true(clock_mono_ms() - start < 5000);
	other = fields_digest(large_object(arena, MANY, "w"));
	assert_false(digest_equal(&digest, &other));
}

/* Long lists are searched in another way than short ones, with one result. */
static void items_of_long_lists_are_found_as_those_of_short_ones(void **state)
{
	static const unsigned counts[] = { 3, 24, 25, 60 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(counts); i++) {
		WITH_ARENA(arena);
		struct json *large = large_object(arena, counts[i], "v");
		struct fields_steps keyed = { .value = json_get(large, "keyed") },
				    values = { .value = json_get(large, "values") };
		static const char *const absent[] = { "k:{\"port\":99}",
						      "k:{\"other\":1}",
						      "k:{\"image\":\"v\",\"port\":99}",
						      "k:[",
						      "k:7",
						      "v:99",
						      "v:\"1\"",
						      "x:1",
						      "i:99" };
		ptrdiff_t at;

		assert_ptr_equal(fields_steps_to(&keyed, SPAN("k:{\"port\":2}"), &at), json_at(keyed.value, 2));
		assert_int_equal(at, 2);
		assert_ptr_equal(fields_steps_to(&keyed, SPAN("k:{\"image\":\"v\",\"port\":1}"), &at), json_at(keyed.value, 1));
		assert_ptr_equal(fields_steps_to(&keyed, SPAN("k:{\"image\":\"v\"}"), &at), json_at(keyed.value, 0));
		assert_ptr_equal(fields_steps_to(&keyed, SPAN("v:{\"port\":1,\"image\":\"v\"}"), &at), json_at(keyed.value, 1));
		assert_ptr_equal(fields_steps_to(&keyed, SPAN("i:1"), &at), json_at(keyed.value, 1));
		assert_ptr_equal(fields_steps_to(&values, SPAN("v:2"), &at), json_at(values.value, 2));
		for (size_t k = 0; k < COUNT_OF(absent); k++) {
			ASSERT_TEXT(absent[k], json_type_name(fields_steps_to(&keyed, span_of(absent[k]), &at)), "absent");
			ASSERT_TEXT(absent[k], json_type_name(fields_steps_to(&values, span_of(absent[k]), &at)), "absent");
		}
		fields_steps_release(&keyed);
		fields_steps_release(&values);
	}
}

static void drift_is_attributed_to_who_holds_the_field(void **state)
{
	WITH_ARENA(arena);
	struct json *live = object(arena, OURS ",{'manager':'kubectl-patch','operation':'Update','time':'2026-01-03T00:00:00Z','fieldsV1':{'f:spec':{'f:replicas':{}}}}",
				   "'spec':{'replicas':9}");
	struct extra who;

	(void)state;
	assert_true(drift_attribution(live, J(arena, "{'spec':{'replicas':2}}"), arena, &who));
	ASSERT_TEXT("path", who.path, "/spec/replicas");
	ASSERT_TEXT("manager", who.manager, "kubectl-patch");
}

static void who_only_noted_the_status_is_not_blamed(void **state)
{
	WITH_ARENA(arena);
	struct json *live = object(arena, OURS "," THEIRS ",{'manager':'kube-controller-manager','operation':'Update','subresource':'status',"
				   "'time':'2030-01-01T00:00:00Z','fieldsV1':{'f:status':{'f:replicas':{}}}}", SPEC);
	struct extra who;

	(void)state;
	assert_true(extras_who(live, "", arena, &who));
	ASSERT_TEXT("manager", who.manager, "kubectl-edit");
	assert_true(extras_who(live, "/spec/template/spec/containers/1", arena, &who));
	ASSERT_TEXT("manager of the container", who.manager, "kubectl-edit");
}

static void strip_takes_out_the_foreign_container_and_nothing_else(void **state)
{
	WITH_ARENA(arena);
	struct json *live = object(arena, OURS "," THEIRS, SPEC);
	struct json *desired = J(arena, "{'spec':{'template':{'spec':{'containers':[{'name':'c','image':'a@1'}]}}}}");

	(void)state;
	ASSERT_TEXT("patch", T(arena, patch_strip(live, desired, NULL, NULL, NULL, NULL, arena)),
		    "[{\"op\":\"test\",\"path\":\"/metadata/resourceVersion\",\"value\":\"7\"},{\"op\":\"remove\",\"path\":\"/spec/template/spec/containers/1\"}]");
	assert_null(patch_strip(live, desired, NULL, J(arena, "['evil']"), NULL, NULL, arena));
	ASSERT_TEXT("pointer", patch_foreign(live, desired, NULL, arena).pointer, "/spec/template/spec/containers/1");
	ASSERT_TEXT("name", patch_foreign(live, desired, NULL, arena).name, "s");
}

static void exactness_leaves_what_is_ignored_to_others(void **state)
{
	static const char *none[] = { NULL }, *labels[] = { "/metadata/labels/a", NULL }, *below[] = { "/metadata/labels/a/b", NULL }, *all[] = { "/metadata", NULL },
			  *beside[] = { "/metadata/label", NULL }, *mesh[] = { "mesh", NULL };
	static const struct { const char *name, *kind; const char **pointers, **managers; bool left; } cases[] = {
		{ "nothing", "Deployment", none, none, false }, { "the field", "Deployment", labels, none, true }, { "a part of it", "Deployment", below, none, true },
		{ "what it is in", "Deployment", all, none, true }, { "a like name", "Deployment", beside, none, false },
		{ "another kind", "Service", labels, none, false }, { "its manager", "Deployment", none, mesh, true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		WITH_ARENA(arena);
		struct ignore_rule rule = { "apps", cases[i].kind, NULL, NULL, cases[i].pointers, cases[i].managers };
		struct application app = { .ignore = &rule, .ignore_count = 1 };
		struct json *live = J(arena, "{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'name':'d','labels':{'a':'x'},'resourceVersion':'7','managedFields':"
					     "[{'manager':'mesh','operation':'Update','fieldsV1':{'f:metadata':{'f:labels':{'f:a':{}}}}}]}}");

		if (!patch_strip(live, J(arena, "{'metadata':{'name':'d'}}"), NULL, NULL, NULL, &app, arena) != cases[i].left)
			fail_msg("%s", cases[i].name);
	}
}

static void strip_puts_back_the_image_of_a_container_whose_image_git_ignores(void **state)
{
	WITH_ARENA(arena);
	struct json *live = object(arena, OURS "," THEIRS, SPEC);
	struct json *desired = J(arena, "{'spec':{'template':{'spec':{'containers':[{'name':'c','image':'a@1'},{'name':'s'}]}}}}");
	struct json *full = J(arena, "{'spec':{'template':{'spec':{'containers':[{'name':'c','image':'a@1'},{'name':'s','image':'good@1'}]}}}}");

	(void)state;
	ASSERT_TEXT("patch", T(arena, json_at(patch_strip(live, desired, full, NULL, NULL, NULL, arena), 1)),
		    "{\"op\":\"replace\",\"path\":\"/spec/template/spec/containers/1/image\",\"value\":\"good@1\"}");
	assert_null(patch_strip(live, desired, full, J(arena, "['evil']"), NULL, NULL, arena));
}

static void strip_takes_out_the_image_alone_of_a_container_that_leaves_it_to_its_operator(void **state)
{
	WITH_ARENA(arena);
	struct json *live = J(arena, "{'apiVersion':'x.example/v1','metadata':{'resourceVersion':'7'},"
				     "'spec':{'containers':[{'name':'c','image':'evil'},{'name':'d','image':'evil'}]}}");
	struct json *desired = J(arena, "{'apiVersion':'x.example/v1','spec':{'containers':[{'name':'c'}]}}");

	(void)state;
	ASSERT_TEXT("patch", T(arena, patch_strip(live, desired, NULL, NULL, NULL, NULL, arena)),
		    "[{\"op\":\"test\",\"path\":\"/metadata/resourceVersion\",\"value\":\"7\"},{\"op\":\"remove\",\"path\":\"/spec/containers/1\"},"
		    "{\"op\":\"remove\",\"path\":\"/spec/containers/0/image\"}]");
}

static void adoption_turns_kubectl_into_us_and_leaves_others(void **state)
{
	WITH_ARENA(arena);
	struct json *live = object(arena, "{'manager':'kubectl-client-side-apply','operation':'Update','apiVersion':'apps/v1','fieldsV1':{'f:spec':{'f:replicas':{}}}},"
					  "{'manager':'kubectl','operation':'Apply','apiVersion':'apps/v1','fieldsV1':{'f:spec':{'f:paused':{}}}},"
					  "{'manager':'hpa','operation':'Update','apiVersion':'apps/v1','fieldsV1':{'f:spec':{'f:x':{}}}}", SPEC);
	const char *patch = T(arena, patch_own(live, false, arena));

	(void)state;
	assert_non_null(strstr(patch, "\"fieldsV1\":{\"f:spec\":{\"f:paused\":{},\"f:replicas\":{}}},\"manager\":\"countersign\",\"operation\":\"Apply\""));
	assert_non_null(strstr(patch, "\"manager\":\"hpa\""));
	assert_null(strstr(patch, "kubectl"));
	assert_null(patch_own(object(arena, "{'manager':'hpa','operation':'Update','fieldsV1':{}}", SPEC), false, arena));
}

static void ignored_fields_leave_the_desired_object(void **state)
{
	WITH_ARENA(arena);
	const char *pointers[] = { "/spec/replicas", "/spec/none", "/metadata/name", NULL }, *managers[] = { NULL };
	struct ignore_rule rule = { "apps", "Deployment", NULL, NULL, pointers, managers };
	struct application app = { .ignore = &rule, .ignore_count = 1 };
	struct json *desired = J(arena, "{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'name':'d'},'spec':{'replicas':3,'x':1}}");

	(void)state;
	assert_true(ignore_concerns(&app, desired));
	ASSERT_TEXT("removed", ignore_apply(&app, desired, NULL, NULL, arena).removed, "/spec/replicas\n");
	ASSERT_TEXT("left", T(arena, json_get(desired, "spec")), "{\"x\":1}");
	assert_non_null(json_path(desired, "metadata", "name", NULL));
	assert_false(ignore_concerns(&app, J(arena, "{'apiVersion':'v1','kind':'Service','metadata':{'name':'d'}}")));
}

/* Whoever may write an Application could else have us lose sight of what it made. */
static void what_says_whose_an_object_is_is_never_ignored(void **state)
{
	WITH_ARENA(arena);
	static const struct { const char *pointer, *removed; } cases[] = {
		{ "/metadata/labels", "/metadata/labels/a\n/metadata/labels/b~1c\n" },
		{ "/metadata/annotations", "/metadata/annotations/d\n" },
		{ "/metadata/labels/countersign.dev~1app", "" },
		{ "/metadata/annotations/countersign.dev~1tracking-id", "" },
		{ "/metadata/labels/a", "/metadata/labels/a\n" },
		{ "/metadata", "" },
	};
	const char *managers[] = { "kubectl", NULL }, *none[] = { NULL };
	const struct json *live = J(arena, "{'metadata':{'managedFields':[{'manager':'kubectl','fieldsV1':{'f:metadata':{'f:labels':{'f:a':{},'f:countersign.dev/app':{}},"
					   "'f:annotations':{}}}}]}}");

	(void)state;
	for (size_t i = 0; i <= COUNT_OF(cases); i++) {
		const char *pointers[] = { i < COUNT_OF(cases) ? cases[i].pointer : NULL, NULL };
		struct ignore_rule rule = { "apps", "Deployment", NULL, NULL, pointers, i < COUNT_OF(cases) ? none : managers };
		struct application app = { .ignore = &rule, .ignore_count = 1 };
		struct json *desired = J(arena, "{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'name':'d','labels':{'a':'1','b/c':'2','countersign.dev/app':'x'},"
						"'annotations':{'countersign.dev/tracking-id':'y','d':'3'}}}");
		struct ignored ignored = ignore_apply(&app, desired, live, NULL, arena);

		ASSERT_TEXT(*pointers ? *pointers : "by manager", ignored.removed,
			    i < COUNT_OF(cases) ? cases[i].removed : "/metadata/labels/a\n/metadata/annotations/d\n");
		assert_non_null(json_path(desired, "metadata", "labels", "countersign.dev/app", NULL));
		assert_non_null(json_path(desired, "metadata", "annotations", "countersign.dev/tracking-id", NULL));
	}
}

/* What the API server replaces as a whole cannot be applied without what is left to others in it: it would be gone. */
static void ignored_part_of_a_whole_is_taken_from_the_live_object(void **state)
{
	static const char declared[] = "{'apiVersion':'x/v1','kind':'K','metadata':{'name':'d'},'spec':{'rules':[{'host':'a','image':'i1'},{'host':'n'}]}}";
	WITH_ARENA(arena);
	const char *pointers[] = { "/spec/rules/0/host", "/spec/rules/0/image", "/spec/rules/0/note", "/spec/rules/1/host", NULL }, *managers[] = { NULL };
	struct ignore_rule rule = { "x", "K", NULL, NULL, pointers, managers };
	struct application app = { .ignore = &rule, .ignore_count = 1 };
	struct custom_path path = { "x", "K", "spec.rules[*].image" };
	struct custom_paths custom = { &path, 1 };
	struct json *desired = J(arena, declared), *other = J(arena, declared);
	struct json *live = object(arena, "{'manager':'countersign','operation':'Apply','fieldsV1':{'f:spec':{'f:rules':{}}}}",
				   "'spec':{'rules':[{'host':'b','image':'evil','note':'theirs'}]}");
	struct ignored ignored = ignore_apply(&app, desired, live, &custom, arena);
	struct digest digest = ignore_digest(desired, ignored.taken, arena), same;

	(void)state;
	ASSERT_TEXT("removed", ignored.removed, "");
	ASSERT_TEXT("taken", ignored.taken, "/spec/rules/0/host\n/spec/rules/0/note\n");
	/* an image is nobody's to leave, and the second rule is Git's alone as yet */
	ASSERT_TEXT("rules", T(arena, json_path(desired, "spec", "rules", NULL)), "[{\"host\":\"b\",\"image\":\"i1\",\"note\":\"theirs\"},{\"host\":\"n\"}]");
	assert_false(ignore_is_so(desired, ignored.taken, live));
	assert_true(ignore_is_so(desired, ignored.taken, J(arena, "{'apiVersion':'x/v1','kind':'K','metadata':{'name':'d','uid':'u'},'spec':{'rules':"
								    "[{'host':'b','image':'i1','note':'theirs'},{'host':'n'}]}}")));
	/* what others make of it does not make it another object */
	json_set_string(arena, json_at(json_path(live, "spec", "rules", NULL), 0), "host", "c");
	ignored = ignore_apply(&app, other, live, &custom, arena);
	same = ignore_digest(other, ignored.taken, arena);
	assert_true(digest_equal(&digest, &same));
}

/* Items that are told apart by other keys than a name, as the ports of a Service are, and two fields of one. */
static void released_item_carries_its_keys_and_stands_once(void **state)
{
	WITH_ARENA(arena);
	struct json *live = object(arena, "{'manager':'countersign','operation':'Apply','fieldsV1':{'f:spec':{'f:ports':{'k:{\\'port\\':80,\\'protocol\\':\\'TCP\\'}':"
					  "{'.':{},'f:name':{},'f:nodePort':{},'f:port':{}}}}}}",
				   "'spec':{'ports':[{'name':'http','nodePort':30001,'port':80,'protocol':'TCP','targetPort':8080}]}");

	(void)state;
	ASSERT_TEXT("one", T(arena, json_path(patch_released(live, "/spec/ports/0/nodePort\n/spec/ports/0/targetPort\n", arena), "spec", "ports", NULL)),
		    "[{\"nodePort\":30001,\"port\":80,\"protocol\":\"TCP\",\"targetPort\":8080}]");
}

static void released_object_carries_identity_and_the_live_value(void **state)
{
	WITH_ARENA(arena);

	(void)state;
	assert_true(patch_holds(object(arena, OURS, SPEC), "/spec/replicas\n"));
	assert_false(patch_holds(object(arena, THEIRS, SPEC), "/spec/replicas\n"));
	ASSERT_TEXT("released", T(arena, patch_released(object(arena, OURS, SPEC), "/spec/replicas\n", arena)),
		    "{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"d\",\"namespace\":\"n\"},\"spec\":{\"replicas\":2}}");
	ASSERT_TEXT("in a list", T(arena, json_get(patch_released(object(arena, OURS, SPEC), "/spec/template/spec/containers/1/image\n", arena), "spec")),
		    "{\"template\":{\"spec\":{\"containers\":[{\"image\":\"evil\",\"name\":\"s\"}]}}}");
	/* the API server refuses a list with two items of one name */
	ASSERT_TEXT("two of one item", T(arena, json_get(patch_released(J(arena, "{'spec':{'containers':[{'name':'a','image':'i','args':['x']},{'name':'b','image':'j'}]}}"),
									"/spec/containers/0/image\n/spec/containers/1/image\n/spec/containers/0/args\n", arena), "spec")),
		    "{\"containers\":[{\"args\":[\"x\"],\"image\":\"i\",\"name\":\"a\"},{\"image\":\"j\",\"name\":\"b\"}]}");
}

/* An API server always gives them; whoever stands between need not. */
static void live_object_without_identity_or_field_sets_is_no_crash(void **state)
{
	WITH_ARENA(arena);
	struct json *live = J(arena, "{'metadata':{'managedFields':[{'manager':'kubectl','operation':'Update'}]},'spec':{'replicas':3}}");

	(void)state;
	ASSERT_TEXT("released", T(arena, patch_released(live, "/spec/replicas", arena)), "{\"metadata\":{},\"spec\":{\"replicas\":3}}");
	assert_null(patch_own(live, false, arena));
}

static void what_was_applied_already_is_known_from_the_live_object(void **state)
{
	WITH_ARENA(arena);
	struct json *live = object(arena, OURS, SPEC);
	struct json *same = J(arena, "{'spec':{'replicas':2,'template':{'spec':{'containers':[{'name':'c','image':'a@1'}]}}}}");

	(void)state;
	assert_true(compare_is_applied(same, live));
	json_set_int(arena, json_get(same, "spec"), "replicas", 3);
	assert_false(compare_is_applied(same, live));
	assert_false(compare_is_applied(J(arena, "{'spec':{'replicas':2}}"), live)); /* a key was dropped from Git */
}

#define HPA(conditions) "{'apiVersion':'autoscaling/v2','kind':'HorizontalPodAutoscaler','status':{'conditions':[" conditions "]}}"

static void health_by_kind(void **state)
{
	static const struct { const char *object, *health; } cases[] = {
		{ "{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'generation':2},'spec':{'replicas':2},'status':{'observedGeneration':2,'replicas':2,'updatedReplicas':2,'availableReplicas':2}}", "Healthy" },
		{ "{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'generation':2},'spec':{'replicas':2},'status':{'observedGeneration':1,'replicas':2,'updatedReplicas':2,'availableReplicas':2}}", "Progressing" },
		{ "{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'generation':1},'spec':{'replicas':2},'status':{'observedGeneration':1,'replicas':3,'updatedReplicas':2,'availableReplicas':2}}", "Progressing" },
		{ "{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'generation':1},'spec':{},'status':{'observedGeneration':1,'conditions':[{'type':'Progressing','reason':'ProgressDeadlineExceeded'}]}}", "Degraded" },
		{ "{'apiVersion':'apps/v1','kind':'Deployment','spec':{'paused':true}}", "Suspended" },
		{ "{'apiVersion':'apps/v1','kind':'StatefulSet','metadata':{'generation':1},'spec':{'replicas':1},'status':{'observedGeneration':1,'readyReplicas':1,'currentRevision':'a','updateRevision':'a'}}", "Healthy" },
		{ "{'apiVersion':'apps/v1','kind':'StatefulSet','metadata':{'generation':1},'spec':{'replicas':1},'status':{'observedGeneration':1,'readyReplicas':1,'currentRevision':'a','updateRevision':'b','updatedReplicas':0}}", "Progressing" },
		{ "{'apiVersion':'batch/v1','kind':'Job','status':{'conditions':[{'type':'Failed','status':'True','message':'x'}]}}", "Degraded" },
		{ "{'apiVersion':'batch/v1','kind':'Job','status':{'conditions':[{'type':'Complete','status':'True'}]}}", "Healthy" },
		{ "{'apiVersion':'v1','kind':'Service','spec':{'type':'LoadBalancer'}}", "Progressing" },
		{ "{'apiVersion':'v1','kind':'Service','spec':{'type':'ClusterIP'}}", "Healthy" },
		{ "{'apiVersion':'v1','kind':'PersistentVolumeClaim','status':{'phase':'Pending'}}", "Progressing" },
		{ "{'apiVersion':'v1','kind':'Pod','status':{'phase':'Failed'}}", "Degraded" },
		{ "{'apiVersion':'v1','kind':'Pod','status':{'phase':'Running','conditions':[{'type':'Ready','status':'True'}]}}", "Healthy" },
		{ "{'apiVersion':'v1','kind':'Pod','spec':{'restartPolicy':'Never'},'status':{'phase':'Running','conditions':[{'type':'Ready','status':'True'}]}}", "Progressing" },
		{ "{'apiVersion':'v1','kind':'Pod','spec':{'restartPolicy':'OnFailure'},'status':{'phase':'Succeeded'}}", "Healthy" },
		{ "{'apiVersion':'v1','kind':'Pod','status':{'phase':'Running','containerStatuses':[{'name':'c','state':{'waiting':{'reason':'CrashLoopBackOff'}}}]}}", "Degraded" },
		{ "{'apiVersion':'v1','kind':'Pod','status':{'phase':'Pending','containerStatuses':[{'state':{'waiting':{'reason':'ErrImagePull'}}}]}}", "Degraded" },
		{ "{'apiVersion':'v1','kind':'Pod','status':{'phase':'Pending','containerStatuses':[{'state':{'waiting':{'reason':'ContainerCreating'}}}]}}", "Progressing" },
		{ "{'apiVersion':'v1','kind':'Pod','spec':{'restartPolicy':'Never'},'status':{'phase':'Pending','containerStatuses':[{'state':{'waiting':{'reason':'ImagePullBackOff'}}}]}}", "Progressing" },
		{ HPA("{'type':'AbleToScale','status':'True'},{'type':'ScalingActive','status':'True'}"), "Healthy" },
		{ HPA("{'type':'AbleToScale','status':'False','reason':'FailedGetScale'}"), "Degraded" },
		{ HPA("{'type':'ScalingActive','status':'False','reason':'FailedGetResourceMetric'}"), "Degraded" },
		{ HPA("{'type':'ScalingActive','status':'False','reason':'ScalingDisabled'}"), "Healthy" },
		{ HPA(""), "Progressing" },
		{ "{'apiVersion':'apiextensions.k8s.io/v1','kind':'CustomResourceDefinition','status':{'conditions':[{'type':'Established','status':'True'}]}}", "Healthy" },
		{ "{'apiVersion':'x.example/v1','kind':'Widget','status':{'conditions':[{'type':'Ready','status':'False'}]}}", "Progressing" },
		{ "{'apiVersion':'x.example/v1','kind':'Widget','status':{'conditions':[{'type':'Ready','status':'Unknown'}]}}", "Progressing" },
		{ "{'apiVersion':'x.example/v1','kind':'Widget','metadata':{'generation':2},'status':{'observedGeneration':1,'conditions':[{'type':'Ready','status':'True'}]}}", "Progressing" },
		{ "{'apiVersion':'x.example/v1','kind':'Widget','metadata':{'generation':2},'status':{'observedGeneration':2,'conditions':[{'type':'Ready','status':'True'}]}}", "Healthy" },
		{ "{'apiVersion':'x.example/v1','kind':'Widget','metadata':{'generation':2},'status':{'conditions':[{'type':'Ready','status':'True'}]}}", "Healthy" },
		{ "{'apiVersion':'x.example/v1','kind':'Widget'}", "Healthy" }, { "{'apiVersion':'v1','kind':'ConfigMap'}", "Healthy" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		WITH_ARENA(arena);

		ASSERT_TEXT(cases[i].object, health_name(health_of(J(arena, cases[i].object), arena, NULL)), cases[i].health);
	}
}

static void what_is_being_deleted_is_not_healthy_and_says_what_keeps_it(void **state)
{
	WITH_ARENA(arena);
	const char *message = NULL;
	struct json *object = J(arena, "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'deletionTimestamp':'t','finalizers':['a/b','c/d']}}");

	(void)state;
	ASSERT_TEXT("health", health_name(health_of(object, arena, &message)), "Progressing");
	ASSERT_TEXT("message", message, "is being deleted, and waits for its finalizers a/b, c/d");
}

static void what_an_object_tells_in_lines_is_told_in_one(void **state)
{
	WITH_ARENA(arena);
	const char *message = NULL;

	(void)state;
	health_of(J(arena, "{'apiVersion':'batch/v1','kind':'Job','status':{'conditions':[{'type':'Failed','status':'True','message':'first:\\n  second\\nthird'}]}}"),
		  arena, &message);
	ASSERT_TEXT("message", message, "first: second; third");
}

static void waves_and_ranks(void **state)
{
	static const struct { const char *object; int wave; bool good; } cases[] = {
		{ "{'metadata':{}}", 0, true },
		{ "{'metadata':{'annotations':{'argocd.argoproj.io/sync-wave':'-5'}}}", -5, true },
		{ "{'metadata':{'annotations':{'argocd.argoproj.io/sync-wave':'x','helm.sh/hook-weight':'3'}}}", 3, true },
		{ "{'metadata':{'annotations':{'argocd.argoproj.io/sync-wave':'x'}}}", 0, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		WITH_ARENA(arena);
		int wave = 99;

		assert_int_equal(order_wave(J(arena, cases[i].object), &wave, NULL) == 0, cases[i].good);
		if (cases[i].good)
			assert_int_equal(wave, cases[i].wave);
	}
	assert_true(order_rank(SPAN("Namespace")) < order_rank(SPAN("CustomResourceDefinition")));
	assert_true(order_rank(SPAN("CustomResourceDefinition")) < order_rank(SPAN("Deployment")));
	assert_true(order_rank(SPAN("APIService")) < order_rank(SPAN("Widget")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(owned_digest_moves_with_values_and_with_ownership_only),
		cmocka_unit_test(owned_digest_is_what_it_was),
		cmocka_unit_test(extras_name_path_manager_and_time),
		cmocka_unit_test(notes_of_the_control_plane_are_no_extras),
		cmocka_unit_test(drift_is_attributed_to_who_holds_the_field),
		cmocka_unit_test(who_only_noted_the_status_is_not_blamed),
		cmocka_unit_test(exactness_leaves_what_is_ignored_to_others),
		cmocka_unit_test(strip_puts_back_the_image_of_a_container_whose_image_git_ignores),
		cmocka_unit_test(strip_takes_out_the_foreign_container_and_nothing_else),
		cmocka_unit_test(strip_takes_out_the_image_alone_of_a_container_that_leaves_it_to_its_operator),
		cmocka_unit_test(adoption_turns_kubectl_into_us_and_leaves_others),
		cmocka_unit_test(ignored_fields_leave_the_desired_object),
		cmocka_unit_test(what_says_whose_an_object_is_is_never_ignored),
		cmocka_unit_test(ignored_part_of_a_whole_is_taken_from_the_live_object),
		cmocka_unit_test(released_item_carries_its_keys_and_stands_once),
		cmocka_unit_test(released_object_carries_identity_and_the_live_value),
		cmocka_unit_test(live_object_without_identity_or_field_sets_is_no_crash),
		cmocka_unit_test(what_was_applied_already_is_known_from_the_live_object),
		cmocka_unit_test(digest_of_many_fields_is_not_quadratic),
		cmocka_unit_test(items_of_long_lists_are_found_as_those_of_short_ones),
		cmocka_unit_test(health_by_kind),
		cmocka_unit_test(what_is_being_deleted_is_not_healthy_and_says_what_keeps_it),
		cmocka_unit_test(what_an_object_tells_in_lines_is_told_in_one),
		cmocka_unit_test(waves_and_ranks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
