/* record/log_recover: what a power cut can leave is completed; what no crash does is refused, named, and not touched. */
#include <sys/resource.h>

#include "log_fixture.h"

#include "base/limits.h"
#include "record/audit_read.h"

static void expect_refused(const char *reason, const char *says)
{
	struct error err = ERROR_INIT;
	struct audit_log *log = NULL;

	if (!audit_log_open(loop, dir, &config, &log, &err))
		fail_msg("the log was opened; want %s: %s", reason, says);
	assert_null(log);
	if (strcmp(err.reason, reason) != 0 || !strstr(err.text, says))
		fail_msg("got %s: %s, want %s: %s", err.reason, err.text, reason, says);
}

/* Copies, or puts back, the folder of the log; journal and key stay. */
static void copy_folder(const char *from, const char *to)
{
	char command[512];

	snprintf(command, sizeof(command), "rm -rf %s && cp -r %s %s", to, from, to);
	assert_int_equal(system(command), 0);
}

static void change_byte(const char *path, size_t byte)
{
	CLEANUP(str_release) struct str content = STR_INIT;

	read_whole(path, &content);
	assert_true(byte < content.length);
	content.data[byte] ^= 1;
	write_whole(path, str_span(&content));
}

static void cut_file(const char *path, off_t to)
{
	assert_int_equal(truncate(path, to), 0);
}

/* The journal up to its last frame: behind it the file is zeroes. */
static void read_journal_used(struct str *out)
{
	read_whole(beside_dir(".journal"), out);
	while (out->length && !out->data[out->length - 1])
		str_drop_to(out, out->length - 1);
}

/* --- what a power cut can leave: files that were not synced are as they were at any earlier time --------------------------- */

static void folder_of_an_earlier_commit_is_completed_from_the_journal(void **state)
{
	struct audit_log *log = open_log();
	char older[128];
	uint64_t size;

	(void)state;
	snprintf(older, sizeof(older), "%s-older", dir);
	append_some(log, 5, 300, NULL, NULL);
	loop_run(loop);
	copy_folder(dir, older);
	append_some(log, 600, 300, NULL, NULL);
	audit_log_close(log);
	size = assert_intact();
	copy_folder(older, dir);
	assert_int_equal(assert_intact(), 6);
	assert_int_equal(reopen(), size);
}

static void files_that_a_power_cut_left_empty_or_short_are_written_anew(void **state)
{
	static const char *const names[] = { "checkpoint", "tile/entries/000.p/12", "tile/0/000.p/12" };
	uint64_t size = 12;

	(void)state;
	make_log(10, 300);
	for (size_t i = 0; i < COUNT_OF(names); i++)
		for (int half = 0; half < 2; half++) {
			char name[64];
			struct stat st;

			snprintf(name, sizeof(name), "%.*s%s", (int)strcspn(names[i], "."), names[i], i ? "" : "");
			if (i)
				snprintf(name + strlen(name), 16, ".p/%d", (int)size);
			assert_int_equal(stat(in_dir(name), &st), 0);
			cut_file(in_dir(name), half ? st.st_size / 2 : 0);
			assert_int_equal(reopen(), size);
			size += 2;
		}
}

static void checkpoint_of_any_commit_cut_short_is_written_anew(void **state)
{
	CLEANUP(str_release) struct str early = STR_INIT;
	struct audit_log *log = open_log();

	(void)state;
	append_some(log, 4, 300, NULL, NULL);
	loop_run(loop);
	str_add(&early, audit_log_checkpoint(log));
	append_some(log, 40, 300, NULL, NULL);
	audit_log_close(log);
	write_whole(in_dir("checkpoint"), span_sub(str_span(&early), 0, early.length - 7));
	assert_int_equal(reopen(), 46);
	/* but not with another letter in it */
	early.data[early.length / 2] ^= 1;
	write_whole(in_dir("checkpoint"), span_sub(str_span(&early), 0, early.length - 7));
	expect_refused("LogCorrupt", "checkpoint: byte");
}

static void files_that_a_power_cut_took_are_written_anew(void **state)
{
	(void)state;
	make_log(300, 300);
	unlink(in_dir("tile/entries/000"));
	unlink(in_dir("tile/0/001.p/46"));
	unlink(in_dir("tile/1/000.p/1"));
	unlink(in_dir("checkpoint"));
	assert_int_equal(reopen(), 302);
}

static void superseded_tiles_that_came_back_are_removed(void **state)
{
	CLEANUP(str_release) struct str bundle = STR_INIT;

	(void)state;
	make_log(10, 300);
	read_whole(in_dir("tile/entries/000.p/12"), &bundle);
	write_whole(in_dir("tile/entries/000.p/4"), span_sub(str_span(&bundle), 0, 900));
	write_whole(in_dir("tile/0/000.p/3"), SPAN(""));
	assert_int_equal(reopen(), 12);
}

static void torn_record_behind_the_last_is_cut_off(void **state)
{
	static const char *const torn[] = { "\x01", "\x01\x2c{\"actor\"" };

	(void)state;
	make_log(1, 300);
	for (size_t i = 0; i < COUNT_OF(torn); i++) {
		char name[64];
		int fd;

		snprintf(name, sizeof(name), "tile/entries/000.p/%zu", 3 + 2 * i);
		fd = open(in_dir(name), O_WRONLY | O_APPEND);
		assert_int_equal(write(fd, torn[i], strlen(torn[i])), strlen(torn[i]));
		close(fd);
		assert_int_equal(reopen(), 3 + 2 * i);
	}
}

/* The frame of a commit that was being written: nobody was told of it. */
static void torn_end_of_the_journal_is_dropped(void **state)
{
	CLEANUP(str_release) struct str before = STR_INIT, after = STR_INIT;
	struct audit_log *log = open_log();
	char older[128];
	size_t step;

	(void)state;
	snprintf(older, sizeof(older), "%s-older", dir);
	append_some(log, 2, 300, NULL, NULL);
	loop_run(loop);
	read_journal_used(&before);
	copy_folder(dir, older);
	append_some(log, 2, 300, NULL, NULL);
	loop_run(loop);
	read_journal_used(&after);
	audit_log_close(log);
	step = (after.length - before.length) / 9;
	for (size_t length = before.length; length < after.length; length += step) {
		copy_folder(older, dir);
		write_whole(beside_dir(".journal"), span_sub(str_span(&after), 0, length));
		assert_int_equal(reopen(), 3);
	}
	/* whole, it counts, though the tiles do not have it yet */
	copy_folder(older, dir);
	write_whole(beside_dir(".journal"), str_span(&after));
	assert_int_equal(reopen(), 5);
}

static void log_without_its_journal_opens_if_it_is_whole(void **state)
{
	(void)state;
	make_log(300, 300);
	unlink(beside_dir(".journal"));
	assert_int_equal(reopen(), 302);
	unlink(beside_dir(".journal"));
	change_byte(in_dir("tile/entries/000"), 5000);
	expect_refused("LogCorrupt", "tile/entries/000: byte");
}

/* --- what a power cut leaves on ext4 of bytes that were appended: their length, and zeroes ----------------------------------- */

struct made_log {
	char folder[128];
	struct str journal;
};

static void keep_made(struct made_log *made)
{
	snprintf(made->folder, sizeof(made->folder), "%s-made", dir);
	copy_folder(dir, made->folder);
	str_reset(&made->journal);
	read_whole(beside_dir(".journal"), &made->journal);
}

static void put_back(const struct made_log *made)
{
	copy_folder(made->folder, dir);
	write_whole(beside_dir(".journal"), str_span(&made->journal));
}

static void release_made(struct made_log *made)
{
	str_release(&made->journal);
}

static void zero_bytes(const char *name, size_t from, size_t to)
{
	CLEANUP(str_release) struct str content = STR_INIT;

	read_whole(in_dir(name), &content);
	assert_true(from < to && to <= content.length);
	memset(content.data + from, 0, to - from);
	write_whole(in_dir(name), str_span(&content));
}

/* One file, and that is told. */
static void assert_mended(uint64_t size, const char *last_bundle)
{
	static const char told[] = "\"repaired_files\":1,";
	CLEANUP(str_release) struct str bundle = STR_INIT;

	assert_int_equal(reopen(), size);
	read_whole(in_dir(last_bundle), &bundle);
	assert_non_null(memmem(bundle.data, bundle.length, told, strlen(told)));
}

static void zeroes_at_the_end_of_a_file_are_written_anew(void **state)
{
	static const char *const names[] = { "tile/entries/001.p/46",
					     "tile/entries/000",
					     "tile/0/001.p/46",
					     "tile/0/000",
					     "tile/1/000.p/1",
					     "checkpoint",
					     "vkey" };
	static const size_t counts[] = { 1, 32, 4000 };
	CLEANUP(release_made) struct made_log made = { 0 };

	(void)state;
	make_log(300, 300);
	keep_made(&made);
	for (size_t i = 0; i < COUNT_OF(names) * COUNT_OF(counts); i++) {
		const char *name = names[i / COUNT_OF(counts)];
		size_t count = counts[i % COUNT_OF(counts)];
		struct stat st;

		put_back(&made);
		assert_int_equal(stat(in_dir(name), &st), 0);
		zero_bytes(name, (size_t)st.st_size < count ? 0 : (size_t)st.st_size - count, (size_t)st.st_size);
		assert_mended(302, "tile/entries/001.p/48");
	}
}

/* Blocks come to the disk in no order. */
static void zeroes_up_to_the_end_of_a_sector_are_written_anew_and_no_others(void **state)
{
	CLEANUP(release_made) struct made_log made = { 0 };

	(void)state;
	make_log(300, 300);
	keep_made(&made);
	zero_bytes("tile/entries/000", 700, 1024);
	zero_bytes("tile/entries/000", 4096, 8192);
	assert_mended(302, "tile/entries/001.p/48");
	put_back(&made);
	zero_bytes("tile/entries/000", 700, 1024);
	zero_bytes("tile/entries/000", 4100, 4101);
	expect_refused("LogCorrupt", "tile/entries/000: byte 4100");
	put_back(&made);
	zero_bytes("tile/0/001.p/46", 800, 1023);
	expect_refused("LogCorrupt", "tile/0/001.p/46: byte 800");
	put_back(&made);
	zero_bytes("tile/0/001.p/46", 800, 1472);
	change_byte(in_dir("tile/0/001.p/46"), 1200);
	expect_refused("LogCorrupt", "tile/0/001.p/46: byte 1024");
}

static void checkpoint_of_any_commit_with_zeroes_behind_it_is_written_anew(void **state)
{
	CLEANUP(str_release) struct str early = STR_INIT;
	CLEANUP(release_made) struct made_log made = { 0 };
	struct audit_log *log = open_log();

	(void)state;
	append_some(log, 40, 300, NULL, NULL);
	loop_run(loop);
	str_add(&early, audit_log_checkpoint(log));
	append_some(log, 260, 300, NULL, NULL);
	audit_log_close(log);
	/* its journal is of later commits only */
	assert_int_equal(reopen(), 302);
	keep_made(&made);
	str_addc(&early, '\0');
	write_whole(in_dir("checkpoint"), str_span(&early));
	assert_mended(304, "tile/entries/001.p/50");
	put_back(&made);
	early.data[early.length / 2] ^= 1;
	write_whole(in_dir("checkpoint"), str_span(&early));
	expect_refused("LogCorrupt", "checkpoint: byte");
	/* without a journal nothing says what was to stand there */
	put_back(&made);
	unlink(beside_dir(".journal"));
	zero_bytes("tile/0/001.p/48", 1500, 1536);
	expect_refused("LogCorrupt", "tile/0/001.p/48: byte");
}

/* --- what no crash does -------------------------------------------------------------------------------------------------- */

static void changed_bytes_are_refused_and_named_and_nothing_is_touched(void **state)
{
	static const struct {
		const char *name;
		size_t byte;
		const char *says;
	} cases[] = {
		{ "tile/entries/000", 40, "tile/entries/000: byte 40" },     { "tile/entries/001.p/46", 999, "tile/entries/001.p/46: byte 999" },
		{ "tile/0/000", 77, "tile/0/000: byte 77" },                 { "tile/0/001.p/46", 3, "tile/0/001.p/46: byte 3" },
		{ "tile/1/000.p/1", 0, "tile/1/000.p/1: byte 0" },           { "checkpoint", 40, "checkpoint: byte 40" },
		{ "vkey", 9, "vkey: byte 9" },
	};

	(void)state;
	make_log(300, 300);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		CLEANUP(str_release) struct str before = STR_INIT, after = STR_INIT;

		change_byte(in_dir(cases[i].name), cases[i].byte);
		read_whole(in_dir(cases[i].name), &before);
		expect_refused("LogCorrupt", cases[i].says);
		read_whole(in_dir(cases[i].name), &after);
		assert_true(span_equal(str_span(&before), str_span(&after)));
		change_byte(in_dir(cases[i].name), cases[i].byte);
	}
	assert_int_equal(reopen(), 302);
}

static void changed_record_in_a_synced_bundle_is_refused(void **state)
{
	struct audit_log *log;

	(void)state;
	make_log(600, 40000);
	log = open_log(); /* begins the journal behind bundle 1 */
	audit_log_close(log);
	change_byte(in_dir("tile/entries/000"), 2000000);
	expect_refused("LogCorrupt", "tile/entries/000: byte");
	change_byte(in_dir("tile/entries/000"), 2000000);
	change_byte(in_dir("tile/0/001"), 100);
	expect_refused("LogCorrupt", "tile/0/001: byte 100");
	change_byte(in_dir("tile/0/001"), 100);
	unlink(in_dir("tile/entries/001"));
	expect_refused("LogCorrupt", "tile/entries/001: byte 0: it is missing");
}

static void record_that_nobody_signed_is_refused(void **state)
{
	CLEANUP(str_release) struct str bundle = STR_INIT;
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct span rest, record;

	(void)state;
	make_log(1, 300);
	read_whole(in_dir("tile/entries/000.p/3"), &bundle);
	rest = str_span(&bundle);
	assert_true(log_entry_next(&rest, &record));
	record = arena_span(arena, record);
	log_entry_add(&bundle, record);
	write_whole(in_dir("tile/entries/000.p/3"), str_span(&bundle));
	expect_refused("LogCorrupt", "tile/entries/000.p/3: byte");
}

static void foreign_file_is_refused(void **state)
{
	(void)state;
	make_log(1, 300);
	write_whole(in_dir("tile/entries/note.txt"), SPAN("x"));
	expect_refused("LogCorrupt", "tile/entries/note.txt: byte 0");
}

static void damaged_journal_of_commits_that_the_checkpoint_covers_is_refused(void **state)
{
	CLEANUP(str_release) struct str journal = STR_INIT;

	(void)state;
	make_log(10, 300);
	read_journal_used(&journal);
	change_byte(beside_dir(".journal"), journal.length - 30);
	expect_refused("LogCorrupt", ".journal: byte");
	change_byte(beside_dir(".journal"), journal.length - 30);
	cut_file(beside_dir(".journal"), (off_t)journal.length - 200);
	expect_refused("LogCorrupt", ".journal: byte");
	cut_file(beside_dir(".journal"), 20);
	expect_refused("LogCorrupt", "the journal is cut at byte 20");
	/* the way out that is documented: the folder is whole by itself */
	unlink(beside_dir(".journal"));
	assert_int_equal(reopen(), 12);
}

static void older_copy_of_a_long_log_is_refused(void **state)
{
	char older[128];

	(void)state;
	snprintf(older, sizeof(older), "%s-older", dir);
	make_log(10, 300);
	copy_folder(dir, older);
	make_log(600, 40000);
	make_log(1, 300); /* the journal now begins behind what the older copy has */
	copy_folder(older, dir);
	expect_refused("LogCorrupt", "it is missing");
}

static void missing_or_foreign_key_is_refused(void **state)
{
	CLEANUP(str_release) struct str key = STR_INIT, other = STR_INIT;
	CLEANUP(note_signer_cleanup) struct note_signer *signer = NULL;

	(void)state;
	make_log(1, 300);
	read_whole(beside_dir(".key"), &key);
	unlink(beside_dir(".key"));
	expect_refused("LogKeyMissing", "put the key back");
	assert_int_equal(note_signer_new("countersign.dev/other", &signer, NULL), 0);
	note_signer_write(signer, &other);
	write_whole(beside_dir(".key"), str_span(&other));
	expect_refused("LogCorrupt", "byte");
	write_whole(beside_dir(".key"), SPAN("nonsense"));
	expect_refused("BadKey", "byte 0");
	write_whole(beside_dir(".key"), str_span(&key));
	assert_int_equal(reopen(), 3);
}

/* How many descriptors may be open besides those that are; the limit of before. */
static struct rlimit leave_descriptors(rlim_t count)
{
	struct rlimit before, now;
	int next = open("/", O_RDONLY | O_CLOEXEC);

	assert_true(next >= 0);
	close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	now = before;
	now.rlim_cur = (rlim_t)next + count;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
	return before;
}

static void folder_that_cannot_be_looked_through_is_not_taken_for_an_empty_one(void **state)
{
	struct error err = ERROR_INIT;
	struct audit_log *log = NULL;
	struct rlimit before;
	int opened;

	(void)state;
	make_log(1, 300);
	/* so that the first thing that is found is a folder */
	assert_int_equal(rename(in_dir("checkpoint"), beside_dir("-checkpoint")), 0);
	assert_int_equal(rename(in_dir("vkey"), beside_dir("-vkey")), 0);
	/* enough for the journal and for the log's folder, not for a folder in it */
	before = leave_descriptors(3);
	opened = audit_log_open(loop, dir, &config, &log, &err);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(opened, -1);
	assert_true(file_exists(beside_dir(".key")));
	assert_true(file_exists(beside_dir(".journal")));
	assert_non_null(strstr(err.text, "Too many open files"));
	assert_int_equal(rename(beside_dir("-checkpoint"), in_dir("checkpoint")), 0);
	assert_int_equal(rename(beside_dir("-vkey"), in_dir("vkey")), 0);
	assert_int_equal(reopen(), 3);
}

static void journal_without_a_commit_does_not_hide_that_a_log_is_lost(void **state)
{
	CLEANUP(str_release) struct str journal = STR_INIT;
	struct audit_log *log = open_log();
	char id[64], kept[128];

	(void)state;
	snprintf(id, sizeof(id), "%s", audit_log_id(log));
	audit_log_close(log);
	remove_tree(dir);
	read_whole(beside_dir(".journal"), &journal);
	for (size_t i = 24; i < journal.length; i++)
		journal.data[i] = 0;
	write_whole(beside_dir(".journal"), str_span(&journal));
	audit_log_close(open_log());
	snprintf(kept, sizeof(kept), ".lost-%s.key", id);
	assert_true(file_exists(beside_dir(kept)));
	assert_int_equal(assert_intact(), 3);
}

static void folder_that_cannot_be_made_is_told(void **state)
{
	struct error err = ERROR_INIT;
	struct audit_log *log = NULL;

	(void)state;
	write_whole(dir, SPAN("a file"));
	assert_int_equal(audit_log_open(loop, dir, &config, &log, &err), -1);
	assert_non_null(strstr(err.text, dir));
	unlink(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(folder_of_an_earlier_commit_is_completed_from_the_journal),
		TEST(files_that_a_power_cut_left_empty_or_short_are_written_anew),
		TEST(checkpoint_of_any_commit_cut_short_is_written_anew),
		TEST(files_that_a_power_cut_took_are_written_anew),
		TEST(superseded_tiles_that_came_back_are_removed),
		TEST(torn_record_behind_the_last_is_cut_off),
		TEST(torn_end_of_the_journal_is_dropped),
		TEST(log_without_its_journal_opens_if_it_is_whole),
		TEST(zeroes_at_the_end_of_a_file_are_written_anew),
		TEST(zeroes_up_to_the_end_of_a_sector_are_written_anew_and_no_others),
		TEST(checkpoint_of_any_commit_with_zeroes_behind_it_is_written_anew),
		TEST(changed_bytes_are_refused_and_named_and_nothing_is_touched),
		TEST(changed_record_in_a_synced_bundle_is_refused),
		TEST(record_that_nobody_signed_is_refused),
		TEST(foreign_file_is_refused),
		TEST(damaged_journal_of_commits_that_the_checkpoint_covers_is_refused),
		TEST(older_copy_of_a_long_log_is_refused),
		TEST(missing_or_foreign_key_is_refused),
		TEST(folder_that_cannot_be_looked_through_is_not_taken_for_an_empty_one),
		TEST(journal_without_a_commit_does_not_hide_that_a_log_is_lost),
		TEST(folder_that_cannot_be_made_is_told),
	};

	return cmocka_run_group_tests_name("log_recover", tests, NULL, NULL);
}
