/* The audit commands as a person runs them: exit codes, what goes to stdout and what to stderr. */
#include "../record/log_fixture.h"

#include "base/encode.h"
#include "cli/audit.h"
#include "record/audit_read.h"

static struct str out, errors;

/* Runs the command with its output in files; the last argument is NULL. */
static int run(const char *first, ...)
{
	char *argv[16] = { "audit", (char *)(uintptr_t)first };
	int argc = 2, saved[2], status;
	va_list more;

	va_start(more, first);
	while (argc < 15 && (argv[argc] = va_arg(more, char *)) != NULL)
		argc++;
	va_end(more);
	fflush(stdout);
	fflush(stderr);
	for (int fd = 1; fd <= 2; fd++) {
		int to = open(beside_dir(fd == 1 ? ".out" : ".err"), O_WRONLY | O_CREAT | O_TRUNC, 0600);

		saved[fd - 1] = dup(fd);
		dup2(to, fd);
		close(to);
	}
	status = cli_audit(argc, argv);
	fflush(stdout);
	fflush(stderr);
	for (int fd = 1; fd <= 2; fd++) {
		dup2(saved[fd - 1], fd);
		close(saved[fd - 1]);
	}
	str_reset(&out);
	str_reset(&errors);
	read_whole(beside_dir(".out"), &out);
	read_whole(beside_dir(".err"), &errors);
	return status;
}

static void assert_run(int got, int want, const char *says)
{
	if (got != want || (says && !strstr(str_c(&out), says) && !strstr(str_c(&errors), says)))
		fail_msg("exit %d, want %d, saying \"%s\"; stdout: %s stderr: %s", got, want, says ? says : "", str_c(&out), str_c(&errors));
}

static void verify_tells_the_count(void **state)
{
	(void)state;
	make_log(3, 300);
	assert_run(run("verify", dir, NULL), 0, "ok: 5 records");
	assert_run(run("verify", home, NULL), 0, "ok: 5 records"); /* the data folder will do */
}

static void verify_of_a_changed_log_exits_3_and_names_file_and_byte(void **state)
{
	CLEANUP(str_release) struct str content = STR_INIT;

	(void)state;
	make_log(3, 300);
	read_whole(in_dir("tile/0/000.p/5"), &content);
	content.data[33] ^= 1;
	write_whole(in_dir("tile/0/000.p/5"), str_span(&content));
	assert_run(run("verify", dir, NULL), 3, "error: the log is not intact: tile/0/000.p/5: byte 33: ");
	assert_int_equal(out.length, 0);
	unlink(in_dir("checkpoint"));
	assert_run(run("verify", dir, NULL), 3, "checkpoint: byte 0: it is missing");
}

static void verify_takes_key_and_checkpoint_as_file_or_text(void **state)
{
	CLEANUP(str_release) struct str vkey = STR_INIT, note = STR_INIT;

	(void)state;
	make_log(3, 300);
	read_whole(in_dir("vkey"), &vkey);
	read_whole(in_dir("checkpoint"), &note);
	assert_run(run("verify", dir, "--key", in_dir("vkey"), "--last-known", in_dir("checkpoint"), NULL), 0, "ok: 5");
	assert_run(run("verify", "--key", str_c(&vkey), dir, "--last-known", str_c(&note), NULL), 0, "ok: 5");
	assert_run(run("verify", dir, "--key", "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", NULL), 3, "another key");
	assert_run(run("verify", dir, "--key", "nonsense", NULL), 1, "--key nonsense is no file and no vkey");
	assert_run(run("verify", dir, "--last-known", "/dev/null", NULL), 1, "--last-known");
}

static void verify_against_a_newer_checkpoint_exits_3(void **state)
{
	char command[512];

	(void)state;
	make_log(3, 300);
	snprintf(command, sizeof(command), "cp -r %s %s-older", dir, dir);
	assert_int_equal(system(command), 0);
	make_log(3, 300);
	assert_run(run("verify", dir, "--last-known", beside_dir("-older/checkpoint"), NULL), 0, "ok: 10");
	snprintf(command, sizeof(command), "%s-older", dir);
	assert_run(run("verify", command, "--last-known", in_dir("checkpoint"), NULL), 3, "the last are gone");
}

static void log_prints_each_record_as_its_own_line(void **state)
{
	struct span lines, line;
	unsigned count = 0;

	(void)state;
	make_log(300, 300);
	assert_run(run("log", dir, "-o", "json", NULL), 0, NULL);
	for (lines = str_span(&out); line = span_cut(&lines, '\n'), line.length; count++) {
		struct audit_envelope envelope;

		assert_int_equal(audit_envelope_read(line, &envelope, NULL, NULL), 0);
		assert_int_equal(envelope.seq, count);
	}
	assert_int_equal(count, 302);
}

static void log_is_a_table_for_people_and_can_be_narrowed(void **state)
{
	(void)state;
	make_log(2, 300);
	assert_run(run("log", dir, NULL), 0, "SEQ");
	assert_run(run("log", dir, NULL), 0, "countersign-system/shop");
	assert_run(run("log", dir, "--kind", "log.stop", "-o", "json", NULL), 0, "\"seq\":3");
	assert_null(strstr(str_c(&out), "drift"));
	assert_run(run("log", dir, "--app", "countersign-system/shop", "--from", "2", "-o", "json", NULL), 0, "\"seq\":2");
	assert_null(strstr(str_c(&out), "\"seq\":1,"));
}

static void record_with_terminal_codes_prints_none(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct json *record = audit_record(arena, AUDIT_DRIFT, AUDIT_OK);
	struct audit_log *log = open_log();

	(void)state;
	audit_set_reason(arena, record, "X", "\x1b[31mred\r\nforged line \xe2\x80\xae");
	audit_log_append(log, record, NULL, NULL);
	audit_log_close(log);
	assert_run(run("log", dir, NULL), 0, "red");
	assert_null(memchr(out.data, '\x1b', out.length));
	assert_null(strstr(str_c(&out), "\nforged"));
	assert_run(run("show", dir, "1", NULL), 0, "red");
	assert_null(memchr(out.data, '\x1b', out.length));
	assert_null(strstr(str_c(&out), "\nforged"));
}

static void commit_with_terminal_codes_prints_none(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct json *record = audit_record(arena, AUDIT_DRIFT, AUDIT_OK);
	struct audit_git git = { .repo = "https://git.example/ops/shop.git", .ref = "main", .commit = "\x1b[31mred\nforged" };
	struct audit_log *log = open_log();

	(void)state;
	audit_set_git(arena, record, &git);
	audit_log_append(log, record, NULL, NULL);
	audit_log_close(log);
	assert_run(run("log", dir, NULL), 0, "red");
	assert_null(memchr(out.data, '\x1b', out.length));
	assert_null(strstr(str_c(&out), "\nfor"));
}

static void file_with_terminal_codes_in_its_name_prints_none(void **state)
{
	(void)state;
	make_log(3, 300);
	write_whole(in_dir("x\x1b[2Jx"), SPAN("x"));
	assert_run(run("verify", dir, NULL), 3, "does not belong");
	assert_null(memchr(errors.data, '\x1b', errors.length));
	assert_int_equal(errors.data[errors.length - 1], '\n');
}

static void show_prints_one_record(void **state)
{
	(void)state;
	make_log(2, 300);
	assert_run(run("show", dir, "1", NULL), 0, "kind: drift");
	assert_run(run("show", dir, "1", "-o", "json", NULL), 0, "\"kind\": \"drift\"");
	assert_run(run("show", dir, "4", NULL), 4, "there is no record 4");
	assert_run(run("show", dir, "x", NULL), 2, "not the number of a record");
}

/* The proof, checked here from its text alone against the record's bytes and the key. */
static void prove_writes_a_proof_that_holds(void **state)
{
	CLEANUP(audit_reader_release) struct audit_reader reader = AUDIT_READER_INIT;

	(void)state;
	make_log(300, 300);
	assert_int_equal(audit_reader_open(dir, &reader, NULL), 0);
	for (uint64_t seq = 0; seq < 302; seq += 43) {
		CLEANUP(str_release) struct str record = STR_INIT;
		struct digest proof[TLOG_PROOF_MAX], leaf;
		struct checkpoint checkpoint;
		struct span rest, line;
		size_t count = 0;
		char text[32];

		snprintf(text, sizeof(text), "%d", (int)seq);
		assert_run(run("prove", dir, text, NULL), 0, NULL);
		rest = str_span(&out);
		assert_true(span_is(span_cut(&rest, '\n'), "c2sp.org/tlog-proof@v1"));
		snprintf(text, sizeof(text), "index %d", (int)seq);
		assert_true(span_is(span_cut(&rest, '\n'), text));
		while (line = span_cut(&rest, '\n'), line.length) {
			CLEANUP(str_release) struct str hash = STR_INIT;

			assert_int_equal(base64_decode(line, &hash, NULL), 0);
			memcpy(proof[count++].bytes, hash.data, DIGEST_SIZE);
		}
		assert_int_equal(checkpoint_open(rest, &reader.key, true, &checkpoint, NULL), 0);
		assert_int_equal(audit_read_record(&reader, seq, &record, NULL), 0);
		leaf = tlog_leaf(str_span(&record));
		assert_true(tlog_proves(seq, checkpoint.size, &leaf, proof, count, &checkpoint.root));
	}
	assert_run(run("prove", dir, "302", NULL), 4, "there is no record 302");
}

static void prove_of_a_changed_record_exits_3(void **state)
{
	CLEANUP(str_release) struct str content = STR_INIT;

	(void)state;
	make_log(3, 300);
	read_whole(in_dir("tile/entries/000.p/5"), &content);
	*(char *)memmem(content.data, content.length, "abcdef", 6) = 'b';
	write_whole(in_dir("tile/entries/000.p/5"), str_span(&content));
	assert_run(run("prove", dir, "1", NULL), 3, "do not prove record 1");
	assert_int_equal(out.length, 0);
}

#define SELF "system:serviceaccount:countersign-system:countersign-controller"

static void join_ends_in_its_counts(void **state)
{
	static const char last[] = "0 writes, 0 matched, 0 unrecorded, 0 unsent, 0 foreign\n";
	static const char one[] = "1 writes, 0 matched, 1 unrecorded, 0 unsent, 0 foreign\n";
	static const char event[] = "{\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/v1\",\"auditID\":\"x\",\"stage\":\"ResponseComplete\",\"verb\":"
				    "\"patch\",\"user\":{\"username\":\"" SELF "\"},\"impersonatedUser\":{\"username\":\"a\"}}\n";
	CLEANUP(str_release) struct str path = STR_INIT;

	(void)state;
	make_log(1, 300);
	str_adds(&path, beside_dir(".events"));
	write_whole(str_c(&path), SPAN("{\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/v1\",\"auditID\":\"x\",\"stage\":\"ResponseComplete\",\"verb\":"
				       "\"patch\",\"user\":{\"username\":\"jane\"}}\n"));
	assert_run(run("join", dir, str_c(&path), "--account", SELF, NULL), 0, last);
	write_whole(str_c(&path), span_of(event));
	assert_run(run("join", dir, str_c(&path), "--account", SELF, NULL), 3, one);
	assert_non_null(strstr(str_c(&out), "unrecorded: patch"));
	assert_true(span_ends(str_span(&out), one));
	/* a line that is being written is left out, a broken one is an error */
	write_whole(str_c(&path), span_sub(span_of(event), 0, sizeof(event) - 12));
	assert_run(run("join", dir, str_c(&path), "--account", SELF, NULL), 0, "not whole yet");
	write_whole(str_c(&path), SPAN("nonsense\n"));
	assert_run(run("join", dir, str_c(&path), NULL), 1, "line 1: not JSON");
	assert_run(run("join", dir, "/nonexistent", NULL), 4, "/nonexistent");
}

/* One more log, behind that of the tests. */
static const char *make_another(unsigned number)
{
	static char path[3][80];
	CLEANUP(str_release) struct str first = STR_INIT;

	str_adds(&first, dir);
	snprintf(path[number], sizeof(path[number]), "%s/other%u", home, number);
	snprintf(dir, sizeof(dir), "%s", path[number]);
	make_log(1, 300);
	snprintf(dir, sizeof(dir), "%s", str_c(&first));
	return path[number];
}

static void join_takes_the_logs_of_all_replicas_each_once(void **state)
{
	static const char line[] = "{\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/v1\",\"auditID\":\"%s.7.0.1\",\"stage\":\"ResponseComplete\","
				   "\"verb\":\"patch\",\"user\":{\"username\":\"jane\"}}\n";
	CLEANUP(audit_reader_release) struct audit_reader reader = AUDIT_READER_INIT;
	CLEANUP(str_release) struct str events = STR_INIT, path = STR_INIT;
	const char *one, *two;
	struct error err = ERROR_INIT;

	(void)state;
	make_log(1, 300);
	one = make_another(0);
	two = make_another(1);
	assert_int_equal(audit_reader_open(two, &reader, &err), 0);
	str_addf(&events, line, audit_reader_id(&reader));
	str_adds(&path, beside_dir(".events"));
	write_whole(str_c(&path), str_span(&events));
	assert_run(run("join", dir, str_c(&path), "--also", one, NULL), 0, "0 foreign");
	/* an id of the third log, sent by another */
	assert_run(run("join", dir, str_c(&path), "--also", one, "--also", two, NULL), 3, "1 foreign");
	assert_run(run("join", dir, str_c(&path), "--also", two, "--also", one, NULL), 3, "1 foreign");
	assert_run(run("join", dir, str_c(&path), "--also", one, "--also", one, NULL), 1, "was given before");
}

static void option_takes_its_value_behind_an_equals_sign_too(void **state)
{
	CLEANUP(str_release) struct str word = STR_INIT;

	(void)state;
	make_log(3, 300);
	str_addf(&word, "--key=%s", in_dir("vkey"));
	assert_run(run("verify", dir, str_c(&word), NULL), 0, "ok: 5 records");
	assert_run(run("verify", dir, "--key=nonsense", NULL), 1, "--key nonsense is no file and no vkey");
	assert_run(run("log", dir, "--from=4", "-o", "json", NULL), 0, "\"seq\":4");
	assert_run(run("log", dir, "--frob=4", NULL), 2, "has no option --frob=4");
}

static void join_with_a_log_that_is_not_intact_exits_3(void **state)
{
	(void)state;
	make_log(1, 300);
	write_whole(in_dir("note"), SPAN("x"));
	assert_run(run("join", dir, "/dev/null", NULL), 3, "note: byte 0");
}

/* Puts `record` in the place of record 1. Its checkpoint still names the log's key, which is all that a reader asks. */
static void put_record(struct span record)
{
	CLEANUP(str_release) struct str bundle = STR_INIT, changed = STR_INIT;
	struct span rest, each;

	read_whole(in_dir("tile/entries/000.p/3"), &bundle);
	rest = str_span(&bundle);
	for (int i = 0; log_entry_next(&rest, &each); i++)
		log_entry_add(&changed, i == 1 ? record : each);
	write_whole(in_dir("tile/entries/000.p/3"), str_span(&changed));
}

static void record_that_is_none_exits_3_and_is_named(void **state)
{
	static const char *const records[] = { "{\"seq\":1}", "[]", "{\"seq\":1", "", "{\"t\":1}" };

	(void)state;
	make_log(1, 300);
	for (size_t i = 0; i < COUNT_OF(records); i++) {
		put_record(span_of(records[i]));
		assert_run(run("log", dir, NULL), 3, "error: the log is not intact: record 1: ");
		assert_run(run("log", dir, "-o", "json", NULL), 3, "record 1: ");
		assert_run(run("show", dir, "1", NULL), 3, "error: the log is not intact: record 1: ");
		assert_run(run("show", dir, "0", NULL), 0, "log.start");
	}
}

/* Makes record 1 one whose body beside the log is `content`. */
static void put_body(struct span content)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	CLEANUP(str_release) struct str text = STR_INIT, path = STR_INIT;
	struct audit_reader reader = AUDIT_READER_INIT;
	struct digest digest = digest_of(content);
	struct json *record, *body = json_object(arena);
	char hex[DIGEST_HEX];

	assert_int_equal(audit_reader_open(dir, &reader, NULL), 0);
	assert_int_equal(audit_read_record(&reader, 1, &text, NULL), 0);
	audit_reader_release(&reader);
	assert_int_equal(json_parse(str_span(&text), arena, 0, &record, NULL), 0);
	digest_hex(&digest, hex);
	json_set_string(arena, body, "sha256", hex);
	json_set(arena, record, "body", body);
	str_reset(&text);
	json_write(record, JSON_SORTED, &text);
	put_record(str_span(&text));
	assert_int_equal(dir_make(beside_dir("-bodies"), NULL), 0);
	str_addf(&path, "%s/%s", beside_dir("-bodies"), hex);
	write_whole(str_c(&path), content);
}

static void body_that_says_what_the_record_says_exits_3_and_is_named(void **state)
{
	(void)state;
	make_log(1, 300);
	put_body(SPAN("{\"note\":\"of the body\"}"));
	assert_run(run("show", dir, "1", NULL), 0, "of the body");
	put_body(SPAN("{\"t\":1}"));
	assert_run(run("log", dir, NULL), 3, "error: the log is not intact: record 1: ");
	assert_run(run("show", dir, "1", NULL), 3, "its body has t");
	put_body(SPAN("[1]"));
	assert_run(run("log", dir, NULL), 3, "error: the log is not intact: record 1: ");
}

static void wrong_use_exits_2_and_says_how(void **state)
{
	(void)state;
	assert_run(run("frob", NULL), 2, "there is no command audit frob");
	assert_run(run("verify", NULL), 2, "needs the folder of a log");
	assert_run(run("verify", "a", "b", NULL), 2, "usage: countersign audit verify DIR");
	assert_run(run("verify", "a", "--key", NULL), 2, "--key needs a value");
	assert_run(run("log", "a", "--frob", NULL), 2, "has no option --frob");
	assert_run(run("log", "a", "-o", "yaml", NULL), 2, "-o is json or table, not yaml");
	/* an empty answer would read as if nothing of it had happened */
	assert_run(run("log", "a", "--kind", "sync.deny", NULL), 2, "there are no records of the kind sync.deny");
	assert_non_null(strstr(str_c(&errors), "sync.denied"));
	assert_run(run("log", "a", "--app", "shop", NULL), 2, "--app is NAMESPACE/NAME, not shop");
	assert_run(run("join", "a", NULL), 2, "one argument more");
	assert_run(run("join", "a", "b", "--since", "yesterday", NULL), 2, "--since is an RFC 3339 time");
	assert_run(run("--help", NULL), 0, "audit join");
	assert_int_equal(errors.length, 0);
}

static void folder_that_is_no_log_is_not_found(void **state)
{
	(void)state;
	assert_run(run("verify", "/nonexistent", NULL), 4, "error: there is no folder /nonexistent");
	assert_run(run("log", home, NULL), 4, "holds no audit log");
}

static int release_output(void **state)
{
	(void)state;
	str_release(&out);
	str_release(&errors);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(verify_tells_the_count),
		TEST(verify_of_a_changed_log_exits_3_and_names_file_and_byte),
		TEST(verify_takes_key_and_checkpoint_as_file_or_text),
		TEST(verify_against_a_newer_checkpoint_exits_3),
		TEST(log_prints_each_record_as_its_own_line),
		TEST(log_is_a_table_for_people_and_can_be_narrowed),
		TEST(record_with_terminal_codes_prints_none),
		TEST(commit_with_terminal_codes_prints_none),
		TEST(file_with_terminal_codes_in_its_name_prints_none),
		TEST(show_prints_one_record),
		TEST(prove_writes_a_proof_that_holds),
		TEST(prove_of_a_changed_record_exits_3),
		TEST(join_ends_in_its_counts),
		TEST(join_takes_the_logs_of_all_replicas_each_once),
		TEST(option_takes_its_value_behind_an_equals_sign_too),
		TEST(join_with_a_log_that_is_not_intact_exits_3),
		TEST(record_that_is_none_exits_3_and_is_named),
		TEST(body_that_says_what_the_record_says_exits_3_and_is_named),
		TEST(wrong_use_exits_2_and_says_how),
		TEST(folder_that_is_no_log_is_not_found),
	};

	return cmocka_run_group_tests_name("audit_cli", tests, NULL, release_output);
}
