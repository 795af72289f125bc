/* Asks core, shares the answers; see web.h. */
#include "server/web.h"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/limits.h"
#include "base/log.h"
#include "io/channel.h"
#include "io/role.h"
#include "io/sandbox.h"
#include "record/vitals.h"
#include "server/answer.h"
#include "server/connection.h"

/* For how long an answer of core serves others who ask. */
#define CHECKS_FRESH_MS 200
#define METRICS_FRESH_MS 1000

struct known {
	struct str frame;        /* core's last answer */
	int64_t at_ms;           /* when it came; 0: never */
	bool asked;
	struct timer *late;
	struct web *web;
	enum vitals_ask what;
};

struct web {
	struct loop *loop;
	struct channel *core;
	struct connections *connections;
	struct known known[VITALS_METRICS + 1];
};

static bool is_fresh(const struct known *known)
{
	int64_t age = clock_mono_ms() - known->at_ms;

	return known->at_ms && age < (known->what == VITALS_METRICS ? METRICS_FRESH_MS : CHECKS_FRESH_MS);
}

static void answer(struct connection *connection, const struct vitals *vitals, const char *problem)
{
	CLEANUP(str_release) struct str bytes = STR_INIT;

	answer_write(connection_request(connection), vitals, problem, &bytes);
	connection_answer(connection, str_span(&bytes));
}

struct telling {
	const struct known *known;
	const struct vitals *vitals;
	const char *problem;
};

static void tell_one(void *data, struct connection *connection)
{
	const struct telling *telling = data;

	if (answer_needs(connection_request(connection)) == telling->known->what)
		answer(connection, telling->vitals, telling->problem);
}

/* Tells what is known to all who wait for it, or to `connection` alone. */
static void tell(struct known *known, struct connection *connection, const char *problem)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct error err = ERROR_INIT;
	struct vitals vitals;
	struct telling telling = { known, &vitals, problem };

	if (problem || vitals_decode(str_span(&known->frame), arena, &vitals, &err))
		telling.vitals = NULL;
	if (!problem && !telling.vitals)
		telling.problem = err.text;
	if (connection)
		answer(connection, telling.vitals, telling.problem);
	else
		connections_waiting(known->web->connections, tell_one, &telling);
}

static void on_late(void *data)
{
	struct known *known = data;

	/* it stays asked: what comes late is taken, and core is not asked on top of it */
	tell(known, NULL, "core has not answered in time");
	timer_start(known->late, LIMIT_WEB_CORE_MS);
}

static void on_request(void *data, struct connection *connection)
{
	struct web *web = data;
	enum vitals_ask what = answer_needs(connection_request(connection));
	struct known *known = &web->known[what];
	CLEANUP(str_release) struct str ask = STR_INIT;

	if (what == VITALS_NONE) {
		answer(connection, NULL, NULL);
		return;
	}
	if (is_fresh(known)) {
		tell(known, connection, NULL);
		return;
	}
	if (known->asked)
		return;
	fault_at("web.ask");
	known->asked = true;
	timer_start(known->late, LIMIT_WEB_CORE_MS);
	vitals_ask_encode(what, &ask);
	channel_send(web->core, str_span(&ask), -1);
}

static void on_core(void *data, struct span frame, int fd)
{
	struct web *web = data;
	enum vitals_ask what = frame.length && frame.data[0] == VITALS_METRICS ? VITALS_METRICS : VITALS_CHECKS;
	struct known *known = &web->known[what];

	fd_cleanup(&fd);
	known->asked = false;
	known->at_ms = clock_mono_ms();
	timer_stop(known->late);
	str_reset(&known->frame);
	str_add(&known->frame, frame);
	tell(known, NULL, NULL);
}

/* Core is gone; the next one starts its own. */
static void on_core_gone(void *data, const struct error *err)
{
	(void)data;
	(void)err;
	_exit(0);
}

int web_run(const char *address)
{
	static struct web web;
	struct error err = ERROR_INIT;

	signal(SIGPIPE, SIG_IGN);
	web.loop = loop_new();
	web.core = channel_new(web.loop, ROLE_CHANNEL, on_core, on_core_gone, &web);
	for (enum vitals_ask what = VITALS_NONE; what <= VITALS_METRICS; what++) {
		web.known[what] = (struct known){ .web = &web, .what = what, .late = timer_new(web.loop, on_late, &web.known[what]) };
	}
	web.connections = connections_new(web.loop, address, on_request, &web, &err);
	if (!web.connections || sandbox_enter(ROLE_WEB, &err)) {
		log_error(LOG_ERROR, "cannot serve", &err, NULL);
		return 78;
	}
	log_line(LOG_INFO, "serving /livez, /readyz and /metrics", "address", address, NULL);
	loop_run(web.loop);
	return 0;
}
