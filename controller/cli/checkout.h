/*
 * What an Application's repository holds at its revision, fetched for a
 * person: by source/ in this process, into a mirror of the person's own below
 * ${XDG_CACHE_HOME:-~/.cache}/countersign/git. Credentials and private CAs are
 * the Secrets and the ConfigMap that the controller uses, if the person may
 * read them; else the repository is asked without.
 */
#ifndef CLI_CHECKOUT_H
#define CLI_CHECKOUT_H

#include "api/application.h"
#include "cli/person_kube.h"
#include "source/source_job.h"
#include "source/tree_stream.h"

struct checkout {
	struct tree_stream files;
	const char *revision;          /* the newest commit that changed what is read */
	const char *warning;           /* NULL, or why credentials could not be read */
};

/* Errors are those of source/source.h, "RevisionNotFound", and TRANSIENT for the cache folder. All in the person's arena. */
int checkout_files(struct person *person, const struct application *app, struct checkout *out, struct error *err);

/* The Secret of a list that is for the repository, as api/repository_secret.h chooses; NULL if there is none. Pure. */
const struct json *checkout_secret(const struct json *secrets, const char *url);

#endif
