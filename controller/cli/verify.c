/* `countersign verify`: fetch and verify in this process; see verify.h. */
#include "cli/verify.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/json.h"
#include "base/limits.h"
#include "cli/cli.h"
#include "cli/text.h"
#include "io/file.h"
#include "oci/fetch.h"
#include "verify/key.h"
#include "verify/verify.h"

#define PLAIN_MAX 32
#define CA_MAX (1u << 20)

struct options {
	const char *image;
	const char *key_files[LIMIT_AUTHORITIES];
	size_t key_count;
	const char *plain_http[PLAIN_MAX];
	size_t plain_count;
	const char *ca_file;
	bool json;
};

/* One `countersign verify` from beginning to end. */
struct inquiry {
	struct options options;
	struct arena *arena;
	struct reference reference;
	struct trust_key keys[LIMIT_AUTHORITIES];
	struct fetch_reply found;
	struct claims claims;
};

/* --- the command line ------------------------------------------------------------------------------------------------- */

static int usage(const char *problem, const char *what)
{
	return cli_fail(EXIT_USAGE, "countersign verify IMAGE --key FILE [--plain-http-registry HOST]... [--registry-ca FILE] [-o json]",
			"%s%s%s", problem, what ? ": " : "", what ? what : "");
}

/* Adds to a bounded list; false when it is full. */
static bool list_add(const char **list, size_t *count, size_t max, const char *value)
{
	if (*count == max)
		return false;
	list[(*count)++] = value;
	return true;
}

/* Takes `name` and its value. Returns 0, or the status to exit with. */
static int take_option(struct options *o, const char *name, const char *value)
{
	if (!strcmp(name, "--key"))
		return list_add(o->key_files, &o->key_count, LIMIT_AUTHORITIES, value) ? 0 : usage("too many keys", NULL);
	if (!strcmp(name, "--plain-http-registry"))
		return list_add(o->plain_http, &o->plain_count, PLAIN_MAX, value) ? 0 : usage("too many plain http registries", NULL);
	if (!strcmp(name, "--registry-ca")) {
		o->ca_file = value;
		return 0;
	}
	o->json = !strcmp(value, "json");
	return o->json || !strcmp(value, "text") ? 0 : usage("-o knows json and text, not", value);
}

static bool is_option(const char *name)
{
	static const char *const names[] = { "--key", "--plain-http-registry", "--registry-ca", "-o" };

	for (size_t i = 0; i < COUNT_OF(names); i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

static int parse_options(int argc, char **argv, struct options *o)
{
	for (int i = 1; i < argc; i++) {
		char *value = argv[i][0] == '-' ? strchr(argv[i], '=') : NULL;
		int status = 0;

		if (value) /* --name=value */
			*value++ = '\0';
		if (is_option(argv[i])) {
			const char *name = argv[i];

			if (!value && i + 1 == argc)
				return usage("no value for option", name);
			status = take_option(o, name, value ? value : argv[++i]);
		} else if (argv[i][0] == '-') {
			status = usage("no such option", argv[i]);
		} else if (o->image) {
			status = usage("one image at a time, what is", argv[i]);
		} else {
			o->image = argv[i];
		}
		if (status)
			return status;
	}
	if (!o->image)
		return usage("no image is named", NULL);
	return o->key_count ? 0 : usage("no key is given: name the public key with --key", NULL);
}

/* --- the question ------------------------------------------------------------------------------------------------------ */

static int read_text(struct inquiry *q, const char *path, size_t limit, const char **out, struct error *err)
{
	CLEANUP(str_release) struct str text = STR_INIT;

	if (file_read(path, limit, &text, err))
		return -1;
	if (span_has_nul(str_span(&text)))
		return error_set(err, ERROR_INVALID, "BadFile", "%s is no text", path);
	*out = arena_strndup(q->arena, str_span(&text));
	return 0;
}

/* Keys are named by their files; each is read now, so that a wrong one is told before the registry is asked. */
static int read_keys(struct inquiry *q, struct error *err)
{
	for (size_t i = 0; i < q->options.key_count; i++) {
		const char *path = q->options.key_files[i];
		struct key *key;

		if (read_text(q, path, KEY_PEM_MAX, &q->keys[i].pem, err))
			return -1;
		if (key_parse(span_of(q->keys[i].pem), q->arena, &key, err))
			return error_wrap(err, "%s", path);
		q->keys[i].id = path;
	}
	return 0;
}

/* The credential that docker and cosign would use, or none. A missing file is none; a helper is told, not run. */
static int read_credential(struct inquiry *q, struct credential *out, struct error *err)
{
	const char *folder = getenv("DOCKER_CONFIG"), *home = getenv("HOME");
	CLEANUP(str_release) struct str path = STR_INIT, text = STR_INIT;
	bool found = false, helper = false;

	*out = CREDENTIAL_ANONYMOUS;
	if (folder && folder[0])
		str_addf(&path, "%s/config.json", folder);
	else
		str_addf(&path, "%s/.docker/config.json", home ? home : "");
	if (file_read(str_c(&path), DOCKERCONFIG_MAX, &text, err))
		return err->kind == ERROR_NOT_FOUND ? 0 : -1;
	if (dockerconfig_find(str_span(&text), &q->reference, q->arena, out, &found, &helper, err))
		return error_wrap(err, "%s", str_c(&path));
	if (helper)
		fprintf(stderr, "warning: %s names a credential helper for %s, which is not run: asking without a credential\n", str_c(&path),
			q->reference.registry);
	return 0;
}

static bool is_plain(const struct inquiry *q)
{
	for (size_t i = 0; i < q->options.plain_count; i++)
		if (!strcmp(q->options.plain_http[i], q->reference.host) || !strcmp(q->options.plain_http[i], q->reference.registry))
			return true;
	return false;
}

static int ask(struct inquiry *q, struct error *err)
{
	struct trust trust = { q->keys, q->options.key_count };
	struct fetch_request request = { .evidence = true };

	if (reference_parse(span_of(q->options.image), q->arena, &q->reference, err) || read_keys(q, err) ||
	    read_credential(q, &request.credential, err))
		return -1;
	if (q->options.ca_file && read_text(q, q->options.ca_file, CA_MAX, &request.ca_pem, err))
		return -1;
	request.reference = q->reference;
	request.plain_http = is_plain(q);
	if (fetch(&request, q->arena, &q->found, err))
		return -1;
	return verify_evidence(&q->found.evidence, &trust, clock_wall_ns(), &q->found.digest, q->arena, &q->claims, err);
}

/* --- the answer --------------------------------------------------------------------------------------------------------- */

/* Signatures by a trusted key. */
static size_t count_good(const struct inquiry *q)
{
	size_t good = 0;

	for (size_t i = 0; i < q->claims.count; i++)
		good += q->claims.items[i].proves == CLAIM_SIGNATURE;
	return good;
}

static struct json *claim_json(const struct claim *c, struct arena *arena)
{
	struct json *o = json_object(arena), *keys = json_array(arena), *annotations = json_object(arena);
	char document[DIGEST_TEXT];

	digest_text(&c->document, document);
	json_set_bool(arena, o, "verified", c->proves == CLAIM_SIGNATURE);
	json_set_string(arena, o, "format", evidence_kind_name(c->kind));
	json_set_string(arena, o, "source", evidence_source_name(c->source));
	json_set_string(arena, o, "document", document);
	if (c->reason != REASON_NONE) {
		json_set_string(arena, o, "reason", reason_name(c->reason));
		json_set_string(arena, o, "message", c->text);
	}
	for (size_t i = 0; i < c->signer_count; i++)
		json_append_string(arena, keys, c->signers[i].id);
	json_set(arena, o, "keys", keys);
	if (c->predicate_type[0])
		json_set_string(arena, o, "predicateType", c->predicate_type);
	if (c->repository[0])
		json_set_string(arena, o, "dockerReference", c->repository);
	for (size_t i = 0; i < c->annotation_count; i++)
		json_set_string(arena, annotations, c->annotations[i].key, c->annotations[i].value);
	json_set(arena, o, "annotations", annotations);
	return o;
}

static void print_json(const struct inquiry *q, const char *pinned)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	struct json *o = json_object(q->arena), *signatures = json_array(q->arena);
	char digest[DIGEST_TEXT];

	digest_text(&q->claims.image, digest);
	json_set_string(q->arena, o, "apiVersion", "countersign.dev/v1alpha1");
	json_set_string(q->arena, o, "kind", "ImageVerification");
	json_set_string(q->arena, o, "image", pinned);
	json_set_string(q->arena, o, "digest", digest);
	json_set_bool(q->arena, o, "verified", count_good(q) > 0);
	for (size_t i = 0; i < q->claims.count; i++)
		json_append(q->arena, signatures, claim_json(&q->claims.items[i], q->arena));
	json_set(q->arena, o, "signatures", signatures);
	json_write(o, JSON_PRETTY, &text);
	puts(str_c(&text));
}

static void print_claim(const struct claim *c, FILE *out)
{
	CLEANUP(str_release) struct str text = STR_INIT, clean = STR_INIT;
	char document[DIGEST_TEXT];

	digest_text(&c->document, document);
	str_addf(&text, "  %-8s %s, %s, %s: ", c->proves == CLAIM_SIGNATURE ? "verified" : "refused", evidence_kind_name(c->kind),
		 evidence_source_name(c->source), document);
	if (c->proves == CLAIM_SIGNATURE)
		str_addf(&text, "key %s", c->signers[0].id);
	else
		str_addf(&text, "%s: %s", reason_name(c->reason), c->text);
	text_clean(str_span(&text), &clean);
	fprintf(out, "%s\n", str_c(&clean));
}

/* What proves something goes to stdout, what was refused to stderr. */
static void print_text(const struct inquiry *q, const char *pinned)
{
	bool good = count_good(q) > 0;

	if (good)
		puts(pinned);
	for (size_t i = 0; i < q->claims.count; i++)
		print_claim(&q->claims.items[i], q->claims.items[i].proves == CLAIM_SIGNATURE ? stdout : stderr);
}

static int answer(const struct inquiry *q)
{
	CLEANUP(str_release) struct str pinned = STR_INIT;

	reference_pin(&q->reference, &q->found.digest, &pinned);
	if (q->options.json)
		print_json(q, str_c(&pinned));
	else
		print_text(q, str_c(&pinned));
	if (count_good(q))
		return EXIT_DONE;
	if (!q->claims.count)
		return cli_fail(EXIT_NO_SIGNATURES, "sign it: cosign sign --key KEY IMAGE@DIGEST", "%s has no signatures", str_c(&pinned));
	return cli_fail(EXIT_NONE_MATCHES, "sign it with the key that is trusted, or name the key that signed it with --key",
			"none of the %zu signatures of %s verifies", q->claims.count, str_c(&pinned));
}

int cli_verify(int argc, char **argv)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct inquiry *q = ARENA_NEW(arena, struct inquiry);
	struct error err = ERROR_INIT;
	int status;

	q->arena = arena;
	status = parse_options(argc, argv, &q->options);
	if (status)
		return status;
	if (ask(q, &err))
		return cli_fail(EXIT_FAILED, NULL, "%s: %s", err.reason, err.text);
	return answer(q);
}
