/*
 * apply/action.c: the one function that sends asks the Project before each single write, and a deletion looks first. What it
 * would send is caught at the door (kube_write), whose own demands are asked for beside.
 */
#include "unit.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/application.h"
#include "apply/action.h"

/* --- the world around it ------------------------------------------------------------------------------------------- */

static struct {
	unsigned asked, refuse_from;            /* may_send: how often, and from which time on it says no; 0: never */
	unsigned sent, sent_unpermitted, finished;
	char methods[64][8];
	int conflicts, absent;                  /* so many writes are answered 409; and 404, as of a kind that is still to be served */
	unsigned attempt, repeated;             /* the number of the last write; how often one was not the next */
	const char *live;                       /* JSON of the object for a look; NULL: 404 */
	const char *adds;                       /* what a webhook puts into each write, as JSON members, or NULL */
	bool others;
	struct arena *arena;
} world;

static void answer(kube_done *on_done, void *data, int status, const char *json)
{
	struct error err = ERROR_INIT;
	struct kube_answer out = { .status = status, .arena = world.arena, .retry_after_ms = -1,
				   .object = json ? J(world.arena, json) : NULL };

	if (status >= 400)
		error_set(&err, status == 404 ? ERROR_NOT_FOUND : ERROR_CONFLICT, status == 404 ? "NotFound" : "Test", "status %d", status);
	out.err = status >= 400 ? &err : NULL;
	on_done(data, &out);
}

static void fake_write(struct kube *kube, const struct write_permit *permit, const struct write_request *request)
{
	(void)kube;
	snprintf(world.methods[world.sent++ % 64], 8, "%s", request->method);
	world.sent_unpermitted += !permit->project_allows;
	world.repeated += request->attempt != ++world.attempt;
	if (world.absent-- > 0)
		answer(request->on_done, request->data, 404, "{}");
	else if (world.conflicts-- > 0)
		answer(request->on_done, request->data, 409, "{}");
	else
		answer(request->on_done, request->data, 200, arena_printf(world.arena, "{'metadata':{'name':'x','uid':'u','resourceVersion':'8'}%s}",
									      world.adds ? world.adds : ""));
}

static uint64_t fake_get(struct kube *kube, const char *path, const char *accept, const char *as, kube_done *on_done, void *data)
{
	(void)kube;
	(void)path;
	(void)accept;
	(void)as;
	answer(on_done, data, world.live ? 200 : 404, world.live);
	return 1;
}

static void fake_defer(struct loop *loop, void (*fn)(void *), void *data)
{
	(void)loop;
	fn(data);
}

static struct {
	void (*fn)(void *);
	void *data;
} waiting;

static struct timer *fake_timer(struct loop *loop, void (*fn)(void *), void *data)
{
	(void)loop;
	waiting.fn = fn;
	waiting.data = data;
	return NULL;
}

static void fake_timer_start(struct timer *timer, int64_t ms)
{
	(void)timer;
	(void)ms;
	waiting.fn(waiting.data);
}

#define timer_new fake_timer
#define timer_start fake_timer_start
#define kube_write fake_write
#define kube_get fake_get
#define loop_defer fake_defer
#pragma push_macro("fail")
#undef fail
#include "apply/action.c"
#pragma pop_macro("fail")
#undef timer_new
#undef timer_start
#undef kube_write
#undef kube_get
#undef loop_defer

static int may_send(const struct action *action, void *data, struct error *err)
{
	(void)action;
	(void)data;
	world.asked++;
	if (!world.refuse_from || world.asked < world.refuse_from)
		return 0;
	return error_set(err, ERROR_DENIED, "KindNotPermitted", "not by this Project");
}

static const char *why_kept(const struct action *action, const struct json *live, void *data)
{
	(void)action;
	(void)live;
	(void)data;
	return world.others ? "it is another's" : NULL;
}

static void on_finished(struct action *action, void *data)
{
	(void)action;
	(void)data;
	world.finished++;
}

static const struct action_rules rules = { may_send, why_kept };
static const struct kube_kind config_maps = { "", "v1", "ConfigMap", "configmaps", true, false, true, true };

#define LIVE "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'x','namespace':'shop','uid':'u','resourceVersion':'7'," \
	     "'managedFields':[{'manager':'kubectl-client-side-apply','operation':'Update','apiVersion':'v1','fieldsV1':{'f:data':{'f:a':{},'f:extra':{}}}}]}," \
	     "'data':{'a':'b','extra':'x'}}"

static struct action run(struct arena *arena, enum act act, enum stage stage)
{
	static const struct application exact = { 0 };
	struct action action = { .act = act, .stage = stage, .resource = &config_maps, .group = "", .version = "v1", .kind = "ConfigMap",
				 .namespace = "shop", .name = "x", .key = "/ConfigMap/shop/x", .uid = "u", .released = "", .exact = &exact };

	world.arena = arena;
	world.asked = world.sent = world.sent_unpermitted = world.finished = world.attempt = world.repeated = 0;
	action.kind_later = world.absent > 0;
	action.permit = (struct write_permit){ .account = "system:serviceaccount:cs:a", .log_id = "log", .intent_seq = 1, .intent_durable = true,
					       .images_allowed = true };
	if (act != ACT_DELETE)
		action.object = J(arena, "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'x','namespace':'shop'},'data':{'a':'b'}}");
	action.full = action.object;
	action.live = J(arena, LIVE);
	action_start(&action, NULL, NULL, arena, &rules, on_finished, NULL);
	assert_int_equal(world.finished, 1);
	assert_int_equal(world.sent_unpermitted, 0);
	assert_false(action.permit.project_allows);
	return action;
}

/* --- every way into it ------------------------------------------------------------------------------------------------ */

static const struct { const char *name; enum act act; enum stage stage; } ways[] = {
	{ "create", ACT_CREATE, STAGE_APPLY }, { "create with ignored fields", ACT_CREATE, STAGE_FULL },
	{ "adopt", ACT_ADOPT, STAGE_CHECK },   { "take over", ACT_ADOPT, STAGE_APPLY },
	{ "update", ACT_UPDATE, STAGE_APPLY }, { "update with released fields", ACT_UPDATE, STAGE_RELEASE },
	{ "heal", ACT_HEAL, STAGE_APPLY },     { "take an extra out", ACT_HEAL, STAGE_STRIP },
	{ "delete", ACT_DELETE, STAGE_LOOK },
};

static void reset(void)
{
	memset(&world, 0, sizeof(world));
	world.live = LIVE;
}

static void no_write_is_sent_that_the_project_does_not_permit(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		WITH_ARENA(arena);
		struct action action;

		reset();
		world.refuse_from = 1;
		action = run(arena, ways[i].act, ways[i].stage);
		if (world.sent)
			fail_msg("%s: sent %s", ways[i].name, world.methods[0]);
		assert_int_equal(action.attempt_count, 0);
		assert_int_equal(world.asked, 1);
		ASSERT_TEXT(ways[i].name, action.err.reason, "KindNotPermitted");
	}
}

static void each_single_write_is_asked_for(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		WITH_ARENA(arena);
		unsigned all;

		reset();
		run(arena, ways[i].act, ways[i].stage);
		all = world.sent;
		if (world.asked != all)
			fail_msg("%s: %u writes, %u questions", ways[i].name, all, world.asked);
		/* the Project is changed between two of them */
		for (unsigned from = 1; from <= all; from++) {
			struct action action;

			reset();
			world.refuse_from = from;
			action = run(arena, ways[i].act, ways[i].stage);
			if (world.sent != from - 1)
				fail_msg("%s: refused from write %u on, %u were sent", ways[i].name, from, world.sent);
			ASSERT_TEXT(ways[i].name, action.err.reason, "KindNotPermitted");
		}
	}
}

static void a_repeated_write_is_asked_for_again(void **state)
{
	WITH_ARENA(arena);

	(void)state;
	reset();
	world.conflicts = 2;
	run(arena, ACT_DELETE, STAGE_LOOK);
	assert_int_equal(world.sent, 3);
	assert_int_equal(world.asked, 3);
	reset();
	world.conflicts = 2;
	world.refuse_from = 2;
	run(arena, ACT_DELETE, STAGE_LOOK);
	assert_int_equal(world.sent, 1);
}

/* Its Audit-ID has the number: by an id that is used twice nobody can tell which of the two is recorded. */
static void each_attempt_has_a_number_of_its_own(void **state)
{
	WITH_ARENA(arena);
	struct action action;

	(void)state;
	reset();
	world.absent = 40;
	action = run(arena, ACT_CREATE, STAGE_APPLY);
	assert_int_equal(world.sent, 41);
	assert_int_equal(world.repeated, 0);
	assert_int_equal(action.attempt_count, 41);
	for (size_t i = 0; i < action.attempt_count; i++) {
		assert_int_equal(action.attempts[i].number, i + 1);
		assert_int_equal(action.attempts[i].code, i < 40 ? 404 : 200);
	}
}

/* The caller then need not look through it once more. */
static void an_answer_is_clean_only_when_nothing_in_it_must_go(void **state)
{
	WITH_ARENA(arena);
	struct action action;

	(void)state;
	reset();
	action = run(arena, ACT_CREATE, STAGE_APPLY);
	assert_true(action.clean && action.after);
	assert_int_equal(world.sent, 1);
	reset();
	world.adds = ",'spec':{'containers':[{'name':'s','image':'evil'}]}";
	action = run(arena, ACT_CREATE, STAGE_APPLY);
	assert_false(action.clean);
	assert_int_equal(world.sent, 2);
}

/* The inventory calls nothing in order that was only made ready for it. */
static void what_fails_before_all_of_it_was_taken_is_not_applied(void **state)
{
	static const struct { const char *name; enum act act; enum stage stage; unsigned refuse_from; bool applied; } cases[] = {
		{ "adoption", ACT_ADOPT, STAGE_CHECK, 0, true },
		{ "adoption, its apply refused", ACT_ADOPT, STAGE_CHECK, 3, false },
		{ "creation", ACT_CREATE, STAGE_APPLY, 0, true },
		{ "creation, what a webhook added not taken out", ACT_CREATE, STAGE_APPLY, 2, true },
		{ "update, its apply refused", ACT_UPDATE, STAGE_APPLY, 1, false },
		{ "an extra taken out", ACT_HEAL, STAGE_STRIP, 0, true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		WITH_ARENA(arena);
		struct action action;

		reset();
		world.refuse_from = cases[i].refuse_from;
		world.adds = ",'spec':{'containers':[{'name':'s','image':'evil'}]}";
		action = run(arena, cases[i].act, cases[i].stage);
		if (action.applied != cases[i].applied || !!action.err.reason[0] != !!cases[i].refuse_from)
			fail_msg("%s", cases[i].name);
	}
}

static void a_deletion_looks_first(void **state)
{
	static const struct { const char *name, *live; bool others; unsigned sent; } cases[] = {
		{ "ours", LIVE, false, 1 },
		{ "gone", NULL, false, 0 },
		{ "another of that name", "{'metadata':{'name':'x','uid':'v','resourceVersion':'7'}}", false, 0 },
		{ "taken over by another Application", LIVE, true, 0 },
		{ "going already", "{'metadata':{'name':'x','uid':'u','resourceVersion':'8','finalizers':['foregroundDeletion'],"
				   "'deletionTimestamp':'2026-01-01T00:00:00Z'}}", false, 0 },
		{ "going without what it made", "{'metadata':{'name':'x','uid':'u','resourceVersion':'8','finalizers':['orphan'],"
						"'deletionTimestamp':'2026-01-01T00:00:00Z'}}", false, 1 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		WITH_ARENA(arena);
		struct action action;

		reset();
		world.live = cases[i].live;
		world.others = cases[i].others;
		action = run(arena, ACT_DELETE, STAGE_LOOK);
		if (world.sent != cases[i].sent || action.err.reason[0])
			fail_msg("%s: %u sent, %s", cases[i].name, world.sent, action.err.text);
	}
}

static void a_deletion_names_the_version_it_saw(void **state)
{
	WITH_ARENA(arena);
	struct write_request request = { .method = NULL };
	struct action action = { .act = ACT_DELETE, .stage = STAGE_DELETE, .resource = &config_maps, .namespace = "shop", .name = "x", .uid = "u",
				 .arena = arena };

	(void)state;
	action.live = J(arena, LIVE);
	ASSERT_TEXT("preconditions", T(arena, json_get(stage_body(&action, &request), "preconditions")), "{\"resourceVersion\":\"7\",\"uid\":\"u\"}");
}

/* --- the door itself ---------------------------------------------------------------------------------------------------- */

/* What kube_write says, in a child, when it is given this permit; "" when it lets it pass. */
static const char *door_says(struct arena *arena, struct write_permit permit)
{
	char text[512] = "";
	int ends[2], status;
	ssize_t got;

	assert_int_equal(pipe(ends), 0);
	if (!fork()) {
		struct write_request request = { .method = "PATCH", .path = "/x", .content_type = KUBE_JSON, .attempt = 1 };

		dup2(ends[1], 2);
		signal(SIGABRT, SIG_DFL);
		kube_write(NULL, &permit, &request);
		_exit(0);
	}
	close(ends[1]);
	got = read(ends[0], text, sizeof(text) - 1);
	text[got > 0 ? got : 0] = '\0';
	close(ends[0]);
	wait(&status);
	return strstr(text, "assertion failed") ? arena_strdup(arena, text) : "";
}

static void the_door_takes_no_write_without_each_part_of_its_permit(void **state)
{
	WITH_ARENA(arena);
	const struct write_permit whole = { .account = "system:serviceaccount:cs:a", .log_id = "log", .intent_seq = 1, .intent_durable = true,
					    .project_allows = true, .images_allowed = true };
	struct write_permit permit = whole;

	(void)state;
	permit.project_allows = false;
	assert_non_null(strstr(door_says(arena, permit), "project_allows"));
	permit = whole;
	permit.images_allowed = false;
	assert_non_null(strstr(door_says(arena, permit), "images_allowed"));
	permit = whole;
	permit.intent_durable = false;
	assert_non_null(strstr(door_says(arena, permit), "intent_durable"));
	permit = whole;
	permit.account = NULL;
	assert_non_null(strstr(door_says(arena, permit), "account"));
	permit = whole;
	ASSERT_TEXT("a whole one", door_says(arena, permit), "");
}

/* What a real API server says of each. */
static void a_refusal_for_good_says_what_a_person_can_do(void **state)
{
	static const struct { const char *kind, *object, *said, *advice; } cases[] = {
		{ "ConfigMap", "{}", "data: Forbidden: field is immutable when `immutable` is set", "; delete the object, and it is made anew" },
		{ "StatefulSet", "{}", "spec: Forbidden: updates to statefulset spec for fields other than 'replicas' are forbidden", "; delete the object" },
		{ "Pod", "{}", "spec: Forbidden: pod updates may not change fields other than `x`", "; delete the object" },
		{ "RoleBinding", "{}", "roleRef: Invalid value: {}: cannot change roleRef", "; delete the object" },
		{ "PriorityClass", "{}", "value: Forbidden: may not be changed in an update.", "; delete the object" },
		{ "PersistentVolumeClaim", "{}", "spec is immutable after creation except resources.requests", "; take the change out of Git" },
		{ "PersistentVolume", "{}", "spec.persistentvolumesource is immutable after creation", "; take the change out of Git" },
		{ "Service", "{}", "spec.clusterIPs[0]: Invalid value: ['10.0.0.1']: may not change once set", "; delete the object" },
		{ "Service", "{}", "spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": this cluster is not configured", "; a Service that was made without an address" },
		{ "Service", "{'spec':{'ipFamilyPolicy':'RequireDualStack'}}", "Invalid value: \"RequireDualStack\": this cluster is not configured", "" },
		{ "Service", "{}", "may not be set to 'None' for NodePort services", "; a Service that was made without an address" },
		{ "Service", "{'spec':{'clusterIP':'None'}}", "may not be set to 'None' for NodePort services", "" },
		{ "ConfigMap", "{}", "data: Invalid value: x: too long", "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		WITH_ARENA(arena);
		struct action action = { .group = "", .kind = cases[i].kind, .object = J(arena, cases[i].object), .permit = { .account = "a" } };
		struct error err = ERROR_INIT;

		error_set(&err, ERROR_INVALID, "Invalid", "%s", cases[i].said);
		add_hint(&action, &err);
		if (!span_starts(span_of(err.text + strlen(cases[i].said)), cases[i].advice) || (!*cases[i].advice && err.text[strlen(cases[i].said)]))
			fail_msg("%s: %s", cases[i].kind, err.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_write_is_sent_that_the_project_does_not_permit), cmocka_unit_test(each_single_write_is_asked_for),
		cmocka_unit_test(a_repeated_write_is_asked_for_again), cmocka_unit_test(each_attempt_has_a_number_of_its_own),
		cmocka_unit_test(an_answer_is_clean_only_when_nothing_in_it_must_go),
		cmocka_unit_test(what_fails_before_all_of_it_was_taken_is_not_applied), cmocka_unit_test(a_deletion_looks_first),
		cmocka_unit_test(a_deletion_names_the_version_it_saw), cmocka_unit_test(the_door_takes_no_write_without_each_part_of_its_permit),
		cmocka_unit_test(a_refusal_for_good_says_what_a_person_can_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
