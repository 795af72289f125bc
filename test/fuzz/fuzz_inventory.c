/* Any bytes as a packed inventory, and any JSON packed as one; what is taken is packed, and held in memory, and read back as the same. */
#include "api/inventory.h"

#include <zlib.h>

#include "base/encode.h"
#include "reconcile/held.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(struct span packed)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	CLEANUP(str_release) struct str first = STR_INIT, second = STR_INIT;
	struct inventory inventory, again, read;
	struct held *held;

	if (inventory_decode(packed, arena, &inventory, NULL))
		return;
	inventory_encode(&inventory, arena, &first);
	ASSERT(!inventory_decode(str_span(&first), arena, &again, NULL));
	ASSERT(again.count == inventory.count && again.applied.count <= inventory.applied.count);
	held = held_new(&inventory);
	held_read(held, arena, &read);
	read.app = inventory.app;
	inventory_encode(&read, arena, &second);
	held_free(held);
	ASSERT(span_equal(str_span(&first), str_span(&second)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(str_release) struct str deflated = STR_INIT, packed = STR_INIT;
	uLongf length = compressBound(size);
	char *room = str_reserve(&deflated, length);

	decode(span_make(data, size));
	ASSERT(room && compress2((Bytef *)room, &length, data, size, 1) == Z_OK);
	str_grew(&deflated, length);
	base64_encode(str_span(&deflated), &packed);
	decode(str_span(&packed));
	return 0;
}
