/* gate/verdict.h: starts at deny; all policies must pass, one authority of each. */
#include "unit.h"

#include "base/clock.h"
#include "gate/verdict.h"

#define KEY "'key':{'data':'PEM'}"
#define POLICY(name, glob, rest) "{'metadata':{'name':'" name "'},'spec':{'images':[{'glob':'" glob "'}],'authorities':[{'name':'k'," KEY "}]" rest "}}"

struct world {
	const char *policies[3];
	const char *signers;        /* trust key ids that signed, comma-separated */
	const char *image, *namespace;
};

static int64_t now_of(const char *text)
{
	int64_t ns = 0;

	assert_true(time_parse(span_of(text), &ns));
	return ns;
}

static struct ruling_detail judge(struct arena *arena, const struct world *world)
{
	struct image_policy *policies = arena_calloc(arena, 3, sizeof(*policies));
	struct policy_set set = { policies, 0 };
	struct claims *claims = ARENA_NEW(arena, struct claims);
	struct reference *reference = ARENA_NEW(arena, struct reference);
	struct ruling_detail detail;
	struct image_facts facts = { reference, world->namespace ? world->namespace : "shop", digest_of(SPAN("image")), claims, NULL };
	struct span rest = span_of(world->signers);
	struct error err = ERROR_INIT;

	for (; set.count < 3 && world->policies[set.count]; set.count++)
		image_policy_decode(J(arena, world->policies[set.count]), arena, &policies[set.count]);
	if (reference_parse(span_of(world->image), arena, reference, &err))
		fail_msg("%s", err.text);
	if (reference->has_digest)
		facts.digest = reference->digest;
	claims->image = facts.digest;
	claims->items = arena_calloc(arena, 4, sizeof(struct claim));
	while (rest.length) {
		struct claim *claim = &claims->items[claims->count++];

		claim->proves = CLAIM_SIGNATURE;
		claim->subject = facts.digest;
		claim->text = "";
		claim->signers = arena_calloc(arena, 1, sizeof(struct claim_signer));
		claim->signers[0] = (struct claim_signer){ SIGNER_KEY, arena_strndup(arena, span_cut(&rest, ',')) };
		claim->signer_count = 1;
	}
	verdict_judge(&set, &facts, now_of("2026-06-01T00:00:00Z"), arena, &detail);
	return detail;
}

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OLD(glob) "{'glob':'" glob "','namespaces':['*'],'reason':'old','expires':'2027-01-01T00:00:00Z'}"
#define OLD_TAG(rest) POLICY("p", "r.example/**", ",'exemptions':[" OLD("r.example/old:1") "]" rest)
#define SHOP POLICY("shop", "r.example/shop/**", "")

static void verdicts(void **state)
{
	static const struct { const char *name; struct world world; enum ruling ruling; const char *reason; } cases[] = {
		{ "zero policies deny", { { NULL }, "", "r.example/shop/a:1", NULL }, RULING_DENY, "NoPolicy" },
		{ "no policy matches: deny", { { POLICY("other", "o.example/**", "") }, "other/0", "r.example/shop/a:1", NULL }, RULING_DENY, "NoPolicy" },
		{ "signed by its authority", { { SHOP }, "shop/0", "r.example/shop/a:1", NULL }, RULING_ALLOW, "" },
		{ "not signed", { { SHOP }, "", "r.example/shop/a:1", NULL }, RULING_DENY, "NoSignature" },
		{ "signed for another policy only", { { SHOP }, "other/0", "r.example/shop/a:1", NULL }, RULING_DENY, "OTHER_KEY" },
		{ "all policies that apply must pass", { { SHOP, POLICY("all", "**", "") }, "shop/0", "r.example/shop/a:1", NULL }, RULING_DENY, "OTHER_KEY" },
		{ "both pass", { { SHOP, POLICY("all", "**", "") }, "shop/0,all/0", "r.example/shop/a:1", NULL }, RULING_ALLOW, "" },
		{ "warn lets a failed check pass", { { POLICY("shop", "r.example/shop/**", ",'mode':'warn'") }, "", "r.example/shop/a:1", NULL },
		  RULING_WARN, "NoSignature" },
		{ "an enforcing policy beside it still denies",
		  { { POLICY("w", "**", ",'mode':'warn'"), SHOP }, "", "r.example/shop/a:1", NULL }, RULING_DENY, "NoSignature" },
		{ "unknown field makes the policy invalid and denies",
		  { { POLICY("shop", "r.example/shop/**", ",'mod':'warn'") }, "shop/0", "r.example/shop/a:1", NULL }, RULING_DENY, "InvalidPolicy" },
		{ "an invalid policy for other images denies nothing here",
		  { { SHOP, POLICY("x", "x.example/**", ",'mod':1") }, "shop/0", "r.example/shop/a:1", NULL }, RULING_ALLOW, "" },
		{ "globs that cannot be read govern everything",
		  { { SHOP, "{'metadata':{'name':'x'},'spec':{'images':[{'glop':'x'}],'authorities':[]}}" }, "shop/0", "r.example/shop/a:1", NULL },
		  RULING_DENY, "InvalidPolicy" },
		{ "exempted", { { POLICY("shop", "r.example/shop/**", ",'exemptions':[{'glob':'**','namespaces':['sh*'],'reason':'old','expires':'2027-01-01T00:00:00Z'}]") },
				"", "r.example/shop/a:1", NULL }, RULING_EXEMPT, "" },
		{ "an exemption that is over is none", { { POLICY("shop", "r.example/shop/**", ",'exemptions':[{'glob':'**','namespaces':['*'],'reason':'old','expires':'2026-01-01T00:00:00Z'}]") },
				"", "r.example/shop/a:1", NULL }, RULING_DENY, "NoSignature" },
		{ "an exemption of another namespace is none", { { POLICY("shop", "r.example/shop/**", ",'exemptions':[{'glob':'**','namespaces':['x'],'reason':'old','expires':'2027-01-01T00:00:00Z'}]") },
				"", "r.example/shop/a:1", NULL }, RULING_DENY, "NoSignature" },
		{ "an exemption of one policy does not lift another",
		  { { POLICY("shop", "r.example/shop/**", ",'exemptions':[{'glob':'**','namespaces':['*'],'reason':'old','expires':'2027-01-01T00:00:00Z'}]"), POLICY("all", "**", "") },
				"", "r.example/shop/a:1", NULL }, RULING_DENY, "NoSignature" },
		{ "docker hub by any of its names", { { POLICY("h", "index.docker.io/library/*", "") }, "h/0", "nginx", NULL }, RULING_ALLOW, "" },
		{ "docker hub by a short name", { { POLICY("h", "nginx", ""), POLICY("all", "**", "") }, "all/0", "docker.io/library/nginx:1", NULL }, RULING_DENY, "OTHER_KEY" },
		{ "docker hub by a short name with a tag", { { POLICY("h", "nginx:1.*", ""), POLICY("all", "**", "") }, "all/0", "nginx:1.2", NULL }, RULING_DENY, "OTHER_KEY" },
		{ "docker hub by an organisation", { { POLICY("h", "bitnami/**", ""), POLICY("all", "**", "") }, "all/0", "index.docker.io/bitnami/redis", NULL }, RULING_DENY, "OTHER_KEY" },
		{ "one star is of docker hub's own images", { { POLICY("h", "*", "") }, "h/0", "nginx", NULL }, RULING_ALLOW, "" },
		{ "a short name is of docker hub only", { { POLICY("h", "nginx", "") }, "h/0", "r.example/nginx", NULL }, RULING_DENY, "NoPolicy" },
		{ "a registry in capitals", { { POLICY("h", "R.Example/shop/**", ""), POLICY("all", "**", "") }, "all/0", "r.example/shop/a", NULL }, RULING_DENY, "OTHER_KEY" },
		{ "a registry that is any", { { POLICY("h", "*/shop/a", ""), POLICY("all", "**", "") }, "all/0", "r.example/shop/a", NULL }, RULING_DENY, "OTHER_KEY" },
		{ "a registry without a dot", { { POLICY("h", "localhost/shop/a", ""), POLICY("all", "**", "") }, "all/0", "localhost/shop/a", NULL }, RULING_DENY, "OTHER_KEY" },
		{ "two stars behind a registry", { { POLICY("h", "r.example**", "") }, "h/0", "r.example/a", NULL }, RULING_ALLOW, "" },
		{ "a tag that looks like the port", { { POLICY("h", "nginx:443", ""), POLICY("all", "**", "") }, "all/0", "nginx:1", NULL }, RULING_ALLOW, "" },
		{ "matched with its tag", { { POLICY("t", "r.example/a:v1", "") }, "t/0", "r.example/a:v1", NULL }, RULING_ALLOW, "" },
		{ "matched with its digest", { { POLICY("t", "r.example/a@sha256:*", "") }, "t/0", "r.example/a:v1", NULL }, RULING_ALLOW, "" },
		{ "an exemption by tag holds for the tag", { { OLD_TAG("") }, "", "r.example/old:1", NULL }, RULING_EXEMPT, "" },
		{ "an exemption by tag is none for a digest beside the tag", { { OLD_TAG("") }, "", "r.example/old:1@sha256:" HEX, NULL }, RULING_DENY, "NoSignature" },
		{ "an exemption by the beginning of a tag is none either", { { POLICY("p", "r.example/**", ",'exemptions':[" OLD("r.example/old:1*") "]") }, "", "r.example/old:1@sha256:" HEX, NULL },
		  RULING_DENY, "NoSignature" },
		{ "an exemption by digest holds with a tag", { { POLICY("p", "r.example/**", ",'exemptions':[" OLD("r.example/old:1@sha256:" HEX) "]") }, "", "r.example/old:1@sha256:" HEX, NULL },
		  RULING_EXEMPT, "" },
		{ "an exemption by a tag with any digest is none", { { POLICY("p", "r.example/**", ",'exemptions':[" OLD("r.example/old:1@sha256:*") "]") }, "", "r.example/old:1@sha256:" HEX, NULL },
		  RULING_DENY, "NoSignature" },
		{ "an exemption by name holds for it", { { POLICY("p", "r.example/**", ",'exemptions':[" OLD("r.example/old") "]") }, "", "r.example/old:1@sha256:" HEX, NULL },
		  RULING_EXEMPT, "" },
		{ "warning by tag", { { POLICY("w", "r.example/a:canary-*", ",'mode':'warn'") }, "", "r.example/a:canary-1", NULL }, RULING_WARN, "NoSignature" },
		{ "warning by tag is none for a digest beside the tag",
		  { { POLICY("w", "r.example/a:canary-*", ",'mode':'warn'") }, "", "r.example/a:canary-1@sha256:" HEX, NULL }, RULING_DENY, "NoPolicy" },
		{ "an enforcing policy by tag binds a digest beside the tag, too",
		  { { POLICY("w", "r.example/**", ",'mode':'warn'"), POLICY("t", "r.example/a:v*", "") }, "", "r.example/a:v1@sha256:" HEX, NULL }, RULING_DENY, "NoSignature" },
		{ "a port that https implies is no way around a policy", { { SHOP, POLICY("all", "**", "") }, "all/0", "r.example:443/shop/a:1", NULL }, RULING_DENY, "OTHER_KEY" },
		{ "nor is it with a digest", { { SHOP, POLICY("all", "**", "") }, "all/0", "r.example:443/shop/a@sha256:" HEX, NULL }, RULING_DENY, "OTHER_KEY" },
		{ "nor one that the policy names", { { POLICY("p", "r.example:443/shop/**", ""), POLICY("all", "**", "") }, "all/0", "r.example/shop/a:1", NULL },
		  RULING_DENY, "OTHER_KEY" },
		{ "another port is another registry", { { SHOP, POLICY("all", "**", "") }, "all/0", "r.example:8443/shop/a:1", NULL }, RULING_ALLOW, "" },
		{ "one star stays in its segment", { { POLICY("t", "r.example/*", "") }, "t/0", "r.example/a/b", NULL }, RULING_DENY, "NoPolicy" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		WITH_ARENA(arena);
		struct ruling_detail detail = judge(arena, &cases[i].world);

		ASSERT_TEXT(cases[i].name, ruling_name(detail.ruling), ruling_name(cases[i].ruling));
		ASSERT_TEXT(cases[i].name, detail.reason, cases[i].reason);
	}
}

/* An image that is pulled by its tag may be another one by then. */
static void a_signature_that_was_demanded_is_told_whatever_else_lets_the_image_through(void **state)
{
	static const struct { const char *name; struct world world; enum ruling ruling; bool by_signature; const char *key; } cases[] = {
		{ "signed", { { SHOP }, "shop/0", "r.example/shop/a:1", NULL }, RULING_ALLOW, true, "shop/0" },
		{ "exempted", { { OLD_TAG("") }, "", "r.example/old:1", NULL }, RULING_EXEMPT, false, "" },
		{ "signed, where a policy only warns", { { POLICY("w", "**", ",'mode':'warn'") }, "w/0", "r.example/shop/a:1", NULL }, RULING_ALLOW, false, "w/0" },
		{ "not signed, where a policy only warns", { { POLICY("w", "**", ",'mode':'warn'") }, "", "r.example/shop/a:1", NULL }, RULING_WARN, false, "" },
		{ "signed, and another policy warns", { { SHOP, POLICY("w", "**", ",'mode':'warn'") }, "shop/0", "r.example/shop/a:1", NULL }, RULING_WARN, true, "" },
		{ "the same in the other order", { { POLICY("w", "**", ",'mode':'warn'"), SHOP }, "shop/0", "r.example/shop/a:1", NULL }, RULING_WARN, true, "" },
		{ "signed, and another policy exempts", { { POLICY("all", "**", ""), OLD_TAG("") }, "all/0", "r.example/old:1", NULL }, RULING_EXEMPT, true, "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		WITH_ARENA(arena);
		struct ruling_detail detail = judge(arena, &cases[i].world);

		ASSERT_TEXT(cases[i].name, ruling_name(detail.ruling), ruling_name(cases[i].ruling));
		ASSERT_TEXT(cases[i].name, detail.key_id, cases[i].key);
		if (detail.by_signature != cases[i].by_signature)
			fail_msg("%s: %d", cases[i].name, detail.by_signature);
	}
}

static void evidence_that_could_not_be_had_is_unknown_and_permits_nothing(void **state)
{
	WITH_ARENA(arena);
	struct image_policy policy;
	struct policy_set set = { &policy, 1 };
	struct reference reference;
	struct error problem = { ERROR_TRANSIENT, "FetchError", "503" };
	struct image_facts facts = { &reference, "shop", digest_of(SPAN("x")), NULL, &problem };
	struct ruling_detail detail;

	(void)state;
	image_policy_decode(J(arena, SHOP), arena, &policy);
	assert_int_equal(reference_parse(SPAN("r.example/shop/a"), arena, &reference, NULL), 0);
	verdict_judge(&set, &facts, 0, arena, &detail);
	ASSERT_TEXT("fetch", ruling_name(detail.ruling), "unknown");
	assert_false(ruling_permits(detail.ruling));
	facts.digest = (struct digest){ { 0 } };
	verdict_judge(&set, &facts, 0, arena, &detail);
	ASSERT_TEXT("digest", ruling_name(detail.ruling), "unknown");
	facts.reference = NULL;
	verdict_judge(&set, &facts, 0, arena, &detail);
	ASSERT_TEXT("reference", ruling_name(detail.ruling), "deny");
}

#define WIDGETS(paths) "{'group':'x.example','kind':'Widget','imagePaths':" paths "}"
#define CUSTOM(list, rest) POLICY("p", "r.example/**", ",'customResources':" list rest)

/* A policy that is wrong somewhere denies what it governs, and what it governs must still be found. */
static void paths_of_custom_resources_hold_in_a_policy_that_is_wrong(void **state)
{
	static const struct { const char *name, *policy, *paths; bool valid; } cases[] = {
		{ "valid", CUSTOM("[" WIDGETS("['.spec.a']") "]", ""), ".spec.a;", true },
		{ "an unknown field", CUSTOM("[" WIDGETS("['.spec.a']") "]", ",'unicorns':1"), ".spec.a;", false },
		{ "no authority", "{'metadata':{'name':'p'},'spec':{'images':[{'glob':'**'}],'customResources':[" WIDGETS("['.spec.a']") "]}}", ".spec.a;", false },
		{ "no globs", "{'metadata':{'name':'p'},'spec':{'customResources':[" WIDGETS("['.spec.a']") "]}}", ".spec.a;", false },
		{ "no path that is understood", CUSTOM("[" WIDGETS("['.spec.a[?(@.b)]']") "]", ""), ".spec.a[?(@.b)];", false },
		{ "paths that are none", CUSTOM("[" WIDGETS("'.spec.a'") "]", ""), ";", false },
		{ "paths under another name", CUSTOM("[{'group':'x.example','kind':'Widget','paths':['.spec.a']}]", ""), ";", false },
		{ "behind a bad entry", CUSTOM("[{'kind':7}," WIDGETS("['.spec.a']") "]", ""), ".spec.a;", false },
		{ "an entry with more to it", CUSTOM("[{'group':'x.example','kind':'Widget','imagePaths':['.spec.a'],'version':'v1'}]", ""), ".spec.a;", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		WITH_ARENA(arena);
		CLEANUP(str_release) struct str found = STR_INIT;
		struct image_policy policy;
		struct policy_set set = { &policy, 1 };
		struct custom_paths paths;

		image_policy_decode(J(arena, cases[i].policy), arena, &policy);
		if (!*policy.problem.reason != cases[i].valid)
			fail_msg("%s: '%s'", cases[i].name, policy.problem.text);
		paths = verdict_custom_paths(&set, arena);
		for (size_t k = 0; k < paths.count; k++)
			str_addf(&found, "%s;", paths.paths[k].path);
		ASSERT_TEXT(cases[i].name, str_c(&found), cases[i].paths);
	}
}

static void a_zeroed_ruling_denies(void **state)
{
	struct ruling_detail zero = { 0 };

	(void)state;
	assert_false(ruling_permits(zero.ruling));
}

static void the_message_names_image_digest_policy_and_the_fix(void **state)
{
	WITH_ARENA(arena);
	struct world world = { { SHOP }, "", "r.example/shop/a:1", NULL };
	struct ruling_detail detail = judge(arena, &world);

	(void)state;
	assert_non_null(strstr(detail.message, "r.example/shop/a@sha256:"));
	assert_non_null(strstr(detail.message, "policy shop"));
	assert_non_null(strstr(detail.message, "cosign sign --key"));
}

static void a_registry_is_asked_only_where_a_policy_may_govern_the_image(void **state)
{
	static const struct { const char *glob, *image; bool may; } cases[] = {
		{ "**", "nginx", true },
		{ "r.example/shop/**", "r.example/shop/a:1", true },
		{ "r.example/shop/**", "r.example/other/a:1", false },
		{ "r.example/shop/**", "r.example.evil.example/shop/a", false },
		{ "r.example/shop/a:1", "r.example/shop/a:2", true },
		{ "r.example/shop/a@sha256:*", "r.example/shop/a", true },
		{ "index.docker.io/library/*", "nginx", true },
		{ "docker.io/library/*", "r.example/library/nginx", false },
		{ "r.example/shop/**", "r.example:443/shop/a", true },
		{ "r.example:443/shop/**", "r.example/shop/a", true },
		{ "nginx:1.*", "docker.io/library/nginx", true },
		{ "bitnami/*", "r.example/bitnami/redis", false },
		{ "r.example/sh?p/a", "r.example/shop/a", true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		WITH_ARENA(arena);
		CLEANUP(str_release) struct str text = STR_INIT;
		struct image_policy policy = { 0 };
		struct policy_set set = { &policy, 1 };
		struct reference reference;
		struct error err = ERROR_INIT;

		str_addf(&text, POLICY("p", "%s", ""), cases[i].glob);
		image_policy_decode(J(arena, str_c(&text)), arena, &policy);
		assert_int_equal(reference_parse(span_of(cases[i].image), arena, &reference, &err), 0);
		if (verdict_may_govern(&set, &reference) != cases[i].may)
			fail_msg("%s on %s", cases[i].glob, cases[i].image);
		if (verdict_governs(&policy, &reference, &(struct digest){ { 1 } }))
			assert_true(cases[i].may);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verdicts),
		cmocka_unit_test(a_signature_that_was_demanded_is_told_whatever_else_lets_the_image_through),
		cmocka_unit_test(evidence_that_could_not_be_had_is_unknown_and_permits_nothing),
		cmocka_unit_test(a_registry_is_asked_only_where_a_policy_may_govern_the_image),
		cmocka_unit_test(paths_of_custom_resources_hold_in_a_policy_that_is_wrong),
		cmocka_unit_test(a_zeroed_ruling_denies),
		cmocka_unit_test(the_message_names_image_digest_policy_and_the_fix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
