/* One form for a repository's URL; see repo_url.h. */
#include "api/repo_url.h"

#include <ctype.h>
#include <stdlib.h>

#include "base/address.h"
#include "base/glob.h"

static int ambiguous(struct error *err, const char *what)
{
	return error_set(err, ERROR_DENIED, "RepositoryNotPermitted", "the URL has %s, so that it may be read as another repository than "
			 "the one compared: write spec.source.repoURL plainly", what);
}

static bool is_unreserved(int c)
{
	return isalnum(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Escapes only where they are needed, in upper case: each path has then one spelling. */
static int check_escapes(struct span text, struct error *err)
{
	for (size_t i = 0; i < text.length; i++) {
		int high, low, c;

		if (text.data[i] != '%')
			continue;
		high = i + 2 < text.length ? hex(text.data[i + 1]) : -1;
		low = i + 2 < text.length ? hex(text.data[i + 2]) : -1;
		c = high < 0 || low < 0 ? 0 : high << 4 | low;
		if (c < 0x20 || c == 0x7f || is_unreserved(c) || strchr("/\\%:@?#", c))
			return ambiguous(err, "a percent-escape of a character that needs none");
		i += 2;
	}
	return 0;
}

static bool ends_in_git(struct span text)
{
	return text.length >= 4 && !strncasecmp(text.data + text.length - 4, ".git", 4);
}

static int check_path(struct span path, struct error *err)
{
	struct span rest = path;

	if (check_escapes(path, err))
		return -1;
	while (rest.length) {
		struct span segment = span_cut(&rest, '/');

		if (!segment.length)
			return ambiguous(err, "an empty path segment");
		if (span_is(segment, ".") || span_is(segment, "..") || (segment.length == 4 && ends_in_git(segment)))
			return ambiguous(err, "a path segment \".\", \"..\" or \".git\"");
	}
	return 0;
}

/* A name, or an address in brackets, and at most one port; a pattern may have more in its place. */
static int check_host(struct span authority, struct error *err)
{
	bool brackets = span_starts(authority, "[");
	ptrdiff_t end = span_index(authority, brackets ? ']' : ':');
	struct span host = span_sub(authority, 0, end < 0 ? authority.length : (size_t)end), port;

	for (size_t i = brackets; i < host.length; i++)
		if (!isalnum((unsigned char)host.data[i]) && !strchr(brackets ? ":." : ".-_", host.data[i]))
			return ambiguous(err, "a character in its host that no host has");
	if (end < 0)
		return brackets ? ambiguous(err, "a bracket in its host that is not closed") : 0;
	port = span_from(authority, (size_t)end + brackets);
	if (port.length && (port.data[0] != ':' || span_index(span_from(port, 1), ':') >= 0))
		return ambiguous(err, "more behind its host than a port");
	return 0;
}

/* "host", "host:8080", "[::1]:8080"; the port that the scheme implies is left out. */
static int add_host(struct span authority, bool tls, struct str *out, struct error *err)
{
	ptrdiff_t colon = span_ends(authority, "]") ? -1 : span_rindex(authority, ':');
	struct span host = colon < 0 ? authority : span_sub(authority, 0, (size_t)colon);
	struct span port = colon < 0 ? SPAN0 : span_from(authority, (size_t)colon + 1);

	if (!host.length || span_ends(host, ".") || span_starts(host, "."))
		return ambiguous(err, "no host, or one that begins or ends in a dot");
	if (span_index(host, '%') >= 0)
		return ambiguous(err, "a percent-escape in its host");
	for (size_t i = 0; i < host.length; i++)
		str_addc(out, (char)tolower((unsigned char)host.data[i]));
	if (colon < 0)
		return 0;
	for (size_t i = 0; i < port.length; i++)
		if (!isdigit((unsigned char)port.data[i]))
			return ambiguous(err, "a port that is no number");
	if (!port.length || port.data[0] == '0')
		return ambiguous(err, "a port that is empty or begins with 0");
	if (!span_is(port, tls ? "443" : "80"))
		str_addf(out, ":%.*s", SPAN_ARG(port));
	return 0;
}

static struct span without_end(struct span text)
{
	while (span_ends(text, "/"))
		text.length--;
	/* "x/.git" is the folder of a repository, and not "x/" with an end */
	if (span_ends(text, ".git") && !span_ends(text, "/.git"))
		text.length -= 4;
	return text;
}

/* The scheme's end, 0 when it is neither of the two that are built. */
static size_t scheme_length(struct span url, bool *tls)
{
	static const char *const schemes[] = { "https://", "http://" };

	for (size_t i = 0; i < COUNT_OF(schemes); i++) {
		size_t length = strlen(schemes[i]);

		*tls = !i;
		if (url.length > length && !strncasecmp(url.data, schemes[i], length))
			return length;
	}
	return 0;
}

int repo_url_canonical(const char *url, struct str *out, struct error *err)
{
	struct span text = span_of(url), rest, authority;
	size_t scheme;
	bool tls;

	for (size_t i = 0; i < text.length; i++)
		if ((unsigned char)text.data[i] <= ' ' || (unsigned char)text.data[i] >= 0x7f || strchr("\\?#", text.data[i]))
			return ambiguous(err, "white space, a backslash, a query, a fragment or a character that is not ASCII");
	scheme = scheme_length(text, &tls);
	if (!scheme)
		return error_set(err, ERROR_DENIED, "RepositoryNotPermitted", "the URL does not begin with https:// or http://, and no other "
				 "scheme is built");
	rest = span_from(text, scheme);
	authority = span_cut(&rest, '/');
	rest = without_end(rest);
	if (span_index(authority, '@') >= 0)
		return ambiguous(err, "a user name or password");
	str_adds(out, tls ? "https://" : "http://");
	if (check_host(authority, err) || add_host(authority, tls, out, err) || check_path(rest, err))
		return -1;
	if (ends_in_git(rest))
		return ambiguous(err, "more than one \".git\" at its end, or one in other letters");
	if (rest.length)
		str_addf(out, "/%.*s", SPAN_ARG(rest));
	return 0;
}

/* A pattern in the same form, as far as it has parts that a URL has. */
static void canonical_pattern(const char *pattern, struct str *out)
{
	struct span text = span_of(pattern), rest, authority;
	struct error err = ERROR_INIT;
	size_t scheme, before;
	bool tls;

	scheme = scheme_length(text, &tls);
	rest = span_from(text, scheme);
	if (!scheme) {
		str_add(out, without_end(rest));
		return;
	}
	authority = span_cut(&rest, '/');
	rest = without_end(rest);
	str_adds(out, tls ? "https://" : "http://");
	before = out->length;
	/* a host with stars or braces in its port is taken as it stands */
	if (add_host(authority, tls, out, &err)) {
		str_drop_to(out, before);
		str_add(out, authority);
	}
	if (rest.data && rest.length)
		str_addf(out, "/%.*s", SPAN_ARG(rest));
}

static void lower(struct str *text)
{
	for (size_t i = 0; i < text->length; i++)
		text->data[i] = (char)tolower((unsigned char)text->data[i]);
}

bool repo_url_matches(const char *pattern, struct span canonical, bool deny)
{
	CLEANUP(str_release) struct str rule = STR_INIT, url = STR_INIT;

	canonical_pattern(pattern, &rule);
	str_add(&url, canonical);
	if (deny) {
		lower(&rule);
		lower(&url);
	}
	return span_is(str_span(&rule), "*") || glob_match(str_span(&rule), str_span(&url), GLOB_PATH);
}

static struct span authority_of(struct span url)
{
	bool tls;
	struct span rest = span_from(url, scheme_length(url, &tls));

	return span_cut(&rest, '/');
}

bool repo_url_is_loopback(struct span canonical)
{
	return address_host_is_loopback(authority_of(canonical));
}

bool repo_pattern_names_host(const char *pattern)
{
	struct span text = span_of(pattern), host = authority_of(text);
	bool tls;

	return scheme_length(text, &tls) && span_index(host, '*') < 0 && span_index(host, '?') < 0 && span_index(host, '{') < 0;
}

/* Whether it may match a URL at all: a pattern of a host without a scheme never does. */
static bool can_match(struct span pattern)
{
	const char *mark = memmem(pattern.data, pattern.length, "://", 3);
	struct span rest = pattern, host = span_cut(&rest, '/');
	struct span scheme = mark ? span_sub(pattern, 0, (size_t)(mark - pattern.data)) : host;

	for (size_t i = 0; i < scheme.length; i++)
		if (strchr("*?[{", scheme.data[i]))
			return true;
	/* ssh URLs: not built, and so never contacted */
	return mark || span_index(host, ':') > 0;
}

int repo_pattern_check(const char *rule, struct error *err)
{
	struct span text = span_of(rule + (*rule == '!')), authority;
	bool tls;
	size_t scheme = scheme_length(text, &tls);

	if (!scheme && can_match(text))
		return 0;
	text = span_from(text, scheme);
	authority = span_cut(&text, '/');
	if (scheme && span_index(authority, '@') < 0 && !check_escapes(text, err))
		return 0;
	return error_set(err, ERROR_INVALID, "InvalidProject", "spec.sourceRepos has the entry \"%s\", which no repository can match: a URL "
			 "begins with https:// or http://, and is refused when it has a user name or a percent-escape of a character that "
			 "needs none; write it plainly", rule);
}
