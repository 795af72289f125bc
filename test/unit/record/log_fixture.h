/* What the tests of the log share: a folder of their own, a log in it, records, files changed by hand. */
#ifndef TEST_LOG_FIXTURE_H
#define TEST_LOG_FIXTURE_H

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "api/audit.h"
#include "io/file.h"
#include "record/audit_log.h"
#include "record/audit_verify.h"

static struct loop *loop;
static char home[64], dir[80];

static inline void remove_tree(const char *path)
{
	CLEANUP(str_release) struct str name = STR_INIT;
	DIR *folder = opendir(path);
	struct dirent *entry;

	while (folder && (entry = readdir(folder)) != NULL) {
		struct stat st;

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		str_reset(&name);
		str_addf(&name, "%s/%s", path, entry->d_name);
		if (!lstat(str_c(&name), &st) && S_ISDIR(st.st_mode))
			remove_tree(str_c(&name));
		unlink(str_c(&name));
	}
	if (folder)
		closedir(folder);
	rmdir(path);
}

static inline int make_home(void **state)
{
	(void)state;
	snprintf(home, sizeof(home), "/tmp/countersign-test-XXXXXX");
	assert_non_null(mkdtemp(home));
	snprintf(dir, sizeof(dir), "%s/audit", home);
	loop = loop_new();
	return 0;
}

static inline int drop_home(void **state)
{
	(void)state;
	loop_free(loop);
	remove_tree(home);
	return 0;
}

static unsigned failures_told;

static inline void on_failed(void *data, const struct error *err)
{
	(void)data;
	(void)err;
	failures_told++;
}

static const struct audit_log_config config = { .version = "0.0.0-test", .on_failed = on_failed };

static inline struct audit_log *open_log(void)
{
	struct error err = ERROR_INIT;
	struct audit_log *log = NULL;

	if (audit_log_open(loop, dir, &config, &log, &err))
		fail_msg("open: %s: %s", err.reason, err.text);
	return log;
}

/* Appends `count` records that are alike, of about `bytes` bytes. */
static inline void append_some(struct audit_log *log, unsigned count, size_t bytes, void (*done)(void *, uint64_t, const struct error *),
			       void *data)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	CLEANUP(str_release) struct str filler = STR_INIT;
	struct json *record = audit_record(arena, AUDIT_DRIFT, AUDIT_OK);

	while (filler.length + 250 < bytes)
		str_addc(&filler, (char)('a' + filler.length % 26));
	audit_set_app(arena, record, "countersign-system/shop", "shop", NULL, "shop");
	audit_set_reason(arena, record, "Drifted", str_c(&filler));
	for (unsigned i = 0; i < count; i++)
		audit_log_append(log, record, done, data);
}

/* A log with `count` records and, around them, log.start and log.stop. */
static inline void make_log(unsigned count, size_t bytes)
{
	struct audit_log *log = open_log();

	append_some(log, count, bytes, NULL, NULL);
	audit_log_close(log);
}

static inline int verify_dir(const char *which, struct audit_verdict *verdict, struct error *err)
{
	struct audit_verify_options options = { .threads = 1 };

	return audit_verify(which, &options, verdict, err);
}

static inline uint64_t assert_intact(void)
{
	struct error err = ERROR_INIT;
	struct audit_verdict verdict;

	if (verify_dir(dir, &verdict, &err))
		fail_msg("verify: %s: %s", err.reason, err.text);
	return verdict.checkpoint.size;
}

static inline void read_whole(const char *path, struct str *out)
{
	struct error err = ERROR_INIT;

	if (file_read(path, (size_t)64 << 20, out, &err))
		fail_msg("%s", err.text);
}

static inline void write_whole(const char *path, struct span content)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, content.data, content.length), content.length);
	close(fd);
}

static inline const char *in_dir(const char *name)
{
	static char path[4][256];
	static unsigned at;

	at = (at + 1) % 4;
	snprintf(path[at], sizeof(path[at]), "%s/%s", dir, name);
	return path[at];
}

static inline const char *beside_dir(const char *ending)
{
	static char path[4][512];
	static unsigned at;

	at = (at + 1) % 4;
	snprintf(path[at], sizeof(path[at]), "%s%s", dir, ending);
	return path[at];
}

/* Opens and closes it; how many records it had before. */
static inline uint64_t reopen(void)
{
	uint64_t size;

	audit_log_close(open_log());
	size = assert_intact();
	assert_true(size >= 2);
	return size - 2; /* without the log.start and log.stop of this opening */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_home, drop_home)

#endif
