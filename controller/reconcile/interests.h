/*
 * Who reads what of one target revision. A new commit is told to those whose
 * path it touches, found by the changed files' folders: what it costs is what
 * changed, not how many Applications the repository has.
 */
#ifndef RECONCILE_INTERESTS_H
#define RECONCILE_INTERESTS_H

#include "base/keyset.h"
#include "base/map.h"

struct app;
struct shares;

struct interest;

struct interests {
	struct keyset paths;          /* struct interest_path: clean ones; made with the first interest */
	struct interest *first;       /* of all */
	size_t count, waiting;
};

/* The app reads this path from now on, and nothing of another revision any more. A path that is not clean is told everything. */
void interests_join(struct interests *interests, struct app *app, const char *path);
/* Whether it has joined these. */
bool interests_has(const struct interests *interests, const struct app *app);
/* The app waits for the next word, whatever it is. */
void interests_wait(struct app *app);
/* The app has no interest any more; harmless when it had none. */
void interests_leave(struct app *app);

/* Lets those look again that wait; or all; or those below whose path one of the files lies. */
void interests_tell_waiting(struct interests *interests);
void interests_tell_all(struct interests *interests);
void interests_tell_changed(struct interests *interests, const char *const *files, size_t count);
/* The project, of those that have joined, with the fewest shares; "": none has joined. Borrowed. */
const char *interests_project(const struct interests *interests, const struct shares *shares);
/* All leave. */
void interests_release(struct interests *interests);

#endif
