/* Any bytes as a job of the verify worker; what it answers must be readable claims. */
#include "verify/verify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct span input = span_make(data, size);
	CLEANUP(str_release) struct str reply = STR_INIT;
	struct claims claims;

	if (verify_serve(input, &reply, NULL)) {
		ASSERT(!reply.length);
		return 0;
	}
	ASSERT(!claims_decode(str_span(&reply), arena, &claims, NULL));
	return 0;
}
