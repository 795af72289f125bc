/*
 * YAML as kubectl reads it, into the tree of base/json.h.
 *
 * libyaml finds the events; what a plain scalar means is decided here by the
 * rules of sigs.k8s.io/yaml (YAML 1.1: yes, no, on, off, y and n are booleans,
 * 0o17 and 017 are 15, 1_000 is 1000, a timestamp is a string), and a
 * differential test holds them against that Go package. On purpose we are
 * stricter where it is lax, because a reader and a cluster must not see two
 * different objects in one file:
 *   - a key that stands twice in one mapping is an error that names both lines,
 *     also when the two are equal only as text (1 and "1");
 *   - tags other than the core ones, NUL characters and bytes that are not
 *     UTF-8 are errors;
 *   - aliases are copied and counted, so a bomb ends at LIMIT_YAML_ALIAS_NODES.
 * Integers are exact over the whole 64-bit range. Merge keys ("<<") behave as in
 * that package: members are taken in the order of the document, so what a merge
 * brings may be replaced by later keys, and the other way round.
 */
#ifndef BASE_YAML_H
#define BASE_YAML_H

#include "base/arena.h"
#include "base/error.h"
#include "base/json.h"
#include "base/str.h"

struct yaml_document {
	struct json *value;     /* NULL: an empty document (nothing, or comments only) */
	uint32_t line;          /* of its first node, from 1 */
};

struct yaml_stream {
	struct yaml_document *documents;
	size_t count;
};

/*
 * Reads all documents of `text`. `name` (a path) stands before the line in
 * every error: "shop/a.yaml:12: ...". Everything returned lives in the arena.
 * `budget` (may be NULL) counts down the nodes that all files of a job
 * together may still have: the limits of one document do not bound many.
 * ERROR_INVALID: "YAMLError" (not well-formed, NUL, UTF-8), "DuplicateKey",
 * "UnknownTag", "BadKey" (a key JSON cannot have), "BadAlias" (unknown, or in
 * itself), "BadMerge", "BadNumber" (infinite, not a number).
 * ERROR_LIMIT: "AliasBomb", "TooDeep", "TooLarge", each with the limit.
 */
int yaml_parse(struct span text, const char *name, size_t *budget, struct arena *arena, struct yaml_stream *out,
	       struct error *err);

/* Without the byte order mark that some editors put before the first character, as kubectl reads it too. */
struct span yaml_without_mark(struct span text);

/*
 * The same for a file that may be JSON instead, decided as kubectl does: text
 * that begins with '{' is read as JSON objects one behind the other, and if
 * that fails as YAML. Lines are set for JSON too.
 */
int yaml_parse_any(struct span text, const char *name, size_t *budget, struct arena *arena, struct yaml_stream *out,
		   struct error *err);

/*
 * Writes a value as block YAML that yaml_parse reads back as the same value:
 * keys in their order, strings quoted only where a plain one would mean
 * something else. No "---" is written.
 */
void yaml_write(const struct json *value, struct str *out);

#endif
