/*
 * The `web` role: /livez, /readyz and /metrics over HTTP/1.1. It holds nothing
 * and opens nothing: the listener is bound before it closes itself in, and what
 * it knows it asks core for over its channel. One question of each sort is under
 * way at a time and an answer is shared for a moment, so that nobody outside can
 * make core work more than a few times a second.
 */
#ifndef SERVER_WEB_H
#define SERVER_WEB_H

/* Listens on `address` (connection.h) and serves until the channel ends. Returns the exit status; 78: it cannot listen. */
int web_run(const char *address);

#endif
