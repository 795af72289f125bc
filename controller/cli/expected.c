/* See expected.h. */
#include "cli/expected.h"

#include "api/declared.h"
#include "api/tracking.h"
#include "gate/verdict.h"
#include "oci/reference.h"

/* --- what the cluster remembers ------------------------------------------------------------------------------------- */

static void note(struct person *person, struct expectation *out, const char *what, const struct error *err)
{
	out->warning = arena_printf(person->arena, "%s cannot be read (%s): images may be shown without their digest, and what would be "
				    "deleted is not shown", what, err->text);
}

/* An Application that never synced has none. */
static void read_inventory(struct person *person, const struct application *app, struct expectation *out)
{
	char label[TRACKING_LABEL_SIZE];
	struct error err = ERROR_INIT;
	struct json *object;

	tracking_label(person->namespace, app->namespace, app->name, label);
	if (person_get(person, person_path(person, "applicationinventories", label), &object, &err)) {
		if (err.kind != ERROR_NOT_FOUND)
			note(person, out, "the Application's inventory", &err);
		return;
	}
	if (inventory_decode(json_text_span(json_get(object, "data")), person->arena, &out->inventory, &err))
		note(person, out, "the Application's inventory", &err);
}

static struct custom_paths read_custom_paths(struct person *person, struct expectation *out)
{
	struct error err = ERROR_INIT;
	struct image_policy *policies;
	struct policy_set set;
	struct json *list;

	if (person_list(person, person_path(person, "imagepolicies", NULL), &list, &err)) {
		note(person, out, "the ImagePolicies", &err);
		return (struct custom_paths){ NULL, 0 };
	}
	set.count = json_count(json_get(list, "items"));
	set.policies = policies = arena_calloc(person->arena, set.count, sizeof(*policies));
	for (size_t i = 0; i < set.count; i++)
		image_policy_decode(json_at(json_get(list, "items"), i), person->arena, &policies[i]);
	return verdict_custom_paths(&set, person->arena);
}

/* --- one object ----------------------------------------------------------------------------------------------------- */

void expected_pin(struct json *object, const struct pins *pins, const struct custom_paths *custom, struct arena *arena)
{
	struct image_use *uses;
	size_t count;

	gate_find_images(object, custom, arena, &uses, &count);
	for (size_t i = 0; i < count; i++) {
		const struct digest *digest = uses[i].problem ? NULL : pins_find(pins, span_of(uses[i].image));
		CLEANUP(str_release) struct str pinned = STR_INIT;
		struct reference reference;

		if (!digest || reference_parse(span_of(uses[i].image), arena, &reference, NULL))
			continue;
		reference_pin(&reference, digest, &pinned);
		uses[i].value->as.text = arena_span(arena, str_span(&pinned));
	}
}

static void mark(struct person *person, const struct application *app, struct expected *expected)
{
	struct json *metadata = json_get(expected->object, "metadata");
	struct json *labels = json_ensure_object(person->arena, metadata, "labels");
	struct json *annotations = json_ensure_object(person->arena, metadata, "annotations");
	char label[TRACKING_LABEL_SIZE];

	tracking_label(person->namespace, app->namespace, app->name, label);
	if (labels)
		json_set_string(person->arena, labels, LABEL_APP, label);
	if (annotations)
		json_set_string(person->arena, annotations, ANNOTATION_TRACKING,
				tracking_id(person->arena, app->namespace, app->name, expected->group, expected->kind_name,
					    expected->namespace, expected->name));
}

static int set_namespace(struct person *person, const struct application *app, struct expected *expected, struct error *err)
{
	struct json *metadata = json_get(expected->object, "metadata");

	if (expected->kind && !expected->kind->namespaced) {
		json_remove(metadata, "namespace");
		expected->namespace = "";
		return 0;
	}
	if (!*expected->namespace)
		expected->namespace = app->destination_namespace;
	if (*expected->namespace)
		json_set_string(person->arena, metadata, "namespace", expected->namespace);
	else if (expected->kind)
		return error_set(err, ERROR_INVALID, "NoNamespace", "%s:%u: %s %s names no namespace, and spec.destination.namespace is empty",
				 expected->path, expected->line, expected->kind_name, expected->name);
	return 0;
}

static int take_one(struct person *person, const struct application *app, const struct rendered_object *from, struct expected *to,
		    struct error *err)
{
	struct span version = api_version_version(span_of(from->api_version));

	*to = (struct expected){ .object = from->object, .group = from->group, .kind_name = from->kind, .namespace = from->namespace,
				 .name = from->name, .path = from->path, .line = from->line };
	to->kind = discovery_find(person->discovery, span_of(from->group), arena_strndup(person->arena, version), span_of(from->kind));
	if (set_namespace(person, app, to, err))
		return -1;
	declared_strip(to->object, to->group, to->kind_name);
	mark(person, app, to);
	return 0;
}

int expected_objects(struct person *person, const struct application *app, const struct rendered *rendered, const char *revision,
		     struct expectation *out, struct error *err)
{
	const struct pins *pins;

	*out = (struct expectation){ .objects = arena_calloc(person->arena, rendered->count + 1, sizeof(struct expected)) };
	out->inventory = (struct inventory){ .revision = "", .applied = { "", NULL, 0 }, .pending = { "", NULL, 0 } };
	read_inventory(person, app, out);
	out->custom = read_custom_paths(person, out);
	pins = *revision && !strcmp(out->inventory.pending.revision, revision) ? &out->inventory.pending : &out->inventory.applied;
	for (size_t i = 0; i < rendered->count; i++) {
		if (take_one(person, app, &rendered->objects[i], &out->objects[i], err))
			return -1;
		expected_pin(out->objects[i].object, pins, &out->custom, person->arena);
		out->count++;
	}
	return 0;
}
