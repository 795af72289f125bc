/* See folder.h. */
#include "cli/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "io/file.h"
#include "source/tree_filter.h"

struct walk {
	const char *directory;
	const struct tree_options *options;
	struct arena *arena;
	struct tree_stream files;
	size_t capacity, bytes;
	struct str path;        /* below directory, grows and shrinks with the walk */
};

static int add_file(struct walk *walk, bool executable, struct error *err)
{
	const char *path = arena_printf(walk->arena, "%s/%s", walk->directory, str_c(&walk->path));
	CLEANUP(str_release) struct str content = STR_LIMIT(LIMIT_MANIFEST_BYTES + 1);
	struct tree_file *file;

	if (!tree_path_is_clean(str_span(&walk->path)))
		return error_set(err, ERROR_INVALID, "BadFileName", "%s: a name with a control character or bytes that are not UTF-8", path);
	if (walk->files.count == LIMIT_MANIFEST_FILES)
		return error_set(err, ERROR_LIMIT, "TooLarge", "%s: more than %u manifest files", path, LIMIT_MANIFEST_FILES);
	if (file_read(path, LIMIT_MANIFEST_BYTES, &content, err))
		return -1;
	walk->bytes += content.length;
	if (walk->bytes > LIMIT_MANIFEST_BYTES)
		return error_set(err, ERROR_LIMIT, "TooLarge", "%s: all manifests together are larger than %u bytes", path,
				 LIMIT_MANIFEST_BYTES);
	file = arena_push(walk->arena, &walk->files.files, &walk->files.count, &walk->capacity, sizeof(*file));
	file->path = arena_span(walk->arena, str_span(&walk->path));
	file->mode = executable ? 0100755 : 0100644;
	file->bytes = arena_span(walk->arena, str_span(&content));
	return 0;
}

static int enter(struct walk *walk, int parent, const char *name, unsigned depth, struct error *err);

/* A file's mode as Git would store it; 0 for sockets and the like, which it does not store. */
static uint32_t git_mode(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR: return 0040000;
	case S_IFLNK: return 0120000;
	case S_IFREG: return mode & S_IXUSR ? 0100755 : 0100644;
	default: return 0;
	}
}

static int take_entry(struct walk *walk, int folder, const char *name, unsigned depth, struct error *err)
{
	struct stat stat;
	uint32_t mode;

	if (fstatat(folder, name, &stat, AT_SYMLINK_NOFOLLOW))
		return error_errno(err, errno, "%s/%s", walk->directory, str_c(&walk->path));
	mode = git_mode(stat.st_mode);
	if (!mode)
		return 0;
	switch (tree_filter(walk->options, mode, str_span(&walk->path))) {
	case FILTER_READ: return add_file(walk, mode == 0100755, err);
	case FILTER_REFUSE:
		return error_set(err, ERROR_INVALID, "SymlinkInPath", "%s/%s: a symbolic link, which is never followed", walk->directory,
				 str_c(&walk->path));
	case FILTER_ENTER:
		str_addc(&walk->path, '/');
		return enter(walk, folder, name, depth + 1, err);
	default: return 0;
	}
}

static void close_folder(DIR **folder)
{
	if (*folder)
		closedir(*folder);
}

static int open_folder(const struct walk *walk, int parent, const char *name, DIR **out, struct error *err)
{
	CLEANUP(fd_cleanup) int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return error_set(err, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_INVALID, "PathNotFound", "%s/%s: %s", walk->directory,
				 str_c(&walk->path), strerror(errno));
	*out = fdopendir(fd);
	if (!*out)
		return error_errno(err, errno, "%s", walk->directory);
	TAKE_FD(fd);
	return 0;
}

static int enter(struct walk *walk, int parent, const char *name, unsigned depth, struct error *err)
{
	CLEANUP(close_folder) DIR *folder = NULL;
	size_t length = walk->path.length;
	struct dirent *entry;

	if (depth > LIMIT_GIT_TREE_DEPTH)
		return error_set(err, ERROR_LIMIT, "TooLarge", "%s/%s: folders deeper than %d", walk->directory, str_c(&walk->path),
				 LIMIT_GIT_TREE_DEPTH);
	if (open_folder(walk, parent, name, &folder, err))
		return -1;
	while ((entry = readdir(folder)) != NULL) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") || !strcmp(entry->d_name, ".git"))
			continue;
		str_adds(&walk->path, entry->d_name);
		if (take_entry(walk, dirfd(folder), entry->d_name, depth, err))
			return -1;
		walk->path.length = length;
		walk->path.data[length] = '\0';
	}
	return 0;
}

static int by_path(const void *a, const void *b)
{
	return span_compare(((const struct tree_file *)a)->path, ((const struct tree_file *)b)->path);
}

int folder_read(const char *directory, const struct tree_options *options, struct arena *arena, struct tree_stream *out,
		struct error *err)
{
	struct walk walk = { .directory = directory, .options = options, .arena = arena, .path = STR_INIT };
	int rc = enter(&walk, AT_FDCWD, directory, 0, err);

	str_release(&walk.path);
	if (rc)
		return -1;
	if (walk.files.count)
		qsort(walk.files.files, walk.files.count, sizeof(*walk.files.files), by_path);
	*out = walk.files;
	return 0;
}
