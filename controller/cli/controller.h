/*
 * `countersign controller`: the supervisor, which starts core and the workers;
 * and core's own entry, which reads the same options.
 */
#ifndef CLI_CONTROLLER_H
#define CLI_CONTROLLER_H

/* The supervisor: checks the options, then starts core with them. */
int cli_controller(int argc, char **argv);
/* The core role: argv as the supervisor passed it on, argv[0] first. */
int cli_core(int argc, char **argv);

/* The web role, likewise. */
int cli_web(int argc, char **argv);

#endif
