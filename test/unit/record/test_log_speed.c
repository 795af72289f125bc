/*
 * How fast the log is, beside the same work bare: hashing and writing, hashing alone. Printed, not asserted: machines
 * differ. COUNTERSIGN_RECORDS sets how many records (default 100,000).
 */
#include "log_fixture.h"

#include <time.h>

#include "base/digest.h"

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static unsigned record_target(void)
{
	const char *text = getenv("COUNTERSIGN_RECORDS");

	return text ? (unsigned)strtoul(text, NULL, 10) : 100000;
}

#define GROUP 64

static uint64_t durable;

static void on_durable(void *data, uint64_t seq, const struct error *err)
{
	(void)data;
	(void)seq;
	assert_null(err);
	durable++;
}

/* What a sync of one object writes. */
static struct json *sample(struct arena *arena)
{
	struct json *record = audit_record(arena, AUDIT_DRIFT, AUDIT_OK);
	struct audit_actor actor = { .type = "poll" };
	struct audit_git git = { .repo = "https://git.example/ops/shop.git", .ref = "main", .commit = "0123456789abcdef0123456789abcdef01234567" };
	struct audit_object object = { .group = "apps", .version = "v1", .kind = "Deployment", .resource = "deployments", .ns = "shop",
				       .name = "web", .op = "apply" };

	audit_set_app(arena, record, "countersign-system/shop", "shop", "https://kubernetes.default.svc", "shop");
	audit_set_actor(arena, record, &actor);
	audit_set_git(arena, record, &git);
	audit_add_object(arena, record, &object);
	return record;
}

static double append_all(unsigned total)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct audit_log *log = open_log();
	struct json *record = sample(arena);
	double began = now_s();

	durable = 0;
	for (unsigned done = 0; done < total; done += GROUP) {
		for (unsigned i = 0; i < GROUP; i++)
			audit_log_append(log, record, on_durable, NULL);
		loop_run(loop);
	}
	began = now_s() - began;
	assert_true(durable >= total);
	audit_log_close(log);
	return began;
}

/* The same bytes, hashed one by one and written in the same durable groups: nothing else. */
static double bare(unsigned total, size_t bytes)
{
	CLEANUP(mem_cleanup) char *group = mem_alloc(bytes * GROUP);
	CLEANUP(fd_cleanup) int fd = open(beside_dir(".bare"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
	double began = now_s();

	for (unsigned done = 0; done < total; done += GROUP) {
		for (unsigned i = 0; i < GROUP; i++)
			digest_of(span_make(group + i * bytes, bytes));
		assert_int_equal(write(fd, group, bytes * GROUP), bytes * GROUP);
		assert_int_equal(fdatasync(fd), 0);
	}
	return now_s() - began;
}

static double hash_alone(unsigned total, size_t bytes)
{
	CLEANUP(mem_cleanup) char *record = mem_alloc(bytes);
	double began = now_s();

	for (unsigned i = 0; i < total; i++)
		digest_of(span_make(record, bytes));
	return now_s() - began;
}

static double verify_with(unsigned threads, uint64_t *size)
{
	struct audit_verify_options options = { .threads = threads };
	struct audit_verdict verdict;
	struct error err = ERROR_INIT;
	double began = now_s();

	if (audit_verify(dir, &options, &verdict, &err))
		fail_msg("%s", err.text);
	*size = verdict.checkpoint.size;
	return now_s() - began;
}

static void many_records_are_appended_and_verified(void **state)
{
	unsigned total = record_target();
	CLEANUP(str_release) struct str bundle = STR_INIT;
	double append, write_bare, hash, verify_one, verify_two, reopen;
	uint64_t size;
	size_t bytes;

	(void)state;
	append = append_all(total);
	read_whole(in_dir("tile/entries/001"), &bundle);
	bytes = bundle.length / 256;
	write_bare = bare(total, bytes);
	hash = hash_alone(total, bytes);
	verify_one = verify_with(1, &size);
	verify_two = verify_with(0, &size);
	assert_true(size >= total);
	reopen = now_s();
	audit_log_close(open_log());
	reopen = now_s() - reopen;
	print_message("%u records of %zu bytes in groups of %d: appended in %.2f s (%.0f/s), bare hashing and writing %.2f s: ratio %.2f\n", total,
		      bytes, GROUP, append, total / append, write_bare, write_bare / append);
	print_message("verified in %.3f s on one thread, %.3f s on all; bare hashing %.3f s: ratio %.2f, %.2f; reopened in %.3f s\n", verify_one,
		      verify_two, hash, hash / verify_one, hash / verify_two, reopen);
}

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(many_records_are_appended_and_verified) };

	return cmocka_run_group_tests_name("log_speed", tests, NULL, NULL);
}
