/*
 * Evidence: what was found in a registry about one image digest, as bytes. Pure.
 *
 * The fetch worker collects it, core carries it (and may keep it in the store),
 * the verify worker judges it. Nothing in here is trusted: media types,
 * annotations and digests are what a registry said, and verify/ hashes each
 * document again. A document that is listed but could not be had in itself
 * (missing, too large, of a strange form) is kept with its `problem`, so that it
 * is reported by name and hides no other. A registry that does not answer is no
 * evidence at all: it is the error of the whole job.
 *
 * Certificates, log entries and timestamps are inside a bundle's bytes, and in
 * the annotations of a legacy signature; so nothing is to be added here for them.
 * Other documents (legacy attestations) become further kinds.
 */
#ifndef OCI_EVIDENCE_H
#define OCI_EVIDENCE_H

#include "base/arena.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/pack.h"
#include "base/str.h"

#define EVIDENCE_ANNOTATIONS_MAX 32       /* of one layer; cosign writes at most five */

enum evidence_kind {
	EVIDENCE_BUNDLE = 1,              /* a sigstore bundle: bytes are its JSON */
	EVIDENCE_LEGACY,                  /* a layer of a ".sig" image: bytes are the simple-signing payload */
};

enum evidence_source { EVIDENCE_REFERRERS = 1, EVIDENCE_FALLBACK_TAG, EVIDENCE_SIG_TAG };

/* Why a listed document has no bytes. */
enum evidence_problem {
	EVIDENCE_COMPLETE = 0,
	EVIDENCE_MISSING,                 /* the registry lists it and answers 404 for it */
	EVIDENCE_TOO_LARGE,               /* it claims to be larger, or there are more of them, than limits.h allows; not fetched */
	EVIDENCE_MEDIA_TYPE,              /* its layers are not what its place demands */
	EVIDENCE_BAD_MANIFEST,            /* its manifest cannot be read */
	EVIDENCE_PROBLEM_COUNT,
};

struct evidence_annotation {
	const char *key;
	struct span value;
};

struct evidence_document {
	enum evidence_kind kind;
	enum evidence_source source;
	enum evidence_problem problem;
	const char *problem_text;         /* one line; "" when complete */
	struct digest manifest;           /* of the manifest that carries it */
	struct digest digest;             /* of the bytes, as its descriptor says */
	const char *media_type;           /* of the layer, as its descriptor says */
	struct span bytes;
	struct evidence_annotation *annotations; /* of the layer's descriptor */
	size_t annotation_count;
};

struct evidence {
	struct digest image;              /* what all of this claims to be about */
	struct evidence_document *documents;
	size_t count, capacity;
};

/* A new, zeroed document at the end, from the arena. The caller keeps to LIMIT_SIGNATURES. */
struct evidence_document *evidence_add(struct evidence *evidence, struct arena *arena);

/* The value of an annotation, or NULL. */
const struct span *evidence_annotation(const struct evidence_document *document, const char *key);

/* "referrers", "fallback-tag", "sig-tag"; "bundle", "legacy". */
const char *evidence_source_name(enum evidence_source source);
const char *evidence_kind_name(enum evidence_kind kind);

/* As part of a frame. */
void evidence_pack(const struct evidence *evidence, struct str *out);
/*
 * Reads what evidence_pack wrote; strings are copied into the arena, bytes and
 * values borrowed from the frame. Kinds, counts and sizes out of range make the
 * frame bad (see unpack_end).
 */
void evidence_unpack(struct unpack *in, struct arena *arena, struct evidence *out);

/* The same as a whole file or message. ERROR_INTERNAL "BadFrame". */
void evidence_encode(const struct evidence *evidence, struct str *out);
int evidence_decode(struct span bytes, struct arena *arena, struct evidence *out, struct error *err);

#endif
