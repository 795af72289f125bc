/*
 * What an Application has put into the cluster, and which digest each image
 * reference of a revision stands for: the memory that survives restarts. It
 * lives in the cluster as an ApplicationInventory, packed (canonical JSON,
 * deflate, base64), since 5,000 plain items cost the API server a second a
 * write. Only the controller's own account may write it.
 */
#ifndef API_INVENTORY_H
#define API_INVENTORY_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/json.h"

struct inventory_item {
	const char *group, *version, *kind, *namespace, *name;
	const char *uid;               /* "" until it is known that it exists */
	struct digest desired;         /* of what was applied: canonical JSON, digests pinned */
	struct digest owned;           /* D1 after the apply; see diff/fields.h */
	struct digest images;          /* of the image texts that were found in order in the live object */
	int wave;
	bool no_prune, no_delete;      /* Prune=false, Delete=false held for it when it was written */
};

struct pin {
	const char *reference;         /* as written in the files */
	struct digest digest;
};

struct pins {
	const char *revision;          /* commit; "" when there are none */
	struct pin *pins;
	size_t count;
};

struct inventory {
	const char *app;               /* namespace/name */
	const char *uid;               /* of the Application; "" when not known */
	const char *project, *account; /* account: "namespace:name" that wrote */
	const char *revision;          /* applied; "" when nothing is */
	bool partly;                   /* a part of another one was written, and the rest was not */
	const char *repo_url, *path, *target_revision; /* what revision was taken from: a changed one is no rewrite */
	const char *namespace;         /* where its objects without one were put; "" when not known */
	struct digest input;           /* of the files that were applied */
	struct pins applied, pending;  /* pending: of a revision that is not applied (yet) */
	struct inventory_item *items;
	size_t count;
};

/* The packed form. `arena` for scratch. */
void inventory_encode(const struct inventory *inventory, struct arena *arena, struct str *out);
/* ERROR_INVALID "BadInventory". Everything is copied into the arena. */
int inventory_decode(struct span packed, struct arena *arena, struct inventory *out, struct error *err);

/* The pin of a reference, or NULL. */
const struct digest *pins_find(const struct pins *pins, struct span reference);
/* The item of an object, or NULL; namespace "" or NULL for cluster-scoped. Identity is (group, kind, namespace, name). */
struct inventory_item *inventory_find(const struct inventory *inventory, const char *group, const char *kind,
				      const char *namespace, const char *name);

#endif
