/* FieldsV1; see fields.h. */
#include "diff/fields.h"

#include <stdlib.h>

#include "base/clock.h"

static const struct json *entry_of(const struct json *object, const char *manager, const char *operation)
{
	const struct json *entries = json_path(object, "metadata", "managedFields", NULL);

	for (size_t i = 0; i < json_count(entries); i++) {
		const struct json *entry = json_at(entries, i);
		struct span subresource = json_text_span(json_get(entry, "subresource"));

		if (!subresource.length && span_is(json_text_span(json_get(entry, "manager")), manager) &&
		    span_is(json_text_span(json_get(entry, "operation")), operation))
			return entry;
	}
	return NULL;
}

const struct json *fields_of(const struct json *object, const char *manager, const char *operation)
{
	return json_get(entry_of(object, manager, operation), "fieldsV1");
}

struct span fields_version(const struct json *object)
{
	return json_text_span(json_get(entry_of(object, FIELD_MANAGER, "Apply"), "apiVersion"));
}

uint32_t fields_applied_s(const struct json *object)
{
	int64_t at_ns;

	if (!time_parse(json_text_span(json_get(entry_of(object, FIELD_MANAGER, "Apply"), "time")), &at_ns))
		return 0;
	return (uint32_t)(at_ns / 1000000000);
}

/* The item of a list whose key fields have the values that `keys` gives. */
static struct json *item_by_keys(const struct json *list, struct span keys, ptrdiff_t *index)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct json *wanted;

	if (json_parse(keys, arena, 4, &wanted, NULL) || !json_is(wanted, JSON_OBJECT))
		return NULL;
	for (size_t i = 0; i < json_count(list); i++) {
		struct json *item = json_at(list, i);
		bool equal = true;

		JSON_EACH(member, wanted)
			equal = equal && json_equal(json_get_span(item, member->key), member->value);
		if (!equal)
			continue;
		*index = (ptrdiff_t)i;
		return item;
	}
	return NULL;
}

static struct json *item_by_value(const struct json *list, struct span text, ptrdiff_t *index)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct json *wanted;

	if (json_parse(text, arena, 16, &wanted, NULL))
		return NULL;
	for (size_t i = 0; i < json_count(list); i++)
		if (json_equal(json_at(list, i), wanted)) {
			*index = (ptrdiff_t)i;
			return json_at(list, i);
		}
	return NULL;
}

struct json *fields_step(const struct json *value, struct span element, ptrdiff_t *index)
{
	struct span rest = span_from(element, 2);
	int64_t at;

	*index = -1;
	if (span_starts(element, "f:"))
		return json_get_span(value, rest);
	if (span_starts(element, "k:"))
		return item_by_keys(value, rest, index);
	if (span_starts(element, "v:"))
		return item_by_value(value, rest, index);
	if (span_starts(element, "i:") && span_to_int64(rest, &at)) {
		*index = (ptrdiff_t)at;
		return json_at(value, (size_t)at);
	}
	return NULL;
}

struct digesting {
	struct digester *digester;
	struct str path, text;      /* where it is; what is added next */
};

static void digest_value(struct digesting *to, const struct json *value, bool existence)
{
	str_reset(&to->text);
	str_add(&to->text, str_span(&to->path));
	if (!value)
		str_adds(&to->text, "\1absent");
	else if (existence)
		str_adds(&to->text, "\1exists");
	else
		json_write(value, JSON_SORTED, &to->text);
	str_addc(&to->text, '\0');
	digest_add(to->digester, str_span(&to->text));
}

/* Key order in FieldsV1 is the API server's, and it is the same each time: sorted. */
static void digest_set(struct digesting *to, const struct json *set, const struct json *value)
{
	size_t length = to->path.length;

	if (!json_count(set)) {
		digest_value(to, value, false);
		return;
	}
	JSON_EACH(member, set) {
		ptrdiff_t index;

		if (span_is(member->key, ".")) {
			digest_value(to, value, true);
			continue;
		}
		str_addc(&to->path, '\0');
		str_add(&to->path, member->key);
		digest_set(to, member->value, fields_step(value, member->key, &index));
		str_drop_to(&to->path, length);
	}
}

struct digest fields_digest(const struct json *object)
{
	const struct json *set = fields_of(object, FIELD_MANAGER, "Apply");
	struct digesting to = { NULL, STR_INIT, STR_INIT };

	if (!json_count(set))
		return (struct digest){ { 0 } };
	to.digester = digest_begin();
	digest_set(&to, set, object);
	str_release(&to.path);
	str_release(&to.text);
	return digest_end(to.digester);
}

struct json *fields_union(struct arena *arena, const struct json *a, const struct json *b)
{
	struct json *both;

	if (!json_is(a, JSON_OBJECT))
		return json_is(b, JSON_OBJECT) ? json_copy(arena, b) : NULL;
	both = json_copy(arena, a);
	if (!json_is(b, JSON_OBJECT))
		return both;
	JSON_EACH(member, b) {
		struct json *united = fields_union(arena, json_get_span(both, member->key), member->value);

		if (united)
			json_set_span(arena, both, member->key, united);
	}
	return both;
}

bool fields_is_kubectl(struct span manager)
{
	return span_is(manager, "kubectl") || span_starts(manager, "kubectl-");
}
