/* The frames between source and render; see tree_stream.h. */
#include "source/tree_stream.h"

#include "base/encode.h"
#include "base/limits.h"
#include "base/pack.h"

#define MAGIC 0x31545343u       /* "CST1" */
#define FILE_BYTES_MIN 36u      /* of an encoded file: three lengths, mode and blob id */

bool tree_path_is_clean(struct span path)
{
	struct span rest = path;

	if (!path.length || path.length > LIMIT_GIT_PATH_BYTES || !utf8_valid(path))
		return false;
	for (size_t i = 0; i < path.length; i++)
		if ((uint8_t)path.data[i] < 0x20 || path.data[i] == 0x7f)
			return false;
	while (rest.data) {
		struct span part = span_cut(&rest, '/');

		if (!part.length || span_is(part, ".") || span_is(part, ".."))
			return false;
	}
	return true;
}

void tree_stream_encode(const struct tree_stream *stream, struct str *out)
{
	pack_u32(out, MAGIC);
	pack_u32(out, (uint32_t)stream->count);
	for (size_t i = 0; i < stream->count; i++) {
		const struct tree_file *file = &stream->files[i];

		ASSERT(!i || span_compare(stream->files[i - 1].path, file->path) < 0);
		pack_span(out, file->path);
		pack_u32(out, file->mode);
		pack_span(out, span_make(file->oid, TREE_OID_SIZE));
		pack_span(out, file->bytes);
	}
}

static int decode_file(struct unpack *in, const struct tree_file *before, struct tree_file *file, struct error *err)
{
	struct span oid;

	file->path = unpack_span(in);
	file->mode = unpack_u32(in);
	oid = unpack_span(in);
	file->bytes = unpack_span(in);
	if (in->bad)
		return 0;
	if (!tree_path_is_clean(file->path) || oid.length != TREE_OID_SIZE || (file->mode != 0100644 && file->mode != 0100755))
		return error_set(err, ERROR_INTERNAL, "BadFrame", "tree stream: a file with a path, mode or id that cannot be");
	if (before && span_compare(before->path, file->path) >= 0)
		return error_set(err, ERROR_INTERNAL, "BadFrame", "tree stream: files out of order");
	memcpy(file->oid, oid.data, TREE_OID_SIZE);
	return 0;
}

int tree_stream_decode(struct span bytes, struct arena *arena, struct tree_stream *out, struct error *err)
{
	struct unpack in = unpack_begin(bytes);
	struct tree_stream stream = { NULL, 0 };
	size_t total = 0;

	if (unpack_u32(&in) != MAGIC)
		return error_set(err, ERROR_INTERNAL, "BadFrame", "tree stream: wrong magic");
	stream.count = unpack_count(&in, FILE_BYTES_MIN);
	if (stream.count > LIMIT_MANIFEST_FILES)
		return error_set(err, ERROR_LIMIT, "TooLarge", "%zu files are over the limit of %u", stream.count, LIMIT_MANIFEST_FILES);
	stream.files = arena_calloc(arena, stream.count, sizeof(*stream.files));
	for (size_t i = 0; i < stream.count && !in.bad; i++) {
		if (decode_file(&in, i ? &stream.files[i - 1] : NULL, &stream.files[i], err))
			return -1;
		total += stream.files[i].bytes.length;
	}
	if (total > LIMIT_MANIFEST_BYTES)
		return error_set(err, ERROR_LIMIT, "TooLarge", "%zu bytes of manifests are over the limit of %u", total,
				 LIMIT_MANIFEST_BYTES);
	if (unpack_end(&in, "tree stream", err))
		return -1;
	*out = stream;
	return 0;
}

struct digest tree_input_digest(const struct tree_stream *stream)
{
	CLEANUP(str_release) struct str head = STR_INIT;
	struct digester *digester = digest_begin();

	for (size_t i = 0; i < stream->count; i++) {
		str_reset(&head);
		pack_span(&head, stream->files[i].path);
		pack_u32(&head, stream->files[i].mode);
		str_add(&head, span_make(stream->files[i].oid, TREE_OID_SIZE));
		digest_add(digester, str_span(&head));
	}
	return digest_end(digester);
}
