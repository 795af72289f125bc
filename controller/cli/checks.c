/* Lines about an installation, for check and status; see checks.h. */
#include "cli/checks.h"

#include <stdio.h>

#include "base/clock.h"
#include "cli/text.h"

#define LEASE_S_MAX 15

void check_tell(struct check *check, enum check_grade grade, const char *name, const char *format, ...)
{
	static const char *const words[] = { "ok", "warn", "FAIL" };
	CLEANUP(str_release) struct str text = STR_INIT, clean = STR_INIT;
	va_list args;

	va_start(args, format);
	str_vaddf(&text, format, args);
	va_end(args);
	text_clean(str_span(&text), &clean);
	printf("%-4s  %-12s  %s\n", words[grade], name, str_c(&clean));
	check->failed += grade == CHECK_FAILED;
}

void check_lease(struct check *check)
{
	const char *path = arena_printf(check->person->arena, "/apis/coordination.k8s.io/v1/namespaces/%s/leases/countersign",
					check->person->namespace);
	struct error err = ERROR_INIT;
	int64_t renewed_ns, age_s, ahead_s;
	const char *holder;
	struct json *lease;

	if (person_get(check->person, path, &lease, &err)) {
		check_tell(check, CHECK_FAILED, "leader", "%s", err.kind == ERROR_NOT_FOUND ? "no controller has ever led here" : err.text);
		return;
	}
	holder = json_text(json_path(lease, "spec", "holderIdentity", NULL));
	if (!holder || !*holder || !time_parse(json_text_span(json_path(lease, "spec", "renewTime", NULL)), &renewed_ns)) {
		check_tell(check, CHECK_FAILED, "leader", "nobody leads");
		return;
	}
	/* by the API server's clock: a machine whose own is behind would call one that is long dead alive */
	kube_clock_ahead(check->person->kube, &ahead_s);
	age_s = clock_wall_ns() / 1000000000 - ahead_s - renewed_ns / 1000000000;
	check_tell(check, age_s <= LEASE_S_MAX ? CHECK_GOOD : CHECK_FAILED, "leader", "%s, renewed %lld s ago", holder,
		   age_s > 0 ? (long long)age_s : 0LL);
}

struct pod_answer {
	struct check *check;
	const char *pod, *image;
};

/* Each line of a pod's /readyz?verbose that is not good, the one on its sandbox, and whether it leads. */
static void tell_pod(const struct pod_answer *pod, struct span lines)
{
	struct span role = SPAN0;
	bool passed = false;

	while (lines.data) {
		struct span line = span_cut(&lines, '\n');

		passed |= span_is(line, "readyz check passed");
		if (span_starts(line, "[-]"))
			check_tell(pod->check, CHECK_FAILED, "pod", "%s: %.*s", pod->pod, SPAN_ARG(span_from(line, 3)));
		if (span_starts(line, "[+]sandbox ok: "))
			check_tell(pod->check, CHECK_GOOD, "sandbox", "%s: %.*s", pod->pod, SPAN_ARG(span_from(line, 15)));
		if (span_starts(line, "[+]leader ok: "))
			role = span_from(line, 14);
	}
	if (passed)
		check_tell(pod->check, CHECK_GOOD, "pod", "%s is ready, %.*s, runs %s", pod->pod, SPAN_ARG(role), pod->image);
}

/* The answer is text, not JSON: so it is read as it came. */
static void on_pod(void *data, const struct kube_answer *answer)
{
	struct pod_answer *pod = data;

	if (!answer->status)
		check_tell(pod->check, CHECK_FAILED, "pod", "%s: %s", pod->pod, answer->err ? answer->err->text : "no answer");
	else if (!span_starts(answer->body, "[") )
		check_tell(pod->check, CHECK_WARNED, "pod", "%s cannot be asked through the API server: %.*s", pod->pod, SPAN_ARG(span_sub(answer->body, 0, 200)));
	else
		tell_pod(pod, answer->body);
	loop_stop(pod->check->person->loop);
}

bool check_condition(const struct json *object, const char *type)
{
	const struct json *conditions = json_path(object, "status", "conditions", NULL);

	for (size_t i = 0; i < json_count(conditions); i++)
		if (span_is(json_text_span(json_get(json_at(conditions, i), "type")), type))
			return span_is(json_text_span(json_get(json_at(conditions, i), "status")), "True");
	return false;
}

void check_pods(struct check *check)
{
	struct arena *arena = check->person->arena;
	const char *path = arena_printf(arena, "/api/v1/namespaces/%s/pods?labelSelector=app.kubernetes.io%%2Fname%%3Dcountersign",
					check->person->namespace);
	struct error err = ERROR_INIT;
	struct json *list;

	if (person_get(check->person, path, &list, &err)) {
		check_tell(check, CHECK_WARNED, "pod", "%s", err.text);
		return;
	}
	if (!json_count(json_get(list, "items")))
		check_tell(check, CHECK_WARNED, "pod", "none here: does the controller run outside of the cluster?");
	for (size_t i = 0; i < json_count(json_get(list, "items")); i++) {
		const struct json *item = json_at(json_get(list, "items"), i);
		const struct json *container = json_at(json_path(item, "spec", "containers", NULL), 0);
		struct pod_answer pod = { check, json_text(json_path(item, "metadata", "name", NULL)), json_text(json_get(container, "image")) };

		kube_get(check->person->kube, arena_printf(arena, "/api/v1/namespaces/%s/pods/%s:8080/proxy/readyz?verbose",
							   check->person->namespace, pod.pod), "*/*", NULL, on_pod, &pod);
		loop_run(check->person->loop);
	}
}
