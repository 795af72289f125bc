/*
 * Sigstore verification: evidence and trust in, claims out. Pure: no clock, no
 * file, no network, no policy, no Kubernetes.
 *
 * Read in this order: claims.h (what comes out), trust.h (what is believed),
 * oci/evidence.h (what comes in), then verify.c, whose two functions name each
 * check with the sentence that it obeys, in the order of the checklist in
 * README.md:
 *   bytes hash to their descriptor → the document parses → it names a key, not a
 *   certificate → a trusted key made the signature → the content is of the right
 *   type and about this image → it is a signature and not an attestation.
 * Annotations, repository and which key counts for which image are the caller's
 * policy, decided on claims.
 *
 * Every document is tried by itself; none can fail or hide another. Nothing that a
 * document says about keys is used to choose one.
 */
#ifndef VERIFY_VERIFY_H
#define VERIFY_VERIFY_H

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "oci/evidence.h"
#include "verify/claims.h"
#include "verify/trust.h"

/*
 * Judges all evidence for `image` under the trust. `time_ns` is the time to judge at
 * (used once trust has windows). The claims live in the arena; trusted keys that cannot
 * be read are among them as key_problems. Fails only when the question itself is wrong:
 * no key at all (ERROR_INVALID "NoTrust"), too many (ERROR_LIMIT "TooManyKeys"), or
 * evidence that was fetched for another image (ERROR_INTERNAL "WrongImage").
 */
int verify_evidence(const struct evidence *evidence, const struct trust *trust, int64_t time_ns, const struct digest *image,
		    struct arena *arena, struct claims *out, struct error *err);

/* A verify job as a frame; the reply is claims_encode's. */
void verify_request_encode(const struct evidence *evidence, const struct trust *trust, int64_t time_ns,
			   const struct digest *image, struct str *out);

/* The worker's handler: decodes a request, verifies, appends the claims to *reply. */
int verify_serve(struct span request, struct str *reply, struct error *err);

/* Decodes the reply and holds it against the question: claims about another image are ERROR_INTERNAL "WrongImage". */
int verify_reply_decode(struct span reply, const struct digest *image, struct arena *arena, struct claims *out, struct error *err);

#endif
