/* Which process of a repository does which job: what only reads does not wait for a server, and comes back when it cannot be read beside. */
#include "unit.h"

#include "io/loop.h"
#include "io/worker.h"

/* Two processes at most, whose jobs the test answers when it likes: 0 is made first. */
#define POOLS 2
#define JOBS 16

struct worker_pool {
	bool living;
	struct { char request[32]; uint64_t id; worker_done *on_done; void *data; } jobs[JOBS];
	size_t count;
};

static struct worker_pool pools[POOLS];
static uint64_t last_id;

static struct worker_pool *fake_pool_new(struct workers *workers, enum role role, size_t size, unsigned jobs_max, bool replace)
{
	struct worker_pool *pool = pools[0].living ? &pools[1] : &pools[0];

	(void)workers, (void)jobs_max, (void)replace;
	assert_true(role == ROLE_SOURCE && size == 1 && !pool->living);
	*pool = (struct worker_pool){ .living = true };
	return pool;
}

static void fake_pool_free(struct worker_pool *pool)
{
	if (pool)
		*pool = (struct worker_pool){ .living = false };
}

static uint64_t fake_submit(struct worker_pool *pool, struct span request, int fd, int64_t timeout_ms, worker_done *on_done, void *data)
{
	size_t at = pool->count++;

	(void)timeout_ms;
	assert_true(fd == -1 && at < JOBS);
	/* the reader's is configured by a job of source_job.h, which is no text */
	snprintf(pool->jobs[at].request, sizeof(pool->jobs[at].request), "%.*s", request.length && request.data[0] < ' ' ? 0 : (int)request.length,
		 request.data);
	pool->jobs[at].id = ++last_id;
	pool->jobs[at].on_done = on_done;
	pool->jobs[at].data = data;
	return last_id;
}

static void take_out(struct worker_pool *pool, size_t at)
{
	memmove(&pool->jobs[at], &pool->jobs[at + 1], (pool->count - at - 1) * sizeof(pool->jobs[0]));
	pool->count--;
}

static void fake_forget(struct worker_pool *pool, uint64_t id)
{
	for (size_t i = 0; i < pool->count; i++)
		if (pool->jobs[i].id == id) {
			/* the first one is under way */
			assert_true(i > 0);
			take_out(pool, i);
			return;
		}
	fail_msg("a job was forgotten that is not there");
}

#define worker_pool_new fake_pool_new
#define worker_pool_free fake_pool_free
#define worker_submit fake_submit
#define worker_forget fake_forget
#include "reconcile/repo_jobs.c"
#undef worker_pool_new
#undef worker_pool_free
#undef worker_submit
#undef worker_forget

static struct { struct loop *loop; struct repo_jobs *jobs; char told[256]; size_t living; } world;

static void write_configure(void *data, struct str *request)
{
	(void)data;
	str_adds(request, "configure");
}

static int begin(void **state)
{
	(void)state;
	memset(pools, 0, sizeof(pools));
	memset(&world, 0, sizeof(world));
	world.loop = loop_new();
	world.jobs = repo_jobs_new(&(struct repo_jobs_of){ NULL, world.loop, "/mirrors/x", write_configure, NULL, &world.living });
	return 0;
}

static int end(void **state)
{
	(void)state;
	repo_jobs_free(world.jobs);
	assert_false(pools[0].living || pools[1].living);
	assert_int_equal(world.living, 0);
	loop_free(world.loop);
	return 0;
}

static void on_told(void *data, struct span answer, int fd, const struct error *err)
{
	size_t length = strlen(world.told);

	(void)fd;
	snprintf(world.told + length, sizeof(world.told) - length, "%s=%.*s;", (const char *)data, err ? (int)strlen(err->reason) : (int)answer.length,
		 err ? err->reason : answer.data);
}

static void send(enum repo_job kind, const char *name)
{
	CLEANUP(str_release) struct str request = STR_INIT;

	str_adds(&request, name);
	repo_jobs_send(world.jobs, kind, &request, on_told, (void *)(uintptr_t)name);
	assert_int_equal(request.length, 0);
}

/* What a process has, in its order; a reader's configuration is "". */
static const char *has(size_t pool)
{
	static char text[256];

	text[0] = '\0';
	for (size_t i = 0; i < pools[pool].count; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s;", pools[pool].jobs[i].request);
	return text;
}

/* The process's first job is done; NULL: well. */
static void answer(size_t pool, const char *reason)
{
	struct error err = { .kind = ERROR_TRANSIENT };
	worker_done *on_done = pools[pool].jobs[0].on_done;
	void *data = pools[pool].jobs[0].data;

	assert_true(pools[pool].count > 0);
	take_out(&pools[pool], 0);
	snprintf(err.reason, sizeof(err.reason), "%s", reason ? reason : "");
	on_done(data, SPAN("ok"), -1, reason ? &err : NULL);
}

static void jobs_are_done_by_one_process_in_order_while_none_waits(void **state)
{
	(void)state;
	send(JOB_READS, "tree");
	send(JOB_ASKS, "refs");
	ASSERT_TEXT("first", has(0), "configure;tree;refs;");
	assert_false(timer_running(world.jobs->patience));
	answer(0, NULL);
	answer(0, NULL);
	answer(0, NULL);
	ASSERT_TEXT("told", world.told, "tree=ok;refs=ok;");
	assert_false(pools[1].living);
}

static void job_that_reads_goes_beside_one_that_asks_and_the_reader_ends_when_idle(void **state)
{
	(void)state;
	send(JOB_READS, "before");
	send(JOB_ASKS, "refs");
	send(JOB_READS, "tree");
	send(JOB_ASKS, "fetch");
	send(JOB_READS, "changed");
	answer(0, NULL);
	answer(0, NULL);
	assert_true(timer_running(world.jobs->patience));
	on_patience(world.jobs);
	ASSERT_TEXT("first", has(0), "refs;fetch;");
	ASSERT_TEXT("reader", has(1), ";tree;changed;");
	answer(1, NULL);
	answer(1, NULL);
	assert_false(timer_running(world.jobs->idle));
	answer(1, NULL);
	ASSERT_TEXT("told", world.told, "before=ok;tree=ok;changed=ok;");
	assert_true(timer_running(world.jobs->idle));
	/* one that comes before the end keeps it, and it is configured already */
	send(JOB_READS, "again");
	on_patience(world.jobs);
	assert_false(timer_running(world.jobs->idle));
	ASSERT_TEXT("reader", has(1), "again;");
	answer(1, NULL);
	on_idle(world.jobs);
	assert_false(pools[1].living);
	send(JOB_READS, "anew");
	on_patience(world.jobs);
	ASSERT_TEXT("reader", has(1), ";anew;");
}

static void job_that_is_under_way_stays_where_it_is(void **state)
{
	(void)state;
	send(JOB_ASKS, "refs");
	send(JOB_READS, "tree");
	answer(0, NULL);
	answer(0, NULL);
	/* the server has answered: now it is tree's turn, and the next poll stands behind it */
	send(JOB_ASKS, "poll");
	on_patience(world.jobs);
	ASSERT_TEXT("first", has(0), "tree;poll;");
	assert_false(pools[1].living);
}

static void what_cannot_be_read_beside_comes_back_and_stays(void **state)
{
	static const char *const reasons[] = { "CommitMissing", "MirrorBusy", "WorkerCrashed", "WorkerTimeout", "NotConfigured", "InvalidPath" };

	(void)state;
	send(JOB_ASKS, "refs");
	answer(0, NULL);
	for (size_t i = 0; i < COUNT_OF(reasons); i++) {
		world.told[0] = '\0';
		send(JOB_READS, "tree");
		on_patience(world.jobs);
		/* after whatever error it is configured again */
		ASSERT_TEXT("reader", has(1), ";tree;");
		answer(1, NULL);
		answer(1, reasons[i]);
		ASSERT_TEXT("first", has(0), "refs;tree;");
		on_patience(world.jobs);
		ASSERT_TEXT("first", has(0), "refs;tree;");
		answer(0, NULL);
		answer(0, NULL);
		ASSERT_TEXT("told", world.told, "refs=ok;tree=ok;");
		send(JOB_ASKS, "refs");
	}
}

static void first_process_that_is_new_is_configured_and_asked_once_more(void **state)
{
	(void)state;
	send(JOB_ASKS, "refs");
	send(JOB_READS, "tree");
	answer(0, NULL);
	answer(0, "WorkerCrashed");
	/* which is told; the next one does not know that its process is new */
	ASSERT_TEXT("told", world.told, "refs=WorkerCrashed;");
	answer(0, "NotConfigured");
	ASSERT_TEXT("first", has(0), "configure;tree;");
	answer(0, NULL);
	answer(0, "NotConfigured");
	ASSERT_TEXT("told", world.told, "refs=WorkerCrashed;tree=NotConfigured;");
	repo_jobs_reconfigure(world.jobs);
	send(JOB_ASKS, "last");
	ASSERT_TEXT("first", has(0), "configure;last;");
}

static void jobs_that_are_under_way_are_forgotten_at_the_end(void **state)
{
	(void)state;
	send(JOB_ASKS, "refs");
	send(JOB_READS, "tree");
	send(JOB_READS, "changed");
	on_patience(world.jobs);
	send(JOB_READS, "late");
}

static void process_without_a_job_ends_when_there_are_many_or_nobody_wants_it(void **state)
{
	(void)state;
	send(JOB_ASKS, "refs");
	assert_int_equal(world.living, 1);
	/* as if there were others */
	world.living += LIMIT_GIT_IDLE_PROCESSES;
	repo_jobs_rest(world.jobs);
	ASSERT_TEXT("it has a job", has(0), "configure;refs;");
	answer(0, NULL);
	answer(0, NULL);
	assert_true(timer_running(world.jobs->rest));
	on_rest(world.jobs);
	assert_int_equal(world.living, LIMIT_GIT_IDLE_PROCESSES);
	send(JOB_ASKS, "anew");
	ASSERT_TEXT("a new one", has(0), "configure;anew;");
	world.living -= LIMIT_GIT_IDLE_PROCESSES;
	answer(0, NULL);
	answer(0, NULL);
	on_rest(world.jobs);
	send(JOB_ASKS, "kept");
	ASSERT_TEXT("the same", has(0), "kept;");
	answer(0, NULL);
	repo_jobs_rest(world.jobs);
	assert_int_equal(world.living, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(jobs_are_done_by_one_process_in_order_while_none_waits),
		TEST(job_that_reads_goes_beside_one_that_asks_and_the_reader_ends_when_idle),
		TEST(job_that_is_under_way_stays_where_it_is),
		TEST(what_cannot_be_read_beside_comes_back_and_stays),
		TEST(first_process_that_is_new_is_configured_and_asked_once_more),
		TEST(process_without_a_job_ends_when_there_are_many_or_nobody_wants_it),
		TEST(jobs_that_are_under_way_are_forgotten_at_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
