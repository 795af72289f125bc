/* Whose an object is: by an annotation that names the object it is on, and by nothing else. */
#include "unit.h"

#include "api/tracking.h"

static void tracking_counts_only_on_the_object_it_names(void **state)
{
	static const struct { const char *id, *app; } cases[] = {
		{ "ns/shop:apps/Deployment:n/web", "ns/shop" },
		{ "ns/shop:apps/Deployment:n/web2", NULL },       /* copied to a sibling */
		{ "ns/shop:apps/ReplicaSet:n/web", NULL },        /* copied by a controller to what it made */
		{ "ns/shop:apps/Deployment:other/web", NULL },    /* copied to another namespace */
		{ "ns/shop:extensions/Deployment:n/web", NULL },
		{ "shop:apps/Deployment:n/web", NULL },           /* no namespace: as another tool writes it */
		{ "/shop:apps/Deployment:n/web", NULL },
		{ "ns/:apps/Deployment:n/web", NULL },
		{ ":apps/Deployment:n/web", NULL },
		{ "ns/shop", NULL },
		{ "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		WITH_ARENA(arena);
		const char *got = tracking_app(arena, J(arena, arena_printf(arena,
			"{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'name':'web','namespace':'n','annotations':"
			"{'countersign.dev/tracking-id':'%s'}}}", cases[i].id)));

		if (!got != !cases[i].app || (got && strcmp(got, cases[i].app)))
			fail_msg("%s: %s", cases[i].id, got ? got : "nobody");
	}
}

static void tracking_id_is_read_back_from_the_object_it_was_made_for(void **state)
{
	WITH_ARENA(arena);
	const char *id = tracking_id(arena, "ns", "shop", "", "Namespace", "", "team");

	(void)state;
	ASSERT_TEXT("app", tracking_app(arena, J(arena, arena_printf(arena,
		"{'apiVersion':'v1','kind':'Namespace','metadata':{'name':'team','annotations':{'countersign.dev/tracking-id':'%s'}}}", id))), "ns/shop");
}

static void labels_of_different_applications_differ(void **state)
{
	char label[3][TRACKING_LABEL_SIZE], again[TRACKING_LABEL_SIZE];

	(void)state;
	tracking_label("countersign-system", "a", "bc", label[0]);
	tracking_label("countersign-system", "ab", "c", label[1]);
	tracking_label("other-system", "a", "bc", label[2]);
	tracking_label("countersign-system", "a", "bc", again);
	ASSERT_TEXT("label", label[0], again);
	assert_true(strcmp(label[0], label[1]) && strcmp(label[0], label[2]) && strcmp(label[1], label[2]));
	assert_int_equal(strlen(again), 32);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tracking_counts_only_on_the_object_it_names),
		cmocka_unit_test(tracking_id_is_read_back_from_the_object_it_was_made_for),
		cmocka_unit_test(labels_of_different_applications_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
