/* Checks and metrics of core; see probe.h. */
#include "reconcile/probe.h"

#include <ctype.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/metric.h"
#include "io/sandbox.h"
#include "reconcile/objects.h"
#include "reconcile/report.h"
#include "source/git_url.h"

/* The lease is read or renewed every 2 s; so long without an answer is an API server that is not there. */
#define API_SILENCE_MS 15000

struct probe {
	struct core *core;
	int64_t second;          /* of monotonic time, in which `asks` were counted */
	unsigned asks;
};

/* --- checks ------------------------------------------------------------------------------------------------------- */

static void add(struct vitals *vitals, const char *name, bool live, bool ok, const char *detail)
{
	ASSERT(vitals->check_count < VITALS_CHECKS_MAX);
	vitals->checks[vitals->check_count++] = (struct vitals_check){ name, ok, live, detail };
}

static void check_api(struct core *core, struct arena *arena, struct vitals *out)
{
	int64_t silent_ms = core->lease ? lease_silent_ms(core->lease) : -1;

	if (silent_ms < 0)
		add(out, "api-server", false, false, "has not answered yet");
	else
		add(out, "api-server", false, silent_ms < API_SILENCE_MS,
		    silent_ms < API_SILENCE_MS ? kube_server(core->kube)
					       : arena_printf(arena, "%s has not answered for %lld s", kube_server(core->kube),
							      (long long)silent_ms / 1000));
}

void probe_checks(struct core *core, struct arena *arena, struct vitals *out)
{
	struct error err = ERROR_INIT;
	bool audit = !core_may_record(core, &err), watching = core->objects && objects_ready(core->objects);

	*out = (struct vitals){ .what = VITALS_CHECKS };
	add(out, "ping", true, true, "");
	add(out, "sandbox", true, true, sandbox_layers());
	add(out, "audit-log", false, audit,
	    audit ? "" : arena_strdup(arena, err.text[0] ? err.text : "is not open"));
	check_api(core, arena, out);
	/* one that stands by is ready to take over */
	add(out, "leader", false, true, core->leading ? "leads" : "stands by: another replica leads");
	add(out, "watches", false, watching || !core->leading,
	    watching || !core->leading ? "" : "our own kinds are not listed yet: are the CustomResourceDefinitions installed and may the account list them?");
	add(out, "shutdown", false, !core->stopping, core->stopping ? "is stopping" : "");
}

/* --- metrics ------------------------------------------------------------------------------------------------------ */

static bool is_due(const struct app *app, int64_t now_ms)
{
	return app->run ? app->again : app->timer && app->wake_at_ms <= now_ms;
}

/* As Argo CD writes it into this label: lower case, without ".git"; and without the secrets that somebody may have put into it. */
static char *label_of_repo(struct arena *arena, const char *url)
{
	struct span text = span_trim(span_of(git_url_redact(url, arena)));
	char *label;

	if (span_ends(text, ".git"))
		text.length -= 4;
	label = arena_strndup(arena, text);
	for (char *c = label; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	return label;
}

static void tell_app(struct app *app, struct arena *arena)
{
	const struct brief *brief = app_brief(app);
	const char *operation = brief->deleting ? "delete" : brief->operation ? "sync" : "";
	const char *name = strchr(app->key, '/') + 1;

	/* in the order of the labels' names, as Prometheus shows them */
	metric_set(METRIC_ARGO_APP_INFO, 1, brief->automated ? "true" : "false", brief->namespace ? brief->namespace : "",
		   brief->server ? brief->server : "", health_name((enum health)brief->health), name,
		   arena_strndup(arena, span_make(app->key, (size_t)(name - 1 - app->key))), operation, brief->project ? brief->project : "",
		   label_of_repo(arena, brief->repo_url ? brief->repo_url : ""), brief->sync_status, NULL);
}

static void tell_apps(struct core *core)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	int64_t now_ms = clock_mono_ms();
	size_t due = 0;

	metric_clear(METRIC_ARGO_APP_INFO);
	KEYSET_EACH(slot, &core->apps) {
		struct app *app = *slot;

		due += is_due(app, now_ms);
		if (app->present)
			tell_app(app, arena);
	}
	metric_set(METRIC_QUEUE_DEPTH, (double)due, NULL);
}

void probe_metrics(struct core *core, struct str *out)
{
	struct error ignored = ERROR_INIT;
	double durable_s = metric_sum(METRIC_AUDIT_LAST_DURABLE), now_s = (double)clock_wall_ns() / 1e9;

	metric_set(METRIC_BUILD_INFO, 1, VERSION, NULL);
	metric_set(METRIC_LEADER, core->leading, NULL);
	metric_set(METRIC_RUNS_ACTIVE, (double)core->runs_active, NULL);
	metric_set(METRIC_AUDIT_WRITABLE, !core_may_record(core, &ignored), NULL);
	/* each commit signs a checkpoint of its own */
	metric_set(METRIC_AUDIT_CHECKPOINT_AGE, durable_s > 0 && now_s > durable_s ? now_s - durable_s : 0, NULL);
	tell_apps(core);
	workers_measure(core->workers);
	metric_set(METRIC_HEAP, (double)mem_live(), NULL);
	metric_write(out);
}

/* --- the channel -------------------------------------------------------------------------------------------------- */

static bool asks_too_often(struct probe *probe)
{
	int64_t second = clock_mono_ms() / 1000;

	if (second != probe->second)
		probe->asks = 0;
	probe->second = second;
	return ++probe->asks > LIMIT_WEB_ASKS_PER_SECOND;
}

static bool on_ask(void *data, struct span frame)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	CLEANUP(str_release) struct str text = STR_LIMIT(LIMIT_FRAME_BYTES / 2), reply = STR_LIMIT(LIMIT_FRAME_BYTES);
	struct probe *probe = data;
	struct vitals vitals = { 0 };

	if (asks_too_often(probe))
		return false;
	switch (vitals_ask_decode(frame)) {
	case VITALS_CHECKS:
		probe_checks(probe->core, arena, &vitals);
		break;
	case VITALS_METRICS:
		probe_metrics(probe->core, &text);
		vitals = (struct vitals){ .what = VITALS_METRICS, .metrics = str_span(&text) };
		break;
	default:
		return false;
	}
	vitals_encode(&vitals, &reply);
	worker_asker_send(probe->core->workers, str_span(&reply));
	return true;
}

struct probe *probe_new(struct core *core)
{
	struct probe *probe;

	if (!core->options->listen || !*core->options->listen)
		return NULL;
	probe = mem_alloc(sizeof(*probe));
	probe->core = core;
	worker_asker(core->workers, ROLE_WEB, on_ask, probe);
	return probe;
}

void probe_free(struct probe *probe)
{
	free(probe);
}
