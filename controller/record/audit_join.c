/* Our log and the API server's, joined; see audit_join.h. */
#include "record/audit_join.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/audit.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/limits.h"
#include "base/map.h"

#define SERVICE_ACCOUNT "system:serviceaccount:"
#define CONTROLLER_NAME "countersign-controller"
#define UNATTEMPTED 0xffffffffu

struct attempt {
	struct attempt *next;
	uint32_t number;
	int64_t code;           /* 0: no answer came */
	bool seen;              /* the API server has it */
};

struct planned {                /* one of an intent's objects[] */
	const char *as, *group, *kind, *resource, *namespace, *name, *op;
	struct attempt *attempts;
	bool written;           /* the API server has any request for it */
	bool answered;          /* the result tells of it */
};

struct intent {
	struct intent *next;    /* in the order of the log */
	const char *log_id;
	uint64_t seq;
	struct planned *objects;
	size_t count;
	bool resolved, recovered;       /* has a result; one that was found out after a restart */
	bool outside;                   /* recorded when the API server's log was not yet, or no more, written */
};

struct audit_join {
	struct arena *arena;            /* of all that is kept */
	struct arena *scratch;          /* of one record or event */
	const char *account;            /* NULL while it is not known */
	bool account_said;              /* by the caller or by the log */
	audit_join_told *told;
	void *data;
	struct map logs;                /* log id -> itself */
	struct map intents;             /* "LOG.SEQ" -> struct intent */
	struct intent *first, **last;
	const char *log_id;             /* of the log that is being read */
	struct log_files *files;
	int64_t since_ns, until_ns;     /* what the API server's log is of */
	struct audit_join_counts counts;
};

struct audit_join *audit_join_new(const char *account, audit_join_told *told, void *data)
{
	struct audit_join *join = mem_alloc(sizeof(*join));

	join->arena = arena_new((size_t)64 << 30);
	join->scratch = arena_new(0);
	join->account = account ? arena_strdup(join->arena, account) : NULL;
	join->account_said = account != NULL;
	join->told = told;
	join->data = data;
	join->last = &join->first;
	audit_join_between(join, INT64_MIN, INT64_MAX);
	return join;
}

void audit_join_between(struct audit_join *join, int64_t since_ns, int64_t until_ns)
{
	join->since_ns = since_ns;
	join->until_ns = until_ns;
}

void audit_join_free(struct audit_join *join)
{
	if (!join)
		return;
	map_release(&join->logs);
	map_release(&join->intents);
	arena_free(join->scratch);
	arena_free(join->arena);
	free(join);
}

void audit_join_cleanup(struct audit_join **join)
{
	audit_join_free(*join);
}

/* --- our records ------------------------------------------------------------------------------------------------ */

static const char *keep(struct audit_join *join, const char *text)
{
	return arena_strdup(join->arena, text ? text : "");
}

/* A text by either of two names. */
static const char *text_of(const struct json *object, const char *name, const char *other)
{
	const char *text = json_get_text(object, name);

	return text ? text : json_get_text(object, other);
}

/* "NS:NAME" and "system:serviceaccount:NS:NAME" are one account. */
static const char *account_of(struct audit_join *join, const char *text)
{
	if (!text || !*text)
		return NULL;
	return span_starts(span_of(text), "system:") ? keep(join, text) : arena_printf(join->arena, SERVICE_ACCOUNT "%s", text);
}

/* gvk is "GROUP/VERSION/KIND", "VERSION/KIND" in the core group; group and kind may also stand alone. */
static void read_kind(struct audit_join *join, const struct json *object, struct planned *to)
{
	struct span gvk = span_of(json_get_text(object, "gvk"));
	ptrdiff_t last = span_rindex(gvk, '/'), first = span_index(gvk, '/');

	to->group = keep(join, json_get_text(object, "group"));
	to->kind = keep(join, json_get_text(object, "kind"));
	if (last < 0)
		return;
	to->kind = arena_strndup(join->arena, span_from(gvk, (size_t)last + 1));
	to->group = first < last ? arena_strndup(join->arena, span_sub(gvk, 0, (size_t)first)) : "";
}

static void read_planned(struct audit_join *join, const struct json *object, const char *as, struct planned *to)
{
	const char *own = account_of(join, json_get_text(object, "as"));

	to->as = own ? own : as ? as : "";
	to->resource = keep(join, json_get_text(object, "resource"));
	to->namespace = keep(join, text_of(object, "ns", "namespace"));
	to->name = keep(join, json_get_text(object, "name"));
	to->op = keep(join, json_get_text(object, "op"));
	read_kind(join, object, to);
}

static const char *intent_key(struct audit_join *join, const char *log_id, uint64_t seq)
{
	return arena_printf(join->scratch, "%s.%" PRIu64, log_id, seq);
}

static bool is_outside(const struct audit_join *join, const struct json *record)
{
	int64_t at_ns;

	return time_parse(json_text_span(json_get(record, "t")), &at_ns) && (at_ns < join->since_ns || at_ns > join->until_ns);
}

static void read_intent(struct audit_join *join, uint64_t seq, const struct json *record)
{
	struct intent *intent = ARENA_NEW(join->arena, struct intent);
	const struct json *objects = json_get(record, "objects");
	const char *as = account_of(join, json_get_text(record, "as"));

	intent->log_id = join->log_id;
	intent->seq = seq;
	intent->outside = is_outside(join, record);
	intent->count = json_count(objects);
	intent->objects = arena_calloc(join->arena, intent->count, sizeof(*intent->objects));
	for (size_t i = 0; i < intent->count; i++)
		read_planned(join, json_at(objects, i), as, &intent->objects[i]);
	*join->last = intent;
	join->last = &intent->next;
	map_set(&join->intents, span_of(intent_key(join, join->log_id, seq)), intent);
}

struct audit_id {
	struct span log;
	uint64_t seq;
	uint32_t ordinal, attempt;      /* attempt UNATTEMPTED: the id has none */
};

/* LOG.SEQ.ORDINAL or LOG.SEQ.ORDINAL.ATTEMPT. */
static bool read_audit_id(const char *text, struct audit_id *out)
{
	struct span rest = span_of(text), log = span_cut(&rest, '.'), seq = span_cut(&rest, '.'), ordinal = span_cut(&rest, '.');
	int64_t numbers[3] = { 0, 0, UNATTEMPTED };

	if (!log.length || !span_to_int64(seq, &numbers[0]) || !span_to_int64(ordinal, &numbers[1]) ||
	    (rest.data && !span_to_int64(rest, &numbers[2])) || numbers[1] >= UNATTEMPTED || numbers[2] > UNATTEMPTED)
		return false;
	*out = (struct audit_id){ log, (uint64_t)numbers[0], (uint32_t)numbers[1], (uint32_t)numbers[2] };
	return true;
}

static void read_attempts(struct audit_join *join, const struct json *object, const struct intent *intent, struct planned *to)
{
	const struct json *attempts = json_get(object, "attempts");

	to->answered = true;
	for (size_t i = 0; i < json_count(attempts); i++) {
		const char *text = json_get_text(json_at(attempts, i), "audit_id");
		struct attempt *attempt;
		struct audit_id id;

		if (!text || !read_audit_id(text, &id) || id.seq != intent->seq || !span_is(id.log, intent->log_id))
			continue;
		attempt = ARENA_NEW(join->arena, struct attempt);
		*attempt = (struct attempt){ to->attempts, id.attempt, json_get_int(json_at(attempts, i), "code", 0), false };
		to->attempts = attempt;
	}
}

static void read_result(struct audit_join *join, const struct json *record)
{
	struct intent *intent = map_get(&join->intents,
					span_of(intent_key(join, join->log_id, (uint64_t)json_get_int(record, "intent", -1))));
	const struct json *objects = json_get(record, "objects");
	const char *outcome = json_get_text(record, "outcome");

	if (!intent)
		return;
	intent->resolved = true;
	intent->recovered |= json_get_bool(record, "recovered", false) || (outcome && !strcmp(outcome, "unknown"));
	for (size_t i = 0; i < json_count(objects); i++) {
		const char *text = json_get_text(json_at(objects, i), "audit_id");
		struct audit_id id;

		if (text && read_audit_id(text, &id) && id.seq == intent->seq && id.ordinal < intent->count)
			read_attempts(join, json_at(objects, i), intent, &intent->objects[id.ordinal]);
	}
}

/* The log may say whose it is; if it never does, the namespace of its Applications does. */
static void learn_account(struct audit_join *join, enum audit_kind kind, const struct json *record)
{
	const char *account = json_get_text(record, "account"), *app = json_get_text(record, "app"), *slash;

	if (join->account_said)
		return;
	if ((kind == AUDIT_LOG_START || kind == AUDIT_TERM_START) && account && *account) {
		join->account = keep(join, account);
		join->account_said = true;
		return;
	}
	slash = app ? strchr(app, '/') : NULL;
	if (!join->account && slash)
		join->account = arena_printf(join->arena, SERVICE_ACCOUNT "%.*s:" CONTROLLER_NAME, (int)(slash - app), app);
}

static int read_record(void *data, uint64_t seq, struct span text, struct error *err)
{
	struct audit_join *join = data;
	struct audit_envelope envelope;
	struct json *record;

	arena_reset(join->scratch);
	if (audit_envelope_read(text, &envelope, NULL, err))
		return error_wrap(err, "record %" PRIu64, seq);
	if (envelope.kind != AUDIT_SYNC_INTENT && envelope.kind != AUDIT_SYNC_RESULT && envelope.kind != AUDIT_LOG_START &&
	    envelope.kind != AUDIT_TERM_START)
		return 0;
	if (audit_expand(join->files, text, join->scratch, &record, err))
		return error_wrap(err, "record %" PRIu64, seq);
	learn_account(join, envelope.kind, record);
	if (envelope.kind == AUDIT_SYNC_INTENT)
		read_intent(join, seq, record);
	if (envelope.kind == AUDIT_SYNC_RESULT)
		read_result(join, record);
	return 0;
}

int audit_join_log(struct audit_join *join, struct audit_reader *reader, struct error *err)
{
	join->log_id = keep(join, audit_reader_id(reader));
	join->files = &reader->files;
	if (map_has(&join->logs, span_of(join->log_id)))
		return error_set(err, ERROR_INVALID, "LogTwice", "%s is of the log %s, which was given before: give each log once, in its newest copy",
				 reader->files.dir, join->log_id);
	map_set(&join->logs, span_of(join->log_id), join);
	return audit_read_each(reader, 0, reader->checkpoint.size, read_record, join, err);
}

/* --- the API server's events -------------------------------------------------------------------------------------- */

static void tell(struct audit_join *join, const char *what, const struct apiserver_event *event, const char *why)
{
	CLEANUP(str_release) struct str line = STR_INIT, safe = STR_INIT;
	const char *namespace = event->namespace ? event->namespace : "";

	str_addf(&line, "%s: %s %s%s%s%s%s by %s%s%s at %s, answer %lld, Audit-ID %s: %s", what, event->verb,
		 event->resource ? event->resource : "?", *namespace ? " " : "", namespace, event->name ? "/" : "",
		 event->name ? event->name : "", event->user ? event->user : "nobody", event->as ? " as " : "", event->as ? event->as : "",
		 event->time ? event->time : "?", (long long)event->code, event->audit_id, why);
	text_escape(str_span(&line), &safe);
	if (join->told)
		join->told(join->data, str_c(&safe));
}

static bool is_write(const char *verb)
{
	static const char *const writes[] = { "create", "update", "patch", "delete", "deletecollection" };

	for (size_t i = 0; i < COUNT_OF(writes); i++)
		if (!strcmp(verb, writes[i]))
			return true;
	return false;
}

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

/* Why the request is not the one that was planned; NULL: it is. */
static const char *differs(const struct planned *planned, const struct apiserver_event *event)
{
	const char *namespace = or_empty(event->namespace), *resource = or_empty(event->resource), *group = or_empty(event->group);
	bool is_delete = !strcmp(event->verb, "delete");

	/* the API server takes a Namespace for an object in itself */
	if (!strcmp(resource, "namespaces") && !*group)
		namespace = "";
	if (event->as && strcmp(event->as, planned->as) != 0)
		return "its record has another account";
	if (strcmp(group, planned->group) != 0 || strcmp(namespace, planned->namespace) != 0 ||
	    strcmp(or_empty(event->name), planned->name) != 0 || event->subresource)
		return "its record has another object";
	if (*planned->resource ? strcmp(resource, planned->resource) != 0
			       : !audit_resource_is_of_kind(resource, planned->kind, planned->group))
		return "its record has an object of another kind";
	if (is_delete != !strcmp(planned->op, "delete") || !strcmp(event->verb, "deletecollection"))
		return "its record has another operation";
	return NULL;
}

static struct attempt *find_attempt(const struct planned *planned, uint32_t number)
{
	for (struct attempt *attempt = planned->attempts; attempt; attempt = attempt->next)
		if (attempt->number == number)
			return attempt;
	return NULL;
}

/* Holds a request against the result of its intent. */
static const char *settle(struct audit_join *join, const struct intent *intent, struct planned *planned,
			  const struct audit_id *id, const struct apiserver_event *event)
{
	struct attempt *attempt = find_attempt(planned, id->attempt);

	planned->written = true;
	if (!attempt && intent->resolved && !intent->recovered)
		return "the result of its intent does not have this attempt";
	if (!attempt) {
		/* nobody lived to note the answer; remembered, so that a second request of this id is seen */
		attempt = ARENA_NEW(join->arena, struct attempt);
		*attempt = (struct attempt){ planned->attempts, id->attempt, 0, false };
		planned->attempts = attempt;
	}
	if (attempt->seen)
		return "its id was used before";
	attempt->seen = true;
	if (attempt->code && attempt->code != event->code)
		return "the answer recorded is another";
	return NULL;
}

static const char *match(struct audit_join *join, const struct audit_id *id, const struct apiserver_event *event)
{
	struct intent *intent = map_get(&join->intents,
					span_of(intent_key(join, arena_strndup(join->scratch, id->log), id->seq)));
	const char *why;

	if (!intent || id->ordinal >= intent->count)
		return "no intent in the log has this id";
	why = differs(&intent->objects[id->ordinal], event);
	return why ? why : settle(join, intent, &intent->objects[id->ordinal], id, event);
}

/* A write by the controller's own account. */
static void on_own_write(struct audit_join *join, const struct apiserver_event *event, bool has_id, const struct audit_id *id)
{
	const char *why = has_id ? match(join, id, event) : "it has no Audit-ID of a log that is joined";

	/* impersonation itself was refused: the API server does not say as whom, and nothing can have been written */
	if (!event->as && event->code == 403 && !why)
		return;
	join->counts.writes++;
	if (!why && !event->as)
		why = "it impersonates nobody";
	if (!why) {
		join->counts.matched++;
		return;
	}
	join->counts.unrecorded++;
	tell(join, "unrecorded", event, why);
}

static void on_event(struct audit_join *join, const struct apiserver_event *event)
{
	struct audit_id id;
	bool has_id = read_audit_id(event->audit_id, &id) && id.attempt != UNATTEMPTED && map_has(&join->logs, id.log);
	bool own = join->account && event->user && !strcmp(event->user, join->account);

	/* each request has one last stage */
	if (strcmp(event->stage, "ResponseComplete") != 0 && strcmp(event->stage, "Panic") != 0)
		return;
	if (own && is_write(event->verb) && (event->as || has_id)) {
		on_own_write(join, event, has_id, &id);
		return;
	}
	/* nobody is known to have sent what was not authenticated */
	if (own || !has_id || event->code == 401)
		return;
	join->counts.foreign++;
	tell(join, "foreign", event, "an id of this log, used by another");
}

/*
 * Whether the line can be of interest at all: most are not, and parsing them all would take minutes. The API server's
 * encoder escapes no letter, digit, colon or dash, so what is sought stands there as it is.
 */
static bool may_matter(const struct audit_join *join, struct span line)
{
	if (join->account && memmem(line.data, line.length, join->account, strlen(join->account)))
		return true;
	MAP_EACH(log, &join->logs)
		if (memmem(line.data, line.length, log->key, log->length))
			return true;
	return false;
}

int audit_join_event(struct audit_join *join, struct span line, struct error *err)
{
	struct apiserver_event event;

	if (span_starts(line, "{") && span_ends(line, "}") && !may_matter(join, line))
		return 0;
	arena_reset(join->scratch);
	if (apiserver_event_read(line, join->scratch, &event, err))
		return -1;
	on_event(join, &event);
	return 0;
}

/* --- what is left over ---------------------------------------------------------------------------------------------- */

static void tell_left(struct audit_join *join, const char *what, const struct intent *intent, size_t ordinal, const char *why)
{
	CLEANUP(str_release) struct str line = STR_INIT, safe = STR_INIT;
	const struct planned *planned = &intent->objects[ordinal];

	str_addf(&line, "%s: %s %s %s%s%s as %s, record %" PRIu64 ", object %zu: %s", what, planned->op, planned->kind, planned->namespace,
		 *planned->namespace ? "/" : "", planned->name, planned->as, intent->seq, ordinal, why);
	text_escape(str_span(&line), &safe);
	if (join->told)
		join->told(join->data, str_c(&safe));
}

/* Answers that the API server gives before it writes anything down: the request was refused, nothing was done. */
static bool may_be_unheard(int64_t code)
{
	return code == 0 || code == 401 || code == 429 || code == 503;
}

static void end_object(struct audit_join *join, const struct intent *intent, size_t ordinal)
{
	const struct planned *planned = &intent->objects[ordinal];

	for (const struct attempt *attempt = planned->attempts; attempt; attempt = attempt->next) {
		if (attempt->seen || may_be_unheard(attempt->code))
			continue;
		join->counts.unrecorded++;
		tell_left(join, "unrecorded", intent, ordinal, "an answer is recorded that the API server never gave");
	}
	if (planned->written || planned->attempts || planned->answered)
		return;
	join->counts.unsent++;
	tell_left(join, "unsent", intent, ordinal, "nothing was sent for it, and no result says so");
}

struct audit_join_counts audit_join_end(struct audit_join *join)
{
	for (const struct intent *intent = join->first; intent; intent = intent->next)
		for (size_t i = 0; i < intent->count && !intent->outside; i++)
			end_object(join, intent, i);
	return join->counts;
}
