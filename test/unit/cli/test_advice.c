/* cli/advice.h: who is woken by an Application reads what to do, and nothing when there is nothing to do. */
#include "cli/sample.h"

#include <string.h>

#include "cli/advice.h"

struct advice {
	struct arena *arena;
	const char **steps;
	size_t count;
};

static struct advice about(struct arena *arena, const char *text)
{
	struct advice advice = { .arena = arena };

	advice_of(sample(arena, text), arena, &advice.steps, &advice.count);
	return advice;
}

#define HEAD "metadata: {name: shop, namespace: cs, generation: 3}\nspec: {project: blue}\n"

static struct advice one_condition(struct arena *arena, const char *type, const char *status, const char *reason)
{
	return about(arena, arena_printf(arena, HEAD "status:\n  observedGeneration: 3\n  conditions:\n"
					 "  - {type: %s, status: \"%s\", reason: %s, message: m}\n", type, status, reason));
}

static void nothing_is_advised_when_it_is_ready(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct advice advice = about(arena, HEAD "status:\n  observedGeneration: 3\n  conditions:\n"
					    "  - {type: Verified, status: \"True\", reason: Verified}\n"
					    "  - {type: Synced, status: \"True\", reason: Synced}\n"
					    "  - {type: Healthy, status: \"True\", reason: Healthy}\n");

	(void)state;
	assert_int_equal(advice.count, 0);
}

static void each_reason_has_its_step_with_the_names_filled_in(void **state)
{
	static const struct {
		const char *type, *status, *reason, *part;
	} cases[] = {
		{ "Verified", "False", "NoSignature", "cosign sign" },
		{ "Verified", "False", "NoPolicy", "ImagePolicy in namespace cs" },
		{ "Verified", "False", "InvalidPolicy", "get policies" },
		{ "Verified", "False", "PolicyWarning", "nothing is blocked yet" },
		{ "Verified", "False", "InvalidImageReference", "Correct the image's name" },
		{ "Verified", "False", "ManifestMediaType", "Correct the image's name" },
		{ "Verified", "False", "NotPinned", "by the digest that the message tells" },
		{ "Verified", "Unknown", "FetchError", "registry" },
		{ "Verified", "Unknown", "TooManyReferrers", "Remove old signatures" },
		{ "Verified", "Unknown", "PullSecretUnreadable", "pull secret" },
		{ "Verified", "Unknown", "ImageNotFound", "countersign sync shop -n cs" },
		{ "Synced", "False", "OutOfSync", "countersign diff shop -n cs" },
		{ "Synced", "False", "PruneRefused", "--prune" },
		{ "Synced", "False", "KindNotPermitted", "Project blue" },
		{ "Synced", "False", "AdmissionDenied", "admission rule" },
		{ "Synced", "False", "YAMLError", "countersign build" },
		{ "Synced", "False", "DuplicateKey", "Nothing of that commit was applied" },
		{ "Synced", "False", "RepositoryAuth", "countersign.dev/secret-type=repository" },
		{ "Synced", "False", "OwnedByAnother", "Adopt=any" },
		{ "Synced", "False", "Contested", "ignoreDifferences" },
		{ "Synced", "False", "Forbidden", "Grant the right" },
		{ "Synced", "False", "SettingsUnreadable", "right that the message names" },
		{ "Synced", "False", "SomethingNewer", "countersign sync shop" },
		{ "Healthy", "False", "Missing", "puts it back" },
		{ "Healthy", "False", "Degraded", "kubectl describe" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
		struct advice advice = one_condition(arena, cases[i].type, cases[i].status, cases[i].reason);

		if (advice.count != 1 || !strstr(advice.steps[0], cases[i].part))
			fail_msg("%s %s: %s", cases[i].type, cases[i].reason, advice.count ? advice.steps[0] : "no step");
	}
}

static void a_reason_is_matched_whole(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct advice advice = one_condition(arena, "Synced", "False", "YAML");

	(void)state;
	assert_int_equal(advice.count, 1);
	assert_null(strstr(advice.steps[0], "countersign build"));
}

static void what_the_image_denied_is_told_once(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct advice advice = about(arena, HEAD "status:\n  observedGeneration: 3\n  conditions:\n"
					    "  - {type: Verified, status: \"False\", reason: NoSignature}\n"
					    "  - {type: Synced, status: \"False\", reason: VerificationFailed}\n"
					    "  - {type: Healthy, status: \"Unknown\", reason: NothingApplied}\n");

	(void)state;
	assert_int_equal(advice.count, 1);
	assert_non_null(strstr(advice.steps[0], "cosign sign"));
}

static void an_application_that_nobody_looked_at_asks_for_the_controller(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct advice advice = about(arena, HEAD);

	(void)state;
	assert_int_equal(advice.count, 1);
	assert_non_null(strstr(advice.steps[0], "kubectl -n cs get statefulset,lease"));
}

static void an_old_status_is_told_as_such(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct advice advice = about(arena, HEAD "status:\n  observedGeneration: 2\n  conditions:\n"
					    "  - {type: Synced, status: \"True\", reason: Synced}\n");

	(void)state;
	assert_int_equal(advice.count, 1);
	assert_non_null(strstr(advice.steps[0], "earlier version"));
}

static void deletion_and_extras_are_explained(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct advice advice = about(arena,
				     "metadata: {name: shop, namespace: cs, generation: 3, deletionTimestamp: \"2026-01-01T00:00:00Z\"}\n"
				     "status:\n  observedGeneration: 3\n  extras: [{path: /a}]\n  conditions:\n"
				     "  - {type: Synced, status: \"True\", reason: Synced}\n");

	(void)state;
	assert_int_equal(advice.count, 2);
	assert_non_null(strstr(advice.steps[0], "being deleted"));
	assert_non_null(strstr(advice.steps[1], "Exact=true"));
}

static void an_absent_project_is_called_default(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct advice advice = about(arena, "metadata: {name: shop, namespace: cs}\nstatus:\n  conditions:\n"
					    "  - {type: Synced, status: \"False\", reason: ProjectNotFound}\n");

	(void)state;
	assert_int_equal(advice.count, 1);
	assert_non_null(strstr(advice.steps[0], "Project default"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_advised_when_it_is_ready),
		cmocka_unit_test(each_reason_has_its_step_with_the_names_filled_in),
		cmocka_unit_test(a_reason_is_matched_whole),
		cmocka_unit_test(what_the_image_denied_is_told_once),
		cmocka_unit_test(an_application_that_nobody_looked_at_asks_for_the_controller),
		cmocka_unit_test(an_old_status_is_told_as_such),
		cmocka_unit_test(deletion_and_extras_are_explained),
		cmocka_unit_test(an_absent_project_is_called_default),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
