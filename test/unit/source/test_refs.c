/* source/: URLs and their secrets, pkt-lines, what servers say of refs and what a targetRevision means, jobs as bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "source/git_url.h"
#include "source/pkt_line.h"
#include "source/refs.h"

static struct arena *arena;
static struct error err;

static int setup(void **state)
{
	(void)state;
	arena = arena_new(0);
	err = (struct error)ERROR_INIT;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_cleanup(&arena);
	return 0;
}

static void says(const struct error *error, const char *reason, const char *text)
{
	assert_string_equal(error->reason, reason);
	if (!strstr(error->text, text))
		fail_msg("\"%s\" does not say \"%s\"", error->text, text);
}

/* --- URLs --------------------------------------------------------------------------------------------------------- */

static void url_is_cut_into_its_parts(void **state)
{
	static const struct {
		const char *text, *url, *host, *user, *password;
	} table[] = {
		{ "https://git.example/ops/shop.git", "https://git.example/ops/shop.git", "git.example", "", "" },
		{ "http://Git.Example:8080/A/", "http://git.example:8080/A", "git.example:8080", "", "" },
		{ "https://user:p%40ss@h/r", "https://h/r", "h", "user", "p@ss" },
		{ "https://tok@h/r//", "https://h/r", "h", "tok", "" },
		{ "https://a@b@h/r", "https://h/r", "h", "a@b", "" },
		{ "https://h", "https://h", "h", "", "" },
		{ "https://h/a@b", "https://h/a@b", "h", "", "" },
		{ "https://[::1]:80/r", "https://[::1]:80/r", "[::1]:80", "", "" },
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(table); i++) {
		struct git_url url;

		if (git_url_parse(table[i].text, arena, &url, &err))
			fail_msg("%s: %s", table[i].text, err.text);
		assert_string_equal(url.url, table[i].url);
		assert_string_equal(url.host, table[i].host);
		assert_string_equal(url.user, table[i].user);
		assert_string_equal(url.password, table[i].password);
	}
}

static void url_that_is_not_supported_is_refused_without_its_secret(void **state)
{
	static const struct {
		const char *text, *reason;
	} table[] = {
		{ "ssh://s3cret@h/r", "NotSupported" }, { "git@github.com:a/b.git", "NotSupported" }, { "git://h/r", "NotSupported" },
		{ "file:///etc", "NotSupported" }, { "ftp://u:s3cret@h/r", "NotSupported" }, { "/local/path", "BadURL" }, { "", "BadURL" },
		{ "https://", "BadURL" }, { "https:///r", "BadURL" }, { "https://u:s3cret@/r", "BadURL" }, { "https://h/r?x=s", "BadURL" },
		{ "https://h/r#f", "BadURL" }, { "https://h/a b", "BadURL" }, { "https://h/\r\nX: y", "BadURL" }, { "https://u:s3cret%zz@h/", "BadURL" },
		{ "https://h\\@e/r", "BadURL" }, { "HTTPS://u:s3cret@h/r", "NotSupported" }, { "https://u:s3cret%00@h/r", "BadURL" },
		{ "ext::sh -c x", "BadURL" }, { "https://:80/r", "BadURL" }, { "https://h'/r", "BadURL" }, { "https://u:s3cret/x@h/r", "BadURL" }, { "https://h:80x/r", "BadURL" },
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(table); i++) {
		struct git_url url;

		if (!git_url_parse(table[i].text, arena, &url, &err))
			fail_msg("accepted: %s", table[i].text);
		says(&err, table[i].reason, "");
		assert_int_equal(err.kind, ERROR_INVALID);
		assert_null(strstr(err.text, "s3cret"));
	}
}

static void url_is_shown_without_user_information(void **state)
{
	static const struct {
		const char *text, *shown;
	} table[] = {
		{ "https://u:p@h/r", "https://h/r" }, { "https://h/r@x", "https://h/r@x" }, { "u:p@h:r", "h:r" }, { "https://a@b:c@h", "https://h" },
		{ "nothing", "nothing" }, { "", "" }, { "https://u:p'q@h/r", "https://h/r" }, { "https://u:a/b@h/r", "https://h/r" },
		{ "https://h:80/r@x", "https://h:80/r@x" }, { "https://[::1]/r@x", "https://[::1]/r@x" },
		{ "https://h/r?token=s", "https://h/r?..." }, { "https://h/r#s", "https://h/r#..." }, { "u:p@h/r?s", "h/r?..." },
	};
	char message[] = "could not reach https://u:p@h/x, 'https://t@h2', http://h3/a@b nor x://@y, https://h/r?token=s 'http://h?s' end";

	(void)state;
	for (size_t i = 0; i < COUNT_OF(table); i++)
		assert_string_equal(git_url_redact(table[i].text, arena), table[i].shown);
	git_text_redact(message);
	assert_string_equal(message, "could not reach https://h/x, 'https://h2', http://h3/a@b nor x://y, https://h/r? 'http://h?' end");
}

/* --- pkt-lines ------------------------------------------------------------------------------------------------------- */

static void pkt_lines_are_read_one_by_one(void **state)
{
	struct span rest = SPAN("0006a\n0005b0000000100020004"), line;
	static const enum pkt_kind kinds[] = { PKT_DATA, PKT_DATA, PKT_FLUSH, PKT_DELIM, PKT_RESPONSE_END, PKT_DATA, PKT_NONE };
	static const char *const lines[] = { "a", "b", "", "", "", "", "" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		enum pkt_kind kind;

		assert_int_equal(pkt_next(&rest, &kind, &line, &err), 0);
		assert_int_equal(kind, kinds[i]);
		assert_true(span_is(line, lines[i]));
	}
}

static void pkt_lines_that_are_cut_or_impossible_are_refused(void **state)
{
	static const char *const texts[] = { "0", "000", "0003", "0005", "0009abcd", "zzzz", "-001", "fff5", "ffff" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		struct span rest = span_of(texts[i]), line;
		enum pkt_kind kind;

		assert_int_equal(pkt_next(&rest, &kind, &line, &err), -1);
		says(&err, "BadProtocol", "cut or garbled");
		assert_int_equal(err.kind, ERROR_TRANSIENT);
	}
}

static void pkt_lines_read_back_as_they_were_written(void **state)
{
	CLEANUP(str_release) struct str text = STR_INIT, most = STR_INIT;
	struct span rest, line;
	enum pkt_kind kind;

	(void)state;
	for (unsigned i = 0; i < PKT_PAYLOAD_MAX; i++)
		str_addc(&most, 'x');
	pkt_addf(&text, "want %s\n", "abc");
	pkt_add_delim(&text);
	pkt_add(&text, str_span(&most));
	pkt_add_flush(&text);
	rest = str_span(&text);
	assert_int_equal(pkt_next(&rest, &kind, &line, &err), 0);
	assert_true(kind == PKT_DATA && span_is(line, "want abc"));
	assert_int_equal(pkt_next(&rest, &kind, &line, &err), 0);
	assert_int_equal(kind, PKT_DELIM);
	assert_int_equal(pkt_next(&rest, &kind, &line, &err), 0);
	assert_true(kind == PKT_DATA && line.length == PKT_PAYLOAD_MAX);
	assert_int_equal(pkt_next(&rest, &kind, &line, &err), 0);
	assert_true(kind == PKT_FLUSH && !rest.length);
}

/* --- what servers say -------------------------------------------------------------------------------------------- */

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C "cccccccccccccccccccccccccccccccccccccccc"
#define D "dddddddddddddddddddddddddddddddddddddddd"
#define ZERO "0000000000000000000000000000000000000000"

static void line(struct str *out, const char *text)
{
	pkt_addf(out, "%s\n", text);
}

static void first_line(struct str *out, const char *text, const char *capabilities)
{
	CLEANUP(str_release) struct str payload = STR_INIT;

	str_adds(&payload, text);
	str_addc(&payload, '\0');
	str_addf(&payload, "%s\n", capabilities);
	pkt_add(out, str_span(&payload));
}

static void advertisement_of_the_old_protocol_is_read(void **state)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	struct advertisement got;

	(void)state;
	line(&text, "# service=git-upload-pack");
	pkt_add_flush(&text);
	first_line(&text, A " HEAD", "multi_ack symref=HEAD:refs/heads/main agent=git/2");
	line(&text, A " refs/heads/main");
	line(&text, B " refs/tags/v1");
	line(&text, C " refs/tags/v1^{}");
	pkt_add_flush(&text);
	assert_int_equal(advertisement_parse(str_span(&text), arena, &got, &err), 0);
	assert_int_equal(got.version, 0);
	assert_int_equal(got.refs.count, 3);
	assert_string_equal(got.refs.items[2].id, B);
	assert_string_equal(got.refs.items[2].peeled, C);
	/* every cut of it is an error, never a shorter truth */
	for (size_t i = 0; i < text.length; i++)
		assert_int_equal(advertisement_parse(span_make(text.data, i), arena, &got, &err), -1);
}

static void advertisement_of_an_empty_repository_has_no_refs(void **state)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	struct advertisement got;

	(void)state;
	first_line(&text, ZERO " capabilities^{}", "agent=x");
	pkt_add_flush(&text);
	assert_int_equal(advertisement_parse(str_span(&text), arena, &got, &err), 0);
	assert_int_equal(got.refs.count, 0);
}

static void advertisement_of_protocol_2_has_no_refs_yet(void **state)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	struct advertisement got;

	(void)state;
	line(&text, "# service=git-upload-pack");
	pkt_add_flush(&text);
	line(&text, "version 2");
	line(&text, "ls-refs=unborn");
	line(&text, "object-format=sha1");
	pkt_add_flush(&text);
	assert_int_equal(advertisement_parse(str_span(&text), arena, &got, &err), 0);
	assert_int_equal(got.version, 2);
	assert_int_equal(got.refs.count, 0);
}

static void advertisement_that_is_wrong_is_refused(void **state)
{
	static const struct {
		const char *lines[4], *reason;
	} table[] = {
		{ { "# service=git-receive-pack" }, "BadProtocol" },
		{ { "not a ref" }, "BadProtocol" },
		{ { A "refs/heads/x" }, "BadProtocol" },
		{ { A " " }, "BadProtocol" },
		{ { "AAAA" A " refs/heads/x" }, "BadProtocol" },
		{ { A " refs/tags/a", B " refs/tags/b^{}" }, "BadProtocol" },
		{ { B " refs/tags/b^{}" }, "BadProtocol" },
		{ { A " refs/heads/\xff" }, "BadProtocol" },
		{ { "ERR access denied or repository not exported: /x" }, "RepositoryNotFound" },
		{ { "version 2", "object-format=sha256" }, "NotSupported" },
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(table); i++) {
		CLEANUP(str_release) struct str text = STR_INIT;
		struct advertisement got;

		for (size_t j = 0; j < 4 && table[i].lines[j]; j++)
			line(&text, table[i].lines[j]);
		pkt_add_flush(&text);
		assert_int_equal(advertisement_parse(str_span(&text), arena, &got, &err), -1);
		says(&err, table[i].reason, "");
	}
	CLEANUP(str_release) struct str text = STR_INIT;
	struct advertisement got;
	first_line(&text, A " HEAD", "object-format=sha256");
	pkt_add_flush(&text);
	assert_int_equal(advertisement_parse(str_span(&text), arena, &got, &err), -1);
	says(&err, "NotSupported", "SHA-256");
}

static void ls_refs_asks_only_for_what_a_revision_may_mean(void **state)
{
	const char *revisions[] = { "main", "1.x", "refs/heads/x", A, "", "bad\nname" };
	struct source_refs_request request = { revisions, COUNT_OF(revisions) };
	CLEANUP(str_release) struct str text = STR_INIT, plain = STR_INIT;
	struct span rest, one;
	enum pkt_kind kind;

	(void)state;
	ls_refs_request(&request, &text);
	rest = str_span(&text);
	do {
		assert_int_equal(pkt_next(&rest, &kind, &one, &err), 0);
		str_addf(&plain, "%.*s|", SPAN_ARG(one));
	} while (kind != PKT_FLUSH);
	assert_string_equal(str_c(&plain), "command=ls-refs|agent=git/countersign|object-format=sha1||peel|ref-prefix HEAD|"
					   "ref-prefix refs/heads/main|ref-prefix refs/tags/main|"
					   "ref-prefix refs/tags/|ref-prefix refs/heads/1.x|ref-prefix refs/tags/1.x|"
					   "ref-prefix refs/heads/x|ref-prefix refs/heads/refs/heads/x|ref-prefix refs/tags/refs/heads/x||");
	assert_int_equal(rest.length, 0);
}

static void ls_refs_answer_is_read_with_peeled_tags(void **state)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	struct git_refs refs;

	(void)state;
	line(&text, "unborn HEAD symref-target:refs/heads/main");
	line(&text, A " HEAD symref-target:refs/heads/main");
	line(&text, B " refs/tags/v1 peeled:" C);
	pkt_add_flush(&text);
	assert_int_equal(ls_refs_parse(str_span(&text), arena, &refs, &err), 0);
	assert_int_equal(refs.count, 2);
	assert_true(span_is(refs.items[0].name, "HEAD"));
	assert_string_equal(refs.items[1].peeled, C);
	for (size_t i = 0; i < text.length; i++)
		assert_int_equal(ls_refs_parse(span_make(text.data, i), arena, &refs, &err), -1);
	str_reset(&text);
	line(&text, B " refs/tags/v1 peeled:xyz");
	pkt_add_flush(&text);
	assert_int_equal(ls_refs_parse(str_span(&text), arena, &refs, &err), -1);
	says(&err, "BadProtocol", "peeled");
}

/* --- what a revision means ------------------------------------------------------------------------------------------ */

static void refs_resolve_as_argo_does(void **state)
{
	static const char *const lines[] = {
		A " HEAD", A " refs/heads/main", B " refs/heads/both", C " refs/tags/both", D " refs/heads/rel-1.x", B " refs/heads/9.x",
		A " refs/heads/same", C " refs/tags/same peeled:" A,
		A " refs/tags/v1.0.0", B " refs/tags/1.1.0", C " refs/tags/v1.2.0 peeled:" D, B " refs/tags/2.0.0-rc.1", B " refs/tags/2.0.0",
		B " refs/tags/not-a-version", C " refs/tags/v3", B " refs/pull/1/head",
	};
	static const struct {
		const char *revision, *commit, *ref;
	} table[] = {
		{ "", A, "HEAD" }, { "HEAD", A, "HEAD" }, { "main", A, "refs/heads/main" }, { "refs/heads/both", B, "refs/heads/both" },
		{ "refs/tags/both", C, "refs/tags/both" }, { "refs/pull/1/head", B, "refs/pull/1/head" },
		{ "v1.2.0", D, "refs/tags/v1.2.0" }, { "1.1.0", B, "refs/tags/1.1.0" }, { "v3", C, "refs/tags/v3" },
		{ "1.x", D, "refs/tags/v1.2.0" }, { ">=1.0 <1.2", B, "refs/tags/1.1.0" }, { "~1.0", A, "refs/tags/v1.0.0" }, { "^1", D, "refs/tags/v1.2.0" },
		{ "*", C, "refs/tags/v3" }, { ">=2.0.0-0 <3", B, "refs/tags/2.0.0" }, { "rel-1.x", D, "refs/heads/rel-1.x" },
		{ "9.x", B, "refs/heads/9.x" }, { "DDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDD", D, "" }, { D, D, "" },
		{ "same", A, "refs/heads/same" },
		{ "1.2.0", NULL, "there is no branch or tag '1.2.0'" }, { "4.x", NULL, "no tag satisfies '4.x'" }, { "nope", NULL, "'nope'" },
		{ "aaaaaaa", NULL, "all its 40 digits" }, { "heads/main", NULL, "" }, { "refs/heads/", NULL, "" }, { "..", NULL, "" },
		{ "main~1", NULL, "" }, { "@{-1}", NULL, "" }, { "main:path", NULL, "" }, { "--upload-pack=x", NULL, "" },
	};
	CLEANUP(str_release) struct str text = STR_INIT;
	struct git_refs refs;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(lines); i++)
		line(&text, lines[i]);
	pkt_add_flush(&text);
	assert_int_equal(ls_refs_parse(str_span(&text), arena, &refs, &err), 0);
	for (size_t i = 0; i < COUNT_OF(table); i++) {
		struct source_ref got;

		refs_resolve(&refs, table[i].revision, arena, &got);
		if (!table[i].commit) {
			says(&got.error, "RevisionNotFound", table[i].ref);
			assert_int_equal(got.error.kind, ERROR_INVALID);
			assert_string_equal(got.commit, "");
			continue;
		}
		if (strcmp(got.commit, table[i].commit) != 0)
			fail_msg("%s: %s", table[i].revision, got.commit);
		assert_string_equal(got.ref, table[i].ref);
	}
}

static void branch_and_tag_of_one_name_are_neither(void **state)
{
	static const char *const lines[] = { A " HEAD", B " refs/heads/v1", C " refs/tags/v1 peeled:" D };
	CLEANUP(str_release) struct str text = STR_INIT;
	struct git_refs refs;
	struct source_ref got;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(lines); i++)
		line(&text, lines[i]);
	pkt_add_flush(&text);
	assert_int_equal(ls_refs_parse(str_span(&text), arena, &refs, &err), 0);
	refs_resolve(&refs, "v1", arena, &got);
	says(&got.error, "AmbiguousRevision", "refs/heads/v1 or refs/tags/v1");
	assert_int_equal(got.error.kind, ERROR_INVALID);
	assert_string_equal(got.commit, "");
	refs_resolve(&refs, "refs/heads/v1", arena, &got);
	assert_string_equal(got.commit, B);
	refs_resolve(&refs, "refs/tags/v1", arena, &got);
	assert_string_equal(got.commit, D);
}

static void refs_of_an_empty_repository_say_so(void **state)
{
	struct git_refs none = { NULL, 0 };
	struct source_ref got;

	(void)state;
	refs_resolve(&none, "HEAD", arena, &got);
	says(&got.error, "RevisionNotFound", "no commit yet");
}

/* --- jobs as bytes --------------------------------------------------------------------------------------------------- */

static void job_is(const struct str *bytes, struct source_job *out)
{
	struct source_job ignored;

	assert_int_equal(source_job_decode(str_span(bytes), arena, out, &err), 0);
	for (size_t i = 0; i < bytes->length; i++)
		assert_int_equal(source_job_decode(span_make(bytes->data, i), arena, &ignored, &err), -1);
}

static void jobs_read_back_as_they_were_written(void **state)
{
	struct source_config config = { .url = "https://h/r", .directory = "/d", .username = "u", .password = "p", .ca = SPAN("CA"),
					.client_cert = SPAN("cert"), .client_key = SPAN("key") };
	const char *revisions[] = { "main", "" };
	struct source_refs_request refs = { revisions, 2 };
	struct source_fetch_request fetch = { A, "refs/heads/main" };
	struct source_tree_request tree = { .commit = B, .path = "shop", .recurse = true, .include = "*.yaml", .previous = { { 1, 2 } },
					     .base = A };
	CLEANUP(str_release) struct str bytes = STR_INIT;
	struct source_job job;

	(void)state;
	source_configure_encode(&config, &bytes);
	job_is(&bytes, &job);
	assert_int_equal(job.kind, SOURCE_CONFIGURE);
	assert_string_equal(job.as.configure.password, "p");
	assert_string_equal(job.as.configure.bearer_token, "");
	assert_true(span_is(job.as.configure.client_key, "key"));
	str_reset(&bytes);
	source_refs_encode(&refs, &bytes);
	job_is(&bytes, &job);
	assert_int_equal(job.as.refs.count, 2);
	assert_string_equal(job.as.refs.revisions[0], "main");
	str_reset(&bytes);
	source_fetch_encode(&fetch, &bytes);
	job_is(&bytes, &job);
	assert_string_equal(job.as.fetch.commit, A);
	assert_string_equal(job.as.fetch.ref, "refs/heads/main");
	str_reset(&bytes);
	source_tree_encode(&tree, &bytes);
	job_is(&bytes, &job);
	assert_string_equal(job.as.tree.include, "*.yaml");
	assert_string_equal(job.as.tree.exclude, "");
	assert_true(job.as.tree.recurse && digest_equal(&job.as.tree.previous, &tree.previous));
	assert_string_equal(job.as.tree.base, A);
}

static void answers_read_back_as_they_were_written(void **state)
{
	struct source_ref items[2] = { { .commit = A, .ref = "HEAD" }, { .ref = "" } };
	struct source_refs_reply refs = { items, 2 }, refs_back;
	struct source_fetch_reply fetch = { true, 12345678901, true }, fetch_back;
	struct source_tree_reply tree = { .input = { { 9 } }, .changed = true, .files = 7, .revision = C, .author = { "A", "a@x", -5 },
					  .committer = { "C", "c@x", 1700000000 }, .subject = "one" }, tree_back;
	CLEANUP(str_release) struct str bytes = STR_INIT;

	(void)state;
	error_set(&items[1].error, ERROR_INVALID, "RevisionNotFound", "no");
	source_refs_reply_encode(&refs, &bytes);
	assert_int_equal(source_refs_reply_decode(str_span(&bytes), arena, &refs_back, &err), 0);
	assert_string_equal(refs_back.refs[0].commit, A);
	says(&refs_back.refs[1].error, "RevisionNotFound", "no");
	for (size_t i = 0; i < bytes.length; i++)
		assert_int_equal(source_refs_reply_decode(span_make(bytes.data, i), arena, &refs_back, &err), -1);
	str_reset(&bytes);
	source_fetch_reply_encode(&fetch, &bytes);
	assert_int_equal(source_fetch_reply_decode(str_span(&bytes), &fetch_back, &err), 0);
	assert_true(fetch_back.fetched && fetch_back.rebuilt && fetch_back.received_bytes == 12345678901);
	str_reset(&bytes);
	source_tree_reply_encode(&tree, &bytes);
	assert_int_equal(source_tree_reply_decode(str_span(&bytes), arena, &tree_back, &err), 0);
	assert_string_equal(tree_back.revision, C);
	assert_true(tree_back.author.time_s == -5 && tree_back.files == 7 && tree_back.changed);
	assert_string_equal(tree_back.committer.email, "c@x");
	for (size_t i = 0; i < bytes.length; i++)
		assert_int_equal(source_tree_reply_decode(span_make(bytes.data, i), arena, &tree_back, &err), -1);
}

static void jobs_with_a_commit_that_is_none_are_refused(void **state)
{
	static const char *const commits[] = { "", "abc", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "HEAD", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaag" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(commits); i++) {
		struct source_fetch_request fetch = { .ref = "x" };
		CLEANUP(str_release) struct str bytes = STR_INIT;
		struct source_job job;

		memcpy(fetch.commit, commits[i], strlen(commits[i]));
		source_fetch_encode(&fetch, &bytes);
		assert_int_equal(source_job_decode(str_span(&bytes), arena, &job, &err), -1);
		says(&err, "BadFrame", "source job");
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(url_is_cut_into_its_parts),
		TEST(url_that_is_not_supported_is_refused_without_its_secret),
		TEST(url_is_shown_without_user_information),
		TEST(pkt_lines_are_read_one_by_one),
		TEST(pkt_lines_that_are_cut_or_impossible_are_refused),
		TEST(pkt_lines_read_back_as_they_were_written),
		TEST(advertisement_of_the_old_protocol_is_read),
		TEST(advertisement_of_an_empty_repository_has_no_refs),
		TEST(advertisement_of_protocol_2_has_no_refs_yet),
		TEST(advertisement_that_is_wrong_is_refused),
		TEST(ls_refs_asks_only_for_what_a_revision_may_mean),
		TEST(ls_refs_answer_is_read_with_peeled_tags),
		TEST(refs_resolve_as_argo_does),
		TEST(branch_and_tag_of_one_name_are_neither),
		TEST(refs_of_an_empty_repository_say_so),
		TEST(jobs_read_back_as_they_were_written),
		TEST(answers_read_back_as_they_were_written),
		TEST(jobs_with_a_commit_that_is_none_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
