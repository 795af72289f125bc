/* Questions about revisions: bounded, whoever names how many; one that fails is not the others' failure. */
#include "unit.h"

#include "base/error.h"
#include "base/limits.h"
#include "reconcile/repo_jobs.h"

#define QUESTIONS 16

static struct { struct str request; worker_done *on_done; void *data; } asked[QUESTIONS];
static size_t asked_count;

static void fake_send(struct repo_jobs *jobs, enum repo_job kind, struct str *request, worker_done *on_done, void *data)
{
	(void)jobs;
	assert_true(kind == JOB_ASKS && asked_count < QUESTIONS);
	asked[asked_count].request = *request;
	*request = (struct str)STR_INIT;
	asked[asked_count].on_done = on_done;
	asked[asked_count++].data = data;
}

#define repo_jobs_send fake_send
#include "reconcile/repo_refs.c"
#undef repo_jobs_send

static struct { struct arena *arena; struct repo_refs *refs; size_t good, bad, ends; bool ended_badly; } world;

static void on_ref(void *data, const char *revision, const struct source_ref *ref, const struct error *err)
{
	(void)data;
	assert_true(!ref == (err != NULL) && *revision);
	world.good += ref != NULL;
	world.bad += err != NULL;
}

static void on_end(void *data, const struct error *err)
{
	(void)data;
	world.ends++;
	world.ended_badly = err != NULL;
}

static int begin(void **state)
{
	(void)state;
	memset(&world, 0, sizeof(world));
	asked_count = 0;
	world.arena = arena_new(0);
	world.refs = repo_refs_new(&(struct repo_refs_of){ NULL, on_ref, on_end, NULL });
	return 0;
}

static void forget_asked(void)
{
	for (size_t i = 0; i < asked_count; i++)
		str_release(&asked[i].request);
	asked_count = 0;
}

static int end_test(void **state)
{
	(void)state;
	repo_refs_free(world.refs);
	forget_asked();
	arena_free(world.arena);
	return 0;
}

static const char **many(size_t count, const char *format)
{
	const char **out = arena_calloc(world.arena, count, sizeof(*out));

	for (size_t i = 0; i < count; i++)
		out[i] = arena_printf(world.arena, "%s%08zu", format, i);
	return out;
}

/* What the worker is asked, as it reads it. */
static size_t count_of(size_t at)
{
	struct source_job job;
	struct error err = ERROR_INIT;

	if (source_job_decode(str_span(&asked[at].request), world.arena, &job, &err))
		fail_msg("question %zu: %s", at, err.text);
	assert_int_equal(job.kind, SOURCE_REFS);
	return job.as.refs.count;
}

static void answer(size_t at, const struct error *err)
{
	CLEANUP(str_release) struct str bytes = STR_INIT;
	size_t count = count_of(at);
	struct source_refs_reply reply = { arena_calloc(world.arena, count, sizeof(struct source_ref)), count };

	for (size_t i = 0; i < count; i++) {
		memset(reply.refs[i].commit, 'a', COMMIT_HEX - 1);
		reply.refs[i].ref = "refs/heads/x";
	}
	source_refs_reply_encode(&reply, &bytes);
	asked[at].on_done(asked[at].data, err ? SPAN0 : str_span(&bytes), -1, err);
}

static void five_thousand_revisions_are_questions_that_the_worker_takes(void **state)
{
	(void)state;
	repo_refs_ask(world.refs, many(5000, "branch"), 5000);
	assert_int_equal(asked_count, 2);
	assert_int_equal(count_of(0) + count_of(1), 5000);
	answer(0, NULL);
	assert_int_equal(world.ends, 0);
	answer(1, NULL);
	assert_true(world.good == 5000 && world.bad == 0 && world.ends == 1 && !world.ended_badly);
}

static void long_revisions_make_no_question_larger(void **state)
{
	char *name = arena_alloc(world.arena, LIMIT_GIT_REVISION_BYTES);

	(void)state;
	memset(name, 'x', LIMIT_GIT_REVISION_BYTES - 8);
	name[LIMIT_GIT_REVISION_BYTES - 8] = '\0';
	repo_refs_ask(world.refs, many(4000, name), 4000);
	assert_true(asked_count == 4);
	for (size_t i = 0, all = 0; i < asked_count; i++) {
		assert_true(asked[i].request.length < (2u << 20));
		all += count_of(i);
		answer(i, NULL);
		assert_true(world.good == all);
	}
	assert_true(world.good == 4000 && world.ends == 1);
}

static void question_that_fails_is_not_the_others_failure(void **state)
{
	struct error err = ERROR_INIT;

	(void)state;
	error_set(&err, ERROR_TRANSIENT, "BadProtocol", "no");
	repo_refs_ask(world.refs, many(LIMIT_GIT_ASKED + 4, "tag"), LIMIT_GIT_ASKED + 4);
	answer(1, NULL);
	answer(0, &err);
	assert_true(world.good == 4 && world.bad == LIMIT_GIT_ASKED && world.ends == 1 && world.ended_badly);
	/* and it is over with the next answer */
	forget_asked();
	repo_refs_ask(world.refs, many(1, "tag"), 1);
	answer(0, NULL);
	assert_true(world.ends == 2 && !world.ended_badly);
}

static void commits_stand_for_themselves(void **state)
{
	static const char *const wanted[] = { "0123456789ABCDEF0123456789abcdef01234567", "0123456789abcdef0123456789abcdef01234568" };

	(void)state;
	repo_refs_ask(world.refs, wanted, COUNT_OF(wanted));
	assert_true(asked_count == 0 && world.good == 2 && world.ends == 1 && !world.ended_badly);
	repo_refs_ask(world.refs, NULL, 0);
	assert_true(world.ends == 2);
}

static void answer_to_another_question_is_an_error(void **state)
{
	CLEANUP(str_release) struct str bytes = STR_INIT;

	(void)state;
	repo_refs_ask(world.refs, many(2, "branch"), 2);
	source_refs_reply_encode(&(struct source_refs_reply){ NULL, 0 }, &bytes);
	asked[0].on_done(asked[0].data, str_span(&bytes), -1, NULL);
	assert_true(world.bad == 2 && world.ended_badly);
}

static void what_is_under_way_is_forgotten(void **state)
{
	(void)state;
	repo_refs_ask(world.refs, many(5000, "branch"), 5000);
	assert_int_equal(asked_count, 2);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end_test)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(five_thousand_revisions_are_questions_that_the_worker_takes),
		TEST(long_revisions_make_no_question_larger),
		TEST(question_that_fails_is_not_the_others_failure),
		TEST(commits_stand_for_themselves),
		TEST(answer_to_another_question_is_an_error),
		TEST(what_is_under_way_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
