/*
 * Files that may be JSON. The text is cut into top-level values by a scan that
 * knows strings and brackets, each is parsed by base/json.h, and a second scan
 * in step with the tree gives every value its line.
 */
#include "base/limits.h"
#include "base/yaml.h"

struct cursor {
	struct span text;
	size_t at;
	uint32_t line;
};

static void skip_space(struct cursor *c)
{
	for (; c->at < c->text.length && strchr(" \t\r\n", c->text.data[c->at]) && c->text.data[c->at]; c->at++)
		c->line += c->text.data[c->at] == '\n';
}

/* Past white space and "---" lines, which may stand between objects. */
static void skip_markers(struct cursor *c)
{
	for (skip_space(c); span_starts(span_from(c->text, c->at), "---"); skip_space(c)) {
		size_t behind = c->at + 3;

		if ((c->at && c->text.data[c->at - 1] != '\n') || (behind < c->text.length && !strchr(" \t\r\n", c->text.data[behind])))
			return;
		c->at = behind;
	}
}

/* Past the string that opens here; a JSON string holds no line end. */
static void skip_string(struct cursor *c)
{
	for (c->at++; c->at < c->text.length && c->text.data[c->at] != '"'; c->at++)
		c->at += c->text.data[c->at] == '\\';
	c->at++;
	if (c->at > c->text.length)
		c->at = c->text.length;
}

/* Past the value whose bracket opens here, or to the end; counts what could become a node. */
static void skip_brackets(struct cursor *c, size_t *nodes)
{
	size_t depth = 0;

	while (c->at < c->text.length) {
		char byte = c->text.data[c->at];

		if (byte == '"') {
			skip_string(c);
			continue;
		}
		c->at++;
		c->line += byte == '\n';
		*nodes += byte == ',' || byte == '{' || byte == '[';
		depth += byte == '{' || byte == '[';
		if ((byte == '}' || byte == ']') && (!depth || --depth == 0))
			return;
	}
}

/* The text is known to be valid and the tree to be of it, so this only has to keep in step. */
static void set_lines(struct cursor *c, struct json *value)
{
	skip_space(c);
	value->line = c->line;
	if (value->type == JSON_STRING) {
		skip_string(c);
		return;
	}
	if (value->type != JSON_ARRAY && value->type != JSON_OBJECT) {
		while (c->at < c->text.length && !strchr(",]} \t\r\n", c->text.data[c->at]))
			c->at++;
		return;
	}
	c->at++;
	JSON_EACH(member, value) {
		skip_space(c);
		if (value->type == JSON_OBJECT) {
			skip_string(c);
			skip_space(c);
			c->at++;
		}
		set_lines(c, member->value);
		skip_space(c);
		c->at++;
	}
	if (!json_count(value)) {
		skip_space(c);
		c->at++;
	}
}

/* A NUL would be the end of a C string here and not in the cluster. */
static const struct json *find_nul(const struct json *value)
{
	if (value->type == JSON_STRING)
		return span_has_nul(value->as.text) ? value : NULL;
	JSON_EACH(member, value) {
		const struct json *found = span_has_nul(member->key) ? member->value : find_nul(member->value);

		if (found)
			return found;
	}
	return NULL;
}

static int spend(size_t nodes, size_t *budget, const char *name, uint32_t line, struct error *err)
{
	if (nodes > LIMIT_YAML_NODES)
		return error_set(err, ERROR_LIMIT, "TooLarge", "%s:%u: more than %u nodes in one document", name, line,
				 LIMIT_YAML_NODES);
	if (budget && nodes > *budget)
		return error_set(err, ERROR_LIMIT, "TooLarge", "%s:%u: more nodes than all files together may have", name, line);
	if (budget)
		*budget -= nodes;
	return 0;
}

static int parse_value(struct cursor *c, const char *name, size_t *budget, struct arena *arena, struct json **out,
		       struct error *err)
{
	struct cursor begin = *c;
	const struct json *bad;
	size_t nodes = 0;

	if (c->text.data[c->at] != '{' && c->text.data[c->at] != '[')
		return error_set(err, ERROR_INVALID, "BadJSON", "%s:%u: only whole objects may follow one another", name, c->line);
	skip_brackets(c, &nodes);
	if (spend(nodes, budget, name, begin.line, err))
		return -1;
	if (json_parse(span_sub(c->text, begin.at, c->at - begin.at), arena, LIMIT_YAML_DEPTH, out, err))
		return error_wrap(err, "%s:%u: the JSON value that begins here", name, begin.line);
	bad = find_nul(*out);
	set_lines(&begin, *out);
	if (bad)
		return error_set(err, ERROR_INVALID, "YAMLError", "%s:%u: a string with a NUL character", name, bad->line);
	return 0;
}

static int parse_json(struct span text, const char *name, size_t *budget, struct arena *arena, struct yaml_stream *out,
		      struct error *err)
{
	struct cursor c = { text, 0, 1 };
	struct yaml_stream stream = { NULL, 0 };
	size_t capacity = 0;

	for (skip_markers(&c); c.at < text.length; skip_markers(&c)) {
		struct yaml_document *document;

		if (stream.count == LIMIT_YAML_DOCUMENTS)
			return error_set(err, ERROR_LIMIT, "TooLarge", "%s:%u: more than %u objects in one file", name, c.line,
					 LIMIT_YAML_DOCUMENTS);
		document = arena_push(arena, &stream.documents, &stream.count, &capacity, sizeof(*document));
		if (parse_value(&c, name, budget, arena, &document->value, err))
			return -1;
		document->line = document->value->line;
	}
	*out = stream;
	return 0;
}

/*
 * Which of two complaints helps: of a file that says it is JSON the one about
 * JSON, except that YAML's about a duplicate key knows both lines.
 */
static bool json_is_the_reason(const struct error *json, const struct error *yaml, const char *name)
{
	if (!strcmp(yaml->reason, "DuplicateKey"))
		return false;
	return span_ends(span_of(name), ".json") || json->kind == ERROR_LIMIT || !strcmp(json->reason, "DuplicateKey");
}

int yaml_parse_any(struct span text, const char *name, size_t *budget, struct arena *arena, struct yaml_stream *out,
		   struct error *err)
{
	struct cursor c = { yaml_without_mark(text), 0, 1 };
	struct error json_error = ERROR_INIT;

	text = c.text;
	skip_space(&c);
	if (c.at == text.length || text.data[c.at] != '{' || text.length > LIMIT_MANIFEST_BYTES)
		return yaml_parse(text, name, budget, arena, out, err);
	if (!parse_json(text, name, budget, arena, out, &json_error))
		return 0;
	if (!yaml_parse(text, name, budget, arena, out, err))
		return 0;
	if (err && json_is_the_reason(&json_error, err, name))
		*err = json_error;
	return -1;
}
