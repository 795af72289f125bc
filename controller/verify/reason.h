/*
 * Why a document proves nothing, as one table: the codes of the verification
 * checklist (README.md here), in its order. The names are part of the product:
 * they stand in conditions, in the audit log and in `verify -o json`.
 */
#ifndef VERIFY_REASON_H
#define VERIFY_REASON_H

#include "base/error.h"

enum reason {
	REASON_NONE = 0,            /* nothing was refused; alone it proves nothing */
	/* getting the bytes */
	REASON_FETCH_ERROR,         /* the registry lists it and does not have it */
	REASON_TOO_LARGE,           /* over a limit of limits.h: bytes, entries, subjects, documents */
	REASON_BLOB_DIGEST,         /* the bytes do not hash to what their descriptor says */
	/* reading them */
	REASON_BAD_JSON,            /* not the document that its format demands */
	REASON_BAD_BASE64,
	REASON_UNKNOWN_VERSION,     /* a bundle media type that is not known */
	REASON_NO_MATERIAL,         /* a bundle that names neither key nor certificate */
	REASON_NO_CONTENT,          /* nothing that is signed, or no signature */
	REASON_EMPTY_CHAIN,
	REASON_CHAIN_IN_V03,        /* a certificate chain where only a leaf may be */
	REASON_NEGATIVE_INDEX,
	REASON_KIND_MISMATCH,       /* a log entry that says two things of its kind */
	REASON_SIGNATURE_COUNT,     /* an envelope with no or several signatures */
	/* judging them */
	REASON_EXPECTED_KEY,        /* signed by a certificate; the policy names a key */
	REASON_SIG_INVALID,
	REASON_ALG_MISMATCH,        /* a good signature, but of another algorithm than the format demands */
	REASON_PAYLOAD_TYPE,        /* an envelope or a statement of another type */
	REASON_SUBJECT_MISMATCH,    /* a bundle about another image */
	REASON_PAYLOAD_DIGEST,      /* a legacy payload about another image */
	REASON_PAYLOAD_KIND,        /* a legacy payload, or a layer, of another kind */
	REASON_PREDICATE_TYPE,      /* an attestation, offered as a signature */
	REASON_COUNT,
};

/* "SIG_INVALID" and so on; "NONE" for REASON_NONE. */
const char *reason_name(enum reason reason);
/* The inverse; REASON_COUNT when there is none of that name. */
enum reason reason_of_name(const char *name);

/* error_set of kind INVALID with the name of the reason; returns -1. */
int refuse(struct error *err, enum reason reason, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
