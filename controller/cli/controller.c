/* `countersign controller`; see controller.h. */
#include "cli/controller.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli/cli.h"
#include "io/role.h"
#include "reconcile/core.h"
#include "server/web.h"

#define HOSTS_MAX 32

struct parsed {
	struct core_options core;
	const char *hosts[HOSTS_MAX + 1];
	size_t host_count;
	char instance[256];
	enum log_level level;
};

static const struct option options[] = {
	{ "kubeconfig", required_argument, NULL, 'k' },     { "namespace", required_argument, NULL, 'n' },
	{ "data", required_argument, NULL, 'd' },           { "poll", required_argument, NULL, 'p' },
	{ "plain-http-registry", required_argument, NULL, 'r' }, { "admin-project", required_argument, NULL, 'a' },
	{ "namespaced", no_argument, NULL, 'N' },
	{ "log-level", required_argument, NULL, 'l' },      { "listen", required_argument, NULL, 'L' },
	{ NULL, 0, NULL, 0 },
};

static int set_level(struct parsed *parsed, const char *text)
{
	if (log_level_of(text, &parsed->level))
		return 0;
	return cli_fail(EXIT_USAGE, "one of debug, info, warn, error", "--log-level %s", text);
}

static int set_option(struct parsed *parsed, int which, const char *value)
{
	switch (which) {
	case 'k': parsed->core.kubeconfig = value; return 0;
	case 'n': parsed->core.namespace = value; return 0;
	case 'd': parsed->core.data_dir = value; return 0;
	case 'a': parsed->core.admin_project = value; return 0;
	case 'l': return set_level(parsed, value);
	case 'N': parsed->core.namespaced = true; return 0;
	case 'L': parsed->core.listen = value; return 0;
	case 'p':
		if (duration_parse(span_of(value), &parsed->core.poll_ms) && parsed->core.poll_ms >= 100)
			return 0;
		return cli_fail(EXIT_USAGE, "a duration of at least 100ms, such as 5s", "--poll %s", value);
	case 'r':
		if (parsed->host_count == HOSTS_MAX)
			return cli_fail(EXIT_USAGE, NULL, "more than %d --plain-http-registry", HOSTS_MAX);
		parsed->hosts[parsed->host_count++] = value;
		return 0;
	default:
		return cli_fail(EXIT_USAGE, "countersign controller --help lists the options", "unknown option or missing value");
	}
}

static int parse(int argc, char **argv, struct parsed *parsed)
{
	int which;

	memset(parsed, 0, sizeof(*parsed));
	parsed->level = LOG_INFO;
	parsed->core = (struct core_options){ .namespace = "countersign-system", .data_dir = "/var/lib/countersign", .poll_ms = 5000,
					      .admin_project = "", .listen = "", .plain_http = parsed->hosts, .instance = parsed->instance };
	optind = 1;
	while ((which = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (set_option(parsed, which, optarg))
			return EXIT_USAGE;
	if (optind < argc)
		return cli_fail(EXIT_USAGE, NULL, "unexpected argument %s", argv[optind]);
	if (gethostname(parsed->instance, sizeof(parsed->instance) - 1))
		snprintf(parsed->instance, sizeof(parsed->instance), "countersign");
	return 0;
}

int cli_controller(int argc, char **argv)
{
	struct parsed parsed;
	int rc = parse(argc, argv, &parsed);

	if (rc)
		return rc;
	log_setup(parsed.level, "supervisor");
	return supervisor_run(argv + 1);
}

int cli_core(int argc, char **argv)
{
	struct parsed parsed;
	int rc = parse(argc, argv, &parsed);

	if (rc)
		return rc;
	log_setup(parsed.level, "core");
	parsed.core.log_level = parsed.level;
	return core_run(&parsed.core);
}

int cli_web(int argc, char **argv)
{
	struct parsed parsed;
	int rc = parse(argc, argv, &parsed);

	if (rc)
		return rc;
	log_setup(parsed.level, "web");
	return web_run(parsed.core.listen);
}
