/* `audit`: the table of its commands, their arguments, and `audit verify`; see audit.h. */
#include "cli/audit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "io/file.h"
#include "record/audit_read.h"
#include "record/audit_verify.h"

static const struct command commands[] = {
	{ "log", "print the records, one a line", cli_audit_log, "DIR [-f] [-o table|json] [--kind KIND] [--app NAMESPACE/NAME] [--from SEQ]" },
	{ "show", "print one record", cli_audit_show, "DIR SEQ [-o text|json]" },
	{ "verify", "check that the log is whole and unchanged (exit 3: it is not)", cli_audit_verify,
	  "DIR [--key VKEY|FILE] [--last-known CHECKPOINT|FILE]" },
	{ "prove", "write a C2SP tlog-proof that a record is in the log", cli_audit_prove, "DIR SEQ" },
	{ "join", "compare with the API server's audit log, plain or .gz (exit 3: they do not agree)", cli_audit_join,
	  "DIR APISERVER-AUDIT-LOG... [--account USER] [--also DIR]... [--since TIME] [--until TIME]" },
	{ NULL, NULL, NULL, NULL },
};

static void usage(FILE *out)
{
	for (const struct command *command = commands; command->name; command++)
		fprintf(out, "  audit %-7s %s\n                usage: countersign audit %s %s\n", command->name, command->summary, command->name,
			command->usage);
}

int cli_audit(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			usage(stdout);
			return EXIT_DONE;
		}
	if (argc < 2) {
		usage(stderr);
		return EXIT_USAGE;
	}
	for (const struct command *command = commands; argc > 1 && command->name; command++) {
		int status;

		if (strcmp(command->name, argv[1]) != 0)
			continue;
		status = command->run(argc - 1, argv + 1);
		if (status == EXIT_USAGE)
			fprintf(stderr, "usage: countersign audit %s %s\n", command->name, command->usage);
		return status;
	}
	return cli_fail(EXIT_USAGE, "audit log, show, verify, prove and join are", "there is no command audit %s", argv[1]);
}

int cli_audit_fail(const struct error *err)
{
	static const char *const broken[] = { "LogCorrupt", "WrongKey", "LogTruncated", "LogForked", "BadLastKnown" };

	for (size_t i = 0; i < COUNT_OF(broken); i++)
		if (!strcmp(err->reason, broken[i]))
			return cli_fail(EXIT_NOT_INTACT, "keep a copy of the folder: it is evidence; but if the controller was killed and not started since, start it: it "
					"completes its last commit",
					"the log is not intact: %s", err->text);
	return cli_fail(err->kind == ERROR_NOT_FOUND ? EXIT_NOT_FOUND : EXIT_FAILED, NULL, "%s", err->text);
}

static const struct audit_option *find_option(const struct audit_option *options, struct span word)
{
	for (; options->name; options++)
		if (span_is(word, options->name))
			return options;
	return NULL;
}

static int put_value(const struct audit_option *option, const char *value)
{
	unsigned at = 0;

	while (at < option->most && option->value[at])
		at++;
	if (option->most && at == option->most)
		return cli_fail(EXIT_USAGE, NULL, "%s is given more than %u times", option->name, option->most);
	option->value[at] = value;
	return 0;
}

/* The option at argv[*at], and what belongs to it; *at moves to its last word. */
static int take_option(char **argv, int argc, int *at, const struct audit_option *options)
{
	const char *word = argv[*at], *equals = span_starts(span_of(word), "--") ? strchr(word, '=') : NULL;
	const struct audit_option *option = find_option(options, span_sub(span_of(word), 0, equals ? (size_t)(equals - word) : strlen(word)));

	if (!option || (option->flag && equals))
		return cli_fail(EXIT_USAGE, NULL, "audit %s has no option %s", argv[0], word);
	if (option->flag) {
		++*option->flag;
		return 0;
	}
	if (!equals && ++*at >= argc)
		return cli_fail(EXIT_USAGE, NULL, "%s needs a value", option->name);
	return put_value(option, equals ? equals + 1 : argv[*at]);
}

int cli_audit_arguments(int argc, char **argv, const struct audit_option *options, const char **words, int least, int most)
{
	int count = 0;

	for (int i = 1; i < argc; i++) {
		if (argv[i][0] == '-' && argv[i][1]) {
			if (take_option(argv, argc, &i, options))
				return EXIT_USAGE;
		} else if (count == most) {
			return cli_fail(EXIT_USAGE, NULL, "audit %s does not know what to do with %s", argv[0], argv[i]);
		} else {
			words[count++] = argv[i];
		}
	}
	if (count < least)
		return cli_fail(EXIT_USAGE, NULL, "audit %s needs %s", argv[0], count ? "one argument more" : "the folder of a log");
	return 0;
}

int cli_audit_seq(const char *text, uint64_t *out)
{
	int64_t value;

	if (!span_to_int64(span_of(text), &value))
		return cli_fail(EXIT_USAGE, "records are numbered from 0", "%s is not the number of a record", text);
	*out = (uint64_t)value;
	return 0;
}

/* A file of that name, or else the text itself. */
static int file_or_text(const char *word, struct str *out, struct error *err)
{
	if (file_exists(word))
		return file_read(word, NOTE_BYTES_MAX, out, err);
	str_adds(out, word);
	return 0;
}

static int read_key(const char *word, struct note_key *key, struct error *err)
{
	CLEANUP(str_release) struct str text = STR_INIT;

	if (file_or_text(word, &text, err))
		return -1;
	return note_key_parse(str_span(&text), key, err) ? error_wrap(err, "--key %.80s is no file and no vkey", word) : 0;
}

static int read_last_known(const char *word, struct str *text, struct error *err)
{
	struct checkpoint checkpoint;

	if (file_or_text(word, text, err))
		return -1;
	return checkpoint_peek(str_span(text), &checkpoint, err) ? error_wrap(err, "--last-known %.80s is no file and no checkpoint", word)
								: 0;
}

/* The folder of the log itself: `dir`, or audit/ in it. */
static void find_log(const char *dir, struct str *out)
{
	str_addf(out, "%s/checkpoint", dir);
	if (!file_exists(str_c(out))) {
		str_reset(out);
		str_addf(out, "%s/audit/checkpoint", dir);
	}
	if (file_exists(str_c(out)))
		str_drop_to(out, out->length - strlen("/checkpoint"));
	else {
		/* not even a checkpoint: what is missing is said of the folder that was named */
		str_reset(out);
		str_adds(out, dir);
	}
}

int cli_audit_verify(int argc, char **argv)
{
	const char *dir[1], *key_word = NULL, *last_known = NULL;
	const struct audit_option options[] = { { "--key", &key_word, NULL, 0 }, { "--last-known", &last_known, NULL, 0 }, { 0 } };
	CLEANUP(str_release) struct str path = STR_INIT, known = STR_INIT;
	struct audit_verify_options how = { 0 };
	struct error err = ERROR_INIT;
	struct audit_verdict verdict;
	struct note_key key;

	if (cli_audit_arguments(argc, argv, options, dir, 1, 1))
		return EXIT_USAGE;
	if ((key_word && read_key(key_word, &key, &err)) || (last_known && read_last_known(last_known, &known, &err)))
		return cli_fail(EXIT_FAILED, NULL, "%s", err.text);
	how.key = key_word ? &key : NULL;
	how.last_known = str_span(&known);
	find_log(dir[0], &path);
	if (audit_verify(str_c(&path), &how, &verdict, &err))
		return cli_audit_fail(&err);
	if (verdict.bodies_absent)
		fprintf(stderr, "note: parts of %" PRIu64 " large records are not here to be checked\n", verdict.bodies_absent);
	printf("ok: %" PRIu64 " records of %s are intact\n", verdict.checkpoint.size, verdict.checkpoint.origin);
	return EXIT_DONE;
}
