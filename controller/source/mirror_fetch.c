/* Getting one commit, by ever wider questions; see mirror.h. */
#include <stdio.h>

#include "base/digest.h"
#include "base/limits.h"
#include "source/git_error.h"
#include "source/mirror.h"
#include "source/object.h"
#include "source/transport.h"

enum there { THERE_NOT, THERE, THERE_TOO_LARGE };

/* Whether the commit and its tree are there, and may be read at all. */
static enum there find_commit(git_repository *repository, const git_oid *id)
{
	git_commit *commit = NULL;
	git_tree *tree = NULL;
	bool there = !object_commit(repository, id, &commit) && !object_tree(repository, git_commit_tree_id(commit), &tree);

	const git_error *last = there ? NULL : git_error_last();

	git_tree_free(tree);
	git_commit_free(commit);
	return there ? THERE : last && last->klass == GIT_ERROR_NOMEMORY ? THERE_TOO_LARGE : THERE_NOT;
}

/* To ask any server for it is of no use. */
static int too_large(struct git_http *http, const struct source_fetch_request *request, struct error *err)
{
	return git_error_to(err, ERROR_LIMIT, "TooLarge", "%s: commit %.12s", git_http_url(http), request->commit);
}

static void remote_cleanup(git_remote **remote)
{
	git_remote_free(*remote);
}

/* libgit2's failure: ours if it came from below, else what the pack or the protocol suffered. */
static int download_error(const struct transport_session *session, const char *url, struct error *err)
{
	if (session->failed)
		return error_set(err, session->err.kind, session->err.reason, "%s", session->err.text);
	return git_error_to(err, ERROR_TRANSIENT, "FetchFailed", "%s: the pack is cut, corrupt or not to be had", url);
}

/* Downloads what the refspecs name; what arrives is in the object database, no reference is touched. */
static int download(struct mirror *mirror, struct git_http *http, char **refspecs, size_t count, struct source_fetch_reply *reply,
		    struct error *err)
{
	struct transport_session session = { .http = http, .err = ERROR_INIT, .directory = mirror->directory,
					     .mirror_bytes = mirror_bytes(mirror) };
	git_remote_create_options create;
	git_fetch_options options;
	CLEANUP(remote_cleanup) git_remote *remote = NULL;
	git_strarray specs = { refspecs, count };
	int rc;

	git_remote_create_options_init(&create, GIT_REMOTE_CREATE_OPTIONS_VERSION);
	git_fetch_options_init(&options, GIT_FETCH_OPTIONS_VERSION);
	create.repository = mirror->repository;
	create.flags = GIT_REMOTE_CREATE_SKIP_INSTEADOF | GIT_REMOTE_CREATE_SKIP_DEFAULT_FETCHSPEC;
	if (git_remote_create_with_opts(&remote, git_http_url(http), &create))
		return git_error_to(err, ERROR_INTERNAL, "MirrorError", "%s", git_http_url(http));
	options.callbacks.transport = source_transport_new;
	options.callbacks.payload = &session;
	options.download_tags = GIT_REMOTE_DOWNLOAD_TAGS_NONE;
	options.update_fetchhead = 0;
	options.proxy_opts.type = GIT_PROXY_NONE;
	rc = git_remote_download(remote, &specs, &options);
	git_remote_disconnect(remote);
	reply->received_bytes += session.received_bytes;
	reply->fetched = true;
	return rc ? download_error(&session, git_http_url(http), err) : 0;
}

/* A reference of ours, so that the next fetch tells the server that we have this commit. */
static void keep(struct mirror *mirror, const char *ref, const git_oid *id)
{
	struct digest digest = digest_of(span_of(ref));
	git_reference *reference = NULL;
	char hex[DIGEST_HEX], name[DIGEST_HEX + 32];

	digest_hex(&digest, hex);
	snprintf(name, sizeof(name), "refs/countersign/%.40s", hex);
	/* that it fails costs bytes at the next fetch, no more */
	if (!git_reference_create(&reference, mirror->repository, name, id, 1, NULL))
		git_reference_free(reference);
}

static bool is_transport_error(const struct error *err)
{
	return strcmp(err->reason, "FetchFailed") != 0;
}

/* By its reference, then by its name (many servers allow it), then with all there is. */
static int fetch_missing(struct mirror *mirror, struct git_http *http, const struct source_fetch_request *request,
			 const git_oid *id, struct source_fetch_reply *reply, struct error *err)
{
	char by_ref[LIMIT_GIT_PATH_BYTES + 64], by_id[COMMIT_HEX], heads[] = "+refs/heads/*:refs/heads/*", tags[] = "+refs/tags/*:refs/tags/*";
	char *first[] = { by_ref }, *second[] = { by_id }, *third[] = { heads, tags };
	bool named = request->ref && request->ref[0];
	struct error by_id_error = ERROR_INIT;
	enum there there;

	if (named && strlen(request->ref) > LIMIT_GIT_PATH_BYTES)
		return error_set(err, ERROR_INVALID, "RevisionNotFound", "a reference name of %zu bytes", strlen(request->ref));
	snprintf(by_ref, sizeof(by_ref), "+%s:refs/countersign/wanted", named ? request->ref : "");
	memcpy(by_id, request->commit, COMMIT_HEX);
	if (named && download(mirror, http, first, 1, reply, err))
		return -1;
	there = find_commit(mirror->repository, id);
	if (there)
		return there == THERE ? 0 : too_large(http, request, err);
	if (download(mirror, http, second, 1, reply, &by_id_error) && is_transport_error(&by_id_error))
		return error_set(err, by_id_error.kind, by_id_error.reason, "%s", by_id_error.text);
	there = find_commit(mirror->repository, id);
	if (there)
		return there == THERE ? 0 : too_large(http, request, err);
	if (named)
		return error_set(err, ERROR_TRANSIENT, "RevisionMoved", "%s: %s moved away from commit %s while it was fetched",
				 git_http_url(http), request->ref, request->commit);
	if (download(mirror, http, third, 2, reply, err))
		return -1;
	there = find_commit(mirror->repository, id);
	if (there)
		return there == THERE ? 0 : too_large(http, request, err);
	return error_set(err, ERROR_INVALID, "RevisionNotFound", "%s has no commit %s on any branch or tag", git_http_url(http),
			 request->commit);
}

/* Whether a reference of ours names a commit that cannot be read: the mirror, not the server, is why a fetch failed. */
static bool has_lost_commits(git_repository *repository)
{
	git_reference_iterator *each = NULL;
	git_reference *reference = NULL;
	bool lost = git_reference_iterator_glob_new(&each, repository, "refs/countersign/*") != 0;
	int rc = 0;

	while (!lost && !(rc = git_reference_next(&reference, each))) {
		const git_oid *id = git_reference_target(reference);

		lost = !id || find_commit(repository, id) == THERE_NOT;
		git_reference_free(reference);
	}
	git_reference_iterator_free(each);
	return lost || rc != GIT_ITEROVER;
}

/* Opens the mirror where it is not, or is known to be broken. */
static int ensure_open(struct mirror *mirror, struct source_fetch_reply *reply, struct error *err)
{
	CLEANUP(mem_cleanup) char *directory = mem_strdup(mirror->directory);
	CLEANUP(mem_cleanup) char *url = mem_strdup(mirror->url);

	if (mirror->repository && !mirror->broken)
		return 0;
	return mirror_open(mirror, directory, url, &reply->rebuilt, err);
}

/* A mirror that lost what it says it has is made anew, once. */
static int fetch_or_rebuild(struct mirror *mirror, struct git_http *http, const struct source_fetch_request *request,
			    const git_oid *id, struct source_fetch_reply *reply, struct error *err)
{
	struct error own = ERROR_INIT;

	if (!fetch_missing(mirror, http, request, id, reply, &own))
		return 0;
	mirror->broken = !is_transport_error(&own) && has_lost_commits(mirror->repository);
	if (mirror->broken)
		return ensure_open(mirror, reply, err) || fetch_missing(mirror, http, request, id, reply, err) ? -1 : 0;
	if (err)
		*err = own;
	return -1;
}

int mirror_fetch(struct mirror *mirror, struct git_http *http, const struct source_fetch_request *request,
		 struct source_fetch_reply *reply, struct error *err)
{
	struct source_fetch_reply answer = { .fetched = false };
	enum there there;
	git_oid id;

	ASSERT(mirror->directory && commit_is_hex(request->commit));
	git_oid_fromstr(&id, request->commit);
	if (ensure_open(mirror, &answer, err))
		return -1;
	there = find_commit(mirror->repository, &id);
	if (there == THERE_TOO_LARGE)
		return too_large(http, request, err);
	if (there) {
		*reply = answer;
		return 0;
	}
	if (mirror_packs(mirror) >= LIMIT_GIT_PACKS)
		mirror_consolidate(mirror);
	if (ensure_open(mirror, &answer, err) || fetch_or_rebuild(mirror, http, request, &id, &answer, err))
		return -1;
	if (answer.fetched)
		keep(mirror, request->ref && request->ref[0] ? request->ref : request->commit, &id);
	*reply = answer;
	return 0;
}
