/*
 * Core's side of the workers: pools that hand jobs to processes of one role.
 *
 * A job is a frame in and a frame out. Its completion comes exactly once, never
 * from inside worker_submit: with the worker's answer, with the error it
 * reported, or with ERROR_TRANSIENT "WorkerCrashed" / "WorkerTimeout" when it
 * died, lied or took longer than its deadline; then the process is replaced.
 */
#ifndef IO_WORKER_H
#define IO_WORKER_H

#include "base/error.h"
#include "base/str.h"
#include "io/loop.h"
#include "io/role.h"

struct workers;       /* all pools of this process, and the channel to the supervisor */
struct worker_pool;

/* Takes descriptor ROLE_CHANNEL. `on_lost` is called when the supervisor is gone: core then stops. */
struct workers *workers_new(struct loop *loop, void (*on_lost)(void *), void *data);
void workers_free(struct workers *workers);

/*
 * A pool of at most `size` processes, started when first needed. `jobs_max`: replaced after so many (0: never).
 * A process that failed a job is replaced too when `replace_on_error`.
 */
struct worker_pool *worker_pool_new(struct workers *workers, enum role role, size_t size, unsigned jobs_max,
				    bool replace_on_error);
/* Jobs that are under way or queued are forgotten: their completions do not come. */
void worker_pool_free(struct worker_pool *pool);

/* What on_done gets: answer and fd are set only when err is NULL; answer is borrowed, fd (-1: none) is the callee's. */
typedef void worker_done(void *data, struct span answer, int fd, const struct error *err);

/* Queues a job; the bytes are copied, `fd` (-1: none) duplicated. timeout_ms 0: LIMIT_JOB_MS. Returns an id. */
uint64_t worker_submit(struct worker_pool *pool, struct span request, int fd, int64_t timeout_ms, worker_done *on_done,
		       void *data);
/*
 * As worker_submit, for an owner: owners take turns, and of three workers or more none has the last one, so that whoever has
 * many jobs that take their time holds up his own. "" is nobody, who may have all of them.
 */
uint64_t worker_submit_for(struct worker_pool *pool, const char *owner, struct span request, int fd, int64_t timeout_ms,
			   worker_done *on_done, void *data);
/* Forgets a job: its completion does not come. The process may still work on it. */
void worker_forget(struct worker_pool *pool, uint64_t id);
size_t worker_crashes(const struct workers *workers);

/*
 * The one role that asks instead of answering (web): keeps a process of it running, a new one a second after its end, and hands
 * on what it asks. `on_ask` may answer at once or later by worker_asker_send; it returns false to end a process that
 * misbehaves. There is one such role at most.
 */
void worker_asker(struct workers *workers, enum role role, bool (*on_ask)(void *data, struct span frame), void *data);
/* Sends a frame to it; dropped while there is none. */
void worker_asker_send(struct workers *workers, struct span frame);

/* Writes queue depths, memory and processor time of all roles into the metrics (base/metric.h). */
void workers_measure(struct workers *workers);

#endif
