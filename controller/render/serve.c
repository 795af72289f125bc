/* Render as a worker: the only file of this folder that sees a descriptor. */
#include "base/fault.h"
#include "io/sealed.h"
#include "render/render.h"
#include "render/reply.h"

int render_serve(void *session, struct span request, int request_fd, struct str *reply, int *reply_fd, struct error *err)
{
	CLEANUP(sealed_unmap) struct sealed sealed = { SPAN0 };
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct rendered rendered = { NULL, 0 };
	struct render_problems *problems = ARENA_NEW(arena, struct render_problems);
	struct tree_stream files;

	(void)session;
	(void)reply_fd;
	if (request.length)
		return error_set(err, ERROR_INTERNAL, "BadFrame", "a render job has no bytes but those of its descriptor");
	if (sealed_map(request_fd, TREE_STREAM_BYTES_MAX, &sealed, err) || tree_stream_decode(sealed.bytes, arena, &files, err))
		return -1;
	/* that files are wrong is the result of the job, told by the answer */
	if (render_files(&files, arena, &rendered, problems, NULL) && !problems->total)
		return error_set(err, ERROR_INTERNAL, "RenderFailed", "rendering failed without a reason");
	render_reply_encode(&rendered, problems, reply);
	return 0;
}
