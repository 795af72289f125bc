/*
 * Any bytes as the body of a watch, whole and cut at two places: the events
 * that are told must not depend on how the network cut the stream.
 */
#include "kube/watch.c" /* the framer is its own; nothing of it is changed */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct told {
	struct str text;
	size_t errors;
};

static void note_event(void *data, enum watch_event event, const struct json *object)
{
	struct told *told = data;

	str_addc(&told->text, (char)('0' + (int)event));
	json_write(object, JSON_SORTED, &told->text);
	str_addc(&told->text, '\n');
}

static void note_error(void *data, const struct error *err)
{
	struct told *told = data;

	ASSERT(err->reason[0] && err->text[0]);
	told->errors++;
}

static void feed(struct span bytes, size_t first, size_t second, struct told *told)
{
	struct watch watch = { .handler = { .on_event = note_event, .on_error = note_error }, .data = told,
			       .line = { .limit = LIMIT_HTTP_BODY_BYTES } };
	bool ended = on_piece(&watch, span_sub(bytes, 0, first)) != 0;

	ended = ended || on_piece(&watch, span_sub(bytes, first, second)) != 0;
	ended = ended || on_piece(&watch, span_from(bytes, first + second)) != 0;
	str_addf(&told->text, "%d %d %d %zu %s", ended, watch.expired, watch.broken, told->errors, str_c(&watch.version));
	str_release(&watch.version);
	str_release(&watch.line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct told once = { .text = STR_INIT }, cut = { .text = STR_INIT };
	struct span bytes = span_make(data, size);

	if (size < 2)
		return 0;
	bytes = span_from(bytes, 2);
	feed(bytes, bytes.length, 0, &once);
	feed(bytes, data[0] % (bytes.length + 1), data[1], &cut);
	ASSERT(span_equal(str_span(&once.text), str_span(&cut.text)));
	str_release(&once.text);
	str_release(&cut.text);
	return 0;
}
