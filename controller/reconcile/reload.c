/* Credentials on disk; see reload.h. */
#include "reconcile/reload.h"

#include "base/digest.h"
#include "base/log.h"

#define LOOK_MS 10000

struct reload {
	struct core *core;
	struct timer *timer;
	struct digest used;       /* of what is in use */
	bool failing;
};

int reload_config(const struct core_options *options, struct arena *arena, struct kube_config *out, struct error *err)
{
	if (options->kubeconfig)
		return kube_config_load(options->kubeconfig, NULL, KUBE_CONFIG_CORE, arena, out, err);
	return kube_config_in_cluster(arena, out, err);
}

/* Of all that kube_reload takes; a token file is read by the client itself. */
static struct digest digest_of_config(const struct kube_config *config)
{
	const char *const parts[] = { config->ca_pem, config->client_cert_pem, config->client_key_pem, config->token, config->token_file,
				      config->username, config->password };
	CLEANUP(str_release) struct str text = STR_INIT;

	for (size_t i = 0; i < COUNT_OF(parts); i++)
		str_addf(&text, "%zu:%s\n", parts[i] ? strlen(parts[i]) : 0, parts[i] ? parts[i] : "");
	return digest_of(str_span(&text));
}

/* A half-written file, or one that is gone for a moment, changes nothing: what is in use may still do. */
static void look(void *data)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct reload *reload = data;
	struct kube_config config = { 0 };
	struct error err = ERROR_INIT;
	struct digest now;

	timer_start(reload->timer, LOOK_MS);
	if (reload_config(reload->core->options, arena, &config, &err)) {
		if (!reload->failing)
			log_error(LOG_WARN, "the API server's configuration does not read any more; the one before stays in use", &err, NULL);
		reload->failing = true;
		return;
	}
	reload->failing = false;
	now = digest_of_config(&config);
	if (digest_equal(&now, &reload->used))
		return;
	reload->used = now;
	kube_reload(reload->core->kube, &config);
	log_line(LOG_INFO, "credentials of the API server were replaced, taking the new ones", NULL);
}

struct reload *reload_new(struct core *core, const struct kube_config *config)
{
	struct reload *reload = mem_alloc(sizeof(*reload));

	reload->core = core;
	reload->used = digest_of_config(config);
	reload->timer = timer_new(core->loop, look, reload);
	timer_start(reload->timer, LOOK_MS);
	return reload;
}

void reload_free(struct reload *reload)
{
	if (!reload)
		return;
	timer_free(reload->timer);
	free(reload);
}
