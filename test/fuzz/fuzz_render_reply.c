/* Any bytes as render's answer to core: an answer that is taken must be whole and honest about names. */
#include "render/render.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct error err = ERROR_INIT;
	struct rendered rendered;

	if (render_reply_decode(span_make(data, size), arena, &rendered, NULL, &err)) {
		ASSERT(err.reason[0]);
		return 0;
	}
	for (size_t i = 0; i < rendered.count; i++) {
		const struct rendered_object *object = &rendered.objects[i];

		ASSERT(json_is(object->object, JSON_OBJECT) && object->kind[0] && object->path[0]);
		ASSERT(strcmp(json_get_text(object->object, "kind"), object->kind) == 0);
		ASSERT(object->name[0] || object->generate_name[0]);
	}
	return 0;
}
