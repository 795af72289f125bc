/* Applications at rest; see rest.h. */
#include "reconcile/rest.h"

#include <zlib.h>

#include "base/limits.h"
#include "base/name.h"
#include "base/pack.h"
#include "base/pool.h"
#include "io/loop.h"
#include "reconcile/held.h"
#include "reconcile/report.h"

/* A run is followed by the echo of its own status: packed once, after both. */
#define REST_AFTER_MS 100
/* No more than so many wait for that. */
#define OPEN_MOST 256u
/* What waits for its first run lies as it is, if it is no more than this: after a restart with many Applications it would be most of core. */
#define PLAIN_MOST ((size_t)8 << 20)
/* An Application's text with its status is smaller than its object, of which etcd takes 1.5 MiB. */
#define PACKED_MOST ((size_t)16 << 20)
/* The words and a usual Application are 5 KiB. */
#define WINDOW_BITS 13

struct packed {
	uint32_t plain, length;      /* the same: not deflated */
	unsigned char bytes[];
};

struct rest {
	struct core *core;
	struct app *first;           /* that are open */
	size_t count;
	bool due;
	struct timer *timer;
	z_stream deflate, inflate;   /* deflate: has read the words, and is copied for each text */
	struct str plain, deflated;  /* scratch */
	size_t as_it_is;             /* bytes of all that are packed and not deflated */
};

/*
 * What most have, so that a short text shrinks too. Nothing depends on these words: another Application takes more room. What
 * is most common stands last, where zlib finds it cheapest.
 */
static const char dictionary[] =
	"\"include\":\"\",\"exclude\":\"\",\"recurse\":true},\"ignoreDifferences\":[{\"group\":\"\",\"kind\":\"\","
	"\"jsonPointers\":[\"/spec/\"retry\":{\"limit\":5,\"backoff\":{\"duration\":\"5s\",\"factor\":2,\"maxDuration\":\"3m0s\"}}"
	",\"syncOptions\":[\"CreateNamespace=true\"kubectl.kubernetes.io/last-applied-configuration\":\"countersign.dev/refresh\":\"normal\","
	"\"labels\":{\"app.kubernetes.io/\"finalizers\":[\"resources-finalizer.countersign.dev\"],"
	"\"observedGeneration\":1,\"lastTransitionTime\":\"\"type\":\"Verified\",\"status\":\"Unknown\",\"type\":\"Healthy\","
	"\"status\":\"True\",\"type\":\"Ready\",\"reason\":\"OutOfSync\",\"message\":\"\"extras\":[],"
	"\"images\":[\"@sha256:\"summary\":{\"objects\":\"health\":{\"status\":\"Missing\","
	"\"conditions\":[{NotEvaluated not looked at yet VerificationFailed OutOfSync objects differ from revision Degraded "
	"PolicyWarning \"group\":\"rbac.authorization.k8s.io\",\"version\":\"v1\",\"kind\":\"RoleBinding\",\"group\":\"batch\","
	"\"kind\":\"CronJob\",\"kind\":\"ConfigMap\",\"kind\":\"StatefulSet\",\"kind\":\"Secret\",\"kind\":\"Namespace\","
	"\"apiVersion\":\"countersign.dev/v1alpha1\",\"kind\":\"Application\",{\"spec\":{\"destination\":{\"namespace\":\"default\","
	"\"server\":\"https://kubernetes.default.svc\"},\"project\":\"default\",\"source\":{\"path\":\"apps/\","
	"\"repoURL\":\"https://github.com/.git\",\"targetRevision\":\"main\"},\"syncPolicy\":{\"automated\":{\""
	"prune\":true,\"selfHeal\":true}}},\"metadata\":{\"creationTimestamp\":\"2026-1-T:Z\",\"generation\":1,\"name\":\"app-\","
	"\"namespace\":\"countersign-system\",\"resourceVersion\":\"\",\"uid\":\"no images\0Verified\0"
	"1 images are signed by whom policy says\0002026-1Synced\0the cluster is as revision  says\0002026-1Progressing\0"
	"Deployment /: waiting for the Deployment controller to see it\0Healthy is False: Deployment \0Healthy\0004 objects are healthy\0"
	"2026-1Ready\0synced, healthy and verified\0002026-1{\"operation\":{\"initiatedBy\":{\"automated\":true}},\"phase\":\"Succeeded\","
	"\"message\":\"successfully synced\",\"startedAt\":\"2026-\",\"finishedAt\":\"2026-\",\"retryCount\":0,\"syncResult\":{\""
	"revision\":\"\",\"resources\":[{\"group\":\"\",\"version\":\"v1\",\"kind\":\"ServiceAccount\",\"namespace\":\"\",\"name\":\"\","
	"\"status\":\"Synced\",\"message\":\"does not exist yet\"},{\"group\":\"\",\"version\":\"v1\",\"kind\":\"Service\","
	"\"namespace\":\"\",\"name\":\"\",\"status\":\"Synced\",\"message\":\"does not exist yet\"},{\"group\":\"apps\","
	"\"version\":\"v1\",\"kind\":\"Deployment\",\"namespace\":\"\",\"name\":\"\",\"status\":\"Synced\","
	"\"message\":\"differs from what Git declares\"},{\"group\":\"networking.k8s.io\",\"version\":\"v1\",\"kind\":\"Ingress\","
	"\"namespace\":\"\",\"name\":\"\",\"status\":\"Synced\",\"message\":\"\"}]}}{\"finishedAt\":\"2026-\","
	"\"message\":\"successfully synced\",\"operation\":{\"initiatedBy\":{\"automated\":true}},\"phase\":\"Succeeded\","
	"\"retryCount\":0,\"startedAt\":\"2026-\",\"syncResult\":{\"resources\":[{\"group\":\"\",\"kind\":\"ServiceAccount\","
	"\"message\":\"does not exist yet\",\"name\":\"\",\"namespace\":\"\",\"status\":\"Synced\",\"version\":\"v1\"},{\"group\":\"\","
	"\"kind\":\"Service\",\"message\":\"does not exist yet\",\"name\":\"\",\"namespace\":\"\",\"status\":\"Synced\","
	"\"version\":\"v1\"},{\"group\":\"apps\",\"kind\":\"Deployment\",\"message\":\"does not exist yet\",\"name\":\"\","
	"\"namespace\":\"\",\"status\":\"Synced\",\"version\":\"v1\"},{\"group\":\"networking.k8s.io\",\"kind\":\"Ingress\","
	"\"message\":\"does not exist yet\",\"name\":\"\",\"namespace\":\"\",\"status\":\"Synced\",\"version\":\"v1\"}],\"revision\":\"";

static Bytef *words(void)
{
	return (Bytef *)(uintptr_t)dictionary;
}

/* --- packing ------------------------------------------------------------------------------------------------------- */

static bool is_deflated(const struct packed *packed)
{
	return packed->length != packed->plain;
}

static struct packed *packed_new(struct rest *rest, struct span plain, const void *bytes, size_t length)
{
	struct packed *packed = pool_alloc(sizeof(*packed) + length);

	packed->plain = (uint32_t)plain.length;
	packed->length = (uint32_t)length;
	memcpy(packed->bytes, bytes, length);
	if (!is_deflated(packed))
		rest->as_it_is += length;
	return packed;
}

static struct packed *shrink(struct rest *rest, struct span plain)
{
	size_t most = deflateBound(&rest->deflate, plain.length);
	z_stream stream;
	char *room;

	str_reset(&rest->deflated);
	room = str_reserve(&rest->deflated, most);
	ASSERT(room && deflateCopy(&stream, &rest->deflate) == Z_OK);
	stream.next_in = (Bytef *)(uintptr_t)plain.data;
	stream.avail_in = (uInt)plain.length;
	stream.next_out = (Bytef *)room;
	stream.avail_out = (uInt)most;
	ASSERT(deflate(&stream, Z_FINISH) == Z_STREAM_END);
	deflateEnd(&stream);
	/* what says the length of the other kind must be shorter */
	if (stream.total_out >= plain.length)
		return packed_new(rest, plain, plain.data, plain.length);
	return packed_new(rest, plain, room, stream.total_out);
}

static void drop_packed(struct app *app)
{
	struct packed *packed = TAKE(app->packed);

	if (!packed)
		return;
	if (!is_deflated(packed))
		app->core->rest->as_it_is -= packed->length;
	pool_free(packed, sizeof(*packed) + packed->length);
}

/* Borrowed until the next call. */
static struct span grown(struct rest *rest, const struct packed *packed)
{
	z_stream *stream = &rest->inflate;
	char *room;

	if (!is_deflated(packed))
		return span_make(packed->bytes, packed->plain);
	str_reset(&rest->plain);
	room = str_reserve(&rest->plain, packed->plain);
	ASSERT(room);
	ASSERT(inflateReset(stream) == Z_OK && inflateSetDictionary(stream, words(), sizeof(dictionary) - 1) == Z_OK);
	stream->next_in = (Bytef *)(uintptr_t)packed->bytes;
	stream->avail_in = packed->length;
	stream->next_out = (Bytef *)room;
	stream->avail_out = packed->plain;
	ASSERT(inflate(stream, Z_FINISH) == Z_STREAM_END && stream->total_out == packed->plain);
	str_grew(&rest->plain, packed->plain);
	return str_span(&rest->plain);
}

/* What may change without a change of the Application's spec. */
static void take_brief(struct app *app)
{
	const struct report *report = app->open->report;

	app->brief.operation = app->open->spec.operation != NULL;
	app->brief.health = (uint8_t)(report ? report->health : HEALTH_UNKNOWN);
	app->brief.sync_status = report ? report->sync_status : "Unknown";
}

static void pack_open(struct app *app)
{
	CLEANUP(str_release) struct str plain = STR_LIMIT(PACKED_MOST), object = STR_LIMIT(PACKED_MOST);
	struct app_open *open = app->open;
	struct report *report = open->report;
	struct rest *rest = app->core->rest;

	if (open->spec.object)
		json_write(open->spec.object, JSON_PLAIN, &object);
	pack_u8(&plain, (uint8_t)open->spec.refresh);
	pack_u8(&plain, open->spec.operation != NULL);
	str_add(&plain, span_make(str_c(&object), object.length + 1));
	pack_u8(&plain, report != NULL);
	if (report)
		report_pack(report, &plain);
	ASSERT(!plain.overflow && !object.overflow && plain.length <= UINT32_MAX);
	/* without a report its first run is still to come, and mostly soon: that is not worth the work */
	app->packed = report || rest->as_it_is > PLAIN_MOST ? shrink(rest, str_span(&plain)) : packed_new(rest, str_span(&plain), plain.data, plain.length);
	take_brief(app);
	arena_free(open->arena);
	report_free(open->report);
	free(open);
	app->open = NULL;
}

static void unpack_open(struct app *app, struct app_open *open)
{
	struct unpack in = unpack_begin(grown(app->core->rest, app->packed));
	struct error err = ERROR_INIT;
	struct json *object;
	enum refresh refresh = (enum refresh)unpack_u8(&in);
	bool operation = unpack_bool(&in);
	struct span text = span_cut(&in.rest, '\0');

	ASSERT(in.rest.data);
	if (text.length) {
		ASSERT(!json_parse(text, open->arena, 0, &object, NULL));
		/* what is wrong in it is told by a run */
		application_decode(object, open->arena, &open->spec, &err);
		open->spec.refresh = refresh;
		if (!operation)
			open->spec.operation = NULL;
	}
	if (unpack_bool(&in))
		open->report = report_unpack(&in);
	ASSERT(!unpack_end(&in, "an Application at rest", NULL));
	drop_packed(app);
}

struct app_open *rest_open(struct app *app)
{
	struct app_open *open = app->open;

	if (open)
		return open;
	open = mem_alloc(sizeof(*open));
	open->arena = arena_new(0);
	if (app->packed)
		unpack_open(app, open);
	app->open = open;
	rest_soon(app);
	return open;
}

/* --- inventories ---------------------------------------------------------------------------------------------------- */

static void close_inventory(struct app *app)
{
	arena_free(app->inventory_arena);
	app->inventory_arena = NULL;
	app->inventory = NULL;
}

void rest_set_inventory(struct app *app, const struct inventory *inventory)
{
	bool empty = !inventory->count && !inventory->pending.count && !*inventory->uid && !*inventory->project && !*inventory->account &&
		     !*inventory->revision;
	struct held *held = empty ? NULL : held_new(inventory);

	/* `inventory` may be borrowed of what goes now */
	close_inventory(app);
	held_free(app->held);
	app->held = held;
}

static void open_inventory(struct app *app)
{
	struct inventory *inventory;

	app->inventory_arena = arena_new(0);
	inventory = ARENA_NEW(app->inventory_arena, struct inventory);
	if (app->held) {
		held_read(app->held, app->inventory_arena, inventory);
		inventory->app = app->key;
	} else {
		*inventory = (struct inventory){ .app = "", .uid = "", .project = "", .account = "", .revision = "", .repo_url = "", .path = "",
						 .target_revision = "", .namespace = "", .applied.revision = "", .pending.revision = "" };
	}
	app->inventory = inventory;
	rest_soon(app);
}

/* --- who is open ------------------------------------------------------------------------------------------------------ */

static void rest_all(void *data)
{
	struct rest *rest = data;
	struct app *next;

	rest->due = false;
	for (struct app *app = TAKE(rest->first); app; app = next) {
		next = app->open_next;
		app->open_next = NULL;
		app->open_listed = false;
		if (app->runs)
			continue;
		if (app->open)
			pack_open(app);
		close_inventory(app);
		app_trim(app);
	}
	rest->count = 0;
}

void rest_soon(struct app *app)
{
	struct rest *rest = app->core->rest;

	if (app->open_listed)
		return;
	app->open_listed = true;
	app->open_next = rest->first;
	rest->first = app;
	if (++rest->count == 1)
		timer_start(rest->timer, REST_AFTER_MS);
	if (rest->count < OPEN_MOST || rest->due)
		return;
	rest->due = true;
	loop_defer(app->core->loop, rest_all, rest);
}

void rest_forget(struct app *app)
{
	struct rest *rest = app->core->rest;

	for (struct app **at = &rest->first; app->open_listed && *at; at = &(*at)->open_next)
		if (*at == app) {
			*at = app->open_next;
			rest->count--;
			break;
		}
	close_inventory(app);
	held_free(app->held);
	drop_packed(app);
	if (!app->open)
		return;
	arena_free(app->open->arena);
	report_free(app->open->report);
	free(app->open);
}

/* Opening changes nothing that anybody can see. */
static struct app *seen(const struct app *app)
{
	return (struct app *)(uintptr_t)app;
}

struct application *app_spec(const struct app *app)
{
	return &rest_open(seen(app))->spec;
}

const struct inventory *app_inventory(const struct app *app)
{
	if (!app->inventory)
		open_inventory(seen(app));
	return app->inventory;
}

const struct brief *app_brief(const struct app *app)
{
	if (app->open)
		take_brief(seen(app));
	return &app->brief;
}

struct rest *rest_new(struct core *core)
{
	struct rest *rest = mem_alloc(sizeof(*rest));

	rest->core = core;
	rest->timer = timer_new(core->loop, rest_all, rest);
	rest->plain = rest->deflated = (struct str)STR_LIMIT(PACKED_MOST);
	ASSERT(deflateInit2(&rest->deflate, 3, Z_DEFLATED, -WINDOW_BITS, 5, Z_DEFAULT_STRATEGY) == Z_OK);
	ASSERT(deflateSetDictionary(&rest->deflate, words(), sizeof(dictionary) - 1) == Z_OK);
	ASSERT(inflateInit2(&rest->inflate, -WINDOW_BITS) == Z_OK);
	return rest;
}

void rest_free(struct rest *rest)
{
	if (!rest)
		return;
	deflateEnd(&rest->deflate);
	inflateEnd(&rest->inflate);
	timer_free(rest->timer);
	str_release(&rest->plain);
	str_release(&rest->deflated);
	free(rest);
}
