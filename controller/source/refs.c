/* Reading what servers say of refs, and choosing among them; see refs.h. */
#include "source/refs.h"

#include <ctype.h>

#include "base/encode.h"
#include "base/semver.h"
#include "source/pkt_line.h"

#define ZERO_ID "0000000000000000000000000000000000000000"

static int bad(struct error *err, const char *what)
{
	return error_set(err, ERROR_TRANSIENT, "BadProtocol", "the Git server's answer is not understood: %s", what);
}

/* "<id> <rest>": cuts the id off. */
static bool take_id(struct span *line, char out[COMMIT_HEX])
{
	memset(out, 0, COMMIT_HEX);
	if (line->length < COMMIT_HEX - 1)
		return false;
	memcpy(out, line->data, COMMIT_HEX - 1);
	*line = span_from(*line, COMMIT_HEX - 1);
	return commit_is_hex(out);
}

struct list {
	struct arena *arena;
	struct git_refs refs;
	size_t capacity;
	struct error *err;
};

static int add_ref(struct list *list, const char *id, struct span name, struct git_ref **out)
{
	struct git_ref *ref;

	if (!name.length || span_has_nul(name) || !utf8_valid(name))
		return bad(list->err, "a ref without a usable name");
	if (list->refs.count == LIMIT_GIT_REFS)
		return error_set(list->err, ERROR_LIMIT, "TooLarge", "the repository has more than %u refs", LIMIT_GIT_REFS);
	ref = arena_push(list->arena, &list->refs.items, &list->refs.count, &list->capacity, sizeof(*ref));
	memcpy(ref->id, id, COMMIT_HEX);
	ref->name = name;
	*out = ref;
	return 0;
}

/* --- protocol v0 and v1, and the greeting of v2 ---------------------------------------------------------------- */

static bool has_capability(struct span capabilities, const char *wanted)
{
	while (capabilities.data)
		if (span_is(span_cut(&capabilities, ' '), wanted))
			return true;
	return false;
}

/* A server that says ERR instead of refs means that there is no repository, or none for us. */
static int server_error(struct span line, struct error *err)
{
	CLEANUP(str_release) struct str shown = STR_INIT;

	text_escape(span_sub(line, 4, 300), &shown);
	return error_set(err, ERROR_NOT_FOUND, "RepositoryNotFound", "the Git server answers: %s", str_c(&shown));
}

/* "<id> <name>"; the first has capabilities behind a NUL, a peeled tag follows its tag as "<name>^{}". */
static int add_old_line(struct list *list, struct span line)
{
	struct span capabilities = line, rest = span_cut(&capabilities, '\0');
	char id[COMMIT_HEX];
	struct git_ref *ref;

	if (has_capability(capabilities, "object-format=sha256"))
		return error_set(list->err, ERROR_INVALID, "NotSupported", "repositories with SHA-256 object names are not supported yet");
	if (span_starts(rest, "shallow "))
		return 0;
	if (!take_id(&rest, id) || !span_starts(rest, " "))
		return bad(list->err, "a ref without an id");
	rest = span_from(rest, 1);
	if (span_is(rest, "capabilities^{}") && strcmp(id, ZERO_ID) == 0)
		return 0;
	if (span_ends(rest, "^{}")) {
		rest.length -= 3;
		if (!list->refs.count || !span_equal(list->refs.items[list->refs.count - 1].name, rest))
			return bad(list->err, "a peeled tag without its tag");
		memcpy(list->refs.items[list->refs.count - 1].peeled, id, COMMIT_HEX);
		return 0;
	}
	return add_ref(list, id, rest, &ref);
}

/* What stands before the refs over HTTP: "# service=git-upload-pack" and a flush. */
static int skip_service(struct span *rest, struct error *err)
{
	struct span before = *rest, line;
	enum pkt_kind kind;

	if (pkt_next(rest, &kind, &line, err))
		return -1;
	if (kind != PKT_DATA || !span_starts(line, "# service=")) {
		*rest = before;
		return 0;
	}
	if (!span_is(line, "# service=git-upload-pack"))
		return bad(err, "another service");
	if (pkt_next(rest, &kind, &line, err))
		return -1;
	return kind == PKT_FLUSH ? 0 : bad(err, "no flush behind the service");
}

static int greeting_line(struct span line, struct list *list, struct advertisement *out)
{
	if (span_starts(line, "ERR "))
		return server_error(line, list->err);
	if (out->version == 2)
		return span_is(line, "object-format=sha256") ?
			       error_set(list->err, ERROR_INVALID, "NotSupported",
					 "repositories with SHA-256 object names are not supported yet") : 0;
	return add_old_line(list, line);
}

int advertisement_parse(struct span body, struct arena *arena, struct advertisement *out, struct error *err)
{
	struct list list = { .arena = arena, .err = err };
	struct advertisement found = { .version = 0 };
	bool first = true;
	struct span line;
	enum pkt_kind kind;

	if (skip_service(&body, err))
		return -1;
	for (;; first = false) {
		if (pkt_next(&body, &kind, &line, err))
			return -1;
		if (kind != PKT_DATA)
			break;
		if (first && (span_is(line, "version 2") || span_is(line, "version 1")))
			found.version = line.data[8] == '2' ? 2 : 1;
		else if (greeting_line(line, &list, &found))
			return -1;
	}
	if (kind != PKT_FLUSH || body.length)
		return bad(err, "the list of refs does not end");
	found.refs = list.refs;
	*out = found;
	return 0;
}

/* --- protocol v2 ------------------------------------------------------------------------------------------------- */

bool revision_is_commit(const char *revision)
{
	return strlen(revision) == COMMIT_HEX - 1 && strspn(revision, "0123456789abcdefABCDEF") == COMMIT_HEX - 1;
}

static bool is_head(const char *revision)
{
	return !revision[0] || strcmp(revision, "HEAD") == 0;
}

/* A plain version is a tag's name, not a constraint. */
static bool is_constraint(const char *revision, struct semver_constraint *out)
{
	struct semver version;

	return !is_head(revision) && !semver_parse(span_of(revision), &version) && semver_constraint_parse(span_of(revision), out);
}

static void add_prefixes(const char *revision, struct str *out)
{
	struct semver_constraint constraint;

	if (revision_is_commit(revision) || is_head(revision))
		return;
	if (strlen(revision) > LIMIT_GIT_PATH_BYTES || strpbrk(revision, "\n"))
		return;
	if (is_constraint(revision, &constraint))
		pkt_addf(out, "ref-prefix refs/tags/\n");
	if (strncmp(revision, "refs/", 5) == 0)
		pkt_addf(out, "ref-prefix %s\n", revision);
	pkt_addf(out, "ref-prefix refs/heads/%s\n", revision);
	pkt_addf(out, "ref-prefix refs/tags/%s\n", revision);
}

void ls_refs_request(const struct source_refs_request *wanted, struct str *out)
{
	pkt_addf(out, "command=ls-refs\n");
	pkt_addf(out, "agent=git/countersign\n");
	pkt_addf(out, "object-format=sha1\n");
	pkt_add_delim(out);
	pkt_addf(out, "peel\n");
	pkt_addf(out, "ref-prefix HEAD\n");
	for (size_t i = 0; i < wanted->count; i++)
		add_prefixes(wanted->revisions[i], out);
	pkt_add_flush(out);
}

/* "<id> <name>[ symref-target:<name>][ peeled:<id>]", or "unborn <name> …", which has no commit. */
static int add_line(struct list *list, struct span line)
{
	char id[COMMIT_HEX];
	struct git_ref *ref;

	if (span_starts(line, "unborn "))
		return 0;
	if (span_starts(line, "ERR "))
		return server_error(line, list->err);
	if (!take_id(&line, id) || !span_starts(line, " "))
		return bad(list->err, "a ref without an id");
	line = span_from(line, 1);
	if (add_ref(list, id, span_cut(&line, ' '), &ref))
		return -1;
	while (line.data) {
		struct span attribute = span_cut(&line, ' ');

		if (!span_starts(attribute, "peeled:"))
			continue;
		attribute = span_from(attribute, 7);
		if (!take_id(&attribute, ref->peeled) || attribute.length)
			return bad(list->err, "a peeled tag without an id");
	}
	return 0;
}

int ls_refs_parse(struct span body, struct arena *arena, struct git_refs *out, struct error *err)
{
	struct list list = { .arena = arena, .err = err };
	struct span line;
	enum pkt_kind kind;

	for (;;) {
		if (pkt_next(&body, &kind, &line, err))
			return -1;
		if (kind != PKT_DATA)
			break;
		if (add_line(&list, line))
			return -1;
	}
	if (kind != PKT_FLUSH)
		return bad(err, "the list of refs does not end");
	*out = list.refs;
	return 0;
}

/* --- meaning ----------------------------------------------------------------------------------------------------- */

static const char *commit_of(const struct git_ref *ref)
{
	return ref->peeled[0] ? ref->peeled : ref->id;
}

static void found(const struct git_ref *ref, struct arena *arena, struct source_ref *out)
{
	memcpy(out->commit, commit_of(ref), COMMIT_HEX);
	out->ref = arena_strndup(arena, ref->name);
}

static const struct git_ref *find(const struct git_refs *refs, const char *folder, const char *name)
{
	size_t length = strlen(folder);

	for (size_t i = 0; i < refs->count; i++)
		if (span_starts(refs->items[i].name, folder) && span_is(span_from(refs->items[i].name, length), name))
			return &refs->items[i];
	return NULL;
}

static const struct git_ref *highest_tag(const struct git_refs *refs, const struct semver_constraint *constraint)
{
	const struct git_ref *best = NULL;
	struct semver best_version = { 0, 0, 0, SPAN0 };

	for (size_t i = 0; i < refs->count; i++) {
		struct semver version;

		if (!span_starts(refs->items[i].name, "refs/tags/") ||
		    !semver_parse(span_from(refs->items[i].name, strlen("refs/tags/")), &version) ||
		    !semver_constraint_matches(constraint, &version))
			continue;
		if (best && semver_compare(&version, &best_version) <= 0)
			continue;
		best = &refs->items[i];
		best_version = version;
	}
	return best;
}

/* The branch, or the tag; NULL where there is none, or *both are there and not at one commit. */
static const struct git_ref *find_short(const struct git_refs *refs, const char *name, bool *both)
{
	const struct git_ref *branch = find(refs, "refs/heads/", name), *tag = find(refs, "refs/tags/", name);

	*both = branch && tag && strcmp(commit_of(branch), commit_of(tag)) != 0;
	return *both ? NULL : branch ? branch : tag;
}

static const struct git_ref *choose(const struct git_refs *refs, const char *revision, bool *constrained, bool *both)
{
	struct semver_constraint constraint;
	const struct git_ref *ref = NULL;

	*constrained = *both = false;
	if (is_head(revision))
		return find(refs, "", "HEAD");
	if (is_constraint(revision, &constraint)) {
		*constrained = true;
		ref = highest_tag(refs, &constraint);
	}
	if (!ref && strncmp(revision, "refs/", 5) == 0)
		ref = find(refs, "", revision);
	return ref ? ref : find_short(refs, revision, both);
}

void refs_resolve(const struct git_refs *refs, const char *revision, struct arena *arena, struct source_ref *out)
{
	const struct git_ref *ref;
	bool constrained, both;

	*out = (struct source_ref){ .ref = "" };
	if (revision_is_commit(revision)) {
		for (size_t i = 0; i < COMMIT_HEX - 1; i++)
			out->commit[i] = (char)tolower((unsigned char)revision[i]);
		return;
	}
	ref = choose(refs, revision, &constrained, &both);
	if (ref) {
		found(ref, arena, out);
		return;
	}
	if (both)
		error_set(&out->error, ERROR_INVALID, "AmbiguousRevision",
			  "there is a branch and a tag '%.200s', at different commits: name the one that is meant, refs/heads/%.200s or refs/tags/%.200s",
			  revision, revision, revision);
	else if (is_head(revision))
		error_set(&out->error, ERROR_INVALID, "RevisionNotFound", "the repository has no default branch, or no commit yet");
	else if (constrained)
		error_set(&out->error, ERROR_INVALID, "RevisionNotFound", "no tag satisfies '%.200s', and no branch or tag has that name",
			  revision);
	else
		error_set(&out->error, ERROR_INVALID, "RevisionNotFound",
			  "there is no branch or tag '%.200s' (a commit must be given with all its 40 digits)", revision);
}
