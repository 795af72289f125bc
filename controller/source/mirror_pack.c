/*
 * Every fetch leaves a pack, and every look-up asks each of them. When there
 * are many, the small ones become one; the large one of the first fetch is not
 * touched, so this stays quick whatever the repository's size.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <git2/sys/odb_backend.h>

#include "base/limits.h"
#include "source/mirror.h"

/* Paths of small packs, without their ending. */
struct small_packs {
	struct arena *arena;
	const char **paths;
	size_t count, capacity, all;
	uint64_t bytes;             /* of all */
};

static void list_packs(const struct mirror *mirror, struct small_packs *out)
{
	const char *path = arena_printf(out->arena, "%s/git/objects/pack", mirror->directory);
	DIR *folder = opendir(path);
	struct dirent *entry;

	while (folder && (entry = readdir(folder)) != NULL) {
		struct span name = span_of(entry->d_name);
		struct stat stat;

		if (!span_ends(name, ".pack") || fstatat(dirfd(folder), entry->d_name, &stat, AT_SYMLINK_NOFOLLOW))
			continue;
		out->all++;
		out->bytes += (uint64_t)stat.st_size;
		if (stat.st_size <= LIMIT_GIT_SMALL_PACK_BYTES)
			*(const char **)arena_push(out->arena, &out->paths, &out->count, &out->capacity, sizeof(*out->paths)) =
				arena_printf(out->arena, "%s/%.*s", path, SPAN_ARG(span_sub(name, 0, name.length - strlen(".pack"))));
	}
	if (folder)
		closedir(folder);
}

size_t mirror_packs(const struct mirror *mirror)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct small_packs packs = { .arena = arena };

	list_packs(mirror, &packs);
	return packs.all;
}

uint64_t mirror_bytes(const struct mirror *mirror)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct small_packs packs = { .arena = arena };

	list_packs(mirror, &packs);
	return packs.bytes;
}

static int on_object(const git_oid *id, void *builder)
{
	return git_packbuilder_insert(builder, id, NULL);
}

/* All objects of one pack, whether anything refers to them or not. */
static int add_pack(git_packbuilder *builder, const char *path, struct arena *arena)
{
	git_odb_backend *backend = NULL;
	git_odb *odb = NULL;
	int rc = git_odb_new(&odb);

	if (!rc)
		rc = git_odb_backend_one_pack(&backend, arena_printf(arena, "%s.idx", path));
	if (!rc)
		rc = git_odb_add_backend(odb, backend, 1);
	if (!rc)
		rc = git_odb_foreach(odb, on_object, builder);
	git_odb_free(odb);
	return rc;
}

static void remove_packs(const struct mirror *mirror, const struct small_packs *packs, const char *name)
{
	static const char *const endings[] = { ".idx", ".pack", ".rev" };
	CLEANUP(fd_cleanup) int lock = mirror_lock(mirror);

	for (size_t i = 0; i < packs->count; i++) {
		/* the same objects make the same pack */
		if (name && span_ends(span_of(packs->paths[i]), name))
			continue;
		for (size_t j = 0; j < COUNT_OF(endings); j++)
			unlink(arena_printf(packs->arena, "%s%s", packs->paths[i], endings[j]));
	}
}

static int write_one(const struct mirror *mirror, git_packbuilder *builder, const struct small_packs *packs)
{
	int rc = 0;

	git_packbuilder_set_threads(builder, 1);
	for (size_t i = 0; !rc && i < packs->count; i++)
		rc = add_pack(builder, packs->paths[i], packs->arena);
	if (!rc)
		rc = git_packbuilder_write(builder, NULL, 0, NULL, NULL);
	if (!rc)
		remove_packs(mirror, packs, git_packbuilder_name(builder));
	return rc;
}

/* libgit2 remembers packs that are gone. */
static int reopen(struct mirror *mirror)
{
	CLEANUP(mem_cleanup) char *directory = mem_strdup(mirror->directory);
	CLEANUP(mem_cleanup) char *url = mem_strdup(mirror->url);
	bool rebuilt;

	return mirror_open(mirror, directory, url, &rebuilt, NULL);
}

int mirror_consolidate(struct mirror *mirror)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct small_packs packs = { .arena = arena };
	git_packbuilder *builder = NULL;
	int rc;

	list_packs(mirror, &packs);
	if (packs.count < 2)
		return 0;
	rc = git_packbuilder_new(&builder, mirror->repository);
	if (!rc)
		rc = write_one(mirror, builder, &packs);
	git_packbuilder_free(builder);
	return reopen(mirror) || rc ? -1 : 0;
}
