/* oci/reference: what Docker and Kubernetes take for which image, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "oci/reference.h"

#define HEX "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

static const struct {
	const char *in, *host, *name, *shown;
} good[] = {
	{ "nginx", "registry-1.docker.io", "docker.io/library/nginx", "docker.io/library/nginx:latest" },
	{ "nginx:1.25", "registry-1.docker.io", "docker.io/library/nginx", "docker.io/library/nginx:1.25" },
	{ "docker.io/nginx", "registry-1.docker.io", "docker.io/library/nginx", "docker.io/library/nginx:latest" },
	{ "index.docker.io/nginx", "registry-1.docker.io", "docker.io/library/nginx", "docker.io/library/nginx:latest" },
	{ "registry-1.docker.io/library/nginx", "registry-1.docker.io", "docker.io/library/nginx", "docker.io/library/nginx:latest" },
	{ "bob/app", "registry-1.docker.io", "docker.io/bob/app", "docker.io/bob/app:latest" },
	{ "localhost/app", "localhost", "localhost/app", "localhost/app:latest" },
	{ "localhost:5000/app", "localhost:5000", "localhost:5000/app", "localhost:5000/app:latest" },
	{ "127.0.0.1:5000/a/b-c/d_e/f__g:V1.0-x", "127.0.0.1:5000", "127.0.0.1:5000/a/b-c/d_e/f__g",
	  "127.0.0.1:5000/a/b-c/d_e/f__g:V1.0-x" },
	{ "[::1]:5000/app:x", "[::1]:5000", "[::1]:5000/app", "[::1]:5000/app:x" },
	{ "registry.example/shop/web@sha256:" HEX, "registry.example", "registry.example/shop/web",
	  "registry.example/shop/web@sha256:" HEX },
	{ "registry.example/shop/web:1@sha256:" HEX, "registry.example", "registry.example/shop/web",
	  "registry.example/shop/web:1@sha256:" HEX },
	{ "nginx@sha256:" HEX, "registry-1.docker.io", "docker.io/library/nginx", "docker.io/library/nginx@sha256:" HEX },
	{ "registry.example/a--b", "registry.example", "registry.example/a--b", "registry.example/a--b:latest" },
	{ "docker.io:443/nginx", "docker.io:443", "docker.io:443/nginx", "docker.io:443/nginx:latest" },
};

static void reference_means_what_docker_and_kubernetes_take_it_for(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
		CLEANUP(str_release) struct str shown = STR_INIT;
		struct reference r;
		struct error err = ERROR_INIT;

		if (reference_parse(span_of(good[i].in), arena, &r, &err))
			fail_msg("%s: %s", good[i].in, err.text);
		reference_write(&r, &shown);
		assert_string_equal(r.host, good[i].host);
		assert_string_equal(r.name, good[i].name);
		assert_string_equal(str_c(&shown), good[i].shown);
		assert_string_equal(r.text, good[i].in);
	}
}

static const char *const bad[] = {
	"", " nginx", "nginx ", "ngi nx", "nginx\n", "nginx:", "nginx:latest:", "Nginx", "registry.example/Shop/web", "REGISTRY.example/web",
	"Docker.io/nginx", "FOO/bar", "registry.example/", "registry.example//web", "registry.example/web/", "/web", "registry.example:/web",
	"registry.example:0/web", "registry.example:05/web", "registry.example:65536/web", "registry.example:x/web", "registry.example:123456/web",
	"nginx:-x", "nginx:.x", "nginx:a/b", "nginx:a+b", "nginx@", "nginx@sha256:", "nginx@sha256:abc", "nginx@sha512:" HEX HEX,
	"nginx@sha256:" HEX "0", "nginx@SHA256:" HEX, "nginx@sha256:" HEX "@sha256:" HEX, "a..b/c.", "a.b/c..d", "a.b/c___d", "a.b/-c", "a.b/c-",
	"a.b/.c", "a.b/c_", "-a.b/c", "a-.b/c", "a..b/c", ".a/c", "https://a.b/c", "a.b/c?d", "a.b/c#d", "a.b/c%2fd", "a.b/../c", "u:p@a.b/c",
	"regi\xd1\x95try.example/web", "nginx\xe2\x80\x8b", "ngin\xd1\x85", HEX, "sha256:" HEX, "[::1/web", "[]:1/web", "[::g]/web", "a_b.c/d",
};

static void reference_refuses_what_two_readers_could_take_for_two_images(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
		struct reference r = { .text = "untouched" };
		struct error err = ERROR_INIT;

		if (!reference_parse(span_of(bad[i]), arena, &r, &err))
			fail_msg("'%s' was taken for %s", bad[i], r.name);
		assert_string_equal(r.text, "untouched");
		assert_int_equal(err.kind, ERROR_INVALID);
		assert_string_equal(err.reason, "InvalidImageReference");
		assert_true(strlen(err.text) > 10);
	}
}

/* `head` and `count` times 'a'. */
static int parse_long(const char *head, size_t count, struct error *err)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	CLEANUP(str_release) struct str text = STR_INIT;
	struct reference r;

	str_adds(&text, head);
	for (size_t i = 0; i < count; i++)
		str_addc(&text, 'a');
	return reference_parse(str_span(&text), arena, &r, err);
}

static void reference_has_limits(void **state)
{
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(parse_long("a.b/c:", 128, &err), 0);
	assert_int_equal(parse_long("a.b/c:", 129, &err), -1);
	assert_int_equal(parse_long("a.b/", 255, &err), 0);
	assert_int_equal(parse_long("a.b/", 256, &err), -1);
	assert_non_null(strstr(err.text, "256 characters"));
	assert_int_equal(parse_long("", 247, &err), 0); /* with library/ */
	assert_int_equal(parse_long("", 248, &err), -1);
	assert_int_equal(parse_long("a.b/c:", 2000, &err), -1);
}

static void reference_error_names_the_byte_that_is_wrong(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct error err = ERROR_INIT;
	struct reference r;

	(void)state;
	assert_int_equal(reference_parse(SPAN("a.b/w\xd0\xb5" "b"), arena, &r, &err), -1);
	assert_non_null(strstr(err.text, "byte 0xd0 at position 6"));
}

static void reference_pin_keeps_the_tag_and_takes_the_verified_digest(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	CLEANUP(str_release) struct str out = STR_INIT;
	struct reference r;
	struct digest digest;

	(void)state;
	assert_true(digest_parse(SPAN("sha256:" HEX), &digest));
	assert_int_equal(reference_parse(SPAN("nginx:1.25"), arena, &r, NULL), 0);
	reference_pin(&r, &digest, &out);
	assert_string_equal(str_c(&out), "docker.io/library/nginx:1.25@sha256:" HEX);
}

static void registry_names_of_docker_hub_are_one(void **state)
{
	(void)state;
	assert_true(registry_same(SPAN("docker.io"), SPAN("index.docker.io")));
	assert_true(registry_same(SPAN("registry-1.docker.io"), SPAN("index.docker.io")));
	assert_false(registry_same(SPAN("docker.io"), SPAN("docker.io:443")));
	assert_false(registry_same(SPAN("a.b"), SPAN("a.b:443")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reference_means_what_docker_and_kubernetes_take_it_for),
		cmocka_unit_test(reference_refuses_what_two_readers_could_take_for_two_images),
		cmocka_unit_test(reference_has_limits),
		cmocka_unit_test(reference_error_names_the_byte_that_is_wrong),
		cmocka_unit_test(reference_pin_keeps_the_tag_and_takes_the_verified_digest),
		cmocka_unit_test(registry_names_of_docker_hub_are_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
