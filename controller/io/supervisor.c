/*
 * PID 1 of the pod: starts, connects, reaps. It holds no credential and reads
 * nothing but 12-byte requests from core: u32 role, u64 id. It answers with
 * the same id, the pid, and one end of the new worker's channel; the death of
 * a worker shows in core as the end of that channel, and then as a frame with
 * the id 0, its pid and its processor time in microseconds (u64).
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/pack.h"
#include "io/channel.h"
#include "io/loop.h"
#include "io/role.h"
#include "io/sandbox.h"

#define STOP_MS 20000
#define ORPHAN_MS 3000
#define RESTART_FIRST_MS 200
#define RESTART_MOST_MS 10000

struct supervisor {
	struct loop *loop;
	struct channel *core;
	struct timer *restart, *deadline;
	char *const *core_args;
	pid_t core_pid;
	int64_t restart_ms, core_started_ms;
	bool stopping;
	int status;
};

/* What a role may inherit of the environment: proxies, trust store, and the switches of test builds. */
static char *const *role_environment(void)
{
	static const char *const kept[] = { "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy",
					    "SSL_CERT_FILE", "SSL_CERT_DIR", "ASAN_OPTIONS", "UBSAN_OPTIONS",
					    "COUNTERSIGN_FAULT", "COUNTERSIGN_CLOCK_PACE", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT",
					    "KUBECONFIG", "HOME" };
	static char *environment[COUNT_OF(kept) + 1];
	size_t count = 0;

	if (environment[0])
		return environment;
	for (size_t i = 0; i < COUNT_OF(kept); i++) {
		const char *value = getenv(kept[i]);
		char *pair;

		if (value && asprintf(&pair, "%s=%s", kept[i], value) > 0)
			environment[count++] = pair;
	}
	return environment;
}

static void become(enum role role, int channel, char *const args[])
{
	char *const own[] = { (char *)(uintptr_t)"countersign", (char *)(uintptr_t)"--role", (char *)(uintptr_t)role_name(role) };
	size_t given = 0;
	sigset_t none;
	char **argv;

	while (args && args[given])
		given++;
	argv = mem_calloc(COUNT_OF(own) + given + 1, sizeof(*argv));
	memcpy(argv, own, sizeof(own));
	for (size_t i = 0; i < given; i++)
		argv[COUNT_OF(own) + i] = args[i];
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (channel != ROLE_CHANNEL)
		dup2(channel, ROLE_CHANNEL);
	else
		fcntl(channel, F_SETFD, 0);
	close_range(ROLE_CHANNEL + 1, ~0u, 0);
	execve("/proc/self/exe", argv, role_environment());
	_exit(127);
}

/* Starts a role; *channel is our end of its socket pair. Returns its pid, or -1. */
static pid_t start(enum role role, char *const args[], int *channel)
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -1;
	pid = fork();
	if (pid == 0)
		become(role, pair[1], args);
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return -1;
	}
	*channel = pair[0];
	return pid;
}

static void on_request(void *data, struct span frame, int fd)
{
	struct supervisor *supervisor = data;
	struct unpack in = unpack_begin(frame);
	uint32_t role = unpack_u32(&in);
	uint64_t id = unpack_u64(&in);
	CLEANUP(str_release) struct str reply = STR_INIT;
	CLEANUP(fd_cleanup) int channel = -1;
	pid_t pid;

	fd_cleanup(&fd);
	if (unpack_end(&in, "request to the supervisor", NULL) || role < ROLE_SOURCE || role >= ROLE_COUNT)
		return;
	/* web reads where to listen; the others need no words */
	pid = start((enum role)role, role == ROLE_WEB ? supervisor->core_args : NULL, &channel);
	pack_u64(&reply, id);
	pack_u32(&reply, pid > 0 ? (uint32_t)pid : 0);
	channel_send(supervisor->core, str_span(&reply), channel);
}

static void start_core(void *data);

static void on_core_closed(void *data, const struct error *err)
{
	struct supervisor *supervisor = data;

	(void)err;
	channel_free(supervisor->core);
	supervisor->core = NULL;
	/* its end is told by SIGCHLD in a moment; a core that closed its channel and lives on is of no use */
	if (supervisor->core_pid > 0 && !supervisor->stopping)
		timer_start(supervisor->deadline, ORPHAN_MS);
}

static void start_core(void *data)
{
	struct supervisor *supervisor = data;
	int channel = -1;

	supervisor->core_started_ms = clock_mono_ms();
	supervisor->core_pid = start(ROLE_CORE, supervisor->core_args, &channel);
	if (supervisor->core_pid < 0) {
		supervisor->core_pid = 0;
		timer_start(supervisor->restart, RESTART_MOST_MS);
		return;
	}
	supervisor->core = channel_new(supervisor->loop, channel, on_request, on_core_closed, supervisor);
}

static void on_core_exit(struct supervisor *supervisor, int status)
{
	char text[64];

	supervisor->core_pid = 0;
	timer_stop(supervisor->deadline);
	channel_free(supervisor->core);
	supervisor->core = NULL;
	supervisor->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	/* 78 (EX_CONFIG): starting again would fail the same way */
	if (supervisor->stopping || supervisor->status == 78 || supervisor->status == 2) {
		loop_stop(supervisor->loop);
		return;
	}
	if (clock_mono_ms() - supervisor->core_started_ms > 60000)
		supervisor->restart_ms = RESTART_FIRST_MS;
	snprintf(text, sizeof(text), "%s %d", WIFSIGNALED(status) ? "signal" : "exit status",
		 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	log_line(LOG_ERROR, "core ended, starting it again", "ended-by", text, NULL);
	timer_start(supervisor->restart, supervisor->restart_ms);
	supervisor->restart_ms = supervisor->restart_ms * 2 > RESTART_MOST_MS ? RESTART_MOST_MS : supervisor->restart_ms * 2;
}

static uint64_t microseconds(const struct timeval *time)
{
	return (uint64_t)time->tv_sec * 1000000 + (uint64_t)time->tv_usec;
}

static void tell_end(struct supervisor *supervisor, pid_t pid, const struct rusage *used)
{
	CLEANUP(str_release) struct str frame = STR_INIT;

	pack_u64(&frame, 0);
	pack_u32(&frame, (uint32_t)pid);
	pack_u64(&frame, microseconds(&used->ru_utime) + microseconds(&used->ru_stime));
	if (supervisor->core)
		channel_send(supervisor->core, str_span(&frame), -1);
}

static void on_child(void *data)
{
	struct supervisor *supervisor = data;
	struct rusage used;
	int status;
	pid_t pid;

	while ((pid = wait4(-1, &status, WNOHANG, &used)) > 0)
		if (pid == supervisor->core_pid)
			on_core_exit(supervisor, status);
		else
			tell_end(supervisor, pid, &used);
}

static void on_deadline(void *data)
{
	struct supervisor *supervisor = data;

	if (supervisor->core_pid > 0)
		kill(supervisor->core_pid, SIGKILL);
}

static void on_stop(void *data)
{
	struct supervisor *supervisor = data;

	supervisor->stopping = true;
	timer_stop(supervisor->restart);
	if (supervisor->core_pid <= 0) {
		loop_stop(supervisor->loop);
		return;
	}
	kill(supervisor->core_pid, SIGTERM);
	timer_start(supervisor->deadline, STOP_MS);
}

int supervisor_run(char *const core_args[])
{
	struct supervisor supervisor = { .core_args = core_args, .restart_ms = RESTART_FIRST_MS };
	struct error err = ERROR_INIT;
	/* keeps the loop alive between the end of core and its restart */
	struct timer *alive;

	if (sandbox_enter(ROLE_SUPERVISOR, &err)) {
		log_error(LOG_ERROR, "the sandbox is not to be had, not starting", &err, NULL);
		return 78;
	}
	supervisor.loop = loop_new();
	supervisor.restart = timer_new(supervisor.loop, start_core, &supervisor);
	supervisor.deadline = timer_new(supervisor.loop, on_deadline, &supervisor);
	alive = timer_new(supervisor.loop, on_deadline, &supervisor);
	loop_on_signal(supervisor.loop, SIGCHLD, on_child, &supervisor);
	loop_on_signal(supervisor.loop, SIGTERM, on_stop, &supervisor);
	loop_on_signal(supervisor.loop, SIGINT, on_stop, &supervisor);
	start_core(&supervisor);
	while (!supervisor.stopping || supervisor.core_pid > 0) {
		timer_start(alive, (int64_t)1 << 40);
		loop_run(supervisor.loop);
		if (supervisor.status == 78 || supervisor.status == 2)
			break;
	}
	timer_free(alive);
	timer_free(supervisor.restart);
	timer_free(supervisor.deadline);
	channel_free(supervisor.core);
	loop_free(supervisor.loop);
	return supervisor.status;
}
