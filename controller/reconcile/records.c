/* Audit records of a run; see records.h. */
#include "reconcile/records.h"

#include "base/clock.h"
#include "base/log.h"
#include "reconcile/live.h"

static const char *actor_type(const struct run *run)
{
	if (run->goal == GOAL_DELETE)
		return "deletion";
	if (run->manual)
		return "user";
	for (size_t i = 0; i < run->action_count; i++)
		if (!run->actions[i].finished && run->actions[i].act != ACT_HEAL)
			return "poll";
	return run->action_count && (run->goal == GOAL_HEAL || run->same_revision) ? "self-heal" : "poll";
}

static void add_actor(struct run *run, struct json *record)
{
	struct json *actor = json_object(run->arena);

	json_set_string(run->arena, actor, "type", actor_type(run));
	if (run->initiated_by)
		json_set_string(run->arena, actor, "user", run->initiated_by);
	json_set(run->arena, record, "actor", actor);
}

static void add_git(struct run *run, struct json *record)
{
	struct json *git = json_object(run->arena);

	if (!run->revision)
		return;
	json_set_string(run->arena, git, "repo", run->repo_shown);
	json_set_string(run->arena, git, "ref", run->spec.target_revision);
	json_set_string(run->arena, git, "path", run->spec.path);
	json_set_string(run->arena, git, "commit", run->revision);
	json_set_string(run->arena, git, "author", run->commit_author ? run->commit_author : "");
	json_set_string(run->arena, git, "subject", run->commit_subject ? run->commit_subject : "");
	json_set(run->arena, record, "git", git);
}

struct json *records_begin(struct run *run, const char *kind, const char *outcome)
{
	struct json *record = json_object(run->arena);

	json_set_string(run->arena, record, "kind", kind);
	json_set_string(run->arena, record, "outcome", outcome);
	json_set_string(run->arena, record, "app", run->app->key);
	json_set_string(run->arena, record, "project", run->goal == GOAL_DELETE ? app_inventory(run->app)->project : run->spec.project);
	json_set_string(run->arena, record, "cluster", "https://kubernetes.default.svc");
	json_set_string(run->arena, record, "ns", run->spec.destination_namespace ? run->spec.destination_namespace : "");
	json_set_string(run->arena, record, "as",
			run->goal == GOAL_DELETE ? app_inventory(run->app)->account : run->account ? run->account : "");
	add_actor(run, record);
	add_git(run, record);
	if (run->images)
		json_set(run->arena, record, "images", run->images);
	if (run->policy)
		json_set(run->arena, record, "policy", run->policy);
	return record;
}

static struct json *object_json(struct run *run, const struct action *action)
{
	struct json *object = json_object(run->arena);

	json_set(run->arena, object, "gvk", json_stringf(run->arena, "%s%s%s/%s", action->group, *action->group ? "/" : "", action->version, action->kind));
	json_set_string(run->arena, object, "ns", action->namespace);
	json_set_string(run->arena, object, "name", action->name);
	return object;
}

void records_drift(struct run *run, const struct action *action, const struct extra *who)
{
	struct json *record, *object = object_json(run, action), *objects = json_array(run->arena), *actor = json_object(run->arena);

	if (!run->core->audit)
		return;
	record = records_begin(run, "drift", "ok");
	json_set_string(run->arena, record, "reason", action->why);
	json_set_string(run->arena, actor, "type", "manager");
	json_set_string(run->arena, actor, "user", who->manager);
	json_set(run->arena, record, "actor", actor);
	json_remove(record, "images");
	json_set_string(run->arena, object, "manager", who->manager);
	json_set_string(run->arena, object, "path", who->path);
	json_set_string(run->arena, object, "time", who->time);
	json_append(run->arena, objects, object);
	json_set(run->arena, record, "objects", objects);
	audit_log_append(run->core->audit, record, NULL, NULL);
}

void records_denied(struct run *run, const struct error *err)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	struct json *record;
	struct digest digest;

	str_addf(&text, "%s\n%s\n%s", run->revision ? run->revision : "", err->reason, err->text);
	digest = digest_of(str_span(&text));
	if (!run->core->audit || digest_equal(&digest, &app_setbacks(run->app)->denied_told))
		return;
	app_setback(run->app)->denied_told = digest;
	record = records_begin(run, "sync.denied", "deny");
	json_set_string(run->arena, record, "reason", err->reason);
	json_set_string(run->arena, record, "message", err->text);
	audit_log_append(run->core->audit, record, NULL, NULL);
}

static const char *op_of(const struct action *action)
{
	return act_name(action->act);
}

static void set_digest(struct run *run, struct json *object, const char *key, const struct digest *digest)
{
	char hex[DIGEST_HEX];

	digest_hex(digest, hex);
	json_set_string(run->arena, object, key, hex);
}

static void add_digest(struct run *run, struct json *object, const char *key, const struct json *content)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	struct digest digest;

	if (!content)
		return;
	json_write(content, JSON_SORTED, &text);
	digest = digest_of(str_span(&text));
	set_digest(run, object, key, &digest);
}

/* A Secret's content is guessable from a plain digest of it. */
static bool may_digest(const struct action *action)
{
	return strcmp(action->kind, "Secret") != 0;
}

/* Of what is there already: by it a restart tells whether it was written. */
static void add_before(struct run *run, struct json *object, const struct action *action)
{
	const struct live_object *live = action->uid ? live_find(run->core->live, action->key) : NULL;
	struct digest state;
	char applied[TIME_TEXT];

	if (!live || !live->version || !live_has_uid(live, action->uid))
		return;
	json_set(run->arena, object, "rv_before", json_stringf(run->arena, "%llu", (unsigned long long)live->version));
	time_format_s((int64_t)live->applied_s * 1000000000, applied);
	if (live->applied_s)
		json_set_string(run->arena, object, "applied_before", applied);
	state = live_state(live);
	if (!digest_is_zero(&state) && may_digest(action))
		set_digest(run, object, "state_before", &state);
}

struct json *records_intent(struct run *run, uint64_t seq)
{
	struct json *record = records_begin(run, "sync.intent", "allow"), *objects = json_array(run->arena);

	for (size_t i = 0; i < run->action_count; i++) {
		const struct action *action = &run->actions[i];
		struct json *object;

		if (action->finished)
			continue;
		object = object_json(run, action);
		json_set_string(run->arena, object, "op", op_of(action));
		json_set(run->arena, object, "audit_id", json_stringf(run->arena, "%s.%llu.%u", run->core->log_id, (unsigned long long)seq, action->ordinal));
		json_set_string(run->arena, object, "as", action->permit.account);
		if (action->uid)
			json_set_string(run->arena, object, "uid", action->uid);
		add_before(run, object, action);
		if (may_digest(action))
			add_digest(run, object, "sha256_after", action->object);
		json_set_string(run->arena, object, "why", action->why ? action->why : "");
		json_append(run->arena, objects, object);
	}
	json_set(run->arena, record, "objects", objects);
	return record;
}

static struct json *attempts_json(struct run *run, const struct action *action, uint64_t seq)
{
	struct json *list = json_array(run->arena);

	for (size_t i = 0; i < action->attempt_count; i++) {
		struct json *one = json_append(run->arena, list, json_object(run->arena));

		json_set(run->arena, one, "audit_id",
			 json_stringf(run->arena, "%s.%llu.%u.%u", run->core->log_id, (unsigned long long)seq, action->ordinal,
				      action->attempts[i].number));
		json_set_int(run->arena, one, "code", action->attempts[i].code);
	}
	return list;
}

struct json *records_result(struct run *run)
{
	struct json *record = records_begin(run, "sync.result", run->apply_failed || run->err.reason[0] ? "fail" : "ok");
	struct json *objects = json_array(run->arena);

	json_set_int(run->arena, record, "intent", (int64_t)run->intent_seq);
	for (size_t i = 0; i < run->action_count; i++) {
		const struct action *action = &run->actions[i];
		struct json *object;

		if (!action->in_plan)
			continue;
		object = object_json(run, action);
		json_set_string(run->arena, object, "op", op_of(action));
		json_set(run->arena, object, "audit_id",
			 json_stringf(run->arena, "%s.%llu.%u", run->core->log_id, (unsigned long long)run->intent_seq,
				      action->ordinal));
		json_set(run->arena, object, "attempts", attempts_json(run, action, run->intent_seq));
		json_set_string(run->arena, object, "outcome",
				action->err.reason[0] ? "fail" : action->attempt_count ? "ok" : "not-sent");
		if (action->err.reason[0]) {
			json_set_string(run->arena, object, "reason", action->err.reason);
			json_set_string(run->arena, object, "message", action->err.text);
		} else if (action->kept) {
			json_set_string(run->arena, object, "message", action->kept);
		} else if (action_met_another(action)) {
			json_set_string(run->arena, object, "message", "an object of that name was there when it was written, and is adopted");
		}
		if (action->after)
			json_set(run->arena, object, "rv_after",
				 json_copy(run->arena, json_path(action->after, "metadata", "resourceVersion", NULL)));
		json_append(run->arena, objects, object);
	}
	if (run->err.reason[0]) {
		json_set_string(run->arena, record, "reason", run->err.reason);
		json_set_string(run->arena, record, "message", run->err.text);
	}
	json_set(run->arena, record, "objects", objects);
	return record;
}
