/* Any JSON as a Project, and the questions that are asked of one. A Project that names nothing allows nothing. */
#include "api/project.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	static const char server[] = "https://kubernetes.default.svc";
	struct error err = ERROR_INIT;
	struct project project;
	struct json *object;
	bool repo, destination;

	if (json_parse(span_make(data, size), arena, 0, &object, NULL))
		return 0;
	if (project_decode(object, arena, &project, &err)) {
		ASSERT(err.reason[0] && err.text[0]);
		return 0;
	}
	repo = project_allows_repo(&project, "https://git.example/ops/shop.git", true, NULL);
	destination = project_allows_destination(&project, server, "shop", NULL);
	ASSERT(!repo || (project.source_repos && project.source_repos[0]));
	ASSERT(!destination || project.destination_count);
	ASSERT(project_allows_kind(&project, "", "Namespace", "shop", false, NULL) <= project.cluster_whitelist.count);
	project_allows_kind(&project, "apps", "Deployment", "web", true, NULL);
	ASSERT(!project_account(&project, server, "shop", arena) || project.account_count);
	return 0;
}
