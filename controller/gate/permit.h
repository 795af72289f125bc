/*
 * Whether a Project permits an object at all: kind, namespace, and what a
 * tenant may never declare. Pure; called for every object of a revision
 * before anything is sent, and again by the API server, since writes are made
 * as the Project's account.
 */
#ifndef GATE_PERMIT_H
#define GATE_PERMIT_H

#include "api/project.h"
#include "base/error.h"
#include "base/json.h"

struct permit_request {
	const struct project *project;
	const char *server;                  /* destination */
	const char *installation;            /* the controller's own namespace */
	const char *admin_project;           /* "" when none */
	const struct json *object;
	const char *group, *kind, *namespace, *name;   /* namespace "" for cluster-scoped kinds */
	bool namespaced;
	const char *file;                    /* for messages */
	uint32_t line;
};

/* 0, or ERROR_DENIED: "KindNotPermitted", "NamespaceNotPermitted", "ApplicationNotPermitted", "PolicyNotPermitted"; ERROR_INVALID
 * "NotSupported" for hooks and generateName. */
int gate_permit(const struct permit_request *request, struct error *err);

#endif
