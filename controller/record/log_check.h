/*
 * Checks the tiles of a log against each other and each record against its
 * place: what verifying and starting have in common. Streams; memory does not
 * grow with the log. Full bundles may be checked by several threads.
 */
#ifndef RECORD_LOG_CHECK_H
#define RECORD_LOG_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "record/log_files.h"

/*
 * A record and its hash in tile/0 that do not agree: which of the two was changed is known only when the root over the
 * records was compared with the signed one.
 */
struct log_suspicion {
	bool any;
	uint64_t record;
	size_t entry_byte;      /* where the record begins in its bundle */
	size_t tile_byte;       /* first byte in tile/0 that differs */
};

struct log_check {
	/* set by the caller */
	const struct log_files *files;
	unsigned threads;               /* 0 and 1: none but the caller's */
	uint64_t entries_from;          /* records before this (a multiple of 256) are taken by their hashes, unread */
	const uint64_t *old_size;       /* NULL, or the size whose root is wanted */
	/* grows with the log */
	struct tlog_edge edge;
	uint8_t last_id[16];
	struct log_suspicion suspicion; /* the first */
	bool old_root_known;
	struct digest old_root;
	uint64_t bodies, bodies_absent; /* checked; named by a record but without the folder that should hold them */
};

/*
 * Goes on to `size`, a multiple of 256: every record, every full tile. ERROR_INVALID "LogCorrupt" names file and byte. A
 * suspicion is no error yet.
 */
int log_check_full(struct log_check *check, uint64_t size, struct error *err);
/* The records and tiles behind the last full bundle, of a log of `size` records; log_check_full went up to there. */
int log_check_tail(struct log_check *check, uint64_t size, struct error *err);
/* Compares the root with the signed one and says who is to blame for a suspicion. */
int log_check_root(const struct log_check *check, const struct checkpoint *signed_one, struct error *err);
/* The same for a log of `size` records that has a suspicion, when it is known whether the root is right. -1. */
int log_check_blame(const struct log_check *check, uint64_t size, bool root_is_right, struct error *err);
/* Checks the content of one record that is to stand at `seq`; byte offsets in the text count from `byte` of `name`. */
int log_check_record(struct span record, uint64_t seq, uint8_t last_id[16], const char *name, size_t byte, struct span *body,
		     struct error *err);
/* A part of a record beside the log: if the folder (else: *absent) is there it must hold every one, with the content its name says. */
int log_check_body(const struct log_files *files, struct span sha256, bool *absent, struct error *err);

#endif
