/* Any bytes as a sigstore bundle; a refusal must have a reason of the table. */
#include "verify/bundle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct span input = span_make(data, size);
	struct error err = ERROR_INIT;
	struct bundle b;

	if (bundle_parse(input, arena, &b, &err)) {
		ASSERT(reason_of_name(err.reason) != REASON_COUNT);
		return 0;
	}
	ASSERT(b.minor >= 1 && b.minor <= 3 && b.material != BUNDLE_NO_MATERIAL && b.content != BUNDLE_NO_CONTENT && b.signature.length);
	return 0;
}
