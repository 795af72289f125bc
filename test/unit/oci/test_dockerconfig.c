/* oci/dockerconfig: which credential is for which image, as a kubelet would say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "oci/dockerconfig.h"

static int find(const char *config, const char *image, struct arena *arena, struct credential *out, bool *found, struct error *err)
{
	struct reference reference;
	bool helper;

	assert_int_equal(reference_parse(span_of(image), arena, &reference, NULL), 0);
	return dockerconfig_find(span_of(config), &reference, arena, out, found, &helper, err);
}

/* Keys of a configuration whose entries' user is the key itself, an image, and the user that is chosen (NULL: none). */
static const struct { const char *keys[3], *image, *user; } matches[] = {
	{ { "a.b" }, "a.b/c", "a.b" },
	{ { "https://a.b" }, "a.b/c", "https://a.b" },
	{ { "https://a.b/" }, "a.b/c", "https://a.b/" },
	{ { "http://a.b/v1/" }, "a.b/c", "http://a.b/v1/" },
	{ { "https://a.b/v2/" }, "a.b/c", "https://a.b/v2/" },
	{ { "a.b:5000" }, "a.b:5000/c", "a.b:5000" },
	{ { "a.b" }, "a.b:5000/c", NULL },
	{ { "a.b:5000" }, "a.b/c", NULL },
	{ { "a.b:5000" }, "a.b:5001/c", NULL },
	{ { "a.b" }, "x.a.b/c", NULL },
	{ { "x.a.b" }, "a.b/c", NULL },
	{ { "*.b" }, "a.b/c", "*.b" },
	{ { "*.b" }, "x.a.b/c", NULL },
	{ { "*.*.b" }, "x.a.b/c", "*.*.b" },
	{ { "*" }, "a.b/c", NULL },
	{ { "a*.b:5000" }, "axy.b:5000/c", "a*.b:5000" },
	{ { "a.b/team" }, "a.b/team/web", "a.b/team" },
	{ { "a.b/team" }, "a.b/other/web", NULL },
	{ { "a.b/team/web" }, "a.b/team", NULL },
	{ { "a.b", "a.b/team" }, "a.b/team/web", "a.b/team" },
	{ { "a.b/team", "a.b" }, "a.b/team/web", "a.b/team" },
	{ { "a.b/team", "a.b" }, "a.b/web", "a.b" },
	{ { "https://index.docker.io/v1/" }, "nginx", "https://index.docker.io/v1/" },
	{ { "docker.io" }, "bob/web", "docker.io" },
	{ { "registry-1.docker.io" }, "docker.io/bob/web", "registry-1.docker.io" },
	{ { "docker.io/library" }, "nginx", "docker.io/library" },
	{ { "docker.io" }, "quay.io/bob/web", NULL },
	{ { "" }, "a.b/c", NULL },
	{ { "https://" }, "a.b/c", NULL },
	{ { "localhost" }, "localhost/c", "localhost" },
};

static void docker_config_entry_is_matched_as_a_kubelet_does(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(matches); i++) {
		CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
		CLEANUP(str_release) struct str config = STR_INIT;
		struct error err = ERROR_INIT;
		struct credential c;
		bool found;

		str_adds(&config, "{\"auths\":{");
		for (size_t k = 0; k < 3 && matches[i].keys[k]; k++)
			str_addf(&config, "%s\"%s\":{\"username\":\"%s\",\"password\":\"p\"}", k ? "," : "", matches[i].keys[k], matches[i].keys[k]);
		str_adds(&config, "}}");
		if (find(str_c(&config), matches[i].image, arena, &c, &found, &err))
			fail_msg("%s: %s", str_c(&config), err.text);
		if (found != (matches[i].user != NULL) || strcmp(c.username, matches[i].user ? matches[i].user : "") != 0)
			fail_msg("%s for %s: '%s'", str_c(&config), matches[i].image, c.username);
		assert_int_equal(credential_is_anonymous(&c), !found);
	}
}

static const struct { const char *entry, *user, *password, *identity, *registry; } entries[] = {
	{ "\"username\":\"u\",\"password\":\"p\"", "u", "p", "", "" },
	{ "\"auth\":\"Ym9iOnNlY3JldA==\"", "bob", "secret", "", "" },
	{ "\"auth\":\"Ym9iOnNlY3JldA\"", "bob", "secret", "", "" },
	{ "\"auth\":\"Ym9iOmE6Yg==\"", "bob", "a:b", "", "" },
	{ "\"auth\":\"Ym9iOnNlY3JldA==\",\"username\":\"x\",\"password\":\"y\"", "bob", "secret", "", "" },
	{ "\"auth\":\"\",\"username\":\"x\",\"password\":null", "x", "", "", "" },
	{ "\"identitytoken\":\"t\",\"auth\":\"MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwOg==\"", "00000000-0000-0000-0000-000000000000", "", "t",
	  "" },
	{ "\"registrytoken\":\"r\"", "", "", "", "r" },
	{ "\"email\":\"x@y\",\"username\":\"u\"", "u", "", "", "" },
};

static void docker_config_entry_says_its_credential_in_every_form(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(entries); i++) {
		CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
		struct error err = ERROR_INIT;
		struct credential c;
		bool found;

		if (find(arena_printf(arena, "{\"auths\":{\"a.b\":{%s}}}", entries[i].entry), "a.b/c", arena, &c, &found, &err))
			fail_msg("%s: %s", entries[i].entry, err.text);
		assert_true(found);
		assert_string_equal(c.username, entries[i].user);
		assert_string_equal(c.password, entries[i].password);
		assert_string_equal(c.identity_token, entries[i].identity);
		assert_string_equal(c.registry_token, entries[i].registry);
	}
}

/* Users in the order in which they are tried. */
static const struct { enum dockerconfig_form form; const char *config, *users; } alls[] = {
	{ DOCKERCONFIG_JSON, "{\"auths\":{\"a.b\":{\"username\":\"short\"},\"a.b/c\":{\"username\":\"long\"},\"x.y\":{\"auth\":7}}}", "long short " },
	{ DOCKERCONFIG_JSON, "{\"auths\":{\"a.b/c\":{},\"a.b\":{\"username\":\"u\"}}}", "u " },
	{ DOCKERCONFIG_JSON, "{\"auths\":{\"a.b/d\":{\"username\":\"u\"}}}", "" },
	{ DOCKERCONFIG_JSON, "{\"a.b\":{\"username\":\"u\"}}", "" },
	{ DOCKERCONFIG_CFG, "{\"a.b\":{\"username\":\"u\",\"password\":\"p\",\"email\":\"x@y\"},\"https://x.y/\":{\"username\":\"v\"}}", "u " },
	{ DOCKERCONFIG_CFG, "{\"auths\":{\"a.b\":{\"username\":\"u\"}}}", "" },
};

static void docker_config_tells_all_that_may_be_tried(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(alls); i++) {
		CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
		CLEANUP(str_release) struct str users = STR_INIT;
		struct reference reference;
		struct credential *found;
		struct error err = ERROR_INIT;
		size_t count;

		assert_int_equal(reference_parse(SPAN("a.b/c/d"), arena, &reference, NULL), 0);
		if (dockerconfig_find_all(span_of(alls[i].config), alls[i].form, &reference, arena, &found, &count, &err))
			fail_msg("%s: %s", alls[i].config, err.text);
		for (size_t k = 0; k < count; k++)
			str_addf(&users, "%s ", found[k].username);
		assert_string_equal(str_c(&users), alls[i].users);
	}
}

static const char *const bad[] = {
	"", "[]", "x", "{", "{\"auths\":[]}", "{\"auths\":{\"a.b\":{\"auth\":\"c2VjcmV0\"}}}", "{\"auths\":{\"a.b\":{\"auth\":\"!secret!\"}}}",
	"{\"auths\":{\"a.b\":{\"auth\":\"OnNlY3JldA==\"}}}", "{\"auths\":{\"a.b\":{\"username\":7,\"password\":\"secret\"}}}",
	"{\"auths\":{\"a.b\":{\"password\":\"secret\\u0000\"}}}", "{\"auths\":{\"a.b\":{\"registrytoken\":\"secret\\r\\nX: y\"}}}",
	"{\"auths\":{\"a.b\":{\"auth\":\"Ym9iOnNlYwByZXQ=\"}}}", "{\"auths\":{},\"auths\":{}}",
};

static void docker_config_that_cannot_be_read_is_an_error_without_its_secret(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
		struct error err = ERROR_INIT;
		struct credential c;
		bool found;

		if (!find(bad[i], "a.b/c", arena, &c, &found, &err))
			fail_msg("taken: %s", bad[i]);
		assert_string_equal(err.reason, "BadDockerConfig");
		assert_null(strstr(err.text, "secret"));
		assert_null(strstr(err.text, "c2Vj"));
	}
}

static void docker_config_with_a_broken_entry_of_another_registry_is_fine(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct credential c;
	bool found;

	(void)state;
	assert_int_equal(find("{\"auths\":{\"x.y\":{\"auth\":7},\"a.b\":{\"username\":\"u\"}}}", "a.b/c", arena, &c, &found, NULL), 0);
	assert_true(found);
	assert_int_equal(find("{\"auths\":{\"x.y\":{\"auth\":7}}}", "a.b/c", arena, &c, &found, NULL), 0);
	assert_false(found);
	assert_int_equal(find("{}", "a.b/c", arena, &c, &found, NULL), 0);
	assert_int_equal(find("{\"auths\":null}", "a.b/c", arena, &c, &found, NULL), 0);
	assert_int_equal(find("{\"auths\":{\"a.b\":null}}", "a.b/c", arena, &c, &found, NULL), 0);
	assert_false(found);
}

static void docker_config_tells_of_helpers_and_runs_none(void **state)
{
	static const struct { const char *config; bool helper; } cases[] = {
		{ "{\"credsStore\":\"pass\"}", true },
		{ "{\"credHelpers\":{\"a.b\":\"x\"}}", true },
		{ "{\"credHelpers\":{\"x.y\":\"x\"}}", false },
		{ "{\"credHelpers\":{\"a.b\":\"x\"},\"auths\":{\"a.b\":{\"username\":\"u\"}}}", false },
		{ "{\"credsStore\":\"\"}", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
		struct reference reference;
		struct credential c;
		bool found, helper;

		assert_int_equal(reference_parse(SPAN("a.b/c"), arena, &reference, NULL), 0);
		assert_int_equal(dockerconfig_find(span_of(cases[i].config), &reference, arena, &c, &found, &helper, NULL), 0);
		assert_int_equal(helper, cases[i].helper);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(docker_config_entry_is_matched_as_a_kubelet_does),
		cmocka_unit_test(docker_config_entry_says_its_credential_in_every_form),
		cmocka_unit_test(docker_config_tells_all_that_may_be_tried),
		cmocka_unit_test(docker_config_that_cannot_be_read_is_an_error_without_its_secret),
		cmocka_unit_test(docker_config_with_a_broken_entry_of_another_registry_is_fine),
		cmocka_unit_test(docker_config_tells_of_helpers_and_runs_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
