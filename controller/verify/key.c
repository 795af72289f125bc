/* Trusted keys and their signatures, by OpenSSL; see key.h. */
#include "verify/key.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "base/encode.h"
#include "verify/ed25519.h"
#include "verify/pem.h"

#define REASON "BadKey"

struct key {
	EVP_PKEY *pkey;
	const char *type;
	const char *hint;
	const EVP_MD *md;             /* the key's own hash; NULL: Ed25519 */
	bool pkcs1, pss;              /* paddings to try, RSA only */
	unsigned cost;
	struct span raw;              /* Ed25519 only */
};

static void pkey_free(void *pkey)
{
	EVP_PKEY_free(pkey);
}

static void context_cleanup(EVP_MD_CTX **context)
{
	EVP_MD_CTX_free(*context);
}

static void pkey_context_cleanup(EVP_PKEY_CTX **context)
{
	EVP_PKEY_CTX_free(*context);
}

static void openssl_cleanup(unsigned char **bytes)
{
	OPENSSL_free(*bytes);
}

/*
 * The DER of a SubjectPublicKeyInfo for a bare RSAPublicKey (RFC 8017 A.1.1): a
 * SEQUENCE of the algorithm rsaEncryption with NULL and a BIT STRING.
 */
static void wrap_rsa(struct span bare, struct str *out)
{
	static const char algorithm[] = "\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05";
	size_t bits = bare.length + 1, all = sizeof(algorithm) + 4 + bits; /* sizeof counts the NUL, the NULL's length */

	str_addf(out, "\x30\x82%c%c", (int)(all >> 8), (int)(all & 0xff));
	str_add(out, span_make(algorithm, sizeof(algorithm)));
	str_addf(out, "\x03\x82%c%c%c", (int)(bits >> 8), (int)(bits & 0xff), 0);
	str_add(out, bare);
}

static int refuse_label(const char *label, struct error *err)
{
	if (strstr(label, "PRIVATE KEY"))
		return error_set(err, ERROR_INVALID, REASON,
				 "this is a private key ('%s'): give the public one, and take the private one out of here", label);
	if (strstr(label, "CERTIFICATE"))
		return error_set(err, ERROR_INVALID, REASON,
				 "this is a certificate: give its public key (openssl x509 -pubkey -noout)");
	return error_set(err, ERROR_INVALID, REASON, "a PEM block '%s' is no public key: it must be PUBLIC KEY or RSA PUBLIC KEY", label);
}

static int read_der(struct span pem, struct str *der, struct error *err)
{
	CLEANUP(str_release) struct str body = STR_INIT;
	char label[PEM_LABEL_MAX];

	if (pem.length > KEY_PEM_MAX)
		return error_set(err, ERROR_INVALID, REASON, "a key of %zu bytes is over the limit of %d", pem.length, KEY_PEM_MAX);
	if (pem_read(pem, label, &body, err))
		return -1;
	if (!strcmp(label, "PUBLIC KEY"))
		str_add(der, str_span(&body));
	else if (!strcmp(label, "RSA PUBLIC KEY") && body.length > 255)
		wrap_rsa(str_span(&body), der);
	else
		return refuse_label(label, err);
	return 0;
}

static int take_ec(struct key *key, struct error *err)
{
	/* The length of the whole DER with a named curve and an uncompressed point: any other encoding is refused by it. */
	static const struct { const char *group, *type; int der; const EVP_MD *(*md)(void); unsigned cost; } curves[] = {
		{ "prime256v1", "ECDSA P-256", 91, EVP_sha256, 1 },
		{ "secp384r1", "ECDSA P-384", 120, EVP_sha384, 20 },
		{ "secp521r1", "ECDSA P-521", 158, EVP_sha512, 20 },
	};
	char group[64] = "";

	EVP_PKEY_get_group_name(key->pkey, group, sizeof(group), NULL);
	for (size_t i = 0; i < COUNT_OF(curves); i++) {
		if (strcmp(group, curves[i].group))
			continue;
		if (i2d_PUBKEY(key->pkey, NULL) != curves[i].der)
			return error_set(err, ERROR_INVALID, REASON, "the %s key must have a named curve and an uncompressed point",
					 curves[i].type);
		key->type = curves[i].type;
		key->md = curves[i].md();
		key->cost = curves[i].cost;
		return 0;
	}
	return error_set(err, ERROR_INVALID, REASON, "elliptic curve '%s' is not accepted: P-256, P-384 and P-521 are",
			 group[0] ? group : "with explicit parameters");
}

static int take_rsa(struct key *key, struct arena *arena, bool pss_only, struct error *err)
{
	int bits = EVP_PKEY_get_bits(key->pkey);
	BIGNUM *exponent = NULL;
	bool usual;

	if (bits < 2048 || bits > 4096)
		return error_set(err, ERROR_INVALID, REASON, "an RSA key of %d bits is not accepted: 2048 to 4096 are", bits);
	usual = EVP_PKEY_get_bn_param(key->pkey, OSSL_PKEY_PARAM_RSA_E, &exponent) && BN_is_word(exponent, 65537);
	BN_free(exponent);
	if (!usual)
		return error_set(err, ERROR_INVALID, REASON, "an RSA key must have the public exponent 65537");
	key->type = arena_printf(arena, "RSA %d", bits);
	key->md = EVP_sha256();
	key->pkcs1 = !pss_only;
	key->pss = true;
	key->cost = 2;
	return 0;
}

static int take_ed25519(struct key *key, struct arena *arena, struct error *err)
{
	size_t length = ED25519_KEY_BYTES;
	unsigned char *raw = arena_alloc(arena, length);

	if (!EVP_PKEY_get_raw_public_key(key->pkey, raw, &length) || length != ED25519_KEY_BYTES)
		return error_set(err, ERROR_INVALID, REASON, "the Ed25519 key cannot be read");
	key->type = "Ed25519";
	key->cost = 100;
	key->raw = span_make(raw, length);
	return 0;
}

static int take_type(struct key *key, struct arena *arena, struct error *err)
{
	switch (EVP_PKEY_get_base_id(key->pkey)) {
	case EVP_PKEY_EC:
		return take_ec(key, err);
	case EVP_PKEY_RSA:
		return take_rsa(key, arena, false, err);
	case EVP_PKEY_RSA_PSS:
		return take_rsa(key, arena, true, err);
	case EVP_PKEY_ED25519:
		return take_ed25519(key, arena, err);
	default:
		return error_set(err, ERROR_INVALID, REASON, "keys of type %s are not accepted: ECDSA, RSA and Ed25519 are",
				 EVP_PKEY_get0_type_name(key->pkey) ? EVP_PKEY_get0_type_name(key->pkey) : "unknown");
	}
}

/* Whether OpenSSL would write the key as it was read: nothing behind it, no second form of a length or a flag. */
static bool is_canonical(EVP_PKEY *pkey, struct span der)
{
	CLEANUP(openssl_cleanup) unsigned char *again = NULL;
	int length = i2d_PUBKEY(pkey, &again);

	return length > 0 && span_equal(span_make(again, (size_t)length), der);
}

static const char *make_hint(struct span der, struct arena *arena)
{
	CLEANUP(str_release) struct str hint = STR_INIT;
	struct digest digest = digest_of(der);

	base64_encode(span_make(digest.bytes, DIGEST_SIZE), &hint);
	return arena_strndup(arena, str_span(&hint));
}

int key_parse(struct span pem, struct arena *arena, struct key **out, struct error *err)
{
	CLEANUP(str_release) struct str der = STR_INIT;
	struct key *key = ARENA_NEW(arena, struct key);
	const unsigned char *at;

	if (read_der(pem, &der, err))
		return -1;
	at = (const unsigned char *)der.data;
	key->pkey = d2i_PUBKEY(NULL, &at, (long)der.length);
	ERR_clear_error();
	if (!key->pkey)
		return error_set(err, ERROR_INVALID, REASON, "the PEM block holds no public key that can be read");
	arena_defer(arena, pkey_free, key->pkey);
	if (!is_canonical(key->pkey, str_span(&der)))
		return error_set(err, ERROR_INVALID, REASON, "the key is not encoded as DER demands, or something follows it");
	if (take_type(key, arena, err))
		return -1;
	key->hint = make_hint(str_span(&der), arena);
	*out = key;
	return 0;
}

const char *key_type(const struct key *key)
{
	return key->type;
}

unsigned key_cost(const struct key *key)
{
	return key->cost;
}

const char *key_hint(const struct key *key)
{
	return key->hint;
}

/* RFC 8017 8.1 and 8.2; the salt is as long as the hash, as FIPS 186-5 5.4 allows at most. */
static bool set_padding(EVP_PKEY_CTX *context, const struct key *key, bool pss)
{
	if (!key->pkcs1 && !key->pss)
		return true;
	if (!pss)
		return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) > 0;
	return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) > 0 &&
	       EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) > 0;
}

static bool verify_message(const struct key *key, const EVP_MD *md, bool pss, struct span message, struct span signature)
{
	CLEANUP(context_cleanup) EVP_MD_CTX *context = EVP_MD_CTX_new();
	EVP_PKEY_CTX *inner = NULL; /* belongs to the context */

	return context && EVP_DigestVerifyInit(context, &inner, md, NULL, key->pkey) > 0 && set_padding(inner, key, pss) &&
	       EVP_DigestVerify(context, (const unsigned char *)signature.data, signature.length,
				(const unsigned char *)(message.data ? message.data : ""), message.length) == 1;
}

static bool verify_hash(const struct key *key, const struct digest *digest, bool pss, struct span signature)
{
	CLEANUP(pkey_context_cleanup) EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key->pkey, NULL);

	return context && EVP_PKEY_verify_init(context) > 0 && set_padding(context, key, pss) &&
	       EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()) > 0 &&
	       EVP_PKEY_verify(context, (const unsigned char *)signature.data, signature.length, digest->bytes, DIGEST_SIZE) == 1;
}

/* Both paddings that the key may have been used with. */
static bool verify_by(const struct key *key, const EVP_MD *md, struct span message, struct span signature)
{
	bool first = key->pkcs1 || !key->pss ? verify_message(key, md, false, message, signature) : false;

	return first || (key->pss && verify_message(key, md, true, message, signature));
}

static enum key_result verify_ed25519(const struct key *key, enum key_use use, struct span message, struct span signature)
{
	if (verify_message(key, NULL, false, message, signature))
		return KEY_VERIFIED;
	if (!ed25519_verify(key->raw, ED25519_PREHASHED, message, signature))
		return KEY_REFUSED;
	return use == KEY_LEGACY ? KEY_VERIFIED : KEY_OTHER_HASH;
}

enum key_result key_verify(const struct key *key, enum key_use use, struct span message, struct span signature)
{
	enum key_result result = KEY_REFUSED;

	if (!signature.length)
		return KEY_REFUSED;
	if (!key->md)
		result = verify_ed25519(key, use, message, signature);
	else if (verify_by(key, key->md, message, signature))
		result = KEY_VERIFIED;
	else if (key->md != EVP_sha256() && verify_by(key, EVP_sha256(), message, signature))
		result = use == KEY_LEGACY ? KEY_VERIFIED : KEY_OTHER_HASH;
	ERR_clear_error();
	return result;
}

enum key_result key_verify_digest(const struct key *key, const struct digest *digest, struct span signature)
{
	bool good;

	if (!signature.length || key->md != EVP_sha256())
		return KEY_REFUSED;
	good = (key->pkcs1 || !key->pss) && verify_hash(key, digest, false, signature);
	good = good || (key->pss && verify_hash(key, digest, true, signature));
	ERR_clear_error();
	return good ? KEY_VERIFIED : KEY_REFUSED;
}
