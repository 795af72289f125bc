/* Packing and unpacking inventories; see inventory.h. */
#include "api/inventory.h"

#include <zlib.h>

#include "base/encode.h"
#include "base/limits.h"

/* 5,000 items of 300 bytes, with room */
#define UNPACKED_MAX ((size_t)16 << 20)

static void set_digest(struct arena *arena, struct json *object, const char *key, const struct digest *digest)
{
	char hex[DIGEST_HEX];

	if (digest_is_zero(digest))
		return;
	digest_hex(digest, hex);
	json_set_string(arena, object, key, hex);
}

static struct json *encode_item(const struct inventory_item *item, struct arena *arena)
{
	struct json *out = json_object(arena);

	json_set_string(arena, out, "g", item->group);
	json_set_string(arena, out, "v", item->version);
	json_set_string(arena, out, "k", item->kind);
	json_set_string(arena, out, "ns", item->namespace);
	json_set_string(arena, out, "n", item->name);
	json_set_string(arena, out, "u", item->uid);
	json_set_int(arena, out, "w", item->wave);
	if (item->no_prune)
		json_set_bool(arena, out, "np", true);
	if (item->no_delete)
		json_set_bool(arena, out, "nd", true);
	set_digest(arena, out, "d", &item->desired);
	set_digest(arena, out, "o", &item->owned);
	set_digest(arena, out, "i", &item->images);
	return out;
}

static struct json *encode_pins(const struct pins *pins, struct arena *arena)
{
	struct json *out = json_object(arena), *list = json_object(arena);

	json_set_string(arena, out, "revision", pins->revision ? pins->revision : "");
	for (size_t i = 0; i < pins->count; i++)
		set_digest(arena, list, pins->pins[i].reference, &pins->pins[i].digest);
	json_set(arena, out, "pins", list);
	return out;
}

static void deflate_into(struct span bytes, struct str *out)
{
	uLongf size = compressBound(bytes.length);
	char *room = str_reserve(out, size);

	ASSERT(room && compress2((Bytef *)room, &size, (const Bytef *)bytes.data, bytes.length, 6) == Z_OK);
	str_grew(out, size);
}

void inventory_encode(const struct inventory *inventory, struct arena *arena, struct str *out)
{
	CLEANUP(str_release) struct str text = STR_LIMIT(UNPACKED_MAX), packed = STR_INIT;
	struct json *root = json_object(arena), *items = json_array(arena);

	json_set_string(arena, root, "app", inventory->app);
	json_set_string(arena, root, "uid", inventory->uid);
	json_set_string(arena, root, "project", inventory->project);
	json_set_string(arena, root, "account", inventory->account);
	json_set_string(arena, root, "revision", inventory->revision);
	json_set_string(arena, root, "repo", inventory->repo_url);
	json_set_string(arena, root, "path", inventory->path);
	json_set_string(arena, root, "target", inventory->target_revision);
	if (inventory->namespace && *inventory->namespace)
		json_set_string(arena, root, "namespace", inventory->namespace);
	if (inventory->partly)
		json_set_bool(arena, root, "partly", true);
	set_digest(arena, root, "input", &inventory->input);
	json_set(arena, root, "applied", encode_pins(&inventory->applied, arena));
	json_set(arena, root, "pending", encode_pins(&inventory->pending, arena));
	for (size_t i = 0; i < inventory->count; i++)
		json_append(arena, items, encode_item(&inventory->items[i], arena));
	json_set(arena, root, "items", items);
	json_write(root, JSON_SORTED, &text);
	ASSERT(!text.overflow);
	deflate_into(str_span(&text), &packed);
	base64_encode(str_span(&packed), out);
}

static int bad(struct error *err, const char *why)
{
	return error_set(err, ERROR_INVALID, "BadInventory", "the packed inventory %s", why);
}

static int inflate_into(struct span bytes, struct str *out, struct error *err)
{
	z_stream stream = { .next_in = (Bytef *)(uintptr_t)bytes.data, .avail_in = (uInt)bytes.length };
	int rc = inflateInit(&stream);

	while (rc == Z_OK) {
		char *room = str_reserve(out, 65536);

		if (!room) {
			inflateEnd(&stream);
			return bad(err, "is too large");
		}
		stream.next_out = (Bytef *)room;
		stream.avail_out = 65536;
		rc = inflate(&stream, Z_NO_FLUSH);
		str_grew(out, 65536 - stream.avail_out);
		if (rc == Z_BUF_ERROR || (rc == Z_OK && !stream.avail_in && stream.avail_out))
			break;
	}
	inflateEnd(&stream);
	return rc == Z_STREAM_END ? 0 : bad(err, "does not unpack");
}

static const char *text(const struct json *object, const char *key, struct arena *arena)
{
	const char *value = json_get_text(object, key);

	return arena_strdup(arena, value ? value : "");
}

/* Zero when it is none. */
static struct digest digest_of_text(const struct json *value)
{
	CLEANUP(str_release) struct str full = STR_INIT;
	struct digest digest = { { 0 } };

	str_addf(&full, "sha256:%.*s", SPAN_ARG(json_text_span(value)));
	digest_parse(str_span(&full), &digest);
	return digest;
}

static struct digest digest_at(const struct json *object, const char *key)
{
	return digest_of_text(json_get(object, key));
}

static void decode_item(const struct json *from, struct arena *arena, struct inventory_item *out)
{
	out->group = text(from, "g", arena);
	out->version = text(from, "v", arena);
	out->kind = text(from, "k", arena);
	out->namespace = text(from, "ns", arena);
	out->name = text(from, "n", arena);
	out->uid = text(from, "u", arena);
	out->wave = (int)json_get_int(from, "w", 0);
	/* before both were told apart, it was one */
	out->no_prune = json_get_bool(from, "np", json_get_bool(from, "keep", false));
	out->no_delete = json_get_bool(from, "nd", json_get_bool(from, "keep", false));
	out->desired = digest_at(from, "d");
	out->owned = digest_at(from, "o");
	out->images = digest_at(from, "i");
}

static void decode_pins(const struct json *from, struct arena *arena, struct pins *out)
{
	const struct json *list = json_get(from, "pins");
	size_t at = 0;

	out->revision = text(from, "revision", arena);
	out->count = json_count(list);
	out->pins = arena_calloc(arena, out->count, sizeof(struct pin));
	JSON_EACH(member, list) {
		out->pins[at].reference = arena_strndup(arena, member->key);
		out->pins[at++].digest = digest_of_text(member->value);
	}
}

int inventory_decode(struct span packed, struct arena *arena, struct inventory *out, struct error *err)
{
	CLEANUP(str_release) struct str bytes = STR_LIMIT(UNPACKED_MAX), plain = STR_LIMIT(UNPACKED_MAX);
	CLEANUP(arena_cleanup) struct arena *scratch = arena_new(0);
	const struct json *items;
	struct json *root;

	if (base64_decode(packed, &bytes, err) || inflate_into(str_span(&bytes), &plain, err) ||
	    json_parse(str_span(&plain), scratch, 8, &root, err))
		return bad(err, "does not read");
	items = json_get(root, "items");
	if (!json_get_text(root, "app") || !json_is(items, JSON_ARRAY))
		return bad(err, "has no app or no items");
	*out = (struct inventory){ .app = text(root, "app", arena), .uid = text(root, "uid", arena),
				   .project = text(root, "project", arena), .account = text(root, "account", arena),
				   .revision = text(root, "revision", arena), .repo_url = text(root, "repo", arena),
				   .path = text(root, "path", arena), .target_revision = text(root, "target", arena),
				   .namespace = text(root, "namespace", arena), .partly = json_get_bool(root, "partly", false),
				   .input = digest_at(root, "input"), .count = json_count(items) };
	decode_pins(json_get(root, "applied"), arena, &out->applied);
	decode_pins(json_get(root, "pending"), arena, &out->pending);
	out->items = arena_calloc(arena, out->count, sizeof(struct inventory_item));
	for (size_t i = 0; i < out->count; i++)
		decode_item(json_at(items, i), arena, &out->items[i]);
	return 0;
}

const struct digest *pins_find(const struct pins *pins, struct span reference)
{
	for (size_t i = 0; i < pins->count; i++)
		if (span_is(reference, pins->pins[i].reference))
			return &pins->pins[i].digest;
	return NULL;
}

struct inventory_item *inventory_find(const struct inventory *inventory, const char *group, const char *kind,
				      const char *namespace, const char *name)
{
	for (size_t i = 0; i < inventory->count; i++) {
		struct inventory_item *item = &inventory->items[i];

		if (!strcmp(item->name, name) && !strcmp(item->kind, kind) && !strcmp(item->group, group) &&
		    !strcmp(item->namespace, namespace ? namespace : ""))
			return item;
	}
	return NULL;
}
