/*
 * Strict codecs: what they accept is exactly what they would write.
 * RFC 4648 base64 (standard alphabet, padded) and base64url (no padding), lower-case hex.
 */
#ifndef BASE_ENCODE_H
#define BASE_ENCODE_H

#include "base/error.h"
#include "base/str.h"

void base64_encode(struct span bytes, struct str *out);
void base64url_encode(struct span bytes, struct str *out);
/* ERROR_INVALID "BadBase64": length, alphabet, padding or trailing bits that an encoder would not write. */
int base64_decode(struct span text, struct str *out, struct error *err);
void hex_encode(struct span bytes, struct str *out);
/* ERROR_INVALID "BadHex". Lower case only. */
int hex_decode(struct span text, struct str *out, struct error *err);
/* A UUID of lower-case hex and dashes (RFC 9562 section 4), as the API server writes them; false, and nothing written: it is none. */
bool uuid_parse(struct span text, uint8_t out[16]);
void uuid_text(const uint8_t uuid[16], char out[37]);
/* Whether the bytes are well-formed UTF-8 (RFC 3629). */
bool utf8_valid(struct span text);
/* Adds text as one printable line: control bytes, quotes and backslashes escaped; for logs. */
void text_escape(struct span text, struct str *out);
/* percent-encodes all but RFC 3986 unreserved. */
void url_escape(struct span text, struct str *out);

#endif
