/* Leader election; see lease.h. */
#include "kube/lease.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "kube/write.h"

#define ANNOTATION_HOLDER "countersign.dev/log-holder"
#define ANNOTATION_NOTE "countersign.dev/log-checkpoint"
#define FORMER_NOTE ANNOTATION_NOTE "-"         /* and the id of another log than the holder's */
#define FORMER_MOST 16
#define ID_MOST 40
#define DURATION_S 15
#define RENEW_DEADLINE_MS 10000
#define RETRY_MS 2000
/* A server that is slow is waited for: one asked anew each time would never come to an answer. Twice within RENEW_DEADLINE_MS while we hold it. */
#define PATIENCE_MS 4000
/* while governed writes wait for what the server says */
#define DOUBT_RETRY_MS 20
#define RELEASE_MS 2000

struct lease {
	struct kube *kube;
	struct loop *loop;
	struct timer *timer;
	struct arena *arena;
	const char *path, *collection, *namespace, *name, *identity;
	struct lease_handler handler;
	void *data;
	uint64_t request;
	int64_t heard_ms;                   /* when the server last answered us; 0: never */
	int64_t asked_ms;                   /* when the request under way was sent */
	int64_t sent_ms, renewed_ms;        /* when the last renewal that succeeded was sent; 0: none */
	int64_t seen_ms, other_duration_ms; /* when the other's current version was first seen, and how long it is good for */
	struct str seen_version;
	int64_t transitions;
	struct str former, former_note;     /* as we found it when we took it */
	bool held, releasing;
	bool astray;                        /* it is another cluster than we knew */
	unsigned breaks;                    /* of connections, when the last request was sent */
	char failing[ERROR_REASON_MAX];     /* why the server does not answer; "" while it does */
	void (*on_released)(void *);
	void *released_data;
};

static void attempt(void *data);

bool lease_held(const struct lease *lease)
{
	return lease->held && clock_mono_ms() < lease->renewed_ms + RENEW_DEADLINE_MS;
}

int64_t lease_silent_ms(const struct lease *lease)
{
	return lease->heard_ms ? clock_mono_ms() - lease->heard_ms : -1;
}

/* Whatever it said about the lease, but that it does not know or let us. What else there is, is told once for each cause. */
static void hear(struct lease *lease, const struct kube_answer *answer)
{
	if (!answer->err || answer->err->kind == ERROR_NOT_FOUND || answer->err->kind == ERROR_CONFLICT) {
		lease->heard_ms = clock_mono_ms();
		lease->failing[0] = '\0';
		return;
	}
	if (strcmp(lease->failing, answer->err->reason))
		log_error(LOG_WARN, "the lease cannot be read or renewed; trying again", answer->err, NULL);
	snprintf(lease->failing, sizeof(lease->failing), "%s", answer->err->reason);
}

/* Of a whole answer: what is asked one after the other comes in the order of versions. Writes that waited are sent then, or refused. */
static void tell_version(struct lease *lease, const struct kube_answer *answer)
{
	const char *version = answer->err ? NULL : json_text(json_path(answer->object, "metadata", "resourceVersion", NULL));

	if (!version)
		return;
	if (lease->handler.on_version && !lease->handler.on_version(lease->data, strtoull(version, NULL, 10)))
		lease->astray = true;
	kube_trust(lease->kube, lease->breaks);
}

static bool is_leading(const void *data)
{
	const struct lease *lease = data;

	return lease_held(lease) && !lease->astray;
}

/* What is under way already was sent before; what follows its answer was not. */
static void on_doubt(void *data)
{
	struct lease *lease = data;

	if (!lease->request && !lease->releasing)
		timer_start(lease->timer, 0);
}

static void lose(struct lease *lease)
{
	lease->held = false;
	/* what waits is refused */
	kube_trust(lease->kube, kube_breaks(lease->kube));
	lease->handler.on_lost(lease->data);
}

static void again(struct lease *lease)
{
	timer_start(lease->timer, RETRY_MS);
}

static void after_answer(struct lease *lease)
{
	timer_start(lease->timer, kube_in_doubt(lease->kube) ? DOUBT_RETRY_MS : RETRY_MS);
}

static void on_written(void *data, const struct kube_answer *answer)
{
	struct lease *lease = data;

	lease->request = 0;
	hear(lease, answer);
	if (lease->releasing) {
		timer_start(lease->timer, 0);
		return;
	}
	tell_version(lease, answer);
	if (!answer->err && !lease->astray) {
		bool first = !lease->held;

		lease->held = true;
		lease->renewed_ms = lease->sent_ms;
		after_answer(lease);
		if (first)
			lease->handler.on_leading(lease->data, lease->transitions);
		return;
	}
	again(lease);
}

const char *lease_former(const struct lease *lease, const char **note)
{
	*note = str_c(&lease->former_note);
	return str_c(&lease->former);
}

static void remember_former(struct lease *lease, const struct json *live)
{
	str_reset(&lease->former);
	str_reset(&lease->former_note);
	str_add(&lease->former, json_text_span(json_path(live, "metadata", "annotations", ANNOTATION_HOLDER, NULL)));
	str_add(&lease->former_note, json_text_span(json_path(live, "metadata", "annotations", ANNOTATION_NOTE, NULL)));
}

/* Whose note it is: the end of its first line, as "countersign.dev/ID". SPAN0 when that cannot be the end of an annotation's name. */
static struct span id_of(struct span note)
{
	struct span id = span_cut(&note, '\n');

	id = span_from(id, (size_t)(span_rindex(id, '/') + 1));
	for (size_t i = 0; i < id.length; i++)
		if (!((id.data[i] >= 'a' && id.data[i] <= 'z') || (id.data[i] >= '0' && id.data[i] <= '9')))
			return SPAN0;
	return id.length <= ID_MOST ? id : SPAN0;
}

static void drop_a_former(struct json *annotations)
{
	size_t count = 0, last = 0;

	for (size_t i = 0; i < json_count(annotations); i++)
		if (span_starts(annotations->as.list.members[i].key, FORMER_NOTE)) {
			last = i;
			count++;
		}
	if (count >= FORMER_MOST)
		json_remove_at(annotations, last);
}

/* The note of another log stays beside ours: that log may come back, and then it must be the newest of it. */
static void keep_former(struct json *annotations, struct span note, struct arena *arena)
{
	struct json *before = json_get(annotations, ANNOTATION_NOTE);
	struct span own = id_of(note), other = id_of(json_text_span(before));

	json_remove(annotations, arena_printf(arena, FORMER_NOTE "%.*s", SPAN_ARG(own)));
	if (!other.length || span_equal(own, other))
		return;
	json_remove(annotations, arena_printf(arena, FORMER_NOTE "%.*s", SPAN_ARG(other)));
	drop_a_former(annotations);
	json_set(arena, annotations, arena_printf(arena, FORMER_NOTE "%.*s", SPAN_ARG(other)), before);
}

static void annotate(struct lease *lease, struct json *metadata, struct arena *arena)
{
	struct json *annotations = json_ensure_object(arena, metadata, "annotations");
	struct span note = lease->handler.note ? lease->handler.note(lease->data) : SPAN0;

	/* a lease that is given up goes on to say who held it last */
	if (!note.length)
		return;
	keep_former(annotations, note, arena);
	json_set_string(arena, annotations, ANNOTATION_HOLDER, lease->identity);
	json_set(arena, annotations, ANNOTATION_NOTE, json_span(arena, note));
}

/* The lease as we want it; based on `live` when there is one. */
static struct json *wanted(struct lease *lease, const struct json *live, struct arena *arena)
{
	struct json *object = live ? json_copy(arena, live) : json_object(arena), *metadata, *spec;
	bool ours = span_is(json_text_span(json_path(live, "spec", "holderIdentity", NULL)), lease->identity);
	char now[TIME_TEXT], *text;

	time_format_ns(clock_wall_ns(), now);
	text = arena_printf(arena, "%.26sZ", now); /* MicroTime */
	json_set_string(arena, object, "apiVersion", "coordination.k8s.io/v1");
	json_set_string(arena, object, "kind", "Lease");
	metadata = json_ensure_object(arena, object, "metadata");
	json_set_string(arena, metadata, "name", lease->name);
	json_set_string(arena, metadata, "namespace", lease->namespace);
	if (!lease->held && !lease->releasing)
		remember_former(lease, live);
	annotate(lease, metadata, arena);
	spec = json_ensure_object(arena, object, "spec");
	lease->transitions = json_get_int(spec, "leaseTransitions", 0) + (ours ? 0 : 1);
	json_set_string(arena, spec, "holderIdentity", lease->releasing ? "" : lease->identity);
	json_set_int(arena, spec, "leaseDurationSeconds", lease->releasing ? 1 : DURATION_S);
	json_set_int(arena, spec, "leaseTransitions", lease->transitions);
	json_set_string(arena, spec, "renewTime", text);
	if (!ours)
		json_set_string(arena, spec, "acquireTime", text);
	return object;
}

static void put(struct lease *lease, const struct json *live, struct arena *arena)
{
	CLEANUP(str_release) struct str body = STR_INIT;

	json_write(wanted(lease, live, arena), JSON_PLAIN, &body);
	lease->sent_ms = lease->asked_ms = clock_mono_ms();
	lease->breaks = kube_breaks(lease->kube);
	/* rbac: own coordination.k8s.io/leases create update */
	/* the PUT carries the resourceVersion that was read: of two candidates one gets 409 */
	lease->request = kube_bookkeep(lease->kube, live ? "PUT" : "POST", live ? lease->path : lease->collection,
				       KUBE_JSON, str_span(&body), on_written, lease);
}

/* Whether somebody else's lease still counts. */
static bool is_taken(struct lease *lease, const struct json *live)
{
	const struct json *spec = json_get(live, "spec");
	struct span holder = json_text_span(json_get(spec, "holderIdentity"));
	struct span version = json_text_span(json_path(live, "metadata", "resourceVersion", NULL));

	if (!holder.length || span_is(holder, lease->identity))
		return false;
	if (!span_equal(version, str_span(&lease->seen_version))) {
		str_reset(&lease->seen_version);
		str_add(&lease->seen_version, version);
		lease->seen_ms = clock_mono_ms();
		lease->other_duration_ms = json_get_int(spec, "leaseDurationSeconds", DURATION_S) * 1000;
	}
	return clock_mono_ms() < lease->seen_ms + lease->other_duration_ms;
}

static bool may_take(const struct lease *lease, const struct json *live)
{
	const struct json *annotations = json_path(live, "metadata", "annotations", NULL);
	bool any = false;

	if (!lease->handler.may_take)
		return true;
	JSON_EACH(member, annotations) {
		if (!span_is(member->key, ANNOTATION_NOTE) && !span_starts(member->key, FORMER_NOTE))
			continue;
		any = true;
		if (!lease->handler.may_take(lease->data, json_text_span(member->value)))
			return false;
	}
	return any || lease->handler.may_take(lease->data, SPAN0);
}

static void on_read(void *data, const struct kube_answer *answer)
{
	struct lease *lease = data;

	lease->request = 0;
	hear(lease, answer);
	if (!lease->releasing)
		tell_version(lease, answer);
	if (lease->astray || (answer->err && answer->err->kind != ERROR_NOT_FOUND)) {
		again(lease);
		return;
	}
	if (answer->err && !lease->releasing) {
		put(lease, NULL, answer->arena);
		return;
	}
	if (lease->releasing && !span_is(json_text_span(json_path(answer->object, "spec", "holderIdentity", NULL)), lease->identity)) {
		timer_start(lease->timer, 0);
		return;
	}
	if (is_taken(lease, answer->object)) {
		if (lease->held)
			lose(lease);
		again(lease);
		return;
	}
	if (!lease->held && !lease->releasing && !may_take(lease, answer->object)) {
		again(lease);
		return;
	}
	put(lease, answer->object, answer->arena);
}

static void attempt(void *data)
{
	struct lease *lease = data;

	if (lease->releasing) {
		void (*on_done)(void *) = lease->on_released;

		lease->on_released = NULL;
		if (on_done)
			on_done(lease->released_data);
		return;
	}
	if (lease->held && !lease_held(lease)) {
		lose(lease);
		return;
	}
	if (lease->request && clock_mono_ms() < lease->asked_ms + (lease->held ? PATIENCE_MS : RENEW_DEADLINE_MS)) {
		again(lease);
		return;
	}
	if (lease->request)
		kube_cancel(lease->kube, lease->request);
	lease->asked_ms = clock_mono_ms();
	lease->breaks = kube_breaks(lease->kube);
	/* rbac: own coordination.k8s.io/leases get */
	lease->request = kube_get(lease->kube, lease->path, KUBE_JSON, NULL, on_read, lease);
	again(lease);
}

struct lease *lease_new(struct kube *kube, struct loop *loop, const char *namespace, const char *name, const char *identity,
			const struct lease_handler *handler, void *data)
{
	static const struct kube_leading leading = { is_leading, on_doubt };
	struct lease *lease = mem_alloc(sizeof(*lease));

	lease->kube = kube;
	lease->loop = loop;
	lease->arena = arena_new(0);
	lease->namespace = arena_strdup(lease->arena, namespace);
	lease->name = arena_strdup(lease->arena, name);
	lease->identity = arena_strdup(lease->arena, identity);
	lease->collection = arena_printf(lease->arena, "/apis/coordination.k8s.io/v1/namespaces/%s/leases", namespace);
	lease->path = arena_printf(lease->arena, "%s/%s", lease->collection, name);
	lease->handler = *handler;
	lease->data = data;
	lease->timer = timer_new(loop, attempt, lease);
	kube_set_leading(kube, &leading, lease);
	timer_start(lease->timer, 0);
	return lease;
}

void lease_release(struct lease *lease, void (*on_done)(void *), void *data)
{
	lease->releasing = true;
	lease->on_released = on_done;
	lease->released_data = data;
	if (lease->request)
		kube_cancel(lease->kube, lease->request);
	lease->request = 0;
	if (lease->held) {
		lease->held = false;
		/* rbac: own coordination.k8s.io/leases get */
		lease->request = kube_get(lease->kube, lease->path, KUBE_JSON, NULL, on_read, lease);
	}
	timer_start(lease->timer, lease->request ? RELEASE_MS : 0);
}

void lease_free(struct lease *lease)
{
	if (!lease)
		return;
	if (lease->request)
		kube_cancel(lease->kube, lease->request);
	kube_set_leading(lease->kube, NULL, NULL);
	timer_free(lease->timer);
	str_release(&lease->seen_version);
	str_release(&lease->former);
	str_release(&lease->former_note);
	arena_free(lease->arena);
	free(lease);
}
