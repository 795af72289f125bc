/* Questions, and their answers taken apart; see repo_refs.h. */
#include "reconcile/repo_refs.h"

#include "base/limits.h"
#include "source/refs.h"

struct question {
	struct repo_refs *refs;
	struct question *next;
	const char **revisions;     /* owned, as the texts are */
	size_t count, bytes;
};

struct repo_refs {
	struct repo_refs_of of;
	struct question *questions; /* under way */
	struct error err;           /* of the last that failed; reason "": none did */
};

struct repo_refs *repo_refs_new(const struct repo_refs_of *of)
{
	struct repo_refs *refs = mem_alloc(sizeof(*refs));

	refs->of = *of;
	return refs;
}

static void question_free(struct question *question)
{
	for (size_t i = 0; i < question->count; i++)
		free((void *)(uintptr_t)question->revisions[i]);
	free(question->revisions);
	free(question);
}

void repo_refs_free(struct repo_refs *refs)
{
	if (!refs)
		return;
	for (struct question *question = refs->questions, *next; question; question = next) {
		next = question->next;
		question_free(question);
	}
	free(refs);
}

static void leave(struct question *question)
{
	struct question **at = &question->refs->questions;

	while (*at != question)
		at = &(*at)->next;
	*at = question->next;
}

static void end(struct repo_refs *refs)
{
	struct error err = refs->err;

	refs->err = (struct error)ERROR_INIT;
	refs->of.on_end(refs->of.data, err.reason[0] ? &err : NULL);
}

static void on_answer(void *data, struct span answer, int fd, const struct error *err)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct question *question = data;
	struct repo_refs *refs = question->refs;
	struct source_refs_reply reply = { NULL, 0 };
	struct error bad = ERROR_INIT;

	fd_cleanup(&fd);
	if (!err && source_refs_reply_decode(answer, arena, &reply, &bad))
		err = &bad;
	if (!err && reply.count != question->count) {
		error_set(&bad, ERROR_INTERNAL, "BadFrame", "the source worker answered another question");
		err = &bad;
	}
	leave(question);
	if (err)
		refs->err = *err;
	for (size_t i = 0; i < question->count; i++)
		refs->of.on_ref(refs->of.data, question->revisions[i], err ? NULL : &reply.refs[i], err);
	question_free(question);
	if (!refs->questions)
		end(refs);
}

static struct question *question_new(struct repo_refs *refs)
{
	struct question *question = mem_alloc(sizeof(*question));

	question->refs = refs;
	question->revisions = mem_calloc(LIMIT_GIT_ASKED, sizeof(char *));
	question->next = refs->questions;
	refs->questions = question;
	return question;
}

static void send(struct question *question)
{
	CLEANUP(str_release) struct str request = STR_INIT;
	struct source_refs_request refs = { question->revisions, question->count };

	source_refs_encode(&refs, &request);
	repo_jobs_send(question->refs->of.jobs, JOB_ASKS, &request, on_answer, question);
}

static void answer_commit(const struct repo_refs *refs, const char *commit)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	const struct git_refs none = { NULL, 0 };
	struct source_ref ref;

	refs_resolve(&none, commit, arena, &ref);
	refs->of.on_ref(refs->of.data, commit, &ref, NULL);
}

void repo_refs_ask(struct repo_refs *refs, const char *const *revisions, size_t count)
{
	struct question *question = NULL;

	for (size_t i = 0; i < count; i++) {
		size_t length = strlen(revisions[i]);

		if (revision_is_commit(revisions[i])) {
			answer_commit(refs, revisions[i]);
			continue;
		}
		if (question && (question->count == LIMIT_GIT_ASKED || question->bytes + length > LIMIT_GIT_ASKED_BYTES))
			send(TAKE(question));
		if (!question)
			question = question_new(refs);
		question->revisions[question->count++] = mem_strdup(revisions[i]);
		question->bytes += length;
	}
	if (question)
		send(question);
	else if (!refs->questions)
		end(refs);
}
