/* Any bytes as the memfd that source hands to render: what decodes must encode to the same bytes, and render. */
#include "render/render.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	CLEANUP(str_release) struct str again = STR_INIT;
	struct error err = ERROR_INIT;
	struct rendered rendered;
	struct tree_stream files;

	if (tree_stream_decode(span_make(data, size), arena, &files, &err))
		return 0;
	tree_stream_encode(&files, &again);
	ASSERT(span_equal(str_span(&again), span_make(data, size)));
	if (render_files(&files, arena, &rendered, NULL, &err))
		ASSERT(err.reason[0] && err.text[0]);
	return 0;
}
