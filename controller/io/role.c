/* Names of the roles, and the life of a worker; the supervisor is in supervisor.c. */
#include "io/role.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/pack.h"
#include "io/frame.h"
#include "io/sandbox.h"

static const char *const names[ROLE_COUNT] = {
	[ROLE_NONE] = "",          [ROLE_SUPERVISOR] = "supervisor", [ROLE_CORE] = "core",     [ROLE_SOURCE] = "source",
	[ROLE_FETCH] = "fetch",    [ROLE_RENDER] = "render",         [ROLE_VERIFY] = "verify",   [ROLE_WEB] = "web",
};

const char *role_name(enum role role)
{
	return role < ROLE_COUNT ? names[role] : "";
}

enum role role_of_name(const char *name)
{
	for (enum role role = ROLE_SUPERVISOR; role < ROLE_COUNT; role++)
		if (span_is(span_of(name), names[role]))
			return role;
	return ROLE_NONE;
}

/* A job is its number and the handler's bytes; an answer the same number, 1 for done or 0 for failed, and the handler's bytes or
 * the error. */
static void serve_one(const struct worker_handler *handler, void *session, struct span frame, int request_fd)
{
	struct unpack in = unpack_begin(frame);
	uint64_t job = unpack_u64(&in);
	CLEANUP(str_release) struct str reply = STR_LIMIT(LIMIT_FRAME_BYTES);
	CLEANUP(fd_cleanup) int reply_fd = -1;
	struct error err = ERROR_INIT;

	pack_u64(&reply, job);
	pack_u8(&reply, 1);
	if (handler->serve(session, in.rest, request_fd, &reply, &reply_fd, &err) == 0 && reply.overflow)
		error_set(&err, ERROR_LIMIT, "TooLarge", "the result is larger than %u bytes", LIMIT_FRAME_BYTES);
	if (err.reason[0]) {
		str_reset(&reply);
		pack_u64(&reply, job);
		pack_u8(&reply, 0);
		pack_error(&reply, &err);
		fd_cleanup(&reply_fd);
	}
	if (frame_send(ROLE_CHANNEL, str_span(&reply), reply_fd, &err))
		_exit(0);
}

/* Landlock, as soon as the session knows where its files are. */
static void confine(const struct worker_handler *handler, const void *session)
{
	static bool confined;
	bool writable = true;
	const char *folder = !confined && handler->folder ? handler->folder(session, &writable) : NULL;
	struct error err = ERROR_INIT;

	if (!folder)
		return;
	confined = true;
	if (writable ? sandbox_network(folder, &err) : sandbox_reader(folder, &err)) {
		log_error(LOG_ERROR, "landlock failed, stopping", &err, NULL);
		_exit(78);
	}
}

void worker_main(enum role role, const struct worker_handler *handler)
{
	CLEANUP(str_release) struct str request = STR_LIMIT(LIMIT_FRAME_BYTES);
	struct error err = ERROR_INIT;
	void *session;

	signal(SIGPIPE, SIG_IGN);
	session = handler->session_new ? handler->session_new() : NULL;
	/* source is closed in further when it knows its mirror */
	if (sandbox_enter(role, &err) || (role == ROLE_FETCH && sandbox_network(NULL, &err))) {
		log_error(LOG_ERROR, "the sandbox is not to be had, not starting", &err, NULL);
		_exit(78);
	}
	for (;;) {
		CLEANUP(fd_cleanup) int request_fd = -1;

		if (frame_receive(ROLE_CHANNEL, &request, &request_fd, &err))
			_exit(0);
		fault_at(role == ROLE_RENDER ? "render.job" : role == ROLE_VERIFY ? "verify.job" :
			 role == ROLE_FETCH ? "fetch.job" : "source.job");
		serve_one(handler, session, str_span(&request), request_fd);
		confine(handler, session);
	}
}
