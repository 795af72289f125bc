/* One decision; see tree_filter.h. */
#include "source/tree_filter.h"

#include "base/glob.h"

/* Also the files of other tools: render names them instead of leaving them out in silence. */
static bool has_manifest_name(struct span path)
{
	static const char *const endings[] = { ".yaml", ".yml", ".json", ".jsonnet" };
	struct span name = span_from(path, (size_t)(span_rindex(path, '/') + 1));

	for (size_t i = 0; i < COUNT_OF(endings); i++)
		if (span_ends(name, endings[i]))
			return true;
	return span_is(name, "Kustomization");
}

static bool excluded(const struct tree_options *options, struct span path)
{
	return options->exclude && options->exclude[0] && glob_match(span_of(options->exclude), path, GLOB_ANY);
}

static bool selected(const struct tree_options *options, struct span path)
{
	if (!has_manifest_name(path) || excluded(options, path))
		return false;
	return !options->include || !options->include[0] || glob_match(span_of(options->include), path, GLOB_ANY);
}

enum filter tree_filter(const struct tree_options *options, uint32_t mode, struct span path)
{
	switch (mode) {
	case 0040000:
		return options->recurse ? FILTER_ENTER : FILTER_SKIP;
	case 0100644:
	case 0100664:
	case 0100755:
		return selected(options, path) ? FILTER_READ : FILTER_SKIP;
	default:
		/* with recurse a folder may hide behind it, whatever its name */
		return selected(options, path) || (options->recurse && !excluded(options, path)) ? FILTER_REFUSE : FILTER_SKIP;
	}
}
