/* The only callers of malloc; see mem.h. */
#include "base/mem.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fault.h"

#if MEM_SANITIZED
/* sanitizer/allocator_interface.h, which gcc does not bring */
size_t __sanitizer_get_current_allocated_bytes(void);
#endif

size_t mem_live(void)
{
#if MEM_SANITIZED
	return __sanitizer_get_current_allocated_bytes();
#else
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
#endif
}

/* A test's word for "the system has no more": the n-th allocation of the process gets none. */
static bool is_refused(void)
{
	return fault_at("mem.alloc") != 0;
}

static void *checked(void *pointer)
{
	if (!pointer)
		base_panic(__FILE__, __LINE__, "out of memory");
	return pointer;
}

void *mem_alloc(size_t size)
{
	return checked(is_refused() ? NULL : calloc(1, size ? size : 1));
}

void *mem_calloc(size_t count, size_t size)
{
	ASSERT(!size || count <= SIZE_MAX / size);
	return mem_alloc(count * size);
}

void *mem_realloc(void *pointer, size_t size)
{
	return checked(is_refused() ? NULL : realloc(pointer, size ? size : 1));
}

char *mem_strndup(const char *bytes, size_t length)
{
	char *copy = mem_alloc(length + 1);

	if (length)
		memcpy(copy, bytes, length);
	return copy;
}

char *mem_strdup(const char *string)
{
	return mem_strndup(string, strlen(string));
}

void mem_cleanup(void *pointer)
{
	void **slot = pointer;

	free(*slot);
	*slot = NULL;
}

void fd_cleanup(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}
