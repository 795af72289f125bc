/*
 * Any bytes as what a log left on disk: a good log of three records, into whose files, and journal, the input is put; then
 * it is recovered. Either that is refused and nothing is changed, or the log verifies and has what was acknowledged.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/file.h"
#include "record/audit_log.h"
#include "record/audit_verify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char home[64], dir[80];

struct kept {
	const char *name;       /* behind DIR */
	struct str content;
};

static struct kept kept[] = { { "/checkpoint", STR_INIT },          { "/vkey", STR_INIT }, { "/tile/entries/000.p/3", STR_INIT },
			      { "/tile/0/000.p/3", STR_INIT }, { ".journal", STR_INIT }, { ".key", STR_INIT } };

static const char *path_of(const char *name)
{
	static char path[160];

	snprintf(path, sizeof(path), "%s%s", dir, name);
	return path;
}

static void run(const char *command)
{
	char text[256];

	snprintf(text, sizeof(text), "%s %s", command, home);
	ASSERT(!system(text));
}

static void write_file(const char *path, struct span content)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ASSERT(fd >= 0 && write(fd, content.data, content.length) == (ssize_t)content.length);
	close(fd);
}

static void remove_home(void)
{
	run("rm -rf");
}

static void make_first(void)
{
	struct loop *loop = loop_new();
	struct audit_log_config config = { .version = "fuzz" };
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct json *record = json_object(arena);
	struct audit_log *log;

	snprintf(home, sizeof(home), "/tmp/countersign-fuzz-XXXXXX");
	ASSERT(mkdtemp(home));
	atexit(remove_home);
	snprintf(dir, sizeof(dir), "%s/audit", home);
	json_set_string(arena, record, "kind", "drift");
	json_set_string(arena, record, "outcome", "ok");
	ASSERT(!audit_log_open(loop, dir, &config, &log, NULL));
	audit_log_append(log, record, NULL, NULL);
	audit_log_close(log);
	loop_free(loop);
	for (size_t i = 0; i < COUNT_OF(kept); i++)
		ASSERT(!file_read(path_of(kept[i].name), 4u << 20, &kept[i].content, NULL));
	/* without the zeroes behind its last frame */
	while (!kept[4].content.data[kept[4].content.length - 1])
		str_drop_to(&kept[4].content, kept[4].content.length - 1);
}

/* Puts all as it was, but for one file: cut at `at`, with the input behind. */
static void lay_out(unsigned which, size_t at, struct span input)
{
	run("rm -rf");
	run("mkdir -p");
	ASSERT(!mkdir(dir, 0700) && !mkdir(path_of("/tile"), 0700) && !mkdir(path_of("/tile/entries"), 0700) && !mkdir(path_of("/tile/0"), 0700));
	ASSERT(!mkdir(path_of("/tile/entries/000.p"), 0700) && !mkdir(path_of("/tile/0/000.p"), 0700));
	for (size_t i = 0; i < COUNT_OF(kept); i++) {
		CLEANUP(str_release) struct str content = STR_INIT;

		str_add(&content, str_span(&kept[i].content));
		if (i == which) {
			str_drop_to(&content, at < content.length ? at : content.length);
			str_add(&content, input);
			if (content.length < kept[i].content.length && input.length)
				str_add(&content, span_from(str_span(&kept[i].content), content.length));
		}
		write_file(path_of(kept[i].name), str_span(&content));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct audit_log_config config = { .version = "fuzz" };
	struct audit_verify_options options = { .threads = 1 };
	struct audit_verdict verdict;
	struct error err = ERROR_INIT;
	struct audit_log *log = NULL;
	struct loop *loop;

	if (size < 3)
		return 0;
	if (!*home)
		make_first();
	lay_out(data[0] % (unsigned)COUNT_OF(kept), (size_t)data[1] << 8 | data[2], span_make(data + 3, size - 3));
	loop = loop_new();
	if (!audit_log_open(loop, dir, &config, &log, &err)) {
		audit_log_close(log);
		ASSERT(!audit_verify(dir, &options, &verdict, &err) && verdict.checkpoint.size >= 5);
	} else {
		ASSERT(*err.reason);
	}
	loop_free(loop);
	return 0;
}
