/* WWW-Authenticate, Link and Content-Type; see header.h. */
#include "oci/header.h"

#include <strings.h>

#define CHALLENGES_MAX 16
#define PARAMETERS_MAX 32
#define VALUE_MAX 4096u

/* A reader of a header value: `rest` shrinks from the left. */
static void skip_space(struct span *rest)
{
	while (rest->length && (rest->data[0] == ' ' || rest->data[0] == '\t'))
		*rest = span_from(*rest, 1);
}

/* RFC 9110 5.6.2 */
static bool is_token(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static struct span take_token(struct span *rest)
{
	size_t i = 0;
	struct span token;

	while (i < rest->length && is_token(rest->data[i]))
		i++;
	token = span_sub(*rest, 0, i);
	*rest = span_from(*rest, i);
	return token;
}

static bool take_char(struct span *rest, char c)
{
	if (!rest->length || rest->data[0] != c)
		return false;
	*rest = span_from(*rest, 1);
	return true;
}

/* RFC 9110 5.6.4: a quoted-string, backslash escapes resolved; false when it does not end. */
static bool take_quoted(struct span *rest, struct str *out)
{
	if (!take_char(rest, '"'))
		return false;
	while (rest->length) {
		char c = rest->data[0];

		*rest = span_from(*rest, 1);
		if (c == '"')
			return true;
		if (c == '\\') {
			if (!rest->length)
				return false;
			c = rest->data[0];
			*rest = span_from(*rest, 1);
		}
		if ((unsigned char)c < ' ' || c == 0x7f)
			return false;
		str_addc(out, c);
	}
	return false;
}

static bool take_value(struct span *rest, struct str *out)
{
	if (rest->length && rest->data[0] == '"')
		return take_quoted(rest, out);
	str_add(out, take_token(rest));
	return out->length > 0;
}

static bool name_is(struct span name, const char *wanted)
{
	return name.length == strlen(wanted) && !strncasecmp(name.data, wanted, name.length);
}

static void keep(struct challenge *c, struct span name, struct span value, struct arena *arena)
{
	const struct { const char *name; const char **at; } known[] = {
		{ "realm", &c->realm }, { "service", &c->service }, { "scope", &c->scope }, { "error", &c->error },
	};

	for (size_t i = 0; i < COUNT_OF(known); i++)
		if (name_is(name, known[i].name) && !*known[i].at)
			*known[i].at = arena_strndup(arena, value);
}

/* name BWS "=" BWS value; false, with *rest as it was, when no parameter stands there. */
static bool take_parameter(struct span *rest, struct challenge *c, struct arena *arena)
{
	CLEANUP(str_release) struct str value = STR_LIMIT(VALUE_MAX);
	struct span at = *rest, name = take_token(&at);

	skip_space(&at);
	if (!name.length || !take_char(&at, '='))
		return false;
	skip_space(&at);
	if (!take_value(&at, &value) || value.overflow)
		return false;
	keep(c, name, str_span(&value), arena);
	*rest = at;
	return true;
}

static void skip_commas(struct span *rest)
{
	do
		skip_space(rest);
	while (take_char(rest, ','));
}

/* A scheme and its parameters, up to the next scheme. */
static bool take_challenge(struct span *rest, struct arena *arena, struct challenge *out)
{
	struct span scheme;

	skip_commas(rest);
	scheme = take_token(rest);
	if (!scheme.length)
		return false;
	out->scheme = name_is(scheme, "bearer") ? CHALLENGE_BEARER : name_is(scheme, "basic") ? CHALLENGE_BASIC : CHALLENGE_NONE;
	for (int i = 0; i < PARAMETERS_MAX; i++) {
		if (i)
			skip_commas(rest);
		else
			skip_space(rest);
		if (!take_parameter(rest, out, arena))
			break;
	}
	return true;
}

void challenge_parse(struct span value, struct arena *arena, struct challenge *out)
{
	struct challenge best = { .scheme = CHALLENGE_NONE };

	for (int i = 0; i < CHALLENGES_MAX; i++) {
		struct challenge one = { .scheme = CHALLENGE_NONE };

		if (!take_challenge(&value, arena, &one))
			break;
		if (one.scheme == CHALLENGE_BEARER && one.realm) {
			best = one;
			break;
		}
		if (one.scheme == CHALLENGE_BASIC && best.scheme == CHALLENGE_NONE)
			best = one;
	}
	*out = best;
}

/* Whether a parameter ;name=value says rel="next", alone or among others; *rest moves behind it. */
static bool take_link_parameter(struct span *rest, bool *is_next)
{
	CLEANUP(str_release) struct str value = STR_LIMIT(VALUE_MAX);
	struct span name, words;

	skip_space(rest);
	if (!take_char(rest, ';'))
		return false;
	skip_space(rest);
	name = take_token(rest);
	skip_space(rest);
	if (!name.length)
		return false;
	if (take_char(rest, '=')) {
		skip_space(rest);
		if (!take_value(rest, &value) || value.overflow)
			return false;
	}
	for (words = str_span(&value); words.data && name_is(name, "rel");)
		if (name_is(span_cut(&words, ' '), "next"))
			*is_next = true;
	return true;
}

struct span link_next(struct span value)
{
	for (int i = 0; i < CHALLENGES_MAX; i++) {
		bool is_next = false;
		struct span target;
		ptrdiff_t end;

		skip_commas(&value);
		end = span_index(value, '>');
		if (!take_char(&value, '<') || end < 0)
			return SPAN0;
		target = span_sub(value, 0, (size_t)end - 1);
		value = span_from(value, (size_t)end);
		while (take_link_parameter(&value, &is_next))
			;
		if (is_next)
			return target;
	}
	return SPAN0;
}

const char *media_type_of(struct span content_type, struct arena *arena)
{
	struct span type = span_trim(span_cut(&content_type, ';'));
	char *out;

	if (type.length > 255)
		return "";
	for (size_t i = 0; i < type.length; i++)
		if (!is_token(type.data[i]) && type.data[i] != '/')
			return "";
	out = arena_strndup(arena, type);
	for (char *c = out; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	return out;
}
