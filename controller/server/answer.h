/*
 * What is said to a request: text and status from what core tells of itself.
 * Pure. The words of /livez and /readyz are those of Kubernetes' own programs:
 * "ok", or a line a check with ?verbose and whenever one fails.
 */
#ifndef SERVER_ANSWER_H
#define SERVER_ANSWER_H

#include "record/vitals.h"
#include "server/request.h"

/* What must be asked of core for this request; VITALS_NONE: nothing, answer at once (it names no page). */
enum vitals_ask answer_needs(const struct request *request);

/*
 * Writes the whole HTTP answer. `vitals` is what core told; NULL: `problem` says why it did not (503), or the request needs
 * nothing of core.
 */
void answer_write(const struct request *request, const struct vitals *vitals, const char *problem, struct str *out);

#endif
