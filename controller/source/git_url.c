/* Cutting a URL where its parts end, and hiding one of them; see git_url.h. */
#include "source/git_url.h"

#include <ctype.h>

#define URL_MOST 2048

/* Index of the last '@' before one of `stops` or the end, plus 1; `start` when there is none. */
static size_t after_last_at(struct span text, size_t start, const char *stops, size_t *end)
{
	size_t after = start, i = start;

	for (; i < text.length && !strchr(stops, text.data[i]); i++)
		if (text.data[i] == '@')
			after = i + 1;
	*end = i;
	return after;
}

/* Whether what stands where a port should be is none: then it is the start of a password that holds a '/'. */
static bool has_odd_port(struct span authority)
{
	ptrdiff_t colon = span_rindex(authority, ':');

	if (colon < 0 || span_ends(authority, "]"))
		return false;
	for (size_t i = (size_t)colon + 1; i < authority.length; i++)
		if (authority.data[i] < '0' || authority.data[i] > '9')
			return true;
	return false;
}

/* Where user information of the authority that begins at `start` ends; `start` if there is none. */
static size_t after_user(struct span text, size_t start)
{
	size_t end, after = after_last_at(text, start, "/?# \t\r\n", &end);

	if (after == start && has_odd_port(span_sub(text, start, end - start)))
		after = after_last_at(text, start, " \t\r\n", &end);
	return after;
}

static size_t after_scheme(struct span text)
{
	const char *mark = text.length ? memmem(text.data, text.length, "://", 3) : NULL;

	return mark ? (size_t)(mark - text.data) + 3 : 0;
}

const char *git_url_redact(const char *text, struct arena *arena)
{
	struct span all = span_of(text);
	size_t scheme = after_scheme(all), user = after_user(all, scheme), end = user;

	while (end < all.length && all.data[end] != '?' && all.data[end] != '#')
		end++;
	return arena_printf(arena, "%.*s%.*s%s", SPAN_ARG(span_sub(all, 0, scheme)), SPAN_ARG(span_sub(all, user, end - user)),
			    end < all.length ? all.data[end] == '?' ? "?..." : "#..." : "");
}

void git_text_redact(char *text)
{
	for (char *mark = text; (mark = strstr(mark, "://")) != NULL; mark += 3) {
		struct span rest = span_of(mark + 3);
		size_t user = after_user(rest, 0);
		char *query, *end;

		memmove(mark + 3, mark + 3 + user, rest.length - user + 1);
		/* a query may be a token */
		end = mark + 3 + strcspn(mark + 3, " \t\r\n'\"<>");
		query = memchr(mark + 3, '?', (size_t)(end - mark - 3));
		if (query)
			memmove(query + 1, end, strlen(end) + 1);
	}
}

static int hex_value(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

/* Percent-decodes; false for a NUL or a broken escape. */
static bool decode(struct span text, struct arena *arena, const char **out)
{
	char *plain = arena_alloc(arena, text.length + 1);
	size_t length = 0;

	for (size_t i = 0; i < text.length; i++) {
		int high, low;

		if (text.data[i] != '%') {
			plain[length++] = text.data[i];
			continue;
		}
		high = i + 2 < text.length ? hex_value(text.data[i + 1]) : -1;
		low = i + 2 < text.length ? hex_value(text.data[i + 2]) : -1;
		if (high < 0 || low < 0 || (!high && !low))
			return false;
		plain[length++] = (char)(high << 4 | low);
		i += 2;
	}
	*out = plain;
	return true;
}

static bool is_scp_like(struct span text)
{
	ptrdiff_t colon = span_index(text, ':'), slash = span_index(text, '/');

	return colon > 0 && (slash < 0 || colon < slash);
}

static int check_text(struct span text, const char *shown, struct error *err)
{
	if (!text.length || text.length > URL_MOST)
		return error_set(err, ERROR_INVALID, "BadURL", "a repository URL of %zu bytes", text.length);
	for (size_t i = 0; i < text.length; i++)
		if ((unsigned char)text.data[i] <= ' ' || (unsigned char)text.data[i] >= 0x7f)
			return error_set(err, ERROR_INVALID, "BadURL", "repository URL with white space or a character that is not ASCII");
	if (span_starts(text, "http://") || span_starts(text, "https://"))
		return 0;
	if (!after_scheme(text) && !is_scp_like(text))
		return error_set(err, ERROR_INVALID, "BadURL", "'%.200s' is no URL; it must begin with https://", shown);
	return error_set(err, ERROR_INVALID, "NotSupported", "'%.200s': only http:// and https:// repositories are supported yet", shown);
}

static int parse_user(struct span user, struct arena *arena, struct git_url *out, struct error *err)
{
	struct span rest = user, name = span_cut(&rest, ':');

	out->user = out->password = "";
	if (!decode(name, arena, &out->user) || (rest.data && !decode(rest, arena, &out->password)))
		return error_set(err, ERROR_INVALID, "BadURL", "the user information of the repository URL has a broken escape");
	return 0;
}

/* "host", "host:80", "[::1]:80" */
static bool host_is_good(const char *host)
{
	return host[0] && host[0] != ':' && strspn(host, "abcdefghijklmnopqrstuvwxyz0123456789.-_:[]") == strlen(host) &&
	       !has_odd_port(span_of(host));
}

int git_url_parse(const char *text, struct arena *arena, struct git_url *out, struct error *err)
{
	struct span all = span_of(text ? text : "");
	const char *shown = git_url_redact(text ? text : "", arena);
	struct git_url url = { .user = "", .password = "" };
	size_t scheme, user, end, ignored;
	char *host;

	if (check_text(all, shown, err))
		return -1;
	scheme = after_scheme(all);
	/* as RFC 3986 cuts it: what is shown hides more, but what is dialled must not depend on a guess */
	user = after_last_at(all, scheme, "/?#", &ignored);
	if (user > scheme && parse_user(span_sub(all, scheme, user - scheme - 1), arena, &url, err))
		return -1;
	for (end = user; end < all.length && all.data[end] != '/'; end++)
		;
	host = arena_strndup(arena, span_sub(all, user, end - user));
	for (char *c = host; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	if (!host_is_good(host) || strpbrk(text, "?#\\"))
		return error_set(err, ERROR_INVALID, "BadURL",
				 "'%.200s' has no proper host, or a query, a fragment or a backslash", shown);
	while (all.length > end && all.data[all.length - 1] == '/')
		all.length--;
	url.scheme = arena_strndup(arena, span_sub(all, 0, scheme - 3));
	url.host = host;
	url.url = arena_printf(arena, "%s://%s%.*s", url.scheme, host, SPAN_ARG(span_from(all, end)));
	*out = url;
	return 0;
}
