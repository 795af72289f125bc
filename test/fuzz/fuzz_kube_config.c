/* Any bytes as a kubeconfig, as the controller reads it; what is taken has a server and runs no program. */
#include "kube/config.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "io/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* A file name in the input must not make us wait for a terminal. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return freopen("/dev/null", "r", stdin) ? 0 : 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	CLEANUP(fd_cleanup) int fd = memfd_create("kubeconfig", MFD_CLOEXEC);
	struct error err = ERROR_INIT;
	struct kube_config config;
	const char *path;

	ASSERT(fd >= 0 && !file_write_all(fd, span_make(data, size), "kubeconfig", NULL));
	path = arena_printf(arena, "/proc/self/fd/%d", fd);
	if (kube_config_load(path, NULL, KUBE_CONFIG_CORE, arena, &config, &err)) {
		ASSERT(err.reason[0] && err.text[0]);
		return 0;
	}
	ASSERT(config.server && *config.server && !config.insecure);
	ASSERT(!span_ends(span_of(config.server), "/"));
	return 0;
}
