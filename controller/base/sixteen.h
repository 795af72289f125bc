/*
 * Sixteen bytes looked at together, for what stands in each record of a log.
 * Inline, and with SSE2 where there is; the loops say what it does.
 */
#ifndef BASE_SIXTEEN_H
#define BASE_SIXTEEN_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __SSE2__
#include <emmintrin.h>

static inline __m128i sixteen_load_(const void *at)
{
	return _mm_loadu_si128((const __m128i *)at);
}

/* Which bytes are no more than `most`, unsigned. */
static inline __m128i sixteen_at_most_(__m128i bytes, __m128i most)
{
	return _mm_cmpeq_epi8(_mm_min_epu8(bytes, most), bytes);
}
#endif

/* Whether each byte is one of the `more[i]` that follow `low[i]`, or that itself. */
static inline bool sixteen_within(const char *at, const char low[16], const char more[16])
{
#ifdef __SSE2__
	__m128i above = _mm_sub_epi8(sixteen_load_(at), sixteen_load_(low));

	return _mm_movemask_epi8(sixteen_at_most_(above, sixteen_load_(more))) == 0xffff;
#else
	bool within = true;

	for (unsigned i = 0; i < 16; i++)
		within &= (uint8_t)(at[i] - low[i]) <= (uint8_t)more[i];
	return within;
#endif
}

/* Reads sixteen hexadecimal digits in lower case; false when one is none, `out` then has no meaning. */
static inline bool sixteen_hex(const char *at, uint8_t out[8])
{
#ifdef __SSE2__
	__m128i text = sixteen_load_(at), digit = _mm_sub_epi8(text, _mm_set1_epi8('0')), letter = _mm_sub_epi8(text, _mm_set1_epi8('a'));
	__m128i is_digit = sixteen_at_most_(digit, _mm_set1_epi8(9)), is_letter = sixteen_at_most_(letter, _mm_set1_epi8(5));
	__m128i value = _mm_or_si128(_mm_and_si128(is_digit, digit), _mm_and_si128(is_letter, _mm_add_epi8(letter, _mm_set1_epi8(10))));

	/* two digits stand in sixteen bits, the higher one first */
	value = _mm_and_si128(_mm_or_si128(_mm_slli_epi16(value, 4), _mm_srli_epi16(value, 8)), _mm_set1_epi16(0xff));
	_mm_storel_epi64((__m128i *)(void *)out, _mm_packus_epi16(value, value));
	return _mm_movemask_epi8(_mm_or_si128(is_digit, is_letter)) == 0xffff;
#else
	bool good = true;

	for (unsigned i = 0; i < 16; i++) {
		unsigned digit = (unsigned)(uint8_t)at[i] - '0', letter = (unsigned)(uint8_t)at[i] - 'a';
		unsigned value = digit < 10 ? digit : letter + 10;

		good &= digit < 10 || letter < 6;
		out[i / 2] = (uint8_t)(out[i / 2] << 4 | (value & 15));
	}
	return good;
#endif
}

#endif
