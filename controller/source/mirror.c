/* The folder: making, opening, cleaning, making anew. Fetching is in mirror_fetch.c. */
#include "source/mirror.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "io/file.h"
#include "source/git_error.h"

#define MARK "countersign-mirror"
/* Of objects as they are stored: libgit2 needs several times as much for a tree of few files, of which each Application has one. */
#define CACHE_BYTES ((ssize_t)1 << 20)
/* Of packs, what is mapped at a time: a large mirror is read from front to back, and does not stay in memory. */
#define WINDOW_BYTES ((size_t)1 << 20)
#define MAPPED_BYTES ((size_t)8 << 20)

void mirror_library_init(void)
{
	static const int levels[] = { GIT_CONFIG_LEVEL_PROGRAMDATA, GIT_CONFIG_LEVEL_SYSTEM, GIT_CONFIG_LEVEL_XDG,
				      GIT_CONFIG_LEVEL_GLOBAL };

	git_libgit2_init();
	/* insteadOf, proxies, helpers: what the machine's owner set for people is not for us */
	for (size_t i = 0; i < COUNT_OF(levels); i++)
		git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, levels[i], "");
	/* a volume may belong to another user; that it is ours, its mark says */
	git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
	git_libgit2_opts(GIT_OPT_SET_CACHE_MAX_SIZE, CACHE_BYTES);
	git_libgit2_opts(GIT_OPT_SET_MWINDOW_SIZE, WINDOW_BYTES);
	git_libgit2_opts(GIT_OPT_SET_MWINDOW_MAPPED_LIMIT, MAPPED_BYTES);
	git_libgit2_opts(GIT_OPT_DISABLE_PACK_KEEP_FILE_CHECKS, 1);
	git_libgit2_opts(GIT_OPT_SET_MWINDOW_FILE_LIMIT, (size_t)LIMIT_GIT_OPEN_PACKS);
	git_libgit2_opts(GIT_OPT_SET_PACK_MAX_OBJECTS, (size_t)LIMIT_GIT_PACK_OBJECTS);
}

static char *path_of(const struct mirror *mirror, const char *below)
{
	struct str path = STR_INIT;

	str_addf(&path, "%s/%s", mirror->directory, below);
	return str_take(&path);
}

/* Removes DIR/git only: what else stands in the folder is not ours to remove. */
static int remove_repository(struct mirror *mirror, struct error *err)
{
	CLEANUP(mem_cleanup) char *git = path_of(mirror, "git");

	git_repository_free(mirror->repository);
	mirror->repository = NULL;
	return dir_remove(git, err);
}

static int make_repository(struct mirror *mirror, struct error *err)
{
	CLEANUP(mem_cleanup) char *git = path_of(mirror, "git");
	git_repository_init_options options;

	git_repository_init_options_init(&options, GIT_REPOSITORY_INIT_OPTIONS_VERSION);
	options.flags = GIT_REPOSITORY_INIT_BARE | GIT_REPOSITORY_INIT_MKDIR | GIT_REPOSITORY_INIT_NO_REINIT;
	if (git_repository_init_ext(&mirror->repository, git, &options))
		return git_error_to(err, ERROR_TRANSIENT, "MirrorError", "make the mirror %s", git);
	return 0;
}

static bool folder_is_empty(const char *path)
{
	DIR *folder = opendir(path);
	struct dirent *entry;
	bool empty = true;

	while (folder && (entry = readdir(folder)) != NULL)
		empty = empty && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0);
	if (folder)
		closedir(folder);
	return empty;
}

/* Reads or writes the mark; *same tells whether the mirror is one of this URL. */
static int check_mark(struct mirror *mirror, bool *same, struct error *err)
{
	CLEANUP(mem_cleanup) char *mark = path_of(mirror, MARK);
	CLEANUP(str_release) struct str content = STR_INIT;

	if (dir_make(mirror->directory, err))
		return -1;
	if (file_exists(mark)) {
		if (file_read(mark, LIMIT_GIT_PATH_BYTES, &content, err))
			return -1;
		*same = span_is(span_trim(str_span(&content)), mirror->url);
		if (*same)
			return 0;
	} else if (!folder_is_empty(mirror->directory)) {
		return error_set(err, ERROR_INTERNAL, "NotAMirror", "%s is not empty and no mirror of ours", mirror->directory);
	}
	*same = false;
	str_reset(&content);
	str_addf(&content, "%s\n", mirror->url);
	return file_write(mark, str_span(&content), 0600, err);
}

/* Removes the files of a folder that `keep` does not want. */
static void sweep(const struct mirror *mirror, const char *below, bool (*keep)(struct span name))
{
	CLEANUP(mem_cleanup) char *path = path_of(mirror, below);
	DIR *folder = opendir(path);
	struct dirent *entry;

	while (folder && (entry = readdir(folder)) != NULL)
		if (entry->d_name[0] != '.' && !keep(span_of(entry->d_name)))
			unlinkat(dirfd(folder), entry->d_name, 0);
	if (folder)
		closedir(folder);
}

static bool keep_pack(struct span name)
{
	return span_ends(name, ".pack") || span_ends(name, ".idx") || span_ends(name, ".rev");
}

static bool is_no_lock(struct span name)
{
	return !span_ends(name, ".lock");
}

/* What a killed fetch left. */
static void clean(const struct mirror *mirror)
{
	sweep(mirror, "git/refs/countersign", is_no_lock);
	sweep(mirror, "git", is_no_lock);
	sweep(mirror, "git/objects/pack", keep_pack);
}

static int open_repository(struct mirror *mirror)
{
	CLEANUP(mem_cleanup) char *git = path_of(mirror, "git");

	return git_repository_open_ext(&mirror->repository, git,
				       GIT_REPOSITORY_OPEN_BARE | GIT_REPOSITORY_OPEN_NO_SEARCH | GIT_REPOSITORY_OPEN_NO_DOTGIT, NULL);
}

int mirror_open(struct mirror *mirror, const char *directory, const char *url, bool *rebuilt, struct error *err)
{
	CLEANUP(mem_cleanup) char *git = NULL;
	CLEANUP(fd_cleanup) int lock = -1;
	bool same, existed, broken = mirror->broken;

	mirror_close(mirror);
	mirror->directory = mem_strdup(directory);
	mirror->url = mem_strdup(url);
	mirror->broken = broken;        /* until it is open */
	git = path_of(mirror, "git");
	*rebuilt = false;
	if (check_mark(mirror, &same, err))
		return -1;
	lock = mirror_lock(mirror);
	existed = file_exists(git);
	clean(mirror);
	if (existed && same && !broken && !open_repository(mirror))
		return 0;
	*rebuilt = existed;
	if (remove_repository(mirror, err) || make_repository(mirror, err))
		return -1;
	mirror->broken = false;
	return 0;
}

void mirror_close(struct mirror *mirror)
{
	git_repository_free(mirror->repository);
	free(mirror->directory);
	free(mirror->url);
	*mirror = (struct mirror){ NULL, NULL, NULL, false };
}
