/*
 * A frame channel on the loop: what core holds of each worker and of the
 * supervisor. Speaks frame.h.
 */
#ifndef IO_CHANNEL_H
#define IO_CHANNEL_H

#include "base/error.h"
#include "base/str.h"
#include "io/loop.h"

struct channel;

/*
 * Takes the socket over. on_frame gets each frame (bytes borrowed; fd -1 or
 * now the callee's). on_closed comes once, when the other end is gone or lied;
 * after it only channel_free may be called. Both may call channel_free.
 */
struct channel *channel_new(struct loop *loop, int socket, void (*on_frame)(void *, struct span, int fd),
			    void (*on_closed)(void *, const struct error *), void *data);
/* Queues a frame; `fd` (-1: none) is duplicated and stays the caller's. */
void channel_send(struct channel *channel, struct span bytes, int fd);
void channel_free(struct channel *channel); /* closes; NULL is fine */

#endif
