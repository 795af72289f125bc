/*
 * The only callers of malloc. Lack of memory aborts here, in one place: the
 * desired state is in Git, the live state in the cluster, and the audit log is
 * append-only, so a restart loses nothing.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>
#include <stdlib.h>

/*
 * Whether a sanitizer looks: then nothing is kept for the next who asks, so that it sees each piece. gcc has a macro for its
 * sanitizer, clang asks for a feature; a test of what is kept sets it to 0.
 */
#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#ifndef MEM_SANITIZED
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define MEM_SANITIZED 1
#else
#define MEM_SANITIZED 0
#endif
#endif

/* Bytes that this process has allocated and not freed, by whoever it was. Unlike resident memory it tells what is kept from what lies idle. */
size_t mem_live(void);

/* `size` bytes of zeroes; never NULL. Free with free(). */
void *mem_alloc(size_t size);

/* `count` * `size` bytes of zeroes; an overflow of the product aborts. */
void *mem_calloc(size_t count, size_t size);

/* As realloc; never NULL. */
void *mem_realloc(void *pointer, size_t size);

/* A NUL-terminated copy of `length` bytes; never NULL. Free with free(). */
char *mem_strndup(const char *bytes, size_t length);

/* A copy of a C string; never NULL. Free with free(). */
char *mem_strdup(const char *string);

/*
 * Runs `release(&local)` when the local leaves its scope. Every local that
 * holds a resource is declared with it, beside an initial value.
 */
#define CLEANUP(release) __attribute__((cleanup(release)))

/* Frees *(void **)pointer: for CLEANUP on char * and the like. */
void mem_cleanup(void *pointer);

/* Closes *fd if it is not negative: for CLEANUP on descriptors. */
void fd_cleanup(int *fd);

/* Hands a pointer over: the expression's value is p, p becomes NULL. */
#define TAKE(p) __extension__({ __typeof__(p) taken_ = (p); (p) = NULL; taken_; })

/* Hands a descriptor over: the value is fd, fd becomes -1. */
#define TAKE_FD(fd) __extension__({ int taken_ = (fd); (fd) = -1; taken_; })

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* The structure of type `type` whose member `member` is at `pointer`. */
#define CONTAINER_OF(pointer, type, member) \
	((type *)(void *)((char *)(pointer) - offsetof(type, member)))

#endif
