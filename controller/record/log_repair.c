/* Expected files against those on disk; see log_repair.h. */
#include "record/log_repair.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SECTOR 512u /* what a disk writes whole or not at all; the blocks of all file systems are multiples of it */

struct expected_file {
	struct str content;
	bool compared;          /* by the caller */
	bool intact;            /* on disk as it must be */
};

static struct expected_file *expect(struct log_repair *repair, const char *path, struct span content)
{
	struct expected_file *file = mem_alloc(sizeof(*file));

	str_add(&file->content, content);
	map_set(&repair->expected, span_of(path), file);
	return file;
}

void log_repair_expect(struct log_repair *repair, const char *path, struct span content)
{
	expect(repair, path, content);
}

void log_repair_replace(struct log_repair *repair, const char *path, struct span content)
{
	expect(repair, path, content)->compared = true;
}

void log_repair_release(struct log_repair *repair)
{
	MAP_EACH(entry, &repair->expected) {
		struct expected_file *file = entry->value;

		str_release(&file->content);
		free(file);
	}
	map_release(&repair->expected);
	for (size_t i = 0; i < repair->superseded_count; i++)
		str_release(&repair->superseded[i]);
	free(repair->superseded);
}

static void add_superseded(struct log_repair *repair, const char *name)
{
	if (repair->superseded_count == repair->superseded_capacity) {
		repair->superseded_capacity = repair->superseded_capacity ? 2 * repair->superseded_capacity : 8;
		repair->superseded = mem_realloc(repair->superseded, repair->superseded_capacity * sizeof(struct str));
	}
	repair->superseded[repair->superseded_count] = (struct str)STR_INIT;
	str_adds(&repair->superseded[repair->superseded_count++], name);
}

static size_t common_length(struct span a, struct span b)
{
	size_t at = 0;

	while (at < a.length && at < b.length && a.data[at] == b.data[at])
		at++;
	return at;
}

/* Bytes behind the last expected record of a bundle that are no whole record: a write that was cut. */
static bool is_torn_record(const char *name, struct span extra)
{
	struct span record;

	return strncmp(name, "tile/entries/", strlen("tile/entries/")) == 0 && !log_entry_next(&extra, &record);
}

/* Where the sector ends that holds the byte `at`; `at` itself when not all of it from there on is zeroes. */
static size_t skip_unwritten(struct span disk, size_t at)
{
	size_t end = at - at % SECTOR + SECTOR;

	if (end > disk.length)
		end = disk.length;
	for (size_t i = at; i < end; i++)
		if (disk.data[i])
			return at;
	return end;
}

/* The first byte on disk that is neither what is wanted nor a zero that never was anything else; as long as the shorter: none. */
static size_t first_changed(struct span disk, struct span want)
{
	size_t at = common_length(disk, want), end;

	while (disk.length <= want.length && at < disk.length && (end = skip_unwritten(disk, at)) > at)
		at = end + common_length(span_from(disk, end), span_from(want, end));
	return at;
}

/*
 * Whether the content on disk can be what a crash left of the wanted: a beginning of it, with zeroes where sectors were not
 * written, or it with a torn record behind.
 */
static int compare_content(const char *name, struct span disk, struct span want, struct error *err)
{
	size_t changed = first_changed(disk, want);

	if (changed == disk.length || (changed == want.length && is_torn_record(name, span_from(disk, changed))))
		return 0;
	return error_set(err, ERROR_INVALID, "LogCorrupt", "%s: byte %zu: it is not what was written there; no crash does that",
			 name, changed);
}

/* The expected file of the tile at its present width; NULL: there is none. */
static struct expected_file *widest(const struct log_repair *repair, int level, uint64_t index)
{
	CLEANUP(str_release) struct str path = STR_INIT;
	unsigned width = tlog_tile_width(level, index, repair->size);

	if (!width)
		return NULL;
	tlog_path(level, index, width, &path);
	return map_get(&repair->expected, str_span(&path));
}

static int compare_known(struct log_repair *repair, const char *name, struct expected_file *file, struct error *err)
{
	CLEANUP(str_release) struct str disk = STR_LIMIT(LOG_BUNDLE_MAX);

	if (log_files_read(repair->files, name, LOG_BUNDLE_MAX, &disk, err) ||
	    (!file->compared && compare_content(name, str_span(&disk), str_span(&file->content), err)))
		return -1;
	file->intact = span_equal(str_span(&disk), str_span(&file->content));
	return 0;
}

/* A partial tile of an earlier width that a crash left. */
static int compare_superseded(struct log_repair *repair, const char *name, const struct expected_file *now, struct error *err)
{
	CLEANUP(str_release) struct str disk = STR_LIMIT(LOG_BUNDLE_MAX);

	if (log_files_read(repair->files, name, LOG_BUNDLE_MAX, &disk, err) ||
	    compare_content(name, str_span(&disk), str_span(&now->content), err))
		return -1;
	add_superseded(repair, name);
	return 0;
}

static int compare_file(void *data, const char *name, bool plain, struct error *err)
{
	struct log_repair *repair = data;
	struct expected_file *file = map_get(&repair->expected, span_of(name)), *now;
	unsigned width, shift;
	uint64_t index;
	int level;

	if (plain && file)
		return compare_known(repair, name, file, err);
	if (!plain || !tlog_path_parse(span_of(name), &level, &index, &width))
		return error_set(err, ERROR_INVALID, "LogCorrupt", "%s: byte 0: it does not belong to a log", name);
	shift = TLOG_HEIGHT * ((unsigned)(level == TLOG_ENTRIES ? 0 : level) + 1);
	if (width == TLOG_WIDTH && shift < 64 && index < repair->base >> shift)
		return 0;
	now = widest(repair, level, index);
	if (now && width < tlog_tile_width(level, index, repair->size))
		return compare_superseded(repair, name, now, err);
	return error_set(err, ERROR_INVALID, "LogCorrupt", "%s: byte 0: it does not belong to a log of %llu records", name,
			 (unsigned long long)repair->size);
}

int log_repair_compare(struct log_repair *repair, struct error *err)
{
	return log_files_walk(repair->files, compare_file, repair, err);
}

/* Into a new file; where there is no room for it, one that reads as it must is written over with the same. */
static int write_anew(const struct log_repair *repair, const char *name, const struct expected_file *file, struct error *err)
{
	struct error why = ERROR_INIT;

	if (!log_writer_put(repair->files, name, str_span(&file->content), &why))
		return 0;
	if (file->intact && strstr(why.text, strerror(ENOSPC)))
		return log_writer_again(repair->files, name, str_span(&file->content), err);
	return error_set(err, why.kind, why.reason, "%s", why.text);
}

int log_repair_apply(struct log_repair *repair, unsigned *count, struct error *err)
{
	for (size_t i = 0; i < repair->superseded_count; i++, (*count)++)
		if (log_writer_remove(repair->files, str_c(&repair->superseded[i]), err))
			return -1;
	MAP_EACH(entry, &repair->expected) {
		const struct expected_file *file = entry->value;

		if (write_anew(repair, entry->key, file, err))
			return -1;
		*count += !file->intact;
	}
	return 0;
}
