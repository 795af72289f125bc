/*
 * Who may send to one API server, and when. A few dozen requests under way
 * are what it can use; more only make all of them wait, run into its limits
 * (429), and let the lease's own renewal come too late. So the rest waits
 * here, in lanes: what gates others goes first, what only tells goes last,
 * but is never starved. The width halves when the server pushes back and
 * grows again with what it answers.
 */
#ifndef KUBE_WINDOW_H
#define KUBE_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WINDOW_WIDTH 32u

enum lane {
	LANE_URGENT,     /* the lease: sent at once, not counted */
	LANE_READ,       /* what a run waits for before it can plan */
	LANE_WRITE,      /* governed writes */
	LANE_BOOK,       /* what waits for nothing else to be told: status */
	LANE_INVENTORY,  /* what remembers the writes: the intents in the audit log do until then */
	LANE_EVENT,      /* events: best effort */
	LANE_COUNT,
};

struct turn {
	struct turn *next, *before;
	enum lane lane;
	bool queued, counted;
};

struct window {
	size_t width, in_flight, good;
	int64_t narrowed_ms;                           /* when it was last halved; 0: never */
	struct turn *first[LANE_COUNT], *last[LANE_COUNT];
	size_t queued, waiting[LANE_COUNT];
	unsigned passed[LANE_COUNT];                   /* turns given since a low lane had one */
	bool closing;                                  /* the process ends: inventories, for which results wait, before what only tells */
	bool held;                                     /* governed writes wait; not while closing */
};

void window_init(struct window *window);
/* Puts it behind the others of its lane. */
void window_queue(struct window *window, struct turn *turn, enum lane lane);
/* The next that may be sent now, taken out and counted; NULL: none. */
struct turn *window_next(struct window *window);
/* Of one that window_next gave: it was answered; `pushed_back`: with 429. */
void window_done(struct window *window, struct turn *turn, bool pushed_back, int64_t now_ms);
/* Takes out one that still waits, or counts one that was sent as done. */
void window_drop(struct window *window, struct turn *turn);

#endif
