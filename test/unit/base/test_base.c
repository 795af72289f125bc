/* base/: strings, JSON, codecs, map, globs, times, frames. Table-driven; each test is named after a behaviour. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/encode.h"
#include "base/glob.h"
#include "base/json.h"
#include "base/json_plain.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/pack.h"
#include "base/rand.h"

static void str_past_its_limit_overflows_and_keeps_what_it_had(void **state)
{
	CLEANUP(str_release) struct str s = STR_LIMIT(8);

	(void)state;
	str_adds(&s, "12345678");
	assert_false(s.overflow);
	str_addc(&s, '9');
	assert_true(s.overflow);
	assert_string_equal(str_c(&s), "12345678");
}

static void str_of_lines_becomes_one_line(void **state)
{
	static const struct { const char *text, *line; } cases[] = {
		{ "", "" }, { "a", "a" }, { "\n\n", "" }, { "a\n", "a" }, { "a\r\nb", "a; b" }, { "errors:\n  .a: bad\n\n\t.b: bad\n", "errors: .a: bad; .b: bad" },
		{ "One.\nTwo,\nthree;\nfour", "One. Two, three; four" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		CLEANUP(str_release) struct str s = STR_INIT;

		str_add_one_line(&s, span_of(cases[i].text));
		assert_string_equal(str_c(&s), cases[i].line);
		str_add_one_line(&s, span_of(cases[i].text));
		assert_int_equal(s.length, 2 * strlen(cases[i].line));
	}
}

static void span_cut_gives_each_part_and_then_nothing(void **state)
{
	struct span rest = SPAN("a,,b");

	(void)state;
	assert_true(span_is(span_cut(&rest, ','), "a"));
	assert_true(span_is(span_cut(&rest, ','), ""));
	assert_true(span_is(span_cut(&rest, ','), "b"));
	assert_null(rest.data);
}

static void error_text_that_is_cut_says_so(void **state)
{
	CLEANUP(str_release) struct str longer = STR_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	for (int i = 0; i < ERROR_TEXT_MAX; i++)
		str_addc(&longer, 'x');
	assert_int_equal(error_set(&err, ERROR_INVALID, "R", "%s", str_c(&longer)), -1);
	assert_string_equal(err.text + strlen(err.text) - 3, "...");
	error_wrap(&err, "object %s", "a");
	assert_memory_equal(err.text, "object a: xxx", 13);
	assert_string_equal(err.reason, "R");
	/* the reason of the error itself may be given again */
	error_set(&err, err.kind, err.reason, "other");
	assert_string_equal(err.reason, "R");
}

static void arena_releases_newest_first(void **state)
{
	static int order[2], at;
	struct arena *arena = arena_new(0);

	(void)state;
	at = 0;
	void first(void *p) { (void)p; order[at++] = 1; }
	void second(void *p) { (void)p; order[at++] = 2; }
	arena_defer(arena, first, NULL);
	arena_defer(arena, second, NULL);
	assert_non_null(arena_alloc(arena, 1 << 20));
	arena_free(arena);
	assert_int_equal(order[0], 2);
	assert_int_equal(order[1], 1);
}

static void json_roundtrip(void **state)
{
	static const struct { const char *name, *in, *out; } cases[] = {
		{ "integers are exact", "[9007199254740993,12345678901234567890,-9223372036854775808]", NULL },
		{ "other numbers keep their text", "[1.0,1e3,-0,123456789012345678901]", NULL },
		{ "no surrogate escapes on the way out", "\"\\ud83d\\ude00\"", "\"\xf0\x9f\x98\x80\"" },
		{ "control bytes are escaped", "\"\\u0001\\n\\\"\\\\/\"", "\"\\u0001\\n\\\"\\\\/\"" },
		{ "keys are sorted", "{\"b\":1,\"a\":{\"d\":[],\"c\":{}}}", "{\"a\":{\"c\":{},\"d\":[]},\"b\":1}" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
		CLEANUP(str_release) struct str out = STR_INIT;
		struct error err = ERROR_INIT;
		struct json *value;

		if (json_parse(span_of(cases[i].in), arena, 0, &value, &err))
			fail_msg("%s: %s", cases[i].name, err.text);
		json_write(value, JSON_SORTED, &out);
		assert_string_equal(str_c(&out), cases[i].out ? cases[i].out : cases[i].in);
	}
}

/* RFC 8259 section 7, and ASCII. */
static bool plain_bytewise(uint8_t byte)
{
	return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
}

/* Every byte at every place of texts of every length around the blocks that are looked at together; exact ends, for the sanitizers. */
static void json_all_plain_sees_the_one_byte_that_is_not(void **state)
{
	(void)state;
	for (size_t length = 1; length < 40; length++)
		for (size_t place = 0; place < length; place++)
			for (unsigned byte = 0; byte < 256; byte++) {
				CLEANUP(mem_cleanup) char *text = mem_alloc(length);

				memset(text, 'a', length);
				text[place] = (char)byte;
				if (json_all_plain(text, length) != plain_bytewise((uint8_t)byte))
					fail_msg("byte %u at %zu of %zu", byte, place, length);
			}
	assert_true(json_all_plain("", 0));
}

static void json_marks64_names_the_bytes_that_are_not_plain(void **state)
{
	(void)state;
	for (unsigned shift = 0; shift < 64; shift++)
		for (unsigned first = 0; first < 256; first += 64) {
			uint64_t want = 0;
			char text[64];

			for (unsigned i = 0; i < 64; i++) {
				uint8_t byte = (uint8_t)(first + (i + shift) % 64);

				text[i] = (char)byte;
				want |= (uint64_t)!plain_bytewise(byte) << i;
			}
			assert_true(json_marks64(text) == want);
		}
}

static void json_strings_of_any_length_come_back_as_they_were(void **state)
{
	(void)state;
	for (size_t length = 0; length < 40; length++)
		for (size_t place = 0; place <= length; place++) {
			CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
			CLEANUP(str_release) struct str text = STR_INIT, out = STR_INIT;
			struct json *back;

			for (size_t i = 0; i < length; i++)
				str_adds(&text, i == place ? "\"\n\x01\xc3\xa4" : "a");
			json_write(json_span(arena, str_span(&text)), JSON_PLAIN, &out);
			assert_int_equal(json_parse(str_span(&out), arena, 0, &back, NULL), 0);
			assert_true(span_equal(json_text_span(back), str_span(&text)));
		}
}

static void json_refuses(void **state)
{
	static const struct { const char *in, *reason; } cases[] = {
		{ "", "BadJSON" },           { "{} x", "BadJSON" },      { "{\"a\":1,}", "BadJSON" },
		{ "[1,2", "BadJSON" },       { "\"\xff\"", "BadJSON" },  { "{'a':1}", "BadJSON" },
		{ "NaN", "BadJSON" },        { "01", "BadJSON" },        { "[[[[1]]]]", "TooDeep" },
		{ "{\"a\":1,\"a\":2}", "DuplicateKey" },
		{ "{\"1\":1,\"2\":1,\"3\":1,\"4\":1,\"5\":1,\"6\":1,\"7\":1,\"8\":1,\"9\":1,\"10\":1,\"11\":1,\"12\":1,"
		  "\"13\":1,\"14\":1,\"15\":1,\"16\":1,\"17\":1,\"1\":2}", "DuplicateKey" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
		struct error err = ERROR_INIT;
		struct json *value;

		if (!json_parse(span_of(cases[i].in), arena, 3, &value, &err))
			fail_msg("accepted: %s", cases[i].in);
		if (strcmp(err.reason, cases[i].reason))
			fail_msg("%s: reason %s, want %s", cases[i].in, err.reason, cases[i].reason);
	}
}

static void json_equal_ignores_order_and_number_form(void **state)
{
	static const struct { const char *a, *b; bool equal; } cases[] = {
		{ "{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}", true }, { "1", "1.0", true },    { "[1,2]", "[2,1]", false },
		{ "{\"a\":1}", "{\"a\":1,\"b\":null}", false },     { "\"1\"", "1", false }, { "null", "false", false },
		{ "12345678901234567890", "12345678901234567891", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
		struct json *a, *b;

		assert_int_equal(json_parse(span_of(cases[i].a), arena, 0, &a, NULL), 0);
		assert_int_equal(json_parse(span_of(cases[i].b), arena, 0, &b, NULL), 0);
		if (json_equal(a, b) != cases[i].equal)
			fail_msg("%s ~ %s", cases[i].a, cases[i].b);
	}
}

static void json_pointer_follows_rfc_6901(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	CLEANUP(str_release) struct str pointer = STR_INIT;
	struct json *root;

	(void)state;
	assert_int_equal(json_parse(SPAN("{\"a/b\":{\"m~n\":[1,{\"\":7}]}}"), arena, 0, &root, NULL), 0);
	json_pointer_add(&pointer, SPAN("a/b"));
	json_pointer_add(&pointer, SPAN("m~n"));
	assert_string_equal(str_c(&pointer), "/a~1b/m~0n");
	assert_int_equal(json_count(json_pointer(root, str_span(&pointer))), 2);
	assert_int_equal(json_pointer(root, SPAN("/a~1b/m~0n/1/"))->as.i, 7);
	assert_null(json_pointer(root, SPAN("/a~1b/m~0n/01x")));
	assert_null(json_pointer(root, SPAN("/a~2b")));
	json_pointer_add_index(&pointer, 0);
	json_pointer_add_index(&pointer, 1203);
	assert_string_equal(str_c(&pointer), "/a~1b/m~0n/0/1203");
}

static void numbers_are_written_in_full(void **state)
{
	CLEANUP(str_release) struct str text = STR_INIT;

	(void)state;
	str_addu(&text, 0);
	str_addc(&text, ' ');
	str_addu(&text, 907);
	str_addc(&text, ' ');
	str_addu(&text, UINT64_MAX);
	assert_string_equal(str_c(&text), "0 907 18446744073709551615");
}

/* The tree owns what it is made of: the text may go, and was not written to. */
static void json_outlives_its_text(void **state)
{
	static const char text[] = "{\"a\\n\":[\"b\",1.50,\"\",-0.0]}";
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	char *copy = mem_strndup(text, sizeof(text) - 1);
	struct json *root;

	(void)state;
	assert_int_equal(json_parse(span_make(copy, sizeof(text) - 1), arena, 0, &root, NULL), 0);
	assert_string_equal(copy, text);
	free(copy);
	assert_string_equal(json_text(json_at(json_get(root, "a\n"), 0)), "b");
	assert_string_equal(json_at(json_get(root, "a\n"), 1)->as.text.data, "1.50");
	assert_string_equal(json_text(json_at(json_get(root, "a\n"), 2)), "");
	assert_string_equal(json_at(json_get(root, "a\n"), 3)->as.text.data, "-0.0");
}

static void base64_is_canonical(void **state)
{
	static const struct { const char *in; bool good; } cases[] = {
		{ "", true },      { "QQ==", true },  { "QUI=", true },  { "QUJD", true }, { "QR==", false }, { "QUJ=", false },
		{ "Q===", false }, { "QQ=", false },  { "QQ", false },   { "Q Q=", false }, { "QQ==QQ==", false }, { "-_==", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		CLEANUP(str_release) struct str bytes = STR_INIT, again = STR_INIT;
		bool good = !base64_decode(span_of(cases[i].in), &bytes, NULL);

		if (good != cases[i].good)
			fail_msg("%s", cases[i].in);
		if (!good)
			continue;
		base64_encode(str_span(&bytes), &again);
		assert_string_equal(str_c(&again), cases[i].in);
	}
}

static void log_text_cannot_forge_a_line(void **state)
{
	CLEANUP(str_release) struct str out = STR_INIT;

	(void)state;
	text_escape(SPAN("a\nb\x1b[31m \xe2\x80\xae \xe2\x80\xa8 \xc2\x9b \"\\ \xff \xc3\xa4 \xe2\x82\xac"), &out);
	assert_string_equal(str_c(&out), "a\\nb\\x1b[31m \\xe2\\x80\\xae \\xe2\\x80\\xa8 \\xc2\\x9b \\\"\\\\ \\xff \xc3\xa4 \xe2\x82\xac");
}

static void digest_text_round_trips_and_refuses_upper_case(void **state)
{
	struct digest digest = digest_of(SPAN("{}")), again;
	char text[DIGEST_TEXT];

	(void)state;
	digest_text(&digest, text);
	assert_string_equal(text, "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
	assert_true(digest_parse(span_of(text), &again) && digest_equal(&digest, &again));
	text[10] = 'A';
	assert_false(digest_parse(span_of(text), &again));
	assert_false(digest_parse(SPAN("sha256:44"), &again));
}

static void map_holds_ten_thousand_and_removes_them_again(void **state)
{
	CLEANUP(map_release) struct map map = MAP_INIT;
	char key[16];

	(void)state;
	for (intptr_t i = 1; i <= 10000; i++) {
		snprintf(key, sizeof(key), "k%d", (int)i);
		assert_null(map_set(&map, span_of(key), (void *)i));
	}
	for (intptr_t i = 1; i <= 10000; i += 2) {
		snprintf(key, sizeof(key), "k%d", (int)i);
		assert_ptr_equal(map_remove(&map, span_of(key)), (void *)i);
	}
	for (intptr_t i = 1; i <= 10000; i++) {
		snprintf(key, sizeof(key), "k%d", (int)i);
		assert_ptr_equal(map_get(&map, span_of(key)), i % 2 ? NULL : (void *)i);
	}
	assert_int_equal(map.count, 5000);
}

static void globs(void **state)
{
	static const struct { const char *pattern, *text; enum glob_flags flags; bool match; } cases[] = {
		{ "registry.example/shop/**", "registry.example/shop/a/b:1", GLOB_PATH, true },
		{ "registry.example/shop/*", "registry.example/shop/a/b", GLOB_PATH, false },
		{ "registry.example/shop/*", "registry.example/shop/a", GLOB_PATH, true },
		{ "*", "a/b", GLOB_PATH, false },        { "**", "a/b", GLOB_PATH, true },
		{ "*", "a/b", GLOB_ANY, true },          { "a?c", "abc", GLOB_ANY, true },
		{ "a.c", "abc", GLOB_PATH, false },      { "{a,b}/*.yaml", "b/x.yaml", GLOB_PATH, true },
		{ "{a,b}/*.yaml", "c/x.yaml", GLOB_PATH, false }, { "[a-c]x", "bx", GLOB_ANY, true },
		{ "[!a-c]x", "bx", GLOB_ANY, false },    { "", "", GLOB_ANY, false },
		{ "{a", "{a", GLOB_PATH, false },        { "a*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa", GLOB_PATH, false },
		{ "{a,b,c}{a,b,c}{a,b,c}", "cab", GLOB_PATH, true },
		{ "a**", "a", GLOB_PATH, true },         { "*", "", GLOB_ANY, true },
		{ "*a*", "bab/", GLOB_PATH, false },     { "*a*{b,c}*", "xaxc", GLOB_ANY, true },
		{ "?", "", GLOB_ANY, false },            { "a[", "a[", GLOB_PATH, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		if (glob_match(span_of(cases[i].pattern), span_of(cases[i].text), cases[i].flags) != cases[i].match)
			fail_msg("%s ~ %s: want %d", cases[i].pattern, cases[i].text, cases[i].match);
}

/* A rule that holds back must not fall silent because it names much: so such a glob does not parse at all. */
static void a_glob_of_too_many_alternatives_is_no_glob(void **state)
{
	static const char allowed[] = "{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}";
	CLEANUP(str_release) struct str many = STR_INIT;

	(void)state;
	assert_true(glob_valid(SPAN(allowed)));
	assert_true(glob_match(SPAN(allowed), SPAN("bbbbbb"), GLOB_PATH));
	assert_false(glob_match(SPAN(allowed), SPAN("bbbbbc"), GLOB_PATH));
	str_addf(&many, "%s{a,b}", allowed);
	assert_false(glob_valid(str_span(&many)));
	while (many.length + 5 <= LIMIT_GLOB_BYTES)
		str_adds(&many, "{a,b}");
	assert_false(glob_match(str_span(&many), SPAN("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac"), GLOB_ANY));
}

static void times(void **state)
{
	int64_t ns, ms;
	char text[TIME_TEXT];

	(void)state;
	assert_true(time_parse(SPAN("2026-11-24T10:00:00.5+01:00"), &ns));
	time_format_ns(ns, text);
	assert_string_equal(text, "2026-11-24T09:00:00.500000000Z");
	assert_false(time_parse(SPAN("2026-11-24"), &ns));
	assert_false(time_parse(SPAN("2026-13-24T10:00:00Z"), &ns));
	assert_false(time_parse(SPAN("2026-11-24T10:00:00"), &ns));
	assert_false(time_parse(SPAN("2026-11-24T10:00:00Z "), &ns));
	assert_true(duration_parse(SPAN("1h30m"), &ms) && ms == 5400000);
	assert_true(duration_parse(SPAN("500ms"), &ms) && ms == 500);
	assert_false(duration_parse(SPAN("5"), &ms));
	assert_false(duration_parse(SPAN("-5s"), &ms));
}

static void uuid_is_read_and_written_back_and_nothing_else_is_one(void **state)
{
	static const char good[] = "0ad95fc4-43b9-4e00-a00e-eb36476981ae";
	uint8_t bytes[16], untouched[16] = { 7 };
	char text[sizeof(good)];

	(void)state;
	assert_true(uuid_parse(SPAN(good), bytes));
	assert_int_equal(bytes[0], 0x0a);
	assert_int_equal(bytes[15], 0xae);
	uuid_text(bytes, text);
	assert_string_equal(text, good);
	for (size_t at = 0; at < sizeof(good) - 1; at++) {
		memcpy(text, good, sizeof(good));
		/* no digit, and no dash where one stands */
		text[at] = 'A';
		assert_false(uuid_parse(span_of(text), untouched));
		text[at] = good[at] == '-' ? '0' : '-';
		assert_false(uuid_parse(span_of(text), untouched));
	}
	assert_false(uuid_parse(span_sub(SPAN(good), 0, 35), untouched));
	assert_false(uuid_parse(SPAN0, untouched));
	assert_int_equal(untouched[0], 7);
}

static void uuid7_is_ordered_by_time(void **state)
{
	char a[37], b[37];

	(void)state;
	rand_uuid7(1700000000000000000, a);
	rand_uuid7(1700000001000000000, b);
	assert_int_equal(strlen(a), 36);
	assert_int_equal(a[14], '7');
	assert_true(strchr("89ab", a[19]) != NULL);
	assert_true(strcmp(a, b) < 0);
}

static void unpack_never_reads_past_its_end(void **state)
{
	CLEANUP(str_release) struct str out = STR_INIT;
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct error given = { ERROR_DENIED, "R", "text" };

	(void)state;
	pack_u8(&out, 7);
	pack_text(&out, "hello");
	pack_u64(&out, UINT64_MAX);
	pack_error(&out, &given);
	for (size_t cut = 0; cut <= out.length; cut++) {
		struct unpack in = unpack_begin(span_sub(str_span(&out), 0, cut));
		struct error err = ERROR_INIT;
		uint8_t a = unpack_u8(&in);
		char *b = unpack_text(&in, arena);
		uint64_t c = unpack_u64(&in);

		unpack_error(&in, &err);
		assert_int_equal(unpack_end(&in, "test", NULL), cut == out.length ? 0 : -1);
		if (cut < out.length)
			continue;
		assert_int_equal(a, 7);
		assert_string_equal(b, "hello");
		assert_true(c == UINT64_MAX);
		assert_int_equal(err.kind, ERROR_DENIED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(str_past_its_limit_overflows_and_keeps_what_it_had),
		cmocka_unit_test(str_of_lines_becomes_one_line),
		cmocka_unit_test(span_cut_gives_each_part_and_then_nothing),
		cmocka_unit_test(error_text_that_is_cut_says_so),
		cmocka_unit_test(arena_releases_newest_first),
		cmocka_unit_test(json_roundtrip),
		cmocka_unit_test(json_all_plain_sees_the_one_byte_that_is_not),
		cmocka_unit_test(json_marks64_names_the_bytes_that_are_not_plain),
		cmocka_unit_test(json_strings_of_any_length_come_back_as_they_were),
		cmocka_unit_test(json_refuses),
		cmocka_unit_test(json_equal_ignores_order_and_number_form),
		cmocka_unit_test(json_pointer_follows_rfc_6901),
		cmocka_unit_test(numbers_are_written_in_full),
		cmocka_unit_test(json_outlives_its_text),
		cmocka_unit_test(base64_is_canonical),
		cmocka_unit_test(log_text_cannot_forge_a_line),
		cmocka_unit_test(digest_text_round_trips_and_refuses_upper_case),
		cmocka_unit_test(map_holds_ten_thousand_and_removes_them_again),
		cmocka_unit_test(globs),
		cmocka_unit_test(a_glob_of_too_many_alternatives_is_no_glob),
		cmocka_unit_test(times),
		cmocka_unit_test(uuid_is_read_and_written_back_and_nothing_else_is_one),
		cmocka_unit_test(uuid7_is_ordered_by_time),
		cmocka_unit_test(unpack_never_reads_past_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
