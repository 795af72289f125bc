/* Frames in and out; see pkt_line.h. */
#include "source/pkt_line.h"

static int hex_length(struct span text)
{
	int length = 0;

	for (size_t i = 0; i < 4; i++) {
		char c = text.data[i], lower = (char)(c | 0x20);

		if (c >= '0' && c <= '9')
			length = length << 4 | (c - '0');
		else if (lower >= 'a' && lower <= 'f')
			length = length << 4 | (lower - 'a' + 10);
		else
			return -1;
	}
	return length;
}

int pkt_next(struct span *rest, enum pkt_kind *kind, struct span *payload, struct error *err)
{
	int length;

	*payload = SPAN0;
	if (!rest->length) {
		*kind = PKT_NONE;
		return 0;
	}
	length = rest->length < 4 ? -1 : hex_length(*rest);
	if (length < 0 || length == 3 || (size_t)length > rest->length || length > (int)PKT_PAYLOAD_MAX + 4)
		return error_set(err, ERROR_TRANSIENT, "BadProtocol", "the Git server's answer is cut or garbled");
	if (length < 3) {
		*kind = length == 0 ? PKT_FLUSH : length == 1 ? PKT_DELIM : PKT_RESPONSE_END;
		*rest = span_from(*rest, 4);
		return 0;
	}
	*kind = PKT_DATA;
	*payload = span_sub(*rest, 4, (size_t)length - 4);
	if (span_ends(*payload, "\n"))
		payload->length--;
	*rest = span_from(*rest, (size_t)length);
	return 0;
}

void pkt_add(struct str *out, struct span payload)
{
	ASSERT(payload.length <= PKT_PAYLOAD_MAX);
	str_addf(out, "%04zx", payload.length + 4);
	str_add(out, payload);
}

void pkt_addf(struct str *out, const char *format, ...)
{
	CLEANUP(str_release) struct str payload = STR_LIMIT(PKT_PAYLOAD_MAX);
	va_list args;

	va_start(args, format);
	str_vaddf(&payload, format, args);
	va_end(args);
	ASSERT(!payload.overflow);
	pkt_add(out, str_span(&payload));
}

void pkt_add_flush(struct str *out)
{
	str_adds(out, "0000");
}

void pkt_add_delim(struct str *out)
{
	str_adds(out, "0001");
}
