/* Objects as core holds them; see live_record.h. */
#include "reconcile/live_record.h"

#include "api/tracking.h"
#include "base/encode.h"
#include "base/name.h"
#include "base/pool.h"
#include "diff/compare.h"
#include "diff/extras.h"
#include "diff/fields.h"
#include "diff/posture.h"

static const struct live_more nothing_more = { 0 };

const struct live_more *live_more(const struct live_object *object)
{
	return object->more ? object->more : &nothing_more;
}

static void drop_text(char *text)
{
	if (text)
		pool_free(text, strlen(text) + 1);
}

static void set_text(char **slot, const char *text)
{
	char *former = *slot;

	*slot = text && *text ? strcpy(pool_alloc(strlen(text) + 1), text) : NULL;
	drop_text(former);
}

static struct live_more *more_of(struct live_object *object)
{
	if (!object->more)
		object->more = pool_alloc(sizeof(*object->more));
	return object->more;
}

static bool is_nothing(const struct live_more *more)
{
	return digest_is_zero(&more->images) && digest_is_zero(&more->extras) && !more->uid && !more->health_message && !more->posture &&
	       !more->extras_text && !more->drifted;
}

static void drop_more(struct live_object *object)
{
	struct live_more *more = TAKE(object->more);

	if (!more)
		return;
	drop_text(more->uid);
	name_drop(more->health_message);
	drop_text(more->posture);
	drop_text(more->extras_text);
	drop_text(more->drifted);
	pool_free(more, sizeof(*more));
}

/* Of most objects nothing is left. */
static void trim_more(struct live_object *object)
{
	if (object->more && is_nothing(object->more))
		drop_more(object);
}

struct live_object *record_new(const char *key)
{
	size_t size = strlen(key) + 1;
	struct live_object *object = pool_alloc(sizeof(*object) + size);

	memcpy(object->key, key, size);
	return object;
}

void record_clear(struct live_object *object)
{
	drop_more(object);
	name_set(&object->app, NULL);
	object->watch = NULL;
	object->version = 0;
	object->applied_s = 0;
	object->exists = object->digested = object->deleting = object->metadata_only = object->leaving = false;
	object->aside = object->extraneous = false;
	object->owned = (struct digest){ { 0 } };
	memset(object->uid, 0, sizeof(object->uid));
}

void record_free(struct live_object *object)
{
	if (!object)
		return;
	record_clear(object);
	pool_free(object, sizeof(*object) + strlen(object->key) + 1);
}

/* --- uids ---------------------------------------------------------------------------------------------------------- */

static bool is_known(const uint8_t uid[16])
{
	static const uint8_t none[16] = { 0 };

	return memcmp(uid, none, sizeof(none)) != 0;
}

void record_set_uid(struct live_object *object, const char *uid)
{
	memset(object->uid, 0, sizeof(object->uid));
	if (object->more)
		set_text(&object->more->uid, NULL);
	if ((!uuid_parse(span_of(uid), object->uid) || !is_known(object->uid)) && uid && *uid)
		set_text(&more_of(object)->uid, uid);
}

bool live_has_uid(const struct live_object *object, const char *uid)
{
	uint8_t other[16];

	if (!is_known(object->uid))
		return !strcmp(live_more(object)->uid ? live_more(object)->uid : "", uid);
	return uuid_parse(span_of(uid), other) && !memcmp(other, object->uid, sizeof(other));
}

char *live_uid(const struct live_object *object, struct arena *arena)
{
	char text[37];

	if (!is_known(object->uid))
		return arena_strdup(arena, live_more(object)->uid ? live_more(object)->uid : "");
	uuid_text(object->uid, text);
	return arena_strdup(arena, text);
}

/* --- what the API server says ---------------------------------------------------------------------------------------- */

void record_set_drifted(struct live_object *object, const struct json *from)
{
	CLEANUP(str_release) struct str text = STR_INIT;

	if (from)
		json_write(from, JSON_PLAIN, &text);
	if (from || object->more)
		set_text(&more_of(object)->drifted, str_c(&text));
	trim_more(object);
}

void record_declared(struct live_object *object, const struct json *live, const struct json *desired)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	CLEANUP(str_release) struct str text = STR_INIT;
	struct json *extras, *kept = json_array(arena);

	if (!live_more(object)->extras_text || json_parse(span_of(object->more->extras_text), arena, 0, &extras, NULL))
		return;
	for (size_t i = 0; i < json_count(extras); i++)
		if (!compare_declares(desired, live, json_text_span(json_get(json_at(extras, i), "path"))))
			json_append(arena, kept, json_at(extras, i));
	json_write(kept, JSON_PLAIN, &text);
	set_text(&object->more->extras_text, json_count(kept) ? str_c(&text) : NULL);
	trim_more(object);
}

/* The same members, and two more. */
struct json *record_with_kind(const struct json *from, const char *group, const char *kind, struct arena *arena)
{
	struct json *out = json_object(arena);

	JSON_EACH(member, from)
		json_set_span(arena, out, member->key, member->value);
	json_set_string(arena, out, "kind", kind);
	json_set(arena, out, "apiVersion", json_stringf(arena, "%s%sv1", group, *group ? "/" : ""));
	return out;
}

static void take_extras(struct live_more *more, const struct json *from, struct arena *arena)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	struct json *list = json_array(arena);
	struct extra *extras;
	size_t count, left;

	extras_find(from, arena, &extras, &count, &left);
	more->extras = extras_digest(extras, count);
	for (size_t i = 0; i < count; i++) {
		struct json *one = json_object(arena);

		json_set_string(arena, one, "path", extras[i].path);
		json_set_string(arena, one, "manager", extras[i].manager);
		json_set_string(arena, one, "time", extras[i].time);
		json_append(arena, list, one);
	}
	json_write(list, JSON_PLAIN, &text);
	set_text(&more->extras_text, count ? str_c(&text) : NULL);
}

/* What of it weakens security; returns whether that changed. By content: managedFields may have been wiped or forged. */
static bool take_posture(struct live_more *more, const struct json *from, struct arena *arena)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	const struct json *posture = posture_of(from, arena);
	const char *before = more->posture ? more->posture : "";

	if (posture)
		json_write(posture, JSON_PLAIN, &text);
	if (!strcmp(before, str_c(&text)))
		return false;
	set_text(&more->posture, str_c(&text));
	return true;
}

/* Images and posture by content: what is held in our name without an apply, a webhook's addition say, is in neither of the others. */
static struct digest state_digest(const struct digest *owned, const struct digest *extras, const struct digest *images, const char *posture)
{
	const struct digest *const digests[] = { owned, extras, images };
	CLEANUP(str_release) struct str text = STR_INIT;
	char hex[DIGEST_HEX];

	for (size_t i = 0; i < COUNT_OF(digests); i++) {
		digest_hex(digests[i], hex);
		str_addf(&text, "%s\n", hex);
	}
	str_adds(&text, posture ? posture : "");
	return digest_of(str_span(&text));
}

struct digest live_state(const struct live_object *object)
{
	const struct live_more *more = live_more(object);

	if (!object->digested || object->metadata_only)
		return (struct digest){ { 0 } };
	return state_digest(&object->owned, &more->extras, &more->images, more->posture);
}

struct digest live_state_of(const struct json *object, const struct custom_paths *custom)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	CLEANUP(str_release) struct str text = STR_INIT;
	const struct json *posture = posture_of(object, arena);
	struct digest owned = fields_digest(object), images = gate_images_digest(object, custom, arena), of_extras;
	struct extra *extras;
	size_t count, left;

	extras_find(object, arena, &extras, &count, &left);
	of_extras = extras_digest(extras, count);
	if (posture)
		json_write(posture, JSON_PLAIN, &text);
	return state_digest(&owned, &of_extras, &images, str_c(&text));
}

uint64_t record_version(const struct json *metadata)
{
	struct span text = json_text_span(json_get(metadata, "resourceVersion"));
	int64_t number;

	return span_to_int64(text, &number) ? (uint64_t)number : 0;
}

/* What of an object decides whether its Application looks again. */
struct matter {
	struct digest owned, images, extras;
	uint8_t health;
	bool deleting;
};

static struct matter matter_of(const struct live_object *object)
{
	const struct live_more *more = live_more(object);

	return (struct matter){ object->owned, more->images, more->extras, object->health, object->deleting };
}

static bool is_same_matter(const struct matter *a, const struct matter *b)
{
	return digest_equal(&a->owned, &b->owned) && digest_equal(&a->images, &b->images) && digest_equal(&a->extras, &b->extras) &&
	       a->health == b->health && a->deleting == b->deleting;
}

/* Whether the annotation has the word, as one of several with commas between. */
static bool says(const struct json *metadata, const char *annotation, const char *word)
{
	struct span rest = json_text_span(json_path(metadata, "annotations", annotation, NULL));

	while (rest.length)
		if (span_is(span_trim(span_cut(&rest, ',')), word))
			return true;
	return false;
}

bool record_take(struct live_object *object, const struct json *from, const struct custom_paths *custom, struct arena *arena)
{
	const struct json *metadata = json_get(from, "metadata");
	const char *uid = json_get_text(metadata, "uid"), *message = "";
	struct matter before = matter_of(object), now;
	struct live_more *more = more_of(object);
	bool first = !object->digested, other = !live_has_uid(object, uid ? uid : ""), posture;

	/* another one of that name is nobody's whom we deleted */
	object->leaving &= !other;
	record_set_uid(object, uid);
	object->digested = true;
	object->version = record_version(metadata);
	object->deleting = json_get_text(metadata, "deletionTimestamp") != NULL;
	name_set(&object->app, tracking_app(arena, from));
	object->metadata_only = false;
	object->owned = fields_digest(from);
	object->applied_s = fields_applied_s(from);
	more->images = gate_images_digest(from, custom, arena);
	object->health = (uint8_t)health_of(from, arena, &message);
	name_set(&more->health_message, message && *message ? message : NULL);
	object->aside = says(metadata, "argocd.argoproj.io/ignore-healthcheck", "true");
	object->extraneous = says(metadata, "argocd.argoproj.io/compare-options", "IgnoreExtraneous");
	take_extras(more, from, arena);
	posture = take_posture(more, from, arena);
	now = matter_of(object);
	trim_more(object);
	return first || other || posture || !is_same_matter(&before, &now);
}
