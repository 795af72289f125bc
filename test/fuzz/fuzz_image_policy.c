/* Any JSON as an ImagePolicy: valid with globs and authorities, or with a problem that is told. */
#include "api/image_policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct image_policy policy;
	struct json *object;

	if (json_parse(span_make(data, size), arena, 0, &object, NULL))
		return 0;
	image_policy_decode(object, arena, &policy);
	if (policy.problem.reason[0]) {
		ASSERT(policy.problem.text[0]);
		/* invalid and yet governing nothing would let its images pass unseen */
		ASSERT(policy.governs_all || (policy.globs && policy.globs[0]));
		return 0;
	}
	ASSERT(policy.globs && policy.globs[0] && !policy.governs_all);
	for (size_t i = 0; i < policy.authority_count; i++)
		ASSERT(policy.authorities[i].key_pem || policy.authorities[i].secret_name);
	for (size_t i = 0; i < policy.exemption_count; i++)
		ASSERT(policy.exemptions[i].glob && policy.exemptions[i].namespaces && policy.exemptions[i].reason);
	return 0;
}
