/* `countersign status`; see operate.h. */
#include "cli/checks.h"
#include "cli/cli.h"
#include "cli/operate.h"

static void tell_applications(struct check *check)
{
	struct error err = ERROR_INIT;
	const struct json *items;
	struct json *list;
	size_t ready = 0;

	if (person_list(check->person, person_path(check->person, "applications", NULL), &list, &err)) {
		check_tell(check, CHECK_FAILED, "applications", "%s", err.text);
		return;
	}
	items = json_get(list, "items");
	for (size_t i = 0; i < json_count(items); i++)
		ready += check_condition(json_at(items, i), "Ready");
	check_tell(check, ready == json_count(items) ? CHECK_GOOD : CHECK_WARNED, "applications", "%zu of %zu are ready%s", ready, json_count(items),
		   ready == json_count(items) ? "" : "; countersign get names the others");
}

int cli_status(int argc, char **argv)
{
	static const struct option options[] = { PERSON_OPTIONS, { NULL, 0, NULL, 0 } };
	static const struct person_syntax syntax = { "status", "n:", options, NULL, 0, 0, "" };
	CLEANUP(person_close) struct person person = { 0 };
	struct check check = { .person = &person };
	struct person_options common;
	struct error err = ERROR_INIT;
	int status = person_parse(argc, argv, &syntax, &check, &common, NULL);

	if (status)
		return status;
	if (person_open(&common, &person, &err))
		return person_fail(&person, &err);
	check_lease(&check);
	check_pods(&check);
	tell_applications(&check);
	return check.failed ? EXIT_FAILED : EXIT_DONE;
}
