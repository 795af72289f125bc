/* kubeconfig as the controller and as a person read it. */
#include "unit.h"

#include <stdlib.h>
#include <unistd.h>

#include "io/file.h"
#include "kube/config.h"

static char folder[] = "/tmp/countersign-test-XXXXXX";

static int make_folder(void **state)
{
	(void)state;
	return !mkdtemp(folder);
}

static int remove_folder(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	return system(command);
}

/* Writes a file into the folder; its path, in the arena. */
static const char *put(struct arena *arena, const char *name, const char *text)
{
	const char *path = arena_printf(arena, "%s/%s", folder, name);

	assert_int_equal(file_write(path, span_of(text), 0600, NULL), 0);
	return path;
}

/* One cluster, one user, one context, with `cluster` and `user` as flow mappings without braces. */
static const char *config(struct arena *arena, const char *name, const char *cluster, const char *user)
{
	return put(arena, name, arena_printf(arena,
		"apiVersion: v1\nkind: Config\ncurrent-context: x\ncontexts: [{name: x, context: {cluster: c, user: u, namespace: team}}]\n"
		"clusters: [{name: c, cluster: {%s}}]\nusers: [{name: u, user: {%s}}]\n", cluster, user));
}

static void config_gives_server_authority_and_token(void **state)
{
	WITH_ARENA(arena);
	struct kube_config got;

	(void)state;
	assert_int_equal(kube_config_load(config(arena, "a", "server: 'https://h:6443//', certificate-authority-data: Zm9v", "token: secret"),
					  NULL, KUBE_CONFIG_CORE, arena, &got, &(struct error)ERROR_INIT), 0);
	ASSERT_TEXT("server", got.server, "https://h:6443");
	ASSERT_TEXT("authority", got.ca_pem, "foo");
	ASSERT_TEXT("token", got.token, "secret");
	ASSERT_TEXT("namespace", got.namespace, "team");
	assert_false(got.insecure);
}

static void config_names_files_beside_itself(void **state)
{
	WITH_ARENA(arena);
	struct kube_config got;

	(void)state;
	put(arena, "ca.pem", "authority");
	assert_int_equal(kube_config_load(config(arena, "b", "server: https://h, certificate-authority: ca.pem", "tokenFile: token"), NULL,
					  KUBE_CONFIG_CORE, arena, &got, &(struct error)ERROR_INIT), 0);
	ASSERT_TEXT("authority", got.ca_pem, "authority");
	ASSERT_TEXT("token file", got.token_file, arena_printf(arena, "%s/token", folder));
}

static void config_of_several_files_takes_the_first_of_a_name(void **state)
{
	WITH_ARENA(arena);
	const char *first = config(arena, "first", "server: https://first", "token: one");
	const char *second = config(arena, "second", "server: https://second", "token: two");
	struct kube_config got;

	(void)state;
	assert_int_equal(kube_config_load(arena_printf(arena, "%s/missing:%s:%s", folder, first, second), NULL, KUBE_CONFIG_PERSON, arena, &got,
					  &(struct error)ERROR_INIT), 0);
	ASSERT_TEXT("server", got.server, "https://first");
	ASSERT_TEXT("token", got.token, "one");
}

/* What a tenant could smuggle in: a program to run, and a server that anybody may play. */
static void adv_cve_2022_24817_controller_runs_no_program_of_a_kubeconfig(void **state)
{
	static const struct { const char *cluster, *user, *says; } cases[] = {
		{ "server: https://h", "exec: {apiVersion: client.authentication.k8s.io/v1, command: touch, args: [%s/canary]}", "exec" },
		{ "server: https://h", "token: t, exec: {command: touch, args: [%s/canary]}", "exec" },
		{ "server: https://h", "auth-provider: {name: gcp, config: {cmd-path: %s/canary}}", "auth-provider" },
		{ "server: https://h, insecure-skip-tls-verify: true", "token: t", "insecure-skip-tls-verify" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		WITH_ARENA(arena);
		CLEANUP(str_release) struct str user = STR_INIT;
		struct error err = ERROR_INIT;
		struct kube_config got;

		for (const char *c = cases[i].user; *c; c++)
			if (c[0] == '%' && c[1] == 's')
				str_adds(&user, folder), c++;
			else
				str_addc(&user, *c);
		assert_int_equal(kube_config_load(config(arena, "evil", cases[i].cluster, str_c(&user)), NULL, KUBE_CONFIG_CORE, arena, &got, &err), -1);
		ASSERT_TEXT("reason", err.reason, "BadKubeconfig");
		if (!strstr(err.text, cases[i].says))
			fail_msg("%s is not named: %s", cases[i].says, err.text);
		assert_false(file_exists(arena_printf(arena, "%s/canary", folder)));
	}
}

static void person_may_use_a_credential_plugin(void **state)
{
	WITH_ARENA(arena);
	struct kube_config got;
	const char *path = config(arena, "plugin", "server: https://h",
				  "exec: {apiVersion: client.authentication.k8s.io/v1, command: /bin/echo, "
				  "args: ['{\"kind\":\"ExecCredential\",\"status\":{\"token\":\"from-plugin\"}}']}");

	(void)state;
	assert_int_equal(kube_config_load(path, NULL, KUBE_CONFIG_PERSON, arena, &got, &(struct error)ERROR_INIT), 0);
	ASSERT_TEXT("token", got.token, "from-plugin");
}

static void plugin_named_by_a_path_lies_beside_its_kubeconfig(void **state)
{
	WITH_ARENA(arena);
	struct kube_config got;
	const char *path = config(arena, "beside", "server: https://h", "exec: {apiVersion: client.authentication.k8s.io/v1, command: ./plugin}");

	(void)state;
	assert_int_equal(file_write(arena_printf(arena, "%s/plugin", folder), SPAN("#!/bin/sh\necho '{\"status\":{\"token\":\"beside\"}}'\n"), 0700, NULL), 0);
	assert_int_equal(kube_config_load(path, NULL, KUBE_CONFIG_PERSON, arena, &got, &(struct error)ERROR_INIT), 0);
	ASSERT_TEXT("token", got.token, "beside");
}

static void config_that_is_wrong_is_told_with_what_is_missing(void **state)
{
	static const struct { const char *text, *says; } cases[] = {
		{ "", "no mapping" },
		{ "[1, 2]\n", "no mapping" },
		{ "clusters: {\n", "" },
		{ "current-context: nowhere\n", "nowhere" },
		{ "current-context: x\ncontexts: [{name: x, context: {cluster: c}}]\n", "no cluster \"c\"" },
		{ "current-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\nclusters: [{name: c, cluster: {server: 'https://h'}}]\n",
		  "no user \"u\"" },
		{ "current-context: x\ncontexts: [{name: x, context: {cluster: c}}]\nclusters: [{name: c, cluster: {server: 'https://h', "
		  "certificate-authority-data: '!'}}]\n", "certificate-authority-data" },
		{ "current-context: x\ncontexts: [{name: x, context: {cluster: c}}]\nclusters: [{name: c, cluster: {server: 'https://h', "
		  "certificate-authority: absent.pem}}]\n", "absent.pem" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		WITH_ARENA(arena);
		struct error err = ERROR_INIT;
		struct kube_config got;

		assert_int_equal(kube_config_load(put(arena, "wrong", cases[i].text), NULL, KUBE_CONFIG_CORE, arena, &got, &err), -1);
		if (!err.reason[0] || !strstr(err.text, cases[i].says))
			fail_msg("case %zu: %s %s", i, err.reason, err.text);
	}
}

static void missing_file_is_named(void **state)
{
	WITH_ARENA(arena);
	struct error err = ERROR_INIT;
	struct kube_config got;

	(void)state;
	assert_int_equal(kube_config_load("/nonexistent/config", NULL, KUBE_CONFIG_PERSON, arena, &got, &err), -1);
	assert_int_equal(err.kind, ERROR_NOT_FOUND);
	assert_non_null(strstr(err.text, "/nonexistent/config"));
}

static void outside_of_a_pod_in_cluster_says_so(void **state)
{
	WITH_ARENA(arena);
	struct error err = ERROR_INIT;
	struct kube_config got;

	(void)state;
	unsetenv("KUBERNETES_SERVICE_HOST");
	assert_int_equal(kube_config_in_cluster(arena, &got, &err), -1);
	ASSERT_TEXT("reason", err.reason, "NotInCluster");
	assert_non_null(strstr(err.text, "--kubeconfig"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(config_gives_server_authority_and_token),
		cmocka_unit_test(config_names_files_beside_itself),
		cmocka_unit_test(config_of_several_files_takes_the_first_of_a_name),
		cmocka_unit_test(adv_cve_2022_24817_controller_runs_no_program_of_a_kubeconfig),
		cmocka_unit_test(person_may_use_a_credential_plugin),
		cmocka_unit_test(plugin_named_by_a_path_lies_beside_its_kubeconfig),
		cmocka_unit_test(config_that_is_wrong_is_told_with_what_is_missing),
		cmocka_unit_test(missing_file_is_named),
		cmocka_unit_test(outside_of_a_pod_in_cluster_says_so),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
