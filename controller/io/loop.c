/* libuv behind loop.h. Handles are freed in their close callbacks, as libuv demands. */
#include "io/loop.h"

#include <uv.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"

struct loop {
	uv_loop_t uv;
	uint64_t calls;         /* of timers, pollers and what was deferred */
};

struct lull {
	uv_idle_t uv;
	void (*fn)(void *);
	void *data;
	uint64_t calls;         /* at the turn before */
	bool turned;
	uint64_t latest_ms;
};

struct timer {
	uv_timer_t uv;
	void (*fn)(void *);
	void *data;
};

struct poller {
	uv_poll_t uv;
	void (*fn)(void *, int);
	void *data;
	int events;             /* that are waited for, as libuv has them */
	bool closing;
};

struct watch {
	uv_signal_t uv;
	void (*fn)(void *);
	void *data;
};

static void check(int rc)
{
	if (rc < 0)
		base_panic(__FILE__, __LINE__, uv_strerror(rc));
}

struct loop *loop_new(void)
{
	struct loop *loop = mem_alloc(sizeof(*loop));

	check(uv_loop_init(&loop->uv));
	return loop;
}

void loop_run(struct loop *loop)
{
	uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *loop)
{
	uv_stop(&loop->uv);
}

static void on_free(uv_handle_t *handle)
{
	free(handle->data);
}

static void close_rest(uv_handle_t *handle, void *data)
{
	(void)data;
	if (!uv_is_closing(handle))
		uv_close(handle, on_free);
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	uv_walk(&loop->uv, close_rest, NULL);
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	check(uv_loop_close(&loop->uv));
	free(loop);
}

struct uv_loop_s *loop_uv(struct loop *loop)
{
	return &loop->uv;
}

static void count_call(uv_loop_t *uv)
{
	CONTAINER_OF(uv, struct loop, uv)->calls++;
}

static void on_timer(uv_timer_t *uv)
{
	struct timer *timer = CONTAINER_OF(uv, struct timer, uv);

	count_call(uv->loop);
	timer->fn(timer->data);
}

struct timer *timer_new(struct loop *loop, void (*fn)(void *), void *data)
{
	struct timer *timer = mem_alloc(sizeof(*timer));

	check(uv_timer_init(&loop->uv, &timer->uv));
	timer->fn = fn;
	timer->data = data;
	timer->uv.data = timer;
	return timer;
}

void timer_start(struct timer *timer, int64_t ms)
{
	uv_update_time(timer->uv.loop);
	check(uv_timer_start(&timer->uv, on_timer, ms > 0 ? (uint64_t)((ms + clock_pace() - 1) / clock_pace()) : 0, 0));
}

void timer_stop(struct timer *timer)
{
	uv_timer_stop(&timer->uv);
}

bool timer_running(const struct timer *timer)
{
	return uv_is_active((const uv_handle_t *)&timer->uv);
}

void timer_free(struct timer *timer)
{
	if (timer)
		uv_close((uv_handle_t *)&timer->uv, on_free);
}

/* Once a turn, before the loop looks whether something is ready; while it is armed that look does not wait. */
static void on_turn(uv_idle_t *uv)
{
	struct lull *lull = CONTAINER_OF(uv, struct lull, uv);
	const struct loop *loop = CONTAINER_OF(uv->loop, struct loop, uv);
	bool quiet = lull->turned && lull->calls == loop->calls;

	lull->turned = true;
	lull->calls = loop->calls;
	if (!quiet && uv_now(uv->loop) < lull->latest_ms)
		return;
	uv_idle_stop(uv);
	lull->fn(lull->data);
}

struct lull *lull_new(struct loop *loop, void (*fn)(void *), void *data)
{
	struct lull *lull = mem_alloc(sizeof(*lull));

	check(uv_idle_init(&loop->uv, &lull->uv));
	lull->fn = fn;
	lull->data = data;
	lull->uv.data = lull;
	return lull;
}

void lull_start(struct lull *lull, int64_t most_ms)
{
	uv_update_time(lull->uv.loop);
	lull->turned = false;
	lull->latest_ms = uv_now(lull->uv.loop) + (most_ms > 0 ? (uint64_t)most_ms : 0);
	check(uv_idle_start(&lull->uv, on_turn));
}

void lull_stop(struct lull *lull)
{
	uv_idle_stop(&lull->uv);
}

bool lull_running(const struct lull *lull)
{
	return uv_is_active((const uv_handle_t *)&lull->uv);
}

void lull_free(struct lull *lull)
{
	if (lull)
		uv_close((uv_handle_t *)&lull->uv, on_free);
}

struct deferred {
	uv_timer_t uv;
	void (*fn)(void *);
	void *data;
};

static void on_deferred(uv_timer_t *uv)
{
	struct deferred *deferred = CONTAINER_OF(uv, struct deferred, uv);
	void (*fn)(void *) = deferred->fn;
	void *data = deferred->data;

	count_call(uv->loop);
	uv_close((uv_handle_t *)uv, on_free);
	fn(data);
}

void loop_defer(struct loop *loop, void (*fn)(void *), void *data)
{
	struct deferred *deferred = mem_alloc(sizeof(*deferred));

	check(uv_timer_init(&loop->uv, &deferred->uv));
	deferred->uv.data = deferred;
	deferred->fn = fn;
	deferred->data = data;
	check(uv_timer_start(&deferred->uv, on_deferred, 0, 0));
}

static void on_signal(uv_signal_t *uv, int signum)
{
	struct watch *watch = CONTAINER_OF(uv, struct watch, uv);

	(void)signum;
	watch->fn(watch->data);
}

void loop_on_signal(struct loop *loop, int signum, void (*fn)(void *), void *data)
{
	struct watch *watch = mem_alloc(sizeof(*watch));

	check(uv_signal_init(&loop->uv, &watch->uv));
	watch->uv.data = watch;
	watch->fn = fn;
	watch->data = data;
	check(uv_signal_start(&watch->uv, on_signal, signum));
	uv_unref((uv_handle_t *)&watch->uv);
}

static void on_poll(uv_poll_t *uv, int status, int events)
{
	struct poller *poller = CONTAINER_OF(uv, struct poller, uv);
	int out = (events & UV_READABLE ? POLL_READ : 0) | (events & UV_WRITABLE ? POLL_WRITE : 0);

	if (poller->closing)
		return;
	count_call(uv->loop);
	/* libuv waits no more after that */
	if (status < 0)
		poller->events = 0;
	poller->fn(poller->data, status < 0 ? out | POLL_FAILED : out);
}

struct poller *poller_new(struct loop *loop, int fd, void (*fn)(void *data, int events), void *data)
{
	struct poller *poller = mem_alloc(sizeof(*poller));

	check(uv_poll_init(&loop->uv, &poller->uv, fd));
	poller->uv.data = poller;
	poller->fn = fn;
	poller->data = data;
	return poller;
}

void poller_set(struct poller *poller, int events)
{
	int uv = (events & POLL_READ ? UV_READABLE : 0) | (events & POLL_WRITE ? UV_WRITABLE : 0);

	/* libuv would take the descriptor out of epoll and put it back in */
	if (uv == poller->events)
		return;
	poller->events = uv;
	if (uv)
		check(uv_poll_start(&poller->uv, uv, on_poll));
	else
		uv_poll_stop(&poller->uv);
}

void poller_free(struct poller *poller)
{
	if (!poller || poller->closing)
		return;
	poller->closing = true;
	uv_poll_stop(&poller->uv);
	uv_close((uv_handle_t *)&poller->uv, on_free);
}
