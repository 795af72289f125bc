/*
 * ImagePolicy: who must have signed which images. The fields follow
 * policy-controller's ClusterImagePolicy where the meaning is the same.
 *
 * Decoding is strict: one unknown field makes the policy invalid, and what it
 * governs is denied, since what it meant to demand is not known (Kyverno
 * CVE-2025-29778: a field that was silently ignored). Globs that could be read
 * say what it governs; where even they could not, it governs everything. Where
 * custom resources keep images holds also in a policy that is wrong elsewhere.
 */
#ifndef API_IMAGE_POLICY_H
#define API_IMAGE_POLICY_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/json.h"

struct authority {
	const char *name;
	const char *key_pem;                        /* key.data, or NULL */
	const char *secret_name, *secret_key;       /* key.secretRef, or NULL */
};

struct exemption {
	const char *glob;
	const char **namespaces;                    /* globs; NULL at the end */
	const char *reason, *expires_text;
	int64_t expires_ns;
};

struct custom_resource {
	const char *group, *kind;
	const char **image_paths;                   /* NULL at the end; one that is no path means that they could not be read */
};

struct image_policy {
	const char *name, *resource_version;
	int64_t generation;
	const char **globs;                         /* NULL at the end */
	bool governs_all;                           /* its globs could not be read */
	bool warn;
	struct authority *authorities;
	size_t authority_count;
	struct exemption *exemptions;
	size_t exemption_count;
	struct custom_resource *customs;
	size_t custom_count;
	struct digest spec_digest;                  /* over the canonical spec */
	struct error problem;                       /* reason "" when it is valid */
};

/* Never fails: what is wrong stands in out->problem ("InvalidPolicy", naming the field). Everything lives in the arena. */
void image_policy_decode(const struct json *object, struct arena *arena, struct image_policy *out);

#endif
