/* The walk over first parents that read the same; see history.h. */
#include "source/history.h"

#include "base/limits.h"
#include "source/object.h"

struct memo_entry {
	git_oid tip, revision;
};

static void free_entries(struct history_memo *memo)
{
	MAP_EACH(entry, &memo->tips)
		free(entry->value);
}

void history_memo_release(struct history_memo *memo)
{
	free_entries(memo);
	map_release(&memo->tips);
}

/* One text for everything that decides what is read; '\n' cannot stand in a clean path. */
static void memo_key(const struct tree_options *options, struct str *out)
{
	str_addf(out, "%s\n%d\n%s\n%s", options->path, options->recurse, options->include ? options->include : "",
		 options->exclude ? options->exclude : "");
}

static void remember(struct history_memo *memo, struct span key, const git_oid *tip, const git_oid *revision)
{
	struct memo_entry *entry = map_get(&memo->tips, key);

	if (!entry) {
		if (memo->tips.count >= LIMIT_GIT_MEMO)
			history_memo_release(memo);
		entry = mem_alloc(sizeof(*entry));
		map_set(&memo->tips, key, entry);
	}
	entry->tip = *tip;
	entry->revision = *revision;
}

static void commit_cleanup(git_commit **commit)
{
	git_commit_free(*commit);
}

struct walk {
	git_repository *repository;
	const struct tree_options *options;
	const git_tree *tree;           /* what the tip reads */
	size_t entries;
};

static bool reads_same(struct walk *walk, const git_oid *commit)
{
	CLEANUP(tree_cleanup) git_tree *tree = NULL;

	if (tree_at_path(walk->repository, commit, walk->options->path, &tree, NULL))
		return false;
	return git_oid_equal(git_tree_id(tree), git_tree_id(walk->tree)) ||
	       tree_selects_same(walk->repository, walk->tree, tree, walk->options, &walk->entries);
}

/* The first parent that reads the same; false when there is none. */
static bool step_back(struct walk *walk, git_oid *at)
{
	CLEANUP(commit_cleanup) git_commit *commit = NULL;
	unsigned parents;

	if (object_commit(walk->repository, at, &commit))
		return false;
	parents = git_commit_parentcount(commit);
	for (unsigned i = 0; i < parents; i++) {
		const git_oid *parent = git_commit_parent_id(commit, i);

		if (parent && reads_same(walk, parent)) {
			*at = *parent;
			return true;
		}
	}
	return false;
}

void history_revision(git_repository *repository, struct history_memo *memo, const git_oid *tip, const git_tree *tree,
		      const struct tree_options *options, git_oid *out)
{
	struct walk walk = { repository, options, tree, 0 };
	CLEANUP(str_release) struct str key = STR_INIT;
	const struct memo_entry *known;
	git_oid at = *tip;

	memo_key(options, &key);
	known = map_get(&memo->tips, str_span(&key));
	for (unsigned steps = 0; steps < LIMIT_GIT_HISTORY && walk.entries < LIMIT_GIT_HISTORY_ENTRIES; steps++) {
		if (known && git_oid_equal(&at, &known->tip)) {
			at = known->revision;
			break;
		}
		if (!step_back(&walk, &at))
			break;
	}
	remember(memo, str_span(&key), tip, &at);
	*out = at;
}
