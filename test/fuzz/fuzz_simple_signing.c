/* Any bytes as a legacy payload about an image. */
#include "verify/statement.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct span input = span_make(data, size);
	struct digest image = { { 0xab } };
	struct error err = ERROR_INIT;
	struct statement s;

	if (simple_signing_read(input, &image, arena, &s, &err))
		ASSERT(reason_of_name(err.reason) != REASON_COUNT);
	else
		ASSERT(s.repository && !s.predicate_type && s.annotation_count <= CLAIM_ANNOTATIONS_MAX);
	return 0;
}
