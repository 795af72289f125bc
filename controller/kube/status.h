/*
 * What an API server's refusal means: one table from (code, reason, cause,
 * message) to the kind of error, since the status code alone misleads
 * (duplicate env names give 500, a terminating namespace gives 403).
 */
#ifndef KUBE_STATUS_H
#define KUBE_STATUS_H

#include "base/error.h"
#include "base/json.h"

/* Fills *err from an HTTP status and the body (a metav1.Status, or anything, or NULL). Always returns -1. A 404 is "NotFound" where the
 * server speaks of the object, "NotServed" where it knows no such path.
 * The text is the server's message in one line; content of Secrets in it is cut out, and so is a diff of its own structures. */
int kube_status_error(int status, const struct json *body, struct error *err);

/*
 * The same for a request about a Secret: what validation, admission policies
 * and webhooks say may hold its content in any spelling, so of their words only
 * who refused it and the names of the fields are told, and that these may not
 * be changed.
 */
int kube_status_error_of_secret(int status, const struct json *body, struct error *err);

/*
 * How long to wait before the same request is sent once more, in ms: what a 429, or a 503 or 504 with Retry-After, asks for, at most a minute, or 1 s where
 * a 429 names no time; some time is added at random, so that all who were sent away do not come back at once. -1: the answer is no such.
 */
int64_t kube_status_wait_ms(int status, int64_t retry_after_ms);

/* Conflict causes of a server-side apply: the managers named in them, comma-separated, and the first field; "" when none. */
void kube_status_conflicts(const struct json *body, struct str *managers, struct str *fields);

#endif
