/* Any bytes as an index. */
#include "oci/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct span input = span_make(data, size);
	struct descriptor *list;
	size_t count;

	if (index_parse(input, arena, &list, &count, NULL))
		return 0;
	for (size_t i = 0; i < count; i++) {
		descriptor_may_be_signature(&list[i]);
		descriptor_says_attestation(&list[i]);
		descriptor_created(&list[i]);
	}
	return 0;
}
