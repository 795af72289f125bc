/* Inventories as bytes; see held.h. */
#include "reconcile/held.h"

#include "base/encode.h"
#include "base/name.h"
#include "base/pool.h"

struct held {
	uint32_t name_count, length;
	const char *names[];       /* then `length` bytes */
};

/* How a text is written: most that is not shared is an identifier in hex. */
enum coding { CODING_PLAIN, CODING_HEX, CODING_UUID };

enum { HAS_DESIRED = 1, HAS_OWNED = 2, HAS_IMAGES = 4, HAS_NO_PRUNE = 8, HAS_NO_DELETE = 16 };

/* --- writing ------------------------------------------------------------------------------------------------------ */

struct writing {
	struct str bytes;
	struct arena *arena;
	const char **names;
	size_t count, capacity;
};

/* Seven bits a byte, the lowest first. */
static void put_number(struct writing *to, uint64_t number)
{
	for (; number >= 0x80; number >>= 7)
		str_addc(&to->bytes, (char)(number | 0x80));
	str_addc(&to->bytes, (char)number);
}

static void put_name(struct writing *to, const char *text)
{
	const char *name = name_take(text ? text : "");

	for (size_t i = 0; i < to->count; i++)
		if (to->names[i] == name) {
			name_drop(name);
			put_number(to, i);
			return;
		}
	put_number(to, to->count);
	*(const char **)arena_push(to->arena, &to->names, &to->count, &to->capacity, sizeof(*to->names)) = name;
}

static void put_coded(struct writing *to, enum coding coding, struct span bytes)
{
	put_number(to, (uint64_t)bytes.length << 2 | coding);
	str_add(&to->bytes, bytes);
}

static void put_text(struct writing *to, const char *string)
{
	CLEANUP(str_release) struct str bytes = STR_INIT;
	struct span text = span_of(string ? string : "");
	uint8_t uuid[16];

	if (uuid_parse(text, uuid))
		put_coded(to, CODING_UUID, span_make(uuid, sizeof(uuid)));
	else if (text.length && text.length % 2 == 0 && !hex_decode(text, &bytes, NULL))
		put_coded(to, CODING_HEX, str_span(&bytes));
	else
		put_coded(to, CODING_PLAIN, text);
}

static void put_digest(struct writing *to, const struct digest *digest)
{
	str_add(&to->bytes, span_make(digest->bytes, DIGEST_SIZE));
}

static void put_pins(struct writing *to, const struct pins *pins)
{
	put_text(to, pins->revision);
	put_number(to, pins->count);
	for (size_t i = 0; i < pins->count; i++) {
		put_text(to, pins->pins[i].reference);
		put_digest(to, &pins->pins[i].digest);
	}
}

static void put_item(struct writing *to, const struct inventory_item *item)
{
	CLEANUP(str_release) struct str gvk = STR_INIT;
	const struct digest *digests[] = { &item->desired, &item->owned, &item->images };
	uint64_t has = (item->no_prune ? HAS_NO_PRUNE : 0u) | (item->no_delete ? HAS_NO_DELETE : 0u);

	for (size_t i = 0; i < COUNT_OF(digests); i++)
		has |= digest_is_zero(digests[i]) ? 0u : 1u << i;
	/* one name for three texts that go together */
	str_addf(&gvk, "%zu %zu %s%s%s", strlen(item->group), strlen(item->version), item->group, item->version, item->kind);
	put_text(to, item->name);
	put_name(to, str_c(&gvk));
	put_name(to, item->namespace);
	put_text(to, item->uid);
	put_number(to, has);
	/* the sign in the lowest bit */
	put_number(to, item->wave < 0 ? (uint64_t)(-(int64_t)item->wave) << 1 | 1 : (uint64_t)item->wave << 1);
	for (size_t i = 0; i < COUNT_OF(digests); i++)
		if (has >> i & 1)
			put_digest(to, digests[i]);
}

struct held *held_new(const struct inventory *inventory)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct writing to = { .arena = arena };
	struct held *held;

	put_number(&to, inventory->count);
	for (size_t i = 0; i < inventory->count; i++)
		put_item(&to, &inventory->items[i]);
	put_text(&to, inventory->uid);
	put_name(&to, inventory->project);
	put_name(&to, inventory->account);
	put_text(&to, inventory->revision);
	put_name(&to, inventory->repo_url);
	put_text(&to, inventory->path);
	put_name(&to, inventory->target_revision);
	put_name(&to, inventory->namespace);
	put_number(&to, inventory->partly);
	put_digest(&to, &inventory->input);
	put_pins(&to, &inventory->applied);
	put_pins(&to, &inventory->pending);
	ASSERT(!to.bytes.overflow && to.count <= UINT32_MAX && to.bytes.length <= UINT32_MAX);
	held = pool_alloc(sizeof(*held) + to.count * sizeof(*to.names) + to.bytes.length);
	held->name_count = (uint32_t)to.count;
	held->length = (uint32_t)to.bytes.length;
	memcpy(held->names, to.names, to.count * sizeof(*to.names));
	memcpy(held->names + to.count, to.bytes.data, to.bytes.length);
	str_release(&to.bytes);
	return held;
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

/* What is read was written here: what does not fit is a bug of ours. */
struct reading {
	const struct held *held;
	struct span rest;
};

static struct reading reading_of(const struct held *held)
{
	return (struct reading){ held, span_make(held->names + held->name_count, held->length) };
}

static struct span take(struct reading *from, size_t length)
{
	struct span bytes = span_sub(from->rest, 0, length);

	ASSERT(length <= from->rest.length);
	from->rest = span_from(from->rest, length);
	return bytes;
}

static uint64_t take_number(struct reading *from)
{
	uint64_t number = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t byte = (uint8_t)*take(from, 1).data;

		number |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			break;
	}
	return number;
}

static const char *take_name(struct reading *from)
{
	uint64_t at = take_number(from);

	ASSERT(at < from->held->name_count);
	return from->held->names[at];
}

static struct span take_coded(struct reading *from, enum coding *coding)
{
	uint64_t head = take_number(from);

	*coding = (enum coding)(head & 3);
	return take(from, head >> 2);
}

static char *decoded(struct span bytes, enum coding coding, struct arena *arena)
{
	CLEANUP(str_release) struct str digits = STR_INIT;
	char *uuid;

	switch (coding) {
	case CODING_UUID:
		uuid = arena_alloc(arena, 37);
		uuid_text((const uint8_t *)bytes.data, uuid);
		return uuid;
	case CODING_HEX:
		hex_encode(bytes, &digits);
		return arena_strndup(arena, str_span(&digits));
	default:
		return arena_strndup(arena, bytes);
	}
}

static char *take_text(struct reading *from, struct arena *arena)
{
	enum coding coding;
	struct span bytes = take_coded(from, &coding);

	return decoded(bytes, coding, arena);
}

static void take_digest(struct reading *from, struct digest *out)
{
	memcpy(out->bytes, take(from, DIGEST_SIZE).data, DIGEST_SIZE);
}

static void take_pins(struct reading *from, struct arena *arena, struct pins *out)
{
	out->revision = take_text(from, arena);
	out->count = take_number(from);
	out->pins = arena_calloc(arena, out->count, sizeof(*out->pins));
	for (size_t i = 0; i < out->count; i++) {
		out->pins[i].reference = take_text(from, arena);
		take_digest(from, &out->pins[i].digest);
	}
}

struct gvk {
	struct span group, version, kind;
};

static struct gvk take_gvk(struct reading *from)
{
	struct span rest = span_of(take_name(from));
	int64_t group, version;

	ASSERT(span_to_int64(span_cut(&rest, ' '), &group) && span_to_int64(span_cut(&rest, ' '), &version));
	return (struct gvk){ span_sub(rest, 0, (size_t)group), span_sub(rest, (size_t)group, (size_t)version),
			     span_from(rest, (size_t)(group + version)) };
}

/* What is behind the texts. */
static void take_rest(struct reading *from, struct inventory_item *out)
{
	struct digest *digests[] = { &out->desired, &out->owned, &out->images };
	uint64_t has, wave;

	has = take_number(from);
	wave = take_number(from);
	out->no_prune = has & HAS_NO_PRUNE;
	out->no_delete = has & HAS_NO_DELETE;
	out->wave = wave & 1 ? (int)-(int64_t)(wave >> 1) : (int)(wave >> 1);
	for (size_t i = 0; i < COUNT_OF(digests); i++)
		if (has >> i & 1)
			take_digest(from, digests[i]);
}

static void take_item(struct reading *from, struct arena *arena, struct inventory_item *out)
{
	struct gvk gvk;

	out->name = take_text(from, arena);
	gvk = take_gvk(from);
	out->group = arena_strndup(arena, gvk.group);
	out->version = arena_strndup(arena, gvk.version);
	out->kind = arena_strndup(arena, gvk.kind);
	out->namespace = take_name(from);
	out->uid = take_text(from, arena);
	take_rest(from, out);
}

void held_read(const struct held *held, struct arena *arena, struct inventory *out)
{
	struct reading from = reading_of(held);

	*out = (struct inventory){ .app = "" };
	out->count = take_number(&from);
	out->items = arena_calloc(arena, out->count, sizeof(*out->items));
	for (size_t i = 0; i < out->count; i++)
		take_item(&from, arena, &out->items[i]);
	out->uid = take_text(&from, arena);
	out->project = take_name(&from);
	out->account = take_name(&from);
	out->revision = take_text(&from, arena);
	out->repo_url = take_name(&from);
	out->path = take_text(&from, arena);
	out->target_revision = take_name(&from);
	out->namespace = take_name(&from);
	out->partly = take_number(&from);
	take_digest(&from, &out->input);
	take_pins(&from, arena, &out->applied);
	take_pins(&from, arena, &out->pending);
	ASSERT(!from.rest.length);
}

static bool is_text(struct span bytes, enum coding coding, const char *text)
{
	CLEANUP(arena_cleanup) struct arena *arena = NULL;

	if (coding == CODING_PLAIN)
		return span_is(bytes, text);
	arena = arena_new(0);
	return !strcmp(decoded(bytes, coding, arena), text);
}

static bool has_name(const struct held *held, const char *name)
{
	for (uint32_t i = 0; i < held->name_count; i++)
		if (held->names[i] == name)
			return true;
	return false;
}

bool held_has(const struct held *held, const struct inventory_item *item)
{
	const char *wanted = name_find(item->namespace);
	struct reading from = reading_of(held);

	/* asked of all Applications, of which most have nothing in that namespace */
	if (!wanted || !has_name(held, wanted))
		return false;
	for (uint64_t left = take_number(&from); left; left--) {
		struct inventory_item skipped = { 0 };
		enum coding name_coding, uid_coding;
		struct span name = take_coded(&from, &name_coding);
		struct gvk gvk = take_gvk(&from);
		const char *namespace = take_name(&from);
		struct span uid = take_coded(&from, &uid_coding);

		take_rest(&from, &skipped);
		if (span_is(gvk.kind, item->kind) && span_is(gvk.group, item->group) && namespace == wanted &&
		    is_text(name, name_coding, item->name))
			return is_text(uid, uid_coding, item->uid);
	}
	return false;
}

void held_free(struct held *held)
{
	if (!held)
		return;
	for (uint32_t i = 0; i < held->name_count; i++)
		name_drop(held->names[i]);
	pool_free(held, sizeof(*held) + held->name_count * sizeof(held->names[0]) + held->length);
}
