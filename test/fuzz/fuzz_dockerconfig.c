/* Any bytes as a Docker configuration. */
#include "oci/dockerconfig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct span input = span_make(data, size);
	static const char *const images[] = { "registry.example/team/web", "nginx", "localhost:5000/a" };

	for (size_t i = 0; i < COUNT_OF(images); i++) {
		struct reference reference;
		struct credential c, *all;
		bool found, helper;
		size_t count;

		ASSERT(!reference_parse(span_of(images[i]), arena, &reference, NULL));
		if (!dockerconfig_find(input, &reference, arena, &c, &found, &helper, NULL))
			ASSERT(found == !credential_is_anonymous(&c));
		for (enum dockerconfig_form form = DOCKERCONFIG_JSON; form <= DOCKERCONFIG_CFG; form++)
			if (!dockerconfig_find_all(input, form, &reference, arena, &all, &count, NULL))
				for (size_t k = 0; k < count; k++)
					ASSERT(!credential_is_anonymous(&all[k]));
	}
	return 0;
}
