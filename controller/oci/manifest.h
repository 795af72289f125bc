/*
 * OCI manifests and indices, as far as evidence needs them. Pure; keys are
 * compared exactly, duplicate keys refused, counts bounded by what a manifest of
 * LIMIT_OCI_MANIFEST_BYTES can hold.
 */
#ifndef OCI_MANIFEST_H
#define OCI_MANIFEST_H

#include "base/arena.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/json.h"
#include "oci/evidence.h"

#define MEDIA_OCI_INDEX "application/vnd.oci.image.index.v1+json"
#define MEDIA_OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define MEDIA_DOCKER_INDEX "application/vnd.docker.distribution.manifest.list.v2+json"
#define MEDIA_DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define MEDIA_OCI_EMPTY "application/vnd.oci.empty.v1+json"
#define MEDIA_BUNDLE_PREFIX "application/vnd.dev.sigstore.bundle"
/* cosign's referrers of before bundles (--registry-referrers-mode=oci-1-1): the layers are those of a ".sig" image. */
#define MEDIA_LEGACY_REFERRER "application/vnd.dev.cosign.artifact.sig.v1+json"

/* Texts are "" when absent. */
struct descriptor {
	const char *media_type, *artifact_type;
	struct digest digest;
	uint64_t size;
	const struct json *annotations;   /* an object, or NULL */
};

struct manifest {
	const char *artifact_type;        /* of the manifest, else its config's media type */
	struct descriptor *layers;
	size_t layer_count;
};

/* Reads an image manifest. ERROR_INVALID "BadManifest". */
int manifest_parse(struct span bytes, struct arena *arena, struct manifest *out, struct error *err);

/* Reads an index: its descriptors, which may be none. ERROR_INVALID "BadIndex". */
int index_parse(struct span bytes, struct arena *arena, struct descriptor **out, size_t *count, struct error *err);

/*
 * Whether a referrer may be a signature, by its descriptor alone: its artifact type is
 * a bundle's or that of a legacy referrer, or is missing, or is that of the empty config,
 * which cosign 3.0 wrote into fallback indices. Only its manifest then tells.
 */
bool descriptor_may_be_signature(const struct descriptor *descriptor);

/* Whether it says of itself to be an attestation: nobody has signed that, so it chooses only what is looked at first. */
bool descriptor_says_attestation(const struct descriptor *descriptor);

/* When it was made, as it says, "" when it does not; likewise. */
struct span descriptor_created(const struct descriptor *descriptor);

/* Whether a manifest is that of a bundle: by its artifact type or by a layer. */
bool manifest_is_bundle(const struct manifest *manifest);
/* Whether it is a legacy referrer. */
bool manifest_is_legacy(const struct manifest *manifest);

/* The text annotations of a descriptor, at most EVIDENCE_ANNOTATIONS_MAX; others are left out. */
void descriptor_annotations(const struct descriptor *descriptor, struct arena *arena, struct evidence_document *document);

#endif
