/* source/: a worker's whole life against the real git http-backend: refs, fetches, faults, credentials, TLS, mirrors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "git_test.h"
#include "io/sandbox.h"
#include "io/sealed.h"
#include "source/mirror.h"
#include "source/source.h"
#include "source/source_job.h"
#include "source/tree_stream.h"

static struct arena *arena;
static void *session;
static pid_t server;
static int port;
static struct error err;
static int reply_fd = -1;
static struct str reply;
static struct source_config config;

static const char *path_of(const char *name)
{
	return arena_printf(arena, "%s/%s", test_dir, name);
}

static void write_file(const char *name, const char *text)
{
	FILE *file = fopen(path_of(name), "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static const char *read_file(const char *name)
{
	static char text[16384];
	FILE *file = fopen(path_of(name), "r");
	size_t length = file ? fread(text, 1, sizeof(text) - 1, file) : 0;

	if (file)
		fclose(file);
	text[length] = '\0';
	return text;
}

static void server_mode(const char *mode)
{
	write_file("mode", mode);
	write_file("log", "");
}

static void start_server(const char *cert, const char *key, const char *client_ca)
{
	server = fork();
	if (server == 0) {
		execlp("python3", "python3", "test/unit/source/git_server.py", test_dir, cert, key, client_ca, NULL);
		_exit(127);
	}
	for (unsigned i = 0; i < 200 && access(path_of("port"), R_OK); i++)
		usleep(50000);
	port = atoi(read_file("port"));
	assert_true(port > 0 && port < 32768);
}

static void stop_server(void)
{
	if (server <= 0)
		return;
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	server = 0;
	unlink(path_of("port"));
}

static int setup(void **state)
{
	(void)state;
	arena = arena_new(0);
	test_dir_make();
	shell(NULL, "git init -q --bare -b main r.git; git clone -q r.git w 2>/dev/null; cd w; git checkout -q -b main; mkdir a b; "
		    "echo 'n: 1' > a/x.yaml; echo 'n: 1' > b/y.yaml; git add .; git commit -qm one; git push -q origin main");
	start_server(NULL, NULL, NULL);
	session = source_session_new();
	config = (struct source_config){ .url = arena_printf(arena, "http://127.0.0.1:%d/r.git", port), .directory = path_of("mirror") };
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	stop_server();
	source_session_free(session);
	fd_cleanup(&reply_fd);
	reply_fd = -1;
	str_release(&reply);
	test_dir_remove();
	arena_cleanup(&arena);
	return 0;
}

static int serve(const struct str *request)
{
	str_reset(&reply);
	fd_cleanup(&reply_fd);
	reply_fd = -1;
	err = (struct error)ERROR_INIT;
	return source_serve(session, str_span(request), -1, &reply, &reply_fd, &err);
}

static int configure(void)
{
	CLEANUP(str_release) struct str request = STR_INIT;

	source_configure_encode(&config, &request);
	return serve(&request);
}

static struct source_ref ref_of(const char *revision)
{
	struct source_refs_request refs = { &revision, 1 };
	CLEANUP(str_release) struct str request = STR_INIT;
	struct source_refs_reply answer;

	source_refs_encode(&refs, &request);
	if (serve(&request))
		return (struct source_ref){ .ref = NULL };
	assert_int_equal(source_refs_reply_decode(str_span(&reply), arena, &answer, &err), 0);
	assert_int_equal(answer.count, 1);
	return answer.refs[0];
}

static int fetch(const char *commit, const char *ref, struct source_fetch_reply *out)
{
	struct source_fetch_request job = { .ref = ref };
	CLEANUP(str_release) struct str request = STR_INIT;

	memcpy(job.commit, commit, COMMIT_HEX);
	source_fetch_encode(&job, &request);
	if (serve(&request))
		return -1;
	assert_int_equal(source_fetch_reply_decode(str_span(&reply), out, &err), 0);
	return 0;
}

static int tree(const char *commit, const char *path, struct source_tree_reply *out)
{
	struct source_tree_request job = { .path = path };
	CLEANUP(str_release) struct str request = STR_INIT;

	memcpy(job.commit, commit, COMMIT_HEX);
	source_tree_encode(&job, &request);
	if (serve(&request))
		return -1;
	assert_int_equal(source_tree_reply_decode(str_span(&reply), arena, out, &err), 0);
	return 0;
}

static void says(const char *reason, enum error_kind kind, const char *text)
{
	if (strcmp(err.reason, reason) != 0 || err.kind != kind || !strstr(err.text, text))
		fail_msg("%s (%s): %s; wanted %s: %s", err.reason, error_kind_name(err.kind), err.text, reason, text);
	assert_null(strstr(err.text, "secret"));
}

static unsigned count_requests(const char *needle)
{
	unsigned count = 0;

	for (const char *at = read_file("log"); (at = strstr(at, needle)) != NULL; at++)
		count++;
	return count;
}

/* --- the ordinary life ------------------------------------------------------------------------------------------- */

static void source_finds_fetches_and_reads_a_revision(void **state)
{
	struct source_fetch_reply fetched;
	struct source_tree_reply answer;
	CLEANUP(sealed_unmap) struct sealed sealed = { SPAN0 };
	struct tree_stream files;
	struct source_ref ref;
	char head[256];

	(void)state;
	shell(head, "cd w; git rev-parse HEAD");
	assert_int_equal(configure(), 0);
	ref = ref_of("main");
	assert_string_equal(ref.commit, head);
	assert_string_equal(ref.ref, "refs/heads/main");
	assert_string_equal(ref_of("").commit, head);
	assert_int_equal(fetch(head, ref.ref, &fetched), 0);
	assert_true(fetched.fetched && fetched.received_bytes > 0 && !fetched.rebuilt);
	assert_int_equal(tree(head, "a", &answer), 0);
	assert_string_equal(answer.revision, head);
	assert_int_equal(sealed_map(reply_fd, TREE_STREAM_BYTES_MAX, &sealed, &err), 0);
	assert_int_equal(tree_stream_decode(sealed.bytes, arena, &files, &err), 0);
	assert_int_equal(files.count, 1);
	assert_true(span_is(files.files[0].path, "a/x.yaml") && span_is(files.files[0].bytes, "n: 1\n"));
}

static void source_asks_with_one_request_once_it_knows_the_server(void **state)
{
	(void)state;
	assert_int_equal(configure(), 0);
	server_mode("");
	assert_non_null(ref_of("main").ref);
	assert_int_equal(count_requests("GET"), 1);
	assert_int_equal(count_requests("POST /r.git/git-upload-pack v=version=2"), 1);
	server_mode("");
	assert_non_null(ref_of("main").ref);
	assert_int_equal(count_requests("GET"), 0);
	assert_int_equal(count_requests("POST"), 1);
}

static void source_asks_nothing_for_a_commit_that_is_there(void **state)
{
	struct source_fetch_reply fetched;
	struct source_ref ref;

	(void)state;
	assert_int_equal(configure(), 0);
	ref = ref_of("main");
	assert_int_equal(fetch(ref.commit, ref.ref, &fetched), 0);
	server_mode("status 500");
	assert_int_equal(fetch(ref.commit, ref.ref, &fetched), 0);
	assert_false(fetched.fetched);
	assert_string_equal(ref_of(ref.commit).commit, ref.commit);
	assert_string_equal(read_file("log"), "");
	/* also in a new process */
	source_session_free(session);
	session = source_session_new();
	assert_int_equal(configure(), 0);
	assert_int_equal(fetch(ref.commit, ref.ref, &fetched), 0);
	assert_false(fetched.fetched);
	assert_string_equal(read_file("log"), "");
}

static void source_fetches_what_a_tree_job_misses(void **state)
{
	struct source_tree_reply answer;
	struct source_ref ref;

	(void)state;
	assert_int_equal(configure(), 0);
	ref = ref_of("main");
	assert_int_equal(tree(ref.commit, "a", &answer), 0);
	shell(NULL, "rm -rf mirror/git/objects");
	source_session_free(session);
	session = source_session_new();
	assert_int_equal(configure(), 0);
	assert_int_equal(tree(ref.commit, "a", &answer), 0);
	assert_int_equal(tree("0123456789012345678901234567890123456789", "a", &answer), -1);
	says("RevisionNotFound", ERROR_INVALID, "no commit 0123");
}

static void source_gets_only_what_is_new(void **state)
{
	struct source_fetch_reply fetched;
	struct source_tree_reply answer;
	struct source_ref ref;
	char head[256];

	(void)state;
	shell(head, "cd w; head -c 300000 /dev/urandom > blob; git add .; git commit -qm blob; git push -q origin main; git rev-parse HEAD");
	assert_int_equal(configure(), 0);
	ref = ref_of("main");
	assert_int_equal(fetch(ref.commit, ref.ref, &fetched), 0);
	assert_true(fetched.received_bytes > 300000);
	for (unsigned i = 0; i < 3; i++) {
		shell(head, "cd w; echo 'n: %u' > a/x.yaml; git commit -qam more; git push -q origin main; git rev-parse HEAD", i + 10);
		ref = ref_of("main");
		assert_string_equal(ref.commit, head);
		assert_int_equal(fetch(ref.commit, ref.ref, &fetched), 0);
		assert_true(fetched.fetched && fetched.received_bytes < 3000);
		assert_int_equal(tree(head, "a", &answer), 0);
		assert_string_equal(answer.revision, head);
	}
}

static void source_follows_a_force_push(void **state)
{
	struct source_fetch_reply fetched;
	struct source_tree_reply answer;
	struct source_ref old, new;
	char head[256];

	(void)state;
	assert_int_equal(configure(), 0);
	old = ref_of("main");
	assert_int_equal(fetch(old.commit, old.ref, &fetched), 0);
	shell(head, "cd w; git checkout -q --orphan other; git rm -qrf .; mkdir a; echo 'n: 9' > a/z.yaml; git add .; git commit -qm anew; "
		    "git push -qf origin other:main; git rev-parse HEAD");
	new = ref_of("main");
	assert_string_equal(new.commit, head);
	assert_int_equal(fetch(new.commit, new.ref, &fetched), 0);
	assert_int_equal(tree(head, "a", &answer), 0);
	assert_string_equal(answer.revision, head);
	/* what ran before can still be read */
	assert_int_equal(tree(old.commit, "a", &answer), 0);
}

static void source_tells_a_ref_that_moved_from_a_commit_that_is_none(void **state)
{
	struct source_fetch_reply fetched;
	const char *ghost = "0123456789012345678901234567890123456789";

	(void)state;
	assert_int_equal(configure(), 0);
	assert_int_equal(fetch(ghost, "refs/heads/main", &fetched), -1);
	says("RevisionMoved", ERROR_TRANSIENT, "refs/heads/main moved away");
	assert_int_equal(fetch(ghost, "", &fetched), -1);
	says("RevisionNotFound", ERROR_INVALID, "no commit 0123456789");
	assert_int_equal(fetch(ghost, "refs/heads/gone", &fetched), -1);
	says("RevisionMoved", ERROR_TRANSIENT, "");
}

static void source_fetches_a_commit_that_is_no_tip(void **state)
{
	struct source_fetch_reply fetched;
	struct source_tree_reply answer;
	char first[256];

	(void)state;
	shell(first, "cd w; git rev-parse HEAD; git rev-parse HEAD > ../first; for i in 2 3 4; do echo \"n: $i\" > b/y.yaml; git commit -qam $i; done; "
		     "git push -q origin main; cat ../first");
	assert_int_equal(configure(), 0);
	assert_int_equal(fetch(ref_of(first).commit, "", &fetched), 0);
	assert_int_equal(tree(first, "b", &answer), 0);
	assert_string_equal(answer.revision, first);
}

static void source_peels_tags_and_takes_the_highest_version(void **state)
{
	struct source_fetch_reply fetched;
	struct source_ref ref;
	char head[256], old[256];

	(void)state;
	shell(old, "cd w; git tag -a -m x v1.0.0; git rev-parse HEAD");
	shell(head, "cd w; echo 'n: 2' > a/x.yaml; git commit -qam two; git tag -a -m x v1.1.0; git tag light; git tag v2.0.0-rc.1; "
		    "git push -q origin main --tags; git rev-parse HEAD");
	for (unsigned i = 0; i < 2; i++) {
		server_mode(i ? "old" : "");
		assert_int_equal(configure(), 0);
		ref = ref_of("1.x");
		assert_string_equal(ref.commit, head);
		assert_string_equal(ref.ref, "refs/tags/v1.1.0");
		assert_string_equal(ref_of("~1.0").commit, old);
		assert_string_equal(ref_of("v1.0.0").commit, old);
		assert_string_equal(ref_of("light").commit, head);
		assert_string_equal(ref_of("HEAD").commit, head);
		assert_string_equal(ref_of("nothing").error.reason, "RevisionNotFound");
		assert_non_null(strstr(ref_of("9.x").error.text, "r.git: no tag satisfies '9.x'"));
		assert_int_equal(fetch(ref.commit, ref.ref, &fetched), 0);
	}
}

static void source_reads_a_repository_of_many_refs(void **state)
{
	(void)state;
	shell(NULL, "cd r.git; H=$(git rev-parse main); { echo '# pack-refs with: peeled fully-peeled sorted'; i=100000; while [ $i -lt 103000 ]; do "
		    "echo \"$H refs/heads/b$i\"; i=$((i+1)); done; echo \"$H refs/heads/main\"; } > packed-refs; rm -rf refs/heads; mkdir refs/heads; "
		    "git rev-parse b102999 >/dev/null");
	for (unsigned i = 0; i < 2; i++) {
		server_mode(i ? "old" : "");
		assert_int_equal(configure(), 0);
		assert_string_equal(ref_of("b102999").ref, "refs/heads/b102999");
	}
}

static void source_of_an_empty_repository_says_so(void **state)
{
	(void)state;
	shell(NULL, "git init -q --bare -b main empty.git");
	config.url = arena_printf(arena, "http://127.0.0.1:%d/empty.git", port);
	for (unsigned i = 0; i < 2; i++) {
		server_mode(i ? "old" : "");
		assert_int_equal(configure(), 0);
		assert_non_null(strstr(ref_of("HEAD").error.text, "no commit yet"));
	}
}

/* --- faults ------------------------------------------------------------------------------------------------------ */

static void source_names_what_the_server_answered(void **state)
{
	static const struct {
		const char *mode, *reason, *text;
		enum error_kind kind;
	} table[] = {
		{ "status 401", "RepositoryAuth", "answers 401: no credential is configured", ERROR_FORBIDDEN },
		{ "status 403", "RepositoryAuth", "answers 403", ERROR_FORBIDDEN },
		{ "status 404", "RepositoryNotFound", "no such repository, or it needs a credential", ERROR_NOT_FOUND },
		{ "status 429", "RepositoryUnreachable", "answers 429", ERROR_TRANSIENT },
		{ "status 500", "RepositoryUnreachable", "answers 500", ERROR_TRANSIENT },
		{ "status 503", "RepositoryUnreachable", "answers 503", ERROR_TRANSIENT },
		{ "status 400", "NotAGitRepository", "answers 400", ERROR_INVALID },
		{ "rpc-status 503", "RepositoryUnreachable", "answers 503", ERROR_TRANSIENT },
		{ "page", "NotAGitRepository", "'text/html'", ERROR_INVALID },
		{ "stall", "RepositoryUnreachable", "127.0.0.1", ERROR_TRANSIENT },
		{ "cut-refs 100", "RepositoryUnreachable", "127.0.0.1", ERROR_TRANSIENT },
		{ "cut 10", "RepositoryUnreachable", "127.0.0.1", ERROR_TRANSIENT },
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(table); i++) {
		server_mode(table[i].mode);
		assert_int_equal(configure(), 0);
		assert_null(ref_of("main").ref);
		says(table[i].reason, table[i].kind, table[i].text);
	}
	stop_server();
	assert_int_equal(configure(), 0);
	assert_null(ref_of("main").ref);
	says("RepositoryUnreachable", ERROR_TRANSIENT, "Failed to connect to 127.0.0.1");
}

static void source_dials_no_address_that_is_off_limits_however_it_is_spelled(void **state)
{
	static const char *const hosts[] = {
		"127.1", "127.0.1", "0x7f.1", "0x7f.0.0.1", "0x7f000001", "2130706433", "017700000001", "0177.0.0.1", "127.0.0.01", "0", "0.0.0.0",
		"0x0", "[::]", "[::ffff:0.0.0.0]", "[0:0:0:0:0:ffff:0:0]", "x.localhost", "LOCALHOST.localhost", "169.254.169.254", "0xa9fea9fe", "2852039166",
		"0251.0376.0251.0376", "[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "[fe80::1]", "[fd00:ec2::254]", "224.0.0.1",
		"255.255.255.255", "239.255.255.250", "[ff02::1]",
	};

	(void)state;
	for (size_t i = 0; i < 2 * COUNT_OF(hosts); i++) {
		const char *host = hosts[i / 2];

		/* what a proxy may make of a name is its own business */
		if (i % 2 && !strstr(host, "localhost"))
			setenv("http_proxy", arena_printf(arena, "http://127.0.0.1:%d", port), 1);
		server_mode("");
		config.url = arena_printf(arena, "http://%s:%d/r.git", host, port);
		if (!configure())
			assert_null(ref_of("main").ref);
		unsetenv("http_proxy");
		if (strcmp(err.reason, "RepositoryNotPermitted") != 0 || err.kind != ERROR_DENIED)
			fail_msg("%s: %s: %s", host, err.reason, err.text);
		assert_non_null(strstr(err.text, "nothing was sent there"));
		assert_string_equal(read_file("log"), "");
	}
}

static void source_dials_this_machine_where_it_is_spelled_out_or_the_proxy_is_there(void **state)
{
	(void)state;
	config.url = arena_printf(arena, "http://localhost:%d/r.git", port);
	assert_int_equal(configure(), 0);
	assert_non_null(ref_of("main").ref);
	setenv("http_proxy", arena_printf(arena, "http://localhost:%d", port), 1);
	config.url = arena_printf(arena, "http://git.invalid:%d/r.git", port);
	assert_int_equal(configure(), 0);
	server_mode("status 404");
	assert_null(ref_of("main").ref);
	unsetenv("http_proxy");
	says("RepositoryNotFound", ERROR_NOT_FOUND, "answers 404");
}

/* Small as a pack, and whoever looked at it would have it in memory whole. */
static void source_reads_no_commit_or_tree_that_is_too_large(void **state)
{
	static const struct { const char *made, *path, *text; } cases[] = {
		{ "commit=$(head -c 2000000 /dev/zero | tr '\\0' a | git commit-tree -p HEAD HEAD^{tree})", "a", "commit" },
		{ "commit=$(git commit-tree -m wide -p HEAD $tree)", "", "tree" },
		{ "commit=$(git commit-tree -m deep -p HEAD $(printf '040000 tree %s\\twide\\n' $tree | git mktree --missing))", "wide", "tree" },
	};
	struct source_fetch_reply fetched;
	struct source_tree_reply answer;
	struct source_ref ref;
	char tree_id[256], head[256];

	(void)state;
	shell(tree_id, "cd w; python3 -c 'import sys; sys.stdout.buffer.write(b\"\".join(b\"100644 %%019d.\\0\" %% n + "
		       "bytes.fromhex(sys.argv[1]) for n in range(1500000)))' $(git rev-parse HEAD:a/x.yaml) | git hash-object -t tree -w --literally --stdin");
	assert_int_equal(configure(), 0);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		shell(head, "cd w; tree=%s; %s; git push -qf ../r.git $commit:refs/heads/large; echo $commit", tree_id, cases[i].made);
		ref = ref_of("large");
		assert_string_equal(ref.commit, head);
		if (!fetch(ref.commit, ref.ref, &fetched))
			assert_int_equal(tree(ref.commit, cases[i].path, &answer), -1);
		says("TooLarge", ERROR_LIMIT, cases[i].text);
		/* it is there: no server has a smaller one */
		server_mode("");
		if (!fetch(ref.commit, ref.ref, &fetched))
			assert_int_equal(tree(ref.commit, cases[i].path, &answer), -1);
		says("TooLarge", ERROR_LIMIT, " bytes, more than ");
		assert_string_equal(read_file("log"), "");
	}
	ref = ref_of("main");
	assert_int_equal(fetch(ref.commit, ref.ref, &fetched), 0);
	assert_int_equal(tree(ref.commit, "a", &answer), 0);
}

static void source_cut_or_corrupt_pack_is_an_error_and_leaves_the_mirror_usable(void **state)
{
	struct source_fetch_reply fetched;
	struct source_tree_reply answer;
	struct source_ref old, ref;
	char cut[32];

	(void)state;
	assert_int_equal(configure(), 0);
	old = ref_of("main");
	assert_int_equal(fetch(old.commit, old.ref, &fetched), 0);
	shell(NULL, "cd w; head -c 200000 /dev/urandom > a/blob; echo 'n: 5' > a/x.yaml; git add .; git commit -qm two; git push -q origin main");
	ref = ref_of("main");
	for (int at = 0; at < 200000; at = at ? at * 7 : 30) {
		snprintf(cut, sizeof(cut), "cut %d", at);
		server_mode(cut);
		assert_int_equal(fetch(ref.commit, ref.ref, &fetched), -1);
		assert_int_equal(err.kind, ERROR_TRANSIENT);
		assert_int_equal(tree(old.commit, "a", &answer), 0);
		assert_int_equal(tree(ref.commit, "a", &answer), -1);
		assert_int_equal(err.kind, ERROR_TRANSIENT);
	}
	server_mode("corrupt");
	assert_int_equal(fetch(ref.commit, ref.ref, &fetched), -1);
	says("FetchFailed", ERROR_TRANSIENT, "r.git");
	assert_int_equal(tree(old.commit, "a", &answer), 0);
	server_mode("");
	assert_int_equal(fetch(ref.commit, ref.ref, &fetched), 0);
	assert_int_equal(tree(ref.commit, "a", &answer), 0);
	assert_string_equal(answer.revision, ref.commit);
}

static void source_makes_a_broken_mirror_anew(void **state)
{
	static const char *const damage[] = {
		"rm mirror/git/HEAD", "echo garbage > mirror/git/config", "rm -rf mirror/git/objects", "echo x > mirror/git/HEAD",
		"rm -rf mirror/git/refs", "rm -rf mirror/git/objects/pack", "rm mirror/git/objects/pack/*.idx", "rm -f mirror/git/objects/pack/*.pack",
		"rm mirror/git/config; mkdir mirror/git/config", "for f in mirror/git/refs/countersign/*; do echo x > $f; done", "rm -rf mirror",
		"rm mirror/countersign-mirror mirror/git -rf",
	};
	struct source_fetch_reply fetched;
	struct source_tree_reply answer;
	struct source_ref ref;

	(void)state;
	assert_int_equal(configure(), 0);
	ref = ref_of("main");
	assert_int_equal(fetch(ref.commit, ref.ref, &fetched), 0);
	for (size_t i = 0; i < COUNT_OF(damage); i++) {
		shell(NULL, "%s; cd w; echo 'n: 1%zu' > a/x.yaml; git commit -qam more; git push -q origin main", damage[i], i);
		assert_int_equal(configure(), 0);
		ref = ref_of("main");
		if (fetch(ref.commit, ref.ref, &fetched) || tree(ref.commit, "a", &answer))
			fail_msg("%s: %s", damage[i], err.text);
		assert_true(fetched.fetched);
		assert_string_equal(answer.revision, ref.commit);
	}
}

static void source_notices_a_pack_that_rotted_on_disk(void **state)
{
	struct source_fetch_reply fetched;
	struct source_tree_reply answer;
	struct source_ref ref;

	(void)state;
	shell(NULL, "cd w; i=0; while [ $i -lt 50 ]; do head -c 3000 /dev/urandom | base64 > a/f$i.yaml; i=$((i+1)); done; git add .; git commit -qm more; "
		    "git push -q origin main");
	assert_int_equal(configure(), 0);
	ref = ref_of("main");
	assert_int_equal(fetch(ref.commit, ref.ref, &fetched), 0);
	/* the middle of the pack becomes zeroes */
	shell(NULL, "p=$(ls mirror/git/objects/pack/*.pack); chmod u+w $p; s=$(stat -c %%s $p); dd if=/dev/zero of=$p bs=1 seek=$((s/3)) count=$((s/3)) "
		    "conv=notrunc 2>/dev/null");
	source_session_free(session);
	session = source_session_new();
	assert_int_equal(configure(), 0);
	server_mode("status 503");
	assert_int_equal(tree(ref.commit, "a", &answer), -1);
	says("RepositoryUnreachable", ERROR_TRANSIENT, "answers 503");
	server_mode("");
	assert_int_equal(tree(ref.commit, "a", &answer), 0);
	assert_int_equal(answer.files, 51);
	assert_true(count_requests("POST") >= 1);
	server_mode("");
	assert_int_equal(tree(ref.commit, "a", &answer), 0);
	assert_int_equal(count_requests("POST"), 0);
}

/* A server that leaves out a folder of the commit: told as such, and no new clone at each look. */
static void source_does_not_clone_anew_for_a_defective_commit(void **state)
{
	struct source_tree_reply answer;
	char commit[256];

	(void)state;
	shell(commit, "cd w; { git rev-parse HEAD; git rev-parse HEAD^{tree}; git rev-parse HEAD:b; git rev-parse HEAD:b/y.yaml; } | "
		      "git pack-objects --stdout > ../partial.pack 2>/dev/null; git rev-parse HEAD");
	server_mode("pack partial.pack");
	assert_int_equal(configure(), 0);
	assert_int_equal(tree(commit, "b", &answer), 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(tree(commit, "a", &answer), -1);
		says("BadObject", ERROR_INVALID, "folder 'a'");
		if (i == 0)
			write_file("log", "");
	}
	assert_string_equal(read_file("log"), "");
	assert_int_equal(tree(commit, "b", &answer), 0);
}

static void source_removes_what_a_killed_fetch_left(void **state)
{
	struct source_fetch_reply fetched;
	struct source_ref ref;

	(void)state;
	assert_int_equal(configure(), 0);
	ref = ref_of("main");
	assert_int_equal(fetch(ref.commit, ref.ref, &fetched), 0);
	shell(NULL, "cd mirror/git; touch objects/pack/pack_git2_abc HEAD.lock; for r in refs/countersign/*; do touch $r.lock; done");
	assert_int_equal(configure(), 0);
	shell(NULL, "cd mirror/git; test ! -e objects/pack/pack_git2_abc; test ! -e HEAD.lock; test -z \"$(ls refs/countersign/*.lock 2>/dev/null)\"");
	shell(NULL, "cd w; echo 'n: 7' > a/x.yaml; git commit -qam more; git push -q origin main");
	ref = ref_of("main");
	assert_int_equal(fetch(ref.commit, ref.ref, &fetched), 0);
	assert_false(fetched.rebuilt);
}

/* The packs of many fetches become one, and every commit that ever was there still is. */
static void mirror_puts_the_packs_of_many_fetches_together(void **state)
{
	struct source_fetch_reply fetched;
	struct source_tree_reply answer;
	char commits[12][256];
	struct mirror mirror = { .directory = NULL };
	bool rebuilt;

	(void)state;
	assert_int_equal(configure(), 0);
	for (unsigned i = 0; i < COUNT_OF(commits); i++) {
		/* every third time history is thrown away */
		shell(commits[i], "cd w; echo 'n: %u' > a/x.yaml; git add .; git commit -q %s -m c%u; git push -qf origin main; git rev-parse HEAD", i + 50,
		      i % 3 == 2 ? "--amend" : "", i);
		assert_int_equal(fetch(commits[i], "refs/heads/main", &fetched), 0);
	}
	source_session_free(session);
	session = source_session_new();
	assert_int_equal(mirror_open(&mirror, path_of("mirror"), config.url, &rebuilt, &err), 0);
	assert_true(mirror_packs(&mirror) >= COUNT_OF(commits));
	assert_int_equal(mirror_consolidate(&mirror), 0);
	assert_int_equal(mirror_packs(&mirror), 1);
	assert_int_equal(mirror_consolidate(&mirror), 0);
	mirror_close(&mirror);
	server_mode("status 500");
	assert_int_equal(configure(), 0);
	for (unsigned i = 0; i < COUNT_OF(commits); i++)
		assert_int_equal(tree(commits[i], "a", &answer), 0);
	server_mode("");
	shell(commits[0], "cd w; echo 'n: 99' > a/x.yaml; git commit -qam more; git push -q origin main; git rev-parse HEAD");
	assert_int_equal(fetch(commits[0], "refs/heads/main", &fetched), 0);
	assert_false(fetched.rebuilt);
	assert_true(fetched.received_bytes < 3000);
}

static void source_does_not_take_a_folder_that_is_not_its_own(void **state)
{
	(void)state;
	shell(NULL, "mkdir foreign; echo precious > foreign/file");
	config.directory = path_of("foreign");
	assert_int_equal(configure(), -1);
	says("NotAMirror", ERROR_INTERNAL, "foreign");
	assert_string_equal(read_file("foreign/file"), "precious\n");
}

static void source_makes_the_mirror_anew_for_another_repository(void **state)
{
	struct source_fetch_reply fetched;
	struct source_tree_reply answer;
	struct source_ref ref;

	(void)state;
	assert_int_equal(configure(), 0);
	ref = ref_of("main");
	assert_int_equal(fetch(ref.commit, ref.ref, &fetched), 0);
	shell(NULL, "git init -q --bare -b main q.git");
	config.url = arena_printf(arena, "http://127.0.0.1:%d/q.git", port);
	assert_int_equal(configure(), 0);
	/* a commit of the first repository must not be found in the second */
	assert_int_equal(tree(ref.commit, "a", &answer), -1);
	says("RevisionNotFound", ERROR_INVALID, "q.git has no commit");
}

static void source_needs_to_be_configured_first(void **state)
{
	CLEANUP(str_release) struct str garbage = STR_INIT;

	(void)state;
	assert_null(ref_of("main").ref);
	says("NotConfigured", ERROR_INTERNAL, "");
	str_adds(&garbage, "\x09garbage");
	assert_int_equal(serve(&garbage), -1);
	says("BadFrame", ERROR_INTERNAL, "");
}

/* --- redirects, credentials, TLS --------------------------------------------------------------------------------- */

static void source_follows_redirects_on_the_same_host_only(void **state)
{
	static const char *const elsewhere[] = {
		"http://localhost:%d/r.git/info/refs?service=git-upload-pack", "http://u:secret@example.com/r.git/info/refs?service=git-upload-pack",
		"file:///etc/passwd", "http://127.0.0.1:1/r.git/info/refs?service=git-upload-pack", "http://127.0.0.1:%d/login",
		"http://127.0.0.1:%d/other.git/info/refs?service=git-upload-pack",
	};
	char mode[256];
	struct source_fetch_reply fetched;
	struct source_ref ref;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(elsewhere); i++) {
		strcpy(mode, "redirect ");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(mode + 9, sizeof(mode) - 9, elsewhere[i], port);
#pragma GCC diagnostic pop
		server_mode(mode);
		assert_int_equal(configure(), 0);
		assert_null(ref_of("main").ref);
		says("BadRedirect", ERROR_INVALID, "redirect");
	}
	assert_int_equal(count_requests("GET"), 4); /* the last is a loop: bounded */
	/* GitLab's way: /x leads to /x.git */
	server_mode("");
	shell(NULL, "mkdir sub; cp -r r.git sub/r.git");
	config.url = arena_printf(arena, "http://127.0.0.1:%d/old", port);
	snprintf(mode, sizeof(mode), "redirect http://127.0.0.1:%d/sub/r.git/info/refs?service=git-upload-pack", port);
	server_mode(mode);
	assert_int_equal(configure(), 0);
	assert_null(ref_of("main").ref);
	server_mode("");
	ref = ref_of("main");
	assert_non_null(ref.ref);
	assert_int_equal(fetch(ref.commit, ref.ref, &fetched), 0);
	assert_int_equal(count_requests("/old"), 0);
}

static void source_sends_its_credential_and_never_shows_it(void **state)
{
	static const struct {
		const char *mode, *user, *password, *bearer, *in_url;
		bool good;
	} table[] = {
		{ "basic", "user", "secret", NULL, "", true },   { "basic", NULL, NULL, NULL, "user:secret@", true },
		{ "basic", "user", "wrongsecret", NULL, "", false }, { "basic", NULL, NULL, NULL, "user:wrongsecret@", false },
		{ "basic", NULL, NULL, NULL, "", false },        { "bearer", NULL, NULL, "tok-secret", "", true },
		{ "bearer", NULL, NULL, "secret2", "", false },  { "bearer", "user", "secret", NULL, "", false },
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(table); i++) {
		struct source_fetch_reply fetched;
		struct source_ref ref;

		server_mode(table[i].mode);
		config.username = table[i].user;
		config.password = table[i].password;
		config.bearer_token = table[i].bearer;
		config.url = arena_printf(arena, "http://%s127.0.0.1:%d/r.git", table[i].in_url, port);
		assert_int_equal(configure(), 0);
		ref = ref_of("main");
		if (table[i].good) {
			assert_non_null(ref.ref);
			assert_int_equal(fetch(ref.commit, ref.ref, &fetched), 0);
		} else {
			assert_null(ref.ref);
			says("RepositoryAuth", ERROR_FORBIDDEN, "answers 401");
		}
		/* the credential is nowhere on disk */
		shell(NULL, "! grep -rqa secret mirror");
	}
}

static void make_certificates(void)
{
	shell(NULL, "openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=ca 2>/dev/null\n"
		    "for n in server client; do openssl req -newkey rsa:2048 -nodes -keyout $n.key -out $n.csr -subj /CN=$n 2>/dev/null; "
		    "printf 'subjectAltName=IP:127.0.0.1\\n' > ext; openssl x509 -req -in $n.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 "
		    "-extfile ext -out $n.pem 2>/dev/null; done");
}

static void source_trusts_the_configured_root_alone(void **state)
{
	struct source_fetch_reply fetched;
	struct source_ref ref;

	(void)state;
	make_certificates();
	stop_server();
	start_server(path_of("server.pem"), path_of("server.key"), NULL);
	config.url = arena_printf(arena, "https://127.0.0.1:%d/r.git", port);
	assert_int_equal(configure(), 0);
	assert_null(ref_of("main").ref);
	says("CertificateError", ERROR_TRANSIENT, "certificate");
	config.ca = arena_span(arena, span_of(read_file("ca.pem")));
	assert_int_equal(configure(), 0);
	ref = ref_of("main");
	assert_non_null(ref.ref);
	assert_int_equal(fetch(ref.commit, ref.ref, &fetched), 0);
	config.url = arena_printf(arena, "https://localhost:%d/r.git", port);
	assert_int_equal(configure(), 0);
	assert_null(ref_of("main").ref);
	says("CertificateError", ERROR_TRANSIENT, "localhost");
	config.ca = SPAN("not a certificate");
	assert_int_equal(configure(), 0);
	assert_null(ref_of("main").ref);
	says("CertificateError", ERROR_TRANSIENT, "");
}

static void source_shows_its_client_certificate(void **state)
{
	(void)state;
	make_certificates();
	stop_server();
	start_server(path_of("server.pem"), path_of("server.key"), path_of("ca.pem"));
	config.url = arena_printf(arena, "https://127.0.0.1:%d/r.git", port);
	config.ca = arena_span(arena, span_of(read_file("ca.pem")));
	assert_int_equal(configure(), 0);
	assert_null(ref_of("main").ref);
	assert_int_equal(err.kind, ERROR_TRANSIENT);
	config.client_cert = arena_span(arena, span_of(read_file("client.pem")));
	config.client_key = arena_span(arena, span_of(read_file("client.key")));
	assert_int_equal(configure(), 0);
	assert_non_null(ref_of("main").ref);
}

/* The whole life again in a child that has entered the sandbox of its role; the name makes the resolver's thread run. */
static int live_in_the_sandbox(void)
{
	struct source_fetch_reply fetched;
	struct source_tree_reply answer;
	struct source_ref ref;

	if (sandbox_enter(ROLE_SOURCE, &err))
		return 1;
	config.url = arena_printf(arena, "http://localhost:%d/r.git", port);
	if (configure())
		return 2;
	ref = ref_of("main");
	if (!ref.ref || !ref.commit[0])
		return 3;
	if (fetch(ref.commit, ref.ref, &fetched) || !fetched.fetched)
		return 4;
	if (tree(ref.commit, "a", &answer) || reply_fd < 0)
		return 5;
	/* a mirror that has to be made anew needs more of the file system */
	if (unlink(path_of("mirror/git/HEAD")) || configure())
		return 6;
	if (fetch(ref.commit, ref.ref, &fetched) || !fetched.fetched)
		return 7;
	return open("/bin/true", O_RDONLY) >= 0 && execl("/bin/true", "true", NULL) == 0 ? 8 : 0;
}

static void source_works_inside_its_sandbox(void **state)
{
	pid_t child;
	int status;

	(void)state;
	shell(NULL, "cd w; i=0; while [ $i -lt 200 ]; do echo \"n: $i\" > a/f$i.yaml; i=$((i+1)); done; git add .; git commit -qm more; git push -q origin main");
	child = fork();
	if (child == 0) {
		int step = live_in_the_sandbox();

		if (step)
			fprintf(stderr, "step %d: %s %s\n", step, err.reason, err.text);
		_exit(step);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* --- a reader beside it ------------------------------------------------------------------------------------------- */

/* Another process in life: its session takes the place of the first one's, which is returned. */
static void *become_reader(void)
{
	void *first = session;

	session = source_session_new();
	config.url = "";
	assert_int_equal(configure(), 0);
	return first;
}

static void back_to(void *first)
{
	source_session_free(session);
	session = first;
	config.url = arena_printf(arena, "http://127.0.0.1:%d/r.git", port);
}

static int changed(const char *from, const char *to, struct source_changed_reply *out)
{
	struct source_changed_request job;
	CLEANUP(str_release) struct str request = STR_INIT;

	memcpy(job.from, from, COMMIT_HEX);
	memcpy(job.to, to, COMMIT_HEX);
	source_changed_encode(&job, &request);
	if (serve(&request))
		return -1;
	assert_int_equal(source_changed_reply_decode(str_span(&reply), arena, out, &err), 0);
	return 0;
}

/* The first commit, fetched. */
static void fetch_first(char commit[COMMIT_HEX])
{
	struct source_fetch_reply fetched;
	struct source_ref ref;

	assert_int_equal(configure(), 0);
	ref = ref_of("main");
	assert_int_equal(fetch(ref.commit, ref.ref, &fetched), 0);
	memcpy(commit, ref.commit, COMMIT_HEX);
}

static void reader_reads_what_the_mirror_has_and_asks_no_server(void **state)
{
	struct source_tree_reply whole, answer;
	struct source_changed_reply difference;
	struct source_fetch_reply fetched;
	char first[COMMIT_HEX], second[256];
	void *other;

	(void)state;
	fetch_first(first);
	assert_int_equal(tree(first, "a", &whole), 0);
	other = become_reader();
	server_mode("");
	assert_int_equal(tree(first, "a", &answer), 0);
	assert_true(reply_fd >= 0 && digest_equal(&answer.input, &whole.input));
	assert_string_equal(answer.revision, whole.revision);
	assert_string_equal(answer.subject, "one");
	assert_null(ref_of("main").ref);
	says("OnlyReads", ERROR_INTERNAL, "");
	assert_int_equal(fetch(first, "refs/heads/main", &fetched), -1);
	says("OnlyReads", ERROR_INTERNAL, "");
	shell(second, "cd w; echo 'n: 2' > a/x.yaml; git commit -qam two; git push -q origin main; git rev-parse HEAD");
	assert_int_equal(tree(second, "a", &answer), -1);
	says("CommitMissing", ERROR_TRANSIENT, "");
	assert_string_equal(read_file("log"), "");
	/* what the first one fetches meanwhile is there */
	back_to(other);
	assert_int_equal(fetch(second, "refs/heads/main", &fetched), 0);
	other = become_reader();
	assert_int_equal(tree(second, "a", &answer), 0);
	assert_string_equal(answer.revision, second);
	assert_int_equal(changed(first, second, &difference), 0);
	assert_int_equal(difference.count, 1);
	assert_string_equal(difference.paths[0], "a/x.yaml");
	back_to(other);
}

static void reader_changes_nothing_whatever_it_finds(void **state)
{
	static const struct { const char *script; bool readable; } damage[] = {
		{ "true", true }, { "touch mirror/git/objects/pack/pack_x; touch mirror/git/x.lock", true }, { "rm mirror/git/HEAD", false },
		{ "rm -f mirror/git/objects/pack/*.idx", false }, { "rm -rf mirror/git", false }, { "rm -rf mirror", false },
		{ "rm -f mirror.lock", false },
	};
#define LOOK "find mirror* -printf '%%p %%s %%T@ %%i\\n' 2>/dev/null | sort | sha256sum"
	struct source_tree_reply answer;
	char commit[COMMIT_HEX], before[256], after[256];
	void *other;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(damage); i++) {
		fetch_first(commit);
		shell(NULL, "%s", damage[i].script);
		shell(before, LOOK);
		other = become_reader();
		if ((tree(commit, "a", &answer) == 0) != damage[i].readable || (!damage[i].readable && err.kind != ERROR_TRANSIENT))
			fail_msg("%s: %s %s", damage[i].script, err.reason, err.text);
		shell(after, LOOK);
		assert_string_equal(after, before);
		back_to(other);
		source_session_free(session);
		session = source_session_new();
	}
}

/* Whether the child ends within so long; it must end well. */
static bool ends(pid_t child, unsigned ms)
{
	int status = 0;

	for (unsigned i = 0; i <= ms / 10; i++) {
		if (waitpid(child, &status, WNOHANG) == child) {
			assert_int_equal(status, 0);
			return true;
		}
		usleep(10000);
	}
	return false;
}

static struct mirror_view view = MIRROR_VIEW_INIT;

/* The view is not the child's: a lock goes with the last who has it. */
static pid_t in_child(int (*fn)(void))
{
	pid_t child = fork();

	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		fd_cleanup(&view.lock);
		_exit(fn());
	}
	return child;
}

static int put_packs_together(void)
{
	struct mirror mirror = { .directory = NULL };
	bool rebuilt;

	return mirror_open(&mirror, path_of("mirror"), config.url, &rebuilt, &err) || mirror_consolidate(&mirror) || mirror_packs(&mirror) != 1;
}

static int configure_for_another(void)
{
	config.url = arena_printf(arena, "http://127.0.0.1:%d/q.git", port);
	return configure();
}

static void nothing_is_taken_away_while_a_reader_reads(void **state)
{
	static int (*const takers[])(void) = { put_packs_together, configure_for_another };
	struct source_fetch_reply fetched;
	char commit[COMMIT_HEX], second[256];
	git_oid id;

	(void)state;
	fetch_first(commit);
	shell(second, "cd w; echo 'n: 2' > a/x.yaml; git commit -qam two; git push -q origin main; git rev-parse HEAD");
	assert_int_equal(fetch(second, "refs/heads/main", &fetched), 0);
	for (size_t i = 0; i < COUNT_OF(takers); i++) {
		git_commit *found = NULL;
		pid_t child;

		assert_int_equal(mirror_view_open(&view, path_of("mirror"), &err), 0);
		child = in_child(takers[i]);
		assert_false(ends(child, 300));
		git_oid_fromstr(&id, commit);
		assert_int_equal(git_commit_lookup(&found, view.repository, &id), 0);
		git_commit_free(found);
		mirror_view_close(&view);
		assert_true(ends(child, 10000));
	}
}

static void reader_does_not_wait_for_who_takes_away(void **state)
{
	struct mirror mirror = { .directory = (char *)(uintptr_t)path_of("mirror") };
	struct source_tree_reply answer;
	char commit[COMMIT_HEX];
	void *other;
	int lock;

	(void)state;
	fetch_first(commit);
	lock = mirror_lock(&mirror);
	assert_true(lock >= 0);
	other = become_reader();
	assert_int_equal(tree(commit, "a", &answer), -1);
	says("MirrorBusy", ERROR_TRANSIENT, "mirror");
	close(lock);
	assert_int_equal(tree(commit, "a", &answer), 0);
	back_to(other);
}

static void reader_goes_on_when_packs_were_put_together(void **state)
{
	struct source_fetch_reply fetched;
	struct source_tree_reply answer;
	char first[COMMIT_HEX], second[256];
	void *other, *reader;

	(void)state;
	fetch_first(first);
	shell(second, "cd w; echo 'n: 2' > a/x.yaml; git commit -qam two; git push -q origin main; git rev-parse HEAD");
	assert_int_equal(fetch(second, "refs/heads/main", &fetched), 0);
	other = become_reader();
	assert_int_equal(tree(first, "a", &answer), 0);
	reader = session;
	session = other;
	config.url = arena_printf(arena, "http://127.0.0.1:%d/r.git", port);
	assert_true(ends(in_child(put_packs_together), 10000));
	session = reader;
	assert_int_equal(tree(first, "a", &answer), 0);
	assert_int_equal(tree(second, "a", &answer), 0);
	assert_string_equal(answer.revision, second);
	back_to(other);
}

static int read_in_the_sandbox(void)
{
	struct source_tree_reply answer;
	char commit[256];
	bool writable = true;

	shell(commit, "cd w; git rev-parse HEAD");
	if (sandbox_enter(ROLE_SOURCE, &err))
		return 1;
	config.url = "";
	if (configure() || !source_folder(session, &writable) || writable || sandbox_reader(source_folder(session, &writable), &err))
		return 2;
	if (tree(commit, "a", &answer) || reply_fd < 0)
		return 3;
	if (!strstr(sandbox_layers(), "Landlock"))
		return 0;
	return unlink(path_of("mirror/git/HEAD")) == 0 || open(path_of("mirror/x"), O_WRONLY | O_CREAT, 0600) >= 0 || open("/etc/passwd", O_RDONLY) >= 0 ? 4 : 0;
}

static void reader_works_inside_its_sandbox_and_can_only_read(void **state)
{
	char commit[COMMIT_HEX];

	(void)state;
	fetch_first(commit);
	source_session_free(session);
	session = source_session_new();
	assert_true(ends(in_child(read_in_the_sandbox), 20000));
}

static void source_of_another_kind_of_url_is_refused(void **state)
{
	(void)state;
	config.url = "git@github.com:ops/shop.git";
	assert_int_equal(configure(), -1);
	says("NotSupported", ERROR_INVALID, "only http:// and https://");
	config.url = "ssh://user:secret@h/r";
	assert_int_equal(configure(), -1);
	says("NotSupported", ERROR_INVALID, "ssh://h/r");
}

static void source_fetches_5000_files_and_a_commit_more(void **state)
{
	struct source_fetch_reply fetched;
	struct source_tree_reply answer;
	struct source_ref ref;
	int64_t start;

	(void)state;
	shell(NULL, "cd w; mkdir big; i=0; while [ $i -lt 5000 ]; do echo \"n: $i\" > big/f$i.yaml; i=$((i+1)); done; git add .; git commit -qm big; "
		    "git push -q origin main");
	assert_int_equal(configure(), 0);
	ref = ref_of("main");
	start = clock_mono_ms();
	assert_int_equal(fetch(ref.commit, ref.ref, &fetched), 0);
	assert_int_equal(tree(ref.commit, "big", &answer), 0);
	assert_int_equal(answer.files, 5000);
	assert_true(clock_mono_ms() - start < 20000);
	shell(NULL, "cd w; echo 'n: x' > big/f17.yaml; git commit -qam one; git push -q origin main");
	ref = ref_of("main");
	assert_int_equal(fetch(ref.commit, ref.ref, &fetched), 0);
	/* the tree of 5,000 entries is sent as a difference to the one before */
	assert_true(fetched.received_bytes < 20000);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(source_finds_fetches_and_reads_a_revision),
		TEST(source_asks_with_one_request_once_it_knows_the_server),
		TEST(source_asks_nothing_for_a_commit_that_is_there),
		TEST(source_fetches_what_a_tree_job_misses),
		TEST(source_gets_only_what_is_new),
		TEST(source_follows_a_force_push),
		TEST(source_tells_a_ref_that_moved_from_a_commit_that_is_none),
		TEST(source_fetches_a_commit_that_is_no_tip),
		TEST(source_peels_tags_and_takes_the_highest_version),
		TEST(source_reads_a_repository_of_many_refs),
		TEST(source_of_an_empty_repository_says_so),
		TEST(source_names_what_the_server_answered),
		TEST(source_dials_no_address_that_is_off_limits_however_it_is_spelled),
		TEST(source_dials_this_machine_where_it_is_spelled_out_or_the_proxy_is_there),
		TEST(source_reads_no_commit_or_tree_that_is_too_large),
		TEST(source_cut_or_corrupt_pack_is_an_error_and_leaves_the_mirror_usable),
		TEST(source_makes_a_broken_mirror_anew),
		TEST(source_notices_a_pack_that_rotted_on_disk),
		TEST(source_does_not_clone_anew_for_a_defective_commit),
		TEST(source_removes_what_a_killed_fetch_left),
		TEST(mirror_puts_the_packs_of_many_fetches_together),
		TEST(source_does_not_take_a_folder_that_is_not_its_own),
		TEST(source_makes_the_mirror_anew_for_another_repository),
		TEST(source_needs_to_be_configured_first),
		TEST(source_follows_redirects_on_the_same_host_only),
		TEST(source_sends_its_credential_and_never_shows_it),
		TEST(source_trusts_the_configured_root_alone),
		TEST(source_shows_its_client_certificate),
		TEST(source_works_inside_its_sandbox),
		TEST(reader_reads_what_the_mirror_has_and_asks_no_server),
		TEST(reader_changes_nothing_whatever_it_finds),
		TEST(nothing_is_taken_away_while_a_reader_reads),
		TEST(reader_does_not_wait_for_who_takes_away),
		TEST(reader_goes_on_when_packs_were_put_together),
		TEST(reader_works_inside_its_sandbox_and_can_only_read),
		TEST(source_of_another_kind_of_url_is_refused),
		TEST(source_fetches_5000_files_and_a_commit_more),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
