/* verify/key, verify/ed25519, verify/pem: which keys are taken, and which signatures they verify. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/encode.h"
#include "verify/signer.h"
#include "verify/ed25519.h"
#include "verify/key.h"
#include "verify/pem.h"

static const struct {
	const char *signer, *type;
	const EVP_MD *(*md)(void);
} types[] = {
	{ "P-256", "ECDSA P-256", EVP_sha256 },   { "P-384", "ECDSA P-384", EVP_sha384 }, { "P-521", "ECDSA P-521", EVP_sha512 },
	{ "RSA2048", "RSA 2048", EVP_sha256 },    { "RSA3072", "RSA 3072", EVP_sha256 },  { "ED25519", "Ed25519", NULL },
};

static void refuses(struct span pem, const char *needle)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct error err = ERROR_INIT;
	struct key *key = NULL;

	if (!key_parse(pem, arena, &key, &err))
		fail_msg("taken: %.*s", SPAN_ARG(pem));
	assert_null(key);
	assert_int_equal(err.kind, ERROR_INVALID);
	assert_string_equal(err.reason, "BadKey");
	if (!strstr(err.text, needle))
		fail_msg("'%s' does not say '%s'", err.text, needle);
}

static void key_of_each_type_verifies_what_it_signed_and_nothing_else(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(types); i++) {
		CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
		EVP_PKEY *signer = signer_new(types[i].signer), *other = signer_new(types[i].signer);
		struct span good = signer_sign(signer, types[i].md ? types[i].md() : NULL, 0, SPAN("message"), arena);
		struct span foreign = signer_sign(other, types[i].md ? types[i].md() : NULL, 0, SPAN("message"), arena);
		struct error err = ERROR_INIT;
		struct key *key;

		if (key_parse(signer_pem(signer, arena), arena, &key, &err))
			fail_msg("%s: %s", types[i].type, err.text);
		assert_string_equal(key_type(key), types[i].type);
		for (enum key_use use = KEY_DSSE; use <= KEY_LEGACY; use++) {
			assert_int_equal(key_verify(key, use, SPAN("message"), good), KEY_VERIFIED);
			assert_int_equal(key_verify(key, use, SPAN("messagf"), good), KEY_REFUSED);
			assert_int_equal(key_verify(key, use, SPAN(""), good), KEY_REFUSED);
			assert_int_equal(key_verify(key, use, SPAN("message"), foreign), KEY_REFUSED);
			assert_int_equal(key_verify(key, use, SPAN("message"), SPAN0), KEY_REFUSED);
			for (size_t cut = 0; cut < good.length; cut++)
				assert_int_equal(key_verify(key, use, SPAN("message"), span_sub(good, 0, cut)), KEY_REFUSED);
		}
		EVP_PKEY_free(signer);
		EVP_PKEY_free(other);
	}
}

static void key_refuses_a_signature_with_any_bit_changed(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(types); i++) {
		CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
		EVP_PKEY *signer = signer_new(types[i].signer);
		struct span good = signer_sign(signer, types[i].md ? types[i].md() : NULL, 0, SPAN("message"), arena);
		char *bytes = arena_strndup(arena, good);
		struct key *key;

		assert_int_equal(key_parse(signer_pem(signer, arena), arena, &key, NULL), 0);
		for (size_t bit = 0; bit < good.length * 8; bit += 3) {
			bytes[bit / 8] ^= (char)(1 << (bit % 8));
			assert_int_equal(key_verify(key, KEY_LEGACY, SPAN("message"), span_make(bytes, good.length)), KEY_REFUSED);
			bytes[bit / 8] ^= (char)(1 << (bit % 8));
		}
		EVP_PKEY_free(signer);
	}
}

static void key_takes_sha256_of_a_larger_curve_in_the_legacy_format_only(void **state)
{
	static const char *const curves[] = { "P-384", "P-521" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(curves); i++) {
		CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
		EVP_PKEY *signer = signer_new(curves[i]);
		struct span signature = signer_sign(signer, EVP_sha256(), 0, SPAN("m"), arena);
		struct span sha1 = signer_sign(signer, EVP_sha1(), 0, SPAN("m"), arena);
		struct key *key;

		assert_int_equal(key_parse(signer_pem(signer, arena), arena, &key, NULL), 0);
		assert_int_equal(key_verify(key, KEY_LEGACY, SPAN("m"), signature), KEY_VERIFIED);
		assert_int_equal(key_verify(key, KEY_DSSE, SPAN("m"), signature), KEY_OTHER_HASH);
		assert_int_equal(key_verify(key, KEY_LEGACY, SPAN("m"), sha1), KEY_REFUSED);
		EVP_PKEY_free(signer);
	}
}

static void key_of_p256_and_rsa_takes_no_other_hash(void **state)
{
	static const char *const names[] = { "P-256", "RSA2048" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
		EVP_PKEY *signer = signer_new(names[i]);
		const EVP_MD *others[] = { EVP_sha1(), EVP_sha224(), EVP_sha384(), EVP_sha512() };
		struct key *key;

		assert_int_equal(key_parse(signer_pem(signer, arena), arena, &key, NULL), 0);
		for (size_t k = 0; k < COUNT_OF(others); k++)
			assert_int_equal(key_verify(key, KEY_LEGACY, SPAN("m"), signer_sign(signer, others[k], 0, SPAN("m"), arena)),
					 KEY_REFUSED);
		EVP_PKEY_free(signer);
	}
}

static void key_of_rsa_verifies_pss_with_a_salt_as_long_as_the_hash(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	EVP_PKEY *plain = signer_new("RSA2048");
	struct key *key;

	(void)state;
	assert_int_equal(key_parse(signer_pem(plain, arena), arena, &key, NULL), 0);
	assert_int_equal(key_verify(key, KEY_DSSE, SPAN("m"), signer_sign(plain, EVP_sha256(), 1, SPAN("m"), arena)), KEY_VERIFIED);
	EVP_PKEY_free(plain);
}

/* id-RSASSA-PSS keys (RFC 4055) sign with PSS and nothing else. */
static void key_of_type_rsassa_pss_verifies_pss_only(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA-PSS", NULL);
	EVP_PKEY *signer = NULL;
	struct digest digest = digest_of(SPAN("m"));
	struct span signature;
	struct key *key;

	(void)state;
	assert_true(EVP_PKEY_keygen_init(context) > 0 && EVP_PKEY_CTX_set_rsa_keygen_bits(context, 2048) > 0 &&
		    EVP_PKEY_keygen(context, &signer) > 0);
	EVP_PKEY_CTX_free(context);
	assert_int_equal(key_parse(signer_pem(signer, arena), arena, &key, NULL), 0);
	signature = signer_sign(signer, EVP_sha256(), 1, SPAN("m"), arena);
	assert_int_equal(key_verify(key, KEY_DSSE, SPAN("m"), signature), KEY_VERIFIED);
	assert_int_equal(key_verify(key, KEY_LEGACY, SPAN("n"), signature), KEY_REFUSED);
	assert_int_equal(key_verify_digest(key, &digest, signature), KEY_VERIFIED);
	EVP_PKEY_free(signer);
}

/* Another point of the same curve in its compressed form, and explicit parameters: one key, one encoding. */
static void key_in_another_encoding_of_the_same_point_is_refused(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	EVP_PKEY *signer = signer_new("P-256");

	(void)state;
	assert_true(EVP_PKEY_set_utf8_string_param(signer, "point-format", "compressed"));
	refuses(signer_pem(signer, arena), "uncompressed point");
	EVP_PKEY_free(signer);
	signer = signer_new("P-256");
	assert_true(EVP_PKEY_set_utf8_string_param(signer, "encoding", "explicit"));
	refuses(signer_pem(signer, arena), "");
	EVP_PKEY_free(signer);
}

static void key_verifies_a_digest_where_it_signs_sha256(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(types); i++) {
		CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
		EVP_PKEY *signer = signer_new(types[i].signer);
		struct span signature = signer_sign(signer, types[i].md ? types[i].md() : NULL, 0, SPAN("m"), arena);
		struct digest digest = digest_of(SPAN("m")), other = digest_of(SPAN("n"));
		int sha256 = types[i].md == EVP_sha256;
		struct key *key;

		assert_int_equal(key_parse(signer_pem(signer, arena), arena, &key, NULL), 0);
		assert_int_equal(key_verify_digest(key, &digest, signature), sha256 ? KEY_VERIFIED : KEY_REFUSED);
		assert_int_equal(key_verify_digest(key, &other, signature), KEY_REFUSED);
		assert_int_equal(key_verify_digest(key, &digest, SPAN0), KEY_REFUSED);
		EVP_PKEY_free(signer);
	}
}

/* --- Ed25519 --------------------------------------------------------------------------------------------------- */

static void unhex(const char *hex, struct str *out)
{
	assert_int_equal(hex_decode(span_of(hex), out, NULL), 0);
}

/* RFC 8032 7.3: the one vector of Ed25519ph. */
#define PH_KEY "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf"
static void ed25519_verifies_the_prehashed_vector_of_rfc_8032(void **state)
{
	CLEANUP(str_release) struct str key = STR_INIT, signature = STR_INIT;

	(void)state;
	unhex(PH_KEY, &key);
	unhex("98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae4131f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406",
	      &signature);
	assert_true(ed25519_verify(str_span(&key), ED25519_PREHASHED, SPAN("abc"), str_span(&signature)));
	assert_false(ed25519_verify(str_span(&key), ED25519_PURE, SPAN("abc"), str_span(&signature)));
	assert_false(ed25519_verify(str_span(&key), ED25519_PREHASHED, SPAN("abd"), str_span(&signature)));
}

static void ed25519_agrees_with_openssl_on_pure_signatures(void **state)
{
	char message[64] = { 0 };

	(void)state;
	for (size_t i = 0; i < 60; i++) {
		CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
		EVP_PKEY *signer = signer_new("ED25519");
		struct span m = span_make(message, i), signature = signer_sign(signer, NULL, 0, m, arena);
		char *bytes = arena_strndup(arena, signature);
		unsigned char raw[32];
		size_t length = sizeof(raw);

		EVP_PKEY_get_raw_public_key(signer, raw, &length);
		assert_true(ed25519_verify(span_make(raw, 32), ED25519_PURE, m, signature));
		assert_false(ed25519_verify(span_make(raw, 32), ED25519_PREHASHED, m, signature));
		bytes[i] ^= 0x10;
		assert_false(ed25519_verify(span_make(raw, 32), ED25519_PURE, m, span_make(bytes, 64)));
		message[i] = (char)(i * 7);
		EVP_PKEY_free(signer);
	}
}

/* S + L is the same number modulo the order: accepting it would make signatures malleable (RFC 8032 5.1.7 step 1). */
static void ed25519_refuses_s_at_or_above_the_order(void **state)
{
	static const unsigned char order[32] = { 0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
						 0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0x10 };
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	EVP_PKEY *signer = signer_new("ED25519");
	unsigned char *s = (unsigned char *)arena_strndup(arena, signer_sign(signer, NULL, 0, SPAN("m"), arena));
	unsigned char raw[32];
	size_t length = sizeof(raw);
	unsigned carry = 0;

	(void)state;
	EVP_PKEY_get_raw_public_key(signer, raw, &length);
	for (size_t i = 0; i < 32; i++) {
		carry += s[32 + i] + (unsigned)order[i];
		s[32 + i] = (unsigned char)carry;
		carry >>= 8;
	}
	assert_int_equal(carry, 0);
	assert_false(ed25519_verify(span_make(raw, 32), ED25519_PURE, SPAN("m"), span_make(s, 64)));
	EVP_PKEY_free(signer);
}

/* With a key of small order, R = neutral and S = 0 would verify for many messages. */
static void ed25519_refuses_keys_of_small_order_and_odd_encodings(void **state)
{
	static const char *const keys[] = {
		"0100000000000000000000000000000000000000000000000000000000000000", /* neutral */
		"0100000000000000000000000000000000000000000000000000000000000080", /* neutral, sign bit set */
		"0000000000000000000000000000000000000000000000000000000000000000", /* order 4 */
		"0000000000000000000000000000000000000000000000000000000000000080", /* order 4 */
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", /* order 2 */
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", /* order 8 */
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa", /* order 8, high bit */
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", /* y = p + 1 */
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", /* y = p */
		"0200000000000000000000000000000000000000000000000000000000000000", /* on no point */
	};
	CLEANUP(str_release) struct str signature = STR_INIT;

	(void)state;
	unhex("01" "00000000000000000000000000000000000000000000000000000000000000", &signature);
	unhex("0000000000000000000000000000000000000000000000000000000000000000", &signature);
	for (size_t i = 0; i < COUNT_OF(keys); i++) {
		CLEANUP(str_release) struct str key = STR_INIT;

		unhex(keys[i], &key);
		for (char c = 'a'; c <= 'z'; c++) {
			assert_false(ed25519_verify(str_span(&key), ED25519_PREHASHED, span_make(&c, 1), str_span(&signature)));
			assert_false(ed25519_verify(str_span(&key), ED25519_PURE, span_make(&c, 1), str_span(&signature)));
		}
	}
}

static void ed25519_refuses_other_lengths(void **state)
{
	char zeroes[100] = { 0 };

	(void)state;
	assert_false(ed25519_verify(span_make(zeroes, 31), ED25519_PURE, SPAN("m"), span_make(zeroes, 64)));
	assert_false(ed25519_verify(span_make(zeroes, 32), ED25519_PURE, SPAN("m"), span_make(zeroes, 63)));
	assert_false(ed25519_verify(span_make(zeroes, 32), ED25519_PURE, SPAN("m"), span_make(zeroes, 65)));
}

/* --- which keys are taken --------------------------------------------------------------------------------------- */

static void key_says_what_it_was_given_instead(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	EVP_PKEY *signer = signer_new("P-256");
	struct span pem = signer_pem(signer, arena);
	struct span two = span_of(arena_printf(arena, "%.*s%.*s", SPAN_ARG(pem), SPAN_ARG(pem)));

	(void)state;
	refuses(SPAN(""), "no PEM key");
	refuses(SPAN("cosign.pub"), "no PEM key");
	refuses(two, "more than one PEM block");
	refuses(span_of(arena_printf(arena, "%.*sand more", SPAN_ARG(pem))), "text behind");
	refuses(span_of(arena_printf(arena, "my key:\n%.*s", SPAN_ARG(pem))), "no PEM key");
	refuses(SPAN("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), "private key");
	refuses(SPAN("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n"), "private key");
	refuses(SPAN("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "certificate");
	refuses(SPAN("-----BEGIN PGP PUBLIC KEY BLOCK-----\nAAAA\n-----END PGP PUBLIC KEY BLOCK-----\n"), "no public key");
	refuses(SPAN("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"), "no public key that can be read");
	refuses(SPAN("-----BEGIN PUBLIC KEY-----\nA*==\n-----END PUBLIC KEY-----\n"), "base64");
	refuses(SPAN("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END CERTIFICATE-----\n"), "END line");
	refuses(SPAN("-----BEGIN PUBLIC KEY-----\nAAAA\n"), "END line");
	refuses(SPAN("-----BEGIN RSA PUBLIC KEY-----\nAAAA\n-----END RSA PUBLIC KEY-----\n"), "RSA PUBLIC KEY");
	for (size_t cut = 0; cut + 2 < pem.length; cut += 3)
		refuses(span_sub(pem, 0, cut), "");
	EVP_PKEY_free(signer);
}

static void key_refuses_weak_and_strange_types(void **state)
{
	static const struct { const char *type, *needle; } cases[] = {
		{ "RSA1024", "1024 bits" }, { "secp256k1", "secp256k1" }, { "P-224", "secp224r1" },
		{ "ED448", "ED448" }, { "X25519", "X25519" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
		EVP_PKEY *signer;

		signer = signer_new(cases[i].type);
		refuses(signer_pem(signer, arena), cases[i].needle);
		EVP_PKEY_free(signer);
	}
}

static void key_with_bytes_behind_it_is_refused(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	CLEANUP(str_release) struct str der = STR_INIT;
	char label[PEM_LABEL_MAX];
	EVP_PKEY *signer = signer_new("P-256");
	struct span base64;

	(void)state;
	assert_int_equal(pem_read(signer_pem(signer, arena), label, &der, NULL), 0);
	assert_string_equal(label, "PUBLIC KEY");
	str_addc(&der, 0);
	base64 = signer_base64(str_span(&der), arena);
	refuses(span_of(arena_printf(arena, "-----BEGIN PUBLIC KEY-----\n%.*s\n-----END PUBLIC KEY-----\n", SPAN_ARG(base64))), "DER");
	EVP_PKEY_free(signer);
}

static void key_may_be_an_rsa_public_key_of_pkcs1(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	EVP_PKEY *signer = signer_new("RSA2048");
	unsigned char *bytes = NULL;
	int length = i2d_PublicKey(signer, &bytes);
	struct span base64 = signer_base64(span_make(bytes, (size_t)length), arena);
	struct error err = ERROR_INIT;
	struct key *key, *same;

	(void)state;
	if (key_parse(span_of(arena_printf(arena, "\n-----BEGIN RSA PUBLIC KEY-----\r\n%.*s\r\n-----END RSA PUBLIC KEY-----\r\n ", SPAN_ARG(base64))),
		      arena, &key, &err))
		fail_msg("%s", err.text);
	assert_int_equal(key_parse(signer_pem(signer, arena), arena, &same, NULL), 0);
	assert_string_equal(key_hint(key), key_hint(same));
	assert_int_equal(key_verify(key, KEY_LEGACY, SPAN("m"), signer_sign(signer, EVP_sha256(), 0, SPAN("m"), arena)), KEY_VERIFIED);
	OPENSSL_free(bytes);
	EVP_PKEY_free(signer);
}

/* The hint of the vector's bundle, written by cosign for the vector's key. */
static void key_hint_is_what_cosign_writes(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct span bundle = vector_read("p256", "bundle.json", arena);
	struct key *key;

	(void)state;
	assert_int_equal(key_parse(vector_read("p256", "key.pub", arena), arena, &key, NULL), 0);
	assert_non_null(strstr(arena_strndup(arena, bundle), key_hint(key)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(key_of_each_type_verifies_what_it_signed_and_nothing_else),
		cmocka_unit_test(key_refuses_a_signature_with_any_bit_changed),
		cmocka_unit_test(key_takes_sha256_of_a_larger_curve_in_the_legacy_format_only),
		cmocka_unit_test(key_of_p256_and_rsa_takes_no_other_hash),
		cmocka_unit_test(key_of_rsa_verifies_pss_with_a_salt_as_long_as_the_hash),
		cmocka_unit_test(key_of_type_rsassa_pss_verifies_pss_only),
		cmocka_unit_test(key_in_another_encoding_of_the_same_point_is_refused),
		cmocka_unit_test(key_verifies_a_digest_where_it_signs_sha256),
		cmocka_unit_test(ed25519_verifies_the_prehashed_vector_of_rfc_8032),
		cmocka_unit_test(ed25519_agrees_with_openssl_on_pure_signatures),
		cmocka_unit_test(ed25519_refuses_s_at_or_above_the_order),
		cmocka_unit_test(ed25519_refuses_keys_of_small_order_and_odd_encodings),
		cmocka_unit_test(ed25519_refuses_other_lengths),
		cmocka_unit_test(key_says_what_it_was_given_instead),
		cmocka_unit_test(key_refuses_weak_and_strange_types),
		cmocka_unit_test(key_with_bytes_behind_it_is_refused),
		cmocka_unit_test(key_may_be_an_rsa_public_key_of_pkcs1),
		cmocka_unit_test(key_hint_is_what_cosign_writes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
