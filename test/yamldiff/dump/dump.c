/* Answers length-prefixed YAML on stdin by one line each: "ok [documents]" or "err REASON text". */
#include <stdio.h>

#include "base/yaml.h"

static int read_frame(struct str *in)
{
	uint32_t length;
	char *room;

	str_reset(in);
	if (fread(&length, sizeof(length), 1, stdin) != 1)
		return -1;
	room = str_reserve(in, length);
	if (!room || fread(room, 1, length, stdin) != length)
		return -1;
	str_grew(in, length);
	return 0;
}

static void answer(struct span in)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	CLEANUP(str_release) struct str out = STR_INIT;
	struct error err = ERROR_INIT;
	struct yaml_stream stream;
	bool first = true;

	if (yaml_parse_any(in, "in", NULL, arena, &stream, &err)) {
		for (char *c = err.text; *c; c++)
			if (*c == '\n')
				*c = ' ';
		printf("err %s %s\n", err.reason, err.text);
		return;
	}
	for (size_t i = 0; i < stream.count; i++) {
		if (!stream.documents[i].value)
			continue;
		str_adds(&out, first ? "" : ",");
		first = false;
		json_write(stream.documents[i].value, JSON_SORTED, &out);
	}
	printf("ok [%s]\n", str_c(&out));
}

int main(void)
{
	CLEANUP(str_release) struct str in = STR_INIT;

	while (!read_frame(&in)) {
		answer(str_span(&in));
		fflush(stdout);
	}
	return 0;
}
