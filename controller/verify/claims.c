/* Claims as values and frames; see claims.h. */
#include "verify/claims.h"

#include "base/limits.h"

#define CLAIMS_VERSION 1
#define CLAIM_BYTES_MIN (5 + 3 * DIGEST_SIZE + 5 * 4)

const struct claim *claims_signed_by(const struct claims *claims, const struct digest *image, const char *key_id)
{
	if (!digest_equal(&claims->image, image) || digest_is_zero(image))
		return NULL;
	for (size_t i = 0; i < claims->count; i++) {
		const struct claim *claim = &claims->items[i];

		if (claim->proves != CLAIM_SIGNATURE || claim->reason != REASON_NONE || !digest_equal(&claim->subject, image))
			continue;
		for (size_t k = 0; k < claim->signer_count; k++)
			if (claim->signers[k].kind == SIGNER_KEY && !strcmp(claim->signers[k].id, key_id))
				return claim;
	}
	return NULL;
}

const char *claim_annotation(const struct claim *claim, const char *key)
{
	for (size_t i = 0; i < claim->annotation_count; i++)
		if (!strcmp(claim->annotations[i].key, key))
			return claim->annotations[i].value;
	return NULL;
}

static void pack_claim(const struct claim *c, struct str *out)
{
	pack_u8(out, (uint8_t)c->proves);
	pack_u8(out, (uint8_t)c->reason);
	pack_u8(out, (uint8_t)c->kind);
	pack_u8(out, (uint8_t)c->source);
	pack_digest(out, &c->manifest);
	pack_digest(out, &c->document);
	pack_digest(out, &c->subject);
	pack_text(out, c->text);
	pack_text(out, c->predicate_type);
	pack_text(out, c->repository);
	pack_u32(out, (uint32_t)c->signer_count);
	for (size_t i = 0; i < c->signer_count; i++) {
		pack_u8(out, (uint8_t)c->signers[i].kind);
		pack_text(out, c->signers[i].id);
	}
	pack_u32(out, (uint32_t)c->annotation_count);
	for (size_t i = 0; i < c->annotation_count; i++) {
		pack_text(out, c->annotations[i].key);
		pack_text(out, c->annotations[i].value);
	}
}

void claims_encode(const struct claims *claims, struct str *out)
{
	pack_u8(out, CLAIMS_VERSION);
	pack_digest(out, &claims->image);
	pack_u32(out, (uint32_t)claims->count);
	for (size_t i = 0; i < claims->count; i++)
		pack_claim(&claims->items[i], out);
	pack_u32(out, (uint32_t)claims->key_problem_count);
	for (size_t i = 0; i < claims->key_problem_count; i++) {
		pack_text(out, claims->key_problems[i].id);
		pack_text(out, claims->key_problems[i].text);
	}
}

/* The enumerations of a claim; a worker that sends others lies, or is of another version. */
static void unpack_kinds(struct unpack *in, struct claim *c)
{
	uint8_t proves = unpack_u8(in), reason = unpack_u8(in), kind = unpack_u8(in), source = unpack_u8(in);

	if (proves >= CLAIM_PROVES_COUNT || reason >= REASON_COUNT || kind < EVIDENCE_BUNDLE || kind > EVIDENCE_LEGACY ||
	    source < EVIDENCE_REFERRERS || source > EVIDENCE_SIG_TAG || (proves == CLAIM_SIGNATURE) != (reason == REASON_NONE))
		in->bad = true;
	c->proves = in->bad ? CLAIM_NOTHING : (enum claim_proves)proves;
	c->reason = (enum reason)reason;
	c->kind = (enum evidence_kind)kind;
	c->source = (enum evidence_source)source;
}

static void unpack_signers(struct unpack *in, struct arena *arena, struct claim *c)
{
	uint32_t count = unpack_count(in, 5);

	if (count > LIMIT_TRUST_KEYS || (count > 0) != (c->proves != CLAIM_NOTHING)) {
		in->bad = true;
		return;
	}
	c->signers = arena_calloc(arena, count, sizeof(*c->signers));
	c->signer_count = count;
	for (uint32_t i = 0; i < count; i++) {
		uint8_t kind = unpack_u8(in);

		if (kind == SIGNER_NONE || kind >= SIGNER_KIND_COUNT)
			in->bad = true;
		c->signers[i].kind = in->bad ? SIGNER_NONE : (enum claim_signer_kind)kind;
		c->signers[i].id = unpack_text(in, arena);
	}
}

static void unpack_annotations(struct unpack *in, struct arena *arena, struct claim *c)
{
	uint32_t count = unpack_count(in, 8);

	if (count > CLAIM_ANNOTATIONS_MAX) {
		in->bad = true;
		return;
	}
	c->annotations = arena_calloc(arena, count, sizeof(*c->annotations));
	c->annotation_count = count;
	for (uint32_t i = 0; i < count; i++) {
		c->annotations[i].key = unpack_text(in, arena);
		c->annotations[i].value = unpack_text(in, arena);
	}
}

static void unpack_claim(struct unpack *in, struct arena *arena, struct claim *c)
{
	unpack_kinds(in, c);
	c->manifest = unpack_digest(in);
	c->document = unpack_digest(in);
	c->subject = unpack_digest(in);
	c->text = unpack_text(in, arena);
	c->predicate_type = unpack_text(in, arena);
	c->repository = unpack_text(in, arena);
	unpack_signers(in, arena, c);
	unpack_annotations(in, arena, c);
}

static void unpack_key_problems(struct unpack *in, struct arena *arena, struct claims *claims)
{
	uint32_t count = unpack_count(in, 8);

	if (count > LIMIT_TRUST_KEYS) {
		in->bad = true;
		return;
	}
	claims->key_problems = arena_calloc(arena, count, sizeof(*claims->key_problems));
	claims->key_problem_count = count;
	for (uint32_t i = 0; i < count; i++) {
		claims->key_problems[i].id = unpack_text(in, arena);
		claims->key_problems[i].text = unpack_text(in, arena);
	}
}

int claims_decode(struct span bytes, struct arena *arena, struct claims *out, struct error *err)
{
	struct unpack in = unpack_begin(bytes);
	struct claims claims = { .count = 0 };
	uint32_t count;

	if (unpack_u8(&in) != CLAIMS_VERSION)
		in.bad = true;
	claims.image = unpack_digest(&in);
	count = unpack_count(&in, CLAIM_BYTES_MIN);
	if (count > LIMIT_SIGNATURES)
		in.bad = true;
	if (!in.bad) {
		claims.items = arena_calloc(arena, count, sizeof(*claims.items));
		claims.count = count;
	}
	for (size_t i = 0; i < claims.count && !in.bad; i++)
		unpack_claim(&in, arena, &claims.items[i]);
	if (!in.bad)
		unpack_key_problems(&in, arena, &claims);
	if (unpack_end(&in, "claims", err))
		return -1;
	*out = claims;
	return 0;
}
