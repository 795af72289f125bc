/* Strangers' text, made fit to be shown; see commit.h. */
#include "source/commit.h"

#include "base/encode.h"
#include "source/git_error.h"
#include "source/git_url.h"
#include "source/object.h"

/* Length of the well-formed character at the front, 0 when there is none. */
static size_t character_length(struct span text)
{
	for (size_t length = 1; length <= 4 && length <= text.length; length++)
		if (utf8_valid(span_sub(text, 0, length)))
			return length;
	return 0;
}

/* C0, DEL and the C1 controls. */
static bool is_control(struct span character)
{
	uint8_t first = (uint8_t)character.data[0];

	return first < 0x20 || first == 0x7f || (character.length == 2 && first == 0xc2 && (uint8_t)character.data[1] < 0xa0);
}

const char *commit_clean_text(const char *text, struct arena *arena)
{
	CLEANUP(str_release) struct str clean = STR_INIT;
	struct span rest = span_of(text ? text : "");

	while (rest.length && clean.length + 4 <= LIMIT_GIT_SUBJECT_BYTES) {
		size_t length = character_length(rest);
		struct span character = span_sub(rest, 0, length ? length : 1);

		if (!length || is_control(character))
			str_addc(&clean, '?');
		else
			str_add(&clean, character);
		rest = span_from(rest, character.length);
	}
	return arena_strndup(arena, str_span(&clean));
}

static void describe_person(const git_signature *signature, struct arena *arena, struct source_person *out)
{
	*out = (struct source_person){ "", "", 0 };
	if (!signature)
		return;
	out->name = commit_clean_text(signature->name, arena);
	out->email = commit_clean_text(signature->email, arena);
	out->time_s = signature->when.time;
}

int commit_describe(git_repository *repository, const git_oid *id, struct arena *arena, struct source_tree_reply *out,
		    struct error *err)
{
	git_commit *commit = NULL;
	char *subject;

	if (object_commit(repository, id, &commit))
		return git_error_to(err, ERROR_TRANSIENT, "CommitMissing", "commit %s", git_oid_tostr_s(id));
	describe_person(git_commit_author(commit), arena, &out->author);
	describe_person(git_commit_committer(commit), arena, &out->committer);
	subject = arena_strdup(arena, commit_clean_text(git_commit_summary(commit), arena));
	git_text_redact(subject);
	out->subject = subject;
	git_oid_tostr(out->revision, COMMIT_HEX, id);
	git_commit_free(commit);
	return 0;
}

int commit_find(git_repository *repository, const char *hex, git_oid *out, struct error *err)
{
	git_odb *odb = NULL;
	int there;

	if (git_oid_fromstr(out, hex) || git_repository_odb(&odb, repository))
		return git_error_to(err, ERROR_INTERNAL, "BadObject", "commit %s", hex);
	there = git_odb_exists(odb, out);
	git_odb_free(odb);
	if (!there)
		return error_set(err, ERROR_TRANSIENT, "CommitMissing", "commit %s is not in the mirror yet", hex);
	return 0;
}
