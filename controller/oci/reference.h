/*
 * The name of an image, as a manifest writes it and as policies and registries
 * know it. Pure.
 *
 * The grammar is that of Docker's distribution/reference, which Kubernetes and
 * containerd use, read strictly: what two readers could take for two different
 * images is refused, with the character that is wrong and what to write.
 *
 * - The first part before a '/' is a registry if it holds a '.' or ':' or is
 *   "localhost"; otherwise the registry is Docker Hub.
 * - docker.io, index.docker.io and registry-1.docker.io are one registry,
 *   "docker.io", and a single-part name there lies under library/.
 * - No tag and no digest means tag "latest". With a digest the digest decides
 *   and the tag is only shown.
 * - Refused: upper case outside tags, bytes beyond ASCII (look-alikes), empty
 *   parts, tags and ports, digests other than sha256, and bare image ids
 *   (64 hex digits, "sha256:..."), which a node would look up in its own store.
 */
#ifndef OCI_REFERENCE_H
#define OCI_REFERENCE_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/str.h"

#define REFERENCE_MAX 1024         /* bytes of a whole reference */
#define REFERENCE_NAME_MAX 255     /* of the repository, and of the registry */
#define REFERENCE_TAG_MAX 128

struct reference {
	const char *text;              /* as it was written */
	const char *registry;          /* "docker.io", or host[:port] */
	const char *host;              /* where its API is: registry-1.docker.io for docker.io, else the registry */
	const char *repository;        /* "library/nginx" */
	const char *name;              /* registry/repository: what policies match */
	const char *tag;               /* NULL: there is only a digest */
	bool has_digest;
	struct digest digest;          /* zero unless has_digest */
};

/*
 * Parses and normalises. Strings are copied into the arena. ERROR_INVALID
 * "InvalidImageReference" says what is wrong where.
 */
int reference_parse(struct span text, struct arena *arena, struct reference *out, struct error *err);

/* The form that may be applied: name[:tag]@sha256:... with the digest that was verified. */
void reference_pin(const struct reference *reference, const struct digest *digest, struct str *out);

/* name[:tag][@digest], normalised: for messages. */
void reference_write(const struct reference *reference, struct str *out);

/* Whether two registry names ("docker.io", "index.docker.io", "host:port") mean the same registry. */
bool registry_same(struct span a, struct span b);

#endif
