/* Any bytes as a manifest file; what is read must be written and read back as the same. */
#include "base/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_and_read_again(const struct json *value, struct arena *arena)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	struct error err = ERROR_INIT;
	struct yaml_stream stream;

	yaml_write(value, &text);
	if (yaml_parse(str_span(&text), "again", NULL, arena, &stream, &err)) {
		ASSERT(err.kind == ERROR_LIMIT);
		return;
	}
	ASSERT(stream.count == 1 && stream.documents[0].value && json_equal(stream.documents[0].value, value));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct error err = ERROR_INIT;
	struct yaml_stream stream;
	size_t budget = 200000;

	if (yaml_parse(span_make(data, size), "f.yaml", &budget, arena, &stream, &err))
		ASSERT(err.reason[0] && err.text[0]);
	else
		for (size_t i = 0; i < stream.count; i++)
			if (stream.documents[i].value)
				write_and_read_again(stream.documents[i].value, arena);
	if (yaml_parse_any(span_make(data, size), "f.json", &budget, arena, &stream, &err))
		ASSERT(err.reason[0] && err.text[0]);
	return 0;
}
