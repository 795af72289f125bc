/* Any bytes as a WWW-Authenticate value. */
#include "base/error.h"
#include "oci/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct span input = span_make(data, size);
	struct challenge c;

	challenge_parse(input, arena, &c);
	ASSERT(c.scheme != CHALLENGE_BEARER || c.realm);
	ASSERT(c.scheme != CHALLENGE_NONE || !c.realm);
	return 0;
}
