/* Frames between web and core; see vitals.h. */
#include "record/vitals.h"

#include "base/pack.h"

void vitals_ask_encode(enum vitals_ask what, struct str *out)
{
	pack_u8(out, (uint8_t)what);
}

enum vitals_ask vitals_ask_decode(struct span frame)
{
	if (frame.length != 1 || (frame.data[0] != VITALS_CHECKS && frame.data[0] != VITALS_METRICS))
		return VITALS_NONE;
	return frame.data[0] == VITALS_CHECKS ? VITALS_CHECKS : VITALS_METRICS;
}

void vitals_encode(const struct vitals *vitals, struct str *out)
{
	pack_u8(out, (uint8_t)vitals->what);
	if (vitals->what == VITALS_METRICS) {
		pack_span(out, vitals->metrics);
		return;
	}
	pack_u32(out, (uint32_t)vitals->check_count);
	for (size_t i = 0; i < vitals->check_count; i++) {
		pack_text(out, vitals->checks[i].name);
		pack_u8(out, vitals->checks[i].ok);
		pack_u8(out, vitals->checks[i].live);
		pack_text(out, vitals->checks[i].detail);
	}
}

int vitals_decode(struct span frame, struct arena *arena, struct vitals *out, struct error *err)
{
	struct unpack in = unpack_begin(frame);
	uint8_t what = unpack_u8(&in);

	*out = (struct vitals){ .what = what == VITALS_METRICS ? VITALS_METRICS : VITALS_CHECKS };
	if (what == VITALS_METRICS) {
		out->metrics = unpack_span(&in);
		return unpack_end(&in, "metrics", err);
	}
	out->check_count = unpack_count(&in, 10);
	if (what != VITALS_CHECKS || out->check_count > VITALS_CHECKS_MAX)
		return error_set(err, ERROR_INTERNAL, "BadFrame", "what core tells of itself cannot be read");
	for (size_t i = 0; i < out->check_count; i++) {
		out->checks[i].name = unpack_text(&in, arena);
		out->checks[i].ok = unpack_bool(&in);
		out->checks[i].live = unpack_bool(&in);
		out->checks[i].detail = unpack_text(&in, arena);
	}
	return unpack_end(&in, "checks", err);
}
