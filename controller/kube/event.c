/* Events; see event.h. */
#include "kube/event.h"

#include "api/application.h"
#include "base/clock.h"
#include "base/rand.h"

#define NOTE_MAX 1000

static void on_posted(void *data, const struct kube_answer *answer)
{
	(void)data;
	(void)answer; /* best effort */
}

static struct json *regarding(const struct event *event, struct arena *arena)
{
	struct json *object = json_object(arena);

	json_set_string(arena, object, "apiVersion", API_VERSION);
	json_set_string(arena, object, "kind", event->kind);
	json_set_string(arena, object, "namespace", event->namespace);
	json_set_string(arena, object, "name", event->name);
	json_set_string(arena, object, "uid", event->uid);
	return object;
}

void event_post(struct kube *kube, const char *instance, const struct event *event)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	CLEANUP(str_release) struct str body = STR_INIT;
	struct json *object = json_object(arena), *metadata = json_object(arena);
	int64_t now = clock_wall_ns();
	char time[TIME_TEXT], id[37];

	time_format_ns(now, time);
	rand_uuid7(now, id);
	json_set_string(arena, object, "apiVersion", "events.k8s.io/v1");
	json_set_string(arena, object, "kind", "Event");
	json_set(arena, metadata, "name", json_stringf(arena, "%.200s.%s", event->name, id + 19));
	json_set_string(arena, metadata, "namespace", event->namespace);
	json_set(arena, object, "metadata", metadata);
	json_set(arena, object, "eventTime", json_stringf(arena, "%.26sZ", time));
	json_set_string(arena, object, "type", event->warning ? "Warning" : "Normal");
	json_set_string(arena, object, "reason", event->reason);
	json_set_string(arena, object, "action", event->action);
	json_set(arena, object, "note", json_span(arena, span_sub(span_of(event->note), 0, NOTE_MAX)));
	json_set_string(arena, object, "reportingController", API_GROUP "/controller");
	json_set(arena, object, "reportingInstance", json_span(arena, span_sub(span_of(instance), 0, 120)));
	json_set(arena, object, "regarding", regarding(event, arena));
	json_write(object, JSON_PLAIN, &body);
	/* rbac: own events.k8s.io/events create */
	kube_bookkeep(kube, "POST", arena_printf(arena, "/apis/events.k8s.io/v1/namespaces/%s/events", event->namespace),
		      KUBE_JSON, str_span(&body), on_posted, NULL);
}
