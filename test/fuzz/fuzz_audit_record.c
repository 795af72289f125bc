/* Any bytes as a canonical record: what is taken is exactly what json_write would write of it. */
#include "api/audit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Any JSON, cleaned, differs from a record only in its envelope: the reader must get as far as the end of it. */
static void try_cleaned(struct span input)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	CLEANUP(str_release) struct str line = STR_INIT;
	struct json *value, *record;
	struct audit_envelope envelope;
	size_t at = 0;

	if (json_parse(input, arena, 0, &value, NULL))
		return;
	record = audit_record(arena, AUDIT_DRIFT, AUDIT_OK);
	json_set(arena, record, "a", value);
	json_write(audit_clean(arena, record), JSON_SORTED, &line);
	ASSERT(audit_envelope_read(str_span(&line), &envelope, &at, NULL) && at == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	CLEANUP(str_release) struct str again = STR_INIT;
	struct audit_envelope envelope;
	struct json *record;
	size_t at = 0;

	try_cleaned(span_make(data, size));
	if (audit_envelope_read(span_make(data, size), &envelope, &at, NULL)) {
		ASSERT(at <= size);
		return 0;
	}
	ASSERT(!json_parse(span_make(data, size), arena, 0, &record, NULL));
	json_write(record, JSON_SORTED, &again);
	ASSERT(span_equal(str_span(&again), span_make(data, size)));
	ASSERT(json_get_int(record, "v", 0) == 1);
	ASSERT(span_equal(json_text_span(json_get(record, "id")), envelope.id));
	return 0;
}
