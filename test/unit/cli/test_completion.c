/* cli/completion.h: every command and option is in every script, and what the shell reads is well-formed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/completion.h"
#include "cli/person.h"

static int nothing(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return 0;
}

static const struct command commands[] = {
	{ "get", "lists: it's all there", cli_get, "[NAME] [-o json]" },
	{ "build", "renders a folder \\ quickly", nothing, "DIR [--recurse] [--dry-run|--no-wait]" },
	{ NULL, NULL, NULL, NULL },
};

static void every_shell_gets_every_command_and_option(void **state)
{
	static const char *const shells[] = { "bash", "zsh", "fish" };

	(void)state;
	for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++) {
		static const char *const words[] = { "get", "build", "recurse", "dry-run", "no-wait", "kubeconfig", "help", "countersign" };
		CLEANUP(str_release) struct str out = STR_INIT;

		assert_true(completion_script(shells[i], commands, &out));
		for (size_t k = 0; k < sizeof(words) / sizeof(words[0]); k++)
			if (!strstr(str_c(&out), words[k]))
				fail_msg("%s lacks %s:\n%s", shells[i], words[k], str_c(&out));
	}
}

static void another_shell_is_refused(void **state)
{
	CLEANUP(str_release) struct str out = STR_INIT;

	(void)state;
	assert_false(completion_script("tcsh", commands, &out));
	assert_int_equal(out.length, 0);
}

static void only_commands_of_a_person_offer_a_kubeconfig(void **state)
{
	CLEANUP(str_release) struct str out = STR_INIT;
	const char *line;

	(void)state;
	assert_true(completion_script("bash", commands, &out));
	line = strstr(str_c(&out), "build) words=");
	assert_non_null(line);
	assert_null(memmem(line, (size_t)(strchr(line, '\n') - line), "--kubeconfig", 12));
	line = strstr(str_c(&out), "get) words=");
	assert_non_null(line);
	assert_non_null(memmem(line, (size_t)(strchr(line, '\n') - line), "--kubeconfig", 12));
}

/* Runs bash on the script and what is behind it; its output. */
static void run_bash(const struct str *script, const char *behind, char *out, size_t size)
{
	char name[] = "/tmp/completion.XXXXXX", command[64];
	int fd = mkstemp(name);
	FILE *pipe;
	size_t got;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, script->data, script->length), script->length);
	assert_int_equal(write(fd, behind, strlen(behind)), strlen(behind));
	close(fd);
	snprintf(command, sizeof(command), "bash %s 2>&1", name);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	got = fread(out, 1, size - 1, pipe);
	out[got] = '\0';
	assert_int_equal(pclose(pipe), 0);
	unlink(name);
}

static void bash_completes_commands_and_their_options(void **state)
{
	CLEANUP(str_release) struct str out = STR_INIT;
	char said[512];

	(void)state;
	assert_true(completion_script("bash", commands, &out));
	run_bash(&out, "COMP_WORDS=(countersign b) COMP_CWORD=1; _countersign; echo \"${COMPREPLY[@]}\"\n"
		       "COMP_WORDS=(countersign build --r) COMP_CWORD=2; _countersign; echo \"${COMPREPLY[@]}\"\n", said, sizeof(said));
	assert_string_equal(said, "build\n--recurse\n");
}

static void quotes_in_a_summary_do_not_end_the_script(void **state)
{
	CLEANUP(str_release) struct str zsh = STR_INIT, fish = STR_INIT;

	(void)state;
	assert_true(completion_script("zsh", commands, &zsh));
	assert_non_null(strstr(str_c(&zsh), "'get:lists, it'\\''s all there'"));
	assert_true(completion_script("fish", commands, &fish));
	assert_non_null(strstr(str_c(&fish), "-d 'lists: it\\'s all there'"));
	assert_non_null(strstr(str_c(&fish), "-d 'renders a folder \\\\ quickly'"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_shell_gets_every_command_and_option),
		cmocka_unit_test(another_shell_is_refused),
		cmocka_unit_test(only_commands_of_a_person_offer_a_kubeconfig),
		cmocka_unit_test(bash_completes_commands_and_their_options),
		cmocka_unit_test(quotes_in_a_summary_do_not_end_the_script),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
