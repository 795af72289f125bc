/*
 * What core asks of a source worker, and what it answers, as bytes. Pure: core
 * includes this, and of Git only what is pure as well. A worker serves one
 * repository; its first job must be SOURCE_CONFIGURE.
 *
 * Encoders append to *out. Decoders trust nothing, borrow spans from the input
 * and put texts into the arena; ERROR_INTERNAL "BadFrame" for anything an
 * encoder would not write.
 */
#ifndef SOURCE_SOURCE_JOB_H
#define SOURCE_SOURCE_JOB_H

#include "base/arena.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/str.h"

#define COMMIT_HEX (40 + 1)         /* 40 lower-case hex digits and NUL */

enum source_job_kind { SOURCE_CONFIGURE = 1, SOURCE_REFS, SOURCE_FETCH, SOURCE_TREE, SOURCE_CHANGED };

/* A repository and how to get in. Texts that are not used are "" (or NULL for the encoder). */
struct source_config {
	const char *url;                /* http:// or https://; "": no server is asked, only what the mirror has is read (see source.h) */
	const char *directory;          /* of the mirror; made when missing, and anew when it is broken */
	const char *username, *password;
	const char *bearer_token;       /* instead of both */
	struct span client_cert, client_key; /* PEM */
	struct span ca;                 /* PEM; instead of the system's roots, empty: those */
	bool at_home;                   /* outside of a cluster: loopback is the operator's own machine, whatever name it goes by */
};

/* Each a targetRevision: branch, tag, full commit, "HEAD" or "", a full "refs/…" name, a semver constraint on tags. */
struct source_refs_request {
	const char **revisions;
	size_t count;
};

/* One answer, in the order of the request. */
struct source_ref {
	char commit[COMMIT_HEX];        /* "" when error.reason is set */
	const char *ref;                /* the full name it was found under; "" for a commit given as such */
	struct error error;             /* INVALID "RevisionNotFound", …: of this revision alone */
};

struct source_refs_reply {
	struct source_ref *refs;
	size_t count;
};

/* Brings a commit into the mirror; `ref` is what source_ref said, "" for a commit given as such. */
struct source_fetch_request {
	char commit[COMMIT_HEX];
	const char *ref;
};

struct source_fetch_reply {
	bool fetched;                   /* false: it was there already and nothing was sent */
	uint64_t received_bytes;
	bool rebuilt;                   /* the mirror was broken and was made anew */
};

struct source_tree_request {
	char commit[COMMIT_HEX];        /* fetched if it is not in the mirror */
	const char *path;
	bool recurse;
	const char *include, *exclude;
	struct digest previous;         /* zero: none */
	char base[COMMIT_HEX];          /* a commit that `commit` should descend from; "": none is asked about */
};

/* What differs between two commits that were fetched. */
struct source_changed_request {
	char from[COMMIT_HEX], to[COMMIT_HEX];
};

struct source_changed_reply {
	bool all;                       /* too much, or not to be found out: whatever is read may have changed */
	const char **paths;             /* of files, relative to the root */
	size_t count;
};

/* Who made a commit and when; all text is valid UTF-8 on one line. */
struct source_person {
	const char *name, *email;
	int64_t time_s;                 /* since 1970 */
};

struct source_tree_reply {
	struct digest input;            /* SHA-256 over the (path, mode, blob) of what is read */
	bool changed;                   /* false: input is `previous`, and no descriptor comes along */
	bool rewritten;                 /* `commit` does not descend from `base` */
	uint32_t files;
	char revision[COMMIT_HEX];      /* the newest commit that changed what is read */
	struct source_person author, committer;
	const char *subject;
};

void source_configure_encode(const struct source_config *config, struct str *out);
void source_refs_encode(const struct source_refs_request *request, struct str *out);
void source_fetch_encode(const struct source_fetch_request *request, struct str *out);
void source_tree_encode(const struct source_tree_request *request, struct str *out);
void source_changed_encode(const struct source_changed_request *request, struct str *out);

int source_refs_reply_decode(struct span reply, struct arena *arena, struct source_refs_reply *out, struct error *err);
int source_fetch_reply_decode(struct span reply, struct source_fetch_reply *out, struct error *err);
int source_tree_reply_decode(struct span reply, struct arena *arena, struct source_tree_reply *out, struct error *err);
int source_changed_reply_decode(struct span reply, struct arena *arena, struct source_changed_reply *out, struct error *err);

/* The worker's side. */
struct source_job {
	enum source_job_kind kind;
	union {
		struct source_config configure;
		struct source_refs_request refs;
		struct source_fetch_request fetch;
		struct source_tree_request tree;
		struct source_changed_request changed;
	} as;
};

int source_job_decode(struct span request, struct arena *arena, struct source_job *out, struct error *err);
void source_refs_reply_encode(const struct source_refs_reply *reply, struct str *out);
void source_fetch_reply_encode(const struct source_fetch_reply *reply, struct str *out);
void source_tree_reply_encode(const struct source_tree_reply *reply, struct str *out);
void source_changed_reply_encode(const struct source_changed_reply *reply, struct str *out);

/* Whether these are 40 hex digits, lower case. */
bool commit_is_hex(const char *text);

#endif
