/* Projects: reading, and what they allow. See project.h. */
#include "api/project.h"

#include <stdarg.h>

#include "api/application.h"
#include "api/repo_url.h"
#include "base/glob.h"
#include "base/limits.h"

static int unknown_field(const struct json *object, const char *where, const char *const known[], struct error *err)
{
	JSON_EACH(member, object) {
		bool found = false;

		for (const char *const *name = known; *name && !found; name++)
			found = span_is(member->key, *name);
		if (!found)
			return error_set(err, ERROR_INVALID, "InvalidProject",
					 "%s has the unknown field %.*s; the whole Project is refused, since what it meant "
					 "to forbid is not known", where, SPAN_ARG(span_sub(member->key, 0, 80)));
	}
	return 0;
}

static int want_list(const struct json *spec, const char *field, const struct json **out, struct error *err)
{
	*out = json_get(spec, field);
	if (!*out || json_is(*out, JSON_NULL) || json_is(*out, JSON_ARRAY))
		return 0;
	return error_set(err, ERROR_INVALID, "InvalidProject", "spec.%s is a %s, not a list", field, json_type_name(*out));
}

/* A leading '!' means something only where a rule may deny: elsewhere it would quietly match nothing. */
static int refuse_deny(const char *field, const char *pattern, struct error *err)
{
	if (!pattern || *pattern != '!')
		return 0;
	return error_set(err, ERROR_INVALID, "InvalidProject",
			 "spec.%s has the entry \"%s\": '!' denies in sourceRepos and destinations only; to forbid kinds there are "
			 "clusterResourceBlacklist and namespaceResourceBlacklist", field, pattern);
}

/* A pattern that could not be understood must not quietly match nothing when it was meant to deny. */
static int want_glob(const struct json *value, const char *field, bool optional, const char **out, struct error *err)
{
	const char *text = json_text(value);
	struct span pattern = span_of(text);

	if (!value && optional) {
		*out = NULL;
		return 0;
	}
	if (span_starts(pattern, "!"))
		pattern = span_from(pattern, 1);
	if (!text || (pattern.length && !glob_valid(pattern)) || span_has_nul(json_text_span(value)))
		return error_set(err, ERROR_INVALID, "InvalidProject", "spec.%s has an entry that is no glob " GLOB_BOUNDS ": %s", field,
				 text ? text : json_type_name(value));
	*out = text;
	return 0;
}

static int read_repos(const struct json *spec, struct arena *arena, struct project *out, struct error *err)
{
	const struct json *list;

	if (want_list(spec, "sourceRepos", &list, err))
		return -1;
	out->source_repos = arena_calloc(arena, json_count(list) + 1, sizeof(char *));
	for (size_t i = 0; i < json_count(list); i++)
		if (want_glob(json_at(list, i), "sourceRepos", false, &out->source_repos[i], err) ||
		    repo_pattern_check(out->source_repos[i], err))
			return -1;
	return 0;
}

static int read_destinations(const struct json *spec, struct arena *arena, struct project *out, struct error *err)
{
	static const char *const known[] = { "server", "namespace", "name", NULL };
	const struct json *list;

	if (want_list(spec, "destinations", &list, err))
		return -1;
	out->destination_count = json_count(list);
	out->destinations = arena_calloc(arena, out->destination_count, sizeof(struct destination_rule));
	for (size_t i = 0; i < out->destination_count; i++) {
		const struct json *from = json_at(list, i);
		struct destination_rule *rule = &out->destinations[i];

		if (unknown_field(from, "spec.destinations[]", known, err) ||
		    want_glob(json_get(from, "name"), "destinations[].name", true, &rule->name, err) ||
		    want_glob(json_get(from, "server"), "destinations[].server", true, &rule->server, err) ||
		    want_glob(json_get(from, "namespace"), "destinations[].namespace", true, &rule->namespace, err))
			return -1;
	}
	return 0;
}

static int read_kinds(const struct json *spec, const char *field, struct arena *arena, struct kind_rules *out,
		      struct error *err)
{
	static const char *const known[] = { "group", "kind", "name", NULL };
	const struct json *list;

	if (want_list(spec, field, &list, err))
		return -1;
	out->given = json_is(list, JSON_ARRAY);
	out->count = json_count(list);
	out->rules = arena_calloc(arena, out->count, sizeof(struct kind_rule));
	for (size_t i = 0; i < out->count; i++) {
		const struct json *from = json_at(list, i);
		struct kind_rule *rule = &out->rules[i];

		if (unknown_field(from, field, known, err) || want_glob(json_get(from, "group"), field, false, &rule->group, err) ||
		    want_glob(json_get(from, "kind"), field, false, &rule->kind, err) ||
		    want_glob(json_get(from, "name"), field, true, &rule->name, err) || refuse_deny(field, rule->group, err) ||
		    refuse_deny(field, rule->kind, err) || refuse_deny(field, rule->name, err))
			return -1;
	}
	return 0;
}

static int read_accounts(const struct json *spec, struct arena *arena, struct project *out, struct error *err)
{
	static const char *const known[] = { "server", "namespace", "defaultServiceAccount", NULL };
	const struct json *list;

	if (want_list(spec, "destinationServiceAccounts", &list, err))
		return -1;
	out->account_count = json_count(list);
	out->accounts = arena_calloc(arena, out->account_count, sizeof(struct account_rule));
	for (size_t i = 0; i < out->account_count; i++) {
		const struct json *from = json_at(list, i);
		struct account_rule *rule = &out->accounts[i];

		rule->account = json_get_text(from, "defaultServiceAccount");
		if (unknown_field(from, "spec.destinationServiceAccounts[]", known, err) ||
		    want_glob(json_get(from, "server"), "destinationServiceAccounts[].server", true, &rule->server, err) ||
		    want_glob(json_get(from, "namespace"), "destinationServiceAccounts[].namespace", true, &rule->namespace, err) ||
		    refuse_deny("destinationServiceAccounts[].server", rule->server, err) ||
		    refuse_deny("destinationServiceAccounts[].namespace", rule->namespace, err))
			return -1;
		if (!rule->account || !*rule->account || strpbrk(rule->account, "*?[]{}!/ "))
			return error_set(err, ERROR_INVALID, "InvalidProject",
					 "spec.destinationServiceAccounts[%zu].defaultServiceAccount is not an account's name", i);
	}
	return 0;
}

int project_decode(const struct json *object, struct arena *arena, struct project *out, struct error *err)
{
	static const char *const known[] = { "description", "sourceRepos", "destinations", "clusterResourceWhitelist",
					     "clusterResourceBlacklist", "namespaceResourceWhitelist",
					     "namespaceResourceBlacklist", "destinationServiceAccounts",
					     "allowRewrittenHistory", NULL };
	const struct json *spec = json_get(object, "spec"), *metadata = json_get(object, "metadata");
	const struct json *rewritten = json_get(spec, "allowRewrittenHistory");

	*out = (struct project){ .namespace = json_get_text(metadata, "namespace"), .name = json_get_text(metadata, "name"),
				 .uid = json_get_text(metadata, "uid"),
				 .resource_version = json_get_text(metadata, "resourceVersion"),
				 .generation = json_get_int(metadata, "generation", 0) };
	if (!out->name || !json_is(spec, JSON_OBJECT))
		return error_set(err, ERROR_INVALID, "InvalidProject", "spec is missing");
	if (rewritten && !json_is(rewritten, JSON_BOOL))
		return error_set(err, ERROR_INVALID, "InvalidProject", "spec.allowRewrittenHistory is no boolean");
	out->allow_rewritten_history = json_get_bool(spec, "allowRewrittenHistory", false);
	if (unknown_field(spec, "spec", known, err) || read_repos(spec, arena, out, err) ||
	    read_destinations(spec, arena, out, err) ||
	    read_kinds(spec, "clusterResourceWhitelist", arena, &out->cluster_whitelist, err) ||
	    read_kinds(spec, "clusterResourceBlacklist", arena, &out->cluster_blacklist, err) ||
	    read_kinds(spec, "namespaceResourceWhitelist", arena, &out->namespace_whitelist, err) ||
	    read_kinds(spec, "namespaceResourceBlacklist", arena, &out->namespace_blacklist, err))
		return -1;
	return read_accounts(spec, arena, out, err);
}

static void say(struct str *why, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(struct str *why, const char *format, ...)
{
	va_list list;

	if (!why)
		return;
	str_reset(why);
	va_start(list, format);
	str_vaddf(why, format, list);
	va_end(list);
}

bool project_allows_repo(const struct project *project, const char *repo_url, bool in_cluster, struct str *why)
{
	CLEANUP(str_release) struct str url = STR_INIT;
	struct error err = ERROR_INIT;
	bool allowed = false, unnamed = false, inside;

	if (repo_url_canonical(repo_url, &url, &err)) {
		say(why, "%s", err.text);
		return false;
	}
	inside = in_cluster && repo_url_is_loopback(str_span(&url));
	for (size_t i = 0; project->source_repos[i]; i++) {
		const char *rule = project->source_repos[i];
		bool deny = *rule == '!';

		if (!repo_url_matches(rule + deny, str_span(&url), deny))
			continue;
		if (deny) {
			say(why, "spec.sourceRepos[%zu] \"%s\" denies it: take that entry out if it is meant to be allowed", i, rule);
			return false;
		}
		if (inside && !repo_pattern_names_host(rule))
			unnamed = true;
		else
			allowed = true;
	}
	if (!allowed && unnamed)
		say(why, "its host is the controller's own pod, which an entry of spec.sourceRepos must spell out, without a wildcard in it");
	else if (!allowed)
		say(why, "no entry of spec.sourceRepos matches it: add it there, or correct spec.source.repoURL");
	return allowed;
}

static bool matches(const char *pattern, const char *text)
{
	return pattern && (!strcmp(pattern, "*") || glob_match(span_of(pattern), span_of(text), GLOB_ANY) ||
			   !strcmp(pattern, text));
}

/* One field of a destination rule: whether it matches, '!' aside; a deny is noted. */
static bool field_hits(const char *pattern, const char *text, bool *deny)
{
	bool denies = pattern && *pattern == '!';

	*deny |= denies;
	return pattern && matches(pattern + denies, text);
}

/* Whether the rule speaks of this destination. By server, by name or by both; what it does not give is of no matter. */
static bool destination_hits(const struct destination_rule *rule, const char *server, const char *namespace, bool *deny)
{
	bool by_server = field_hits(rule->server, server, deny);
	bool by_name = field_hits(rule->name, !strcmp(server, IN_CLUSTER_SERVER) ? IN_CLUSTER_NAME : "", deny);
	bool by_namespace = field_hits(rule->namespace ? rule->namespace : "", namespace, deny);

	return (by_server || by_name) && by_namespace;
}

bool project_allows_destination(const struct project *project, const char *server, const char *namespace, struct str *why)
{
	bool allowed = false;

	for (size_t i = 0; i < project->destination_count; i++) {
		const struct destination_rule *rule = &project->destinations[i];
		bool deny = false;

		if (!destination_hits(rule, server, namespace, &deny))
			continue;
		if (deny) {
			say(why, "spec.destinations[%zu] {server: \"%s\", name: \"%s\", namespace: \"%s\"} denies it", i,
			    rule->server ? rule->server : "", rule->name ? rule->name : "", rule->namespace ? rule->namespace : "");
			return false;
		}
		allowed = true;
	}
	if (!allowed)
		say(why, "no entry of spec.destinations matches it");
	return allowed;
}

/* The index of the first rule that names it; -1: none. */
static ptrdiff_t listed(const struct kind_rules *rules, const char *group, const char *kind, const char *name)
{
	for (size_t i = 0; i < rules->count; i++) {
		const struct kind_rule *rule = &rules->rules[i];

		/* group "" is the core group; its glob is the empty text, which glob_match never matches */
		if (matches(rule->group, group) && matches(rule->kind, kind) && (!rule->name || !*rule->name || matches(rule->name, name)))
			return (ptrdiff_t)i;
	}
	return -1;
}

bool project_denies_kind(const struct project *project, const char *group, const char *kind, const char *name, bool namespaced,
			 struct str *why)
{
	const struct kind_rules *black = namespaced ? &project->namespace_blacklist : &project->cluster_blacklist;
	ptrdiff_t denied = listed(black, group, kind, name);

	if (denied < 0)
		return false;
	say(why, "spec.%sResourceBlacklist[%td] {group: \"%s\", kind: \"%s\"} denies it: take that entry out if it is meant to be allowed",
	    namespaced ? "namespace" : "cluster", denied, black->rules[denied].group, black->rules[denied].kind);
	return true;
}

bool project_allows_kind(const struct project *project, const char *group, const char *kind, const char *name, bool namespaced,
			 struct str *why)
{
	const struct kind_rules *white = namespaced ? &project->namespace_whitelist : &project->cluster_whitelist;

	if (project_denies_kind(project, group, kind, name, namespaced, why))
		return false;
	/* cluster-scoped kinds need an entry; namespaced ones where there is a list at all */
	if ((namespaced && !white->given) || listed(white, group, kind, name) >= 0)
		return true;
	say(why, "no entry of spec.%sResourceWhitelist names it: add {group: \"%s\", kind: %s} there", namespaced ? "namespace" : "cluster",
	    group, kind);
	return false;
}

const char *project_account(const struct project *project, const char *server, const char *namespace, struct arena *arena)
{
	for (size_t i = 0; i < project->account_count; i++) {
		const struct account_rule *rule = &project->accounts[i];

		if (!matches(rule->server, server) || !matches(rule->namespace ? rule->namespace : "*", namespace))
			continue;
		if (strchr(rule->account, ':'))
			return rule->account;
		/* as Argo CD: without a namespace it is an account of the destination's */
		return arena_printf(arena, "%s:%s", namespace, rule->account);
	}
	return NULL;
}
