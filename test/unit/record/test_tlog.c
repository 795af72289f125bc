/* record/tlog: the Merkle tree against the definition in RFC 6962, for every size to 300, and tile paths. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "record/tlog.h"

#define MOST 300

static struct digest leaves[70000];

static struct digest leaf_number(unsigned i)
{
	char record[16];

	snprintf(record, sizeof(record), "%u", i);
	return tlog_leaf(span_of(record));
}

static int make_leaves(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT_OF(leaves); i++)
		leaves[i] = leaf_number(i);
	return 0;
}

/* RFC 6962 section 2.1, word for word and slow: the oracle. */
static struct digest mth(unsigned low, unsigned high)
{
	struct digest left, right;
	unsigned k = 1;

	if (high == low)
		return digest_of(SPAN0);
	if (high - low == 1)
		return leaves[low];
	while (k * 2 < high - low)
		k *= 2;
	left = mth(low, low + k);
	right = mth(low + k, high);
	return tlog_node(&left, &right);
}

static void assert_digest(const struct digest *got, const struct digest *want, unsigned size)
{
	if (!digest_equal(got, want))
		fail_msg("size %u: another hash than the definition gives", size);
}

static void leaf_and_node_hashes_are_those_of_rfc_6962(void **state)
{
	/* RFC 6962's own reference tree: leaf hash of "" and the root of {"", 0x00} */
	struct digest empty = tlog_leaf(SPAN0), zero = tlog_leaf(SPAN("\x00")), both = tlog_node(&empty, &zero);
	char hex[DIGEST_HEX];

	(void)state;
	digest_hex(&empty, hex);
	assert_string_equal(hex, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
	digest_hex(&both, hex);
	assert_string_equal(hex, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125");
}

static void root_at_every_size_is_the_definitions(void **state)
{
	struct tlog_tree tree = { 0 };

	(void)state;
	for (unsigned size = 0; size <= MOST; size++) {
		struct digest got = tlog_root(&tree), want = mth(0, size);

		assert_int_equal(tree.size, size);
		assert_digest(&got, &want, size);
		tlog_add(&tree, 0, &leaves[size], NULL, NULL);
	}
}

static void subtrees_may_be_added_whole(void **state)
{
	struct tlog_tree tree = { 0 };
	struct digest want = mth(0, 515), got;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct digest tile = mth(i * 256, i * 256 + 256);

		tlog_add(&tree, 8, &tile, NULL, NULL);
	}
	for (unsigned i = 512; i < 515; i++)
		tlog_add(&tree, 0, &leaves[i], NULL, NULL);
	got = tlog_root(&tree);
	assert_digest(&got, &want, 515);
}

struct seen {
	unsigned count[3];
};

static void count_hash(void *data, unsigned level, uint64_t index, const struct digest *hash)
{
	struct seen *seen = data;
	unsigned width = 1u << (8 * level), low = (unsigned)index * width;
	struct digest want;

	assert_int_equal(index, seen->count[level]);
	seen->count[level]++;
	if (level == 2 || index % 61)
		return;
	want = mth(low, low + width);
	assert_digest(hash, &want, low + width);
}

static void hashes_of_every_level_are_handed_out_in_order(void **state)
{
	struct tlog_tree tree = { 0 };
	struct seen seen = { 0 };

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(leaves); i++)
		tlog_add(&tree, 0, &leaves[i], count_hash, &seen);
	assert_int_equal(seen.count[0], 70000);
	assert_int_equal(seen.count[1], 273);
	assert_int_equal(seen.count[2], 1);
}

static int read_hash(void *data, unsigned level, uint64_t index, struct digest *out, struct error *err)
{
	(void)data;
	(void)err;
	*out = level == 0 ? leaves[index] : mth((unsigned)index << 8, ((unsigned)index + 1) << 8);
	return 0;
}

static const struct tlog_reader reader = { read_hash, NULL };

static void every_record_of_every_size_is_proved(void **state)
{
	struct digest proof[TLOG_PROOF_MAX];

	(void)state;
	for (unsigned size = 1; size <= MOST; size++) {
		struct digest root = mth(0, size);

		for (unsigned i = 0; i < size; i++) {
			size_t count;

			assert_int_equal(tlog_prove(i, size, &reader, proof, &count, NULL), 0);
			if (!tlog_proves(i, size, &leaves[i], proof, count, &root))
				fail_msg("record %u of %u: its proof does not prove it", i, size);
			/* the same proof says nothing of a neighbour, of another place or of another size */
			if (size > 1 && tlog_proves(i, size, &leaves[(i + 1) % size], proof, count, &root))
				fail_msg("record %u of %u: its proof proves another record", i, size);
			if (tlog_proves(i + 1, size, &leaves[i], proof, count, &root))
				fail_msg("record %u of %u: its proof proves another place", i, size);
			if (count && tlog_proves(i, size, &leaves[i], proof, count - 1, &root))
				fail_msg("record %u of %u: a shorter proof proves it", i, size);
		}
	}
}

static void no_changed_proof_proves(void **state)
{
	struct digest proof[TLOG_PROOF_MAX], root = mth(0, 299);
	size_t count;

	(void)state;
	for (unsigned i = 0; i < 299; i += 13) {
		assert_int_equal(tlog_prove(i, 299, &reader, proof, &count, NULL), 0);
		for (size_t j = 0; j < count; j++) {
			proof[j].bytes[j % DIGEST_SIZE] ^= 1;
			assert_false(tlog_proves(i, 299, &leaves[i], proof, count, &root));
			proof[j].bytes[j % DIGEST_SIZE] ^= 1;
		}
	}
}

static void proof_of_a_record_that_is_not_there_says_how_many_there_are(void **state)
{
	struct digest proof[TLOG_PROOF_MAX];
	struct error err = ERROR_INIT;
	size_t count;

	(void)state;
	assert_int_equal(tlog_prove(7, 7, &reader, proof, &count, &err), -1);
	assert_int_equal(err.kind, ERROR_NOT_FOUND);
	assert_string_equal(err.text, "the log has 7 records, from 0; there is no record 7");
	assert_false(tlog_proves(0, 0, &leaves[0], proof, 0, &leaves[0]));
}

static void widths_follow_from_the_size(void **state)
{
	static const struct {
		int level;
		uint64_t size, tiles;
		unsigned last;
	} cases[] = {
		{ TLOG_ENTRIES, 0, 0, 0 },   { TLOG_ENTRIES, 1, 1, 1 },      { TLOG_ENTRIES, 256, 1, 256 },
		{ TLOG_ENTRIES, 257, 2, 1 }, { 0, 70000, 274, 112 },         { 1, 255, 0, 0 },
		{ 1, 256, 1, 1 },            { 1, 70000, 2, 17 },            { 2, 70000, 1, 1 },
		{ 2, 65535, 0, 0 },          { 7, UINT64_MAX, 1, 255 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		unsigned last;

		assert_int_equal(tlog_tiles(cases[i].level, cases[i].size, &last), cases[i].tiles);
		assert_int_equal(last, cases[i].last);
		if (cases[i].tiles)
			assert_int_equal(tlog_tile_width(cases[i].level, cases[i].tiles - 1, cases[i].size), cases[i].last);
		assert_int_equal(tlog_tile_width(cases[i].level, cases[i].tiles, cases[i].size), 0);
	}
	assert_int_equal(tlog_tile_width(0, 3, 70000), 256);
}

static const struct {
	int level;
	uint64_t index;
	unsigned width;
	const char *path;
} paths[] = {
	{ 0, 0, 256, "tile/0/000" },
	{ TLOG_ENTRIES, 1234, 7, "tile/entries/x001/234.p/7" },
	{ 2, 1234067, 256, "tile/2/x001/x234/067" },
	{ 0, 1000, 255, "tile/0/x001/000.p/255" },
	{ 7, 999, 1, "tile/7/999.p/1" },
	{ TLOG_ENTRIES, UINT64_MAX, 256, "tile/entries/x018/x446/x744/x073/x709/x551/615" },
};

static void paths_are_those_of_tlog_tiles(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(paths); i++) {
		CLEANUP(str_release) struct str path = STR_INIT;
		int level;
		uint64_t index;
		unsigned width;

		tlog_path(paths[i].level, paths[i].index, paths[i].width, &path);
		assert_string_equal(str_c(&path), paths[i].path);
		assert_true(tlog_path_parse(str_span(&path), &level, &index, &width));
		assert_int_equal(level, paths[i].level);
		assert_int_equal(index, paths[i].index);
		assert_int_equal(width, paths[i].width);
	}
}

static void paths_written_otherwise_are_refused(void **state)
{
	static const char *const bad[] = {
		"", "tile", "tile/", "tile/0", "tile/0/", "tile/0/0", "tile/0/00", "tile/0/0000", "tile/0/000.p", "tile/0/000.p/",
		"tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01", "tile/00/000", "tile/8/000", "tile/-1/000", "tile/0/x000/001",
		"tile/0/001/234", "tile/0/x001", "tile/0/x001/x234", "tile/entries/000/", "tile/entries/000.p/7/", "Tile/0/000",
		"tile/0/000.p/7.tmp", "tile/0//000", "tile/0/000.tmp", "tile/entry/000", "tile/0/+12",
		"tile/0/x999/x999/x999/x999/x999/x999/999", "checkpoint",
	};
	int level;
	uint64_t index;
	unsigned width;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		if (tlog_path_parse(span_of(bad[i]), &level, &index, &width))
			fail_msg("\"%s\" was taken for the path of a tile", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leaf_and_node_hashes_are_those_of_rfc_6962),
		cmocka_unit_test(root_at_every_size_is_the_definitions),
		cmocka_unit_test(subtrees_may_be_added_whole),
		cmocka_unit_test(hashes_of_every_level_are_handed_out_in_order),
		cmocka_unit_test(every_record_of_every_size_is_proved),
		cmocka_unit_test(no_changed_proof_proves),
		cmocka_unit_test(proof_of_a_record_that_is_not_there_says_how_many_there_are),
		cmocka_unit_test(widths_follow_from_the_size),
		cmocka_unit_test(paths_are_those_of_tlog_tiles),
		cmocka_unit_test(paths_written_otherwise_are_refused),
	};

	return cmocka_run_group_tests_name("tlog", tests, make_leaves, NULL);
}
