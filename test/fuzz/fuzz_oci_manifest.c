/* Any bytes as an image manifest. */
#include "oci/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct span input = span_make(data, size);
	struct evidence_document document = { .annotation_count = 0 };
	struct manifest m;

	if (manifest_parse(input, arena, &m, NULL))
		return 0;
	manifest_is_bundle(&m);
	manifest_is_legacy(&m);
	if (m.layer_count)
		descriptor_annotations(&m.layers[0], arena, &document);
	ASSERT(document.annotation_count <= EVIDENCE_ANNOTATIONS_MAX);
	return 0;
}
