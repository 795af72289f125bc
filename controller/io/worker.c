/* Pools of worker processes; see worker.h. */
#include "io/worker.h"

#include <signal.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/map.h"
#include "base/metric.h"
#include "base/pack.h"
#include "io/channel.h"
#include "io/processes.h"

/* Jobs of one owner that wait, in order. It goes with the last job that waits or is under way. */
struct line {
	struct line *next;     /* of those with jobs that wait: whose turn comes first stands first */
	struct worker_pool *pool;
	char *owner;
	struct job *first, **last;
	size_t jobs, under_way;
};

struct job {
	struct job *next;
	struct line *line;
	bool begun;            /* given to a worker */
	uint64_t id;
	struct str request;
	int fd;
	int64_t timeout_ms;
	worker_done *on_done;  /* NULL: forgotten */
	void *data;
};

struct worker {
	struct worker_pool *pool;
	uint64_t id;           /* what the supervisor calls it */
	uint32_t pid;
	struct channel *channel;   /* NULL until the supervisor has answered */
	struct job *job;
	struct timer *deadline;
	unsigned jobs_done;
	bool answering;        /* its completion is being told: not to be given another job yet */
};

struct worker_pool {
	struct worker_pool *next;  /* of all pools */
	struct workers *workers;
	enum role role;
	size_t size, running;
	unsigned jobs_max;
	bool replace_on_error;
	struct worker **slots;
	struct map lines;      /* owner -> line */
	struct line *first, **last;
};

/* The process that asks; see worker_asker. */
struct asker {
	enum role role;            /* ROLE_NONE: there is none */
	uint64_t id;               /* of the start under way; 0: none */
	struct channel *channel;
	struct timer *restart;
	bool (*on_ask)(void *, struct span);
	void *data;
};

struct workers {
	struct loop *loop;
	struct channel *supervisor;
	struct worker_pool *pools;
	struct asker asker;
	struct processes *processes;
	struct map starting;       /* id -> worker */
	uint64_t next_id;
	size_t crashes;
	void (*on_lost)(void *);
	void *data;
};

#define ASKER_RESTART_MS 1000

static void dispatch(struct worker_pool *pool);

static struct span key_of(const uint64_t *id)
{
	return span_make(id, sizeof(*id));
}

static void line_leave(struct line *line, const struct job *job)
{
	line->under_way -= job->begun;
	if (--line->jobs)
		return;
	map_remove(&line->pool->lines, span_of(line->owner));
	free(line->owner);
	free(line);
}

static void job_free(struct job *job)
{
	if (!job)
		return;
	line_leave(job->line, job);
	fd_cleanup(&job->fd);
	str_release(&job->request);
	free(job);
}

static void job_end(struct job *job, struct span answer, int fd, const struct error *err)
{
	if (job->on_done)
		job->on_done(job->data, answer, fd, err);
	else
		fd_cleanup(&fd);
	job_free(job);
}

static void worker_free(struct worker *worker)
{
	struct worker_pool *pool = worker->pool;

	for (size_t i = 0; i < pool->size; i++)
		if (pool->slots[i] == worker)
			pool->slots[i] = NULL;
	pool->running--;
	map_remove(&pool->workers->starting, key_of(&worker->id));
	channel_free(worker->channel);
	timer_free(worker->deadline);
	free(worker);
}

/* Ends the process's work here; its channel's end makes the process exit. */
static void retire(struct worker *worker, const struct error *err)
{
	struct worker_pool *pool = worker->pool;
	struct job *job = TAKE(worker->job);

	worker_free(worker);
	if (job)
		job_end(job, SPAN0, -1, err);
	dispatch(pool);
}

static void on_answer(void *data, struct span frame, int fd)
{
	struct worker *worker = data;
	struct worker_pool *pool = worker->pool;
	struct job *job = TAKE(worker->job);
	struct unpack in = unpack_begin(frame);
	uint64_t id = unpack_u64(&in);
	/* what was not asked for is nobody's, and least of all the next job's */
	bool done = unpack_bool(&in), lied = in.bad || !job || job->id != id;
	struct error err = ERROR_INIT;

	timer_stop(worker->deadline);
	worker->jobs_done++;
	worker->answering = true;
	if (!lied && !done) {
		unpack_error(&in, &err);
		lied = unpack_end(&in, "error of a worker", NULL) != 0;
	}
	if (lied) {
		error_set(&err, ERROR_TRANSIENT, "WorkerCrashed", "the %s worker answered with what no worker answers",
			  role_name(pool->role));
		metric_add(METRIC_WORKER_CRASHES, 1, role_name(pool->role), "nonsense", NULL);
	}
	metric_add(METRIC_WORKER_JOBS, 1, role_name(pool->role), lied ? "lost" : done ? "done" : "refused", NULL);
	/* the answer is borrowed from the channel, so the channel goes only after the completion */
	if (job)
		job_end(job, done && !lied ? in.rest : SPAN0, done && !lied ? TAKE_FD(fd) : -1, done && !lied ? NULL : &err);
	fd_cleanup(&fd);
	worker->answering = false;
	if (lied || (!done && pool->replace_on_error) || (pool->jobs_max && worker->jobs_done >= pool->jobs_max))
		worker_free(worker);
	dispatch(pool);
}

/* The job that it had, or was started for, is lost. */
static void lose(struct worker *worker, const char *how, const char *what)
{
	struct error err = ERROR_INIT;

	if (worker->job) {
		worker->pool->workers->crashes++;
		metric_add(METRIC_WORKER_CRASHES, 1, role_name(worker->pool->role), how, NULL);
		metric_add(METRIC_WORKER_JOBS, 1, role_name(worker->pool->role), "lost", NULL);
		error_set(&err, ERROR_TRANSIENT, "WorkerCrashed", "the %s worker (pid %u) %s; only this job is lost, it is tried again",
			  role_name(worker->pool->role), worker->pid, what);
		log_error(LOG_ERROR, "worker crashed", &err, NULL);
	}
	retire(worker, &err);
}

static void on_crash(void *data, const struct error *why)
{
	(void)why;
	lose(data, "died", "died in the middle of the job");
}

static void on_deadline(void *data)
{
	struct worker *worker = data;
	struct error err = ERROR_INIT;

	error_set(&err, ERROR_TRANSIENT, "WorkerTimeout", "the %s worker (pid %u) took longer than %lld ms",
		  role_name(worker->pool->role), worker->pid, worker->job ? (long long)worker->job->timeout_ms : 0);
	log_error(LOG_ERROR, "worker killed", &err, NULL);
	metric_add(METRIC_WORKER_CRASHES, 1, role_name(worker->pool->role), "timeout", NULL);
	metric_add(METRIC_WORKER_JOBS, 1, role_name(worker->pool->role), "lost", NULL);
	if (worker->pid)
		kill((pid_t)worker->pid, SIGKILL);
	retire(worker, &err);
}

static void give(struct worker *worker)
{
	if (!worker->channel || !worker->job)
		return;
	timer_start(worker->deadline, worker->job->timeout_ms);
	channel_send(worker->channel, str_span(&worker->job->request), worker->job->fd);
}

/* --- the process that asks ---------------------------------------------------------------------------------------- */

static void asker_end(struct workers *workers)
{
	channel_free(TAKE(workers->asker.channel));
	workers->asker.id = 0;
	timer_start(workers->asker.restart, ASKER_RESTART_MS);
}

static void on_asker_closed(void *data, const struct error *err)
{
	struct workers *workers = data;

	(void)err;
	log_line(LOG_WARN, "process ended, starting it again", "which", role_name(workers->asker.role), NULL);
	asker_end(workers);
}

static void on_asker_frame(void *data, struct span frame, int fd)
{
	struct workers *workers = data;
	bool misbehaves = fd >= 0;

	fd_cleanup(&fd);
	if (misbehaves || !workers->asker.on_ask(workers->asker.data, frame)) {
		metric_add(METRIC_WORKER_CRASHES, 1, role_name(workers->asker.role), "nonsense", NULL);
		log_line(LOG_ERROR, "process ended for what it asked", "which", role_name(workers->asker.role), NULL);
		asker_end(workers);
	}
}

static void ask_supervisor(struct workers *workers, enum role role, uint64_t id)
{
	CLEANUP(str_release) struct str request = STR_INIT;

	pack_u32(&request, role);
	pack_u64(&request, id);
	if (workers->supervisor)
		channel_send(workers->supervisor, str_span(&request), -1);
}

static void start_asker(void *data)
{
	struct workers *workers = data;

	workers->asker.id = ++workers->next_id;
	ask_supervisor(workers, workers->asker.role, workers->asker.id);
}

static void on_asker_started(struct workers *workers, uint32_t pid, int fd)
{
	struct asker *asker = &workers->asker;

	asker->id = 0;
	if (fd < 0) {
		timer_start(asker->restart, ASKER_RESTART_MS);
		return;
	}
	processes_began(workers->processes, pid, asker->role);
	asker->channel = channel_new(workers->loop, fd, on_asker_frame, on_asker_closed, workers);
}

void worker_asker(struct workers *workers, enum role role, bool (*on_ask)(void *data, struct span frame), void *data)
{
	ASSERT(workers->asker.role == ROLE_NONE);
	workers->asker.role = role;
	workers->asker.on_ask = on_ask;
	workers->asker.data = data;
	workers->asker.restart = timer_new(workers->loop, start_asker, workers);
	start_asker(workers);
}

void worker_asker_send(struct workers *workers, struct span frame)
{
	if (workers->asker.channel)
		channel_send(workers->asker.channel, frame, -1);
}

/* --- the supervisor ------------------------------------------------------------------------------------------------ */

/* An id of 0 tells of an end: u64 processor time. */
static void on_end_told(struct workers *workers, uint32_t pid, struct unpack *in)
{
	uint64_t cpu_us = unpack_u64(in);

	if (!in->bad)
		processes_ended(workers->processes, pid, cpu_us);
}

static void on_supervisor(void *data, struct span frame, int fd)
{
	struct workers *workers = data;
	struct unpack in = unpack_begin(frame);
	uint64_t id = unpack_u64(&in);
	uint32_t pid = unpack_u32(&in);
	struct worker *worker;

	if (!id) {
		fd_cleanup(&fd);
		on_end_told(workers, pid, &in);
		return;
	}
	if (id == workers->asker.id) {
		on_asker_started(workers, pid, fd);
		return;
	}
	worker = map_remove(&workers->starting, key_of(&id));
	if (!worker || fd < 0) {
		fd_cleanup(&fd);
		if (worker)
			lose(worker, "not-started", "could not be started: is the container out of processes or memory?");
		return;
	}
	worker->pid = pid;
	processes_began(workers->processes, pid, worker->pool->role);
	worker->channel = channel_new(workers->loop, fd, on_answer, on_crash, worker);
	give(worker);
}

static void on_supervisor_gone(void *data, const struct error *err)
{
	struct workers *workers = data;

	(void)err;
	channel_free(TAKE(workers->supervisor));
	workers->on_lost(workers->data);
}

struct workers *workers_new(struct loop *loop, void (*on_lost)(void *), void *data)
{
	struct workers *workers = mem_alloc(sizeof(*workers));

	workers->loop = loop;
	workers->on_lost = on_lost;
	workers->data = data;
	workers->processes = processes_new();
	workers->supervisor = channel_new(loop, ROLE_CHANNEL, on_supervisor, on_supervisor_gone, workers);
	return workers;
}

void workers_free(struct workers *workers)
{
	channel_free(workers->supervisor);
	channel_free(workers->asker.channel);
	timer_free(workers->asker.restart);
	processes_free(workers->processes);
	map_release(&workers->starting);
	free(workers);
}

size_t worker_crashes(const struct workers *workers)
{
	return workers->crashes;
}

struct worker_pool *worker_pool_new(struct workers *workers, enum role role, size_t size, unsigned jobs_max,
				    bool replace_on_error)
{
	struct worker_pool *pool = mem_alloc(sizeof(*pool));

	pool->workers = workers;
	pool->role = role;
	pool->size = size;
	pool->jobs_max = jobs_max;
	pool->replace_on_error = replace_on_error;
	pool->slots = mem_calloc(size, sizeof(struct worker *));
	pool->last = &pool->first;
	pool->next = workers->pools;
	workers->pools = pool;
	return pool;
}

static struct worker *start(struct worker_pool *pool, size_t slot)
{
	struct workers *workers = pool->workers;
	struct worker *worker = mem_alloc(sizeof(*worker));

	worker->pool = pool;
	worker->id = ++workers->next_id;
	worker->deadline = timer_new(workers->loop, on_deadline, worker);
	pool->slots[slot] = worker;
	pool->running++;
	map_set(&workers->starting, key_of(&worker->id), worker);
	ask_supervisor(workers, pool->role, worker->id);
	return worker;
}

/* A worker without a job: an idle one, else a new one while there is room. */
static struct worker *free_worker(struct worker_pool *pool)
{
	ptrdiff_t empty = -1;

	for (size_t i = 0; i < pool->size; i++) {
		if (pool->slots[i] && !pool->slots[i]->job && !pool->slots[i]->answering)
			return pool->slots[i];
		if (!pool->slots[i] && empty < 0)
			empty = (ptrdiff_t)i;
	}
	return empty < 0 ? NULL : start(pool, (size_t)empty);
}

/* --- whose turn it is ----------------------------------------------------------------------------------------------- */

static struct line *line_get(struct worker_pool *pool, const char *owner)
{
	struct line *line = map_get(&pool->lines, span_of(owner));

	if (line)
		return line;
	line = mem_alloc(sizeof(*line));
	line->pool = pool;
	line->owner = mem_strdup(owner);
	line->last = &line->first;
	map_set(&pool->lines, span_of(owner), line);
	return line;
}

/* To the end of those that wait for a turn. */
static void stand(struct worker_pool *pool, struct line *line)
{
	line->next = NULL;
	*pool->last = line;
	pool->last = &line->next;
}

/* Of three workers or more no owner has the last one. */
static bool has_its_share(const struct worker_pool *pool, const struct line *line)
{
	return *line->owner && pool->size > 2 && line->under_way + 1 >= pool->size;
}

/* Where the line stands whose turn it is; NULL: nobody's. */
static struct line **find_turn(struct worker_pool *pool)
{
	struct line **at = &pool->first;

	while (*at && has_its_share(pool, *at))
		at = &(*at)->next;
	return *at ? at : NULL;
}

/* Takes the line's first job; its next one has its turn behind those of all others. */
static struct job *take_turn(struct worker_pool *pool, struct line **at)
{
	struct line *line = *at;
	struct job *job = line->first;

	*at = line->next;
	if (!*at)
		pool->last = at;
	line->first = job->next;
	if (line->first)
		stand(pool, line);
	else
		line->last = &line->first;
	return job;
}

static void dispatch(struct worker_pool *pool)
{
	struct line **at;

	while ((at = find_turn(pool)) != NULL) {
		bool wanted = (*at)->first->on_done;
		struct worker *worker = wanted ? free_worker(pool) : NULL;
		struct job *job;

		if (wanted && !worker)
			return;
		job = take_turn(pool, at);
		if (!wanted) {
			job_free(job);
			continue;
		}
		job->begun = true;
		job->line->under_way++;
		worker->job = job;
		give(worker);
	}
}

uint64_t worker_submit_for(struct worker_pool *pool, const char *owner, struct span request, int fd, int64_t timeout_ms,
			   worker_done *on_done, void *data)
{
	struct job *job = mem_alloc(sizeof(*job));
	struct line *line = line_get(pool, owner);

	job->id = ++pool->workers->next_id;
	job->request.limit = LIMIT_FRAME_BYTES;
	pack_u64(&job->request, job->id);
	str_add(&job->request, request);
	job->fd = fd >= 0 ? dup(fd) : -1;
	job->timeout_ms = timeout_ms ? timeout_ms : LIMIT_JOB_MS;
	job->on_done = on_done;
	job->data = data;
	job->line = line;
	line->jobs++;
	if (!line->first)
		stand(pool, line);
	*line->last = job;
	line->last = &job->next;
	dispatch(pool);
	return job->id;
}

uint64_t worker_submit(struct worker_pool *pool, struct span request, int fd, int64_t timeout_ms, worker_done *on_done,
		       void *data)
{
	return worker_submit_for(pool, "", request, fd, timeout_ms, on_done, data);
}

void worker_forget(struct worker_pool *pool, uint64_t id)
{
	for (struct line *line = pool->first; line; line = line->next)
		for (struct job *job = line->first; job; job = job->next)
			if (job->id == id)
				job->on_done = NULL;
	for (size_t i = 0; i < pool->size; i++)
		if (pool->slots[i] && pool->slots[i]->job && pool->slots[i]->job->id == id)
			pool->slots[i]->job->on_done = NULL;
}

static void drop_waiting(struct worker_pool *pool)
{
	for (struct line *line = pool->first, *next_line; line; line = next_line) {
		next_line = line->next;
		for (struct job *job = line->first, *next; job; job = next) {
			next = job->next;
			job_free(job);
		}
	}
	pool->first = NULL;
}

void worker_pool_free(struct worker_pool *pool)
{
	struct worker_pool **link;

	if (!pool)
		return;
	for (link = &pool->workers->pools; *link != pool; link = &(*link)->next)
		;
	*link = pool->next;
	drop_waiting(pool);
	for (size_t i = 0; i < pool->size; i++)
		if (pool->slots[i]) {
			job_free(pool->slots[i]->job);
			worker_free(pool->slots[i]);
		}
	map_release(&pool->lines);
	free(pool->slots);
	free(pool);
}

void workers_measure(struct workers *workers)
{
	size_t waiting[ROLE_COUNT] = { 0 };

	for (const struct worker_pool *pool = workers->pools; pool; pool = pool->next)
		for (const struct line *line = pool->first; line; line = line->next)
			for (const struct job *job = line->first; job; job = job->next)
				waiting[pool->role] += job->on_done != NULL;
	for (enum role role = ROLE_SOURCE; role <= ROLE_VERIFY; role++)
		metric_set(METRIC_WORKER_QUEUE_DEPTH, (double)waiting[role], role_name(role), NULL);
	processes_measure(workers->processes);
}
