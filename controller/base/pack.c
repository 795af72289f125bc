/* Frames between roles; see pack.h. */
#include "base/pack.h"


static void pack_number(struct str *out, uint64_t value, size_t width)
{
	char bytes[8];

	for (size_t i = 0; i < width; i++)
		bytes[i] = (char)(uint8_t)(value >> (8 * i));
	str_add(out, span_make(bytes, width));
}

void pack_u8(struct str *out, uint8_t value)
{
	pack_number(out, value, 1);
}

void pack_u32(struct str *out, uint32_t value)
{
	pack_number(out, value, 4);
}

void pack_u64(struct str *out, uint64_t value)
{
	pack_number(out, value, 8);
}

void pack_span(struct str *out, struct span bytes)
{
	ASSERT(bytes.length <= UINT32_MAX);
	pack_u32(out, (uint32_t)bytes.length);
	str_add(out, bytes);
}

void pack_text(struct str *out, const char *string)
{
	pack_span(out, span_of(string));
}

void pack_digest(struct str *out, const struct digest *digest)
{
	str_add(out, span_make(digest->bytes, DIGEST_SIZE));
}

void pack_error(struct str *out, const struct error *err)
{
	pack_u8(out, (uint8_t)err->kind);
	pack_text(out, err->reason);
	pack_text(out, err->text);
}

struct unpack unpack_begin(struct span bytes)
{
	return (struct unpack){ bytes, false };
}

/* The next `length` bytes, or SPAN0 and bad. */
static struct span take(struct unpack *in, size_t length)
{
	struct span bytes;

	if (in->bad || length > in->rest.length) {
		in->bad = true;
		return SPAN0;
	}
	bytes = span_sub(in->rest, 0, length);
	in->rest = span_from(in->rest, length);
	return bytes;
}

static uint64_t unpack_number(struct unpack *in, size_t width)
{
	struct span bytes = take(in, width);
	uint64_t value = 0;

	for (size_t i = 0; i < bytes.length; i++)
		value |= (uint64_t)(uint8_t)bytes.data[i] << (8 * i);
	return value;
}

uint8_t unpack_u8(struct unpack *in)
{
	return (uint8_t)unpack_number(in, 1);
}

uint32_t unpack_u32(struct unpack *in)
{
	return (uint32_t)unpack_number(in, 4);
}

uint64_t unpack_u64(struct unpack *in)
{
	return unpack_number(in, 8);
}

bool unpack_bool(struct unpack *in)
{
	uint8_t value = unpack_u8(in);

	if (value > 1)
		in->bad = true;
	return value == 1;
}

struct span unpack_span(struct unpack *in)
{
	return take(in, unpack_u32(in));
}

uint32_t unpack_count(struct unpack *in, uint32_t each)
{
	uint32_t count = unpack_u32(in);

	if ((uint64_t)count * each > in->rest.length)
		in->bad = true;
	return in->bad ? 0 : count;
}

char *unpack_text(struct unpack *in, struct arena *arena)
{
	struct span bytes = unpack_span(in);

	if (span_has_nul(bytes)) {
		in->bad = true;
		bytes = SPAN0;
	}
	return arena_strndup(arena, bytes);
}

struct digest unpack_digest(struct unpack *in)
{
	struct span bytes = take(in, DIGEST_SIZE);
	struct digest digest = { { 0 } };

	if (bytes.length)
		memcpy(digest.bytes, bytes.data, DIGEST_SIZE);
	return digest;
}

static void copy_text(struct unpack *in, char *out, size_t size)
{
	struct span bytes = unpack_span(in);

	if (bytes.length >= size || span_has_nul(bytes)) {
		in->bad = true;
		bytes = SPAN0;
	}
	if (bytes.length)
		memcpy(out, bytes.data, bytes.length);
	out[bytes.length] = '\0';
}

void unpack_error(struct unpack *in, struct error *err)
{
	uint8_t kind = unpack_u8(in);

	if (kind > ERROR_LIMIT)
		in->bad = true;
	err->kind = (enum error_kind)(kind > ERROR_LIMIT ? 0 : kind);
	copy_text(in, err->reason, sizeof(err->reason));
	copy_text(in, err->text, sizeof(err->text));
}

int unpack_end(const struct unpack *in, const char *what, struct error *err)
{
	if (in->bad || in->rest.length)
		return error_set(err, ERROR_INTERNAL, "BadFrame", "%s: %s", what,
				 in->bad ? "a field does not fit" : "bytes are left over");
	return 0;
}
