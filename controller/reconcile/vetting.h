/*
 * From image reference to claims: a tag is resolved once, a digest's evidence
 * fetched once and tried against all keys of all policies at once. Callers
 * of one project that ask for the same thing with the same login while it is
 * under way share the answer. What was verified is remembered by (project,
 * repository, digest, keys); errors and missing signatures are not, so that the
 * next look is a fresh one. Projects share the fetch workers in turns.
 */
#ifndef RECONCILE_VETTING_H
#define RECONCILE_VETTING_H

#include "oci/dockerconfig.h"
#include "oci/reference.h"
#include "reconcile/core.h"
#include "verify/verify.h"

struct vetting;

struct vetting *vetting_new(struct core *core);
void vetting_free(struct vetting *vetting);

/*
 * Resolves a tag to its digest. An answer that was asked for at `since_ms` (monotonic) or later will do: what a commit names is
 * resolved once for all Applications that it concerns. on_done comes once, never from inside.
 */
void vetting_resolve(struct vetting *vetting, const char *project, const struct reference *reference,
		     const struct credential *login, int64_t since_ms,
		     void (*on_done)(void *data, const struct digest *digest, const struct error *err), void *data);

/*
 * The claims about a digest under the trust: from memory when they hold a proof for some key, else fetched and verified by
 * a worker of the project. on_done gets claims (borrowed) or err.
 */
void vetting_claims(struct vetting *vetting, const char *project, const struct reference *reference, const struct digest *digest,
		    const struct credential *login, const struct trust *trust,
		    void (*on_done)(void *data, const struct claims *claims, const struct error *err), void *data);

/* Forgets what was verified of a digest: it did not suffice, and there may be more signatures by now. */
void vetting_forget(struct vetting *vetting, const char *project, const struct reference *reference, const struct digest *digest,
		    const struct trust *trust);

#endif
