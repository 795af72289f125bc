/*
 * The audit record: one canonical JSON object, one line, one leaf of the log.
 *
 * Whoever records something builds it with the setters below and hands it to
 * audit_log_append (record/audit_log.h), which adds the envelope:
 *
 *	v id seq t mono boot ver      added by the log
 *	kind outcome                  required
 *	reason message actor as app project cluster ns git images objects intent attempts ...
 *
 *	struct json *record = audit_record(arena, AUDIT_SYNC_INTENT, AUDIT_ALLOW);
 *	audit_set_app(arena, record, "countersign-system/shop", "shop", "", "shop");
 *	audit_add_object(arena, record, &object);        once each, in the order of their ordinals
 *	audit_name_objects(arena, record, audit_log_id(log), audit_log_next_seq(log));
 *	seq = audit_log_append(log, record, on_durable, run);
 *
 * and, when all is done, or after a restart for an intent that was left open:
 *
 *	struct json *result = audit_result(arena, intent, AUDIT_OK);
 *	audit_add_attempt(arena, json_at(json_get(result, "objects"), ordinal), 1, 200);
 *
 * Texts may hold anything, also bytes that are not UTF-8: audit_clean makes
 * them safe before the record is written. Everything lives in the arena given.
 */
#ifndef API_AUDIT_H
#define API_AUDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"

enum audit_kind {
	AUDIT_LOG_START, AUDIT_LOG_STOP, AUDIT_TERM_START, AUDIT_TERM_END, AUDIT_SYNC_INTENT, AUDIT_SYNC_RESULT,
	AUDIT_SYNC_DENIED, AUDIT_DRIFT, AUDIT_CONFIG_CHANGE, AUDIT_LOG_LOST, AUDIT_CLUSTER_RESTORED,
};
const char *audit_kind_name(enum audit_kind kind);          /* "sync.intent" and so on */
bool audit_kind_parse(struct span name, enum audit_kind *out);

enum audit_outcome { AUDIT_UNKNOWN = 0, AUDIT_ALLOW, AUDIT_DENY, AUDIT_OK, AUDIT_FAIL };
const char *audit_outcome_name(enum audit_outcome outcome);
bool audit_outcome_parse(struct span name, enum audit_outcome *out);

/* A record with its kind and outcome. */
struct json *audit_record(struct arena *arena, enum audit_kind kind, enum audit_outcome outcome);

/* `reason` is a CamelCase code, `message` one line for people; NULL or "" leaves either out. */
void audit_set_reason(struct arena *arena, struct json *record, const char *reason, const char *message);
/* The same from an error. */
void audit_set_error(struct arena *arena, struct json *record, const struct error *err);

/* Who caused it; NULL fields are left out. */
struct audit_actor {
	const char *type;            /* poll, git-webhook, user, self-heal, retry, restart, admission; manager: `user` is who wrote a setting last, as its managedFields say */
	const char *user, *ip, *ua;
	const char *manager, *time;  /* of a drift: the field manager and when it wrote */
};
void audit_set_actor(struct arena *arena, struct json *record, const struct audit_actor *actor);

/* `app` is "namespace/name"; cluster is the API server's URL, ns the destination. NULL or "" leaves one out. */
void audit_set_app(struct arena *arena, struct json *record, const char *app, const char *project, const char *cluster,
		   const char *ns);
/* The account that is impersonated: "NS:NAME" is written as "system:serviceaccount:NS:NAME". */
void audit_set_as(struct arena *arena, struct json *record, const char *account);

struct audit_git {
	const char *repo, *ref, *commit, *tree, *author, *committer, *message;
};
void audit_set_git(struct arena *arena, struct json *record, const struct audit_git *git);

/* One image and what was decided of it; NULL fields are left out. */
struct audit_image {
	const char *ref;             /* as Git says it */
	const char *digest;          /* "sha256:..." */
	const char *verdict;         /* allow, deny, warn, unknown */
	const char *reason;          /* code of a verdict that is not allow */
	const char *policy;          /* name of the ImagePolicy, or several with commas */
	const char *policy_sha256;
	const char *identity;        /* authority or key that matched */
	const char *issuer, *bundle_sha256;
	const char *exemption;       /* the reason that its exemption gives */
	const char *file;            /* where it stands in Git: file and line */
	uint32_t line;               /* 0: unknown */
};
struct json *audit_add_image(struct arena *arena, struct json *record, const struct audit_image *image);

/* One object that is, or was, to be written. */
struct audit_object {
	const char *group, *version, *kind;     /* group "" is core */
	const char *resource;        /* plural, as in API paths: what the cluster's own audit log says. Required */
	const char *ns, *name;       /* ns NULL or "": cluster-scoped */
	const char *uid;
	const char *op;              /* apply, create, patch, delete */
	const char *as;              /* account when not the record's; as for audit_set_as */
	const char *rv_before, *rv_after, *sha256_before, *sha256_after;
	const char *why;             /* one line */
};
/* Appends to objects[]; returns the new object (its place is its ordinal), to which more may be set. */
struct json *audit_add_object(struct arena *arena, struct json *record, const struct audit_object *object);

/* Writes objects[].audit_id: LOG.SEQ.ORDINAL. */
void audit_name_objects(struct arena *arena, struct json *record, const char *log_id, uint64_t seq);

/*
 * The sync.result of an intent record (as it was appended: with its seq, or with `seq` given by audit_result_seq): names
 * it in `intent`, takes over app, project, cluster, ns, as, git and objects[], each with an empty attempts[].
 */
struct json *audit_result(struct arena *arena, const struct json *intent, enum audit_outcome outcome);
struct json *audit_result_seq(struct arena *arena, const struct json *intent, uint64_t seq, enum audit_outcome outcome);
/* Says that the result was found out after a restart, by reading the cluster: attempts and codes are not known. */
void audit_set_recovered(struct arena *arena, struct json *result);
/* Appends {audit_id: LOG.SEQ.ORDINAL.ATTEMPT, code} to an object of a result; code 0: no answer came. */
void audit_add_attempt(struct arena *arena, struct json *object, uint32_t attempt, int code);

/*
 * The record as it may be written: bytes that are not UTF-8 become U+FFFD, numbers with fractions become their own text,
 * what is nested deeper than AUDIT_DEPTH becomes null. Returns `value` itself where nothing is to be changed.
 */
#define AUDIT_DEPTH 64
struct json *audit_clean(struct arena *arena, struct json *value);

/* What the log itself needs of a record; the spans point into it. */
struct audit_envelope {
	uint64_t seq, intent;
	enum audit_kind kind;
	enum audit_outcome outcome;
	bool has_intent;
	struct span id, t, boot;
	struct span app;             /* raw JSON string without its quotes; SPAN0 when absent */
	struct span body;            /* hex SHA-256 of a body beside the log; SPAN0 when the record is whole */
	uint8_t id_bytes[16];        /* they rise from record to record: unique without remembering them */
};

/*
 * Checks in one pass, without building a tree, that `line` is a canonical record: one object, keys sorted and unique, no
 * white space, integers only, the one way to escape each character; and that the envelope is all there and well formed.
 * ERROR_INVALID "BadRecord"; *at is the byte of the line (0 when the envelope as a whole is meant).
 */
int audit_envelope_read(struct span line, struct audit_envelope *out, size_t *at, struct error *err);

#endif
