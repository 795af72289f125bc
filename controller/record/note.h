/*
 * C2SP signed-note and tlog-checkpoint: a text, a blank line, signature lines.
 *
 * Ed25519 (type 0x01) only. Reading is strict: what is accepted is exactly what
 * an encoder would write, so that no byte of a note or of a key is free to
 * change unseen. OpenSSL stays inside note.c.
 *
 *	vkey        NAME+HASH+BASE64(0x01 || public key)
 *	checkpoint  ORIGIN \n SIZE \n BASE64(root) \n \n — NAME BASE64(HASH || signature) \n
 *
 * HASH is the first four bytes of SHA-256(NAME || \n || 0x01 || public key).
 */
#ifndef RECORD_NOTE_H
#define RECORD_NOTE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/error.h"
#include "base/str.h"

#define NOTE_NAME_MAX 128
#define NOTE_SIGNATURES_MAX 16          /* lines of one note */
#define NOTE_BYTES_MAX 8192             /* of a checkpoint with its signatures */

/* A verification key. Plain data. */
struct note_key {
	char name[NOTE_NAME_MAX + 1];
	uint8_t hash[4];
	uint8_t public_key[32];
};

/* A private key; holds the note_key that belongs to it. */
struct note_signer;

/* Reads a vkey line, with or without its newline. ERROR_INVALID "BadKey" says what is wrong with it. */
int note_key_parse(struct span text, struct note_key *out, struct error *err);
/* Adds the vkey without a newline. */
void note_key_write(const struct note_key *key, struct str *out);

/* A new random key. */
int note_signer_new(const char *name, struct note_signer **out, struct error *err);
/* Reads "PRIVATE+KEY+NAME+HASH+BASE64(0x01 || seed)", with or without its newline. ERROR_INVALID "BadKey". */
int note_signer_parse(struct span text, struct note_signer **out, struct error *err);
/* Adds that text, without a newline. The caller wipes it after use. */
void note_signer_write(const struct note_signer *signer, struct str *out);
const struct note_key *note_signer_key(const struct note_signer *signer);   /* borrowed */
void note_signer_free(struct note_signer *signer);                          /* wipes; NULL is fine */
void note_signer_cleanup(struct note_signer **signer);

/* Adds the whole note: `text` (which must end in a newline), a blank line, one signature line. */
int note_sign(const struct note_signer *signer, struct span text, struct str *out, struct error *err);
/*
 * Checks that the note is well formed and signed by the key; *text (borrowed from `note`) is what was signed. With `alone`
 * there must be no other signature line: where every byte counts, none may stand there that nobody checks. ERROR_INVALID
 * "BadNote" (form) or "BadSignature" (no line of this key, or a wrong one).
 */
int note_open(struct span note, const struct note_key *key, bool alone, struct span *text, struct error *err);

/* What a checkpoint says. */
struct checkpoint {
	char origin[NOTE_NAME_MAX + 1];
	uint64_t size;
	struct digest root;
};

/* Adds the three lines that are signed. */
void checkpoint_text(const struct checkpoint *checkpoint, struct str *out);
/* Signs it. The origin must be the signer's name. */
int checkpoint_sign(const struct checkpoint *checkpoint, const struct note_signer *signer, struct str *out,
		    struct error *err);
/* The three lines of a note whose signature is not looked at. */
int checkpoint_peek(struct span note, struct checkpoint *out, struct error *err);
/* note_open, then the three lines; the origin must be the key's name. ERROR_INVALID "BadCheckpoint" besides. */
int checkpoint_open(struct span note, const struct note_key *key, bool alone, struct checkpoint *out, struct error *err);

#endif
