/*
 * One person's connection to an API server: the options that every command
 * takes, requests that wait for their answer, and errors as a person reads
 * them.
 */
#ifndef CLI_PERSON_KUBE_H
#define CLI_PERSON_KUBE_H

#include <getopt.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/json.h"
#include "kube/discovery.h"

struct person_options {
	const char *kubeconfig, *context;   /* NULL: not given */
	const char *namespace;              /* never NULL after person_parse */
};

/* Entries of a getopt_long table, and the value from which a command numbers its own. */
enum { OPTION_KUBECONFIG = 1000, OPTION_CONTEXT, OPTION_OWN };
#define PERSON_OPTIONS \
	{ "kubeconfig", required_argument, NULL, OPTION_KUBECONFIG }, { "context", required_argument, NULL, OPTION_CONTEXT }, \
	{ "namespace", required_argument, NULL, 'n' }

/* What a command line must look like. */
struct person_syntax {
	const char *command;                /* for hints */
	const char *letters;                /* of getopt_long, "n:" among them */
	const struct option *options;
	/* Takes one option of the command's own; 0, or an exit code after telling why. */
	int (*take)(void *data, int which, const char *value);
	int words_min, words_max;           /* how many arguments there may be */
	const char *words;                  /* how they are called: "APP" */
};

/*
 * Reads the command line; words[i] are set, the rest stays NULL. Returns 0, or EXIT_USAGE after telling what is wrong.
 * Everything is borrowed from argv.
 */
int person_parse(int argc, char **argv, const struct person_syntax *syntax, void *data, struct person_options *options,
		 const char **words);

struct person {
	struct arena *arena;                /* answers live here, until person_close */
	const char *namespace;
	struct loop *loop;
	struct kube *kube;
	struct discovery *discovery;        /* NULL until person_discover */
};

/* Reads the kubeconfig. Nothing is sent yet. Close it also when this fails. */
int person_open(const struct person_options *options, struct person *out, struct error *err);
void person_close(struct person *person);     /* for CLEANUP too */

/* Sends and waits. content_type NULL and body SPAN0 for a GET. *out (may be NULL) is in the person's arena; so may err. */
int person_request(struct person *person, const char *method, const char *path, const char *content_type, struct span body,
		   struct json **out, struct error *err);
int person_get(struct person *person, const char *path, struct json **out, struct error *err);

/* All items of a collection, page by page: *out is a List object with `items` of all pages. */
int person_list(struct person *person, const char *path, struct json **out, struct error *err);

/* Asks which kinds the API server knows. */
int person_discover(struct person *person, struct error *err);

/* The Application of that name in the person's namespace; ERROR_NOT_FOUND names it. */
int person_application(struct person *person, const char *name, struct json **out, struct error *err);

/* "/apis/countersign.dev/v1alpha1/namespaces/NS/RESOURCE[/NAME]" with everything escaped; name NULL: the collection. */
const char *person_path(struct person *person, const char *resource, const char *name);

/* Tells the error with a hint that fits its reason; returns the exit code that fits its kind. */
int person_fail(const struct person *person, const struct error *err);

/* Writes to stdout; EXIT_DONE, or EXIT_FAILED after telling why. */
int person_print(const struct str *text);

#endif
