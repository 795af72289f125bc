/* The table of reasons; see reason.h. */
#include "verify/reason.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

static const char *const names[REASON_COUNT] = {
	[REASON_NONE] = "NONE",
	[REASON_FETCH_ERROR] = "FETCH_ERROR",
	[REASON_TOO_LARGE] = "TOO_LARGE",
	[REASON_BLOB_DIGEST] = "BLOB_DIGEST",
	[REASON_BAD_JSON] = "BAD_JSON",
	[REASON_BAD_BASE64] = "BAD_BASE64",
	[REASON_UNKNOWN_VERSION] = "UNKNOWN_VERSION",
	[REASON_NO_MATERIAL] = "NO_MATERIAL",
	[REASON_NO_CONTENT] = "NO_CONTENT",
	[REASON_EMPTY_CHAIN] = "EMPTY_CHAIN",
	[REASON_CHAIN_IN_V03] = "CHAIN_IN_V03",
	[REASON_NEGATIVE_INDEX] = "NEGATIVE_INDEX",
	[REASON_KIND_MISMATCH] = "KIND_MISMATCH",
	[REASON_SIGNATURE_COUNT] = "SIGNATURE_COUNT",
	[REASON_EXPECTED_KEY] = "EXPECTED_KEY",
	[REASON_SIG_INVALID] = "SIG_INVALID",
	[REASON_ALG_MISMATCH] = "ALG_MISMATCH",
	[REASON_PAYLOAD_TYPE] = "PAYLOAD_TYPE",
	[REASON_SUBJECT_MISMATCH] = "SUBJECT_MISMATCH",
	[REASON_PAYLOAD_DIGEST] = "PAYLOAD_DIGEST",
	[REASON_PAYLOAD_KIND] = "PAYLOAD_KIND",
	[REASON_PREDICATE_TYPE] = "PREDICATE_TYPE",
};

const char *reason_name(enum reason reason)
{
	ASSERT(reason < REASON_COUNT);
	return names[reason];
}

enum reason reason_of_name(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(names); i++)
		if (!strcmp(names[i], name))
			return (enum reason)i;
	return REASON_COUNT;
}

int refuse(struct error *err, enum reason reason, const char *format, ...)
{
	char text[ERROR_TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return error_set(err, ERROR_INVALID, reason_name(reason), "%s", text);
}
