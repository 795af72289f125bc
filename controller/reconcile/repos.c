/* Git repositories; see repos.h. The Git itself is in the source worker. */
#include "reconcile/repos.h"

#include <stdio.h>

#include "api/repository_secret.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/rand.h"
#include "io/file.h"
#include "reconcile/claims.h"
#include "reconcile/interests.h"
#include "reconcile/mirrors.h"
#include "reconcile/objects.h"
#include "reconcile/repo_jobs.h"
#include "reconcile/repo_refs.h"
#include "reconcile/run.h"
#include "reconcile/shares.h"
#include "source/git_url.h"
#include "source/source_job.h"

#define POLL_BACKOFF_MOST_MS 60000
#define TURN_MS 200                 /* and up to twice as long, until it is looked again whether fewer are asked */

struct want {                       /* one target revision of a repository */
	struct repo *repo;
	char *revision;
	char commit[COMMIT_HEX];    /* resolved and fetched; "" before */
	char coming[COMMIT_HEX];    /* resolved, being fetched */
	bool is_branch;             /* it names a branch, which may be rewritten; a tag or a range may go where it likes */
	int64_t found_ms;           /* when the answer that first told of `commit` was asked for */
	int64_t checked_ms;         /* when the answer that stands here was asked for; 0: never */
	struct error err;           /* reason "" while it resolves */
	struct interests interests;
	size_t telling;             /* new commits of which it is being found out whom they concern */
};

struct repo {
	struct repos *repos;
	char *url;
	char *shown;                /* the same without secrets */
	char folder[33];            /* its name in that of all mirrors */
	char *directory;
	struct repo_jobs *jobs;
	struct map wants;
	struct timer *timer;
	bool polling, again;
	bool proven;                /* its server answered the last time */
	int64_t asked_ms;
	int64_t look_ms;            /* its turn to be looked at, where there are many */
	unsigned failures;
	struct repo_refs *refs;
	bool asking;                /* what the revisions stand for */
	size_t fetching;
};

struct repos {
	struct core *core;
	struct map repos;           /* url -> struct repo */
	size_t polling, living;     /* how many servers are asked now what they have; processes of all */
	struct shares *fetches;     /* of projects: a pack takes as long as its server likes */
	int64_t look_ms;            /* the first turn that nobody has yet */
	struct mirrors *mirrors;
};

static struct span host_of(const char *url)
{
	struct span rest = span_of(url), authority;
	ptrdiff_t at;

	for (size_t i = 0; i + 2 < rest.length; i++)
		if (!memcmp(rest.data + i, "://", 3)) {
			rest = span_from(rest, i + 3);
			break;
		}
	authority = span_cut(&rest, '/');
	at = span_rindex(authority, '@');
	return span_from(authority, (size_t)(at + 1));
}

/* With what to get in. */
static void configure(void *data, struct str *request)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct repo *repo = data;
	const struct objects *objects = repo->repos->core->objects;
	const struct json *secret = objects_repository_secret(objects, repo->url);
	const char *ca = objects_ca(objects, host_of(repo->url));
	struct source_config config = { .url = repo->url, .directory = repo->directory, .ca = span_of(ca),
					.at_home = repo->repos->core->options->kubeconfig != NULL };
	struct repository_login login;

	repository_login_read(secret, arena, &login);
	config.username = login.username;
	config.password = login.password;
	config.bearer_token = login.bearer_token;
	config.client_cert = span_of(login.client_cert);
	config.client_key = span_of(login.client_key);
	source_configure_encode(&config, request);
}

/* --- resolving and fetching ---------------------------------------------------------------------------------------- */

static void poll_done(struct repo *repo);

static void set_error(struct want *want, const struct error *err)
{
	bool news = strcmp(want->err.text, err->text) || strcmp(want->err.reason, err->reason);

	want->err = *err;
	want->checked_ms = want->repo->asked_ms;
	if (news)
		log_error(LOG_WARN, "cannot read a repository", err, "url", want->repo->shown, "revision", want->revision, NULL);
	if (news)
		interests_tell_all(&want->interests);
	else
		interests_tell_waiting(&want->interests);
}

struct changed_call {
	struct repo *repo;
	char *revision;
};

/* The new commit's changes are known, or not to be had: then it concerns all. */
static void on_changed(void *data, struct span answer, int fd, const struct error *err)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct changed_call *call = data;
	struct want *want = map_get(&call->repo->wants, span_of(call->revision));
	struct source_changed_reply reply = { .all = true };

	fd_cleanup(&fd);
	if (!err && source_changed_reply_decode(answer, arena, &reply, NULL))
		reply.all = true;
	if (want && reply.all)
		interests_tell_all(&want->interests);
	else if (want)
		interests_tell_changed(&want->interests, reply.paths, reply.count);
	if (want)
		want->telling--;
	claims_no_news(call->repo->repos->core);
	free(call->revision);
	free(call);
}

/* Who reads something that this commit changes is told. */
static void tell_commit(struct want *want, const char *before)
{
	CLEANUP(str_release) struct str request = STR_INIT;
	struct source_changed_request changed;
	struct changed_call *call;

	interests_tell_waiting(&want->interests);
	if (!*before) {
		interests_tell_all(&want->interests);
		return;
	}
	memcpy(changed.from, before, sizeof(changed.from));
	memcpy(changed.to, want->commit, sizeof(changed.to));
	source_changed_encode(&changed, &request);
	call = mem_alloc(sizeof(*call));
	*call = (struct changed_call){ want->repo, mem_strdup(want->revision) };
	want->telling++;
	repo_jobs_send(want->repo->jobs, JOB_READS, &request, on_changed, call);
}

struct fetch_call {
	struct repo *repo;
	char *project, *ref;
	char commit[COMMIT_HEX];
};

static void take_commit(struct want *want, const char *commit)
{
	char before[COMMIT_HEX];
	bool failed = want->err.reason[0] != '\0';

	memcpy(before, want->commit, sizeof(before));
	want->err = (struct error)ERROR_INIT;
	want->checked_ms = want->repo->asked_ms;
	if (strcmp(before, commit)) {
		want->found_ms = want->repo->asked_ms;
		log_line(LOG_INFO, "new commit", "url", want->repo->shown, "revision", want->revision, "commit", commit, NULL);
	}
	snprintf(want->commit, sizeof(want->commit), "%s", commit);
	/* who failed with the repository has to look, whatever changed */
	tell_commit(want, failed ? "" : before);
}

static void on_fetched(void *data, struct span answer, int fd, const struct error *err)
{
	struct fetch_call *call = data;
	struct repo *repo = call->repo;
	struct source_fetch_reply reply;
	struct error bad = ERROR_INIT;

	fd_cleanup(&fd);
	if (!err && source_fetch_reply_decode(answer, &reply, &bad))
		err = &bad;
	MAP_EACH(entry, &repo->wants) {
		struct want *want = entry->value;

		if (strcmp(want->coming, call->commit))
			continue;
		want->coming[0] = '\0';
		if (err) {
			set_error(want, err);
			continue;
		}
		take_commit(want, call->commit);
	}
	repo->failures = err ? repo->failures + 1 : repo->failures;
	repo->fetching--;
	shares_give(repo->repos->fetches, call->project);
	free(call->project);
	free(call->ref);
	free(call);
	poll_done(repo);
}

static bool is_coming(const struct repo *repo, const char *commit)
{
	MAP_EACH(entry, &repo->wants)
		if (!strcmp(((struct want *)entry->value)->coming, commit))
			return true;
	return false;
}

static void send_fetch(void *data)
{
	CLEANUP(str_release) struct str request = STR_INIT;
	struct fetch_call *call = data;
	struct source_fetch_request fetch = { .ref = call->ref };

	memcpy(fetch.commit, call->commit, sizeof(fetch.commit));
	source_fetch_encode(&fetch, &request);
	repo_jobs_send(call->repo->jobs, JOB_ASKS, &request, on_fetched, call);
}

/* One that more than one project waits for is of the one that has least under way. */
static void fetch(struct want *want, const struct source_ref *ref)
{
	struct shares *shares = want->repo->repos->fetches;
	bool asked = is_coming(want->repo, ref->commit);
	struct fetch_call *call;

	memcpy(want->coming, ref->commit, sizeof(want->coming));
	if (asked)
		return;
	call = mem_alloc(sizeof(*call));
	call->repo = want->repo;
	call->project = mem_strdup(interests_project(&want->interests, shares));
	call->ref = mem_strdup(ref->ref);
	memcpy(call->commit, ref->commit, sizeof(call->commit));
	want->repo->fetching++;
	shares_take(shares, call->project, send_fetch, call);
}

static void take_ref(struct want *want, const struct source_ref *ref)
{
	bool was_failing = want->checked_ms == 0 || want->err.reason[0];

	if (ref->error.reason[0]) {
		set_error(want, &ref->error);
		return;
	}
	want->is_branch = span_starts(span_of(ref->ref), "refs/heads/") || !strcmp(ref->ref, "HEAD");
	if (strcmp(want->commit, ref->commit)) {
		fetch(want, ref);
		return;
	}
	want->err = (struct error)ERROR_INIT;
	want->checked_ms = want->repo->asked_ms;
	if (was_failing)
		interests_tell_all(&want->interests);
	else
		/* somebody asked for a fresh answer, and it is the same */
		interests_tell_waiting(&want->interests);
}

static void on_ref(void *data, const char *revision, const struct source_ref *ref, const struct error *err)
{
	struct want *want = map_get(&((struct repo *)data)->wants, span_of(revision));

	if (want && err)
		set_error(want, err);
	else if (want)
		take_ref(want, ref);
}

static void on_refs_end(void *data, const struct error *err)
{
	struct repo *repo = data;

	repo->failures = err ? repo->failures + 1 : 0;
	repo->proven = !err;
	repo->asking = false;
	repo->repos->polling--;
	poll_done(repo);
}

static void start_poll(struct repo *repo)
{
	const char **revisions = mem_calloc(repo->wants.count, sizeof(char *));
	size_t count = 0;

	repo->polling = repo->asking = true;
	repo->repos->polling++;
	repo->asked_ms = clock_mono_ms();
	MAP_EACH(entry, &repo->wants)
		revisions[count++] = ((struct want *)entry->value)->revision;
	repo_refs_ask(repo->refs, revisions, count);
	free(revisions);
}

static void want_free(struct want *want)
{
	interests_release(&want->interests);
	free(want->revision);
	free(want);
}

static void drop_unwanted(struct repo *repo)
{
	for (bool again = true; again;) {
		again = false;
		MAP_EACH(entry, &repo->wants) {
			struct want *want = entry->value;

			/* whoever joins before the changes are known would else meet a counter that begins anew */
			if (want->interests.count || want->telling)
				continue;
			map_remove(&repo->wants, span_of(want->revision));
			want_free(want);
			again = true;
			break;
		}
	}
}

/* Anybody may name any number of repositories, and servers that say nothing: those that answer do not wait for them. */
static bool is_turn_of(const struct repo *repo)
{
	return repo->repos->polling < (repo->proven ? LIMIT_GIT_POLLS : LIMIT_GIT_POLLS / 2);
}

static void on_timer(void *data)
{
	struct repo *repo = data;

	if (repo->polling) {
		repo->again = true;
		return;
	}
	drop_unwanted(repo);
	if (!repo->wants.count)
		repo_jobs_rest(repo->jobs);
	else if (!is_turn_of(repo))
		timer_start(repo->timer, TURN_MS + (int64_t)rand_below(TURN_MS));
	else if (!repo->repos->core->stopping)
		start_poll(repo);
}

/* With jitter of a tenth, so that many repositories of one server are not asked in one moment. */
static int64_t next_poll(const struct repo *repo)
{
	int64_t wait = repo->repos->core->options->poll_ms << (repo->failures < 6 ? repo->failures : 6);

	if (repo->failures && wait > POLL_BACKOFF_MOST_MS)
		wait = POLL_BACKOFF_MOST_MS;
	return wait + (int64_t)rand_below((uint64_t)(wait / 10 + 1));
}

/*
 * Past the processes that are kept each look starts one: then repositories take turns, and each is looked at the less often the more
 * there are. Who waits for an answer does not wait for that.
 */
static int64_t next_turn(struct repo *repo)
{
	int64_t now = clock_mono_ms(), at = now + next_poll(repo);
	struct repos *repos = repo->repos;

	if (repos->living <= LIMIT_GIT_IDLE_PROCESSES)
		return at - now;
	if (repo->look_ms < at) {
		repo->look_ms = at > repos->look_ms ? at : repos->look_ms;
		repos->look_ms = repo->look_ms + LIMIT_GIT_LOOK_EVERY_MS;
	}
	return repo->look_ms - now;
}

static void poll_done(struct repo *repo)
{
	if (repo->asking || repo->fetching)
		return;
	repo->polling = false;
	if (repo->again)
		timer_start(repo->timer, 0);
	else
		timer_start(repo->timer, next_turn(repo));
	repo->again = false;
}

/* --- the front ------------------------------------------------------------------------------------------------------- */

static void repo_free(struct repo *repo)
{
	MAP_EACH(entry, &repo->wants)
		want_free(entry->value);
	map_release(&repo->wants);
	repo_jobs_free(repo->jobs);
	timer_free(repo->timer);
	repo_refs_free(repo->refs);
	free(repo->url);
	free(repo->shown);
	free(repo->directory);
	free(repo);
}

static bool is_known(void *data)
{
	const struct core *core = ((struct repos *)data)->core;

	return core->leading && core->objects && objects_ready(core->objects);
}

/* One that is wanted no more goes; whoever wants it later makes it anew. */
static bool is_wanted(void *data, struct span name)
{
	struct repos *repos = data;

	MAP_EACH(entry, &repos->repos) {
		struct repo *repo = entry->value;

		if (!span_is(name, repo->folder))
			continue;
		drop_unwanted(repo);
		if (repo->wants.count || repo->polling || !repo_jobs_idle(repo->jobs))
			return true;
		map_remove(&repos->repos, span_of(repo->url));
		repo_free(repo);
		return false;
	}
	return false;
}

struct repos *repos_new(struct core *core)
{
	struct repos *repos = mem_alloc(sizeof(*repos));
	CLEANUP(str_release) struct str folder = STR_INIT;

	str_addf(&folder, "%s/mirrors", core->options->data_dir);
	repos->core = core;
	repos->fetches = shares_new(LIMIT_GIT_FETCHES);
	repos->mirrors = mirrors_new(core->loop, &(struct mirrors_of){ str_c(&folder), is_wanted, is_known, repos });
	return repos;
}

void repos_free(struct repos *repos)
{
	if (!repos)
		return;
	mirrors_free(repos->mirrors);
	MAP_EACH(entry, &repos->repos)
		repo_free(entry->value);
	map_release(&repos->repos);
	shares_free(repos->fetches);
	free(repos);
}

void repos_credentials_changed(struct repos *repos)
{
	MAP_EACH(entry, &repos->repos) {
		struct repo *repo = entry->value;

		repo_jobs_reconfigure(repo->jobs);
		repo->failures = 0;
		timer_start(repo->timer, 0);
	}
}

static struct repo *repo_get(struct repos *repos, const char *url)
{
	struct repo *repo = map_get(&repos->repos, span_of(url));
	struct digest digest;
	char hex[DIGEST_HEX];
	CLEANUP(str_release) struct str directory = STR_INIT;
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct error err = ERROR_INIT;

	if (repo)
		return repo;
	repo = mem_alloc(sizeof(*repo));
	digest = digest_of(span_of(url));
	digest_hex(&digest, hex);
	snprintf(repo->folder, sizeof(repo->folder), "%.32s", hex);
	str_addf(&directory, "%s/mirrors/%s", repos->core->options->data_dir, repo->folder);
	/* the worker may write below this folder and nowhere else; the mirror within it may be made anew */
	if (dir_make(str_c(&directory), &err))
		log_error(LOG_ERROR, "no folder for a mirror", &err, NULL);
	str_adds(&directory, "/mirror");
	repo->repos = repos;
	repo->url = mem_strdup(url);
	repo->shown = mem_strdup(git_url_redact(url, arena));
	repo->directory = str_take(&directory);
	repo->jobs = repo_jobs_new(&(struct repo_jobs_of){ repos->core->workers, repos->core->loop, repo->directory, configure, repo,
						       &repos->living });
	repo->refs = repo_refs_new(&(struct repo_refs_of){ repo->jobs, on_ref, on_refs_end, repo });
	repo->timer = timer_new(repos->core->loop, on_timer, repo);
	map_set(&repos->repos, span_of(url), repo);
	return repo;
}

struct repo_jobs *repos_jobs(struct repos *repos, const char *url)
{
	return repo_get(repos, url)->jobs;
}

static struct want *want_get(struct repo *repo, const char *revision)
{
	struct want *want = map_get(&repo->wants, span_of(revision));

	if (want)
		return want;
	want = mem_alloc(sizeof(*want));
	want->repo = repo;
	want->revision = mem_strdup(revision);
	map_set(&repo->wants, span_of(revision), want);
	return want;
}

enum repo_state repos_resolve(struct repos *repos, struct app *app, const char *url, const char *revision, int64_t since_ms,
			      char commit[65], struct error *err)
{
	struct repo *repo;
	struct want *want;

	if (strlen(revision) > LIMIT_GIT_REVISION_BYTES) {
		error_set(err, ERROR_INVALID, "RevisionNotFound", "a revision of %zu bytes, more than %u", strlen(revision), LIMIT_GIT_REVISION_BYTES);
		return REPO_FAILED;
	}
	repo = repo_get(repos, url);
	want = want_get(repo, revision);
	interests_join(&want->interests, app, app_spec(app)->path);
	if (want->checked_ms && want->checked_ms >= since_ms && !want->coming[0]) {
		if (want->err.reason[0]) {
			*err = want->err;
			return REPO_FAILED;
		}
		snprintf(commit, 65, "%s", want->commit);
		return REPO_READY;
	}
	interests_wait(app);
	if (repo->polling && repo->asked_ms >= since_ms && want->checked_ms)
		return REPO_WAITING;
	if (repo->polling)
		repo->again = true;
	else
		timer_start(repo->timer, 0);
	return REPO_WAITING;
}

bool repos_known(const struct repos *repos, const struct app *app, char commit[65])
{
	const struct repo *repo = map_get(&repos->repos, span_of(app->brief.repo_url));
	const struct want *want = repo ? map_get(&repo->wants, span_of(app->brief.target_revision)) : NULL;

	if (!want || !interests_has(&want->interests, app) || want->err.reason[0])
		return false;
	snprintf(commit, 65, "%s", want->coming[0] ? want->coming : want->commit);
	return true;
}

bool repos_is_branch(const struct repos *repos, const char *url, const char *revision)
{
	const struct repo *repo = map_get(&repos->repos, span_of(url));
	const struct want *want = repo ? map_get(&repo->wants, span_of(revision)) : NULL;

	return want && want->is_branch;
}

bool repos_told(const struct repos *repos, const struct app *app)
{
	const struct repo *repo = map_get(&repos->repos, span_of(app->brief.repo_url));
	const struct want *want = repo ? map_get(&repo->wants, span_of(app->brief.target_revision)) : NULL;

	return want && !want->coming[0] && !want->telling;
}

int64_t repos_found_ms(const struct repos *repos, const char *url, const char *revision)
{
	const struct repo *repo = map_get(&repos->repos, span_of(url));
	const struct want *want = repo ? map_get(&repo->wants, span_of(revision)) : NULL;

	return want ? want->found_ms : 0;
}
