/*
 * What a registry has about one image: the front door of oci/, and the fetch
 * worker's job.
 *
 * One job is one image: its reference becomes a digest (the bytes are hashed here,
 * whatever the registry says), and, when asked for, all evidence about that digest
 * is collected, in this order:
 *   1. the Referrers API, page by page;
 *   2. only if the registry has none: the fallback tag sha256-<hex>;
 *   3. always: the legacy tag sha256-<hex>.sig.
 * The answer is complete or an error: 401, 403, 429, 5xx, a time-out or a broken
 * body anywhere fails the whole job, so that no registry can choose what is seen by
 * failing in part. What a publisher did wrong (a layer that is missing, too large, of
 * another type) is a document with a problem instead, and hides no other.
 */
#ifndef OCI_FETCH_H
#define OCI_FETCH_H

#include <stdbool.h>

#include "oci/dockerconfig.h"
#include "oci/evidence.h"
#include "oci/reference.h"

/* Texts are NULL or "" where there is none. */
struct fetch_request {
	struct reference reference;       /* with a digest: that one; else its tag is resolved */
	bool evidence;                    /* collect evidence; else resolve only */
	struct credential credential;     /* for this registry alone */
	const char *ca_pem;               /* for the registry's host, in place of the system's authorities */
	bool plain_http;                  /* speak http, not https, to this registry */
};

struct fetch_reply {
	struct digest digest;             /* of the image's manifest or index; hashed here */
	const char *media_type;           /* as the registry said */
	unsigned requests;                /* sent for this job, and the bytes of their bodies */
	uint64_t bytes;
	struct evidence evidence;         /* of digest; empty when it was not asked for */
};

/*
 * Does the job in this process. Errors:
 *   NOT_FOUND "ImageNotFound"     the registry says 404 to the image's own manifest
 *   TRANSIENT or FORBIDDEN "FetchError"   everything that is no answer: which URL, which status
 *   TRANSIENT "DigestMismatch"    the manifest does not hash to what was asked for, or promised
 *   TRANSIENT "BlobDigest"        bytes of evidence do not hash to their descriptor
 *   LIMIT "TooLarge", "TooManyReferrers", "TooManySignatures", "TooManyRequests"
 *   INVALID "ManifestMediaType"   what the registry has under that name is no image
 */
int fetch(const struct fetch_request *request, struct arena *arena, struct fetch_reply *out, struct error *err);

/* The job as frames. */
void fetch_request_encode(const struct fetch_request *request, struct str *out);
/* ERROR_INTERNAL "BadFrame", also when the evidence is about another digest than the reply. */
int fetch_reply_decode(struct span reply, struct arena *arena, struct fetch_reply *out, struct error *err);

/* The worker's handler: decodes a request, fetches, appends the reply. */
int fetch_serve(struct span request, struct str *reply, struct error *err);

#endif
