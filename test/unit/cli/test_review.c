/* cli/review.h, cli/expected.h, cli/checkout.h: what diff compares, and that it shows no secret. */
#include "cli/sample.h"

#include <string.h>

#include "base/encode.h"
#include "cli/checkout.h"
#include "cli/expected.h"
#include "cli/review.h"

static void trim_leaves_what_a_person_wrote(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct json *object = sample(arena,
		"kind: Deployment\nmetadata:\n  name: web\n  uid: u\n  resourceVersion: \"7\"\n  generation: 2\n  creationTimestamp: x\n"
		"  managedFields: [{manager: m}]\n  labels: {countersign.dev/app: abc, tier: front}\n"
		"  annotations:\n    countersign.dev/tracking-id: t\n    deployment.kubernetes.io/revision: \"3\"\n    note: mine\n"
		"spec: {replicas: 2}\nstatus: {replicas: 1}\n");

	(void)state;
	review_trim(object);
	assert_true(json_equal(object, sample(arena, "kind: Deployment\nmetadata: {name: web, labels: {tier: front}, annotations: {note: mine}}\n"
						     "spec: {replicas: 2}\n")));
}

static void trim_leaves_no_empty_maps_behind(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct json *object = sample(arena, "metadata: {name: a, labels: {countersign.dev/app: x}, annotations: {countersign.dev/tracking-id: t}}\n");

	(void)state;
	review_trim(object);
	assert_true(json_equal(object, sample(arena, "metadata: {name: a}")));
}

static void mask_shows_which_values_differ_and_none_of_them(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct json *before = sample(arena, "apiVersion: v1\nkind: Secret\ndata: {same: YQ==, changed: b2xk, gone: Z29uZQ==}\n");
	struct json *after = sample(arena, "apiVersion: v1\nkind: Secret\ndata: {same: YQ==, changed: bmV3, come: Y29tZQ==}\n");

	(void)state;
	review_mask(before, after, arena);
	assert_true(json_equal(json_get(before, "data"), sample(arena, "{same: \"***\", changed: \"*** (before)\", gone: \"*** (before)\"}")));
	assert_true(json_equal(json_get(after, "data"), sample(arena, "{same: \"***\", changed: \"*** (after)\", come: \"*** (after)\"}")));
}

static void mask_hides_a_secret_that_is_made_or_deleted(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct json *one = sample(arena, "apiVersion: v1\nkind: Secret\ndata: {a: YQ==}\nstringData: {b: plain}\n");

	(void)state;
	review_mask(NULL, one, arena);
	assert_string_equal(json_text(json_path(one, "data", "a", NULL)), "***");
	assert_string_equal(json_text(json_path(one, "stringData", "b", NULL)), "***");
	one = sample(arena, "apiVersion: v1\nkind: Secret\ndata: {a: YQ==}\n");
	review_mask(one, NULL, arena);
	assert_string_equal(json_text(json_path(one, "data", "a", NULL)), "***");
}

static void mask_leaves_other_kinds_alone(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct json *map = sample(arena, "apiVersion: v1\nkind: ConfigMap\ndata: {a: b}\n");
	struct json *other = sample(arena, "apiVersion: x.example/v1\nkind: Secret\ndata: {a: b}\n");

	(void)state;
	review_mask(map, NULL, arena);
	review_mask(NULL, other, arena);
	assert_string_equal(json_text(json_path(map, "data", "a", NULL)), "b");
	assert_string_equal(json_text(json_path(other, "data", "a", NULL)), "b");
}

/* --- pins ------------------------------------------------------------------------------------------------------------ */

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void images_with_a_pin_are_shown_as_they_are_applied(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct pin pin = { .reference = "reg.example/web:1" };
	struct pins pins = { "c", &pin, 1 };
	struct custom_paths none = { NULL, 0 };
	struct json *object = sample(arena, "apiVersion: apps/v1\nkind: Deployment\nspec: {template: {spec: {\n"
					    "  initContainers: [{name: i, image: \"reg.example/web:1\"}],\n"
					    "  containers: [{name: a, image: \"reg.example/web:1\"}, {name: b, image: \"reg.example/new:1\"}]}}}\n");
	const struct json *spec;

	(void)state;
	assert_true(digest_parse(SPAN("sha256:" HEX), &pin.digest));
	expected_pin(object, &pins, &none, arena);
	spec = json_path(object, "spec", "template", "spec", NULL);
	assert_string_equal(json_get_text(json_at(json_get(spec, "initContainers"), 0), "image"), "reg.example/web:1@sha256:" HEX);
	assert_string_equal(json_get_text(json_at(json_get(spec, "containers"), 0), "image"), "reg.example/web:1@sha256:" HEX);
	assert_string_equal(json_get_text(json_at(json_get(spec, "containers"), 1), "image"), "reg.example/new:1");
}

static void images_at_a_policys_custom_path_are_pinned_too(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct pin pin = { .reference = "reg.example/web:1" };
	struct pins pins = { "c", &pin, 1 };
	const struct custom_path path = { "x.example", "Run", "{.spec.image}" };
	struct custom_paths custom = { &path, 1 };
	struct json *object = sample(arena, "apiVersion: x.example/v1\nkind: Run\nspec: {image: \"reg.example/web:1\"}\n");

	(void)state;
	assert_true(digest_parse(SPAN("sha256:" HEX), &pin.digest));
	expected_pin(object, &pins, &custom, arena);
	assert_string_equal(json_text(json_path(object, "spec", "image", NULL)), "reg.example/web:1@sha256:" HEX);
}

/* --- credentials ------------------------------------------------------------------------------------------------------ */

static void add_secret(struct arena *arena, struct json *list, const char *name, const char *label, const char *type, const char *url)
{
	CLEANUP(str_release) struct str encoded = STR_INIT;

	base64_encode(span_of(url), &encoded);
	json_append(arena, list, sample(arena, arena_printf(arena, "metadata: {name: %s, labels: {%s: %s}}\ndata: {url: \"%s\"}\n", name, label,
							    type, str_c(&encoded))));
}

static const char *chosen(const struct json *list, const char *url)
{
	const struct json *secret = checkout_secret(list, url);

	return secret ? json_text(json_path(secret, "metadata", "name", NULL)) : "none";
}

static void the_secret_of_a_repository_is_chosen_as_the_controller_does(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct json *list = json_array(arena);

	(void)state;
	add_secret(arena, list, "host", "countersign.dev/secret-type", "repo-creds", "https://git.example");
	add_secret(arena, list, "team", "argocd.argoproj.io/secret-type", "repo-creds", "https://git.example/team");
	add_secret(arena, list, "exact", "countersign.dev/secret-type", "repository", "https://git.example/team/shop.git");
	add_secret(arena, list, "other", "example.dev/type", "repository", "https://other.example/x");
	assert_string_equal(chosen(list, "https://git.example/team/shop"), "exact");
	assert_string_equal(chosen(list, "https://git.example/team/other.git"), "team");
	assert_string_equal(chosen(list, "https://git.example/x"), "host");
	assert_string_equal(chosen(list, "https://other.example/x"), "none");
	assert_string_equal(chosen(list, "https://git"), "none");
	/* a credential without a path is for its own host, port and user part */
	assert_string_equal(chosen(list, "https://git.example.evil/x"), "none");
	assert_string_equal(chosen(list, "https://git.example:8443/x"), "none");
	assert_string_equal(chosen(list, "https://git.example@evil.example/x"), "none");
	assert_string_equal(chosen(list, "https://git.example"), "host");
	/* a path may be the beginning of a name, as Argo CD has it */
	assert_string_equal(chosen(list, "https://git.example/teams/x"), "team");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trim_leaves_what_a_person_wrote),
		cmocka_unit_test(trim_leaves_no_empty_maps_behind),
		cmocka_unit_test(mask_shows_which_values_differ_and_none_of_them),
		cmocka_unit_test(mask_hides_a_secret_that_is_made_or_deleted),
		cmocka_unit_test(mask_leaves_other_kinds_alone),
		cmocka_unit_test(images_with_a_pin_are_shown_as_they_are_applied),
		cmocka_unit_test(images_at_a_policys_custom_path_are_pinned_too),
		cmocka_unit_test(the_secret_of_a_repository_is_chosen_as_the_controller_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
