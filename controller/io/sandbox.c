/*
 * seccomp by libseccomp, as lists of what each kind of work needs: a role's
 * filter is the union of its groups, everything else answers EPERM. The
 * supervisor's filter is inherited by all, so it only takes away what no role
 * ever needs. A few calls are needed in one form and dangerous in another;
 * those are allowed by their arguments (allow_by_argument).
 */
#include "io/sandbox.h"

#include <errno.h>
#include <linux/landlock.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/log.h"

/* Memory, time, threads' locks, and talking over descriptors that are open already. */
static const int pure_calls[] = {
	SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(pread64), SCMP_SYS(recvmsg),
	SCMP_SYS(sendmsg), SCMP_SYS(close), SCMP_SYS(munmap), SCMP_SYS(mremap),
	SCMP_SYS(brk), SCMP_SYS(madvise), SCMP_SYS(futex), SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(sigaltstack), SCMP_SYS(getrandom),
	SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(fstat), SCMP_SYS(newfstatat),
	SCMP_SYS(lseek), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(restart_syscall), SCMP_SYS(getpid), SCMP_SYS(gettid),
	SCMP_SYS(sched_yield), SCMP_SYS(getrusage), SCMP_SYS(memfd_create), SCMP_SYS(ftruncate),
	SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep),
};

/* In any form for the roles with files; the pure ones get them by argument. */
static const int open_calls[] = { SCMP_SYS(mmap), SCMP_SYS(mprotect), SCMP_SYS(fcntl) };

static const int thread_calls[] = {
	SCMP_SYS(set_robust_list), SCMP_SYS(get_robust_list), SCMP_SYS(rseq),
	SCMP_SYS(prctl), SCMP_SYS(sched_getaffinity), SCMP_SYS(sched_getparam), SCMP_SYS(sched_getscheduler),
	SCMP_SYS(set_tid_address), SCMP_SYS(membarrier), SCMP_SYS(getcpu),
};

static const int file_calls[] = {
	SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(openat2), SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(statx),
	SCMP_SYS(statfs), SCMP_SYS(fstatfs), SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2),
	SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(getdents64), SCMP_SYS(getcwd), SCMP_SYS(pwrite64),
	SCMP_SYS(pwritev), SCMP_SYS(preadv), SCMP_SYS(fsync), SCMP_SYS(fdatasync), SCMP_SYS(fallocate), SCMP_SYS(mkdir),
	SCMP_SYS(mkdirat), SCMP_SYS(rmdir), SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(rename), SCMP_SYS(renameat),
	SCMP_SYS(renameat2), SCMP_SYS(link), SCMP_SYS(linkat), SCMP_SYS(chmod), SCMP_SYS(fchmod), SCMP_SYS(fchmodat),
	SCMP_SYS(utimensat), SCMP_SYS(utimes), SCMP_SYS(umask), SCMP_SYS(flock), SCMP_SYS(msync), SCMP_SYS(dup),
	SCMP_SYS(dup2), SCMP_SYS(dup3), SCMP_SYS(fadvise64), SCMP_SYS(sync_file_range), SCMP_SYS(getuid),
	SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid), SCMP_SYS(uname), SCMP_SYS(sysinfo),
	SCMP_SYS(prlimit64), SCMP_SYS(getrlimit), SCMP_SYS(getppid),
	/* Landlock is entered later, when a role knows its folders */
	SCMP_SYS(landlock_create_ruleset), SCMP_SYS(landlock_add_rule), SCMP_SYS(landlock_restrict_self),
};

static const int net_calls[] = {
	SCMP_SYS(socket), SCMP_SYS(socketpair), SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(getsockname),
	SCMP_SYS(getpeername), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt), SCMP_SYS(sendto), SCMP_SYS(recvfrom),
	SCMP_SYS(sendmmsg), SCMP_SYS(recvmmsg), SCMP_SYS(shutdown), SCMP_SYS(ioctl), SCMP_SYS(select),
	SCMP_SYS(pselect6), SCMP_SYS(pipe), SCMP_SYS(pipe2), SCMP_SYS(eventfd2),
};

static const int loop_calls[] = {
	SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(timerfd_create),
	SCMP_SYS(timerfd_settime), SCMP_SYS(inotify_init1), SCMP_SYS(inotify_add_watch), SCMP_SYS(signalfd4),
	SCMP_SYS(kill), SCMP_SYS(accept4),
};

/* Connections of a listener that is there already: none is begun, and no file is opened. ioctl by its argument. */
static const int serve_calls[] = {
	SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(accept4), SCMP_SYS(accept), SCMP_SYS(shutdown),
	SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt),
};

/* What no role ever needs: other processes' memory, kernels, mounts, namespaces, key rings, io_uring. */
static const int never_calls[] = {
	SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(process_madvise),
	SCMP_SYS(kcmp), SCMP_SYS(pidfd_getfd), SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter),
	SCMP_SYS(io_uring_register), SCMP_SYS(bpf), SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd), SCMP_SYS(keyctl),
	SCMP_SYS(add_key), SCMP_SYS(request_key), SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(pivot_root),
	SCMP_SYS(move_mount), SCMP_SYS(open_tree), SCMP_SYS(fsopen), SCMP_SYS(fsmount), SCMP_SYS(chroot),
	SCMP_SYS(unshare), SCMP_SYS(setns), SCMP_SYS(kexec_load), SCMP_SYS(kexec_file_load), SCMP_SYS(init_module),
	SCMP_SYS(finit_module), SCMP_SYS(delete_module), SCMP_SYS(reboot), SCMP_SYS(swapon), SCMP_SYS(swapoff),
	SCMP_SYS(acct), SCMP_SYS(quotactl), SCMP_SYS(personality), SCMP_SYS(open_by_handle_at), SCMP_SYS(settimeofday),
	SCMP_SYS(clock_settime), SCMP_SYS(adjtimex), SCMP_SYS(sethostname), SCMP_SYS(iopl), SCMP_SYS(ioperm),
	SCMP_SYS(modify_ldt), SCMP_SYS(lookup_dcookie), SCMP_SYS(vhangup), SCMP_SYS(fanotify_init), SCMP_SYS(mbind),
	SCMP_SYS(move_pages), SCMP_SYS(migrate_pages),
};

struct group {
	const int *calls;
	size_t count;
};

#define GROUP(list) { list, COUNT_OF(list) }
#define GROUPS_MAX 6

static const struct group role_groups[ROLE_COUNT][GROUPS_MAX] = {
	[ROLE_CORE] = { GROUP(pure_calls), GROUP(open_calls), GROUP(thread_calls), GROUP(file_calls), GROUP(net_calls),
			GROUP(loop_calls) },
	[ROLE_SOURCE] = { GROUP(pure_calls), GROUP(open_calls), GROUP(thread_calls), GROUP(file_calls), GROUP(net_calls) },
	[ROLE_FETCH] = { GROUP(pure_calls), GROUP(open_calls), GROUP(thread_calls), GROUP(file_calls), GROUP(net_calls) },
	[ROLE_RENDER] = { GROUP(pure_calls) },
	[ROLE_VERIFY] = { GROUP(pure_calls) },
	[ROLE_WEB] = { GROUP(pure_calls), GROUP(serve_calls) },
};

static void release_filter(scmp_filter_ctx *filter)
{
	if (*filter)
		seccomp_release(*filter);
}

static int add_group(scmp_filter_ctx filter, uint32_t action, const struct group *group)
{
	for (size_t i = 0; i < group->count; i++) {
		int rc;

		/* a call that this architecture does not have cannot be made either */
		if (group->calls[i] < 0)
			continue;
		rc = seccomp_rule_add(filter, action, group->calls[i], 0);
		if (rc && rc != -EACCES)
			return rc;
	}
	return 0;
}

static bool is_pure(enum role role)
{
	return role == ROLE_RENDER || role == ROLE_VERIFY || role == ROLE_WEB;
}

/* No memory that runs, and no descriptor that sends a signal of its owner's choice (F_SETOWN, F_SETSIG). */
static int allow_pure(scmp_filter_ctx filter)
{
	static const scmp_datum_t commands[] = { F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_ADD_SEALS, F_GET_SEALS };
	int rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));

	if (!rc)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	for (size_t i = 0; !rc && i < COUNT_OF(commands); i++)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1, SCMP_A1(SCMP_CMP_EQ, commands[i]));
	return rc;
}

/*
 * abort() signals by tgkill, and so could reach the supervisor: only our own process. clone makes threads, not processes,
 * and with them no user namespace (the kernel refuses both flags together). clone3 hides its flags behind a pointer, where no
 * filter can look; ENOSYS makes the C library go back to clone.
 */
static int allow_by_argument(scmp_filter_ctx filter, enum role role)
{
	int rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));

	/* how libuv makes an accepted socket non-blocking */
	if (!rc && role == ROLE_WEB)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_EQ, FIONBIO));
	if (!rc && is_pure(role))
		return allow_pure(filter);
	if (!rc)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				      SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
	if (!rc)
		rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	return rc;
}

static int load_filter(enum role role, struct error *err)
{
	bool listed = role_groups[role][0].count != 0;
	struct group never = GROUP(never_calls);
	CLEANUP(release_filter) scmp_filter_ctx filter =
		seccomp_init(listed ? SCMP_ACT_ERRNO(EPERM) : SCMP_ACT_ALLOW);
	int rc = filter ? 0 : -ENOMEM;

	if (!rc && !listed)
		rc = add_group(filter, SCMP_ACT_ERRNO(EPERM), &never);
	for (size_t i = 0; !rc && listed && i < GROUPS_MAX; i++)
		rc = add_group(filter, SCMP_ACT_ALLOW, &role_groups[role][i]);
	if (!rc && listed)
		rc = allow_by_argument(filter, role);
	if (!rc)
		rc = seccomp_load(filter);
	if (rc)
		return error_set(err, ERROR_INTERNAL, "SandboxUnavailable",
				 "seccomp: %s; the container profile must allow seccomp(2)", strerror(-rc));
	return 0;
}

/*
 * Descriptors, core dumps, and memory: that of the pure workers as a whole; of those with files, whose packs are mapped, what they allocate. Else one
 * repository or registry would have the kernel end all processes of the container. Sanitizers map terabytes, hence the switch.
 */
static int set_limits(enum role role, struct error *err)
{
	const struct rlimit none = { 0, 0 }, files = { 1024, 1024 }, few_files = { 64, 64 };
	bool pure = is_pure(role);

	if (setrlimit(RLIMIT_CORE, &none) || setrlimit(RLIMIT_NOFILE, pure && role != ROLE_WEB ? &few_files : &files))
		return error_errno(err, errno, "set resource limits");
#if !defined(__SANITIZE_ADDRESS__)
	const struct rlimit memory = { (rlim_t)2 << 30, (rlim_t)2 << 30 };

	const struct rlimit data = { LIMIT_WORKER_DATA_BYTES, LIMIT_WORKER_DATA_BYTES };

	if ((pure && setrlimit(RLIMIT_AS, &memory)) || ((role == ROLE_SOURCE || role == ROLE_FETCH) && setrlimit(RLIMIT_DATA, &data)))
		return error_errno(err, errno, "set the memory limit");
#endif
	return 0;
}

/* Where memory is short the kernel is to end a worker, whose job is tried again, before core, whose runs end with it. Without /proc it chooses by size. */
static void go_first(void)
{
	CLEANUP(fd_cleanup) int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "1000", 4) != 4)
		log_line(LOG_WARN, "where memory is short, the kernel may end core before this process: /proc/self/oom_score_adj cannot be written", NULL);
}

int sandbox_enter(enum role role, struct error *err)
{
	if (role != ROLE_SUPERVISOR && set_limits(role, err))
		return -1;
	if (role != ROLE_SUPERVISOR && role != ROLE_CORE && role != ROLE_WEB)
		go_first();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return error_errno(err, errno, "set no-new-privileges");
	if (role != ROLE_SUPERVISOR)
		prctl(PR_SET_DUMPABLE, 0);
	return load_filter(role, err);
}

#define LANDLOCK_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define LANDLOCK_WRITE                                                                                                  \
	(LANDLOCK_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | \
	 LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SYM)
#define LANDLOCK_HANDLED                                                                                               \
	(LANDLOCK_WRITE | LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK |     \
	 LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO)

/* A path that does not exist cannot be opened anyway. */
static void allow_below(int ruleset, const char *const paths[], uint64_t access)
{
	for (; paths && *paths; paths++) {
		CLEANUP(fd_cleanup) int fd = open(*paths, O_PATH | O_CLOEXEC);
		struct landlock_path_beneath_attr rule = { .allowed_access = access, .parent_fd = fd };

		if (fd >= 0)
			syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	}
}

int sandbox_files(const char *const read_only[], const char *const writable[], int *enforced, struct error *err)
{
	struct landlock_ruleset_attr handled = { .handled_access_fs = LANDLOCK_HANDLED };
	CLEANUP(fd_cleanup) int ruleset = (int)syscall(SYS_landlock_create_ruleset, &handled, sizeof(handled), 0);

	*enforced = 0;
	if (ruleset < 0)
		return 0;
	allow_below(ruleset, read_only, LANDLOCK_READ);
	allow_below(ruleset, writable, LANDLOCK_WRITE);
	if (syscall(SYS_landlock_restrict_self, ruleset, 0))
		return error_errno(err, errno, "landlock");
	*enforced = 1;
	return 0;
}

/* Says it when the kernel does not do it. */
static int enter_files(const char *const read_only[], const char *const writable[], struct error *err)
{
	int enforced;

	if (sandbox_files(read_only, writable, &enforced, err))
		return -1;
	if (!enforced)
		log_line(LOG_WARN, "landlock is not to be had; files are protected by ownership and seccomp alone", NULL);
	return 0;
}

int sandbox_network(const char *writable, struct error *err)
{
	const char *const read_only[] = { "/etc", "/usr", "/lib", "/lib64", "/run/systemd/resolve", "/run/resolvconf", "/dev", "/proc/self",
					  getenv("SSL_CERT_FILE") ? getenv("SSL_CERT_FILE") : "/etc",
					  getenv("SSL_CERT_DIR") ? getenv("SSL_CERT_DIR") : "/etc", NULL };
	const char *const writables[] = { writable, NULL };

	return enter_files(read_only, writables, err);
}

int sandbox_reader(const char *folder, struct error *err)
{
	const char *const read_only[] = { folder, "/dev", "/proc/self", NULL };

	return enter_files(read_only, NULL, err);
}

const char *sandbox_layers(void)
{
	static char text[96];
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	if (abi > 0)
		snprintf(text, sizeof(text), "seccomp, no-new-privileges, Landlock ABI %ld", abi);
	else
		snprintf(text, sizeof(text), "seccomp, no-new-privileges; no Landlock in this kernel or container");
	return text;
}
