/* Any bytes as JSON; what is read must be written and read back as the same, plain, sorted and pretty. */
#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	static const unsigned flags[] = { JSON_PLAIN, JSON_SORTED, JSON_PRETTY };
	struct json *value, *again;

	if (json_parse(span_make(data, size), arena, 0, &value, NULL))
		return 0;
	for (size_t i = 0; i < COUNT_OF(flags); i++) {
		CLEANUP(str_release) struct str text = STR_INIT;

		json_write(value, flags[i], &text);
		ASSERT(!json_parse(str_span(&text), arena, 0, &again, NULL));
		ASSERT(json_equal(value, again));
	}
	return 0;
}
