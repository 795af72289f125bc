/*
 * Collects the evidence about one digest from a registry: referrers, fallback tag,
 * legacy tag; see fetch.h for the order and for what is an error.
 */
#ifndef OCI_GATHER_H
#define OCI_GATHER_H

#include "oci/client.h"
#include "oci/evidence.h"

/* Appends to `out`, whose image is set; everything lives in the arena. */
int gather_evidence(struct client *client, const char *repository, struct arena *arena, struct evidence *out, struct error *err);

/* GETs a manifest by tag or digest. *found is false for 404. `digest` (NULL: whatever is there) must be what the bytes hash to. */
int gather_manifest(struct client *client, const char *repository, const char *name, const struct digest *digest, const char *accept,
		    struct arena *arena, struct response *out, struct digest *real, bool *found, struct error *err);

#endif
