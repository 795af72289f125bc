/* memfd_create(2) and its seals; see sealed.h. */
#include "io/sealed.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/file.h"

#define ALL_SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

int sealed_new(struct span bytes, int *fd, struct error *err)
{
	CLEANUP(fd_cleanup) int memfd = memfd_create("countersign", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (memfd < 0)
		return error_errno(err, errno, "memfd_create");
	if (file_write_all(memfd, bytes, "memfd", err))
		return -1;
	if (fcntl(memfd, F_ADD_SEALS, ALL_SEALS))
		return error_errno(err, errno, "seal a memfd");
	*fd = TAKE_FD(memfd);
	return 0;
}

int sealed_map(int fd, size_t limit, struct sealed *out, struct error *err)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat stat;
	void *address;

	if (seals < 0 || (seals & ALL_SEALS) != ALL_SEALS)
		return error_set(err, ERROR_INTERNAL, "NotSealed", "the descriptor with the content can still be changed");
	if (fstat(fd, &stat))
		return error_errno(err, errno, "stat of a memfd");
	if (stat.st_size < 0 || (size_t)stat.st_size > limit)
		return error_set(err, ERROR_LIMIT, "TooLarge", "content of %lld bytes is over the limit of %zu",
				 (long long)stat.st_size, limit);
	out->bytes = SPAN0;
	if (!stat.st_size)
		return 0;
	address = mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (address == MAP_FAILED)
		return error_errno(err, errno, "map a memfd");
	out->bytes = span_make(address, (size_t)stat.st_size);
	return 0;
}

void sealed_unmap(struct sealed *sealed)
{
	if (sealed->bytes.length)
		munmap((void *)(uintptr_t)sealed->bytes.data, sealed->bytes.length);
	sealed->bytes = SPAN0;
}
