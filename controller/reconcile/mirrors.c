/* Which mirrors nobody wants any more; see mirrors.h. */
#include "reconcile/mirrors.h"

#include <dirent.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/map.h"
#include "io/file.h"

#define LOOK_EVERY_MS 3600000

struct mirrors {
	struct mirrors_of of;
	char *folder;
	struct timer *timer;
	struct map unwanted;         /* names of those that nobody wanted at the last look */
};

static void remove_mirror(const struct mirrors *mirrors, const char *name)
{
	CLEANUP(str_release) struct str path = STR_INIT;
	struct error err = ERROR_INIT;

	str_addf(&path, "%s/%s", mirrors->folder, name);
	if (dir_remove(str_c(&path), &err))
		log_error(LOG_WARN, "a mirror that nobody wants cannot be removed", &err, NULL);
	else
		log_line(LOG_INFO, "a mirror that nobody wanted for an hour was removed", "folder", str_c(&path), NULL);
}

/* Those that were unwanted the last time, too, go. */
static void look(struct mirrors *mirrors, DIR *dir, struct map *unwanted)
{
	struct dirent *entry;

	while ((entry = readdir(dir)) != NULL) {
		struct span name = span_of(entry->d_name);

		if (entry->d_name[0] == '.' || mirrors->of.is_wanted(mirrors->of.data, name))
			continue;
		if (map_has(&mirrors->unwanted, name))
			remove_mirror(mirrors, entry->d_name);
		else
			map_set(unwanted, name, mirrors);
	}
}

static void on_timer(void *data)
{
	struct mirrors *mirrors = data;
	DIR *dir = mirrors->of.is_known(mirrors->of.data) ? opendir(mirrors->folder) : NULL;
	struct map unwanted = { 0 };

	if (dir)
		look(mirrors, dir, &unwanted);
	if (dir)
		closedir(dir);
	map_release(&mirrors->unwanted);
	mirrors->unwanted = unwanted;
	timer_start(mirrors->timer, LOOK_EVERY_MS);
}

struct mirrors *mirrors_new(struct loop *loop, const struct mirrors_of *of)
{
	struct mirrors *mirrors = mem_alloc(sizeof(*mirrors));

	mirrors->of = *of;
	mirrors->folder = mem_strdup(of->folder);
	mirrors->timer = timer_new(loop, on_timer, mirrors);
	timer_start(mirrors->timer, LOOK_EVERY_MS);
	return mirrors;
}

void mirrors_free(struct mirrors *mirrors)
{
	if (!mirrors)
		return;
	timer_free(mirrors->timer);
	map_release(&mirrors->unwanted);
	free(mirrors->folder);
	free(mirrors);
}
