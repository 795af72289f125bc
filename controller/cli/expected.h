/*
 * The objects of a revision as the controller would apply them: with the
 * destination's namespace, its marks, and images pinned as its inventory
 * remembers. For a person who asks what a sync would do; permission and
 * signatures are not looked at here.
 */
#ifndef CLI_EXPECTED_H
#define CLI_EXPECTED_H

#include "api/application.h"
#include "api/inventory.h"
#include "cli/person_kube.h"
#include "gate/images.h"
#include "render/render.h"

struct expected {
	struct json *object;
	const struct kube_kind *kind;      /* NULL: the API server does not know it (yet) */
	const char *group, *kind_name, *namespace, *name;   /* namespace "": cluster-scoped */
	const char *path;                  /* of its file */
	uint32_t line;
};

struct expectation {
	struct expected *objects;
	size_t count;
	struct inventory inventory;        /* empty when there is none */
	struct custom_paths custom;        /* where custom resources carry images */
	const char *warning;               /* NULL, or why the inventory or the policies could not be read */
};

/*
 * Makes them; the rendered objects are changed in place. `revision` ("" for a local folder) says which pins hold. The person must have
 * discovered. ERROR_INVALID "NoNamespace" for an object that would have none. All in the person's arena.
 */
int expected_objects(struct person *person, const struct application *app, const struct rendered *rendered, const char *revision,
		     struct expectation *out, struct error *err);

/* Pins every image of the object that has one. Pure. `custom`: where custom resources carry images. */
void expected_pin(struct json *object, const struct pins *pins, const struct custom_paths *custom, struct arena *arena);

#endif
