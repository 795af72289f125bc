/* Paths and who reads them; see interests.h. */
#include "reconcile/interests.h"

#include "base/pool.h"
#include "reconcile/app.h"
#include "reconcile/run.h"
#include "reconcile/shares.h"

/* One of those of one path, with the path. */
struct interest_path {
	struct interest *first;
	char text[];                                  /* clean; "": the root, and whatever is not clean */
};

struct interest {
	struct interests *of;
	struct app *app;
	struct interest_path *path;
	struct interest *next, *before;               /* of all */
	struct interest *path_next, *path_before;     /* of this path */
	bool waiting;
};

static struct span path_key(const void *thing)
{
	const struct interest_path *path = thing;

	return span_of(path->text);
}

/* No empty parts and no "."; what is absolute or goes up is answered by source, so that any change is its concern. */
static char *clean(const char *path)
{
	CLEANUP(str_release) struct str out = STR_INIT;
	struct span rest = span_of(path ? path : "");

	if (span_starts(rest, "/"))
		return mem_strdup("");
	while (rest.data) {
		struct span part = span_cut(&rest, '/');

		if (!part.length || span_is(part, "."))
			continue;
		if (span_is(part, ".."))
			return mem_strdup("");
		if (out.length)
			str_addc(&out, '/');
		str_add(&out, part);
	}
	return mem_strdup(str_c(&out));
}

static struct interest_path *path_get(struct interests *interests, const char *text)
{
	struct interest_path *path = keyset_get(&interests->paths, span_of(text));
	size_t size = strlen(text) + 1;

	if (path)
		return path;
	path = pool_alloc(sizeof(*path) + size);
	memcpy(path->text, text, size);
	interests->paths.key_of = path_key;
	keyset_add(&interests->paths, path);
	return path;
}

static void index_add(struct interest *interest, const char *path)
{
	interest->path = path_get(interest->of, path);
	interest->path_next = interest->path->first;
	if (interest->path_next)
		interest->path_next->path_before = interest;
	interest->path->first = interest;
}

static void index_remove(struct interest *interest)
{
	if (interest->path_next)
		interest->path_next->path_before = interest->path_before;
	if (interest->path_before)
		interest->path_before->path_next = interest->path_next;
	else
		interest->path->first = interest->path_next;
	if (interest->path->first)
		return;
	keyset_remove(&interest->of->paths, path_key(interest->path));
	pool_free(interest->path, sizeof(*interest->path) + strlen(interest->path->text) + 1);
}

bool interests_has(const struct interests *interests, const struct app *app)
{
	return app->interest && app->interest->of == interests;
}

void interests_join(struct interests *interests, struct app *app, const char *path)
{
	CLEANUP(mem_cleanup) char *wanted = clean(path);
	struct interest *interest = app->interest;

	if (interests_has(interests, app) && !strcmp(interest->path->text, wanted))
		return;
	interests_leave(app);
	interest = app->interest = pool_alloc(sizeof(*interest));
	*interest = (struct interest){ .of = interests, .app = app, .next = interests->first };
	if (interest->next)
		interest->next->before = interest;
	interests->first = interest;
	interests->count++;
	index_add(interest, wanted);
}

void interests_wait(struct app *app)
{
	app->interest->of->waiting += !app->interest->waiting;
	app->interest->waiting = true;
}

void interests_leave(struct app *app)
{
	struct interest *interest = TAKE(app->interest);

	if (!interest)
		return;
	index_remove(interest);
	if (interest->next)
		interest->next->before = interest->before;
	if (interest->before)
		interest->before->next = interest->next;
	else
		interest->of->first = interest->next;
	interest->of->count--;
	interest->of->waiting -= interest->waiting;
	pool_free(interest, sizeof(*interest));
}

static void tell(struct interest *interest)
{
	interest->of->waiting -= interest->waiting;
	interest->waiting = false;
	interest->app->news = true;
	if (interest->app->run)
		run_wake(interest->app->run);
	/* one that waits for just this needs no other behind it */
	if (!interest->app->run || !interest->app->run->resolving)
		app_enqueue(interest->app, 0);
}

void interests_tell_waiting(struct interests *interests)
{
	for (struct interest *interest = interests->first; interest && interests->waiting; interest = interest->next)
		if (interest->waiting)
			tell(interest);
}

void interests_tell_all(struct interests *interests)
{
	for (struct interest *interest = interests->first; interest; interest = interest->next)
		tell(interest);
}

static void tell_path(struct interests *interests, struct span path)
{
	const struct interest_path *at = keyset_get(&interests->paths, path);

	for (struct interest *interest = at ? at->first : NULL; interest; interest = interest->path_next)
		tell(interest);
}

void interests_tell_changed(struct interests *interests, const char *const *files, size_t count)
{
	CLEANUP(map_release) struct map told = MAP_INIT;

	/* what is not in order may come to be by any commit, as by a kind that another Application brings */
	for (struct interest *interest = interests->first; interest; interest = interest->next)
		if (!interest->app->settled)
			tell(interest);
	for (size_t i = 0; i < count; i++) {
		struct span folder = span_of(files[i]);

		/* the file itself too: it may stand where a folder was */
		while (!map_has(&told, folder)) {
			ptrdiff_t slash = span_rindex(folder, '/');

			map_set(&told, folder, interests);
			tell_path(interests, folder);
			if (!folder.length)
				break;
			folder = slash < 0 ? span_sub(folder, 0, 0) : span_sub(folder, 0, (size_t)slash);
		}
	}
}

const char *interests_project(const struct interests *interests, const struct shares *shares)
{
	const char *best = NULL, *last = NULL;
	size_t least = 0;

	for (const struct interest *interest = interests->first; interest; interest = interest->next) {
		const char *project = interest->app->brief.project;
		size_t found;

		/* mostly they are all of one, and its name is shared (base/name.h) */
		if (!project || project == last)
			continue;
		last = project;
		found = shares_of(shares, project);
		if (!best || found < least) {
			best = project;
			least = found;
		}
	}
	return best ? best : "";
}

void interests_release(struct interests *interests)
{
	while (interests->first)
		interests_leave(interests->first->app);
	keyset_release(&interests->paths);
}
