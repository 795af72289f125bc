/* Building audit records; see audit.h. */
#include "api/audit.h"

#include <string.h>

#include "base/encode.h"

/* As SPAN, but for tables. */
#define NAME(literal) { (literal), sizeof(literal) - 1 }
#define ACCOUNT_PREFIX "system:serviceaccount:"

static const struct span kind_names[] = {
	[AUDIT_LOG_START] = NAME("log.start"),       [AUDIT_LOG_STOP] = NAME("log.stop"),       [AUDIT_TERM_START] = NAME("term.start"),
	[AUDIT_TERM_END] = NAME("term.end"),         [AUDIT_SYNC_INTENT] = NAME("sync.intent"), [AUDIT_SYNC_RESULT] = NAME("sync.result"),
	[AUDIT_SYNC_DENIED] = NAME("sync.denied"),   [AUDIT_DRIFT] = NAME("drift"),             [AUDIT_CONFIG_CHANGE] = NAME("config.change"),
	[AUDIT_LOG_LOST] = NAME("log.lost"),         [AUDIT_CLUSTER_RESTORED] = NAME("cluster.restored"),
};

static const struct span outcome_names[] = {
	[AUDIT_UNKNOWN] = NAME("unknown"), [AUDIT_ALLOW] = NAME("allow"), [AUDIT_DENY] = NAME("deny"),
	[AUDIT_OK] = NAME("ok"),           [AUDIT_FAIL] = NAME("fail"),
};

const char *audit_kind_name(enum audit_kind kind)
{
	ASSERT((size_t)kind < COUNT_OF(kind_names));
	return kind_names[kind].data;
}

const char *audit_outcome_name(enum audit_outcome outcome)
{
	ASSERT((size_t)outcome < COUNT_OF(outcome_names));
	return outcome_names[outcome].data;
}

static bool find_name(const struct span *names, size_t count, struct span name, unsigned *out)
{
	for (size_t i = 0; i < count; i++)
		if (name.length == names[i].length && !memcmp(name.data, names[i].data, name.length)) {
			*out = (unsigned)i;
			return true;
		}
	return false;
}

bool audit_kind_parse(struct span name, enum audit_kind *out)
{
	unsigned found;

	if (!find_name(kind_names, COUNT_OF(kind_names), name, &found))
		return false;
	*out = (enum audit_kind)found;
	return true;
}

bool audit_outcome_parse(struct span name, enum audit_outcome *out)
{
	unsigned found;

	if (!find_name(outcome_names, COUNT_OF(outcome_names), name, &found))
		return false;
	*out = (enum audit_outcome)found;
	return true;
}

static void set_text(struct arena *arena, struct json *object, const char *key, const char *value)
{
	if (value && *value)
		json_set_string(arena, object, key, value);
}

struct json *audit_record(struct arena *arena, enum audit_kind kind, enum audit_outcome outcome)
{
	struct json *record = json_object(arena);

	json_set_string(arena, record, "kind", audit_kind_name(kind));
	json_set_string(arena, record, "outcome", audit_outcome_name(outcome));
	return record;
}

void audit_set_reason(struct arena *arena, struct json *record, const char *reason, const char *message)
{
	set_text(arena, record, "reason", reason);
	set_text(arena, record, "message", message);
}

void audit_set_error(struct arena *arena, struct json *record, const struct error *err)
{
	audit_set_reason(arena, record, err->reason, err->text);
}

void audit_set_actor(struct arena *arena, struct json *record, const struct audit_actor *actor)
{
	struct json *to = json_set(arena, record, "actor", json_object(arena));

	set_text(arena, to, "type", actor->type);
	set_text(arena, to, "user", actor->user);
	set_text(arena, to, "ip", actor->ip);
	set_text(arena, to, "ua", actor->ua);
	set_text(arena, to, "manager", actor->manager);
	set_text(arena, to, "time", actor->time);
}

void audit_set_app(struct arena *arena, struct json *record, const char *app, const char *project, const char *cluster,
		   const char *ns)
{
	set_text(arena, record, "app", app);
	set_text(arena, record, "project", project);
	set_text(arena, record, "cluster", cluster);
	set_text(arena, record, "ns", ns);
}

void audit_set_as(struct arena *arena, struct json *record, const char *account)
{
	if (!account || !*account)
		return;
	if (span_starts(span_of(account), "system:"))
		json_set_string(arena, record, "as", account);
	else
		json_set(arena, record, "as", json_stringf(arena, ACCOUNT_PREFIX "%s", account));
}

void audit_set_git(struct arena *arena, struct json *record, const struct audit_git *git)
{
	struct json *to = json_set(arena, record, "git", json_object(arena));

	set_text(arena, to, "repo", git->repo);
	set_text(arena, to, "ref", git->ref);
	set_text(arena, to, "commit", git->commit);
	set_text(arena, to, "tree", git->tree);
	set_text(arena, to, "author", git->author);
	set_text(arena, to, "committer", git->committer);
	set_text(arena, to, "message", git->message);
}

/* The array at `key`, made when absent, with a new object at its end. */
static struct json *add_to_list(struct arena *arena, struct json *record, const char *key)
{
	struct json *list = json_get(record, key);

	if (!list)
		list = json_set(arena, record, key, json_array(arena));
	return json_append(arena, list, json_object(arena));
}

struct json *audit_add_image(struct arena *arena, struct json *record, const struct audit_image *image)
{
	struct json *to = add_to_list(arena, record, "images");

	set_text(arena, to, "ref", image->ref);
	set_text(arena, to, "digest", image->digest);
	set_text(arena, to, "verdict", image->verdict);
	set_text(arena, to, "reason", image->reason);
	set_text(arena, to, "policy", image->policy);
	set_text(arena, to, "policy_sha256", image->policy_sha256);
	set_text(arena, to, "identity", image->identity);
	set_text(arena, to, "issuer", image->issuer);
	set_text(arena, to, "bundle_sha256", image->bundle_sha256);
	set_text(arena, to, "exemption", image->exemption);
	set_text(arena, to, "file", image->file);
	if (image->line)
		json_set_int(arena, to, "line", image->line);
	return to;
}

struct json *audit_add_object(struct arena *arena, struct json *record, const struct audit_object *object)
{
	struct json *to = add_to_list(arena, record, "objects");
	const char *group = object->group ? object->group : "";

	ASSERT(object->resource && object->version && object->kind && object->name && object->op);
	json_set(arena, to, "gvk", json_stringf(arena, "%s%s%s/%s", group, *group ? "/" : "", object->version, object->kind));
	set_text(arena, to, "resource", object->resource);
	set_text(arena, to, "ns", object->ns);
	set_text(arena, to, "name", object->name);
	set_text(arena, to, "uid", object->uid);
	set_text(arena, to, "op", object->op);
	audit_set_as(arena, to, object->as);
	set_text(arena, to, "rv_before", object->rv_before);
	set_text(arena, to, "rv_after", object->rv_after);
	set_text(arena, to, "sha256_before", object->sha256_before);
	set_text(arena, to, "sha256_after", object->sha256_after);
	set_text(arena, to, "why", object->why);
	return to;
}

void audit_name_objects(struct arena *arena, struct json *record, const char *log_id, uint64_t seq)
{
	const struct json *objects = json_get(record, "objects");

	for (size_t i = 0; i < json_count(objects); i++)
		json_set(arena, json_at(objects, i), "audit_id",
			 json_stringf(arena, "%s.%llu.%zu", log_id, (unsigned long long)seq, i));
}

struct json *audit_result_seq(struct arena *arena, const struct json *intent, uint64_t seq, enum audit_outcome outcome)
{
	static const char *const kept[] = { "app", "project", "cluster", "ns", "as", "git", "objects" };
	struct json *result = audit_record(arena, AUDIT_SYNC_RESULT, outcome);

	json_set_int(arena, result, "intent", (int64_t)seq);
	for (size_t i = 0; i < COUNT_OF(kept); i++)
		if (json_get(intent, kept[i]))
			json_set(arena, result, kept[i], json_copy(arena, json_get(intent, kept[i])));
	JSON_EACH(object, json_get(result, "objects"))
		json_set(arena, object->value, "attempts", json_array(arena));
	return result;
}

struct json *audit_result(struct arena *arena, const struct json *intent, enum audit_outcome outcome)
{
	int64_t seq = json_get_int(intent, "seq", -1);

	ASSERT(seq >= 0);
	return audit_result_seq(arena, intent, (uint64_t)seq, outcome);
}

void audit_set_recovered(struct arena *arena, struct json *result)
{
	json_set_bool(arena, result, "recovered", true);
}

void audit_add_attempt(struct arena *arena, struct json *object, uint32_t attempt, int code)
{
	const char *id = json_get_text(object, "audit_id");
	struct json *to = add_to_list(arena, object, "attempts");

	ASSERT(id && attempt > 0);
	json_set(arena, to, "audit_id", json_stringf(arena, "%s.%u", id, attempt));
	json_set_int(arena, to, "code", code);
}

/* Every byte that begins no well-formed sequence becomes U+FFFD. */
static struct span repair(struct arena *arena, struct span text)
{
	CLEANUP(str_release) struct str out = STR_INIT;
	size_t n;

	for (size_t i = 0; i < text.length; i += n) {
		for (n = 4; n && !(i + n <= text.length && utf8_valid(span_sub(text, i, n))); n--)
			;
		str_add(&out, n ? span_sub(text, i, n) : SPAN("\xef\xbf\xbd"));
		n = n ? n : 1;
	}
	return arena_span(arena, str_span(&out));
}

static struct json *clean(struct arena *arena, struct json *value, unsigned depth)
{
	if (value->type == JSON_NUMBER)
		return json_span(arena, value->as.text);
	if (value->type == JSON_STRING && !utf8_valid(value->as.text))
		return json_span(arena, repair(arena, value->as.text));
	if (value->type != JSON_ARRAY && value->type != JSON_OBJECT)
		return value;
	if (depth >= AUDIT_DEPTH)
		return json_null(arena);
	JSON_EACH(member, value) {
		if (!utf8_valid(member->key))
			member->key = repair(arena, member->key);
		member->value = clean(arena, member->value, depth + 1);
	}
	return value;
}

struct json *audit_clean(struct arena *arena, struct json *value)
{
	return clean(arena, value, 0);
}
