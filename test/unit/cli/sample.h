/* Objects for the tests of cli/, written as YAML. */
#ifndef TEST_CLI_SAMPLE_H
#define TEST_CLI_SAMPLE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/yaml.h"

/* The first document; a text that does not parse fails the test. */
static inline struct json *sample(struct arena *arena, const char *text)
{
	struct yaml_stream stream;
	struct error err = ERROR_INIT;

	if (yaml_parse(arena_span(arena, span_of(text)), "sample", NULL, arena, &stream, &err))
		fail_msg("%s", err.text);
	assert_int_equal(stream.count, 1);
	return stream.documents[0].value;
}

#endif
