/* Signed notes and checkpoints; see note.h. */
#include "record/note.h"

#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/encode.h"
#include "base/mem.h"
#include "base/rand.h"

#define ED25519 0x01u                   /* signed-note: signature type of Ed25519 */
#define KEY_SIZE 32u
#define SIGNATURE_SIZE 64u
#define SIGNER_PREFIX "PRIVATE+KEY+"
#define DASH "\xe2\x80\x94 "            /* U+2014 and a space begin a signature line */

struct note_signer {
	struct note_key key;
	uint8_t seed[KEY_SIZE];
	EVP_PKEY *pkey;
};

/* signed-note: "The key name MUST be non-empty, and it MUST NOT contain any Unicode spaces or plus (U+002B) characters." */
static bool name_is_good(struct span name)
{
	/* printable ASCII alone: our origins need no more, and it rules out every kind of Unicode space */
	for (size_t i = 0; i < name.length; i++)
		if (name.data[i] <= 0x20 || name.data[i] > 0x7e || name.data[i] == '+')
			return false;
	return name.length > 0 && name.length <= NOTE_NAME_MAX;
}

/* signed-note: the key ID is "the first four bytes of SHA-256(key name || 0x0A || signature type || public key)" */
static void key_hash(struct note_key *key)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	struct digest digest;

	str_adds(&text, key->name);
	str_addc(&text, '\n');
	str_addc(&text, (char)ED25519);
	str_add(&text, span_make(key->public_key, KEY_SIZE));
	digest = digest_of(str_span(&text));
	memcpy(key->hash, digest.bytes, sizeof(key->hash));
}

static void write_key(const struct note_key *key, const uint8_t bytes[KEY_SIZE], struct str *out)
{
	uint8_t typed[1 + KEY_SIZE] = { ED25519 };

	memcpy(typed + 1, bytes, KEY_SIZE);
	str_addf(out, "%s+", key->name);
	hex_encode(span_make(key->hash, sizeof(key->hash)), out);
	str_addc(out, '+');
	base64_encode(span_make(typed, sizeof(typed)), out);
	OPENSSL_cleanse(typed, sizeof(typed));
}

/* The strings of keys are wiped before their memory goes. */
static void wipe(struct str *s)
{
	if (s->data)
		OPENSSL_cleanse(s->data, s->capacity);
	str_release(s);
}

/* NAME+HASH+BASE64(type || 32 bytes) */
static int read_key(struct span text, char name[NOTE_NAME_MAX + 1], uint8_t hash[4], uint8_t bytes[KEY_SIZE], struct error *err)
{
	CLEANUP(str_release) struct str id = STR_LIMIT(64);
	CLEANUP(wipe) struct str typed = STR_LIMIT(256);
	struct span named, hex;

	if (span_ends(text, "\n"))
		text.length--;
	named = span_cut(&text, '+');
	hex = span_cut(&text, '+');
	if (!name_is_good(named))
		return error_set(err, ERROR_INVALID, "BadKey", "a key is NAME+HASH+BASE64, and its name printable without spaces");
	if (hex.length != 8 || hex_decode(hex, &id, NULL))
		return error_set(err, ERROR_INVALID, "BadKey", "the hash of a key is 8 lower-case hex digits, not \"%.*s\"",
				 SPAN_ARG(span_sub(hex, 0, 32)));
	if (text.length > 128 || base64_decode(text, &typed, NULL) || typed.length != 1 + KEY_SIZE)
		return error_set(err, ERROR_INVALID, "BadKey", "the last part of a key is base64 of 33 bytes");
	if ((uint8_t)typed.data[0] != ED25519)
		return error_set(err, ERROR_INVALID, "BadKey", "key type %u is not supported: only 1, Ed25519, is",
				 (unsigned)(uint8_t)typed.data[0]);
	snprintf(name, NOTE_NAME_MAX + 1, "%.*s", SPAN_ARG(named));
	memcpy(hash, id.data, 4);
	memcpy(bytes, typed.data + 1, KEY_SIZE);
	return 0;
}

int note_key_parse(struct span text, struct note_key *out, struct error *err)
{
	struct note_key key = { 0 };
	uint8_t claimed[4];

	if (read_key(text, key.name, claimed, key.public_key, err))
		return -1;
	key_hash(&key);
	if (memcmp(claimed, key.hash, sizeof(claimed)) != 0)
		return error_set(err, ERROR_INVALID, "BadKey", "the hash in the key is not that of its name and bytes");
	*out = key;
	return 0;
}

void note_key_write(const struct note_key *key, struct str *out)
{
	write_key(key, key->public_key, out);
}

/* Fills in what follows from name and seed. */
static int signer_complete(struct note_signer *signer, struct error *err)
{
	size_t length = KEY_SIZE;

	signer->pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, signer->seed, KEY_SIZE);
	if (!signer->pkey || EVP_PKEY_get_raw_public_key(signer->pkey, signer->key.public_key, &length) != 1)
		return error_set(err, ERROR_INTERNAL, "CryptoFailed", "OpenSSL makes no Ed25519 key");
	key_hash(&signer->key);
	return 0;
}

int note_signer_new(const char *name, struct note_signer **out, struct error *err)
{
	CLEANUP(note_signer_cleanup) struct note_signer *signer = mem_alloc(sizeof(*signer));

	if (!name_is_good(span_of(name)))
		return error_set(err, ERROR_INVALID, "BadKey", "\"%.80s\" cannot be the name of a key", name);
	snprintf(signer->key.name, sizeof(signer->key.name), "%s", name);
	rand_bytes(signer->seed, KEY_SIZE);
	if (signer_complete(signer, err))
		return -1;
	*out = TAKE(signer);
	return 0;
}

int note_signer_parse(struct span text, struct note_signer **out, struct error *err)
{
	CLEANUP(note_signer_cleanup) struct note_signer *signer = mem_alloc(sizeof(*signer));
	uint8_t claimed[4];

	if (!span_starts(text, SIGNER_PREFIX))
		return error_set(err, ERROR_INVALID, "BadKey", "a private key begins with " SIGNER_PREFIX);
	if (read_key(span_from(text, strlen(SIGNER_PREFIX)), signer->key.name, claimed, signer->seed, err) ||
	    signer_complete(signer, err))
		return -1;
	if (memcmp(claimed, signer->key.hash, sizeof(claimed)) != 0)
		return error_set(err, ERROR_INVALID, "BadKey", "the hash in the private key is not that of its public key");
	*out = TAKE(signer);
	return 0;
}

void note_signer_write(const struct note_signer *signer, struct str *out)
{
	str_adds(out, SIGNER_PREFIX);
	write_key(&signer->key, signer->seed, out);
}

const struct note_key *note_signer_key(const struct note_signer *signer)
{
	return &signer->key;
}

void note_signer_free(struct note_signer *signer)
{
	if (!signer)
		return;
	EVP_PKEY_free(signer->pkey);
	OPENSSL_cleanse(signer, sizeof(*signer));
	free(signer);
}

void note_signer_cleanup(struct note_signer **signer)
{
	note_signer_free(*signer);
}

static void free_context(EVP_MD_CTX **context)
{
	EVP_MD_CTX_free(*context);
}

static void free_pkey(EVP_PKEY **pkey)
{
	EVP_PKEY_free(*pkey);
}

int note_sign(const struct note_signer *signer, struct span text, struct str *out, struct error *err)
{
	CLEANUP(free_context) EVP_MD_CTX *context = EVP_MD_CTX_new();
	uint8_t signature[4 + SIGNATURE_SIZE];
	size_t length = SIGNATURE_SIZE;

	ASSERT(span_ends(text, "\n"));
	memcpy(signature, signer->key.hash, 4);
	if (!context || EVP_DigestSignInit(context, NULL, NULL, NULL, signer->pkey) != 1 ||
	    EVP_DigestSign(context, signature + 4, &length, (const uint8_t *)text.data, text.length) != 1)
		return error_set(err, ERROR_INTERNAL, "CryptoFailed", "OpenSSL does not sign with Ed25519");
	str_add(out, text);
	str_addf(out, "\n" DASH "%s ", signer->key.name);
	base64_encode(span_make(signature, sizeof(signature)), out);
	str_addc(out, '\n');
	return 0;
}

static bool verify_ed25519(const struct note_key *key, struct span text, struct span signature)
{
	CLEANUP(free_pkey) EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key->public_key, KEY_SIZE);
	CLEANUP(free_context) EVP_MD_CTX *context = EVP_MD_CTX_new();

	return pkey && context && EVP_DigestVerifyInit(context, NULL, NULL, NULL, pkey) == 1 &&
	       EVP_DigestVerify(context, (const uint8_t *)signature.data, signature.length, (const uint8_t *)text.data,
				text.length) == 1;
}

struct opened {
	const struct note_key *key;
	struct span text;
	unsigned lines;
	bool ours;              /* a line of the key was there, and right */
};

/* One signature line, without its newline. */
static int open_line(struct opened *opened, struct span line, struct error *err)
{
	CLEANUP(str_release) struct str bytes = STR_LIMIT(NOTE_BYTES_MAX);
	struct span rest, name;

	if (!span_starts(line, DASH))
		return error_set(err, ERROR_INVALID, "BadNote", "signature line %u does not begin with a dash", opened->lines);
	rest = span_from(line, strlen(DASH));
	name = span_cut(&rest, ' ');
	if (!name_is_good(name) || base64_decode(rest, &bytes, NULL) || bytes.length < 5)
		return error_set(err, ERROR_INVALID, "BadNote", "signature line %u is not NAME BASE64", opened->lines);
	/* signed-note: lines of keys that are not known are ignored; the key is known by name and hash */
	if (!span_is(name, opened->key->name) || memcmp(bytes.data, opened->key->hash, 4) != 0)
		return 0;
	if (opened->ours || bytes.length != 4 + SIGNATURE_SIZE ||
	    !verify_ed25519(opened->key, opened->text, span_from(str_span(&bytes), 4)))
		return error_set(err, ERROR_INVALID, "BadSignature", "the signature by %s is wrong", opened->key->name);
	opened->ours = true;
	return 0;
}

/* Where the last blank line stands: the text ends before it. signed-note: text "MUST be followed by a blank line". */
static bool split_note(struct span note, struct span *text, struct span *signatures)
{
	for (size_t i = note.length; i >= 2; i--)
		if (note.data[i - 1] == '\n' && note.data[i - 2] == '\n') {
			*text = span_sub(note, 0, i - 1);
			*signatures = span_from(note, i);
			return signatures->length > 0 && span_ends(note, "\n");
		}
	return false;
}

int note_open(struct span note, const struct note_key *key, bool alone, struct span *text, struct error *err)
{
	struct opened opened = { .key = key };
	struct span signatures;

	if (note.length > NOTE_BYTES_MAX)
		return error_set(err, ERROR_INVALID, "BadNote", "a note of %zu bytes is larger than %d", note.length, NOTE_BYTES_MAX);
	if (!split_note(note, &opened.text, &signatures) || span_has_nul(note) || !utf8_valid(note))
		return error_set(err, ERROR_INVALID, "BadNote", "not a text, a blank line and signature lines");
	signatures.length--;
	while (signatures.data) {
		if (++opened.lines > (alone ? 1 : NOTE_SIGNATURES_MAX))
			return error_set(err, ERROR_INVALID, "BadNote", "more than %d signature lines", alone ? 1 : NOTE_SIGNATURES_MAX);
		if (open_line(&opened, span_cut(&signatures, '\n'), err))
			return -1;
	}
	if (!opened.ours)
		return error_set(err, ERROR_INVALID, "BadSignature", "not signed by the key %s", key->name);
	*text = opened.text;
	return 0;
}

void checkpoint_text(const struct checkpoint *checkpoint, struct str *out)
{
	str_addf(out, "%s\n%llu\n", checkpoint->origin, (unsigned long long)checkpoint->size);
	base64_encode(span_make(checkpoint->root.bytes, DIGEST_SIZE), out);
	str_addc(out, '\n');
}

int checkpoint_sign(const struct checkpoint *checkpoint, const struct note_signer *signer, struct str *out,
		    struct error *err)
{
	CLEANUP(str_release) struct str text = STR_INIT;

	ASSERT(strcmp(checkpoint->origin, signer->key.name) == 0);
	checkpoint_text(checkpoint, &text);
	return note_sign(signer, str_span(&text), out, err);
}

/* tlog-checkpoint: origin, size ("ASCII decimal with no leading zeroes"), root ("base64"); we write no extension lines. */
static int checkpoint_parse(struct span text, struct checkpoint *out, struct error *err)
{
	CLEANUP(str_release) struct str root = STR_LIMIT(64), again = STR_INIT;
	struct span rest = text, origin = span_cut(&rest, '\n'), size = span_cut(&rest, '\n'), hash = span_cut(&rest, '\n');
	int64_t count;

	if (!name_is_good(origin))
		return error_set(err, ERROR_INVALID, "BadCheckpoint", "its first line is no origin");
	if (!span_to_int64(size, &count))
		return error_set(err, ERROR_INVALID, "BadCheckpoint", "its second line is no size: \"%.*s\"",
				 SPAN_ARG(span_sub(size, 0, 32)));
	if (hash.length > 64 || base64_decode(hash, &root, NULL) || root.length != DIGEST_SIZE)
		return error_set(err, ERROR_INVALID, "BadCheckpoint", "its third line is no root hash");
	snprintf(out->origin, sizeof(out->origin), "%.*s", SPAN_ARG(origin));
	out->size = (uint64_t)count;
	memcpy(out->root.bytes, root.data, DIGEST_SIZE);
	checkpoint_text(out, &again);
	if (!span_equal(str_span(&again), text))
		return error_set(err, ERROR_INVALID, "BadCheckpoint", "it is not the three lines origin, size and root");
	return 0;
}

int checkpoint_peek(struct span note, struct checkpoint *out, struct error *err)
{
	struct span text, signatures;

	if (!split_note(note, &text, &signatures))
		return error_set(err, ERROR_INVALID, "BadNote", "not a text, a blank line and signature lines");
	return checkpoint_parse(text, out, err);
}

int checkpoint_open(struct span note, const struct note_key *key, bool alone, struct checkpoint *out, struct error *err)
{
	struct checkpoint checkpoint = { 0 };
	struct span text;

	if (note_open(note, key, alone, &text, err) || checkpoint_parse(text, &checkpoint, err))
		return -1;
	if (strcmp(checkpoint.origin, key->name) != 0)
		return error_set(err, ERROR_INVALID, "BadCheckpoint", "its origin is %s, the key's name %s", checkpoint.origin,
				 key->name);
	*out = checkpoint;
	return 0;
}
