/*
 * Where the API server is and who we are there: a kubeconfig (merged along
 * KUBECONFIG for people) or the pod's own account.
 */
#ifndef KUBE_CONFIG_H
#define KUBE_CONFIG_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/error.h"

struct kube_config {
	const char *server;              /* https://host:port, no slash at the end */
	const char *ca_pem;              /* NULL: the system's */
	const char *client_cert_pem, *client_key_pem;
	const char *token;               /* a fixed token, or NULL */
	const char *token_file;          /* read again when it changes, or NULL */
	const char *tls_server_name, *proxy_url;
	const char *username, *password;
	const char *namespace;           /* of the context, or NULL */
	const char *impersonate;         /* kubeconfig `as`, or NULL */
	bool insecure;
	bool environment_proxy;          /* without a proxy_url HTTPS_PROXY and NO_PROXY decide, as for kubectl: a person's only */
};

enum kube_config_flags {
	KUBE_CONFIG_CORE = 0,    /* `exec`, `auth-provider` and `insecure-skip-tls-verify` are refused: a tenant's kubeconfig is not trusted */
	KUBE_CONFIG_PERSON = 1,  /* the CLI: exec plugins (client.authentication.k8s.io) run */
};

/* Reads one file, or several separated by ':' (the first that has a name wins), with `context` (NULL: current-context).
 * Everything is copied into the arena. Relative file names in it are relative to the file. */
int kube_config_load(const char *files, const char *context, enum kube_config_flags flags, struct arena *arena,
		     struct kube_config *out, struct error *err);

/* The pod's account: KUBERNETES_SERVICE_HOST/PORT and /var/run/secrets/kubernetes.io/serviceaccount. */
int kube_config_in_cluster(struct arena *arena, struct kube_config *out, struct error *err);

#endif
