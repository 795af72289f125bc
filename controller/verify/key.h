/*
 * Public keys that a policy trusts, and what they verify. The only file of the
 * tree that hands signatures to OpenSSL; its types stay in key.c.
 *
 * Accepted: ECDSA on P-256, P-384, P-521; RSA of 2048 to 4096 bits with exponent
 * 65537 (PKCS#1 v1.5, or PSS with a salt as long as the hash); Ed25519. As PEM:
 * exactly one block PUBLIC KEY (SubjectPublicKeyInfo) or RSA PUBLIC KEY, with
 * white space around it at most, whose DER is what an encoder would write.
 */
#ifndef VERIFY_KEY_H
#define VERIFY_KEY_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/str.h"

#define KEY_PEM_MAX 16384

struct key;

/* The formats differ in which hashes and which variant of Ed25519 they allow. */
enum key_use {
	KEY_DSSE = 1,           /* over a DSSE envelope's pre-authentication encoding: the key's own hash; Ed25519 pure */
	KEY_LEGACY,             /* over a simple-signing payload: own hash or SHA-256; Ed25519 pure or pre-hashed */
};

enum key_result { KEY_REFUSED = 0, KEY_VERIFIED, KEY_OTHER_HASH /* it is a signature, by a hash that this use forbids */ };

/*
 * Parses a key; it lives in the arena. ERROR_INVALID "BadKey" says what the text
 * is instead: a certificate, a private key, two keys, a curve or size that is not
 * accepted.
 */
int key_parse(struct span pem, struct arena *arena, struct key **out, struct error *err);

/* "ECDSA P-256", "RSA 2048", "Ed25519". */
const char *key_type(const struct key *key);
/* The hint that cosign writes into bundles: base64 of SHA-256 of the DER. Never decides anything. */
const char *key_hint(const struct key *key);

/* What one key_verify of a short message takes at most, in units of about 50 us: Ed25519ph is not OpenSSL's (ed25519.h), and slow. */
unsigned key_cost(const struct key *key);

/* Whether `signature` over `message` was made by the key. Broken signatures of any kind are KEY_REFUSED. */
enum key_result key_verify(const struct key *key, enum key_use use, struct span message, struct span signature);

/*
 * The same where only the SHA-256 of the message is at hand. Keys that do not sign
 * SHA-256 digests (Ed25519; P-384 and P-521 by their own hash) refuse.
 */
enum key_result key_verify_digest(const struct key *key, const struct digest *digest, struct span signature);

#endif
