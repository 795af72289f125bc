/* The stages of one action; see action.h. */
#include "apply/action.h"

#include "base/rand.h"
#include "diff/fields.h"
#include "diff/ignore.h"
#include "diff/patch.h"
#include "kube/status.h"

#define FAILURES_MAX 5
/* of one action, over all its stages: then what fails for a while is left to the next run */
#define ATTEMPTS_MOST 14
#define RETRY_FIRST_MS 200
#define RETRY_MOST_MS 5000
/* a kind that was just defined is served a moment later */
#define LATER_RETRY_MS 150
#define LATER_FAILURES_MAX 60

#define RELEASED_MANAGER FIELD_MANAGER "-released"
#define TAKEOVER_MANAGER FIELD_MANAGER "-takeover"

const char *act_name(enum act act)
{
	static const char *const names[] = { "none", "create", "adopt", "update", "heal", "delete" };

	return names[act];
}

static void send(struct action *action);

static void finish(void *data)
{
	struct action *action = data;

	action->in_flight = false;
	action->finished = true;
	action->on_done(action, action->data);
}

/* `... is forbidden: User "system:serviceaccount:..." cannot patch resource ...`; else an admission rule refused it, and no right helps. */
static bool is_about_rights(const char *text)
{
	const char *user = strstr(text, "User \"");

	return user && strstr(user, " cannot ");
}

/* The API server's words for what stays as an object was made with. */
static bool is_about_fixed_fields(const char *text)
{
	static const char *const words[] = {
		"is immutable", "may not change once set", "updates to statefulset spec for fields other than", "pod updates may not change fields",
		"cannot change roleRef", "may not be changed in an update",
	};

	for (size_t i = 0; i < COUNT_OF(words); i++)
		if (strstr(text, words[i]))
			return true;
	return false;
}

/*
 * A Service that was made without an address and is to get one. Of that the API server says only what of the old one does not fit: the families
 * of addresses that it gave it then, or its "None".
 */
static bool is_headless_no_more(const struct action *action, const char *text)
{
	const struct json *spec = json_get(action->object, "spec");

	if (*action->group || strcmp(action->kind, "Service") != 0)
		return false;
	return (strstr(text, "RequireDualStack") && !json_get(spec, "ipFamilyPolicy")) ||
	       (strstr(text, "may not be set to 'None'") && !span_is(json_text_span(json_get(spec, "clusterIP")), "None"));
}

static bool holds_data(const struct action *action)
{
	return !*action->group && (!strcmp(action->kind, "PersistentVolumeClaim") || !strcmp(action->kind, "PersistentVolume"));
}

static void add_hint_for_fixed_fields(const struct action *action, struct error *err)
{
	struct error plain = *err;
	bool headless = is_headless_no_more(action, err->text);

	/* whoever wants something taken out says himself what to do */
	if (action->stage == STAGE_STRIP || err->kind != ERROR_INVALID || (!headless && !is_about_fixed_fields(err->text)))
		return;
	if (holds_data(action))
		error_set(err, err->kind, err->reason, "%s; take the change out of Git, or give the object another name there: to delete it, which lets it "
			  "be made anew, may delete its data", plain.text);
	else
		error_set(err, err->kind, err->reason, "%s; %sdelete the object, and it is made anew, or give it another name in Git", plain.text,
			  headless ? "a Service that was made without an address (clusterIP: None) cannot get one: " : "");
}

/* What a person can do about a refusal that says it only in the API server's words. */
static void add_hint(struct action *action, struct error *err)
{
	struct span account = span_of(action->permit.account), namespace, rest = account;
	struct error plain = *err;

	span_cut(&rest, ':');
	span_cut(&rest, ':');
	namespace = span_cut(&rest, ':');
	if (err->kind == ERROR_NOT_FOUND && strstr(err->text, "namespaces \""))
		error_set(err, err->kind, err->reason, "%s; declare the namespace, make it, or say syncOptions: [CreateNamespace=true]",
			  plain.text);
	add_hint_for_fixed_fields(action, err);
	if (err->kind != ERROR_FORBIDDEN)
		return;
	if (strstr(err->text, "impersonate"))
		error_set(err, err->kind, "ImpersonationForbidden",
			  "countersign may not write as %.*s: grant it in namespace %.*s by a Role {apiGroups: [\"\"], resources: [serviceaccounts], "
			  "verbs: [impersonate], resourceNames: [%.*s]} bound to its service account (%s)", SPAN_ARG(account), SPAN_ARG(namespace),
			  SPAN_ARG(rest), plain.text);
	else if (strstr(err->text, "not currently held"))
		error_set(err, err->kind, "EscalationForbidden",
			  "%s; the API server lets nobody grant what they have not: let an administrator make this object, or give %.*s these "
			  "rights itself", plain.text, SPAN_ARG(account));
	else if (!is_about_rights(err->text))
		error_set(err, err->kind, "AdmissionDenied", "%s", plain.text);
	else
		error_set(err, err->kind, err->reason, "%s; the rule to add for %.*s: {apiGroups: [\"%s\"], resources: [%s], verbs: [get, create, "
			  "patch, delete]}", plain.text, SPAN_ARG(account), action->group, action->resource->resource);
}

static void fail(struct action *action, const struct error *err)
{
	action->err = *err;
	add_hint(action, &action->err);
	if (action->title)
		error_wrap(&action->err, "%s", action->title);
	finish(action);
}

/* --- what each stage sends ---------------------------------------------------------------------------------------- */

static char *apply_path(const struct action *action, const char *manager, bool force, bool dry_run)
{
	return arena_printf(action->arena, "%s?fieldManager=%s&force=%s&fieldValidation=%s%s",
			    kube_path(action->arena, action->resource, action->namespace, action->name), manager,
			    force ? "true" : "false", action->validate ? "Strict" : "Ignore", dry_run ? "&dryRun=All" : "");
}

static char *patch_path(const struct action *action)
{
	return arena_printf(action->arena, "%s?fieldManager=" TAKEOVER_MANAGER,
			    kube_path(action->arena, action->resource, action->namespace, action->name));
}

/* NULL: nothing to send in this stage. */
static const struct json *stage_body(struct action *action, struct write_request *request)
{
	struct arena *arena = action->arena;
	struct json *options, *preconditions, *patch;

	request->method = "PATCH";
	request->content_type = KUBE_APPLY_PATCH;
	switch (action->stage) {
	case STAGE_CHECK:
		request->path = apply_path(action, FIELD_MANAGER, false, true);
		return action->object;
	case STAGE_OWN:
		request->path = patch_path(action);
		request->content_type = KUBE_JSON_PATCH;
		return patch_own(action->live, action->adopt_any, arena);
	case STAGE_FULL:
		request->path = apply_path(action, FIELD_MANAGER, action->force, false);
		return action->full;
	case STAGE_RELEASE:
		request->path = apply_path(action, RELEASED_MANAGER, true, false);
		return action->live ? patch_released(action->live, action->released, arena) : NULL;
	case STAGE_APPLY:
		request->path = apply_path(action, FIELD_MANAGER, action->force, false);
		return action->object;
	case STAGE_STRIP:
		request->path = patch_path(action);
		request->content_type = KUBE_JSON_PATCH;
		patch = action->live ? patch_strip(action->live, action->object, action->full, action->allowed, action->custom, action->exact, arena) : NULL;
		action->clean = action->live && !patch;
		return patch;
	default:
		request->method = "DELETE";
		request->content_type = KUBE_JSON;
		request->path = kube_path(arena, action->resource, action->namespace, action->name);
		options = json_object(arena);
		json_set_string(arena, options, "apiVersion", "v1");
		json_set_string(arena, options, "kind", "DeleteOptions");
		json_set_string(arena, options, "propagationPolicy", "Foreground");
		preconditions = json_set(arena, options, "preconditions", json_object(arena));
		/* another Application that takes it over in this very moment changes the version */
		json_set_string(arena, preconditions, "uid", action->uid);
		json_set_string(arena, preconditions, "resourceVersion", json_text(json_path(action->live, "metadata", "resourceVersion", NULL)));
		return options;
	}
}

/* --- what an answer means ------------------------------------------------------------------------------------------- */

static enum stage next_stage(const struct action *action)
{
	switch (action->stage) {
	case STAGE_CHECK: return STAGE_OWN;
	case STAGE_OWN: return *action->released ? STAGE_RELEASE : STAGE_APPLY;
	case STAGE_FULL: return *action->released ? STAGE_RELEASE : STAGE_STRIP;
	case STAGE_RELEASE: return STAGE_APPLY;
	case STAGE_APPLY: return STAGE_STRIP;
	case STAGE_LOOK: return STAGE_DELETE;
	default: return STAGE_DONE;
	}
}

static void on_retry(void *data)
{
	send(data);
}

static void again(struct action *action, int64_t wait_ms)
{
	if (!action->retry)
		action->retry = timer_new(action->loop, on_retry, action);
	timer_start(action->retry, wait_ms);
}

static void advance(struct action *action)
{
	action->failures = 0;
	action->stage = next_stage(action);
	if (action->stage == STAGE_DONE)
		finish(action);
	else
		send(action);
}

/* A dry run without force that conflicts with kubectl alone is what adoption is for. */
static int only_kubectl(struct action *action, const struct kube_answer *answer, struct error *err)
{
	CLEANUP(str_release) struct str managers = STR_INIT, fields = STR_INIT;
	struct span rest;

	kube_status_conflicts(answer->object, &managers, &fields);
	rest = str_span(&managers);
	while (rest.length) {
		struct span manager = span_trim(span_cut(&rest, ','));

		if (fields_is_kubectl(manager) || action->adopt_any)
			continue;
		return error_set(err, ERROR_CONFLICT, "FieldConflict",
				 "the field %s is held by %s: take it out of Git, out of there, or say syncOptions: [Adopt=any]",
				 str_c(&fields), str_c(&managers));
	}
	return managers.length ? 0 : error_set(err, ERROR_CONFLICT, "Conflict", "%s", answer->err->text);
}

static bool is_conflict_of_fields(const struct kube_answer *answer)
{
	return answer->status == 409 && json_path(answer->object, "details", "causes", NULL);
}

/* Whether the same request may succeed later, and how long to wait; -1: no. */
static int64_t retry_wait(struct action *action, const struct kube_answer *answer)
{
	int64_t wait = RETRY_FIRST_MS << (action->failures < 5 ? action->failures : 5), told = kube_status_wait_ms(answer->status, answer->retry_after_ms);

	if (action->kind_later && answer->err->kind == ERROR_NOT_FOUND)
		return action->failures < LATER_FAILURES_MAX ? LATER_RETRY_MS : -1;
	if (answer->err->kind != ERROR_TRANSIENT || action->failures >= FAILURES_MAX || action->attempt_count >= ATTEMPTS_MOST)
		return -1;
	if (told >= wait)
		return told;
	return wait > RETRY_MOST_MS ? RETRY_MOST_MS : wait + (int64_t)rand_below(100);
}

/* The object moved on under a patch that rests on it: read it and make the patch anew. */
static void on_reread(void *data, const struct kube_answer *answer)
{
	struct action *action = data;

	if (answer->err) {
		fail(action, answer->err);
		return;
	}
	action->live = json_copy(action->arena, answer->object);
	send(action);
}

static void reread(struct action *action)
{
	/* rbac: as the project's account */
	kube_get(action->kube, kube_path(action->arena, action->resource, action->namespace, action->name), KUBE_JSON,
		 action->permit.account, on_reread, action);
}

static bool rests_on_version(const struct action *action)
{
	return action->stage == STAGE_OWN || action->stage == STAGE_STRIP;
}

/* Its deletion was accepted, as ours is when its answer was lost or we crashed; what is left to do is the garbage collector's. Not so one
 * that was to leave its own objects behind. */
static bool is_leaving(const struct json *object)
{
	const struct json *metadata = json_get(object, "metadata"), *finalizers = json_get(metadata, "finalizers");

	for (size_t i = 0; i < json_count(finalizers); i++)
		if (span_is(json_text_span(json_at(finalizers, i)), "orphan"))
			return false;
	return json_get_text(metadata, "deletionTimestamp") != NULL;
}

static bool is_kept(struct action *action, const struct json *live)
{
	action->kept = action->rules->why_kept(action, live, action->data);
	return action->kept;
}

/* The object as it is now: gone, going, another one of that name, no longer the Application's, or to be deleted in this version. */
static void on_looked(void *data, const struct kube_answer *answer)
{
	struct action *action = data;
	const char *uid = json_text(json_path(answer->object, "metadata", "uid", NULL));

	if (answer->err && !kube_says_absent(answer)) {
		if (answer->err->kind == ERROR_TRANSIENT && action->failures++ < FAILURES_MAX)
			again(action, RETRY_FIRST_MS << action->failures);
		else
			fail(action, answer->err);
		return;
	}
	if (!answer->err)
		action->live = json_copy(action->arena, answer->object);
	if (answer->err || !uid || strcmp(uid, action->uid) || is_leaving(answer->object) || is_kept(action, answer->object)) {
		finish(action);
		return;
	}
	action->stage = STAGE_DELETE;
	send(action);
}

/* As the account only what the controller may not read itself. */
static void look(struct action *action)
{
	bool secret = !*action->group && !strcmp(action->kind, "Secret");

	/* rbac: reader get (Secrets: as the project's account) */
	kube_get(action->kube, kube_path(action->arena, action->resource, action->namespace, action->name), KUBE_JSON,
		 secret ? action->permit.account : NULL, on_looked, action);
}

static void on_refused(struct action *action, const struct kube_answer *answer)
{
	struct error err = *answer->err;
	int64_t wait;

	if (action->stage == STAGE_CHECK && is_conflict_of_fields(answer)) {
		if (only_kubectl(action, answer, &err))
			fail(action, &err);
		else
			advance(action);
		return;
	}
	if (action->stage == STAGE_DELETE && kube_says_absent(answer)) {
		advance(action);
		return;
	}
	if (action->stage == STAGE_DELETE && answer->status == 409 && action->failures++ < FAILURES_MAX) {
		action->stage = STAGE_LOOK;
		send(action);
		return;
	}
	/* a failed test of a JSON patch is 422 */
	if (rests_on_version(action) && (answer->status == 409 || answer->status == 422) && action->failures++ < FAILURES_MAX) {
		reread(action);
		return;
	}
	wait = retry_wait(action, answer);
	if (wait < 0) {
		if (is_conflict_of_fields(answer))
			only_kubectl(action, answer, &err);
		fail(action, &err);
		return;
	}
	action->failures++;
	again(action, wait);
}

/* Only what was made tells which of the ignored fields lie in something that is replaced as a whole: these are not handed over. */
static void look_at_ignored(struct action *action)
{
	struct json *object = json_copy(action->arena, action->full);
	struct ignored ignored = ignore_again(action->released, object, action->after, action->custom, action->arena);

	action->object = object;
	action->released = ignored.removed;
	action->taken = ignored.taken;
}

static void on_answer(void *data, const struct kube_answer *answer)
{
	struct action *action = data;

	if (answer->err && !strcmp(answer->err->reason, "NotLeader")) {
		action->attempt_count--;      /* nothing was sent */
		fail(action, answer->err);
		return;
	}
	action->attempts[action->attempt_count - 1].code = answer->status;
	if (answer->err) {
		on_refused(action, answer);
		return;
	}
	if (action->stage != STAGE_CHECK && action->stage != STAGE_DELETE) {
		action->after = json_copy(action->arena, answer->object);
		action->live = action->after;
	}
	if (action->stage == STAGE_FULL)
		look_at_ignored(action);
	/* one that was made with all its fields is not done while some of them are still to be handed over */
	action->applied |= action->stage == STAGE_APPLY || action->stage == STAGE_STRIP || (action->stage == STAGE_FULL && !*action->released);
	advance(action);
}

static void send(struct action *action)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	struct write_request request = { .ordinal = action->ordinal, .on_done = on_answer, .data = action };
	struct error err = ERROR_INIT;
	const struct json *body;
	struct attempt *attempt;

	if (action->stage == STAGE_LOOK) {
		look(action);
		return;
	}
	body = stage_body(action, &request);

	if (!body) {
		advance(action);
		return;
	}
	if (action->rules->may_send(action, action->data, &err)) {
		fail(action, &err);
		return;
	}
	action->permit.project_allows = true;
	json_write(body, JSON_PLAIN, &text);
	attempt = arena_push(action->arena, &action->attempts, &action->attempt_count, &action->attempt_capacity, sizeof(*attempt));
	attempt->number = request.attempt = (uint32_t)action->attempt_count;
	request.body = str_span(&text);
	kube_write(action->kube, &action->permit, &request);
	/* for this one write */
	action->permit.project_allows = false;
}

static void begin(void *data)
{
	send(data);
}

void action_start(struct action *action, struct kube *kube, struct loop *loop, struct arena *arena, const struct action_rules *rules,
		  void (*on_done)(struct action *action, void *data), void *data)
{
	action->kube = kube;
	action->loop = loop;
	action->arena = arena;
	action->rules = rules;
	action->on_done = on_done;
	action->data = data;
	action->in_flight = true;
	if (!action->released)
		action->released = "";
	loop_defer(loop, begin, action);
}

void action_release(struct action *action)
{
	timer_free(action->retry);
	action->retry = NULL;
}

bool action_comes_first(const struct action *action)
{
	return action->act == ACT_HEAL && action->uid;
}

bool action_met_another(const struct action *action)
{
	/* 201 is a creation; a repeated request finds its own object */
	return action->act == ACT_CREATE && action->attempt_count && action->attempts[0].code == 200;
}
