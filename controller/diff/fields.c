/* FieldsV1; see fields.h. */
#include "diff/fields.h"

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
	struct fields_steps steps = { .value = value };
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
		digest_set(to, member->value, fields_steps_to(&steps, member->key, &index));
		str_drop_to(&to->path, length);
	}
	fields_steps_release(&steps);
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

static struct json *unite(struct arena *arena, const struct json *a, const struct json *b)
{
	struct json *both;

	if (!json_is(a, JSON_OBJECT))
		return json_is(b, JSON_OBJECT) ? json_copy(arena, b) : NULL;
	if (!json_is(b, JSON_OBJECT))
		return json_copy(arena, a);
	both = json_object(arena);
	JSON_EACH(member, a) {
		struct json *united = unite(arena, member->value, json_get_span(b, member->key));

		json_add_span(arena, both, member->key, united ? united : member->value);
	}
	JSON_EACH(member, b)
		if (!json_get_span(a, member->key) && json_is(member->value, JSON_OBJECT))
			json_add_span(arena, both, member->key, json_copy(arena, member->value));
	return both;
}

struct json *fields_union(struct arena *arena, const struct json *a, const struct json *b)
{
	struct json *both = unite(arena, a, b);

	/* for the next one to be found in it by halves */
	if (both)
		json_sort(both);
	return both;
}

bool fields_is_kubectl(struct span manager)
{
	return span_is(manager, "kubectl") || span_starts(manager, "kubectl-");
}
