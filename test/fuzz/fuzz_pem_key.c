/* Any bytes as a trusted key; no key verifies the empty signature. */
#include "verify/key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct span input = span_make(data, size);
	struct digest digest = { { 1 } };
	struct key *key;

	if (key_parse(input, arena, &key, NULL))
		return 0;
	ASSERT(key_type(key)[0] && strlen(key_hint(key)) == 44);
	ASSERT(key_verify(key, KEY_LEGACY, SPAN("m"), SPAN0) == KEY_REFUSED);
	ASSERT(key_verify(key, KEY_DSSE, SPAN("m"), SPAN("0123456789")) == KEY_REFUSED);
	ASSERT(key_verify_digest(key, &digest, SPAN("0123456789")) == KEY_REFUSED);
	return 0;
}
