/* Reading Applications; see application.h. */
#include "api/application.h"

#include "base/clock.h"
#include "base/limits.h"

static int invalid(struct error *err, const char *field, const char *why)
{
	return error_set(err, ERROR_INVALID, "InvalidSpec", "%s %s", field, why);
}

static int unsupported(struct error *err, const char *field)
{
	return error_set(err, ERROR_INVALID, "NotSupported",
			 "%s is not built yet; it is refused rather than ignored: remove it from the Application", field);
}

/* Any of these present (and not empty) under `object` is refused by its full name. */
static int refuse_fields(const struct json *object, const char *prefix, const char *const fields[], struct error *err)
{
	for (; *fields; fields++) {
		const struct json *value = json_get(object, *fields);
		CLEANUP(str_release) struct str name = STR_INIT;

		if (!value || json_is(value, JSON_NULL) ||
		    ((json_is(value, JSON_OBJECT) || json_is(value, JSON_ARRAY)) && !json_count(value)))
			continue;
		str_addf(&name, "%s.%s", prefix, *fields);
		return unsupported(err, str_c(&name));
	}
	return 0;
}

static const char *text_or(const struct json *object, const char *key, const char *otherwise)
{
	const char *text = json_get_text(object, key);

	return text ? text : otherwise;
}

/* A string where one stands, or absent; anything else is wrong. */
static int check_text(const struct json *object, const char *prefix, const char *key, struct error *err)
{
	const struct json *value = json_get(object, key);

	if (!value || json_is(value, JSON_NULL) || (json_is(value, JSON_STRING) && !span_has_nul(value->as.text)))
		return 0;
	return error_set(err, ERROR_INVALID, "InvalidSpec", "%s.%s is a %s, not a string", prefix, key,
			 json_type_name(value));
}

static void read_metadata(const struct json *object, struct application *out)
{
	const struct json *metadata = json_get(object, "metadata"), *finalizers = json_get(metadata, "finalizers");
	const struct json *annotations = json_get(metadata, "annotations");
	const char *refresh = json_get_text(annotations, ANNOTATION_REFRESH);

	out->object = object;
	out->namespace = text_or(metadata, "namespace", "");
	out->name = text_or(metadata, "name", "");
	out->uid = text_or(metadata, "uid", "");
	out->resource_version = text_or(metadata, "resourceVersion", "");
	out->generation = json_get_int(metadata, "generation", 0);
	out->deleting = json_get_text(metadata, "deletionTimestamp") != NULL;
	out->status = json_get(object, "status");
	out->project = "";
	out->skip = span_is(json_text_span(json_get(annotations, ANNOTATION_SKIP_ARGO)), "true");
	for (size_t i = 0; i < json_count(finalizers); i++) {
		struct span one = json_text_span(json_at(finalizers, i));

		if (span_is(one, FINALIZER) || span_starts(one, FINALIZER_ARGO))
			out->finalizer = one.data;
	}
	if (!refresh)
		refresh = json_get_text(annotations, ANNOTATION_REFRESH_ARGO);
	if (refresh)
		out->refresh = !strcmp(refresh, "hard") ? REFRESH_HARD : REFRESH_NORMAL;
}

/* "https://git.example@evil.example/" would read as another host to a glob than to a client. */
static bool has_userinfo(struct span url)
{
	struct span authority;

	for (size_t i = 0; i + 2 < url.length; i++)
		if (!memcmp(url.data + i, "://", 3)) {
			url = span_from(url, i + 3);
			authority = span_cut(&url, '/');
			return span_index(authority, '@') >= 0;
		}
	return false;
}

static int read_source(const struct json *spec, struct application *out, struct error *err)
{
	static const char *const not_yet[] = { "chart", "ref", "kustomize", "helm", "plugin", "tagPrefix", NULL };
	static const char *const directory_not_yet[] = { "jsonnet", NULL };
	const struct json *source = json_get(spec, "source"), *directory = json_get(source, "directory");

	if (json_count(json_get(spec, "sources")))
		return unsupported(err, "spec.sources");
	if (!json_is(source, JSON_OBJECT))
		return invalid(err, "spec.source", "is missing");
	if (refuse_fields(source, "spec.source", not_yet, err) ||
	    refuse_fields(directory, "spec.source.directory", directory_not_yet, err) ||
	    check_text(source, "spec.source", "repoURL", err) || check_text(source, "spec.source", "path", err) ||
	    check_text(source, "spec.source", "targetRevision", err) ||
	    check_text(directory, "spec.source.directory", "include", err) ||
	    check_text(directory, "spec.source.directory", "exclude", err))
		return -1;
	out->repo_url = text_or(source, "repoURL", "");
	out->target_revision = text_or(source, "targetRevision", "");
	out->path = text_or(source, "path", ".");
	out->recurse = json_get_bool(directory, "recurse", false);
	out->include = text_or(directory, "include", "");
	out->exclude = text_or(directory, "exclude", "");
	if (!*out->repo_url)
		return invalid(err, "spec.source.repoURL", "is missing");
	if (strlen(out->target_revision) > LIMIT_GIT_REVISION_BYTES)
		return invalid(err, "spec.source.targetRevision", "is longer than 1024 bytes");
	if (has_userinfo(span_of(out->repo_url)))
		return invalid(err, "spec.source.repoURL", "carries a user name or password; credentials belong into a repository Secret");
	return 0;
}

static int read_destination(const struct json *spec, struct application *out, struct error *err)
{
	const struct json *destination = json_get(spec, "destination");
	const char *name = json_get_text(destination, "name");

	if (check_text(destination, "spec.destination", "server", err) ||
	    check_text(destination, "spec.destination", "namespace", err))
		return -1;
	out->destination_server = text_or(destination, "server", "");
	out->destination_namespace = text_or(destination, "namespace", "");
	if (name && *name && *out->destination_server)
		return invalid(err, "spec.destination", "has both server and name; give one");
	if (name && !strcmp(name, "in-cluster"))
		out->destination_server = IN_CLUSTER_SERVER;
	else if (name && *name)
		return unsupported(err, "spec.destination.name other than in-cluster");
	if (!*out->destination_server)
		return invalid(err, "spec.destination.server", "is missing");
	if (strcmp(out->destination_server, IN_CLUSTER_SERVER))
		return unsupported(err, "spec.destination.server other than " IN_CLUSTER_SERVER);
	return 0;
}

struct option {
	const char *text;
	size_t offset;
	int value;
	bool is_adopt;
};

#define FLAG(text, field, value) { text, offsetof(struct sync_options, field), value, false }

static const struct option options[] = {
	FLAG("CreateNamespace=true", create_namespace, true),
	FLAG("CreateNamespace=false", create_namespace, false),
	FLAG("Exact=true", exact, true),
	FLAG("Exact=false", exact, false),
	FLAG("PruneLast=true", prune_last, true),      /* always so here */
	FLAG("PruneLast=false", prune_last, false),
	FLAG("Validate=true", validate, true),
	FLAG("Validate=false", validate, false),
	FLAG("FailOnSharedResource=true", fail_on_shared, true), /* always so here */
	FLAG("Prune=false", prune_disabled, true),
	FLAG("Prune=true", prune_disabled, false),
	FLAG("Delete=false", delete_disabled, true),
	FLAG("Delete=true", delete_disabled, false),
	{ "Adopt=kubectl", 0, ADOPT_KUBECTL, true },
	{ "Adopt=never", 0, ADOPT_NEVER, true },
	{ "Adopt=any", 0, ADOPT_ANY, true },
};

/* What is so here anyway, whatever they say: an apply is server-side, ignored fields are respected, only differences are sent. */
static const char *const as_always[] = {
	"ServerSideApply=true", "RespectIgnoreDifferences=true", "ApplyOutOfSyncOnly=true", "ApplyOutOfSyncOnly=false",
	"SkipDryRunOnMissingResource=true", "ClientSideApplyMigration=true", "PrunePropagationPolicy=foreground",
	"PrunePropagationPolicy=background", "Replace=false", "Force=false",
};

int sync_option_read(struct span option, struct sync_options *out, struct error *err)
{
	option = span_trim(option);
	for (size_t i = 0; i < COUNT_OF(options); i++) {
		if (!span_is(option, options[i].text))
			continue;
		if (options[i].is_adopt)
			out->adopt = (enum adopt)options[i].value;
		else
			*(bool *)((char *)out + options[i].offset) = options[i].value;
		return 0;
	}
	for (size_t i = 0; i < COUNT_OF(as_always); i++)
		if (span_is(option, as_always[i]))
			return 0;
	return error_set(err, ERROR_INVALID, "NotSupported", "the sync option %.*s is not built yet; it is refused rather than "
			 "ignored", SPAN_ARG(span_sub(option, 0, 100)));
}

static int read_duration(const struct json *object, const char *key, int64_t *out_ms, struct error *err)
{
	const struct json *value = json_get(object, key);

	if (!value || json_is(value, JSON_NULL))
		return 0;
	if (!json_is(value, JSON_STRING) || !duration_parse(value->as.text, out_ms))
		return error_set(err, ERROR_INVALID, "InvalidSpec",
				 "spec.syncPolicy.retry.backoff.%s is no duration such as 5s or 3m", key);
	return 0;
}

static int read_retry(const struct json *policy, struct retry *out, struct error *err)
{
	const struct json *retry = json_get(policy, "retry"), *backoff = json_get(retry, "backoff");

	*out = (struct retry){ 5, 5000, 2, 180000 };
	out->limit = json_get_int(retry, "limit", out->limit);
	out->factor = json_get_int(backoff, "factor", out->factor);
	if (read_duration(backoff, "duration", &out->duration_ms, err) ||
	    read_duration(backoff, "maxDuration", &out->duration_max_ms, err))
		return -1;
	if (out->factor < 1)
		return invalid(err, "spec.syncPolicy.retry.backoff.factor", "is less than 1");
	if (out->duration_ms < 100)
		out->duration_ms = 100;
	/* a limit below it would be tries without a pause, for ever where there is no limit to those */
	if (out->duration_max_ms < out->duration_ms)
		out->duration_max_ms = out->duration_ms;
	return 0;
}

/* All of them, also those behind one that is refused: a deletion asks what may be deleted, whatever else is wrong. */
static int read_options(const struct json *spec, struct application *out, struct error *err)
{
	const struct json *list = json_path(spec, "syncPolicy", "syncOptions", NULL);
	int failed = 0;

	out->options = (struct sync_options){ .validate = true };
	for (size_t i = 0; i < json_count(list); i++) {
		struct span option = json_text_span(json_at(list, i));

		failed |= sync_option_read(option, &out->options, failed ? NULL : err);
		/* refused, since nobody could confirm it; until it is taken out nothing is deleted */
		out->options.delete_disabled |= span_is(span_trim(option), "Delete=confirm");
	}
	return failed;
}

static int read_policy(const struct json *spec, struct application *out, struct error *err)
{
	static const char *const not_yet[] = { "managedNamespaceMetadata", NULL };
	const struct json *policy = json_get(spec, "syncPolicy"), *automated = json_get(policy, "automated");

	if (refuse_fields(policy, "spec.syncPolicy", not_yet, err))
		return -1;
	out->automated = json_is(automated, JSON_OBJECT) && json_get_bool(automated, "enabled", true);
	out->prune = json_get_bool(automated, "prune", false);
	out->self_heal = json_get_bool(automated, "selfHeal", false);
	out->allow_empty = json_get_bool(automated, "allowEmpty", false);
	return read_retry(policy, &out->retry, err);
}

static const char **read_texts(const struct json *list, struct arena *arena)
{
	const char **texts = arena_calloc(arena, json_count(list) + 1, sizeof(char *));
	size_t count = 0;

	for (size_t i = 0; i < json_count(list); i++)
		if (json_text(json_at(list, i)))
			texts[count++] = json_text(json_at(list, i));
	return texts;
}

static int read_ignore(const struct json *spec, struct arena *arena, struct application *out, struct error *err)
{
	const struct json *list = json_get(spec, "ignoreDifferences");

	out->ignore_count = json_count(list);
	out->ignore = arena_calloc(arena, out->ignore_count, sizeof(struct ignore_rule));
	for (size_t i = 0; i < out->ignore_count; i++) {
		const struct json *from = json_at(list, i);

		if (json_count(json_get(from, "jqPathExpressions")))
			return unsupported(err, "spec.ignoreDifferences[].jqPathExpressions");
		out->ignore[i] = (struct ignore_rule){
			.group = json_get_text(from, "group"),
			.kind = json_get_text(from, "kind"),
			.name = json_get_text(from, "name"),
			.namespace = json_get_text(from, "namespace"),
			.pointers = read_texts(json_get(from, "jsonPointers"), arena),
			.managers = read_texts(json_get(from, "managedFieldsManagers"), arena),
		};
		/* all that we apply: then nothing would be put back, and nothing of it would be told */
		for (const char **manager = out->ignore[i].managers; *manager; manager++)
			if (!strcmp(*manager, "countersign"))
				return invalid(err, "spec.ignoreDifferences[].managedFieldsManagers[]", "names countersign itself: name the manager "
					       "whose fields are to be left alone");
		for (const char **pointer = out->ignore[i].pointers; *pointer; pointer++)
			if (**pointer != '/')
				return invalid(err, "spec.ignoreDifferences[].jsonPointers[]", "must begin with '/'");
	}
	return 0;
}

int application_decode(const struct json *object, struct arena *arena, struct application *out, struct error *err)
{
	static const char *const not_yet[] = { "sourceHydrator", NULL };
	const struct json *spec = json_get(object, "spec");
	struct error refused = ERROR_INIT;

	*out = (struct application){ 0 };
	read_metadata(object, out);
	read_options(spec, out, &refused);
	if (json_is(json_get(object, "operation"), JSON_OBJECT))
		out->operation = json_get(object, "operation");
	if (!json_is(spec, JSON_OBJECT))
		return invalid(err, "spec", "is missing");
	if (check_text(spec, "spec", "project", err))
		return -1;
	out->project = text_or(spec, "project", "default");
	if (!*out->project)
		out->project = "default";
	if (out->skip)
		return unsupported(err, "the annotation " ANNOTATION_SKIP_ARGO);
	if (refuse_fields(spec, "spec", not_yet, err) || read_source(spec, out, err) || read_destination(spec, out, err) ||
	    read_policy(spec, out, err))
		return -1;
	if (refused.reason[0])
		return error_set(err, refused.kind, refused.reason, "%s", refused.text);
	return read_ignore(spec, arena, out, err);
}
