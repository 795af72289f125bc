/* Any bytes as vkey, private key, note and checkpoint; what is taken must be exactly what would be written. */
#include "record/note.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_keys(struct span input)
{
	CLEANUP(note_signer_cleanup) struct note_signer *signer = NULL;
	CLEANUP(str_release) struct str again = STR_INIT, secret = STR_INIT;
	struct span line = input;
	struct note_key key;

	if (span_ends(line, "\n"))
		line.length--;
	if (!note_key_parse(input, &key, NULL)) {
		note_key_write(&key, &again);
		ASSERT(span_equal(str_span(&again), line));
	}
	if (!note_signer_parse(input, &signer, NULL)) {
		note_signer_write(signer, &secret);
		ASSERT(span_equal(str_span(&secret), line));
	}
}

/* Signed with a key of our own, the text of any input is a note that opens; as a checkpoint only if it is one. */
static void try_signed(struct span text)
{
	static struct note_signer *signer;
	CLEANUP(str_release) struct str note = STR_INIT, again = STR_INIT;
	struct checkpoint checkpoint;
	struct span opened;

	if (!signer)
		ASSERT(!note_signer_parse(SPAN("PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"), &signer, NULL));
	if (!span_ends(text, "\n") || text.length > NOTE_BYTES_MAX / 2)
		return;
	ASSERT(!note_sign(signer, text, &note, NULL));
	if (!note_open(str_span(&note), note_signer_key(signer), true, &opened, NULL))
		ASSERT(span_equal(opened, text));
	if (!checkpoint_open(str_span(&note), note_signer_key(signer), true, &checkpoint, NULL)) {
		checkpoint_text(&checkpoint, &again);
		ASSERT(span_equal(str_span(&again), text));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span input = span_make(data, size), text;
	struct checkpoint checkpoint;
	struct note_key key;

	try_keys(input);
	try_signed(input);
	ASSERT(!note_key_parse(SPAN("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"), &key, NULL));
	if (!note_open(input, &key, false, &text, NULL))
		ASSERT(text.length < size);
	checkpoint_peek(input, &checkpoint, NULL);
	checkpoint_open(input, &key, false, &checkpoint, NULL);
	return 0;
}
