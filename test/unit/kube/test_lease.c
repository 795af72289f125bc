/* The leader's lease at a server on loopback: one that takes its time, and one that comes back with another state. */
#include "kube/lease.h"

#include <poll.h>

#include "unit.h"
#include "base/clock.h"
#include "kube/write.h"
#include "loopback.h"

#define SLOW_MS 2500
#define END "\r\nConnection: close\r\n\r\n"
#define LEASE "{\"metadata\":{\"resourceVersion\":\"7\"},\"spec\":{\"holderIdentity\":\"me\"}}"

static const char absent[] = "HTTP/1.1 404 X\r\nContent-Length: 2" END "{}";
static const char there[] = "HTTP/1.1 200 X\r\nContent-Length: 67" END LEASE;
static const char made[] = "HTTP/1.1 201 X\r\nContent-Length: 67" END LEASE;

static struct world {
	struct loop *loop;
	struct kube *kube;
	struct lease *lease;
	struct timer *guard;
	bool leads, knows;           /* knows: the version is one that may be */
	char reason[ERROR_REASON_MAX];
} world;

/* What the server's threads go by and tell. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int slow_ms;
static unsigned leases_read, written;

static const char *answer_of(const char *request)
{
	const char *answer = absent;

	pthread_mutex_lock(&lock);
	if (!strncmp(request, "PATCH", 5))
		written++;
	else if (!strncmp(request, "GET", 3))
		answer = leases_read++ ? there : absent;
	else
		answer = !strncmp(request, "POST", 4) ? made : there;
	pthread_mutex_unlock(&lock);
	return answer;
}

static void *serve(void *argument)
{
	int client = (int)(intptr_t)argument;
	char request[4096];

	loopback_read(client, request, sizeof(request));
	poll(NULL, 0, slow_ms);
	loopback_answer(client, answer_of(request));
	return NULL;
}

static int start_server(void **state)
{
	(void)state;
	return loopback_start(serve, 25100);
}

static bool on_version(void *data, uint64_t version)
{
	(void)data;
	assert_int_equal(version, 7);
	return world.knows;
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

/* Leads, or the guard's time is over. */
static void lead(int slow)
{
	static const struct lease_handler handler = { on_leading, on_lost, on_version, NULL, NULL };
	const struct kube_config config = { .server = base_url };

	slow_ms = slow;
	leases_read = written = 0;
	world = (struct world){ .loop = loop_new(), .knows = true };
	world.kube = kube_new(world.loop, &config, "countersign-test");
	world.guard = timer_new(world.loop, on_guard, NULL);
	timer_start(world.guard, 4 * SLOW_MS);
	world.lease = lease_new(world.kube, world.loop, "ns", "countersign", "me", &handler, NULL);
	loop_run(world.loop);
	assert_true(world.leads);
	assert_true(lease_held(world.lease));
}

static int end(void **state)
{
	(void)state;
	lease_free(world.lease);
	timer_free(world.guard);
	kube_free(world.kube);
	loop_free(world.loop);
	return 0;
}

static void server_that_takes_longer_than_the_pause_between_two_tries_is_waited_for(void **state)
{
	(void)state;
	lead(SLOW_MS);
}

static void on_write(void *data, const struct kube_answer *answer)
{
	(void)data;
	snprintf(world.reason, sizeof(world.reason), "%s", answer->err ? answer->err->reason : "");
	loop_stop(world.loop);
}

/* A connection breaks, and then something is to be written; how often the lease was read until the write had its end. */
static unsigned break_and_write(void)
{
	const struct write_permit permit = { .account = "system:serviceaccount:a:b", .log_id = "log", .intent_seq = 1, .intent_durable = true,
					     .project_allows = true, .images_allowed = true };
	const struct write_request request = { .method = "PATCH", .path = "/api/governed", .content_type = KUBE_APPLY_PATCH, .body = SPAN("{}"),
					       .ordinal = 1, .attempt = 1, .on_done = on_write };
	unsigned before = leases_read;

	kube_broke(world.kube);
	kube_write(world.kube, &permit, &request);
	assert_int_equal(written, 0);
	loop_run(world.loop);
	return leases_read - before;
}

static void write_after_a_broken_connection_waits_until_the_lease_was_read(void **state)
{
	(void)state;
	lead(0);
	assert_true(break_and_write() >= 1);
	assert_int_equal(written, 1);
}

static void write_is_refused_when_the_lease_shows_another_cluster(void **state)
{
	(void)state;
	lead(0);
	world.knows = false;
	assert_true(break_and_write() >= 1);
	ASSERT_TEXT("reason", world.reason, "NotLeader");
	assert_int_equal(written, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(server_that_takes_longer_than_the_pause_between_two_tries_is_waited_for, end),
		cmocka_unit_test_teardown(write_after_a_broken_connection_waits_until_the_lease_was_read, end),
		cmocka_unit_test_teardown(write_is_refused_when_the_lease_shows_another_cluster, end),
	};

	return cmocka_run_group_tests(tests, start_server, NULL);
}
