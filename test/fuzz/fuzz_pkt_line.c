/* Any bytes as what a Git server says: frames, both generations of ref lists, and a revision chosen from them. */
#include "source/pkt_line.h"
#include "source/refs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void frames(struct span rest)
{
	CLEANUP(str_release) struct str again = STR_INIT;
	enum pkt_kind kind = PKT_DATA;
	struct span payload;

	while (kind != PKT_NONE) {
		size_t before = rest.length;

		if (pkt_next(&rest, &kind, &payload, NULL))
			return;
		ASSERT(kind == PKT_NONE || rest.length < before);
		if (kind == PKT_DATA && payload.length <= PKT_PAYLOAD_MAX)
			pkt_add(&again, payload);
	}
}

static void resolve(const struct git_refs *refs, struct arena *arena)
{
	static const char *const revisions[] = { "", "main", "1.x", "v1.0.0", "refs/heads/a" };

	for (size_t i = 0; i < COUNT_OF(revisions); i++) {
		struct source_ref ref;

		refs_resolve(refs, revisions[i], arena, &ref);
		ASSERT(ref.commit[0] ? commit_is_hex(ref.commit) && ref.ref[0] : ref.error.reason[0]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct span body = span_make(data, size);
	struct advertisement greeting;
	struct git_refs refs;

	frames(body);
	if (!advertisement_parse(body, arena, &greeting, NULL))
		resolve(&greeting.refs, arena);
	if (!ls_refs_parse(body, arena, &refs, NULL))
		resolve(&refs, arena);
	return 0;
}
