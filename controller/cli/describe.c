/* `countersign describe`; see person.h. For a person who was woken by it: what runs, what does not, why, and what to do. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"
#include "cli/advice.h"
#include "cli/cli.h"
#include "cli/person.h"
#include "cli/person_kube.h"
#include "cli/text.h"
#include "source/git_url.h"

#define EVENTS_SHOWN 12
#define WIDTH_DEFAULT 100
#define WIDTH_LEAST 50
#define WIDTH_MOST 140

struct page {
	struct arena *arena;
	const struct json *app, *spec, *status;
	int64_t now_ns;
	unsigned width;
	struct str out;
};

/* --- parts ---------------------------------------------------------------------------------------------------------- */

static void line(struct page *page, const char *name, const char *value)
{
	if (!value || !*value)
		return;
	str_addf(&page->out, "%-14s", name);
	text_clean(span_of(value), &page->out);
	str_addc(&page->out, '\n');
}

static void head(struct page *page, const char *title)
{
	str_addf(&page->out, "\n%s\n", title);
}

static const char *at(const struct json *object, const char *key)
{
	const char *text = json_get_text(object, key);

	return text ? text : "";
}

static const char *ago(struct page *page, const char *time)
{
	const char *age = text_age_of(page->arena, time, page->now_ns);

	return *age ? arena_printf(page->arena, "%s (%s ago)", time, age) : "";
}

/* "Deployment shop/web" */
static const char *title_of(struct page *page, const struct json *object)
{
	const char *namespace = at(object, "namespace");

	return arena_printf(page->arena, "%s %s%s%s", at(object, "kind"), namespace, *namespace ? "/" : "", at(object, "name"));
}

static const char *policy_text(struct page *page)
{
	const struct json *policy = json_get(page->spec, "syncPolicy"), *automated = json_get(policy, "automated");
	const struct json *list = json_get(policy, "syncOptions");
	CLEANUP(str_release) struct str text = STR_INIT;

	if (!json_is(automated, JSON_OBJECT) || !json_get_bool(automated, "enabled", true))
		str_adds(&text, "by hand (countersign sync)");
	else
		str_addf(&text, "automated, prune %s, self-heal %s", json_get_bool(automated, "prune", false) ? "on" : "off",
			 json_get_bool(automated, "selfHeal", false) ? "on" : "off");
	for (size_t i = 0; i < json_count(list); i++)
		str_addf(&text, "%s%.*s", i ? ", " : "; ", SPAN_ARG(json_text_span(json_at(list, i))));
	return arena_strndup(page->arena, str_span(&text));
}

static void add_summary(struct page *page)
{
	const struct json *metadata = json_get(page->app, "metadata"), *source = json_get(page->spec, "source");
	const struct json *destination = json_get(page->spec, "destination");
	const char *revision = at(source, "targetRevision"), *path = at(source, "path"), *project = at(page->spec, "project");
	const char *server = at(destination, "server");

	line(page, "Application", arena_printf(page->arena, "%s/%s", at(metadata, "namespace"), at(metadata, "name")));
	line(page, "Project", *project ? project : "default");
	line(page, "Source", git_url_redact(at(source, "repoURL"), page->arena));
	line(page, "", arena_printf(page->arena, "folder %s at %s", *path ? path : ".", *revision ? revision : "HEAD"));
	line(page, "Destination", arena_printf(page->arena, "%s, namespace %s", *server ? server : at(destination, "name"),
					      *at(destination, "namespace") ? at(destination, "namespace") : "of each object"));
	line(page, "Sync policy", policy_text(page));
	line(page, "Deleting", ago(page, at(metadata, "deletionTimestamp")));
}

static void add_state(struct page *page)
{
	const struct json *sync = json_get(page->status, "sync"), *summary = json_get(page->status, "summary");
	const char *compared = at(sync, "revision"), *applied = at(page->status, "appliedRevision");
	bool differ = *compared && *applied && strcmp(compared, applied);

	line(page, "Sync", at(sync, "status"));
	line(page, "Health", at(json_get(page->status, "health"), "status"));
	line(page, "Compared", *compared ? compared : "nothing yet");
	line(page, "Applied", !*applied ? "nothing yet" : differ ? arena_printf(page->arena, "%s: not what was compared", applied) : applied);
	if (json_get(summary, "objects"))
		line(page, "Objects", arena_printf(page->arena, "%lld", (long long)json_get_int(summary, "objects", 0)));
}

/* Ready sums up, and Synced often has Verified's reason: what was told already is not told again. */
static const char *message_of(struct page *page, const struct json *condition, struct span *told, size_t told_count)
{
	struct span message = span_of(at(condition, "message"));

	for (size_t i = 0; i < told_count; i++)
		if (told[i].length > 40 && span_ends(message, told[i].data))
			return arena_printf(page->arena, "%.*s(as above)", SPAN_ARG(span_sub(message, 0, message.length - told[i].length)));
	return message.length ? message.data : "";
}

static void add_conditions(struct page *page)
{
	static const char *const types[] = { "Verified", "Synced", "Healthy", "Ready" };
	struct span told[COUNT_OF(types)];

	head(page, "Conditions");
	for (size_t i = 0; i < COUNT_OF(types); i++) {
		const struct json *condition = advice_condition(page->app, types[i]);

		told[i] = span_of(at(condition, "message"));
		str_addf(&page->out, "  %-9s ", types[i]);
		if (!condition) {
			str_adds(&page->out, "not told yet\n");
			continue;
		}
		text_clean(span_of(arena_printf(page->arena, "%-8s %s, since %s", at(condition, "status"), at(condition, "reason"),
						ago(page, at(condition, "lastTransitionTime")))), &page->out);
		str_addc(&page->out, '\n');
		text_wrap(span_of(message_of(page, condition, told, i)), 12, page->width, &page->out);
	}
}

static void add_images(struct page *page)
{
	const struct json *images = json_path(page->status, "summary", "images", NULL);

	if (!json_count(images))
		return;
	head(page, "Images that run");
	for (size_t i = 0; i < json_count(images); i++)
		text_wrap(json_text_span(json_at(images, i)), 2, page->width, &page->out);
}

static void add_resources(struct page *page)
{
	const struct json *list = json_get(page->status, "resources");

	if (!json_count(list))
		return;
	head(page, "Objects that are not in order");
	for (size_t i = 0; i < json_count(list); i++) {
		const struct json *one = json_at(list, i);

		text_wrap(span_of(arena_printf(page->arena, "%s: %s%s", title_of(page, one), at(one, "status"),
					       json_get_bool(one, "requiresPruning", false) ? ", is no longer in Git" : "")),
			  2, page->width, &page->out);
		text_wrap(span_of(at(one, "message")), 6, page->width, &page->out);
	}
}

static void add_extras(struct page *page)
{
	static const char *const headers[] = { "  OBJECT", "PATH", "MANAGER", "TIME", NULL };
	const struct json *list = json_get(page->status, "extras");
	struct table table;

	if (!json_count(list))
		return;
	head(page, "What others added");
	table_begin(&table, page->arena, headers);
	for (size_t i = 0; i < json_count(list); i++) {
		const struct json *one = json_at(list, i);

		table_add(&table, arena_printf(page->arena, "  %s", title_of(page, one)));
		table_add(&table, at(one, "path"));
		table_add(&table, at(one, "manager"));
		table_add(&table, ago(page, at(one, "time")));
	}
	table_print(&table, &page->out);
}

static void add_failed(struct page *page, const struct json *resources)
{
	for (size_t i = 0; i < json_count(resources); i++) {
		const struct json *one = json_at(resources, i);

		if (!span_is(json_text_span(json_get(one, "status")), "SyncFailed"))
			continue;
		text_wrap(span_of(arena_printf(page->arena, "%s: %s", title_of(page, one), at(one, "message"))), 6, page->width,
			  &page->out);
	}
}

static void add_operation(struct page *page)
{
	const struct json *state = json_get(page->status, "operationState"), *result = json_get(state, "syncResult");
	const struct json *by = json_path(state, "operation", "initiatedBy", NULL);
	const char *who = at(by, "username"), *revision = text_revision(page->arena, at(result, "revision"));

	if (!json_is(state, JSON_OBJECT))
		return;
	head(page, "Last operation");
	text_wrap(span_of(arena_printf(page->arena, "%s%s%s, asked for by %s", at(state, "phase"), *revision ? ", revision " : "", revision,
				       *who ? who : "the controller (automated)")),
		  2, page->width, &page->out);
	text_wrap(span_of(arena_printf(page->arena, "%s", ago(page, at(state, "finishedAt")))), 2, page->width, &page->out);
	text_wrap(span_of(at(state, "message")), 2, page->width, &page->out);
	add_failed(page, json_get(result, "resources"));
}

/* --- events --------------------------------------------------------------------------------------------------------- */

static const char *event_time(const struct json *event)
{
	const char *last = json_text(json_path(event, "series", "lastObservedTime", NULL));

	if (!last)
		last = json_get_text(event, "eventTime");
	if (!last)
		last = json_get_text(event, "deprecatedLastTimestamp");
	return last ? last : "";
}

static int by_time(const void *a, const void *b)
{
	const struct json *const *x = a, *const *y = b;

	return strcmp(event_time(*y), event_time(*x));
}

static void add_events(struct page *page, const struct json *list)
{
	size_t count = json_count(list);
	const struct json **events = arena_calloc(page->arena, count + 1, sizeof(*events));

	if (!count)
		return;
	for (size_t i = 0; i < count; i++)
		events[i] = json_at(list, i);
	qsort(events, count, sizeof(*events), by_time);
	head(page, "Events, the newest first");
	for (size_t i = 0; i < count && i < EVENTS_SHOWN; i++) {
		text_wrap(span_of(arena_printf(page->arena, "%s ago  %s %s", text_age_of(page->arena, event_time(events[i]), page->now_ns),
					       at(events[i], "type"), at(events[i], "reason"))), 2, page->width, &page->out);
		text_wrap(span_of(at(events[i], "note")), 6, page->width, &page->out);
	}
}

/* Events are a courtesy: that they may not be read is no reason to tell nothing. */
static void ask_events(struct person *person, struct page *page, const char *name)
{
	CLEANUP(str_release) struct str path = STR_INIT;
	struct error err = ERROR_INIT;
	struct json *list;

	str_adds(&path, "/apis/events.k8s.io/v1/namespaces/");
	url_escape(span_of(person->namespace), &path);
	str_adds(&path, "/events?fieldSelector=regarding.kind%3DApplication%2Cregarding.name%3D");
	url_escape(span_of(name), &path);
	if (!person_list(person, str_c(&path), &list, &err)) {
		add_events(page, json_get(list, "items"));
		return;
	}
	head(page, "Events");
	text_wrap(span_of(arena_printf(page->arena, "cannot be read: %s", err.text)), 2, page->width, &page->out);
}

/* --- the command ---------------------------------------------------------------------------------------------------- */

static void add_advice(struct page *page)
{
	const char **steps = NULL;
	size_t count = 0;

	advice_of(page->app, page->arena, &steps, &count);
	if (!count)
		return;
	head(page, "What to do next");
	for (size_t i = 0; i < count; i++)
		text_wrap(span_of(steps[i]), 2, page->width, &page->out);
}

static unsigned terminal_width(void)
{
	struct winsize size;

	if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || !size.ws_col)
		return WIDTH_DEFAULT;
	return size.ws_col < WIDTH_LEAST ? WIDTH_LEAST : size.ws_col > WIDTH_MOST ? WIDTH_MOST : size.ws_col;
}

static int show(struct person *person, const struct json *app, const char *name)
{
	struct page page = { .arena = person->arena, .app = app, .spec = json_get(app, "spec"), .status = json_get(app, "status"),
			     .now_ns = clock_wall_ns(), .width = terminal_width(), .out = STR_INIT };
	int status;

	add_summary(&page);
	add_state(&page);
	add_conditions(&page);
	add_images(&page);
	add_resources(&page);
	add_extras(&page);
	add_operation(&page);
	ask_events(person, &page, name);
	add_advice(&page);
	status = person_print(&page.out);
	str_release(&page.out);
	return status;
}

int cli_describe(int argc, char **argv)
{
	static const struct option options[] = { PERSON_OPTIONS, { NULL, 0, NULL, 0 } };
	static const struct person_syntax syntax = { "describe", "n:", options, NULL, 1, 1, "the name of an Application" };
	CLEANUP(person_close) struct person person = { 0 };
	struct person_options common;
	struct error err = ERROR_INIT;
	const char *words[1] = { NULL };
	struct json *app;
	int status = person_parse(argc, argv, &syntax, NULL, &common, words);

	if (status)
		return status;
	if (person_open(&common, &person, &err) || person_application(&person, words[0], &app, &err))
		return person_fail(&person, &err);
	return show(&person, app, words[0]);
}
