/* oci/evidence: what is written is read back, and nothing else is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/limits.h"
#include "oci/evidence.h"

/* Evidence with one document of each kind. */
static struct evidence sample(struct arena *arena)
{
	struct evidence e = { .image = digest_of(SPAN("image")) };
	struct evidence_document *bundle = evidence_add(&e, arena), *legacy;

	*bundle = (struct evidence_document){ .kind = EVIDENCE_BUNDLE, .source = EVIDENCE_REFERRERS, .manifest = digest_of(SPAN("m")),
					      .digest = digest_of(SPAN("{}")), .media_type = "application/x", .bytes = SPAN("{}") };
	legacy = evidence_add(&e, arena);
	*legacy = (struct evidence_document){ .kind = EVIDENCE_LEGACY, .source = EVIDENCE_SIG_TAG, .problem = EVIDENCE_MISSING,
					      .problem_text = "404", .annotation_count = 1 };
	legacy->annotations = ARENA_NEW(arena, struct evidence_annotation);
	legacy->annotations[0] = (struct evidence_annotation){ "a", SPAN("b\0c") };
	return e;
}

static void evidence_survives_its_frame(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	CLEANUP(str_release) struct str frame = STR_INIT, again = STR_INIT;
	struct evidence e = sample(arena), read;

	(void)state;
	evidence_encode(&e, &frame);
	assert_int_equal(evidence_decode(str_span(&frame), arena, &read, NULL), 0);
	assert_int_equal(read.count, 2);
	assert_true(digest_equal(&read.image, &e.image));
	assert_string_equal(read.documents[0].media_type, "application/x");
	assert_int_equal(read.documents[1].problem, EVIDENCE_MISSING);
	assert_true(span_equal(*evidence_annotation(&read.documents[1], "a"), SPAN("b\0c")));
	assert_null(evidence_annotation(&read.documents[1], "b"));
	assert_null(evidence_annotation(&read.documents[0], "a"));
	evidence_encode(&read, &again);
	assert_true(span_equal(str_span(&frame), str_span(&again)));
}

static void evidence_cut_anywhere_is_an_error_and_writes_nothing(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	CLEANUP(str_release) struct str frame = STR_INIT;
	struct evidence e = sample(arena);

	(void)state;
	evidence_encode(&e, &frame);
	for (size_t i = 0; i < frame.length; i++) {
		struct evidence read = { .count = 77 };
		struct error err = ERROR_INIT;

		assert_int_equal(evidence_decode(span_sub(str_span(&frame), 0, i), arena, &read, &err), -1);
		assert_string_equal(err.reason, "BadFrame");
		assert_int_equal(read.count, 77);
	}
	str_addc(&frame, 'x');
	assert_int_equal(evidence_decode(str_span(&frame), arena, &e, NULL), -1);
}

static void evidence_with_a_byte_changed_never_reads_out_of_bounds(void **state)
{
	CLEANUP(str_release) struct str frame = STR_INIT;
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct evidence e = sample(arena);
	size_t refused = 0;

	(void)state;
	evidence_encode(&e, &frame);
	for (size_t i = 0; i < frame.length * 8; i++) {
		CLEANUP(arena_cleanup) struct arena *own = arena_new(0);
		struct evidence read;

		frame.data[i / 8] ^= (char)(1 << (i % 8));
		if (evidence_decode(str_span(&frame), own, &read, NULL))
			refused++;
		else
			assert_true(read.count <= LIMIT_SIGNATURES);
		frame.data[i / 8] ^= (char)(1 << (i % 8));
	}
	assert_true(refused > 100); /* lengths, kinds, counts; digests and texts may change and stay well-formed */
}

static void evidence_of_more_documents_than_the_limit_is_refused(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	CLEANUP(str_release) struct str frame = STR_INIT;
	struct evidence e = { .count = LIMIT_SIGNATURES + 1 }, read;

	(void)state;
	e.documents = arena_calloc(arena, e.count, sizeof(*e.documents));
	for (size_t i = 0; i < e.count; i++)
		e.documents[i] = (struct evidence_document){ .kind = EVIDENCE_BUNDLE, .source = EVIDENCE_REFERRERS };
	evidence_encode(&e, &frame);
	assert_int_equal(evidence_decode(str_span(&frame), arena, &read, NULL), -1);
}

static void evidence_names_are_what_people_see(void **state)
{
	(void)state;
	assert_string_equal(evidence_source_name(EVIDENCE_FALLBACK_TAG), "fallback-tag");
	assert_string_equal(evidence_kind_name(EVIDENCE_LEGACY), "legacy");
	assert_string_equal(evidence_kind_name((enum evidence_kind)9), "none");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(evidence_survives_its_frame),
		cmocka_unit_test(evidence_cut_anywhere_is_an_error_and_writes_nothing),
		cmocka_unit_test(evidence_with_a_byte_changed_never_reads_out_of_bounds),
		cmocka_unit_test(evidence_of_more_documents_than_the_limit_is_refused),
		cmocka_unit_test(evidence_names_are_what_people_see),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
