/* Both directions of render's answer; reading trusts nothing. */
#include "render/reply.h"

#include "base/pack.h"
#include "render/problems.h"

#define MAGIC 0x31445243u       /* "CRD1" */
#define OBJECT_BYTES_MIN 44u    /* eight lengths and three numbers */

static void add_varint(struct str *out, uint32_t value)
{
	for (; value >= 0x80; value >>= 7)
		str_addc(out, (char)(value | 0x80));
	str_addc(out, (char)value);
}

static void add_lines(const struct json *value, uint32_t *before, struct str *out)
{
	uint32_t delta = value->line - *before;

	add_varint(out, delta << 1 ^ (delta & 0x80000000u ? 0xffffffffu : 0));
	*before = value->line;
	JSON_EACH(member, value)
		add_lines(member->value, before, out);
}

static void encode_object(const struct rendered_object *object, struct str *out)
{
	CLEANUP(str_release) struct str json = STR_INIT, lines = STR_INIT;
	uint32_t before = 0;

	json_write(object->object, JSON_PLAIN, &json);
	add_lines(object->object, &before, &lines);
	pack_text(out, object->api_version);
	pack_text(out, object->kind);
	pack_text(out, object->namespace);
	pack_text(out, object->name);
	pack_text(out, object->generate_name);
	pack_text(out, object->path);
	pack_u32(out, object->line);
	pack_u32(out, object->document);
	pack_u32(out, object->item);
	pack_span(out, str_span(&json));
	pack_span(out, str_span(&lines));
}

void render_reply_encode(const struct rendered *rendered, const struct render_problems *problems, struct str *out)
{
	pack_u32(out, MAGIC);
	pack_u32(out, (uint32_t)problems->total);
	pack_u32(out, (uint32_t)problems->count);
	for (size_t i = 0; i < problems->count; i++)
		pack_error(out, &problems->items[i]);
	pack_u32(out, problems->total ? 0 : (uint32_t)rendered->count);
	for (size_t i = 0; !problems->total && i < rendered->count; i++)
		encode_object(&rendered->objects[i], out);
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

static bool take_varint(struct span *rest, uint32_t *out)
{
	uint32_t value = 0;

	for (unsigned shift = 0; shift < 32 && rest->length; shift += 7) {
		uint8_t byte = (uint8_t)rest->data[0];

		*rest = span_from(*rest, 1);
		value |= (uint32_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*out = value;
			return true;
		}
	}
	return false;
}

static bool set_lines(struct json *value, uint32_t *before, struct span *rest)
{
	uint32_t zigzag;

	if (!take_varint(rest, &zigzag))
		return false;
	*before += zigzag >> 1 ^ (0u - (zigzag & 1));
	value->line = *before;
	JSON_EACH(member, value)
		if (!set_lines(member->value, before, rest))
			return false;
	return true;
}

static int bad(struct error *err, const char *what)
{
	return error_set(err, ERROR_INTERNAL, "BadFrame", "render's answer: %s", what);
}

/* What core rests on is checked against the JSON itself, not believed. */
static int check_object(const struct rendered_object *object, struct error *err)
{
	const struct json *metadata = json_get(object->object, "metadata");
	const char *name = json_get_text(metadata, "name"), *generate = json_get_text(metadata, "generateName");
	const char *namespace = json_get_text(metadata, "namespace");

	if (!object->kind[0] || !object->api_version[0] || (!object->name[0] && !object->generate_name[0]) || !object->path[0])
		return bad(err, "an object without a name, a type or a path");
	if (!span_is(span_of(json_get_text(object->object, "kind")), object->kind) ||
	    !span_is(span_of(json_get_text(object->object, "apiVersion")), object->api_version) ||
	    !span_is(span_of(namespace), object->namespace) || !span_is(span_of(name), object->name) ||
	    (object->generate_name[0] && !span_is(span_of(generate), object->generate_name)))
		return bad(err, "an object that is not what its header says");
	return 0;
}

static int decode_object(struct unpack *in, struct arena *arena, struct rendered_object *out, struct error *err)
{
	struct span json, lines;
	const char *slash;
	uint32_t before = 0;

	out->api_version = unpack_text(in, arena);
	out->kind = unpack_text(in, arena);
	out->namespace = unpack_text(in, arena);
	out->name = unpack_text(in, arena);
	out->generate_name = unpack_text(in, arena);
	out->path = unpack_text(in, arena);
	out->line = unpack_u32(in);
	out->document = unpack_u32(in);
	out->item = unpack_u32(in);
	json = unpack_span(in);
	lines = unpack_span(in);
	if (in->bad)
		return 0;
	if (json_parse(json, arena, 0, &out->object, err))
		return bad(err, "an object that is not JSON");
	if (!set_lines(out->object, &before, &lines) || lines.length)
		return bad(err, "lines that do not fit their object");
	slash = strchr(out->api_version, '/');
	out->group = slash ? arena_strndup(arena, span_make(out->api_version, (size_t)(slash - out->api_version))) : "";
	return check_object(out, err);
}

/* A reason goes into a condition, where the API server demands a word. */
static bool is_problem(const struct error *one)
{
	size_t length = strlen(one->reason);

	for (size_t i = 0; i < length; i++)
		if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", one->reason[i]))
			return false;
	return length && one->text[0] && (one->kind == ERROR_INVALID || one->kind == ERROR_LIMIT);
}

static void decode_problems(struct unpack *in, struct render_problems *out)
{
	size_t total = unpack_u32(in), count = unpack_count(in, 1);

	if (count > LIMIT_RENDER_PROBLEMS || count > total || (total && !count))
		in->bad = true;
	for (size_t i = 0; i < count && !in->bad; i++) {
		unpack_error(in, &out->items[out->count]);
		if (!is_problem(&out->items[out->count++]))
			in->bad = true;
	}
	out->total = total;
}

int render_reply_decode(struct span reply, struct arena *arena, struct rendered *out, struct render_problems *problems,
			struct error *err)
{
	struct render_problems *found = problems ? problems : ARENA_NEW(arena, struct render_problems);
	struct unpack in = unpack_begin(reply);
	struct rendered rendered = { NULL, 0 };

	*found = (struct render_problems){ .count = 0 };
	if (unpack_u32(&in) != MAGIC)
		return bad(err, "wrong magic");
	decode_problems(&in, found);
	if (in.bad)
		return bad(err, "problems that are none");
	rendered.count = unpack_count(&in, OBJECT_BYTES_MIN);
	if (rendered.count > LIMIT_OBJECTS || (found->total && rendered.count))
		return bad(err, "more objects than there can be");
	rendered.objects = arena_calloc(arena, rendered.count, sizeof(*rendered.objects));
	for (size_t i = 0; i < rendered.count && !in.bad; i++)
		if (decode_object(&in, arena, &rendered.objects[i], err))
			return -1;
	if (unpack_end(&in, "render's answer", err) || problems_sum(found, err))
		return -1;
	*out = rendered;
	return 0;
}
