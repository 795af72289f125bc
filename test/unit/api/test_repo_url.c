/* api/repo_url.h: one form for a URL; what may be read as two repositories is refused, and a denial is not got round. */
#include "unit.h"

#include "api/project.h"
#include "api/repo_url.h"

static void a_url_has_one_form(void **state)
{
	static const struct { const char *url, *form; } cases[] = {
		{ "https://git.example/ops/shop", "https://git.example/ops/shop" },
		{ "https://git.example/ops/shop.git", "https://git.example/ops/shop" },
		{ "https://git.example/ops/shop.git/", "https://git.example/ops/shop" },
		{ "HTTPS://GIT.Example/ops/Shop", "https://git.example/ops/Shop" },
		{ "https://git.example:443/ops/shop", "https://git.example/ops/shop" },
		{ "http://git.example:80/ops/shop", "http://git.example/ops/shop" },
		{ "http://git.example:443/ops/shop", "http://git.example:443/ops/shop" },
		{ "https://git.example:8443/ops/shop", "https://git.example:8443/ops/shop" },
		{ "https://[::1]:8443/ops/shop", "https://[::1]:8443/ops/shop" },
		{ "https://git.example/My%20Project/_git/a", "https://git.example/My%20Project/_git/a" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		CLEANUP(str_release) struct str out = STR_INIT;
		struct error err = ERROR_INIT;

		if (repo_url_canonical(cases[i].url, &out, &err))
			fail_msg("%s: %s", cases[i].url, err.text);
		ASSERT_TEXT(cases[i].url, str_c(&out), cases[i].form);
	}
}

/* Each of them is some server's or client's spelling of https://git.example/secret/x, or looks like it and is not. */
static const char *const ambiguous[] = {
	"https://user@git.example/secret/x", "https://user:hunter2@git.example/secret/x", "https://git.example@evil.example/secret/x",
	"https://git.example:443@evil.example/secret/x", "https://git.example/s%65cret/x", "https://git.example/secret%2Fx",
	"https://git.example/secret%2fx", "https://git.example/%2e%2e/secret/x", "https://git.example/open/../secret/x",
	"https://git.example/./secret/x", "https://git.example//secret/x", "https://git.example/secret//x", "https://git.example/secret/x/.git",
	"https://git.example/secret/x.git.git", "https://git.example/secret/x.GIT", "https://git.example/secret/x.Git/", "https://git.example./secret/x", "https://git.example:/secret/x", "https://git.example:0443/secret/x",
	"https://git.example:443x/secret/x", "https://git%2Eexample/secret/x", "https://git.example:ple:443/secret/x", "https://[::1/secret/x", "https://[::1]x/secret/x",
	"https://git.example*/secret/x", "https://git.example/secret/x?a=b", "https://git.example/secret/x#a",
	"https://git.example\\@evil.example/secret/x", "https://git.example/secret\\x", "https://git.example/secret/x%00", "https://git.example/%7",
	"https://git.example/secret/x%C3%A9\xc3\xa9", "https://git.example/secret/x ", " https://git.example/secret/x", "https:///secret/x",
	"git.example/secret/x", "ssh://git@git.example/secret/x", "git@git.example:secret/x", "file:///secret/x", "ext::sh -c x", "",
};

static void a_url_that_two_readers_may_take_for_two_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(ambiguous); i++) {
		CLEANUP(str_release) struct str out = STR_INIT;
		struct error err = ERROR_INIT;

		if (!repo_url_canonical(ambiguous[i], &out, &err))
			fail_msg("%s was taken for %s", ambiguous[i], str_c(&out));
		ASSERT_TEXT(ambiguous[i], err.reason, "RepositoryNotPermitted");
		assert_null(strstr(err.text, "hunter2"));
	}
}

static bool allows(struct arena *arena, const char *rules, const char *url, struct str *why)
{
	struct error err = ERROR_INIT;
	struct project project;

	if (project_decode(J(arena, arena_printf(arena, "{'metadata':{'name':'red'},'spec':{'sourceRepos':%s}}", rules)), arena, &project, &err))
		fail_msg("%s: %s", rules, err.text);
	return project_allows_repo(&project, url, true, why);
}

static void the_controller_itself_is_allowed_where_it_is_spelled_out_alone(void **state)
{
	static const char *const inside[] = { "http://127.0.0.1:3000/ops/x", "http://localhost:3000/ops/x", "http://[::1]:3000/ops/x" };
	static const struct { const char *rules; bool allowed; } cases[] = {
		{ "['http://127.0.0.1:3000/ops/*','http://localhost:3000/**','http://[::1]:3000/ops/*']", true },
		{ "['*']", false }, { "['**']", false }, { "['http://**']", false }, { "['http://*/ops/*']", false }, { "['http://*:3000/ops/*']", false },
		{ "['http://{127.0.0.1,localhost,[::1]}:3000/ops/*']", false }, { "['{http,https}://*/ops/*']", false },
		{ "['http://127.0.0.?:3000/**','http://local*:3000/**','http://[::?]:3000/**']", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		for (size_t j = 0; j < COUNT_OF(inside); j++) {
			WITH_ARENA(arena);
			CLEANUP(str_release) struct str why = STR_INIT;

			if (allows(arena, cases[i].rules, inside[j], &why) != cases[i].allowed)
				fail_msg("%s ~ %s: want %d", cases[i].rules, inside[j], cases[i].allowed);
		}
}

static void no_spelling_gets_round_a_denial(void **state)
{
	static const char *const spelled[] = {
		"https://git.example/secret/x", "https://git.example/secret/x.git", "https://GIT.EXAMPLE/secret/x", "https://git.example:443/secret/x",
		"https://git.example/SECRET/X", "https://git.example/Secret/x.git/", "HTTPS://git.example/secret/x",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(spelled) + COUNT_OF(ambiguous); i++) {
		WITH_ARENA(arena);
		const char *url = i < COUNT_OF(spelled) ? spelled[i] : ambiguous[i - COUNT_OF(spelled)];
		CLEANUP(str_release) struct str why = STR_INIT;

		if (allows(arena, "['*','!https://git.example/secret/*']", url, &why))
			fail_msg("allowed: %s", url);
		if (i < COUNT_OF(spelled))
			assert_non_null(strstr(str_c(&why), "spec.sourceRepos[1]"));
	}
}

static void an_allowance_is_letter_by_letter(void **state)
{
	static const struct { const char *rules, *url; bool allowed; } cases[] = {
		{ "['https://git.example/ops/shop']", "https://git.example/ops/shop.git", true },
		{ "['https://git.example/ops/shop.git']", "https://git.example/ops/shop", true },
		{ "['https://git.example:443/ops/shop']", "https://GIT.example/ops/shop", true },
		{ "['https://git.example/ops/shop']", "https://git.example:443/ops/shop", true },
		{ "['https://git.example/ops/shop']", "https://git.example/ops/Shop", false },
		{ "['https://git.example/ops/shop']", "https://git.example:8443/ops/shop", false },
		{ "['https://git.example/ops/shop']", "http://git.example/ops/shop", false },
		{ "['https://git.example/ops/shop']", "https://git.example/ops/shop/x", false },
		{ "['https://git.example/ops/shop']", "https://git.example/ops/shop2", false },
		{ "['https://git.example/ops/shop']", "https://git.example.evil.example/ops/shop", false },
		{ "['https://git.example/ops/*']", "https://git.example/ops/a/b", false },
		{ "['https://*.example/ops/shop']", "https://evil.org/.example/ops/shop", false },
		{ "['!https://git.example/secret/*']", "https://git.example/ops/shop", false },
		{ "['!*','https://git.example/ops/shop']", "https://git.example/ops/shop", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		WITH_ARENA(arena);

		if (allows(arena, cases[i].rules, cases[i].url, NULL) != cases[i].allowed)
			fail_msg("%s ~ %s: want %d", cases[i].rules, cases[i].url, cases[i].allowed);
	}
}

static void an_entry_that_no_url_can_match_makes_the_project_invalid(void **state)
{
	static const char *const entries[] = {
		"!https://user@git.example/secret/*", "!https://git.example/s%65cret/*", "!git.example/secret/*", "https://me:pw@git.example/x",
	};
	static const char *const good[] = { "*", "**", "!**/secret/*", "http*://git.example/**", "{http,https}://git.example/**",
					    "git@git.example:ops/*", "ssh://git@git.example/ops/*" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(entries) + COUNT_OF(good); i++) {
		bool bad = i < COUNT_OF(entries);
		const char *entry = bad ? entries[i] : good[i - COUNT_OF(entries)];
		struct error err = ERROR_INIT;

		if (repo_pattern_check(entry, &err) != (bad ? -1 : 0))
			fail_msg("%s: %s", entry, err.text);
		if (bad)
			ASSERT_TEXT(entry, err.reason, "InvalidProject");
	}
}

static void a_denial_where_none_is_understood_makes_the_project_invalid(void **state)
{
	static const char *const specs[] = {
		"{'namespaceResourceWhitelist':[{'group':'','kind':'!Secret'}]}", "{'clusterResourceWhitelist':[{'group':'!rbac','kind':'*'}]}",
		"{'clusterResourceBlacklist':[{'group':'*','kind':'*','name':'!x'}]}",
		"{'destinationServiceAccounts':[{'server':'*','namespace':'!x','defaultServiceAccount':'a:b'}]}",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(specs); i++) {
		WITH_ARENA(arena);
		struct error err = ERROR_INIT;
		struct project project;

		if (!project_decode(J(arena, arena_printf(arena, "{'metadata':{'name':'red'},'spec':%s}", specs[i])), arena, &project, &err))
			fail_msg("accepted: %s", specs[i]);
		ASSERT_TEXT(specs[i], err.reason, "InvalidProject");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_url_has_one_form), cmocka_unit_test(a_url_that_two_readers_may_take_for_two_is_refused),
		cmocka_unit_test(the_controller_itself_is_allowed_where_it_is_spelled_out_alone),
		cmocka_unit_test(no_spelling_gets_round_a_denial), cmocka_unit_test(an_allowance_is_letter_by_letter),
		cmocka_unit_test(an_entry_that_no_url_can_match_makes_the_project_invalid),
		cmocka_unit_test(a_denial_where_none_is_understood_makes_the_project_invalid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
