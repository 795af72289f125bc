/* `countersign get`; see person.h. */
#include <stdio.h>

#include "api/image_policy.h"
#include "api/project.h"
#include "base/clock.h"
#include "base/yaml.h"
#include "cli/cli.h"
#include "cli/person.h"
#include "cli/person_kube.h"
#include "cli/text.h"
#include "source/git_url.h"

enum format { FORMAT_TABLE, FORMAT_WIDE, FORMAT_JSON, FORMAT_YAML, FORMAT_NAME };

struct view {
	struct arena *arena;
	enum format format;
	int64_t now_ns;
	struct table table;
};

struct listing {
	const char *words;             /* how a person may call it, between spaces */
	const char *resource, *singular, *title;
	const char *const *headers, *const *wide;
	void (*row)(struct view *view, const struct json *object);
};

static void cell(struct view *view, const struct json *value)
{
	table_add(&view->table, json_text(value));
}

static void age(struct view *view, const struct json *object)
{
	table_add(&view->table, text_age_of(view->arena, json_text(json_path(object, "metadata", "creationTimestamp", NULL)), view->now_ns));
}

/* Texts of a list, or of one field of its objects, with commas between. */
static const char *joined(struct view *view, const struct json *list, const char *field)
{
	CLEANUP(str_release) struct str text = STR_INIT;

	for (size_t i = 0; i < json_count(list); i++) {
		struct span one = json_text_span(field ? json_get(json_at(list, i), field) : json_at(list, i));

		if (text.length)
			str_addc(&text, ',');
		str_add(&text, one);
	}
	return arena_strndup(view->arena, str_span(&text));
}

/* --- one row each --------------------------------------------------------------------------------------------------- */

static const struct json *condition(const struct json *object, const char *type)
{
	const struct json *list = json_path(object, "status", "conditions", NULL);

	for (size_t i = 0; i < json_count(list); i++)
		if (span_is(json_text_span(json_get(json_at(list, i), "type")), type))
			return json_at(list, i);
	return NULL;
}

static void application_row(struct view *view, const struct json *object)
{
	const struct json *status = json_get(object, "status");
	const char *repo_url = json_text(json_path(object, "spec", "source", "repoURL", NULL));

	cell(view, json_path(object, "metadata", "name", NULL));
	cell(view, json_path(object, "spec", "project", NULL));
	cell(view, json_path(status, "sync", "status", NULL));
	cell(view, json_path(status, "health", "status", NULL));
	cell(view, json_get(condition(object, "Verified"), "status"));
	table_add(&view->table, text_revision(view->arena, json_text(json_path(status, "sync", "revision", NULL))));
	age(view, object);
	if (view->format != FORMAT_WIDE)
		return;
	table_add(&view->table, text_revision(view->arena, json_get_text(status, "appliedRevision")));
	table_add(&view->table, git_url_redact(repo_url ? repo_url : "", view->arena));
	cell(view, json_path(object, "spec", "source", "path", NULL));
	cell(view, json_get(condition(object, "Ready"), "message"));
}

static void project_row(struct view *view, const struct json *object)
{
	const struct json *spec = json_get(object, "spec");
	struct error err = ERROR_INIT;
	struct project project;
	bool valid = !project_decode(object, view->arena, &project, &err);

	cell(view, json_path(object, "metadata", "name", NULL));
	table_add(&view->table, valid ? "True" : "False");
	table_add(&view->table, joined(view, json_get(spec, "sourceRepos"), NULL));
	table_add(&view->table, joined(view, json_get(spec, "destinations"), "namespace"));
	age(view, object);
	if (view->format != FORMAT_WIDE)
		return;
	table_add(&view->table, joined(view, json_get(spec, "destinationServiceAccounts"), "defaultServiceAccount"));
	table_add(&view->table, valid ? json_get_text(spec, "description") : err.text);
}

static void policy_row(struct view *view, const struct json *object)
{
	const struct json *spec = json_get(object, "spec");
	struct image_policy policy;

	image_policy_decode(object, view->arena, &policy);
	cell(view, json_path(object, "metadata", "name", NULL));
	table_add(&view->table, policy.problem.reason[0] ? "False" : "True");
	table_add(&view->table, json_get(spec, "mode") ? json_get_text(spec, "mode") : "enforce");
	table_add(&view->table, joined(view, json_get(spec, "images"), "glob"));
	age(view, object);
	if (view->format != FORMAT_WIDE)
		return;
	table_add(&view->table, joined(view, json_get(spec, "authorities"), "name"));
	table_add(&view->table, joined(view, json_get(spec, "exemptions"), "glob"));
	table_add(&view->table, policy.problem.reason[0] ? policy.problem.text : "");
}

static const char *const application_headers[] = { "NAME", "PROJECT", "SYNC", "HEALTH", "VERIFIED", "REVISION", "AGE", NULL };
static const char *const application_wide[] = { "NAME", "PROJECT", "SYNC", "HEALTH", "VERIFIED", "REVISION", "AGE", "APPLIED",
						"REPOSITORY", "PATH", "MESSAGE", NULL };
static const char *const project_headers[] = { "NAME", "VALID", "REPOSITORIES", "NAMESPACES", "AGE", NULL };
static const char *const project_wide[] = { "NAME", "VALID", "REPOSITORIES", "NAMESPACES", "AGE", "ACCOUNTS", "DESCRIPTION", NULL };
static const char *const policy_headers[] = { "NAME", "VALID", "MODE", "IMAGES", "AGE", NULL };
static const char *const policy_wide[] = { "NAME", "VALID", "MODE", "IMAGES", "AGE", "AUTHORITIES", "EXEMPTIONS", "PROBLEM", NULL };

static const struct listing listings[] = {
	{ " apps app applications application csapp ", "applications", "application", "Applications", application_headers,
	  application_wide, application_row },
	{ " projects project csproj ", "projects", "project", "Projects", project_headers, project_wide, project_row },
	{ " policies policy imagepolicies imagepolicy cspol ", "imagepolicies", "imagepolicy", "ImagePolicies", policy_headers,
	  policy_wide, policy_row },
};

static const struct listing *listing_of(const char *word)
{
	char spaced[64];

	snprintf(spaced, sizeof(spaced), " %s ", word);
	for (size_t i = 0; i < COUNT_OF(listings); i++)
		if (strstr(listings[i].words, spaced))
			return &listings[i];
	return NULL;
}

/* --- output --------------------------------------------------------------------------------------------------------- */

static void print_object(struct view *view, struct json *object, struct str *out)
{
	if (view->format == FORMAT_YAML) {
		yaml_write(object, out);
		return;
	}
	json_write(object, JSON_PRETTY, out);
	if (out->length && out->data[out->length - 1] != '\n')
		str_addc(out, '\n');
}

static void print_names(const struct listing *listing, const struct json *items, struct str *out)
{
	for (size_t i = 0; i < json_count(items); i++)
		str_addf(out, "%s.countersign.dev/%s\n", listing->singular,
			 json_text(json_path(json_at(items, i), "metadata", "name", NULL)));
}

static void print_table(struct view *view, const struct listing *listing, const struct json *items, struct str *out)
{
	table_begin(&view->table, view->arena, view->format == FORMAT_WIDE ? listing->wide : listing->headers);
	for (size_t i = 0; i < json_count(items); i++)
		listing->row(view, json_at(items, i));
	table_print(&view->table, out);
}

/* `answer` is a list, or with `one` an object. */
static int print_answer(struct view *view, const struct listing *listing, struct json *answer, bool one)
{
	CLEANUP(str_release) struct str out = STR_INIT;
	struct json *items = json_get(answer, "items");

	if (one) {
		items = json_array(view->arena);
		json_append(view->arena, items, answer);
	}
	for (size_t i = 0; i < json_count(items); i++)
		json_remove(json_get(json_at(items, i), "metadata"), "managedFields");
	if (view->format == FORMAT_JSON || view->format == FORMAT_YAML)
		print_object(view, answer, &out);
	else if (view->format == FORMAT_NAME)
		print_names(listing, items, &out);
	else if (json_count(items))
		print_table(view, listing, items, &out);
	return person_print(&out);
}

/* --- the command ---------------------------------------------------------------------------------------------------- */

static int take_option(void *data, int which, const char *value)
{
	static const char *const names[] = { "table", "wide", "json", "yaml", "name" };
	enum format *format = data;

	(void)which;
	for (size_t i = 0; i < COUNT_OF(names); i++)
		if (!strcmp(value, names[i])) {
			*format = (enum format)i;
			return 0;
		}
	return cli_fail(EXIT_USAGE, "formats are wide, json, yaml and name", "-o %s", value);
}

/* `get`, `get apps`, `get apps shop`, and since it is what people type, `get shop`. */
static int choose(const char **words, const struct listing **listing, const char **name)
{
	*listing = words[0] ? listing_of(words[0]) : &listings[0];
	*name = words[1];
	if (*listing)
		return 0;
	if (words[1])
		return cli_fail(EXIT_USAGE, "there are apps, projects and policies", "get %s", words[0]);
	*listing = &listings[0];
	*name = words[0];
	return 0;
}

int cli_get(int argc, char **argv)
{
	static const struct option options[] = { PERSON_OPTIONS, { "output", required_argument, NULL, 'o' }, { NULL, 0, NULL, 0 } };
	static const struct person_syntax syntax = { "get", "n:o:", options, take_option, 0, 2, "" };
	CLEANUP(person_close) struct person person = { 0 };
	struct view view = { .now_ns = clock_wall_ns() };
	struct person_options common;
	const struct listing *listing;
	const char *words[2] = { NULL, NULL }, *name;
	struct error err = ERROR_INIT;
	struct json *answer;
	int status = person_parse(argc, argv, &syntax, &view.format, &common, words);

	if (status || (status = choose(words, &listing, &name)))
		return status;
	if (person_open(&common, &person, &err))
		return person_fail(&person, &err);
	view.arena = person.arena;
	if (name ? person_get(&person, person_path(&person, listing->resource, name), &answer, &err)
		 : person_list(&person, person_path(&person, listing->resource, NULL), &answer, &err))
		return person_fail(&person, &err);
	if (!name && !json_count(json_get(answer, "items")))
		fprintf(stderr, "there are no %s in namespace %s\n", listing->title, person.namespace);
	return print_answer(&view, listing, answer, name != NULL);
}
