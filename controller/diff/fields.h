/*
 * metadata.managedFields (FieldsV1) as sets of paths into a live object.
 *
 * A set is a JSON object as the API server writes it: "f:name" a field,
 * "k:{...}" the list item with those keys, "v:..." the item of a set, "i:n" an
 * index, "." the thing itself; an empty object is a leaf.
 *
 * managedFields can be forged or wiped by whoever may write the object, so
 * they serve two things only: attribution, and the digest below, which covers
 * paths and values alike, so that forging the one without the other shows.
 */
#ifndef DIFF_FIELDS_H
#define DIFF_FIELDS_H

#include "base/arena.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/map.h"

#define FIELD_MANAGER "countersign"

/* A list up to so long is searched from its beginning for each item. */
#define FIELDS_LINEAR_ITEMS 24u

/* The set that `manager` holds by `operation` ("Apply" or "Update") outside subresources; NULL if none. */
const struct json *fields_of(const struct json *object, const char *manager, const char *operation);

/* In which version ("apps/v1") our Apply entry names its paths, which in another form of the object may not be there; SPAN0: no entry. */
struct span fields_version(const struct json *object);

/* When an Apply of ours last changed something of it, in seconds since 1970 by the API server's clock; 0: no entry. */
uint32_t fields_applied_s(const struct json *object);

/*
 * D1: digest over the paths and values of what our Apply entry owns. Zero when
 * there is no such entry. Equal digests mean: every declared field still has
 * the value that it had.
 */
struct digest fields_digest(const struct json *object);

/* The value that one path element of a set names within `value`, or NULL; *index is set for list items (else -1). */
struct json *fields_step(const struct json *value, struct span element, ptrdiff_t *index);

/*
 * The same for one value again and again, as { .value = … }: of a long list what tells its items apart is noted once, since
 * whoever may write an object decides how long it is, and all that core does waits meanwhile. The value must not change between.
 */
struct fields_steps {
	const struct json *value;
	struct arena *arena;         /* of `keys` */
	struct json *keys;           /* the first element of key fields */
	struct map items;            /* text of what tells an item apart -> its place + 1 */
	bool by_value;               /* values are in it */
	unsigned odd;                /* elements that name other key fields than the first did */
};
struct json *fields_steps_to(struct fields_steps *steps, struct span element, ptrdiff_t *index);
void fields_steps_release(struct fields_steps *steps);

/* Both sets together, in the arena. What is no set (NULL, or no object) counts as none; NULL if both are none. */
struct json *fields_union(struct arena *arena, const struct json *a, const struct json *b);

/* Whether a managedFields entry's manager is kubectl in one of its forms ("kubectl", "kubectl-client-side-apply", "kubectl-edit"...). */
bool fields_is_kubectl(struct span manager);

#endif
