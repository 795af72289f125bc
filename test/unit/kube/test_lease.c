/* The leader's lease at a server on loopback that takes its time. */
#include "kube/lease.h"

#include <poll.h>

#include "unit.h"
#include "base/clock.h"
#include "loopback.h"

#define SLOW_MS 2500

static const char absent[] = "HTTP/1.1 404 X\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
static const char made[] = "HTTP/1.1 201 X\r\nContent-Length: 36\r\nConnection: close\r\n\r\n{\"metadata\":{\"resourceVersion\":\"7\"}}";

static void *serve(void *argument)
{
	int client = (int)(intptr_t)argument;
	char request[4096];

	loopback_read(client, request, sizeof(request));
	poll(NULL, 0, SLOW_MS);
	loopback_answer(client, !strncmp(request, "POST", 4) ? made : absent);
	return NULL;
}

static int start_server(void **state)
{
	(void)state;
	return loopback_start(serve, 25100);
}

static struct world {
	struct loop *loop;
	uint64_t version;
	bool leads;
} world;

static bool on_version(void *data, uint64_t version)
{
	(void)data;
	world.version = version;
	return true;
}

static void on_leading(void *data, int64_t transitions)
{
	(void)data;
	(void)transitions;
	world.leads = true;
	loop_stop(world.loop);
}

static void on_lost(void *data)
{
	(void)data;
}

static void on_guard(void *data)
{
	(void)data;
	loop_stop(world.loop);
}

static void server_that_takes_longer_than_the_pause_between_two_tries_is_waited_for(void **state)
{
	static const struct lease_handler handler = { on_leading, on_lost, on_version, NULL, NULL };
	const struct kube_config config = { .server = base_url };
	struct kube *kube;
	struct lease *lease;
	struct timer *guard;

	(void)state;
	world = (struct world){ .loop = loop_new() };
	kube = kube_new(world.loop, &config, "countersign-test");
	guard = timer_new(world.loop, on_guard, NULL);
	timer_start(guard, 4 * SLOW_MS);
	lease = lease_new(kube, world.loop, "ns", "countersign", "me", &handler, NULL);
	loop_run(world.loop);
	assert_true(world.leads);
	assert_true(lease_held(lease));
	assert_int_equal(world.version, 7);
	lease_free(lease);
	timer_free(guard);
	kube_free(kube);
	loop_free(world.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(server_that_takes_longer_than_the_pause_between_two_tries_is_waited_for),
	};

	return cmocka_run_group_tests(tests, start_server, NULL);
}
