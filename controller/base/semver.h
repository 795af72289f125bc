/*
 * Semantic versions and constraints on them, as the Go package
 * Masterminds/semver/v3 reads them (Argo CD, Flux and Helm all use it): "1.x",
 * ">=1.2 <2", "~1.2", "^1", "1.2 - 1.4", "1.x || >=2.5". A differential table
 * holds us against it. Spans are borrowed from the texts that were parsed.
 */
#ifndef BASE_SEMVER_H
#define BASE_SEMVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct semver {
	uint64_t major, minor, patch;
	struct span pre;        /* "rc.1"; empty for a release */
};

/* Loose as tags are: "v1.2", "1", "01.2.3-rc.1+build". False when it is no version. */
bool semver_parse(struct span text, struct semver *out);
/* Less than, equal to or greater than 0. Build metadata is ignored. */
int semver_compare(const struct semver *a, const struct semver *b);

#define SEMVER_CLAUSES_MAX 32

enum semver_operator { SEMVER_EQUAL, SEMVER_NOT_EQUAL, SEMVER_GREATER, SEMVER_LESS, SEMVER_AT_LEAST, SEMVER_AT_MOST, SEMVER_TILDE, SEMVER_CARET };

/* One comparison. Parts that the text leaves open ("1", "1.x") are marked. */
struct semver_clause {
	enum semver_operator operator;
	struct semver version;
	bool open, minor_open, patch_open;      /* something; minor and patch; patch alone */
	bool first_of_group;                    /* begins an alternative of "||" */
};

struct semver_constraint {
	struct semver_clause clauses[SEMVER_CLAUSES_MAX];
	size_t count;
};

/* False when it is no constraint or has too many clauses. A plain version is a constraint too. */
bool semver_constraint_parse(struct span text, struct semver_constraint *out);
/* Prereleases match only in an alternative that names a prerelease itself. */
bool semver_constraint_matches(const struct semver_constraint *constraint, const struct semver *version);

#endif
