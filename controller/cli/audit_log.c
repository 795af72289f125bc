/* `audit log`, `audit show`, `audit prove`: records for people and programs; see audit.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "api/audit.h"
#include "base/encode.h"
#include "cli/audit.h"
#include "cli/cli.h"
#include "record/audit_read.h"

#define FOLLOW_NS 200000000     /* between two looks at a log that is followed */

struct printing {
	struct audit_reader *reader;
	struct arena *arena;
	bool json;
	const char *kind, *app;         /* NULL: all */
};

static void print_safe(const char *text, int width)
{
	CLEANUP(str_release) struct str safe = STR_INIT;

	text_escape(span_of(text && *text ? text : "-"), &safe);
	printf("%-*s ", width, str_c(&safe));
}

/* What a line has room for: why, else which commit, else how many objects. */
static void print_gist(const struct json *record)
{
	const char *message = json_get_text(record, "message"), *reason = json_get_text(record, "reason");
	const char *commit = json_text(json_path(record, "git", "commit", NULL));
	size_t objects = json_count(json_get(record, "objects"));
	char prefix[13];

	snprintf(prefix, sizeof(prefix), "%s", commit ? commit : "");
	if (reason)
		print_safe(reason, 0);
	if (message)
		print_safe(message, 0);
	else if (commit) {
		fputs("commit ", stdout);
		print_safe(prefix, 0);
	}
	if (json_get(record, "intent"))
		printf("of %" PRId64 " ", json_get_int(record, "intent", -1));
	if (objects)
		printf("%zu objects", objects);
	putchar('\n');
}

static void print_row(const struct json *record)
{
	const char *t = json_get_text(record, "t");

	printf("%-7" PRId64 " %.19s.%.3sZ ", json_get_int(record, "seq", -1), t, strlen(t) > 23 ? t + 20 : "000");
	print_safe(json_get_text(record, "kind"), 13);
	print_safe(json_get_text(record, "outcome"), 7);
	print_safe(json_get_text(record, "app"), 28);
	print_safe(json_text(json_path(record, "actor", "type", NULL)), 11);
	print_gist(record);
}

static bool is_wanted(const struct printing *printing, const struct json *record)
{
	const char *kind = json_get_text(record, "kind"), *app = json_get_text(record, "app");

	return (!printing->kind || (kind && !strcmp(kind, printing->kind))) && (!printing->app || (app && !strcmp(app, printing->app)));
}

static int print_record(void *data, uint64_t seq, struct span text, struct error *err)
{
	struct printing *printing = data;
	CLEANUP(str_release) struct str line = STR_INIT;
	struct json *record;

	arena_reset(printing->arena);
	if (audit_expand(&printing->reader->files, text, printing->arena, &record, err))
		return error_wrap(err, "record %" PRIu64, seq);
	if (!is_wanted(printing, record))
		return 0;
	if (!printing->json) {
		print_row(record);
		return 0;
	}
	/* a whole record is its own canonical line; one with a body beside the log is put together again */
	if (json_get(record, "body"))
		json_write(record, JSON_SORTED, &line);
	else
		str_add(&line, text);
	fwrite(line.data, 1, line.length, stdout);
	putchar('\n');
	return 0;
}

/* Prints what came since, until the reader of our output is gone. */
static int follow(struct printing *printing, uint64_t from, bool again, struct error *err)
{
	struct timespec moment = { 0, FOLLOW_NS };

	do {
		uint64_t to = printing->reader->checkpoint.size;

		if (audit_read_each(printing->reader, from, to, print_record, printing, err))
			return -1;
		from = to > from ? to : from;
		if (fflush(stdout) || !again)
			return 0;
		nanosleep(&moment, NULL);
	} while (!audit_reader_refresh(printing->reader, err));
	return -1;
}

static int read_format(const char *format, const char *plain, bool *json)
{
	*json = format && !strcmp(format, "json");
	if (!format || *json || !strcmp(format, plain))
		return 0;
	return cli_fail(EXIT_USAGE, NULL, "-o is json or %s, not %s", plain, format);
}

/* What no record can have would print nothing, as if nothing had happened. */
static int check_wanted(const char *kind, const char *app)
{
	CLEANUP(str_release) struct str kinds = STR_INIT;
	enum audit_kind which;

	if (app && !strchr(app, '/'))
		return cli_fail(EXIT_USAGE, NULL, "--app is NAMESPACE/NAME, not %s", app);
	if (!kind || audit_kind_parse(span_of(kind), &which))
		return 0;
	for (which = 0; which <= AUDIT_CLUSTER_RESTORED; which++)
		str_addf(&kinds, "%s%s", which ? ", " : "one of ", audit_kind_name(which));
	return cli_fail(EXIT_USAGE, str_c(&kinds), "there are no records of the kind %s", kind);
}

int cli_audit_log(int argc, char **argv)
{
	const char *dir[1], *format = NULL, *kind = NULL, *app = NULL, *from_word = "0";
	unsigned again = 0;
	const struct audit_option options[] = { { "-f", NULL, &again, 0 },     { "-o", &format, NULL, 0 },       { "--kind", &kind, NULL, 0 },
						{ "--app", &app, NULL, 0 }, { "--from", &from_word, NULL, 0 }, { 0 } };
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	CLEANUP(audit_reader_release) struct audit_reader reader = AUDIT_READER_INIT;
	struct printing printing = { .reader = &reader, .arena = arena };
	struct error err = ERROR_INIT;
	uint64_t from;

	if (cli_audit_arguments(argc, argv, options, dir, 1, 1) || read_format(format, "table", &printing.json) ||
	    cli_audit_seq(from_word, &from) || check_wanted(kind, app))
		return EXIT_USAGE;
	printing.kind = kind;
	printing.app = app;
	if (audit_reader_open(dir[0], &reader, &err))
		return cli_audit_fail(&err);
	if (!printing.json)
		printf("%-7s %-24s %-13s %-7s %-28s %-11s %s\n", "SEQ", "TIME", "KIND", "OUTCOME", "APPLICATION", "BY", "WHAT");
	return follow(&printing, from, again, &err) ? cli_audit_fail(&err) : EXIT_DONE;
}

/* The tree as indented lines, printable whatever it holds. */
static void print_tree(const struct json *value, int depth)
{
	JSON_EACH(member, value) {
		CLEANUP(str_release) struct str text = STR_INIT, safe = STR_INIT;
		bool nested = json_count(member->value) > 0;

		if (value->type == JSON_OBJECT)
			text_escape(member->key, &safe);
		printf("%*s%s%s", 2 * depth, "", value->type == JSON_OBJECT ? str_c(&safe) : "-", value->type == JSON_OBJECT ? ":" : "");
		if (nested) {
			putchar('\n');
			print_tree(member->value, depth + 1);
			continue;
		}
		str_reset(&safe);
		if (json_is(member->value, JSON_STRING))
			str_add(&text, json_text_span(member->value));
		else
			json_write(member->value, JSON_PLAIN, &text);
		text_escape(str_span(&text), &safe);
		printf(" %s\n", str_c(&safe));
	}
}

int cli_audit_show(int argc, char **argv)
{
	const char *words[2], *format = NULL;
	const struct audit_option options[] = { { "-o", &format, NULL, 0 }, { 0 } };
	CLEANUP(audit_reader_release) struct audit_reader reader = AUDIT_READER_INIT;
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	CLEANUP(str_release) struct str text = STR_INIT;
	struct error err = ERROR_INIT;
	struct json *record;
	uint64_t seq;
	bool json;

	if (cli_audit_arguments(argc, argv, options, words, 2, 2) || read_format(format, "text", &json) || cli_audit_seq(words[1], &seq))
		return EXIT_USAGE;
	if (audit_reader_open(words[0], &reader, &err) || audit_read_record(&reader, seq, &text, &err))
		return cli_audit_fail(&err);
	if (audit_expand(&reader.files, str_span(&text), arena, &record, &err)) {
		error_wrap(&err, "record %" PRIu64, seq);
		return cli_audit_fail(&err);
	}
	if (!json) {
		print_tree(record, 0);
		return EXIT_DONE;
	}
	str_reset(&text);
	json_write(record, JSON_SORTED | JSON_PRETTY, &text);
	puts(str_c(&text));
	return EXIT_DONE;
}

int cli_audit_prove(int argc, char **argv)
{
	const char *words[2];
	const struct audit_option options[] = { { 0 } };
	CLEANUP(audit_reader_release) struct audit_reader reader = AUDIT_READER_INIT;
	CLEANUP(str_release) struct str proof = STR_INIT;
	struct error err = ERROR_INIT;
	uint64_t seq;

	if (cli_audit_arguments(argc, argv, options, words, 2, 2) || cli_audit_seq(words[1], &seq))
		return EXIT_USAGE;
	if (audit_reader_open(words[0], &reader, &err) || audit_prove(&reader, seq, &proof, &err))
		return cli_audit_fail(&err);
	fwrite(proof.data, 1, proof.length, stdout);
	return EXIT_DONE;
}
