/*
 * Bundles; see bundle.h. The form of the whole document is a table of fields,
 * walked once; what is left is to take the parts and to check what a table
 * cannot say.
 */
#include "verify/bundle.h"

#include "base/limits.h"
#include "verify/document.h"

#define CERTIFICATES_MAX 16
#define HASHES_MAX 64              /* a Merkle proof of 2^64 leaves */
#define TEXT_MAX 65536u            /* checkpoints are the longest texts: a few hundred bytes */

enum field_type { FIELD_END = 0, FIELD_TEXT, FIELD_BYTES, FIELD_INTEGER, FIELD_INDEX, FIELD_OBJECT };

struct field {
	const char *name;
	enum field_type type;
	size_t repeated;               /* 0: single; else an array of at most so many */
	const struct field *fields;    /* of an object */
};

static const struct field log_id[] = { { "keyId", FIELD_BYTES, 0, NULL }, { NULL, FIELD_END, 0, NULL } };
static const struct field kind_version[] = {
	{ "kind", FIELD_TEXT, 0, NULL }, { "version", FIELD_TEXT, 0, NULL }, { NULL, FIELD_END, 0, NULL }
};
static const struct field promise[] = { { "signedEntryTimestamp", FIELD_BYTES, 0, NULL }, { NULL, FIELD_END, 0, NULL } };
static const struct field checkpoint[] = { { "envelope", FIELD_TEXT, 0, NULL }, { NULL, FIELD_END, 0, NULL } };
static const struct field proof[] = {
	{ "logIndex", FIELD_INDEX, 0, NULL },	{ "rootHash", FIELD_BYTES, 0, NULL },
	{ "treeSize", FIELD_INDEX, 0, NULL },	{ "hashes", FIELD_BYTES, HASHES_MAX, NULL },
	{ "checkpoint", FIELD_OBJECT, 0, checkpoint }, { NULL, FIELD_END, 0, NULL },
};
static const struct field tlog_entry[] = {
	{ "logIndex", FIELD_INDEX, 0, NULL },	      { "logId", FIELD_OBJECT, 0, log_id },
	{ "kindVersion", FIELD_OBJECT, 0, kind_version }, { "integratedTime", FIELD_INTEGER, 0, NULL },
	{ "inclusionPromise", FIELD_OBJECT, 0, promise }, { "inclusionProof", FIELD_OBJECT, 0, proof },
	{ "canonicalizedBody", FIELD_BYTES, 0, NULL },    { NULL, FIELD_END, 0, NULL },
};
static const struct field certificate[] = { { "rawBytes", FIELD_BYTES, 0, NULL }, { NULL, FIELD_END, 0, NULL } };
static const struct field chain[] = { { "certificates", FIELD_OBJECT, CERTIFICATES_MAX, certificate }, { NULL, FIELD_END, 0, NULL } };
static const struct field public_key[] = { { "hint", FIELD_TEXT, 0, NULL }, { NULL, FIELD_END, 0, NULL } };
static const struct field timestamp[] = { { "signedTimestamp", FIELD_BYTES, 0, NULL }, { NULL, FIELD_END, 0, NULL } };
static const struct field timestamps[] = { { "rfc3161Timestamps", FIELD_OBJECT, LIMIT_TIMESTAMPS, timestamp }, { NULL, FIELD_END, 0, NULL } };
static const struct field material[] = {
	{ "publicKey", FIELD_OBJECT, 0, public_key }, { "x509CertificateChain", FIELD_OBJECT, 0, chain },
	{ "certificate", FIELD_OBJECT, 0, certificate }, { "tlogEntries", FIELD_OBJECT, LIMIT_TLOG_ENTRIES, tlog_entry },
	{ "timestampVerificationData", FIELD_OBJECT, 0, timestamps }, { NULL, FIELD_END, 0, NULL },
};
static const struct field message_digest[] = {
	{ "algorithm", FIELD_TEXT, 0, NULL }, { "digest", FIELD_BYTES, 0, NULL }, { NULL, FIELD_END, 0, NULL }
};
static const struct field message_signature[] = {
	{ "messageDigest", FIELD_OBJECT, 0, message_digest }, { "signature", FIELD_BYTES, 0, NULL }, { NULL, FIELD_END, 0, NULL }
};
static const struct field signature[] = {
	{ "sig", FIELD_BYTES, 0, NULL }, { "keyid", FIELD_TEXT, 0, NULL }, { NULL, FIELD_END, 0, NULL }
};
static const struct field envelope[] = {
	{ "payload", FIELD_BYTES, 0, NULL }, { "payloadType", FIELD_TEXT, 0, NULL },
	{ "signatures", FIELD_OBJECT, 32, signature }, { NULL, FIELD_END, 0, NULL },
};
static const struct field root[] = {
	{ "mediaType", FIELD_TEXT, 0, NULL }, { "verificationMaterial", FIELD_OBJECT, 0, material },
	{ "messageSignature", FIELD_OBJECT, 0, message_signature }, { "dsseEnvelope", FIELD_OBJECT, 0, envelope },
	{ NULL, FIELD_END, 0, NULL },
};

/* What a value of the wrong type is called in messages. */
static int refuse_type(const char *name, const char *wanted, const struct json *value, struct error *err)
{
	return refuse(err, REASON_BAD_JSON, "bundle: %s is %s, must be %s", name, json_type_name(value), wanted);
}

static int check_text(const char *name, const struct json *value, struct error *err)
{
	struct span text = json_text_span(value);

	if (!json_is(value, JSON_STRING))
		return refuse_type(name, "a string", value, err);
	if (text.length > TEXT_MAX || span_has_nul(text))
		return refuse(err, REASON_BAD_JSON, "bundle: %s %s", name, span_has_nul(text) ? "holds a zero byte" : "is too long");
	return 0;
}

static int check_bytes(const char *name, const struct json *value, struct error *err)
{
	CLEANUP(arena_cleanup) struct arena *scratch = arena_new(0);
	struct span bytes;

	if (!json_is(value, JSON_STRING))
		return refuse_type(name, "a base64 string", value, err);
	return document_base64(json_text_span(value), name, scratch, &bytes, err);
}

/* The protobuf mapping: 64-bit integers are written as strings, and read as numbers too. */
static int check_integer(const char *name, const struct json *value, bool index, struct error *err)
{
	struct span text = json_text_span(value);
	bool negative = span_starts(text, "-");
	int64_t number = 0;

	if (json_is(value, JSON_INT))
		number = value->as.i;
	else if (!json_is(value, JSON_STRING) || !span_to_int64(negative ? span_from(text, 1) : text, &number))
		return refuse_type(name, "an integer", value, err);
	if (index && (negative || number < 0))
		return refuse(err, REASON_NEGATIVE_INDEX, "bundle: %s is negative", name);
	return 0;
}

static int check_object(const char *name, const struct json *object, const struct field *fields, struct error *err);

static int check_value(const struct field *field, const struct json *value, struct error *err)
{
	switch (field->type) {
	case FIELD_TEXT:
		return check_text(field->name, value, err);
	case FIELD_BYTES:
		return check_bytes(field->name, value, err);
	case FIELD_INTEGER:
	case FIELD_INDEX:
		return check_integer(field->name, value, field->type == FIELD_INDEX, err);
	case FIELD_OBJECT:
		return check_object(field->name, value, field->fields, err);
	case FIELD_END:
		break;
	}
	ASSERT(false);
	return -1;
}

static int check_field(const struct field *field, const struct json *value, struct error *err)
{
	if (json_is(value, JSON_NULL))
		return 0;
	if (!field->repeated)
		return check_value(field, value, err);
	if (!json_is(value, JSON_ARRAY))
		return refuse_type(field->name, "an array", value, err);
	if (json_count(value) > field->repeated)
		return refuse(err, REASON_TOO_LARGE, "bundle: %zu %s are over the limit of %zu", json_count(value), field->name,
			      field->repeated);
	JSON_EACH(item, value)
		if (check_value(field, item->value, err))
			return -1;
	return 0;
}

static const struct field *field_of(const struct field *fields, struct span name)
{
	for (; fields->name; fields++)
		if (span_is(name, fields->name))
			return fields;
	return NULL;
}

static int check_object(const char *name, const struct json *object, const struct field *fields, struct error *err)
{
	if (!json_is(object, JSON_OBJECT))
		return refuse_type(name, "an object", object, err);
	JSON_EACH(member, object) {
		CLEANUP(arena_cleanup) struct arena *scratch = arena_new(0);
		const struct field *field = field_of(fields, member->key);

		if (!field)
			return refuse(err, REASON_BAD_JSON, "bundle: %s has a field '%s' that the format does not know", name,
				      document_shown(member->key, scratch));
		if (check_field(field, member->value, err))
			return -1;
	}
	return 0;
}

/* A member that is there and not null. */
static const struct json *present(const struct json *object, const char *key)
{
	const struct json *value = json_get(object, key);

	return json_is(value, JSON_NULL) ? NULL : value;
}

/* The media types of versions 0.1 to 0.3, in their two spellings; later ones are to be understood before they are believed. */
static int take_version(const struct json *document, struct bundle *out, struct arena *arena, struct error *err)
{
	static const struct { const char *type; unsigned minor; } versions[] = {
		{ "application/vnd.dev.sigstore.bundle+json;version=0.1", 1 },
		{ "application/vnd.dev.sigstore.bundle+json;version=0.2", 2 },
		{ "application/vnd.dev.sigstore.bundle+json;version=0.3", 3 },
		{ "application/vnd.dev.sigstore.bundle.v0.3+json", 3 },
	};
	struct span type = json_text_span(present(document, "mediaType"));

	for (size_t i = 0; i < COUNT_OF(versions); i++)
		if (span_is(type, versions[i].type)) {
			out->minor = versions[i].minor;
			return 0;
		}
	return refuse(err, REASON_UNKNOWN_VERSION, "bundle: media type '%s' is none of v0.1 to v0.3", document_shown(type, arena));
}

/* A bundle of v0.3 carries a leaf or a key hint; chains are of the versions before, and never empty. */
static int take_material(const struct json *document, struct bundle *out, struct error *err)
{
	const struct json *all = present(document, "verificationMaterial");
	const struct json *key = present(all, "publicKey"), *leaf = present(all, "certificate"), *many = present(all, "x509CertificateChain");
	int count = !!key + !!leaf + !!many;

	if (!count)
		return refuse(err, REASON_NO_MATERIAL, "bundle: names neither a public key nor a certificate");
	if (count > 1)
		return refuse(err, REASON_BAD_JSON, "bundle: names more than one of publicKey, certificate and x509CertificateChain");
	if (many && out->minor >= 3)
		return refuse(err, REASON_CHAIN_IN_V03, "bundle: has a certificate chain, which v0.3 forbids");
	if (many && !json_count(present(many, "certificates")))
		return refuse(err, REASON_EMPTY_CHAIN, "bundle: the certificate chain is empty");
	out->material = key ? BUNDLE_PUBLIC_KEY : BUNDLE_CERTIFICATE;
	out->key_hint = json_text(present(key, "hint"));
	if (!out->key_hint)
		out->key_hint = "";
	out->tlog_entries = json_count(present(all, "tlogEntries"));
	out->timestamps = json_count(json_get(present(all, "timestampVerificationData"), "rfc3161Timestamps"));
	return 0;
}

/* The kind of a log entry stands beside its body and in it: both must say the same. */
static int check_entry(const struct json *entry, struct arena *arena, struct error *err)
{
	const struct json *kind = present(entry, "kindVersion"), *body64 = present(entry, "canonicalizedBody");
	struct span bytes;
	struct json *body;

	if (!kind || !body64)
		return 0;
	if (document_base64(json_text_span(body64), "canonicalizedBody", arena, &bytes, err) ||
	    document_read(bytes, "bundle: canonicalizedBody", arena, &body, err))
		return -1;
	if (!span_equal(json_text_span(json_get(kind, "kind")), json_text_span(json_get(body, "kind"))) ||
	    !span_equal(json_text_span(json_get(kind, "version")), json_text_span(json_get(body, "apiVersion"))))
		return refuse(err, REASON_KIND_MISMATCH, "bundle: kindVersion of a log entry differs from its body");
	return 0;
}

static int check_entries(const struct json *document, struct arena *arena, struct error *err)
{
	JSON_EACH(entry, present(present(document, "verificationMaterial"), "tlogEntries"))
		if (!json_is(entry->value, JSON_NULL) && check_entry(entry->value, arena, err))
			return -1;
	return 0;
}

static int take_bytes(const struct json *object, const char *key, struct arena *arena, struct span *out, struct error *err)
{
	const struct json *value = present(object, key);

	if (!value || !json_text_span(value).length)
		return refuse(err, REASON_NO_CONTENT, "bundle: %s is missing or empty", key);
	return document_base64(json_text_span(value), key, arena, out, err);
}

/* Exactly one signature: of several, one reader could believe the first and another any. */
static int take_envelope(const struct json *dsse, struct bundle *out, struct arena *arena, struct error *err)
{
	const struct json *signatures = present(dsse, "signatures"), *type = present(dsse, "payloadType");

	if (json_count(signatures) != 1)
		return refuse(err, REASON_SIGNATURE_COUNT, "bundle: the envelope has %zu signatures, must have one", json_count(signatures));
	if (take_bytes(dsse, "payload", arena, &out->payload, err) || take_bytes(json_at(signatures, 0), "sig", arena, &out->signature, err))
		return -1;
	out->payload_type = type ? json_text(type) : "";
	out->content = BUNDLE_DSSE;
	return 0;
}

static int take_message(const struct json *message, struct bundle *out, struct arena *arena, struct error *err)
{
	const struct json *digest = present(message, "messageDigest"), *algorithm = present(digest, "algorithm");

	if (take_bytes(message, "signature", arena, &out->signature, err))
		return -1;
	if (digest && take_bytes(digest, "digest", arena, &out->digest, err))
		return -1;
	if (digest)
		out->digest_algorithm = algorithm ? json_text(algorithm) : "";
	out->content = BUNDLE_MESSAGE;
	return 0;
}

static int take_content(const struct json *document, struct bundle *out, struct arena *arena, struct error *err)
{
	const struct json *dsse = present(document, "dsseEnvelope"), *message = present(document, "messageSignature");

	if (!dsse && !message)
		return refuse(err, REASON_NO_CONTENT, "bundle: has neither dsseEnvelope nor messageSignature");
	if (dsse && message)
		return refuse(err, REASON_BAD_JSON, "bundle: has both dsseEnvelope and messageSignature");
	return dsse ? take_envelope(dsse, out, arena, err) : take_message(message, out, arena, err);
}

int bundle_parse(struct span text, struct arena *arena, struct bundle *out, struct error *err)
{
	struct bundle bundle = { .minor = 0 };
	struct json *document;

	if (document_read(text, "bundle", arena, &document, err) || check_object("the document", document, root, err))
		return -1;
	if (take_version(document, &bundle, arena, err) || take_material(document, &bundle, err) ||
	    check_entries(document, arena, err) || take_content(document, &bundle, arena, err))
		return -1;
	*out = bundle;
	return 0;
}
