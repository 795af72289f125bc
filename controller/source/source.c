/* The worker: a session and a switch over the kinds of jobs. */
#include "source/source.h"

#include <curl/curl.h>

#include "base/limits.h"
#include "source/git_http.h"
#include "source/git_url.h"
#include "source/mirror.h"
#include "source/refs.h"
#include "source/tree_changed.h"
#include "source/tree_job.h"

struct session {
	struct git_http *http;
	struct mirror mirror;
	struct history_memo memo;
	bool configured;
	struct error unfit;            /* why it is not, once it was tried */
	struct str folder;             /* that holds the mirror; empty before it is configured */
	struct str reads;              /* a reader: the mirror; empty otherwise */
	bool speaks_v2;         /* known from an earlier answer: refs can be asked for at once */
	char defective[COMMIT_HEX]; /* has a bad object in the repository itself: no new mirror helps */
};

void *source_session_new(void)
{
	struct session *session = mem_alloc(sizeof(*session));

	curl_global_init(CURL_GLOBAL_DEFAULT);
	mirror_library_init();
	session->http = git_http_new();
	return session;
}

void source_session_free(void *data)
{
	struct session *session = data;

	if (!session)
		return;
	mirror_close(&session->mirror);
	history_memo_release(&session->memo);
	git_http_free(session->http);
	str_release(&session->folder);
	str_release(&session->reads);
	free(session);
}

const char *source_folder(const void *data, bool *writable)
{
	const struct session *session = data;

	*writable = !session->reads.length;
	return session->folder.length ? str_c(&session->folder) : NULL;
}

/* --- jobs --------------------------------------------------------------------------------------------------------- */

static void set_folder(struct session *session, struct span directory)
{
	ptrdiff_t slash = span_rindex(directory, '/');

	str_reset(&session->folder);
	str_add(&session->folder, slash > 0 ? span_sub(directory, 0, (size_t)slash) : SPAN("."));
}

static int do_configure(struct session *session, const struct source_config *config, struct error *err)
{
	bool rebuilt;

	session->configured = session->speaks_v2 = false;
	str_reset(&session->reads);
	if (!config->directory[0])
		return error_set(err, ERROR_INTERNAL, "BadFrame", "a repository without a mirror directory");
	if (!config->url[0]) {
		str_adds(&session->reads, config->directory);
		set_folder(session, span_of(config->directory));
		session->configured = true;
		return 0;
	}
	if (git_http_configure(session->http, config, err) ||
	    mirror_open(&session->mirror, config->directory, git_http_url(session->http), &rebuilt, err))
		return -1;
	history_memo_release(&session->memo);
	set_folder(session, span_of(config->directory));
	session->configured = true;
	return 0;
}

static int ask_v2(struct session *session, const struct source_refs_request *request, struct arena *arena, struct git_refs *out,
		  struct error *err)
{
	CLEANUP(str_release) struct str question = STR_INIT, body = STR_INIT;

	ls_refs_request(request, &question);
	if (git_http_fetch(session->http, GIT_REQUEST_RPC, 2, str_span(&question), &body, err))
		return -1;
	/* names are borrowed from the body, which goes */
	return ls_refs_parse(arena_span(arena, str_span(&body)), arena, out, err);
}

/* The greeting tells the generation; an old server's has the refs already. */
static int ask_server(struct session *session, const struct source_refs_request *request, struct arena *arena, struct git_refs *out,
		      struct error *err)
{
	CLEANUP(str_release) struct str body = STR_INIT;
	struct advertisement greeting;

	if (session->speaks_v2 && !ask_v2(session, request, arena, out, NULL))
		return 0;
	session->speaks_v2 = false;
	if (git_http_fetch(session->http, GIT_REQUEST_REFS, 2, SPAN0, &body, err) ||
	    advertisement_parse(arena_span(arena, str_span(&body)), arena, &greeting, err))
		return -1;
	if (greeting.version != 2) {
		*out = greeting.refs;
		return 0;
	}
	if (ask_v2(session, request, arena, out, err))
		return -1;
	session->speaks_v2 = true;
	return 0;
}

static bool needs_server(const struct source_refs_request *request)
{
	for (size_t i = 0; i < request->count; i++)
		if (!revision_is_commit(request->revisions[i]))
			return true;
	return false;
}

static int do_refs(struct session *session, const struct source_refs_request *request, struct arena *arena, struct str *reply,
		   struct error *err)
{
	struct source_refs_reply answer = { arena_calloc(arena, request->count, sizeof(struct source_ref)), request->count };
	struct git_refs refs = { NULL, 0 };

	if (needs_server(request) && ask_server(session, request, arena, &refs, err))
		return -1;
	for (size_t i = 0; i < request->count; i++) {
		refs_resolve(&refs, request->revisions[i], arena, &answer.refs[i]);
		if (!answer.refs[i].commit[0])
			error_wrap(&answer.refs[i].error, "%s", git_http_url(session->http));
	}
	source_refs_reply_encode(&answer, reply);
	return 0;
}

static int do_fetch(struct session *session, const struct source_fetch_request *request, struct str *reply, struct error *err)
{
	struct source_fetch_reply answer;

	if (mirror_fetch(&session->mirror, session->http, request, &answer, err))
		return -1;
	if (answer.rebuilt)
		history_memo_release(&session->memo);
	source_fetch_reply_encode(&answer, reply);
	return 0;
}

static int read_tree(struct session *session, const struct source_tree_request *request, struct arena *arena,
		     struct source_tree_reply *out, int *reply_fd, struct error *err)
{
	if (!session->mirror.repository || session->mirror.broken)
		return error_set(err, ERROR_TRANSIENT, "CommitMissing", "the mirror is to be made anew");
	return tree_job(session->mirror.repository, &session->memo, request, arena, out, reply_fd, err);
}

/* Fetches the commit and reads again; an object that is bad in a new mirror is bad in the repository. */
static int fetch_and_read(struct session *session, const struct source_tree_request *request, struct arena *arena,
			  struct source_tree_reply *out, int *reply_fd, struct error *err)
{
	struct source_fetch_request fetch = { .ref = "" };
	struct source_fetch_reply fetched;
	struct error own = ERROR_INIT;

	memcpy(fetch.commit, request->commit, COMMIT_HEX);
	if (mirror_fetch(&session->mirror, session->http, &fetch, &fetched, err))
		return -1;
	history_memo_release(&session->memo);
	if (!read_tree(session, request, arena, out, reply_fd, &own))
		return 0;
	if (strcmp(own.reason, "BadObject") != 0)
		return error_set(err, own.kind, own.reason, "%s", own.text);
	memcpy(session->defective, request->commit, COMMIT_HEX);
	return error_set(err, ERROR_INVALID, "BadObject", "commit %s is defective in the repository itself: %s", request->commit, own.text);
}

/*
 * A commit that is not there (any more) is fetched, and an object that is
 * missing or not as it should be makes the mirror anew: core need not know.
 */
static int do_tree(struct session *session, const struct source_tree_request *request, struct arena *arena, struct str *reply,
		   int *reply_fd, struct error *err)
{
	struct source_tree_reply answer;
	struct error own = ERROR_INIT;

	if (read_tree(session, request, arena, &answer, reply_fd, &own)) {
		bool bad = strcmp(own.reason, "BadObject") == 0, defective = strcmp(request->commit, session->defective) == 0;

		if ((!bad && strcmp(own.reason, "CommitMissing") != 0) || (bad && defective))
			return error_set(err, defective ? ERROR_INVALID : own.kind, own.reason, "%s", own.text);
		session->mirror.broken |= bad;
		if (fetch_and_read(session, request, arena, &answer, reply_fd, err))
			return -1;
	}
	source_tree_reply_encode(&answer, reply);
	return 0;
}

static int tell_changed(git_repository *repository, const struct source_changed_request *request, struct arena *arena, struct str *reply,
			struct error *err)
{
	struct source_changed_reply answer;

	if (tree_changed_job(repository, request, arena, &answer, err))
		return -1;
	source_changed_reply_encode(&answer, reply);
	return 0;
}

/* A mirror that is not as it should be is made anew by the next tree job; until then everything may have changed. */
static int do_changed(struct session *session, const struct source_changed_request *request, struct arena *arena, struct str *reply,
		      struct error *err)
{
	if (!session->mirror.repository || session->mirror.broken)
		return error_set(err, ERROR_TRANSIENT, "CommitMissing", "the mirror is to be made anew");
	return tell_changed(session->mirror.repository, request, arena, reply, err);
}

/* --- a reader's part ---------------------------------------------------------------------------------------------- */

/* Opened for each job: the packs may be others by now. */
static int serve_reader(struct session *session, const struct source_job *job, struct arena *arena, struct str *reply, int *reply_fd,
			struct error *err)
{
	CLEANUP(mirror_view_close) struct mirror_view view = MIRROR_VIEW_INIT;
	struct source_tree_reply answer;

	if (job->kind != SOURCE_TREE && job->kind != SOURCE_CHANGED)
		return error_set(err, ERROR_INTERNAL, "OnlyReads", "this source worker asks no server");
	if (mirror_view_open(&view, str_c(&session->reads), err))
		return -1;
	if (job->kind == SOURCE_CHANGED)
		return tell_changed(view.repository, &job->as.changed, arena, reply, err);
	if (tree_job(view.repository, &session->memo, &job->as.tree, arena, &answer, reply_fd, err))
		return -1;
	source_tree_reply_encode(&answer, reply);
	return 0;
}

static int serve(struct session *session, const struct source_job *job, struct arena *arena, struct str *reply, int *reply_fd,
		 struct error *err)
{
	if (job->kind == SOURCE_CONFIGURE) {
		session->unfit = (struct error)ERROR_INIT;
		if (!do_configure(session, &job->as.configure, &session->unfit))
			return 0;
		*err = session->unfit;
		return -1;
	}
	if (!session->configured && session->unfit.reason[0])
		return error_set(err, session->unfit.kind, session->unfit.reason, "%s", session->unfit.text);
	if (!session->configured)
		return error_set(err, ERROR_INTERNAL, "NotConfigured", "a source worker's first job must configure it");
	if (session->reads.length)
		return serve_reader(session, job, arena, reply, reply_fd, err);
	switch (job->kind) {
	case SOURCE_REFS: return do_refs(session, &job->as.refs, arena, reply, err);
	case SOURCE_FETCH: return do_fetch(session, &job->as.fetch, reply, err);
	case SOURCE_CHANGED: return do_changed(session, &job->as.changed, arena, reply, err);
	default: return do_tree(session, &job->as.tree, arena, reply, reply_fd, err);
	}
}

int source_serve(void *session, struct span request, int request_fd, struct str *reply, int *reply_fd, struct error *err)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct source_job job;
	struct error own = ERROR_INIT;

	(void)request_fd;
	if (!source_job_decode(request, arena, &job, &own) && !serve(session, &job, arena, reply, reply_fd, &own))
		return 0;
	/* the last door: whatever a library put into a message, no user information of a URL leaves */
	git_text_redact(own.text);
	if (err)
		*err = own;
	return -1;
}
