/* Trust as a frame; see trust.h. */
#include "verify/trust.h"

void trust_pack(const struct trust *trust, struct str *out)
{
	pack_u32(out, (uint32_t)trust->key_count);
	for (size_t i = 0; i < trust->key_count; i++) {
		pack_text(out, trust->keys[i].id);
		pack_text(out, trust->keys[i].pem);
	}
}

void trust_unpack(struct unpack *in, struct arena *arena, struct trust *out)
{
	uint32_t count = unpack_count(in, 8);
	struct trust_key *keys = arena_calloc(arena, count, sizeof(*keys));

	for (uint32_t i = 0; i < count; i++) {
		keys[i].id = unpack_text(in, arena);
		keys[i].pem = unpack_text(in, arena);
		if (!keys[i].id[0] || strlen(keys[i].id) > TRUST_ID_MAX)
			in->bad = true;
	}
	*out = (struct trust){ keys, in->bad ? 0 : count };
}
