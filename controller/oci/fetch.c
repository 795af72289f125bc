/* One job of the fetch role; see fetch.h. */
#include "oci/fetch.h"

#include "base/limits.h"
#include "oci/client.h"
#include "oci/gather.h"
#include "oci/header.h"
#include "oci/manifest.h"

#define REQUEST_VERSION 1
#define REPLY_VERSION 1

/* Everything a kubelet would run; schema 1 images are not. */
static const char *const image_types[] = { MEDIA_OCI_INDEX, MEDIA_DOCKER_INDEX, MEDIA_OCI_MANIFEST, MEDIA_DOCKER_MANIFEST };
#define ACCEPT_IMAGE MEDIA_OCI_INDEX ", " MEDIA_DOCKER_INDEX ", " MEDIA_OCI_MANIFEST ", " MEDIA_DOCKER_MANIFEST

static bool is_image_type(const char *type)
{
	for (size_t i = 0; i < COUNT_OF(image_types); i++)
		if (!strcmp(type, image_types[i]))
			return true;
	return false;
}

/* Step 0: the reference is resolved once, to the digest of the bytes that came. */
static int resolve(struct client *client, const struct reference *reference, struct arena *arena, struct fetch_reply *out,
		   struct error *err)
{
	const struct digest *wanted = reference->has_digest ? &reference->digest : NULL;
	CLEANUP(str_release) struct str shown = STR_INIT;
	const char *name = reference->tag;
	char hex[DIGEST_TEXT];
	struct response response;
	bool found;

	reference_write(reference, &shown);
	if (wanted) {
		digest_text(wanted, hex);
		name = hex;
	}
	if (gather_manifest(client, reference->repository, name, wanted, ACCEPT_IMAGE, arena, &response, &out->digest, &found, err))
		return -1;
	if (!found)
		return error_set(err, ERROR_NOT_FOUND, "ImageNotFound", "the registry %s has no image %s", reference->host, str_c(&shown));
	out->media_type = media_type_of(span_of(response.content_type), arena);
	if (!is_image_type(out->media_type))
		return error_set(err, ERROR_INVALID, "ManifestMediaType", "%s is of type '%.100s', which is no image manifest or index",
				 str_c(&shown), out->media_type);
	return 0;
}

int fetch(const struct fetch_request *request, struct arena *arena, struct fetch_reply *out, struct error *err)
{
	const struct reference *reference = &request->reference;
	struct client_config config = {
		.host = reference->host,
		.repository = reference->repository,
		.credential = request->credential,
		.ca_pem = request->ca_pem,
		.plain_http = request->plain_http,
		.timeout_ms = LIMIT_EVIDENCE_SECONDS * 1000,
	};
	CLEANUP(client_cleanup) struct client *client = client_new(&config);
	struct fetch_reply reply = { .media_type = "" };

	if (resolve(client, reference, arena, &reply, err))
		return -1;
	reply.evidence.image = reply.digest;
	if (request->evidence && gather_evidence(client, reference->repository, arena, &reply.evidence, err))
		return error_wrap(err, "signatures of %s", reference->name);
	reply.requests = client_requests(client);
	reply.bytes = client_bytes(client);
	*out = reply;
	return 0;
}

/* --- frames ------------------------------------------------------------------------------------------------------------ */

void fetch_request_encode(const struct fetch_request *request, struct str *out)
{
	CLEANUP(str_release) struct str reference = STR_INIT;

	reference_write(&request->reference, &reference);
	pack_u8(out, REQUEST_VERSION);
	pack_span(out, str_span(&reference));
	pack_u8(out, request->evidence);
	pack_text(out, request->credential.username);
	pack_text(out, request->credential.password);
	pack_text(out, request->credential.identity_token);
	pack_text(out, request->credential.registry_token);
	pack_text(out, request->ca_pem);
	pack_u8(out, request->plain_http);
}

static int request_decode(struct span bytes, struct arena *arena, struct fetch_request *out, struct error *err)
{
	struct unpack in = unpack_begin(bytes);
	struct span reference;

	if (unpack_u8(&in) != REQUEST_VERSION)
		in.bad = true;
	reference = unpack_span(&in);
	out->evidence = unpack_bool(&in);
	out->credential.username = unpack_text(&in, arena);
	out->credential.password = unpack_text(&in, arena);
	out->credential.identity_token = unpack_text(&in, arena);
	out->credential.registry_token = unpack_text(&in, arena);
	out->ca_pem = unpack_text(&in, arena);
	out->plain_http = unpack_bool(&in);
	return unpack_end(&in, "fetch request", err) || reference_parse(reference, arena, &out->reference, err) ? -1 : 0;
}

static void reply_encode(const struct fetch_reply *reply, struct str *out)
{
	pack_u8(out, REPLY_VERSION);
	pack_digest(out, &reply->digest);
	pack_text(out, reply->media_type);
	pack_u32(out, reply->requests);
	pack_u64(out, reply->bytes);
	evidence_pack(&reply->evidence, out);
}

int fetch_reply_decode(struct span bytes, struct arena *arena, struct fetch_reply *out, struct error *err)
{
	struct unpack in = unpack_begin(bytes);
	struct fetch_reply reply = { .media_type = "" };

	if (unpack_u8(&in) != REPLY_VERSION)
		in.bad = true;
	reply.digest = unpack_digest(&in);
	reply.media_type = unpack_text(&in, arena);
	reply.requests = unpack_u32(&in);
	reply.bytes = unpack_u64(&in);
	evidence_unpack(&in, arena, &reply.evidence);
	if (!digest_equal(&reply.digest, &reply.evidence.image) || digest_is_zero(&reply.digest))
		in.bad = true;
	if (unpack_end(&in, "fetch reply", err))
		return -1;
	*out = reply;
	return 0;
}

int fetch_serve(struct span request, struct str *reply, struct error *err)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct fetch_request job = { .evidence = false };
	struct fetch_reply result;

	if (request_decode(request, arena, &job, err) || fetch(&job, arena, &result, err))
		return -1;
	reply_encode(&result, reply);
	return 0;
}
