/* The table of families and their series; see metric.h. */
#include "base/metric.h"

#include <stdint.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/map.h"

#define LABELS_MAX 10

enum type { COUNTER, GAUGE, HISTOGRAM };

struct family {
	const char *name, *help;
	enum type type;
	const char *labels[LABELS_MAX + 1];
};

static const struct family families[METRIC_COUNT] = {
	[METRIC_BUILD_INFO] = { "countersign_build_info", "What is running; always 1.", GAUGE, { "version" } },
	[METRIC_LEADER] = { "countersign_leader", "1 while this process holds the lease.", GAUGE, { NULL } },
	[METRIC_RUNS] = { "countersign_runs_total", "Passes over an Application, by how they ended.", COUNTER, { "result" } },
	[METRIC_RUN_SECONDS] = { "countersign_run_duration_seconds", "How long passes over an Application took.", HISTOGRAM, { NULL } },
	[METRIC_RUNS_ACTIVE] = { "countersign_runs_active", "Passes under way.", GAUGE, { NULL } },
	[METRIC_QUEUE_DEPTH] = { "countersign_queue_depth", "Applications that are due and not being looked at yet.", GAUGE, { NULL } },
	[METRIC_QUEUE_WAIT_SECONDS] = { "countersign_queue_wait_seconds", "From the time an Application was due to its pass.", HISTOGRAM,
					{ NULL } },
	[METRIC_COMMIT_TO_LIVE_SECONDS] = { "countersign_commit_to_live_seconds",
					    "From the time that a commit carries to all its objects applied; commits older than a day "
					    "are left out.", HISTOGRAM, { NULL } },
	[METRIC_API_REQUESTS] = { "countersign_api_requests_total", "Requests to the API server, a watch once; code 0 is no answer.", COUNTER,
				  { "verb", "code" } },
	[METRIC_API_REQUEST_SECONDS] = { "countersign_api_request_duration_seconds", "How long the API server took, watches left out.", HISTOGRAM,
					 { "verb" } },
	[METRIC_VERIFICATIONS] = { "countersign_verifications_total", "Verdicts on images; the reason is empty when allowed.", COUNTER,
				   { "result", "reason" } },
	[METRIC_CACHE_REQUESTS] = { "countersign_cache_requests_total", "Look-ups in what is remembered.", COUNTER, { "cache", "result" } },
	[METRIC_AUDIT_RECORDS] = { "countersign_audit_log_records", "Records in the audit log.", GAUGE, { NULL } },
	[METRIC_AUDIT_BYTES] = { "countersign_audit_log_written_bytes_total", "Bytes of records that this process has made durable.",
				 COUNTER, { NULL } },
	[METRIC_AUDIT_WRITABLE] = { "countersign_audit_log_writable", "1 while records can be written; nothing is applied while it is 0.",
				    GAUGE, { NULL } },
	[METRIC_AUDIT_LAST_DURABLE] = { "countersign_audit_log_last_durable_timestamp_seconds", "When the last record was on disk.", GAUGE,
					{ NULL } },
	[METRIC_AUDIT_CHECKPOINT_AGE] = { "countersign_audit_checkpoint_age_seconds", "Age of the newest signed checkpoint.", GAUGE,
					  { NULL } },
	[METRIC_AUDIT_SYNC_SECONDS] = { "countersign_audit_log_sync_duration_seconds", "How long fdatasync of the journal took; each write waits for it.",
					HISTOGRAM, { NULL } },
	[METRIC_WORKER_JOBS] = { "countersign_worker_jobs_total", "Jobs of workers, by how they ended.", COUNTER, { "role", "result" } },
	[METRIC_WORKER_CRASHES] = { "countersign_worker_crashes_total", "Workers that died, hung, answered nonsense or could not be started for a job.", COUNTER,
				    { "role", "reason" } },
	[METRIC_WORKER_QUEUE_DEPTH] = { "countersign_worker_queue_depth", "Jobs that wait for a worker.", GAUGE, { "role" } },
	[METRIC_PROCESSES] = { "countersign_processes", "Processes that run.", GAUGE, { "role" } },
	[METRIC_PROCESS_MEMORY] = { "countersign_process_resident_memory_bytes", "Resident memory of all processes of a role.", GAUGE,
				    { "role" } },
	[METRIC_PROCESS_CPU] = { "countersign_process_cpu_seconds_total", "Processor time of a role, ended processes included.", COUNTER,
				 { "role" } },
	[METRIC_HEAP] = { "countersign_core_heap_bytes", "Memory that core has allocated and not freed.", GAUGE, { NULL } },
	[METRIC_ARGO_APP_INFO] = { "argocd_app_info", "Information about application.", GAUGE,
				   { "autosync_enabled", "dest_namespace", "dest_server", "health_status", "name", "namespace",
				     "operation", "project", "repo", "sync_status" } },
	[METRIC_ARGO_APP_SYNC] = { "argocd_app_sync_total", "Number of application syncs.", COUNTER,
				   { "dest_server", "dry_run", "name", "namespace", "phase", "project" } },
	[METRIC_DROPPED] = { "countersign_metric_series_dropped_total", "Counts that found no room for their series.", COUNTER,
			     { "family" } },
};

/* Upper ends, in seconds. */
static const double buckets[] = { 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600 };

struct series {
	struct series *next;
	char *labels;                              /* as written: {a="b",c="d"}, "" without */
	double value;                              /* of a histogram: the sum */
	uint64_t count, in_bucket[COUNT_OF(buckets)];
};

struct held {
	struct map by_labels;
	struct series *first, *last;               /* in order of appearance, so that two readings compare */
};

static struct held held[METRIC_COUNT];

static size_t label_count(const struct family *family)
{
	size_t count = 0;

	while (family->labels[count])
		count++;
	return count;
}

static void write_value(const char *value, struct str *out)
{
	for (; *value; value++)
		switch (*value) {
		case '\n': str_adds(out, "\\n"); break;
		case '"': str_adds(out, "\\\""); break;
		case '\\': str_adds(out, "\\\\"); break;
		default: str_addc(out, *value);
		}
}

static void write_labels(const struct family *family, va_list values, struct str *out)
{
	size_t count = label_count(family);

	for (size_t i = 0; i < count; i++) {
		const char *value = va_arg(values, const char *);

		ASSERT(value);
		str_addc(out, i ? ',' : '{');
		str_adds(out, family->labels[i]);
		str_adds(out, "=\"");
		write_value(value, out);
		str_addc(out, '"');
	}
	ASSERT(!va_arg(values, const char *));
	if (count)
		str_addc(out, '}');
}

/* NULL: there is no room for another. */
static struct series *series_of(enum metric which, struct span labels)
{
	struct held *family = &held[which];
	struct series *series = map_get(&family->by_labels, labels);
	size_t most = which == METRIC_ARGO_APP_INFO || which == METRIC_ARGO_APP_SYNC ? LIMIT_METRIC_APP_SERIES : LIMIT_METRIC_SERIES;

	if (series)
		return series;
	if (family->by_labels.count >= most) {
		if (which != METRIC_DROPPED)
			metric_add(METRIC_DROPPED, 1, families[which].name, NULL);
		return NULL;
	}
	series = mem_alloc(sizeof(*series));
	series->labels = mem_strndup(labels.data ? labels.data : "", labels.length);
	map_set(&family->by_labels, labels, series);
	if (family->last)
		family->last->next = series;
	else
		family->first = series;
	family->last = series;
	return series;
}

static struct series *find(enum metric which, va_list values)
{
	CLEANUP(str_release) struct str labels = STR_INIT;

	write_labels(&families[which], values, &labels);
	return series_of(which, str_span(&labels));
}

void metric_add(enum metric which, double value, ...)
{
	struct series *series;
	va_list values;

	ASSERT(families[which].type != HISTOGRAM);
	va_start(values, value);
	series = find(which, values);
	va_end(values);
	if (series)
		series->value += value;
}

void metric_set(enum metric which, double value, ...)
{
	struct series *series;
	va_list values;

	ASSERT(families[which].type != HISTOGRAM);
	va_start(values, value);
	series = find(which, values);
	va_end(values);
	if (series)
		series->value = value;
}

void metric_observe(enum metric which, double value, ...)
{
	struct series *series;
	va_list values;

	ASSERT(families[which].type == HISTOGRAM);
	va_start(values, value);
	series = find(which, values);
	va_end(values);
	if (!series)
		return;
	series->value += value;
	series->count++;
	for (size_t i = 0; i < COUNT_OF(buckets); i++)
		series->in_bucket[i] += value <= buckets[i];
}

void metric_clear(enum metric which)
{
	struct series *series = held[which].first;

	while (series) {
		struct series *next = series->next;

		free(series->labels);
		free(series);
		series = next;
	}
	map_release(&held[which].by_labels);
	held[which] = (struct held){ .by_labels = MAP_INIT };
}

double metric_sum(enum metric which)
{
	double sum = 0;

	for (const struct series *series = held[which].first; series; series = series->next)
		sum += families[which].type == HISTOGRAM ? (double)series->count : series->value;
	return sum;
}

static void write_number(double value, struct str *out)
{
	if (value > -9e15 && value < 9e15 && value == (double)(long long)value)
		str_addf(out, "%lld\n", (long long)value);
	else
		str_addf(out, "%.15g\n", value);
}

static void write_histogram(const struct family *family, const struct series *series, struct str *out)
{
	size_t length = strlen(series->labels);
	/* the family's own labels, then le */
	const char *lead = length ? series->labels : "{";
	int lead_length = length ? (int)length - 1 : 1;

	for (size_t i = 0; i <= COUNT_OF(buckets); i++) {
		str_addf(out, "%s_bucket%.*s%sle=\"", family->name, lead_length, lead, length ? "," : "");
		if (i < COUNT_OF(buckets))
			str_addf(out, "%g\"} %llu\n", buckets[i], (unsigned long long)series->in_bucket[i]);
		else
			str_addf(out, "+Inf\"} %llu\n", (unsigned long long)series->count);
	}
	str_addf(out, "%s_sum%s ", family->name, series->labels);
	write_number(series->value, out);
	str_addf(out, "%s_count%s %llu\n", family->name, series->labels, (unsigned long long)series->count);
}

void metric_write(struct str *out)
{
	static const char *const types[] = { "counter", "gauge", "histogram" };

	for (enum metric which = 0; which < METRIC_COUNT; which++) {
		const struct family *family = &families[which];

		/* what has no labels is there from the start, as 0 */
		if (!label_count(family))
			series_of(which, SPAN0);
		str_addf(out, "# HELP %s %s\n# TYPE %s %s\n", family->name, family->help, family->name, types[family->type]);
		for (const struct series *series = held[which].first; series; series = series->next) {
			if (family->type == HISTOGRAM) {
				write_histogram(family, series, out);
				continue;
			}
			str_addf(out, "%s%s ", family->name, series->labels);
			write_number(series->value, out);
		}
	}
}

void metric_reset(void)
{
	for (enum metric which = 0; which < METRIC_COUNT; which++)
		metric_clear(which);
}
