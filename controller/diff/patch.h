/*
 * What is sent to a live object besides an apply: JSON patches that take out
 * what is foreign or make kubectl's fields ours, and the object that hands
 * ignored fields to a manager of their own. Pure: made from the live object.
 */
#ifndef DIFF_PATCH_H
#define DIFF_PATCH_H

#include "base/arena.h"
#include "base/json.h"
#include "diff/extras.h"
#include "gate/images.h"

struct application;

/* The first container, init container, image volume or image at a path of `custom` (or NULL) in `live` that `desired` does not have. */
struct foreign_image {
	const char *pointer;     /* JSON pointer of the list item, or of the image at a path; "" when there is none */
	const char *position;    /* "container", "init container", ... */
	const char *name, *image;
};
struct foreign_image patch_foreign(const struct json *live, const struct json *desired, const struct custom_paths *custom, struct arena *arena);

/*
 * A JSON patch (with a resourceVersion test) that takes out of `live` what must not stay: every foreign container, image volume
 * (with the mounts of a volume that goes) or image at a path of `custom`, other extras that weaken security (below), and every extra
 * but what is left to others, where an Application asks for that (`exact`, else NULL). NULL if there is nothing. An image that was judged and allowed (`allowed`: array of image texts, or NULL) stays. `full` (NULL: nothing is ignored) is
 * `desired` with its ignored fields: a container whose ignored image may not stay gets the image that Git names.
 */
struct json *patch_strip(const struct json *live, const struct json *desired, const struct json *full, const struct json *allowed,
			 const struct custom_paths *custom, const struct application *exact, struct arena *arena);

/*
 * Whether there are such extras besides images; *who says the first of them and who added it, by managedFields ("" where these do
 * not tell). Weakening security is what diff/posture.h says; it is decided by content, never by who holds the field.
 */
bool patch_has_extras(const struct json *live, const struct json *desired, const struct application *exact, struct arena *arena, struct extra *who);

/* Whether our own field set in `live` holds one of the pointers (one a line). */
bool patch_holds(const struct json *live, const char *pointers);

/* An object with nothing but identity and the live values at the pointers: what the manager of released fields applies. */
struct json *patch_released(const struct json *live, const char *pointers, struct arena *arena);

/* A JSON patch that turns the entries of kubectl (of any manager when `any`) into our own Apply entry; NULL when there are none. */
struct json *patch_own(const struct json *live, bool any, struct arena *arena);

#endif
