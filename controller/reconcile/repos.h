/*
 * Git repositories: one worker process (repo_jobs.h) and one bare mirror a
 * URL, polled by ls-refs with jitter, one fetch a new commit for all
 * Applications of it.
 */
#ifndef RECONCILE_REPOS_H
#define RECONCILE_REPOS_H

#include "reconcile/app.h"

struct repo_jobs;

struct repos *repos_new(struct core *core);
void repos_free(struct repos *repos);
/* A repository Secret or private CA changed: every repository is configured anew at its next job. */
void repos_credentials_changed(struct repos *repos);

enum repo_state { REPO_READY, REPO_WAITING, REPO_FAILED };

/*
 * The commit that a target revision of the repository stands for, fetched. WAITING: the app is enqueued (its run woken)
 * when it is known. `since_ms`: an answer older than this (monotonic) is asked for again; 0: any will do.
 * The app is told of later commits too that change something below its path, until it asks for another URL or revision.
 */
enum repo_state repos_resolve(struct repos *repos, struct app *app, const char *url, const char *revision, int64_t since_ms,
			      char commit[65], struct error *err);
/* The newest commit that is known for the Application, fetched or being fetched; false: it asks for none, or it does not resolve. */
bool repos_known(const struct repos *repos, const struct app *app, char commit[65]);
/* Whether the revision names a branch (or HEAD). */
bool repos_is_branch(const struct repos *repos, const char *url, const char *revision);
/* Whether all that read something which the newest commit changes have been told of it. */
bool repos_told(const struct repos *repos, const struct app *app);
/* When the commit that repos_resolve gave was asked for and first seen (monotonic); 0: not known. */
int64_t repos_found_ms(const struct repos *repos, const char *url, const char *revision);

struct tree_answer {
	struct digest input;
	char revision[65];           /* newest commit that changed what is read */
	const char *author, *subject;          /* of that commit; borrowed for the callback */
	int64_t committed_s;                   /* since 1970, as the committer says */
	bool unchanged;              /* input equals `previous`: no files */
	bool rewritten;              /* the commit does not descend from `base` */
	int fd;                      /* sealed memfd, the callee's; -1 when unchanged */
};

struct tree_request {
	const char *url, *commit, *path;
	bool recurse;
	const char *include, *exclude;
	struct digest previous;      /* zero: none */
	const char *base;            /* a commit that it should descend from; NULL or "": none is asked about */
};

/* Reads what an Application reads at a commit. on_done comes once: answer or err. */
void repos_tree(struct repos *repos, const struct tree_request *request,
		void (*on_done)(void *data, const struct tree_answer *answer, const struct error *err), void *data);

/* What repos_tree.c sends its jobs to. */
struct repo_jobs *repos_jobs(struct repos *repos, const char *url);

#endif
