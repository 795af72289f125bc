/* What a restart says of writes that were announced and have no result: only what the object itself tells. */
#include "unit.h"

#include "base/clock.h"
#include "reconcile/live_record.h"
#include "reconcile/recover.h"

#define MARK "'annotations':{'countersign.dev/tracking-id':'cs/shop:/ConfigMap:shop/x'}"
#define APPLIED(time) "'managedFields':[{'manager':'kubectl','operation':'Update','time':'2026-06-01T12:00:09Z'}," \
		      "{'manager':'countersign','operation':'Apply','time':'" time "'}]"
#define LIVE(uid, version, more) "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'x','namespace':'shop','uid':'" uid "'," \
				 "'resourceVersion':'" version "'" more "}}"
#define OURS "," MARK
#define OLD OURS "," APPLIED("2026-06-01T11:59:58Z")
#define NEW OURS "," APPLIED("2026-06-01T12:00:00Z")
#define UNMARKED(time) "," APPLIED("2026-06-01T" time "Z")
#define GOING ",'deletionTimestamp':'2026-06-01T12:00:01Z'"
/* The intent is of 12:00:00.5. */
#define UPDATE "{'op':'update','uid':'u','rv_before':'7'}"
#define HEAL "{'op':'heal','uid':'u','rv_before':'7'}"
#define ADOPT "{'op':'adopt','uid':'u','rv_before':'7'}"
#define DELETE "{'op':'delete','uid':'u'}"

static void what_became_of_a_write_is_what_the_object_tells(void **state)
{
	static const struct { const char *name, *announced, *live, *want; } cases[] = {
		{ "made", "{'op':'create'}", LIVE("u", "8", NEW), "ok" },
		{ "not made", "{'op':'create'}", NULL, "not-done" },
		{ "made by somebody else", "{'op':'create'}", LIVE("u", "8", ""), "not-done" },
		{ "made anew", "{'op':'heal'}", LIVE("v", "8", NEW), "ok" },
		{ "updated", UPDATE, LIVE("u", "8", NEW), "ok" },
		{ "not updated, at the same version", UPDATE, LIVE("u", "7", OLD), "not-done" },
		{ "not updated, though the one before it was of the same second", UPDATE, LIVE("u", "7", NEW), "not-done" },
		{ "not updated, and written by somebody else", UPDATE, LIVE("u", "9", OLD), "not-done" },
		{ "announced before versions were", "{'op':'update','uid':'u'}", LIVE("u", "7", OLD), "not-done" },
		{ "updated, and its mark taken off", UPDATE, LIVE("u", "9", "," APPLIED("2026-06-01T12:00:00Z")), "ok" },
		{ "healed", HEAL, LIVE("u", "8", NEW), "ok" },
		{ "not healed", HEAL, LIVE("u", "7", OLD), "not-done" },
		{ "healed by taking out, or written by somebody else", HEAL, LIVE("u", "8", OLD), "unknown" },
		{ "adopted", ADOPT, LIVE("u", "8", OLD), "ok" },
		{ "not adopted", ADOPT, LIVE("u", "7", ""), "not-done" },
		{ "not adopted, and written by somebody else", ADOPT, LIVE("u", "8", ""), "not-done" },
		{ "adopted half way: its fields are ours already, with the time that they had", ADOPT, LIVE("u", "8", UNMARKED("11:59:58")), "unknown" },
		{ "not adopted, though it had fields of ours", ADOPT, LIVE("u", "7", UNMARKED("11:59:58")), "not-done" },
		{ "made, or by another Application: a namespace bears no mark", "{'op':'create'}", LIVE("u", "8", UNMARKED("12:00:00")), "unknown" },
		{ "made before by another Application", "{'op':'create'}", LIVE("u", "8", UNMARKED("11:59:58")), "not-done" },
		{ "deleted", DELETE, NULL, "ok" },
		{ "going", DELETE, LIVE("u", "8", OURS GOING), "ok" },
		{ "not deleted", DELETE, LIVE("u", "7", OURS), "not-done" },
		{ "not deleted, and its mark taken off", DELETE, LIVE("u", "8", ""), "not-done" },
		{ "deleted, and made anew", DELETE, LIVE("v", "8", OURS), "ok" },
		{ "not deleted, of an intent that knew no uid", "{'op':'delete','uid':''}", LIVE("u", "7", OURS), "not-done" },
		{ "another's, of an intent that knew no uid", "{'op':'delete','uid':''}", LIVE("u", "7", ""), "ok" },
	};
	int64_t at_ns;

	(void)state;
	assert_true(time_parse(SPAN("2026-06-01T12:00:00.5Z"), &at_ns));
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		WITH_ARENA(arena);
		const struct json *live = cases[i].live ? J(arena, cases[i].live) : NULL;

		ASSERT_TEXT(cases[i].name, recover_outcome(J(arena, cases[i].announced), live, NULL, "cs/shop", at_ns), cases[i].want);
	}
}

static const struct json *with_state(struct arena *arena, const char *announced, const struct json *before)
{
	struct json *object = J(arena, announced);
	struct digest state = live_state_of(before, NULL);
	char hex[DIGEST_HEX];

	digest_hex(&state, hex);
	json_set_string(arena, object, "state_before", hex);
	return object;
}

#define ENTRY(operation, at, fields) "{'manager':'countersign','operation':'" operation "','time':'" at "','fieldsV1':{'f:spec':{" fields "}}}"
#define OBJECT(version, entries, spec) \
	"{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'name':'x','namespace':'shop','uid':'u','resourceVersion':'" version "'" OURS \
	",'managedFields':[" entries "]},'spec':{" spec "}}"
#define DEPLOYMENT(version, at, replicas, more) OBJECT(version, ENTRY("Apply", at, "'f:replicas':{}"), "'replicas':" replicas more)
#define PLAIN DEPLOYMENT("7", JUST, "5", "")
/* What a webhook adds to a request of ours, or somebody writes in our name, is held by an entry of ours that is no apply. */
#define IMAGE(version) \
	OBJECT(version, ENTRY("Apply", JUST, "'f:replicas':{}") "," \
	       ENTRY("Update", "2026-06-01T11:00:00Z", "'f:template':{'f:spec':{'f:containers':{'f:image':{}}}}"), \
	       "'replicas':5,'template':{'spec':{'containers':[{'name':'more','image':'more'}]}}")
#define JUST "2026-06-01T12:00:00Z"
#define BEFORE(op) "{'op':'" op "','uid':'u','rv_before':'7','applied_before':'" JUST "'}"

/* The apply before it was of the second in which this one was announced. */
static void what_others_note_on_an_object_is_no_write_of_ours(void **state)
{
	static const struct { const char *name, *before, *announced, *live, *want; } cases[] = {
		{ "its controller wrote the status", PLAIN, BEFORE("heal"), DEPLOYMENT("8", JUST, "5", "},'status':{'replicas':5"), "not-done" },
		{ "and before an update", PLAIN, BEFORE("update"), DEPLOYMENT("8", JUST, "5", "},'status':{'replicas':5"), "not-done" },
		{ "healed in the same second", PLAIN, BEFORE("heal"), DEPLOYMENT("8", JUST, "2", ""), "ok" },
		{ "healed later, and changed once more", PLAIN, BEFORE("heal"), DEPLOYMENT("9", "2026-06-01T12:00:01Z", "5", ""), "ok" },
		{ "an image in our own name was taken out", IMAGE("7"), BEFORE("heal"), DEPLOYMENT("8", JUST, "5", ""), "ok" },
		{ "it is there still", IMAGE("7"), BEFORE("heal"), IMAGE("8"), "not-done" },
	};
	int64_t at_ns;

	(void)state;
	assert_true(time_parse(SPAN("2026-06-01T12:00:00.5Z"), &at_ns));
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		WITH_ARENA(arena);
		const struct json *announced = with_state(arena, cases[i].announced, J(arena, cases[i].before));

		ASSERT_TEXT(cases[i].name, recover_outcome(announced, J(arena, cases[i].live), NULL, "cs/shop", at_ns), cases[i].want);
	}
}

static void what_a_watch_keeps_of_an_object_is_told_from_the_object_alike(void **state)
{
	static const char *const objects[] = { PLAIN, IMAGE("7"), DEPLOYMENT("8", JUST, "5", ",'template':{'spec':{'hostNetwork':true}}") };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(objects); i++) {
		WITH_ARENA(arena);
		const struct json *object = J(arena, objects[i]);
		struct live_object *record = record_new("Deployment shop/x");
		struct digest kept, read = live_state_of(object, NULL);

		record_take(record, object, NULL, arena);
		kept = live_state(record);
		assert_true(digest_equal(&kept, &read));
		record_free(record);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_became_of_a_write_is_what_the_object_tells),
		cmocka_unit_test(what_others_note_on_an_object_is_no_write_of_ours),
		cmocka_unit_test(what_a_watch_keeps_of_an_object_is_told_from_the_object_alike),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
