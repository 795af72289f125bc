/* Any text as a repository's URL: what is taken has one form that is its own form, and a denial of it holds. */
#include "api/repo_url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(mem_cleanup) char *text = mem_strndup((const char *)data, size);
	CLEANUP(str_release) struct str form = STR_INIT, again = STR_INIT;
	struct error err = ERROR_INIT;

	if (repo_url_canonical(text, &form, &err)) {
		ASSERT(err.reason[0] && err.text[0]);
		return 0;
	}
	ASSERT(!repo_url_canonical(str_c(&form), &again, &err));
	ASSERT(span_equal(str_span(&form), str_span(&again)));
	ASSERT(repo_url_matches("*", str_span(&form), true) && repo_url_matches("**", str_span(&form), true));
	repo_url_matches(text, str_span(&form), false);
	return 0;
}
