/*
 * Which bytes stand in a JSON string as they are; for those who write and who
 * check canonical JSON. Inline: it is called for each string of each record.
 */
#ifndef BASE_JSON_PLAIN_H
#define BASE_JSON_PLAIN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* ASCII, no control character, no quotation mark, no backslash. */
static inline bool json_is_plain(char c)
{
	return (uint8_t)c >= 0x20 && (uint8_t)c <= 0x7f && c != '"' && c != '\\';
}

/* Which of the 16 bytes are not plain, the first in the lowest bit. */
static inline uint64_t json_marks16_(const char *at)
{
#ifdef __SSE2__
	/* as signed bytes, those over 0x7f are below 0x20, too */
	__m128i block = _mm_loadu_si128((const __m128i *)(const void *)at);
	__m128i marks = _mm_or_si128(_mm_cmplt_epi8(block, _mm_set1_epi8(0x20)),
				     _mm_or_si128(_mm_cmpeq_epi8(block, _mm_set1_epi8('"')), _mm_cmpeq_epi8(block, _mm_set1_epi8('\\'))));

	return (unsigned)_mm_movemask_epi8(marks);
#else
	uint64_t marks = 0;

	for (unsigned i = 0; i < 16; i++)
		marks |= (uint64_t)!json_is_plain(at[i]) << i;
	return marks;
#endif
}

/* The same of 64 bytes. */
static inline uint64_t json_marks64(const char *at)
{
	return json_marks16_(at) | json_marks16_(at + 16) << 16 | json_marks16_(at + 32) << 32 | json_marks16_(at + 48) << 48;
}

/* Whether all are plain; for short texts, too, without a look at what is behind them: their two ends are put side by side. */
static inline bool json_all_plain(const char *at, size_t length)
{
	uint64_t marks = 0;
	char ends[16];

	if (length >= 16) {
		for (size_t i = 0; i + 16 <= length; i += 16)
			marks |= json_marks16_(at + i);
		return !(marks | json_marks16_(at + length - 16));
	}
	if (length >= 8) {
		memcpy(ends, at, 8);
		memcpy(ends + 8, at + length - 8, 8);
		return !json_marks16_(ends);
	}
	if (length >= 4) {
		memcpy(ends, at, 4);
		memcpy(ends + 4, at + length - 4, 4);
		memcpy(ends + 8, ends, 8);
		return !json_marks16_(ends);
	}
	for (size_t i = 0; i < length; i++)
		if (!json_is_plain(at[i]))
			return false;
	return true;
}

#endif
