/*
 * Two trees in step. Each entry of both sides is looked at once, so whatever
 * their order, a selected file that is not on both sides is found.
 */
#include "base/limits.h"
#include "source/object.h"
#include "source/tree.h"
#include "source/tree_filter.h"

struct pair {
	git_repository *repository;
	const struct tree_options *options;
	size_t *entries;
	struct str path;
};

static bool trees_same(struct pair *pair, const git_tree *a, const git_tree *b, unsigned depth);

static git_tree *open_below(struct pair *pair, const git_tree_entry *entry)
{
	git_tree *tree = NULL;

	if (entry && object_tree(pair->repository, git_tree_entry_id(entry), &tree))
		return NULL;
	return tree;
}

/* Both are folders, or one is and the other is nothing. */
static bool folders_same(struct pair *pair, const git_tree_entry *a, const git_tree_entry *b, unsigned depth)
{
	CLEANUP(tree_cleanup) git_tree *left = open_below(pair, a);
	CLEANUP(tree_cleanup) git_tree *right = open_below(pair, b);

	if ((a && !left) || (b && !right) || depth == LIMIT_GIT_TREE_DEPTH)
		return false;
	str_addc(&pair->path, '/');
	return trees_same(pair, left, right, depth + 1);
}

/* a or b may be NULL; if neither is, they have one name and are both folders or both not. */
static bool entries_same(struct pair *pair, const git_tree_entry *a, const git_tree_entry *b, unsigned depth)
{
	enum filter left = FILTER_SKIP, right = FILTER_SKIP;
	size_t length = pair->path.length;
	bool same;

	++*pair->entries;
	if (a && b && git_tree_entry_filemode_raw(a) == git_tree_entry_filemode_raw(b) &&
	    git_oid_equal(git_tree_entry_id(a), git_tree_entry_id(b)))
		return true;
	str_adds(&pair->path, git_tree_entry_name(a ? a : b));
	if (a)
		left = tree_filter(pair->options, git_tree_entry_filemode_raw(a), str_span(&pair->path));
	if (b)
		right = tree_filter(pair->options, git_tree_entry_filemode_raw(b), str_span(&pair->path));
	if ((left == FILTER_ENTER || left == FILTER_SKIP) && (right == FILTER_ENTER || right == FILTER_SKIP))
		same = (left == FILTER_SKIP && right == FILTER_SKIP) ||
		       folders_same(pair, left == FILTER_ENTER ? a : NULL, right == FILTER_ENTER ? b : NULL, depth);
	else
		same = false;
	pair->path.length = length;
	if (pair->path.data)
		pair->path.data[length] = '\0';
	return same;
}

static bool trees_same(struct pair *pair, const git_tree *a, const git_tree *b, unsigned depth)
{
	size_t i = 0, j = 0, left = a ? git_tree_entrycount(a) : 0, right = b ? git_tree_entrycount(b) : 0;

	while (i < left || j < right) {
		const git_tree_entry *x = i < left ? git_tree_entry_byindex(a, i) : NULL;
		const git_tree_entry *y = j < right ? git_tree_entry_byindex(b, j) : NULL;
		/* Git's own order, in which a folder sorts as if its name ended in '/' */
		int order = !x ? 1 : !y ? -1 : git_tree_entry_cmp(x, y);

		if (!entries_same(pair, order <= 0 ? x : NULL, order >= 0 ? y : NULL, depth))
			return false;
		i += order <= 0;
		j += order >= 0;
	}
	return true;
}

bool tree_selects_same(git_repository *repository, const git_tree *a, const git_tree *b, const struct tree_options *options,
		       size_t *entries)
{
	struct pair pair = { repository, options, entries, STR_INIT };
	bool same = trees_same(&pair, a, b, 0);

	str_release(&pair.path);
	return same;
}
