/* verify/bundle: the form of bundles, and what of a changed one is still believed (nothing with another meaning). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "verify/bundle.h"
#include "verify/sample.h"

/* A bundle with everything that the format has, of the key material; signatures are not judged here. */
#define BODY "eyJhcGlWZXJzaW9uIjoiMC4wLjEiLCJraW5kIjoiZHNzZSJ9" /* {"apiVersion":"0.0.1","kind":"dsse"} */
static const char full[] =
	"{\"mediaType\":\"application/vnd.dev.sigstore.bundle.v0.3+json\",\"verificationMaterial\":{\"publicKey\":{\"hint\":\"aGludA==\"},"
	"\"tlogEntries\":[{\"logIndex\":\"79571823\",\"logId\":{\"keyId\":\"AAAA\"},\"kindVersion\":{\"kind\":\"dsse\",\"version\":\"0.0.1\"},"
	"\"integratedTime\":\"1700000000\",\"inclusionPromise\":{\"signedEntryTimestamp\":\"AAAA\"},\"inclusionProof\":{\"logIndex\":\"7\","
	"\"rootHash\":\"AAAA\",\"treeSize\":\"9\",\"hashes\":[\"AAAA\",\"BBBB\"],\"checkpoint\":{\"envelope\":\"x\"}},\"canonicalizedBody\":\"" BODY
	"\"}],\"timestampVerificationData\":{\"rfc3161Timestamps\":[{\"signedTimestamp\":\"AAAA\"}]}},"
	"\"dsseEnvelope\":{\"payload\":\"e30=\",\"payloadType\":\"t\",\"signatures\":[{\"sig\":\"AAAA\",\"keyid\":\"\"}]}}";

static struct span with(struct arena *arena, const char *text, const char *from, const char *to)
{
	const char *at = strstr(text, from);

	assert_non_null(at);
	return span_of(arena_printf(arena, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from)));
}

static void bundle_is_parsed_with_all_of_its_parts(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct error err = ERROR_INIT;
	struct bundle b;

	(void)state;
	if (bundle_parse(SPAN(full), arena, &b, &err))
		fail_msg("%s", err.text);
	assert_int_equal(b.minor, 3);
	assert_int_equal(b.material, BUNDLE_PUBLIC_KEY);
	assert_string_equal(b.key_hint, "aGludA==");
	assert_int_equal(b.content, BUNDLE_DSSE);
	assert_string_equal(b.payload_type, "t");
	assert_true(span_is(b.payload, "{}"));
	assert_int_equal(b.signature.length, 3);
	assert_int_equal(b.tlog_entries, 1);
	assert_int_equal(b.timestamps, 1);
}

static const struct { const char *from, *to; enum reason reason; } changes[] = {
	/* versions */
	{ "bundle.v0.3+json", "bundle.v0.4+json", REASON_UNKNOWN_VERSION },
	{ "bundle.v0.3+json", "bundle+json;version=0.4", REASON_UNKNOWN_VERSION },
	{ "bundle.v0.3+json", "bundle.v0.3+json ", REASON_UNKNOWN_VERSION },
	{ "bundle.v0.3+json", "bundle", REASON_UNKNOWN_VERSION },
	{ "\"application/vnd.dev.sigstore.bundle.v0.3+json\"", "null", REASON_UNKNOWN_VERSION },
	{ "\"application/vnd.dev.sigstore.bundle.v0.3+json\"", "3", REASON_BAD_JSON },
	{ "\"mediaType\"", "\"media_type\"", REASON_BAD_JSON },
	{ "\"mediaType\"", "\"mediatype\"", REASON_BAD_JSON },
	/* material */
	{ "\"publicKey\":{\"hint\":\"aGludA==\"},", "", REASON_NO_MATERIAL },
	{ "{\"hint\":\"aGludA==\"}", "null", REASON_NO_MATERIAL },
	{ "{\"hint\":\"aGludA==\"}", "\"\"", REASON_BAD_JSON },
	{ "{\"hint\":\"aGludA==\"}", "[]", REASON_BAD_JSON },
	{ "\"aGludA==\"", "1", REASON_BAD_JSON },
	{ "\"hint\"", "\"rawBytes\"", REASON_BAD_JSON },
	{ "\"publicKey\":", "\"certificate\":{\"rawBytes\":\"AAAA\"},\"publicKey\":", REASON_BAD_JSON },
	{ "\"publicKey\":{\"hint\":\"aGludA==\"}", "\"x509CertificateChain\":{\"certificates\":[{\"rawBytes\":\"AAAA\"}]}", REASON_CHAIN_IN_V03 },
	{ "\"tlogEntries\":[", "\"tlogEntries\":[7,", REASON_BAD_JSON },
	{ "\"tlogEntries\":[", "\"tlogEntries\":[{\"x\":1},", REASON_BAD_JSON },
	{ "\"tlogEntries\":", "\"tlog_entries\":[],\"tlogEntries\":", REASON_BAD_JSON },
	{ "\"79571823\"", "\"-1\"", REASON_NEGATIVE_INDEX },
	{ "\"79571823\"", "-1", REASON_NEGATIVE_INDEX },
	{ "\"79571823\"", "1.5", REASON_BAD_JSON },
	{ "\"79571823\"", "\"1e3\"", REASON_BAD_JSON },
	{ "\"79571823\"", "\"99999999999999999999999\"", REASON_BAD_JSON },
	{ "\"79571823\"", "true", REASON_BAD_JSON },
	{ "\"treeSize\":\"9\"", "\"treeSize\":\"-9\"", REASON_NEGATIVE_INDEX },
	{ "\"kind\":\"dsse\"", "\"kind\":\"hashedrekord\"", REASON_KIND_MISMATCH },
	{ "\"version\":\"0.0.1\"", "\"version\":\"0.0.2\"", REASON_KIND_MISMATCH },
	{ "\"" BODY "\"", "\"AAAA\"", REASON_BAD_JSON },
	{ "\"" BODY "\"", "\"AA\"", REASON_BAD_BASE64 },
	{ "\"keyId\":\"AAAA\"", "\"keyId\":\"AA-_\"", REASON_BAD_BASE64 },
	{ "\"keyId\":\"AAAA\"", "\"keyId\":7", REASON_BAD_JSON },
	{ "\"hashes\":[", "\"hashes\":{", REASON_BAD_JSON },
	{ "\"rfc3161Timestamps\":[{", "\"rfc3161Timestamps\":[[],{", REASON_BAD_JSON },
	{ "\"signedTimestamp\":\"AAAA\"", "\"signedTimestamp\":\"AAA\"", REASON_BAD_BASE64 },
	/* content */
	{ "\"dsseEnvelope\":", "\"messageSignature\":{\"signature\":\"AAAA\"},\"dsseEnvelope\":", REASON_BAD_JSON },
	{ "\"dsseEnvelope\":{", "\"dsseEnvelope\":null,\"messageSignature\":{", REASON_BAD_JSON },
	{ "\"payload\":\"e30=\"", "\"payload\":\"\"", REASON_NO_CONTENT },
	{ "\"payload\":\"e30=\"", "\"payload\":null", REASON_NO_CONTENT },
	{ "\"payload\":\"e30=\"", "\"payload\":\"e30\"", REASON_BAD_BASE64 },
	{ "\"payload\":\"e30=\"", "\"payload\":\"e31=\"", REASON_BAD_BASE64 },
	{ "\"payload\":\"e30=\"", "\"payload\":{}", REASON_BAD_JSON },
	{ "\"payload\":\"e30=\"", "\"payload\":\"e30=\",\"payload\":\"e30=\"", REASON_BAD_JSON },
	{ "[{\"sig\":\"AAAA\",\"keyid\":\"\"}]", "[]", REASON_SIGNATURE_COUNT },
	{ "[{\"sig\":\"AAAA\",\"keyid\":\"\"}]", "null", REASON_SIGNATURE_COUNT },
	{ "[{\"sig\":\"AAAA\",\"keyid\":\"\"}]", "[{\"sig\":\"AAAA\"},{\"sig\":\"BBBB\"}]", REASON_SIGNATURE_COUNT },
	{ "[{\"sig\":\"AAAA\",\"keyid\":\"\"}]", "[null]", REASON_BAD_JSON },
	{ "[{\"sig\":\"AAAA\",\"keyid\":\"\"}]", "[{}]", REASON_NO_CONTENT },
	{ "[{\"sig\":\"AAAA\",\"keyid\":\"\"}]", "{\"sig\":\"AAAA\"}", REASON_BAD_JSON },
	{ "\"sig\":\"AAAA\"", "\"sig\":\"\"", REASON_NO_CONTENT },
	{ "\"sig\":\"AAAA\"", "\"sig\":[\"AAAA\"]", REASON_BAD_JSON },
	{ "\"sig\":\"AAAA\"", "\"sig\":\"AAAA\",\"cert\":\"AAAA\"", REASON_BAD_JSON },
	{ "\"payloadType\":\"t\"", "\"payloadType\":7", REASON_BAD_JSON },
	{ "\"payloadType\":\"t\"", "\"payloadType\":\"t\\u0000\"", REASON_BAD_JSON },
	{ "{\"mediaType\"", "[{\"mediaType\"", REASON_BAD_JSON },
	{ "{\"mediaType\"", "\xef\xbb\xbf{\"mediaType\"", REASON_BAD_JSON },
};

static void bundle_of_another_form_is_refused_for_its_own_reason(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(changes); i++) {
		CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
		struct span text = with(arena, full, changes[i].from, changes[i].to);
		struct bundle b = { .minor = 77 };
		struct error err = ERROR_INIT;

		if (!bundle_parse(text, arena, &b, &err))
			fail_msg("accepted: %.*s", SPAN_ARG(text));
		if (reason_of_name(err.reason) != changes[i].reason)
			fail_msg("%s -> %s: want %s, got %s: %s", changes[i].from, changes[i].to, reason_name(changes[i].reason), err.reason,
				 err.text);
		assert_int_equal(b.minor, 77);
	}
}

static const struct { const char *from, *to; } harmless[] = {
	{ "\"79571823\"", "79571823" },
	{ "\"keyid\":\"\"", "\"keyid\":null" },
	{ "\"hint\":\"aGludA==\"", "\"hint\":null" },
	{ "\"hint\":\"aGludA==\"", "" },
	{ "bundle.v0.3+json", "bundle+json;version=0.3" },
	{ "bundle.v0.3+json", "bundle+json;version=0.1" },
	{ "bundle.v0.3+json", "bundle+json;version=0.2" },
	{ "\"publicKey\":", "\"certificate\":null,\"publicKey\":" },
	{ "\"canonicalizedBody\":", "\"canonicalizedBody\":null},{\"canonicalizedBody\":" },
	{ "\"integratedTime\":\"1700000000\"", "\"integratedTime\":\"0\"" },
};

static void bundle_in_another_spelling_of_the_same_is_parsed(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(harmless); i++) {
		CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
		struct error err = ERROR_INIT;
		struct bundle b;

		if (bundle_parse(with(arena, full, harmless[i].from, harmless[i].to), arena, &b, &err))
			fail_msg("%s -> %s: %s: %s", harmless[i].from, harmless[i].to, err.reason, err.text);
	}
}

static void bundle_knows_the_chains_of_older_versions(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	const char *old = with(arena, full, "bundle.v0.3+json", "bundle+json;version=0.1").data;
	const char *key = "\"publicKey\":{\"hint\":\"aGludA==\"}";
	struct error err = ERROR_INIT;
	struct bundle b;

	(void)state;
	assert_int_equal(bundle_parse(with(arena, old, key, "\"x509CertificateChain\":{\"certificates\":[{\"rawBytes\":\"AAAA\"}]}"), arena, &b, &err), 0);
	assert_int_equal(b.material, BUNDLE_CERTIFICATE);
	assert_int_equal(bundle_parse(with(arena, old, key, "\"x509CertificateChain\":{\"certificates\":[]}"), arena, &b, &err), -1);
	assert_string_equal(err.reason, "EMPTY_CHAIN");
	assert_int_equal(bundle_parse(with(arena, full, key, "\"certificate\":{\"rawBytes\":\"AAAA\"}"), arena, &b, &err), 0);
	assert_int_equal(b.material, BUNDLE_CERTIFICATE);
}

/* `head` `item` repeated with commas `tail`. */
static struct span repeated(struct arena *arena, const char *item, size_t count)
{
	CLEANUP(str_release) struct str list = STR_INIT;

	for (size_t i = 0; i < count; i++)
		str_addf(&list, "%s%s", i ? "," : "", item);
	return arena_span(arena, str_span(&list));
}

static void bundle_bounds_entries_timestamps_and_hashes(void **state)
{
	static const struct { const char *from, *item; size_t most; } lists[] = {
		{ "\"tlogEntries\":[", "{}", LIMIT_TLOG_ENTRIES - 1 },
		{ "\"rfc3161Timestamps\":[", "{}", LIMIT_TIMESTAMPS - 1 },
		{ "\"hashes\":[", "\"AAAA\"", 62 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(lists); i++)
		for (size_t over = 0; over < 2; over++) {
			CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
			struct span items = repeated(arena, lists[i].item, lists[i].most + over);
			struct error err = ERROR_INIT;
			struct bundle b;

			assert_int_equal(bundle_parse(with(arena, full, lists[i].from, arena_printf(arena, "%s%s,", lists[i].from, items.data)),
						      arena, &b, &err), over ? -1 : 0);
			if (over)
				assert_string_equal(err.reason, "TOO_LARGE");
		}
}

/* --- changed documents, judged whole ------------------------------------------------------------------------------ */

/* What a claim means, apart from which bytes said it. */
static bool same_meaning(const struct claim *a, const struct claim *b)
{
	if (strcmp(a->predicate_type, b->predicate_type) != 0 || strcmp(a->repository, b->repository) != 0 ||
	    a->signer_count != b->signer_count || a->annotation_count != b->annotation_count || !digest_equal(&a->subject, &b->subject))
		return false;
	for (size_t i = 0; i < a->annotation_count; i++)
		if (strcmp(a->annotations[i].key, b->annotations[i].key) != 0 || strcmp(a->annotations[i].value, b->annotations[i].value) != 0)
			return false;
	return true;
}

/* A document, its image and its key: what a change is tried on. */
struct subject {
	const char *name;
	struct span key, bundle, payload, signature; /* a bundle, or a payload with its signature */
	struct digest image;
};

/* Judges one document as the only one; the claim lives in the arena. */
static struct claim judge(const struct subject *subject, struct span legacy, struct span signature, struct span bundle, struct arena *arena)
{
	struct sample s = sample_new(arena, subject->image);
	struct claims claims;
	struct error err = ERROR_INIT;

	sample_trust(&s, "k", subject->key);
	if (bundle.length)
		sample_bundle(&s, bundle);
	else
		sample_legacy(&s, legacy, signature);
	if (sample_run(&s, &claims, &err))
		fail_msg("%s", err.text);
	return claims.items[0];
}

static struct subject vector_subject(const char *folder, bool bundle, struct arena *arena)
{
	struct subject s = { .name = folder, .key = vector_read(folder, "key.pub", arena), .image = vector_image(folder, arena) };
	struct json *annotations;

	if (bundle) {
		s.bundle = vector_read(folder, "bundle.json", arena);
		return s;
	}
	s.payload = vector_read(folder, "legacy.payload", arena);
	assert_int_equal(json_parse(vector_read(folder, "legacy.json", arena), arena, 0, &annotations, NULL), 0);
	s.signature = json_text_span(json_get(annotations, SAMPLE_SIGNATURE));
	return s;
}

/* Signed here, of what cosign does not write: by Ed25519, of the oldest version, about many images. */
static struct subject made_subject(const char *name, struct arena *arena)
{
	struct subject s = { .name = name, .image = digest_of(span_of(name)) };
	bool ed25519 = !strcmp(name, "made with ed25519");
	EVP_PKEY *key = signer_new(ed25519 ? "ED25519" : "P-256");
	struct span statement = statement_text(arena, &s.image, PREDICATE_COSIGN_SIGN), payload = legacy_payload(arena, &s.image);
	const EVP_MD *md = ed25519 ? NULL : EVP_sha256();

	if (!strcmp(name, "made about two images"))
		statement = with(arena, arena_strndup(arena, statement), "\"subject\":[", "\"subject\":[{\"digest\":{\"sha256\":\"x\"}},");
	s.key = signer_pem(key, arena);
	s.bundle = bundle_of(arena, key, md, DSSE_PAYLOAD_TYPE, statement);
	if (!strcmp(name, "made of version 0.1"))
		s.bundle = with(arena, arena_strndup(arena, s.bundle), "bundle.v0.3+json", "bundle+json;version=0.1");
	s.payload = payload;
	s.signature = signer_base64(signer_sign(key, md, 0, payload, arena), arena);
	EVP_PKEY_free(key);
	return s;
}

static const char *const folders[] = { "p256", "p384", "p521", "rsa2048", "rsa3072", "rsa4096", "annotated", "made with ed25519",
				       "made of version 0.1", "made about two images" };
static const char *const legacy_folders[] = { "p256", "p384", "p521", "rsa2048", "rsa3072", "rsa4096", "annotated", "ed25519",
					      "made with ed25519", "made of version 0.1" };

static struct subject subject_of(const char *name, bool bundle, struct arena *arena)
{
	return span_starts(span_of(name), "made") ? made_subject(name, arena) : vector_subject(name, bundle, arena);
}

/* Each byte of ten bundles, each bit of the first: still a signature only if it means the same (white space, the hint). */
static void bundle_with_a_byte_changed_is_never_accepted_with_another_meaning(void **state)
{
	size_t accepted = 0, tried = 0;

	(void)state;
	for (size_t f = 0; f < COUNT_OF(folders); f++) {
		CLEANUP(arena_cleanup) struct arena *outer = arena_new(0);
		struct subject subject = subject_of(folders[f], true, outer);
		struct claim reference = judge(&subject, SPAN0, SPAN0, subject.bundle, outer);
		char *bytes = arena_strndup(outer, subject.bundle);

		assert_int_equal(reference.proves, CLAIM_SIGNATURE);
		for (size_t i = 0; i < subject.bundle.length; i++)
			for (int bit = f ? 7 - (int)(i % 8) : 0; bit < (f ? 8 - (int)(i % 8) : 8); bit++) {
				CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
				struct claim claim;

				bytes[i] ^= (char)(1 << bit);
				claim = judge(&subject, SPAN0, SPAN0, span_make(bytes, subject.bundle.length), arena);
				bytes[i] ^= (char)(1 << bit);
				tried++;
				if (claim.proves == CLAIM_NOTHING)
					continue;
				accepted++;
				assert_int_equal(claim.proves, CLAIM_SIGNATURE);
				if (!same_meaning(&claim, &reference))
					fail_msg("%s: byte %zu bit %d: accepted with another meaning", folders[f], i, bit);
			}
	}
	print_message("%zu changes, %zu accepted with the same meaning\n", tried, accepted);
	assert_true(accepted < tried / 10);
}

/* Each byte of ten legacy payloads and of their signatures: there is none that does not count. */
static void legacy_with_a_byte_changed_is_never_accepted(void **state)
{
	(void)state;
	for (size_t f = 0; f < COUNT_OF(legacy_folders); f++) {
		CLEANUP(arena_cleanup) struct arena *outer = arena_new(0);
		struct subject s = subject_of(legacy_folders[f], false, outer);
		char *bytes = arena_strndup(outer, s.payload), *signed_by = arena_strndup(outer, s.signature);

		assert_int_equal(judge(&s, s.payload, s.signature, SPAN0, outer).proves, CLAIM_SIGNATURE);
		for (size_t i = 0; i < s.payload.length; i++) {
			CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);

			bytes[i] ^= (char)(1 << (i % 8));
			assert_int_equal(judge(&s, span_make(bytes, s.payload.length), s.signature, SPAN0, arena).proves, CLAIM_NOTHING);
			bytes[i] ^= (char)(1 << (i % 8));
		}
		for (size_t i = 0; i < s.signature.length; i++) {
			CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);

			signed_by[i] ^= (char)(1 << (i % 8));
			assert_int_equal(judge(&s, s.payload, span_make(signed_by, s.signature.length), SPAN0, arena).proves, CLAIM_NOTHING);
			signed_by[i] ^= (char)(1 << (i % 8));
		}
	}
}

/* --- each field of a real bundle removed, nulled, doubled, retyped ------------------------------------------------ */

enum mutation { REMOVED, NULLED, DOUBLED, TEXT, NUMBER, LIST, OBJECT, MUTATIONS };

static void write_value(const struct json *value, const struct json *victim, enum mutation mutation, struct str *out);

static void write_members(const struct json *value, const struct json *victim, enum mutation mutation, struct str *out)
{
	bool object = json_is(value, JSON_OBJECT), first = true;

	str_addc(out, object ? '{' : '[');
	JSON_EACH(member, value) {
		int copies = member->value != victim ? 1 : mutation == REMOVED ? 0 : mutation == DOUBLED ? 2 : 1;

		for (; copies; copies--, first = false) {
			if (!first)
				str_addc(out, ',');
			if (object)
				str_addf(out, "\"%.*s\":", SPAN_ARG(member->key));
			write_value(member->value, victim, mutation, out);
		}
	}
	str_addc(out, object ? '}' : ']');
}

/* Writes the tree with `victim` changed; doubling is something that a tree cannot hold, so it is done in the writing. */
static void write_value(const struct json *value, const struct json *victim, enum mutation mutation, struct str *out)
{
	static const char *const replacements[MUTATIONS] = { [NULLED] = "null", [TEXT] = "\"x\"", [NUMBER] = "7", [LIST] = "[]", [OBJECT] = "{}" };

	if (value == victim && replacements[mutation])
		str_adds(out, replacements[mutation]);
	else if (json_is(value, JSON_OBJECT) || json_is(value, JSON_ARRAY))
		write_members(value, victim, mutation, out);
	else
		json_write(value, JSON_PLAIN, out);
}

static void collect(const struct json *value, const struct json *list[], size_t *count)
{
	JSON_EACH(member, value) {
		assert_true(*count < 100);
		list[(*count)++] = member->value;
		collect(member->value, list, count);
	}
}

static void bundle_with_a_field_changed_is_never_accepted_with_another_meaning(void **state)
{
	CLEANUP(arena_cleanup) struct arena *outer = arena_new(0);
	struct subject subject = vector_subject("annotated", true, outer);
	struct claim reference = judge(&subject, SPAN0, SPAN0, subject.bundle, outer);
	const struct json *fields[100];
	struct json *document;
	size_t count = 0, accepted = 0;

	(void)state;
	assert_int_equal(json_parse(subject.bundle, outer, 0, &document, NULL), 0);
	collect(document, fields, &count);
	assert_true(count >= 9);
	for (size_t i = 0; i < count; i++)
		for (enum mutation m = REMOVED; m < MUTATIONS; m++) {
			CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
			CLEANUP(str_release) struct str text = STR_INIT;
			struct claim claim;

			write_value(document, fields[i], m, &text);
			claim = judge(&subject, SPAN0, SPAN0, str_span(&text), arena);
			if (claim.proves == CLAIM_NOTHING)
				continue;
			accepted++;
			assert_true(claim.proves == CLAIM_SIGNATURE && same_meaning(&claim, &reference));
		}
	assert_int_equal(accepted, 4); /* the key hint: removed, nulled, another text; and publicKey without it */
}

static void legacy_with_a_field_changed_and_not_signed_again_is_never_accepted(void **state)
{
	CLEANUP(arena_cleanup) struct arena *outer = arena_new(0);
	struct subject subject = vector_subject("annotated", false, outer);
	const struct json *fields[100];
	struct json *document;
	size_t count = 0;

	(void)state;
	assert_int_equal(json_parse(subject.payload, outer, 0, &document, NULL), 0);
	collect(document, fields, &count);
	for (size_t i = 0; i < count; i++)
		for (enum mutation m = REMOVED; m < MUTATIONS; m++) {
			CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
			CLEANUP(str_release) struct str text = STR_INIT;

			write_value(document, fields[i], m, &text);
			assert_int_equal(judge(&subject, str_span(&text), subject.signature, SPAN0, arena).proves, CLAIM_NOTHING);
		}
}

/* The same, signed again by the right key: then the strictness of the reader alone decides. */
static void legacy_with_a_field_changed_and_signed_again_is_accepted_only_without_its_annotations(void **state)
{
	CLEANUP(arena_cleanup) struct arena *outer = arena_new(0);
	EVP_PKEY *key = signer_new("P-256");
	struct digest image = vector_image("annotated", outer);
	const struct json *fields[100];
	struct json *document;
	size_t count = 0, accepted = 0;

	(void)state;
	assert_int_equal(json_parse(vector_read("annotated", "legacy.payload", outer), outer, 0, &document, NULL), 0);
	collect(document, fields, &count);
	for (size_t i = 0; i < count; i++)
		for (enum mutation m = REMOVED; m < MUTATIONS; m++) {
			CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
			CLEANUP(str_release) struct str text = STR_INIT;
			struct sample s = sample_new(arena, image);
			struct claims claims;

			write_value(document, fields[i], m, &text);
			sample_trust(&s, "k", signer_pem(key, arena));
			sample_legacy(&s, arena_span(arena, str_span(&text)),
				      signer_base64(signer_sign(key, EVP_sha256(), 0, str_span(&text), arena), arena));
			assert_int_equal(sample_run(&s, &claims, NULL), 0);
			if (claims.items[0].proves == CLAIM_NOTHING)
				continue;
			accepted++;
			assert_true(claims.items[0].annotation_count < 2 || !strcmp(claims.items[0].repository, "x") ||
				    !strcmp(claim_annotation(&claims.items[0], "env"), "x") ||
				    !strcmp(claim_annotation(&claims.items[0], "team"), "x"));
		}
	/* docker-reference another text; optional removed, null or empty; env and team each removed, other text, or no text */
	print_message("%zu accepted\n", accepted);
	assert_true(accepted > 0 && accepted < 20);
	EVP_PKEY_free(key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bundle_is_parsed_with_all_of_its_parts),
		cmocka_unit_test(bundle_of_another_form_is_refused_for_its_own_reason),
		cmocka_unit_test(bundle_in_another_spelling_of_the_same_is_parsed),
		cmocka_unit_test(bundle_knows_the_chains_of_older_versions),
		cmocka_unit_test(bundle_bounds_entries_timestamps_and_hashes),
		cmocka_unit_test(bundle_with_a_byte_changed_is_never_accepted_with_another_meaning),
		cmocka_unit_test(legacy_with_a_byte_changed_is_never_accepted),
		cmocka_unit_test(bundle_with_a_field_changed_is_never_accepted_with_another_meaning),
		cmocka_unit_test(legacy_with_a_field_changed_and_not_signed_again_is_never_accepted),
		cmocka_unit_test(legacy_with_a_field_changed_and_signed_again_is_accepted_only_without_its_annotations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
