/* Options, requests and errors of a person's commands; see person_kube.h. */
#include "cli/person_kube.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/application.h"
#include "base/encode.h"
#include "base/limits.h"
#include "cli/cli.h"
#include "cli/text.h"
#include "kube/client.h"

#define DEFAULT_NAMESPACE "countersign-system"
#define PAGE 500

/* --- the command line --------------------------------------------------------------------------------------------- */

static int bad_option(const struct person_syntax *syntax, char **argv)
{
	char hint[128];

	snprintf(hint, sizeof(hint), "countersign %s --help tells what there is", syntax->command);
	return cli_fail(EXIT_USAGE, hint, "%s: unknown option, or one without its value", optind > 0 ? argv[optind - 1] : argv[0]);
}

static int check_words(const struct person_syntax *syntax, int count, char **words)
{
	char hint[128];

	snprintf(hint, sizeof(hint), "countersign %s --help tells what there is", syntax->command);
	if (count < syntax->words_min)
		return cli_fail(EXIT_USAGE, hint, "%s is missing", syntax->words);
	if (count > syntax->words_max)
		return cli_fail(EXIT_USAGE, hint, "unexpected argument %s", words[syntax->words_max]);
	return 0;
}

int person_parse(int argc, char **argv, const struct person_syntax *syntax, void *data, struct person_options *options,
		 const char **words)
{
	int which, status;

	*options = (struct person_options){ .namespace = DEFAULT_NAMESPACE };
	opterr = 0;
	optind = 0; /* getopt starts anew, permutation and all */
	while ((which = getopt_long(argc, argv, syntax->letters, syntax->options, NULL)) != -1) {
		status = 0;
		switch (which) {
		case OPTION_KUBECONFIG: options->kubeconfig = optarg; break;
		case OPTION_CONTEXT: options->context = optarg; break;
		case 'n': options->namespace = optarg; break;
		case '?': return bad_option(syntax, argv);
		default: status = syntax->take(data, which, optarg);
		}
		if (status)
			return status;
	}
	status = check_words(syntax, argc - optind, argv + optind);
	for (int i = 0; !status && i < argc - optind; i++)
		words[i] = argv[optind + i];
	return status;
}

/* --- the connection ----------------------------------------------------------------------------------------------- */

/* --kubeconfig, KUBECONFIG, ~/.kube/config, and in a pod its own account. */
static int load_config(const struct person_options *options, struct arena *arena, struct kube_config *out, struct error *err)
{
	const char *files = options->kubeconfig, *home = getenv("HOME");
	const char *standard = arena_printf(arena, "%s/.kube/config", home ? home : "");

	if (!files)
		files = getenv("KUBECONFIG");
	if (files && *files)
		return kube_config_load(files, options->context, KUBE_CONFIG_PERSON, arena, out, err);
	if (access(standard, R_OK) && getenv("KUBERNETES_SERVICE_HOST"))
		return kube_config_in_cluster(arena, out, err);
	return kube_config_load(standard, options->context, KUBE_CONFIG_PERSON, arena, out, err);
}

int person_open(const struct person_options *options, struct person *out, struct error *err)
{
	struct kube_config config = { 0 };

	*out = (struct person){ .arena = arena_new(0), .namespace = options->namespace };
	if (load_config(options, out->arena, &config, err))
		return -1;
	out->loop = loop_new();
	out->kube = kube_new(out->loop, &config, "countersign/" VERSION);
	return 0;
}

void person_close(struct person *person)
{
	discovery_free(person->discovery);
	kube_free(person->kube);
	loop_free(person->loop);
	arena_free(person->arena);
	*person = (struct person){ 0 };
}

struct waiting {
	struct person *person;
	struct json *object;
	struct error err;
};

static void on_answer(void *data, const struct kube_answer *answer)
{
	struct waiting *waiting = data;

	if (answer->err)
		waiting->err = *answer->err;
	else if (answer->object)
		waiting->object = json_copy(waiting->person->arena, answer->object);
	loop_stop(waiting->person->loop);
}

int person_request(struct person *person, const char *method, const char *path, const char *content_type, struct span body,
		   struct json **out, struct error *err)
{
	struct waiting waiting = { .person = person, .err = ERROR_INIT };

	kube_person(person->kube, method, path, content_type, body, on_answer, &waiting);
	loop_run(person->loop);
	if (waiting.err.reason[0]) {
		if (err)
			*err = waiting.err;
		return -1;
	}
	if (out)
		*out = waiting.object;
	return 0;
}

int person_get(struct person *person, const char *path, struct json **out, struct error *err)
{
	return person_request(person, "GET", path, NULL, SPAN0, out, err);
}

static const char *page_path(struct person *person, const char *path, const char *token)
{
	CLEANUP(str_release) struct str text = STR_INIT;

	str_addf(&text, "%s%climit=%d", path, strchr(path, '?') ? '&' : '?', PAGE);
	if (token && *token) {
		str_adds(&text, "&continue=");
		url_escape(span_of(token), &text);
	}
	return arena_strndup(person->arena, str_span(&text));
}

int person_list(struct person *person, const char *path, struct json **out, struct error *err)
{
	const char *token = NULL;
	struct json *items = NULL;

	*out = NULL;
	do {
		struct json *page, *more;

		if (person_get(person, page_path(person, path, token), &page, err))
			return -1;
		more = json_get(page, "items");
		token = json_text(json_path(page, "metadata", "continue", NULL));
		if (!*out) {
			*out = page;
			items = more;
			continue;
		}
		for (size_t i = 0; i < json_count(more); i++)
			json_append(person->arena, items, json_at(more, i));
	} while (token && *token && items);
	return 0;
}

static void on_discovered(void *data, const struct error *err)
{
	struct waiting *waiting = data;

	if (err)
		waiting->err = *err;
	loop_stop(waiting->person->loop);
}

int person_discover(struct person *person, struct error *err)
{
	struct waiting waiting = { .person = person, .err = ERROR_INIT };

	if (!person->discovery)
		person->discovery = discovery_new(person->kube);
	discovery_refresh(person->discovery, on_discovered, &waiting);
	loop_run(person->loop);
	if (!discovery_known(person->discovery) && waiting.err.reason[0]) {
		*err = waiting.err;
		return -1;
	}
	return 0;
}

const char *person_path(struct person *person, const char *resource, const char *name)
{
	CLEANUP(str_release) struct str path = STR_INIT;

	str_adds(&path, API_PATH "/namespaces/");
	url_escape(span_of(person->namespace), &path);
	str_addf(&path, "/%s", resource);
	if (name) {
		str_addc(&path, '/');
		url_escape(span_of(name), &path);
	}
	return arena_strndup(person->arena, str_span(&path));
}

int person_application(struct person *person, const char *name, struct json **out, struct error *err)
{
	if (!person_get(person, person_path(person, "applications", name), out, err))
		return 0;
	/* a kind that is not known is a 404 too */
	if (err->kind == ERROR_NOT_FOUND && strstr(err->text, "not found"))
		return error_set(err, ERROR_NOT_FOUND, "ApplicationNotFound", "there is no Application %s in namespace %s", name,
				 person->namespace);
	return -1;
}

/* --- what is told ------------------------------------------------------------------------------------------------- */

static const struct {
	const char *reason, *hint;
} hints[] = {
	{ "ApplicationNotFound", "countersign get lists what there is; -n NAMESPACE looks elsewhere" },
	{ "NotFound", "countersign get lists what there is; -n NAMESPACE looks elsewhere" },
	{ "NotServed", "is Countersign installed there? kubectl apply --server-side -f manifests/install.yaml" },
	{ "Unauthorized", "the kubeconfig's credential is not accepted: log in again, or choose another with --context" },
	{ "Forbidden", "this command uses your own rights: ask for the one that the message names" },
	{ "ConnectionError", "is the cluster up, and is it the one you mean? --kubeconfig FILE and --context NAME choose another" },
	{ "Timeout", "the API server did not answer in time: try again" },
	{ "BadKubeconfig", "--kubeconfig FILE or KUBECONFIG name another; --context NAME chooses a context in it" },
	{ "FileNotFound", "--kubeconfig FILE or KUBECONFIG say where the kubeconfig is" },
	{ "InvalidSpec", "countersign describe APP tells more" },
};

static const char *hint_of(const struct error *err)
{
	for (size_t i = 0; i < COUNT_OF(hints); i++)
		if (!strcmp(hints[i].reason, err->reason))
			return hints[i].hint;
	return NULL;
}

int person_fail(const struct person *person, const struct error *err)
{
	int status = err->kind == ERROR_NOT_FOUND ? EXIT_NOT_FOUND : err->kind == ERROR_CONFLICT ? EXIT_CONFLICT : EXIT_FAILED;
	CLEANUP(str_release) struct str text = STR_INIT;

	if (person->kube && !strcmp(err->reason, "ConnectionError"))
		str_addf(&text, "%s: ", kube_server(person->kube));
	text_clean(span_of(err->text), &text);
	return cli_fail(status, hint_of(err), "%s", str_c(&text));
}

int person_print(const struct str *text)
{
	if (text->overflow)
		return cli_fail(EXIT_FAILED, NULL, "the result is larger than %zu bytes", text->limit ? text->limit : STR_LIMIT_DEFAULT);
	if (fwrite(str_c(text), 1, text->length, stdout) != text->length || fflush(stdout))
		return cli_fail(EXIT_FAILED, NULL, "cannot write the result");
	return EXIT_DONE;
}
