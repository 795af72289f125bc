/*
 * An HTTP server on loopback for tests of a client: a thread a connection, each
 * running the test's own `serve` with the socket as its argument.
 */
#ifndef TEST_LOOPBACK_H
#define TEST_LOOPBACK_H

#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char base_url[64];      /* of the server that was started */

struct loopback {
	int listening;
	void *(*serve)(void *client);
};

/* Whether the whole request is here: its head, and as much content as the head says. */
static inline bool loopback_is_whole(const char *request)
{
	const char *end = strstr(request, "\r\n\r\n"), *length = strcasestr(request, "\r\ncontent-length:");

	return end && (!length || length > end || strlen(end + 4) >= strtoul(length + 17, NULL, 10));
}

/* Reads one request, as text; what came of it when the connection ends before. */
static inline void loopback_read(int client, char *request, size_t size)
{
	size_t length = 0;

	request[0] = '\0';
	while (length < size - 1 && !loopback_is_whole(request)) {
		ssize_t got = recv(client, request + length, size - 1 - length, 0);

		if (got <= 0)
			break;
		length += (size_t)got;
		request[length] = '\0';
	}
}

/* Sends the answer, or nothing of it (""), and ends the connection. */
static inline void loopback_answer(int client, const char *answer)
{
	send(client, answer, strlen(answer), MSG_NOSIGNAL);
	shutdown(client, SHUT_WR);
	close(client);
}

static inline void *loopback_accept(void *data)
{
	const struct loopback *loopback = data;
	int client;

	while ((client = accept(loopback->listening, NULL, NULL)) >= 0) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, loopback->serve, (void *)(intptr_t)client))
			abort();
		pthread_detach(thread);
	}
	return NULL;
}

/* Binds to a free port of a range of the tests' own, so that none of the kernel's is taken. 0 when it serves. */
static inline int loopback_start(void *(*serve)(void *client), int first_port)
{
	static struct loopback loopback;
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	pthread_t thread;
	int port = first_port + getpid() % 4000, tries = 100;

	loopback = (struct loopback){ socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), serve };
	do
		address.sin_port = htons((uint16_t)++port);
	while (bind(loopback.listening, (struct sockaddr *)&address, sizeof(address)) && --tries);
	snprintf(base_url, sizeof(base_url), "http://127.0.0.1:%d", port);
	return !tries || listen(loopback.listening, 512) || pthread_create(&thread, NULL, loopback_accept, &loopback) || pthread_detach(thread);
}

#endif
