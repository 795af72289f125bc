/*
 * The commands with which a person looks at a cluster and asks for something.
 * They use the person's own rights (a kubeconfig), never the controller's.
 * Each takes --kubeconfig FILE (else KUBECONFIG, else ~/.kube/config),
 * --context NAME and -n NAMESPACE (else countersign-system), and returns an
 * exit code of cli.h.
 */
#ifndef CLI_PERSON_H
#define CLI_PERSON_H

/* get [apps|projects|policies] [NAME] [-o wide|json|yaml|name]: a table, or the objects as they are. */
int cli_get(int argc, char **argv);

/* describe APP: all that is known of it, and what to do next. */
int cli_describe(int argc, char **argv);

/*
 * diff APP [--local DIR]: what a sync would change, by the API server's own dry run. Without --local the revision is fetched from
 * the Application's repository. Returns 0 (nothing), 1 (something) or 2 (an error).
 */
int cli_diff(int argc, char **argv);

/*
 * sync APP [--revision REV] [--prune] [--dry-run] [--hard] [--wait|--no-wait] [--timeout 5m]: asks the controller for a sync and waits
 * until it was carried out; --wait: until the Application is ready too. 124 when the time ran out.
 */
int cli_sync(int argc, char **argv);

/* completion bash|zsh|fish: a script for the shell, made from the table of commands. No cluster is asked. */
int cli_completion(int argc, char **argv);

#endif
