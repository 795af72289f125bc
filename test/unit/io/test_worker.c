/* Core's side of the workers, with this program as supervisor and as workers that lie, die, hang and answer out of turn. */
#include "unit.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/pack.h"
#include "io/frame.h"
#include "io/worker.h"

/* What a worker does with its n-th job. */
enum deed { DONE, REFUSED, DONE_TWICE, OF_ANOTHER_JOB, NO_FLAG, NO_ERROR, EMPTY, LONG_ERROR, WITH_DESCRIPTOR, DIES, HANGS, AS_ASKED };

struct site {
	struct loop *loop;
	struct workers *workers;
	struct worker_pool *pool;
	struct timer *guard;
	pthread_t supervisor;
	int far;                       /* the supervisor's end */
	const enum deed *deeds;        /* one a job, over all workers */
	size_t next, started;
	struct str told;               /* one word a completion */
	struct str said;               /* the last error's text */
	bool cannot_fork;
	size_t open;                   /* jobs without a completion */
};

static void answer(int socket, enum deed deed, struct span frame)
{
	struct unpack in = unpack_begin(frame);
	uint64_t job = unpack_u64(&in);
	struct span request = in.rest;
	CLEANUP(str_release) struct str out = STR_INIT;
	struct error err = { ERROR_INVALID, "Refused", "no" };

	if (deed != EMPTY)
		pack_u64(&out, job + (deed == OF_ANOTHER_JOB));
	if (deed == REFUSED || deed == NO_ERROR || deed == LONG_ERROR)
		pack_u8(&out, false);
	else if (deed != EMPTY && deed != NO_FLAG)
		pack_u8(&out, true);
	if (deed == NO_FLAG)
		str_addc(&out, 7);
	if (deed == REFUSED)
		pack_error(&out, &err);
	if (deed == LONG_ERROR)
		pack_text(&out, "far too much");
	if (deed == DONE || deed == DONE_TWICE || deed == OF_ANOTHER_JOB || deed == WITH_DESCRIPTOR)
		str_add(&out, request);
	frame_send(socket, str_span(&out), deed == WITH_DESCRIPTOR ? socket : -1, NULL);
	if (deed == DONE_TWICE)
		frame_send(socket, str_span(&out), -1, NULL);
}

struct worker_side { struct site *site; int socket; };

static void *work(void *data)
{
	struct worker_side *side = data;
	CLEANUP(str_release) struct str request = STR_INIT;
	int fd = -1;

	while (!frame_receive(side->socket, &request, &fd, NULL)) {
		enum deed deed = side->site->deeds[__atomic_fetch_add(&side->site->next, 1, __ATOMIC_SEQ_CST)];

		/* behind the job's number */
		if (deed == AS_ASKED)
			deed = span_starts(span_from(str_span(&request), 8), "hang") ? HANGS : DONE;
		if (deed == DIES)
			break;
		if (deed != HANGS)
			answer(side->socket, deed, str_span(&request));
	}
	close(side->socket);
	free(side);
	return NULL;
}

/* Starts a worker for each request of core's, until core closes. */
static void *supervise(void *data)
{
	struct site *site = data;
	CLEANUP(str_release) struct str request = STR_INIT, reply = STR_INIT;
	int fd = -1;

	while (!frame_receive(site->far, &request, &fd, NULL)) {
		struct unpack in = unpack_begin(str_span(&request));
		struct worker_side *side = mem_alloc(sizeof(*side));
		pthread_t thread;
		int pair[2];

		unpack_u32(&in);
		str_reset(&reply);
		pack_u64(&reply, unpack_u64(&in));
		if (__atomic_exchange_n(&site->cannot_fork, false, __ATOMIC_SEQ_CST)) {
			pack_u32(&reply, 0);
			frame_send(site->far, str_span(&reply), -1, NULL);
			free(side);
			continue;
		}
		/* no process of this system has it: what is killed is nobody */
		pack_u32(&reply, 0x3fffffff);
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
			abort();
		*side = (struct worker_side){ site, pair[1] };
		site->started++;
		if (pthread_create(&thread, NULL, work, side) || pthread_detach(thread))
			abort();
		frame_send(site->far, str_span(&reply), pair[0], NULL);
		close(pair[0]);
	}
	close(site->far);
	return NULL;
}

static void on_guard(void *data)
{
	(void)data;
	base_panic(__FILE__, __LINE__, "no completion came for 10 s");
}

static void on_lost(void *data)
{
	(void)data;
}

static void on_done(void *data, struct span bytes, int fd, const struct error *err)
{
	struct site *site = data;

	str_addf(&site->told, "%s%.*s%s ", err ? err->reason : "", SPAN_ARG(bytes), fd >= 0 ? "+fd" : "");
	str_reset(&site->said);
	str_adds(&site->said, err ? err->text : "");
	if (fd >= 0)
		close(fd);
	if (!--site->open)
		loop_stop(site->loop);
}

static void begin(struct site *site, const enum deed *deeds, size_t size, unsigned jobs_max)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	*site = (struct site){ .loop = loop_new(), .deeds = deeds, .far = fcntl(pair[1], F_DUPFD_CLOEXEC, 10) };
	close(pair[1]);
	assert_int_equal(dup2(pair[0], ROLE_CHANNEL), ROLE_CHANNEL);
	if (pair[0] != ROLE_CHANNEL)
		close(pair[0]);
	site->workers = workers_new(site->loop, on_lost, site);
	site->pool = worker_pool_new(site->workers, ROLE_RENDER, size, jobs_max, false);
	site->guard = timer_new(site->loop, on_guard, NULL);
	timer_start(site->guard, 10000);
	assert_int_equal(pthread_create(&site->supervisor, NULL, supervise, site), 0);
}

static void submit(struct site *site, const char *text, int64_t timeout_ms)
{
	site->open++;
	worker_submit(site->pool, span_of(text), -1, timeout_ms, on_done, site);
}

static void submit_for(struct site *site, const char *owner, const char *text, int64_t timeout_ms)
{
	site->open++;
	worker_submit_for(site->pool, owner, span_of(text), -1, timeout_ms, on_done, site);
}

static void end(struct site *site, const char *told, size_t started)
{
	loop_run(site->loop);
	ASSERT_TEXT("completions", str_c(&site->told), told);
	assert_int_equal(site->started, started);
	timer_free(site->guard);
	worker_pool_free(site->pool);
	workers_free(site->workers);
	pthread_join(site->supervisor, NULL);
	loop_free(site->loop);
	str_release(&site->told);
	str_release(&site->said);
}

static void worker_does_job_after_job_in_order(void **state)
{
	static const enum deed deeds[] = { DONE, REFUSED, WITH_DESCRIPTOR };
	struct site site;

	(void)state;
	begin(&site, deeds, 1, 0);
	submit(&site, "a", 0);
	submit(&site, "b", 0);
	submit(&site, "c", 0);
	end(&site, "a Refused c+fd ", 1);
}

static void worker_is_replaced_after_its_number_of_jobs(void **state)
{
	static const enum deed deeds[] = { DONE, DONE, DONE };
	struct site site;

	(void)state;
	begin(&site, deeds, 1, 2);
	submit(&site, "a", 0);
	submit(&site, "b", 0);
	submit(&site, "c", 0);
	end(&site, "a b c ", 2);
}

/* The frame itself is well-formed; what is in it is not what a worker says. */
static void answer_that_does_not_type_check_fails_one_job_and_ends_the_worker(void **state)
{
	static const enum deed lies[] = { NO_FLAG, NO_ERROR, EMPTY, LONG_ERROR, OF_ANOTHER_JOB };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(lies); i++) {
		const enum deed deeds[] = { lies[i], DONE };
		struct site site;

		begin(&site, deeds, 1, 0);
		submit(&site, "a", 0);
		submit(&site, "b", 0);
		end(&site, "WorkerCrashed b ", 2);
	}
}

static void worker_that_dies_in_a_job_loses_that_job_only(void **state)
{
	static const enum deed deeds[] = { DIES, DONE };
	struct site site;

	(void)state;
	begin(&site, deeds, 1, 0);
	submit(&site, "a", 0);
	submit(&site, "b", 0);
	end(&site, "WorkerCrashed b ", 2);
}

static void worker_that_could_not_be_started_is_not_said_to_have_died(void **state)
{
	static const enum deed deeds[] = { DONE };
	struct site site;

	(void)state;
	begin(&site, deeds, 1, 0);
	__atomic_store_n(&site.cannot_fork, true, __ATOMIC_SEQ_CST);
	submit(&site, "a", 0);
	loop_run(site.loop);
	assert_non_null(strstr(str_c(&site.said), "could not be started"));
	assert_null(strstr(str_c(&site.said), "died"));
	submit(&site, "b", 0);
	end(&site, "WorkerCrashed b ", 1);
}

static void worker_that_hangs_is_given_up_at_the_deadline(void **state)
{
	static const enum deed deeds[] = { HANGS, DONE };
	struct site site;

	(void)state;
	begin(&site, deeds, 1, 0);
	submit(&site, "a", 100);
	submit(&site, "b", 0);
	end(&site, "WorkerTimeout b ", 2);
}

/* What comes without a job is nobody's, whether it comes before the next job was given or after. */
static void answer_that_nobody_asked_for_never_reaches_the_next_job(void **state)
{
	static const enum deed deeds[] = { DONE_TWICE, DONE, DONE };
	struct site site;

	(void)state;
	begin(&site, deeds, 1, 0);
	submit(&site, "a", 0);
	submit(&site, "b", 0);
	loop_run(site.loop);
	/* b is lost with the worker or done by another, but never answered with a's bytes */
	if (strcmp(str_c(&site.told), "a b ") && strcmp(str_c(&site.told), "a WorkerCrashed "))
		fail_msg("completions: %s", str_c(&site.told));
	str_reset(&site.told);
	submit(&site, "c", 0);
	end(&site, "c ", 2);
}

static void forgotten_job_is_not_told(void **state)
{
	static const enum deed deeds[] = { DONE, DONE };
	struct site site;
	uint64_t id;

	(void)state;
	begin(&site, deeds, 1, 0);
	id = worker_submit(site.pool, SPAN("x"), -1, 0, on_done, &site);
	worker_forget(site.pool, id);
	submit(&site, "b", 0);
	end(&site, "b ", 1);
}

static void owners_of_jobs_take_turns(void **state)
{
	static const enum deed deeds[] = { DONE, DONE, DONE, DONE, DONE };
	struct site site;

	(void)state;
	begin(&site, deeds, 1, 0);
	submit_for(&site, "red", "r1", 0);
	submit_for(&site, "red", "r2", 0);
	submit_for(&site, "red", "r3", 0);
	submit_for(&site, "blue", "b1", 0);
	submit_for(&site, "blue", "b2", 0);
	end(&site, "r1 r2 b1 r3 b2 ", 1);
}

static void owner_whose_jobs_all_hang_leaves_a_worker_to_the_others(void **state)
{
	static const enum deed deeds[] = { AS_ASKED, AS_ASKED, AS_ASKED, AS_ASKED, AS_ASKED };
	struct site site;

	(void)state;
	begin(&site, deeds, 3, 0);
	for (int i = 0; i < 3; i++)
		submit_for(&site, "red", "hang", 500);
	submit_for(&site, "blue", "b1", 0);
	submit_for(&site, "blue", "b2", 0);
	end(&site, "b1 b2 WorkerTimeout WorkerTimeout WorkerTimeout ", 3);
}

static void owner_who_is_alone_starts_no_worker_that_he_may_not_have(void **state)
{
	static const enum deed deeds[] = { DONE, DONE, DONE, DONE, DONE, DONE };
	struct site site;

	(void)state;
	begin(&site, deeds, 3, 0);
	for (int i = 0; i < 6; i++)
		submit_for(&site, "red", "r", 0);
	end(&site, "r r r r r r ", 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(worker_does_job_after_job_in_order),
		cmocka_unit_test(worker_is_replaced_after_its_number_of_jobs),
		cmocka_unit_test(answer_that_does_not_type_check_fails_one_job_and_ends_the_worker),
		cmocka_unit_test(worker_that_dies_in_a_job_loses_that_job_only),
		cmocka_unit_test(worker_that_could_not_be_started_is_not_said_to_have_died),
		cmocka_unit_test(worker_that_hangs_is_given_up_at_the_deadline),
		cmocka_unit_test(answer_that_nobody_asked_for_never_reaches_the_next_job),
		cmocka_unit_test(forgotten_job_is_not_told),
		cmocka_unit_test(owners_of_jobs_take_turns),
		cmocka_unit_test(owner_whose_jobs_all_hang_leaves_a_worker_to_the_others),
		cmocka_unit_test(owner_who_is_alone_starts_no_worker_that_he_may_not_have),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
