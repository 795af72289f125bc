/*
 * Records larger than a leaf may be: their largest members lie beside the log, named by their hash, which the record
 * has. See audit_read.h.
 */
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "api/audit.h"
#include "base/limits.h"
#include "io/file.h"
#include "record/audit_read.h"

/* Without these it would be no record, or nobody could tell what it belongs to. None is of a length that others choose. */
static bool must_stay(struct span key)
{
	static const char *const stays[] = { "app", "body", "boot", "id", "intent", "kind", "mono", "outcome", "recovered", "seq", "t", "v",
					     "ver" };

	for (size_t i = 0; i < COUNT_OF(stays); i++)
		if (span_is(key, stays[i]))
			return true;
	return false;
}

/* What people look for stays as long as it can; but whoever writes an Application may make these as long as they like. */
static bool should_stay(struct span key)
{
	return span_is(key, "actor") || span_is(key, "as") || span_is(key, "project") || span_is(key, "reason");
}

static size_t written_size(const struct json *value)
{
	CLEANUP(str_release) struct str text = STR_LIMIT(LIMIT_AUDIT_BODY_BYTES);

	json_write(value, JSON_SORTED, &text);
	return text.overflow ? SIZE_MAX : text.length;
}

static struct json_member *largest(const struct json *record, bool of_all, size_t *size)
{
	struct json_member *found = NULL;

	JSON_EACH(member, record) {
		bool stays = must_stay(member->key) || (!of_all && should_stay(member->key));
		size_t here = stays ? 0 : written_size(member->value);

		if (here && (!found || here > *size)) {
			found = member;
			*size = here;
		}
	}
	return found;
}

static int write_body(const struct log_files *files, struct span content, char hex[DIGEST_HEX], struct error *err)
{
	CLEANUP(str_release) struct str path = STR_INIT;
	struct digest digest = digest_of(content);

	digest_hex(&digest, hex);
	log_files_beside(files, "-bodies", &path);
	if (dir_make(str_c(&path), err))
		return -1;
	str_addf(&path, "/%s", hex);
	return file_exists(str_c(&path)) ? 0 : file_write(str_c(&path), content, 0600, err);
}

int audit_shrink(const struct log_files *files, struct arena *arena, struct json *record, struct error *err)
{
	struct json *body = json_object(arena), *entry = json_object(arena), *fields = json_array(arena);
	CLEANUP(str_release) struct str text = STR_LIMIT(LIMIT_AUDIT_BODY_BYTES);
	size_t left = written_size(record), size = 0;
	char hex[DIGEST_HEX];

	while (left > LIMIT_RECORD_INLINE_BYTES) {
		struct json_member *member = largest(record, false, &size);

		if (!member)
			member = largest(record, true, &size);
		if (!member || size == SIZE_MAX)
			return error_set(err, ERROR_LIMIT, "RecordTooLarge", "an audit record of %zu bytes cannot be made to fit", left);
		left = left > size ? left - size : 0;
		json_append(arena, fields, json_span(arena, member->key));
		json_set_span(arena, body, member->key, member->value);
		json_remove_at(record, (size_t)(member - record->as.list.members));
	}
	json_write(body, JSON_SORTED, &text);
	if (text.overflow)
		return error_set(err, ERROR_LIMIT, "RecordTooLarge", "the body of an audit record is larger than %u bytes",
				 LIMIT_AUDIT_BODY_BYTES);
	if (write_body(files, str_span(&text), hex, err))
		return -1;
	json_set(arena, entry, "fields", fields);
	json_set_string(arena, entry, "sha256", hex);
	json_set_int(arena, entry, "size", (int64_t)text.length);
	json_set(arena, record, "body", entry);
	return 0;
}

/* Reads the body; NULL in *out where it is not there. */
static int read_body(const struct log_files *files, const char *hex, struct arena *arena, struct json **out, struct error *err)
{
	CLEANUP(str_release) struct str path = STR_INIT, content = STR_LIMIT(LIMIT_AUDIT_BODY_BYTES);
	struct digest digest;
	char found[DIGEST_HEX];

	*out = NULL;
	log_files_beside(files, "-bodies", &path);
	str_addf(&path, "/%s", hex);
	if (!file_exists(str_c(&path)))
		return 0;
	if (file_read(str_c(&path), LIMIT_AUDIT_BODY_BYTES, &content, err))
		return -1;
	digest = digest_of(str_span(&content));
	digest_hex(&digest, found);
	if (strcmp(found, hex) != 0)
		return error_set(err, ERROR_INVALID, "LogCorrupt", "%s: byte 0: its SHA-256 is %s", str_c(&path), found);
	return json_parse(str_span(&content), arena, 0, out, err);
}

/* A body has what was too large for the record, and says nothing in its place: a `t` of it would be shown, which nobody checked.
 */
static int put_back(struct arena *arena, struct json *record, const struct json *body, struct error *err)
{
	if (body && !json_is(body, JSON_OBJECT))
		return error_set(err, ERROR_INVALID, "LogCorrupt", "its body is no object");
	JSON_EACH(member, body) {
		if (json_get_span(record, member->key))
			return error_set(err, ERROR_INVALID, "LogCorrupt", "its body has %.*s, which it has itself",
					 SPAN_ARG(member->key));
		json_set_span(arena, record, member->key, member->value);
	}
	return 0;
}

int audit_expand(const struct log_files *files, struct span record, struct arena *arena, struct json **out, struct error *err)
{
	struct audit_envelope envelope;
	const char *hex;
	struct json *body;

	if (audit_envelope_read(record, &envelope, NULL, err) || json_parse(record, arena, 0, out, err))
		return log_corrupt(err, NULL);
	hex = json_get_text(json_get(*out, "body"), "sha256");
	if (!hex || strlen(hex) != DIGEST_HEX - 1 || strspn(hex, "0123456789abcdef") != DIGEST_HEX - 1)
		return 0;
	return read_body(files, hex, arena, &body, err) ? -1 : put_back(arena, *out, body, err);
}
