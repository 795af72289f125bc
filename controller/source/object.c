/* Two look-ups; see object.h. */
#include "source/object.h"

#include <git2/sys/errors.h>
#include <stdio.h>

#include "base/limits.h"

/* Of another type than is looked for is for the look-up itself to say; but it must not be large either. */
static int check_size(git_repository *repository, const git_oid *id)
{
	git_odb *odb = NULL;
	git_object_t type;
	size_t size = 0, most;
	char text[120];
	int rc = git_repository_odb(&odb, repository);

	if (!rc)
		rc = git_odb_read_header(&size, &type, odb, id);
	git_odb_free(odb);
	if (rc)
		return rc;
	most = type == GIT_OBJECT_TREE ? LIMIT_GIT_TREE_BYTES : LIMIT_GIT_COMMIT_BYTES;
	if (size <= most)
		return 0;
	snprintf(text, sizeof(text), "%s %s has %zu bytes, more than %zu", git_object_type2string(type), git_oid_tostr_s(id), size, most);
	git_error_set_str(GIT_ERROR_NOMEMORY, text);
	return -1;
}

int object_commit(git_repository *repository, const git_oid *id, git_commit **out)
{
	int rc = check_size(repository, id);

	return rc ? rc : git_commit_lookup(out, repository, id);
}

int object_tree(git_repository *repository, const git_oid *id, git_tree **out)
{
	int rc = check_size(repository, id);

	return rc ? rc : git_tree_lookup(out, repository, id);
}
