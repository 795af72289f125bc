/* Each row of the one table of refusals, by an answer as an API server gives it. */
#include "unit.h"

#include "kube/status.h"

static void status_is_classified_by_code_reason_and_message(void **state)
{
	static const struct { int code; const char *body; enum error_kind kind; const char *reason; } cases[] = {
		{ 401, "{'reason':'Unauthorized','message':'Unauthorized'}", ERROR_FORBIDDEN, "Unauthorized" },
		{ 403, "{'reason':'Forbidden','message':'configmaps is forbidden: User x cannot create'}", ERROR_FORBIDDEN, "Forbidden" },
		{ 403, "{'reason':'Forbidden','message':'unable to create new content in namespace n because it is being terminated'}",
		  ERROR_TRANSIENT, "NamespaceTerminating" },
		{ 403, "{'reason':'Forbidden','message':'pods p is forbidden: exceeded quota: q'}", ERROR_TRANSIENT, "QuotaExceeded" },
		{ 404, "{'reason':'NotFound','message':'configmaps \\'c\\' not found'}", ERROR_NOT_FOUND, "NotFound" },
		{ 404, "{'reason':'NotFound','message':'the server could not find the requested resource'}", ERROR_NOT_FOUND, "NotServed" },
		{ 409, "{'reason':'AlreadyExists','message':'exists'}", ERROR_CONFLICT, "AlreadyExists" },
		{ 409, "{'reason':'Conflict','message':'the object has been modified'}", ERROR_CONFLICT, "Conflict" },
		{ 410, "{'reason':'Expired','message':'too old resource version'}", ERROR_CONFLICT, "Expired" },
		{ 429, "{'reason':'TooManyRequests','message':'slow down'}", ERROR_TRANSIENT, "TooManyRequests" },
		{ 400, "{'reason':'BadRequest','message':'bad'}", ERROR_INVALID, "BadRequest" },
		{ 405, "{'message':'no'}", ERROR_INVALID, "MethodNotAllowed" },
		{ 406, "{'message':'no'}", ERROR_INVALID, "NotAcceptable" },
		{ 413, "{'message':'no'}", ERROR_INVALID, "TooLarge" },
		{ 415, "{'message':'no'}", ERROR_INVALID, "UnsupportedMediaType" },
		{ 422, "{'reason':'Invalid','message':'Deployment is invalid: spec.replicas'}", ERROR_INVALID, "Invalid" },
		{ 500, "{'message':'duplicate entries for key [name=A]'}", ERROR_INVALID, "Invalid" },
		{ 500, "{'message':'etcdserver: request is too large'}", ERROR_INVALID, "TooLarge" },
		{ 500, "{'message':'trying to send message larger than max (2 vs. 1)'}", ERROR_INVALID, "TooLarge" },
		{ 500, "{'message':'failed to create typed patch object (n/x): .spec.replicas'}", ERROR_INVALID, "Invalid" },
		{ 500, "{'message':'x: field not declared in schema'}", ERROR_INVALID, "Invalid" },
		{ 500, "{'message':'failed to convert new object (n/x; /v1, Kind=Secret) to proper version: unable to convert unstructured object to /v1, Kind=Secret: "
		       "error decoding from json: illegal base64 data at input byte 4'}", ERROR_INVALID, "Invalid" },
		/* by a CustomResourceDefinition's webhook, which may come back */
		{ 500, "{'message':'failed to convert new object (n/x; g/v1, Kind=K) to proper version: conversion webhook for g/v1, Kind=K failed: dial tcp'}",
		  ERROR_TRANSIENT, "ServerError" },
		{ 500, "{'message':'Internal error occurred: failed calling webhook \\'w\\''}", ERROR_TRANSIENT, "WebhookFailed" },
		{ 500, "{'message':'etcd is gone'}", ERROR_TRANSIENT, "ServerError" },
		{ 503, "{'message':'apiserver is shutting down'}", ERROR_TRANSIENT, "ServerError" },
		{ 504, "{'message':'timeout'}", ERROR_TRANSIENT, "ServerTimeout" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		WITH_ARENA(arena);
		struct error err = ERROR_INIT;

		assert_int_equal(kube_status_error(cases[i].code, J(arena, cases[i].body), &err), -1);
		ASSERT_TEXT(cases[i].body, err.reason, cases[i].reason);
		assert_int_equal(err.kind, cases[i].kind);
		if (!strstr(err.text, json_get_text(J(arena, cases[i].body), "message")))
			fail_msg("the server's message is lost: %s", err.text);
	}
}

static void status_without_a_body_is_classified_too(void **state)
{
	WITH_ARENA(arena);
	struct error err = ERROR_INIT;

	(void)state;
	kube_status_error(502, NULL, &err);
	ASSERT_TEXT("502", err.reason, "ServerError");
	assert_int_equal(err.kind, ERROR_TRANSIENT);
	kube_status_error(404, NULL, &err);
	ASSERT_TEXT("404", err.reason, "NotServed");
	assert_int_equal(err.kind, ERROR_NOT_FOUND);
	kube_status_error(403, J(arena, "['what','is','this']"), &err);
	ASSERT_TEXT("403", err.reason, "Forbidden");
	kube_status_error(422, J(arena, "{'message':7,'reason':{}}"), &err);
	ASSERT_TEXT("422", err.reason, "Invalid");
}

static void status_of_a_secret_tells_no_content(void **state)
{
	static const char *const bodies[] = {
		"{'message':'Secret \\'s\\' is invalid: data[k]: Invalid value: hunter2: must be base64'}",
		"{'message':'secrets s was refused: invalid value hunter2'}",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bodies); i++) {
		WITH_ARENA(arena);
		CLEANUP(str_release) struct str text = STR_INIT;
		struct error err = ERROR_INIT;

		/* J has turned \' into \" already */
		kube_status_error(422, J(arena, bodies[i]), &err);
		ASSERT_TEXT("reason", err.reason, "Invalid");
		if (strstr(err.text, "hunter2"))
			fail_msg("told: %s", err.text);
	}
}

/* A Job's refusal holds its whole template, with words of Secrets in it. */
static void refusal_that_may_hold_content_says_which_field_and_that_it_is_immutable(void **state)
{
	WITH_ARENA(arena);
	struct error err = ERROR_INIT;

	(void)state;
	kube_status_error(422, J(arena, "{'reason':'Invalid','message':'Job.batch j is invalid: spec.template: Invalid value: {Secret: hunter2}: field is immutable',"
				 "'details':{'causes':[{'field':'spec.template','message':'Invalid value: hunter2: field is immutable'}]}}"), &err);
	assert_null(strstr(err.text, "hunter2"));
	ASSERT_TEXT("text", err.text, "the API server refused it for spec.template: field is immutable (HTTP 422); its message may hold content and is left out");
}

/* Answers of a real API server. */
static void refusal_of_a_secret_says_that_a_field_is_immutable(void **state)
{
	static const struct { const char *body, *said; } cases[] = {
		{ "{'reason':'Invalid','message':'Secret \\'s\\' is invalid: type: Invalid value: \\'hunter2\\': field is immutable',"
		  "'details':{'causes':[{'field':'type','message':'Invalid value: \\'hunter2\\': field is immutable'}]}}",
		  "the API server refused the Secret for type: field is immutable (HTTP 422)" },
		{ "{'reason':'Invalid','message':'Secret \\'s\\' is invalid: data: Forbidden: field is immutable when `immutable` is set',"
		  "'details':{'causes':[{'field':'data','message':'Forbidden: field is immutable when `immutable` is set'}]}}",
		  "the API server refused the Secret for data: field is immutable when `immutable` is set (HTTP 422)" },
		{ "{'reason':'Invalid','message':'Secret \\'s\\' is invalid: [type: Invalid value: \\'hunter2\\': field is immutable, data: Forbidden: field is "
		  "immutable when `immutable` is set]','details':{'causes':[{'field':'type','message':'Invalid value: \\'hunter2\\': field is immutable'},"
		  "{'field':'data','message':'Forbidden: field is immutable when `immutable` is set'}]}}",
		  "the API server refused the Secret for type, data: field is immutable (HTTP 422)" },
		/* not of the key */
		{ "{'reason':'Invalid','message':'Secret \\'s\\' is invalid: [data[a b]: Invalid value: \\'a b\\': hunter2, data: Forbidden: field is immutable when "
		  "`immutable` is set]','details':{'causes':[{'field':'data[a b]','message':'Invalid value: \\'a b\\': hunter2'},"
		  "{'field':'data','message':'Forbidden: field is immutable when `immutable` is set'}]}}",
		  "the API server refused the Secret for data[a b], data (HTTP 422)" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		WITH_ARENA(arena);
		struct error err = ERROR_INIT;

		kube_status_error_of_secret(422, J(arena, cases[i].body), &err);
		if (strstr(err.text, "hunter2") || !strstr(err.text, cases[i].said))
			fail_msg("%s: told: %s", cases[i].body, err.text);
	}
}

/* As a real API server answered for a claim that is wrong in more than one way. */
static void refusal_is_told_in_one_line_without_the_diff_in_it(void **state)
{
	WITH_ARENA(arena);
	struct error err = ERROR_INIT;

	(void)state;
	kube_status_error(422, J(arena, "{'reason':'Invalid','message':'claim is invalid: spec: Forbidden: spec is immutable after creation\\n@@ -10,7 +10,7 @@\\n   }\\n"
					"- \\'Class\\': \\'a\\',\\n+ \\'Class\\': \\'b\\',\\n  \\'Mode\\': null,\\n'}"), &err);
	ASSERT_TEXT("alone", err.text, "claim is invalid: spec: Forbidden: spec is immutable after creation (HTTP 422)");
	kube_status_error(422, J(arena, "{'reason':'Invalid','message':'claim is invalid: [spec: Forbidden: spec is immutable after creation\\n@@ -10,7 +10,7 @@\\n   }\\n"
					"- x\\n+ y\\n@@ -20 +20 @@\\n- x\\n, spec.resources: Forbidden: too small]'}"), &err);
	ASSERT_TEXT("among others", err.text, "claim is invalid: [spec: Forbidden: spec is immutable after creation, spec.resources: Forbidden: too small] (HTTP 422)");
	kube_status_error(422, J(arena, "{'reason':'Invalid','message':'errors:\\n  .a: bad\\n- b: bad\\n'}"), &err);
	ASSERT_TEXT("no diff", err.text, "errors: .a: bad; - b: bad (HTTP 422)");
}

static void refusal_of_a_secret_tells_who_and_which_field_only(void **state)
{
	static const struct { int code; const char *body, *said; } cases[] = {
		{ 500, "{'message':'failed to create typed patch object (n/s; /v1, Kind=Secret): .data: expected map, got &{hunter2}'}", "HTTP 500" },
		{ 422, "{'reason':'Invalid','message':'ValidatingAdmissionPolicy (p) with binding (b) denied request: hunter2'}", "ValidatingAdmissionPolicy (p) with binding (b) denied request" },
		{ 403, "{'reason':'Forbidden','message':'admission webhook w.x denied the request: hunter2 cannot be'}", "admission webhook w.x denied the request" },
		{ 422, "{'reason':'Invalid','message':'Secret is invalid: hunter2','details':{'causes':[{'field':'data[a]','message':'hunter2'}]}}", "for data[a]" },
		{ 403, "{'reason':'Forbidden','message':'secrets is forbidden: User x cannot create resource secrets'}", "User x cannot create" },
		{ 409, "{'reason':'Conflict','message':'Apply failed with 1 conflict: conflict with kubectl: .data.a'}", ".data.a" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		WITH_ARENA(arena);
		struct error err = ERROR_INIT;

		kube_status_error_of_secret(cases[i].code, J(arena, cases[i].body), &err);
		if (strstr(err.text, "hunter2") || !strstr(err.text, cases[i].said))
			fail_msg("%s: told: %s", cases[i].body, err.text);
	}
}

static void conflicts_name_each_manager_and_field_once(void **state)
{
	WITH_ARENA(arena);
	CLEANUP(str_release) struct str managers = STR_INIT, fields = STR_INIT;

	(void)state;
	kube_status_conflicts(J(arena, "{'details':{'causes':["
		"{'reason':'FieldManagerConflict','message':'conflict with \\'kubectl\\' using apps/v1','field':'.spec.replicas'},"
		"{'reason':'FieldManagerConflict','message':'conflict with \\'helm\\' using apps/v1','field':'.spec.paused'},"
		"{'reason':'FieldManagerConflict','message':'conflict with \\'kubectl\\'','field':'.spec.replicas'},"
		"{'reason':'Other','message':'conflict with \\'nobody\\'','field':'.x'}]}}"), &managers, &fields);
	ASSERT_TEXT("managers", str_c(&managers), "kubectl, helm");
	ASSERT_TEXT("fields", str_c(&fields), ".spec.replicas, .spec.paused");
}

static void conflicts_of_anything_else_are_none(void **state)
{
	static const char *const bodies[] = { "{}", "[]", "{'details':{'causes':{}}}", "{'details':{'causes':[1,null,{}]}}" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bodies); i++) {
		WITH_ARENA(arena);
		CLEANUP(str_release) struct str managers = STR_INIT, fields = STR_INIT;

		kube_status_conflicts(J(arena, bodies[i]), &managers, &fields);
		assert_int_equal(managers.length + fields.length, 0);
	}
}

static void wait_is_what_the_server_asks_for_up_to_a_minute(void **state)
{
	static const struct { int status; int64_t told, least, most; } cases[] = {
		{ 429, 7000, 7000, 8750 }, { 429, -1, 1000, 1250 }, { 429, 0, 100, 125 }, { 429, 3600000, 60000, 75000 }, { 429, -5000, 1000, 1250 },
		{ 503, 2000, 2000, 2500 }, { 503, -1, -1, -1 }, { 504, 1000, 1000, 1250 }, { 504, -1, -1, -1 }, { 500, 1000, -1, -1 },
		{ 200, 1000, -1, -1 }, { 409, 1000, -1, -1 }, { 0, -1, -1, -1 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		int64_t wait = kube_status_wait_ms(cases[i].status, cases[i].told);

		if (wait < cases[i].least || wait > cases[i].most)
			fail_msg("%d with %lld: %lld", cases[i].status, (long long)cases[i].told, (long long)wait);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wait_is_what_the_server_asks_for_up_to_a_minute),
		cmocka_unit_test(status_is_classified_by_code_reason_and_message),
		cmocka_unit_test(status_without_a_body_is_classified_too),
		cmocka_unit_test(status_of_a_secret_tells_no_content),
		cmocka_unit_test(refusal_that_may_hold_content_says_which_field_and_that_it_is_immutable),
		cmocka_unit_test(refusal_of_a_secret_says_that_a_field_is_immutable),
		cmocka_unit_test(refusal_is_told_in_one_line_without_the_diff_in_it),
		cmocka_unit_test(refusal_of_a_secret_tells_who_and_which_field_only),
		cmocka_unit_test(conflicts_name_each_manager_and_field_once),
		cmocka_unit_test(conflicts_of_anything_else_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
