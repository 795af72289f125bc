/* Any bytes as an image reference; what is taken, written normalised, must be taken again as the same. */
#include "oci/reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct span input = span_make(data, size);
	CLEANUP(str_release) struct str text = STR_INIT, again = STR_INIT;
	struct reference r, same;

	if (reference_parse(input, arena, &r, NULL))
		return 0;
	reference_write(&r, &text);
	ASSERT(!reference_parse(str_span(&text), arena, &same, NULL));
	reference_write(&same, &again);
	ASSERT(span_equal(str_span(&text), str_span(&again)));
	ASSERT(!strcmp(r.name, same.name) && !strcmp(r.host, same.host) && digest_equal(&r.digest, &same.digest));
	return 0;
}
