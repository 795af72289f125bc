/* record/audit_verify: whatever is changed in the folder of a log is found, and named. */
#include "log_fixture.h"

#include <signal.h>
#include <sys/wait.h>

#include "record/audit_read.h"

/* Calls `each` for every file of the log; the paths are copied first, so files may come and go. */
static void each_file(void (*each)(const char *name))
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct log_files files = LOG_FILES_INIT;
	struct json *names = json_array(arena);

	assert_int_equal(log_files_open(dir, &files, NULL), 0);
	for (int level = TLOG_ENTRIES; level < 3; level++) {
		struct audit_verdict verdict;
		unsigned last;
		uint64_t tiles;

		assert_int_equal(verify_dir(dir, &verdict, NULL), 0);
		tiles = tlog_tiles(level, verdict.checkpoint.size, &last);
		for (uint64_t i = 0; i < tiles; i++) {
			CLEANUP(str_release) struct str path = STR_INIT;

			tlog_path(level, i, i + 1 < tiles ? TLOG_WIDTH : last, &path);
			json_append_string(arena, names, str_c(&path));
		}
	}
	json_append_string(arena, names, "checkpoint");
	json_append_string(arena, names, "vkey");
	for (size_t i = 0; i < json_count(names); i++)
		each(json_text(json_at(names, i)));
	log_files_release(&files);
}

static unsigned tried;

static void assert_broken(const char *what, const char *name)
{
	struct error err = ERROR_INIT;
	struct audit_verdict verdict;

	tried++;
	if (!verify_dir(dir, &verdict, &err))
		fail_msg("%s of %s was not seen", what, name);
	if (err.kind != ERROR_INVALID || strcmp(err.reason, "LogCorrupt") != 0)
		fail_msg("%s of %s: %s %s: %s", what, name, error_kind_name(err.kind), err.reason, err.text);
	if (!strstr(err.text, "byte"))
		fail_msg("%s of %s: no byte is named: %s", what, name, err.text);
}

static void flip_each_byte(const char *name)
{
	CLEANUP(str_release) struct str content = STR_INIT;

	read_whole(in_dir(name), &content);
	for (size_t i = 0; i < content.length; i++) {
		static const char masks[] = { 1, 0x20, (char)0x80 };
		char mask = masks[i % COUNT_OF(masks)];

		content.data[i] = (char)(content.data[i] ^ mask);
		write_whole(in_dir(name), str_span(&content));
		assert_broken("a flipped byte", name);
		content.data[i] = (char)(content.data[i] ^ mask);
	}
	write_whole(in_dir(name), str_span(&content));
}

static void every_flipped_byte_of_a_small_log_is_found(void **state)
{
	(void)state;
	tried = 0;
	make_log(2, 300);
	each_file(flip_each_byte);
	assert_true(tried > 1200);
	assert_int_equal(assert_intact(), 4);
}

static void flip_some_bytes(const char *name)
{
	CLEANUP(str_release) struct str content = STR_INIT;

	read_whole(in_dir(name), &content);
	for (size_t i = 0; i < content.length; i += content.length / 7 + 1) {
		content.data[i] ^= 2;
		write_whole(in_dir(name), str_span(&content));
		assert_broken("a flipped byte", name);
		content.data[i] ^= 2;
	}
	write_whole(in_dir(name), str_span(&content));
}

static void flipped_bytes_in_full_and_upper_tiles_are_found(void **state)
{
	(void)state;
	make_log(256 * 3 + 17, 300);
	each_file(flip_some_bytes);
	assert_intact();
}

static void truncate_each(const char *name)
{
	CLEANUP(str_release) struct str content = STR_INIT;

	read_whole(in_dir(name), &content);
	for (size_t i = 0; i < content.length; i += content.length / 5 + 1) {
		write_whole(in_dir(name), span_sub(str_span(&content), 0, i));
		assert_broken("a cut", name);
	}
	unlink(in_dir(name));
	assert_broken("the lack", name);
	str_addc(&content, 'x');
	write_whole(in_dir(name), str_span(&content));
	assert_broken("a byte more", name);
	str_drop_to(&content, content.length - 1);
	write_whole(in_dir(name), str_span(&content));
}

static void cut_longer_and_missing_files_are_found(void **state)
{
	(void)state;
	make_log(300, 300);
	each_file(truncate_each);
	assert_intact();
}

static void foreign_files_are_found(void **state)
{
	static const char *const names[] = { "note", ".hidden", "tile/entries/note.txt", "tile/0/001", "tile/0/000.p/2", "tile/entries/000.p/3",
					     "tile/1/000.p/1", "checkpoint.tmp", "vkey~", "tile/x" };

	(void)state;
	make_log(2, 300);
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		write_whole(in_dir(names[i][0] == 't' && strstr(names[i], "/1/") ? "tile/one" : names[i]), SPAN("x"));
		assert_broken("a foreign file", names[i]);
		unlink(in_dir(strstr(names[i], "/1/") ? "tile/one" : names[i]));
	}
	assert_int_equal(symlink("checkpoint", in_dir("other")), 0);
	assert_broken("a link", "other");
	unlink(in_dir("other"));
	assert_intact();
}

static void linked_files_are_not_followed(void **state)
{
	(void)state;
	make_log(2, 300);
	assert_int_equal(rename(in_dir("checkpoint"), beside_dir("-elsewhere")), 0);
	assert_int_equal(symlink(beside_dir("-elsewhere"), in_dir("checkpoint")), 0);
	assert_broken("a link", "checkpoint");
}

/* --- whole records dropped, swapped, inserted, with the lengths right --------------------------------------------------- */

static struct span records[16];
static size_t record_count;

static void write_bundle(const char *name, const size_t *order, size_t count)
{
	CLEANUP(str_release) struct str out = STR_INIT;

	for (size_t i = 0; i < count; i++)
		log_entry_add(&out, records[order[i]]);
	write_whole(in_dir(name), str_span(&out));
}

static void dropped_swapped_and_inserted_records_are_found(void **state)
{
	static const struct {
		const char *what;
		size_t order[16], count;
	} cases[] = {
		{ "dropping", { 0, 1, 3, 4 }, 4 },          { "dropping the last", { 0, 1, 2, 3 }, 4 }, { "dropping the first", { 1, 2, 3, 4 }, 4 },
		{ "swapping", { 0, 2, 1, 3, 4 }, 5 },       { "inserting", { 0, 1, 1, 2, 3, 4 }, 6 },   { "replacing", { 0, 1, 1, 3, 4 }, 5 },
		{ "appending", { 0, 1, 2, 3, 4, 4 }, 6 },   { "emptying", { 0 }, 0 },
	};
	static const char name[] = "tile/entries/000.p/5";
	CLEANUP(str_release) struct str content = STR_INIT;
	struct span rest;

	(void)state;
	make_log(3, 300);
	read_whole(in_dir(name), &content);
	rest = str_span(&content);
	for (record_count = 0; log_entry_next(&rest, &records[record_count]); record_count++)
		;
	assert_int_equal(record_count, 5);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		write_bundle(name, cases[i].order, cases[i].count);
		assert_broken(cases[i].what, name);
	}
	write_whole(in_dir(name), str_span(&content));
	assert_intact();
}

/* --- who is to blame ------------------------------------------------------------------------------------------------------ */

static void problem_names_file_and_byte(void **state)
{
	static const struct {
		const char *name;
		size_t byte;
		const char *says;
	} cases[] = {
		{ "tile/0/000", 32 * 9 + 5, "tile/0/000: byte 293: it is not the hash of its record" },
		{ "tile/1/000.p/1", 31, "tile/1/000.p/1: byte 31: it is not what the tiles below it give" },
		{ "checkpoint", 3, "checkpoint: byte 0: " },
		{ "vkey", 20, "vkey: byte 0: " },
	};

	(void)state;
	make_log(280, 300);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		CLEANUP(str_release) struct str content = STR_INIT;
		struct error err = ERROR_INIT;
		struct audit_verdict verdict;

		read_whole(in_dir(cases[i].name), &content);
		content.data[cases[i].byte] ^= 1;
		write_whole(in_dir(cases[i].name), str_span(&content));
		assert_int_equal(verify_dir(dir, &verdict, &err), -1);
		if (strncmp(err.text, cases[i].says, strlen(cases[i].says)) != 0)
			fail_msg("got \"%s\", want \"%s\"", err.text, cases[i].says);
		content.data[cases[i].byte] ^= 1;
		write_whole(in_dir(cases[i].name), str_span(&content));
	}
}

static void changed_record_is_named_by_where_it_begins(void **state)
{
	CLEANUP(str_release) struct str content = STR_INIT;
	struct error err = ERROR_INIT;
	struct audit_verdict verdict;
	struct span rest, record;
	char want[128];

	(void)state;
	make_log(280, 300);
	read_whole(in_dir("tile/entries/000"), &content);
	rest = str_span(&content);
	for (int i = 0; i < 100; i++)
		log_entry_next(&rest, &record);
	snprintf(want, sizeof(want), "tile/entries/000: byte %zu: ", content.length - rest.length);
	/* a letter of the reason: the record stays canonical */
	*(char *)memmem(content.data + (content.length - rest.length), rest.length, "abcdef", 6) = 'b';
	write_whole(in_dir("tile/entries/000"), str_span(&content));
	assert_int_equal(verify_dir(dir, &verdict, &err), -1);
	if (strncmp(err.text, want, strlen(want)) != 0)
		fail_msg("got \"%s\", want \"%s\"", err.text, want);
}

/* --- keys and checkpoints from elsewhere ---------------------------------------------------------------------------------- */

static int verify_with(const struct note_key *key, struct span last_known, struct error *err)
{
	struct audit_verify_options options = { .key = key, .last_known = last_known, .threads = 1 };
	struct audit_verdict verdict;

	return audit_verify(dir, &options, &verdict, err);
}

static void another_key_is_refused(void **state)
{
	CLEANUP(note_signer_cleanup) struct note_signer *other = NULL;
	struct error err = ERROR_INIT;
	struct audit_verdict verdict;
	struct note_key own;

	(void)state;
	make_log(2, 300);
	assert_int_equal(verify_dir(dir, &verdict, &err), 0);
	own = verdict.key;
	assert_int_equal(verify_with(&own, SPAN0, &err), 0);
	assert_int_equal(note_signer_new(own.name, &other, NULL), 0);
	assert_int_equal(verify_with(note_signer_key(other), SPAN0, &err), -1);
	assert_string_equal(err.reason, "WrongKey");
}

static void log_extends_each_of_its_earlier_checkpoints(void **state)
{
	struct str notes[40];
	struct error err = ERROR_INIT;
	struct audit_log *log = open_log();

	(void)state;
	for (size_t i = 0; i < COUNT_OF(notes); i++) {
		append_some(log, 1 + (unsigned)i, 300, NULL, NULL);
		loop_run(loop);
		notes[i] = (struct str)STR_INIT;
		str_add(&notes[i], audit_log_checkpoint(log));
	}
	audit_log_close(log);
	for (size_t i = 0; i < COUNT_OF(notes); i++) {
		if (verify_with(NULL, str_span(&notes[i]), &err))
			fail_msg("checkpoint %zu: %s", i, err.text);
		str_release(&notes[i]);
	}
}

static void log_that_was_cut_back_with_its_checkpoint_is_found_by_a_newer_one(void **state)
{
	CLEANUP(str_release) struct str newer = STR_INIT;
	CLEANUP(mem_cleanup) char *copy = NULL;
	struct error err = ERROR_INIT;
	char command[512];

	(void)state;
	make_log(20, 300);
	snprintf(command, sizeof(command), "cp -r %s %s-older", dir, dir);
	assert_int_equal(system(command), 0);
	make_log(20, 300);
	read_whole(in_dir("checkpoint"), &newer);
	assert_int_equal(verify_with(NULL, str_span(&newer), &err), 0);
	snprintf(command, sizeof(command), "rm -r %s && mv %s-older %s", dir, dir, dir);
	assert_int_equal(system(command), 0);
	assert_intact();
	assert_int_equal(verify_with(NULL, str_span(&newer), &err), -1);
	assert_string_equal(err.reason, "LogTruncated");
}

/* Signs another history with the log's own key: what somebody who stole it would do. */
static void log_with_another_past_is_found_by_its_older_checkpoint(void **state)
{
	CLEANUP(str_release) struct str skey = STR_INIT, note = STR_INIT;
	CLEANUP(note_signer_cleanup) struct note_signer *signer = NULL;
	struct checkpoint forged = { .size = 3, .root = digest_of(SPAN("another past")) };
	struct error err = ERROR_INIT;

	(void)state;
	make_log(5, 300);
	read_whole(beside_dir(".key"), &skey);
	assert_int_equal(note_signer_parse(str_span(&skey), &signer, NULL), 0);
	snprintf(forged.origin, sizeof(forged.origin), "%s", note_signer_key(signer)->name);
	assert_int_equal(checkpoint_sign(&forged, signer, &note, NULL), 0);
	assert_int_equal(verify_with(NULL, str_span(&note), &err), -1);
	assert_string_equal(err.reason, "LogForked");
}

static void checkpoint_of_another_log_is_no_last_known(void **state)
{
	CLEANUP(note_signer_cleanup) struct note_signer *signer = NULL;
	CLEANUP(str_release) struct str note = STR_INIT;
	struct checkpoint other = { "countersign.dev/other", 1, digest_of(SPAN("x")) };
	struct error err = ERROR_INIT;

	(void)state;
	make_log(1, 300);
	assert_int_equal(note_signer_new(other.origin, &signer, NULL), 0);
	assert_int_equal(checkpoint_sign(&other, signer, &note, NULL), 0);
	assert_int_equal(verify_with(NULL, str_span(&note), &err), -1);
	assert_string_equal(err.reason, "BadLastKnown");
}

/* In a child, until it is killed: commits of all sizes, as fast as they go. */
static void append_for_ever(int ready)
{
	struct audit_log *log;
	struct error err = ERROR_INIT;

	loop = loop_new();
	if (audit_log_open(loop, dir, &config, &log, &err))
		_exit(1);
	for (unsigned i = 0; i < 1000000; i++) {
		append_some(log, 1 + i * 37 % 90, 300, NULL, NULL);
		loop_run(loop);
		if (!i && write(ready, "x", 1) != 1)
			_exit(2);
		usleep(300); /* so that a slow verifier does not chase it for ever */
	}
	_exit(3);
}

static int count_record(void *data, uint64_t seq, struct span record, struct error *err)
{
	uint64_t *next = data;

	(void)record;
	(void)err;
	assert_int_equal(seq, *next);
	++*next;
	return 0;
}

static void log_that_grows_meanwhile_verifies_and_is_read(void **state)
{
	CLEANUP(audit_reader_release) struct audit_reader reader = AUDIT_READER_INIT;
	struct error err = ERROR_INIT;
	struct audit_verdict verdict;
	uint64_t before = 0, next = 0;
	int ready[2], status;
	pid_t child;
	char c;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (!child)
		append_for_ever(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_int_equal(audit_reader_open(dir, &reader, &err), 0);
	for (unsigned i = 0; i < 25; i++) {
		if (verify_dir(dir, &verdict, &err))
			fail_msg("round %u: %s: %s", i, err.reason, err.text);
		assert_true(verdict.checkpoint.size >= before);
		before = verdict.checkpoint.size;
		if (audit_reader_refresh(&reader, &err) || audit_read_each(&reader, next, reader.checkpoint.size, count_record, &next, &err))
			fail_msg("round %u: %s: %s", i, err.reason, err.text);
	}
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(WTERMSIG(status), SIGKILL);
	close(ready[0]);
	close(ready[1]);
	print_message("it grew to %d records\n", (int)before);
	audit_log_close(open_log());
	assert_true(assert_intact() >= before);
}

static void foreign_tile_is_found_while_the_log_is_open_too(void **state)
{
	struct audit_log *log = open_log();

	(void)state;
	append_some(log, 3, 300, NULL, NULL);
	loop_run(loop);
	assert_int_equal(assert_intact(), 4);
	write_whole(in_dir("tile/0/000.p/3"), SPAN("x"));
	assert_broken("a superseded tile", "tile/0/000.p/3");
	unlink(in_dir("tile/0/000.p/3"));
	write_whole(in_dir("note"), SPAN("x"));
	assert_broken("a foreign file", "note");
	audit_log_close(log);
}

/* A kill between the tiles and their checkpoint: the next start completes it, and until then it can be read. */
static void log_of_a_writer_killed_before_its_checkpoint_is_read_up_to_the_one_before(void **state)
{
	CLEANUP(audit_reader_release) struct audit_reader reader = AUDIT_READER_INIT;
	CLEANUP(str_release) struct str bundle = STR_INIT;
	struct error err = ERROR_INIT;
	uint64_t next = 0;

	(void)state;
	make_log(3, 300);
	read_whole(in_dir("tile/entries/000.p/5"), &bundle);
	str_add(&bundle, SPAN("\0\2{}"));
	write_whole(in_dir("tile/entries/000.p/6"), str_span(&bundle));
	unlink(in_dir("tile/entries/000.p/5"));
	assert_int_equal(audit_reader_open(dir, &reader, &err), 0);
	assert_int_equal(audit_read_each(&reader, 0, reader.checkpoint.size, count_record, &next, &err), 0);
	assert_int_equal(next, 5);
	unlink(in_dir("tile/entries/000.p/6"));
	next = 0;
	assert_int_equal(audit_read_each(&reader, 0, reader.checkpoint.size, count_record, &next, &err), -1);
	assert_string_equal(err.reason, "LogCorrupt");
}

static void missing_folder_is_not_found(void **state)
{
	struct error err = ERROR_INIT;
	struct audit_verdict verdict;

	(void)state;
	assert_int_equal(verify_dir("/nonexistent", &verdict, &err), -1);
	assert_int_equal(err.kind, ERROR_NOT_FOUND);
}

static void threads_find_what_one_finds(void **state)
{
	CLEANUP(str_release) struct str content = STR_INIT;
	struct audit_verify_options one = { .threads = 1 }, many = { .threads = 4 };
	struct error a = ERROR_INIT, b = ERROR_INIT;
	struct audit_verdict verdict;

	(void)state;
	make_log(256 * 40 + 3, 300);
	assert_int_equal(audit_verify(dir, &many, &verdict, &a), 0);
	assert_int_equal(verdict.checkpoint.size, 256 * 40 + 5);
	/* two bad ones: the first is told */
	for (int i = 31; i >= 7; i -= 24) {
		char name[40];

		snprintf(name, sizeof(name), "tile/entries/%03d", i);
		str_reset(&content);
		read_whole(in_dir(name), &content);
		*(char *)memmem(content.data, content.length, "abcdef", 6) = 'b';
		write_whole(in_dir(name), str_span(&content));
	}
	assert_int_equal(audit_verify(dir, &one, &verdict, &a), -1);
	assert_int_equal(audit_verify(dir, &many, &verdict, &b), -1);
	assert_string_equal(a.text, b.text);
	assert_non_null(strstr(a.text, "tile/entries/007"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_flipped_byte_of_a_small_log_is_found),
		TEST(flipped_bytes_in_full_and_upper_tiles_are_found),
		TEST(cut_longer_and_missing_files_are_found),
		TEST(foreign_files_are_found),
		TEST(linked_files_are_not_followed),
		TEST(dropped_swapped_and_inserted_records_are_found),
		TEST(problem_names_file_and_byte),
		TEST(changed_record_is_named_by_where_it_begins),
		TEST(another_key_is_refused),
		TEST(log_extends_each_of_its_earlier_checkpoints),
		TEST(log_that_was_cut_back_with_its_checkpoint_is_found_by_a_newer_one),
		TEST(log_with_another_past_is_found_by_its_older_checkpoint),
		TEST(checkpoint_of_another_log_is_no_last_known),
		TEST(log_that_grows_meanwhile_verifies_and_is_read),
		TEST(foreign_tile_is_found_while_the_log_is_open_too),
		TEST(log_of_a_writer_killed_before_its_checkpoint_is_read_up_to_the_one_before),
		TEST(missing_folder_is_not_found),
		TEST(threads_find_what_one_finds),
	};

	return cmocka_run_group_tests_name("audit_verify", tests, NULL, NULL);
}
