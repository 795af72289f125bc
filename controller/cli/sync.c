/*
 * `countersign sync`; see person.h. It writes the top-level `operation` that Argo CD's tools write too, with an id of its own in
 * operation.info, by which the outcome in status.operationState is known to be this one's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "api/application.h"
#include "base/clock.h"
#include "base/rand.h"
#include "cli/advice.h"
#include "cli/cli.h"
#include "cli/person.h"
#include "cli/person_kube.h"
#include "cli/sync_state.h"
#include "cli/text.h"
#include "kube/client.h"

#define TIMEOUT_MS (5 * 60 * 1000)
#define POLL_FIRST_MS 100
#define POLL_MOST_MS 1000

enum { OPTION_REVISION = OPTION_OWN, OPTION_PRUNE, OPTION_DRY_RUN, OPTION_HARD, OPTION_WAIT, OPTION_NO_WAIT, OPTION_TIMEOUT };

struct sync {
	struct sync_wish wish;
	bool wait_ready, no_wait;
	int64_t timeout_ms;
	char id[37];
};

static int take_option(void *data, int which, const char *value)
{
	struct sync *sync = data;

	switch (which) {
	case OPTION_REVISION: sync->wish.revision = value; return 0;
	case OPTION_PRUNE: sync->wish.prune = true; return 0;
	case OPTION_DRY_RUN: sync->wish.dry_run = true; return 0;
	case OPTION_HARD: sync->wish.hard = true; return 0;
	case OPTION_WAIT: sync->wait_ready = true; return 0;
	case OPTION_NO_WAIT: sync->no_wait = true; return 0;
	default: break;
	}
	if (duration_parse(span_of(value), &sync->timeout_ms) && sync->timeout_ms > 0)
		return 0;
	return cli_fail(EXIT_USAGE, "a duration such as 30s or 5m", "--timeout %s", value);
}

/* Who asks, as the API server knows them: for people who read the status; the cluster's own audit log is the proof. */
static const char *who_am_i(struct person *person)
{
	static const char body[] = "{\"apiVersion\":\"authentication.k8s.io/v1\",\"kind\":\"SelfSubjectReview\"}";
	struct error err = ERROR_INIT;
	struct json *answer = NULL;
	const char *name = NULL;

	if (!person_request(person, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", KUBE_JSON, SPAN(body), &answer, &err))
		name = json_text(json_path(answer, "status", "userInfo", "username", NULL));
	return name ? name : "unknown";
}

static int ask(struct person *person, struct sync *sync, const char *name, struct error *err)
{
	CLEANUP(str_release) struct str body = STR_INIT;

	rand_uuid7(clock_wall_ns(), sync->id);
	sync->wish.username = who_am_i(person);
	sync->wish.id = sync->id;
	sync_patch(&sync->wish, person->arena, &body);
	return person_request(person, "PATCH", person_path(person, "applications", name), KUBE_MERGE_PATCH, str_span(&body), NULL, err);
}

static void pause_ms(int64_t ms)
{
	struct timespec rest = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&rest, NULL);
}

/* --- outcome -------------------------------------------------------------------------------------------------------- */

static int tell_done(struct person *person, const struct sync *sync, const struct json *app)
{
	CLEANUP(str_release) struct str out = STR_INIT;
	const struct json *state = json_path(app, "status", "operationState", NULL);
	const struct json *list = json_path(app, "status", "resources", NULL);

	const char *would = json_count(list) ? "a sync would change what is listed here" : "a sync would change nothing";

	str_addf(&out, "%s: %s, revision %s\n", json_text(json_path(app, "metadata", "name", NULL)),
		 sync->wish.dry_run ? would : json_get_text(state, "message"),
		 text_revision(person->arena, json_text(json_path(state, "syncResult", "revision", NULL))));
	for (size_t i = 0; sync->wish.dry_run && i < json_count(list); i++) {
		const struct json *one = json_at(list, i);

		text_wrap(span_of(arena_printf(person->arena, "%s %s%s%s: %s", json_get_text(one, "kind"), json_get_text(one, "namespace"),
					       *json_get_text(one, "namespace") ? "/" : "", json_get_text(one, "name"),
					       json_get_text(one, "message"))), 2, 100, &out);
	}
	return person_print(&out);
}

static int tell_failed(struct person *person, struct json *app)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	const char *message = json_text(json_path(app, "status", "operationState", "message", NULL)), **steps = NULL;
	size_t count = 0;

	text_clean(span_of(message ? message : "the sync failed and left no message"), &text);
	/* our own operation made another generation of it: of what came of that the status tells */
	json_set_int(person->arena, json_get(app, "status"), "observedGeneration", json_get_int(json_get(app, "metadata"), "generation", 0));
	advice_of(app, person->arena, &steps, &count);
	return cli_fail(EXIT_FAILED, count ? steps[0] : NULL, "%s", str_c(&text));
}

static int tell_timeout(const struct sync *sync, const char *name, enum sync_stage stage)
{
	static const char *const what[] = {
		[SYNC_ASKED] = "the controller has not taken it up",
		[SYNC_TAKEN] = "the sync is still under way",
		[SYNC_DONE] = "it was synced, but is not ready",
		[SYNC_FAILED] = "it failed",
		[SYNC_READY] = "it is ready",
	};
	char hint[400];

	snprintf(hint, sizeof(hint), stage == SYNC_ASKED ? "is the controller running? kubectl get statefulset,lease in the namespace of %s; "
							    "the request stays until it is"
							  : "countersign describe %s tells how far it is", name);
	return cli_fail(EXIT_TIMED_OUT, hint, "%s: %s after %lld s", name, what[stage], (long long)(sync->timeout_ms / 1000));
}

static int wait_for(struct person *person, const struct sync *sync, const char *name)
{
	int64_t end_ms = clock_mono_ms() + sync->timeout_ms, rest_ms = POLL_FIRST_MS;
	struct error err = ERROR_INIT;
	enum sync_stage stage = SYNC_ASKED;

	for (;;) {
		struct json *app;

		if (person_application(person, name, &app, &err)) {
			if (!error_is_retryable(&err))
				return person_fail(person, &err);
		} else {
			stage = sync_stage(app, sync->id);
			if (stage == SYNC_FAILED)
				return tell_failed(person, app);
			if (stage == SYNC_READY || (stage == SYNC_DONE && (!sync->wait_ready || sync->wish.dry_run)))
				return tell_done(person, sync, app);
		}
		if (clock_mono_ms() + rest_ms > end_ms)
			return tell_timeout(sync, name, stage);
		pause_ms(rest_ms);
		rest_ms = rest_ms * 2 > POLL_MOST_MS ? POLL_MOST_MS : rest_ms * 2;
	}
}

/* What would be written over or go unanswered. */
static int check(const struct json *app, const char *name, struct error *err)
{
	if (json_is(json_get(app, "operation"), JSON_OBJECT))
		return error_set(err, ERROR_CONFLICT, "SyncRunning",
				 "%s has been asked for a sync that is not done yet: countersign describe %s tells how far it is; if it says nothing of it, is the "
				 "controller running?", name, name);
	if (json_text(json_path(app, "metadata", "deletionTimestamp", NULL)))
		return error_set(err, ERROR_CONFLICT, "BeingDeleted", "%s is being deleted and is not synced any more", name);
	return 0;
}

/* Who goes back by a sync alone finds the newest commit applied again a moment later. */
static void warn_automated(const struct json *app, const struct sync *sync)
{
	const struct json *automated = json_path(app, "spec", "syncPolicy", "automated", NULL);

	if (sync->wish.revision && !sync->wish.dry_run && json_is(automated, JSON_OBJECT) && json_get_bool(automated, "enabled", true))
		fprintf(stderr, "warning: automated sync is on: what spec.source.targetRevision stands for is applied again behind it; to stay at %s, "
			"revert in Git, or name it there\n", sync->wish.revision);
}

int cli_sync(int argc, char **argv)
{
	static const struct option options[] = {
		PERSON_OPTIONS,
		{ "revision", required_argument, NULL, OPTION_REVISION }, { "prune", no_argument, NULL, OPTION_PRUNE },
		{ "dry-run", no_argument, NULL, OPTION_DRY_RUN }, { "hard", no_argument, NULL, OPTION_HARD },
		{ "wait", no_argument, NULL, OPTION_WAIT }, { "no-wait", no_argument, NULL, OPTION_NO_WAIT },
		{ "timeout", required_argument, NULL, OPTION_TIMEOUT }, { NULL, 0, NULL, 0 },
	};
	static const struct person_syntax syntax = { "sync", "n:", options, take_option, 1, 1, "the name of an Application" };
	CLEANUP(person_close) struct person person = { 0 };
	struct sync sync = { .timeout_ms = TIMEOUT_MS };
	struct person_options common;
	struct error err = ERROR_INIT;
	const char *words[1] = { NULL };
	struct json *app;
	int status = person_parse(argc, argv, &syntax, &sync, &common, words);

	if (status)
		return status;
	if (sync.wait_ready && sync.no_wait)
		return cli_fail(EXIT_USAGE, NULL, "--wait and --no-wait exclude each other");
	if (person_open(&common, &person, &err) || person_application(&person, words[0], &app, &err) || check(app, words[0], &err) ||
	    ask(&person, &sync, words[0], &err))
		return person_fail(&person, &err);
	warn_automated(app, &sync);
	if (!sync.no_wait)
		return wait_for(&person, &sync, words[0]);
	printf("%s: asked for a sync\n", words[0]);
	return EXIT_DONE;
}
