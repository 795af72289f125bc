/* The table of commands; see cli.h. */
#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/audit.h"
#include "cli/build.h"
#include "cli/controller.h"
#include "cli/operate.h"
#include "cli/person.h"
#include "cli/text.h"
#include "cli/verify.h"

static int cli_version(int argc, char **argv)
{
	bool json = argc == 3 && !strcmp(argv[1], "-o") && !strcmp(argv[2], "json");

	if (argc > 1 && !json)
		return cli_fail(EXIT_USAGE, "countersign version [-o json]", "version: unknown option, or one without its value");
	printf(json ? "{\"version\":\"%s\"}\n" : "countersign %s\n", VERSION);
	return EXIT_DONE;
}

const struct command cli_commands[] = {
	{ "get", "list Applications, Projects or ImagePolicies", cli_get, "[apps|projects|policies] [NAME] [-o wide|json|yaml|name]" },
	{ "describe", "tell all about an Application: what runs, what was refused and why", cli_describe, "APP" },
	{ "diff", "show what a sync would change (exit 1: something)", cli_diff, "APP [--local DIR]" },
	{ "sync", "sync an Application now, and wait for the outcome", cli_sync,
	  "APP [--revision REV] [--prune] [--dry-run] [--hard] [--wait|--no-wait] [--timeout 5m]" },
	{ "build", "render a local folder as the controller would", cli_build, "DIR [--recurse] [-o yaml|json]" },
	{ "verify", "check an image's signatures", cli_verify, "IMAGE --key FILE [--plain-http-registry HOST]... [--registry-ca FILE]" },
	{ "audit", "read, verify, prove and join the audit log", cli_audit, "log|show|verify|prove|join DIR ..." },
	{ "controller", "run the controller", cli_controller,
	  "[--kubeconfig FILE] [--namespace NS] [--data DIR] [--poll 5s] [--plain-http-registry HOST:PORT]... [--admin-project NAME] "
	  "[--log-level info] [--listen :8080] [--namespaced]" },
	{ "status", "tell who leads, which sandbox layers are on, and how many Applications are ready", cli_status, "" },
	{ "check", "check a cluster before (--pre) or after installation", cli_check, "[--pre] [--namespaced]" },
	{ "install", "install into a cluster, or print what would be applied", cli_install, "--image REF [--export]" },
	{ "project", "print the YAML that lets the controller write as a project's account", cli_project, "grant NAME | grant --account NS:NAME" },
	{ "completion", "print a shell completion script", cli_completion, "bash|zsh|fish" },
	{ "version", "print the version", cli_version, "[-o json]" },
	{ NULL, NULL, NULL, NULL },
};

bool cli_asks_cluster(const struct command *command)
{
	int (*const those[])(int, char **) = { cli_get, cli_describe, cli_diff, cli_sync, cli_check, cli_status, cli_install, cli_project };

	for (size_t i = 0; i < sizeof(those) / sizeof(*those); i++)
		if (command->run == those[i])
			return true;
	return false;
}

int cli_fail(int status, const char *hint, const char *format, ...)
{
	CLEANUP(str_release) struct str text = STR_INIT, clean = STR_INIT;
	struct span rest;
	va_list args;

	va_start(args, format);
	str_vaddf(&text, format, args);
	va_end(args);
	/* its line ends are ours; the rest may be a stranger's */
	for (rest = str_span(&text); rest.data;) {
		text_clean(span_cut(&rest, '\n'), &clean);
		str_addc(&clean, '\n');
	}
	fprintf(stderr, "error: %s", str_c(&clean));
	if (hint)
		fprintf(stderr, "hint: %s\n", hint);
	return status;
}

static void usage(FILE *out)
{
	fputs("countersign: makes a cluster look like Git, applies nothing unsigned, keeps a log that can be proved\n\n", out);
	for (const struct command *command = cli_commands; command->name; command++)
		fprintf(out, "  %-11s %s\n", command->name, command->summary);
	fputs("\ncountersign COMMAND --help tells more\n", out);
}

static int is_help(const char *word)
{
	return !strcmp(word, "--help") || !strcmp(word, "-h") || !strcmp(word, "help");
}

static int wants_help(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--"); i++)
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return 1;
	return 0;
}

static void help(const struct command *command)
{
	printf("%s\n\nusage: countersign %s%s%s\n", command->summary, command->name, *command->usage ? " " : "", command->usage);
	if (cli_asks_cluster(command))
		puts("\n  --kubeconfig FILE, --context NAME   which cluster, as for kubectl\n"
		     "  -n, --namespace NAME                where Countersign is installed (countersign-system)");
}

static int run(int argc, char **argv)
{
	if (argc < 2) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (is_help(argv[1])) {
		usage(stdout);
		return EXIT_DONE;
	}
	for (const struct command *command = cli_commands; command->name; command++) {
		if (strcmp(command->name, argv[1]))
			continue;
		/* it has commands of its own to tell of */
		if (command->run != cli_audit && wants_help(argc - 1, argv + 1)) {
			help(command);
			return EXIT_DONE;
		}
		return command->run(argc - 1, argv + 1);
	}
	return cli_fail(EXIT_USAGE, "countersign --help lists the commands", "there is no command %s", argv[1]);
}

/* A disk that is full: what was cut must not pass for the whole. */
int cli_main(int argc, char **argv)
{
	int status = run(argc, argv);
	int broken = ferror(stdout);

	if (fflush(stdout) == 0 && !broken)
		return status;
	cli_fail(status, NULL, "the output could not be written whole");
	return status ? status : EXIT_FAILED;
}
