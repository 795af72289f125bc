/*
 * The files of one revision on their way from source to render: what source
 * writes into a sealed memfd. Pure, so that both sides and a fuzzer share it.
 *
 * Layout, in the frames of base/pack.h: magic u32, count u32, then a file:
 * path (span), mode u32, blob id (span of 20), content (span). Files stand in
 * strictly ascending byte order of their paths, so none is there twice.
 */
#ifndef SOURCE_TREE_STREAM_H
#define SOURCE_TREE_STREAM_H

#include "base/arena.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/str.h"

#define TREE_OID_SIZE 20

struct tree_file {
	struct span path;           /* relative to the repository's root, clean */
	uint32_t mode;              /* 0100644 or 0100755, nothing else */
	uint8_t oid[TREE_OID_SIZE]; /* the blob, as Git names it */
	struct span bytes;
};

struct tree_stream {
	struct tree_file *files;
	size_t count;
};

/* Most bytes an encoded stream may have: the content's limit and room for the frames. */
#define TREE_STREAM_BYTES_MAX (LIMIT_MANIFEST_BYTES + LIMIT_MANIFEST_FILES * (LIMIT_GIT_PATH_BYTES + 64u))

/* Appends the encoding. The files must be sorted already (it asserts so). */
void tree_stream_encode(const struct tree_stream *stream, struct str *out);

/*
 * Reads it; paths and bytes are borrowed from the input, the array is in the
 * arena. ERROR_INTERNAL "BadFrame" for anything an encoder would not write,
 * ERROR_LIMIT "TooLarge" past the limits on files and bytes.
 */
int tree_stream_decode(struct span bytes, struct arena *arena, struct tree_stream *out, struct error *err);

/*
 * Whether a path is relative, without empty, "." and ".." parts, without NUL,
 * without control characters, in UTF-8 and no longer than LIMIT_GIT_PATH_BYTES.
 */
bool tree_path_is_clean(struct span path);

/* SHA-256 over the (path, mode, blob id) of every file: what the files say, without reading them. */
struct digest tree_input_digest(const struct tree_stream *stream);

#endif
