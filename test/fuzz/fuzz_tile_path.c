/* Any bytes as the path of a tile: what is taken is the one way to write it. */
#include "record/tlog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(str_release) struct str again = STR_INIT;
	struct span path = span_make(data, size);
	uint64_t index;
	unsigned width;
	int level;

	if (!tlog_path_parse(path, &level, &index, &width))
		return 0;
	ASSERT(level >= TLOG_ENTRIES && level < TLOG_LEVELS && width >= 1 && width <= TLOG_WIDTH);
	tlog_path(level, index, width, &again);
	ASSERT(span_equal(str_span(&again), path));
	return 0;
}
