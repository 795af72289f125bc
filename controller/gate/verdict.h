/*
 * The verdict: may these images run? Pure: references, digests, claims,
 * policies and a time come in; one answer an image comes out.
 *
 * It starts at DENY and stays there unless everything holds:
 *   - the reference reads, and its digest is known;
 *   - at least one policy governs it (none: deny);
 *   - every policy that governs it passes: valid, and one of its authorities
 *     has a claim that its key verified a signature of this very digest;
 *   - or an exemption of that policy holds: not expired, for this namespace, and
 *     not by a tag that stands beside a digest, which anybody may write there.
 * A policy in warn mode that does not pass lets the image through and says so
 * in every record; resolving and pinning bind all the same. What could not be
 * found out (registry down, image missing) is unknown, which denies too.
 */
#ifndef GATE_VERDICT_H
#define GATE_VERDICT_H

#include "api/image_policy.h"
#include "gate/images.h"
#include "oci/reference.h"
#include "verify/verify.h"

enum ruling { RULING_DENY = 0, RULING_UNKNOWN, RULING_ALLOW, RULING_WARN, RULING_EXEMPT };

/* "deny", "unknown", "allow", "warn", "exempt". */
const char *ruling_name(enum ruling ruling);
/* Whether the image may be applied. */
bool ruling_permits(enum ruling ruling);

/* What is known of one image when it is judged. */
struct image_facts {
	const struct reference *reference;  /* NULL: it did not read; problem says why */
	const char *namespace;              /* of the object that carries it */
	struct digest digest;
	const struct claims *claims;        /* NULL: not had; problem says why */
	const struct error *problem;        /* NULL when reference, digest and claims are there */
};

struct ruling_detail {
	enum ruling ruling;
	const char *reason;                 /* code: "NoPolicy", "SIG_INVALID", "FetchError"...; "" when allowed */
	const char *message;                /* one line with the fix; "" when allowed */
	const char *policy, *authority;     /* that decided; "" when none */
	const char *rules;                  /* names of all policies that govern it, comma-separated */
	const char *exemption;              /* "reason (until ...)", or "" */
	int64_t exempt_until_ns;            /* when the first exemption in use ends; 0: none is */
	const char *key_id;                 /* of the key whose signature the deciding policy was met by (verdict_key_id); "" when none */
	bool by_signature;                  /* an enforcing policy was met by a signature: allowed is the digest, not what its tag stands for later */
};

/* Keys of an authority as the trust that was given to verify/: same order, one trust key an authority with a usable key. */
struct policy_set {
	const struct image_policy *policies;
	size_t count;
};

/* Where custom resources keep images, as all of them together say. In the arena; texts are the policies'. */
struct custom_paths verdict_custom_paths(const struct policy_set *policies, struct arena *arena);

/* The id under which an authority's key is known to verify/: "POLICY/INDEX". In the arena. */
const char *verdict_key_id(const struct image_policy *policy, size_t authority, struct arena *arena);

/*
 * Whether a policy governs a reference: its globs against the name alone, with its tag, with its digest. A glob is read as a
 * reference is: one without a registry is of Docker Hub, and :443 is no other registry. A policy in warn mode does not govern
 * by a tag that stands beside a digest.
 */
bool verdict_governs(const struct image_policy *policy, const struct reference *reference, const struct digest *digest);

/*
 * Whether some policy may govern the image, whatever its digest turns out to be; false: it is denied without asking its registry,
 * which no administrator has named.
 */
bool verdict_may_govern(const struct policy_set *policies, const struct reference *reference);

/* Judges one image. Texts live in the arena. */
void verdict_judge(const struct policy_set *policies, const struct image_facts *facts, int64_t now_ns, struct arena *arena,
		   struct ruling_detail *out);

#endif
