/*
 * The Merkle tree of the audit log: RFC 6962 hashes, C2SP tlog-tiles paths.
 *
 * Pure: no files. A tree is its frontier (the roots of the perfect subtrees
 * that its size is made of), so adding a record costs one hash on average and
 * a tree of any size a fixed 2 kB. What tiles hold, the hashes at every eighth
 * height, is handed out while adding.
 *
 * Heights count binary levels from the leaves; levels count tiles: level L
 * holds the hashes at height 8 L.
 */
#ifndef RECORD_TLOG_H
#define RECORD_TLOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/error.h"
#include "base/str.h"

#define TLOG_HEIGHT 8u                  /* of a tile */
#define TLOG_WIDTH 256u                 /* hashes, or records, in a full tile */
#define TLOG_ENTRIES (-1)               /* as a level: the records themselves */
#define TLOG_LEVELS 8                   /* 64-bit sizes need no more */
#define TLOG_PROOF_MAX 64               /* hashes of an inclusion proof */

/* RFC 6962 section 2.1: SHA-256(0x00 || record). */
struct digest tlog_leaf(struct span record);
/* RFC 6962 section 2.1: SHA-256(0x01 || left || right). */
struct digest tlog_node(const struct digest *left, const struct digest *right);

/* Zeroed: the empty tree. May be copied. */
struct tlog_tree {
	uint64_t size;                  /* records */
	struct digest edge[64];         /* [h] is used when bit h of the size is set */
};

/* Told of each hash that a tile holds: the `index`-th of `level`. */
typedef void tlog_on_hash(void *data, unsigned level, uint64_t index, const struct digest *hash);

/*
 * Adds a perfect subtree of 2^height records (0: one leaf hash) behind the tree, whose size must be a multiple of that.
 * on_hash may be NULL.
 */
void tlog_add(struct tlog_tree *tree, unsigned height, const struct digest *hash, tlog_on_hash *on_hash, void *data);
/* The root at this size; of the empty tree SHA-256 of nothing. */
struct digest tlog_root(const struct tlog_tree *tree);

/*
 * The tree with what stands in the last, not yet full tile of each level: all that is needed to go on writing, or checking,
 * a log's tiles. Plain data, zeroed: empty. Which hashes of tile[L] are in use follows from the size.
 */
struct tlog_edge {
	struct tlog_tree tree;
	struct digest tile[TLOG_LEVELS][TLOG_WIDTH];
};

/* Told of each tile that becomes full: its TLOG_WIDTH hashes, borrowed for the call. */
typedef void tlog_on_tile(void *data, unsigned level, uint64_t index, const struct digest *hashes);

/* As tlog_add. on_tile may be NULL. A full tile's hashes stay in place until the next one of its level begins. */
void tlog_edge_add(struct tlog_edge *edge, unsigned height, const struct digest *hash, tlog_on_tile *on_tile, void *data);

/* How many tiles of `level` (or TLOG_ENTRIES) a log of `size` has, and how wide the last is (1 to 256; 0: no tiles). */
uint64_t tlog_tiles(int level, uint64_t size, unsigned *last_width);
/* Width of one tile at this size: 256, less for the last, 0 when there is none of that index. */
unsigned tlog_tile_width(int level, uint64_t index, uint64_t size);

/* Adds "tile/0/x001/234.p/7" and the like; `level` may be TLOG_ENTRIES. */
void tlog_path(int level, uint64_t index, unsigned width, struct str *out);
/* The reverse; false for any text that tlog_path does not write. */
bool tlog_path_parse(struct span path, int *level, uint64_t *index, unsigned *width);

/* Where hashes come from when a proof is made: the `index`-th of a tile level. */
struct tlog_reader {
	int (*hash)(void *data, unsigned level, uint64_t index, struct digest *out, struct error *err);
	void *data;
};

/*
 * The inclusion proof (RFC 6962 section 2.1.1) of record `index` in the tree of `size` records, from the leaf up; *count
 * of TLOG_PROOF_MAX. ERROR_NOT_FOUND "NoSuchRecord" when index >= size; what the reader fails with otherwise.
 */
int tlog_prove(uint64_t index, uint64_t size, const struct tlog_reader *reader, struct digest *proof, size_t *count,
	       struct error *err);
/* Whether the proof leads from the leaf to the root (RFC 9162 section 2.1.3.2). */
bool tlog_proves(uint64_t index, uint64_t size, const struct digest *leaf, const struct digest *proof, size_t count,
		 const struct digest *root);

#endif
