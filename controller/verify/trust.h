/*
 * What a policy trusts, as the verify worker is told it: today public keys by
 * name. Certificate authorities, transparency logs and timestamp authorities
 * become further members beside the keys. Pure.
 *
 * The names are the caller's (policy/authority); a claim answers with them. Two
 * names may hold the same key: a claim then carries both.
 */
#ifndef VERIFY_TRUST_H
#define VERIFY_TRUST_H

#include "base/pack.h"

#define TRUST_ID_MAX 512

struct trust_key {
	const char *id;
	const char *pem;                  /* see key.h for what is accepted */
};

struct trust {
	const struct trust_key *keys;
	size_t key_count;                 /* at most LIMIT_TRUST_KEYS */
};

/* As part of a frame; strings are copied into the arena. A count that cannot be, or an id that is empty or too long, makes the frame bad. */
void trust_pack(const struct trust *trust, struct str *out);
void trust_unpack(struct unpack *in, struct arena *arena, struct trust *out);

#endif
