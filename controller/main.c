/*
 * One binary, several roles. Without --role it is the command line; with it,
 * one of the processes that the supervisor starts (io/role.h).
 */
#include <string.h>

#include "base/log.h"
#include "cli/cli.h"
#include "cli/controller.h"
#include "io/role.h"
#include "oci/fetch.h"
#include "render/render.h"
#include "source/source.h"
#include "verify/verify.h"

#if defined(__SANITIZE_ADDRESS__)
/* The leak check at exit wants ptrace, which no role may; unit tests look for leaks. */
static int in_role;
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return in_role;
}
#define ENTER_ROLE() (in_role = 1)
#else
#define ENTER_ROLE() ((void)0)
#endif

/* The pure roles and fetch take and give bytes alone. */
static int serve_fetch(void *session, struct span request, int request_fd, struct str *reply, int *reply_fd, struct error *err)
{
	(void)session;
	(void)request_fd;
	(void)reply_fd;
	return fetch_serve(request, reply, err);
}

static int serve_verify(void *session, struct span request, int request_fd, struct str *reply, int *reply_fd, struct error *err)
{
	(void)session;
	(void)request_fd;
	(void)reply_fd;
	return verify_serve(request, reply, err);
}

static int run_role(enum role role, int argc, char **argv)
{
	static const struct worker_handler handlers[ROLE_COUNT] = {
		[ROLE_SOURCE] = { source_serve, source_session_new, source_folder },
		[ROLE_FETCH] = { serve_fetch, NULL, NULL },
		[ROLE_RENDER] = { render_serve, NULL, NULL },
		[ROLE_VERIFY] = { serve_verify, NULL, NULL },
	};

	log_setup(LOG_INFO, role_name(role));
	if (role == ROLE_CORE)
		return cli_core(argc - 2, argv + 2);
	if (role == ROLE_WEB)
		return cli_web(argc - 2, argv + 2);
	if (!handlers[role].serve)
		return cli_fail(EXIT_USAGE, NULL, "no role of that name");
	worker_main(role, &handlers[role]);
}

int main(int argc, char **argv)
{
	if (argc > 1 && (!strcmp(argv[1], "--role") || !strcmp(argv[1], "controller")))
		ENTER_ROLE();
	if (argc > 2 && !strcmp(argv[1], "--role"))
		return run_role(role_of_name(argv[2]), argc, argv);
	return cli_main(argc, argv);
}
