/* Any text as a time and as a duration; a time that is taken is written and read back as the same. */
#include "base/clock.h"

#include "base/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = span_make(data, size);
	int64_t ns, again, ms;
	char out[TIME_TEXT];

	if (time_parse(text, &ns)) {
		time_format_ns(ns, out);
		ASSERT(strlen(out) < TIME_TEXT && time_parse(span_of(out), &again) && again == ns);
		time_format_s(ns, out);
		ASSERT(time_parse(span_of(out), &again) && again <= ns && ns - again < 1000000000);
	}
	if (duration_parse(text, &ms))
		ASSERT(text.length && ms >= INT64_MIN / 1000000 && ms <= INT64_MAX / 1000000);
	return 0;
}
