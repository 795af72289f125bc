/* Core's life: connect, lead, work, stop. See core.h. */
#include "reconcile/core.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "io/file.h"
#include "io/sandbox.h"
#include "reconcile/changes.h"
#include "reconcile/contest.h"
#include "reconcile/live.h"
#include "reconcile/objects.h"
#include "reconcile/owed.h"
#include "reconcile/probe.h"
#include "reconcile/recover.h"
#include "reconcile/reload.h"
#include "reconcile/repos.h"
#include "reconcile/report.h"
#include "reconcile/rest.h"
#include "reconcile/rollback.h"
#include "reconcile/run.h"
#include "reconcile/survey.h"
#include "reconcile/turns.h"
#include "reconcile/vetting.h"

#define RENDER_WORKERS 2
#define AUDIT_RETRY_MS 5000
#define CHECKPOINT_BYTES_MAX 16384
#define STOP_POLL_MS 50
#define STOP_MOST_MS 9000

static void open_audit(void *data);

/* --- stopping -------------------------------------------------------------------------------------------------- */

static void on_released(void *data)
{
	struct core *core = data;

	loop_stop(core->loop);
}

static void close_down(struct core *core)
{
	struct arena *arena = arena_new(0);
	struct json *record = json_object(arena);

	if (core->audit && core->leading) {
		json_set_string(arena, record, "kind", "term.end");
		json_set_string(arena, record, "outcome", "ok");
		audit_log_append(core->audit, record, NULL, NULL);
	}
	arena_free(arena);
	audit_log_close(core->audit);
	core->audit = NULL;
	/* what the lease carries from now on: the last checkpoint, with log.stop in it */
	str_reset(&core->last_checkpoint);
	if (core->leading)
		file_read(arena_printf(core->arena, "%s/audit/checkpoint", core->options->data_dir), CHECKPOINT_BYTES_MAX,
			  &core->last_checkpoint, NULL);
	core->leading = false;
	if (core->lease)
		lease_release(core->lease, on_released, core);
	else
		loop_stop(core->loop);
}

/* Runs end at a step boundary; then the log is closed and the lease given up, in this order. */
static void on_stop_poll(void *data)
{
	struct core *core = data;

	if ((core->runs_active || core->owed) && clock_mono_ms() < core->stop_by_ms) {
		timer_start(core->stop_timer, STOP_POLL_MS);
		return;
	}
	close_down(core);
}

void core_stop(struct core *core, int exit_status)
{
	if (core->stopping)
		return;
	log_line(LOG_INFO, "stopping", NULL);
	core->stopping = true;
	kube_closing(core->kube);
	core->exit_status = exit_status;
	core->stop_by_ms = clock_mono_ms() + STOP_MOST_MS;
	KEYSET_EACH(slot, &core->apps) {
		struct app *app = *slot;

		if (app->run)
			run_cancel(app->run);
		owed_pay(app);
	}
	core->stop_timer = timer_new(core->loop, on_stop_poll, core);
	timer_start(core->stop_timer, 0);
}

static void on_signal(void *data)
{
	core_stop(data, 0);
}

static void on_supervisor_lost(void *data)
{
	core_stop(data, 1);
}

/* --- the audit log ---------------------------------------------------------------------------------------------- */

static void tell_audit(struct core *core)
{
	KEYSET_EACH(slot, &core->apps) {
		struct app *app = *slot;

		/* a denial may have come to nothing with the log */
		if (!digest_is_zero(&app_setbacks(app)->denied_told))
			app_setback(app)->denied_told = (struct digest){ { 0 } };
		contest_log_is_back(app);
		app->force = true;
		app_enqueue(app, 0);
	}
}

static void be_unavailable(struct error *err)
{
	err->kind = ERROR_TRANSIENT;
	snprintf(err->reason, sizeof(err->reason), "AuditUnavailable");
}

int core_may_record(const struct core *core, struct error *err)
{
	if (core->audit && audit_log_ok(core->audit, NULL))
		return 0;
	*err = core->audit_error;
	if (core->audit)
		audit_log_ok(core->audit, err);
	be_unavailable(err);
	return -1;
}

static void on_audit_failed(void *data, const struct error *err)
{
	struct core *core = data;

	log_error(LOG_ERROR, "the audit log cannot be written; nothing is applied until it can", err, NULL);
	core->audit_error = *err;
	be_unavailable(&core->audit_error);
	timer_start(core->audit_retry, AUDIT_RETRY_MS);
}

static void record_term(struct core *core)
{
	struct arena *arena = arena_new(0);
	struct json *record = json_object(arena), *lease = json_object(arena);
	const char *note = "";

	json_set_string(arena, record, "kind", "term.start");
	json_set_string(arena, record, "outcome", "ok");
	json_set_string(arena, lease, "holder", core->identity);
	json_set_int(arena, lease, "transitions", core->lease_transitions);
	if (*lease_former(core->lease, &note))
		json_set_string(arena, lease, "former_holder", lease_former(core->lease, &note));
	if (*note)
		json_set_string(arena, lease, "former_checkpoint", note);
	json_set(arena, record, "lease", lease);
	json_set(arena, record, "checkpoint", json_span(arena, audit_log_checkpoint(core->audit)));
	audit_log_append(core->audit, record, NULL, NULL);
	arena_free(arena);
}

/* We lead, so the log is the newest: from now on it is written. */
static int begin_audit(struct core *core)
{
	struct error err = ERROR_INIT;

	if (audit_log_begin(core->audit, &err)) {
		on_audit_failed(core, &err);
		return -1;
	}
	record_term(core);
	rollback_record(core->rollback);
	changes_record_waiting(core->changes);
	return 0;
}

/* What is under way has its intents in the log that this process began with. */
static int check_same_log(struct core *core, struct error *err)
{
	const char *id = audit_log_id(core->audit);

	if (!core->log_id)
		core->log_id = arena_strdup(core->arena, id);
	if (!strcmp(id, core->log_id))
		return 0;
	error_set(err, ERROR_TRANSIENT, "LogReplaced", "another log, %s, is where %s was; the process begins anew with it", id, core->log_id);
	core_stop(core, 1);
	return -1;
}

static int check_log(struct core *core, struct error *err)
{
	if (!audit_log_goes_on_from(core->audit, str_span(&core->last_checkpoint), err))
		return check_same_log(core, err);
	core_stop(core, 78);
	return -1;
}

static int try_open_audit(struct core *core, struct error *err)
{
	const struct audit_log_config config = {
		.version = VERSION,
		.on_failed = on_audit_failed,
		.data = core,
		.account = arena_printf(core->arena, "system:serviceaccount:%s:countersign-controller", core->options->namespace),
		.unsure = true,
	};
	char *dir = arena_printf(core->arena, "%s/audit", core->options->data_dir);

	if (core->audit) {
		str_reset(&core->last_checkpoint);
		str_add(&core->last_checkpoint, audit_log_checkpoint(core->audit));
	}
	audit_log_close(core->audit);
	core->audit = NULL;
	if (audit_log_open(core->loop, dir, &config, &core->audit, err))
		return -1;
	if (check_log(core, err)) {
		audit_log_close(core->audit);
		core->audit = NULL;
		return -1;
	}
	core->audit_error = (struct error)ERROR_INIT;
	return 0;
}

void core_recover(struct core *core)
{
	if (!core->recover_due || core->stopping || !core->leading || core->recovering || !core->objects || !objects_ready(core->objects))
		return;
	core->recover_due = false;
	recover_open_intents(core);
}

/* After a failure the log is opened anew, which verifies it: that is safe, and it may be that the disk has room again. */
static void open_audit(void *data)
{
	struct core *core = data;
	struct error err = ERROR_INIT;

	if (core->stopping)
		return;
	if (try_open_audit(core, &err)) {
		on_audit_failed(core, &err);
		return;
	}
	if (core->leading && begin_audit(core))
		return;
	log_line(LOG_INFO, "the audit log can be written again", NULL);
	/* what was under way when it broke: a run that still works tells its own result; one that found the log closed when it wanted to has none */
	core->recover_due = true;
	core_recover(core);
	tell_audit(core);
}

/* --- leading ----------------------------------------------------------------------------------------------------- */

static void on_discovered(void *data, const struct error *err)
{
	struct core *core = data;

	if (err)
		log_error(LOG_WARN, "discovery failed; it is asked again when it is needed", err, NULL);
	core->objects = objects_new(core);
}

static void on_leading(void *data, int64_t transitions)
{
	struct core *core = data;

	log_line(LOG_INFO, "leading", "identity", core->identity, NULL);
	core->leading = true;
	core->lease_transitions = transitions;
	if (core->audit)
		begin_audit(core);
	discovery_refresh(core->discovery, on_discovered, core);
}

static void on_lease_lost(void *data)
{
	struct core *core = data;

	log_line(LOG_ERROR, "the lease is lost; stopping at once", NULL);
	core->leading = false;
	core_stop(core, 1);
}

/* The lease carries our newest checkpoint, so that whoever takes over can name it: an anchor outside of our volume. */
static struct span checkpoint_now(void *data)
{
	struct core *core = data;

	return core->audit && core->leading ? audit_log_checkpoint(core->audit) : str_span(&core->last_checkpoint);
}

/* Not with an older copy of our log: its next records would have the numbers of others, that were acted upon already. */
static bool may_lead(void *data, struct span note)
{
	struct core *core = data;
	struct error err = ERROR_INIT;

	if (!core->audit)
		return false;
	if (!audit_log_goes_on_from(core->audit, note, &err))
		return true;
	log_error(LOG_ERROR, "cannot start: the audit log is older than what the cluster knows of it", &err, NULL);
	core_stop(core, 78);
	return false;
}

static bool on_version(void *data, uint64_t version)
{
	struct core *core = data;

	return rollback_saw(core->rollback, version);
}

static void start_lease(struct core *core)
{
	static const struct lease_handler handler = { on_leading, on_lease_lost, on_version, checkpoint_now, may_lead };

	/* one process can hold a volume, so its log's id names the holder: a restart goes on with its own lease at once */
	core->identity = arena_printf(core->arena, "%s_%s", core->options->instance, core->log_id);
	core->lease = lease_new(core->kube, core->loop, core->options->namespace, "countersign", core->identity, &handler, core);
}

/* --- start --------------------------------------------------------------------------------------------------------- */

static int connect(struct core *core, struct error *err)
{
	struct kube_config config;

	if (reload_config(core->options, core->arena, &config, err))
		return -1;
	core->kube = kube_new(core->loop, &config, "countersign/" VERSION);
	core->reload = reload_new(core, &config);
	return 0;
}

static int prepare_data(struct core *core, struct error *err)
{
	static const char *const folders[] = { "", "/audit", "/mirrors" };

	for (size_t i = 0; i < COUNT_OF(folders); i++)
		if (dir_make(arena_printf(core->arena, "%s%s", core->options->data_dir, folders[i]), err))
			return -1;
	return 0;
}

static void start_work(struct core *core)
{
	core->workers = workers_new(core->loop, on_supervisor_lost, core);
	core->render = worker_pool_new(core->workers, ROLE_RENDER, RENDER_WORKERS, 100, true);
	core->discovery = discovery_new(core->kube);
	core->changes = changes_new(core);
	core->repos = repos_new(core);
	core->live = live_new(core);
	core->survey = survey_new(core->loop, core->kube);
	core->rollback = rollback_new(core);
	core->rest = rest_new(core);
	turns_init(core);
	core->vetting = vetting_new(core);
	core->audit_retry = timer_new(core->loop, open_audit, core);
	core->probe = probe_new(core);
}

static void release(struct core *core)
{
	while (core->apps.count)
		app_free(*keyset_next(&core->apps, NULL));
	rest_free(core->rest);
	turns_release(core);
	lease_free(core->lease);
	objects_free(core->objects);
	changes_free(core->changes);
	live_free(core->live);
	survey_free(core->survey);
	rollback_free(core->rollback);
	vetting_free(core->vetting);
	repos_free(core->repos);
	discovery_free(core->discovery);
	probe_free(core->probe);
	worker_pool_free(core->render);
	workers_free(core->workers);
	reload_free(core->reload);
	kube_free(core->kube);
	recover_release(core);
	timer_free(core->audit_retry);
	timer_free(core->stop_timer);
	str_release(&core->last_checkpoint);
	keyset_release(&core->apps);
	loop_free(core->loop);
	arena_free(core->arena);
}

int core_run(const struct core_options *options)
{
	struct core core = { .options = options };
	struct error err = ERROR_INIT;

	core.arena = arena_new(0);
	core.apps = (struct keyset)KEYSET_INIT(app_key);
	core.loop = loop_new();
	signal(SIGPIPE, SIG_IGN);
	if (connect(&core, &err) || prepare_data(&core, &err) || sandbox_enter(ROLE_CORE, &err)) {
		log_error(LOG_ERROR, "cannot start", &err, NULL);
		return 78;
	}
	start_work(&core);
	if (try_open_audit(&core, &err)) {
		log_error(LOG_ERROR, "cannot start: the audit log is not intact or not to be had", &err, NULL);
		return 78;
	}
	loop_on_signal(core.loop, SIGTERM, on_signal, &core);
	loop_on_signal(core.loop, SIGINT, on_signal, &core);
	start_lease(&core);
	log_line(LOG_INFO, "started", "version", VERSION, "server", kube_server(core.kube), "namespace", options->namespace, "log",
		 core.log_id, NULL);
	loop_run(core.loop);
	release(&core);
	return core.exit_status;
}
