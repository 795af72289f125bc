/*
 * kubeconfig (v1 Config), merged as kubectl does: the first file that defines
 * a name wins, current-context is the first that is set. See config.h.
 */
#include "kube/config.h"

#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/yaml.h"
#include "io/file.h"

#define CONFIG_BYTES_MAX (1u << 20)
#define EXEC_OUTPUT_MAX (256u << 10)
#define SERVICE_ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount/"

struct loader {
	struct arena *arena;
	enum kube_config_flags flags;
	struct json *configs;        /* array of {config, folder} */
};

static int read_one(struct loader *loader, const char *path, struct error *err)
{
	CLEANUP(str_release) struct str text = STR_LIMIT(CONFIG_BYTES_MAX);
	struct yaml_stream stream;
	struct json *entry = json_object(loader->arena);
	ptrdiff_t slash = span_rindex(span_of(path), '/');

	if (file_read(path, CONFIG_BYTES_MAX, &text, err))
		return -1;
	if (yaml_parse_any(arena_span(loader->arena, str_span(&text)), path, NULL, loader->arena, &stream, err))
		return -1;
	if (!stream.count || !json_is(stream.documents[0].value, JSON_OBJECT))
		return error_set(err, ERROR_INVALID, "BadKubeconfig", "%s is no kubeconfig: it has no mapping at its top", path);
	json_set(loader->arena, entry, "config", stream.documents[0].value);
	json_set(loader->arena, entry, "folder", json_span(loader->arena, span_make(path, slash < 0 ? 0 : (size_t)slash + 1)));
	json_append(loader->arena, loader->configs, entry);
	return 0;
}

/* The named entry of a list in the first file that has it; *folder is where its file lies. */
static const struct json *find(const struct loader *loader, const char *list, const char *field, struct span name,
			       const char **folder)
{
	for (size_t i = 0; i < json_count(loader->configs); i++) {
		const struct json *entry = json_at(loader->configs, i), *items = json_path(entry, "config", list, NULL);

		for (size_t k = 0; k < json_count(items); k++)
			if (span_equal(json_text_span(json_get(json_at(items, k), "name")), name)) {
				*folder = json_get_text(entry, "folder");
				return json_get(json_at(items, k), field);
			}
	}
	return NULL;
}

static const char *resolve(struct loader *loader, const char *folder, const char *path)
{
	return *path == '/' ? path : arena_printf(loader->arena, "%s%s", folder, path);
}

/* `KEY-data` (base64) or the file named by `KEY`; NULL when neither is there. */
static int read_blob(struct loader *loader, const struct json *object, const char *key, const char *folder,
		     const char **out, struct error *err)
{
	CLEANUP(str_release) struct str bytes = STR_LIMIT(CONFIG_BYTES_MAX);
	const char *data = json_get_text(object, arena_printf(loader->arena, "%s-data", key));
	const char *path = json_get_text(object, key);

	if (data && *data) {
		if (base64_decode(span_of(data), &bytes, err))
			return error_wrap(err, "kubeconfig %s-data", key);
	} else if (path && *path) {
		if (file_read(resolve(loader, folder, path), CONFIG_BYTES_MAX, &bytes, err))
			return error_wrap(err, "kubeconfig %s", key);
	} else {
		return 0;
	}
	*out = arena_strndup(loader->arena, str_span(&bytes));
	return 0;
}

static int read_cluster(struct loader *loader, struct span name, struct kube_config *out, struct error *err)
{
	const char *folder = "";
	const struct json *cluster = find(loader, "clusters", "cluster", name, &folder);
	struct span server = json_text_span(json_get(cluster, "server"));

	if (!server.length)
		return error_set(err, ERROR_INVALID, "BadKubeconfig", "the kubeconfig has no cluster \"%.*s\" with a server",
				 SPAN_ARG(name));
	while (span_ends(server, "/"))
		server.length--;
	out->server = arena_strndup(loader->arena, server);
	out->tls_server_name = json_get_text(cluster, "tls-server-name");
	out->proxy_url = json_get_text(cluster, "proxy-url");
	out->insecure = json_get_bool(cluster, "insecure-skip-tls-verify", false);
	if (out->insecure && loader->flags == KUBE_CONFIG_CORE)
		return error_set(err, ERROR_INVALID, "BadKubeconfig",
				 "insecure-skip-tls-verify is refused for the controller: give certificate-authority");
	return read_blob(loader, cluster, "certificate-authority", folder, &out->ca_pem, err);
}

/* Runs the plugin with its arguments and reads what it prints; no shell. */
static int run_plugin(const struct json *exec, const char *const argv[], struct str *out, struct error *err)
{
	const struct json *env = json_get(exec, "env");
	int pipes[2], status;
	pid_t pid;

	if (pipe(pipes))
		return error_errno(err, errno, "pipe");
	pid = fork();
	if (pid == 0) {
		for (size_t i = 0; i < json_count(env); i++)
			setenv(json_get_text(json_at(env, i), "name"), json_get_text(json_at(env, i), "value"), 1);
		dup2(pipes[1], STDOUT_FILENO);
		close(pipes[0]);
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	close(pipes[1]);
	for (;;) {
		char buffer[4096];
		ssize_t got = read(pipes[0], buffer, sizeof(buffer));

		if (got <= 0)
			break;
		str_add(out, span_make(buffer, (size_t)got));
	}
	close(pipes[0]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status))
		return error_set(err, ERROR_INVALID, "ExecPlugin", "the credential plugin %s failed", argv[0]);
	return 0;
}

/* client.authentication.k8s.io/v1 ExecCredential. */
static int exec_credential(struct loader *loader, const struct json *exec, const char *folder, struct kube_config *out, struct error *err)
{
	CLEANUP(str_release) struct str text = STR_LIMIT(EXEC_OUTPUT_MAX);
	const struct json *args = json_get(exec, "args"), *status;
	const char **argv = arena_calloc(loader->arena, json_count(args) + 2, sizeof(char *));
	const char *version = json_get_text(exec, "apiVersion");
	struct json *answer;

	argv[0] = json_get_text(exec, "command");
	if (!argv[0])
		return error_set(err, ERROR_INVALID, "BadKubeconfig", "exec has no command");
	/* a bare name is looked for in PATH, a path stands beside the kubeconfig: as kubectl has it */
	if (strchr(argv[0], '/'))
		argv[0] = resolve(loader, folder, argv[0]);
	for (size_t i = 0; i < json_count(args); i++)
		argv[i + 1] = json_text(json_at(args, i));
	setenv("KUBERNETES_EXEC_INFO", arena_printf(loader->arena,
		"{\"apiVersion\":\"%s\",\"kind\":\"ExecCredential\",\"spec\":{\"interactive\":false}}",
		version ? version : "client.authentication.k8s.io/v1"), 1);
	if (run_plugin(exec, argv, &text, err))
		return -1;
	if (json_parse(str_span(&text), loader->arena, 0, &answer, err))
		return error_wrap(err, "what the credential plugin %s printed", argv[0]);
	status = json_get(answer, "status");
	out->token = json_get_text(status, "token");
	out->client_cert_pem = json_get_text(status, "clientCertificateData");
	out->client_key_pem = json_get_text(status, "clientKeyData");
	if (!out->token && !out->client_cert_pem)
		return error_set(err, ERROR_INVALID, "ExecPlugin", "the credential plugin %s gave neither token nor certificate",
				 argv[0]);
	return 0;
}

static int read_user(struct loader *loader, struct span name, struct kube_config *out, struct error *err)
{
	const char *folder = "", *token_file;
	const struct json *user = find(loader, "users", "user", name, &folder);

	if (!user && name.length)
		return error_set(err, ERROR_INVALID, "BadKubeconfig", "the kubeconfig has no user \"%.*s\"", SPAN_ARG(name));
	if ((json_get(user, "exec") || json_get(user, "auth-provider")) && loader->flags == KUBE_CONFIG_CORE)
		return error_set(err, ERROR_INVALID, "BadKubeconfig",
				 "user \"%.*s\" uses exec or auth-provider; the controller runs no programs: give a token, a "
				 "tokenFile or a client certificate", SPAN_ARG(name));
	out->token = json_get_text(user, "token");
	token_file = json_get_text(user, "tokenFile");
	if (token_file && *token_file)
		out->token_file = resolve(loader, folder, token_file);
	out->username = json_get_text(user, "username");
	out->password = json_get_text(user, "password");
	out->impersonate = json_get_text(user, "as");
	if (read_blob(loader, user, "client-certificate", folder, &out->client_cert_pem, err) ||
	    read_blob(loader, user, "client-key", folder, &out->client_key_pem, err))
		return -1;
	if (!out->token && !out->token_file && !out->client_cert_pem && json_is(json_get(user, "exec"), JSON_OBJECT))
		return exec_credential(loader, json_get(user, "exec"), folder, out, err);
	return 0;
}

/* As kubectl: nobody is asked for the way to this machine. */
static bool is_this_machine(const char *server)
{
	struct span rest = span_of(server), host;

	span_cut(&rest, ':');
	rest = span_from(rest, 2);
	host = span_cut(&rest, '/');
	if (span_starts(host, "["))
		return span_starts(host, "[::1]");
	host = span_cut(&host, ':');
	return span_is(host, "localhost") || span_starts(host, "127.");
}

static struct span current_context(const struct loader *loader, const char *context)
{
	if (context && *context)
		return span_of(context);
	for (size_t i = 0; i < json_count(loader->configs); i++) {
		struct span name = json_text_span(json_path(json_at(loader->configs, i), "config", "current-context", NULL));

		if (name.length)
			return name;
	}
	return SPAN0;
}

int kube_config_load(const char *files, const char *context, enum kube_config_flags flags, struct arena *arena,
		     struct kube_config *out, struct error *err)
{
	struct loader loader = { arena, flags, json_array(arena) };
	struct kube_config config = { 0 };
	struct span rest = span_of(files), name;
	const struct json *chosen;
	const char *folder;

	while (rest.data) {
		struct span file = span_cut(&rest, ':');
		bool only = !json_count(loader.configs) && !rest.data;

		if (!file.length)
			continue;
		/* of several files, one that is missing is passed over, as kubectl does */
		if (read_one(&loader, arena_strndup(arena, file), err) && (only || err->kind != ERROR_NOT_FOUND))
			return -1;
	}
	name = current_context(&loader, context);
	chosen = find(&loader, "contexts", "context", name, &folder);
	if (!chosen)
		return error_set(err, ERROR_INVALID, "BadKubeconfig", "%s has no context \"%.*s\"", files, SPAN_ARG(name));
	config.namespace = json_get_text(chosen, "namespace");
	if (read_cluster(&loader, json_text_span(json_get(chosen, "cluster")), &config, err) ||
	    read_user(&loader, json_text_span(json_get(chosen, "user")), &config, err))
		return -1;
	config.environment_proxy = flags == KUBE_CONFIG_PERSON && !is_this_machine(config.server);
	*err = (struct error)ERROR_INIT;
	*out = config;
	return 0;
}

int kube_config_in_cluster(struct arena *arena, struct kube_config *out, struct error *err)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST"), *port = getenv("KUBERNETES_SERVICE_PORT");
	CLEANUP(str_release) struct str ca = STR_LIMIT(CONFIG_BYTES_MAX), namespace = STR_LIMIT(256);
	bool v6 = host && strchr(host, ':');

	if (!host || !*host)
		return error_set(err, ERROR_INVALID, "NotInCluster",
				 "KUBERNETES_SERVICE_HOST is not set: not in a pod; give --kubeconfig");
	if (file_read(SERVICE_ACCOUNT "ca.crt", CONFIG_BYTES_MAX, &ca, err) ||
	    file_read(SERVICE_ACCOUNT "namespace", 256, &namespace, err))
		return error_wrap(err, "the pod's service account");
	*out = (struct kube_config){
		.server = arena_printf(arena, v6 ? "https://[%s]:%s" : "https://%s:%s", host, port ? port : "443"),
		.ca_pem = arena_strndup(arena, str_span(&ca)),
		.namespace = arena_strndup(arena, span_trim(str_span(&namespace))),
		.token_file = SERVICE_ACCOUNT "token",
	};
	return 0;
}
