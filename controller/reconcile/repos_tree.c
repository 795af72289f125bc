/* The files of a commit, from the source worker of its repository; see repos.h. */
#include <stdio.h>

#include "base/error.h"
#include "reconcile/repo_jobs.h"
#include "reconcile/repos.h"
#include "source/source_job.h"

struct tree_call {
	void (*on_done)(void *, const struct tree_answer *, const struct error *);
	void *data;
};

static void on_tree(void *data, struct span answer, int fd, const struct error *err)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct tree_call *call = data;
	struct source_tree_reply reply;
	struct tree_answer out = { .fd = -1 };
	struct error bad = ERROR_INIT;

	if (!err && source_tree_reply_decode(answer, arena, &reply, &bad))
		err = &bad;
	if (!err && reply.changed != (fd >= 0)) {
		error_set(&bad, ERROR_INTERNAL, "BadFrame", "the source worker sent no files");
		err = &bad;
	}
	if (err) {
		fd_cleanup(&fd);
		call->on_done(call->data, NULL, err);
	} else {
		out.input = reply.input;
		out.unchanged = !reply.changed;
		out.rewritten = reply.rewritten;
		out.fd = fd;
		snprintf(out.revision, sizeof(out.revision), "%s", reply.revision);
		out.author = arena_printf(arena, "%s <%s>", reply.author.name, reply.author.email);
		out.subject = reply.subject;
		out.committed_s = reply.committer.time_s;
		call->on_done(call->data, &out, NULL);
	}
	free(call);
}

void repos_tree(struct repos *repos, const struct tree_request *request,
		void (*on_done)(void *data, const struct tree_answer *answer, const struct error *err), void *data)
{
	CLEANUP(str_release) struct str bytes = STR_INIT;
	struct source_tree_request tree = { .path = request->path, .recurse = request->recurse, .include = request->include,
					    .exclude = request->exclude, .previous = request->previous };
	struct tree_call *call = mem_alloc(sizeof(*call));

	*call = (struct tree_call){ on_done, data };
	snprintf(tree.commit, sizeof(tree.commit), "%s", request->commit);
	snprintf(tree.base, sizeof(tree.base), "%s", request->base ? request->base : "");
	source_tree_encode(&tree, &bytes);
	repo_jobs_send(repos_jobs(repos, request->url), JOB_READS, &bytes, on_tree, call);
}
