/*
 * Claims: what the documents found for one image prove, one claim a document, in
 * the order of the evidence. Pure.
 *
 * A zeroed claim proves nothing. `proves` is set last, after every check passed;
 * a caller that decides asks claims_signed_by() and nothing else. A document that
 * does not verify keeps its reason and its text, so that a person sees why, and
 * takes nothing away from another that does.
 */
#ifndef VERIFY_CLAIMS_H
#define VERIFY_CLAIMS_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/pack.h"
#include "oci/evidence.h"
#include "verify/reason.h"

#define CLAIM_ANNOTATIONS_MAX 64
#define CLAIM_ANNOTATION_BYTES 4096u

enum claim_proves {
	CLAIM_NOTHING = 0,
	CLAIM_SIGNATURE,                  /* one of the signers signed this image */
	CLAIM_ATTESTATION,                /* one of the signers said something of type predicate_type about it: no signature */
	CLAIM_PROVES_COUNT,
};

enum claim_signer_kind { SIGNER_NONE = 0, SIGNER_KEY, SIGNER_KIND_COUNT };

/* Who signed, in the words of the trust that was given. A certificate's identity becomes a second kind. */
struct claim_signer {
	enum claim_signer_kind kind;
	const char *id;                   /* trust_key.id */
};

/* Signed together with the digest: subject annotations of a bundle, `optional` of a legacy payload. */
struct claim_annotation {
	const char *key, *value;
};

struct claim {
	enum claim_proves proves;
	enum reason reason;               /* why it is no signature; REASON_NONE exactly when it is one */
	const char *text;                 /* the same for a person, one line; "" when it is one */
	enum evidence_kind kind;
	enum evidence_source source;
	struct digest manifest, document; /* which document */
	struct digest subject;            /* the digest that was signed; zero when nothing is proved */
	const char *predicate_type;       /* of a bundle's statement; "" otherwise */
	const char *repository;           /* docker-reference of a legacy payload; "": none. Signed, but see README.md */
	struct claim_signer *signers;     /* none when nothing is proved */
	size_t signer_count;
	struct claim_annotation *annotations;
	size_t annotation_count;
};

/* A trusted key that cannot be read verifies nothing; other keys are not affected. */
struct claim_key_problem {
	const char *id;                   /* trust_key.id */
	const char *text;                 /* what is wrong with it, one line */
};

struct claims {
	struct digest image;
	struct claim *items;
	size_t count;
	struct claim_key_problem *key_problems;
	size_t key_problem_count;
};

/*
 * The first claim that proves a signature of exactly this image by the trusted key
 * `key_id`, or NULL. `image` is asked for again, so that claims about another image
 * cannot be taken for its.
 */
const struct claim *claims_signed_by(const struct claims *claims, const struct digest *image, const char *key_id);

/* The value of a signed annotation, or NULL. */
const char *claim_annotation(const struct claim *claim, const char *key);

/* As a frame. Decoding copies into the arena; ERROR_INTERNAL "BadFrame" also for values out of range or contradictory. */
void claims_encode(const struct claims *claims, struct str *out);
int claims_decode(struct span bytes, struct arena *arena, struct claims *out, struct error *err);

#endif
