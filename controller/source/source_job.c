/* Encoders and decoders in pairs; see source_job.h. */
#include "source/source_job.h"

#include "base/pack.h"

bool commit_is_hex(const char *text)
{
	return strlen(text) == COMMIT_HEX - 1 && strspn(text, "0123456789abcdef") == COMMIT_HEX - 1;
}

/* A commit may be empty where `optional` says so. */
static void take_commit(struct unpack *in, bool optional, char out[COMMIT_HEX])
{
	struct span text = unpack_span(in);

	memset(out, 0, COMMIT_HEX);
	if (text.length == COMMIT_HEX - 1)
		memcpy(out, text.data, COMMIT_HEX - 1);
	if (!commit_is_hex(out) && !(optional && !text.length))
		in->bad = true;
}

/* --- requests --------------------------------------------------------------------------------------------------- */

void source_configure_encode(const struct source_config *config, struct str *out)
{
	pack_u8(out, SOURCE_CONFIGURE);
	pack_text(out, config->url);
	pack_text(out, config->directory);
	pack_text(out, config->username);
	pack_text(out, config->password);
	pack_text(out, config->bearer_token);
	pack_span(out, config->client_cert);
	pack_span(out, config->client_key);
	pack_span(out, config->ca);
	pack_u8(out, config->at_home);
}

static void configure_decode(struct unpack *in, struct arena *arena, struct source_config *out)
{
	out->url = unpack_text(in, arena);
	out->directory = unpack_text(in, arena);
	out->username = unpack_text(in, arena);
	out->password = unpack_text(in, arena);
	out->bearer_token = unpack_text(in, arena);
	out->client_cert = unpack_span(in);
	out->client_key = unpack_span(in);
	out->ca = unpack_span(in);
	out->at_home = unpack_u8(in) != 0;
}

void source_refs_encode(const struct source_refs_request *request, struct str *out)
{
	pack_u8(out, SOURCE_REFS);
	pack_u32(out, (uint32_t)request->count);
	for (size_t i = 0; i < request->count; i++)
		pack_text(out, request->revisions[i]);
}

static void refs_decode(struct unpack *in, struct arena *arena, struct source_refs_request *out)
{
	out->count = unpack_count(in, 4);
	if (out->count > LIMIT_GIT_ASKED) {
		in->bad = true;
		return;
	}
	out->revisions = arena_calloc(arena, out->count, sizeof(*out->revisions));
	for (size_t i = 0; i < out->count; i++)
		out->revisions[i] = unpack_text(in, arena);
}

void source_fetch_encode(const struct source_fetch_request *request, struct str *out)
{
	pack_u8(out, SOURCE_FETCH);
	pack_text(out, request->commit);
	pack_text(out, request->ref);
}

void source_tree_encode(const struct source_tree_request *request, struct str *out)
{
	pack_u8(out, SOURCE_TREE);
	pack_text(out, request->commit);
	pack_text(out, request->path);
	pack_u8(out, request->recurse);
	pack_text(out, request->include);
	pack_text(out, request->exclude);
	pack_digest(out, &request->previous);
	pack_text(out, request->base);
}

static void tree_decode(struct unpack *in, struct arena *arena, struct source_tree_request *out)
{
	take_commit(in, false, out->commit);
	out->path = unpack_text(in, arena);
	out->recurse = unpack_bool(in);
	out->include = unpack_text(in, arena);
	out->exclude = unpack_text(in, arena);
	out->previous = unpack_digest(in);
	take_commit(in, true, out->base);
}

void source_changed_encode(const struct source_changed_request *request, struct str *out)
{
	pack_u8(out, SOURCE_CHANGED);
	pack_text(out, request->from);
	pack_text(out, request->to);
}

int source_job_decode(struct span request, struct arena *arena, struct source_job *out, struct error *err)
{
	struct unpack in = unpack_begin(request);
	struct source_job job = { .kind = (enum source_job_kind)unpack_u8(&in) };

	switch (job.kind) {
	case SOURCE_CONFIGURE:
		configure_decode(&in, arena, &job.as.configure);
		break;
	case SOURCE_REFS:
		refs_decode(&in, arena, &job.as.refs);
		break;
	case SOURCE_FETCH:
		take_commit(&in, false, job.as.fetch.commit);
		job.as.fetch.ref = unpack_text(&in, arena);
		break;
	case SOURCE_TREE:
		tree_decode(&in, arena, &job.as.tree);
		break;
	case SOURCE_CHANGED:
		take_commit(&in, false, job.as.changed.from);
		take_commit(&in, false, job.as.changed.to);
		break;
	default:
		return error_set(err, ERROR_INTERNAL, "BadFrame", "source job: no such kind");
	}
	if (unpack_end(&in, "source job", err))
		return -1;
	*out = job;
	return 0;
}

/* --- answers ---------------------------------------------------------------------------------------------------- */

void source_refs_reply_encode(const struct source_refs_reply *reply, struct str *out)
{
	pack_u32(out, (uint32_t)reply->count);
	for (size_t i = 0; i < reply->count; i++) {
		const struct source_ref *ref = &reply->refs[i];

		pack_text(out, ref->commit);
		pack_text(out, ref->ref);
		pack_u8(out, ref->commit[0] == '\0');
		if (!ref->commit[0])
			pack_error(out, &ref->error);
	}
}

static void ref_decode(struct unpack *in, struct arena *arena, struct source_ref *out)
{
	bool failed;

	take_commit(in, true, out->commit);
	out->ref = unpack_text(in, arena);
	failed = unpack_bool(in);
	if (failed == (out->commit[0] != '\0'))
		in->bad = true;
	if (failed && !in->bad) {
		unpack_error(in, &out->error);
		in->bad |= !out->error.reason[0];
	}
}

int source_refs_reply_decode(struct span reply, struct arena *arena, struct source_refs_reply *out, struct error *err)
{
	struct unpack in = unpack_begin(reply);
	struct source_refs_reply decoded = { .count = unpack_count(&in, 9) };

	if (decoded.count > LIMIT_GIT_ASKED)
		return error_set(err, ERROR_INTERNAL, "BadFrame", "source's answer: more revisions than can be asked for");
	decoded.refs = arena_calloc(arena, decoded.count, sizeof(*decoded.refs));
	for (size_t i = 0; i < decoded.count && !in.bad; i++)
		ref_decode(&in, arena, &decoded.refs[i]);
	if (unpack_end(&in, "source's answer", err))
		return -1;
	*out = decoded;
	return 0;
}

void source_fetch_reply_encode(const struct source_fetch_reply *reply, struct str *out)
{
	pack_u8(out, reply->fetched);
	pack_u8(out, reply->rebuilt);
	pack_u64(out, reply->received_bytes);
}

int source_fetch_reply_decode(struct span reply, struct source_fetch_reply *out, struct error *err)
{
	struct unpack in = unpack_begin(reply);
	struct source_fetch_reply decoded;

	decoded.fetched = unpack_bool(&in);
	decoded.rebuilt = unpack_bool(&in);
	decoded.received_bytes = unpack_u64(&in);
	if (unpack_end(&in, "source's answer", err))
		return -1;
	*out = decoded;
	return 0;
}

static void person_encode(const struct source_person *person, struct str *out)
{
	pack_text(out, person->name);
	pack_text(out, person->email);
	pack_u64(out, (uint64_t)person->time_s);
}

static void person_decode(struct unpack *in, struct arena *arena, struct source_person *out)
{
	out->name = unpack_text(in, arena);
	out->email = unpack_text(in, arena);
	out->time_s = (int64_t)unpack_u64(in);
}

void source_tree_reply_encode(const struct source_tree_reply *reply, struct str *out)
{
	pack_digest(out, &reply->input);
	pack_u8(out, reply->changed);
	pack_u8(out, reply->rewritten);
	pack_u32(out, reply->files);
	pack_text(out, reply->revision);
	person_encode(&reply->author, out);
	person_encode(&reply->committer, out);
	pack_text(out, reply->subject);
}

int source_tree_reply_decode(struct span reply, struct arena *arena, struct source_tree_reply *out, struct error *err)
{
	struct unpack in = unpack_begin(reply);
	struct source_tree_reply decoded = { .input = unpack_digest(&in) };

	decoded.changed = unpack_bool(&in);
	decoded.rewritten = unpack_bool(&in);
	decoded.files = unpack_u32(&in);
	take_commit(&in, false, decoded.revision);
	person_decode(&in, arena, &decoded.author);
	person_decode(&in, arena, &decoded.committer);
	decoded.subject = unpack_text(&in, arena);
	if (unpack_end(&in, "source's answer", err))
		return -1;
	*out = decoded;
	return 0;
}

void source_changed_reply_encode(const struct source_changed_reply *reply, struct str *out)
{
	pack_u8(out, reply->all);
	pack_u32(out, (uint32_t)reply->count);
	for (size_t i = 0; i < reply->count; i++)
		pack_text(out, reply->paths[i]);
}

int source_changed_reply_decode(struct span reply, struct arena *arena, struct source_changed_reply *out, struct error *err)
{
	struct unpack in = unpack_begin(reply);
	struct source_changed_reply decoded = { .all = unpack_bool(&in) };

	decoded.count = unpack_count(&in, 4);
	if (decoded.count > LIMIT_GIT_CHANGED)
		return error_set(err, ERROR_INTERNAL, "BadFrame", "source's answer: more paths than it may name");
	decoded.paths = arena_calloc(arena, decoded.count, sizeof(*decoded.paths));
	for (size_t i = 0; i < decoded.count && !in.bad; i++)
		decoded.paths[i] = unpack_text(&in, arena);
	if (unpack_end(&in, "source's answer", err))
		return -1;
	*out = decoded;
	return 0;
}
