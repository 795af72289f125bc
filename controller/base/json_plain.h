/*
 * Which bytes stand in a JSON string as they are; for those who write and who
 * check canonical JSON. Inline: it is called for each string of each record.
 */
#ifndef BASE_JSON_PLAIN_H
#define BASE_JSON_PLAIN_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* ASCII, no control character, no quotation mark, no backslash. */
static inline bool json_is_plain(char c)
{
	return (uint8_t)c >= 0x20 && (uint8_t)c <= 0x7f && c != '"' && c != '\\';
}

/* The first byte from `at` on that is not plain; `end` when there is none. */
static inline const char *json_plain(const char *at, const char *end)
{
#ifdef __SSE2__
	/* sixteen at a time; as signed bytes, those over 0x7f are below 0x20, too */
	for (; end - at >= 16; at += 16) {
		__m128i block = _mm_loadu_si128((const __m128i *)(const void *)at);
		__m128i marks = _mm_or_si128(_mm_cmplt_epi8(block, _mm_set1_epi8(0x20)),
					     _mm_or_si128(_mm_cmpeq_epi8(block, _mm_set1_epi8('"')), _mm_cmpeq_epi8(block, _mm_set1_epi8('\\'))));
		unsigned found = (unsigned)_mm_movemask_epi8(marks);

		if (found)
			return at + __builtin_ctz(found);
	}
#endif
	while (at < end && json_is_plain(*at))
		at++;
	return at;
}

#endif
