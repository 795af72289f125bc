/* Files from (path, text) pairs for the tests of render/. */
#ifndef RENDER_TEST_H
#define RENDER_TEST_H

#include <stdlib.h>

#include "render/render.h"

struct file {
	const char *path, *text;
};

static inline int file_order(const void *a, const void *b)
{
	return span_compare(((const struct tree_file *)a)->path, ((const struct tree_file *)b)->path);
}

/* Sorted by path; the array ends at a NULL path. */
static inline struct tree_stream files_of(const struct file *files, struct arena *arena)
{
	struct tree_stream stream = { NULL, 0 };

	while (files[stream.count].path)
		stream.count++;
	stream.files = arena_calloc(arena, stream.count, sizeof(*stream.files));
	for (size_t i = 0; i < stream.count; i++) {
		stream.files[i] = (struct tree_file){ .path = span_of(files[i].path), .mode = 0100644, .bytes = span_of(files[i].text) };
		stream.files[i].oid[0] = (uint8_t)i;
	}
	qsort(stream.files, stream.count, sizeof(*stream.files), file_order);
	return stream;
}

#endif
