/* Any bytes as a Link value; the target must lie within them, and resolve or be refused. */
#include "base/error.h"
#include "oci/header.h"
#include "oci/transport.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct span input = span_make(data, size);
	struct span next = link_next(input);
	const char *origin, *url;
	bool has_user;

	if (!next.data)
		return 0;
	ASSERT(next.data >= input.data && next.data + next.length <= input.data + input.length);
	url = url_resolve("https://registry.example/v2/a/referrers/b", arena_strndup(arena, next), arena);
	if (url && url_split(url, arena, &origin, &has_user))
		ASSERT(origin[0]);
	media_type_of(input, arena);
	return 0;
}
