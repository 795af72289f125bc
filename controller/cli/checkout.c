/* See checkout.h. */
#include "cli/checkout.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "api/repository_secret.h"
#include "base/encode.h"
#include "io/file.h"
#include "io/sealed.h"
#include "source/git_url.h"
#include "source/source.h"

#define CERTS_NAME "countersign-tls-certs"

/* --- what the controller would use to get in ----------------------------------------------------------------------- */

const struct json *checkout_secret(const struct json *secrets, const char *url)
{
	struct repository_search search = { .url = url };

	for (size_t i = 0; i < json_count(secrets); i++)
		repository_search_consider(&search, json_at(secrets, i));
	return search.best;
}

static const char *core_path(struct person *person, const char *rest)
{
	CLEANUP(str_release) struct str path = STR_INIT;

	str_adds(&path, "/api/v1/namespaces/");
	url_escape(span_of(person->namespace), &path);
	str_addf(&path, "/%s", rest);
	return arena_strndup(person->arena, str_span(&path));
}

/* The private CA of the host, with or without its port; "" for none. */
static const char *ca_of(struct person *person, const char *url)
{
	struct git_url parsed;
	struct json *map, *data;
	struct span host;

	if (git_url_parse(url, person->arena, &parsed, NULL) || person_get(person, core_path(person, "configmaps/" CERTS_NAME), &map, NULL))
		return "";
	data = json_get(map, "data");
	host = span_of(parsed.host);
	if (!json_get_span(data, host) && span_rindex(host, ':') > 0)
		host = span_sub(host, 0, (size_t)span_rindex(host, ':'));
	return json_text(json_get_span(data, host)) ? json_text(json_get_span(data, host)) : "";
}

static void find_credentials(struct person *person, struct source_config *config, const char **warning)
{
	struct repository_login login;
	struct error err = ERROR_INIT;
	struct json *list;

	*warning = NULL;
	config->ca = span_of(ca_of(person, config->url));
	if (person_list(person, core_path(person, "secrets"), &list, &err)) {
		*warning = arena_printf(person->arena, "repository credentials cannot be read, asking without: %s", err.text);
		return;
	}
	repository_login_read(checkout_secret(json_get(list, "items"), config->url), person->arena, &login);
	config->username = login.username;
	config->password = login.password;
	config->bearer_token = login.bearer_token;
	config->client_cert = span_of(login.client_cert);
	config->client_key = span_of(login.client_key);
}

/* --- the mirror ---------------------------------------------------------------------------------------------------- */

static const char *mirror_folder(const char *url, struct arena *arena)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	struct digest digest = digest_of(span_of(url));
	char hex[DIGEST_HEX];

	digest_hex(&digest, hex);
	if (cache && *cache)
		return arena_printf(arena, "%s/countersign/git/%.32s", cache, hex);
	return arena_printf(arena, "%s/.cache/countersign/git/%.32s", home && *home ? home : "/tmp", hex);
}

/* One process uses a mirror at a time; *fd holds the lock. */
static int lock(const char *folder, struct arena *arena, int *fd, struct error *err)
{
	const char *path = arena_printf(arena, "%s/lock", folder);

	if (dir_make(folder, err))
		return -1;
	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (*fd < 0 || flock(*fd, LOCK_EX))
		return error_errno(err, errno, "%s", path);
	return 0;
}

struct git {
	void *session;
	struct arena *arena;
};

static int job(struct git *git, struct str *request, struct str *reply, int *fd, struct error *err)
{
	int rc;

	str_reset(reply);
	rc = source_serve(git->session, str_span(request), -1, reply, fd, err);
	str_reset(request);
	return rc;
}

static int resolve(struct git *git, const char *revision, struct source_ref *out, struct error *err)
{
	CLEANUP(str_release) struct str request = STR_INIT, reply = STR_INIT;
	struct source_refs_request wanted = { &revision, 1 };
	struct source_refs_reply answer;

	source_refs_encode(&wanted, &request);
	if (job(git, &request, &reply, NULL, err) || source_refs_reply_decode(str_span(&reply), git->arena, &answer, err))
		return -1;
	if (!answer.refs[0].commit[0]) {
		*err = answer.refs[0].error;
		return -1;
	}
	*out = answer.refs[0];
	return 0;
}

static int fetch(struct git *git, const struct source_ref *ref, struct error *err)
{
	CLEANUP(str_release) struct str request = STR_INIT, reply = STR_INIT;
	struct source_fetch_request wanted = { .ref = ref->ref };

	memcpy(wanted.commit, ref->commit, sizeof(wanted.commit));
	source_fetch_encode(&wanted, &request);
	return job(git, &request, &reply, NULL, err);
}

static int read_tree(struct git *git, const struct source_ref *ref, const struct application *app, struct checkout *out,
		     struct error *err)
{
	CLEANUP(str_release) struct str request = STR_INIT, reply = STR_INIT;
	CLEANUP(sealed_unmap) struct sealed sealed = { SPAN0 };
	CLEANUP(fd_cleanup) int fd = -1;
	struct source_tree_request wanted = { .path = app->path, .recurse = app->recurse, .include = app->include, .exclude = app->exclude };
	struct source_tree_reply answer;

	memcpy(wanted.commit, ref->commit, sizeof(wanted.commit));
	source_tree_encode(&wanted, &request);
	if (job(git, &request, &reply, &fd, err) || source_tree_reply_decode(str_span(&reply), git->arena, &answer, err) ||
	    sealed_map(fd, TREE_STREAM_BYTES_MAX, &sealed, err))
		return -1;
	out->revision = arena_strdup(git->arena, answer.revision);
	return tree_stream_decode(arena_span(git->arena, sealed.bytes), git->arena, &out->files, err);
}

static int configure(struct git *git, const struct source_config *config, struct error *err)
{
	CLEANUP(str_release) struct str request = STR_INIT, reply = STR_INIT;

	source_configure_encode(config, &request);
	return job(git, &request, &reply, NULL, err);
}

static void close_session(void **session)
{
	source_session_free(*session);
}

int checkout_files(struct person *person, const struct application *app, struct checkout *out, struct error *err)
{
	const char *folder = mirror_folder(app->repo_url, person->arena);
	struct source_config config = { .url = app->repo_url, .directory = arena_printf(person->arena, "%s/mirror", folder), .at_home = true };
	CLEANUP(fd_cleanup) int held = -1;
	CLEANUP(close_session) void *session = source_session_new();
	struct git git = { session, person->arena };
	struct source_ref ref;

	*out = (struct checkout){ .revision = "" };
	find_credentials(person, &config, &out->warning);
	if (lock(folder, person->arena, &held, err) || configure(&git, &config, err) || resolve(&git, app->target_revision, &ref, err) ||
	    fetch(&git, &ref, err))
		return -1;
	return read_tree(&git, &ref, app, out, err);
}
