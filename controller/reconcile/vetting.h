/*
 * From image reference to claims: a tag is resolved once, a digest's evidence
 * fetched once, each set of keys tried once. Callers that ask for the same
 * thing while it is under way share the answer; what was verified is
 * remembered by (repository, digest, keys), errors and "not signed" are not.
 */
#ifndef RECONCILE_VETTING_H
#define RECONCILE_VETTING_H

#include "oci/reference.h"
#include "reconcile/core.h"
#include "verify/verify.h"

struct credential;

struct vetting *vetting_new(struct core *core);
void vetting_free(struct vetting *vetting);

struct trust_request {
	const struct reference *reference;
	const char *project;                    /* its verify workers serve no other */
	const char *username, *password;        /* "" when none; of this registry */
	const char *identity_token;
	const struct trust *keys;
};

#endif
