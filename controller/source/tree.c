/* Paths, selection, reading; comparing is in tree_same.c. */
#include "source/tree.h"

#include <stdlib.h>

#include "base/glob.h"
#include "base/limits.h"
#include "source/git_error.h"
#include "source/object.h"
#include "source/tree_filter.h"

void tree_cleanup(git_tree **tree)
{
	git_tree_free(*tree);
	*tree = NULL;
}

/* --- paths ------------------------------------------------------------------------------------------------------- */

int tree_path_clean(const char *path, struct arena *arena, const char **out, struct error *err)
{
	CLEANUP(str_release) struct str clean = STR_INIT;
	struct span rest = span_of(path ? path : "");

	if (span_starts(rest, "/"))
		return error_set(err, ERROR_INVALID, "BadPath", "path '%.200s' is absolute; give it relative to the repository's root",
				 path);
	while (rest.data) {
		struct span part = span_cut(&rest, '/');

		if (!part.length || span_is(part, "."))
			continue;
		if (clean.length)
			str_addc(&clean, '/');
		str_add(&clean, part);
	}
	if (clean.length && !tree_path_is_clean(str_span(&clean)))
		return error_set(err, ERROR_INVALID, "BadPath",
				 "path '%.200s' has '..', a control character or bytes that are not UTF-8, or is too long", path);
	*out = arena_strndup(arena, str_span(&clean));
	return 0;
}

int tree_options_check(const struct tree_options *options, struct error *err)
{
	const char *const globs[] = { options->include, options->exclude };
	static const char *const names[] = { "include", "exclude" };

	for (size_t i = 0; i < COUNT_OF(globs); i++)
		if (globs[i] && globs[i][0] && !glob_valid(span_of(globs[i])))
			return error_set(err, ERROR_INVALID, "BadGlob", "directory.%s '%.200s' is no glob " GLOB_BOUNDS, names[i], globs[i]);
	return 0;
}

static int refuse_mode(uint32_t mode, const char *path, struct error *err)
{
	if ((mode & 0170000) == GIT_FILEMODE_LINK)
		return error_set(err, ERROR_INVALID, "SymlinkInPath", "'%s' is a symbolic link, which is never followed", path);
	if ((mode & 0170000) == GIT_FILEMODE_COMMIT)
		return error_set(err, ERROR_INVALID, "SubmoduleInPath", "'%s' is a submodule, which is never read", path);
	if ((mode & 0170000) != 0100000)
		return error_set(err, ERROR_INVALID, "BadTree", "'%s' has the mode %o, which Git does not know", path, mode);
	return error_set(err, ERROR_INVALID, "PathIsFile", "'%s' is a file; name the folder it is in", path);
}

static int commit_tree(git_repository *repository, const git_oid *id, git_tree **out, struct error *err)
{
	git_commit *commit = NULL;
	int rc = object_commit(repository, id, &commit);

	if (!rc)
		rc = object_tree(repository, git_commit_tree_id(commit), out);
	git_commit_free(commit);
	if (rc)
		return git_error_to(err, ERROR_TRANSIENT, "BadObject", "the tree of commit %s", git_oid_tostr_s(id));
	return 0;
}

/* One step down; frees *tree and puts the subtree there. `path` is what has been walked, for the message. */
static int enter(git_repository *repository, git_tree **tree, const char *name, const char *path, struct error *err)
{
	const git_tree_entry *entry = git_tree_entry_byname(*tree, name);
	git_tree *below = NULL;

	if (!entry)
		return error_set(err, ERROR_INVALID, "PathNotFound", "there is no folder '%s' in this revision", path);
	if (git_tree_entry_filemode_raw(entry) != GIT_FILEMODE_TREE)
		return refuse_mode(git_tree_entry_filemode_raw(entry), path, err);
	if (object_tree(repository, git_tree_entry_id(entry), &below))
		return git_error_to(err, ERROR_TRANSIENT, "BadObject", "folder '%s'", path);
	git_tree_free(*tree);
	*tree = below;
	return 0;
}

int tree_at_path(git_repository *repository, const git_oid *commit, const char *path, git_tree **out, struct error *err)
{
	CLEANUP(tree_cleanup) git_tree *tree = NULL;
	CLEANUP(str_release) struct str walked = STR_INIT;
	struct span rest = span_of(path);

	if (commit_tree(repository, commit, &tree, err))
		return -1;
	while (rest.length) {
		CLEANUP(str_release) struct str name = STR_INIT;
		struct span part = span_cut(&rest, '/');

		str_add(&name, part);
		str_addf(&walked, "%s%s", walked.length ? "/" : "", str_c(&name));
		if (enter(repository, &tree, str_c(&name), str_c(&walked), err))
			return -1;
	}
	*out = TAKE(tree);
	return 0;
}

/* --- selection ----------------------------------------------------------------------------------------------------- */

struct selection {
	git_repository *repository;
	const struct tree_options *options;
	struct arena *arena;
	struct tree_stream files;
	size_t capacity, entries;
	struct str path;        /* below options->path, grows and shrinks with the walk */
	struct error *err;
};

static const char *full_path(const struct selection *s)
{
	const char *base = s->options->path;

	return arena_printf(s->arena, "%s%s%s", base, base[0] ? "/" : "", str_c(&s->path));
}

static int add_file(struct selection *s, const git_tree_entry *entry)
{
	struct tree_file *file;
	const char *path = full_path(s);

	if (!tree_path_is_clean(span_of(path)))
		return error_set(s->err, ERROR_INVALID, "BadFileName", "a file below '%s' has a name with '..', a control character or "
				 "bytes that are not UTF-8", s->options->path[0] ? s->options->path : ".");
	if (s->files.count == LIMIT_MANIFEST_FILES)
		return error_set(s->err, ERROR_LIMIT, "TooLarge", "more than %u manifest files below '%s'", LIMIT_MANIFEST_FILES,
				 s->options->path);
	file = arena_push(s->arena, &s->files.files, &s->files.count, &s->capacity, sizeof(*file));
	file->path = span_of(path);
	file->mode = git_tree_entry_filemode(entry) == GIT_FILEMODE_BLOB_EXECUTABLE ? 0100755 : 0100644;
	memcpy(file->oid, git_tree_entry_id(entry)->id, TREE_OID_SIZE);
	return 0;
}

static int select_tree(struct selection *s, const git_tree *tree, unsigned depth);

static int select_folder(struct selection *s, const git_tree_entry *entry, unsigned depth)
{
	CLEANUP(tree_cleanup) git_tree *below = NULL;

	if (depth == LIMIT_GIT_TREE_DEPTH)
		return error_set(s->err, ERROR_LIMIT, "TooLarge", "folders deeper than %d at '%.200s'", LIMIT_GIT_TREE_DEPTH,
				 full_path(s));
	if (object_tree(s->repository, git_tree_entry_id(entry), &below))
		return git_error_to(s->err, ERROR_TRANSIENT, "BadObject", "folder '%s'", full_path(s));
	str_addc(&s->path, '/');
	return select_tree(s, below, depth + 1);
}

static int select_entry(struct selection *s, const git_tree_entry *entry, unsigned depth)
{
	uint32_t mode = git_tree_entry_filemode_raw(entry);

	if (++s->entries > LIMIT_GIT_TREE_ENTRIES)
		return error_set(s->err, ERROR_LIMIT, "TooLarge", "more than %u entries below '%s'", LIMIT_GIT_TREE_ENTRIES,
				 s->options->path);
	switch (tree_filter(s->options, mode, str_span(&s->path))) {
	case FILTER_READ: return add_file(s, entry);
	case FILTER_ENTER: return select_folder(s, entry, depth);
	case FILTER_REFUSE: return refuse_mode(mode, full_path(s), s->err);
	default: return 0;
	}
}

static int select_tree(struct selection *s, const git_tree *tree, unsigned depth)
{
	size_t count = git_tree_entrycount(tree), length = s->path.length;

	for (size_t i = 0; i < count; i++) {
		const git_tree_entry *entry = git_tree_entry_byindex(tree, i);

		str_adds(&s->path, git_tree_entry_name(entry));
		if (select_entry(s, entry, depth))
			return -1;
		s->path.length = length;
		if (s->path.data)
			s->path.data[length] = '\0';
	}
	return 0;
}

static int by_path(const void *a, const void *b)
{
	return span_compare(((const struct tree_file *)a)->path, ((const struct tree_file *)b)->path);
}

/* Git keeps trees sorted and unique, but nothing makes a hostile repository do so. */
static int sort_files(struct tree_stream *files, struct error *err)
{
	if (files->count)
		qsort(files->files, files->count, sizeof(*files->files), by_path);
	for (size_t i = 1; i < files->count; i++)
		if (span_equal(files->files[i - 1].path, files->files[i].path))
			return error_set(err, ERROR_INVALID, "BadTree", "'%.*s' stands twice in its folder",
					 SPAN_ARG(files->files[i].path));
	return 0;
}

int tree_select(git_repository *repository, const git_tree *tree, const struct tree_options *options, struct arena *arena,
		struct tree_stream *out, struct error *err)
{
	struct selection s = { .repository = repository, .options = options, .arena = arena, .path = STR_INIT, .err = err };
	int rc = select_tree(&s, tree, 0);

	str_release(&s.path);
	if (rc || sort_files(&s.files, err))
		return -1;
	*out = s.files;
	return 0;
}

/* --- content -------------------------------------------------------------------------------------------------------- */

static int read_file(git_odb *odb, struct tree_file *file, struct arena *arena, size_t *total, struct error *err)
{
	git_odb_object *object = NULL;
	git_object_t type;
	git_oid id;
	size_t size;

	memcpy(id.id, file->oid, TREE_OID_SIZE);
	if (git_odb_read_header(&size, &type, odb, &id))
		return git_error_to(err, ERROR_TRANSIENT, "BadObject", "'%.*s'", SPAN_ARG(file->path));
	if (type != GIT_OBJECT_BLOB)
		return error_set(err, ERROR_INVALID, "BadTree", "'%.*s' is no file", SPAN_ARG(file->path));
	if (size > LIMIT_MANIFEST_BYTES - *total)
		return error_set(err, ERROR_LIMIT, "TooLarge", "'%.*s': all manifests together are larger than %u bytes; "
				 "leave out what is none with directory.exclude", SPAN_ARG(file->path), LIMIT_MANIFEST_BYTES);
	*total += size;
	if (git_odb_read(&object, odb, &id))
		return git_error_to(err, ERROR_TRANSIENT, "BadObject", "'%.*s'", SPAN_ARG(file->path));
	file->bytes = arena_span(arena, span_make(git_odb_object_data(object), git_odb_object_size(object)));
	git_odb_object_free(object);
	if (file->bytes.length != size)
		return error_set(err, ERROR_TRANSIENT, "BadObject", "'%.*s' is not as long as its header says", SPAN_ARG(file->path));
	return 0;
}

int tree_read(git_repository *repository, struct tree_stream *files, struct arena *arena, struct error *err)
{
	git_odb *odb = NULL;
	size_t total = 0;
	int rc = 0;

	if (git_repository_odb(&odb, repository))
		return git_error_to(err, ERROR_TRANSIENT, "BadObject", "open the object database");
	for (size_t i = 0; !rc && i < files->count; i++)
		rc = read_file(odb, &files->files[i], arena, &total, err);
	git_odb_free(odb);
	return rc;
}
