/* A local folder through the controller's own selection and rendering; see build.h. */
#include "cli/build.h"

#include <stdio.h>
#include <string.h>

#include "base/glob.h"
#include "base/yaml.h"
#include "cli/cli.h"
#include "cli/folder.h"
#include "render/render.h"

struct build {
	const char *directory;
	struct tree_options options;
	bool json;
	struct arena *arena;
	struct tree_stream files;
};

/* --- output ---------------------------------------------------------------------------------------------------- */

static int print_problems(const struct build *build, const struct render_problems *problems)
{
	for (size_t i = 0; i < problems->count; i++)
		fprintf(stderr, "error: %s/%s\n", build->directory, problems->items[i].text);
	if (problems->total > problems->count)
		fprintf(stderr, "error: and %zu more\n", problems->total - problems->count);
	return EXIT_FAILED;
}

static int print_objects(const struct build *build, const struct rendered *rendered)
{
	for (size_t i = 0; i < rendered->count; i++) {
		CLEANUP(str_release) struct str text = STR_INIT;
		const struct rendered_object *object = &rendered->objects[i];

		if (build->json) {
			json_write(object->object, JSON_PLAIN, &text);
			str_addc(&text, '\n');
		} else {
			str_addf(&text, "---\n# %s/%s:%u\n", build->directory, object->path, object->line);
			yaml_write(object->object, &text);
		}
		fputs(str_c(&text), stdout);
	}
	if (fflush(stdout) || ferror(stdout))
		return cli_fail(EXIT_FAILED, NULL, "cannot write the result");
	return EXIT_DONE;
}

/* --- the command ----------------------------------------------------------------------------------------------- */

static int parse_value(struct build *build, const char *name, const char *value)
{
	if (!strcmp(name, "-o") || !strcmp(name, "--output")) {
		build->json = !strcmp(value, "json");
		if (!build->json && strcmp(value, "yaml"))
			return cli_fail(EXIT_USAGE, "formats are yaml and json", "-o %s", value);
		return EXIT_DONE;
	}
	if (!glob_valid(span_of(value)))
		return cli_fail(EXIT_USAGE, NULL, "%s '%s' is no glob " GLOB_BOUNDS, name, value);
	if (!strcmp(name, "--include"))
		build->options.include = value;
	else
		build->options.exclude = value;
	return EXIT_DONE;
}

static bool takes_value(const char *word)
{
	return !strcmp(word, "-o") || !strcmp(word, "--output") || !strcmp(word, "--include") || !strcmp(word, "--exclude");
}

static int parse_arguments(struct build *build, int argc, char **argv)
{
	bool options_end = false;

	for (int i = 1; i < argc; i++) {
		int status = EXIT_DONE;

		if (options_end || argv[i][0] != '-' || !argv[i][1]) {
			if (build->directory)
				return cli_fail(EXIT_USAGE, NULL, "one folder at a time: %s", argv[i]);
			build->directory = argv[i];
		} else if (!strcmp(argv[i], "--")) {
			options_end = true;
		} else if (!strcmp(argv[i], "--recurse")) {
			build->options.recurse = true;
		} else if (!takes_value(argv[i])) {
			return cli_fail(EXIT_USAGE, "countersign build --help tells what there is", "unknown option %s", argv[i]);
		} else if (i + 1 == argc) {
			return cli_fail(EXIT_USAGE, NULL, "%s needs a value", argv[i]);
		} else {
			status = parse_value(build, argv[i], argv[i + 1]);
			i++;
		}
		if (status)
			return status;
	}
	return build->directory ? EXIT_DONE : cli_fail(EXIT_USAGE, "countersign build DIR", "no folder is given");
}

/* "shop/" and "shop" are shown alike. */
static const char *without_slashes(const char *directory, struct arena *arena)
{
	size_t length = strlen(directory);

	while (length > 1 && directory[length - 1] == '/')
		length--;
	return arena_strndup(arena, span_make(directory, length));
}

int cli_build(int argc, char **argv)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct build build = { .options = { .path = "", .include = "", .exclude = "" }, .arena = arena };
	struct render_problems *problems = ARENA_NEW(arena, struct render_problems);
	struct rendered rendered;
	struct error err = ERROR_INIT;
	int status = parse_arguments(&build, argc, argv);

	if (status)
		return status;
	build.directory = without_slashes(build.directory, arena);
	if (folder_read(build.directory, &build.options, arena, &build.files, &err))
		return cli_fail(err.kind == ERROR_NOT_FOUND ? EXIT_NOT_FOUND : EXIT_FAILED, NULL, "%s", err.text);
	if (render_files(&build.files, arena, &rendered, problems, &err))
		return print_problems(&build, problems);
	return print_objects(&build, &rendered);
}
