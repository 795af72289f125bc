/* record/audit_join: every governed write has its record and every record its write; and what does not fit is told. */
#include "log_fixture.h"

#include "base/clock.h"
#include "record/audit_join.h"

#define SELF "system:serviceaccount:countersign-system:countersign-controller"
#define AS "system:serviceaccount:shop:shop-applier"

struct told {
	unsigned lines;
	char last[1024];
};

static void on_told(void *data, const char *line)
{
	struct told *told = data;

	told->lines++;
	snprintf(told->last, sizeof(told->last), "%s", line);
}

static const struct audit_object web = { .group = "apps", .version = "v1", .kind = "Deployment", .resource = "deployments", .ns = "shop",
					 .name = "web", .op = "apply" };
static const struct audit_object settings = { .version = "v1", .kind = "ConfigMap", .resource = "configmaps", .ns = "shop",
					      .name = "settings", .op = "delete" };
static const struct audit_object space = { .version = "v1", .kind = "Namespace", .resource = "namespaces", .name = "shop", .op = "apply" };

static char log_id[32];

/* seq 1: an intent of three objects; 2: its result, unless there is to be none. */
static struct audit_log *begin(struct arena *arena, struct json **intent)
{
	struct audit_log *log = open_log();

	snprintf(log_id, sizeof(log_id), "%s", audit_log_id(log));
	*intent = audit_record(arena, AUDIT_SYNC_INTENT, AUDIT_ALLOW);
	audit_set_app(arena, *intent, "countersign-system/shop", "shop", NULL, "shop");
	audit_set_as(arena, *intent, "shop:shop-applier");
	audit_add_object(arena, *intent, &web);
	audit_add_object(arena, *intent, &settings);
	audit_add_object(arena, *intent, &space);
	audit_name_objects(arena, *intent, log_id, audit_log_next_seq(log));
	assert_int_equal(audit_log_append(log, *intent, NULL, NULL), 1);
	return log;
}

static void add_attempts(struct arena *arena, struct json *result, size_t ordinal, int first, int second)
{
	struct json *object = json_at(json_get(result, "objects"), ordinal);

	if (first >= 0)
		audit_add_attempt(arena, object, 1, first);
	if (second >= 0)
		audit_add_attempt(arena, object, 2, second);
}

/* The plain case: web needed two attempts, settings one; of space nothing was sent, and the result says so. */
static void make_joined_log(void)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct json *intent, *result;
	struct audit_log *log = begin(arena, &intent);

	result = audit_result_seq(arena, intent, 1, AUDIT_OK);
	add_attempts(arena, result, 0, 429, 200);
	add_attempts(arena, result, 1, 200, -1);
	audit_log_append(log, result, NULL, NULL);
	audit_log_close(log);
}

struct event {
	const char *id;         /* behind "LOG."; one that holds '/' is used as it is */
	const char *verb, *user, *as, *group, *resource, *namespace, *name, *stage, *subresource;
	int code;
};

static const struct event web_refused = { "1.0.1", "patch", SELF, AS, "apps", "deployments", "shop", "web", NULL, NULL, 429 };
static const struct event web_done = { "1.0.2", "patch", SELF, AS, "apps", "deployments", "shop", "web", NULL, NULL, 200 };
static const struct event settings_gone = { "1.1.1", "delete", SELF, AS, NULL, "configmaps", "shop", "settings", NULL, NULL, 200 };

static void set_text(struct arena *arena, struct json *object, const char *key, const char *value)
{
	if (value)
		json_set_string(arena, object, key, value);
}

static struct span event_line(struct arena *arena, const struct event *event)
{
	struct json *line = json_object(arena), *object = json_object(arena), *user = json_object(arena);
	CLEANUP(str_release) struct str text = STR_INIT;

	json_set_string(arena, line, "kind", "Event");
	json_set_string(arena, line, "apiVersion", "audit.k8s.io/v1");
	json_set_string(arena, line, "level", "Metadata");
	json_set(arena, line, "auditID", json_stringf(arena, "%s%s%s", strchr(event->id, '/') ? "" : log_id, strchr(event->id, '/') ? "" : ".",
						      event->id));
	json_set_string(arena, line, "stage", event->stage ? event->stage : "ResponseComplete");
	json_set_string(arena, line, "verb", event->verb);
	set_text(arena, user, "username", event->user);
	json_set(arena, line, "user", user);
	if (event->as)
		json_set_string(arena, json_set(arena, line, "impersonatedUser", json_object(arena)), "username", event->as);
	set_text(arena, object, "resource", event->resource);
	set_text(arena, object, "namespace", event->namespace);
	set_text(arena, object, "name", event->name);
	set_text(arena, object, "apiGroup", event->group);
	set_text(arena, object, "subresource", event->subresource);
	json_set(arena, line, "objectRef", object);
	json_set_int(arena, json_set(arena, line, "responseStatus", json_object(arena)), "code", event->code);
	json_set_string(arena, line, "requestReceivedTimestamp", "2026-01-02T03:04:05.000000Z");
	json_write(line, JSON_PLAIN, &text);
	return arena_span(arena, str_span(&text));
}

/* What the API server's log is said to be of. */
static int64_t since_ns = INT64_MIN, until_ns = INT64_MAX;

static struct audit_join_counts join(const struct event *const *events, size_t count, struct told *told)
{
	CLEANUP(audit_join_cleanup) struct audit_join *join = audit_join_new(NULL, on_told, told);
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	CLEANUP(audit_reader_release) struct audit_reader reader = AUDIT_READER_INIT;
	struct error err = ERROR_INIT;

	audit_join_between(join, since_ns, until_ns);
	if (audit_reader_open(dir, &reader, &err) || audit_join_log(join, &reader, &err))
		fail_msg("%s", err.text);
	for (size_t i = 0; i < count; i++)
		if (audit_join_event(join, event_line(arena, events[i]), &err))
			fail_msg("event %zu: %s", i, err.text);
	return audit_join_end(join);
}

static void assert_counts(struct audit_join_counts got, unsigned writes, unsigned matched, unsigned unrecorded, unsigned unsent, unsigned foreign,
			  const char *what)
{
	if (got.writes != writes || got.matched != matched || got.unrecorded != unrecorded || got.unsent != unsent || got.foreign != foreign)
		fail_msg("%s: got %u writes, %u matched, %u unrecorded, %u unsent, %u foreign; want %u %u %u %u %u", what, (unsigned)got.writes,
			 (unsigned)got.matched, (unsigned)got.unrecorded, (unsigned)got.unsent, (unsigned)got.foreign, writes, matched,
			 unrecorded, unsent, foreign);
}

static void all_writes_match_one_to_one(void **state)
{
	const struct event *events[] = { &web_refused, &web_done, &settings_gone };
	struct told told = { 0 };

	(void)state;
	make_joined_log();
	assert_counts(join(events, 3, &told), 3, 3, 0, 0, 0, "the plain case");
	assert_int_equal(told.lines, 0);
}

/* Each case is one event more than the plain ones, or instead of web_done. */
static void what_does_not_fit_is_counted_and_told(void **state)
{
	static const struct {
		const char *what;
		struct event event;
		bool instead;           /* of web_done, whose recorded answer is then without a write too */
		unsigned writes, matched, unrecorded, foreign;
		const char *says;
	} cases[] = {
		{ "bookkeeping, without impersonation", { "a/b", "update", SELF, NULL, "coordination.k8s.io", "leases", "s", "l", NULL, NULL, 200 },
		  false, 3, 3, 0, 0, NULL },
		{ "a read as the account", { "a/b", "get", SELF, AS, NULL, "secrets", "shop", "pull", NULL, NULL, 200 }, false, 3, 3, 0, 0, NULL },
		{ "somebody else's write", { "a/b", "patch", "jane", NULL, "apps", "deployments", "shop", "web", NULL, NULL, 200 }, false, 3, 3, 0, 0,
		  NULL },
		{ "an earlier stage", { "1.0.2", "patch", SELF, AS, "apps", "deployments", "shop", "web", "RequestReceived", NULL, 0 }, false, 3, 3, 0,
		  0, NULL },
		{ "a governed write without an id", { "a/b", "patch", SELF, AS, "apps", "deployments", "shop", "web", NULL, NULL, 200 }, false, 4, 3, 1,
		  0, "no Audit-ID of a log" },
		{ "an attempt that the result does not have", { "1.0.99", "patch", SELF, AS, "apps", "deployments", "shop", "web", NULL, NULL, 200 },
		  false, 4, 3, 1, 0, "does not have this attempt" },
		{ "an intent that is not there", { "7.0.1", "patch", SELF, AS, "apps", "deployments", "shop", "web", NULL, NULL, 200 }, false, 4, 3, 1,
		  0, "no intent" },
		{ "an ordinal that is not there", { "1.3.1", "patch", SELF, AS, "apps", "deployments", "shop", "web", NULL, NULL, 200 }, false, 4, 3, 1,
		  0, "no intent" },
		{ "an id used twice", { "1.0.2", "patch", SELF, AS, "apps", "deployments", "shop", "web", NULL, NULL, 200 }, false, 4, 3, 1, 0,
		  "used before" },
		{ "another account", { "1.0.2", "patch", SELF, "system:masters", "apps", "deployments", "shop", "web", NULL, NULL, 200 }, true, 3, 2, 2,
		  0, "never gave" },
		{ "another object", { "1.0.2", "patch", SELF, AS, "apps", "deployments", "shop", "api", NULL, NULL, 200 }, true, 3, 2, 2, 0, "never gave" },
		{ "another namespace", { "1.0.2", "patch", SELF, AS, "apps", "deployments", "bank", "web", NULL, NULL, 200 }, true, 3, 2, 2, 0,
		  "never gave" },
		{ "another kind", { "1.0.2", "patch", SELF, AS, "apps", "statefulsets", "shop", "web", NULL, NULL, 200 }, true, 3, 2, 2, 0, "never gave" },
		{ "another group", { "1.0.2", "patch", SELF, AS, "apps.example.com", "deployments", "shop", "web", NULL, NULL, 200 }, true, 3, 2, 2, 0,
		  "never gave" },
		{ "a subresource", { "1.0.2", "patch", SELF, AS, "apps", "deployments", "shop", "web", NULL, "scale", 200 }, true, 3, 2, 2, 0,
		  "never gave" },
		{ "a delete for an apply", { "1.0.2", "delete", SELF, AS, "apps", "deployments", "shop", "web", NULL, NULL, 200 }, true, 3, 2, 2, 0,
		  "never gave" },
		{ "another answer", { "1.0.2", "patch", SELF, AS, "apps", "deployments", "shop", "web", NULL, NULL, 409 }, true, 3, 2, 1, 0, "another" },
		{ "no impersonation", { "1.0.2", "patch", SELF, NULL, "apps", "deployments", "shop", "web", NULL, NULL, 200 }, true, 3, 2, 1, 0,
		  "impersonates nobody" },
		{ "our id, sent by another", { "1.0.2", "create", "jane", NULL, NULL, "configmaps", "shop", "x", NULL, NULL, 201 }, false, 3, 3, 0, 1,
		  "used by another" },
		{ "our id, not authenticated", { "1.0.2", "create", NULL, NULL, NULL, "configmaps", "shop", "x", NULL, NULL, 401 }, false, 3, 3, 0, 0,
		  NULL },
	};

	(void)state;
	make_joined_log();
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const struct event *events[] = { &web_refused, &settings_gone, cases[i].instead ? &cases[i].event : &web_done, &cases[i].event };
		struct told told = { 0 };

		assert_counts(join(events, cases[i].instead ? 3 : 4, &told), cases[i].writes, cases[i].matched, cases[i].unrecorded, 0,
			      cases[i].foreign, cases[i].what);
		if (cases[i].says && !strstr(told.last, cases[i].says))
			fail_msg("%s: told \"%s\", want \"%s\"", cases[i].what, told.last, cases[i].says);
		if (!cases[i].says && told.lines)
			fail_msg("%s: told \"%s\", want nothing", cases[i].what, told.last);
	}
}

static void recorded_answer_without_a_write_is_unrecorded_unless_it_was_a_refusal(void **state)
{
	const struct event *without_done[] = { &web_refused, &settings_gone }, *without_refused[] = { &web_done, &settings_gone };
	struct told told = { 0 };

	(void)state;
	make_joined_log();
	assert_counts(join(without_done, 2, &told), 2, 2, 1, 0, 0, "a 200 that the API server does not have");
	assert_non_null(strstr(told.last, "shop/web"));
	assert_counts(join(without_refused, 2, &told), 2, 2, 0, 0, 0, "a 429 that the API server does not have");
}

static void what_was_recorded_outside_of_the_time_is_not_looked_for(void **state)
{
	const struct event rogue = { "a/b", "patch", SELF, AS, "apps", "deployments", "shop", "web", NULL, NULL, 200 };
	const struct event *events[] = { &web_done, &rogue };
	struct told told = { 0 };
	int64_t now = clock_wall_ns(), hour = 3600ll * 1000000000;

	(void)state;
	make_joined_log();
	since_ns = now - hour;
	until_ns = now + hour;
	assert_counts(join(events, 0, &told), 0, 0, 2, 0, 0, "within");
	since_ns = now + hour;
	assert_counts(join(events, 0, &told), 0, 0, 0, 0, 0, "before");
	/* what the API server has of it fits all the same, and what has no record is told whenever it was */
	assert_counts(join(events, 2, &told), 2, 1, 1, 0, 0, "before, with writes");
	since_ns = INT64_MIN;
	until_ns = now - hour;
	assert_counts(join(events, 0, &told), 0, 0, 0, 0, 0, "after");
	until_ns = INT64_MAX;
}

static void a_log_counts_once(void **state)
{
	CLEANUP(audit_join_cleanup) struct audit_join *join = audit_join_new(NULL, on_told, NULL);
	CLEANUP(audit_reader_release) struct audit_reader reader = AUDIT_READER_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	make_joined_log();
	assert_int_equal(audit_reader_open(dir, &reader, &err), 0);
	assert_int_equal(audit_join_log(join, &reader, &err), 0);
	assert_int_equal(audit_join_log(join, &reader, &err), -1);
	assert_string_equal(err.reason, "LogTwice");
}

static void intent_that_is_open_matches_its_writes_and_says_what_was_not_sent(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	const struct event *events[] = { &web_refused, &web_done };
	struct told told = { 0 };
	struct json *intent;

	(void)state;
	audit_log_close(begin(arena, &intent));
	assert_counts(join(events, 2, &told), 2, 2, 0, 2, 0, "open");
	assert_non_null(strstr(told.last, "unsent: apply Namespace shop"));
}

static void intent_resolved_after_a_crash_matches_without_attempts(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct event again = web_done;
	const struct event *events[] = { &web_refused, &web_done, &again };
	struct told told = { 0 };
	struct json *intent, *result;
	struct audit_log *log = begin(arena, &intent);

	(void)state;
	result = audit_result_seq(arena, intent, 1, AUDIT_OK);
	audit_set_recovered(arena, result);
	audit_log_append(log, result, NULL, NULL);
	audit_log_close(log);
	assert_counts(join(events, 2, &told), 2, 2, 0, 0, 0, "recovered");
	assert_counts(join(events, 3, &told), 3, 2, 1, 0, 0, "recovered, with an id used twice");
}

static void answer_that_never_came_matches_any(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	const struct event *events[] = { &web_refused };
	struct told told = { 0 };
	struct json *intent, *result;
	struct audit_log *log = begin(arena, &intent);

	(void)state;
	result = audit_result_seq(arena, intent, 1, AUDIT_FAIL);
	add_attempts(arena, result, 0, 0, -1);
	add_attempts(arena, result, 1, 0, -1); /* and this one never reached the API server */
	audit_log_append(log, result, NULL, NULL);
	audit_log_close(log);
	assert_counts(join(events, 1, &told), 1, 1, 0, 0, 0, "no answer");
}

static void refused_impersonation_is_no_write_but_fits_its_record(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct event refused = { "1.0.1", "patch", SELF, NULL, "apps", "deployments", "shop", "web", NULL, NULL, 403 };
	const struct event *events[] = { &refused };
	struct told told = { 0 };
	struct json *intent, *result;
	struct audit_log *log = begin(arena, &intent);

	(void)state;
	result = audit_result_seq(arena, intent, 1, AUDIT_FAIL);
	add_attempts(arena, result, 0, 403, -1);
	audit_log_append(log, result, NULL, NULL);
	audit_log_close(log);
	assert_counts(join(events, 1, &told), 0, 0, 0, 0, 0, "refused impersonation");
}

static void namespaces_are_in_themselves_to_the_api_server(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct event made = { "1.2.1", "patch", SELF, AS, NULL, "namespaces", "shop", "shop", NULL, NULL, 201 };
	const struct event *events[] = { &made };
	struct told told = { 0 };
	struct json *intent, *result;
	struct audit_log *log = begin(arena, &intent);

	(void)state;
	result = audit_result_seq(arena, intent, 1, AUDIT_OK);
	add_attempts(arena, result, 2, 201, -1);
	audit_log_append(log, result, NULL, NULL);
	audit_log_close(log);
	assert_counts(join(events, 1, &told), 1, 1, 0, 0, 0, "a namespace");
}

static void objects_may_be_recorded_by_group_kind_and_namespace(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct event done = { "1.0.1", "patch", SELF, AS, "networking.k8s.io", "networkpolicies", "shop", "deny", NULL, NULL, 200 }, other = done;
	const struct event *events[] = { &done }, *others[] = { &other };
	struct audit_log *log = open_log();
	struct told told = { 0 };
	struct json *intent, *result;
	struct error err = ERROR_INIT;

	(void)state;
	snprintf(log_id, sizeof(log_id), "%s", audit_log_id(log));
	assert_int_equal(json_parse(SPAN("{\"kind\":\"sync.intent\",\"outcome\":\"allow\",\"app\":\"countersign-system/shop\",\"objects\":[{\"group\":"
					 "\"networking.k8s.io\",\"version\":\"v1\",\"kind\":\"NetworkPolicy\",\"namespace\":\"shop\",\"name\":\"deny\","
					 "\"op\":\"create\",\"as\":\"" AS "\"}]}"),
				    arena, 0, &intent, &err), 0);
	audit_name_objects(arena, intent, log_id, 1);
	audit_log_append(log, intent, NULL, NULL);
	result = audit_result_seq(arena, intent, 1, AUDIT_OK);
	add_attempts(arena, result, 0, 200, -1);
	audit_log_append(log, result, NULL, NULL);
	audit_log_close(log);
	assert_counts(join(events, 1, &told), 1, 1, 0, 0, 0, "by kind");
	other.resource = "ingresses";
	assert_counts(join(others, 1, &told), 1, 0, 2, 0, 0, "another kind");
}

static void account_is_the_one_the_log_says(void **state)
{
	CLEANUP(audit_join_cleanup) struct audit_join *join = NULL;
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	CLEANUP(audit_reader_release) struct audit_reader reader = AUDIT_READER_INIT;
	struct audit_log_config named = { .version = "1", .account = "system:serviceaccount:other:controller" };
	struct event event = { "a/b", "patch", "system:serviceaccount:other:controller", AS, "apps", "deployments", "shop", "web", NULL, NULL, 200 };
	struct audit_join_counts counts;
	struct audit_log *log;
	struct error err = ERROR_INIT;
	struct told told = { 0 };

	(void)state;
	assert_int_equal(audit_log_open(loop, dir, &named, &log, &err), 0);
	audit_log_close(log);
	join = audit_join_new(NULL, on_told, &told);
	assert_int_equal(audit_reader_open(dir, &reader, &err), 0);
	assert_int_equal(audit_join_log(join, &reader, &err), 0);
	assert_int_equal(audit_join_event(join, event_line(arena, &event), &err), 0);
	counts = audit_join_end(join);
	assert_int_equal(counts.writes, 1);
	assert_int_equal(counts.unrecorded, 1);
}

static void lines_that_are_no_events_are_refused(void **state)
{
	static const char *const lines[] = {
		"", "x", "[]", "{\"a\":1", "\"countersign-controller\"",
		"{\"kind\":\"Event\",\"apiVersion\":\"v1\",\"user\":{\"username\":\"" SELF "\"}}",
		"{\"kind\":\"EventList\",\"apiVersion\":\"audit.k8s.io/v1\",\"user\":{\"username\":\"" SELF "\"}}",
		"{\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/v1\",\"user\":{\"username\":\"" SELF "\"}}",
	};
	CLEANUP(audit_join_cleanup) struct audit_join *join = audit_join_new(SELF, NULL, NULL);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(lines); i++) {
		struct error err = ERROR_INIT;

		assert_int_equal(audit_join_event(join, span_of(lines[i]), &err), -1);
		assert_int_equal(err.kind, ERROR_INVALID);
	}
}

static void resources_are_plurals_of_built_in_kinds(void **state)
{
	static const struct {
		const char *resource, *kind, *group;
		bool is;
	} cases[] = {
		{ "deployments", "Deployment", "apps", true },        { "ingresses", "Ingress", "networking.k8s.io", true },
		{ "networkpolicies", "NetworkPolicy", "networking.k8s.io", true }, { "endpoints", "Endpoints", "", true },
		{ "deployments", "StatefulSet", "apps", false },      { "secrets", "ConfigMap", "", false },
		{ "pods", "Pod", "", true },                          { "pod", "Pods", "", false },
		{ "geese", "Goose", "birds.example.com", true },      { "storageclasses", "StorageClass", "storage.k8s.io", true },
		{ "", "Pod", "", false },                             { "proxies", "Proxy", "example.com", true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		if (audit_resource_is_of_kind(cases[i].resource, cases[i].kind, cases[i].group) != cases[i].is)
			fail_msg("%s of %s: want %d", cases[i].resource, cases[i].kind, cases[i].is);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_writes_match_one_to_one),
		TEST(what_does_not_fit_is_counted_and_told),
		TEST(recorded_answer_without_a_write_is_unrecorded_unless_it_was_a_refusal),
		TEST(what_was_recorded_outside_of_the_time_is_not_looked_for),
		TEST(a_log_counts_once),
		TEST(intent_that_is_open_matches_its_writes_and_says_what_was_not_sent),
		TEST(intent_resolved_after_a_crash_matches_without_attempts),
		TEST(answer_that_never_came_matches_any),
		TEST(refused_impersonation_is_no_write_but_fits_its_record),
		TEST(namespaces_are_in_themselves_to_the_api_server),
		TEST(objects_may_be_recorded_by_group_kind_and_namespace),
		TEST(account_is_the_one_the_log_says),
		TEST(lines_that_are_no_events_are_refused),
		TEST(resources_are_plurals_of_built_in_kinds),
	};

	return cmocka_run_group_tests_name("audit_join", tests, NULL, NULL);
}
