/* Collecting evidence; see gather.h. */
#include "oci/gather.h"

#include <stdlib.h>

#include "base/limits.h"
#include "oci/header.h"
#include "oci/manifest.h"

#define ANNOTATION_SIGNATURE "dev.cosignproject.cosign/signature"
#define MEDIA_LEGACY_LAYER "application/vnd.dev.cosign.simplesigning.v1+json"
#define ACCEPT_MANIFEST MEDIA_OCI_MANIFEST ", " MEDIA_DOCKER_MANIFEST
#define SMALL_BYTES 65536u         /* no signature is larger; an SBOM is */
#define LARGE_BYTES_MAX (LIMIT_EVIDENCE_BYTES / 4 * 3) /* of one image, so that what is small finds room behind what is large */
#define SHARED_BYTES_MAX ((size_t)LIMIT_OCI_BLOB_BYTES) /* of copies of blobs that several layers name; a frame holds them all */

/* A referrer that may be a signature. */
struct candidate {
	struct descriptor descriptor;
	size_t place;                     /* in the lists */
};

struct gather {
	struct client *client;
	const char *repository;
	struct arena *arena;
	struct evidence *evidence;
	struct candidate *candidates;     /* each digest once */
	size_t candidate_count, candidate_capacity;
	size_t legacy_blobs, shared_bytes;
};

/* --- reading from the registry --------------------------------------------------------------------------------------- */

int gather_manifest(struct client *client, const char *repository, const char *name, const struct digest *digest, const char *accept,
		    struct arena *arena, struct response *out, struct digest *real, bool *found, struct error *err)
{
	const char *path = arena_printf(arena, "/v2/%s/manifests/%s", repository, name);
	char hex[DIGEST_TEXT];

	if (client_get(client, path, accept, LIMIT_OCI_MANIFEST_BYTES, arena, out, err))
		return -1;
	*found = out->status == 200;
	if (out->status == 404)
		return 0;
	if (out->status != 200)
		return error_set(err, ERROR_TRANSIENT, "FetchError", "%s: the registry answered %d", path, out->status);
	*real = digest_of(out->body);
	digest_text(real, hex);
	/* Whoever asked by digest gets that content or nothing; a tag's header is a promise that is held to as well. */
	if (digest && !digest_equal(digest, real))
		return error_set(err, ERROR_TRANSIENT, "DigestMismatch", "%s: the registry sent bytes that hash to %s", path, hex);
	if (span_starts(span_of(out->digest), "sha256:") && strcmp(out->digest, hex) != 0)
		return error_set(err, ERROR_TRANSIENT, "DigestMismatch", "%s: the registry calls it %.80s and sent bytes that hash to %s", path,
				 out->digest, hex);
	return 0;
}

static struct evidence_document *add(struct gather *g, enum evidence_kind kind, enum evidence_source source,
				     const struct digest *manifest, struct error *err)
{
	struct evidence_document *document;

	if (g->evidence->count == LIMIT_SIGNATURES) {
		error_set(err, ERROR_LIMIT, "TooManySignatures", "%s has more than %u signatures for one image: remove old ones",
			  g->repository, LIMIT_SIGNATURES);
		return NULL;
	}
	document = evidence_add(g->evidence, g->arena);
	document->kind = kind;
	document->source = source;
	document->manifest = *manifest;
	document->problem_text = document->media_type = "";
	return document;
}

static int problem(struct evidence_document *document, enum evidence_problem problem, const char *text)
{
	document->problem = problem;
	document->problem_text = text;
	return 0;
}

/* Whether there is room for so many bytes more: with large attestations of each night there is not for all. */
static bool has_room(const struct gather *g, uint64_t size)
{
	return client_bytes(g->client) + size <= (size > SMALL_BYTES ? LARGE_BYTES_MAX : LIMIT_EVIDENCE_BYTES);
}

/* The document's bytes by its descriptor. What the descriptor itself gets wrong is the document's problem. */
static int get_blob(struct gather *g, const struct descriptor *layer, struct evidence_document *document, struct error *err)
{
	struct error cause = ERROR_INIT;
	struct response response;
	struct digest real;
	char hex[DIGEST_TEXT];

	document->digest = layer->digest;
	document->media_type = layer->media_type;
	digest_text(&layer->digest, hex);
	if (layer->size > LIMIT_OCI_BLOB_BYTES)
		return problem(document, EVIDENCE_TOO_LARGE,
			       arena_printf(g->arena, "the layer claims %llu bytes, over the limit of %u", (unsigned long long)layer->size,
					    LIMIT_OCI_BLOB_BYTES));
	if (!has_room(g, layer->size))
		return problem(document, EVIDENCE_TOO_LARGE,
			       arena_printf(g->arena, "not fetched: with its %llu bytes there would be more than %u of one image",
					    (unsigned long long)layer->size, LIMIT_EVIDENCE_BYTES));
	if (client_get(g->client, arena_printf(g->arena, "/v2/%s/blobs/%s", g->repository, hex), "*/*", (size_t)layer->size, g->arena,
		       &response, &cause)) {
		if (!strcmp(cause.reason, "TooLarge") && client_bytes(g->client) <= LIMIT_EVIDENCE_BYTES)
			return problem(document, EVIDENCE_TOO_LARGE, arena_strdup(g->arena, cause.text));
		return error_set(err, cause.kind, cause.reason, "%s", cause.text);
	}
	if (response.status == 404)
		return problem(document, EVIDENCE_MISSING, arena_printf(g->arena, "the registry answered 404 for the blob %s", hex));
	if (response.status != 200)
		return error_set(err, ERROR_TRANSIENT, "FetchError", "blob %s of %s: the registry answered %d", hex, g->repository,
				 response.status);
	real = digest_of(response.body);
	if (!digest_equal(&real, &layer->digest))
		return error_set(err, ERROR_TRANSIENT, "BlobDigest", "blob %s of %s: the registry sent bytes that do not hash to it", hex,
				 g->repository);
	if (response.body.length != layer->size)
		return problem(document, EVIDENCE_BAD_MANIFEST,
			       arena_printf(g->arena, "the layer claims %llu bytes and has %zu", (unsigned long long)layer->size,
					    response.body.length));
	document->bytes = response.body;
	return 0;
}

/* --- lists of referrers -------------------------------------------------------------------------------------------------- */

static bool is_known(const struct gather *g, const struct digest *digest)
{
	for (size_t i = 0; i < g->candidate_count; i++)
		if (digest_equal(&g->candidates[i].descriptor.digest, digest))
			return true;
	return false;
}

static int take_index(struct gather *g, const char *where, struct span body, struct error *err)
{
	struct error cause = ERROR_INIT;
	struct descriptor *all;
	size_t count;

	if (index_parse(body, g->arena, &all, &count, &cause))
		return error_set(err, ERROR_TRANSIENT, "FetchError", "%s: the index cannot be read: %s", where, cause.text);
	for (size_t i = 0; i < count; i++) {
		struct candidate *next;

		if (!descriptor_may_be_signature(&all[i]) || is_known(g, &all[i].digest))
			continue;
		if (g->candidate_count == LIMIT_REFERRERS)
			return error_set(err, ERROR_LIMIT, "TooManyReferrers",
					 "%s lists more than %u referrers that may be signatures: remove old ones", where, LIMIT_REFERRERS);
		next = arena_push(g->arena, &g->candidates, &g->candidate_count, &g->candidate_capacity, sizeof(*next));
		*next = (struct candidate){ all[i], g->candidate_count - 1 };
	}
	return 0;
}

static bool is_index(const struct response *response, struct arena *arena)
{
	return response->status == 200 && !strcmp(media_type_of(span_of(response->content_type), arena), MEDIA_OCI_INDEX);
}

/* The pages behind the first; each must be an index, and on the registry itself. */
static int next_pages(struct gather *g, const char *url, struct response *page, struct error *err)
{
	for (unsigned pages = 1;; pages++) {
		struct span next = link_next(span_of(page->link));
		const char *target = next.data ? url_resolve(url, arena_strndup(g->arena, next), g->arena) : NULL;

		if (!next.data)
			return 0;
		if (!target)
			return error_set(err, ERROR_TRANSIENT, "FetchError", "%s: the next page's Link is no URL", url);
		if (pages == LIMIT_REFERRER_PAGES)
			return error_set(err, ERROR_LIMIT, "TooManyReferrers", "%s has more than %u pages", url, LIMIT_REFERRER_PAGES);
		url = target;
		if (client_get(g->client, url, MEDIA_OCI_INDEX, LIMIT_OCI_MANIFEST_BYTES, g->arena, page, err))
			return -1;
		if (!is_index(page, g->arena))
			return error_set(err, ERROR_TRANSIENT, "FetchError", "%s: the next page of referrers is status %d, type '%.100s'", url,
					 page->status, page->content_type);
		if (take_index(g, url, page->body, err))
			return -1;
	}
}

/* The Referrers Tag Schema (distribution 1.1): an index under the digest as a tag, of a registry without the API. */
static int fallback_tag(struct gather *g, struct error *err)
{
	char hex[DIGEST_HEX];
	struct response response;
	struct digest real;
	const char *tag;
	bool found;

	digest_hex(&g->evidence->image, hex);
	tag = arena_printf(g->arena, "sha256-%s", hex);
	if (gather_manifest(g->client, g->repository, tag, NULL, MEDIA_OCI_INDEX, g->arena, &response, &real, &found, err))
		return -1;
	if (!found)
		return 0;
	if (!is_index(&response, g->arena))
		return error_set(err, ERROR_TRANSIENT, "FetchError", "tag %s of %s is of type '%.100s', must be an index of referrers", tag,
				 g->repository, response.content_type);
	return take_index(g, tag, response.body, err);
}

/* distribution 1.1, "Listing Referrers": 200 with an index is the API; 404, 400, 406 or another type mean there is none. */
static int list_referrers(struct gather *g, enum evidence_source *source, struct error *err)
{
	char hex[DIGEST_TEXT];
	struct response response;
	const char *path;

	digest_text(&g->evidence->image, hex);
	path = arena_printf(g->arena, "/v2/%s/referrers/%s", g->repository, hex);
	if (client_get(g->client, path, MEDIA_OCI_INDEX, LIMIT_OCI_MANIFEST_BYTES, g->arena, &response, err))
		return -1;
	*source = EVIDENCE_REFERRERS;
	if (is_index(&response, g->arena))
		return take_index(g, path, response.body, err) || next_pages(g, client_url(g->client, path, g->arena), &response, err) ? -1 : 0;
	*source = EVIDENCE_FALLBACK_TAG;
	return fallback_tag(g, err);
}

/* A bundle's manifest: exactly one layer, of a bundle's media type. */
static int take_bundle(struct gather *g, const struct digest *digest, const struct manifest *manifest, enum evidence_source source,
		       struct error *err)
{
	struct evidence_document *document = add(g, EVIDENCE_BUNDLE, source, digest, err);

	if (!document)
		return -1;
	if (manifest->layer_count != 1)
		return problem(document, EVIDENCE_MEDIA_TYPE,
			       arena_printf(g->arena, "a bundle has one layer, this one has %zu", manifest->layer_count));
	if (!span_starts(span_of(manifest->layers[0].media_type), MEDIA_BUNDLE_PREFIX))
		return problem(document, EVIDENCE_MEDIA_TYPE, "its layer is not of a bundle's media type");
	descriptor_annotations(&manifest->layers[0], g->arena, document);
	return get_blob(g, &manifest->layers[0], document, err);
}

/* --- legacy ----------------------------------------------------------------------------------------------------------- */

static bool is_same_signature(const struct evidence_document *a, const struct evidence_document *b)
{
	const struct span *one = evidence_annotation(a, ANNOTATION_SIGNATURE), *two = evidence_annotation(b, ANNOTATION_SIGNATURE);

	return one && two && span_equal(*one, *two);
}

/* A legacy document that has the blob of `like` already (one that only names it hides nothing), and `whole`: its signature; NULL: none. */
static const struct evidence_document *find_fetched(const struct gather *g, const struct evidence_document *like, bool whole)
{
	for (size_t i = 0; i < g->evidence->count; i++) {
		const struct evidence_document *one = &g->evidence->documents[i];

		if (one->kind == EVIDENCE_LEGACY && one->problem == EVIDENCE_COMPLETE && digest_equal(&one->digest, &like->digest) &&
		    (!whole || is_same_signature(one, like)))
			return one;
	}
	return NULL;
}

/* cosign writes one payload for all who sign without annotations: fetched once, it stands in each of their documents. */
static int share_blob(struct gather *g, const struct descriptor *layer, struct span blob, struct evidence_document *document)
{
	if (layer->size != blob.length)
		return problem(document, EVIDENCE_BAD_MANIFEST,
			       arena_printf(g->arena, "the layer claims %llu bytes and has %zu", (unsigned long long)layer->size, blob.length));
	g->shared_bytes += blob.length;
	if (g->shared_bytes > SHARED_BYTES_MAX)
		return problem(document, EVIDENCE_TOO_LARGE, "its blob is in too many layers for its size");
	document->bytes = blob;
	return 0;
}

static int take_layer(struct gather *g, const struct digest *manifest, const struct descriptor *layer, enum evidence_source source,
		      struct error *err)
{
	struct evidence_document like = { .digest = layer->digest }, *document;
	bool is_signature = !strcmp(layer->media_type, MEDIA_LEGACY_LAYER);
	const struct evidence_document *fetched;
	struct span blob;

	descriptor_annotations(layer, g->arena, &like);
	/* told once */
	if (is_signature && find_fetched(g, &like, true))
		return 0;
	fetched = find_fetched(g, &like, false);
	/* the list moves when it grows */
	blob = fetched ? fetched->bytes : SPAN0;
	document = add(g, EVIDENCE_LEGACY, source, manifest, err);
	if (!document)
		return -1;
	document->digest = layer->digest;
	document->media_type = layer->media_type;
	document->annotations = like.annotations;
	document->annotation_count = like.annotation_count;
	if (!is_signature)
		return problem(document, EVIDENCE_MEDIA_TYPE, "its layer is not of the media type of a signature");
	if (fetched)
		return share_blob(g, layer, blob, document);
	if (g->legacy_blobs++ >= LIMIT_FETCHED)
		return problem(document, EVIDENCE_TOO_LARGE,
			       arena_printf(g->arena, "not fetched: %u newer ones were, and no more are of one image", LIMIT_FETCHED));
	return get_blob(g, layer, document, err);
}

/* Each layer is a signature. New ones are put at the end, so they are taken from there. */
static int take_layers(struct gather *g, const struct digest *digest, const struct manifest *manifest, enum evidence_source source,
		       struct error *err)
{
	char hex[DIGEST_TEXT];

	digest_text(digest, hex);
	if (manifest->layer_count > LIMIT_LAYERS)
		return error_set(err, ERROR_LIMIT, "TooManySignatures", "%s@%s has %zu layers, over the limit of %u: remove old ones", g->repository,
				 hex, manifest->layer_count, LIMIT_LAYERS);
	for (size_t i = manifest->layer_count; i-- > 0;)
		if (take_layer(g, digest, &manifest->layers[i], source, err))
			return -1;
	return 0;
}

/* Signature specification: each layer of the image tagged sha256-<hex>.sig is a signature; 404 means there are none. */
static int gather_legacy(struct gather *g, struct error *err)
{
	char hex[DIGEST_HEX];
	struct error cause = ERROR_INIT;
	struct evidence_document *document;
	struct response response;
	struct manifest manifest;
	struct digest real;
	bool found;

	digest_hex(&g->evidence->image, hex);
	if (gather_manifest(g->client, g->repository, arena_printf(g->arena, "sha256-%s.sig", hex), NULL, ACCEPT_MANIFEST, g->arena, &response,
			    &real, &found, err))
		return -1;
	if (!found)
		return 0;
	if (manifest_parse(response.body, g->arena, &manifest, &cause)) {
		document = add(g, EVIDENCE_LEGACY, EVIDENCE_SIG_TAG, &real, err);
		return !document ? -1
				 : problem(document, EVIDENCE_BAD_MANIFEST,
					   arena_printf(g->arena, "the signature's manifest cannot be read: %s", cause.text));
	}
	return take_layers(g, &real, &manifest, EVIDENCE_SIG_TAG, err);
}

/* --- referrers -------------------------------------------------------------------------------------------------------- */

/* Only the manifest tells what a referrer with an empty or missing artifact type is; most are something else. */
static int take_referrer(struct gather *g, const struct descriptor *descriptor, enum evidence_source source, struct span body,
			 struct error *err)
{
	struct evidence_document *document;
	struct error cause = ERROR_INIT;
	struct manifest manifest;

	if (manifest_parse(body, g->arena, &manifest, &cause)) {
		if (!span_starts(span_of(descriptor->artifact_type), MEDIA_BUNDLE_PREFIX))
			return 0;
		document = add(g, EVIDENCE_BUNDLE, source, &descriptor->digest, err);
		return !document ? -1
				 : problem(document, EVIDENCE_BAD_MANIFEST,
					   arena_printf(g->arena, "its manifest cannot be read: %s", cause.text));
	}
	if (manifest_is_bundle(&manifest))
		return take_bundle(g, &descriptor->digest, &manifest, source, err);
	return manifest_is_legacy(&manifest) ? take_layers(g, &descriptor->digest, &manifest, source, err) : 0;
}

static int get_referrer(struct gather *g, const struct descriptor *descriptor, enum evidence_source source, struct error *err)
{
	struct evidence_document *document;
	struct response response;
	struct digest real;
	char hex[DIGEST_TEXT];
	bool found;

	digest_text(&descriptor->digest, hex);
	if (gather_manifest(g->client, g->repository, hex, &descriptor->digest, ACCEPT_MANIFEST, g->arena, &response, &real, &found, err))
		return -1;
	if (found)
		return take_referrer(g, descriptor, source, response.body, err);
	document = add(g, EVIDENCE_BUNDLE, source, &descriptor->digest, err);
	if (!document)
		return -1;
	return problem(document, EVIDENCE_MISSING, arena_printf(g->arena, "the registry answered 404 for the referrer %s", hex));
}

static int leave_out(struct gather *g, const struct descriptor *descriptor, enum evidence_source source, struct error *err)
{
	struct evidence_document *document = add(g, EVIDENCE_BUNDLE, source, &descriptor->digest, err);

	if (!document)
		return -1;
	return problem(document, EVIDENCE_TOO_LARGE,
		       arena_printf(g->arena, "not fetched: %u others of the referrers were, and no more are of one image", LIMIT_FETCHED));
}

/* What says to be an attestation behind what may be a signature, and then the newest first, as they say. */
static int by_promise(const void *a, const void *b)
{
	const struct candidate *one = a, *two = b;
	bool last = descriptor_says_attestation(&one->descriptor);
	int order = span_compare(descriptor_created(&two->descriptor), descriptor_created(&one->descriptor));

	if (last != descriptor_says_attestation(&two->descriptor))
		return last ? 1 : -1;
	if (order)
		return order;
	return one->place < two->place ? -1 : 1;
}

static int gather_referrers(struct gather *g, struct error *err)
{
	enum evidence_source source;

	if (list_referrers(g, &source, err))
		return -1;
	/* who signs or attests each night makes more of them than can be fetched */
	if (g->candidate_count > LIMIT_FETCHED)
		qsort(g->candidates, g->candidate_count, sizeof(*g->candidates), by_promise);
	for (size_t i = 0; i < g->candidate_count; i++)
		if (i < LIMIT_FETCHED ? get_referrer(g, &g->candidates[i].descriptor, source, err)
				      : leave_out(g, &g->candidates[i].descriptor, source, err))
			return -1;
	return 0;
}

int gather_evidence(struct client *client, const char *repository, struct arena *arena, struct evidence *out, struct error *err)
{
	struct gather g = { .client = client, .repository = repository, .arena = arena, .evidence = out };

	return gather_referrers(&g, err) || gather_legacy(&g, err) ? -1 : 0;
}
