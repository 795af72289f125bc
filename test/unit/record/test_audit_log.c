/* record/audit_log: append, group commit, reopen; what is on disk afterwards verifies. */
#include "log_fixture.h"

#include "base/clock.h"
#include "base/limits.h"
#include "record/audit_read.h"

struct seen {
	unsigned count, errors;
	uint64_t last;
};

static void on_durable(void *data, uint64_t seq, const struct error *err)
{
	struct seen *seen = data;

	seen->count++;
	seen->errors += err != NULL;
	seen->last = seq;
}

static void new_log_is_intact_and_says_how_it_began_and_ended(void **state)
{
	struct audit_log *log = open_log();

	(void)state;
	assert_true(audit_log_ok(log, NULL));
	assert_int_equal(strlen(audit_log_id(log)), 20);
	assert_int_equal(audit_log_next_seq(log), 1);
	assert_int_equal(assert_intact(), 1);
	audit_log_close(log);
	assert_int_equal(assert_intact(), 2);
}

static void completions_come_after_the_append_and_once(void **state)
{
	struct audit_log *log = open_log();
	struct seen seen = { 0 };

	(void)state;
	append_some(log, 100, 500, on_durable, &seen);
	assert_int_equal(seen.count, 0);
	loop_run(loop);
	assert_int_equal(seen.count, 100);
	assert_int_equal(seen.errors, 0);
	assert_int_equal(seen.last, 100);
	assert_int_equal(assert_intact(), 101);
	audit_log_close(log);
	assert_int_equal(seen.count, 100);
}

static void what_was_queued_at_close_is_written_and_told(void **state)
{
	struct audit_log *log = open_log();
	struct seen seen = { 0 };

	(void)state;
	append_some(log, 3, 500, on_durable, &seen);
	audit_log_close(log);
	assert_int_equal(seen.count, 3);
	assert_int_equal(seen.errors, 0);
	assert_int_equal(assert_intact(), 5);
}

static void forgotten_completions_do_not_come_but_their_records_stay(void **state)
{
	struct audit_log *log = open_log();
	struct seen gone = { 0 }, stays = { 0 };

	(void)state;
	append_some(log, 2, 500, on_durable, &gone);
	append_some(log, 2, 500, on_durable, &stays);
	audit_log_forget(log, &gone);
	loop_run(loop);
	assert_int_equal(gone.count, 0);
	assert_int_equal(stays.count, 2);
	assert_int_equal(assert_intact(), 5);
	audit_log_close(log);
}

static void every_size_verifies_across_tile_borders(void **state)
{
	static const unsigned steps[] = { 1, 1, 2, 100, 150, 1, 1, 1, 254, 1, 1, 512, 3, 700, 64, 64 };
	struct audit_log *log = open_log();
	uint64_t size = 1;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(steps); i++) {
		append_some(log, steps[i], 300, NULL, NULL);
		loop_run(loop);
		size += steps[i];
		assert_int_equal(assert_intact(), size);
	}
	audit_log_close(log);
}

static void reopened_log_goes_on_where_it_ended(void **state)
{
	CLEANUP(mem_cleanup) char *id = NULL;
	uint64_t size = 0;

	(void)state;
	for (unsigned i = 0; i < 12; i++) {
		struct audit_log *log = open_log();

		if (!id)
			id = mem_strdup(audit_log_id(log));
		assert_string_equal(audit_log_id(log), id);
		assert_int_equal(audit_log_next_seq(log), size + 1);
		append_some(log, 57, 400, NULL, NULL);
		audit_log_close(log);
		size += 59;
		assert_int_equal(assert_intact(), size);
	}
}

static struct json *read_json(struct arena *arena, uint64_t seq)
{
	struct audit_reader reader = AUDIT_READER_INIT;
	CLEANUP(str_release) struct str text = STR_INIT;
	struct error err = ERROR_INIT;
	struct json *record = NULL;

	if (audit_reader_open(home, &reader, &err) || audit_read_record(&reader, seq, &text, &err) ||
	    audit_expand(&reader.files, str_span(&text), arena, &record, &err))
		fail_msg("%s", err.text);
	audit_reader_release(&reader);
	return record;
}

static struct audit_log *open_unsure(void)
{
	struct audit_log_config unsure = config;
	struct error err = ERROR_INIT;
	struct audit_log *log = NULL;

	unsure.unsure = true;
	if (audit_log_open(loop, dir, &unsure, &log, &err))
		fail_msg("open: %s: %s", err.reason, err.text);
	return log;
}

/* Runs a shell command; $0 is the folder that holds the log and what lies beside it. */
static int sh(const char *command)
{
	CLEANUP(str_release) struct str line = STR_INIT;

	str_addf(&line, "sh -c '%s' %s", command, home);
	return system(str_c(&line));
}

static void log_of_which_nobody_knows_if_it_is_the_newest_stays_untouched(void **state)
{
	(void)state;
	make_log(300, 400);
	assert_int_equal(sh("cp -a $0 $0.before"), 0);
	for (unsigned i = 0; i < 3; i++)
		audit_log_close(open_unsure());
	assert_int_equal(sh("diff -r $0.before/audit $0/audit"), 0);
	assert_int_equal(assert_intact(), 302);
	assert_int_equal(sh("rm -rf $0.before"), 0);
}

static void log_that_turns_out_to_be_the_newest_begins_once(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct error err = ERROR_INIT;
	struct audit_log *log;

	(void)state;
	make_log(1, 300);
	log = open_unsure();
	assert_int_equal(audit_log_next_seq(log), 3);
	assert_int_equal(audit_log_begin(log, &err), 0);
	assert_int_equal(audit_log_begin(log, &err), 0);
	assert_int_equal(audit_log_next_seq(log), 4);
	append_some(log, 1, 300, NULL, NULL);
	audit_log_close(log);
	assert_int_equal(assert_intact(), 6);
	assert_string_equal(json_get_text(read_json(arena, 3), "kind"), "log.start");
	assert_string_equal(json_get_text(read_json(arena, 5), "kind"), "log.stop");
}

static void new_log_begins_at_once(void **state)
{
	(void)state;
	audit_log_close(open_unsure());
	assert_int_equal(assert_intact(), 2);
}

static void second_process_is_refused(void **state)
{
	struct audit_log *log = open_log(), *second = NULL;
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(audit_log_open(loop, dir, &config, &second, &err), -1);
	assert_int_equal(err.kind, ERROR_CONFLICT);
	assert_string_equal(err.reason, "LogInUse");
	audit_log_close(log);
	log = open_log();
	audit_log_close(log);
}

static void envelope_is_filled_in(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct json *start, *drift;
	int64_t t;

	(void)state;
	make_log(1, 300);
	start = read_json(arena, 0);
	drift = read_json(arena, 1);
	assert_string_equal(json_get_text(start, "kind"), "log.start");
	assert_string_equal(json_get_text(drift, "kind"), "drift");
	assert_string_equal(json_get_text(drift, "outcome"), "ok");
	assert_string_equal(json_get_text(drift, "ver"), "0.0.0-test");
	assert_string_equal(json_get_text(drift, "app"), "countersign-system/shop");
	assert_int_equal(json_get_int(drift, "v", 0), 1);
	assert_int_equal(json_get_int(drift, "seq", -1), 1);
	assert_string_equal(json_get_text(drift, "boot"), json_get_text(start, "boot"));
	assert_true(strcmp(json_get_text(drift, "id"), json_get_text(start, "id")) > 0);
	assert_true(time_parse(json_text_span(json_get(drift, "t")), &t));
	assert_string_equal(json_get_text(read_json(arena, 2), "kind"), "log.stop");
}

static void ids_rise_within_one_millisecond_and_over_restarts(void **state)
{
	(void)state;
	make_log(5000, 300);
	make_log(10, 300);
	assert_int_equal(assert_intact(), 5014); /* verifying refuses an id that does not rise */
}

static void texts_that_are_no_utf8_and_controls_stay_on_one_line(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct json *record = audit_record(arena, AUDIT_SYNC_DENIED, AUDIT_DENY);
	struct audit_git git = { .commit = "0123", .message = "x\n{\"kind\":\"sync.result\"}\r\t\x01\x7f \xff\xfe \xc3(", .author = "\xe9" };
	struct audit_log *log = open_log();

	(void)state;
	audit_set_git(arena, record, &git);
	audit_log_append(log, record, NULL, NULL);
	audit_log_close(log);
	assert_int_equal(assert_intact(), 3);
	record = read_json(arena, 1);
	assert_string_equal(json_text(json_path(record, "git", "message", NULL)),
			    "x\n{\"kind\":\"sync.result\"}\r\t\x01\x7f \xef\xbf\xbd\xef\xbf\xbd \xef\xbf\xbd(");
	assert_string_equal(json_text(json_path(record, "git", "author", NULL)), "\xef\xbf\xbd");
}

static struct json *large_intent(struct arena *arena, const char *log_id, uint64_t seq, unsigned objects)
{
	struct json *intent = audit_record(arena, AUDIT_SYNC_INTENT, AUDIT_ALLOW);

	for (unsigned i = 0; i < objects; i++) {
		struct audit_object object = { .group = "apps", .version = "v1", .kind = "Deployment", .resource = "deployments",
					       .ns = "shop", .name = arena_printf(arena, "web-%u", i), .op = "apply" };

		audit_add_object(arena, intent, &object);
	}
	audit_name_objects(arena, intent, log_id, seq);
	return intent;
}

static void large_record_lies_partly_beside_the_log_and_is_read_whole(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct audit_log *log = open_log();
	struct json *intent = large_intent(arena, audit_log_id(log), audit_log_next_seq(log), 2000), *got;
	struct audit_verdict verdict;
	struct error err = ERROR_INIT;
	char path[640];

	(void)state;
	audit_log_append(log, intent, NULL, NULL);
	audit_log_close(log);
	assert_int_equal(verify_dir(dir, &verdict, &err), 0);
	assert_int_equal(verdict.bodies, 1);
	got = read_json(arena, 1);
	assert_int_equal(json_count(json_get(got, "objects")), 2000);
	assert_string_equal(json_get_text(json_at(json_get(got, "objects"), 1999), "name"), "web-1999");
	assert_string_equal(json_text(json_at(json_path(got, "body", "fields", NULL), 0)), "objects");
	/* changed, it is found; gone with its folder, it is only not there to be checked */
	snprintf(path, sizeof(path), "%s/%s", beside_dir("-bodies"), json_text(json_path(got, "body", "sha256", NULL)));
	write_whole(path, SPAN("{}"));
	assert_int_equal(verify_dir(dir, &verdict, &err), -1);
	assert_string_equal(err.reason, "LogCorrupt");
	remove_tree(beside_dir("-bodies"));
	assert_int_equal(verify_dir(dir, &verdict, &err), 0);
	assert_int_equal(verdict.bodies_absent, 1);
}

static void record_that_cannot_be_made_to_fit_is_refused_alone(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	CLEANUP(str_release) struct str text = STR_INIT;
	struct audit_log *log = open_log();
	struct json *record = audit_record(arena, AUDIT_DRIFT, AUDIT_OK);
	struct seen bad = { 0 }, good = { 0 };

	(void)state;
	while (text.length < LIMIT_RECORD_BYTES)
		str_adds(&text, "shop/");
	json_set_string(arena, record, "app", str_c(&text));
	assert_int_equal(audit_log_append(log, record, on_durable, &bad), 1);
	append_some(log, 1, 300, on_durable, &good);
	loop_run(loop);
	assert_int_equal(bad.errors, 1);
	assert_int_equal(good.errors, 0);
	assert_int_equal(good.last, 1);
	assert_true(audit_log_ok(log, NULL));
	audit_log_close(log);
	assert_int_equal(assert_intact(), 3);
}

static void who_asked_and_which_project_cannot_be_so_long_that_a_denial_is_not_recorded(void **state)
{
	static const char *const paths[] = { "project", "user" };
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	CLEANUP(str_release) struct str text = STR_INIT;
	struct audit_log *log = open_log();
	struct seen denied = { 0 };

	(void)state;
	while (text.length < (size_t)1 << 20)
		str_adds(&text, "mallory");
	for (size_t i = 0; i < COUNT_OF(paths); i++) {
		struct json *record = audit_record(arena, AUDIT_SYNC_DENIED, AUDIT_DENY), *actor = json_object(arena);

		json_set_string(arena, record, "app", "countersign-system/shop");
		json_set_string(arena, record, "reason", "NoSignature");
		json_set_string(arena, i ? actor : record, paths[i], str_c(&text));
		json_set(arena, record, "actor", actor);
		audit_log_append(log, record, on_durable, &denied);
	}
	loop_run(loop);
	audit_log_close(log);
	assert_int_equal(denied.errors, 0);
	assert_int_equal(assert_intact(), 4);
	assert_string_equal(json_get_text(read_json(arena, 1), "project"), str_c(&text));
	assert_string_equal(json_get_text(read_json(arena, 1), "reason"), "NoSignature");
	assert_string_equal(json_text(json_path(read_json(arena, 2), "actor", "user", NULL)), str_c(&text));
}

struct open_seqs {
	unsigned count;
	int64_t seqs[8];
	size_t objects;
};

static void on_intent(void *data, const struct json *intent)
{
	struct open_seqs *open = data;

	open->seqs[open->count++] = json_get_int(intent, "seq", -1);
	open->objects += json_count(json_get(intent, "objects"));
}

static void intents_without_a_result_are_told_at_open_oldest_first(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct audit_log *log = open_log();
	struct open_seqs open = { 0 };

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		audit_log_append(log, large_intent(arena, audit_log_id(log), audit_log_next_seq(log), i == 2 ? 1500 : 2), NULL, NULL);
	audit_log_append(log, audit_result_seq(arena, large_intent(arena, "x", 2, 1), 2, AUDIT_OK), NULL, NULL);
	audit_log_close(log);
	log = open_log();
	audit_log_each_open_intent(log, on_intent, &open);
	assert_int_equal(open.count, 3);
	assert_int_equal(open.seqs[0], 1);
	assert_int_equal(open.seqs[1], 3);
	assert_int_equal(open.seqs[2], 4);
	assert_int_equal(open.objects, 1504);
	/* a run that lived through the log's failure tells its own result: not once more by recovery */
	audit_log_append(log, audit_result_seq(arena, large_intent(arena, "x", 2, 1), 3, AUDIT_OK), NULL, NULL);
	open = (struct open_seqs){ 0 };
	audit_log_each_open_intent(log, on_intent, &open);
	assert_int_equal(open.count, 2);
	audit_log_close(log);
}

static void append_term(struct audit_log *log, const char *former, int64_t transitions)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct json *term = audit_record(arena, AUDIT_TERM_START, AUDIT_OK), *lease = json_object(arena);

	json_set_string(arena, lease, "holder", "a");
	json_set_int(arena, lease, "transitions", transitions);
	if (former)
		json_set_string(arena, lease, "former_holder", former);
	json_set(arena, term, "lease", lease);
	audit_log_append(log, term, NULL, NULL);
}

static void whether_another_has_led_since_a_record_is_told_by_the_terms(void **state)
{
	static const struct { const char *name, *former; int64_t transitions; bool other; } cases[] = {
		{ "the first", NULL, 3, false },
		{ "after a crash", "a", 3, false },
		{ "given up and taken again", "a", 4, false },
		{ "after another's", "b", 6, true },
		{ "the same term, of a log that was opened anew", "b", 6, false },
		{ "taken once without a record, after another's", "a", 8, true },
		{ "a lease that is not the one that it was", "a", 2, true },
		{ "given up and taken again, of that", "a", 3, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct audit_log *log = open_log();
		uint64_t before = audit_log_next_seq(log) - 1, after;

		append_term(log, cases[i].former, cases[i].transitions);
		after = audit_log_next_seq(log);
		if (audit_log_has_other_led(log, before) != cases[i].other || audit_log_has_other_led(log, after))
			fail_msg("%s: as it is appended", cases[i].name);
		audit_log_close(log);
		log = open_log();
		if (audit_log_has_other_led(log, before) != cases[i].other || audit_log_has_other_led(log, after))
			fail_msg("%s: as it is read", cases[i].name);
		audit_log_close(log);
	}
}

static void log_with_a_changed_part_of_its_last_records_is_not_opened(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	CLEANUP(str_release) struct str content = STR_INIT;
	struct audit_log *log = open_log();
	struct open_seqs open = { 0 };
	struct error err = ERROR_INIT;
	char path[640];

	(void)state;
	audit_log_append(log, large_intent(arena, audit_log_id(log), audit_log_next_seq(log), 1500), NULL, NULL);
	audit_log_close(log);
	snprintf(path, sizeof(path), "%s/%s", beside_dir("-bodies"), json_text(json_path(read_json(arena, 1), "body", "sha256", NULL)));
	read_whole(path, &content);
	write_whole(path, SPAN("{}"));
	log = NULL;
	assert_int_equal(audit_log_open(loop, dir, &config, &log, &err), -1);
	assert_string_equal(err.reason, "LogCorrupt");
	assert_non_null(strstr(err.text, path));
	/* what it was to do is known again as soon as the part is back */
	write_whole(path, str_span(&content));
	log = open_log();
	audit_log_each_open_intent(log, on_intent, &open);
	assert_int_equal(open.count, 1);
	assert_int_equal(open.objects, 1500);
	audit_log_close(log);
}

static void audit_ids_name_log_seq_and_ordinal(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct audit_log *log = open_log();
	struct json *intent = large_intent(arena, audit_log_id(log), audit_log_next_seq(log), 2), *result;
	char want[64];

	(void)state;
	snprintf(want, sizeof(want), "%s.1.1", audit_log_id(log));
	assert_string_equal(json_get_text(json_at(json_get(intent, "objects"), 1), "audit_id"), want);
	assert_int_equal(audit_log_append(log, intent, NULL, NULL), 1);
	result = audit_result_seq(arena, intent, 1, AUDIT_OK);
	audit_add_attempt(arena, json_at(json_get(result, "objects"), 1), 1, 201);
	snprintf(want, sizeof(want), "%s.1.1.1", audit_log_id(log));
	assert_string_equal(json_text(json_path(json_at(json_get(json_at(json_get(result, "objects"), 1), "attempts"), 0), "audit_id", NULL)),
			    want);
	assert_int_equal(json_get_int(result, "intent", -1), 1);
	audit_log_close(log);
}

static void long_log_turns_its_journal_and_reopens(void **state)
{
	struct audit_log *log = open_log();
	struct stat st;

	(void)state;
	/* several times the journal's size, in commits of many sizes */
	for (unsigned i = 0; i < 100; i++) {
		append_some(log, 1 + i * 7 % 30, 40000, NULL, NULL);
		loop_run(loop);
	}
	assert_int_equal(stat(beside_dir(".journal"), &st), 0);
	assert_true(st.st_size < 8 * (off_t)LIMIT_AUDIT_JOURNAL_BYTES);
	audit_log_close(log);
	make_log(3, 40000);
	assert_true(assert_intact() > 1400);
}

static void key_is_private_and_outside_the_log(void **state)
{
	struct stat st;

	(void)state;
	make_log(0, 0);
	assert_int_equal(stat(beside_dir(".key"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void lost_folder_begins_a_log_with_another_id_that_says_so(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct audit_log *log = open_log();
	CLEANUP(mem_cleanup) char *id = mem_strdup(audit_log_id(log));
	struct json *lost;
	char kept[256];

	(void)state;
	audit_log_close(log);
	remove_tree(dir);
	log = open_log();
	assert_string_not_equal(audit_log_id(log), id);
	audit_log_close(log);
	lost = read_json(arena, 1);
	assert_string_equal(json_get_text(lost, "kind"), "log.lost");
	assert_non_null(strstr(json_get_text(lost, "predecessor"), id));
	assert_non_null(strstr(json_get_text(lost, "checkpoint"), "\n2\n")); /* it had two records */
	snprintf(kept, sizeof(kept), ".lost-%s.key", id);
	assert_true(file_exists(beside_dir(kept)));
	assert_int_equal(assert_intact(), 3);
}

/*
 * The other verifier, in another language (test/tlogcheck), asked by its path in COUNTERSIGN_TLOGCHECK: it must take what we
 * write, at sizes around every border, and our own must refuse what it refuses.
 */
static void second_verifier_agrees(void **state)
{
	static const unsigned sizes[] = { 1, 2, 3, 7, 254, 255, 256, 257, 511, 512, 513, 1000, 65535, 65536, 65537 };
	const char *checker = getenv("COUNTERSIGN_TLOGCHECK");
	struct audit_log *log;
	char command[512];
	uint64_t size = 1;

	(void)state;
	if (!checker)
		skip();
	log = open_log();
	snprintf(command, sizeof(command), "%s %s >/dev/null", checker, dir);
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		append_some(log, sizes[i] - (unsigned)size, 300, NULL, NULL);
		loop_run(loop);
		size = sizes[i];
		assert_int_equal(assert_intact(), size);
		if (system(command))
			fail_msg("%u records: the second verifier refuses them", sizes[i]);
	}
	audit_log_close(log);
	write_whole(in_dir("note"), SPAN("x"));
	assert_int_not_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(new_log_is_intact_and_says_how_it_began_and_ended),
		TEST(completions_come_after_the_append_and_once),
		TEST(what_was_queued_at_close_is_written_and_told),
		TEST(forgotten_completions_do_not_come_but_their_records_stay),
		TEST(every_size_verifies_across_tile_borders),
		TEST(reopened_log_goes_on_where_it_ended),
		TEST(log_of_which_nobody_knows_if_it_is_the_newest_stays_untouched),
		TEST(log_that_turns_out_to_be_the_newest_begins_once),
		TEST(new_log_begins_at_once),
		TEST(second_process_is_refused),
		TEST(envelope_is_filled_in),
		TEST(ids_rise_within_one_millisecond_and_over_restarts),
		TEST(texts_that_are_no_utf8_and_controls_stay_on_one_line),
		TEST(large_record_lies_partly_beside_the_log_and_is_read_whole),
		TEST(record_that_cannot_be_made_to_fit_is_refused_alone),
		TEST(who_asked_and_which_project_cannot_be_so_long_that_a_denial_is_not_recorded),
		TEST(intents_without_a_result_are_told_at_open_oldest_first),
		TEST(whether_another_has_led_since_a_record_is_told_by_the_terms),
		TEST(log_with_a_changed_part_of_its_last_records_is_not_opened),
		TEST(audit_ids_name_log_seq_and_ordinal),
		TEST(long_log_turns_its_journal_and_reopens),
		TEST(key_is_private_and_outside_the_log),
		TEST(lost_folder_begins_a_log_with_another_id_that_says_so),
		TEST(second_verifier_agrees),
	};

	return cmocka_run_group_tests_name("audit_log", tests, NULL, NULL);
}
