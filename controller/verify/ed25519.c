/*
 * Ed25519 and Ed25519ph verification over OpenSSL's EC_GROUP; see ed25519.h.
 *
 * Edwards:      -x^2 + y^2 = 1 + d x^2 y^2,  d = -121665/121666     (RFC 8032 5.1)
 * Montgomery:   v^2 = u^3 + A u^2 + u,       A = 486662;  u = (1+y)/(1-y), v = c u/x, c = sqrt(-486664)   (RFC 7748 4.1)
 * Weierstrass:  Y^2 = X^3 + a X + b,         X = u + A/3, Y = v, a = (3-A^2)/3, b = (2A^3-9A)/27
 *
 * Which of the two roots c is does not matter: the other one negates every point.
 */
#include "verify/ed25519.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>

#include "base/mem.h"

struct curve {
	BN_CTX *ctx;
	EC_GROUP *group;
	BIGNUM *p, *order, *d, *c, *third; /* third: A/3 */
};

static void curve_release(struct curve *curve)
{
	EC_GROUP_free(curve->group);
	BN_free(curve->p);
	BN_free(curve->order);
	BN_free(curve->d);
	BN_free(curve->c);
	BN_free(curve->third);
	BN_CTX_free(curve->ctx);
}

static void bn_cleanup(BIGNUM **n)
{
	BN_free(*n);
}

static void point_cleanup(EC_POINT **point)
{
	EC_POINT_free(*point);
}

#define BN_LOCAL(name) CLEANUP(bn_cleanup) BIGNUM *name = BN_new()

/* out = a / b mod p; false when b is zero. */
static bool divide(struct curve *curve, BIGNUM *out, const BIGNUM *a, const BIGNUM *b)
{
	BN_LOCAL(inverse);

	return BN_mod_inverse(inverse, b, curve->p, curve->ctx) && BN_mod_mul(out, a, inverse, curve->p, curve->ctx);
}

/* out = numerator / denominator mod p, of two small numbers. */
static bool fraction(struct curve *curve, BIGNUM *out, const char *numerator, const char *denominator)
{
	CLEANUP(bn_cleanup) BIGNUM *a = NULL;
	CLEANUP(bn_cleanup) BIGNUM *b = NULL;

	return BN_dec2bn(&a, numerator) && BN_dec2bn(&b, denominator) && BN_nnmod(a, a, curve->p, curve->ctx) && divide(curve, out, a, b);
}

static bool make_constants(struct curve *curve)
{
	curve->ctx = BN_CTX_new();
	curve->d = BN_new();
	curve->c = BN_new();
	curve->third = BN_new();
	return BN_hex2bn(&curve->p, "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed") &&
	       BN_hex2bn(&curve->order, "1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed") &&
	       fraction(curve, curve->d, "-121665", "121666") && fraction(curve, curve->third, "486662", "3") &&
	       fraction(curve, curve->c, "-486664", "1") && BN_mod_sqrt(curve->c, curve->c, curve->p, curve->ctx);
}

/* The point whose Edwards coordinates are x and y; false for the two that have none on the Montgomery curve. */
static bool point_of(struct curve *curve, const BIGNUM *x, const BIGNUM *y, EC_POINT *out)
{
	BN_LOCAL(up);
	BN_LOCAL(down);
	BN_LOCAL(u);
	BN_LOCAL(v);

	return BN_mod_add(up, BN_value_one(), y, curve->p, curve->ctx) && BN_mod_sub(down, BN_value_one(), y, curve->p, curve->ctx) &&
	       divide(curve, u, up, down) && BN_mod_mul(v, curve->c, u, curve->p, curve->ctx) && divide(curve, v, v, x) &&
	       BN_mod_add(u, u, curve->third, curve->p, curve->ctx) &&
	       EC_POINT_set_affine_coordinates(curve->group, out, u, v, curve->ctx);
}

/* x of the point with this y whose lowest bit is `sign` (RFC 8032 5.1.3); false when there is none. */
static bool recover_x(struct curve *curve, const BIGNUM *y, int sign, BIGNUM *x)
{
	BN_LOCAL(square);
	BN_LOCAL(up);
	BN_LOCAL(down);

	if (!BN_mod_sqr(square, y, curve->p, curve->ctx) || !BN_mod_sub(up, square, BN_value_one(), curve->p, curve->ctx) ||
	    !BN_mod_mul(down, square, curve->d, curve->p, curve->ctx) ||
	    !BN_mod_add(down, down, BN_value_one(), curve->p, curve->ctx) || !divide(curve, square, up, down) ||
	    !BN_mod_sqrt(x, square, curve->p, curve->ctx))
		return false;
	if (BN_is_zero(x))
		return !sign;
	return BN_is_odd(x) == sign || BN_sub(x, curve->p, x);
}

/* RFC 8032 5.1.3: little-endian y below p, the sign of x in the highest bit. */
static bool point_decode(struct curve *curve, struct span bytes, EC_POINT *out)
{
	unsigned char copy[ED25519_KEY_BYTES];
	BN_LOCAL(x);
	BN_LOCAL(y);
	int sign;

	memcpy(copy, bytes.data, sizeof(copy));
	sign = copy[31] >> 7;
	copy[31] &= 0x7f;
	return BN_lebin2bn(copy, sizeof(copy), y) && BN_cmp(y, curve->p) < 0 && recover_x(curve, y, sign, x) &&
	       point_of(curve, x, y, out);
}

/* The inverse of point_decode. */
static bool point_encode(struct curve *curve, const EC_POINT *point, unsigned char out[ED25519_KEY_BYTES])
{
	BN_LOCAL(x);
	BN_LOCAL(y);
	BN_LOCAL(u);
	BN_LOCAL(v);
	BN_LOCAL(up);

	if (EC_POINT_is_at_infinity(curve->group, point)) { /* the neutral element (0, 1) */
		memset(out, 0, ED25519_KEY_BYTES);
		out[0] = 1;
		return true;
	}
	if (!EC_POINT_get_affine_coordinates(curve->group, point, u, v, curve->ctx) ||
	    !BN_mod_sub(u, u, curve->third, curve->p, curve->ctx) || !BN_mod_mul(x, curve->c, u, curve->p, curve->ctx) ||
	    !divide(curve, x, x, v) || !BN_mod_sub(up, u, BN_value_one(), curve->p, curve->ctx) ||
	    !BN_mod_add(u, u, BN_value_one(), curve->p, curve->ctx) || !divide(curve, y, up, u) ||
	    BN_bn2lebinpad(y, out, ED25519_KEY_BYTES) < 0)
		return false;
	out[31] |= (unsigned char)(BN_is_odd(x) << 7);
	return true;
}

/* RFC 8032 5.1: y of the base point is 4/5, its x is even. */
static bool set_generator(struct curve *curve)
{
	CLEANUP(point_cleanup) EC_POINT *base = EC_POINT_new(curve->group);
	CLEANUP(bn_cleanup) BIGNUM *cofactor = NULL;
	BN_LOCAL(x);
	BN_LOCAL(y);

	return fraction(curve, y, "4", "5") && recover_x(curve, y, 0, x) && point_of(curve, x, y, base) && BN_dec2bn(&cofactor, "8") &&
	       EC_GROUP_set_generator(curve->group, base, curve->order, cofactor);
}

static bool curve_init(struct curve *curve)
{
	BN_LOCAL(a);
	BN_LOCAL(b);

	*curve = (struct curve){ .ctx = NULL };
	/* a = (3-A^2)/3 and b = (2A^3-9A)/27 for A = 486662 */
	if (!make_constants(curve) || !fraction(curve, a, "-236839902241", "3") || !fraction(curve, b, "230521961007359098", "27"))
		return false;
	curve->group = EC_GROUP_new_curve_GFp(curve->p, a, b, curve->ctx);
	return curve->group && set_generator(curve);
}

/* k of RFC 8032 5.1.7 step 2: SHA-512 of dom2, R, A and the message or its hash, as a number below the order. */
static bool challenge(struct curve *curve, struct span r, struct span key, enum ed25519_variant variant, struct span message, BIGNUM *k)
{
	static const char dom2[] = "SigEd25519 no Ed25519 collisions\x01"; /* with its final NUL: phflag 1, context of length 0 */
	CLEANUP(str_release) struct str all = STR_INIT;
	unsigned char hash[64];

	if (variant == ED25519_PREHASHED) {
		if (!EVP_Digest(message.data ? message.data : "", message.length, hash, NULL, EVP_sha512(), NULL))
			return false;
		str_add(&all, span_make(dom2, sizeof(dom2)));
		message = span_make(hash, sizeof(hash));
	}
	str_add(&all, r);
	str_add(&all, key);
	str_add(&all, message);
	return !all.overflow && EVP_Digest(all.data, all.length, hash, NULL, EVP_sha512(), NULL) &&
	       BN_lebin2bn(hash, sizeof(hash), k) && BN_nnmod(k, k, curve->order, curve->ctx);
}

/* A key of small order verifies signatures that nobody made. */
static bool is_small_order(struct curve *curve, const EC_POINT *point)
{
	CLEANUP(point_cleanup) EC_POINT *sum = EC_POINT_dup(point, curve->group);

	for (int i = 0; i < 3; i++)
		if (!EC_POINT_dbl(curve->group, sum, sum, curve->ctx))
			return true;
	return EC_POINT_is_at_infinity(curve->group, sum);
}

/* RFC 8032 5.1.7 step 3, without the cofactor: R = [S]B - [k]A, compared as encoded. */
static bool equation_holds(struct curve *curve, struct span key, struct span signature, enum ed25519_variant variant, struct span message)
{
	CLEANUP(point_cleanup) EC_POINT *a = EC_POINT_new(curve->group);
	CLEANUP(point_cleanup) EC_POINT *r = EC_POINT_new(curve->group);
	struct span r_bytes = span_sub(signature, 0, 32), s_bytes = span_from(signature, 32);
	unsigned char encoded[ED25519_KEY_BYTES];
	BN_LOCAL(k);
	BN_LOCAL(s);

	return BN_lebin2bn((const unsigned char *)s_bytes.data, 32, s) && BN_cmp(s, curve->order) < 0 && point_decode(curve, key, a) &&
	       !is_small_order(curve, a) && challenge(curve, r_bytes, key, variant, message, k) &&
	       EC_POINT_invert(curve->group, a, curve->ctx) && EC_POINT_mul(curve->group, r, s, a, k, curve->ctx) &&
	       point_encode(curve, r, encoded) && !memcmp(encoded, r_bytes.data, sizeof(encoded));
}

bool ed25519_verify(struct span key, enum ed25519_variant variant, struct span message, struct span signature)
{
	CLEANUP(curve_release) struct curve curve = { .ctx = NULL };

	if (key.length != ED25519_KEY_BYTES || signature.length != ED25519_SIGNATURE_BYTES)
		return false;
	return curve_init(&curve) && equation_holds(&curve, key, signature, variant, message);
}
