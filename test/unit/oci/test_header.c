/* oci/header: what of a registry's headers is believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "oci/header.h"
#include "oci/transport.h"

#define B CHALLENGE_BEARER
#define S CHALLENGE_BASIC
#define N CHALLENGE_NONE

static const struct {
	const char *in;
	enum challenge_scheme scheme;
	const char *realm, *service, *scope;
} challenges[] = {
	{ "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\",scope=\"repository:a/b:pull\"", B,
	  "https://auth.docker.io/token", "registry.docker.io", "repository:a/b:pull" },
	{ "bearer REALM=\"r\" , Service=s", B, "r", "s", NULL },
	{ "Bearer realm = \"r\"", B, "r", NULL, NULL },
	{ "Basic realm=\"x\"", S, "x", NULL, NULL },
	{ "Basic", S, NULL, NULL, NULL },
	{ "Basic realm=\"x\", Bearer realm=\"y\",service=\"z\"", B, "y", "z", NULL },
	{ "Bearer realm=\"y\",service=\"z\", Basic realm=\"x\"", B, "y", "z", NULL },
	{ "Negotiate, Basic realm=\"x\"", S, "x", NULL, NULL },
	{ "Digest realm=\"d\", nonce=\"a,b=c\", Basic realm=\"x\"", S, "x", NULL, NULL },
	{ "Bearer realm=\"a\\\"b\\\\c\"", B, "a\"b\\c", NULL, NULL },
	{ "Bearer realm=\"first\",realm=\"second\"", B, "first", NULL, NULL },
	{ "Bearer service=\"z\"", N, NULL, NULL, NULL },
	{ "Bearer service=\"z\", Basic realm=\"x\"", S, "x", NULL, NULL },
	{ "", N, NULL, NULL, NULL },
	{ ",,, ,", N, NULL, NULL, NULL },
	{ "Bearer realm=\"never ends", N, NULL, NULL, NULL },
	{ "Bearer realm=\"ends in \\", N, NULL, NULL, NULL },
	{ "Bearer realm=\"a\tb\"", N, NULL, NULL, NULL },
	{ "Bearer realm=", N, NULL, NULL, NULL },
	{ "\"Bearer\" realm=\"x\"", N, NULL, NULL, NULL },
	{ "Bearer\x01realm=\"x\"", N, NULL, NULL, NULL },
};

static void same(const char *got, const char *want, const char *in)
{
	if ((!got) != (!want) || (got && strcmp(got, want) != 0))
		fail_msg("%s: got '%s', want '%s'", in, got ? got : "(none)", want ? want : "(none)");
}

static void challenge_is_read_as_rfc_9110_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(challenges); i++) {
		CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
		struct challenge c;

		challenge_parse(span_of(challenges[i].in), arena, &c);
		if (c.scheme != challenges[i].scheme)
			fail_msg("%s: scheme %d", challenges[i].in, c.scheme);
		same(c.realm, challenges[i].realm, challenges[i].in);
		same(c.service, challenges[i].service, challenges[i].in);
		same(c.scope, challenges[i].scope, challenges[i].in);
	}
}

static void challenge_of_any_length_is_bounded(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	CLEANUP(str_release) struct str many = STR_INIT;
	struct challenge c;

	(void)state;
	for (int i = 0; i < 20000; i++)
		str_adds(&many, "x a=b,");
	str_adds(&many, "Bearer realm=\"r\"");
	challenge_parse(str_span(&many), arena, &c);
	assert_int_equal(c.scheme, CHALLENGE_NONE);
	str_reset(&many);
	str_adds(&many, "Bearer realm=\"");
	for (int i = 0; i < 5000; i++)
		str_adds(&many, "x");
	str_adds(&many, "\"");
	challenge_parse(str_span(&many), arena, &c);
	assert_int_equal(c.scheme, CHALLENGE_NONE);
}

static const struct { const char *in, *next; } links[] = {
	{ "</v2/a/referrers/x?n=2>; rel=\"next\"", "/v2/a/referrers/x?n=2" },
	{ "<b>;rel=next", "b" },
	{ "<a>; rel=\"prev\", <b>; rel=\"next\"", "b" },
	{ "<a>; title=\"x, <c>; rel=next\"; rel=\"prev\", <b>; rel=\"last next\"", "b" },
	{ "<a>; REL=\"Next\"", "a" },
	{ "<a>; rel=\"nextish\"", NULL },
	{ "<a>", NULL },
	{ "", NULL },
	{ "a; rel=next", NULL },
	{ "<a; rel=next", NULL },
	{ "<a>; rel=\"next", NULL },
	{ "<>; rel=next", "" },
	{ ">", NULL },
};

static void link_to_the_next_page_is_read_as_rfc_8288_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(links); i++) {
		struct span next = link_next(span_of(links[i].in));

		if (!links[i].next != !next.data || (next.data && !span_is(next, links[i].next)))
			fail_msg("%s: '%.*s'", links[i].in, SPAN_ARG(next));
	}
}

static void media_type_loses_parameters_and_case(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);

	(void)state;
	assert_string_equal(media_type_of(SPAN("Application/JSON; charset=utf-8"), arena), "application/json");
	assert_string_equal(media_type_of(SPAN(" a/b+c "), arena), "a/b+c");
	assert_string_equal(media_type_of(SPAN("a/b c"), arena), "");
	assert_string_equal(media_type_of(SPAN(""), arena), "");
}

static const struct { const char *url, *origin; bool user; } origins[] = {
	{ "https://Registry.Example/v2/?x", "https://registry.example:443", false },
	{ "http://a.b:5000", "http://a.b:5000", false },
	{ "https://u:p@a.b/", "https://a.b:443", true },
	{ "https://[::1]:7/", "https://[::1]:7", false },
	{ "ftp://a.b/", NULL, false }, { "file:///etc/passwd", NULL, false }, { "gopher://a/", NULL, false }, { "", NULL, false },
	{ "//a.b/", NULL, false },
};

static void url_has_the_origin_that_credentials_are_bound_to(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(origins); i++) {
		CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
		const char *origin = NULL;
		bool user = false;
		bool good = url_split(origins[i].url, arena, &origin, &user);

		if (good != (origins[i].origin != NULL))
			fail_msg("%s: %s", origins[i].url, good ? origin : "refused");
		if (good) {
			assert_string_equal(origin, origins[i].origin);
			assert_int_equal(user, origins[i].user);
		}
	}
}

static void url_is_resolved_and_extended(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);

	(void)state;
	assert_string_equal(url_resolve("https://a.b/v2/c?d=e", "/v2/f?g=h#i", arena), "https://a.b/v2/f?g=h");
	assert_string_equal(url_resolve("https://a.b/v2/c", "https://evil/x", arena), "https://evil/x");
	assert_string_equal(url_with("https://a.b/t", "scope", "repository:c/d:pull&x", arena),
			    "https://a.b/t?scope=repository%3ac%2fd%3apull%26x");
	assert_string_equal(url_with("https://a.b/t?account=u", "service", "s", arena), "https://a.b/t?account=u&service=s");
	assert_null(url_with("", "a", "b", arena));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(challenge_is_read_as_rfc_9110_says),
		cmocka_unit_test(challenge_of_any_length_is_bounded),
		cmocka_unit_test(link_to_the_next_page_is_read_as_rfc_8288_says),
		cmocka_unit_test(media_type_loses_parameters_and_case),
		cmocka_unit_test(url_has_the_origin_that_credentials_are_bound_to),
		cmocka_unit_test(url_is_resolved_and_extended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
