/* Any text as a repository URL or as a message: no user information may remain in what is shown. */
#include "source/git_url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool host_has_at(const char *url)
{
	const char *host = strstr(url, "://"), *end;

	if (!host)
		return false;
	host += 3;
	end = host + strcspn(host, "/");
	return memchr(host, '@', (size_t)(end - host)) != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	char *text = arena_strndup(arena, span_make(data, size));
	struct git_url url, again;
	struct error err = ERROR_INIT;

	(void)git_url_redact(text, arena);
	if (git_url_parse(text, arena, &url, &err)) {
		ASSERT(err.reason[0]);
	} else {
		ASSERT(!host_has_at(url.url) && !strchr(url.host, '@') && url.host[0]);
		ASSERT(!git_url_parse(url.url, arena, &again, NULL) && strcmp(again.url, url.url) == 0 && !again.user[0]);
	}
	git_text_redact(text);
	return 0;
}
