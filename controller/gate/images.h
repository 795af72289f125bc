/*
 * Every image of an object, wherever a kubelet would run it from.
 *
 * What counts, at any depth of any object, whatever its kind:
 *   - an item of a list named containers, initContainers or ephemeralContainers,
 *     if the list stands in something that looks like a PodSpec: an object in
 *     which one of the three is a list of objects;
 *   - volumes[].image.reference of such an object, and of any object that has a
 *     `volumes` list with image volumes;
 *   - paths that an ImagePolicy names for a custom resource (base/jsonpath.h);
 *     one that cannot be understood is told as a problem of each such object.
 * A container without an image, an image that is no string or empty is found
 * too and told as a problem: it is denied, not passed over. But in a custom
 * resource a container may leave its image out, or empty: its operator takes one
 * of its own then. Strings inside of ConfigMaps and annotations are not images.
 */
#ifndef GATE_IMAGES_H
#define GATE_IMAGES_H

#include "base/arena.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/json.h"

struct image_use {
	const char *image;         /* as written; "" when there is none */
	const char *pointer;       /* JSON pointer of the string */
	const char *container;     /* name of the container or volume; "" for custom paths, or the path that cannot be understood */
	const char *position;      /* "container", "init container", "ephemeral container", "image volume", "custom path" */
	uint32_t line;             /* of the string; else of what should hold it */
	const char *problem;       /* NULL, or why it cannot be an image */
	struct json *value;        /* the string in the object, for pinning; NULL with a problem */
};

/* kubectl JSONPaths of custom resources, as all policies together name them. */
struct custom_path {
	const char *group, *kind;
	const char *path;
};
struct custom_paths {
	const struct custom_path *paths;
	size_t count;
};

/* Appends to *uses (an arena array); `custom` NULL: none. Never fails: what cannot be an image is a use with a problem. */
void gate_find_images(struct json *object, const struct custom_paths *custom, struct arena *arena, struct image_use **uses,
		      size_t *count);

/* Digest over the image texts of an object in the order found; zero when there are none. */
struct digest gate_images_digest(const struct json *object, const struct custom_paths *custom, struct arena *arena);

#endif
