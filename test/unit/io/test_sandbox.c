/*
 * What a role may not do once it is closed in. Each attempt is a raw system
 * call in a child that entered the role's sandbox, so that no library stands
 * between the test and the filter.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/sandbox.h"

#define ATTEMPTS_MAX 64

struct attempt {
	const char *name;
	long number;
	long args[6];
};

/* What the attempts need, made before the sandbox is entered. */
struct ready {
	pid_t parent;
	int socket, memfd;
	struct sockaddr_in address;
	struct clone_args clone_args;
};

static struct ready get_ready(void)
{
	static const char script[] = "#!/bin/true\n";
	struct ready ready = { .parent = getpid(), .socket = socket(AF_INET, SOCK_STREAM, 0), .memfd = memfd_create("program", 0) };

	ready.address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(9), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	ready.clone_args = (struct clone_args){ .exit_signal = SIGCHLD };
	assert_true(ready.socket >= 0 && ready.memfd >= 0);
	assert_int_equal(write(ready.memfd, script, sizeof(script) - 1), sizeof(script) - 1);
	return ready;
}

/* Forbidden to everybody who works on outside bytes. */
static size_t forbidden_to_all(const struct ready *r, struct attempt *out)
{
	static char *const argv[] = { (char *)(uintptr_t)"true", NULL };
	const struct attempt all[] = {
		{ "execve", SYS_execve, { (long)"/bin/true", (long)argv, (long)(argv + 1) } },
		{ "memfd and exec", SYS_execveat, { r->memfd, (long)"", (long)argv, (long)(argv + 1), AT_EMPTY_PATH } },
		{ "a new process", SYS_clone, { SIGCHLD } },
		{ "a new process by fork", SYS_fork, { 0 } },
		{ "a new process by clone3", SYS_clone3, { (long)&r->clone_args, sizeof(r->clone_args) } },
		{ "a process in a user namespace", SYS_clone, { SIGCHLD | CLONE_NEWUSER } },
		{ "a user namespace", SYS_unshare, { CLONE_NEWUSER } },
		{ "another's namespace", SYS_setns, { r->memfd } },
		{ "ptrace", SYS_ptrace, { PTRACE_ATTACH, r->parent } },
		{ "another's memory", SYS_process_vm_readv, { r->parent } },
		{ "another's memory, written", SYS_process_vm_writev, { r->parent } },
		{ "another's descriptors", SYS_pidfd_getfd, { r->memfd } },
		{ "a handle of the parent", SYS_pidfd_open, { r->parent } },
		{ "a signal to the parent by tgkill", SYS_tgkill, { r->parent, r->parent, 0 } },
		{ "a signal to the parent by tkill", SYS_tkill, { r->parent, 0 } },
		{ "a queued signal to the parent", SYS_rt_sigqueueinfo, { r->parent } },
		{ "io_uring", SYS_io_uring_setup, { 8 } },
		{ "bpf", SYS_bpf, { 0 } },
		{ "perf_event_open", SYS_perf_event_open, { 0 } },
		{ "userfaultfd", SYS_userfaultfd, { 0 } },
		{ "keyctl", SYS_keyctl, { 0 } },
		{ "add_key", SYS_add_key, { 0 } },
		{ "mount", SYS_mount, { 0 } },
		{ "umount", SYS_umount2, { 0 } },
		{ "chroot", SYS_chroot, { (long)"/" } },
		{ "pivot_root", SYS_pivot_root, { (long)"/", (long)"/" } },
		{ "a kernel module", SYS_finit_module, { r->memfd } },
		{ "another kernel", SYS_kexec_load, { 0 } },
		{ "reboot", SYS_reboot, { 0 } },
		{ "the clock", SYS_settimeofday, { 0 } },
		{ "personality", SYS_personality, { 0xffffffff } },
		{ "another user", SYS_setuid, { 0 } },
		{ "another group", SYS_setgid, { 0 } },
		{ "capabilities", SYS_capset, { 0 } },
		{ "another filter", SYS_seccomp, { 0 } },
		{ "a file by handle", SYS_open_by_handle_at, { r->memfd } },
	};

	memcpy(out, all, sizeof(all));
	return COUNT_OF(all);
}

/* Besides those, forbidden to the roles that compute only. */
static size_t forbidden_to_pure(const struct ready *r, struct attempt *out)
{
	const struct attempt all[] = {
		{ "open", SYS_open, { (long)"/etc/passwd", O_RDONLY } },
		{ "openat", SYS_openat, { AT_FDCWD, (long)"/etc/passwd", O_RDONLY } },
		{ "readlink", SYS_readlink, { (long)"/proc/self/exe" } },
		{ "unlink", SYS_unlink, { (long)"/nonexistent" } },
		{ "mkdir", SYS_mkdir, { (long)"/nonexistent/x", 0700 } },
		{ "a socket", SYS_socket, { AF_INET, SOCK_STREAM } },
		{ "a local socket", SYS_socket, { AF_UNIX, SOCK_STREAM } },
		{ "connect", SYS_connect, { r->socket, (long)&r->address, sizeof(r->address) } },
		{ "bind", SYS_bind, { r->socket, (long)&r->address, sizeof(r->address) } },
		{ "sendto", SYS_sendto, { r->socket, (long)"x", 1, 0, (long)&r->address, sizeof(r->address) } },
		{ "ioctl", SYS_ioctl, { r->socket } },
		{ "a thread", SYS_clone, { CLONE_THREAD | CLONE_SIGHAND | CLONE_VM } },
		{ "kill", SYS_kill, { r->parent, 0 } },
		{ "memory that runs", SYS_mmap, { 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0 } },
		{ "memory made to run", SYS_mprotect, { 0, 0, PROT_EXEC } },
		{ "a descriptor that signals the parent", SYS_fcntl, { r->socket, F_SETOWN, r->parent } },
		{ "a signal of its choice", SYS_fcntl, { r->socket, F_SETSIG, SIGKILL } },
		{ "another's limits", SYS_prlimit64, { r->parent } },
		{ "prctl", SYS_prctl, { PR_SET_DUMPABLE, 1 } },
	};

	memcpy(out, all, sizeof(all));
	return COUNT_OF(all);
}

static int try(const struct attempt *a)
{
	long rc = syscall(a->number, a->args[0], a->args[1], a->args[2], a->args[3], a->args[4], a->args[5]);
	bool forks = a->number == SYS_clone || a->number == SYS_clone3 || a->number == SYS_fork;

	if (rc == 0 && forks)
		_exit(0); /* the process that must not be */
	return rc < 0 ? errno : 0;
}

/* Tries each in a child in that role; answers[i] is its errno, 0 when it was let through. */
static void try_all(enum role role, const struct attempt *attempts, size_t count, int *answers)
{
	int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct error err = ERROR_INIT;
	int status;
	pid_t pid;

	assert_true(shared != MAP_FAILED && count <= ATTEMPTS_MAX);
	for (size_t i = 0; i < count; i++)
		shared[i] = -1;
	pid = fork();
	if (!pid) {
		if (sandbox_enter(role, &err))
			_exit(1);
		for (size_t i = 0; i < count; i++)
			shared[i] = try(&attempts[i]);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	memcpy(answers, shared, count * sizeof(int));
	munmap(shared, 4096);
}

static void refuses_all(enum role role, bool pure)
{
	struct ready ready = get_ready();
	struct attempt attempts[ATTEMPTS_MAX];
	int answers[ATTEMPTS_MAX];
	size_t count = forbidden_to_all(&ready, attempts);

	if (pure)
		count += forbidden_to_pure(&ready, attempts + count);
	assert_true(count >= 30);
	try_all(role, attempts, count, answers);
	for (size_t i = 0; i < count; i++)
		if (answers[i] != (attempts[i].number == SYS_clone3 && !pure ? ENOSYS : EPERM))
			fail_msg("%s: %s ended with %d (%s)", role_name(role), attempts[i].name, answers[i], strerror(answers[i]));
	close(ready.socket);
	close(ready.memfd);
}

static void render_and_verify_can_do_none_of_the_forbidden_things(void **state)
{
	(void)state;
	refuses_all(ROLE_RENDER, true);
	refuses_all(ROLE_VERIFY, true);
}

/* web has connections that it did not begin, and its channel; but nowhere to go and nothing to read. */
static void web_can_do_no_more_than_serve(void **state)
{
	struct ready ready = get_ready();
	const struct attempt more[] = {
		{ "a thing that an ioctl does", SYS_ioctl, { ready.socket, TIOCSTI } },
		{ "listening", SYS_listen, { ready.socket, 1 } },
		{ "a pair of sockets", SYS_socketpair, { AF_UNIX, SOCK_STREAM } },
		{ "watching files", SYS_inotify_init1, { 0 } },
		{ "openat2", SYS_openat2, { AT_FDCWD, (long)"/etc/passwd" } },
		{ "stat", SYS_statx, { AT_FDCWD, (long)"/etc/passwd" } },
		{ "a sandbox of its own", SYS_landlock_create_ruleset, { 0 } },
	};
	int answers[COUNT_OF(more)];

	(void)state;
	refuses_all(ROLE_WEB, true);
	try_all(ROLE_WEB, more, COUNT_OF(more), answers);
	for (size_t i = 0; i < COUNT_OF(more); i++)
		if (answers[i] != EPERM)
			fail_msg("%s ended with %d (%s)", more[i].name, answers[i], strerror(answers[i]));
	close(ready.socket);
	close(ready.memfd);
}

static void fetch_source_and_core_start_no_process_and_reach_into_none(void **state)
{
	(void)state;
	refuses_all(ROLE_FETCH, false);
	refuses_all(ROLE_SOURCE, false);
	refuses_all(ROLE_CORE, false);
}

static void supervisor_takes_away_what_no_role_needs(void **state)
{
	const struct attempt attempts[] = {
		{ "ptrace", SYS_ptrace, { PTRACE_ATTACH, getpid() } }, { "io_uring", SYS_io_uring_setup, { 8 } },
		{ "bpf", SYS_bpf, { 0 } },                             { "mount", SYS_mount, { 0 } },
		{ "unshare", SYS_unshare, { CLONE_NEWUSER } },         { "keyctl", SYS_keyctl, { 0 } },
		{ "chroot", SYS_chroot, { (long)"/" } },               { "another's memory", SYS_process_vm_readv, { getpid() } },
	};
	int answers[COUNT_OF(attempts)];

	(void)state;
	try_all(ROLE_SUPERVISOR, attempts, COUNT_OF(attempts), answers);
	for (size_t i = 0; i < COUNT_OF(attempts); i++)
		if (answers[i] != EPERM)
			fail_msg("%s ended with %d", attempts[i].name, answers[i]);
}

static void fetch_may_connect(void **state)
{
	struct ready ready = get_ready();
	const struct attempt attempts[] = {
		{ "a socket", SYS_socket, { AF_INET, SOCK_STREAM } },
		{ "connect", SYS_connect, { ready.socket, (long)&ready.address, sizeof(ready.address) } },
	};
	int answers[COUNT_OF(attempts)];

	(void)state;
	try_all(ROLE_FETCH, attempts, COUNT_OF(attempts), answers);
	assert_int_equal(answers[0], 0);
	/* nobody listens there: the network answered, not the filter */
	assert_int_equal(answers[1], ECONNREFUSED);
	close(ready.socket);
	close(ready.memfd);
}

static void *set_flag(void *flag)
{
	*(int *)flag = 1;
	return NULL;
}

/* Runs work() in a child in that role and returns its wait status. */
static int in_role(enum role role, int (*work)(void))
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(sandbox_enter(role, NULL) ? 99 : work());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static int start_thread(void)
{
	pthread_t thread;
	int flag = 0;

	if (pthread_create(&thread, NULL, set_flag, &flag) || pthread_join(thread, NULL))
		return 1;
	return flag ? 0 : 2;
}

static void roles_with_network_may_have_threads(void **state)
{
	(void)state;
	assert_int_equal(in_role(ROLE_FETCH, start_thread), 0);
	assert_int_equal(in_role(ROLE_SOURCE, start_thread), 0);
	assert_int_equal(in_role(ROLE_CORE, start_thread), 0);
}

static int send_sigusr1_to_itself(void)
{
	signal(SIGUSR1, SIG_DFL);
	raise(SIGUSR1);
	return 1;
}

/* A failed assertion must end the process as one, so that the supervisor sees a crash. */
static void pure_role_may_still_signal_itself(void **state)
{
	int status = in_role(ROLE_VERIFY, send_sigusr1_to_itself);

	(void)state;
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1);
}

static int privileges_are_gone(void)
{
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 && prctl(PR_GET_DUMPABLE) == 0 && prctl(PR_GET_SECCOMP) == 2 ? 0 : 1;
}

static void roles_have_no_new_privileges_and_leave_no_core(void **state)
{
	(void)state;
	assert_int_equal(in_role(ROLE_FETCH, privileges_are_gone), 0);
	assert_int_equal(in_role(ROLE_CORE, privileges_are_gone), 0);
}

static int choice_of_the_oom_killer(void)
{
	char text[8] = "";
	int fd = open("/proc/self/oom_score_adj", O_RDONLY);

	return fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 ? atoi(text) / 10 : 255;
}

static void worker_is_ended_before_core_where_memory_is_short(void **state)
{
	int before = choice_of_the_oom_killer();

	(void)state;
	/* 100: a machine that ends this container first as it is, which is no fault of a role */
	assert_true(before <= 100);
	assert_int_equal(WEXITSTATUS(in_role(ROLE_FETCH, choice_of_the_oom_killer)), 100);
	assert_int_equal(WEXITSTATUS(in_role(ROLE_SOURCE, choice_of_the_oom_killer)), 100);
	assert_int_equal(WEXITSTATUS(in_role(ROLE_CORE, choice_of_the_oom_killer)), before);
}

static int open_outside_and_inside(void)
{
	static const char *const read_only[] = { "/usr", NULL }, *const writable[] = { NULL };
	int enforced = 0;

	if (sandbox_files(read_only, writable, &enforced, NULL))
		return 1;
	if (!enforced)
		return 77; /* a kernel without Landlock */
	if (open("/etc/passwd", O_RDONLY) >= 0 || errno != EACCES)
		return 2;
	if (open("/usr", O_RDONLY | O_DIRECTORY) < 0)
		return 3;
	return open("/usr/countersign-test", O_WRONLY | O_CREAT, 0600) < 0 && errno == EACCES ? 0 : 4;
}

static void landlock_leaves_only_the_named_folders(void **state)
{
	static const enum role roles[] = { ROLE_CORE, ROLE_SOURCE, ROLE_FETCH };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(roles); i++) {
		int status = in_role(roles[i], open_outside_and_inside);

		if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
			skip();
		if (status)
			fail_msg("%s: %d", role_name(roles[i]), status);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(render_and_verify_can_do_none_of_the_forbidden_things),
		cmocka_unit_test(web_can_do_no_more_than_serve),
		cmocka_unit_test(fetch_source_and_core_start_no_process_and_reach_into_none),
		cmocka_unit_test(supervisor_takes_away_what_no_role_needs),
		cmocka_unit_test(fetch_may_connect),
		cmocka_unit_test(roles_with_network_may_have_threads),
		cmocka_unit_test(pure_role_may_still_signal_itself),
		cmocka_unit_test(roles_have_no_new_privileges_and_leave_no_core),
		cmocka_unit_test(worker_is_ended_before_core_where_memory_is_short),
		cmocka_unit_test(landlock_leaves_only_the_named_folders),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
