/* source/: what is read of a commit, hostile trees (PATH-1), and which commit an Application is at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "git_test.h"
#include "io/file.h"
#include "io/sealed.h"
#include "source/commit.h"
#include "source/tree_changed.h"
#include "source/tree_job.h"

static struct arena *arena;
static struct history_memo memo;
static git_repository *repository;
static struct source_tree_reply reply;
static struct tree_stream files;
static struct error err;

static int setup(void **state)
{
	(void)state;
	arena = arena_new(0);
	test_dir_make();
	shell(NULL, "git init -q -b main r");
	return 0;
}

static void close_repository(void)
{
	git_repository_free(repository);
	repository = NULL;
	history_memo_release(&memo);
}

static int teardown(void **state)
{
	(void)state;
	close_repository();
	arena_cleanup(&arena);
	test_dir_remove();
	return 0;
}

static int group_setup(void **state)
{
	(void)state;
	git_libgit2_init();
	return 0;
}

/* Runs a job against r/; on success with a descriptor, `files` is what came in it. */
static int job_with(const struct source_tree_request *request)
{
	CLEANUP(fd_cleanup) int fd = -1;
	struct sealed *sealed = arena_alloc(arena, sizeof(*sealed));
	char path[128];

	if (!repository) {
		snprintf(path, sizeof(path), "%s/r", test_dir);
		assert_int_equal(git_repository_open(&repository, path), 0);
	}
	err = (struct error)ERROR_INIT;
	if (tree_job(repository, &memo, request, arena, &reply, &fd, &err))
		return -1;
	assert_string_equal(err.reason, "");
	assert_int_equal(reply.changed, fd >= 0);
	files = (struct tree_stream){ NULL, 0 };
	if (fd < 0)
		return 0;
	assert_int_equal(sealed_map(fd, TREE_STREAM_BYTES_MAX, sealed, &err), 0);
	struct span copy = arena_span(arena, sealed->bytes);
	sealed_unmap(sealed);
	assert_int_equal(tree_stream_decode(copy, arena, &files, &err), 0);
	assert_int_equal(files.count, reply.files);
	return 0;
}

static void set_commit(struct source_tree_request *request, const char *commit)
{
	assert_int_equal(strlen(commit), COMMIT_HEX - 1);
	memcpy(request->commit, commit, COMMIT_HEX);
}

static int job(const char *commit, const char *path, bool recurse, const char *include, const char *exclude)
{
	struct source_tree_request request = { .path = path, .recurse = recurse, .include = include, .exclude = exclude };

	set_commit(&request, commit);
	return job_with(&request);
}

static void reads(const char *paths)
{
	CLEANUP(str_release) struct str got = STR_INIT;

	for (size_t i = 0; i < files.count; i++)
		str_addf(&got, "%s%.*s", i ? " " : "", SPAN_ARG(files.files[i].path));
	assert_string_equal(str_c(&got), paths);
}

static void fails(const char *commit, const char *path, bool recurse, const char *reason, const char *text)
{
	assert_int_equal(job(commit, path, recurse, "", ""), -1);
	if (strcmp(err.reason, reason) != 0 || !strstr(err.text, text))
		fail_msg("%s: %s, wanted %s: %s", err.reason, err.text, reason, text);
}

/* --- what a commit changed ---------------------------------------------------------------------------------------- */

static void changes(const char *from, const char *to, const char *paths)
{
	struct source_changed_request request;
	struct source_changed_reply changed;
	CLEANUP(str_release) struct str got = STR_INIT;

	if (!repository)
		job(from, "", false, "", "");
	memcpy(request.from, from, COMMIT_HEX);
	memcpy(request.to, to, COMMIT_HEX);
	assert_int_equal(tree_changed_job(repository, &request, arena, &changed, &err), 0);
	for (size_t i = 0; i < changed.count; i++)
		str_addf(&got, "%s%s", i ? " " : "", changed.paths[i]);
	assert_string_equal(changed.all ? "all" : str_c(&got), paths);
}

static void a_commit_changes_the_files_that_differ_and_no_others(void **state)
{
	char one[256], two[256], three[256];

	(void)state;
	shell(one, "cd r; mkdir -p a/b c; echo 1 > a/b/x; echo 1 > a/y; echo 1 > c/z; echo 1 > d; git add .; git commit -qm 1; git rev-parse HEAD");
	shell(two, "cd r; echo 2 > a/b/x; chmod +x c/z; git rm -q d; mkdir d; echo 1 > d/new; git add .; git commit -qm 2; git rev-parse HEAD");
	shell(three, "cd r; git rm -qr a; echo f > a; git add .; git commit -qm 3; git rev-parse HEAD");
	changes(one, one, "");
	changes(one, two, "a/b/x c/z d d/new");
	changes(two, three, "a a/b/x a/y");
	changes(three, two, "a a/b/x a/y");
}

static void a_commit_that_changes_too_much_changes_all(void **state)
{
	char one[256], two[256];

	(void)state;
	shell(one, "cd r; echo 1 > f; git add .; git commit -qm 1; git rev-parse HEAD");
	shell(two, "cd r; mkdir m; cd m; seq %u | split -l 1 -a 5 - f; git add .; git commit -qm 2; git rev-parse HEAD", LIMIT_GIT_CHANGED + 1);
	changes(one, two, "all");
}

/* --- selection ---------------------------------------------------------------------------------------------------- */

static void tree_reads_the_folder_or_all_below_it(void **state)
{
	char head[256];

	(void)state;
	shell(head, "cd r; mkdir -p shop/sub/deep other; for f in a.yaml b.yml c.json d.jsonnet README.md x.yaml.bak sub/e.yaml sub/deep/f.json "
		    "sub/Kustomization; do echo $f > shop/$f; done; echo o > other/o.yaml; echo r > root.yaml; chmod +x shop/b.yml\n"
		    "git add .; git commit -qm one; git rev-parse HEAD");
	assert_int_equal(job(head, "shop", false, "", ""), 0);
	reads("shop/a.yaml shop/b.yml shop/c.json shop/d.jsonnet");
	assert_int_equal(files.files[0].mode, 0100644);
	assert_int_equal(files.files[1].mode, 0100755);
	assert_true(span_is(files.files[0].bytes, "a.yaml\n"));
	assert_int_equal(job(head, "./shop//", true, "", ""), 0);
	reads("shop/a.yaml shop/b.yml shop/c.json shop/d.jsonnet shop/sub/Kustomization shop/sub/deep/f.json shop/sub/e.yaml");
	assert_int_equal(job(head, ".", false, "", ""), 0);
	reads("root.yaml");
	assert_int_equal(job(head, "", true, "", "shop/*"), 0);
	reads("other/o.yaml root.yaml");
	assert_int_equal(job(head, "shop/sub/deep", false, "", ""), 0);
	reads("shop/sub/deep/f.json");
}

static void tree_globs_are_those_of_argo(void **state)
{
	static const struct {
		const char *include, *exclude, *reads;
	} table[] = {
		{ "*.yaml", "", "s/a.yaml s/d/b.yaml s/d/e/c.yaml" },
		{ "d/*", "", "s/d/b.yaml s/d/e/c.yaml s/d/x.json" },
		{ "{a.yaml,d/x.json}", "", "s/a.yaml s/d/x.json" },
		{ "", "{d/e/*,a.yaml}", "s/d/b.yaml s/d/x.json s/z.json" },
		{ "*.yaml", "d/*", "s/a.yaml" },
		{ "?.yaml", "", "s/a.yaml" },
		{ "nothing", "", "" },
	};
	char head[256];

	(void)state;
	shell(head, "cd r; mkdir -p s/d/e; touch s/a.yaml s/d/b.yaml s/d/e/c.yaml s/d/x.json s/z.json; git add .; git commit -qm one; "
		    "git rev-parse HEAD");
	for (size_t i = 0; i < COUNT_OF(table); i++) {
		assert_int_equal(job(head, "s", true, table[i].include, table[i].exclude), 0);
		reads(table[i].reads);
	}
	assert_int_equal(job(head, "s", true, "{a", ""), -1);
	assert_string_equal(err.reason, "BadGlob");
	assert_int_equal(job(head, "s", true, "", "a{b{c}}"), -1);
	assert_string_equal(err.reason, "BadGlob");
}

static void tree_of_5000_files_is_read_quickly(void **state)
{
	char head[256];
	int64_t start;

	(void)state;
	shell(head, "cd r; mkdir big; i=0; while [ $i -lt 5000 ]; do echo \"n: $i\" > big/f$i.yaml; i=$((i+1)); done; git add .; "
		    "git commit -qm big; git repack -adq; git rev-parse HEAD");
	start = clock_mono_ms();
	assert_int_equal(job(head, "big", false, "", ""), 0);
	assert_int_equal(files.count, 5000);
	assert_true(clock_mono_ms() - start < 5000);
}

static void tree_that_is_too_large_is_refused_before_it_is_read(void **state)
{
	char head[256];

	(void)state;
	shell(head, "cd r; head -c 6000000 /dev/zero > a.yaml; head -c 6000000 /dev/zero | tr '\\0' x > b.yaml; git add .; git commit -qm big; "
		    "git rev-parse HEAD");
	fails(head, ".", false, "TooLarge", "'b.yaml': all manifests together are larger than 10485760 bytes");
	assert_int_equal(err.kind, ERROR_LIMIT);
	assert_int_equal(job(head, ".", false, "", "b.yaml"), 0);
}

static void tree_job_sends_nothing_when_the_input_is_known(void **state)
{
	struct source_tree_request request = { .path = "a", .include = "", .exclude = "" };
	char head[256];
	struct digest first;

	(void)state;
	shell(head, "cd r; mkdir a b; echo 1 > a/x.yaml; echo 1 > b/y.yaml; git add .; git commit -qm one; git rev-parse HEAD");
	set_commit(&request, head);
	assert_int_equal(job_with(&request), 0);
	assert_true(reply.changed);
	first = request.previous = reply.input;
	assert_int_equal(job_with(&request), 0);
	assert_false(reply.changed);
	assert_int_equal(reply.files, 1);
	shell(head, "cd r; echo 2 > b/y.yaml; echo t > a/readme.txt; git add .; git commit -qm two; git rev-parse HEAD");
	set_commit(&request, head);
	assert_int_equal(job_with(&request), 0);
	assert_false(reply.changed);
	shell(head, "cd r; chmod +x a/x.yaml; git add .; git commit -qm three; git rev-parse HEAD");
	set_commit(&request, head);
	assert_int_equal(job_with(&request), 0);
	assert_true(reply.changed);
	assert_false(digest_equal(&first, &reply.input));
}

static void tree_job_says_when_a_commit_does_not_descend_from_the_base(void **state)
{
	struct source_tree_request request = { .path = ".", .include = "", .exclude = "" };
	char one[256], two[256], other[256];

	(void)state;
	shell(one, "cd r; echo 1 > x.yaml; git add .; git commit -qm one; git rev-parse HEAD");
	shell(two, "cd r; echo 2 > x.yaml; git commit -qam two; git rev-parse HEAD");
	shell(other, "cd r; git reset -q --hard HEAD~1; echo 3 > x.yaml; git commit -qam other; git rev-parse HEAD");
	const struct { const char *commit, *base; bool rewritten; } cases[] = {
		{ two, one, false }, { two, two, false }, { two, "", false }, { other, one, false }, { other, two, true }, { one, two, true },
		{ two, "1234567890123456789012345678901234567890", true },
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		set_commit(&request, cases[i].commit);
		snprintf(request.base, sizeof(request.base), "%.40s", cases[i].base);
		assert_int_equal(job_with(&request), 0);
		if (reply.rewritten != cases[i].rewritten)
			fail_msg("case %zu: %d", i, reply.rewritten);
	}
}

/* --- paths and hostile trees (PATH-1) ---------------------------------------------------------------------------- */

static void tree_refuses_paths_that_lead_elsewhere(void **state)
{
	static const struct {
		const char *path, *reason;
	} table[] = {
		{ "..", "BadPath" }, { "../r", "BadPath" }, { "a/..", "BadPath" }, { "a/../..", "BadPath" }, { "a/../a", "BadPath" },
		{ "/etc", "BadPath" }, { "/", "BadPath" }, { "//a", "BadPath" }, { "a\r", "BadPath" }, { "a\nb", "BadPath" },
		{ "\xff", "BadPath" }, { "\x7f", "BadPath" }, { "a/./../../x", "BadPath" }, { "...", "PathNotFound" },
		{ "%2e%2e", "PathNotFound" }, { "%2e%2e/etc", "PathNotFound" }, { "a%2f..", "PathNotFound" }, { "A", "PathNotFound" },
		{ ".git", "PathNotFound" }, { ".GIT", "PathNotFound" }, { "git~1", "PathNotFound" }, { ".git/config", "PathNotFound" },
		{ "\xef\xbc\x8e\xef\xbc\x8e", "PathNotFound" }, { "a\\..", "PathNotFound" }, { "~", "PathNotFound" }, { "$HOME", "PathNotFound" },
		{ "https://x/y", "PathNotFound" }, { "-a", "PathNotFound" }, { "HEAD:a", "PathNotFound" }, { "a ", "PathNotFound" },
		{ "a/x.yaml", "PathIsFile" }, { "a/x.yaml/y", "PathIsFile" }, { ".g\xe2\x80\x8cit", "PathNotFound" },
	};
	CLEANUP(str_release) struct str deep = STR_INIT;
	char head[256];

	(void)state;
	shell(head, "cd r; mkdir a; echo 1 > a/x.yaml; git add .; git commit -qm one; git rev-parse HEAD");
	for (size_t i = 0; i < COUNT_OF(table); i++) {
		fails(head, table[i].path, true, table[i].reason, "");
		assert_int_equal(err.kind, ERROR_INVALID);
	}
	for (unsigned i = 0; i < 4096; i++)
		str_addc(&deep, 'a');
	fails(head, str_c(&deep), false, "PathNotFound", "");
	str_addc(&deep, 'a');
	fails(head, str_c(&deep), false, "BadPath", "too long");
	fails(head, "nothing/here", false, "PathNotFound", "'nothing' in this revision");
}

static void tree_refuses_links_and_submodules_in_the_way(void **state)
{
	char head[256];

	(void)state;
	shell(head, "cd r; mkdir -p real/sub app/sub; echo 1 > real/x.yaml; echo 2 > app/ok.yaml; ln -s real link; ln -s ../real/x.yaml app/l.yaml; "
		    "ln -s ../../real app/sub/dir; ln -s /etc/passwd abs.yaml; ln -s loop2 loop1; ln -s loop1 loop2; git add .; "
		    "git update-index --add --cacheinfo 160000,$(git hash-object -t tree /dev/null),mod; git commit -qm one; git rev-parse HEAD");
	fails(head, "link", false, "SymlinkInPath", "'link' is a symbolic link");
	fails(head, "link/sub", false, "SymlinkInPath", "'link'");
	fails(head, "loop1", false, "SymlinkInPath", "'loop1'");
	fails(head, "mod", false, "SubmoduleInPath", "'mod' is a submodule");
	fails(head, "mod/x", false, "SubmoduleInPath", "");
	fails(head, "app", false, "SymlinkInPath", "'app/l.yaml'");
	fails(head, ".", false, "SymlinkInPath", "'abs.yaml'");
	fails(head, ".", true, "SymlinkInPath", "");
	assert_int_equal(job(head, "app", false, "", "l.yaml"), 0);
	reads("app/ok.yaml");
	assert_int_equal(job(head, "app", true, "", "l.yaml"), -1);
	assert_non_null(strstr(err.text, "'app/sub/dir' is a symbolic link"));
	assert_int_equal(job(head, "app", true, "", "{l.yaml,sub/*}"), 0);
	reads("app/ok.yaml");
	/* of no kind that is read, and not looked behind */
	shell(head, "cd r; rm app/l.yaml; ln -s ../real app/more; git add .; git commit -qm two; git rev-parse HEAD");
	assert_int_equal(job(head, "app", false, "", ""), 0);
	reads("app/ok.yaml");
}

/* Trees that no git would write, made with mktree. */
static void tree_refuses_trees_that_git_would_not_write(void **state)
{
	static const struct {
		const char *mktree, *path, *reason;
	} table[] = {
		{ "100644 blob $B\\ta\\001.yaml\\n", "", "BadFileName" },
		{ "100644 blob $B\\ta\\r.yaml\\n", "", "BadFileName" },
		{ "100644 blob $B\\t\\377.yaml\\n", "", "BadFileName" },
		{ "120755 blob $B\\ta.yaml\\n", "", "SymlinkInPath" },
		{ "120000 blob $B\\ta.yaml\\n", "", "SymlinkInPath" },
		{ "160000 commit 0123456789012345678901234567890123456789\\ta.yaml\\n", "", "SubmoduleInPath" },
		{ "40000 tree $T\\t.git\\n", ".git", NULL },
		{ "40000 tree $T\\tx\\n", "x", NULL },
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(table); i++) {
		char commit[256];

		shell(commit, "cd r; B=$(echo 1 | git hash-object -w --stdin); T=$(printf \"100644 blob $B\\tin.yaml\\n\" | git mktree); "
			      "R=$(printf \"%s\" | git mktree --missing); git commit-tree -m x $R", table[i].mktree);
		close_repository();
		if (table[i].reason) {
			fails(commit, table[i].path, true, table[i].reason, "");
		} else {
			assert_int_equal(job(commit, table[i].path, true, "", ""), 0);
			assert_int_equal(files.count, 1);
		}
	}
}

/* Raw tree objects: names with '/', "..", duplicates, wrong order, odd modes. Nothing outside the tree is ever read. */
static void tree_refuses_raw_trees_with_tricks(void **state)
{
	static const struct {
		const char *entries, *reasons;
	} table[] = {
		{ "e 100644 a/b.yaml $B", "BadFileName|BadTree|BadObject|" },
		{ "e 100644 ../x.yaml $B", "BadFileName|BadObject" },
		{ "e 40000 .. $T", "BadFileName|BadObject" },
		{ "e 40000 . $T", "BadFileName|BadObject" },
		{ "e 100644 a.yaml $B; e 100644 a.yaml $C", "BadTree|BadObject" },
		{ "e 100644 b.yaml $B; e 100644 a.yaml $C", "" },
		{ "e 777 a.yaml $B", "BadTree|BadObject" },
		{ "e 0 a.yaml $B", "BadTree|BadObject" },
		{ "e 100644 a.yaml $T", "BadTree|BadObject" },
		{ "e 40000 a $B", "BadObject|BadTree" },
		{ "e 100644 '' $B", "BadObject|" },
		{ "printf '100644 a.yaml'", "BadObject" },
		{ "printf '100644'", "BadObject" },
		{ "e 100644 a.yaml 0000000000000000000000000000000000000000", "BadObject" },
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(table); i++) {
		char commit[256];
		int rc;

		shell(commit, "cd r\n"
			      "e() { /usr/bin/printf '%%s %%s\\0' \"$1\" \"$2\"; /usr/bin/printf \"$(echo $3 | sed 's/../\\\\x&/g')\" ; }\n"
			      "B=$(echo 1 | git hash-object -w --stdin); C=$(echo 2 | git hash-object -w --stdin); "
			      "T=$(printf \"100644 blob $B\\tin.yaml\\n\" | git mktree)\n"
			      "R=$( { %s; } | git hash-object -w --stdin --literally -t tree); "
			      "H=$(printf 'tree %%s\\nauthor a <a> 1 +0000\\ncommitter a <a> 1 +0000\\n\\nx\\n' $R | git hash-object -w --literally -t commit --stdin)\n"
			      "echo $H", table[i].entries);
		close_repository();
		rc = job(commit, "", true, "", "");
		if (rc ? !strstr(table[i].reasons, err.reason) : table[i].reasons[0] && !strstr(table[i].reasons, "|"))
			fail_msg("%s: %d %s %s", table[i].entries, rc, err.reason, err.text);
		if (!rc)
			for (size_t j = 0; j < files.count; j++)
				assert_true(tree_path_is_clean(files.files[j].path));
	}
}

static void tree_job_of_an_unknown_commit_asks_for_a_fetch(void **state)
{
	(void)state;
	shell(NULL, "cd r; git commit -q --allow-empty -m one");
	fails("0123456789012345678901234567890123456789", ".", false, "CommitMissing", "not in the mirror");
	assert_int_equal(err.kind, ERROR_TRANSIENT);
}

/* --- history --------------------------------------------------------------------------------------------------------- */

static void revision_is(const char *commit)
{
	assert_string_equal(reply.revision, commit);
}

static void history_names_the_newest_commit_that_changed_what_is_read(void **state)
{
	char first[256], head[256], changed[256];

	(void)state;
	shell(first, "cd r; mkdir a b; echo 1 > a/x.yaml; echo 1 > b/y.yaml; git add .; git commit -qm 'First: x'; git rev-parse HEAD");
	assert_int_equal(job(first, "a", false, "", ""), 0);
	revision_is(first);
	assert_string_equal(reply.author.name, "A U Thor");
	assert_string_equal(reply.author.email, "a@example.com");
	assert_string_equal(reply.committer.name, "C O Mitter");
	assert_true(reply.author.time_s == 1700000000 && reply.committer.time_s == 1700000100);
	assert_string_equal(reply.subject, "First: x");
	shell(head, "cd r; for i in 2 3 4; do echo $i > b/y.yaml; git commit -qam b$i; done; mkdir a/sub; echo t > a/sub/z.yaml; echo t > a/t.txt; "
		    "git add .; git commit -qm more; git rev-parse HEAD");
	assert_int_equal(job(head, "a", false, "", ""), 0);
	revision_is(first);
	assert_int_equal(job(head, "a", true, "", ""), 0);
	revision_is(head);
	assert_int_equal(job(head, "a", true, "", "sub/*"), 0);
	revision_is(first);
	shell(changed, "cd r; echo 2 > a/x.yaml; git commit -qam change; git rev-parse HEAD");
	shell(head, "cd r; echo 9 > b/y.yaml; git commit -qam b9; git rev-parse HEAD");
	assert_int_equal(job(head, "a", false, "", ""), 0);
	revision_is(changed);
	/* a revert reads as before, but is a change */
	shell(head, "cd r; git revert --no-edit %s >/dev/null; git rev-parse HEAD", changed);
	assert_int_equal(job(head, "a", false, "", ""), 0);
	revision_is(head);
}

/* The same question to git itself, over a history with merges. */
static void history_agrees_with_git_log(void **state)
{
	char head[256], want[256];

	(void)state;
	shell(head, "cd r; mkdir a b; echo 0 > a/x.yaml; echo 0 > b/y.yaml; git add .; git commit -qm base\n"
		    "for i in 1 2 3 4 5 6; do git checkout -q -b t$i; "
		    "if [ $((i %% 2)) = 0 ]; then echo $i > a/x.yaml; else echo $i > b/y.yaml; fi; git commit -qam t$i; git checkout -q main; "
		    "echo $i > c$i.txt; git add .; git commit -qm m$i; git merge -q --no-ff -m merge$i t$i; done; git rev-parse HEAD");
	for (unsigned back = 0; back < 8; back++) {
		static const char *const paths[] = { "a", "b" };

		for (unsigned i = 0; i < 2; i++) {
			shell(want, "cd r; git log --format=%%H -1 %s~%u -- %s", head, back, paths[i]);
			char at[256];
			shell(at, "cd r; git rev-parse %s~%u", head, back);
			assert_int_equal(job(at, paths[i], true, "", ""), 0);
			revision_is(want);
		}
	}
}

static unsigned dice(unsigned *seed, unsigned sides)
{
	return (unsigned)rand_r(seed) % sides;
}

/* A random history with merges, deletions and names that sort oddly, as a stream for git fast-import. */
static void random_history(unsigned seed, unsigned commits, struct str *out)
{
	static const char *const paths[] = { "a/x.yaml", "a/sub/y.yaml", "a/sub/deep/z.yaml", "a.b/x.yaml", "a-b.yaml", "a/x.txt", "a/sub.yaml", "b/w.yaml" };

	for (unsigned i = 1; i <= commits; i++) {
		const char *path = paths[dice(&seed, COUNT_OF(paths))];

		str_addf(out, "commit refs/heads/main\nmark :%u\ncommitter c <c> %u +0000\ndata 1\nx\n", i, 1700000000 + i);
		if (i > 1)
			str_addf(out, "from :%u\n", i > 3 && dice(&seed, 4) == 0 ? i - 1 - dice(&seed, 3) : i - 1);
		if (i > 6 && dice(&seed, 3) == 0)
			str_addf(out, "merge :%u\n", i - 2 - dice(&seed, 4));
		if (i == 1)
			str_adds(out, "M 100644 inline a/x.yaml\ndata 1\n0\n");
		else if (dice(&seed, 5) == 0)
			str_addf(out, "D %s\n", path);
		else
			str_addf(out, "M %s inline %s\ndata 1\n%u\n", dice(&seed, 6) ? "100644" : "100755", path, dice(&seed, 3));
		str_addc(out, '\n');
	}
}

static void history_agrees_with_git_log_on_random_histories(void **state)
{
	static const struct {
		bool recurse;
		const char *exclude, *pathspec;
	} selections[] = {
		{ true, "", "\":(glob)a/**/*.yaml\"" }, { false, "", "\":(glob)a/*.yaml\"" },
		{ true, "sub/*", "\":(glob)a/**/*.yaml\" \":(exclude,glob)a/sub/**\"" },
	};
	unsigned compared = 0;

	(void)state;
	for (unsigned seed = 1; seed <= 3; seed++) {
		CLEANUP(str_release) struct str stream = STR_INIT;
		struct error ignored;

		random_history(seed, 60, &stream);
		assert_int_equal(file_write(arena_printf(arena, "%s/stream", test_dir), str_span(&stream), 0600, &ignored), 0);
		shell(NULL, "rm -rf r; git init -q -b main r; cd r; git fast-import --quiet --export-marks=marks < ../stream; sort -t: -k2 -n marks -o marks");
		close_repository();
		for (unsigned i = 5; i <= 60; i += 2) {
			char tip[256], want[256] = "";
			size_t which = i % COUNT_OF(selections);

			shell(tip, "sed -n 's/^:%u //p' r/marks", i);
			shell(want, "cd r; git log -1 --format=%%H %s -- %s", tip, selections[which].pathspec);
			if (!want[0] || job(tip, "a", selections[which].recurse, "", selections[which].exclude))
				continue;
			if (strcmp(reply.revision, want) != 0)
				fail_msg("seed %u, commit %u, %s: %s, git says %s", seed, i, selections[which].pathspec, reply.revision, want);
			compared++;
		}
	}
	assert_true(compared > 60);
}

static void history_remembers_so_that_a_commit_costs_one_step(void **state)
{
	char head[256], first[256];
	int64_t start;

	(void)state;
	shell(first, "cd r; mkdir a; echo 1 > a/x.yaml; git add .; git commit -qm one; git rev-parse HEAD");
	shell(head, "cd r; { i=0; from='from %s'; while [ $i -lt 3000 ]; do echo \"commit refs/heads/main\ncommitter c <c> 170000$i +0000\n"
		    "data 1\nx\"; [ -z \"$from\" ] || echo \"$from\"; from=; echo \"M 100644 inline b$((i %% 50))/f\ndata <<E\n$i\nE\n\"; "
		    "i=$((i+1)); done; } | git fast-import --quiet --force; git rev-parse main", first);
	assert_int_equal(job(head, "a", false, "", ""), 0);
	revision_is(first);
	start = clock_mono_ms();
	for (unsigned i = 0; i < 200; i++)
		assert_int_equal(job(head, "a", false, "", ""), 0);
	assert_true(clock_mono_ms() - start < 2000);
	revision_is(first);
}

static void commit_text_is_made_fit_to_be_shown(void **state)
{
	CLEANUP(str_release) struct str lengthy = STR_INIT;

	(void)state;
	assert_string_equal(commit_clean_text("a\x1b[31mb\tc\x7f", arena), "a?[31mb?c?");
	assert_string_equal(commit_clean_text("\xff\xc3\xa9\xc2\x85", arena), "?\xc3\xa9?");
	assert_string_equal(commit_clean_text(NULL, arena), "");
	for (unsigned i = 0; i < 400; i++)
		str_adds(&lengthy, "\xc3\xa9");
	assert_true(strlen(commit_clean_text(str_c(&lengthy), arena)) <= LIMIT_GIT_SUBJECT_BYTES);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_commit_changes_the_files_that_differ_and_no_others),
		TEST(a_commit_that_changes_too_much_changes_all),
		TEST(tree_reads_the_folder_or_all_below_it),
		TEST(tree_globs_are_those_of_argo),
		TEST(tree_of_5000_files_is_read_quickly),
		TEST(tree_that_is_too_large_is_refused_before_it_is_read),
		TEST(tree_job_sends_nothing_when_the_input_is_known),
		TEST(tree_job_says_when_a_commit_does_not_descend_from_the_base),
		TEST(tree_refuses_paths_that_lead_elsewhere),
		TEST(tree_refuses_links_and_submodules_in_the_way),
		TEST(tree_refuses_trees_that_git_would_not_write),
		TEST(tree_refuses_raw_trees_with_tricks),
		TEST(tree_job_of_an_unknown_commit_asks_for_a_fetch),
		TEST(history_names_the_newest_commit_that_changed_what_is_read),
		TEST(history_agrees_with_git_log),
		TEST(history_agrees_with_git_log_on_random_histories),
		TEST(history_remembers_so_that_a_commit_costs_one_step),
		TEST(commit_text_is_made_fit_to_be_shown),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
