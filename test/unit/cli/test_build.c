/* `countersign build`: what it prints of a folder, and how it fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/yaml.h"
#include "cli/build.h"
#include "cli/cli.h"
#include "io/file.h"

static char folder[64];
static struct arena *arena;
static const char *out_text, *err_text;

static int setup(void **state)
{
	(void)state;
	arena = arena_new(0);
	strcpy(folder, "/tmp/countersign-build-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	arena_cleanup(&arena);
	return system(command);
}

static void put(const char *name, const char *text)
{
	char *path = arena_printf(arena, "%s/%s", folder, name), *slash = strrchr(path, '/');
	struct error err = ERROR_INIT;

	*slash = '\0';
	assert_int_equal(dir_make(path, &err), 0);
	*slash = '/';
	assert_int_equal(file_write(path, span_of(text), 0644, &err), 0);
}

static const char *slurp(FILE *file)
{
	char *text = arena_alloc(arena, 100000);

	rewind(file);
	(void)!fread(text, 1, 99999, file);
	return text;
}

/* Runs it with stdout and stderr in files; the folder stands for "DIR". */
static int build(const char *const words[])
{
	char *argv[16] = { arena_strdup(arena, "build") };
	FILE *out = tmpfile(), *err = tmpfile();
	int argc = 1, saved_out = dup(1), saved_err = dup(2), status;

	for (; words[argc - 1]; argc++)
		argv[argc] = arena_strdup(arena, strcmp(words[argc - 1], "DIR") ? words[argc - 1] : folder);
	fflush(stdout);
	dup2(fileno(out), 1);
	dup2(fileno(err), 2);
	status = cli_build(argc, argv);
	fflush(stdout);
	fflush(stderr);
	dup2(saved_out, 1);
	dup2(saved_err, 2);
	close(saved_out);
	close(saved_err);
	out_text = slurp(out);
	err_text = slurp(err);
	fclose(out);
	fclose(err);
	return status;
}

#define BUILD(...) build((const char *const[]){ __VA_ARGS__, NULL })

static void has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("'%s' is not in:\n%s", part, text);
}

#define CM(name) "kind: ConfigMap\napiVersion: v1\nmetadata: {name: " name "}\n"

static void build_prints_yaml_that_reads_back_with_its_places(void **state)
{
	struct error err = ERROR_INIT;
	struct yaml_stream stream;

	(void)state;
	put("b.yaml", CM("two") "data: {on: \"yes\", x: \"a\\nb\\n\"}\n---\n" CM("three"));
	put("a.json", "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"one\"}}");
	put("sub/c.yaml", CM("below"));
	put("notes.txt", "not a manifest: [");
	put(".git/x.yaml", "broken: [");
	assert_int_equal(BUILD("DIR"), EXIT_DONE);
	assert_string_equal(err_text, "");
	assert_int_equal(yaml_parse(span_of(out_text), "out", NULL, arena, &stream, &err), 0);
	assert_int_equal(stream.count, 3);
	assert_string_equal(json_get_text(json_get(stream.documents[0].value, "metadata"), "name"), "one");
	assert_string_equal(json_get_text(json_get(stream.documents[1].value, "data"), "x"), "a\nb\n");
	has(out_text, arena_printf(arena, "# %s/b.yaml:1\n", folder));
	has(out_text, arena_printf(arena, "# %s/b.yaml:6\n", folder));
	assert_int_equal(BUILD("--recurse", "DIR"), EXIT_DONE);
	has(out_text, "name: below");
	assert_int_equal(BUILD("--recurse", "--exclude", "sub/*", "--include", "*.yaml", "DIR"), EXIT_DONE);
	assert_null(strstr(out_text, "below"));
	assert_null(strstr(out_text, "Service"));
}

static void build_prints_one_json_object_a_line(void **state)
{
	(void)state;
	put("a.yaml", CM("one") "---\n" CM("two") "n: 18446744073709551615\n");
	assert_int_equal(BUILD("DIR", "-o", "json"), EXIT_DONE);
	assert_string_equal(out_text, "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"one\"}}\n"
				      "{\"apiVersion\":\"v1\",\"false\":18446744073709551615,\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"two\"}}\n");
}

static void build_tells_every_problem_with_its_place_and_prints_nothing(void **state)
{
	(void)state;
	put("a.yaml", "a: [\n");
	put("b.yaml", CM("fine"));
	put("c.yaml", "\nkind: X\n");
	assert_int_equal(BUILD("DIR"), EXIT_FAILED);
	assert_string_equal(out_text, "");
	has(err_text, arena_printf(arena, "error: %s/a.yaml:2: ", folder));
	has(err_text, arena_printf(arena, "error: %s/c.yaml:2: X without apiVersion\n", folder));
}

static void build_refuses_links(void **state)
{
	(void)state;
	put("a.yaml", CM("one"));
	assert_int_equal(symlink("/etc/passwd", arena_printf(arena, "%s/l.yaml", folder)), 0);
	assert_int_equal(BUILD("DIR"), EXIT_FAILED);
	has(err_text, "l.yaml: a symbolic link");
	assert_int_equal(BUILD("DIR", "--exclude", "l.yaml"), EXIT_DONE);
}

static void build_says_how_it_is_used(void **state)
{
	(void)state;
	assert_int_equal(BUILD("--recurse"), EXIT_USAGE);
	has(err_text, "no folder is given");
	assert_int_equal(BUILD("DIR", "DIR"), EXIT_USAGE);
	assert_int_equal(BUILD("DIR", "--what"), EXIT_USAGE);
	has(err_text, "unknown option --what");
	assert_int_equal(BUILD("DIR", "-o"), EXIT_USAGE);
	assert_int_equal(BUILD("DIR", "-o", "xml"), EXIT_USAGE);
	has(err_text, "formats are yaml and json");
	assert_int_equal(BUILD("DIR", "--include", "{a"), EXIT_USAGE);
	assert_int_equal(BUILD("--", "-o"), EXIT_NOT_FOUND);
	assert_int_equal(BUILD("/nonexistent/folder"), EXIT_NOT_FOUND);
	has(err_text, "/nonexistent/folder");
}

static void build_of_an_empty_folder_prints_nothing(void **state)
{
	(void)state;
	assert_int_equal(BUILD("DIR"), EXIT_DONE);
	assert_string_equal(out_text, "");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(build_prints_yaml_that_reads_back_with_its_places),
		TEST(build_prints_one_json_object_a_line),
		TEST(build_tells_every_problem_with_its_place_and_prints_nothing),
		TEST(build_refuses_links),
		TEST(build_says_how_it_is_used),
		TEST(build_of_an_empty_folder_prints_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
