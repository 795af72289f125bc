/* Strict JSON of strangers; see document.h. */
#include "verify/document.h"

#include "base/encode.h"

/* An upper bound, read off the bytes alone: each value but the first follows one of these. */
static size_t values_at_most(struct span text)
{
	size_t count = 1;

	for (size_t i = 0; i < text.length; i++)
		count += text.data[i] == ',' || text.data[i] == '[' || text.data[i] == '{';
	return count;
}

int document_read(struct span text, const char *what, struct arena *arena, struct json **out, struct error *err)
{
	struct error cause = ERROR_INIT;
	struct json *value;

	if (values_at_most(text) > DOCUMENT_VALUES)
		return refuse(err, REASON_TOO_LARGE, "%s holds more than %u values", what, DOCUMENT_VALUES);
	if (json_parse(text, arena, DOCUMENT_DEPTH, &value, &cause))
		return refuse(err, REASON_BAD_JSON, "%s: %s", what, cause.text);
	if (!json_is(value, JSON_OBJECT))
		return refuse(err, REASON_BAD_JSON, "%s is %s, not an object", what, json_type_name(value));
	*out = value;
	return 0;
}

int document_base64(struct span text, const char *what, struct arena *arena, struct span *out, struct error *err)
{
	CLEANUP(str_release) struct str bytes = STR_INIT;
	struct error cause = ERROR_INIT;

	if (base64_decode(text, &bytes, &cause))
		return refuse(err, REASON_BAD_BASE64, "%s: %s", what, cause.text);
	*out = arena_span(arena, str_span(&bytes));
	return 0;
}

const char *document_shown(struct span text, struct arena *arena)
{
	CLEANUP(str_release) struct str escaped = STR_INIT;

	text_escape(span_sub(text, 0, DOCUMENT_SHOWN), &escaped);
	if (text.length > DOCUMENT_SHOWN)
		str_adds(&escaped, "...");
	return arena_strndup(arena, str_span(&escaped));
}

static bool is_one_of(struct span key, const char *const *names)
{
	for (; *names; names++)
		if (span_is(key, *names))
			return true;
	return false;
}

int document_only(const struct json *object, const char *what, const char *const *names, struct error *err)
{
	JSON_EACH(member, object)
		if (!is_one_of(member->key, names)) {
			CLEANUP(arena_cleanup) struct arena *scratch = arena_new(0);

			return refuse(err, REASON_BAD_JSON, "%s has a field '%s' that its format does not know", what,
				      document_shown(member->key, scratch));
		}
	return 0;
}

int document_text(const struct json *object, const char *key, const char *what, size_t max, const char **out, struct error *err)
{
	const struct json *value = json_get(object, key);
	struct span text = json_text_span(value);

	if (!json_is(value, JSON_STRING))
		return refuse(err, REASON_BAD_JSON, "%s: %s is %s, must be a string", what, key, json_type_name(value));
	if (text.length > max || span_has_nul(text))
		return refuse(err, REASON_BAD_JSON, "%s: %s %s", what, key,
			      text.length > max ? "is too long" : "holds a zero byte");
	*out = json_text(value);
	return 0;
}
