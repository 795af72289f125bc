/*
 * The event loop of core and of the supervisor: timers, readiness, signals.
 * libuv stays behind this header. Everything runs on one thread; a callback
 * is never called from inside the function that armed it.
 */
#ifndef IO_LOOP_H
#define IO_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct timer;
struct poller;

struct loop *loop_new(void);
/* Runs until loop_stop, or until nothing is armed any more. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);
/* Everything armed on it must have been freed before. */
void loop_free(struct loop *loop);
/* Calls fn(data) once, soon. */
void loop_defer(struct loop *loop, void (*fn)(void *), void *data);
/* Calls fn(data) each time the signal arrives; for the life of the loop. */
void loop_on_signal(struct loop *loop, int signum, void (*fn)(void *), void *data);

/* A timer that is not running yet; it keeps no loop alive by itself. */
struct timer *timer_new(struct loop *loop, void (*fn)(void *), void *data);
/* Calls fn once in `ms` milliseconds; starting again moves it. */
void timer_start(struct timer *timer, int64_t ms);
void timer_stop(struct timer *timer);
bool timer_running(const struct timer *timer);
void timer_free(struct timer *timer);          /* NULL is fine */

/* Calls fn once in the next turn in which nothing else is to be done, and after `most_ms` at the latest. */
struct lull;
struct lull *lull_new(struct loop *loop, void (*fn)(void *), void *data);
void lull_start(struct lull *lull, int64_t most_ms);
void lull_stop(struct lull *lull);
bool lull_running(const struct lull *lull);
void lull_free(struct lull *lull);             /* NULL is fine */

enum { POLL_READ = 1, POLL_WRITE = 2, POLL_FAILED = 4 };
/* Watches a descriptor that stays the caller's; events is a set of POLL_*. */
struct poller *poller_new(struct loop *loop, int fd, void (*fn)(void *data, int events), void *data);
void poller_set(struct poller *poller, int events); /* 0: watch nothing */
/* Stops at once, before the caller closes the descriptor. NULL is fine. */
void poller_free(struct poller *poller);

/* The libuv loop, for the other files that bind to it: http.c (a library), server/connection.c (listening). */
struct uv_loop_s *loop_uv(struct loop *loop);

#endif
