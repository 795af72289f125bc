/* verify: evidence and trust in, claims out, over documents that the real cosign wrote and over forged ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "verify/key.h"
#include "verify/sample.h"

/* Runs and gives the only claim. */
static const struct claim *judged(struct sample *s)
{
	struct claims *claims = ARENA_NEW(s->arena, struct claims);
	struct error err = ERROR_INIT;

	if (sample_run(s, claims, &err))
		fail_msg("%s: %s", err.reason, err.text);
	assert_int_equal(claims->count, s->evidence.count);
	for (size_t i = 0; i < claims->count; i++) { /* what must hold of every claim */
		const struct claim *c = &claims->items[i];

		assert_int_equal(c->proves == CLAIM_SIGNATURE, c->reason == REASON_NONE);
		assert_int_equal(c->proves == CLAIM_NOTHING, c->signer_count == 0);
		assert_int_equal(c->proves == CLAIM_NOTHING, digest_is_zero(&c->subject));
		assert_int_equal(c->reason == REASON_NONE, c->text[0] == '\0');
	}
	return claims->items;
}

static void refused_for(struct sample *s, enum reason reason, const char *needle)
{
	const struct claim *claim = judged(s);

	if (claim->reason != reason || !strstr(claim->text, needle))
		fail_msg("want %s (%s), got %s: %s", reason_name(reason), needle, reason_name(claim->reason), claim->text);
	assert_int_not_equal(claim->proves, CLAIM_SIGNATURE);
}

/* --- what cosign wrote ------------------------------------------------------------------------------------------- */

static const struct { const char *folder; bool bundle; } vectors[] = {
	{ "p256", true }, { "p384", true }, { "p521", true }, { "rsa2048", true }, { "rsa3072", true }, { "rsa4096", true }, { "ed25519", false },
};

static void verify_accepts_what_cosign_signed_with_a_key_of_every_type(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(vectors); i++) {
		CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
		struct sample s = sample_new(arena, vector_image(vectors[i].folder, arena));
		const struct claim *claims;

		sample_trust(&s, "release", vector_read(vectors[i].folder, "key.pub", arena));
		sample_vector_legacy(&s, vectors[i].folder);
		if (vectors[i].bundle)
			sample_bundle(&s, vector_read(vectors[i].folder, "bundle.json", arena));
		claims = judged(&s);
		for (size_t k = 0; k < s.evidence.count; k++) {
			if (claims[k].proves != CLAIM_SIGNATURE)
				fail_msg("%s, %s: %s: %s", vectors[i].folder, evidence_kind_name(claims[k].kind), reason_name(claims[k].reason),
					 claims[k].text);
			assert_true(digest_equal(&claims[k].subject, &s.image));
			assert_string_equal(claims[k].signers[0].id, "release");
		}
		assert_string_equal(claims[0].repository + strlen("127.0.0.1:22311/"), vectors[i].folder);
	}
}

static void verify_refuses_every_vector_under_the_key_of_another(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(vectors); i++)
		for (size_t k = 0; k < COUNT_OF(vectors); k++) {
			CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
			struct sample s = sample_new(arena, vector_image(vectors[i].folder, arena));
			const struct claim *claims;

			if (i == k)
				continue;
			sample_trust(&s, "other", vector_read(vectors[k].folder, "key.pub", arena));
			sample_vector_legacy(&s, vectors[i].folder);
			if (vectors[i].bundle)
				sample_bundle(&s, vector_read(vectors[i].folder, "bundle.json", arena));
			claims = judged(&s);
			for (size_t n = 0; n < s.evidence.count; n++)
				assert_int_equal(claims[n].reason, REASON_SIG_INVALID);
		}
}

static void verify_reports_the_annotations_that_were_signed(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct sample s = sample_new(arena, vector_image("annotated", arena));
	const struct claim *claims;

	(void)state;
	sample_trust(&s, "release", vector_read("annotated", "key.pub", arena));
	sample_vector_legacy(&s, "annotated");
	sample_bundle(&s, vector_read("annotated", "bundle.json", arena));
	claims = judged(&s);
	for (size_t i = 0; i < 2; i++) {
		assert_string_equal(claim_annotation(&claims[i], "env"), "prod");
		assert_string_equal(claim_annotation(&claims[i], "team"), "shop");
		assert_null(claim_annotation(&claims[i], "Env"));
	}
	assert_string_equal(claims[1].predicate_type, PREDICATE_COSIGN_SIGN);
}

/* SIG-6 and its kin (GHSA-vjxv-45g9-9296, GHSA-w6c6-c85g-mmv6): the right key, but it said something else. */
static void adv_cve_2022_35929_an_attestation_is_never_a_signature(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct sample s = sample_new(arena, vector_image("p256", arena));
	const struct claim *claim;
	struct claims all;

	(void)state;
	sample_trust(&s, "release", vector_read("p256", "key.pub", arena));
	sample_bundle(&s, vector_read("p256", "attestation.json", arena));
	refused_for(&s, REASON_PREDICATE_TYPE, "https://example.test/level");
	claim = judged(&s);
	assert_int_equal(claim->proves, CLAIM_ATTESTATION);
	assert_string_equal(claim->predicate_type, "https://example.test/level");
	assert_int_equal(sample_run(&s, &all, NULL), 0);
	assert_null(claims_signed_by(&all, &s.image, "release"));
}

/* --- forged ------------------------------------------------------------------------------------------------------ */

struct forge {
	struct arena *arena;
	EVP_PKEY *key;
	struct sample sample;
};

/* Trust in a fresh P-256 key, for an image of its own. */
static void forge_begin(struct forge *f)
{
	f->arena = arena_new(0);
	f->key = signer_new("P-256");
	f->sample = sample_new(f->arena, digest_of(SPAN("image")));
	sample_trust(&f->sample, "release", signer_pem(f->key, f->arena));
}

static void forge_end(struct forge *f)
{
	EVP_PKEY_free(f->key);
	arena_free(f->arena);
}

#define FORGE(f) CLEANUP(forge_end) struct forge f; forge_begin(&f)

/* One signed legacy payload. */
static void legacy_signed(struct forge *f, struct span payload)
{
	sample_legacy(&f->sample, payload, signer_base64(signer_sign(f->key, EVP_sha256(), 0, payload, f->arena), f->arena));
}

static void bundle_signed(struct forge *f, const char *type, struct span payload)
{
	sample_bundle(&f->sample, bundle_of(f->arena, f->key, EVP_sha256(), type, payload));
}

/* Text with the first `from` replaced. */
static struct span replaced(struct arena *arena, struct span text, const char *from, const char *to)
{
	const char *whole = arena_strndup(arena, text), *at = strstr(whole, from);

	assert_non_null(at);
	return span_of(arena_printf(arena, "%.*s%s%s", (int)(at - whole), whole, to, at + strlen(from)));
}

static void verify_accepts_what_the_tests_sign_like_cosign(void **state)
{
	FORGE(f);
	const struct claim *claims;

	(void)state;
	legacy_signed(&f, legacy_payload(f.arena, &f.sample.image));
	bundle_signed(&f, DSSE_PAYLOAD_TYPE, statement_text(f.arena, &f.sample.image, PREDICATE_COSIGN_SIGN));
	claims = judged(&f.sample);
	assert_int_equal(claims[0].proves, CLAIM_SIGNATURE);
	assert_int_equal(claims[1].proves, CLAIM_SIGNATURE);
	assert_string_equal(claims[0].repository, "registry.example/shop/web");
	assert_string_equal(claim_annotation(&claims[1], "env"), "prod");
}

static void verify_refuses_a_signature_copied_from_another_image(void **state)
{
	struct digest other = digest_of(SPAN("another image"));

	(void)state;
	{
		FORGE(f);
		legacy_signed(&f, legacy_payload(f.arena, &other));
		refused_for(&f.sample, REASON_PAYLOAD_DIGEST, "another image");
	}
	{
		FORGE(f);
		bundle_signed(&f, DSSE_PAYLOAD_TYPE, statement_text(f.arena, &other, PREDICATE_COSIGN_SIGN));
		refused_for(&f.sample, REASON_SUBJECT_MISMATCH, "another image");
	}
}

/* The bundle of another image, its statement rewritten to name this one: the signature no longer fits. */
static void verify_refuses_a_bundle_whose_subject_was_rewritten(void **state)
{
	FORGE(f);
	struct digest other = digest_of(SPAN("another image"));
	struct span good = bundle_of(f.arena, f.key, EVP_sha256(), DSSE_PAYLOAD_TYPE, statement_text(f.arena, &other, PREDICATE_COSIGN_SIGN));
	struct span theirs = signer_base64(statement_text(f.arena, &other, PREDICATE_COSIGN_SIGN), f.arena);
	struct span ours = signer_base64(statement_text(f.arena, &f.sample.image, PREDICATE_COSIGN_SIGN), f.arena);

	(void)state;
	sample_bundle(&f.sample, replaced(f.arena, good, theirs.data, ours.data));
	refused_for(&f.sample, REASON_SIG_INVALID, "not signed by the trusted key");
}

/* SIG-3, SIG-5 without a log: a signature over other bytes, whatever else is well formed. */
static void verify_refuses_a_signature_of_another_document(void **state)
{
	FORGE(f);
	struct span payload = legacy_payload(f.arena, &f.sample.image);

	(void)state;
	sample_legacy(&f.sample, payload, signer_base64(signer_sign(f.key, EVP_sha256(), 0, SPAN("other"), f.arena), f.arena));
	refused_for(&f.sample, REASON_SIG_INVALID, "not signed");
}

/* A legacy signature's bytes are no envelope's, and the other way round. */
static void verify_does_not_take_one_format_for_the_other(void **state)
{
	FORGE(f);
	struct span statement = statement_text(f.arena, &f.sample.image, PREDICATE_COSIGN_SIGN), payload = legacy_payload(f.arena, &f.sample.image);
	const struct claim *claims;

	(void)state;
	legacy_signed(&f, statement);               /* a statement, signed as a payload */
	bundle_signed(&f, DSSE_PAYLOAD_TYPE, payload); /* a payload, signed as a statement */
	bundle_signed(&f, SAMPLE_LAYER, payload);
	claims = judged(&f.sample);
	assert_int_equal(claims[0].reason, REASON_BAD_JSON);
	assert_int_equal(claims[1].reason, REASON_PAYLOAD_TYPE);
	assert_int_equal(claims[2].reason, REASON_PAYLOAD_TYPE);
}

/* CVE-2026-39395, SIG-7: a payload that does not parse was "verified". */
static void adv_cve_2026_39395_verify_refuses_a_signed_payload_that_does_not_parse(void **state)
{
	static const char *const payloads[] = { "", "x", "{", "[]", "null", "{}", "\"https://in-toto.io/Statement/v1\"" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(payloads); i++) {
		FORGE(f);
		const struct claim *claim;

		bundle_signed(&f, DSSE_PAYLOAD_TYPE, span_of(payloads[i]));
		legacy_signed(&f, span_of(payloads[i]));
		claim = judged(&f.sample);
		assert_true(claim[0].reason == REASON_BAD_JSON || claim[0].reason == REASON_PAYLOAD_TYPE || claim[0].reason == REASON_NO_CONTENT);
		assert_int_equal(claim[1].reason, REASON_BAD_JSON);
	}
}

static const struct { const char *from, *to; enum reason reason; } statements[] = {
	{ "in-toto.io/Statement/v1", "in-toto.io/Statement/v2", REASON_PAYLOAD_TYPE },
	{ "\"_type\"", "\"_Type\"", REASON_PAYLOAD_TYPE },
	{ "\"subject\"", "\"Subject\"", REASON_BAD_JSON },
	{ "\"subject\":[", "\"subject\":[null,", REASON_BAD_JSON },
	{ "\"subject\":[", "\"subject\":[],\"other\":[", REASON_SUBJECT_MISMATCH },
	{ "\"sha256\"", "\"SHA256\"", REASON_SUBJECT_MISMATCH },
	{ "\"sha256\"", "\"sha512\"", REASON_SUBJECT_MISMATCH },
	{ "\"sha256\":\"", "\"sha256\":\"sha256:", REASON_SUBJECT_MISMATCH },
	{ "\"sha256\":\"", "\"sha256\":\" ", REASON_SUBJECT_MISMATCH },
	{ "\"digest\":{", "\"digest\":{\"x\":1,", REASON_BAD_JSON },
	{ "\"digest\":{", "\"digest\":{\"sha256\":\"x\",", REASON_BAD_JSON },
	{ "\"predicateType\":", "\"predicatetype\":", REASON_BAD_JSON },
	{ "\"predicateType\":", "\"predicateType\":null,\"x\":", REASON_BAD_JSON },
	{ "cosign/sign/v1", "cosign/sign/v2", REASON_PREDICATE_TYPE },
	{ "cosign/sign/v1", "cosign/sign/v1 ", REASON_PREDICATE_TYPE },
	{ "cosign/sign/v1", "cosign/sign/v1\\u0000", REASON_BAD_JSON },
	{ "\"annotations\":{", "\"annotations\":{\"env\":\"test\",", REASON_BAD_JSON },
	{ "\"annotations\":{\"env\":\"prod\"}", "\"annotations\":[]", REASON_BAD_JSON },
	{ "\"prod\"", "\"pr\\u0000od\"", REASON_TOO_LARGE },
	{ "\"predicate\":{}", "\"predicate\":{},\"predicate\":{}", REASON_BAD_JSON },
	{ "\"predicate\":{}}", "\"predicate\":{}} x", REASON_BAD_JSON },
};

static void verify_refuses_signed_statements_that_say_something_else(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(statements); i++) {
		FORGE(f);
		struct span good = statement_text(f.arena, &f.sample.image, PREDICATE_COSIGN_SIGN);

		bundle_signed(&f, DSSE_PAYLOAD_TYPE, replaced(f.arena, good, statements[i].from, statements[i].to));
		refused_for(&f.sample, statements[i].reason, "");
	}
}

static const struct { const char *from, *to; enum reason reason; } payloads[] = {
	{ "cosign container image signature", "atomic container signature", REASON_PAYLOAD_KIND },
	{ "cosign container image signature", "cosign container image signature ", REASON_PAYLOAD_KIND },
	{ "cosign container image signature", "Cosign container image signature", REASON_PAYLOAD_KIND },
	{ "\"critical\"", "\"Critical\"", REASON_BAD_JSON },
	{ "\"critical\":", "\"critical\":null,\"x\":", REASON_BAD_JSON },
	{ "\"docker-manifest-digest\"", "\"Docker-manifest-digest\"", REASON_BAD_JSON },
	{ "\"docker-manifest-digest\":", "\"docker-manifest-digest\":\"x\",\"Docker-manifest-digest\":", REASON_BAD_JSON },
	{ "\"docker-manifest-digest\":", "\"docker-manifest-digest\":\"x\",\"docker-manifest-digest\":", REASON_BAD_JSON },
	{ "\"sha256:", "\"", REASON_PAYLOAD_DIGEST },
	{ "\"sha256:", "\"sha512:", REASON_PAYLOAD_DIGEST },
	{ "\"optional\":null", "\"optional\":[]", REASON_BAD_JSON },
	{ "\"optional\":null", "\"optional\":{\"a\":\"b\",\"a\":\"c\"}", REASON_BAD_JSON },
	{ "\"optional\":null", "\"optional\":null,\"critical\":{}", REASON_BAD_JSON },
	{ "\"optional\":null", "\"optional\":null,\"Optional\":{\"env\":\"prod\"}", REASON_BAD_JSON },
	{ "\"type\":", "\"type\":1,\"x\":", REASON_BAD_JSON },
	{ "\"docker-reference\":", "\"docker-reference\":7,\"x\":", REASON_BAD_JSON },
};

static void verify_refuses_signed_payloads_that_say_something_else(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(payloads); i++) {
		FORGE(f);

		legacy_signed(&f, replaced(f.arena, legacy_payload(f.arena, &f.sample.image), payloads[i].from, payloads[i].to));
		refused_for(&f.sample, payloads[i].reason, "");
	}
}

static void verify_passes_over_optional_members_that_are_no_text(void **state)
{
	FORGE(f);
	const struct claim *claim;

	(void)state;
	legacy_signed(&f, replaced(f.arena, legacy_payload(f.arena, &f.sample.image), "null", "{\"creator\":\"x\",\"timestamp\":17,\"o\":{}}"));
	claim = judged(&f.sample);
	assert_int_equal(claim->proves, CLAIM_SIGNATURE);
	assert_string_equal(claim_annotation(claim, "creator"), "x");
	assert_null(claim_annotation(claim, "timestamp"));
}

static const struct { const char *annotation; enum reason reason; } signatures[] = {
	{ "", REASON_NO_CONTENT }, { "!", REASON_BAD_BASE64 }, { "AAAA", REASON_SIG_INVALID }, { "AAA", REASON_BAD_BASE64 },
	{ "AA==\n", REASON_BAD_BASE64 }, { "AB==", REASON_BAD_BASE64 }, { "____", REASON_BAD_BASE64 },
};

static void verify_refuses_legacy_signatures_that_are_none(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(signatures); i++) {
		FORGE(f);

		sample_legacy(&f.sample, legacy_payload(f.arena, &f.sample.image), span_of(signatures[i].annotation));
		refused_for(&f.sample, signatures[i].reason, "");
	}
	{
		FORGE(f);

		sample_legacy(&f.sample, legacy_payload(f.arena, &f.sample.image), SPAN("AAAA"))->annotation_count = 0;
		refused_for(&f.sample, REASON_NO_CONTENT, "annotation");
	}
}

static void verify_says_when_a_legacy_signature_is_keyless(void **state)
{
	FORGE(f);
	struct evidence_document *d = sample_legacy(&f.sample, legacy_payload(f.arena, &f.sample.image), SPAN("AAAA"));

	(void)state;
	d->annotations[d->annotation_count++] = (struct evidence_annotation){ "dev.sigstore.cosign/certificate", SPAN("-----BEGIN") };
	refused_for(&f.sample, REASON_EXPECTED_KEY, "keyless");
}

/* `cosign sign --key K --certificate C` is still a signature by K. */
static void verify_accepts_a_key_signature_with_a_certificate_beside_it(void **state)
{
	FORGE(f);

	(void)state;
	legacy_signed(&f, legacy_payload(f.arena, &f.sample.image));
	f.sample.evidence.documents[0].annotations[1] = (struct evidence_annotation){ "dev.sigstore.cosign/certificate", SPAN("x") };
	f.sample.evidence.documents[0].annotation_count = 2;
	assert_int_equal(judged(&f.sample)->proves, CLAIM_SIGNATURE);
}

static void verify_refuses_a_layer_of_another_media_type(void **state)
{
	FORGE(f);

	(void)state;
	legacy_signed(&f, legacy_payload(f.arena, &f.sample.image));
	f.sample.evidence.documents[0].media_type = "application/vnd.dsse.envelope.v1+json";
	refused_for(&f.sample, REASON_PAYLOAD_KIND, "media type");
}

static void verify_hashes_each_document_again(void **state)
{
	FORGE(f);

	(void)state;
	legacy_signed(&f, legacy_payload(f.arena, &f.sample.image));
	f.sample.evidence.documents[0].digest.bytes[31] ^= 1;
	refused_for(&f.sample, REASON_BLOB_DIGEST, "do not hash");
}

/* SIG-5 and F27: what could not be had is reported by its own reason, and is no signature. */
static void verify_reports_documents_that_could_not_be_had(void **state)
{
	static const enum reason reasons[] = { REASON_NONE, REASON_FETCH_ERROR, REASON_TOO_LARGE, REASON_PAYLOAD_KIND, REASON_BAD_JSON };

	(void)state;
	for (enum evidence_problem p = EVIDENCE_MISSING; p < EVIDENCE_PROBLEM_COUNT; p++) {
		FORGE(f);

		legacy_signed(&f, legacy_payload(f.arena, &f.sample.image)); /* even with good bytes beside the problem */
		f.sample.evidence.documents[0].problem = p;
		f.sample.evidence.documents[0].problem_text = "the registry answered 404 for it";
		refused_for(&f.sample, reasons[p], "404");
	}
}

static void verify_lets_no_broken_document_hide_a_good_one(void **state)
{
	FORGE(f);
	struct claims claims;

	(void)state;
	for (int i = 0; i < 9; i++)
		if (i % 2)
			sample_bundle(&f.sample, SPAN("{\"mediaType\":\"application/vnd.dev.sigstore.bundle.v0.9+json\"}"));
		else
			sample_legacy(&f.sample, SPAN("\0\xff broken"), SPAN("AAAA"));
	legacy_signed(&f, legacy_payload(f.arena, &f.sample.image));
	assert_int_equal(sample_run(&f.sample, &claims, NULL), 0);
	for (size_t i = 0; i < 9; i++)
		assert_int_equal(claims.items[i].reason, i % 2 ? REASON_UNKNOWN_VERSION : REASON_SIG_INVALID);
	assert_ptr_equal(claims_signed_by(&claims, &f.sample.image, "release"), &claims.items[9]);
}

/* SIG-11, CVE-2024-29902: a million subjects cost a refusal. */
static void adv_cve_2024_29902_subjects_and_values_are_bounded(void **state)
{
	FORGE(f);
	CLEANUP(str_release) struct str many = STR_INIT;

	(void)state;
	str_adds(&many, "{\"_type\":\"https://in-toto.io/Statement/v1\",\"subject\":[");
	for (size_t i = 0; i < LIMIT_SUBJECTS + 1; i++)
		str_addf(&many, "%s{\"digest\":{\"sha256\":\"x\"}}", i ? "," : "");
	str_adds(&many, "],\"predicateType\":\"x\"}");
	bundle_signed(&f, DSSE_PAYLOAD_TYPE, str_span(&many));
	refused_for(&f.sample, REASON_TOO_LARGE, "1025 subjects");
	str_reset(&many);
	str_adds(&many, "{\"a\":[0");
	for (size_t i = 0; i < 1100000; i++)
		str_adds(&many, ",0");
	str_adds(&many, "]}");
	f.sample.evidence.count = 0;
	legacy_signed(&f, str_span(&many));
	refused_for(&f.sample, REASON_TOO_LARGE, "values");
}

static void verify_bounds_depth(void **state)
{
	FORGE(f);
	CLEANUP(str_release) struct str deep = STR_INIT;

	(void)state;
	for (int i = 0; i < 100000; i++)
		str_adds(&deep, "{\"a\":");
	legacy_signed(&f, str_span(&deep));
	refused_for(&f.sample, REASON_BAD_JSON, "");
}

static void verify_names_each_trusted_key_that_signed(void **state)
{
	FORGE(f);
	EVP_PKEY *other = signer_new("P-384");
	struct claims claims;

	(void)state;
	sample_trust(&f.sample, "other", signer_pem(other, f.arena));
	sample_trust(&f.sample, "again", signer_pem(f.key, f.arena));
	legacy_signed(&f, legacy_payload(f.arena, &f.sample.image));
	assert_int_equal(sample_run(&f.sample, &claims, NULL), 0);
	assert_int_equal(claims.items[0].signer_count, 2);
	assert_non_null(claims_signed_by(&claims, &f.sample.image, "release"));
	assert_non_null(claims_signed_by(&claims, &f.sample.image, "again"));
	assert_null(claims_signed_by(&claims, &f.sample.image, "other"));
	assert_null(claims_signed_by(&claims, &f.sample.image, ""));
	EVP_PKEY_free(other);
}

static void claims_of_another_image_are_nobodys(void **state)
{
	FORGE(f);
	struct digest other = digest_of(SPAN("other")), zero = { { 0 } };
	struct claims claims, none = { .count = 0 };
	struct claim zeroed = { .proves = CLAIM_NOTHING };

	(void)state;
	legacy_signed(&f, legacy_payload(f.arena, &f.sample.image));
	assert_int_equal(sample_run(&f.sample, &claims, NULL), 0);
	assert_null(claims_signed_by(&claims, &other, "release"));
	assert_null(claims_signed_by(&claims, &zero, "release"));
	assert_null(claims_signed_by(&none, &zero, "release"));
	none = (struct claims){ .image = other, .items = &zeroed, .count = 1 };
	assert_null(claims_signed_by(&none, &other, "release"));
}

static void verify_refuses_a_question_that_is_wrong(void **state)
{
	FORGE(f);
	struct error err = ERROR_INIT;
	struct claims claims;

	(void)state;
	legacy_signed(&f, legacy_payload(f.arena, &f.sample.image));
	f.sample.trust.key_count = 0;
	assert_int_equal(sample_run(&f.sample, &claims, &err), -1);
	assert_string_equal(err.reason, "NoTrust");
	f.sample.trust.key_count = 1;
	f.sample.image = digest_of(SPAN("other"));
	assert_int_equal(sample_run(&f.sample, &claims, &err), -1);
	assert_string_equal(err.reason, "WrongImage");
	f.sample.image = f.sample.evidence.image = (struct digest){ { 0 } };
	assert_int_equal(sample_run(&f.sample, &claims, &err), -1);
	assert_string_equal(err.reason, "WrongImage");
}

/* One policy's bad key must not stop another's. */
static void verify_tells_of_a_key_that_cannot_be_read_and_uses_the_others(void **state)
{
	FORGE(f);
	struct claims claims;

	(void)state;
	legacy_signed(&f, legacy_payload(f.arena, &f.sample.image));
	f.sample.keys[1] = f.sample.keys[0];
	f.sample.keys[1].id = "other";
	f.sample.keys[0].pem = "-----BEGIN PUBLIC KEY-----";
	f.sample.trust.key_count = 2;
	assert_int_equal(sample_run(&f.sample, &claims, NULL), 0);
	assert_int_equal(claims.key_problem_count, 1);
	assert_string_equal(claims.key_problems[0].id, "release");
	assert_non_null(strstr(claims.key_problems[0].text, "END line"));
	assert_null(claims_signed_by(&claims, &f.sample.image, "release"));
	assert_non_null(claims_signed_by(&claims, &f.sample.image, "other"));
	f.sample.trust.key_count = 1; /* only the bad one: nothing verifies, and that is no failure of the job */
	assert_int_equal(sample_run(&f.sample, &claims, NULL), 0);
	assert_int_equal(claims.items[0].proves, CLAIM_NOTHING);
}

static void verify_bounds_the_number_of_trusted_keys(void **state)
{
	FORGE(f);
	struct trust_key *many = arena_calloc(f.arena, LIMIT_TRUST_KEYS + 1, sizeof(*many));
	struct trust trust = { many, LIMIT_TRUST_KEYS };
	struct error err = ERROR_INIT;
	struct claims claims;

	(void)state;
	legacy_signed(&f, legacy_payload(f.arena, &f.sample.image));
	for (size_t i = 0; i <= LIMIT_TRUST_KEYS; i++)
		many[i] = f.sample.keys[0];
	assert_int_equal(verify_evidence(&f.sample.evidence, &trust, 0, &f.sample.image, f.arena, &claims, &err), 0);
	assert_int_equal(claims.items[0].signer_count, LIMIT_TRUST_KEYS);
	trust.key_count++;
	assert_int_equal(verify_evidence(&f.sample.evidence, &trust, 0, &f.sample.image, f.arena, &claims, &err), -1);
	assert_string_equal(err.reason, "TooManyKeys");
}

static void verify_bounds_the_work_of_trying_keys(void **state)
{
	/* Ed25519: 100 units a trial; and the one that signed */
	enum { KEYS = 301, TRIED = LIMIT_KEY_WORK / ((KEYS - 1) * 100) };
	FORGE(f);
	struct trust_key *many = arena_calloc(f.arena, KEYS, sizeof(*many));
	struct trust trust = { many, KEYS };
	struct claims claims;

	(void)state;
	for (size_t i = 0; i < TRIED; i++)
		sample_legacy(&f.sample, legacy_payload(f.arena, &f.sample.image), SPAN("AAAA"));
	legacy_signed(&f, legacy_payload(f.arena, &f.sample.image));
	for (size_t i = 1; i < KEYS; i++) {
		EVP_PKEY *key = signer_new("ED25519");

		many[i] = (struct trust_key){ arena_printf(f.arena, "%zu", i), arena_strndup(f.arena, signer_pem(key, f.arena)) };
		EVP_PKEY_free(key);
	}
	many[0] = f.sample.keys[0];
	assert_int_equal(verify_evidence(&f.sample.evidence, &trust, 0, &f.sample.image, f.arena, &claims, NULL), 0);
	assert_int_equal(claims.items[TRIED - 1].reason, REASON_SIG_INVALID);
	assert_int_equal(claims.items[TRIED].reason, REASON_TOO_LARGE);
	trust.key_count -= 2;
	assert_int_equal(verify_evidence(&f.sample.evidence, &trust, 0, &f.sample.image, f.arena, &claims, NULL), 0);
	assert_int_equal(claims.items[TRIED].proves, CLAIM_SIGNATURE);
}

static void verify_job_cut_or_changed_is_an_error_and_no_claim(void **state)
{
	FORGE(f);
	CLEANUP(str_release) struct str request = STR_INIT, reply = STR_INIT;
	struct claims claims;
	size_t bad = 0;

	(void)state;
	legacy_signed(&f, legacy_payload(f.arena, &f.sample.image));
	f.sample.trust.keys = f.sample.keys;
	verify_request_encode(&f.sample.evidence, &f.sample.trust, 0, &f.sample.image, &request);
	for (size_t i = 0; i < request.length; i++) {
		str_reset(&reply);
		assert_int_equal(verify_serve(span_sub(str_span(&request), 0, i), &reply, NULL), -1);
		assert_int_equal(reply.length, 0);
	}
	assert_int_equal(verify_serve(str_span(&request), &reply, NULL), 0);
	for (size_t i = 0; i < reply.length; i++) {
		struct claims out = { .count = 0 };

		assert_int_equal(verify_reply_decode(span_sub(str_span(&reply), 0, i), &f.sample.image, f.arena, &out, NULL), -1);
		reply.data[i] ^= 1;
		bad += verify_reply_decode(str_span(&reply), &f.sample.image, f.arena, &claims, NULL) != 0;
		reply.data[i] ^= 1;
	}
	assert_true(bad > 40);
}

/* --- message signatures --------------------------------------------------------------------------------------------- */

/* A bundle that signs the bytes of the image's manifest ("image") themselves. */
static struct span message_bundle(struct arena *arena, EVP_PKEY *key, const EVP_MD *md, const char *algorithm, struct digest digest)
{
	struct span signature = signer_base64(signer_sign(key, md, 0, SPAN("image"), arena), arena);
	struct span base64 = signer_base64(span_make(digest.bytes, DIGEST_SIZE), arena);
	const char *named = algorithm ? arena_printf(arena, "\"messageDigest\":{\"algorithm\":\"%s\",\"digest\":\"%.*s\"},", algorithm,
						     SPAN_ARG(base64)) : "";

	return span_of(arena_printf(arena,
				    "{\"mediaType\":\"" SAMPLE_BUNDLE "\",\"verificationMaterial\":{\"publicKey\":{}},\"messageSignature\":{%s"
				    "\"signature\":\"%.*s\"}}", named, SPAN_ARG(signature)));
}

static void verify_accepts_a_message_signature_over_the_images_manifest(void **state)
{
	static const char *const types[] = { "P-256", "RSA2048" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(types); i++)
		for (int named = 0; named < 2; named++) {
			CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
			EVP_PKEY *key = signer_new(types[i]);
			struct sample s = sample_new(arena, digest_of(SPAN("image")));
			const struct claim *claim;

			sample_trust(&s, "release", signer_pem(key, arena));
			sample_bundle(&s, message_bundle(arena, key, EVP_sha256(), named ? "SHA2_256" : NULL, s.image));
			claim = judged(&s);
			assert_int_equal(claim->proves, CLAIM_SIGNATURE);
			assert_string_equal(claim->predicate_type, "");
			assert_int_equal(claim->annotation_count, 0);
			EVP_PKEY_free(key);
		}
}

static const struct { const char *type, *algorithm; const EVP_MD *(*md)(void); bool other; enum reason reason; } messages[] = {
	{ "P-256", "SHA2_256", EVP_sha256, true, REASON_SUBJECT_MISMATCH },
	{ "P-256", "SHA2_512", EVP_sha256, false, REASON_ALG_MISMATCH },
	{ "P-256", "", EVP_sha256, false, REASON_ALG_MISMATCH },
	{ "P-256", "SHA2_256", EVP_sha512, false, REASON_SIG_INVALID },
	{ "P-384", "SHA2_256", EVP_sha384, false, REASON_SIG_INVALID }, /* the manifest's SHA-384 is not at hand */
	{ "ED25519", "SHA2_256", NULL, false, REASON_SIG_INVALID },
};

static void verify_refuses_message_signatures_that_do_not_fit(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(messages); i++) {
		CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
		EVP_PKEY *key = signer_new(messages[i].type);
		struct sample s = sample_new(arena, digest_of(SPAN("image")));
		struct digest named = messages[i].other ? digest_of(SPAN("other")) : s.image;

		sample_trust(&s, "release", signer_pem(key, arena));
		sample_bundle(&s, message_bundle(arena, key, messages[i].md ? messages[i].md() : NULL, messages[i].algorithm, named));
		refused_for(&s, messages[i].reason, "");
		EVP_PKEY_free(key);
	}
}

/* --- algorithms ----------------------------------------------------------------------------------------------------------- */

/* P-384 and P-521 may sign SHA-256 in the legacy format and in certificates' bundles only: the answer names the algorithm, not the key. */
static void verify_names_the_algorithm_when_the_hash_is_the_wrong_one(void **state)
{
	static const char *const curves[] = { "P-384", "P-521" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(curves); i++) {
		CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
		EVP_PKEY *key = signer_new(curves[i]);
		struct sample s = sample_new(arena, digest_of(SPAN("image")));
		struct span payload = legacy_payload(arena, &s.image);
		const struct claim *claims;

		sample_trust(&s, "release", signer_pem(key, arena));
		sample_bundle(&s, bundle_of(arena, key, EVP_sha256(), DSSE_PAYLOAD_TYPE, statement_text(arena, &s.image, PREDICATE_COSIGN_SIGN)));
		sample_legacy(&s, payload, signer_base64(signer_sign(key, EVP_sha256(), 0, payload, arena), arena));
		claims = judged(&s);
		assert_int_equal(claims[0].reason, REASON_ALG_MISMATCH);
		assert_int_equal(claims[1].proves, CLAIM_SIGNATURE);
		EVP_PKEY_free(key);
	}
}

static void verify_takes_pure_ed25519_in_both_formats(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	EVP_PKEY *key = signer_new("ED25519");
	struct sample s = sample_new(arena, digest_of(SPAN("image")));
	struct span payload = legacy_payload(arena, &s.image);
	const struct claim *claims;

	(void)state;
	sample_trust(&s, "release", signer_pem(key, arena));
	sample_bundle(&s, bundle_of(arena, key, NULL, DSSE_PAYLOAD_TYPE, statement_text(arena, &s.image, PREDICATE_COSIGN_SIGN)));
	sample_legacy(&s, payload, signer_base64(signer_sign(key, NULL, 0, payload, arena), arena));
	claims = judged(&s);
	assert_int_equal(claims[0].proves, CLAIM_SIGNATURE);
	assert_int_equal(claims[1].proves, CLAIM_SIGNATURE);
	EVP_PKEY_free(key);
}

/* --- material -------------------------------------------------------------------------------------------------------------- */

/* GHSA-fx35-mq7g-6g98 and its kin: whatever stands where a certificate or a key belongs, only the trusted key counts. */
static void adv_ghsa_fx35_mq7g_6g98_a_key_where_a_certificate_belongs_is_refused(void **state)
{
	FORGE(f);
	EVP_PKEY *stranger = signer_new("P-256");
	struct span good = bundle_of(f.arena, stranger, EVP_sha256(), DSSE_PAYLOAD_TYPE, statement_text(f.arena, &f.sample.image, PREDICATE_COSIGN_SIGN));
	struct span pem = signer_pem(stranger, f.arena), base64 = signer_base64(pem, f.arena);
	const struct claim *claims;

	(void)state;
	sample_bundle(&f.sample, replaced(f.arena, good, "\"publicKey\":{\"hint\":\"\"}",
					  arena_printf(f.arena, "\"certificate\":{\"rawBytes\":\"%.*s\"}", SPAN_ARG(base64))));
	sample_bundle(&f.sample, replaced(f.arena, good, "\"publicKey\":{\"hint\":\"\"}",
					  arena_printf(f.arena, "\"publicKey\":{\"rawBytes\":\"%.*s\"}", SPAN_ARG(base64))));
	sample_bundle(&f.sample, good);
	claims = judged(&f.sample);
	assert_int_equal(claims[0].reason, REASON_EXPECTED_KEY);
	assert_int_equal(claims[1].reason, REASON_BAD_JSON);
	assert_int_equal(claims[2].reason, REASON_SIG_INVALID);
	EVP_PKEY_free(stranger);
}

/* The hint of the trusted key on a stranger's bundle, and a stranger's hint on a good one. */
static void verify_lets_no_hint_choose_a_key(void **state)
{
	FORGE(f);
	EVP_PKEY *stranger = signer_new("P-256");
	struct span statement = statement_text(f.arena, &f.sample.image, PREDICATE_COSIGN_SIGN);
	const struct claim *claims;
	struct key *trusted, *other;

	(void)state;
	assert_int_equal(key_parse(signer_pem(f.key, f.arena), f.arena, &trusted, NULL), 0);
	assert_int_equal(key_parse(signer_pem(stranger, f.arena), f.arena, &other, NULL), 0);
	sample_bundle(&f.sample, replaced(f.arena, bundle_of(f.arena, stranger, EVP_sha256(), DSSE_PAYLOAD_TYPE, statement), "\"hint\":\"\"",
					  arena_printf(f.arena, "\"hint\":\"%s\"", key_hint(trusted))));
	sample_bundle(&f.sample, replaced(f.arena, bundle_of(f.arena, f.key, EVP_sha256(), DSSE_PAYLOAD_TYPE, statement), "\"hint\":\"\"",
					  arena_printf(f.arena, "\"hint\":\"%s\"", key_hint(other))));
	claims = judged(&f.sample);
	assert_int_equal(claims[0].reason, REASON_SIG_INVALID);
	assert_int_equal(claims[1].proves, CLAIM_SIGNATURE);
	EVP_PKEY_free(stranger);
}

/* DSSE binds the payload's type: the same signature under another type is none (and lengths cannot be shifted between the two). */
static void verify_binds_the_payload_type_to_the_signature(void **state)
{
	FORGE(f);
	struct span good = bundle_of(f.arena, f.key, EVP_sha256(), "application/vnd.in-toto", statement_text(f.arena, &f.sample.image, PREDICATE_COSIGN_SIGN));

	(void)state;
	sample_bundle(&f.sample, replaced(f.arena, good, "\"payloadType\":\"application/vnd.in-toto\"", "\"payloadType\":\"" DSSE_PAYLOAD_TYPE "\""));
	refused_for(&f.sample, REASON_SIG_INVALID, "");
}

/* A message that a person reads is one line of printable text, whatever a publisher wrote. */
static void claim_text_holds_no_control_bytes_of_strangers(void **state)
{
	static const char *const types[] = { "a\\nERROR forged line", "\\u001b[31mred", "\\u0085" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(types); i++) {
		FORGE(f);
		const struct claim *claim;

		bundle_signed(&f, DSSE_PAYLOAD_TYPE, statement_text(f.arena, &f.sample.image, types[i]));
		claim = judged(&f.sample);
		assert_int_equal(claim->reason, REASON_PREDICATE_TYPE);
		for (const char *c = claim->text; *c; c++)
			assert_true((unsigned char)*c >= ' ');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verify_accepts_what_cosign_signed_with_a_key_of_every_type),
		cmocka_unit_test(verify_refuses_every_vector_under_the_key_of_another),
		cmocka_unit_test(verify_reports_the_annotations_that_were_signed),
		cmocka_unit_test(adv_cve_2022_35929_an_attestation_is_never_a_signature),
		cmocka_unit_test(verify_accepts_what_the_tests_sign_like_cosign),
		cmocka_unit_test(verify_refuses_a_signature_copied_from_another_image),
		cmocka_unit_test(verify_refuses_a_bundle_whose_subject_was_rewritten),
		cmocka_unit_test(verify_refuses_a_signature_of_another_document),
		cmocka_unit_test(verify_does_not_take_one_format_for_the_other),
		cmocka_unit_test(adv_cve_2026_39395_verify_refuses_a_signed_payload_that_does_not_parse),
		cmocka_unit_test(verify_refuses_signed_statements_that_say_something_else),
		cmocka_unit_test(verify_refuses_signed_payloads_that_say_something_else),
		cmocka_unit_test(verify_passes_over_optional_members_that_are_no_text),
		cmocka_unit_test(verify_refuses_legacy_signatures_that_are_none),
		cmocka_unit_test(verify_says_when_a_legacy_signature_is_keyless),
		cmocka_unit_test(verify_accepts_a_key_signature_with_a_certificate_beside_it),
		cmocka_unit_test(verify_refuses_a_layer_of_another_media_type),
		cmocka_unit_test(verify_hashes_each_document_again),
		cmocka_unit_test(verify_reports_documents_that_could_not_be_had),
		cmocka_unit_test(verify_lets_no_broken_document_hide_a_good_one),
		cmocka_unit_test(adv_cve_2024_29902_subjects_and_values_are_bounded),
		cmocka_unit_test(verify_bounds_depth),
		cmocka_unit_test(verify_names_each_trusted_key_that_signed),
		cmocka_unit_test(claims_of_another_image_are_nobodys),
		cmocka_unit_test(verify_refuses_a_question_that_is_wrong),
		cmocka_unit_test(verify_tells_of_a_key_that_cannot_be_read_and_uses_the_others),
		cmocka_unit_test(verify_bounds_the_number_of_trusted_keys),
		cmocka_unit_test(verify_accepts_a_message_signature_over_the_images_manifest),
		cmocka_unit_test(verify_refuses_message_signatures_that_do_not_fit),
		cmocka_unit_test(verify_names_the_algorithm_when_the_hash_is_the_wrong_one),
		cmocka_unit_test(verify_takes_pure_ed25519_in_both_formats),
		cmocka_unit_test(adv_ghsa_fx35_mq7g_6g98_a_key_where_a_certificate_belongs_is_refused),
		cmocka_unit_test(verify_lets_no_hint_choose_a_key),
		cmocka_unit_test(verify_binds_the_payload_type_to_the_signature),
		cmocka_unit_test(claim_text_holds_no_control_bytes_of_strangers),
		cmocka_unit_test(verify_bounds_the_work_of_trying_keys),
		cmocka_unit_test(verify_job_cut_or_changed_is_an_error_and_no_claim),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
