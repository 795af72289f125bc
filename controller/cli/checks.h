/*
 * What `check` and `status` say of an installation: one line a fact, "ok" or
 * "warn" or "FAIL", its name, its words.
 */
#ifndef CLI_CHECKS_H
#define CLI_CHECKS_H

#include "cli/person_kube.h"

struct check {
	struct person *person;
	bool pre, is_account;      /* is_account: we are asked with the controller's own credential */
	bool namespaced;           /* it is, or is to be, an installation without a right in the cluster */
	unsigned failed;           /* lines that said FAIL */
	const char *account;       /* full user name */
};

enum check_grade { CHECK_GOOD, CHECK_WARNED, CHECK_FAILED };

/* Prints one line; what strangers wrote in it is made harmless. */
void check_tell(struct check *check, enum check_grade grade, const char *name, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* Whether a condition of the object is there and True. */
bool check_condition(const struct json *object, const char *type);
/* Who leads, and since when its lease was renewed. */
void check_lease(struct check *check);
/* Each pod of the controller: what it says of itself, and the layers of its sandbox. */
void check_pods(struct check *check);

#endif
