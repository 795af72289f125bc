/*
 * Health of a live object by its own status, as Argo CD judges the built-in
 * kinds. Kinds without a rule are healthy as soon as they exist; a custom
 * resource with a Ready or Available condition that is not True is progressing,
 * and so is one whose status.observedGeneration is of an earlier generation.
 */
#ifndef DIFF_HEALTH_H
#define DIFF_HEALTH_H

#include "base/arena.h"
#include "base/json.h"

/* In the order of Argo CD: the worst of an Application's objects is its health. */
enum health { HEALTH_HEALTHY = 0, HEALTH_SUSPENDED, HEALTH_PROGRESSING, HEALTH_MISSING, HEALTH_DEGRADED, HEALTH_UNKNOWN };

const char *health_name(enum health health);

/* `message` (may be NULL) gets one line in the arena that says what it waits for; "" when healthy. */
enum health health_of(const struct json *live, struct arena *arena, const char **message);

#endif
