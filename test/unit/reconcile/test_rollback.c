/* Steps back of the cluster: what is kept of it on our volume, and who is held until when. Each test has a folder of its own. */
#include "unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reconcile/run.h"
#include "reconcile/rollback.h"

static struct {
	char folder[64], file[96], said[96];
	struct core core;
	struct core_options options;
	struct rollback *rollback;
	unsigned stops, records;
	void (*on_durable)(void *, uint64_t, const struct error *);
	void *durable_data;
	int stderr_kept;
} world;

static void fake_stop(struct core *core, int exit_status)
{
	assert_ptr_equal(core, &world.core);
	assert_int_equal(exit_status, 1);
	world.stops++;
}

static uint64_t fake_append(struct audit_log *log, struct json *fields,
			    void (*on_durable)(void *, uint64_t, const struct error *), void *data)
{
	(void)log;
	world.on_durable = on_durable;
	world.durable_data = data;
	ASSERT_TEXT("kind", json_get_text(fields, "kind"), "cluster.restored");
	ASSERT_TEXT("from", json_get_text(fields, "from_version"), "900");
	ASSERT_TEXT("to", json_get_text(fields, "to_version"), "400");
	return world.records++;
}

static bool fake_ahead(const struct kube *kube, int64_t *seconds)
{
	(void)kube;
	*seconds = 0;
	return true;
}

#define core_stop fake_stop
#define audit_log_append fake_append
#define kube_clock_ahead fake_ahead
#include "reconcile/rollback.c"
#undef core_stop
#undef audit_log_append
#undef kube_clock_ahead

/* --- the world --------------------------------------------------------------------------------------------------- */

static void start(void)
{
	world.rollback = rollback_new(&world.core);
}

/* What a restart is to it. */
static void again(void)
{
	rollback_free(TAKE(world.rollback));
	start();
}

/* The process's stderr goes into a file of the test's folder: warnings are counted there. */
static void listen_to_stderr(void)
{
	int fd = open(world.said, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	fflush(stderr);
	world.stderr_kept = dup(STDERR_FILENO);
	assert_true(fd >= 0 && dup2(fd, STDERR_FILENO) >= 0);
	close(fd);
}

static int begin(void **state)
{
	(void)state;
	memset(&world, 0, sizeof(world));
	snprintf(world.folder, sizeof(world.folder), "/tmp/test_rollback.XXXXXX");
	if (!mkdtemp(world.folder))
		return -1;
	snprintf(world.file, sizeof(world.file), "%s/cluster.json", world.folder);
	snprintf(world.said, sizeof(world.said), "%s/stderr", world.folder);
	world.options.data_dir = world.folder;
	world.core.options = &world.options;
	world.core.audit = (struct audit_log *)&world; /* there is one: fake_append does not look at it */
	listen_to_stderr();
	start();
	return 0;
}

static int end(void **state)
{
	CLEANUP(str_release) struct str command = STR_INIT;

	(void)state;
	unsetenv("COUNTERSIGN_FAULT");
	rollback_free(TAKE(world.rollback));
	dup2(world.stderr_kept, STDERR_FILENO);
	close(world.stderr_kept);
	str_addf(&command, "rm -rf %s", world.folder);
	return system(str_c(&command));
}

/* How often a line with this text was written. */
static unsigned told(const char *text)
{
	CLEANUP(str_release) struct str said = STR_INIT;
	unsigned count = 0;

	assert_int_equal(file_read(world.said, 1 << 20, &said, NULL), 0);
	for (const char *at = str_c(&said); (at = strstr(at, text)) != NULL; at++)
		count++;
	return count;
}

/* As if the pause between two writings of the file were over. */
static void save_is_due(void)
{
	world.rollback->saved_ms = 0;
}

static void write_file(const char *text)
{
	assert_int_equal(file_write(world.file, span_of(text), 0600, NULL), 0);
}

static const char *content(struct arena *arena)
{
	CLEANUP(str_release) struct str text = STR_INIT;

	return file_read(world.file, 1 << 20, &text, NULL) ? "none" : arena_strndup(arena, str_span(&text));
}

/* The n-th call, from now on in this process, of the place by which a file comes to be. */
static void break_disk(const char *plan)
{
	setenv("COUNTERSIGN_FAULT", plan, 1);
}

/* An Application that was made long before any step back, in a run that a person asked for or not. */
struct asked {
	struct app app;
	struct run run;
};

static struct run *run_of(struct arena *arena, struct asked *asked, const char *key, bool manual)
{
	asked->app.key = arena_strdup(arena, key);
	asked->run.app = &asked->app;
	asked->run.manual = manual;
	asked->run.spec.object = J(arena, "{'metadata':{'creationTimestamp':'2020-01-01T00:00:00Z'}}");
	return &asked->run;
}

static bool held(const char *key, bool manual)
{
	WITH_ARENA(arena);
	struct asked asked = { 0 };
	struct error err = ERROR_INIT;
	int rc = rollback_check(world.rollback, run_of(arena, &asked, key, manual), &err);

	if (rc)
		ASSERT_TEXT("reason", err.reason, "ClusterRestored");
	return rc != 0;
}

static void step_back_from_900_to_400(void)
{
	rollback_saw(world.rollback, 900);
	rollback_saw(world.rollback, 400);
}

/* --- what must hold ------------------------------------------------------------------------------------------------ */

static void first_start_knows_nothing_and_holds_nobody(void **state)
{
	WITH_ARENA(arena);

	(void)state;
	ASSERT_TEXT("file", content(arena), "none");
	assert_int_equal(told("WARN") + told("warn"), 0);
	assert_false(held("ns/app", false));
	rollback_saw(world.rollback, 5);
	ASSERT_TEXT("file", content(arena), "{\"version\":5}");
	assert_int_equal(world.stops, 0);
}

static void version_is_kept_at_once_then_now_and_again_and_at_the_end(void **state)
{
	WITH_ARENA(arena);

	(void)state;
	rollback_saw(world.rollback, 5);
	rollback_saw(world.rollback, 6);
	rollback_saw(world.rollback, 7);
	ASSERT_TEXT("file, within the pause", content(arena), "{\"version\":5}");
	save_is_due();
	rollback_saw(world.rollback, 8);
	ASSERT_TEXT("file, after it", content(arena), "{\"version\":8}");
	rollback_saw(world.rollback, 9);
	again();
	ASSERT_TEXT("file, at the end", content(arena), "{\"version\":9}");
}

static void same_version_again_is_no_step_back(void **state)
{
	(void)state;
	rollback_saw(world.rollback, 900);
	rollback_saw(world.rollback, 900);
	again();
	rollback_saw(world.rollback, 900);
	assert_int_equal(world.stops, 0);
	assert_false(held("ns/app", false));
}

static void step_back_while_we_run_stops_us_and_holds_all_after_the_restart(void **state)
{
	(void)state;
	step_back_from_900_to_400();
	assert_int_equal(world.stops, 1);
	assert_int_equal(told("went back to an older state"), 1);
	again();
	assert_true(held("ns/app", false));
	rollback_saw(world.rollback, 401);
	assert_int_equal(world.stops, 1);
}

static void step_back_while_we_were_down_is_noticed_by_what_was_kept(void **state)
{
	(void)state;
	rollback_saw(world.rollback, 900);
	again();
	rollback_saw(world.rollback, 400);
	assert_int_equal(world.stops, 1);
	again();
	assert_true(held("ns/app", false));
}

static void step_back_is_recorded_once_and_only_with_a_log(void **state)
{
	struct audit_log *log = world.core.audit;

	(void)state;
	rollback_record(world.rollback);
	assert_int_equal(world.records, 0);
	step_back_from_900_to_400();
	again();
	world.core.audit = NULL;
	rollback_record(world.rollback);
	assert_int_equal(world.records, 0);
	world.core.audit = log;
	rollback_record(world.rollback);
	rollback_record(world.rollback);
	world.on_durable(world.durable_data, 0, NULL);
	rollback_record(world.rollback);
	again();
	rollback_record(world.rollback);
	assert_int_equal(world.records, 1);
}

static void step_back_whose_record_did_not_become_durable_is_recorded_again(void **state)
{
	struct error err = ERROR_INIT;

	(void)state;
	step_back_from_900_to_400();
	again();
	rollback_record(world.rollback);
	/* a crash before the log was written */
	again();
	rollback_record(world.rollback);
	assert_int_equal(world.records, 2);
	error_set(&err, ERROR_TRANSIENT, "NoSpace", "no space left");
	world.on_durable(world.durable_data, 0, &err);
	rollback_record(world.rollback);
	assert_int_equal(world.records, 3);
}

static void persons_sync_releases_that_application_alone_and_for_good(void **state)
{
	(void)state;
	step_back_from_900_to_400();
	again();
	assert_true(held("ns/one", false));
	assert_false(held("ns/one", true));
	assert_false(held("ns/one", false));
	assert_true(held("ns/two", false));
	again();
	assert_false(held("ns/one", false));
	assert_true(held("ns/two", false));
}

static void persons_dry_run_releases_nothing(void **state)
{
	WITH_ARENA(arena);
	struct asked asked = { .run.operation_dry_run = true };
	struct error err = ERROR_INIT;

	(void)state;
	step_back_from_900_to_400();
	assert_int_equal(rollback_check(world.rollback, run_of(arena, &asked, "ns/one", true), &err), -1);
	assert_true(held("ns/one", false));
}

static void second_step_back_holds_those_again_that_were_released(void **state)
{
	(void)state;
	step_back_from_900_to_400();
	assert_false(held("ns/one", true));
	rollback_saw(world.rollback, 950);
	rollback_saw(world.rollback, 300);
	again();
	assert_true(held("ns/one", false));
}

static void what_was_decided_since_is_not_held(void **state)
{
	WITH_ARENA(arena);
	struct asked made = { 0 }, gone = { .run.spec.deleting = true }, old = { .run.spec.deleting = true };
	struct error err = ERROR_INIT;

	(void)state;
	step_back_from_900_to_400();
	run_of(arena, &made, "ns/new", false)->spec.object =
	    J(arena, "{'metadata':{'creationTimestamp':'2190-01-01T00:00:00Z'}}");
	assert_int_equal(rollback_check(world.rollback, &made.run, &err), 0);
	run_of(arena, &gone, "ns/gone", false)->spec.object =
	    J(arena, "{'metadata':{'creationTimestamp':'2020-01-01T00:00:00Z','deletionTimestamp':'2190-01-01T00:00:00Z'}}");
	assert_int_equal(rollback_check(world.rollback, &gone.run, &err), 0);
	run_of(arena, &old, "ns/old", false)->spec.object =
	    J(arena, "{'metadata':{'creationTimestamp':'2190-01-01T00:00:00Z','deletionTimestamp':'2020-01-01T00:00:00Z'}}");
	assert_int_equal(rollback_check(world.rollback, &old.run, &err), -1);
}

static void file_that_cannot_be_read_is_told_and_written_anew(void **state)
{
	static const char *const bad[] = { "", "{", "[\"version\"", "not json at all" };
	WITH_ARENA(arena);

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(bad); i++) {
		write_file(bad[i]);
		again();
		assert_int_equal(told("what version the cluster had is not known"), i + 1);
		rollback_saw(world.rollback, 700);
		ASSERT_TEXT("file", content(arena), "{\"version\":700}");
		assert_int_equal(world.stops, 0);
	}
}

static void failing_disk_is_told_once_and_tried_again_until_it_works(void **state)
{
	WITH_ARENA(arena);

	(void)state;
	break_disk("file.write:eio:1,file.write:eio:2,file.write:enospc:3");
	for (uint64_t version = 10; version < 13; version++) {
		save_is_due();
		rollback_saw(world.rollback, version);
		ASSERT_TEXT("file", content(arena), "none");
		assert_int_equal(told("cannot be kept"), 1);
	}
	save_is_due();
	rollback_saw(world.rollback, 13);
	ASSERT_TEXT("file", content(arena), "{\"version\":13}");
	assert_int_equal(told("cannot be kept"), 1);
	assert_int_equal(world.stops, 0);
}

static void failing_disk_is_told_again_after_it_worked(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= 2; i++) {
		world.rollback->path[strlen(world.rollback->path) - 1] = '/'; /* no such folder */
		save_is_due();
		rollback_saw(world.rollback, 10 * i);
		assert_int_equal(told("cannot be kept"), i);
		world.rollback->path[strlen(world.rollback->path) - 1] = 'n';
		save_is_due();
		rollback_saw(world.rollback, 10 * i + 1);
		assert_int_equal(told("cannot be kept"), i);
	}
}

/* What the file says is then the higher version still, so the next start finds the step back by itself. */
static void step_back_that_could_not_be_kept_is_found_again(void **state)
{
	(void)state;
	rollback_saw(world.rollback, 900);
	world.rollback->path[strlen(world.rollback->path) - 1] = '/';
	rollback_saw(world.rollback, 400);
	assert_int_equal(world.stops, 1);
	again();
	assert_false(held("ns/app", false));
	rollback_saw(world.rollback, 400);
	assert_int_equal(world.stops, 2);
	again();
	assert_true(held("ns/app", false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(first_start_knows_nothing_and_holds_nobody, begin, end),
		cmocka_unit_test_setup_teardown(version_is_kept_at_once_then_now_and_again_and_at_the_end, begin, end),
		cmocka_unit_test_setup_teardown(same_version_again_is_no_step_back, begin, end),
		cmocka_unit_test_setup_teardown(step_back_while_we_run_stops_us_and_holds_all_after_the_restart, begin, end),
		cmocka_unit_test_setup_teardown(step_back_while_we_were_down_is_noticed_by_what_was_kept, begin, end),
		cmocka_unit_test_setup_teardown(step_back_is_recorded_once_and_only_with_a_log, begin, end),
		cmocka_unit_test_setup_teardown(step_back_whose_record_did_not_become_durable_is_recorded_again, begin, end),
		cmocka_unit_test_setup_teardown(persons_sync_releases_that_application_alone_and_for_good, begin, end),
		cmocka_unit_test_setup_teardown(persons_dry_run_releases_nothing, begin, end),
		cmocka_unit_test_setup_teardown(second_step_back_holds_those_again_that_were_released, begin, end),
		cmocka_unit_test_setup_teardown(what_was_decided_since_is_not_held, begin, end),
		cmocka_unit_test_setup_teardown(file_that_cannot_be_read_is_told_and_written_anew, begin, end),
		cmocka_unit_test_setup_teardown(failing_disk_is_told_once_and_tried_again_until_it_works, begin, end),
		cmocka_unit_test_setup_teardown(failing_disk_is_told_again_after_it_worked, begin, end),
		cmocka_unit_test_setup_teardown(step_back_that_could_not_be_kept_is_found_again, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
