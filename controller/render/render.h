/*
 * Render: the files of a revision into Kubernetes objects. Pure: bytes in,
 * objects out; it runs in a process that can open neither files nor sockets.
 *
 * Input is what source selected (recurse, include and exclude are decided
 * there). Then, in this order:
 *   1. A file of another tool (kustomization.yaml, Chart.yaml, *.jsonnet) is an
 *      error "NotSupported": reading it as a manifest would be wrong in silence.
 *   2. A file that contains "+argocd:skip-file-rendering" is left out, as Argo CD does.
 *   3. *.yaml, *.yml and *.json are read by base/yaml.h.
 *   4. `List` and `…List` objects with items become their items.
 *   5. Each object needs apiVersion, kind, and metadata with name or generateName.
 *   6. A Secret's stringData becomes data: server-side apply would keep a key
 *      that was removed from stringData.
 *   7. What a Secret's data and a ConfigMap's binaryData hold must be base64 as the
 *      API server reads it.
 *   8. Two objects of one group, kind, namespace and name are an error. An
 *      absent namespace counts as one of its own: the default namespace is
 *      applied by core, which looks again.
 * Objects come in the order of path, document, item. All problems of the files
 * are collected, up to LIMIT_RENDER_PROBLEMS, so that one push repairs them all.
 */
#ifndef RENDER_RENDER_H
#define RENDER_RENDER_H

#include "base/arena.h"
#include "base/error.h"
#include "base/json.h"
#include "base/limits.h"
#include "source/tree_stream.h"

struct rendered_object {
	struct json *object;            /* keys in byte order; every node has its line */
	const char *api_version, *kind;
	const char *group;              /* of apiVersion; "" is the core group */
	const char *namespace;          /* "" when the manifest names none */
	const char *name;               /* "" with generateName */
	const char *generate_name;      /* "" with name */
	const char *path;               /* of its file */
	uint32_t line;                  /* where it begins there, from 1 */
	uint32_t document, item;        /* from 1; item 0: not from a List */
};

struct rendered {
	struct rendered_object *objects;
	size_t count;
};

/* What is wrong with the files. Each text begins with "path:line: ". */
struct render_problems {
	struct error items[LIMIT_RENDER_PROBLEMS];
	size_t count;
	size_t total;                   /* also those there was no room for */
};

/*
 * Renders. On failure -1, with *problems filled (may be NULL) and *err their
 * sum: kind and reason of the first, as many texts as fit and how many more
 * there are. Kinds: ERROR_INVALID or ERROR_LIMIT. Reasons: those of
 * base/yaml.h, and "NotSupported", "NotAnObject", "MissingAPIVersion",
 * "MissingKind", "MissingName", "BadList", "BadMetadata", "BadSecret",
 * "BadConfigMap", "DuplicateObject", "TooLarge". Everything lives in the arena.
 */
int render_files(const struct tree_stream *files, struct arena *arena, struct rendered *out,
		 struct render_problems *problems, struct error *err);

/*
 * The worker's handler (io/role.h): request is empty, request_fd a sealed memfd
 * with a tree stream. Files that are wrong are an answer, not a failed job.
 */
int render_serve(void *session, struct span request, int request_fd, struct str *reply, int *reply_fd, struct error *err);

/*
 * For core: reads what render_serve answered. Nothing in it is trusted but that
 * bounds are checked: objects are parsed as JSON, with the lines of the YAML
 * they came from. Returns as render_files does; ERROR_INTERNAL "BadFrame" when
 * the answer is none. Everything lives in the arena.
 */
int render_reply_decode(struct span reply, struct arena *arena, struct rendered *out, struct render_problems *problems,
			struct error *err);

/* "Deployment shop/web": how an object is called in messages. In the arena. */
const char *rendered_object_title(const struct rendered_object *object, struct arena *arena);

#endif
