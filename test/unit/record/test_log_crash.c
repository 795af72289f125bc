/* record: the log on a disk that fails, and killed, or failing, at the n-th call of its writers, for every n. */
#include "log_fixture.h"

#include <errno.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

struct outcome {
	unsigned good, bad;
	char reason[ERROR_REASON_MAX];
};

static void on_outcome(void *data, uint64_t seq, const struct error *err)
{
	struct outcome *outcome = data;

	(void)seq;
	outcome->good += !err;
	outcome->bad += err != NULL;
	if (err)
		snprintf(outcome->reason, sizeof(outcome->reason), "%s", err->reason);
}

#ifdef FAULTS
/* --- killed, or failing, at the n-th call, for every n ----------------------------------------------------------------------- */

enum { CHILD_DONE = 0, CHILD_FAILED = 3, CHILD_LIED = 4, CHILD_LEAKED = 5 };

static int acknowledged_pipe[2];
static bool failed_told;

static void tell_parent(void *data, uint64_t seq, const struct error *err)
{
	(void)data;
	if (err)
		return;
	if (failed_told || write(acknowledged_pipe[1], &seq, sizeof(seq)) != sizeof(seq))
		_exit(CHILD_LIED);
}

static void note_failed(void *data, const struct error *err)
{
	(void)data;
	failed_told = err != NULL;
}

/* Ends the child, unless something that it allocated is lost. */
static void leave(int status)
{
	loop_free(loop);
#ifdef __SANITIZE_ADDRESS__
	if (__lsan_do_recoverable_leak_check())
		_exit(CHILD_LEAKED);
#endif
	_exit(status);
}

/* In the child: opens, appends in commits of several sizes, closes. */
static void work(const char *fault, unsigned commits, unsigned records, size_t bytes)
{
	struct audit_log_config own = { .version = "child", .on_failed = note_failed };
	struct audit_log *log = NULL;
	struct error err = ERROR_INIT;
	static struct loop *volatile parents; /* not lost: the parent frees it */

	parents = loop;
	(void)parents;
	loop = loop_new();
	setenv("COUNTERSIGN_FAULT", fault, 1);
	if (audit_log_open(loop, dir, &own, &log, &err))
		leave(CHILD_FAILED);
	for (unsigned i = 0; i < commits; i++) {
		append_some(log, 1 + i % records, bytes, tell_parent, NULL);
		loop_run(loop);
	}
	if (failed_told == audit_log_ok(log, NULL))
		_exit(CHILD_LIED);
	audit_log_close(log);
	leave(failed_told ? CHILD_FAILED : CHILD_DONE);
}

/* Runs the child; *last is the newest seq that it was told is durable, or -1. Returns its exit status, or -signal. */
static int run_child(const char *fault, unsigned commits, unsigned records, size_t bytes, int64_t *last)
{
	uint64_t seq;
	int status;
	pid_t child;

	assert_int_equal(pipe(acknowledged_pipe), 0);
	child = fork();
	if (!child)
		work(fault, commits, records, bytes);
	close(acknowledged_pipe[1]);
	for (*last = -1; read(acknowledged_pipe[0], &seq, sizeof(seq)) == sizeof(seq);) {
		assert_true((int64_t)seq > *last);
		*last = (int64_t)seq;
	}
	close(acknowledged_pipe[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static const char *const places[] = { "log.write", "log.fdatasync", "log.open", "log.tile", "log.rename", "log.fsync", "file.write", "file.fsync" };

/* One place, from the `from`-th call on until the child gets through; `expected` is how it ends before. */
static unsigned crash_at(const char *place, const char *action, int expected, unsigned from, unsigned commits, unsigned records, size_t bytes)
{
	for (unsigned nth = from;; nth++) {
		char fault[64];
		int64_t last;
		int status;

		snprintf(fault, sizeof(fault), "%s:%s:%u", place, action, nth);
		status = run_child(fault, commits, records, bytes, &last);
		if (status != expected && status != CHILD_DONE)
			fail_msg("%s: the child ended with %d", fault, status);
		if ((int64_t)reopen() <= last)
			fail_msg("%s: record %d was acknowledged and is lost", fault, (int)last);
		if (status == CHILD_DONE)
			return nth - from;
	}
}

static unsigned crash_everywhere(const char *action, int expected, unsigned commits, unsigned records, size_t bytes)
{
	unsigned hits = 0;

	for (size_t i = 0; i < COUNT_OF(places); i++)
		hits += crash_at(places[i], action, expected, 1, commits, records, bytes);
	return hits;
}

static void killed_at_every_call_nothing_acknowledged_is_lost(void **state)
{
	unsigned hits;

	(void)state;
	hits = crash_everywhere("kill", -SIGKILL, 12, 40, 400);
	print_message("killed %u times\n", hits);
	assert_true(hits > 60);
}

/* 4.5 MB in 24 commits: the journal is full before the last, and each of the calls that turn it is hit. */
static void killed_while_the_journal_is_turned_nothing_acknowledged_is_lost(void **state)
{
	static const struct {
		const char *place;
		unsigned from, hits;    /* behind what opening and the first commits need */
	} cases[] = { { "log.fsync", 4, 6 }, { "log.rename", 78, 3 }, { "log.write", 24, 2 }, { "log.fdatasync", 24, 2 } };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		unsigned hits;

		make_log(0, 0);
		hits = crash_at(cases[i].place, "kill", -SIGKILL, cases[i].from, 24, 120, 15000);
		print_message("killed %u times at %s\n", hits, cases[i].place);
		assert_true(hits >= cases[i].hits);
		remove_tree(dir);
		unlink(beside_dir(".journal"));
	}
}

static void made_anew_after_every_kill_while_it_was_made(void **state)
{
	unsigned hits = 0;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(places); i++)
		for (unsigned nth = 1; nth < 40; nth++, hits++) {
			char fault[64];
			int64_t last;
			int status;

			remove_tree(dir);
			unlink(beside_dir(".key"));
			unlink(beside_dir(".journal"));
			snprintf(fault, sizeof(fault), "%s:kill:%u", places[i], nth);
			status = run_child(fault, 2, 1, 300, &last);
			if ((int64_t)reopen() <= last)
				fail_msg("%s: record %d was acknowledged and is lost", fault, (int)last);
			if (status == CHILD_DONE)
				break;
			assert_int_equal(status, -SIGKILL);
		}
	print_message("killed %u times\n", hits);
	assert_true(hits > 20);
}

static void failing_at_every_call_it_acknowledges_nothing_more_and_recovers(void **state)
{
	unsigned hits;

	(void)state;
	hits = crash_everywhere("eio", CHILD_FAILED, 12, 40, 400);
	hits += crash_everywhere("enospc", CHILD_FAILED, 4, 40, 400);
	print_message("failed %u times\n", hits);
	assert_true(hits > 80);
}

/* No memory is an abort with a line that says so, and no record that was acknowledged is lost by it. */
static void without_memory_at_every_allocation_it_aborts_and_recovers(void **state)
{
	unsigned hits;
	int saved = dup(2);

	(void)state;
	make_log(2, 300);
	freopen("/dev/null", "w", stderr);
	hits = crash_at("mem.alloc", "enomem", -SIGABRT, 1, 3, 2, 300);
	dup2(saved, 2);
	close(saved);
	print_message("refused %u allocations\n", hits);
	assert_true(hits > 100);
}

static void after_one_failed_sync_everything_is_refused_and_told_once(void **state)
{
	struct audit_log *log = open_log();
	struct outcome outcome = { 0 };
	struct error err = ERROR_INIT;

	(void)state;
	failures_told = 0;
	setenv("COUNTERSIGN_FAULT", "log.fdatasync:eio:1", 1);
	append_some(log, 3, 300, on_outcome, &outcome);
	loop_run(loop);
	unsetenv("COUNTERSIGN_FAULT");
	append_some(log, 2, 300, on_outcome, &outcome);
	loop_run(loop);
	assert_int_equal(outcome.good, 0);
	assert_int_equal(outcome.bad, 5);
	assert_string_equal(outcome.reason, "AuditUnavailable");
	assert_int_equal(failures_told, 1);
	assert_false(audit_log_ok(log, &err));
	assert_non_null(strstr(err.text, "fdatasync"));
	audit_log_close(log);
	reopen();
}

static ino_t inode_of(const char *folder, const char *name)
{
	char path[256];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	if (stat(path, &st))
		fail_msg("there is no %s", path);
	return st.st_ino;
}

/* A sync that failed is told once. What it was to bring to the disk reads as it should, from memory, and is not on the disk. */
static void after_a_failed_sync_every_file_that_the_journal_has_is_made_anew(void **state)
{
	/* each as it was, and with the log.start of the next opening */
	static const char *const names[][2] = {
		{ "tile/entries/000", "tile/entries/000" },
		{ "tile/entries/001.p/45", "tile/entries/001.p/46" },
		{ "tile/0/000", "tile/0/000" },
		{ "tile/0/001.p/45", "tile/0/001.p/46" },
		{ "tile/1/000.p/1", "tile/1/000.p/1" },
		{ "checkpoint", "checkpoint" },
		{ "vkey", "vkey" },
	};
	CLEANUP(str_release) struct str bundle = STR_INIT;
	static const char told[] = "repaired_files";
	struct audit_log *log = open_log();
	struct outcome outcome = { 0 };
	char command[512], kept[128];

	(void)state;
	snprintf(kept, sizeof(kept), "%s-kept", dir);
	setenv("COUNTERSIGN_FAULT", "log.fsync:eio:1", 1);
	append_some(log, 300, 15000, on_outcome, &outcome);
	loop_run(loop);
	unsetenv("COUNTERSIGN_FAULT");
	assert_false(audit_log_ok(log, NULL));
	audit_log_close(log);
	/* by another name each file stays as it is, unless something is written over it */
	snprintf(command, sizeof(command), "cp -rl %s %s && cp -r %s %s-copy", dir, kept, dir, dir);
	assert_int_equal(system(command), 0);
	log = open_log();
	for (size_t i = 0; i < COUNT_OF(names); i++)
		if (inode_of(kept, names[i][0]) == inode_of(dir, names[i][1]))
			fail_msg("%s is the file that it was", names[i][1]);
	snprintf(command, sizeof(command), "diff -r %s %s-copy", kept, dir);
	assert_int_equal(system(command), 0);
	audit_log_close(log);
	assert_int_equal(assert_intact(), 303);
	read_whole(in_dir("tile/entries/001.p/47"), &bundle);
	assert_null(memmem(bundle.data, bundle.length, told, strlen(told)));
}
#endif

/* --- a real disk of its own, full or read-only: a tmpfs, where we may mount one ------------------------------------------------ */

static char disk[128];

static bool mount_disk(const char *size)
{
	char options[64];

	snprintf(disk, sizeof(disk), "%s/disk", home);
	snprintf(options, sizeof(options), "size=%s", size);
	mkdir(disk, 0700);
	snprintf(dir, sizeof(dir), "%.60s/audit", disk);
	return !mount("tmpfs", disk, "tmpfs", 0, options);
}

static struct audit_log *append_until_failed(struct audit_log *log, struct outcome *outcome, unsigned most)
{
	for (unsigned i = 0; i < most && audit_log_ok(log, NULL); i++) {
		append_some(log, 8, 2000, on_outcome, outcome);
		loop_run(loop);
	}
	return log;
}

static void full_disk_ends_the_log_and_room_lets_it_go_on(void **state)
{
	struct outcome outcome = { 0 };
	struct error err = ERROR_INIT;
	struct audit_log *log;
	unsigned good;

	(void)state;
	if (!mount_disk("3m"))
		skip();
	failures_told = 0;
	log = append_until_failed(open_log(), &outcome, 1000);
	assert_false(audit_log_ok(log, &err));
	assert_non_null(strstr(err.text, "No space left"));
	assert_int_equal(failures_told, 1);
	good = outcome.good;
	assert_true(good > 100 && outcome.bad);
	audit_log_close(log);
	/* still full: it is told, and nothing is harmed */
	assert_int_equal(audit_log_open(loop, dir, &config, &log, &err), -1);
	assert_non_null(strstr(err.text, "No space left"));
	assert_int_equal(mount("tmpfs", disk, "tmpfs", MS_REMOUNT, "size=30m"), 0);
	assert_true(reopen() > good);
	umount(disk);
}

static void full_disk_does_not_keep_a_whole_log_from_being_opened(void **state)
{
	struct audit_log_config unsure = config;
	struct error err = ERROR_INIT;
	struct audit_log *log = NULL;
	char filler[160], block[4096] = { 0 };
	int fd;

	(void)state;
	if (!mount_disk("8m"))
		skip();
	make_log(300, 1000);
	snprintf(filler, sizeof(filler), "%s/filler", disk);
	fd = open(filler, O_CREAT | O_WRONLY, 0600);
	while (write(fd, block, sizeof(block)) > 0)
		;
	close(fd);
	/* as the controller opens it, which appends when it leads */
	unsure.unsure = true;
	if (audit_log_open(loop, dir, &unsure, &log, &err))
		fail_msg("%s", err.text);
	audit_log_close(log);
	unlink(filler);
	assert_int_equal(reopen(), 302);
	umount(disk);
}

static void disk_without_inodes_ends_the_log_and_one_lets_it_go_on(void **state)
{
	struct outcome outcome = { 0 };
	struct error err = ERROR_INIT;
	struct audit_log *log;
	char name[160];
	int count = 0, fd;

	(void)state;
	if (!mount_disk("30m,nr_inodes=200"))
		skip();
	log = open_log();
	for (;; count++) {
		snprintf(name, sizeof(name), "%s/filler%d", disk, count);
		fd = open(name, O_CREAT | O_WRONLY, 0600);
		if (fd < 0)
			break;
		close(fd);
	}
	assert_int_equal(errno, ENOSPC);
	log = append_until_failed(log, &outcome, 200);
	assert_false(audit_log_ok(log, &err));
	assert_non_null(strstr(err.text, "No space left"));
	assert_true(outcome.bad);
	audit_log_close(log);
	while (count--) {
		snprintf(name, sizeof(name), "%s/filler%d", disk, count);
		unlink(name);
	}
	assert_true(reopen() > outcome.good);
	umount(disk);
}

static void disk_that_turns_read_only_ends_the_log(void **state)
{
	struct outcome outcome = { 0 };
	struct error err = ERROR_INIT;
	struct audit_log *log;

	(void)state;
	if (!mount_disk("30m"))
		skip();
	make_log(3, 300);
	assert_int_equal(mount("tmpfs", disk, "tmpfs", MS_REMOUNT | MS_RDONLY, "size=30m"), 0);
	assert_int_equal(audit_log_open(loop, dir, &config, &log, &err), -1);
	assert_non_null(strstr(err.text, "Read-only"));
	assert_int_equal(assert_intact(), 5);
	assert_int_equal(mount("tmpfs", disk, "tmpfs", MS_REMOUNT, "size=30m"), 0);
	log = append_until_failed(open_log(), &outcome, 3);
	assert_int_equal(outcome.good, 24);
	audit_log_close(log);
	umount(disk);
}

static void folder_on_a_file_system_of_its_own_is_refused_with_the_way_out(void **state)
{
	struct error err = ERROR_INIT;
	struct audit_log *log;

	(void)state;
	if (!mount_disk("30m"))
		skip();
	assert_int_equal(audit_log_open(loop, disk, &config, &log, &err), -1);
	assert_string_equal(err.reason, "LogMisplaced");
	assert_non_null(strstr(err.text, "mount the folder above it"));
	umount(disk);
}

static void folder_removed_while_the_log_is_open_ends_it(void **state)
{
	struct audit_log *log = open_log();
	struct error err = ERROR_INIT;

	(void)state;
	failures_told = 0;
	remove_tree(dir);
	append_some(log, 1, 300, NULL, NULL);
	loop_run(loop);
	assert_int_equal(failures_told, 1);
	assert_false(audit_log_ok(log, &err));
	audit_log_close(log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(folder_removed_while_the_log_is_open_ends_it),
		TEST(full_disk_ends_the_log_and_room_lets_it_go_on),
		TEST(full_disk_does_not_keep_a_whole_log_from_being_opened),
		TEST(disk_without_inodes_ends_the_log_and_one_lets_it_go_on),
		TEST(disk_that_turns_read_only_ends_the_log),
		TEST(folder_on_a_file_system_of_its_own_is_refused_with_the_way_out),
#ifdef FAULTS
		TEST(after_one_failed_sync_everything_is_refused_and_told_once),
		TEST(after_a_failed_sync_every_file_that_the_journal_has_is_made_anew),
		TEST(killed_at_every_call_nothing_acknowledged_is_lost),
		TEST(killed_while_the_journal_is_turned_nothing_acknowledged_is_lost),
		TEST(made_anew_after_every_kill_while_it_was_made),
		TEST(failing_at_every_call_it_acknowledges_nothing_more_and_recovers),
		TEST(without_memory_at_every_allocation_it_aborts_and_recovers),
#endif
	};

	return cmocka_run_group_tests_name("log_crash", tests, NULL, NULL);
}
