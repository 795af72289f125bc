/*
 * libyaml's events into a tree, without recursion: a fixed stack of open
 * collections, one table of anchors a document, and counters for everything
 * that a hostile file could make large.
 */
#include "base/yaml.h"

#include <yaml.h>

#include "base/encode.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/yaml_scalar.h"

/* Above this a mapping finds its keys by a map: 10^5 keys must not cost 10^10 comparisons. */
#define LINEAR_KEYS 24

struct anchor {
	struct json *value;
	bool open;              /* its collection has not ended: an alias to it would be in itself */
};

/* A member of an open mapping; kept beside the tree because json has no room for it. */
struct member_note {
	uint32_t line;
	bool merged;            /* came by "<<", so it may be replaced */
};

/* A collection whose end has not come. */
struct open_list {
	struct json *value;
	struct anchor *anchor;
	struct span key;        /* waiting for its value, in a mapping */
	uint32_t key_line;
	bool has_key, is_merge;
	struct member_note *notes;
	size_t note_count, note_capacity;
	struct map *index;      /* key → position + 1, once the mapping is large */
};

struct builder {
	yaml_parser_t parser;
	const char *name;
	struct arena *arena;
	struct error *err;
	struct json *root;
	struct open_list stack[LIMIT_YAML_DEPTH];
	unsigned depth;
	struct map anchors;
	size_t nodes, copied, anchor_count;
	size_t *budget;
};

static int fail(struct builder *b, enum error_kind kind, const char *reason, uint32_t line, const char *text)
{
	return error_set(b->err, kind, reason, "%s:%u: %s", b->name, line, text);
}

static uint32_t line_of(const yaml_event_t *event)
{
	return (uint32_t)event->start_mark.line + 1;
}

static int count_node(struct builder *b, uint32_t line)
{
	if (++b->nodes > LIMIT_YAML_NODES)
		return error_set(b->err, ERROR_LIMIT, "TooLarge", "%s:%u: more than %u nodes in one document", b->name, line,
				 LIMIT_YAML_NODES);
	if (b->budget && !*b->budget)
		return error_set(b->err, ERROR_LIMIT, "TooLarge", "%s:%u: more nodes than all files together may have", b->name,
				 line);
	if (b->budget)
		--*b->budget;
	return 0;
}

static void release_index(void *index)
{
	map_release(index);
}

/* --- mappings -------------------------------------------------------------------------------------------------- */

static void index_key(struct open_list *list, struct span key, size_t position)
{
	map_set(list->index, key, (void *)(uintptr_t)(position + 1));
}

static void start_index(struct builder *b, struct open_list *list)
{
	size_t position = 0;

	list->index = ARENA_NEW(b->arena, struct map);
	arena_defer(b->arena, release_index, list->index);
	JSON_EACH(member, list->value)
		index_key(list, member->key, position++);
}

/* Position of a key + 1, or 0. */
static size_t find_key(const struct open_list *list, struct span key)
{
	size_t position = 0;

	if (list->index)
		return (size_t)(uintptr_t)map_get(list->index, key);
	JSON_EACH(member, list->value) {
		position++;
		if (span_equal(member->key, key))
			return position;
	}
	return 0;
}

static void put(struct builder *b, struct open_list *list, struct span key, struct json *value, struct member_note note)
{
	size_t position = find_key(list, key), count = list->value->as.list.count;
	size_t capacity = list->value->as.list.capacity;

	if (position) {
		list->value->as.list.members[position - 1].value = value;
		list->notes[position - 1] = note;
		return;
	}
	if (!list->index && count >= LINEAR_KEYS)
		start_index(b, list);
	*(struct json_member *)arena_push(b->arena, &list->value->as.list.members, &count, &capacity,
					  sizeof(struct json_member)) = (struct json_member){ key, value };
	list->value->as.list.count = (uint32_t)count;
	list->value->as.list.capacity = (uint32_t)capacity;
	*(struct member_note *)arena_push(b->arena, &list->notes, &list->note_count, &list->note_capacity, sizeof(note)) = note;
	if (list->index)
		index_key(list, key, count - 1);
}

/* What a mapping brings by "<<"; a later member of the document wins, as in the Go package. */
static int merge_one(struct builder *b, struct open_list *list, const struct json *from, uint32_t line)
{
	if (from->type != JSON_OBJECT)
		return fail(b, ERROR_INVALID, "BadMerge", line, "\"<<\" needs a mapping or a list of mappings");
	JSON_EACH(member, from)
		put(b, list, member->key, member->value, (struct member_note){ line, true });
	return 0;
}

static int merge(struct builder *b, struct open_list *list, const struct json *value, bool from_alias, uint32_t line)
{
	if (value->type != JSON_ARRAY || from_alias)
		return merge_one(b, list, value, line);
	/* the first of a list has the last word */
	for (size_t i = json_count(value); i-- > 0;)
		if (merge_one(b, list, json_at(value, i), line))
			return -1;
	return 0;
}

static int put_member(struct builder *b, struct open_list *list, struct json *value)
{
	size_t position = find_key(list, list->key);

	if (position && !list->notes[position - 1].merged)
		return error_set(b->err, ERROR_INVALID, "DuplicateKey",
				 "%s:%u: key \"%.*s\" stands twice in one mapping, first on line %u; remove one", b->name,
				 list->key_line, SPAN_ARG(span_sub(list->key, 0, 120)), list->notes[position - 1].line);
	put(b, list, list->key, value, (struct member_note){ list->key_line, false });
	return 0;
}

/* Hands a finished or opening value to the collection it stands in. */
static int attach(struct builder *b, struct open_list *list, struct json *value, bool from_alias, uint32_t line)
{
	if (!list) {
		b->root = value;
		return 0;
	}
	if (list->value->type == JSON_ARRAY) {
		json_append(b->arena, list->value, value);
		return 0;
	}
	list->has_key = false;
	if (list->is_merge)
		return merge(b, list, value, from_alias, line);
	return put_member(b, list, value);
}

/* --- anchors --------------------------------------------------------------------------------------------------- */

static int add_anchor(struct builder *b, const yaml_char_t *name, struct json *value, struct anchor **out, uint32_t line)
{
	struct anchor *anchor;

	*out = NULL;
	if (!name)
		return 0;
	if (++b->anchor_count > LIMIT_YAML_ANCHORS)
		return error_set(b->err, ERROR_LIMIT, "TooLarge", "%s:%u: more than %u anchors in one document", b->name, line,
				 LIMIT_YAML_ANCHORS);
	anchor = ARENA_NEW(b->arena, struct anchor);
	anchor->value = value;
	map_set(&b->anchors, span_of((const char *)name), anchor);
	*out = anchor;
	return 0;
}

/* The name is not told: it may be a password that somebody forgot to quote. */
static int find_anchor(struct builder *b, const yaml_event_t *event, struct anchor **out)
{
	const char *name = (const char *)event->data.alias.anchor;
	struct anchor *anchor = map_get(&b->anchors, span_of(name));

	if (!anchor || anchor->open)
		return error_set(b->err, ERROR_INVALID, "BadAlias", "%s:%u: an alias (*) %s", b->name, line_of(event),
				 anchor ? "stands inside the value it names"
					: "names no anchor before it; a text that begins with * needs quotes");
	*out = anchor;
	return 0;
}

/* Copies a value for an alias. Text is shared, nodes are counted; NULL when there are too many. */
static struct json *copy_node(struct builder *b, const struct json *from, uint32_t line)
{
	struct json *to;

	if (++b->copied > LIMIT_YAML_ALIAS_NODES) {
		error_set(b->err, ERROR_LIMIT, "AliasBomb", "%s:%u: aliases expand to more than %u nodes", b->name, line,
			  LIMIT_YAML_ALIAS_NODES);
		return NULL;
	}
	if (count_node(b, line))
		return NULL;
	to = ARENA_NEW(b->arena, struct json);
	*to = *from;
	if (to->type != JSON_ARRAY && to->type != JSON_OBJECT)
		return to;
	to->as.list.capacity = to->as.list.count;
	to->as.list.members = arena_calloc(b->arena, to->as.list.count, sizeof(struct json_member));
	for (uint32_t i = 0; i < to->as.list.count; i++) {
		to->as.list.members[i].key = from->as.list.members[i].key;
		to->as.list.members[i].value = copy_node(b, from->as.list.members[i].value, line);
		if (!to->as.list.members[i].value)
			return NULL;
	}
	return to;
}

static unsigned height_of(const struct json *value)
{
	unsigned height = 0;

	JSON_EACH(member, value) {
		unsigned below = height_of(member->value);

		if (below > height)
			height = below;
	}
	return json_is(value, JSON_ARRAY) || json_is(value, JSON_OBJECT) ? height + 1 : 0;
}

/* --- events ---------------------------------------------------------------------------------------------------- */

static int check_text(struct builder *b, struct span text, size_t limit, const char *what, uint32_t line)
{
	if (text.length > limit)
		return error_set(b->err, ERROR_LIMIT, "TooLarge", "%s:%u: a %s of %zu bytes is over the limit of %zu", b->name,
				 line, what, text.length, limit);
	if (span_has_nul(text))
		return error_set(b->err, ERROR_INVALID, "YAMLError", "%s:%u: a %s with a NUL character", b->name, line, what);
	return 0;
}

static bool is_merge_key(const struct yaml_scalar *scalar)
{
	return span_is(scalar->text, "<<") && (scalar->plain || (scalar->tag && strcmp(scalar->tag, "tag:yaml.org,2002:merge") == 0));
}

static int set_key(struct builder *b, struct open_list *list, const struct yaml_scalar *scalar, const yaml_char_t *anchor_name,
		   uint32_t line)
{
	struct anchor *anchor;
	struct json *value;

	if (check_text(b, scalar->text, LIMIT_YAML_KEY_BYTES, "key", line))
		return -1;
	list->has_key = true;
	list->key_line = line;
	list->is_merge = is_merge_key(scalar);
	if (list->is_merge)
		return 0;
	if (yaml_resolve_key(scalar, b->arena, &list->key, b->err))
		return error_wrap(b->err, "%s:%u", b->name, line);
	if (!anchor_name)
		return 0;
	if (yaml_resolve(scalar, b->arena, &value, b->err))
		return error_wrap(b->err, "%s:%u", b->name, line);
	value->line = line;
	return add_anchor(b, anchor_name, value, &anchor, line);
}

static struct open_list *top(struct builder *b)
{
	return b->depth ? &b->stack[b->depth - 1] : NULL;
}

static bool wants_key(const struct open_list *list)
{
	return list && list->value->type == JSON_OBJECT && !list->has_key;
}

static int on_scalar(struct builder *b, const yaml_event_t *event)
{
	struct yaml_scalar scalar = {
		{ (const char *)event->data.scalar.value, event->data.scalar.length },
		(const char *)event->data.scalar.tag,
		event->data.scalar.plain_implicit,
	};
	struct open_list *list = top(b);
	uint32_t line = line_of(event);
	struct anchor *anchor;
	struct json *value;

	if (count_node(b, line))
		return -1;
	if (wants_key(list))
		return set_key(b, list, &scalar, event->data.scalar.anchor, line);
	if (check_text(b, scalar.text, LIMIT_YAML_SCALAR_BYTES, "scalar", line))
		return -1;
	if (yaml_resolve(&scalar, b->arena, &value, b->err))
		return error_wrap(b->err, "%s:%u", b->name, line);
	value->line = line;
	if (add_anchor(b, event->data.scalar.anchor, value, &anchor, line))
		return -1;
	return attach(b, list, value, false, line);
}

/* A key that is an alias: the text of the scalar it names. */
static int on_alias_key(struct builder *b, struct open_list *list, const struct json *value, uint32_t line)
{
	CLEANUP(str_release) struct str text = STR_INIT;

	if (value->type == JSON_ARRAY || value->type == JSON_OBJECT || value->type == JSON_NULL ||
	    value->type == JSON_NUMBER || value->type == JSON_UINT)
		return fail(b, ERROR_INVALID, "BadKey", line, "an alias as a key must name a string, an integer or a boolean");
	if (value->type == JSON_STRING)
		str_add(&text, value->as.text);
	else
		json_write(value, JSON_PLAIN, &text);
	if (check_text(b, str_span(&text), LIMIT_YAML_KEY_BYTES, "key", line))
		return -1;
	list->key = arena_span(b->arena, str_span(&text));
	list->key_line = line;
	list->has_key = true;
	list->is_merge = false;
	return 0;
}

static int on_alias(struct builder *b, const yaml_event_t *event)
{
	struct open_list *list = top(b);
	uint32_t line = line_of(event);
	struct anchor *anchor;
	struct json *value;

	if (count_node(b, line) || find_anchor(b, event, &anchor))
		return -1;
	if (wants_key(list))
		return on_alias_key(b, list, anchor->value, line);
	if (b->depth + height_of(anchor->value) > LIMIT_YAML_DEPTH)
		return error_set(b->err, ERROR_LIMIT, "TooDeep", "%s:%u: nested deeper than %d", b->name, line, LIMIT_YAML_DEPTH);
	value = copy_node(b, anchor->value, line);
	return value ? attach(b, list, value, true, line) : -1;
}

static int check_list_tag(struct builder *b, const yaml_char_t *tag, const char *wanted, uint32_t line)
{
	if (!tag || strcmp((const char *)tag, wanted) == 0)
		return 0;
	/* which is not told: it may be a password that somebody forgot to quote */
	return fail(b, ERROR_INVALID, "UnknownTag", line,
		    "a tag that is not the one of this collection; a text that begins with ! needs quotes");
}

static int on_list(struct builder *b, const yaml_event_t *event, bool mapping)
{
	const yaml_char_t *anchor_name = mapping ? event->data.mapping_start.anchor : event->data.sequence_start.anchor;
	const yaml_char_t *tag = mapping ? event->data.mapping_start.tag : event->data.sequence_start.tag;
	uint32_t line = line_of(event);
	struct open_list *list;

	if (count_node(b, line) || check_list_tag(b, tag, mapping ? YAML_MAP_TAG : YAML_SEQ_TAG, line))
		return -1;
	if (wants_key(top(b)))
		return fail(b, ERROR_INVALID, "BadKey", line, mapping ? "a mapping cannot be a key" : "a list cannot be a key");
	if (b->depth == LIMIT_YAML_DEPTH)
		return error_set(b->err, ERROR_LIMIT, "TooDeep", "%s:%u: nested deeper than %d", b->name, line, LIMIT_YAML_DEPTH);
	list = &b->stack[b->depth++];
	*list = (struct open_list){ .value = mapping ? json_object(b->arena) : json_array(b->arena) };
	list->value->line = line;
	if (add_anchor(b, anchor_name, list->value, &list->anchor, line))
		return -1;
	if (list->anchor)
		list->anchor->open = true;
	return 0;
}

static int on_end(struct builder *b)
{
	struct open_list done = *top(b);

	b->depth--;
	if (done.anchor)
		done.anchor->open = false;
	return attach(b, top(b), done.value, false, done.value->line);
}

static void start_document(struct builder *b)
{
	map_release(&b->anchors);
	b->nodes = b->copied = b->anchor_count = 0;
	b->depth = 0;
	b->root = NULL;
}

static int end_document(struct builder *b, const yaml_event_t *event, struct yaml_stream *out, size_t *capacity)
{
	struct yaml_document *document;

	if (out->count == LIMIT_YAML_DOCUMENTS)
		return error_set(b->err, ERROR_LIMIT, "TooLarge", "%s:%u: more than %u documents in one file", b->name,
				 line_of(event), LIMIT_YAML_DOCUMENTS);
	document = arena_push(b->arena, &out->documents, &out->count, capacity, sizeof(*document));
	document->value = json_is(b->root, JSON_NULL) ? NULL : b->root;
	document->line = b->root->line;
	return 0;
}

/* The parser's own complaint, with both places it knows. */
static int parser_error(struct builder *b)
{
	const yaml_parser_t *p = &b->parser;
	size_t line = (p->error == YAML_READER_ERROR ? p->mark.line : p->problem_mark.line) + 1;

	if (p->error == YAML_MEMORY_ERROR)
		base_panic(__FILE__, __LINE__, "out of memory");
	if (p->context && p->context_mark.line + 1 != line)
		return error_set(b->err, ERROR_INVALID, "YAMLError", "%s:%zu: %s (%s on line %zu)", b->name, line,
				 p->problem ? p->problem : "not well-formed", p->context, p->context_mark.line + 1);
	return error_set(b->err, ERROR_INVALID, "YAMLError", "%s:%zu: %s%s%s", b->name, line,
			 p->problem ? p->problem : "not well-formed", p->context ? ", " : "", p->context ? p->context : "");
}

static int on_event(struct builder *b, const yaml_event_t *event, struct yaml_stream *out, size_t *capacity)
{
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		start_document(b);
		return 0;
	case YAML_DOCUMENT_END_EVENT: return end_document(b, event, out, capacity);
	case YAML_SCALAR_EVENT: return on_scalar(b, event);
	case YAML_ALIAS_EVENT: return on_alias(b, event);
	case YAML_SEQUENCE_START_EVENT: return on_list(b, event, false);
	case YAML_MAPPING_START_EVENT: return on_list(b, event, true);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT: return on_end(b);
	default: return 0;
	}
}

static int read_stream(struct builder *b, struct yaml_stream *out)
{
	size_t capacity = 0;
	bool done = false;

	while (!done) {
		yaml_event_t event;
		int rc;

		if (!yaml_parser_parse(&b->parser, &event))
			return parser_error(b);
		done = event.type == YAML_STREAM_END_EVENT;
		rc = on_event(b, &event, out, &capacity);
		yaml_event_delete(&event);
		if (rc)
			return -1;
	}
	return 0;
}

struct span yaml_without_mark(struct span text)
{
	return span_from(text, span_starts(text, "\xef\xbb\xbf") ? 3 : 0);
}

int yaml_parse(struct span text, const char *name, size_t *budget, struct arena *arena, struct yaml_stream *out,
	       struct error *err)
{
	struct builder b = { .name = name, .arena = arena, .err = err, .anchors = MAP_INIT, .budget = budget };
	struct yaml_stream stream = { NULL, 0 };
	int rc;

	/* libyaml passes over it itself only where it finds out the encoding */
	text = yaml_without_mark(text);
	if (text.length > LIMIT_MANIFEST_BYTES)
		return error_set(err, ERROR_LIMIT, "TooLarge", "%s:1: %zu bytes are over the limit of %u", name, text.length,
				 LIMIT_MANIFEST_BYTES);
	if (!utf8_valid(text))
		return error_set(err, ERROR_INVALID, "YAMLError", "%s:1: not UTF-8", name);
	if (!yaml_parser_initialize(&b.parser))
		base_panic(__FILE__, __LINE__, "out of memory");
	yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&b.parser, (const unsigned char *)text.data, text.length);
	rc = read_stream(&b, &stream);
	yaml_parser_delete(&b.parser);
	map_release(&b.anchors);
	if (!rc)
		*out = stream;
	return rc;
}
