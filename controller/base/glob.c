/*
 * Globs without backtracking blow-up: the pattern's braces are expanded one
 * alternative at a time, of which glob_valid allows so many, and each is matched
 * with the places in the pattern kept as a set, so time is text * pattern.
 */
#include "base/glob.h"

#include "base/limits.h"

/* One element of a brace-free pattern. */
struct element {
	enum { LITERAL, ONE, STAR, GLOBSTAR, CLASS } kind;
	char c;
	struct span set;    /* CLASS: what stands between the brackets */
};

static size_t parse_class(struct span pattern, size_t at, struct element *out)
{
	ptrdiff_t end = span_index(span_from(pattern, at + 2), ']');

	if (at + 2 > pattern.length || end < 0)
		return 0;
	*out = (struct element){ CLASS, 0, span_sub(pattern, at + 1, (size_t)end + 1) };
	return (size_t)end + 3;
}

/* Reads the element at `at`; returns its length in bytes, 0 when the pattern is wrong. */
static size_t parse_element(struct span pattern, size_t at, enum glob_flags flags, struct element *out)
{
	char c = pattern.data[at];

	if (c == '*') {
		bool twice = at + 1 < pattern.length && pattern.data[at + 1] == '*';

		*out = (struct element){ twice || flags == GLOB_ANY ? GLOBSTAR : STAR, 0, SPAN0 };
		return twice ? 2 : 1;
	}
	if (c == '?') {
		*out = (struct element){ ONE, 0, SPAN0 };
		return 1;
	}
	if (c == '[' && flags == GLOB_ANY)
		return parse_class(pattern, at, out);
	*out = (struct element){ LITERAL, c, SPAN0 };
	return 1;
}

static bool in_class(struct span set, char c)
{
	bool negated = set.length && (set.data[0] == '!' || set.data[0] == '^'), found = false;

	for (size_t i = negated; i < set.length; i++) {
		if (i + 2 < set.length && set.data[i + 1] == '-') {
			found |= c >= set.data[i] && c <= set.data[i + 2];
			i += 2;
		} else {
			found |= c == set.data[i];
		}
	}
	return found != negated;
}

static bool element_takes(const struct element *element, char c, enum glob_flags flags)
{
	switch (element->kind) {
	case LITERAL: return element->c == c;
	case CLASS: return in_class(element->set, c);
	case GLOBSTAR: return true;
	default: return flags == GLOB_ANY || c != '/';
	}
}

static bool repeats(const struct element *element)
{
	return element->kind == STAR || element->kind == GLOBSTAR;
}

/* What stands before the first character with a meaning of its own. */
static size_t literal_prefix(struct span pattern)
{
	size_t length = 0;

	while (length < pattern.length && !strchr("*?[\\", pattern.data[length]))
		length++;
	return length;
}

/* Whether a brace-free pattern matches the whole text: `active` are the places in it from which the rest of the text may go on. */
static bool match_wild(struct span pattern, struct span text, enum glob_flags flags)
{
	bool active[LIMIT_GLOB_BYTES + 1] = { true }, next[LIMIT_GLOB_BYTES + 1];
	bool any = true;

	for (size_t t = 0; t <= text.length && any; t++) {
		any = false;
		memset(next, false, pattern.length + 1);
		for (size_t at = 0; at < pattern.length; at++) {
			struct element element;
			size_t used = active[at] ? parse_element(pattern, at, flags, &element) : 0;

			if (!used)
				continue;
			if (repeats(&element))
				active[at + used] = true;
			if (t < text.length && element_takes(&element, text.data[t], flags))
				any = next[repeats(&element) ? at : at + used] = true;
		}
		if (t == text.length)
			return active[pattern.length];
		memcpy(active, next, pattern.length + 1);
	}
	return false;
}

/* Most patterns fail or are decided by what stands before their first character with a meaning of its own. */
static bool match_plain(struct span pattern, struct span text, enum glob_flags flags)
{
	size_t prefix = literal_prefix(pattern);

	if (!span_equal(span_sub(text, 0, prefix), span_sub(pattern, 0, prefix)))
		return false;
	return prefix == pattern.length ? text.length == prefix : match_wild(span_from(pattern, prefix), span_from(text, prefix), flags);
}

/* The end of the group that opens at `open`, or -1; nesting is refused. */
static ptrdiff_t group_end(struct span pattern, size_t open)
{
	for (size_t i = open + 1; i < pattern.length; i++) {
		if (pattern.data[i] == '{')
			return -1;
		if (pattern.data[i] == '}')
			return (ptrdiff_t)i;
	}
	return -1;
}

static bool match_braces(struct span pattern, struct span text, enum glob_flags flags)
{
	ptrdiff_t open = span_index(pattern, '{'), close;
	struct span choices;

	if (open < 0)
		return match_plain(pattern, text, flags);
	close = group_end(pattern, (size_t)open);
	if (close < 0)
		return false;
	choices = span_sub(pattern, (size_t)open + 1, (size_t)(close - open) - 1);
	do {
		struct span choice = span_cut(&choices, ',');
		CLEANUP(str_release) struct str one = STR_LIMIT(LIMIT_GLOB_BYTES);

		str_add(&one, span_sub(pattern, 0, (size_t)open));
		str_add(&one, choice);
		str_add(&one, span_from(pattern, (size_t)close + 1));
		if (match_braces(str_span(&one), text, flags))
			return true;
	} while (choices.data);
	return false;
}

/* How many brace-free patterns the groups of a pattern make; more than LIMIT_GLOB_ALTERNATIVES when it is wrong. */
static size_t count_alternatives(struct span pattern)
{
	size_t count = 1;

	for (size_t i = 0; i < pattern.length && count <= LIMIT_GLOB_ALTERNATIVES; i++) {
		ptrdiff_t close;
		size_t choices = 1;

		if (pattern.data[i] != '{')
			continue;
		close = group_end(pattern, i);
		if (close < 0)
			return SIZE_MAX;
		for (; i < (size_t)close; i++)
			choices += pattern.data[i] == ',';
		count *= choices;
	}
	return count;
}

bool glob_valid(struct span pattern)
{
	struct element element;

	if (!pattern.length || pattern.length > LIMIT_GLOB_BYTES || span_has_nul(pattern) ||
	    count_alternatives(pattern) > LIMIT_GLOB_ALTERNATIVES)
		return false;
	for (size_t i = 0; i < pattern.length; i++) {
		if (pattern.data[i] == '[' && !parse_element(pattern, i, GLOB_ANY, &element))
			return false;
	}
	return true;
}

bool glob_match(struct span pattern, struct span text, enum glob_flags flags)
{
	return glob_valid(pattern) && match_braces(pattern, text, flags);
}
