/*
 * A subtransport of libgit2 (sys/transport.h), stateless: for every request
 * libgit2 writes the question whole, then reads the answer.
 */
#include "source/transport.h"

#include <git2/sys/errors.h>
#include <git2/sys/transport.h>
#include <sys/statvfs.h>

#include "base/limits.h"

struct subtransport {
	git_smart_subtransport base;
	struct transport_session *session;
};

struct substream {
	git_smart_subtransport_stream base;
	struct transport_session *session;
	git_smart_service_t service;
	struct str bytes;               /* the question; for the list of refs, the answer */
	size_t taken;
	struct git_stream *stream;
};

/* Remembers our error and gives libgit2 its text. */
static int fail(struct transport_session *session, const struct error *err)
{
	if (!session->failed)
		session->err = *err;
	session->failed = true;
	git_error_set_str(GIT_ERROR_NET, err->text);
	return -1;
}

static int stream_write(git_smart_subtransport_stream *base, const char *bytes, size_t length)
{
	struct substream *stream = CONTAINER_OF(base, struct substream, base);
	struct error err = ERROR_INIT;

	str_add(&stream->bytes, span_make(bytes, length));
	if (!stream->bytes.overflow)
		return 0;
	error_set(&err, ERROR_LIMIT, "TooLarge", "a request to the Git server is too large");
	return fail(stream->session, &err);
}

/* A large mirror stops growing before small ones do: one repository's history is not to be why nothing of any other can be had. */
static int check_share(const struct transport_session *session, uint64_t spare, struct error *err)
{
	uint64_t own = session->mirror_bytes + session->received_bytes;

	if (own / LIMIT_GIT_ROOM_SHARE <= spare)
		return 0;
	return error_set(err, ERROR_TRANSIENT, "VolumeFull", "%s: no room to fetch it: its mirror would have %llu MiB and leave %llu MiB of the volume "
			 "to all other repositories, besides what is kept for the audit log; give the controller a larger volume, or the repository "
			 "less history", git_http_url(session->http), (unsigned long long)own >> 20, (unsigned long long)spare >> 20);
}

/* What is left to the log, without which nothing may be done: an eighth of the volume, at most a gibibyte. */
static int check_room(struct transport_session *session, struct error *err)
{
	struct statvfs volume;
	uint64_t all, left, kept;

	if (session->checked_bytes && session->received_bytes - session->checked_bytes < LIMIT_GIT_ROOM_BYTES)
		return 0;
	session->checked_bytes = session->received_bytes;
	if (statvfs(session->directory, &volume))
		return 0;
	all = (uint64_t)volume.f_blocks * volume.f_frsize;
	left = (uint64_t)volume.f_bavail * volume.f_frsize;
	kept = all / 8 < LIMIT_GIT_ROOM_KEPT ? all / 8 : LIMIT_GIT_ROOM_KEPT;
	if (left >= kept + LIMIT_GIT_ROOM_BYTES)
		return check_share(session, left - kept, err);
	return error_set(err, ERROR_TRANSIENT, "VolumeFull", "%s: no room to fetch it: %llu MiB are left on the volume, of which %llu MiB are "
			 "kept for the audit log; give the controller a larger volume, or the repository less history", git_http_url(session->http),
			 (unsigned long long)left >> 20, (unsigned long long)kept >> 20);
}

static int read_pack(struct substream *stream, char *out, size_t size, size_t *got)
{
	struct transport_session *session = stream->session;
	struct error err = ERROR_INIT;

	if (!stream->stream)
		stream->stream = git_stream_open(session->http, GIT_REQUEST_RPC, 0, str_span(&stream->bytes), LIMIT_GIT_FETCH_MS);
	if (git_stream_read(stream->stream, out, size, got, &err))
		return fail(session, &err);
	session->received_bytes += *got;
	if (check_room(session, &err))
		return fail(session, &err);
	if (session->received_bytes <= LIMIT_GIT_PACK_BYTES)
		return 0;
	error_set(&err, ERROR_LIMIT, "TooLarge", "%s: a fetch of more than %llu bytes", git_http_url(session->http), LIMIT_GIT_PACK_BYTES);
	return fail(session, &err);
}

/* The list of refs is read whole before, so that redirects are settled and a cut list is an error. */
static int read_refs(struct substream *stream, char *out, size_t size, size_t *got)
{
	struct span rest = span_from(str_span(&stream->bytes), stream->taken);

	*got = rest.length < size ? rest.length : size;
	if (*got)
		memcpy(out, rest.data, *got);
	stream->taken += *got;
	return 0;
}

static int stream_read(git_smart_subtransport_stream *base, char *out, size_t size, size_t *got)
{
	struct substream *stream = CONTAINER_OF(base, struct substream, base);

	return stream->service == GIT_SERVICE_UPLOADPACK_LS ? read_refs(stream, out, size, got) : read_pack(stream, out, size, got);
}

static void stream_free(git_smart_subtransport_stream *base)
{
	struct substream *stream = CONTAINER_OF(base, struct substream, base);

	git_stream_free(stream->stream);
	str_release(&stream->bytes);
	free(stream);
}

static int on_action(git_smart_subtransport_stream **out, git_smart_subtransport *base, const char *url,
		     git_smart_service_t service)
{
	struct transport_session *session = CONTAINER_OF(base, struct subtransport, base)->session;
	struct substream *stream;
	struct error err = ERROR_INIT;

	(void)url;
	if (service != GIT_SERVICE_UPLOADPACK_LS && service != GIT_SERVICE_UPLOADPACK) {
		error_set(&err, ERROR_INTERNAL, "NotSupported", "the controller never pushes");
		return fail(session, &err);
	}
	stream = mem_alloc(sizeof(*stream));
	stream->base = (git_smart_subtransport_stream){ .subtransport = base, .read = stream_read, .write = stream_write, .free = stream_free };
	stream->session = session;
	stream->service = service;
	if (service == GIT_SERVICE_UPLOADPACK_LS &&
	    git_http_fetch(session->http, GIT_REQUEST_REFS, 0, SPAN0, &stream->bytes, &err)) {
		stream_free(&stream->base);
		return fail(session, &err);
	}
	*out = &stream->base;
	return 0;
}

static int on_close(git_smart_subtransport *base)
{
	(void)base;
	return 0;
}

static void on_free(git_smart_subtransport *base)
{
	free(CONTAINER_OF(base, struct subtransport, base));
}

static int subtransport_new(git_smart_subtransport **out, git_transport *owner, void *param)
{
	struct subtransport *subtransport = mem_alloc(sizeof(*subtransport));

	(void)owner;
	subtransport->base = (git_smart_subtransport){ .action = on_action, .close = on_close, .free = on_free };
	subtransport->session = param;
	*out = &subtransport->base;
	return 0;
}

int source_transport_new(git_transport **out, git_remote *owner, void *payload)
{
	git_smart_subtransport_definition definition = { subtransport_new, 1, payload };

	return git_transport_smart(out, owner, &definition);
}
