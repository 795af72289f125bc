/*
 * The commands a person runs, as one table: name, what it is for, what runs
 * it. Results go to stdout, prose to stderr; exit codes are below.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>

/* Exit codes that mean the same in every command. */
enum {
	EXIT_DONE = 0,
	EXIT_DIFFERS = 1,       /* `diff`: there is a difference; elsewhere: it failed */
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_NOT_INTACT = 3,    /* `audit verify`, `audit join` */
	EXIT_NOT_FOUND = 4,
	EXIT_CONFLICT = 5,
	EXIT_NO_SIGNATURES = 10,
	EXIT_NONE_MATCHES = 12,
	EXIT_CONFIG = 78,       /* sysexits.h EX_CONFIG: the controller cannot start with what it was given */
	EXIT_TIMED_OUT = 124,
};

struct command {
	const char *name, *summary;
	int (*run)(int argc, char **argv);   /* argv[0] is the command's name */
	const char *usage;                   /* lines behind "countersign NAME " */
};

/* NULL name at the end. */
extern const struct command cli_commands[];

/* Whether it takes the options of person_kube.h: which cluster, and which namespace of it. */
bool cli_asks_cluster(const struct command *command);

/* Runs the command that argv[1] names. Output that could not be written makes it fail. */
int cli_main(int argc, char **argv);

/* Prints "error: WHAT" and, when hint is not NULL, "hint: HINT" to stderr; returns `status`. */
int cli_fail(int status, const char *hint, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
