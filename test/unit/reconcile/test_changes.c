/* Changed settings are recorded, and what changed while there was no log as soon as there is one. */
#include "unit.h"

#include "record/audit_log.h"
#include "reconcile/changes.h"

static struct {
	struct core core;
	bool ok;
	unsigned count;
	char records[8][512];
	void (*on_durable)(void *, uint64_t, const struct error *);
	void *data[8];
} world;

static bool fake_ok(const struct audit_log *log, struct error *err)
{
	(void)log;
	(void)err;
	return world.ok;
}

static uint64_t fake_append(struct audit_log *log, struct json *fields, void (*on_durable)(void *, uint64_t, const struct error *), void *data)
{
	CLEANUP(str_release) struct str text = STR_INIT;

	(void)log;
	json_write(fields, JSON_SORTED, &text);
	assert_in_range(world.count, 0, 7);
	snprintf(world.records[world.count], sizeof(world.records[0]), "%s", str_c(&text));
	world.on_durable = on_durable;
	world.data[world.count] = data;
	return world.count++;
}

#define audit_log_ok fake_ok
#define audit_log_append fake_append
#include "reconcile/changes.c"
#undef audit_log_ok
#undef audit_log_append

#define POLICY "{'metadata':{'name':'p','namespace':'cs','generation':2,'managedFields':[{'manager':'kubectl','time':'2026-06-01T12:00:00Z'}]},'spec':{'a':1}}"
#define SECRET "{'metadata':{'name':'key','namespace':'cs'},'data':{'cosign.pub':'QQ=='}}"

static struct changes *begin(bool ok)
{
	static char log;

	memset(&world, 0, sizeof(world));
	world.core.audit = (struct audit_log *)&log;
	world.ok = ok;
	return changes_new(&world.core);
}

static void answer(unsigned number, bool good)
{
	const struct error broken = { ERROR_TRANSIENT, "AuditUnavailable", "broken" };

	world.on_durable(world.data[number], number, good ? NULL : &broken);
}

static void a_change_is_recorded_with_who_wrote_it_and_no_secret(void **state)
{
	WITH_ARENA(arena);
	struct changes *changes = begin(true);

	(void)state;
	changes_record(changes, "ImagePolicy", J(arena, POLICY), "update");
	changes_record(changes, "Secret", J(arena, SECRET), "create");
	assert_int_equal(world.count, 2);
	assert_non_null(strstr(world.records[0], "\"user\":\"kubectl\""));
	assert_non_null(strstr(world.records[0], "\"spec_sha256\":\""));
	ASSERT_TEXT("a Secret", world.records[1],
		    "{\"config\":{\"generation\":0,\"kind\":\"Secret\",\"name\":\"key\",\"namespace\":\"cs\",\"op\":\"create\"},\"kind\":\"config.change\",\"outcome\":\"ok\"}");
	answer(1, true);
	answer(0, true);
	changes_record_waiting(changes);
	assert_int_equal(world.count, 2);
	changes_free(changes);
}

static void what_changed_without_a_log_is_recorded_when_there_is_one(void **state)
{
	WITH_ARENA(arena);
	struct changes *changes = begin(true);

	(void)state;
	/* the first is on its way when the log breaks; of the second it cannot be told; for the third there is none at all */
	changes_record(changes, "ImagePolicy", J(arena, POLICY), "create");
	answer(0, false);
	world.ok = false;
	changes_record(changes, "ImagePolicy", J(arena, POLICY), "update");
	world.core.audit = NULL;
	changes_record(changes, "ImagePolicy", J(arena, POLICY), "delete");
	changes_record_waiting(changes);
	assert_int_equal(world.count, 1);
	world.core.audit = (struct audit_log *)&world;
	world.ok = true;
	changes_record_waiting(changes);
	assert_int_equal(world.count, 4);
	for (unsigned i = 1; i < 4; i++) {
		static const char *const ops[] = { NULL, "\"op\":\"create\"", "\"op\":\"update\"", "\"op\":\"delete\"" };

		assert_non_null(strstr(world.records[i], ops[i]));
		assert_non_null(strstr(world.records[i], "\"seen\":\"20"));
	}
	/* in any order, and once each */
	changes_record_waiting(changes);
	assert_int_equal(world.count, 4);
	answer(3, true);
	answer(1, true);
	answer(2, true);
	changes_record(changes, "ImagePolicy", J(arena, POLICY), "create");
	assert_int_equal(world.count, 5);
	changes_free(changes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_change_is_recorded_with_who_wrote_it_and_no_secret),
		cmocka_unit_test(what_changed_without_a_log_is_recorded_when_there_is_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
