/*
 * Sigstore bundles (media types v0.1 to v0.3) as values: parsing, and nothing
 * that is believed yet. Pure.
 *
 * The JSON is that of the protobuf mapping, read strictly: only the fields that
 * the format has, in lowerCamelCase; one of each alternative; base64 as an encoder
 * writes it; 64-bit integers as strings or numbers. A null field is an absent one,
 * as that mapping says. Log entries and timestamps are checked for form and number
 * whether or not a policy asks for them.
 */
#ifndef VERIFY_BUNDLE_H
#define VERIFY_BUNDLE_H

#include "base/arena.h"
#include "verify/reason.h"

enum bundle_material { BUNDLE_NO_MATERIAL = 0, BUNDLE_PUBLIC_KEY, BUNDLE_CERTIFICATE };
enum bundle_content { BUNDLE_NO_CONTENT = 0, BUNDLE_DSSE, BUNDLE_MESSAGE };

struct bundle {
	unsigned minor;                   /* of version 0.minor */
	enum bundle_material material;
	const char *key_hint;             /* of a public key; "" when there is none. Only a hint. */
	enum bundle_content content;
	const char *payload_type;         /* DSSE */
	struct span payload;              /* DSSE */
	struct span signature;            /* decoded */
	const char *digest_algorithm;     /* message signature: "SHA2_256"; NULL when it carries no digest */
	struct span digest;               /* message signature */
	size_t tlog_entries, timestamps;
};

/*
 * Parses; everything lives in the arena. Refusals are those of "reading them" in
 * reason.h, and TOO_LARGE.
 */
int bundle_parse(struct span text, struct arena *arena, struct bundle *out, struct error *err);

#endif
