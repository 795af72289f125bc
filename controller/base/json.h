/*
 * JSON as a tree in an arena: the object model of the whole program.
 *
 * Reading is RFC 8259 with nothing relaxed: one value and white space, UTF-8,
 * no duplicate keys, a depth limit. Integers are exact in the 64-bit range;
 * any other number keeps its own text (API objects must leave as they came).
 * Writing is UTF-8 with only the escapes that RFC 8259 demands: kube-apiserver
 * refuses surrogate escapes in an apply. JSON_SORTED writes the canonical form
 * that is hashed: keys in byte order, no white space.
 *
 * All pointers and spans belong to the arena that was given; strings in the
 * tree are NUL-terminated there. A NULL `const struct json *` is "absent" and
 * every reading function takes it.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

enum json_type { JSON_NULL = 1, JSON_BOOL, JSON_INT, JSON_UINT, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

/* Up to so many keys are found fastest by looking at each. */
#define JSON_LINEAR_KEYS 16u

struct json {
	enum json_type type : 8;
	bool sorted : 1;        /* JSON_OBJECT: its keys stand in byte order, so that a large one is searched by halves */
	uint32_t line;          /* where it began in its source file, from 1; 0: unknown */
	union {
		bool boolean;
		int64_t i;          /* JSON_INT */
		uint64_t u;         /* JSON_UINT: only for values above INT64_MAX */
		struct span text;   /* JSON_STRING: the bytes; JSON_NUMBER: its own text */
		struct {            /* JSON_ARRAY, JSON_OBJECT */
			struct json_member *members; /* an array's keys are SPAN0 */
			uint32_t count, capacity;
		} list;
	} as;
};

struct json_member {
	struct span key;
	struct json *value;     /* never NULL */
};

/* Depth `depth_max` (0: LIMIT_JSON_DEPTH) and size are bounded. ERROR_INVALID "BadJSON" names the byte offset. */
int json_parse(struct span text, struct arena *arena, unsigned depth_max, struct json **out, struct error *err);

enum json_write_flags { JSON_PLAIN = 0, JSON_SORTED = 1, JSON_PRETTY = 2 };
void json_write(const struct json *value, unsigned flags, struct str *out);

/* Making. Keys and texts are copied into the arena by the functions that take spans or C strings. */
struct json *json_null(struct arena *arena);
struct json *json_bool(struct arena *arena, bool value);
struct json *json_int(struct arena *arena, int64_t value);
struct json *json_string(struct arena *arena, const char *value);
struct json *json_span(struct arena *arena, struct span value);
struct json *json_stringf(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
struct json *json_array(struct arena *arena);
struct json *json_object(struct arena *arena);
struct json *json_copy(struct arena *arena, const struct json *value); /* deep */

/* Adds or replaces; the value must be in the same arena or one that lives longer. Returns value. */
struct json *json_set(struct arena *arena, struct json *object, const char *key, struct json *value);
struct json *json_set_span(struct arena *arena, struct json *object, struct span key, struct json *value);
/* As json_set_span where the key is known not to be there: 10^5 of them must not cost 10^10 comparisons. */
void json_add_span(struct arena *arena, struct json *object, struct span key, struct json *value);
void json_set_string(struct arena *arena, struct json *object, const char *key, const char *value);
void json_set_int(struct arena *arena, struct json *object, const char *key, int64_t value);
void json_set_bool(struct arena *arena, struct json *object, const char *key, bool value);
struct json *json_append(struct arena *arena, struct json *array, struct json *value);
void json_append_string(struct arena *arena, struct json *array, const char *value);
/* Puts the keys of it, and of all below, into byte order. */
void json_sort(struct json *value);
/* Removes a key if it is there; keeps the order of the others. */
void json_remove(struct json *object, const char *key);
void json_remove_at(struct json *list, size_t index);
/* The object at key, made if absent or null; NULL if something else stands there. */
struct json *json_ensure_object(struct arena *arena, struct json *object, const char *key);

/* Reading; all take NULL and the wrong type. */
struct json *json_get_span(const struct json *object, struct span key);
static inline struct json *json_get(const struct json *object, const char *key);
/* Several keys deep: json_path(o, "metadata", "labels", NULL). */
struct json *json_path(const struct json *object, ...) __attribute__((sentinel));
struct json *json_at(const struct json *array, size_t index);
size_t json_count(const struct json *list);                     /* 0 unless array or object */
bool json_is(const struct json *value, enum json_type type);
const char *json_text(const struct json *value);                /* of a string, else NULL */
struct span json_text_span(const struct json *value);           /* of a string, else SPAN0 */
const char *json_get_text(const struct json *object, const char *key);  /* NULL unless a string */
bool json_get_bool(const struct json *object, const char *key, bool otherwise);
int64_t json_get_int(const struct json *object, const char *key, int64_t otherwise);
/* Same value: numbers by value, objects whatever their order. */
bool json_equal(const struct json *a, const struct json *b);
const char *json_type_name(const struct json *value);           /* "string", "absent", ... */

/* Inline: keys are mostly literals, whose length is then known. */
static inline struct json *json_get(const struct json *object, const char *key)
{
	return json_get_span(object, span_of(key));
}

/* RFC 6901. Finds, or NULL. */
struct json *json_pointer(const struct json *root, struct span pointer);
/* Adds one reference token, escaped, behind a '/'. */
void json_pointer_add(struct str *pointer, struct span token);
/* The place in an array. */
void json_pointer_add_index(struct str *pointer, size_t index);

/* for (size_t i = 0; i < json_count(v); i++) — members of a list in their order. */
#define JSON_EACH(member, list) \
	for (struct json_member *member = json_first_(list), *end_##member = member + json_count(list); \
	     member < end_##member; member++)
struct json_member *json_first_(const struct json *list);

#endif
