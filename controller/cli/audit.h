/*
 * `countersign audit …`: reading, verifying, proving and joining the audit log.
 * No cluster and no controller is needed, only the folder.
 */
#ifndef CLI_AUDIT_H
#define CLI_AUDIT_H

#include <stdint.h>

#include "base/error.h"

/* Picks the command that argv[1] names; argv[0] is "audit". Returns an exit code of cli.h. */
int cli_audit(int argc, char **argv);

/* Each gets its own arguments; argv[0] is its name. */
int cli_audit_verify(int argc, char **argv);
int cli_audit_log(int argc, char **argv);
int cli_audit_show(int argc, char **argv);
int cli_audit_prove(int argc, char **argv);
int cli_audit_join(int argc, char **argv);

/* Prints the error; its exit code: not found 4, not intact 3, else 1. */
int cli_audit_fail(const struct error *err);

/*
 * Options of one command: what stands behind each, or behind its '=', is put into `value`; of one that may be given `most` times
 * (0: once, the last counts) into the first of so many that is NULL. Without a value `flag` is counted up.
 */
struct audit_option {
	const char *name;
	const char **value;
	unsigned *flag;
	unsigned most;
};
/*
 * Sorts argv into options and at most `most` words, of which `least` must be there. A NULL name ends the options. 0, or
 * EXIT_USAGE after saying what is wrong.
 */
int cli_audit_arguments(int argc, char **argv, const struct audit_option *options, const char **words, int least, int most);
/* A number without sign, of a record. 0, or EXIT_USAGE. */
int cli_audit_seq(const char *text, uint64_t *out);

#endif
