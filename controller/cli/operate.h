/*
 * The commands of whoever runs Countersign in a cluster. They use the person's
 * own rights, as those of person.h, and take the same options.
 */
#ifndef CLI_OPERATE_H
#define CLI_OPERATE_H

/*
 * check [--pre]: whether everything is as it must be: API server and its version, the kinds, the account's rights (none missing,
 * none too many), the lease, the pods and what they say of themselves, the clocks. --pre: what must hold before an installation.
 * One line each; 0 when all are good, 1 when one is not.
 */
int cli_check(int argc, char **argv);

/* status: who leads, what each pod says of itself and which layers of its sandbox are on, how many Applications are ready. As `check`. */
int cli_status(int argc, char **argv);

/* install --image REF [--export]: applies install.yaml of this version for that image, or prints it. */
int cli_install(int argc, char **argv);

/* project grant NAME, or project grant --account NS:NAME: prints the YAML that lets the controller write as that account. */
int cli_project(int argc, char **argv);

#endif
