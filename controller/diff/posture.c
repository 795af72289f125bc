/* Pod security and RBAC by content; see posture.h. */
#include "diff/posture.h"

#include "api/tracking.h"
#include "diff/compare.h"

#define RBAC_GROUP "rbac.authorization.k8s.io"

/* Which values of a member weaken; a set has members of its own, each with a rule. */
enum rule { RULE_NONE, RULE_ANY, RULE_TRUE, RULE_FALSE, RULE_PROFILE, RULE_SET };

static const struct {
	struct span name;
	enum rule rule;
} rules[] = {
	{ SPAN("securityContext"), RULE_SET }, { SPAN("capabilities"), RULE_SET }, { SPAN("add"), RULE_ANY },
	{ SPAN("privileged"), RULE_TRUE }, { SPAN("allowPrivilegeEscalation"), RULE_TRUE }, { SPAN("runAsNonRoot"), RULE_FALSE },
	{ SPAN("runAsUser"), RULE_ANY }, { SPAN("runAsGroup"), RULE_ANY }, { SPAN("fsGroup"), RULE_ANY }, { SPAN("supplementalGroups"), RULE_ANY },
	{ SPAN("seLinuxOptions"), RULE_ANY }, { SPAN("windowsOptions"), RULE_ANY }, { SPAN("sysctls"), RULE_ANY },
	{ SPAN("procMount"), RULE_PROFILE }, { SPAN("seccompProfile"), RULE_PROFILE }, { SPAN("appArmorProfile"), RULE_PROFILE },
	{ SPAN("hostNetwork"), RULE_TRUE }, { SPAN("hostPID"), RULE_TRUE }, { SPAN("hostIPC"), RULE_TRUE }, { SPAN("shareProcessNamespace"), RULE_TRUE },
	{ SPAN("automountServiceAccountToken"), RULE_TRUE }, { SPAN("serviceAccountName"), RULE_PROFILE }, { SPAN("serviceAccount"), RULE_PROFILE },
	{ SPAN("hostPath"), RULE_ANY }, { SPAN("hostPort"), RULE_ANY },
};

/* In a map that users fill (labels, matchLabels, nodeSelector), no key means anything. */
static enum rule rule_of(struct span key)
{
	for (size_t i = 0; i < COUNT_OF(rules); i++)
		if (span_equal(key, rules[i].name))
			return rules[i].rule;
	return RULE_NONE;
}

static bool is_empty(const struct json *value)
{
	if (!value || json_is(value, JSON_NULL))
		return true;
	if (json_is(value, JSON_STRING))
		return !json_text_span(value).length;
	return (json_is(value, JSON_OBJECT) || json_is(value, JSON_ARRAY)) && !json_count(value);
}

/* Of profiles, and of the service account, the values that everything has anyway. */
static bool is_default_profile(const struct json *value)
{
	struct span text = json_is(value, JSON_OBJECT) ? json_text_span(json_get(value, "type")) : json_text_span(value);

	return !text.length || span_is(text, "RuntimeDefault") || span_is(text, "Default") || span_is(text, "default");
}

static bool weakens(enum rule rule, const struct json *value)
{
	switch (rule) {
	case RULE_ANY: return !is_empty(value);
	case RULE_TRUE: return json_is(value, JSON_BOOL) && value->as.boolean;
	case RULE_FALSE: return json_is(value, JSON_BOOL) && !value->as.boolean;
	case RULE_PROFILE: return !is_empty(value) && !is_default_profile(value);
	case RULE_SET:
		JSON_EACH(member, value)
			if (weakens(rule_of(member->key), member->value))
				return true;
		return false;
	default: return false;
	}
}

static bool is_pod(const struct json *value)
{
	const struct json *lists[] = { json_get(value, "containers"), json_get(value, "initContainers") };

	for (size_t i = 0; i < COUNT_OF(lists); i++)
		if (json_is(lists[i], JSON_ARRAY) && json_is(json_at(lists[i], 0), JSON_OBJECT))
			return true;
	return false;
}

/* --- what is not declared ------------------------------------------------------------------------------------------- */

struct search {
	struct arena *arena;
	const char **pointers;
	size_t count, capacity;
	struct str pointer;
	bool host_network;      /* declared: the API server then gives every port a hostPort */
};

static void add(struct search *search)
{
	const char **slot = arena_push(search->arena, &search->pointers, &search->count, &search->capacity, sizeof(*slot));

	*slot = arena_strndup(search->arena, str_span(&search->pointer));
}

/* What the API server derives from something else that is declared. */
static bool is_derived(const struct search *search, struct span key, const struct json *desired)
{
	if (span_is(key, "hostPort"))
		return search->host_network;
	if (span_is(key, "serviceAccount"))
		return json_get(desired, "serviceAccountName");
	return span_is(key, "serviceAccountName") && json_get(desired, "serviceAccount");
}

static void walk(struct search *search, const struct json *live, const struct json *desired, bool pod);

static void walk_items(struct search *search, const struct json *live, const struct json *desired, bool pod)
{
	size_t length = search->pointer.length;

	for (size_t i = 0; i < json_count(live); i++) {
		const struct json *item = json_at(live, i), *wanted = compare_same_item(desired, item, i);

		json_pointer_add_index(&search->pointer, i);
		if (pod && !wanted && !is_empty(json_get(item, "hostPath")))
			add(search);
		else
			walk(search, item, wanted, pod);
		str_drop_to(&search->pointer, length);
	}
}

static void walk_members(struct search *search, const struct json *live, const struct json *desired, bool pod)
{
	size_t length = search->pointer.length;

	JSON_EACH(member, live) {
		const struct json *wanted = json_get_span(desired, member->key);
		enum rule rule = pod ? rule_of(member->key) : RULE_NONE;

		json_pointer_add(&search->pointer, member->key);
		if (rule != RULE_NONE && !wanted) {
			if (weakens(rule, member->value) && !is_derived(search, member->key, desired))
				add(search);
		} else {
			walk(search, member->value, wanted, pod);
		}
		str_drop_to(&search->pointer, length);
	}
}

static void walk(struct search *search, const struct json *live, const struct json *desired, bool pod)
{
	if (json_is(live, JSON_ARRAY)) {
		walk_items(search, live, desired, pod);
		return;
	}
	if (!json_is(live, JSON_OBJECT))
		return;
	if (!pod && is_pod(live)) {
		search->host_network = json_get_bool(desired, "hostNetwork", false);
		pod = true;
	}
	walk_members(search, live, desired, pod);
}

/* --- what is looked at besides pods --------------------------------------------------------------------------------- */

static bool is_rbac(const struct json *object)
{
	return span_is(api_version_group(json_text_span(json_get(object, "apiVersion"))), RBAC_GROUP);
}

static bool widens(struct span key, const struct json *value)
{
	if (span_starts(key, RBAC_GROUP "/aggregate-to-"))
		return span_is(json_text_span(value), "true");
	return span_is(key, "pod-security.kubernetes.io/enforce") && span_is(json_text_span(value), "privileged");
}

static void walk_labels(struct search *search, const struct json *live, const struct json *desired)
{
	const struct json *wanted = json_path(desired, "metadata", "labels", NULL);

	JSON_EACH(member, json_path(live, "metadata", "labels", NULL)) {
		if (!widens(member->key, member->value) || json_get_span(wanted, member->key))
			continue;
		str_adds(&search->pointer, "/metadata/labels");
		json_pointer_add(&search->pointer, member->key);
		add(search);
		str_reset(&search->pointer);
	}
}

static bool is_rbac_member(struct span key)
{
	return span_is(key, "rules") || span_is(key, "subjects") || span_is(key, "aggregationRule");
}

/* The rules of an aggregated ClusterRole are filled in by the control plane. */
static void walk_rbac(struct search *search, const struct json *live, const struct json *desired)
{
	bool aggregated = json_get(desired, "aggregationRule");

	JSON_EACH(member, live) {
		if (!is_rbac_member(member->key) || is_empty(member->value) || json_get_span(desired, member->key) ||
		    (aggregated && span_is(member->key, "rules")))
			continue;
		json_pointer_add(&search->pointer, member->key);
		add(search);
		str_reset(&search->pointer);
	}
}

void posture_find(const struct json *live, const struct json *desired, struct arena *arena, const char ***pointers, size_t *count)
{
	struct search search = { .arena = arena };

	walk_labels(&search, live, desired);
	if (is_rbac(live))
		walk_rbac(&search, live, desired);
	JSON_EACH(member, live) {
		if (span_is(member->key, "metadata") || span_is(member->key, "status"))
			continue;
		json_pointer_add(&search.pointer, member->key);
		walk(&search, member->value, json_get_span(desired, member->key), false);
		str_reset(&search.pointer);
	}
	str_release(&search.pointer);
	*pointers = search.pointers;
	*count = search.count;
}

/* --- what is kept of an object -------------------------------------------------------------------------------------- */

static struct json *keep(const struct json *value, bool pod, struct arena *arena);

/* All items are kept, if only by name, when one is: their places count. */
static struct json *keep_items(const struct json *list, bool pod, struct arena *arena)
{
	struct json *kept = json_array(arena);
	bool any = false;

	for (size_t i = 0; i < json_count(list); i++) {
		const struct json *item = json_at(list, i);
		struct json *one = keep(item, pod, arena);

		any |= one != NULL;
		if (!one)
			one = json_object(arena);
		if (json_is(one, JSON_OBJECT) && json_get(item, "name"))
			json_set(arena, one, "name", json_copy(arena, json_get(item, "name")));
		json_append(arena, kept, one);
	}
	return any ? kept : NULL;
}

static struct json *keep(const struct json *value, bool pod, struct arena *arena)
{
	struct json *kept;
	bool shape;

	if (json_is(value, JSON_ARRAY))
		return keep_items(value, pod, arena);
	if (!json_is(value, JSON_OBJECT))
		return NULL;
	kept = json_object(arena);
	shape = !pod && is_pod(value);
	pod |= shape;
	JSON_EACH(member, value) {
		enum rule rule = pod ? rule_of(member->key) : RULE_NONE;
		struct json *child = NULL;

		if (rule == RULE_NONE)
			child = keep(member->value, pod, arena);
		else if (weakens(rule, member->value))
			child = json_copy(arena, member->value);
		if (child)
			json_set_span(arena, kept, member->key, child);
	}
	if (!json_count(kept))
		return NULL;
	/* by its containers it is known as a pod */
	if (shape && !is_pod(kept)) {
		struct json *mark = json_array(arena);

		json_append(arena, mark, json_object(arena));
		json_set(arena, kept, "initContainers", mark);
	}
	return kept;
}

static struct json *keep_labels(const struct json *live, struct arena *arena)
{
	struct json *labels = json_object(arena), *metadata = json_object(arena);

	JSON_EACH(member, json_path(live, "metadata", "labels", NULL))
		if (widens(member->key, member->value))
			json_set_span(arena, labels, member->key, json_copy(arena, member->value));
	if (!json_count(labels))
		return NULL;
	json_set(arena, metadata, "labels", labels);
	return metadata;
}

struct json *posture_of(const struct json *live, struct arena *arena)
{
	struct json *kept = json_object(arena), *child;
	bool rbac = is_rbac(live);

	JSON_EACH(member, live) {
		if (span_is(member->key, "status"))
			continue;
		if (span_is(member->key, "metadata"))
			child = keep_labels(live, arena);
		else if (rbac && is_rbac_member(member->key))
			/* that it is there is all that is asked */
			child = is_empty(member->value) ? NULL : json_bool(arena, true);
		else
			child = keep(member->value, false, arena);
		if (child)
			json_set_span(arena, kept, member->key, child);
	}
	if (!json_count(kept))
		return NULL;
	json_set(arena, kept, "apiVersion", json_copy(arena, json_get(live, "apiVersion")));
	return kept;
}
