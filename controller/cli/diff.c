/*
 * `countersign diff`; see person.h. Each object is sent as the controller would, as a server-side apply that the API server only tries
 * (dryRun=All), under the person's own rights; its answer against the live object is the difference.
 */
#include <stdio.h>

#include "base/encode.h"
#include "base/yaml.h"
#include "cli/checkout.h"
#include "cli/cli.h"
#include "cli/expected.h"
#include "cli/folder.h"
#include "cli/person.h"
#include "cli/review.h"
#include "cli/text.h"
#include "cli/unidiff.h"
#include "diff/fields.h"
#include "diff/ignore.h"
#include "diff/patch.h"
#include "kube/client.h"
#include "source/git_url.h"

#define EXIT_ERROR 2            /* of diff, as of diff(1) */

enum { OPTION_LOCAL = OPTION_OWN };

struct diff {
	struct person person;
	struct application app;
	struct expectation expectation;
	const char *local;             /* NULL: the repository */
	const char *revision;          /* "" for a local folder */
	const char *side;              /* how the new side is called: "Git 1234567890" */
	struct str out;
	bool differs, failed;
};

static int take_option(void *data, int which, const char *value)
{
	struct diff *diff = data;

	(void)which;
	diff->local = value;
	return 0;
}

/* --- one object ----------------------------------------------------------------------------------------------------- */

static const char *title(struct diff *diff, const char *kind, const char *namespace, const char *name)
{
	CLEANUP(str_release) struct str clean = STR_INIT;

	text_clean(span_of(arena_printf(diff->person.arena, "%s %s%s%s", kind, namespace, *namespace ? "/" : "", name)), &clean);
	return arena_strndup(diff->person.arena, str_span(&clean));
}

static void note(struct diff *diff, const char *what, const char *text)
{
	str_addf(&diff->out, "# %s: %s\n", what, text);
	diff->differs = true;
}

static void fail(struct diff *diff, const struct expected *expected, const struct error *err)
{
	cli_fail(EXIT_ERROR, NULL, "%s (%s:%u): %s", title(diff, expected->kind_name, expected->namespace, expected->name), expected->path,
		 expected->line, err->text);
	diff->failed = true;
}

/* Keys in the order of the live object's, so that only what differs shows. */
static void to_yaml(const struct json *object, struct arena *arena, struct str *out)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	struct json *sorted;

	if (!object)
		return;
	json_write(object, JSON_SORTED, &text);
	if (!json_parse(arena_span(arena, str_span(&text)), arena, 0, &sorted, NULL))
		yaml_write(sorted, out);
}

/* Either may be NULL: made, or deleted. Both are changed. */
static void show(struct diff *diff, const char *what, struct json *before, struct json *after)
{
	CLEANUP(str_release) struct str old = STR_INIT, new = STR_INIT;
	struct arena *arena = diff->person.arena;

	if (before)
		review_trim(before);
	if (after)
		review_trim(after);
	review_mask(before, after, arena);
	to_yaml(before, arena, &old);
	to_yaml(after, arena, &new);
	if (unidiff(str_span(&old), str_span(&new), before ? arena_printf(arena, "live: %s", what) : "/dev/null",
		    after ? arena_printf(arena, "%s: %s", diff->side, what) : "/dev/null", &diff->out))
		diff->differs = true;
}

static int get_live(struct diff *diff, const char *path, struct json **out, struct error *err)
{
	struct error own = ERROR_INIT;

	*out = NULL;
	if (!person_get(&diff->person, path, out, &own) || own.kind == ERROR_NOT_FOUND)
		return 0;
	*err = own;
	return -1;
}

/* What the object would be; *out NULL when its namespace is still to come. */
static int try_apply(struct diff *diff, const char *path, const struct json *object, struct json **out, struct error *err)
{
	CLEANUP(str_release) struct str body = STR_INIT;
	struct error own = ERROR_INIT;

	*out = NULL;
	json_write(object, JSON_PLAIN, &body);
	if (!person_request(&diff->person, "PATCH",
			    arena_printf(diff->person.arena, "%s?fieldManager=" FIELD_MANAGER "&force=true&dryRun=All", path),
			    KUBE_APPLY_PATCH, str_span(&body), out, &own) || own.kind == ERROR_NOT_FOUND)
		return 0;
	*err = own;
	return -1;
}

/* What the Application leaves to others shows on neither side. `live` may be NULL. */
static void leave_ignored(struct diff *diff, struct json *live, struct json *merged)
{
	const struct json *as_was = live ? json_copy(diff->person.arena, live) : NULL;

	if (live)
		ignore_apply(&diff->app, live, as_was, &diff->expectation.custom, diff->person.arena);
	ignore_apply(&diff->app, merged, as_was, &diff->expectation.custom, diff->person.arena);
}

static void compare(struct diff *diff, const struct expected *expected)
{
	struct arena *arena = diff->person.arena;
	const char *what = title(diff, expected->kind_name, expected->namespace, expected->name), *path, *foreign;
	struct error err = ERROR_INIT;
	struct json *live, *sent = json_copy(arena, expected->object), *merged;

	if (!expected->kind) {
		show(diff, what, NULL, sent);
		note(diff, what, "the API server does not know this kind; it is shown as it stands in its file");
		return;
	}
	path = kube_path(arena, expected->kind, expected->namespace, expected->name);
	if (get_live(diff, path, &live, &err)) {
		fail(diff, expected, &err);
		return;
	}
	ignore_apply(&diff->app, sent, live, &diff->expectation.custom, arena);
	if (try_apply(diff, path, sent, &merged, &err)) {
		fail(diff, expected, &err);
		return;
	}
	if (!merged) {
		show(diff, what, live, sent);
		note(diff, what, "its namespace does not exist yet; it is shown as it stands in its file");
		return;
	}
	foreign = live ? patch_foreign(merged, sent, &diff->expectation.custom, arena).pointer : "";
	leave_ignored(diff, live, merged);
	show(diff, what, live, merged);
	if (*foreign)
		note(diff, what, arena_printf(arena, "%s is not in Git; a sync takes it out unless its image passes the policies", foreign));
}

/* --- what would go --------------------------------------------------------------------------------------------------- */

static bool is_expected(const struct diff *diff, const struct inventory_item *item)
{
	for (size_t i = 0; i < diff->expectation.count; i++) {
		const struct expected *one = &diff->expectation.objects[i];

		if (!strcmp(one->name, item->name) && !strcmp(one->kind_name, item->kind) && !strcmp(one->group, item->group) &&
		    !strcmp(one->namespace, item->namespace))
			return true;
	}
	return false;
}

static void compare_gone(struct diff *diff, const struct inventory_item *item)
{
	/* as the controller looks for it: the version in which it was applied may be served no longer */
	const struct kube_kind *kind = discovery_find(diff->person.discovery, span_of(item->group), NULL, span_of(item->kind));
	const char *what = title(diff, item->kind, item->namespace, item->name);
	struct error err = ERROR_INIT;
	struct json *live;

	if (!kind)
		return;
	if (get_live(diff, kube_path(diff->person.arena, kind, item->namespace, item->name), &live, &err)) {
		cli_fail(EXIT_ERROR, NULL, "%s: %s", what, err.text);
		diff->failed = true;
	} else if (live && item->no_prune) {
		str_addf(&diff->out, "# %s: is no longer in Git; it stays, as its sync option Prune=false says (kubectl delete takes it away)\n", what);
	} else if (live && (!diff->app.automated || !diff->app.prune || diff->app.options.prune_disabled)) {
		str_addf(&diff->out, "# %s: is no longer in Git; it stays, since pruning is off (countersign sync --prune deletes it)\n", what);
	} else if (live) {
		show(diff, what, live, NULL);
	}
}

static void compare_all(struct diff *diff)
{
	const struct inventory *inventory = &diff->expectation.inventory;

	for (size_t i = 0; i < diff->expectation.count; i++)
		compare(diff, &diff->expectation.objects[i]);
	for (size_t i = 0; i < inventory->count; i++)
		if (!is_expected(diff, &inventory->items[i]))
			compare_gone(diff, &inventory->items[i]);
}

/* --- the command ----------------------------------------------------------------------------------------------------- */

static int read_files(struct diff *diff, struct tree_stream *files, struct error *err)
{
	struct tree_options options = { "", diff->app.recurse, diff->app.include, diff->app.exclude };
	struct checkout checkout;

	if (diff->local) {
		diff->revision = "";
		diff->side = diff->local;
		return folder_read(diff->local, &options, diff->person.arena, files, err);
	}
	if (checkout_files(&diff->person, &diff->app, &checkout, err)) {
		if (checkout.warning)
			fprintf(stderr, "warning: %s\n", checkout.warning);
		return error_wrap(err, "%s (--local DIR compares with a folder instead)",
				  git_url_redact(diff->app.repo_url, diff->person.arena));
	}
	diff->revision = checkout.revision;
	diff->side = arena_printf(diff->person.arena, "Git %.10s", checkout.revision);
	*files = checkout.files;
	return 0;
}

static int prepare(struct diff *diff, const char *name, struct error *err)
{
	struct rendered rendered;
	struct tree_stream files;
	struct json *object;

	if (person_application(&diff->person, name, &object, err) ||
	    application_decode(object, diff->person.arena, &diff->app, err) || read_files(diff, &files, err) ||
	    render_files(&files, diff->person.arena, &rendered, NULL, err) || person_discover(&diff->person, err) ||
	    expected_objects(&diff->person, &diff->app, &rendered, diff->revision, &diff->expectation, err))
		return -1;
	if (diff->expectation.warning)
		fprintf(stderr, "warning: %s\n", diff->expectation.warning);
	return 0;
}

static int run(struct diff *diff, const char *name)
{
	struct error err = ERROR_INIT;

	if (prepare(diff, name, &err)) {
		person_fail(&diff->person, &err);
		return EXIT_ERROR;
	}
	compare_all(diff);
	if (person_print(&diff->out) || diff->failed)
		return EXIT_ERROR;
	return diff->differs ? EXIT_DIFFERS : EXIT_DONE;
}

int cli_diff(int argc, char **argv)
{
	static const struct option options[] = { PERSON_OPTIONS, { "local", required_argument, NULL, OPTION_LOCAL }, { NULL, 0, NULL, 0 } };
	static const struct person_syntax syntax = { "diff", "n:", options, take_option, 1, 1, "the name of an Application" };
	struct diff diff = { .out = STR_INIT };
	struct person_options common;
	struct error err = ERROR_INIT;
	const char *words[1] = { NULL };
	int status = person_parse(argc, argv, &syntax, &diff, &common, words);

	if (status)
		return status;
	if (person_open(&common, &diff.person, &err)) {
		person_fail(&diff.person, &err);
		status = EXIT_ERROR;
	} else {
		status = run(&diff, words[0]);
	}
	person_close(&diff.person);
	str_release(&diff.out);
	return status;
}
