/*
 * Extras: what others added to an object of ours. They are reported with
 * manager, time and path; they make nothing OutOfSync unless the Application
 * asks for exactness. Foreign images are another matter: gate/ judges those.
 */
#ifndef DIFF_EXTRAS_H
#define DIFF_EXTRAS_H

#include "base/arena.h"
#include "base/digest.h"
#include "base/json.h"

struct extra {
	const char *path;      /* JSON pointer into the live object */
	const char *manager, *time;
};

/*
 * The fields that managers other than ours hold and we do not, each as the
 * topmost path that is wholly theirs. Left out: subresources, and what the
 * control plane's own controllers note on objects (deployment revision,
 * kubectl's last-applied and the like). At most LIMIT_EXTRAS; *more counts the rest.
 */
void extras_find(const struct json *live, struct arena *arena, struct extra **out, size_t *count, size_t *more);

/* Digest over (path, manager): whether the set of extras changed. Zero when there are none. */
struct digest extras_digest(const struct extra *extras, size_t count);

/* Who wrote the path (JSON pointer; "": any outside the subresources) last: the manager other than ours whose entry holds it, and
 * when; as managedFields say, which can be forged. false, and "", when nobody is named. */
bool extras_who(const struct json *live, const char *pointer, struct arena *arena, struct extra *out);

/* Who last changed a field that we own: the manager other than ours whose entry holds the path (JSON pointer), and when.
 * `path` NULL: whoever wrote last of all. false when nobody else is named. */
bool drift_attribution(const struct json *live, const struct json *desired, struct arena *arena, struct extra *out);

#endif
