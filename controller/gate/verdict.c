/* Judging images; see verdict.h. */
#include "gate/verdict.h"

#include <ctype.h>

#include "base/glob.h"

const char *ruling_name(enum ruling ruling)
{
	static const char *const names[] = { "deny", "unknown", "allow", "warn", "exempt" };

	return names[ruling];
}

bool ruling_permits(enum ruling ruling)
{
	return ruling == RULING_ALLOW || ruling == RULING_WARN || ruling == RULING_EXEMPT;
}

struct custom_paths verdict_custom_paths(const struct policy_set *policies, struct arena *arena)
{
	struct custom_path *paths = NULL;
	size_t count = 0, capacity = 0;

	for (size_t i = 0; i < policies->count; i++) {
		const struct image_policy *policy = &policies->policies[i];

		for (size_t k = 0; k < policy->custom_count; k++)
			for (const char **path = policy->customs[k].image_paths; path && *path; path++) {
				struct custom_path *one = arena_push(arena, &paths, &count, &capacity, sizeof(*one));

				*one = (struct custom_path){ policy->customs[k].group, policy->customs[k].kind, *path };
			}
	}
	return (struct custom_paths){ paths, count };
}

const char *verdict_key_id(const struct image_policy *policy, size_t authority, struct arena *arena)
{
	return arena_printf(arena, "%s/%zu", policy->name, authority);
}

/* Without the port that https implies, which names no other registry; also of a glob. */
static void add_name(struct span name, struct str *out)
{
	struct span rest = name, registry = span_cut(&rest, '/');

	if (rest.data && span_ends(registry, ":443"))
		registry.length -= strlen(":443");
	str_add(out, registry);
	if (rest.data)
		str_addf(out, "/%.*s", SPAN_ARG(rest));
}

/* Whether the first part of a glob can be of a registry's name; what cannot is a name at Docker Hub, as in a manifest. */
static bool is_of_registry(struct span first, bool alone)
{
	if (alone)
		return first.length && memmem(first.data, first.length, "**", 2);
	for (size_t i = 0; i < first.length; i++)
		if (strchr(".:*?{", first.data[i]))
			return true;
	return span_is(first, "localhost");
}

/* A glob may name Docker Hub in any of its forms, or not at all; the reference has it as docker.io. Registries are in lower case. */
static void normalise_glob(const char *glob, struct str *out)
{
	static const char *const aliases[] = { "index.docker.io/", "registry-1.docker.io/" };
	CLEANUP(str_release) struct str lower = STR_INIT;
	struct span text = span_of(glob), rest = text, first = span_cut(&rest, '/');

	for (size_t i = 0; i < text.length; i++)
		str_addc(&lower, rest.data && i < first.length ? (char)tolower((unsigned char)text.data[i]) : text.data[i]);
	text = str_span(&lower);
	if (!is_of_registry(first, !rest.data))
		str_adds(out, rest.data ? "docker.io/" : "docker.io/library/");
	for (size_t i = 0; i < COUNT_OF(aliases); i++)
		if (span_starts(text, aliases[i])) {
			str_adds(out, "docker.io/");
			text = span_from(text, strlen(aliases[i]));
		}
	add_name(text, out);
}

/* Whether the glob names one digest; one with a wildcard there is met by any, beside a tag of one's choice. */
static bool names_digest(const char *glob)
{
	const char *at = strchr(glob, '@');

	return at && !strpbrk(at, "*?[{\\");
}

/*
 * "matched against the normalised name alone, with its tag, with its digest; any match means the policy applies".
 * Nobody resolves a tag that a digest is written beside: whoever writes it may write any, so it binds and `grants` nothing.
 */
static bool glob_hits(const char *glob, const struct reference *reference, const struct digest *digest, bool grants)
{
	CLEANUP(str_release) struct str pattern = STR_INIT, name = STR_INIT, text = STR_INIT;
	char hex[DIGEST_TEXT];

	normalise_glob(glob, &pattern);
	add_name(span_of(reference->name), &name);
	if (glob_match(str_span(&pattern), str_span(&name), GLOB_PATH))
		return true;
	if (reference->tag && !(grants && reference->has_digest)) {
		str_addf(&text, "%s:%s", str_c(&name), reference->tag);
		if (glob_match(str_span(&pattern), str_span(&text), GLOB_PATH))
			return true;
	}
	digest_text(digest, hex);
	str_reset(&text);
	str_addf(&text, "%s@%s", str_c(&name), hex);
	if (glob_match(str_span(&pattern), str_span(&text), GLOB_PATH))
		return true;
	if (!reference->tag || (grants && reference->has_digest && !names_digest(glob)))
		return false;
	str_reset(&text);
	str_addf(&text, "%s:%s@%s", str_c(&name), reference->tag, hex);
	return glob_match(str_span(&pattern), str_span(&text), GLOB_PATH);
}

bool verdict_governs(const struct image_policy *policy, const struct reference *reference, const struct digest *digest)
{
	if (policy->governs_all || !policy->globs)
		return true;
	for (const char **glob = policy->globs; *glob; glob++)
		if (glob_hits(*glob, reference, digest, policy->warn && !policy->problem.reason[0]))
			return true;
	return false;
}

/* By what stands before the first wildcard: every text that a glob is tried on begins with the name. */
static bool may_hit(const char *glob, const struct reference *reference)
{
	CLEANUP(str_release) struct str pattern = STR_INIT, name = STR_INIT;
	size_t literal;

	normalise_glob(glob, &pattern);
	add_name(span_of(reference->name), &name);
	literal = strcspn(str_c(&pattern), "*?[]{}\\!");
	return !strncmp(str_c(&pattern), str_c(&name), literal < name.length ? literal : name.length);
}

bool verdict_may_govern(const struct policy_set *policies, const struct reference *reference)
{
	for (size_t i = 0; i < policies->count; i++) {
		const struct image_policy *policy = &policies->policies[i];

		if (policy->governs_all || !policy->globs)
			return true;
		for (const char **glob = policy->globs; *glob; glob++)
			if (may_hit(*glob, reference))
				return true;
	}
	return false;
}

static const struct exemption *find_exemption(const struct image_policy *policy, const struct image_facts *facts, int64_t now_ns)
{
	for (size_t i = 0; i < policy->exemption_count; i++) {
		const struct exemption *exemption = &policy->exemptions[i];

		if (now_ns >= exemption->expires_ns || !glob_hits(exemption->glob, facts->reference, &facts->digest, true))
			continue;
		for (const char **namespace = exemption->namespaces; *namespace; namespace++)
			if (glob_match(span_of(*namespace), span_of(facts->namespace), GLOB_ANY))
				return exemption;
	}
	return NULL;
}

static void set(struct ruling_detail *out, enum ruling ruling, const char *reason, const char *message)
{
	out->ruling = ruling;
	out->reason = reason;
	out->message = message;
}

/* What the documents say against being a signature, each code once. */
static const char *list_reasons(const struct claims *claims, struct arena *arena, const char **first)
{
	CLEANUP(str_release) struct str text = STR_INIT;

	*first = "NoSignature";
	for (size_t i = 0; i < claims->count; i++) {
		const struct claim *claim = &claims->items[i];
		const char *name = reason_name(claim->reason);

		if (claim->reason == REASON_NONE)
			name = "OTHER_KEY";
		if (!text.length)
			*first = name;
		str_addf(&text, "%s%s (%s)", text.length ? "; " : "", name, *claim->text ? claim->text : "signed by a key of another policy");
		if (text.length > 600)
			break;
	}
	return arena_strndup(arena, str_span(&text));
}

static const char *authority_names(const struct image_policy *policy, struct arena *arena)
{
	CLEANUP(str_release) struct str text = STR_INIT;

	for (size_t i = 0; i < policy->authority_count; i++)
		str_addf(&text, "%s%s", i ? ", " : "", policy->authorities[i].name);
	return arena_strndup(arena, str_span(&text));
}

/* A key of the policy that cannot be read: then the policy is at fault, not the image. NULL when all read. */
static const char *key_problem(const struct image_policy *policy, const struct claims *claims, struct arena *arena)
{
	for (size_t i = 0; i < policy->authority_count; i++)
		for (size_t k = 0; k < claims->key_problem_count; k++)
			if (!strcmp(claims->key_problems[k].id, verdict_key_id(policy, i, arena)))
				return arena_printf(arena, "the key of authority %s cannot be read: %s", policy->authorities[i].name,
						    claims->key_problems[k].text);
	return NULL;
}

static void refuse_unsigned(const struct image_policy *policy, const struct image_facts *facts, struct arena *arena,
			    struct ruling_detail *out)
{
	char digest[DIGEST_TEXT];
	const char *first, *reasons = list_reasons(facts->claims, arena, &first);

	digest_text(&facts->digest, digest);
	out->policy = policy->name;
	if (key_problem(policy, facts->claims, arena))
		set(out, RULING_DENY, "InvalidPolicy",
		    arena_printf(arena, "ImagePolicy %s: %s; what it governs is denied until that is mended", policy->name,
				 key_problem(policy, facts->claims, arena)));
	else if (!facts->claims->count)
		set(out, policy->warn ? RULING_WARN : RULING_DENY, "NoSignature",
		    arena_printf(arena, "there is no signature of %s@%s, and policy %s demands one by %s; sign it: cosign sign --key KEY %s@%s",
				 facts->reference->name, digest, policy->name, authority_names(policy, arena), facts->reference->name, digest));
	else
		set(out, policy->warn ? RULING_WARN : RULING_DENY, first,
		    arena_printf(arena, "no signature of %s@%s is by an authority of policy %s (%s): %s; sign it: cosign sign --key KEY %s@%s",
				 facts->reference->name, digest, policy->name, authority_names(policy, arena), reasons,
				 facts->reference->name, digest));
}

/* One policy; out keeps what was worst so far. */
static void judge_by(const struct image_policy *policy, const struct image_facts *facts, int64_t now_ns, struct arena *arena,
		     struct ruling_detail *out)
{
	const struct exemption *exemption;

	if (policy->problem.reason[0]) {
		out->policy = policy->name;
		set(out, RULING_DENY, policy->problem.reason, arena_strdup(arena, policy->problem.text));
		return;
	}
	exemption = find_exemption(policy, facts, now_ns);
	if (exemption) {
		out->exemption = arena_printf(arena, "%s (policy %s, until %s)", exemption->reason, policy->name, exemption->expires_text);
		out->exempt_until_ns = exemption->expires_ns;
		if (out->ruling == RULING_ALLOW)
			out->ruling = RULING_EXEMPT;
		return;
	}
	if (!facts->claims) {
		out->policy = policy->name;
		set(out, RULING_UNKNOWN, facts->problem->reason, arena_strdup(arena, facts->problem->text));
		return;
	}
	for (size_t i = 0; i < policy->authority_count; i++) {
		const char *id = verdict_key_id(policy, i, arena);

		if (!claims_signed_by(facts->claims, &facts->digest, id))
			continue;
		out->policy = policy->name;
		out->key_id = id;
		out->authority = policy->authorities[i].name;
		out->by_signature = !policy->warn;
		return;
	}
	refuse_unsigned(policy, facts, arena, out);
}

static bool is_worse(enum ruling a, enum ruling b)
{
	/* worst first */
	static const int order[] = { [RULING_DENY] = 0, [RULING_UNKNOWN] = 1, [RULING_WARN] = 2, [RULING_EXEMPT] = 3, [RULING_ALLOW] = 4 };

	return order[a] < order[b];
}

static const char *list_rules(const struct policy_set *set_of, const struct image_facts *facts, struct arena *arena)
{
	CLEANUP(str_release) struct str names = STR_INIT;

	for (size_t i = 0; i < set_of->count; i++)
		if (verdict_governs(&set_of->policies[i], facts->reference, &facts->digest))
			str_addf(&names, "%s%s", names.length ? ", " : "", set_of->policies[i].name);
	return arena_strndup(arena, str_span(&names));
}

static void refuse_ungoverned(const struct image_facts *facts, struct arena *arena, struct ruling_detail *out)
{
	set(out, RULING_DENY, "NoPolicy",
	    arena_printf(arena, "no ImagePolicy governs %s, and what no policy allows is denied; add a policy whose spec.images has a glob for "
			 "it, such as %s", facts->reference->name, facts->reference->name));
}

void verdict_judge(const struct policy_set *policies, const struct image_facts *facts, int64_t now_ns, struct arena *arena,
		   struct ruling_detail *out)
{
	bool by_signature = false;

	*out = (struct ruling_detail){ RULING_DENY, "Internal", "", "", "", "", "", 0, "", false };
	if (!facts->reference) {
		set(out, RULING_DENY, facts->problem->reason, arena_strdup(arena, facts->problem->text));
		return;
	}
	if (!verdict_may_govern(policies, facts->reference)) {
		refuse_ungoverned(facts, arena, out);
		return;
	}
	if (digest_is_zero(&facts->digest)) {
		set(out, RULING_UNKNOWN, facts->problem->reason, arena_strdup(arena, facts->problem->text));
		return;
	}
	out->rules = list_rules(policies, facts, arena);
	if (!*out->rules) {
		refuse_ungoverned(facts, arena, out);
		return;
	}
	*out = (struct ruling_detail){ RULING_ALLOW, "", "", "", "", out->rules, "", 0, "", false };
	for (size_t i = 0; i < policies->count; i++) {
		struct ruling_detail one = { RULING_ALLOW, "", "", "", "", out->rules, "", 0, "", false };
		const struct image_policy *policy = &policies->policies[i];

		if (!verdict_governs(policy, facts->reference, &facts->digest))
			continue;
		judge_by(policy, facts, now_ns, arena, &one);
		by_signature |= one.by_signature;
		if (*one.exemption && !*out->exemption)
			out->exemption = one.exemption;
		if (one.exempt_until_ns && (!out->exempt_until_ns || one.exempt_until_ns < out->exempt_until_ns))
			out->exempt_until_ns = one.exempt_until_ns;
		if (is_worse(one.ruling, out->ruling) || (one.ruling == out->ruling && !*out->policy)) {
			one.exemption = out->exemption;
			one.exempt_until_ns = out->exempt_until_ns;
			*out = one;
		}
	}
	out->by_signature = by_signature;
}
