/* tree.h, history.h and commit.h in order; see tree_job.h. */
#include "source/tree_job.h"

#include "io/sealed.h"
#include "source/commit.h"
#include "source/git_error.h"

static int seal_files(struct tree_stream *files, int *fd, struct error *err)
{
	CLEANUP(str_release) struct str bytes = STR_LIMIT(TREE_STREAM_BYTES_MAX);

	tree_stream_encode(files, &bytes);
	if (bytes.overflow)
		return error_set(err, ERROR_LIMIT, "TooLarge", "the manifests and their names are too large");
	return sealed_new(str_span(&bytes), fd, err);
}

/* A base that is not there any more is not in this history either. */
static bool descends(git_repository *repository, const git_oid *commit, const char *base)
{
	git_oid from;

	return !git_oid_fromstr(&from, base) && (git_oid_equal(commit, &from) || git_graph_descendant_of(repository, commit, &from) == 1);
}

int tree_job(git_repository *repository, struct history_memo *memo, const struct source_tree_request *request,
	     struct arena *arena, struct source_tree_reply *reply, int *fd, struct error *err)
{
	struct tree_options options = { "", request->recurse, request->include, request->exclude };
	struct source_tree_reply answer = { .changed = true };
	CLEANUP(tree_cleanup) git_tree *tree = NULL;
	struct tree_stream files;
	git_oid commit, revision;

	if (tree_path_clean(request->path, arena, &options.path, err) || tree_options_check(&options, err) ||
	    commit_find(repository, request->commit, &commit, err) ||
	    tree_at_path(repository, &commit, options.path, &tree, err) ||
	    tree_select(repository, tree, &options, arena, &files, err))
		return -1;
	answer.input = tree_input_digest(&files);
	answer.changed = digest_is_zero(&request->previous) || !digest_equal(&answer.input, &request->previous);
	answer.files = (uint32_t)files.count;
	answer.rewritten = request->base[0] && !descends(repository, &commit, request->base);
	history_revision(repository, memo, &commit, tree, &options, &revision);
	if (commit_describe(repository, &revision, arena, &answer, err))
		return -1;
	*fd = -1;
	if (answer.changed && (tree_read(repository, &files, arena, err) || seal_files(&files, fd, err)))
		return -1;
	*reply = answer;
	return 0;
}
