/*
 * Length-prefixed frames between roles over a socket pair, each with at most
 * one descriptor beside it. Blocking: for workers and the supervisor. Core
 * uses channel.h, which speaks the same.
 *
 * On the wire: u32 length (little endian), u8 "a descriptor comes with this
 * frame", then the bytes. The descriptor travels with the first byte.
 */
#ifndef IO_FRAME_H
#define IO_FRAME_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/str.h"

#define FRAME_HEADER 5

/* Sends the whole frame; `fd` is -1 or a descriptor, which stays the caller's. ERROR_CANCELED when the other end is gone. */
int frame_send(int socket, struct span bytes, int fd, struct error *err);
/*
 * Receives one frame into *out (reset first). *fd is -1 or a descriptor that is now the caller's.
 * ERROR_CANCELED "Closed" at a clean end, ERROR_INVALID for a frame over LIMIT_FRAME_BYTES.
 */
int frame_receive(int socket, struct str *out, int *fd, struct error *err);

/* The header's encoding, shared with channel.c. */
void frame_header(size_t length, bool has_fd, unsigned char out[FRAME_HEADER]);
int frame_header_parse(const unsigned char in[FRAME_HEADER], size_t *length, bool *has_fd, struct error *err);

/* sendmsg with an optional descriptor / recvmsg that takes one; as send(2) and recv(2), with MSG_NOSIGNAL and CLOEXEC. */
ssize_t socket_send_fd(int socket, struct span bytes, int fd, int flags);
ssize_t socket_receive_fd(int socket, void *buffer, size_t size, int *fd, int flags);

#endif
