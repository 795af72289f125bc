/* Who does which job of a repository; see repo_jobs.h. */
#include "reconcile/repo_jobs.h"

#include "base/limits.h"
#include "base/log.h"
#include "source/source_job.h"

struct job {
	struct repo_jobs *jobs;
	struct job *next, *before;
	struct str request;
	worker_done *on_done;
	void *data;
	uint64_t id;                /* at the first process */
	enum repo_job kind;
	bool beside;                /* the reader has it */
	bool refused;               /* the reader could not */
	bool retried;               /* its process was a new one */
};

struct repo_jobs {
	struct repo_jobs_of of;
	char *directory;
	struct worker_pool *first, *reader;    /* reader: NULL while nobody needs it */
	bool first_configured, reader_configured;
	bool first_living;                     /* or may be: it was given a job */
	struct job *oldest, *newest;           /* all: those of the first process in the order in which it does them */
	size_t reading;                        /* jobs that the reader has */
	struct timer *patience, *idle, *rest;
};

/* --- the list ------------------------------------------------------------------------------------------------------- */

static void append(struct job *job)
{
	struct repo_jobs *jobs = job->jobs;

	job->next = NULL;
	job->before = jobs->newest;
	*(job->before ? &job->before->next : &jobs->oldest) = job;
	jobs->newest = job;
}

static void leave(struct job *job)
{
	struct repo_jobs *jobs = job->jobs;

	*(job->before ? &job->before->next : &jobs->oldest) = job->next;
	*(job->next ? &job->next->before : &jobs->newest) = job->before;
}

static void job_free(struct job *job)
{
	str_release(&job->request);
	free(job);
}

static void job_end(struct job *job, struct span answer, int fd, const struct error *err)
{
	struct repo_jobs *jobs = job->jobs;

	leave(job);
	job->on_done(job->data, answer, fd, err);
	job_free(job);
	/* not from inside of its own answer */
	if (!jobs->oldest && *jobs->of.living > LIMIT_GIT_IDLE_PROCESSES)
		timer_start(jobs->rest, 0);
}

/* --- the first process ------------------------------------------------------------------------------------------------ */

static void on_configured(void *data, struct span answer, int fd, const struct error *err)
{
	struct repo_jobs *jobs = data;

	(void)answer;
	fd_cleanup(&fd);
	if (err)
		jobs->first_configured = false;
}

void repo_jobs_rest(struct repo_jobs *jobs)
{
	if (jobs->oldest || !jobs->first_living)
		return;
	worker_pool_free(jobs->first);
	jobs->first = worker_pool_new(jobs->of.workers, ROLE_SOURCE, 1, 0, false);
	jobs->first_configured = jobs->first_living = false;
	--*jobs->of.living;
}

bool repo_jobs_idle(const struct repo_jobs *jobs)
{
	return !jobs->oldest;
}

static void on_rest(void *data)
{
	struct repo_jobs *jobs = data;

	if (*jobs->of.living > LIMIT_GIT_IDLE_PROCESSES)
		repo_jobs_rest(jobs);
}

static void submit(struct job *job);

static void on_first(void *data, struct span answer, int fd, const struct error *err)
{
	struct job *job = data;
	struct repo_jobs *jobs = job->jobs;
	bool is_new = err && !strcmp(err->reason, "NotConfigured");

	if (err && (is_new || !strcmp(err->reason, "WorkerCrashed")))
		jobs->first_configured = false;
	if (!is_new || job->retried) {
		job_end(job, answer, fd, err);
		return;
	}
	job->retried = true;
	leave(job);
	submit(job);
}

static bool is_asking(const struct repo_jobs *jobs)
{
	for (const struct job *job = jobs->oldest; job; job = job->next)
		if (job->kind == JOB_ASKS)
			return true;
	return false;
}

static void submit(struct job *job)
{
	struct repo_jobs *jobs = job->jobs;

	if (job->kind == JOB_READS && !job->refused && is_asking(jobs) && !timer_running(jobs->patience))
		timer_start(jobs->patience, LIMIT_GIT_PATIENCE_MS);
	*jobs->of.living += !jobs->first_living;
	jobs->first_living = true;
	if (!jobs->first_configured) {
		CLEANUP(str_release) struct str request = STR_INIT;

		jobs->of.configure(jobs->of.data, &request);
		jobs->first_configured = true;
		worker_submit(jobs->first, str_span(&request), -1, 0, on_configured, jobs);
	}
	append(job);
	job->id = worker_submit(jobs->first, str_span(&job->request), -1, LIMIT_GIT_FETCH_MS, on_first, job);
}

/* --- the reader ------------------------------------------------------------------------------------------------------- */

static void on_reader_configured(void *data, struct span answer, int fd, const struct error *err)
{
	struct repo_jobs *jobs = data;

	(void)answer;
	fd_cleanup(&fd);
	if (err)
		jobs->reader_configured = false;
}

static void on_read(void *data, struct span answer, int fd, const struct error *err)
{
	struct job *job = data;
	struct repo_jobs *jobs = job->jobs;

	if (!--jobs->reading)
		timer_start(jobs->idle, LIMIT_GIT_READER_IDLE_MS);
	if (!err) {
		job_end(job, answer, fd, NULL);
		return;
	}
	/* whatever it is, the first process puts it right, or knows better what to say */
	log_error(LOG_DEBUG, "not to be read beside a server that is waited for", err, "mirror", jobs->directory, NULL);
	jobs->reader_configured = false;
	job->beside = false;
	job->refused = true;
	leave(job);
	submit(job);
}

static void on_idle(void *data)
{
	struct repo_jobs *jobs = data;

	worker_pool_free(TAKE(jobs->reader));
	jobs->reader_configured = false;
}

static void start_reader(struct repo_jobs *jobs)
{
	CLEANUP(str_release) struct str request = STR_INIT;
	const struct source_config config = { .directory = jobs->directory };

	timer_stop(jobs->idle);
	if (!jobs->reader)
		jobs->reader = worker_pool_new(jobs->of.workers, ROLE_SOURCE, 1, 0, false);
	if (jobs->reader_configured)
		return;
	source_configure_encode(&config, &request);
	jobs->reader_configured = true;
	worker_submit(jobs->reader, str_span(&request), -1, 0, on_reader_configured, jobs);
}

static void move_beside(struct job *job)
{
	struct repo_jobs *jobs = job->jobs;

	start_reader(jobs);
	worker_forget(jobs->first, job->id);
	job->beside = true;
	jobs->reading++;
	worker_submit(jobs->reader, str_span(&job->request), -1, 0, on_read, job);
}

/* The first process has not begun with what stands behind a job that asks. */
static void on_patience(void *data)
{
	struct repo_jobs *jobs = data;
	bool behind = false;

	for (struct job *job = jobs->oldest; job; job = job->next) {
		if (job->beside)
			continue;
		if (job->kind == JOB_ASKS)
			behind = true;
		else if (behind && !job->refused)
			move_beside(job);
	}
}

/* --- the front -------------------------------------------------------------------------------------------------------- */

struct repo_jobs *repo_jobs_new(const struct repo_jobs_of *of)
{
	struct repo_jobs *jobs = mem_alloc(sizeof(*jobs));

	jobs->of = *of;
	jobs->of.directory = jobs->directory = mem_strdup(of->directory);
	jobs->first = worker_pool_new(of->workers, ROLE_SOURCE, 1, 0, false);
	jobs->patience = timer_new(of->loop, on_patience, jobs);
	jobs->idle = timer_new(of->loop, on_idle, jobs);
	jobs->rest = timer_new(of->loop, on_rest, jobs);
	return jobs;
}

void repo_jobs_free(struct repo_jobs *jobs)
{
	if (!jobs)
		return;
	worker_pool_free(jobs->first);
	worker_pool_free(jobs->reader);
	timer_free(jobs->patience);
	timer_free(jobs->idle);
	timer_free(jobs->rest);
	*jobs->of.living -= jobs->first_living;
	for (struct job *job = jobs->oldest, *next; job; job = next) {
		next = job->next;
		job_free(job);
	}
	free(jobs->directory);
	free(jobs);
}

void repo_jobs_reconfigure(struct repo_jobs *jobs)
{
	jobs->first_configured = false;
}

void repo_jobs_send(struct repo_jobs *jobs, enum repo_job kind, struct str *request, worker_done *on_done, void *data)
{
	struct job *job = mem_alloc(sizeof(*job));

	*job = (struct job){ .jobs = jobs, .kind = kind, .request = *request, .on_done = on_done, .data = data };
	*request = (struct str)STR_INIT;
	submit(job);
}
