/* SHA-256 by OpenSSL's one-shot and incremental interfaces; see digest.h. */
#include "base/digest.h"

#include <openssl/evp.h>

#include "base/error.h"
#include "base/mem.h"

struct digester {
	EVP_MD_CTX *context;
};

/* Looked up once: fetching by name costs more than hashing a small record. */
static const EVP_MD *sha256(void)
{
	static EVP_MD *method;

	if (!method)
		method = EVP_MD_fetch(NULL, "SHA256", NULL);
	ASSERT(method);
	return method;
}

struct digester *digest_begin(void)
{
	struct digester *digester = mem_alloc(sizeof(*digester));

	digester->context = EVP_MD_CTX_new();
	ASSERT(digester->context && EVP_DigestInit_ex(digester->context, sha256(), NULL) == 1);
	return digester;
}

void digest_add(struct digester *digester, struct span bytes)
{
	ASSERT(EVP_DigestUpdate(digester->context, bytes.data, bytes.length) == 1);
}

struct digest digest_end(struct digester *digester)
{
	struct digest digest;

	ASSERT(EVP_DigestFinal_ex(digester->context, digest.bytes, NULL) == 1);
	EVP_MD_CTX_free(digester->context);
	free(digester);
	return digest;
}

struct digest digest_of(struct span bytes)
{
	struct digest digest;

	ASSERT(EVP_Digest(bytes.data, bytes.length, digest.bytes, NULL, sha256(), NULL) == 1);
	return digest;
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
	return memcmp(a->bytes, b->bytes, DIGEST_SIZE) == 0;
}

bool digest_is_zero(const struct digest *digest)
{
	static const struct digest zero;

	return digest_equal(digest, &zero);
}

void digest_hex(const struct digest *digest, char out[DIGEST_HEX])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < DIGEST_SIZE; i++) {
		out[2 * i] = digits[digest->bytes[i] >> 4];
		out[2 * i + 1] = digits[digest->bytes[i] & 15];
	}
	out[64] = '\0';
}

void digest_text(const struct digest *digest, char out[DIGEST_TEXT])
{
	memcpy(out, "sha256:", 7);
	digest_hex(digest, out + 7);
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool digest_parse(struct span text, struct digest *out)
{
	struct digest digest;

	if (text.length != DIGEST_TEXT - 1 || !span_starts(text, "sha256:"))
		return false;
	for (size_t i = 0; i < DIGEST_SIZE; i++) {
		int high = nibble(text.data[7 + 2 * i]), low = nibble(text.data[8 + 2 * i]);

		if (high < 0 || low < 0)
			return false;
		digest.bytes[i] = (uint8_t)(high << 4 | low);
	}
	*out = digest;
	return true;
}
