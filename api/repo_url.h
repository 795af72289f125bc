/*
 * URLs of repositories as Projects compare them. A URL that two readers may
 * take for two repositories is not compared at all but refused: user
 * information, escapes of plain characters, dot segments, empty segments, a
 * query, a fragment, a second ".git".
 *
 * What is left has one form: scheme and host in lower case, no port that the
 * scheme implies, no slash and no ".git" at the end. An entry that allows
 * must match it letter by letter; one that denies also in other letter case,
 * since many servers do not tell upper from lower.
 */
#ifndef API_REPO_URL_H
#define API_REPO_URL_H

#include <stdbool.h>

#include "base/error.h"
#include "base/str.h"

/* The one form of the URL, appended; ERROR_DENIED "RepositoryNotPermitted": what makes it ambiguous (without the URL). */
int repo_url_canonical(const char *url, struct str *out, struct error *err);

/* Whether a Project's pattern (without its '!') matches a canonical URL. "*" alone is everything; else '*' stays in a segment. */
bool repo_url_matches(const char *pattern, struct span canonical, bool deny);

/* Whether the host of a canonical URL spells this machine out (base/address.h). */
bool repo_url_is_loopback(struct span canonical);
/* Whether a pattern names one host, without any wildcard: whoever wrote it means that host. */
bool repo_pattern_names_host(const char *pattern);

/* ERROR_INVALID "InvalidProject" for an entry of sourceRepos that no canonical URL can match, and that so would never deny. */
int repo_pattern_check(const char *rule, struct error *err);

#endif
