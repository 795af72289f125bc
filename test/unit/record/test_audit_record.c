/* api/audit: what the setters write, and which lines the envelope's reader takes for a canonical record. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "api/audit.h"

#define ID "\"id\":\"01890a5d-ac96-774b-bcce-b302099a8057\""
#define BOOT "\"boot\":\"0123456789abcdef0123456789abcdef\""
#define T "\"t\":\"2026-01-02T03:04:05.000000001Z\""
#define GOOD "{" BOOT "," ID ",\"kind\":\"drift\",\"outcome\":\"ok\",\"seq\":7," T ",\"v\":1,\"ver\":\"0.1.0\"}"
/* a record with one more member before the others */
#define WITH(member) "{" member "," BOOT "," ID ",\"kind\":\"drift\",\"outcome\":\"ok\",\"seq\":7," T ",\"v\":1,\"ver\":\"0.1.0\"}"

static int read_line(const char *line, struct audit_envelope *out, size_t *at)
{
	return audit_envelope_read(span_of(line), out, at, NULL);
}

static void good_record_is_read(void **state)
{
	struct audit_envelope envelope;
	struct error err = ERROR_INIT;

	(void)state;
	if (audit_envelope_read(SPAN(GOOD), &envelope, NULL, &err))
		fail_msg("%s", err.text);
	assert_int_equal(envelope.seq, 7);
	assert_int_equal(envelope.kind, AUDIT_DRIFT);
	assert_int_equal(envelope.outcome, AUDIT_OK);
	assert_false(envelope.has_intent);
	assert_int_equal(envelope.id_bytes[0], 1);
	assert_int_equal(envelope.id_bytes[15], 0x57);
	assert_true(span_is(envelope.t, "2026-01-02T03:04:05.000000001Z"));
}

static void members_that_the_log_looks_for_are_found(void **state)
{
	struct audit_envelope envelope;

	(void)state;
	assert_int_equal(read_line(WITH("\"app\":\"a/b\""), &envelope, NULL), 0);
	assert_true(span_is(envelope.app, "a/b"));
	assert_int_equal(read_line("{" BOOT "," ID ",\"intent\":0,\"kind\":\"sync.result\",\"outcome\":\"unknown\",\"seq\":18446744073709551615," T
				   ",\"v\":1,\"ver\":\"x\"}", &envelope, NULL), 0);
	assert_true(envelope.has_intent);
	assert_int_equal(envelope.intent, 0);
	assert_true(envelope.seq == UINT64_MAX);
	assert_int_equal(read_line("{\"body\":{\"fields\":[\"objects\"],\"sha256\":\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\","
				   "\"size\":9}," BOOT "," ID ",\"kind\":\"drift\",\"outcome\":\"ok\",\"seq\":7," T ",\"v\":1,\"ver\":\"x\"}",
				   &envelope, NULL), 0);
	assert_int_equal(envelope.body.length, 64);
}

static void canonical_values_of_every_type_are_taken(void **state)
{
	static const char *const lines[] = {
		WITH("\"a\":{}"), WITH("\"a\":[]"), WITH("\"a\":null"), WITH("\"a\":true"), WITH("\"a\":false"), WITH("\"a\":0"), WITH("\"a\":-1"),
		WITH("\"a\":18446744073709551615"), WITH("\"a\":\"\""), WITH("\"a\":\"\\\"\\\\\\b\\f\\n\\r\\t\\u0000\\u001f\\u000b\x7f/\""),
		WITH("\"a\":[1,\"x\",{\"a\":1,\"b\":[2,3]},[]]"), WITH("\"\":1,\"a\":2"), WITH("\"a\":\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\""),
		WITH("\"a\\n\":1,\"a \":2"), WITH("\"a\\u0001\":1,\"a\\b\":2,\"a\\t\":3,\"a\\n\":4,\"a!\":5"),
	};
	struct audit_envelope envelope;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(lines); i++) {
		struct error err = ERROR_INIT;

		if (audit_envelope_read(span_of(lines[i]), &envelope, NULL, &err))
			fail_msg("%s: %s", lines[i], err.text);
	}
}

static void what_canonical_json_would_not_write_is_refused(void **state)
{
	static const struct {
		const char *line;
		size_t at;
	} cases[] = {
		{ "", 0 }, { "[]", 0 }, { " " GOOD, 0 }, { GOOD " ", sizeof(GOOD) - 1 }, { GOOD "\n", sizeof(GOOD) - 1 }, { "{}", 0 },
		{ WITH("\"a\" :1"), 4 }, { WITH("\"a\": 1"), 5 }, { WITH("\"a\":1 "), 6 }, { WITH("\"a\":01"), 7 }, { WITH("\"a\":-0"), 7 },
		{ WITH("\"a\":1.5"), 6 }, { WITH("\"a\":1e3"), 6 }, { WITH("\"a\":+1"), 5 }, { WITH("\"a\":-"), 6 },
		{ WITH("\"a\":18446744073709551616"), 24 }, { WITH("\"a\":1,\"a\":2"), 7 }, { WITH("\"b\":1,\"a\":2"), 7 },
		{ WITH("\"aa\":1,\"a\":2"), 8 }, { WITH("\"a\":{\"c\":1,\"b\":2}"), 12 }, { WITH("\"a\":\"\\/\""), 6 }, { WITH("\"a\":\"\\u000a\""), 6 },
		{ WITH("\"a\":\"\\u001F\""), 6 }, { WITH("\"a\":\"\\u0020\""), 6 }, { WITH("\"a\":\"\\u00e4\""), 6 }, { WITH("\"a\":\"\\x\""), 6 },
		{ WITH("\"a\":\"\n\""), 6 }, { WITH("\"a\":\"\x01\""), 6 }, { WITH("\"a\":\"\xff\""), 0 }, { WITH("\"a\":\"\xc0\x80\""), 0 },
		{ WITH("\"a\":\"\xed\xa0\x80\""), 0 }, { WITH("\"a\":[1,]"), 8 }, { WITH("\"a\":[,1]"), 6 }, { WITH("\"a\":nul"), 5 },
		{ WITH("\"a\":True"), 5 }, { WITH("\"a\":'x'"), 5 }, { WITH("\"a\\n\":1,\"a\\b\":2"), 9 }, { WITH("a:1"), 1 },
	};
	struct audit_envelope envelope;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		size_t at = 9999;

		if (!read_line(cases[i].line, &envelope, &at))
			fail_msg("%s: was taken for canonical", cases[i].line);
		if (at != cases[i].at)
			fail_msg("%s: got byte %zu, want %zu", cases[i].line, at, cases[i].at);
	}
}

static void envelope_must_be_whole_and_well_formed(void **state)
{
	static const char *const lines[] = {
		"{" ID ",\"kind\":\"drift\",\"outcome\":\"ok\",\"seq\":7," T ",\"v\":1,\"ver\":\"x\"}",
		"{" BOOT ",\"kind\":\"drift\",\"outcome\":\"ok\",\"seq\":7," T ",\"v\":1,\"ver\":\"x\"}",
		"{" BOOT "," ID ",\"outcome\":\"ok\",\"seq\":7," T ",\"v\":1,\"ver\":\"x\"}",
		"{" BOOT "," ID ",\"kind\":\"drift\",\"seq\":7," T ",\"v\":1,\"ver\":\"x\"}",
		"{" BOOT "," ID ",\"kind\":\"drift\",\"outcome\":\"ok\"," T ",\"v\":1,\"ver\":\"x\"}",
		"{" BOOT "," ID ",\"kind\":\"drift\",\"outcome\":\"ok\",\"seq\":7,\"v\":1,\"ver\":\"x\"}",
		"{" BOOT "," ID ",\"kind\":\"drift\",\"outcome\":\"ok\",\"seq\":7," T ",\"ver\":\"x\"}",
		"{" BOOT "," ID ",\"kind\":\"drift\",\"outcome\":\"ok\",\"seq\":7," T ",\"v\":1}",
		"{" BOOT "," ID ",\"kind\":\"drift\",\"outcome\":\"ok\",\"seq\":7," T ",\"v\":2,\"ver\":\"x\"}",
		"{" BOOT "," ID ",\"kind\":\"drift\",\"outcome\":\"ok\",\"seq\":-7," T ",\"v\":1,\"ver\":\"x\"}",
		"{" BOOT "," ID ",\"kind\":\"drift\",\"outcome\":\"ok\",\"seq\":\"7\"," T ",\"v\":1,\"ver\":\"x\"}",
		"{" BOOT "," ID ",\"kind\":\"drifted\",\"outcome\":\"ok\",\"seq\":7," T ",\"v\":1,\"ver\":\"x\"}",
		"{" BOOT "," ID ",\"kind\":\"drift\",\"outcome\":\"fine\",\"seq\":7," T ",\"v\":1,\"ver\":\"x\"}",
		"{" BOOT "," ID ",\"kind\":\"drift\",\"outcome\":\"ok\",\"seq\":7,\"t\":\"2026-01-02T03:04:05Z\",\"v\":1,\"ver\":\"x\"}",
		"{" BOOT "," ID ",\"kind\":\"drift\",\"outcome\":\"ok\",\"seq\":7,\"t\":\"2026-13-02T03:04:05.000000001Z\",\"v\":1,\"ver\":\"x\"}",
		"{" BOOT "," ID ",\"kind\":\"drift\",\"outcome\":\"ok\",\"seq\":7,\"t\":\"2026-01-02T24:04:05.000000001Z\",\"v\":1,\"ver\":\"x\"}",
		"{" BOOT ",\"id\":\"01890a5d-ac96-474b-bcce-b302099a8057\",\"kind\":\"drift\",\"outcome\":\"ok\",\"seq\":7," T ",\"v\":1,\"ver\":\"x\"}",
		"{" BOOT ",\"id\":\"01890A5D-ac96-774b-bcce-b302099a8057\",\"kind\":\"drift\",\"outcome\":\"ok\",\"seq\":7," T ",\"v\":1,\"ver\":\"x\"}",
		"{\"boot\":\"x\"," ID ",\"kind\":\"drift\",\"outcome\":\"ok\",\"seq\":7," T ",\"v\":1,\"ver\":\"x\"}",
		"{" BOOT "," ID ",\"kind\":\"drift\",\"outcome\":\"ok\",\"seq\":7," T ",\"v\":1,\"ver\":\"\"}",
		WITH("\"body\":{\"sha256\":\"x\"}"),
	};
	struct audit_envelope envelope;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(lines); i++)
		if (!read_line(lines[i], &envelope, NULL))
			fail_msg("%s: was taken for a record", lines[i]);
}

/* Each byte of `member` of the good record made each other byte: whether the line is still taken must be what `form` says. */
static void try_bytes(const char *member, bool (*form)(size_t at, uint8_t c))
{
	const char *value = strstr(strstr(GOOD, member), ":\"") + 2;
	size_t from = (size_t)(value - GOOD), length = strcspn(value, "\"");

	for (size_t at = 0; at < length; at++)
		for (int c = 0; c < 256; c++) {
			char line[] = GOOD;
			struct audit_envelope envelope;

			line[from + at] = (char)c;
			if (audit_envelope_read(SPAN(line), &envelope, NULL, NULL) != (form(at, (uint8_t)c) ? 0 : -1))
				fail_msg("%s with byte 0x%02x at %zu: taken or refused where it should not be", member, (unsigned)c, at);
		}
}

static bool is_hex(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static bool fits_boot(size_t at, uint8_t c)
{
	(void)at;
	return is_hex(c);
}

static bool fits_id(size_t at, uint8_t c)
{
	if (at == 8 || at == 13 || at == 18 || at == 23)
		return c == '-';
	if (at == 14)
		return c == '7';
	return at == 19 ? c == '8' || c == '9' || c == 'a' || c == 'b' : is_hex(c);
}

/* Each byte of 2026-01-02T03:04:05.000000001Z by itself. */
static bool fits_time(size_t at, uint8_t c)
{
	static const char least[] = "2000-01-01T00:00:00.000000000Z", most[] = "9999-19-29T29:59:59.999999999Z";

	return c >= (uint8_t)least[at] && c <= (uint8_t)most[at];
}

static void every_byte_of_id_boot_and_time_is_looked_at(void **state)
{
	(void)state;
	try_bytes("\"boot\"", fits_boot);
	try_bytes("\"id\"", fits_id);
	try_bytes("\"t\"", fits_time);
}

static void no_beginning_of_a_record_is_a_record(void **state)
{
	static const char good[] = WITH("\"a\":[{\"b\":\"x\\n\\u0001\"},-12,true,null]");
	struct audit_envelope envelope;

	(void)state;
	assert_int_equal(audit_envelope_read(SPAN(good), &envelope, NULL, NULL), 0);
	for (size_t i = 0; i < sizeof(good) - 1; i++) {
		CLEANUP(mem_cleanup) char *cut = mem_strndup(good, i); /* so that a sanitizer sees a byte read too far */

		assert_int_equal(audit_envelope_read(span_make(cut, i), &envelope, NULL, NULL), -1);
	}
}

static void nesting_ends_where_cleaning_ends_it(void **state)
{
	for (size_t depth = 1; depth < 100; depth++) {
		CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
		CLEANUP(str_release) struct str text = STR_INIT;
		struct json *record, *inner;
		struct audit_envelope envelope;

		(void)state;
		assert_int_equal(json_parse(SPAN(GOOD), arena, 0, &record, NULL), 0);
		inner = json_set(arena, record, "a", json_array(arena));
		for (size_t i = 1; i < depth; i++)
			inner = json_append(arena, inner, json_array(arena));
		json_write(audit_clean(arena, record), JSON_SORTED, &text);
		assert_int_equal(audit_envelope_read(str_span(&text), &envelope, NULL, NULL), 0);
		assert_true((strstr(str_c(&text), "null") != NULL) == (depth >= AUDIT_DEPTH));
	}
}

static void texts_are_made_fit_to_be_written(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "plain", "plain" },
		{ "\xff", "\xef\xbf\xbd" },
		{ "a\xc3", "a\xef\xbf\xbd" },
		{ "\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xc3\xa4\xff\xf0\x9f\x98\x80", "\xc3\xa4\xef\xbf\xbd\xf0\x9f\x98\x80" },
	};
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct json *number;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		assert_string_equal(json_text(audit_clean(arena, json_string(arena, cases[i].in))), cases[i].out);
	assert_int_equal(json_parse(SPAN("{\"a\":[1.50]}"), arena, 0, &number, NULL), 0);
	number = audit_clean(arena, number);
	assert_string_equal(json_text(json_at(json_get(number, "a"), 0)), "1.50");
}

static const struct audit_object web = { .group = "apps", .version = "v1", .kind = "Deployment", .resource = "deployments", .ns = "shop",
					 .name = "web", .op = "apply", .as = "bank:teller", .why = "image changed" };

static void setters_write_what_the_format_says(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	CLEANUP(str_release) struct str text = STR_INIT;
	struct json *record = audit_record(arena, AUDIT_SYNC_INTENT, AUDIT_ALLOW);
	struct audit_actor actor = { .type = "user", .user = "jane", .ip = "" };
	struct audit_git git = { .repo = "https://git.example/shop.git", .commit = "0123" };
	struct audit_image image = { .ref = "r/a:1", .digest = "sha256:00", .verdict = "allow", .file = "a.yaml", .line = 3 };

	(void)state;
	audit_set_app(arena, record, "cs/shop", "shop", NULL, "shop");
	audit_set_as(arena, record, "shop:applier");
	audit_set_actor(arena, record, &actor);
	audit_set_git(arena, record, &git);
	audit_set_reason(arena, record, "", NULL);
	audit_add_image(arena, record, &image);
	audit_add_object(arena, record, &web);
	audit_name_objects(arena, record, "0a", 9);
	json_write(record, JSON_SORTED, &text);
	assert_string_equal(str_c(&text),
			    "{\"actor\":{\"type\":\"user\",\"user\":\"jane\"},\"app\":\"cs/shop\",\"as\":\"system:serviceaccount:shop:applier\","
			    "\"git\":{\"commit\":\"0123\",\"repo\":\"https://git.example/shop.git\"},"
			    "\"images\":[{\"digest\":\"sha256:00\",\"file\":\"a.yaml\",\"line\":3,\"ref\":\"r/a:1\",\"verdict\":\"allow\"}],"
			    "\"kind\":\"sync.intent\",\"ns\":\"shop\",\"objects\":[{\"as\":\"system:serviceaccount:bank:teller\",\"audit_id\":\"0a.9.0\","
			    "\"gvk\":\"apps/v1/Deployment\",\"name\":\"web\",\"ns\":\"shop\",\"op\":\"apply\",\"resource\":\"deployments\","
			    "\"why\":\"image changed\"}],\"outcome\":\"allow\",\"project\":\"shop\"}");
}

static void result_names_its_intent_and_takes_its_objects_over(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct json *intent = audit_record(arena, AUDIT_SYNC_INTENT, AUDIT_ALLOW), *result, *object;

	(void)state;
	audit_set_app(arena, intent, "cs/shop", "shop", NULL, "shop");
	audit_add_object(arena, intent, &web);
	audit_name_objects(arena, intent, "0a", 9);
	json_set_int(arena, intent, "seq", 9);
	result = audit_result(arena, intent, AUDIT_FAIL);
	object = json_at(json_get(result, "objects"), 0);
	audit_add_attempt(arena, object, 1, 429);
	audit_add_attempt(arena, object, 2, 0);
	audit_set_recovered(arena, result);
	assert_int_equal(json_get_int(result, "intent", -1), 9);
	assert_string_equal(json_get_text(result, "kind"), "sync.result");
	assert_string_equal(json_get_text(result, "app"), "cs/shop");
	assert_true(json_get_bool(result, "recovered", false));
	assert_string_equal(json_get_text(json_at(json_get(object, "attempts"), 1), "audit_id"), "0a.9.0.2");
	assert_int_equal(json_get_int(json_at(json_get(object, "attempts"), 0), "code", -1), 429);
	assert_null(json_get(json_at(json_get(intent, "objects"), 0), "attempts"));
}

static void names_of_kinds_and_outcomes_are_read_back(void **state)
{
	(void)state;
	for (int i = AUDIT_LOG_START; i <= AUDIT_CLUSTER_RESTORED; i++) {
		enum audit_kind kind;

		assert_true(audit_kind_parse(span_of(audit_kind_name((enum audit_kind)i)), &kind));
		assert_int_equal(kind, i);
	}
	for (int i = AUDIT_UNKNOWN; i <= AUDIT_FAIL; i++) {
		enum audit_outcome outcome;

		assert_true(audit_outcome_parse(span_of(audit_outcome_name((enum audit_outcome)i)), &outcome));
		assert_int_equal(outcome, i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_record_is_read),
		cmocka_unit_test(members_that_the_log_looks_for_are_found),
		cmocka_unit_test(canonical_values_of_every_type_are_taken),
		cmocka_unit_test(what_canonical_json_would_not_write_is_refused),
		cmocka_unit_test(envelope_must_be_whole_and_well_formed),
		cmocka_unit_test(every_byte_of_id_boot_and_time_is_looked_at),
		cmocka_unit_test(no_beginning_of_a_record_is_a_record),
		cmocka_unit_test(nesting_ends_where_cleaning_ends_it),
		cmocka_unit_test(texts_are_made_fit_to_be_written),
		cmocka_unit_test(setters_write_what_the_format_says),
		cmocka_unit_test(result_names_its_intent_and_takes_its_objects_over),
		cmocka_unit_test(names_of_kinds_and_outcomes_are_read_back),
	};

	return cmocka_run_group_tests_name("audit_record", tests, NULL, NULL);
}
