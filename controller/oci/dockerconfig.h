/*
 * Docker's configuration file, of pull secrets (kubernetes.io/dockerconfigjson) and
 * of people's ~/.docker: which credential is for which image. Pure.
 *
 * Keys of `auths` are matched as the kubelet does: the scheme is dropped, a path of
 * /v1/ or /v2/ is no path; the host is compared label by label with globs, ports
 * must be equal, the key's path must be a prefix of the image's; the longest key
 * wins. The names of Docker Hub are one. Credential helpers are not run.
 */
#ifndef OCI_DOCKERCONFIG_H
#define OCI_DOCKERCONFIG_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/error.h"
#include "oci/reference.h"

#define DOCKERCONFIG_MAX (1u << 20)
#define CREDENTIAL_MAX 65536u      /* bytes of a user name, a password or a token */

/* What a registry may be told. "" where there is none; all "" is anonymous. Never logged, never in messages. */
struct credential {
	const char *username, *password;
	const char *identity_token;       /* OAuth2 refresh token, for the realm's token endpoint */
	const char *registry_token;       /* sent as Bearer to the registry as it is */
};

/* A credential with nothing in it. */
#define CREDENTIAL_ANONYMOUS ((struct credential){ "", "", "", "" })
bool credential_is_anonymous(const struct credential *credential);

/*
 * The credential for an image. *found is false, and *out anonymous, when no entry
 * matches. *helper is true when a credential helper is named for the registry and no
 * entry matches. ERROR_INVALID "BadDockerConfig" for a file, or a matching entry, that
 * cannot be read; its text never holds a secret.
 */
int dockerconfig_find(struct span json, const struct reference *reference, struct arena *arena, struct credential *out, bool *found,
		      bool *helper, struct error *err);

/* The two forms of pull secrets: kubernetes.io/dockerconfigjson, and the older kubernetes.io/dockercfg, which is `auths` alone. */
enum dockerconfig_form { DOCKERCONFIG_JSON, DOCKERCONFIG_CFG };

/*
 * All credentials for an image, the longest key first: a kubelet tries one after the other. *count 0: no entry matches.
 * Errors as above.
 */
int dockerconfig_find_all(struct span json, enum dockerconfig_form form, const struct reference *reference, struct arena *arena,
			  struct credential **out, size_t *count, struct error *err);

#endif
