/*
 * Ed25519 with pre-hashing (RFC 8032 5.1.7, Ed25519ph), which OpenSSL offers only
 * from 3.2 on and cosign 3.1.3 uses for legacy signatures. Verification handles
 * public values alone, so nothing here needs constant time.
 *
 * The group is OpenSSL's: the Edwards curve is mapped to a short Weierstrass
 * curve over the same field, whose arithmetic EC_POINT does. Only the map, the
 * decoding of points and the equation are ours; the tests hold them against
 * OpenSSL's own Ed25519 (which differs in the hashed prefix only) and RFC 8032.
 */
#ifndef VERIFY_ED25519_H
#define VERIFY_ED25519_H

#include <stdbool.h>

#include "base/str.h"

#define ED25519_KEY_BYTES 32
#define ED25519_SIGNATURE_BYTES 64

enum ed25519_variant { ED25519_PURE = 0, ED25519_PREHASHED };

/*
 * Whether the signature over `message` verifies under the raw public key, without a
 * context. Refuses keys and points that are not canonically encoded, keys of small
 * order, and S not below the group's order.
 */
bool ed25519_verify(struct span key, enum ed25519_variant variant, struct span message, struct span signature);

#endif
