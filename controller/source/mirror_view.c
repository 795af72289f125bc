/* Reading beside the process that fetches: the lock between both, and the reader's way in; see mirror.h. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "source/git_error.h"
#include "source/mirror.h"

/* Beside the folder: in it nothing stays of a mirror that is made anew. */
#define LOCK ".lock"

static int lock(const char *directory, int flags, int operation)
{
	CLEANUP(str_release) struct str path = STR_INIT;
	CLEANUP(fd_cleanup) int fd = -1;

	str_addf(&path, "%s" LOCK, directory);
	fd = open(str_c(&path), flags | O_CLOEXEC, 0600);
	return fd >= 0 && !flock(fd, operation) ? TAKE_FD(fd) : -1;
}

int mirror_lock(const struct mirror *mirror)
{
	return lock(mirror->directory, O_RDWR | O_CREAT, LOCK_EX);
}

int mirror_view_open(struct mirror_view *view, const char *directory, struct error *err)
{
	CLEANUP(str_release) struct str git = STR_INIT;

	/* whoever takes something away is not waited for: there will soon be another answer */
	*view = (struct mirror_view){ NULL, lock(directory, O_RDONLY, LOCK_SH | LOCK_NB) };
	if (view->lock < 0)
		return error_set(err, ERROR_TRANSIENT, "MirrorBusy", "the mirror %s is being made or cleaned", directory);
	str_addf(&git, "%s/git", directory);
	if (git_repository_open_ext(&view->repository, str_c(&git),
				    GIT_REPOSITORY_OPEN_BARE | GIT_REPOSITORY_OPEN_NO_SEARCH | GIT_REPOSITORY_OPEN_NO_DOTGIT, NULL)) {
		mirror_view_close(view);
		return git_error_to(err, ERROR_TRANSIENT, "MirrorError", "read the mirror %s", directory);
	}
	return 0;
}

void mirror_view_close(struct mirror_view *view)
{
	git_repository_free(view->repository);
	fd_cleanup(&view->lock);
	*view = (struct mirror_view)MIRROR_VIEW_INIT;
}
