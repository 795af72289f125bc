/* For tests of verify/: evidence and trust, from vectors or signed here. */
#ifndef TEST_SAMPLE_H
#define TEST_SAMPLE_H

#include "base/json.h"
#include "base/limits.h"
#include "oci/evidence.h"
#include "verify/signer.h"
#include "verify/statement.h"
#include "verify/verify.h"

#define SAMPLE_BUNDLE "application/vnd.dev.sigstore.bundle.v0.3+json"
#define SAMPLE_LAYER "application/vnd.dev.cosign.simplesigning.v1+json"
#define SAMPLE_SIGNATURE "dev.cosignproject.cosign/signature"

struct sample {
	struct arena *arena;
	struct evidence evidence;
	struct trust_key keys[8];
	struct trust trust;
	struct digest image;
};

static inline struct sample sample_new(struct arena *arena, struct digest image)
{
	return (struct sample){ .arena = arena, .evidence = { .image = image }, .image = image };
}

static inline void sample_trust(struct sample *s, const char *id, struct span pem)
{
	s->keys[s->trust.key_count++] = (struct trust_key){ id, arena_strndup(s->arena, pem) };
}

static inline struct evidence_document *sample_bundle(struct sample *s, struct span bytes)
{
	struct evidence_document *d = evidence_add(&s->evidence, s->arena);

	*d = (struct evidence_document){ .kind = EVIDENCE_BUNDLE, .source = EVIDENCE_REFERRERS, .problem_text = "",
					 .digest = digest_of(bytes), .media_type = SAMPLE_BUNDLE, .bytes = bytes };
	return d;
}

static inline struct evidence_document *sample_legacy(struct sample *s, struct span payload, struct span signature_base64)
{
	struct evidence_document *d = evidence_add(&s->evidence, s->arena);

	*d = (struct evidence_document){ .kind = EVIDENCE_LEGACY, .source = EVIDENCE_SIG_TAG, .problem_text = "",
					 .digest = digest_of(payload), .media_type = SAMPLE_LAYER, .bytes = payload,
					 .annotation_count = 1 };
	d->annotations = arena_calloc(s->arena, 2, sizeof(*d->annotations));
	d->annotations[0] = (struct evidence_annotation){ SAMPLE_SIGNATURE, signature_base64 };
	return d;
}

static inline struct digest vector_image(const char *folder, struct arena *arena)
{
	struct digest digest;

	ASSERT(digest_parse(span_trim(vector_read(folder, "image", arena)), &digest));
	return digest;
}

static inline struct evidence_document *sample_vector_legacy(struct sample *s, const char *folder)
{
	struct json *annotations;
	struct error err = ERROR_INIT;

	if (json_parse(vector_read(folder, "legacy.json", s->arena), s->arena, 0, &annotations, &err))
		base_panic(folder, 0, err.text);
	return sample_legacy(s, vector_read(folder, "legacy.payload", s->arena), json_text_span(json_get(annotations, SAMPLE_SIGNATURE)));
}

/* Through the worker's own frames, so that each test holds them too. */
static inline int sample_run(struct sample *s, struct claims *claims, struct error *err)
{
	CLEANUP(str_release) struct str request = STR_INIT, reply = STR_INIT;

	s->trust.keys = s->keys;
	verify_request_encode(&s->evidence, &s->trust, 0, &s->image, &request);
	return verify_serve(str_span(&request), &reply, err) || verify_reply_decode(str_span(&reply), &s->image, s->arena, claims, err) ? -1
																	  : 0;
}

/* A legacy payload and a statement about an image, as cosign writes them. */
static inline struct span legacy_payload(struct arena *arena, const struct digest *image)
{
	char hex[DIGEST_TEXT];

	digest_text(image, hex);
	return span_of(arena_printf(arena,
				    "{\"critical\":{\"identity\":{\"docker-reference\":\"registry.example/shop/web\"},\"image\":{\"docker-manifest-digest\":"
				    "\"%s\"},\"type\":\"cosign container image signature\"},\"optional\":null}", hex));
}

static inline struct span statement_text(struct arena *arena, const struct digest *image, const char *predicate_type)
{
	char hex[DIGEST_HEX];

	digest_hex(image, hex);
	return span_of(arena_printf(arena,
				    "{\"_type\":\"https://in-toto.io/Statement/v1\",\"subject\":[{\"digest\":{\"sha256\":\"%s\"},\"annotations\":{\"env\":"
				    "\"prod\"}}],\"predicateType\":\"%s\",\"predicate\":{}}", hex, predicate_type));
}

/* A bundle around a payload, signed by the key with its own hash. */
static inline struct span bundle_of(struct arena *arena, EVP_PKEY *key, const EVP_MD *md, const char *type, struct span payload)
{
	CLEANUP(str_release) struct str pae = STR_INIT;
	struct span base64 = signer_base64(payload, arena), signature;

	dsse_encode(span_of(type), payload, &pae);
	signature = signer_base64(signer_sign(key, md, 0, str_span(&pae), arena), arena);
	return span_of(arena_printf(arena,
				    "{\"mediaType\":\"" SAMPLE_BUNDLE "\",\"verificationMaterial\":{\"publicKey\":{\"hint\":\"\"}},\"dsseEnvelope\":{"
				    "\"payload\":\"%.*s\",\"payloadType\":\"%s\",\"signatures\":[{\"sig\":\"%.*s\"}]}}",
				    SPAN_ARG(base64), type, SPAN_ARG(signature)));
}

#endif
