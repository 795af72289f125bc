/*
 * Many short messages hashed at once; see digest.h. SHA-256's rounds wait for each other, so that one message leaves the
 * processor's SHA unit idle for a third of the time: two in step take not half as long again as one. OpenSSL has no such interface;
 * where the processor has no SHA instructions, its functions hash one message after the other.
 */
#define OPENSSL_SUPPRESS_DEPRECATED /* SHA256_*: the EVP way costs as much again for inputs as short as two hashes */
#include "base/digest.h"

#include <openssl/sha.h>

#ifdef __x86_64__
#include <cpuid.h>
#include <immintrin.h>
#include <stdatomic.h>
#endif

static void one_by_one(uint8_t prefix, const struct span *messages, size_t count, struct digest *out)
{
	SHA256_CTX hash;

	for (size_t i = 0; i < count; i++) {
		SHA256_Init(&hash);
		SHA256_Update(&hash, &prefix, 1);
		SHA256_Update(&hash, messages[i].data, messages[i].length);
		SHA256_Final(out[i].bytes, &hash);
	}
}

#ifdef __x86_64__

#define BLOCK ((size_t)SHA256_CBLOCK)
#define WITH_SHA __attribute__((target("sha,sse4.1")))

/* FIPS 180-4's a to h, as sha256rnds2 takes them. */
struct state {
	__m128i abef, cdgh;
};

/*
 * One message on its way, in three pieces: its first block with the prefix (which moves all by a byte), its other whole blocks where
 * they lie, and what is padded.
 */
struct lane {
	struct state state;
	struct digest *out;             /* NULL: idle, what it hashes is for nothing */
	const uint8_t *data;            /* the piece that it is at: the next block, and how many */
	size_t blocks;
	const uint8_t *middle;
	size_t middle_blocks, tail_blocks;      /* of the pieces to come */
	uint8_t head[BLOCK], room_and_tail[3 * BLOCK];
};

/* FIPS 180-4, 5.1.1: a one bit, zeroes, the length in bits. */
static void lane_pad(struct lane *lane, uint64_t length)
{
	size_t rest = length % BLOCK, end = rest + 1 + 8 <= BLOCK ? BLOCK : 2 * BLOCK;
	uint64_t bits = __builtin_bswap64(8 * length);
	uint8_t *tail = lane->room_and_tail + BLOCK;

	tail[rest] = 0x80;
	memset(tail + rest + 1, 0, BLOCK);
	memcpy(tail + end - 8, &bits, 8);
	lane->tail_blocks = end / BLOCK;
}

/* The next piece; false when that was the last. */
static bool lane_next(struct lane *lane)
{
	lane->data = lane->middle_blocks ? lane->middle : lane->room_and_tail + BLOCK;
	lane->blocks = lane->middle_blocks ? lane->middle_blocks : lane->tail_blocks;
	if (lane->middle_blocks)
		lane->middle_blocks = 0;
	else
		lane->tail_blocks = 0;
	return lane->blocks;
}

static WITH_SHA void lane_begin(struct lane *lane, uint8_t prefix, struct span message, struct digest *out)
{
	uint64_t length = 1 + (uint64_t)message.length;
	size_t whole = length / BLOCK, rest = length % BLOCK;
	uint8_t *tail = lane->room_and_tail + BLOCK;

	/* FIPS 180-4, 5.3.3 */
	lane->state.abef = _mm_set_epi32(0x6a09e667, (int)0xbb67ae85, 0x510e527f, (int)0x9b05688c);
	lane->state.cdgh = _mm_set_epi32(0x3c6ef372, (int)0xa54ff53a, 0x1f83d9ab, 0x5be0cd19);
	lane->out = out;
	lane->middle_blocks = whole ? whole - 1 : 0;
	if (!whole) {
		tail[0] = prefix;
		if (message.length)
			memcpy(tail + 1, message.data, message.length);
		lane_pad(lane, length);
		lane_next(lane);
		return;
	}
	lane->head[0] = prefix;
	memcpy(lane->head + 1, message.data, BLOCK - 1);
	/* a number that is known costs no call: the bytes before the rest go into the room before the tail */
	memcpy(tail + rest - (BLOCK - 1), message.data + message.length - (BLOCK - 1), BLOCK - 1);
	lane_pad(lane, length);
	lane->middle = (const uint8_t *)message.data + BLOCK - 1;
	lane->data = lane->head;
	lane->blocks = 1;
}

static WITH_SHA void lane_end(const struct lane *lane)
{
	/* bytes in reverse: of a word for its big end, of all since `a` is the highest */
	const __m128i reverse = _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
	__m128i abef = lane->state.abef, cdgh = lane->state.cdgh;
	__m128i abcd = _mm_unpackhi_epi64(cdgh, abef), efgh = _mm_unpacklo_epi64(cdgh, abef);

	_mm_storeu_si128((__m128i *)(void *)lane->out->bytes, _mm_shuffle_epi8(abcd, reverse));
	_mm_storeu_si128((__m128i *)(void *)(lane->out->bytes + 16), _mm_shuffle_epi8(efgh, reverse));
}

/* FIPS 180-4, 4.2.2 */
static const uint32_t constants[64] __attribute__((aligned(16))) = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
	0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
	0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
	0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
	0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
	0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static inline WITH_SHA __m128i four_words(const uint8_t *at)
{
	const __m128i big_end = _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3);

	return _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(const void *)at), big_end);
}

/* Four rounds. words[0] to words[3] are the last 16 words of the schedule; the four it no longer needs become the next. */
static inline WITH_SHA void four_rounds(struct state *state, __m128i words[4], unsigned i)
{
	__m128i *oldest = &words[i % 4], newest = words[(i + 3) % 4], sum, next;

	sum = _mm_add_epi32(*oldest, _mm_load_si128((const __m128i *)(const void *)(constants + 4 * (size_t)i)));
	state->cdgh = _mm_sha256rnds2_epu32(state->cdgh, state->abef, sum);
	state->abef = _mm_sha256rnds2_epu32(state->abef, state->cdgh, _mm_shuffle_epi32(sum, 0x0e));
	next = _mm_sha256msg1_epu32(*oldest, words[(i + 1) % 4]);
	next = _mm_add_epi32(next, _mm_alignr_epi8(newest, words[(i + 2) % 4], 4));
	*oldest = _mm_sha256msg2_epu32(next, newest);
}

static inline WITH_SHA void add_state(struct state *to, const struct state *from)
{
	to->abef = _mm_add_epi32(to->abef, from->abef);
	to->cdgh = _mm_add_epi32(to->cdgh, from->cdgh);
}

/* FIPS 180-4, 6.2.2, of that many blocks of both. */
static WITH_SHA void compress_two(struct lane *one, struct lane *two, size_t blocks)
{
	struct state a = one->state, b = two->state;

	one->blocks -= blocks;
	two->blocks -= blocks;
	for (; blocks; blocks--, one->data += BLOCK, two->data += BLOCK) {
		struct state a_before = a, b_before = b;
		__m128i words_a[4], words_b[4];

#pragma GCC unroll 4
		for (size_t i = 0; i < 4; i++) {
			words_a[i] = four_words(one->data + 16 * i);
			words_b[i] = four_words(two->data + 16 * i);
		}
#pragma GCC unroll 16
		for (unsigned i = 0; i < 16; i++) {
			four_rounds(&a, words_a, i);
			four_rounds(&b, words_b, i);
		}
		add_state(&a, &a_before);
		add_state(&b, &b_before);
	}
	one->state = a;
	two->state = b;
}

struct queue {
	const struct span *messages;
	struct digest *out;
	size_t next, count;
	uint8_t prefix;
};

/* The next message, or, when there are none, an empty one for nobody. */
static WITH_SHA void lane_fill(struct lane *lane, struct queue *queue)
{
	bool any = queue->next < queue->count;

	lane_begin(lane, queue->prefix, any ? queue->messages[queue->next] : SPAN0, any ? &queue->out[queue->next] : NULL);
	queue->next += any;
}

static WITH_SHA void two_in_step(uint8_t prefix, const struct span *messages, size_t count, struct digest *out)
{
	struct queue queue = { messages, out, 0, count, prefix };
	struct lane lanes[2];

	lane_fill(&lanes[0], &queue);
	lane_fill(&lanes[1], &queue);
	while (count) {
		compress_two(&lanes[0], &lanes[1], lanes[0].blocks < lanes[1].blocks ? lanes[0].blocks : lanes[1].blocks);
		for (size_t i = 0; i < 2; i++) {
			if (lanes[i].blocks || lane_next(&lanes[i]))
				continue;
			if (lanes[i].out) {
				lane_end(&lanes[i]);
				count--;
			}
			lane_fill(&lanes[i], &queue);
		}
	}
}

static bool has_sha(void)
{
	unsigned a, b, c, d;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_SSE4_1))
		return false;
	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_SHA);
}

void digest_each(uint8_t prefix, const struct span *messages, size_t count, struct digest *out)
{
	static atomic_int known;        /* 0: not yet looked; any thread finds the same */

	if (!atomic_load_explicit(&known, memory_order_relaxed))
		atomic_store_explicit(&known, has_sha() ? 1 : -1, memory_order_relaxed);
	/* one alone has nothing to be in step with */
	if (count > 1 && atomic_load_explicit(&known, memory_order_relaxed) > 0)
		two_in_step(prefix, messages, count, out);
	else
		one_by_one(prefix, messages, count, out);
}

#else

void digest_each(uint8_t prefix, const struct span *messages, size_t count, struct digest *out)
{
	one_by_one(prefix, messages, count, out);
}

#endif
