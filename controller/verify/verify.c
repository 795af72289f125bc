/*
 * The order of checks; see verify.h. A document is judged in an arena of its own,
 * which bounds what one can cost and lets nothing leak from one to the next.
 */
#include "verify/verify.h"

#include "base/limits.h"
#include "verify/bundle.h"
#include "verify/document.h"
#include "verify/key.h"
#include "verify/statement.h"

#define REQUEST_VERSION 1
#define JOB_ARENA_BYTES ((size_t)512 << 20)

#define ANNOTATION_SIGNATURE "dev.cosignproject.cosign/signature"
#define ANNOTATION_CERTIFICATE "dev.sigstore.cosign/certificate"
#define LEGACY_MEDIA_TYPE "application/vnd.dev.cosign.simplesigning.v1+json"

/* One job: the question, and the keys parsed once. */
struct job {
	const struct trust *trust;
	struct key **keys;                /* NULL where a key cannot be read */
	size_t *same;                     /* the first key that is the same one: policies share keys, and asking twice costs twice */
	struct digest image;
	struct arena *arena;              /* of the claims */
	uint64_t *work;                   /* spent on trying keys so far, as key_cost counts it */
};

/* Which of the trusted keys made a signature. */
struct match {
	size_t *indices;                  /* into trust->keys */
	size_t count;
	bool other_hash;                  /* a key did, by a hash that the format forbids */
};

/* --- parts that both formats share ---------------------------------------------------------------------------- */

/* Each key is asked: a hint or a name in the document never chooses. `digest` instead of `message` where only that is there. */
static struct match match_keys(const struct job *job, enum key_use use, struct span message, const struct digest *digest,
			       struct span signature, struct arena *scratch)
{
	enum key_result *results = arena_calloc(scratch, job->trust->key_count, sizeof(*results));
	struct match match = { arena_calloc(scratch, job->trust->key_count, sizeof(size_t)), 0, false };

	for (size_t i = 0; i < job->trust->key_count; i++) {
		if (!job->keys[i])
			continue;
		if (job->same[i] < i) {
			results[i] = results[job->same[i]];
		} else {
			results[i] = digest ? key_verify_digest(job->keys[i], digest, signature)
					    : key_verify(job->keys[i], use, message, signature);
			*job->work += key_cost(job->keys[i]);
		}
		if (results[i] == KEY_VERIFIED)
			match.indices[match.count++] = i;
		else if (results[i] == KEY_OTHER_HASH)
			match.other_hash = true;
	}
	return match;
}

/* "of the 2 trusted keys" */
static const char *keys_shown(const struct job *job, struct arena *scratch)
{
	return job->trust->key_count == 1 ? "the trusted key"
					  : arena_printf(scratch, "any of the %zu trusted keys", job->trust->key_count);
}

/* Step 12. "Verify the signature": client specification 4, over exactly the bytes that were signed. */
static int require_match(const struct job *job, const struct match *match, struct arena *scratch, struct error *err)
{
	if (match->count)
		return 0;
	if (match->other_hash)
		return refuse(err, REASON_ALG_MISMATCH, "signed by a trusted key with a hash that this format does not allow for it");
	return refuse(err, REASON_SIG_INVALID, "not signed by %s", keys_shown(job, scratch));
}

/* The last act for a document that passed everything: only here does a claim begin to prove something. */
static void claim_prove(const struct job *job, struct claim *claim, enum claim_proves proves, const struct match *match,
			const struct statement *statement)
{
	claim->signers = arena_calloc(job->arena, match->count, sizeof(*claim->signers));
	claim->signer_count = match->count;
	for (size_t i = 0; i < match->count; i++)
		claim->signers[i] = (struct claim_signer){ SIGNER_KEY, job->trust->keys[match->indices[i]].id };
	claim->annotations = arena_calloc(job->arena, statement->annotation_count, sizeof(*claim->annotations));
	claim->annotation_count = statement->annotation_count;
	for (size_t i = 0; i < statement->annotation_count; i++)
		claim->annotations[i] = (struct claim_annotation){ arena_strdup(job->arena, statement->annotations[i].key),
								   arena_strdup(job->arena, statement->annotations[i].value) };
	claim->predicate_type = arena_strdup(job->arena, statement->predicate_type ? statement->predicate_type : "");
	claim->repository = arena_strdup(job->arena, statement->repository ? statement->repository : "");
	claim->subject = job->image;
	claim->proves = proves;
}

/* --- bundles ---------------------------------------------------------------------------------------------------- */

/* An artifact's own signature: over the bytes of the image's manifest, of which the digest is at hand. */
static int verify_message(const struct job *job, const struct bundle *bundle, struct claim *claim, struct arena *scratch,
			  struct error *err)
{
	struct statement none = { .predicate_type = NULL };
	struct match match;

	/* "the digest is only an optimisation; it must be that of the artifact" (sigstore_bundle.proto, MessageSignature) */
	if (bundle->digest_algorithm && strcmp(bundle->digest_algorithm, "SHA2_256") != 0)
		return refuse(err, REASON_ALG_MISMATCH, "bundle: the message digest is %s, only SHA2_256 can be compared",
			      document_shown(span_of(bundle->digest_algorithm), scratch));
	if (bundle->digest_algorithm && !span_equal(bundle->digest, span_make(job->image.bytes, DIGEST_SIZE)))
		return refuse(err, REASON_SUBJECT_MISMATCH, "bundle: the message digest is that of another image");
	match = match_keys(job, KEY_DSSE, SPAN0, &job->image, bundle->signature, scratch);
	if (require_match(job, &match, scratch, err))
		return -1;
	claim_prove(job, claim, CLAIM_SIGNATURE, &match, &none);
	return 0;
}

static int verify_envelope(const struct job *job, const struct bundle *bundle, struct claim *claim, struct arena *scratch,
			   struct error *err)
{
	CLEANUP(str_release) struct str signed_bytes = STR_INIT;
	struct statement statement;
	struct match match;

	/* Step 12. DSSE protocol: verify over PAE(payloadType, payload), before anything of the payload is read. */
	dsse_encode(span_of(bundle->payload_type), bundle->payload, &signed_bytes);
	match = match_keys(job, KEY_DSSE, str_span(&signed_bytes), NULL, bundle->signature, scratch);
	if (require_match(job, &match, scratch, err))
		return -1;
	/* Step 13. The payload must be an in-toto statement, and a subject must be the image, by SHA-256. */
	if (statement_read(bundle->payload_type, bundle->payload, &job->image, scratch, &statement, err))
		return -1;
	/* Step 14. Only the predicate type of `cosign sign` says "I sign this image"; any other says something about it. */
	if (strcmp(statement.predicate_type, PREDICATE_COSIGN_SIGN) != 0) {
		claim_prove(job, claim, CLAIM_ATTESTATION, &match, &statement);
		return refuse(err, REASON_PREDICATE_TYPE, "an attestation of type %s, not a signature",
			      document_shown(span_of(statement.predicate_type), scratch));
	}
	claim_prove(job, claim, CLAIM_SIGNATURE, &match, &statement);
	return 0;
}

static int verify_bundle(const struct job *job, const struct evidence_document *document, struct claim *claim,
			 struct arena *scratch, struct error *err)
{
	struct bundle bundle;

	/* Step 2. Parse strictly. */
	if (bundle_parse(document->bytes, scratch, &bundle, err))
		return -1;
	/* Step 3. A policy that names keys is not met by a certificate; nor is a key in a bundle ever believed. */
	if (bundle.material != BUNDLE_PUBLIC_KEY)
		return refuse(err, REASON_EXPECTED_KEY, "bundle: signed by a certificate (keyless); the policy asks for a key");
	if (bundle.content == BUNDLE_MESSAGE)
		return verify_message(job, &bundle, claim, scratch, err);
	return verify_envelope(job, &bundle, claim, scratch, err);
}

/* --- legacy ----------------------------------------------------------------------------------------------------- */

/* Signature specification: the signature is an annotation of the layer, standard base64, over the layer's bytes as they are. */
static int legacy_signature(const struct evidence_document *document, struct arena *scratch, struct span *out, struct error *err)
{
	const struct span *text = evidence_annotation(document, ANNOTATION_SIGNATURE);

	if (!text || !text->length)
		return refuse(err, REASON_NO_CONTENT, "the layer has no annotation " ANNOTATION_SIGNATURE);
	return document_base64(*text, ANNOTATION_SIGNATURE, scratch, out, err);
}

static int verify_legacy(const struct job *job, const struct evidence_document *document, struct claim *claim,
			 struct arena *scratch, struct error *err)
{
	struct statement statement;
	struct span signature;
	struct match match;

	/* Step 2. */
	if (strcmp(document->media_type, LEGACY_MEDIA_TYPE) != 0)
		return refuse(err, REASON_PAYLOAD_KIND, "the layer's media type is '%s', must be " LEGACY_MEDIA_TYPE,
			      document_shown(span_of(document->media_type), scratch));
	if (legacy_signature(document, scratch, &signature, err))
		return -1;
	/* Step 12, and 3: `cosign sign --key --certificate` leaves a certificate beside a key's signature, so the key is tried first. */
	match = match_keys(job, KEY_LEGACY, document->bytes, NULL, signature, scratch);
	if (!match.count && evidence_annotation(document, ANNOTATION_CERTIFICATE))
		return refuse(err, REASON_EXPECTED_KEY, "signed by a certificate (keyless); the policy asks for a key");
	if (require_match(job, &match, scratch, err))
		return -1;
	/* Step 13. "critical.type" and the manifest digest must be exactly these; the reference is not compared (README.md). */
	if (simple_signing_read(document->bytes, &job->image, scratch, &statement, err))
		return -1;
	claim_prove(job, claim, CLAIM_SIGNATURE, &match, &statement);
	return 0;
}

/* --- all documents ---------------------------------------------------------------------------------------------- */

static int check_problem(const struct evidence_document *document, struct error *err)
{
	static const enum reason reasons[EVIDENCE_PROBLEM_COUNT] = {
		[EVIDENCE_COMPLETE] = REASON_NONE,	    [EVIDENCE_MISSING] = REASON_FETCH_ERROR,
		[EVIDENCE_TOO_LARGE] = REASON_TOO_LARGE,    [EVIDENCE_MEDIA_TYPE] = REASON_PAYLOAD_KIND,
		[EVIDENCE_BAD_MANIFEST] = REASON_BAD_JSON,
	};

	ASSERT(document->problem < EVIDENCE_PROBLEM_COUNT);
	if (document->problem == EVIDENCE_COMPLETE)
		return 0;
	return refuse(err, reasons[document->problem], "%s", document->problem_text);
}

/* Step 1. "Verify sha256 of every blob": who fetched it is not believed. */
static int check_digest(const struct evidence_document *document, struct error *err)
{
	struct digest real = digest_of(document->bytes);

	if (digest_equal(&real, &document->digest))
		return 0;
	return refuse(err, REASON_BLOB_DIGEST, "the document's bytes do not hash to the digest of its descriptor");
}

static int judge(const struct job *job, const struct evidence_document *document, struct claim *claim, struct arena *scratch,
		 struct error *err)
{
	if (check_problem(document, err) || check_digest(document, err))
		return -1;
	if (*job->work >= LIMIT_KEY_WORK)
		return refuse(err, REASON_TOO_LARGE, "not tried: those before it were tried with %zu trusted keys, and no more are of one image",
			      job->trust->key_count);
	switch (document->kind) {
	case EVIDENCE_BUNDLE:
		return verify_bundle(job, document, claim, scratch, err);
	case EVIDENCE_LEGACY:
		return verify_legacy(job, document, claim, scratch, err);
	}
	return error_set(err, ERROR_INTERNAL, "BadFrame", "a document of an unknown kind");
}

static void verify_document(const struct job *job, const struct evidence_document *document, struct claim *claim)
{
	CLEANUP(arena_cleanup) struct arena *scratch = arena_new(JOB_ARENA_BYTES);
	struct error err = ERROR_INIT;

	claim->kind = document->kind;
	claim->source = document->source;
	claim->manifest = document->manifest;
	claim->document = document->digest;
	claim->predicate_type = claim->repository = claim->text = "";
	if (!judge(job, document, claim, scratch, &err))
		return;
	claim->reason = reason_of_name(err.reason);
	ASSERT(claim->reason != REASON_NONE && claim->reason != REASON_COUNT && claim->proves != CLAIM_SIGNATURE);
	claim->text = arena_strdup(job->arena, err.text);
}

/* Two keys with the same hint have the same DER. */
static size_t first_same(const struct job *job, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (job->keys[i] && !strcmp(key_hint(job->keys[i]), key_hint(job->keys[index])))
			return i;
	return index;
}

static int parse_keys(struct job *job, struct claims *claims, struct error *err)
{
	size_t count = job->trust->key_count;

	if (!count)
		return error_set(err, ERROR_INVALID, "NoTrust", "no key is trusted for this image, so nothing can be verified");
	if (count > LIMIT_TRUST_KEYS)
		return error_set(err, ERROR_LIMIT, "TooManyKeys", "%zu trusted keys are over the limit of %u", count, LIMIT_TRUST_KEYS);
	job->keys = arena_calloc(job->arena, count, sizeof(*job->keys));
	job->same = arena_calloc(job->arena, count, sizeof(*job->same));
	claims->key_problems = arena_calloc(job->arena, count, sizeof(*claims->key_problems));
	for (size_t i = 0; i < count; i++) {
		struct error bad = ERROR_INIT;

		if (key_parse(span_of(job->trust->keys[i].pem), job->arena, &job->keys[i], &bad))
			claims->key_problems[claims->key_problem_count++] =
				(struct claim_key_problem){ job->trust->keys[i].id, arena_strdup(job->arena, bad.text) };
		else
			job->same[i] = first_same(job, i);
	}
	return 0;
}

int verify_evidence(const struct evidence *evidence, const struct trust *trust, int64_t time_ns, const struct digest *image,
		    struct arena *arena, struct claims *out, struct error *err)
{
	uint64_t work = 0;
	struct job job = { .trust = trust, .image = *image, .arena = arena, .work = &work };
	struct claims claims = { .image = *image, .count = evidence->count };

	(void)time_ns; /* keys have no windows; certificates will */
	if (digest_is_zero(image) || !digest_equal(image, &evidence->image))
		return error_set(err, ERROR_INTERNAL, "WrongImage", "the evidence was fetched for another image");
	if (parse_keys(&job, &claims, err))
		return -1;
	claims.items = arena_calloc(arena, claims.count, sizeof(*claims.items));
	for (size_t i = 0; i < claims.count; i++)
		verify_document(&job, &evidence->documents[i], &claims.items[i]);
	*out = claims;
	return 0;
}

/* --- the worker ------------------------------------------------------------------------------------------------- */

void verify_request_encode(const struct evidence *evidence, const struct trust *trust, int64_t time_ns,
			   const struct digest *image, struct str *out)
{
	pack_u8(out, REQUEST_VERSION);
	pack_digest(out, image);
	pack_u64(out, (uint64_t)time_ns);
	trust_pack(trust, out);
	evidence_pack(evidence, out);
}

int verify_serve(struct span request, struct str *reply, struct error *err)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(JOB_ARENA_BYTES);
	struct unpack in = unpack_begin(request);
	struct evidence evidence = { .count = 0 };
	struct trust trust = { NULL, 0 };
	struct claims claims;
	struct digest image;
	int64_t time_ns;

	if (unpack_u8(&in) != REQUEST_VERSION)
		in.bad = true;
	image = unpack_digest(&in);
	time_ns = (int64_t)unpack_u64(&in);
	trust_unpack(&in, arena, &trust);
	evidence_unpack(&in, arena, &evidence);
	if (unpack_end(&in, "verify request", err) || verify_evidence(&evidence, &trust, time_ns, &image, arena, &claims, err))
		return -1;
	claims_encode(&claims, reply);
	return 0;
}

int verify_reply_decode(struct span reply, const struct digest *image, struct arena *arena, struct claims *out, struct error *err)
{
	struct claims claims;

	if (claims_decode(reply, arena, &claims, err))
		return -1;
	if (!digest_equal(&claims.image, image))
		return error_set(err, ERROR_INTERNAL, "WrongImage", "the verify worker answered about another image");
	*out = claims;
	return 0;
}
