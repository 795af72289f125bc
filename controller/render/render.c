/* Files to objects, one step a function, in the order that render.h lists. */
#include "render/render.h"

#include <stdlib.h>

#include "base/encode.h"
#include "base/map.h"
#include "base/yaml.h"
#include "render/problems.h"

/* What one job needs while it runs. */
struct job {
	struct arena *arena;
	struct render_problems *problems;
	struct rendered *out;
	size_t capacity, budget;
	struct map identities;          /* "group/kind/namespace/name" → struct place */
};

/* Where an object stands. */
struct place {
	const char *path;
	uint32_t line, document, item;
};

static void complain(struct job *job, const struct place *at, enum error_kind kind, const char *reason, const char *text)
{
	problems_addf(job->problems, kind, reason, "%s:%u: %s", at->path, at->line, text);
}

/* --- one object ------------------------------------------------------------------------------------------------ */

/* Reads a member that has to be a string if it is there; *out is "" when absent or null. */
static int text_member(struct job *job, const struct place *at, const struct json *object, const char *key, const char *reason,
		       const char **out)
{
	const struct json *value = json_get(object, key);

	*out = "";
	if (!value || json_is(value, JSON_NULL))
		return 0;
	if (!json_is(value, JSON_STRING)) {
		problems_addf(job->problems, ERROR_INVALID, reason, "%s:%u: %s must be a string, not %s", at->path, value->line, key,
			      json_type_name(value));
		return -1;
	}
	*out = json_text(value);
	return 0;
}

static const char *group_of(struct arena *arena, const char *api_version)
{
	const char *slash = strchr(api_version, '/');

	return slash ? arena_strndup(arena, span_make(api_version, (size_t)(slash - api_version))) : "";
}

static int read_type(struct job *job, const struct place *at, struct json *value, struct rendered_object *out)
{
	if (text_member(job, at, value, "apiVersion", "MissingAPIVersion", &out->api_version) ||
	    text_member(job, at, value, "kind", "MissingKind", &out->kind))
		return -1;
	if (!out->kind[0]) {
		complain(job, at, ERROR_INVALID, "MissingKind",
			 "no kind; a file that is no Kubernetes manifest must be left out with directory.exclude");
		return -1;
	}
	if (!out->api_version[0]) {
		problems_addf(job->problems, ERROR_INVALID, "MissingAPIVersion", "%s:%u: %s without apiVersion", at->path, at->line,
			      out->kind);
		return -1;
	}
	out->group = group_of(job->arena, out->api_version);
	return 0;
}

/* An object without a name that would be a list if its items were one. */
static bool is_broken_list(const struct json *items, const char *kind)
{
	return strcmp(kind, "List") == 0 || (items && span_ends(span_of(kind), "List"));
}

static int refuse_nameless(struct job *job, const struct place *at, const struct json *value, const struct rendered_object *out)
{
	const struct json *items = json_get(value, "items");

	if (is_broken_list(items, out->kind))
		problems_addf(job->problems, ERROR_INVALID, "BadList", "%s:%u: items of a %s must be a list, not %s", at->path,
			      items ? items->line : at->line, out->kind, json_type_name(items));
	else
		problems_addf(job->problems, ERROR_INVALID, "MissingName", "%s:%u: %s without metadata.name", at->path, at->line, out->kind);
	return -1;
}

static int read_metadata(struct job *job, const struct place *at, struct json *value, struct rendered_object *out)
{
	const struct json *metadata = json_get(value, "metadata");

	if (metadata && !json_is(metadata, JSON_OBJECT) && !json_is(metadata, JSON_NULL)) {
		problems_addf(job->problems, ERROR_INVALID, "BadMetadata", "%s:%u: metadata of %s must be a mapping, not %s",
			      at->path, metadata->line, out->kind, json_type_name(metadata));
		return -1;
	}
	if (text_member(job, at, metadata, "name", "BadMetadata", &out->name) ||
	    text_member(job, at, metadata, "generateName", "BadMetadata", &out->generate_name) ||
	    text_member(job, at, metadata, "namespace", "BadMetadata", &out->namespace))
		return -1;
	if (out->name[0]) {
		out->generate_name = "";
		return 0;
	}
	return out->generate_name[0] ? 0 : refuse_nameless(job, at, value, out);
}

static bool is_mapping_or_null(const struct json *value)
{
	return !value || json_is(value, JSON_NULL) || json_is(value, JSON_OBJECT);
}

/* What is no mapping to strings, or NULL. */
static const struct json *wrong_secret(const struct json *strings, const struct json *data)
{
	if (!is_mapping_or_null(strings))
		return strings;
	if (json_count(strings) && !is_mapping_or_null(data))
		return data;
	JSON_EACH(member, strings)
		if (!json_is(member->value, JSON_STRING) && !json_is(member->value, JSON_NULL))
			return member->value;
	return NULL;
}

static void add_encoded(struct job *job, struct json *to, const struct json_member *member)
{
	CLEANUP(str_release) struct str encoded = STR_INIT;
	struct json *value;

	base64_encode(json_text_span(member->value), &encoded);
	value = json_span(job->arena, str_span(&encoded));
	value->line = member->value->line;
	json_add_span(job->arena, to, member->key, value);
}

/* stringData wins over data, as the API server has it. */
static int merge_string_data(struct job *job, const struct place *at, struct rendered_object *out)
{
	struct json *strings = json_get(out->object, "stringData"), *data = json_get(out->object, "data"), *merged;
	const struct json *wrong = wrong_secret(strings, data);

	if (wrong) {
		problems_addf(job->problems, ERROR_INVALID, "BadSecret",
			      "%s:%u: data and stringData of Secret %s must be mappings to strings, not %s", at->path, wrong->line, out->name,
			      json_type_name(wrong));
		return -1;
	}
	if (json_count(strings)) {
		/* found by halves: a file may have as many keys as it has lines */
		json_sort(strings);
		merged = json_object(job->arena);
		merged->line = strings->line;
		JSON_EACH(member, data)
			if (!json_is(json_get_span(strings, member->key), JSON_STRING))
				json_add_span(job->arena, merged, member->key, member->value);
		JSON_EACH(member, strings)
			if (json_is(member->value, JSON_STRING))
				add_encoded(job, merged, member);
		json_set(job->arena, out->object, "data", merged);
	}
	json_remove(out->object, "stringData");
	return 0;
}

/* As the API server reads it: padded, the standard alphabet, line ends anywhere, and bits that no encoder would set. */
static bool is_base64(struct span text)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t digits = 0, padding = 0;

	for (size_t i = 0; i < text.length; i++) {
		char c = text.data[i];

		if (c == '\n' || c == '\r')
			continue;
		if (c == '=')
			padding++;
		else if (padding || !memchr(alphabet, c, strlen(alphabet)))
			return false;
		else
			digits++;
	}
	return padding <= 2 && (digits + padding) % 4 == 0;
}

/* What is wrong with a value that holds bytes, or NULL. */
static const char *wrong_bytes(const struct json *value, const char *plain, struct arena *arena)
{
	if (json_is(value, JSON_NULL))
		return NULL;
	if (!json_is(value, JSON_STRING))
		return arena_printf(arena, "must be a string, not %s", json_type_name(value));
	return is_base64(json_text_span(value)) ? NULL : arena_printf(arena, "is not base64; put plain text under %s", plain);
}

/* What does not decode the API server answers with an error of its own, which does not say which key it is. */
static int check_bytes(struct job *job, const struct place *at, const struct rendered_object *out, const char *field,
		       const char *plain)
{
	const char *reason = arena_printf(job->arena, "Bad%s", out->kind), *title = rendered_object_title(out, job->arena), *wrong;
	const struct json *bytes = json_get(out->object, field);
	size_t before = job->problems->total;

	if (!is_mapping_or_null(bytes)) {
		problems_addf(job->problems, ERROR_INVALID, reason, "%s:%u: %s of %s must be a mapping to strings, not %s", at->path,
			      bytes->line, field, title, json_type_name(bytes));
		return -1;
	}
	JSON_EACH(member, bytes)
		if ((wrong = wrong_bytes(member->value, plain, job->arena)))
			problems_addf(job->problems, ERROR_INVALID, reason, "%s:%u: %s.%.*s of %s %s", at->path, member->value->line,
				      field, SPAN_ARG(member->key), title, wrong);
	return job->problems->total == before ? 0 : -1;
}

/* The two kinds that people write bytes into by hand. */
static int check_content(struct job *job, const struct place *at, struct rendered_object *out)
{
	if (out->group[0])
		return 0;
	if (strcmp(out->kind, "ConfigMap") == 0)
		return check_bytes(job, at, out, "binaryData", "data");
	if (strcmp(out->kind, "Secret") != 0)
		return 0;
	if (json_get(out->object, "stringData") && merge_string_data(job, at, out))
		return -1;
	return check_bytes(job, at, out, "data", "stringData");
}

static int check_size(struct job *job, const struct place *at, const struct rendered_object *out)
{
	CLEANUP(str_release) struct str text = STR_LIMIT(LIMIT_OBJECT_BYTES);

	json_write(out->object, JSON_PLAIN, &text);
	if (!text.overflow)
		return 0;
	problems_addf(job->problems, ERROR_LIMIT, "TooLarge", "%s:%u: %s %s is larger than %u bytes, which no API server stores",
		      at->path, at->line, out->kind, out->name, LIMIT_OBJECT_BYTES);
	return -1;
}

static int check_unique(struct job *job, const struct place *at, const struct rendered_object *out)
{
	const char *identity = arena_printf(job->arena, "%s/%s/%s/%s", out->group, out->kind, out->namespace, out->name);
	struct place *place = ARENA_NEW(job->arena, struct place), *before;

	if (!out->name[0])
		return 0;
	*place = *at;
	before = map_set(&job->identities, span_of(identity), place);
	if (!before)
		return 0;
	map_set(&job->identities, span_of(identity), before);
	problems_addf(job->problems, ERROR_INVALID, "DuplicateObject", "%s:%u: %s is also declared at %s:%u; remove one", at->path,
		      at->line, rendered_object_title(out, job->arena), before->path, before->line);
	return -1;
}

static void add_object(struct job *job, const struct place *at, struct json *value)
{
	struct rendered_object one = { .object = value, .path = at->path, .line = at->line, .document = at->document,
				       .item = at->item };

	if (read_type(job, at, value, &one) || read_metadata(job, at, value, &one))
		return;
	if (check_content(job, at, &one))
		return;
	/* what is hashed, sent and compared is then written the same way everywhere */
	json_sort(value);
	if (check_size(job, at, &one) || check_unique(job, at, &one))
		return;
	if (job->out->count == LIMIT_OBJECTS) {
		problems_addf(job->problems, ERROR_LIMIT, "TooLarge", "%s:%u: more than %u objects", at->path, at->line, LIMIT_OBJECTS);
		return;
	}
	*(struct rendered_object *)arena_push(job->arena, &job->out->objects, &job->out->count, &job->capacity, sizeof(one)) = one;
}

/* --- documents and lists --------------------------------------------------------------------------------------- */

static bool is_list(const struct json *value)
{
	return span_ends(span_of(json_get_text(value, "kind")), "List") && json_is(json_get(value, "items"), JSON_ARRAY);
}

/* An item of a typed list may leave its type to the list: ConfigMapList holds ConfigMaps. */
static void inherit_type(struct job *job, const struct json *list, struct json *item)
{
	struct span kind = span_of(json_get_text(list, "kind"));
	const char *api_version = json_get_text(list, "apiVersion");

	if (!json_is(item, JSON_OBJECT) || span_is(kind, "List"))
		return;
	if (!json_get(item, "kind"))
		json_set(job->arena, item, "kind", json_span(job->arena, span_sub(kind, 0, kind.length - strlen("List"))));
	if (!json_get(item, "apiVersion") && api_version)
		json_set_string(job->arena, item, "apiVersion", api_version);
}

static void add_value(struct job *job, struct place *at, struct json *value)
{
	if (!json_is(value, JSON_OBJECT)) {
		problems_addf(job->problems, ERROR_INVALID, "NotAnObject", "%s:%u: a manifest must be a mapping, not %s", at->path,
			      at->line, json_type_name(value));
		return;
	}
	if (!is_list(value)) {
		add_object(job, at, value);
		return;
	}
	JSON_EACH(member, json_get(value, "items")) {
		if (json_is(member->value, JSON_NULL))
			continue;
		inherit_type(job, value, member->value);
		at->item++;
		at->line = member->value->line;
		add_value(job, at, member->value);
	}
}

/* --- files -------------------------------------------------------------------------------------------------------- */

static struct span base_name(struct span path)
{
	return span_from(path, (size_t)(span_rindex(path, '/') + 1));
}

/* What another tool would have to build first, or NULL. */
static const char *foreign_tool(struct span path)
{
	static const struct {
		const char *name, *tool;
	} names[] = {
		{ "kustomization.yaml", "Kustomize" }, { "kustomization.yml", "Kustomize" }, { "Kustomization", "Kustomize" },
		{ "Chart.yaml", "Helm" },
	};

	for (size_t i = 0; i < COUNT_OF(names); i++)
		if (span_is(base_name(path), names[i].name))
			return names[i].tool;
	return span_ends(path, ".jsonnet") || span_ends(path, ".libsonnet") ? "Jsonnet" : NULL;
}

static bool is_manifest(struct span path)
{
	return span_ends(path, ".yaml") || span_ends(path, ".yml") || span_ends(path, ".json");
}

static bool contains(struct span text, const char *needle)
{
	return text.length && memmem(text.data, text.length, needle, strlen(needle)) != NULL;
}

static void add_file(struct job *job, const struct tree_file *file)
{
	const char *path = arena_strndup(job->arena, file->path), *tool = foreign_tool(file->path);
	struct error err = ERROR_INIT;
	struct yaml_stream stream;

	if (tool) {
		problems_addf(job->problems, ERROR_INVALID, "NotSupported",
			      "%s:1: %s is not supported yet; leave the file out with directory.exclude, or commit what it builds",
			      path, tool);
		return;
	}
	if (!is_manifest(file->path) || contains(file->bytes, "+argocd:skip-file-rendering"))
		return;
	if (yaml_parse_any(file->bytes, path, &job->budget, job->arena, &stream, &err)) {
		problems_add(job->problems, &err);
		return;
	}
	for (size_t i = 0; i < stream.count; i++) {
		struct place at = { path, stream.documents[i].line, (uint32_t)i + 1, 0 };

		if (stream.documents[i].value)
			add_value(job, &at, stream.documents[i].value);
	}
}

static void release_map(void *map)
{
	map_release(map);
}

int render_files(const struct tree_stream *files, struct arena *arena, struct rendered *out,
		 struct render_problems *problems, struct error *err)
{
	struct render_problems *found = problems ? problems : ARENA_NEW(arena, struct render_problems);
	struct rendered rendered = { NULL, 0 };
	struct job *job = ARENA_NEW(arena, struct job);

	*found = (struct render_problems){ .count = 0 };
	*job = (struct job){ .arena = arena, .problems = found, .out = &rendered, .budget = LIMIT_RENDER_NODES };
	arena_defer(arena, release_map, &job->identities);
	for (size_t i = 0; i < files->count; i++)
		add_file(job, &files->files[i]);
	if (problems_sum(found, err))
		return -1;
	*out = rendered;
	return 0;
}

const char *rendered_object_title(const struct rendered_object *object, struct arena *arena)
{
	const char *name = object->name[0] ? object->name : object->generate_name;

	return arena_printf(arena, "%s %s%s%s", object->kind, object->namespace, object->namespace[0] ? "/" : "", name);
}
