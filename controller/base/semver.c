/* Versions, then constraints: reading, then the eight comparisons, each as the Go package has it. */
#include "base/semver.h"

#define TEXT_MOST 256

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
}

static bool parse_number(struct span text, uint64_t *out)
{
	uint64_t value = 0;

	for (size_t i = 0; i < text.length; i++)
		if (!is_digit(text.data[i]) || __builtin_mul_overflow(value, 10u, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(text.data[i] - '0'), &value))
			return false;
	*out = value;
	return text.length > 0;
}

static bool all_digits(struct span text)
{
	for (size_t i = 0; i < text.length; i++)
		if (!is_digit(text.data[i]))
			return false;
	return text.length > 0;
}

/* Length of dot-separated words at the start of the text, 0 when there is none. */
static size_t words_length(struct span text)
{
	size_t at = 0, end = 0;

	for (;;) {
		size_t start = at;

		while (at < text.length && is_word(text.data[at]))
			at++;
		if (at == start)
			return end;
		end = at;
		if (at == text.length || text.data[at] != '.')
			return end;
		at++;
	}
}

static bool pre_is_valid(struct span pre)
{
	while (pre.data) {
		struct span part = span_cut(&pre, '.');

		if (all_digits(part) && part.length > 1 && part.data[0] == '0')
			return false;
	}
	return true;
}

/* A version as the regular expressions of the package cut it: three parts that may be wild cards, and the prerelease. */
struct parts {
	struct span number[3];
	struct span pre;
};

static size_t take_number(struct span text, size_t at, bool wild, struct span *out)
{
	size_t start = at;

	while (at < text.length && (is_digit(text.data[at]) || (wild && text.data[at] && strchr("xX*|", text.data[at]))))
		at++;
	*out = span_sub(text, start, at - start);
	return at;
}

/* Cuts a version off the front of the text; returns its length, 0 when there is none. */
static size_t cut_version(struct span text, bool wild, struct parts *out)
{
	size_t at = text.length && text.data[0] == 'v', next;

	*out = (struct parts){ .pre = SPAN0 };
	at = take_number(text, at, wild, &out->number[0]);
	if (!out->number[0].length)
		return 0;
	for (unsigned i = 1; i < 3 && at < text.length && text.data[at] == '.'; i++) {
		next = take_number(text, at + 1, wild, &out->number[i]);
		if (!out->number[i].length)
			break;
		at = next;
	}
	if (at < text.length && text.data[at] == '-' && (next = words_length(span_from(text, at + 1))) > 0) {
		out->pre = span_sub(text, at + 1, next);
		at += 1 + next;
	}
	if (at < text.length && text.data[at] == '+' && (next = words_length(span_from(text, at + 1))) > 0)
		at += 1 + next;
	return at;
}

bool semver_parse(struct span text, struct semver *out)
{
	struct semver version = { 0, 0, 0, SPAN0 };
	struct parts parts;

	if (text.length > TEXT_MOST || cut_version(text, false, &parts) != text.length || !text.length)
		return false;
	if (!parse_number(parts.number[0], &version.major) ||
	    (parts.number[1].length && !parse_number(parts.number[1], &version.minor)) ||
	    (parts.number[2].length && !parse_number(parts.number[2], &version.patch)) || !pre_is_valid(parts.pre))
		return false;
	version.pre = parts.pre;
	*out = version;
	return true;
}

/* --- order ------------------------------------------------------------------------------------------------------ */

static int compare_numbers(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

/* Semantic Versioning 2.0.0, 11.4: numbers by value and below words, words by their bytes, fewer parts are less. */
static int compare_part(struct span a, struct span b)
{
	uint64_t x = 0, y = 0;
	bool a_number = parse_number(a, &x), b_number = parse_number(b, &y);

	if (span_equal(a, b))
		return 0;
	if (!a.length || !b.length)
		return a.length ? 1 : -1;
	if (a_number && b_number)
		return x > y ? 1 : -1;
	if (a_number != b_number)
		return a_number ? -1 : 1;
	return span_compare(a, b) > 0 ? 1 : -1;
}

static int compare_pre(struct span a, struct span b)
{
	int order = 0;

	while (!order && (a.data || b.data)) {
		struct span x = a.data ? span_cut(&a, '.') : SPAN0, y = b.data ? span_cut(&b, '.') : SPAN0;

		order = compare_part(x, y);
	}
	return order;
}

int semver_compare(const struct semver *a, const struct semver *b)
{
	int order = compare_numbers(a->major, b->major);

	if (!order)
		order = compare_numbers(a->minor, b->minor);
	if (!order)
		order = compare_numbers(a->patch, b->patch);
	if (order)
		return order;
	if (!a->pre.length || !b->pre.length)
		return (b->pre.length > 0) - (a->pre.length > 0);
	return compare_pre(a->pre, b->pre);
}

/* --- reading constraints ---------------------------------------------------------------------------------------- */

static const struct {
	const char *text;
	enum semver_operator operator;
} operators[] = {
	/* longer ones first */
	{ "!=", SEMVER_NOT_EQUAL }, { ">=", SEMVER_AT_LEAST }, { "=>", SEMVER_AT_LEAST }, { "<=", SEMVER_AT_MOST },
	{ "=<", SEMVER_AT_MOST },   { "~>", SEMVER_TILDE },    { "=", SEMVER_EQUAL },     { ">", SEMVER_GREATER },
	{ "<", SEMVER_LESS },       { "~", SEMVER_TILDE },     { "^", SEMVER_CARET },
};

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r' && c != '\v');
}

static size_t skip_space(struct span text, size_t at)
{
	while (at < text.length && is_space(text.data[at]))
		at++;
	return at;
}

static bool is_wild(struct span part)
{
	return !part.length || span_is(part, "x") || span_is(part, "X") || span_is(part, "*");
}

/* The version a clause compares with, open parts as 0. */
static bool fill_clause(const struct parts *parts, struct semver_clause *out)
{
	if (!pre_is_valid(parts->pre))
		return false;
	out->version = (struct semver){ 0, 0, 0, parts->pre };
	out->open = true;
	if (is_wild(parts->number[0]))
		return true;
	if (!parse_number(parts->number[0], &out->version.major))
		return false;
	if (is_wild(parts->number[1])) {
		out->minor_open = true;
		return true;
	}
	if (!parse_number(parts->number[1], &out->version.minor))
		return false;
	if (is_wild(parts->number[2])) {
		out->patch_open = true;
		return true;
	}
	out->open = false;
	return parse_number(parts->number[2], &out->version.patch);
}

static struct semver_clause *add_clause(struct semver_constraint *out, enum semver_operator operator, bool first)
{
	struct semver_clause *clause;

	if (out->count == SEMVER_CLAUSES_MAX)
		return NULL;
	clause = &out->clauses[out->count++];
	*clause = (struct semver_clause){ .operator = operator, .first_of_group = first };
	return clause;
}

static size_t cut_operator(struct span text, size_t at, enum semver_operator *out)
{
	*out = SEMVER_EQUAL;
	for (size_t i = 0; i < COUNT_OF(operators); i++)
		if (span_starts(span_from(text, at), operators[i].text)) {
			*out = operators[i].operator;
			return at + strlen(operators[i].text);
		}
	return at;
}

/* "A - B" after the operand A: past the dash, or 0. */
static size_t cut_dash(struct span text, size_t at)
{
	size_t dash = skip_space(text, at);

	if (dash == at || dash + 1 >= text.length || text.data[dash] != '-' || !is_space(text.data[dash + 1]))
		return 0;
	return skip_space(text, dash + 1);
}

/* One clause at `at`, or a range, which is two; returns what is behind it, 0 when there is none. */
static size_t parse_clause(struct span text, size_t at, bool first, struct semver_constraint *out)
{
	enum semver_operator operator;
	struct semver_clause *clause;
	size_t start = cut_operator(text, at, &operator), used, dash;
	struct parts parts;
	bool plain = start == at;

	start = skip_space(text, start);
	used = cut_version(span_from(text, start), true, &parts);
	at = start + used;
	dash = used && plain ? cut_dash(text, at) : 0;
	clause = add_clause(out, dash ? SEMVER_AT_LEAST : operator, first);
	if (!used || !clause || !fill_clause(&parts, clause))
		return 0;
	if (!dash)
		return at;
	used = cut_version(span_from(text, dash), true, &parts);
	clause = add_clause(out, SEMVER_AT_MOST, false);
	if (!used || !clause || !fill_clause(&parts, clause))
		return 0;
	return dash + used;
}

/* What stands between two clauses: white space or a comma. Returns the next clause's place, 0 when neither is there. */
static size_t skip_separator(struct span text, size_t end)
{
	size_t at = skip_space(text, end);

	if (at < text.length && text.data[at] == ',')
		return skip_space(text, at + 1);
	return at > end ? at : 0;
}

/* One alternative: at least one clause. */
static bool parse_group(struct span text, struct semver_constraint *out)
{
	size_t at = skip_space(text, 0), end = parse_clause(text, at, true, out);

	while (end && skip_space(text, end) < text.length) {
		at = skip_separator(text, end);
		end = at ? parse_clause(text, at, false, out) : 0;
	}
	return end != 0;
}

bool semver_constraint_parse(struct span text, struct semver_constraint *out)
{
	struct semver_constraint constraint = { .count = 0 };
	size_t start = 0;

	if (text.length > TEXT_MOST)
		return false;
	for (size_t at = 0; at <= text.length; at++) {
		bool bars = at + 1 < text.length && text.data[at] == '|' && text.data[at + 1] == '|';

		if (!bars && at < text.length)
			continue;
		if (!parse_group(span_sub(text, start, at - start), &constraint))
			return false;
		start = at + 2;
		at++;
	}
	*out = constraint;
	return true;
}

/* --- matching --------------------------------------------------------------------------------------------------- */

static bool matches_tilde(const struct semver_clause *c, const struct semver *v)
{
	if (semver_compare(v, &c->version) < 0)
		return false;
	if (!c->version.major && !c->version.minor && !c->version.patch && !c->minor_open && !c->patch_open)
		return true;
	return v->major == c->version.major && (v->minor == c->version.minor || c->minor_open);
}

static bool matches_caret(const struct semver_clause *c, const struct semver *v)
{
	if (semver_compare(v, &c->version) < 0)
		return false;
	if (c->version.major || c->minor_open || v->major != c->version.major)
		return v->major == c->version.major;
	if (c->version.minor || c->patch_open || v->minor != c->version.minor)
		return v->minor == c->version.minor;
	return v->patch == c->version.patch;
}

static bool matches_not_equal(const struct semver_clause *c, const struct semver *v)
{
	if (c->open) {
		if (c->version.major != v->major)
			return true;
		if (c->version.minor != v->minor && !c->minor_open)
			return true;
		if (c->minor_open)
			return false;
		if (c->version.patch != v->patch && !c->patch_open)
			return true;
		if (c->patch_open)
			return (v->pre.length || c->version.pre.length) && compare_pre(v->pre, c->version.pre) != 0;
	}
	return semver_compare(v, &c->version) != 0;
}

static bool matches_greater(const struct semver_clause *c, const struct semver *v)
{
	if (c->open && v->major != c->version.major)
		return v->major > c->version.major;
	if (c->minor_open)
		return false;
	if (c->patch_open)
		return v->minor > c->version.minor;
	return semver_compare(v, &c->version) > 0;
}

static bool matches_at_most(const struct semver_clause *c, const struct semver *v)
{
	if (!c->open)
		return semver_compare(v, &c->version) <= 0;
	if (v->major != c->version.major)
		return v->major < c->version.major;
	return v->minor <= c->version.minor || c->minor_open;
}

static bool matches(const struct semver_clause *c, const struct semver *v, bool with_pre)
{
	if (v->pre.length && !with_pre)
		return false;
	switch (c->operator) {
	case SEMVER_NOT_EQUAL: return matches_not_equal(c, v);
	case SEMVER_GREATER: return matches_greater(c, v);
	case SEMVER_LESS: return semver_compare(v, &c->version) < 0;
	case SEMVER_AT_LEAST: return semver_compare(v, &c->version) >= 0;
	case SEMVER_AT_MOST: return matches_at_most(c, v);
	case SEMVER_TILDE: return matches_tilde(c, v);
	case SEMVER_CARET: return matches_caret(c, v);
	default: return c->open ? matches_tilde(c, v) : semver_compare(v, &c->version) == 0;
	}
}

bool semver_constraint_matches(const struct semver_constraint *constraint, const struct semver *version)
{
	for (size_t i = 0; i < constraint->count;) {
		bool all = true, with_pre = false;
		size_t end = i;

		do {
			with_pre |= constraint->clauses[end].version.pre.length > 0;
			end++;
		} while (end < constraint->count && !constraint->clauses[end].first_of_group);
		for (; i < end; i++)
			all &= matches(&constraint->clauses[i], version, with_pre);
		if (all)
			return true;
	}
	return false;
}
