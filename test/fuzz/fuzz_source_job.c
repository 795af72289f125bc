/* Any bytes as a job and as each answer of a source worker. */
#include "source/source_job.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct span bytes = span_make(data, size);
	struct source_fetch_reply fetched;
	struct source_tree_reply tree;
	struct source_refs_reply refs;
	struct source_changed_reply changed;
	struct source_job job;

	if (!source_job_decode(bytes, arena, &job, NULL) && job.kind == SOURCE_TREE)
		ASSERT(commit_is_hex(job.as.tree.commit) && job.as.tree.path && job.as.tree.include);
	(void)source_fetch_reply_decode(bytes, &fetched, NULL);
	if (!source_tree_reply_decode(bytes, arena, &tree, NULL))
		ASSERT(commit_is_hex(tree.revision) && tree.subject && tree.author.name);
	if (!source_changed_reply_decode(bytes, arena, &changed, NULL))
		for (size_t i = 0; i < changed.count; i++)
			ASSERT(changed.paths[i]);
	if (source_refs_reply_decode(bytes, arena, &refs, NULL))
		return 0;
	for (size_t i = 0; i < refs.count; i++)
		ASSERT(refs.refs[i].commit[0] ? commit_is_hex(refs.refs[i].commit) : refs.refs[i].error.reason[0] != '\0');
	return 0;
}
