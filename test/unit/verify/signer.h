/* For tests of verify/: throw-away keys, signatures by OpenSSL, and files of vectors. */
#ifndef TEST_SIGNER_H
#define TEST_SIGNER_H

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/encode.h"
#include "base/str.h"

/* "P-256", "ED25519", "RSA2048" and the like. */
static inline EVP_PKEY *signer_new(const char *type)
{
	if (!strncmp(type, "RSA", 3))
		return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)atoi(type + 3));
	if (type[0] == 'P' || !strncmp(type, "sec", 3))
		return EVP_PKEY_Q_keygen(NULL, NULL, "EC", type);
	return EVP_PKEY_Q_keygen(NULL, NULL, type);
}

static inline struct span signer_pem(EVP_PKEY *key, struct arena *arena)
{
	BIO *bio = BIO_new(BIO_s_mem());
	struct span pem;
	char *data;
	long length;

	PEM_write_bio_PUBKEY(bio, key);
	length = BIO_get_mem_data(bio, &data);
	pem = arena_span(arena, span_make(data, (size_t)length));
	BIO_free(bio);
	return pem;
}

/* md NULL: Ed25519. pss: RSA with a salt as long as the hash. */
static inline struct span signer_sign(EVP_PKEY *key, const EVP_MD *md, int pss, struct span message, struct arena *arena)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	EVP_PKEY_CTX *inner = NULL;
	unsigned char signature[1024];
	size_t length = sizeof(signature);

	ASSERT(EVP_DigestSignInit(context, &inner, md, NULL, key) == 1);
	if (pss)
		ASSERT(EVP_PKEY_CTX_set_rsa_padding(inner, RSA_PKCS1_PSS_PADDING) > 0 &&
		       EVP_PKEY_CTX_set_rsa_pss_saltlen(inner, RSA_PSS_SALTLEN_DIGEST) > 0);
	ASSERT(EVP_DigestSign(context, signature, &length, (const unsigned char *)message.data, message.length) == 1);
	EVP_MD_CTX_free(context);
	return arena_span(arena, span_make(signature, length));
}

static inline struct span signer_base64(struct span bytes, struct arena *arena)
{
	struct str text = STR_INIT;
	struct span out;

	base64_encode(bytes, &text);
	out = arena_span(arena, str_span(&text));
	str_release(&text);
	return out;
}

/* A file below test/unit/verify/vectors. The tests run at the top of the tree. */
static inline struct span vector_read(const char *folder, const char *name, struct arena *arena)
{
	char path[256], buffer[65536];
	size_t length;
	FILE *file;

	snprintf(path, sizeof(path), "test/unit/verify/vectors/%s/%s", folder, name);
	file = fopen(path, "rb");
	if (!file)
		base_panic(path, 0, "no such vector");
	length = fread(buffer, 1, sizeof(buffer), file);
	fclose(file);
	return arena_span(arena, span_make(buffer, length));
}

#endif
