/* `audit join`: our log against the API server's; see record/audit_join.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "cli/audit.h"
#include "cli/cli.h"
#include "record/audit_join.h"
#include "record/audit_verify.h"

#define FILES_MAX 64            /* rotated parts of the API server's log */
#define LOGS_MAX 64             /* of replicas and predecessors, beside the first */
#define TOLD_MAX 1000           /* lines about single acts */

static void print_line(void *data, const char *line)
{
	unsigned *told = data;

	if (++*told <= TOLD_MAX)
		puts(line);
	else if (*told == TOLD_MAX + 1)
		puts("... and more of them, which are counted below");
}

/* A log that is not intact says nothing; so it is verified first. */
static int take_log(struct audit_join *join, const char *dir, struct error *err)
{
	CLEANUP(audit_reader_release) struct audit_reader reader = AUDIT_READER_INIT;
	struct audit_verify_options options = { 0 };
	struct audit_verdict verdict;

	if (audit_reader_open(dir, &reader, err) || audit_verify(reader.files.dir, &options, &verdict, err))
		return -1;
	return audit_join_log(join, &reader, err);
}

static void close_file(FILE **file)
{
	if (*file)
		fclose(*file);
}

static ssize_t on_read(void *cookie, char *buffer, size_t size)
{
	int length = gzread(cookie, buffer, (unsigned)size), state = Z_OK;

	if (length > 0)
		return length;
	gzerror(cookie, &state);
	/* cut: what is missing may be just the act that is looked for */
	if (!length && state != Z_BUF_ERROR)
		return 0;
	if (state != Z_ERRNO)
		errno = EBADMSG;
	return -1;
}

static int on_close(void *cookie)
{
	return gzclose_r(cookie) == Z_OK ? 0 : EOF;
}

/* As it is, or as the API server leaves a rotated part with --audit-log-compress. */
static FILE *open_events(const char *path)
{
	gzFile packed = gzopen(path, "re");

	return packed ? fopencookie(packed, "r", (cookie_io_functions_t){ .read = on_read, .close = on_close }) : NULL;
}

static int take_events(struct audit_join *join, const char *path, struct error *err)
{
	CLEANUP(close_file) FILE *file = open_events(path);
	CLEANUP(mem_cleanup) char *line = NULL;
	size_t size = 0, number = 0;
	ssize_t length;

	if (!file)
		return error_set(err, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_TRANSIENT, "FileNotFound", "%s cannot be read: %s", path,
				 strerror(errno));
	while ((length = getline(&line, &size, file)) > 0) {
		struct span text = span_make(line, (size_t)length);
		bool whole = span_ends(text, "\n");

		number++;
		text = span_trim(text);
		if (!text.length || !audit_join_event(join, text, err))
			continue;
		/* the API server may be writing it just now */
		if (whole)
			return error_wrap(err, "%s: line %zu", path, number);
		fprintf(stderr, "note: the last line of %s is not whole yet and was left out\n", path);
	}
	if (ferror(file))
		return error_set(err, ERROR_TRANSIENT, "SystemError", "%s cannot be read: %s", path,
				 errno == EBADMSG ? "what was packed is cut or damaged; copy the whole file once more" : strerror(errno));
	return 0;
}

/* `text` NULL: *out stays as it is. */
static int read_time(const char *option, const char *text, int64_t *out)
{
	if (!text || time_parse(span_of(text), out))
		return 0;
	return cli_fail(EXIT_USAGE, NULL, "%s is an RFC 3339 time such as 2027-01-31T00:00:00Z, not %s", option, text);
}

static int take_all(struct audit_join *join, const char *const *words, const char *const *also, struct error *err)
{
	if (take_log(join, words[0], err))
		return -1;
	for (int i = 0; i < LOGS_MAX && also[i]; i++)
		if (take_log(join, also[i], err))
			return -1;
	for (int i = 1; i <= FILES_MAX && words[i]; i++)
		if (take_events(join, words[i], err))
			return -1;
	return 0;
}

int cli_audit_join(int argc, char **argv)
{
	const char *words[1 + FILES_MAX] = { NULL }, *also[LOGS_MAX] = { NULL }, *account = NULL, *since = NULL, *until = NULL;
	const struct audit_option options[] = { { "--account", &account, NULL, 0 }, { "--also", also, NULL, LOGS_MAX },
						{ "--since", &since, NULL, 0 },     { "--until", &until, NULL, 0 },     { 0 } };
	CLEANUP(audit_join_cleanup) struct audit_join *join = NULL;
	int64_t since_ns = INT64_MIN, until_ns = INT64_MAX;
	struct audit_join_counts counts;
	struct error err = ERROR_INIT;
	unsigned told = 0;

	if (cli_audit_arguments(argc, argv, options, words, 2, 1 + FILES_MAX) || read_time("--since", since, &since_ns) ||
	    read_time("--until", until, &until_ns))
		return EXIT_USAGE;
	join = audit_join_new(account, print_line, &told);
	audit_join_between(join, since_ns, until_ns);
	if (take_all(join, words, also, &err))
		return cli_audit_fail(&err);
	counts = audit_join_end(join);
	printf("%" PRIu64 " writes, %" PRIu64 " matched, %" PRIu64 " unrecorded, %" PRIu64 " unsent, %" PRIu64 " foreign\n", counts.writes,
	       counts.matched, counts.unrecorded, counts.unsent, counts.foreign);
	return counts.unrecorded || counts.unsent || counts.foreign ? EXIT_NOT_INTACT : EXIT_DONE;
}
