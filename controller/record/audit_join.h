/*
 * Joins our log with the API server's own audit log (JSON lines of
 * audit.k8s.io/v1 Event): every governed write must have its record, and every
 * recorded answer its write.
 *
 * A governed write is a create, update, patch or delete by the controller's own
 * account that impersonates another. It is matched when its Audit-ID is
 * LOG.SEQ.ORDINAL.ATTEMPT of an intent in the log, the account it was done as
 * and the object are those of objects[ORDINAL], and the result of that intent
 * has the attempt with the same answer. An answer that never came (code 0)
 * matches any; so does an intent that a crash left open, or that was resolved
 * after a restart without knowing its attempts.
 *
 * The id alone proves nothing: any client may send it.
 */
#ifndef RECORD_AUDIT_JOIN_H
#define RECORD_AUDIT_JOIN_H

#include <stdbool.h>
#include <stdint.h>

#include "record/audit_read.h"

struct audit_join_counts {
	uint64_t writes;        /* governed writes in the API server's log */
	uint64_t matched;       /* of these */
	uint64_t unrecorded;    /* governed writes without their record, and recorded answers without their write */
	uint64_t unsent;        /* objects of intents that nothing was sent for, with no result that says so */
	uint64_t foreign;       /* requests of others with an id of ours */
};

/* Told of each act that does not match, as one printable line. */
typedef void audit_join_told(void *data, const char *line);

struct audit_join;

/* `account`: the controller's own; NULL: as the log says, or system:serviceaccount:NS:countersign-controller of its Applications' NS. */
struct audit_join *audit_join_new(const char *account, audit_join_told *told, void *data);
void audit_join_free(struct audit_join *join);          /* NULL is fine */
void audit_join_cleanup(struct audit_join **join);

/*
 * The API server's log is of `since_ns` to `until_ns` (nanoseconds since 1970): what was recorded before or after is no more looked
 * for in it. Its own writes need their records all the same. Before any log; without it, all of the log is looked for.
 */
void audit_join_between(struct audit_join *join, int64_t since_ns, int64_t until_ns);
/* Takes a log in; several, of replicas or of predecessors, may be, each once (ERROR_INVALID "LogTwice"). Before any event. */
int audit_join_log(struct audit_join *join, struct audit_reader *reader, struct error *err);
/* Takes one line of the API server's audit log in. ERROR_INVALID "BadEvent". */
int audit_join_event(struct audit_join *join, struct span line, struct error *err);
/* Counts what is left over; no event may come after. */
struct audit_join_counts audit_join_end(struct audit_join *join);

/* What matters of an event; spans and texts live in the arena. NULL where a field is absent. */
struct apiserver_event {
	const char *audit_id, *stage, *verb, *user, *as, *time;
	const char *group, *resource, *subresource, *namespace, *name;  /* objectRef */
	int64_t code;           /* 0: none */
};
/* ERROR_INVALID "BadEvent": not an Event of audit.k8s.io/v1. */
int apiserver_event_read(struct span line, struct arena *arena, struct apiserver_event *out, struct error *err);

/* Whether a resource, as in API paths, is the plural of a kind; for kinds of custom groups any name may be. */
bool audit_resource_is_of_kind(const char *resource, const char *kind, const char *group);

#endif
