/*
 * Project: the fields and the meaning of Argo CD's AppProject. It says what
 * the Applications of a tenant may do; nothing is allowed that it does not
 * name. An unknown field makes it invalid, and what it governs is refused.
 */
#ifndef API_PROJECT_H
#define API_PROJECT_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/json.h"

struct kind_rule {
	const char *group, *kind, *name;   /* globs; name NULL: any */
};

struct kind_rules {
	struct kind_rule *rules;
	size_t count;
	bool given;                        /* the field is there, if only empty */
};

struct destination_rule {
	const char *server, *name, *namespace;   /* globs, NULL: not given; a leading '!' in any makes it a rule that denies */
};

struct account_rule {
	const char *server, *namespace;    /* globs */
	const char *account;               /* "namespace:name" or "name" */
};

struct project {
	const char *namespace, *name, *uid, *resource_version;
	int64_t generation;
	const char **source_repos;         /* globs, '!' denies; NULL at the end */
	struct destination_rule *destinations;
	size_t destination_count;
	struct kind_rules cluster_whitelist, cluster_blacklist, namespace_whitelist, namespace_blacklist;
	struct account_rule *accounts;
	size_t account_count;
	bool allow_rewritten_history;
};

/* ERROR_INVALID "InvalidProject" names the field. namespace and name are set even then. */
int project_decode(const struct json *object, struct arena *arena, struct project *out, struct error *err);

/*
 * Whether it is allowed: by at least one entry, and denied by none. `why` (NULL: nobody asks) gets the entry that says no,
 * or that there is none, and what to do about it. URLs are compared as api/repo_url.h says. In a cluster loopback is the controller's own pod, which no
 * wildcard means: an entry must spell it out.
 */
bool project_allows_repo(const struct project *project, const char *repo_url, bool in_cluster, struct str *why);
bool project_allows_destination(const struct project *project, const char *server, const char *namespace, struct str *why);
/* Whether a blacklist names the kind, whatever else allows it. */
bool project_denies_kind(const struct project *project, const char *group, const char *kind, const char *name, bool namespaced,
			 struct str *why);
/* Cluster-scoped kinds need a whitelist entry; namespaced ones are allowed unless listed otherwise. */
bool project_allows_kind(const struct project *project, const char *group, const char *kind, const char *name, bool namespaced,
			 struct str *why);
/* "namespace:name" of the account that writes there; NULL when none is named. `arena` for the result. */
const char *project_account(const struct project *project, const char *server, const char *namespace, struct arena *arena);

#endif
