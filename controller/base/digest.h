/*
 * SHA-256 everywhere something is named by its content. Other hashes live in verify/.
 */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#define DIGEST_SIZE 32
#define DIGEST_HEX (64 + 1)             /* hex and NUL */
#define DIGEST_TEXT (7 + 64 + 1)        /* "sha256:" hex NUL */

struct digest {
	uint8_t bytes[DIGEST_SIZE];
};

struct digest digest_of(struct span bytes);
bool digest_equal(const struct digest *a, const struct digest *b);
bool digest_is_zero(const struct digest *digest);
void digest_hex(const struct digest *digest, char out[DIGEST_HEX]);
void digest_text(const struct digest *digest, char out[DIGEST_TEXT]); /* "sha256:..." */
/* Reads "sha256:" and 64 lower-case hex digits, nothing else. */
bool digest_parse(struct span text, struct digest *out);

/* Incremental. digest_begin never fails; digest_end releases it. */
struct digester;
struct digester *digest_begin(void);
void digest_add(struct digester *digester, struct span bytes);
struct digest digest_end(struct digester *digester);

#endif
