/* Two trees in step, and what is not on both sides; see tree_changed.h. */
#include "source/tree_changed.h"

#include "base/limits.h"
#include "source/commit.h"
#include "source/object.h"
#include "source/tree.h"

struct walk {
	git_repository *repository;
	struct arena *arena;
	struct source_changed_reply *reply;
	size_t capacity, entries;
	struct str path;
};

static void compare_trees(struct walk *walk, const git_tree *a, const git_tree *b, unsigned depth);

static bool is_folder(const git_tree_entry *entry)
{
	return entry && git_tree_entry_filemode_raw(entry) == GIT_FILEMODE_TREE;
}

static git_tree *open_folder(struct walk *walk, const git_tree_entry *entry)
{
	git_tree *tree = NULL;

	if (is_folder(entry) && object_tree(walk->repository, git_tree_entry_id(entry), &tree))
		walk->reply->all = true;
	return tree;
}

static void add_path(struct walk *walk)
{
	if (walk->reply->count == LIMIT_GIT_CHANGED || walk->path.length > LIMIT_GIT_PATH_BYTES) {
		walk->reply->all = true;
		return;
	}
	*(const char **)arena_push(walk->arena, &walk->reply->paths, &walk->reply->count, &walk->capacity, sizeof(char *)) =
		arena_strndup(walk->arena, str_span(&walk->path));
}

/* a or b may be NULL; if neither is, they have one name and are both folders or both not. */
static void compare_entries(struct walk *walk, const git_tree_entry *a, const git_tree_entry *b, unsigned depth)
{
	CLEANUP(tree_cleanup) git_tree *left = NULL;
	CLEANUP(tree_cleanup) git_tree *right = NULL;
	size_t length = walk->path.length;

	if (++walk->entries > LIMIT_GIT_TREE_ENTRIES)
		walk->reply->all = true;
	if (a && b && git_tree_entry_filemode_raw(a) == git_tree_entry_filemode_raw(b) &&
	    git_oid_equal(git_tree_entry_id(a), git_tree_entry_id(b)))
		return;
	str_adds(&walk->path, git_tree_entry_name(a ? a : b));
	if (is_folder(a) || is_folder(b)) {
		left = open_folder(walk, a);
		right = open_folder(walk, b);
		str_addc(&walk->path, '/');
		compare_trees(walk, left, right, depth + 1);
	} else {
		add_path(walk);
	}
	str_drop_to(&walk->path, length);
}

static void compare_trees(struct walk *walk, const git_tree *a, const git_tree *b, unsigned depth)
{
	size_t i = 0, j = 0, left = a ? git_tree_entrycount(a) : 0, right = b ? git_tree_entrycount(b) : 0;

	walk->reply->all |= depth > LIMIT_GIT_TREE_DEPTH;
	while (!walk->reply->all && (i < left || j < right)) {
		const git_tree_entry *x = i < left ? git_tree_entry_byindex(a, i) : NULL;
		const git_tree_entry *y = j < right ? git_tree_entry_byindex(b, j) : NULL;
		/* Git's own order, in which a folder sorts as if its name ended in '/' */
		int order = !x ? 1 : !y ? -1 : git_tree_entry_cmp(x, y);

		compare_entries(walk, order <= 0 ? x : NULL, order >= 0 ? y : NULL, depth);
		i += order <= 0;
		j += order >= 0;
	}
}

int tree_changed_job(git_repository *repository, const struct source_changed_request *request, struct arena *arena,
		     struct source_changed_reply *reply, struct error *err)
{
	CLEANUP(tree_cleanup) git_tree *from = NULL;
	CLEANUP(tree_cleanup) git_tree *to = NULL;
	struct walk walk = { .repository = repository, .arena = arena, .reply = reply };
	git_oid before, after;

	*reply = (struct source_changed_reply){ 0 };
	if (commit_find(repository, request->from, &before, err) || commit_find(repository, request->to, &after, err) ||
	    tree_at_path(repository, &before, "", &from, err) || tree_at_path(repository, &after, "", &to, err))
		return -1;
	compare_trees(&walk, from, to, 0);
	str_release(&walk.path);
	if (reply->all)
		reply->count = 0;
	return 0;
}
