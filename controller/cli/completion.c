/* `countersign completion`; see person.h. The scripts are made from cli_commands, so that none is forgotten. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cli/cli.h"
#include "cli/completion.h"
#include "cli/person.h"
#include "cli/person_kube.h"

/* Options that stand in no usage line: those that every command takes, and those that every command of person.h takes. */
static const char *common_options(const struct command *command)
{
	return cli_asks_cluster(command) ? "--kubeconfig --context --namespace --help" : "--help";
}

/* The next "--option" of a usage line, or SPAN0. */
static struct span next_option(struct span *usage)
{
	while (usage->length) {
		size_t length = 2;

		if (!span_starts(*usage, "--")) {
			*usage = span_from(*usage, 1);
			continue;
		}
		while (length < usage->length && (usage->data[length] == '-' || (usage->data[length] >= 'a' && usage->data[length] <= 'z')))
			length++;
		*usage = span_from(*usage, length);
		return span_make(usage->data - length, length);
	}
	return SPAN0;
}

static void add_options(const struct command *command, struct str *out)
{
	struct span usage = span_of(command->usage), option;

	while ((option = next_option(&usage)).length) {
		str_add(out, option);
		str_addc(out, ' ');
	}
	str_adds(out, common_options(command));
}

static void add_names(const struct command *commands, struct str *out)
{
	for (const struct command *command = commands; command->name; command++)
		str_addf(out, "%s%s", command == commands ? "" : " ", command->name);
}

static void bash_script(const struct command *commands, struct str *out)
{
	str_adds(out, "# bash completion of countersign: source it, or put it into /etc/bash_completion.d\n_countersign()\n{\n"
		      "\tlocal word=${COMP_WORDS[COMP_CWORD]} words=\n\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n\t\twords='");
	add_names(commands, out);
	str_adds(out, "'\n\telse\n\t\tcase ${COMP_WORDS[1]} in\n");
	for (const struct command *command = commands; command->name; command++) {
		str_addf(out, "\t\t%s) words='", command->name);
		add_options(command, out);
		str_adds(out, "' ;;\n");
	}
	str_adds(out, "\t\tesac\n\tfi\n\tCOMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n}\ncomplete -o default -F _countersign countersign\n");
}

/* A description inside single quotes of zsh's _describe: ':' separates there. */
static void add_zsh_text(const char *text, struct str *out)
{
	for (; *text; text++) {
		if (*text == '\'')
			str_adds(out, "'\\'");
		str_addc(out, *text == ':' ? ',' : *text);
	}
}

static void zsh_script(const struct command *commands, struct str *out)
{
	str_adds(out, "#compdef countersign\n# zsh completion of countersign: put it into a folder of $fpath as _countersign\n"
		      "_countersign()\n{\n\tlocal -a commands options\n\tcommands=(\n");
	for (const struct command *command = commands; command->name; command++) {
		str_addf(out, "\t\t'%s:", command->name);
		add_zsh_text(command->summary, out);
		str_adds(out, "'\n");
	}
	str_adds(out, "\t)\n\tif (( CURRENT == 2 )); then\n\t\t_describe command commands\n\t\treturn\n\tfi\n\tcase $words[2] in\n");
	for (const struct command *command = commands; command->name; command++) {
		str_addf(out, "\t%s) options=(", command->name);
		add_options(command, out);
		str_adds(out, ") ;;\n");
	}
	str_adds(out, "\tesac\n\tcompadd -- $options\n\t_files\n}\n"
		      /* out of $fpath the file is itself the function at its first call; sourced, it only says whose it is */
		      "if [[ ${funcstack[1]} == _countersign ]]; then\n\t_countersign \"$@\"\nelse\n\tcompdef _countersign countersign\nfi\n");
}

static void add_fish_text(const char *text, struct str *out)
{
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			str_addc(out, '\\');
		str_addc(out, *text);
	}
}

static void fish_options(const char *name, struct span words, struct str *out)
{
	struct span option;

	while ((option = next_option(&words)).length)
		str_addf(out, "complete -c countersign -n '__fish_seen_subcommand_from %s' -l %.*s\n", name, SPAN_ARG(span_from(option, 2)));
}

static void fish_script(const struct command *commands, struct str *out)
{
	str_adds(out, "# fish completion of countersign: put it into ~/.config/fish/completions/countersign.fish\n");
	for (const struct command *command = commands; command->name; command++) {
		str_addf(out, "complete -c countersign -n __fish_use_subcommand -f -a %s -d '", command->name);
		add_fish_text(command->summary, out);
		str_adds(out, "'\n");
		fish_options(command->name, span_of(command->usage), out);
		fish_options(command->name, span_of(common_options(command)), out);
	}
}

bool completion_script(const char *shell, const struct command *commands, struct str *out)
{
	static const struct {
		const char *shell;
		void (*write)(const struct command *, struct str *);
	} shells[] = { { "bash", bash_script }, { "zsh", zsh_script }, { "fish", fish_script } };

	for (size_t i = 0; i < COUNT_OF(shells); i++)
		if (!strcmp(shell, shells[i].shell)) {
			shells[i].write(commands, out);
			return true;
		}
	return false;
}

int cli_completion(int argc, char **argv)
{
	CLEANUP(str_release) struct str out = STR_INIT;

	if (argc != 2)
		return cli_fail(EXIT_USAGE, "countersign completion bash|zsh|fish", "the name of one shell is needed");
	if (!completion_script(argv[1], cli_commands, &out))
		return cli_fail(EXIT_USAGE, "there are bash, zsh and fish", "completion %s", argv[1]);
	return person_print(&out);
}
