/*
 * Whether a Project permits what is to be done to an object: kind, namespace,
 * and what a tenant may never do. Pure. It is asked for every object of a
 * revision before anything is sent, again at each single write, with the
 * Project as it is then, by the one function that sends (apply/action.c); and
 * the API server is asked too, since writes are made as the Project's account.
 */
#ifndef GATE_PERMIT_H
#define GATE_PERMIT_H

#include "api/project.h"
#include "base/error.h"
#include "base/json.h"

enum permit_verb {
	PERMIT_WRITE,      /* create, adopt, update, heal, take an extra out */
	PERMIT_DELETE,     /* prune, or with its Application */
};

struct permit_request {
	enum permit_verb verb;
	const struct project *project;
	const char *server;                  /* destination */
	const char *installation;            /* the controller's own namespace */
	const char *admin_project;           /* "" when none */
	const struct json *object;           /* NULL for PERMIT_DELETE */
	const char *group, *kind, *namespace, *name;   /* namespace "" for cluster-scoped kinds */
	const char *live_project;            /* of an Application that exists under this name: its project; else NULL */
	bool namespaced;
	bool destination;                    /* it is the Namespace that CreateNamespace makes for the destination */
	const char *file;                    /* for messages; NULL for PERMIT_DELETE */
	uint32_t line;
};

/*
 * 0, or ERROR_DENIED: "KindNotPermitted", "NamespaceNotPermitted", "ApplicationNotPermitted", "PolicyNotPermitted",
 * "InstallationNotPermitted", "TokenNotPermitted"; ERROR_INVALID "NotSupported" for hooks, generateName and operations.
 */
int gate_permit(const struct permit_request *request, struct error *err);

#endif
