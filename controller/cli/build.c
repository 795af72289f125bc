/* A local folder through the controller's own selection and rendering; see build.h. */
#include "cli/build.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/glob.h"
#include "base/limits.h"
#include "base/yaml.h"
#include "cli/cli.h"
#include "io/file.h"
#include "render/render.h"
#include "source/tree_filter.h"

struct build {
	const char *directory;
	struct tree_options options;
	bool json;
	struct arena *arena;
	struct tree_stream files;
	size_t capacity, bytes;
	struct str path;        /* below directory, grows and shrinks with the walk */
};

/* --- selection ------------------------------------------------------------------------------------------------- */

static int add_file(struct build *build, bool executable, struct error *err)
{
	const char *path = arena_printf(build->arena, "%s/%s", build->directory, str_c(&build->path));
	CLEANUP(str_release) struct str content = STR_LIMIT(LIMIT_MANIFEST_BYTES + 1);
	struct tree_file *file;

	if (!tree_path_is_clean(str_span(&build->path)))
		return error_set(err, ERROR_INVALID, "BadFileName", "%s: a name with a control character or bytes that are not UTF-8", path);
	if (build->files.count == LIMIT_MANIFEST_FILES)
		return error_set(err, ERROR_LIMIT, "TooLarge", "%s: more than %u manifest files", path, LIMIT_MANIFEST_FILES);
	if (file_read(path, LIMIT_MANIFEST_BYTES, &content, err))
		return -1;
	build->bytes += content.length;
	if (build->bytes > LIMIT_MANIFEST_BYTES)
		return error_set(err, ERROR_LIMIT, "TooLarge", "%s: all manifests together are larger than %u bytes", path,
				 LIMIT_MANIFEST_BYTES);
	file = arena_push(build->arena, &build->files.files, &build->files.count, &build->capacity, sizeof(*file));
	file->path = arena_span(build->arena, str_span(&build->path));
	file->mode = executable ? 0100755 : 0100644;
	file->bytes = arena_span(build->arena, str_span(&content));
	return 0;
}

static int walk(struct build *build, int parent, const char *name, unsigned depth, struct error *err);

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

static int take_entry(struct build *build, int folder, const char *name, unsigned depth, struct error *err)
{
	struct stat stat;
	uint32_t mode;

	if (fstatat(folder, name, &stat, AT_SYMLINK_NOFOLLOW))
		return error_errno(err, errno, "%s/%s", build->directory, str_c(&build->path));
	mode = git_mode(stat.st_mode);
	if (!mode)
		return 0;
	switch (tree_filter(&build->options, mode, str_span(&build->path))) {
	case FILTER_READ: return add_file(build, mode == 0100755, err);
	case FILTER_REFUSE:
		return error_set(err, ERROR_INVALID, "SymlinkInPath", "%s/%s: a symbolic link, which is never followed", build->directory,
				 str_c(&build->path));
	case FILTER_ENTER:
		str_addc(&build->path, '/');
		return walk(build, folder, name, depth + 1, err);
	default: return 0;
	}
}

static void close_folder(DIR **folder)
{
	if (*folder)
		closedir(*folder);
}

static int open_folder(const struct build *build, int parent, const char *name, DIR **out, struct error *err)
{
	CLEANUP(fd_cleanup) int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return error_set(err, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_INVALID, "PathNotFound", "%s/%s: %s", build->directory,
				 str_c(&build->path), strerror(errno));
	*out = fdopendir(fd);
	if (!*out)
		return error_errno(err, errno, "%s", build->directory);
	TAKE_FD(fd);
	return 0;
}

static int walk(struct build *build, int parent, const char *name, unsigned depth, struct error *err)
{
	CLEANUP(close_folder) DIR *folder = NULL;
	size_t length = build->path.length;
	struct dirent *entry;

	if (depth > LIMIT_GIT_TREE_DEPTH)
		return error_set(err, ERROR_LIMIT, "TooLarge", "%s/%s: folders deeper than %d", build->directory, str_c(&build->path),
				 LIMIT_GIT_TREE_DEPTH);
	if (open_folder(build, parent, name, &folder, err))
		return -1;
	while ((entry = readdir(folder)) != NULL) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") || !strcmp(entry->d_name, ".git"))
			continue;
		str_adds(&build->path, entry->d_name);
		if (take_entry(build, dirfd(folder), entry->d_name, depth, err))
			return -1;
		build->path.length = length;
		build->path.data[length] = '\0';
	}
	return 0;
}

static int by_path(const void *a, const void *b)
{
	return span_compare(((const struct tree_file *)a)->path, ((const struct tree_file *)b)->path);
}

/* --- output ---------------------------------------------------------------------------------------------------- */

static int print_problems(const struct build *build, const struct render_problems *problems)
{
	for (size_t i = 0; i < problems->count; i++)
		fprintf(stderr, "error: %s/%s\n", build->directory, problems->items[i].text);
	if (problems->total > problems->count)
		fprintf(stderr, "error: and %zu more\n", problems->total - problems->count);
	return EXIT_FAILED;
}

static int print_objects(const struct build *build, const struct rendered *rendered)
{
	for (size_t i = 0; i < rendered->count; i++) {
		CLEANUP(str_release) struct str text = STR_INIT;
		const struct rendered_object *object = &rendered->objects[i];

		if (build->json) {
			json_write(object->object, JSON_PLAIN, &text);
			str_addc(&text, '\n');
		} else {
			str_addf(&text, "---\n# %s/%s:%u\n", build->directory, object->path, object->line);
			yaml_write(object->object, &text);
		}
		fputs(str_c(&text), stdout);
	}
	if (fflush(stdout) || ferror(stdout))
		return cli_fail(EXIT_FAILED, NULL, "cannot write the result");
	return EXIT_DONE;
}

/* --- the command ----------------------------------------------------------------------------------------------- */

static int parse_value(struct build *build, const char *name, const char *value)
{
	if (!strcmp(name, "-o") || !strcmp(name, "--output")) {
		build->json = !strcmp(value, "json");
		if (!build->json && strcmp(value, "yaml"))
			return cli_fail(EXIT_USAGE, "formats are yaml and json", "-o %s", value);
		return EXIT_DONE;
	}
	if (!glob_valid(span_of(value)))
		return cli_fail(EXIT_USAGE, NULL, "%s '%s' is no glob", name, value);
	if (!strcmp(name, "--include"))
		build->options.include = value;
	else
		build->options.exclude = value;
	return EXIT_DONE;
}

static bool takes_value(const char *word)
{
	return !strcmp(word, "-o") || !strcmp(word, "--output") || !strcmp(word, "--include") || !strcmp(word, "--exclude");
}

static int parse_arguments(struct build *build, int argc, char **argv)
{
	bool options_end = false;

	for (int i = 1; i < argc; i++) {
		int status = EXIT_DONE;

		if (options_end || argv[i][0] != '-' || !argv[i][1]) {
			if (build->directory)
				return cli_fail(EXIT_USAGE, NULL, "one folder at a time: %s", argv[i]);
			build->directory = argv[i];
		} else if (!strcmp(argv[i], "--")) {
			options_end = true;
		} else if (!strcmp(argv[i], "--recurse")) {
			build->options.recurse = true;
		} else if (!takes_value(argv[i])) {
			return cli_fail(EXIT_USAGE, "countersign build --help tells what there is", "unknown option %s", argv[i]);
		} else if (i + 1 == argc) {
			return cli_fail(EXIT_USAGE, NULL, "%s needs a value", argv[i]);
		} else {
			status = parse_value(build, argv[i], argv[i + 1]);
			i++;
		}
		if (status)
			return status;
	}
	return build->directory ? EXIT_DONE : cli_fail(EXIT_USAGE, "countersign build DIR", "no folder is given");
}

/* "shop/" and "shop" are shown alike. */
static const char *without_slashes(const char *directory, struct arena *arena)
{
	size_t length = strlen(directory);

	while (length > 1 && directory[length - 1] == '/')
		length--;
	return arena_strndup(arena, span_make(directory, length));
}

int cli_build(int argc, char **argv)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct build build = { .options = { .path = "", .include = "", .exclude = "" }, .arena = arena, .path = STR_INIT };
	struct render_problems *problems = ARENA_NEW(arena, struct render_problems);
	struct rendered rendered;
	struct error err = ERROR_INIT;
	int status = parse_arguments(&build, argc, argv), rc;

	if (status)
		return status;
	build.directory = without_slashes(build.directory, arena);
	rc = walk(&build, AT_FDCWD, build.directory, 0, &err);
	str_release(&build.path);
	if (rc)
		return cli_fail(err.kind == ERROR_NOT_FOUND ? EXIT_NOT_FOUND : EXIT_FAILED, NULL, "%s", err.text);
	if (build.files.count)
		qsort(build.files.files, build.files.count, sizeof(*build.files.files), by_path);
	if (render_files(&build.files, arena, &rendered, problems, &err))
		return print_problems(&build, problems);
	return print_objects(&build, &rendered);
}
