/* render/: files to objects, what is refused and how it is told, and the answer that core reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/pack.h"
#include "base/yaml.h"
#include "io/sandbox.h"
#include "io/sealed.h"
#include "render/reply.h"
#include "render_test.h"

static struct arena *arena;

static int setup(void **state)
{
	(void)state;
	arena = arena_new(0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_cleanup(&arena);
	return 0;
}

static struct rendered good(const struct file *files)
{
	struct tree_stream stream = files_of(files, arena);
	struct rendered rendered = { NULL, 0 };
	struct error err = ERROR_INIT;

	if (render_files(&stream, arena, &rendered, NULL, &err))
		fail_msg("%s: %s", err.reason, err.text);
	return rendered;
}

static struct rendered one(const char *text)
{
	return good((struct file[]){ { "a.yaml", text }, { NULL, NULL } });
}

static struct render_problems bad(const struct file *files, struct error *err)
{
	struct tree_stream stream = files_of(files, arena);
	struct rendered rendered = { NULL, 77 };
	struct render_problems problems;

	assert_int_equal(render_files(&stream, arena, &rendered, &problems, err), -1);
	assert_int_equal(rendered.count, 77);
	return problems;
}

static void says(const struct error *err, const char *reason, const char *text)
{
	assert_string_equal(err->reason, reason);
	if (!strstr(err->text, text))
		fail_msg("\"%s\" does not say \"%s\"", err->text, text);
}

#define CM(name) "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " name "}\n"

static void render_gives_objects_in_the_order_of_path_document_item(void **state)
{
	static const struct file files[] = {
		{ "b.yaml", CM("b1") "---\n" CM("b2") },
		{ "a/z.json", "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"s\",\"namespace\":\"ns\"}}\n"
			      "{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"generateName\":\"d-\"}}" },
		{ "a.yml", "# nothing\n---\n" CM("a") },
		{ "README.md", "not a manifest: [" },
		{ "empty.yaml", "" },
		{ NULL, NULL },
	};
	static const struct {
		const char *group, *kind, *namespace, *name, *generate, *path;
		uint32_t line, document;
	} want[] = {
		{ "", "ConfigMap", "", "a", "", "a.yml", 3, 1 },
		{ "", "Service", "ns", "s", "", "a/z.json", 1, 1 },
		{ "apps", "Deployment", "", "", "d-", "a/z.json", 2, 2 },
		{ "", "ConfigMap", "", "b1", "", "b.yaml", 1, 1 },
		{ "", "ConfigMap", "", "b2", "", "b.yaml", 5, 2 },
	};
	struct rendered rendered = good(files);

	(void)state;
	assert_int_equal(rendered.count, COUNT_OF(want));
	for (size_t i = 0; i < COUNT_OF(want); i++) {
		const struct rendered_object *got = &rendered.objects[i];

		assert_string_equal(got->group, want[i].group);
		assert_string_equal(got->kind, want[i].kind);
		assert_string_equal(got->namespace, want[i].namespace);
		assert_string_equal(got->name, want[i].name);
		assert_string_equal(got->generate_name, want[i].generate);
		assert_string_equal(got->path, want[i].path);
		assert_int_equal(got->line, want[i].line);
		assert_int_equal(got->document, want[i].document);
		assert_int_equal(got->item, 0);
	}
}

static void render_flattens_lists_with_a_line_for_each_item(void **state)
{
	struct rendered rendered = one("apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata: {name: p}\n"
				       "- apiVersion: v1\n  kind: ConfigMapList\n  items:\n  - metadata: {name: c1}\n"
				       "  -\n  - metadata: {name: c2}\n");
	static const struct {
		const char *kind, *name;
		uint32_t line, item;
	} want[] = { { "Pod", "p", 4, 1 }, { "ConfigMap", "c1", 10, 3 }, { "ConfigMap", "c2", 12, 4 } };

	(void)state;
	assert_int_equal(rendered.count, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_string_equal(rendered.objects[i].kind, want[i].kind);
		assert_string_equal(rendered.objects[i].name, want[i].name);
		assert_string_equal(rendered.objects[i].api_version, "v1");
		assert_int_equal(rendered.objects[i].line, want[i].line);
		assert_int_equal(rendered.objects[i].item, want[i].item);
	}
	assert_int_equal(one("apiVersion: v1\nkind: List\nitems: []\n").count, 0);
	/* a kind that only ends like a list is itself */
	assert_string_equal(one("apiVersion: x.y/v1\nkind: AllowList\nmetadata: {name: a}\n").objects[0].kind, "AllowList");
}

static void render_turns_string_data_into_data(void **state)
{
	struct rendered rendered = one("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: b2xk, b: a2VlcA==}\n"
				       "stringData:\n  a: new\n  c: \"\"\n");
	const struct json *object = rendered.objects[0].object;

	(void)state;
	assert_null(json_get(object, "stringData"));
	assert_string_equal(json_get_text(json_get(object, "data"), "a"), "bmV3");
	assert_string_equal(json_get_text(json_get(object, "data"), "b"), "a2VlcA==");
	assert_string_equal(json_get_text(json_get(object, "data"), "c"), "");
	assert_int_equal(json_path(object, "data", "a", NULL)->line, 6);
	/* of another group it is a custom resource that happens to be called Secret */
	rendered = one("apiVersion: x.y/v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: b}\n");
	assert_non_null(json_get(rendered.objects[0].object, "stringData"));
	rendered = one("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData:\n");
	assert_null(json_get(rendered.objects[0].object, "stringData"));
	assert_null(json_get(rendered.objects[0].object, "data"));
}

static void render_of_a_secret_of_many_keys_is_not_quadratic(void **state)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	int64_t start = clock_mono_ms();
	struct rendered rendered;

	(void)state;
	str_adds(&text, "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData:\n");
	for (unsigned i = 0; i < 30000; i++)
		str_addf(&text, "  k%u: v\n", i);
	str_adds(&text, "data:\n");
	for (unsigned i = 0; i < 30000; i++)
		str_addf(&text, "  k%u: eA==\n", i * 2);
	rendered = one(str_c(&text));
	assert_int_equal(json_count(json_get(rendered.objects[0].object, "data")), 45000);
	assert_string_equal(json_get_text(json_get(rendered.objects[0].object, "data"), "k2"), "dg==");
	assert_string_equal(json_get_text(json_get(rendered.objects[0].object, "data"), "k40000"), "eA==");
	assert_true(clock_mono_ms() - start < 5000);
}

static void render_sorts_keys_at_every_depth(void **state)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	struct rendered rendered = one("kind: ConfigMap\napiVersion: v1\nmetadata: {name: a, annotations: {z: '1', b: '2'}}\n"
				       "data: {b: x, a: \"y\"}\n");

	(void)state;
	json_write(rendered.objects[0].object, JSON_PLAIN, &text);
	assert_string_equal(str_c(&text), "{\"apiVersion\":\"v1\",\"data\":{\"a\":\"y\",\"b\":\"x\"},\"kind\":\"ConfigMap\","
					  "\"metadata\":{\"annotations\":{\"b\":\"2\",\"z\":\"1\"},\"name\":\"a\"}}");
}

static void render_keeps_64_bit_integers(void **state)
{
	struct rendered rendered = one(CM("a") "x: 9223372036854775807\ny: 18446744073709551615\nz: -9223372036854775808\n");
	CLEANUP(str_release) struct str text = STR_INIT;

	(void)state;
	json_write(rendered.objects[0].object, JSON_PLAIN, &text);
	assert_non_null(strstr(str_c(&text), "\"true\":18446744073709551615,\"x\":9223372036854775807,\"z\":-9223372036854775808"));
}

static void render_skips_files_that_ask_for_it(void **state)
{
	(void)state;
	assert_int_equal(one("# +argocd:skip-file-rendering\n{{ template }}: [\n").count, 0);
}

static void render_refuses_each_wrong_object_with_its_place(void **state)
{
	static const struct {
		const char *text, *reason, *says;
	} table[] = {
		{ "- a\n- b\n", "NotAnObject", "a.yaml:1: a manifest must be a mapping, not array" },
		{ "just text\n", "NotAnObject", "a.yaml:1" },
		{ "\n\nx: 1\n", "MissingKind", "a.yaml:3: no kind" },
		{ "apiVersion: v1\nkind: 5\nmetadata: {name: a}\n", "MissingKind", "a.yaml:2: kind must be a string" },
		{ "kind: ConfigMap\nmetadata: {name: a}\n", "MissingAPIVersion", "a.yaml:1: ConfigMap without apiVersion" },
		{ "kind: ConfigMap\napiVersion: 1\nmetadata: {name: a}\n", "MissingAPIVersion", "a.yaml:2" },
		{ "apiVersion: v1\nkind: ConfigMap\n", "MissingName", "a.yaml:1: ConfigMap without metadata.name" },
		{ "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ''}\n", "MissingName", "a.yaml:1" },
		{ "apiVersion: v1\nkind: List\nitems:\n", "BadList", "a.yaml:3: items of a List must be a list, not null" },
		{ "apiVersion: v1\nkind: List\nmetadata: {}\n", "BadList", "a.yaml:1: items of a List must be a list, not absent" },
		{ "apiVersion: v1\nkind: ConfigMapList\nitems: {}\n", "BadList", "a.yaml:3: items of a ConfigMapList must be a list, not object" },
		{ "apiVersion: x.y/v1\nkind: AllowList\nspec: {}\n", "MissingName", "a.yaml:1: AllowList without metadata.name" },
		{ "apiVersion: v1\nkind: ConfigMap\nmetadata: [a]\n", "BadMetadata", "a.yaml:3: metadata of ConfigMap" },
		{ "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: 123\n", "BadMetadata", "a.yaml:4: name must be a string" },
		{ "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a,\n namespace: [x]}\n", "BadMetadata", "a.yaml:4: namespace" },
		{ "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: 5}\n", "BadSecret", "a.yaml:4" },
		{ "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: [a]\n", "BadSecret", "a.yaml:4" },
		{ "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: x\nstringData: {a: b}\n", "BadSecret", "a.yaml:4" },
		{ "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: x\n", "BadSecret", "a.yaml:4: data of Secret s must be a mapping to strings" },
		{ "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: [QQ==]\nstringData:\n", "BadSecret", "a.yaml:4: data of Secret s" },
		{ "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata:\n  a: 5\n", "BadSecret", "a.yaml:5: data.a of Secret s must be a string, not number" },
		{ "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\nbinaryData: []\n", "BadConfigMap", "a.yaml:4: binaryData of ConfigMap c" },
		{ "a: b: c\n", "YAMLError", "a.yaml:1" },
		{ "a: 1\na: 2\n", "DuplicateKey", "a.yaml:2: key \"a\"" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(table); i++) {
		struct error err = ERROR_INIT;
		struct render_problems problems = bad((struct file[]){ { "a.yaml", table[i].text }, { NULL, NULL } }, &err);

		says(&err, table[i].reason, table[i].says);
		assert_int_equal(err.kind, ERROR_INVALID);
		assert_int_equal(problems.total, 1);
	}
}

/* As a real API server answered each, in a Secret and in a ConfigMap. */
static void render_takes_as_base64_what_the_api_server_takes(void **state)
{
	static const char *const taken[] = {
		"\"\"", "null", "'+/+/'", "QUFBQUE=", "\"QUFB\\nQUE=\"", "\"QUFB\\r\\nQUE=\\n\"", "\"QQ=\\n=\\n\"", "\"\\n\"", "QR==", "QUF=",
	};
	static const char *const refused[] = {
		"CANARYnot*base64", "QUFBQQ", "\"QUFBQQ\\n\"", "'-_-_'", "QUFB QUE=", "' QUFB'", "\"QUFB\\tQUE=\"", "QQ==QQ==", "'===='", "Q===", "QQ===",
		"'='", "A", "\"QQ=\\nQ\"",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(taken); i++) {
		one(arena_printf(arena, "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: %s}\n", taken[i]));
		one(arena_printf(arena, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\nbinaryData: {a: %s}\n", taken[i]));
	}
	for (size_t i = 0; i < COUNT_OF(refused); i++) {
		struct error err = ERROR_INIT;

		bad((struct file[]){ { "a.yaml", arena_printf(arena, "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata:\n  a: %s\n", refused[i]) },
				     { NULL, NULL } }, &err);
		says(&err, "BadSecret", "a.yaml:5: data.a of Secret s is not base64; put plain text under stringData");
		assert_null(strstr(err.text, "CANARY"));
		bad((struct file[]){ { "a.yaml", arena_printf(arena, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\nbinaryData:\n  a: %s\n",
							      refused[i]) }, { NULL, NULL } }, &err);
		says(&err, "BadConfigMap", "a.yaml:5: binaryData.a of ConfigMap c is not base64; put plain text under data");
	}
	/* what stringData replaces is not sent, and another group's Secret is nobody's business */
	one("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: '*'}\nstringData: {a: '*'}\n");
	one("apiVersion: example.org/v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: '*'}\n");
}

static void render_tells_each_key_that_is_not_base64(void **state)
{
	struct error err = ERROR_INIT;
	struct render_problems problems = bad((struct file[]){ { "a.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: shop}\ndata:\n"
									   "  a: '*'\n  b: QQ==\n  c: '*'\nstringData: {d: '*'}\n" },
							       { NULL, NULL } }, &err);

	(void)state;
	assert_int_equal(problems.total, 2);
	says(&problems.items[0], "BadSecret", "a.yaml:5: data.a of Secret shop/s is not base64");
	says(&problems.items[1], "BadSecret", "a.yaml:7: data.c of Secret shop/s is not base64");
}

static void render_refuses_duplicate_objects_naming_both_places(void **state)
{
	static const struct file files[] = {
		{ "a.yaml", "\n" CM("x") },
		{ "b.yaml", CM("yy") "---\n" CM("x") },
		{ NULL, NULL },
	};
	static const struct file apart[] = {
		{ "a.yaml", CM("x") "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: ns}\n---\n"
			    "apiVersion: g/v1\nkind: ConfigMap\nmetadata: {name: x}\n---\n"
			    "apiVersion: v1\nkind: Pod\nmetadata: {generateName: x}\n---\n"
			    "apiVersion: v1\nkind: Pod\nmetadata: {generateName: x}\n" },
		{ NULL, NULL },
	};
	struct error err = ERROR_INIT;

	(void)state;
	bad(files, &err);
	says(&err, "DuplicateObject", "b.yaml:5: ConfigMap x is also declared at a.yaml:2");
	assert_int_equal(good(apart).count, 5);
	/* versions of one kind are one object */
	bad((struct file[]){ { "a.yaml", "apiVersion: g/v1\nkind: K\nmetadata: {name: x}\n---\n"
					 "apiVersion: g/v2\nkind: K\nmetadata: {name: x}\n" }, { NULL, NULL } }, &err);
	says(&err, "DuplicateObject", "a.yaml:5: K x is also declared at a.yaml:1");
}

static void render_names_the_file_of_a_tool_it_does_not_have(void **state)
{
	static const char *const names[] = { "app/kustomization.yaml", "kustomization.yml", "x/Kustomization", "Chart.yaml", "a.jsonnet" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		struct error err = ERROR_INIT;

		bad((struct file[]){ { names[i], "resources: []\n" }, { NULL, NULL } }, &err);
		says(&err, "NotSupported", names[i]);
	}
}

static void render_tells_all_problems_up_to_its_limit(void **state)
{
	struct file files[14] = { { NULL, NULL } };
	struct error err = ERROR_INIT;
	struct render_problems problems;

	(void)state;
	for (unsigned i = 0; i < 13; i++)
		files[i] = (struct file){ arena_printf(arena, "f%02u.yaml", i), i == 5 ? CM("fine") : "a: [\n" };
	problems = bad(files, &err);
	assert_int_equal(problems.total, 12);
	assert_int_equal(problems.count, LIMIT_RENDER_PROBLEMS);
	says(&problems.items[0], "YAMLError", "f00.yaml:");
	says(&problems.items[5], "YAMLError", "f06.yaml:");
	says(&err, "YAMLError", "f00.yaml:");
	says(&err, "YAMLError", "; f01.yaml:");
	says(&err, "YAMLError", "; and 2 more");
}

static void render_stops_at_too_large_objects_and_too_many(void **state)
{
	CLEANUP(str_release) struct str many = STR_INIT, large = STR_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	for (unsigned i = 0; i <= LIMIT_OBJECTS; i++)
		str_addf(&many, "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"c%u\"}}\n", i);
	bad((struct file[]){ { "a.json", str_c(&many) }, { NULL, NULL } }, &err);
	says(&err, "TooLarge", "more than 5000 ");
	assert_int_equal(err.kind, ERROR_LIMIT);

	str_adds(&large, CM("big") "data:\n");
	for (unsigned i = 0; i < 17; i++)
		str_addf(&large, "  k%u: \"%0100000u\"\n", i, 7u);
	bad((struct file[]){ { "a.yaml", str_c(&large) }, { NULL, NULL } }, &err);
	says(&err, "TooLarge", "a.yaml:1: ConfigMap big is larger than");
}

static void render_does_not_multiply_bombs_over_files(void **state)
{
	struct file files[61] = { { NULL, NULL } };
	CLEANUP(str_release) struct str text = STR_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	str_adds(&text, CM("a") "x: &x [");
	for (unsigned i = 0; i < 1000; i++)
		str_adds(&text, "1,");
	str_adds(&text, "]\nz: [");
	for (unsigned i = 0; i < 48; i++)
		str_adds(&text, "*x,");
	str_adds(&text, "]\n");
	for (unsigned i = 0; i < 60; i++)
		files[i] = (struct file){ arena_printf(arena, "f%02u.yaml", i), str_c(&text) };
	bad(files, &err);
	assert_true(arena_used(arena) < 400u << 20);
	struct render_problems problems = bad(files, &err);
	says(&problems.items[problems.count - 1], "DuplicateObject", "");
	assert_true(problems.total >= 59);
}

/* --- worker and answer ------------------------------------------------------------------------------------------ */

static int serve(const struct file *files, struct str *reply, struct error *err)
{
	CLEANUP(str_release) struct str bytes = STR_INIT;
	CLEANUP(fd_cleanup) int fd = -1;
	struct tree_stream stream = files_of(files, arena);
	int reply_fd = -1, rc;

	tree_stream_encode(&stream, &bytes);
	assert_int_equal(sealed_new(str_span(&bytes), &fd, err), 0);
	rc = render_serve(NULL, SPAN0, fd, reply, &reply_fd, err);
	assert_int_equal(reply_fd, -1);
	return rc;
}

static void same_lines(const struct json *a, const struct json *b)
{
	assert_int_equal(a->line, b->line);
	assert_int_equal(json_count(a), json_count(b));
	for (size_t i = 0; i < json_count(a); i++)
		same_lines(a->as.list.members[i].value, b->as.list.members[i].value);
}

static void render_answer_carries_objects_and_lines_to_core(void **state)
{
	static const struct file files[] = {
		{ "shop/b.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  namespace: ns\n  name: d\nspec:\n  template:\n    spec:\n"
				 "      containers:\n      - name: web\n        image: x\n      - image: y\n        name: z\n" },
		{ "shop/a.yaml", CM("a") "n: -1.5e-9\nm: 18446744073709551615\nu: \"\xc3\xa9\"\n" },
		{ NULL, NULL },
	};
	CLEANUP(str_release) struct str reply = STR_INIT;
	struct rendered direct = good(files), decoded;
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(serve(files, &reply, &err), 0);
	assert_int_equal(render_reply_decode(str_span(&reply), arena, &decoded, NULL, &err), 0);
	assert_int_equal(decoded.count, direct.count);
	for (size_t i = 0; i < direct.count; i++) {
		assert_true(json_equal(decoded.objects[i].object, direct.objects[i].object));
		same_lines(decoded.objects[i].object, direct.objects[i].object);
		assert_string_equal(decoded.objects[i].path, direct.objects[i].path);
		assert_string_equal(decoded.objects[i].group, direct.objects[i].group);
		assert_int_equal(decoded.objects[i].line, direct.objects[i].line);
	}
	assert_int_equal(json_pointer(decoded.objects[1].object, SPAN("/spec/template/spec/containers/1/image"))->line, 12);
}

static void render_answer_carries_problems_to_core(void **state)
{
	static const struct file files[] = { { "a.yaml", "a: [\n" }, { "b.yaml", "kind: X\n" }, { NULL, NULL } };
	CLEANUP(str_release) struct str reply = STR_INIT;
	struct rendered decoded = { NULL, 5 };
	struct render_problems problems;
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(serve(files, &reply, &err), 0);
	assert_string_equal(err.reason, "");
	assert_int_equal(render_reply_decode(str_span(&reply), arena, &decoded, &problems, &err), -1);
	assert_int_equal(problems.total, 2);
	says(&problems.items[1], "MissingAPIVersion", "b.yaml:1");
	says(&err, "YAMLError", "; b.yaml:1: X without apiVersion");
	assert_int_equal(decoded.count, 5);
}

static void render_serve_takes_only_sealed_tree_streams(void **state)
{
	CLEANUP(str_release) struct str reply = STR_INIT;
	CLEANUP(fd_cleanup) int sealed = -1;
	struct error err = ERROR_INIT;
	int pipes[2], reply_fd = -1;

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(render_serve(NULL, SPAN0, pipes[0], &reply, &reply_fd, &err), -1);
	says(&err, "NotSealed", "");
	close(pipes[0]);
	close(pipes[1]);
	assert_int_equal(render_serve(NULL, SPAN0, -1, &reply, &reply_fd, &err), -1);
	says(&err, "NotSealed", "");
	assert_int_equal(sealed_new(SPAN("garbage"), &sealed, &err), 0);
	assert_int_equal(render_serve(NULL, SPAN0, sealed, &reply, &reply_fd, &err), -1);
	says(&err, "BadFrame", "tree stream");
	assert_int_equal(render_serve(NULL, SPAN("x"), sealed, &reply, &reply_fd, &err), -1);
	says(&err, "BadFrame", "");
}

/* An answer that lies about an object must not get past core's door. */
static void render_answer_that_lies_is_refused(void **state)
{
	static const struct {
		const char *member, *value, *says;
	} lies[] = {
		{ "kind", "Pod", "not what its header says" },
		{ "apiVersion", "v2", "not what its header says" },
		{ "kind", NULL, "not what its header says" },
	};
	static const struct file files[] = { { "a.yaml", CM("a") }, { NULL, NULL } };
	struct render_problems none = { .count = 0 };
	struct rendered decoded;
	struct error err = ERROR_INIT;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(lies); i++) {
		CLEANUP(str_release) struct str reply = STR_INIT;
		struct rendered rendered = good(files);

		if (lies[i].value)
			json_set_string(arena, rendered.objects[0].object, lies[i].member, lies[i].value);
		else
			json_remove(rendered.objects[0].object, lies[i].member);
		render_reply_encode(&rendered, &none, &reply);
		assert_int_equal(render_reply_decode(str_span(&reply), arena, &decoded, NULL, &err), -1);
		says(&err, "BadFrame", lies[i].says);
	}
	struct rendered rendered = good(files);
	CLEANUP(str_release) struct str reply = STR_INIT;
	rendered.objects[0].name = "other";
	render_reply_encode(&rendered, &none, &reply);
	assert_int_equal(render_reply_decode(str_span(&reply), arena, &decoded, NULL, &err), -1);
	says(&err, "BadFrame", "not what its header says");
	/* and every cut of a good answer is refused */
	str_reset(&reply);
	rendered = good(files);
	render_reply_encode(&rendered, &none, &reply);
	for (size_t i = 0; i < reply.length; i++)
		assert_int_equal(render_reply_decode(span_make(reply.data, i), arena, &decoded, NULL, &err), -1);
	assert_int_equal(render_reply_decode(str_span(&reply), arena, &decoded, NULL, &err), 0);
}

static void render_works_inside_its_sandbox(void **state)
{
	static const struct file files[] = { { "a.yaml", CM("a") "x: 1.5\ny: [1e3, .5]\n" }, { "b.yaml", "a: [\n" }, { NULL, NULL } };
	pid_t child = fork();
	int status;

	(void)state;
	if (child == 0) {
		CLEANUP(str_release) struct str bytes = STR_INIT, reply = STR_INIT;
		struct tree_stream stream = files_of(files, arena);
		struct error err = ERROR_INIT;
		int fd = -1, reply_fd = -1;

		tree_stream_encode(&stream, &bytes);
		if (sealed_new(str_span(&bytes), &fd, &err) || sandbox_enter(ROLE_RENDER, &err))
			_exit(1);
		if (render_serve(NULL, SPAN0, fd, &reply, &reply_fd, &err) || reply.length < 20)
			_exit(2);
		_exit(fopen("/etc/passwd", "r") ? 3 : 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* --- the tree stream ------------------------------------------------------------------------------------------------ */

static void tree_stream_reads_what_it_wrote_and_nothing_else(void **state)
{
	static const struct file files[] = { { "a", "1" }, { "b/c", "" }, { "b/d", "22" }, { NULL, NULL } };
	struct tree_stream stream = files_of(files, arena), again;
	CLEANUP(str_release) struct str bytes = STR_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	tree_stream_encode(&stream, &bytes);
	assert_int_equal(tree_stream_decode(str_span(&bytes), arena, &again, &err), 0);
	assert_int_equal(again.count, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_true(span_equal(again.files[i].path, stream.files[i].path));
		assert_true(span_equal(again.files[i].bytes, stream.files[i].bytes));
		assert_memory_equal(again.files[i].oid, stream.files[i].oid, TREE_OID_SIZE);
		assert_int_equal(again.files[i].mode, 0100644);
	}
	for (size_t i = 0; i < bytes.length; i++)
		assert_int_equal(tree_stream_decode(span_make(bytes.data, i), arena, &again, &err), -1);
	str_addc(&bytes, 'x');
	assert_int_equal(tree_stream_decode(str_span(&bytes), arena, &again, &err), -1);
}

static void tree_stream_refuses_modes_paths_and_orders_that_cannot_be(void **state)
{
	struct error err = ERROR_INIT;
	struct tree_stream again;

	(void)state;
	for (unsigned wrong = 0; wrong < 4; wrong++) {
		CLEANUP(str_release) struct str bytes = STR_INIT;
		uint8_t oid[TREE_OID_SIZE] = { 0 };

		pack_u32(&bytes, 0x31545343u);
		pack_u32(&bytes, 2);
		for (unsigned i = 0; i < 2; i++) {
			pack_text(&bytes, i ? wrong == 1 ? "b/../c" : "b" : wrong == 2 ? "b" : "a");
			pack_u32(&bytes, wrong == 0 ? 0120000 : 0100644);
			pack_span(&bytes, span_make(oid, wrong == 3 ? 19 : 20));
			pack_text(&bytes, "");
		}
		assert_int_equal(tree_stream_decode(str_span(&bytes), arena, &again, &err), -1);
		says(&err, "BadFrame", "tree stream");
	}
}

static void tree_input_digest_depends_on_path_mode_and_blob_alone(void **state)
{
	static const struct file files[] = { { "a", "1" }, { "b", "2" }, { NULL, NULL } };
	struct tree_stream stream = files_of(files, arena);
	struct digest first = tree_input_digest(&stream), other;

	(void)state;
	stream.files[0].bytes = SPAN("changed");
	other = tree_input_digest(&stream);
	assert_true(digest_equal(&first, &other));
	stream.files[1].mode = 0100755;
	other = tree_input_digest(&stream);
	assert_false(digest_equal(&first, &other));
	stream.files[1].mode = 0100644;
	stream.files[1].oid[19] ^= 1;
	other = tree_input_digest(&stream);
	assert_false(digest_equal(&first, &other));
	stream.files[1].oid[19] ^= 1;
	stream.files[1].path = SPAN("c");
	other = tree_input_digest(&stream);
	assert_false(digest_equal(&first, &other));
	assert_false(digest_is_zero(&first));
}

static void tree_path_is_clean_only_without_tricks(void **state)
{
	static const char *const clean[] = { "a", "a/b.yaml", ".hidden", "a..b/c", "...", "\xc3\xa9" };
	static const char *const dirty[] = { "", "/a", "a/", "a//b", ".", "./a", "a/.", "..", "../a", "a/../b", "a/..", "a\rb", "a\n", "\xff",
					     "a\x7f" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(clean); i++)
		assert_true(tree_path_is_clean(span_of(clean[i])));
	for (size_t i = 0; i < COUNT_OF(dirty); i++)
		assert_false(tree_path_is_clean(span_of(dirty[i])));
	assert_false(tree_path_is_clean(span_make("a\0b", 3)));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(render_gives_objects_in_the_order_of_path_document_item),
		TEST(render_flattens_lists_with_a_line_for_each_item),
		TEST(render_turns_string_data_into_data),
		TEST(render_of_a_secret_of_many_keys_is_not_quadratic),
		TEST(render_sorts_keys_at_every_depth),
		TEST(render_keeps_64_bit_integers),
		TEST(render_skips_files_that_ask_for_it),
		TEST(render_refuses_each_wrong_object_with_its_place),
		TEST(render_takes_as_base64_what_the_api_server_takes),
		TEST(render_tells_each_key_that_is_not_base64),
		TEST(render_refuses_duplicate_objects_naming_both_places),
		TEST(render_names_the_file_of_a_tool_it_does_not_have),
		TEST(render_tells_all_problems_up_to_its_limit),
		TEST(render_stops_at_too_large_objects_and_too_many),
		TEST(render_does_not_multiply_bombs_over_files),
		TEST(render_answer_carries_objects_and_lines_to_core),
		TEST(render_answer_carries_problems_to_core),
		TEST(render_serve_takes_only_sealed_tree_streams),
		TEST(render_answer_that_lies_is_refused),
		TEST(render_works_inside_its_sandbox),
		TEST(tree_stream_reads_what_it_wrote_and_nothing_else),
		TEST(tree_stream_refuses_modes_paths_and_orders_that_cannot_be),
		TEST(tree_input_digest_depends_on_path_mode_and_blob_alone),
		TEST(tree_path_is_clean_only_without_tricks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
