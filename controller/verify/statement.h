/*
 * What is signed in a bundle: an in-toto statement inside a DSSE envelope, and
 * what is signed in the legacy format: a simple-signing payload. Both say "this
 * digest, and these annotations". Pure; called only with bytes whose signature
 * was verified.
 */
#ifndef VERIFY_STATEMENT_H
#define VERIFY_STATEMENT_H

#include "base/arena.h"
#include "base/digest.h"
#include "verify/claims.h"
#include "verify/reason.h"

/* The media type of the payload, and the predicate type of a signature. */
#define DSSE_PAYLOAD_TYPE "application/vnd.in-toto+json"
#define PREDICATE_COSIGN_SIGN "https://sigstore.dev/cosign/sign/v1"
/* critical.type of a legacy payload. */
#define LEGACY_PAYLOAD_TYPE "cosign container image signature"

/* DSSE's pre-authentication encoding: the bytes that are signed. */
void dsse_encode(struct span payload_type, struct span payload, struct str *out);

struct statement {
	const char *predicate_type;       /* NULL for a legacy payload */
	const char *repository;           /* docker-reference of a legacy payload; NULL: the format names none */
	struct claim_annotation *annotations;
	size_t annotation_count;
};

/*
 * Reads a statement that must be about `image`. BAD_JSON, TOO_LARGE, PAYLOAD_TYPE
 * (envelope or statement of another type), SUBJECT_MISMATCH. The predicate type is
 * the caller's to judge.
 */
int statement_read(const char *payload_type, struct span payload, const struct digest *image, struct arena *arena,
		   struct statement *out, struct error *err);

/*
 * Reads a legacy payload that must be about `image`; only the fields that the
 * format has, written exactly so. BAD_JSON, TOO_LARGE, PAYLOAD_KIND, PAYLOAD_DIGEST.
 */
int simple_signing_read(struct span payload, const struct digest *image, struct arena *arena, struct statement *out,
			struct error *err);

#endif
