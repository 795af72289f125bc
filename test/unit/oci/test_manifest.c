/* oci/manifest and the frames of a fetch job. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "oci/fetch.h"
#include "oci/manifest.h"

#define HEX "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
#define LAYER "{\"mediaType\":\"m\",\"digest\":\"" HEX "\",\"size\":7}"

static const struct { const char *text; bool bundle, legacy; } bundles[] = {
	{ "{\"schemaVersion\":2,\"artifactType\":\"application/vnd.dev.sigstore.bundle.v0.3+json\",\"layers\":[" LAYER "]}", true, false },
	{ "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"application/vnd.dev.sigstore.bundle+json;version=0.1\"},\"layers\":[]}", true, false },
	{ "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"application/vnd.dev.cosign.artifact.sig.v1+json\"},\"layers\":[" LAYER "]}", false, true },
	{ "{\"schemaVersion\":2,\"layers\":[{\"mediaType\":\"application/vnd.dev.sigstore.bundle.v0.3+json\",\"digest\":\"" HEX "\",\"size\":7}]}",
	  true, false },
	{ "{\"schemaVersion\":2,\"artifactType\":\"application/spdx+json\",\"layers\":[" LAYER "]}", false, false },
	{ "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"application/vnd.oci.empty.v1+json\"},\"layers\":null}", false, false },
	{ "{\"schemaVersion\":2,\"artifactType\":null,\"config\":null,\"layers\":[]}", false, false },
};

static void manifest_tells_whether_it_is_a_bundles(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(bundles); i++) {
		CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
		struct error err = ERROR_INIT;
		struct manifest m;

		if (manifest_parse(span_of(bundles[i].text), arena, &m, &err))
			fail_msg("%s: %s", bundles[i].text, err.text);
		if (manifest_is_bundle(&m) != bundles[i].bundle || manifest_is_legacy(&m) != bundles[i].legacy)
			fail_msg("%s", bundles[i].text);
	}
}

/* Values of "layers" or "manifests" that are none. */
static const char *const bad_lists[] = {
	"{}", "7", "\"x\"", "[null]", "[{}]", "[7]",
	"[{\"digest\":\"" HEX "\"}]", "[{\"digest\":\"" HEX "\",\"size\":-1}]", "[{\"digest\":\"" HEX "\",\"size\":\"7\"}]",
	"[{\"digest\":\"" HEX "\",\"size\":1.5}]", "[{\"digest\":\"" HEX "\",\"size\":99999999999999999999}]",
	"[{\"digest\":\"" HEX "\",\"size\":18446744073709551615}]", "[{\"digest\":\"sha256:x\",\"size\":7}]",
	"[{\"digest\":\"sha512:" HEX "\",\"size\":7}]", "[{\"digest\":7,\"size\":7}]",
	"[{\"digest\":\"" HEX "\",\"size\":7,\"mediaType\":7}]", "[{\"digest\":\"" HEX "\",\"size\":7,\"artifactType\":\"a\\u0000\"}]",
	"[{\"digest\":\"" HEX "\",\"size\":7,\"size\":8}]",
};

static void manifest_and_index_with_a_list_that_is_none_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad_lists); i++) {
		CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
		struct error err = ERROR_INIT;
		struct descriptor *list;
		struct manifest m;
		size_t count;

		if (!manifest_parse(span_of(arena_printf(arena, "{\"schemaVersion\":2,\"layers\":%s}", bad_lists[i])), arena, &m, &err))
			fail_msg("taken: %s", bad_lists[i]);
		assert_string_equal(err.reason, "BadManifest");
		assert_int_equal(index_parse(span_of(arena_printf(arena, "{\"schemaVersion\":2,\"manifests\":%s}", bad_lists[i])), arena, &list,
					     &count, &err), -1);
		assert_string_equal(err.reason, "BadIndex");
	}
}

static void manifest_of_another_schema_or_no_object_is_refused(void **state)
{
	static const char *const bad[] = { "", "[]", "null", "{}", "{\"schemaVersion\":1,\"layers\":[]}", "{\"schemaVersion\":\"2\",\"layers\":[]}",
					   "{\"schemaVersion\":2}", "{\"schemaVersion\":2,\"layers\":[],\"layers\":[]}", "{\"schemaVersion\":2,\"layers\":[]" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
		struct manifest m;

		if (!manifest_parse(span_of(bad[i]), arena, &m, NULL))
			fail_msg("taken: %s", bad[i]);
	}
}

static void index_may_be_empty_or_null_as_registries_write_it(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct descriptor *list;
	size_t count = 7;

	(void)state;
	assert_int_equal(index_parse(SPAN("{\"schemaVersion\":2,\"manifests\":null}"), arena, &list, &count, NULL), 0);
	assert_int_equal(count, 0);
	assert_int_equal(index_parse(SPAN("{\"schemaVersion\":2,\"manifests\":[" LAYER "," LAYER "]}"), arena, &list, &count, NULL), 0);
	assert_int_equal(count, 2);
	assert_int_equal(list[1].size, 7);
}

/* cosign 3.0 wrote the empty config's type into fallback indices; filtering on it loses signatures (cosign#4641). */
static void descriptor_of_the_empty_type_may_be_a_signature(void **state)
{
	static const struct { const char *type; bool may; } cases[] = {
		{ "", true }, { "application/vnd.oci.empty.v1+json", true }, { "application/vnd.dev.sigstore.bundle.v0.3+json", true },
		{ "application/vnd.dev.sigstore.bundle.v0.9+json", true }, { "application/spdx+json", false },
		{ "application/vnd.in-toto+json", false }, { "application/vnd.dev.cosign.artifact.sig.v1+json", true },
		{ "application/vnd.dev.cosign.artifact.sbom.v1+json", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct descriptor d = { .media_type = "", .artifact_type = cases[i].type };

		assert_int_equal(descriptor_may_be_signature(&d), cases[i].may);
	}
}

static void descriptor_says_what_it_is_and_when_it_was_made(void **state)
{
	static const struct { const char *annotations; bool attestation; const char *created; } cases[] = {
		{ "null", false, "" }, { "{}", false, "" },
		{ "{\"dev.sigstore.bundle.predicateType\":\"https://sigstore.dev/cosign/sign/v1\"}", false, "" },
		{ "{\"dev.sigstore.bundle.predicateType\":\"https://slsa.dev/provenance/v1\",\"org.opencontainers.image.created\":\"2026-01-02\"}", true,
		  "2026-01-02" },
		{ "{\"dev.sigstore.bundle.predicateType\":\"\",\"org.opencontainers.image.created\":\"\"}", false, "" },
		{ "{\"dev.sigstore.bundle.predicateType\":7,\"org.opencontainers.image.created\":[]}", false, "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
		struct descriptor *list;
		size_t count;
		const char *text = arena_printf(arena, "{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"" HEX "\",\"size\":7,\"annotations\":%s}]}",
						cases[i].annotations);

		assert_int_equal(index_parse(span_of(text), arena, &list, &count, NULL), 0);
		assert_int_equal(descriptor_says_attestation(&list[0]), cases[i].attestation);
		assert_true(span_is(descriptor_created(&list[0]), cases[i].created));
	}
}

static void descriptor_annotations_are_texts_and_few(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	CLEANUP(str_release) struct str text = STR_INIT;
	struct evidence_document document = { .annotation_count = 0 };
	struct descriptor d = { .media_type = "" };
	struct json *annotations;

	(void)state;
	str_adds(&text, "{\"a\":\"b\",\"n\":7,\"o\":{},\"z\\u0000\":\"x\"");
	for (int i = 0; i < 100; i++)
		str_addf(&text, ",\"k%d\":\"v\"", i);
	str_adds(&text, "}");
	assert_int_equal(json_parse(str_span(&text), arena, 0, &annotations, NULL), 0);
	d.annotations = annotations;
	descriptor_annotations(&d, arena, &document);
	assert_int_equal(document.annotation_count, EVIDENCE_ANNOTATIONS_MAX);
	assert_true(span_is(*evidence_annotation(&document, "a"), "b"));
	assert_null(evidence_annotation(&document, "n"));
}

static void fetch_job_that_is_no_job_is_an_error(void **state)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	CLEANUP(str_release) struct str request = STR_INIT, reply = STR_INIT;
	struct fetch_request job = { .credential = { "u", "p", "", "" }, .plain_http = true };
	struct fetch_reply out = { .requests = 77 };
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(reference_parse(SPAN("127.0.0.1:1/a"), arena, &job.reference, NULL), 0);
	fetch_request_encode(&job, &request);
	for (size_t i = 0; i < request.length; i++) {
		assert_int_equal(fetch_serve(span_sub(str_span(&request), 0, i), &reply, &err), -1);
		assert_string_equal(err.reason, "BadFrame");
	}
	/* Nobody listens on port 1: the whole job is a FetchError that names the URL, and not the credential. */
	assert_int_equal(fetch_serve(str_span(&request), &reply, &err), -1);
	assert_string_equal(err.reason, "FetchError");
	assert_int_equal(err.kind, ERROR_TRANSIENT);
	assert_non_null(strstr(err.text, "GET http://127.0.0.1:1/v2/a/manifests/latest"));
	assert_int_equal(reply.length, 0);
	assert_int_equal(fetch_reply_decode(SPAN("\x01"), arena, &out, &err), -1);
	assert_int_equal(out.requests, 77);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(manifest_tells_whether_it_is_a_bundles),
		cmocka_unit_test(manifest_and_index_with_a_list_that_is_none_are_refused),
		cmocka_unit_test(manifest_of_another_schema_or_no_object_is_refused),
		cmocka_unit_test(index_may_be_empty_or_null_as_registries_write_it),
		cmocka_unit_test(descriptor_of_the_empty_type_may_be_a_signature),
		cmocka_unit_test(descriptor_says_what_it_is_and_when_it_was_made),
		cmocka_unit_test(descriptor_annotations_are_texts_and_few),
		cmocka_unit_test(fetch_job_that_is_no_job_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
