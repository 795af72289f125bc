/* record/note: signed notes, keys and checkpoints; a vector of the format's authors, and every byte changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "record/note.h"

/* The example that golang.org/x/mod/sumdb/note and the signed-note specification publish. */
#define VKEY "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
#define SKEY "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
#define TEXT "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
#define SIGNATURE "\xe2\x80\x94 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"

static struct note_key neumann(void)
{
	struct note_key key;

	assert_int_equal(note_key_parse(SPAN(VKEY), &key, NULL), 0);
	return key;
}

static void published_note_opens(void **state)
{
	struct note_key key = neumann();
	struct span text;

	(void)state;
	assert_string_equal(key.name, "PeterNeumann");
	assert_int_equal(note_open(SPAN(TEXT "\n" SIGNATURE), &key, true, &text, NULL), 0);
	assert_true(span_is(text, TEXT));
}

static void published_key_signs_the_published_note(void **state)
{
	CLEANUP(note_signer_cleanup) struct note_signer *signer = NULL;
	CLEANUP(str_release) struct str note = STR_INIT, skey = STR_INIT, vkey = STR_INIT;

	(void)state;
	assert_int_equal(note_signer_parse(SPAN(SKEY "\n"), &signer, NULL), 0);
	assert_int_equal(note_sign(signer, SPAN(TEXT), &note, NULL), 0);
	assert_string_equal(str_c(&note), TEXT "\n" SIGNATURE);
	note_signer_write(signer, &skey);
	assert_string_equal(str_c(&skey), SKEY);
	note_key_write(note_signer_key(signer), &vkey);
	assert_string_equal(str_c(&vkey), VKEY);
}

static void every_changed_bit_of_a_note_is_seen(void **state)
{
	struct note_key key = neumann();
	char note[] = TEXT "\n" SIGNATURE;
	struct span text;

	(void)state;
	for (size_t i = 0; i < 8 * (sizeof(note) - 1); i++) {
		note[i / 8] = (char)(note[i / 8] ^ (1 << i % 8));
		if (!note_open(span_make(note, sizeof(note) - 1), &key, true, &text, NULL))
			fail_msg("bit %zu of byte %zu changed unseen", i % 8, i / 8);
		note[i / 8] = (char)(note[i / 8] ^ (1 << i % 8));
	}
}

static void every_changed_bit_of_a_key_is_seen(void **state)
{
	char vkey[] = VKEY;
	struct note_key key;

	(void)state;
	for (size_t i = 0; i < 8 * (sizeof(vkey) - 1); i++) {
		vkey[i / 8] = (char)(vkey[i / 8] ^ (1 << i % 8));
		if (!note_key_parse(span_make(vkey, sizeof(vkey) - 1), &key, NULL))
			fail_msg("bit %zu of byte %zu changed unseen: %s", i % 8, i / 8, vkey);
		vkey[i / 8] = (char)(vkey[i / 8] ^ (1 << i % 8));
	}
}

static void malformed_keys_are_refused_with_what_is_wrong(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "", "NAME+HASH+BASE64" },
		{ "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "NAME+HASH+BASE64" },
		{ "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "NAME+HASH+BASE64" },
		{ "PeterNeumann", "8 lower-case hex" },
		{ "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "8 lower-case hex" },
		{ "PeterNeumann+c74f20a3+", "base64 of 33 bytes" },
		{ "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10T", "base64 of 33 bytes" },
		{ VKEY "\n\n", "base64 of 33 bytes" },
		{ "PeterNeumann+c74f20a3+Ahpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "key type 2" },
		{ "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "not that of its name" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct error err = ERROR_INIT;
		struct note_key key;

		assert_int_equal(note_key_parse(span_of(cases[i].text), &key, &err), -1);
		if (!strstr(err.text, cases[i].says))
			fail_msg("\"%s\": got \"%s\", want \"%s\"", cases[i].text, err.text, cases[i].says);
	}
}

static void private_key_of_another_name_is_refused(void **state)
{
	CLEANUP(note_signer_cleanup) struct note_signer *signer = NULL;

	(void)state;
	assert_int_equal(note_signer_parse(SPAN("PRIVATE+KEY+Other+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"), &signer,
					   NULL), -1);
	assert_int_equal(note_signer_parse(SPAN(VKEY), &signer, NULL), -1);
	assert_int_equal(note_signer_new("with space", &signer, NULL), -1);
	assert_null(signer);
}

static void lines_of_other_keys_are_ignored_unless_the_note_must_be_alone(void **state)
{
	static const char other[] = TEXT "\n\xe2\x80\x94 witness.example AAAAAQECAwQFBgcICQ==\n" SIGNATURE;
	struct note_key key = neumann();
	struct error err = ERROR_INIT;
	struct span text;

	(void)state;
	assert_int_equal(note_open(SPAN(other), &key, false, &text, &err), 0);
	assert_int_equal(note_open(SPAN(other), &key, true, &text, &err), -1);
	assert_string_equal(err.reason, "BadNote");
}

static void malformed_notes_are_refused(void **state)
{
	static const struct {
		const char *note, *reason;
	} cases[] = {
		{ "", "BadNote" },
		{ "\n", "BadNote" },
		{ TEXT, "BadNote" },
		{ TEXT "\n", "BadNote" },
		{ TEXT SIGNATURE, "BadNote" },
		{ TEXT "\n- PeterNeumann x08go/Y=\n", "BadNote" },
		{ TEXT "\n\xe2\x80\x94 PeterNeumann\n", "BadNote" },
		{ TEXT "\n\xe2\x80\x94 PeterNeumann x08g\n", "BadNote" },
		{ TEXT "\n\xe2\x80\x94 Other x08go/ZJkuA=\n", "BadSignature" },
		{ TEXT "\n\xe2\x80\x94 PeterNeumann x08go/ZJkuA=\n", "BadSignature" },
		{ TEXT "\n" SIGNATURE SIGNATURE, "BadSignature" },
		{ "x" TEXT "\n" SIGNATURE, "BadSignature" },
		{ TEXT "\n" SIGNATURE "\n", "BadNote" },
	};
	struct note_key key = neumann();

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct error err = ERROR_INIT;
		struct span text;

		assert_int_equal(note_open(span_of(cases[i].note), &key, false, &text, &err), -1);
		if (strcmp(err.reason, cases[i].reason) != 0)
			fail_msg("case %zu: got %s, want %s", i, err.reason, cases[i].reason);
	}
}

static void checkpoint_is_read_as_it_was_written(void **state)
{
	CLEANUP(note_signer_cleanup) struct note_signer *signer = NULL;
	CLEANUP(str_release) struct str note = STR_INIT;
	struct checkpoint in = { "countersign.dev/1", 41234, digest_of(SPAN("x")) }, out;

	(void)state;
	assert_int_equal(note_signer_new("countersign.dev/1", &signer, NULL), 0);
	assert_int_equal(checkpoint_sign(&in, signer, &note, NULL), 0);
	assert_int_equal(checkpoint_open(str_span(&note), note_signer_key(signer), true, &out, NULL), 0);
	assert_string_equal(out.origin, in.origin);
	assert_int_equal(out.size, 41234);
	assert_true(digest_equal(&out.root, &in.root));
}

static void signed_texts_that_are_no_checkpoint_are_refused(void **state)
{
	static const char *const texts[] = {
		"o\n", "o\n1\n", "o\n1\nLQ==\n", "o\n01\nLXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaQIE=\n",
		"o\n-1\nLXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaQIE=\n", "o\n1\nLXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaQIE=\nmore\n",
		"p\n1\nLXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaQIE=\n", "o\n1\nLXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaQIF=\n",
		"o\n99999999999999999999\nLXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaQIE=\n",
	};
	CLEANUP(note_signer_cleanup) struct note_signer *signer = NULL;

	(void)state;
	assert_int_equal(note_signer_new("o", &signer, NULL), 0);
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		CLEANUP(str_release) struct str note = STR_INIT;
		struct error err = ERROR_INIT;
		struct checkpoint out;

		assert_int_equal(note_sign(signer, span_of(texts[i]), &note, NULL), 0);
		assert_int_equal(checkpoint_open(str_span(&note), note_signer_key(signer), true, &out, &err), -1);
		if (strcmp(err.reason, "BadCheckpoint") != 0)
			fail_msg("%s: %s: %s", texts[i], err.reason, err.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_note_opens),
		cmocka_unit_test(published_key_signs_the_published_note),
		cmocka_unit_test(every_changed_bit_of_a_note_is_seen),
		cmocka_unit_test(every_changed_bit_of_a_key_is_seen),
		cmocka_unit_test(malformed_keys_are_refused_with_what_is_wrong),
		cmocka_unit_test(private_key_of_another_name_is_refused),
		cmocka_unit_test(lines_of_other_keys_are_ignored_unless_the_note_must_be_alone),
		cmocka_unit_test(malformed_notes_are_refused),
		cmocka_unit_test(checkpoint_is_read_as_it_was_written),
		cmocka_unit_test(signed_texts_that_are_no_checkpoint_are_refused),
	};

	return cmocka_run_group_tests_name("note", tests, NULL, NULL);
}
