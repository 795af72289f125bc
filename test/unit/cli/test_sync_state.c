/* cli/sync_state.h: what is asked for, and that only one's own outcome counts. */
#include "cli/sample.h"

#include "cli/sync_state.h"

static struct json *patch_of(struct arena *arena, const struct sync_wish *wish)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	struct json *patch;

	sync_patch(wish, arena, &text);
	assert_int_equal(json_parse(arena_span(arena, str_span(&text)), arena, 0, &patch, NULL), 0);
	return patch;
}

static void a_plain_wish_asks_for_a_sync_and_nothing_more(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	const struct sync_wish wish = { .id = "i-1", .username = "dana" };

	(void)state;
	assert_true(json_equal(patch_of(arena, &wish), sample(arena,
		"metadata: {annotations: {countersign.dev/refresh: normal}}\n"
		"operation:\n  sync: {}\n  initiatedBy: {username: dana}\n  info: [{name: countersign.dev/request, value: i-1}]\n")));
}

static void every_wish_stands_in_its_field(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	const struct sync_wish wish = { .id = "i", .username = "a \"b\"", .revision = "v1.2", .prune = true, .dry_run = true, .hard = true };
	const struct json *patch = patch_of(arena, &wish);

	(void)state;
	assert_true(json_equal(json_path(patch, "operation", "sync", NULL), sample(arena, "{revision: v1.2, prune: true, dryRun: true}")));
	assert_string_equal(json_text(json_path(patch, "metadata", "annotations", "countersign.dev/refresh", NULL)), "hard");
	assert_string_equal(json_text(json_path(patch, "operation", "initiatedBy", "username", NULL)), "a \"b\"");
}

#define MINE "info: [{name: other, value: x}, {name: countersign.dev/request, value: mine}]"
#define OTHERS "info: [{name: countersign.dev/request, value: theirs}]"

static void the_stage_follows_the_operation_with_the_id(void **state)
{
	static const struct {
		const char *text;
		enum sync_stage stage;
	} cases[] = {
		{ "operation: {" MINE "}", SYNC_ASKED },
		{ "operation: {" MINE "}\nstatus: {operationState: {phase: Succeeded, operation: {" OTHERS "}}}", SYNC_ASKED },
		{ "operation: {" MINE "}\nstatus: {operationState: {phase: Running, operation: {" MINE "}}}", SYNC_TAKEN },
		{ "operation: {" MINE "}\nstatus: {operationState: {phase: Succeeded, operation: {" MINE "}}}", SYNC_TAKEN },
		{ "operation: {" OTHERS "}\nstatus: {operationState: {phase: Running, operation: {" MINE "}}}", SYNC_TAKEN },
		{ "status: {}", SYNC_TAKEN },
		{ "status: {operationState: {phase: Running, operation: {" MINE "}}}", SYNC_TAKEN },
		{ "status: {operationState: {phase: Succeeded, operation: {" OTHERS "}}}", SYNC_TAKEN },
		{ "status: {operationState: {phase: Succeeded, operation: {" MINE "}}}", SYNC_DONE },
		{ "status: {operationState: {phase: Succeeded, operation: {" MINE "}}, conditions: [{type: Ready, status: \"False\"}]}", SYNC_DONE },
		{ "status: {operationState: {phase: Succeeded, operation: {" MINE "}}, conditions: [{type: Ready, status: \"True\"}]}", SYNC_READY },
		{ "status: {operationState: {phase: Failed, operation: {" MINE "}}}", SYNC_FAILED },
		{ "status: {operationState: {phase: Error, operation: {" MINE "}}, conditions: [{type: Ready, status: \"True\"}]}", SYNC_FAILED },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);

		if (sync_stage(sample(arena, cases[i].text), "mine") != cases[i].stage)
			fail_msg("%s", cases[i].text);
	}
}

static void an_application_that_became_ready_by_another_sync_is_not_done(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);

	(void)state;
	assert_int_equal(sync_stage(sample(arena, "status: {operationState: {phase: Succeeded, operation: {" OTHERS "}}, "
						  "conditions: [{type: Ready, status: \"True\"}]}"), "mine"), SYNC_TAKEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plain_wish_asks_for_a_sync_and_nothing_more),
		cmocka_unit_test(every_wish_stands_in_its_field),
		cmocka_unit_test(the_stage_follows_the_operation_with_the_id),
		cmocka_unit_test(an_application_that_became_ready_by_another_sync_is_not_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
