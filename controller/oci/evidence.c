/* Evidence as a value and as a frame; see evidence.h. */
#include "oci/evidence.h"

#include "base/limits.h"

#define EVIDENCE_VERSION 1
#define DOCUMENT_BYTES_MIN (3 + 4 + 2 * DIGEST_SIZE + 4 + 4 + 4) /* each document takes at least so much of a frame */

struct evidence_document *evidence_add(struct evidence *evidence, struct arena *arena)
{
	ASSERT(evidence->count < LIMIT_SIGNATURES);
	return arena_push(arena, &evidence->documents, &evidence->count, &evidence->capacity, sizeof(*evidence->documents));
}

const struct span *evidence_annotation(const struct evidence_document *document, const char *key)
{
	for (size_t i = 0; i < document->annotation_count; i++)
		if (!strcmp(document->annotations[i].key, key))
			return &document->annotations[i].value;
	return NULL;
}

const char *evidence_source_name(enum evidence_source source)
{
	static const char *const names[] = { "none", "referrers", "fallback-tag", "sig-tag" };

	return (size_t)source < COUNT_OF(names) ? names[source] : names[0];
}

const char *evidence_kind_name(enum evidence_kind kind)
{
	static const char *const names[] = { "none", "bundle", "legacy" };

	return (size_t)kind < COUNT_OF(names) ? names[kind] : names[0];
}

static void pack_document(const struct evidence_document *d, struct str *out)
{
	pack_u8(out, (uint8_t)d->kind);
	pack_u8(out, (uint8_t)d->source);
	pack_u8(out, (uint8_t)d->problem);
	pack_text(out, d->problem_text);
	pack_digest(out, &d->manifest);
	pack_digest(out, &d->digest);
	pack_text(out, d->media_type);
	pack_span(out, d->bytes);
	pack_u32(out, (uint32_t)d->annotation_count);
	for (size_t i = 0; i < d->annotation_count; i++) {
		pack_text(out, d->annotations[i].key);
		pack_span(out, d->annotations[i].value);
	}
}

void evidence_pack(const struct evidence *evidence, struct str *out)
{
	pack_u8(out, EVIDENCE_VERSION);
	pack_digest(out, &evidence->image);
	pack_u32(out, (uint32_t)evidence->count);
	for (size_t i = 0; i < evidence->count; i++)
		pack_document(&evidence->documents[i], out);
}

static void unpack_document(struct unpack *in, struct arena *arena, struct evidence_document *d)
{
	uint8_t kind = unpack_u8(in), source = unpack_u8(in), problem = unpack_u8(in);

	if (kind < EVIDENCE_BUNDLE || kind > EVIDENCE_LEGACY || source < EVIDENCE_REFERRERS || source > EVIDENCE_SIG_TAG ||
	    problem >= EVIDENCE_PROBLEM_COUNT)
		in->bad = true;
	d->kind = (enum evidence_kind)kind;
	d->source = (enum evidence_source)source;
	d->problem = (enum evidence_problem)problem;
	d->problem_text = unpack_text(in, arena);
	d->manifest = unpack_digest(in);
	d->digest = unpack_digest(in);
	d->media_type = unpack_text(in, arena);
	d->bytes = unpack_span(in);
	d->annotation_count = unpack_count(in, 8);
	if (d->bytes.length > LIMIT_OCI_BLOB_BYTES || d->annotation_count > EVIDENCE_ANNOTATIONS_MAX)
		in->bad = true;
	if (in->bad) {
		d->annotation_count = 0;
		return;
	}
	d->annotations = arena_calloc(arena, d->annotation_count, sizeof(*d->annotations));
	for (size_t i = 0; i < d->annotation_count; i++) {
		d->annotations[i].key = unpack_text(in, arena);
		d->annotations[i].value = unpack_span(in);
	}
}

void evidence_unpack(struct unpack *in, struct arena *arena, struct evidence *out)
{
	struct evidence e = { .count = 0 };
	uint32_t count;

	if (unpack_u8(in) != EVIDENCE_VERSION)
		in->bad = true;
	e.image = unpack_digest(in);
	count = unpack_count(in, DOCUMENT_BYTES_MIN);
	if (count > LIMIT_SIGNATURES)
		in->bad = true;
	for (uint32_t i = 0; i < count && !in->bad; i++)
		unpack_document(in, arena, evidence_add(&e, arena));
	if (!in->bad)
		*out = e;
}

void evidence_encode(const struct evidence *evidence, struct str *out)
{
	evidence_pack(evidence, out);
}

int evidence_decode(struct span bytes, struct arena *arena, struct evidence *out, struct error *err)
{
	struct unpack in = unpack_begin(bytes);
	struct evidence e = { .count = 0 };

	evidence_unpack(&in, arena, &e);
	if (unpack_end(&in, "evidence", err))
		return -1;
	*out = e;
	return 0;
}
