/* base/yaml.h: the rules of the Go package (by a recorded table), what is refused on purpose, limits, lines, writing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/limits.h"
#include "base/yaml.h"

#define GOLDEN "test/yamldiff/golden.jsonl"

static struct arena *arena;

static int setup(void **state)
{
	(void)state;
	arena = arena_new(0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_cleanup(&arena);
	return 0;
}

static struct json *first(const char *text)
{
	struct error err = ERROR_INIT;
	struct yaml_stream stream;

	if (yaml_parse_any(span_of(text), "f.yaml", NULL, arena, &stream, &err))
		fail_msg("%s: %s\n%s", err.reason, err.text, text);
	assert_true(stream.count > 0);
	return stream.documents[0].value;
}

static struct error refused(struct span text)
{
	struct error err = ERROR_INIT;
	struct yaml_stream stream;

	if (!yaml_parse_any(text, "f.yaml", NULL, arena, &stream, &err))
		fail_msg("accepted: %.*s", SPAN_ARG(span_sub(text, 0, 200)));
	return err;
}

static void says(const struct error *err, const char *reason, const char *text)
{
	assert_string_equal(err->reason, reason);
	if (!strstr(err->text, text))
		fail_msg("\"%s\" does not say \"%s\"", err->text, text);
}

/* --- the recorded table ------------------------------------------------------------------------------------------ */

static bool refused_on_purpose(const struct error *err)
{
	static const char *const reasons[] = { "DuplicateKey", "UnknownTag", "BadKey" };
	static const char *const texts[] = { "<document start>", "found unexpected ':'", "NUL", "not UTF-8", "Unicode character escape" };

	for (size_t i = 0; i < COUNT_OF(reasons); i++)
		if (strcmp(err->reason, reasons[i]) == 0)
			return true;
	for (size_t i = 0; i < COUNT_OF(texts); i++)
		if (strstr(err->text, texts[i]))
			return true;
	return false;
}

static void compare(struct span in, const struct json *row)
{
	CLEANUP(str_release) struct str got = STR_INIT, want = STR_INIT;
	struct error err = ERROR_INIT;
	struct yaml_stream stream;

	if (yaml_parse_any(in, "case", NULL, arena, &stream, &err)) {
		if (!json_get(row, "err") && !refused_on_purpose(&err))
			fail_msg("refused (%s), the package takes it: %.*s", err.text, SPAN_ARG(in));
		return;
	}
	if (json_get(row, "err")) {
		if (!span_starts(in, "%YAML 1.1") && !span_is(in, "a: \"\\/\"\n") &&
		    !strstr(json_get_text(row, "err"), "'-' in numeric literal"))
			fail_msg("accepted, the package says %s: %.*s", json_get_text(row, "err"), SPAN_ARG(in));
		return;
	}
	str_addc(&got, '[');
	for (size_t i = 0; i < stream.count; i++) {
		if (!stream.documents[i].value)
			continue;
		str_adds(&got, got.length > 1 ? "," : "");
		json_write(stream.documents[i].value, JSON_SORTED, &got);
	}
	str_addc(&got, ']');
	json_write(json_get(row, "docs"), JSON_SORTED, &want);
	if (!span_equal(str_span(&got), str_span(&want)))
		fail_msg("%.*s\n got %s\nwant %s", SPAN_ARG(in), str_c(&got), str_c(&want));
}

static void yaml_reads_what_the_go_package_reads(void **state)
{
	FILE *file = fopen(GOLDEN, "r");
	CLEANUP(mem_cleanup) char *line = NULL;
	size_t size = 0, rows = 0;
	ssize_t length;

	(void)state;
	assert_non_null(file);
	while ((length = getline(&line, &size, file)) > 0) {
		CLEANUP(str_release) struct str in = STR_INIT;
		struct error err = ERROR_INIT;
		struct json *row;

		assert_int_equal(json_parse(span_make(line, (size_t)length), arena, 0, &row, &err), 0);
		assert_int_equal(base64_decode(json_text_span(json_get(row, "in")), &in, &err), 0);
		compare(str_span(&in), row);
		rows++;
	}
	fclose(file);
	assert_true(rows > 150);
}

/* --- refused on purpose ------------------------------------------------------------------------------------------- */

static void yaml_refuses(void **state)
{
	static const struct {
		const char *text, *reason, *says;
	} table[] = {
		{ "a: 1\nb: 2\na: 3\n", "DuplicateKey", "f.yaml:3: key \"a\" stands twice in one mapping, first on line 1" },
		{ "x:\n  1: a\n  '1': b\n", "DuplicateKey", "f.yaml:3: key \"1\"" },
		{ "{\"a\": 1,\n \"a\": 2}", "DuplicateKey", "f.yaml:2: key \"a\" stands twice in one mapping, first on line 1" },
		{ "a: !secret x\n", "UnknownTag", "f.yaml:1: a tag that is not" },
		{ "a: !ruby/object {b: c}\n", "UnknownTag", "f.yaml:1" },
		{ "a:\n- !!set {x}\n", "UnknownTag", "f.yaml:2" },
		{ "a: \"x\\0y\"\n", "YAMLError", "f.yaml:1: a scalar with a NUL" },
		{ "{\"a\":\n\"x\\u0000y\"}", "YAMLError", "f.yaml:2: a scalar with a NUL" },
		{ "{\"a\\u0000\": 1}", "YAMLError", "NUL" },
		{ "a: \xff\n", "YAMLError", "not UTF-8" },
		{ "a: b\n\tc: d\n", "YAMLError", "f.yaml:2" },
		{ "a: [1, 2\nb: 3\n", "YAMLError", "f.yaml:2" },
		{ "? [a]\n: b\n", "BadKey", "f.yaml:1: a list cannot be a key" },
		{ "? {a: b}\n: c\n", "BadKey", "a mapping cannot be a key" },
		{ "~: x\n", "BadKey", "f.yaml:1: null" },
		{ "a: *nowhere\n", "BadAlias", "an alias (*) names no anchor before it" },
		{ "a: &x\n  b: *x\n", "BadAlias", "f.yaml:2: an alias (*) stands inside" },
		{ "a: &x 1\n---\nb: *x\n", "BadAlias", "f.yaml:3" },
		{ "a:\n  <<: 3\n", "BadMerge", "f.yaml:2" },
		{ "a: .inf\n", "BadNumber", "f.yaml:1" },
		{ "a: !!int x\n", "YAMLError", "f.yaml:1: a scalar that is no !!int, as its tag says" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(table); i++) {
		struct error err = refused(span_of(table[i].text));

		says(&err, table[i].reason, table[i].says);
		assert_int_equal(err.kind, ERROR_INVALID);
	}
}

/* --- limits ----------------------------------------------------------------------------------------------------------- */

static void repeat(struct str *out, const char *text, size_t times)
{
	for (size_t i = 0; i < times; i++)
		str_adds(out, text);
}

static bool accepted(const struct str *text)
{
	CLEANUP(arena_cleanup) struct arena *own = arena_new(0);
	struct yaml_stream stream;

	return !yaml_parse(str_span(text), "f.yaml", NULL, own, &stream, NULL);
}

static void yaml_bomb(unsigned levels, struct str *out)
{
	str_adds(out, "a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
	for (unsigned i = 1; i < levels; i++)
		str_addf(out, "a%u: &a%u [*a%u,*a%u,*a%u,*a%u,*a%u,*a%u,*a%u,*a%u,*a%u]\n", i, i, i - 1, i - 1, i - 1, i - 1, i - 1,
			 i - 1, i - 1, i - 1, i - 1);
}

static void yaml_ends_alias_bombs_quickly_and_in_little_memory(void **state)
{
	(void)state;
	for (unsigned levels = 6; levels <= 20; levels++) {
		CLEANUP(str_release) struct str bomb = STR_INIT;
		size_t before = arena_used(arena);
		int64_t start = clock_mono_ms();
		struct error err;

		yaml_bomb(levels, &bomb);
		err = refused(str_span(&bomb));
		says(&err, "AliasBomb", "f.yaml:");
		assert_int_equal(err.kind, ERROR_LIMIT);
		assert_true(clock_mono_ms() - start < 250);
		assert_true(arena_used(arena) - before < 8u << 20);
	}
}

static void yaml_counts_merged_aliases_too(void **state)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	struct error err;

	(void)state;
	str_adds(&text, "a: &a {");
	for (unsigned i = 0; i < 1000; i++)
		str_addf(&text, "k%u: v,", i);
	str_adds(&text, "}\n");
	for (unsigned i = 0; i < 60; i++)
		str_addf(&text, "m%u: {<<: *a}\n", i);
	err = refused(str_span(&text));
	says(&err, "AliasBomb", "");
}

static void yaml_depth_is_limited_exactly(void **state)
{
	(void)state;
	for (int over = -1; over <= 1; over++) {
		CLEANUP(str_release) struct str text = STR_INIT, aliased = STR_INIT;

		repeat(&text, "[", (size_t)(LIMIT_YAML_DEPTH + over));
		repeat(&text, "]", (size_t)(LIMIT_YAML_DEPTH + over));
		assert_int_equal(accepted(&text), over <= 0);

		str_adds(&aliased, "a: &a ");
		repeat(&aliased, "[", 40);
		repeat(&aliased, "]", 40);
		str_adds(&aliased, "\nb: ");
		repeat(&aliased, "[", (size_t)(LIMIT_YAML_DEPTH - 41 + over));
		str_adds(&aliased, "*a");
		repeat(&aliased, "]", (size_t)(LIMIT_YAML_DEPTH - 41 + over));
		assert_int_equal(accepted(&aliased), over <= 0);
	}
}

static void yaml_sizes_are_limited_exactly(void **state)
{
	(void)state;
	for (int over = -1; over <= 1; over++) {
		CLEANUP(str_release) struct str scalar = STR_INIT, key = STR_INIT, anchors = STR_INIT, documents = STR_INIT;

		repeat(&scalar, "x", (size_t)((int)LIMIT_YAML_SCALAR_BYTES + over));
		assert_int_equal(accepted(&scalar), over <= 0);
		str_adds(&key, "? ");
		repeat(&key, "k", (size_t)((int)LIMIT_YAML_KEY_BYTES + over));
		str_adds(&key, "\n: v\n");
		assert_int_equal(accepted(&key), over <= 0);
		for (int i = 0; i < (int)LIMIT_YAML_ANCHORS + over; i++)
			str_addf(&anchors, "- &a%d x\n", i);
		assert_int_equal(accepted(&anchors), over <= 0);
		repeat(&documents, "--- a\n", (size_t)((int)LIMIT_YAML_DOCUMENTS + over));
		assert_int_equal(accepted(&documents), over <= 0);
	}
}

static void yaml_nodes_are_limited_in_yaml_and_in_json(void **state)
{
	CLEANUP(str_release) struct str yaml = STR_INIT, json = STR_INIT;
	struct error err;

	(void)state;
	str_adds(&yaml, "[");
	repeat(&yaml, "1,", LIMIT_YAML_NODES - 1);
	str_adds(&yaml, "]");
	assert_true(accepted(&yaml));
	yaml.length--;
	str_adds(&yaml, "1]");
	err = refused(str_span(&yaml));
	says(&err, "TooLarge", "500000 nodes");
	str_adds(&json, "{\"a\":[1");
	repeat(&json, ",1", LIMIT_YAML_NODES);
	str_adds(&json, "]}");
	err = refused(str_span(&json));
	says(&err, "TooLarge", "500000 nodes");
}

static void yaml_budget_spans_files(void **state)
{
	struct error err = ERROR_INIT;
	struct yaml_stream stream;
	size_t budget = 8;

	(void)state;
	assert_int_equal(yaml_parse_any(SPAN("a: 1\nb: 2\n"), "1", &budget, arena, &stream, &err), 0);
	assert_int_equal(budget, 3);
	assert_int_equal(yaml_parse_any(SPAN("{\"a\": [1]}"), "2", &budget, arena, &stream, &err), 0);
	assert_int_equal(budget, 1);
	assert_int_equal(yaml_parse_any(SPAN("a: 1\n"), "3", &budget, arena, &stream, &err), -1);
	says(&err, "TooLarge", "3:1: more nodes than all files together");
}

/* A text that somebody forgot to quote may be a password. */
static void yaml_errors_tell_no_scalar_and_no_tag(void **state)
{
	static const char *const table[] = {
		"a: !!int canary\n", "a: !!bool canary\n",  "a: !!binary canary~\n", "a: !canary\n",       "a: !canary x\n",
		"a: !canary [x]\n",  "a: !canary {x: y}\n", "a: !<canary> [x]\n",    "a: *canary\n",       "a: @canary\n",
		"a: %canary\n",      "a: `canary\n",        "a: 'canary\n",          "a: \"canary\\q\"\n", "a: [canary\n",
		"a: |canary\n",      "a: b: canary\n",      "<<: canary\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(table); i++) {
		struct error err = refused(span_of(table[i]));

		if (strstr(err.text, "canary"))
			fail_msg("%s is told as: %s", table[i], err.text);
	}
}

static void yaml_with_many_keys_is_not_quadratic(void **state)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	int64_t start = clock_mono_ms();
	struct json *value;

	(void)state;
	for (unsigned i = 0; i < 100000; i++)
		str_addf(&text, "k%u: v\n", i);
	value = first(str_c(&text));
	assert_int_equal(json_count(value), 100000);
	assert_true(clock_mono_ms() - start < 5000);
	str_adds(&text, "k77: w\n");
	struct error err = refused(str_span(&text));
	says(&err, "DuplicateKey", "f.yaml:100001: key \"k77\" stands twice in one mapping, first on line 78");
}

/* --- lines ---------------------------------------------------------------------------------------------------------- */

static void yaml_knows_the_line_of_every_node(void **state)
{
	struct json *value = first("# note\na: 1\nb:\n- x\n- {c: 5,\n   d: 6}\ne: |\n  t\n");

	(void)state;
	assert_int_equal(value->line, 2);
	assert_int_equal(json_get(value, "a")->line, 2);
	assert_int_equal(json_get(value, "b")->line, 4);
	assert_int_equal(json_at(json_get(value, "b"), 1)->line, 5);
	assert_int_equal(json_path(json_at(json_get(value, "b"), 1), "d", NULL)->line, 6);
	assert_int_equal(json_get(value, "e")->line, 7);
}

static void yaml_knows_the_line_of_every_node_of_json(void **state)
{
	struct error err = ERROR_INIT;
	struct yaml_stream stream;

	(void)state;
	assert_int_equal(yaml_parse_any(SPAN("\n{\"a\\\"\": [1,\n {} ,\n[],\n true\n, \"s\"],\n\"b\":\nnull}\n{\"c\":-1.5e3}"), "f.json",
					NULL, arena, &stream, &err), 0);
	assert_int_equal(stream.count, 2);
	assert_int_equal(stream.documents[0].line, 2);
	assert_int_equal(stream.documents[1].line, 9);
	struct json *list = json_get(stream.documents[0].value, "a\"");
	static const uint32_t lines[] = { 2, 3, 4, 5, 6 };
	for (size_t i = 0; i < COUNT_OF(lines); i++)
		assert_int_equal(json_at(list, i)->line, lines[i]);
	assert_int_equal(json_get(stream.documents[0].value, "b")->line, 8);
	assert_int_equal(json_get(stream.documents[1].value, "c")->line, 9);
}

static void yaml_says_why_json_failed_in_a_json_file(void **state)
{
	struct error err = ERROR_INIT;
	struct yaml_stream stream;

	(void)state;
	assert_int_equal(yaml_parse_any(SPAN("{\"a\": 1}\n{\"b\": }x"), "f.json", NULL, arena, &stream, &err), -1);
	says(&err, "BadJSON", "f.json:2: ");
}

/* --- documents and aliases --------------------------------------------------------------------------------------- */

static void yaml_and_json_may_begin_with_a_byte_order_mark(void **state)
{
	(void)state;
	assert_string_equal(json_get_text(first("\xef\xbb\xbf" "a: b\n"), "a"), "b");
	assert_string_equal(json_get_text(first("\xef\xbb\xbf{\"a\": \"b\"}"), "a"), "b");
	assert_int_equal(json_get(first("\xef\xbb\xbf\n{\"a\": 1}"), "a")->line, 2);
}

static void yaml_empty_documents_have_no_value(void **state)
{
	struct error err = ERROR_INIT;
	struct yaml_stream stream;

	(void)state;
	assert_int_equal(yaml_parse_any(SPAN("---\n# c\n---\na: 1\n---\n~\n"), "f", NULL, arena, &stream, &err), 0);
	assert_int_equal(stream.count, 3);
	assert_null(stream.documents[0].value);
	assert_non_null(stream.documents[1].value);
	assert_int_equal(stream.documents[1].line, 4);
	assert_null(stream.documents[2].value);
}

static void yaml_aliases_are_copies(void **state)
{
	struct json *value = first("a: &x {k: v}\nb: *x\nc: {<<: *x}\n");

	(void)state;
	json_set_string(arena, json_get(value, "b"), "k", "changed");
	assert_string_equal(json_get_text(json_get(value, "a"), "k"), "v");
	assert_string_equal(json_get_text(json_get(value, "c"), "k"), "v");
}

/* --- writing ------------------------------------------------------------------------------------------------------- */

static void round_trip(const struct json *value)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	struct error err = ERROR_INIT;
	struct yaml_stream stream;

	yaml_write(value, &text);
	if (yaml_parse(str_span(&text), "out", NULL, arena, &stream, &err))
		fail_msg("%s\n%s", err.text, str_c(&text));
	assert_int_equal(stream.count, 1);
	if (!json_equal(stream.documents[0].value ? stream.documents[0].value : json_null(arena), value))
		fail_msg("not the same again:\n%s", str_c(&text));
}

static void yaml_written_reads_back_the_same(void **state)
{
	static const char *const texts[] = {
		"", " ", "a", "a b", " a", "a ", "yes", "no", "null", "~", "1", "1.5", "0x1f", ".5", "-", "- a", "a: b", "a:", "a #b", "#a",
		"x\ny\n", "x\ny", "x\n\n", "x\n\n\n", "\n", "\nx", " x\ny", "x\n y\n  z\n", "x\n  \ny", "tab\tx", "\tx", "a\r\nb", "it's",
		"\"q\"", "back\\slash", "\x7f", "\xc2\x85", "\xe2\x80\xa8", "\xef\xbb\xbf", "\xc3\xa9", "\xf0\x9f\x98\x80", "<<", "=", "!x", "&x", "*x",
		"%x", "@x", "`x", "? x", "?", "[x", "{x", "a,b", "|", ">", "---", "...", "--- a", "2001-01-01", "x\n---\ny\n", "\x1b[31m",
		"x\xc2\x85y\nz",
	};
	struct json *list = json_array(arena), *object = json_object(arena);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		round_trip(json_string(arena, texts[i]));
		json_append_string(arena, list, texts[i]);
		json_set_string(arena, object, texts[i], texts[i]);
	}
	json_append(arena, list, json_array(arena));
	json_append(arena, list, json_object(arena));
	json_append(arena, list, json_copy(arena, list));
	json_append(arena, list, object);
	json_set(arena, object, "list", json_copy(arena, list));
	json_set(arena, object, "number", first("-1.5e-7"));
	round_trip(list);
	round_trip(object);
}

static void yaml_write_is_what_a_person_would_write(void **state)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	const char *source = "kind: ConfigMap\nmetadata:\n  name: a\n  finalizers:\n  - x\n  - k: v\n    l: []\ndata:\n  on: \"yes\"\n"
			     "  f: |\n    one\n    two\n";

	(void)state;
	yaml_write(first(source), &text);
	assert_string_equal(str_c(&text), "kind: ConfigMap\nmetadata:\n  name: a\n  finalizers:\n  - x\n  - k: v\n    l: []\ndata:\n"
					  "  \"true\": \"yes\"\n  f: |\n    one\n    two\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(yaml_reads_what_the_go_package_reads, setup, teardown),
		cmocka_unit_test_setup_teardown(yaml_refuses, setup, teardown),
		cmocka_unit_test_setup_teardown(yaml_ends_alias_bombs_quickly_and_in_little_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(yaml_counts_merged_aliases_too, setup, teardown),
		cmocka_unit_test_setup_teardown(yaml_depth_is_limited_exactly, setup, teardown),
		cmocka_unit_test_setup_teardown(yaml_sizes_are_limited_exactly, setup, teardown),
		cmocka_unit_test_setup_teardown(yaml_nodes_are_limited_in_yaml_and_in_json, setup, teardown),
		cmocka_unit_test_setup_teardown(yaml_budget_spans_files, setup, teardown),
		cmocka_unit_test_setup_teardown(yaml_errors_tell_no_scalar_and_no_tag, setup, teardown),
		cmocka_unit_test_setup_teardown(yaml_with_many_keys_is_not_quadratic, setup, teardown),
		cmocka_unit_test_setup_teardown(yaml_knows_the_line_of_every_node, setup, teardown),
		cmocka_unit_test_setup_teardown(yaml_knows_the_line_of_every_node_of_json, setup, teardown),
		cmocka_unit_test_setup_teardown(yaml_says_why_json_failed_in_a_json_file, setup, teardown),
		cmocka_unit_test_setup_teardown(yaml_and_json_may_begin_with_a_byte_order_mark, setup, teardown),
		cmocka_unit_test_setup_teardown(yaml_empty_documents_have_no_value, setup, teardown),
		cmocka_unit_test_setup_teardown(yaml_aliases_are_copies, setup, teardown),
		cmocka_unit_test_setup_teardown(yaml_written_reads_back_the_same, setup, teardown),
		cmocka_unit_test_setup_teardown(yaml_write_is_what_a_person_would_write, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
