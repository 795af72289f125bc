/*
 * Pull secrets, as a kubelet would use them: those of the pod, else those of
 * its service account, all that match one after the other. Secrets are read as
 * the project's account; what the revision itself brings counts before what the
 * cluster has.
 */
#include "base/encode.h"
#include "oci/dockerconfig.h"
#include "reconcile/judging.h"
#include "reconcile/live.h"

#define LOGINS_MAX 10u              /* tried for one image; each may take as long as one image may */

struct reading {
	struct judging *judging;
	const char *key;
};

static void on_read(void *data, const struct kube_answer *answer)
{
	struct reading *reading = data;
	struct judging *judging = reading->judging;
	struct run *run = judging->run;
	struct json *value;

	if (!answer->err) {
		value = json_copy(run->arena, answer->object);
	} else {
		value = json_object(run->arena);
		json_set_string(run->arena, value, "unreadable", answer->err->text);
		if (kube_says_absent(answer))
			value = json_null(run->arena);
	}
	map_set(&judging->documents, span_of(reading->key), value);
	judging->waiting--;
	free(reading);
	run_wake(run);
	run_release(run);
}

/* The document from the revision, else from the cluster; NULL while it is being read. */
static const struct json *document(struct judging *judging, const char *kind, const char *namespace, const char *name,
				   const char *account)
{
	static const struct kube_kind secrets = { "", "v1", "Secret", "secrets", true, true, true, true },
				      accounts = { "", "v1", "ServiceAccount", "serviceaccounts", true, true, true, true };
	struct run *run = judging->run;
	const char *key = arena_printf(run->arena, "%s/%s/%s", kind, namespace, name);
	struct reading *reading;
	const char *path;

	for (size_t i = 0; i < run->desired_count; i++) {
		const struct desired *desired = &run->desired[i];

		if (!*desired->group && !strcmp(desired->kind, kind) && !strcmp(desired->namespace, namespace) && !strcmp(desired->name, name))
			return desired->object;
	}
	if (map_has(&judging->documents, span_of(key)))
		return map_get(&judging->documents, span_of(key));
	map_set(&judging->documents, span_of(key), NULL);
	reading = mem_alloc(sizeof(*reading));
	*reading = (struct reading){ judging, key };
	judging->waiting++;
	run_hold(run);
	/* the names are the repository's, and may be no names */
	path = kube_path(run->arena, strcmp(kind, "Secret") ? &accounts : &secrets, namespace, name);
	/* rbac: reader get (Secrets: as the project's account) */
	kube_get(run->core->kube, path, KUBE_JSON, strcmp(kind, "Secret") ? NULL : kube_account(run->arena, account), on_read, reading);
	return NULL;
}

/* The PodSpec that holds an image: its pointer without the last three tokens. */
static const struct json *pod_spec(const struct judged_use *use)
{
	struct span pointer = span_of(use->use->pointer);
	const char *const tails[] = { "/containers/", "/initContainers/", "/ephemeralContainers/", "/volumes/" };

	for (size_t i = 0; i < COUNT_OF(tails); i++)
		for (size_t at = pointer.length; at-- > 0;)
			if (span_starts(span_from(pointer, at), tails[i]))
				return json_pointer(use->desired->object, span_sub(pointer, 0, at));
	return NULL;
}

static const char **names_of(const struct json *list, struct arena *arena)
{
	const char **names = arena_calloc(arena, json_count(list) + 1, sizeof(char *));
	size_t count = 0;

	for (size_t i = 0; i < json_count(list); i++)
		if (json_get_text(json_at(list, i), "name"))
			names[count++] = json_get_text(json_at(list, i), "name");
	return names;
}

/* false while the service account is being read. */
static bool find_secrets(struct judging *judging, struct judged_image *image)
{
	const struct judged_use *use = &image->uses[0];
	const struct json *spec = pod_spec(use), *account;
	const char *name = json_get_text(spec, "serviceAccountName");

	/* the API server's older name of the field */
	if (!name || !*name)
		name = json_get_text(spec, "serviceAccount");
	image->account = use->desired->account;
	if (json_count(json_get(spec, "imagePullSecrets"))) {
		image->pull_secrets = names_of(json_get(spec, "imagePullSecrets"), judging->run->arena);
		return true;
	}
	if (!*image->namespace)
		return true;
	account = document(judging, "ServiceAccount", image->namespace, name && *name ? name : "default", image->account);
	if (!account)
		return false;
	image->pull_secrets = names_of(json_get(account, "imagePullSecrets"), judging->run->arena);
	return true;
}

/* What a secret holds, in either form that a kubelet reads; NULL: one of another type, or absent, which it passes over. */
static const char *content(const struct json *secret, enum dockerconfig_form *form)
{
	const char *text = json_text(json_path(secret, "data", ".dockerconfigjson", NULL));

	*form = text ? DOCKERCONFIG_JSON : DOCKERCONFIG_CFG;
	return text ? text : json_text(json_path(secret, "data", ".dockercfg", NULL));
}

static void add_login(struct judging *judging, struct judged_image *image, const struct credential *login)
{
	if (image->login_count < LOGINS_MAX)
		*(struct credential *)arena_push(judging->run->arena, &image->logins, &image->login_count, &image->login_capacity,
						 sizeof(*login)) = *login;
}

static int use_secret(struct judging *judging, struct judged_image *image, const struct json *secret, const char *name, struct error *err)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	struct credential *found;
	enum dockerconfig_form form;
	const char *encoded = content(secret, &form);
	size_t count;

	if (json_get_text(secret, "unreadable"))
		return error_set(err, ERROR_FORBIDDEN, "PullSecretUnreadable",
				 "the pull secret %s/%s cannot be read as %s: %s; give that account get on secrets there", image->namespace, name,
				 image->account, json_get_text(secret, "unreadable"));
	if (!encoded || base64_decode(span_of(encoded), &text, NULL))
		return 0;
	if (dockerconfig_find_all(str_span(&text), form, &image->reference, judging->run->arena, &found, &count, err))
		return error_wrap(err, "pull secret %s/%s", image->namespace, name);
	for (size_t i = 0; i < count; i++)
		add_login(judging, image, &found[i]);
	return 0;
}

/* false while a secret is being read. What one of them gets wrong matters where no other has a login. */
static bool find_logins(struct judging *judging, struct judged_image *image)
{
	struct error first = ERROR_INIT;

	for (const char **name = image->pull_secrets; name && *name; name++)
		if (!document(judging, "Secret", image->namespace, *name, image->account))
			return false;
	for (const char **name = image->pull_secrets; name && *name; name++) {
		struct error one = ERROR_INIT;

		if (use_secret(judging, image, document(judging, "Secret", image->namespace, *name, image->account), *name, &one) &&
		    !first.reason[0])
			first = one;
	}
	if (!image->login_count && first.reason[0])
		image->problem = first;
	image->logins_known = true;
	return true;
}

const struct credential *login_of(const struct judged_image *image)
{
	static const struct credential anonymous = { "", "", "", "" };

	return image->login < image->login_count ? &image->logins[image->login] : &anonymous;
}

/* Registries say 404 of what they do not want to show, too. */
bool login_next(struct judged_image *image, const struct error *err)
{
	if ((err->kind != ERROR_FORBIDDEN && err->kind != ERROR_NOT_FOUND) || image->login + 1 >= image->login_count)
		return false;
	image->login++;
	return true;
}

bool logins_find(struct judging *judging)
{
	bool complete = true;

	for (size_t i = 0; i < judging->count; i++) {
		struct judged_image *image = &judging->images[i];

		if (!image->readable || image->known || image->logins_known || image->problem.reason[0])
			continue;
		if (!find_secrets(judging, image) || !find_logins(judging, image))
			complete = false;
	}
	return complete;
}
