/*
 * Bytes: `struct span` looks at some, `struct str` owns some and grows.
 *
 * A span is borrowed: it is valid as long as what it points into. It is not
 * NUL-terminated unless its maker says so. A str always keeps a NUL after its
 * last byte, so str->data is a C string when the content has no NUL itself.
 * A str is given its largest size at creation; growing past it sets `overflow`
 * and drops the bytes, and the writer's last act is to look at that flag.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

struct span {
	const char *data;
	size_t length;
};

/* A span over a string literal; SPAN0 is empty. */
#define SPAN(literal) ((struct span){ (literal), sizeof(literal) - 1 })
#define SPAN0 ((struct span){ NULL, 0 })
/* For printf("%.*s", SPAN_ARG(span)); lengths past INT_MAX are cut. */
#define SPAN_ARG(s) ((int)((s).length > 0x7fffffff ? 0x7fffffff : (s).length)), ((s).data ? (s).data : "")

static inline struct span span_of(const char *string);   /* of a C string; NULL gives SPAN0 */
struct span span_make(const void *data, size_t length);
static inline bool span_equal(struct span a, struct span b);
static inline bool span_is(struct span a, const char *string);   /* equal to a C string */
int span_compare(struct span a, struct span b);      /* as memcmp, shorter first */
bool span_starts(struct span s, const char *prefix);
bool span_ends(struct span s, const char *suffix);
/* Cuts *rest at the first `separator`: the part before it is returned, *rest keeps what follows
 * (SPAN0 with data NULL when there was none). */
struct span span_cut(struct span *rest, char separator);
/* Index of the first or last byte `c`, or -1. */
ptrdiff_t span_index(struct span s, char c);
ptrdiff_t span_rindex(struct span s, char c);
struct span span_sub(struct span s, size_t from, size_t length); /* clamped to s */
struct span span_from(struct span s, size_t from);
struct span span_trim(struct span s);                /* without white space at both ends */
bool span_has_nul(struct span s);
/* Decimal without sign, no more than 18 digits; false otherwise. */
bool span_to_int64(struct span s, int64_t *out);

struct str {
	char *data;        /* NULL while empty; else NUL-terminated */
	size_t length;
	size_t capacity;
	size_t limit;      /* most bytes it may hold; 0: STR_LIMIT_DEFAULT */
	bool overflow;     /* something did not fit: the content is not to be used */
};

#define STR_LIMIT_DEFAULT ((size_t)64 << 20)
#define STR_INIT { NULL, 0, 0, 0, false }
#define STR_LIMIT(bytes) { NULL, 0, 0, (bytes), false }

void str_release(struct str *s);                     /* frees, leaves an empty one of the same limit */
void str_reset(struct str *s);                       /* length 0, keeps the memory */
void str_add(struct str *s, struct span bytes);
void str_adds(struct str *s, const char *string);
void str_addc(struct str *s, char c);
void str_addu(struct str *s, uint64_t number);       /* decimal */
void str_addf(struct str *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void str_vaddf(struct str *s, const char *format, va_list args);
/* What others wrote in lines, as one: "; " stands between them, or only a space where a line ends in a mark of its own; empty ones are left out. */
void str_add_one_line(struct str *s, struct span text);
/* Room for `extra` bytes more behind the content, or NULL past the limit; str_grew() then adds to the length. */
static inline char *str_reserve(struct str *s, size_t extra);
static inline void str_grew(struct str *s, size_t by);
struct span str_span(const struct str *s);           /* borrowed until the next change */
const char *str_c(const struct str *s);              /* "" while empty */
/* Gives the bytes away (free() them); NULL-terminated; s is empty afterwards. Never NULL. */
char *str_take(struct str *s);
/* Cuts the content to its first `length` bytes. */
void str_drop_to(struct str *s, size_t length);
/* Removes `count` bytes from the front. */
void str_drop(struct str *s, size_t count);

char *str_make_room_(struct str *s, size_t extra);

/* Inline: most compare a key with a literal, whose length is then known, and most differ in that. */
static inline struct span span_of(const char *string)
{
	return string ? (struct span){ string, strlen(string) } : SPAN0;
}

static inline bool span_equal(struct span a, struct span b)
{
	return a.length == b.length && (!a.length || memcmp(a.data, b.data, a.length) == 0);
}

static inline bool span_is(struct span a, const char *string)
{
	return span_equal(a, span_of(string));
}

static inline char *str_reserve(struct str *s, size_t extra)
{
	size_t limit = s->limit ? s->limit : STR_LIMIT_DEFAULT;

	/* a NUL fits behind it */
	if (extra < s->capacity - s->length && extra <= limit && s->length <= limit - extra)
		return s->data + s->length;
	return str_make_room_(s, extra);
}

static inline void str_grew(struct str *s, size_t by)
{
	ASSERT(by < s->capacity - s->length);
	s->length += by;
	s->data[s->length] = '\0';
}

#endif
