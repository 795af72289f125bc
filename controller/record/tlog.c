/* Merkle tree hashing, tile paths and proofs; see tlog.h. */
#define OPENSSL_SUPPRESS_DEPRECATED /* SHA256_*: the EVP way costs as much again for inputs as short as two hashes */
#include "record/tlog.h"

#include <endian.h>
#include <string.h>

#include <openssl/sha.h>

struct digest tlog_leaf(struct span record)
{
	struct digest out;
	SHA256_CTX hash;

	SHA256_Init(&hash);
	SHA256_Update(&hash, "\x00", 1);
	SHA256_Update(&hash, record.data, record.length);
	SHA256_Final(out.bytes, &hash);
	return out;
}

/*
 * 0x01 and two hashes are two blocks of SHA-256, padding included (FIPS 180-4, 5.1.1): put together here, since the buffering of
 * SHA256_Update costs more than the two compressions.
 */
struct digest tlog_node(const struct digest *left, const struct digest *right)
{
	uint8_t blocks[2 * SHA256_CBLOCK] = { 0x01 };
	const unsigned bits = 8 * (1 + 2 * DIGEST_SIZE);
	struct digest out;
	SHA256_CTX hash;

	memcpy(blocks + 1, left->bytes, DIGEST_SIZE);
	memcpy(blocks + 1 + DIGEST_SIZE, right->bytes, DIGEST_SIZE);
	blocks[1 + 2 * DIGEST_SIZE] = 0x80;
	blocks[sizeof(blocks) - 2] = (uint8_t)(bits >> 8);
	blocks[sizeof(blocks) - 1] = (uint8_t)bits;
	SHA256_Init(&hash);
	SHA256_Transform(&hash, blocks);
	SHA256_Transform(&hash, blocks + SHA256_CBLOCK);
	for (unsigned i = 0; i < DIGEST_SIZE / 4; i++) {
		uint32_t word = htobe32(hash.h[i]);

		memcpy(out.bytes + 4 * i, &word, 4);
	}
	return out;
}

void tlog_add(struct tlog_tree *tree, unsigned height, const struct digest *hash, tlog_on_hash *on_hash, void *data)
{
	struct digest node = *hash;
	uint64_t index = tree->size >> height;

	ASSERT(height < 64 && index << height == tree->size);
	for (;; height++, index >>= 1) {
		if (on_hash && height % TLOG_HEIGHT == 0)
			on_hash(data, height / TLOG_HEIGHT, index, &node);
		if (!(index & 1))
			break;
		node = tlog_node(&tree->edge[height], &node);
	}
	tree->edge[height] = node;
	/* what was one subtree of 2^height, and all the smaller ones below it, are now this one */
	tree->size = (index + 1) << height;
}

struct digest tlog_root(const struct tlog_tree *tree)
{
	struct digest root;
	bool any = false;

	for (unsigned height = 0; height < 64; height++) {
		if (!(tree->size >> height & 1))
			continue;
		root = any ? tlog_node(&tree->edge[height], &root) : tree->edge[height];
		any = true;
	}
	return any ? root : digest_of(SPAN0);
}

struct edge_add {
	struct tlog_edge *edge;
	tlog_on_tile *on_tile;
	void *data;
};

static void place_hash(void *data, unsigned level, uint64_t index, const struct digest *hash)
{
	struct edge_add *add = data;
	struct digest *tile = add->edge->tile[level];

	tile[index % TLOG_WIDTH] = *hash;
	if (index % TLOG_WIDTH == TLOG_WIDTH - 1 && add->on_tile)
		add->on_tile(add->data, level, index / TLOG_WIDTH, tile);
}

void tlog_edge_add(struct tlog_edge *edge, unsigned height, const struct digest *hash, tlog_on_tile *on_tile, void *data)
{
	struct edge_add add = { edge, on_tile, data };

	tlog_add(&edge->tree, height, hash, place_hash, &add);
}

/* Hashes that tiles of this level hold altogether. */
static uint64_t level_count(int level, uint64_t size)
{
	return level == TLOG_ENTRIES ? size : size >> (TLOG_HEIGHT * (unsigned)level);
}

uint64_t tlog_tiles(int level, uint64_t size, unsigned *last_width)
{
	uint64_t count = level_count(level, size), tiles = count / TLOG_WIDTH + (count % TLOG_WIDTH != 0);

	if (last_width)
		*last_width = tiles ? (unsigned)((count - 1) % TLOG_WIDTH) + 1 : 0;
	return tiles;
}

unsigned tlog_tile_width(int level, uint64_t index, uint64_t size)
{
	uint64_t count = level_count(level, size);

	if (index >= count / TLOG_WIDTH)
		return index == count / TLOG_WIDTH ? (unsigned)(count % TLOG_WIDTH) : 0;
	return TLOG_WIDTH;
}

void tlog_path(int level, uint64_t index, unsigned width, struct str *out)
{
	uint64_t unit = 1;

	/* tlog-tiles: three digits a path element, all but the last with x before them */
	while (index / unit >= 1000)
		unit *= 1000;
	if (level == TLOG_ENTRIES)
		str_adds(out, "tile/entries/");
	else
		str_addf(out, "tile/%d/", level);
	for (; unit > 1; unit /= 1000)
		str_addf(out, "x%03u/", (unsigned)(index / unit % 1000));
	str_addf(out, "%03u", (unsigned)(index % 1000));
	if (width < TLOG_WIDTH)
		str_addf(out, ".p/%u", width);
}

static bool parse_level(struct span text, int *level)
{
	int64_t value;

	*level = TLOG_ENTRIES;
	if (span_is(text, "entries"))
		return true;
	if (!span_to_int64(text, &value) || value >= TLOG_LEVELS)
		return false;
	*level = (int)value;
	return true;
}

static bool parse_index(struct span text, uint64_t *index)
{
	int64_t digits;

	for (*index = 0; text.data;) {
		struct span element = span_cut(&text, '/');

		if (span_starts(element, "x"))
			element = span_from(element, 1);
		if (element.length != 3 || !span_to_int64(element, &digits))
			return false;
		if (__builtin_mul_overflow(*index, 1000, index) || __builtin_add_overflow(*index, (uint64_t)digits, index))
			return false;
	}
	return true;
}

bool tlog_path_parse(struct span path, int *level, uint64_t *index, unsigned *width)
{
	CLEANUP(str_release) struct str again = STR_INIT;
	struct span rest = path, number;
	int64_t partial = TLOG_WIDTH;
	ptrdiff_t dot;

	if (path.length > 80 || !span_is(span_cut(&rest, '/'), "tile") || !parse_level(span_cut(&rest, '/'), level))
		return false;
	number = rest;
	dot = span_index(rest, '.');
	if (dot >= 0) {
		number = span_sub(rest, 0, (size_t)dot);
		rest = span_from(rest, (size_t)dot);
		if (!span_starts(rest, ".p/") || !span_to_int64(span_from(rest, 3), &partial) || partial < 1 ||
		    partial >= (int64_t)TLOG_WIDTH)
			return false;
	}
	if (!number.length || !parse_index(number, index))
		return false;
	*width = (unsigned)partial;
	/* one way to write each path: what is lenient above is caught here */
	tlog_path(*level, *index, *width, &again);
	return span_equal(str_span(&again), path);
}

struct prover {
	const struct tlog_reader *reader;
	struct digest *proof;
	size_t count;
	struct error *err;
};

/* The hash of 2^height records, the `index`-th such group, from the tile level at or below that height. */
static int perfect(const struct prover *prover, unsigned height, uint64_t index, struct digest *out)
{
	struct digest left, right;

	if (height % TLOG_HEIGHT == 0)
		return prover->reader->hash(prover->reader->data, height / TLOG_HEIGHT, index, out, prover->err);
	if (perfect(prover, height - 1, 2 * index, &left) || perfect(prover, height - 1, 2 * index + 1, &right))
		return -1;
	*out = tlog_node(&left, &right);
	return 0;
}

/* The largest power of two below n, as a height; n > 1. */
static unsigned split_height(uint64_t n)
{
	return 63u - (unsigned)__builtin_clzll(n - 1);
}

/* RFC 6962 section 2.1: MTH of the records from `low` up to, without, `high`. */
static int range_hash(const struct prover *prover, uint64_t low, uint64_t high, struct digest *out)
{
	struct digest left, right;
	uint64_t n = high - low;
	unsigned height;

	if ((n & (n - 1)) == 0)
		return perfect(prover, (unsigned)__builtin_ctzll(n), low / n, out);
	height = split_height(n);
	if (perfect(prover, height, low >> height, &left) || range_hash(prover, low + (1ull << height), high, &right))
		return -1;
	*out = tlog_node(&left, &right);
	return 0;
}

/* RFC 6962 section 2.1.1: PATH(index, records low..high), the deepest hash first. */
static int path_of(struct prover *prover, uint64_t index, uint64_t low, uint64_t high)
{
	uint64_t middle;
	bool left;

	if (high - low == 1)
		return 0;
	middle = low + (1ull << split_height(high - low));
	left = index < middle;
	if (path_of(prover, index, left ? low : middle, left ? middle : high))
		return -1;
	return range_hash(prover, left ? middle : low, left ? high : middle, &prover->proof[prover->count++]);
}

int tlog_prove(uint64_t index, uint64_t size, const struct tlog_reader *reader, struct digest *proof, size_t *count,
	       struct error *err)
{
	struct prover prover = { reader, proof, 0, err };

	if (index >= size)
		return error_set(err, ERROR_NOT_FOUND, "NoSuchRecord", "the log has %llu records, from 0; there is no record %llu",
				 (unsigned long long)size, (unsigned long long)index);
	if (path_of(&prover, index, 0, size))
		return -1;
	*count = prover.count;
	return 0;
}

bool tlog_proves(uint64_t index, uint64_t size, const struct digest *leaf, const struct digest *proof, size_t count,
		 const struct digest *root)
{
	uint64_t fn = index, sn = size - 1;
	struct digest r = *leaf;

	/* RFC 9162 section 2.1.3.2, step 1 */
	if (index >= size)
		return false;
	for (size_t i = 0; i < count; i++) {
		/* step 4: "If sn is 0, then stop the iteration and fail the proof verification." */
		if (sn == 0)
			return false;
		if ((fn & 1) || fn == sn) {
			r = tlog_node(&proof[i], &r);
			for (; !(fn & 1) && fn; fn >>= 1)
				sn >>= 1;
		} else {
			r = tlog_node(&r, &proof[i]);
		}
		fn >>= 1;
		sn >>= 1;
	}
	/* step 5 */
	return sn == 0 && digest_equal(&r, root);
}
