/* Any bytes as evidence; what is read must be written as the same bytes. */
#include "oci/evidence.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct span input = span_make(data, size);
	CLEANUP(str_release) struct str again = STR_INIT;
	struct evidence evidence;

	if (evidence_decode(input, arena, &evidence, NULL))
		return 0;
	evidence_encode(&evidence, &again);
	ASSERT(span_equal(str_span(&again), input));
	return 0;
}
