/* A pattern, a line end, and a text, in both dialects; small plain patterns are held against a matcher that simply tries everything. */
#include "base/glob.h"

#include "base/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* For patterns of literals, '?', '*' and "**" only. */
static bool slow_match(struct span pattern, struct span text, enum glob_flags flags)
{
	bool star, across;

	if (!pattern.length)
		return !text.length;
	star = pattern.data[0] == '*';
	across = flags == GLOB_ANY || (pattern.length > 1 && pattern.data[1] == '*');
	if (star) {
		struct span rest = span_from(pattern, pattern.length > 1 && pattern.data[1] == '*' ? 2 : 1);

		if (slow_match(rest, text, flags))
			return true;
		return text.length && (across || text.data[0] != '/') && slow_match(pattern, span_from(text, 1), flags);
	}
	if (!text.length || (pattern.data[0] == '?' ? flags == GLOB_PATH && text.data[0] == '/' : pattern.data[0] != text.data[0]))
		return false;
	return slow_match(span_from(pattern, 1), span_from(text, 1), flags);
}

static bool is_plain(struct span pattern)
{
	for (size_t i = 0; i < pattern.length; i++)
		if (strchr("[]{},\\!", pattern.data[i]))
			return false;
	return pattern.length && pattern.length <= 8;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum glob_flags flags[] = { GLOB_PATH, GLOB_ANY };
	struct span text = span_make(data, size), pattern = span_cut(&text, '\n');

	/* longer than any name; time is text * pattern * alternatives, all of which are bounded */
	if (text.length > 512)
		return 0;
	for (size_t i = 0; i < COUNT_OF(flags); i++) {
		bool matched = glob_match(pattern, text, flags[i]);

		if (is_plain(pattern) && text.length <= 12)
			ASSERT(matched == slow_match(pattern, text, flags[i]));
		if (!glob_valid(pattern))
			ASSERT(!matched);
	}
	return 0;
}
