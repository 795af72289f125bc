/* Strict codecs; see encode.h. */
#include "base/encode.h"

#include "base/sixteen.h"

static const char alphabet_std[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char alphabet_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const char digits16[] = "0123456789abcdef";

static void encode64(struct span bytes, const char *alphabet, bool pad, struct str *out)
{
	for (size_t i = 0; i < bytes.length; i += 3) {
		size_t n = bytes.length - i < 3 ? bytes.length - i : 3;
		char group[4];
		uint32_t v = (uint32_t)(uint8_t)bytes.data[i] << 16;

		v |= n > 1 ? (uint32_t)(uint8_t)bytes.data[i + 1] << 8 : 0;
		v |= n > 2 ? (uint32_t)(uint8_t)bytes.data[i + 2] : 0;
		for (size_t k = 0; k < 4; k++)
			group[k] = k <= n ? alphabet[(v >> (18 - 6 * k)) & 63] : '=';
		str_add(out, span_make(group, pad ? 4 : n + 1));
	}
}

void base64_encode(struct span bytes, struct str *out)
{
	encode64(bytes, alphabet_std, true, out);
}

void base64url_encode(struct span bytes, struct str *out)
{
	encode64(bytes, alphabet_url, false, out);
}

static int value64(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* One group of four characters; returns how many bytes it holds, 0 when it is not canonical. */
static size_t decode_group(const char *group, bool last, uint8_t out[3])
{
	size_t padding = !last || group[3] != '=' ? 0 : group[2] == '=' ? 2 : 1;
	uint32_t v = 0;

	for (size_t i = 0; i < 4; i++) {
		int bits = i < 4 - padding ? value64(group[i]) : 0;

		if (bits < 0)
			return 0;
		v = v << 6 | (uint32_t)bits;
	}
	/* bits that no encoder would set */
	if ((padding == 1 && (v & 0xff)) || (padding == 2 && (v & 0xffff)))
		return 0;
	out[0] = (uint8_t)(v >> 16);
	out[1] = (uint8_t)(v >> 8);
	out[2] = (uint8_t)v;
	return 3 - padding;
}

int base64_decode(struct span text, struct str *out, struct error *err)
{
	if (text.length % 4)
		return error_set(err, ERROR_INVALID, "BadBase64", "base64 text of %zu characters is no multiple of four",
				 text.length);
	for (size_t i = 0; i < text.length; i += 4) {
		uint8_t bytes[3];
		size_t n = decode_group(text.data + i, i + 4 == text.length, bytes);

		if (!n)
			return error_set(err, ERROR_INVALID, "BadBase64", "not canonical base64 at character %zu", i);
		str_add(out, span_make(bytes, n));
	}
	if (out->overflow)
		return error_set(err, ERROR_LIMIT, "TooLarge", "base64 text of %zu characters is too long", text.length);
	return 0;
}

void hex_encode(struct span bytes, struct str *out)
{
	for (size_t i = 0; i < bytes.length; i++) {
		str_addc(out, digits16[(uint8_t)bytes.data[i] >> 4]);
		str_addc(out, digits16[bytes.data[i] & 15]);
	}
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int hex_decode(struct span text, struct str *out, struct error *err)
{
	if (text.length % 2)
		return error_set(err, ERROR_INVALID, "BadHex", "hex text has an odd length");
	for (size_t i = 0; i < text.length; i += 2) {
		int high = hex_value(text.data[i]), low = hex_value(text.data[i + 1]);

		if (high < 0 || low < 0)
			return error_set(err, ERROR_INVALID, "BadHex", "not lower-case hex at character %zu", i);
		str_addc(out, (char)(high << 4 | low));
	}
	if (out->overflow)
		return error_set(err, ERROR_LIMIT, "TooLarge", "hex text of %zu characters is too long", text.length);
	return 0;
}

bool uuid_parse(struct span text, uint8_t out[16])
{
	char digits[32];
	uint8_t bytes[16];

	if (text.length != 36 || text.data[8] != '-' || text.data[13] != '-' || text.data[18] != '-' || text.data[23] != '-')
		return false;
	memcpy(digits, text.data, 8);
	memcpy(digits + 8, text.data + 9, 4);
	memcpy(digits + 12, text.data + 14, 4);
	memcpy(digits + 16, text.data + 19, 4);
	memcpy(digits + 20, text.data + 24, 12);
	if (!sixteen_hex(digits, bytes) || !sixteen_hex(digits + 16, bytes + 8))
		return false;
	memcpy(out, bytes, sizeof(bytes));
	return true;
}

void uuid_text(const uint8_t uuid[16], char out[37])
{
	char *at = out;

	for (size_t i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*at++ = '-';
		*at++ = digits16[uuid[i] >> 4];
		*at++ = digits16[uuid[i] & 15];
	}
	*at = '\0';
}

/* Length of the well-formed sequence at `s`, 0 if there is none. RFC 3629 section 4. */
static size_t utf8_sequence(const uint8_t *s, size_t left)
{
	size_t length = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : (s[0] & 0xf0) == 0xe0 ? 3 : s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;

	if (!length || length > left)
		return 0;
	for (size_t i = 1; i < length; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
	    (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return length;
}

bool utf8_valid(struct span text)
{
	for (size_t i = 0; i < text.length;) {
		size_t n = utf8_sequence((const uint8_t *)text.data + i, text.length - i);

		if (!n)
			return false;
		i += n;
	}
	return true;
}

static void escape_byte(uint8_t byte, struct str *out)
{
	if (byte == '\n')
		str_adds(out, "\\n");
	else if (byte == '"' || byte == '\\')
		str_addf(out, "\\%c", byte);
	else
		str_addf(out, "\\x%02x", byte);
}

/* U+0080-9F, U+200B-200F, U+2028-202F and U+2060-206F can forge or hide a part of a line. */
static bool is_invisible(const uint8_t *s, size_t n)
{
	if (n == 2)
		return s[0] == 0xc2 && s[1] < 0xa0;
	if (n != 3 || s[0] != 0xe2)
		return false;
	return (s[1] == 0x80 && s[2] >= 0x8b && (s[2] <= 0x8f || s[2] >= 0xa8)) || (s[1] == 0x81 && s[2] >= 0xa0);
}

void text_escape(struct span text, struct str *out)
{
	for (size_t i = 0; i < text.length;) {
		uint8_t c = (uint8_t)text.data[i];
		size_t n = utf8_sequence((const uint8_t *)text.data + i, text.length - i);
		bool plain = n > 1 ? !is_invisible((const uint8_t *)text.data + i, n)
				   : n == 1 && c >= 0x20 && c != 0x7f && c != '"' && c != '\\';

		if (plain)
			str_add(out, span_sub(text, i, n));
		for (size_t k = 0; !plain && k < (n ? n : 1); k++)
			escape_byte((uint8_t)text.data[i + k], out);
		i += n ? n : 1;
	}
}

void url_escape(struct span text, struct str *out)
{
	for (size_t i = 0; i < text.length; i++) {
		char c = text.data[i];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
			     c == '.' || c == '_' || c == '~';

		if (plain)
			str_addc(out, c);
		else
			str_addf(out, "%%%02X", (uint8_t)c);
	}
}
