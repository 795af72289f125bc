/*
 * The managed objects of the cluster: know everything, hold almost nothing.
 *
 * Per kind in use one watch, selected by the label countersign.dev/app (Secrets:
 * metadata only, as the project's account, per namespace). Each event is
 * digested (diff/fields.h, diff/extras.h, gate's image scan) and forgotten.
 * What an event means for an Application is decided by comparing with its
 * inventory; if it matters the Application is enqueued, nothing more.
 */
#ifndef RECONCILE_LIVE_H
#define RECONCILE_LIVE_H

#include "diff/health.h"
#include "gate/images.h"
#include "reconcile/app.h"

struct kind_watch;

/* What few objects have. */
struct live_more {
	struct digest images;        /* over the sorted image texts found in it */
	struct digest extras;        /* zero: none */
	char *uid;                   /* when it is no UUID, or NULL */
	const char *health_message;  /* name; NULL when empty */
	char *posture;               /* JSON of what weakens pod security or RBAC in it (diff/posture.h), or NULL */
	char *extras_text;           /* JSON array of {path, manager, time}, or NULL */
	char *drifted;               /* JSON of the object while it differs from what we applied, or NULL */
};

/* In one piece with its key: of these there are most. Also made for an object that is held (claims.h) and does not exist. */
struct live_object {
	struct app *holder;          /* who may write it, or NULL: claims.h's part */
	struct kind_watch *watch;    /* that told of it, or NULL */
	const char *app;             /* name: "namespace/name" by its own tracking annotation, or NULL */
	struct live_more *more;      /* NULL: nothing of that; read it by live_more() */
	uint64_t version;            /* resourceVersion; 0: not digested yet, or no number */
	struct digest owned;         /* D1; zero for metadata-only kinds */
	uint8_t uid[16];             /* zero: not known, or in `more` */
	uint32_t list;               /* the number of its list in which it was told of */
	uint32_t applied_s;          /* when we last changed something of it (diff/fields.h); 0: not known */
	uint8_t health;              /* enum health */
	bool exists : 1, digested : 1, deleting : 1, metadata_only : 1;
	bool leaving : 1;            /* we deleted it, and it is not gone yet: its own objects go first */
	bool aside : 1;              /* its health is not its Application's: argocd.argoproj.io/ignore-healthcheck */
	bool extraneous : 1;         /* nor is that it is there though Git does not declare it: compare-options IgnoreExtraneous */
	char key[];                  /* GROUP/KIND/NAMESPACE/NAME */
};

struct live *live_new(struct core *core);
void live_free(struct live *live);

/* The object's key, in the arena; namespace NULL or "" for cluster-scoped kinds. */
char *live_key(struct arena *arena, const char *group, const char *kind, const char *namespace, const char *name);

/* How far the knowledge of a kind goes. */
enum live_state {
	LIVE_LISTED,      /* every managed object of it is known */
	LIVE_WAITING,     /* asked for; a run that waits is woken */
	LIVE_FORBIDDEN,   /* we may not read it: *err says which rule to add */
	LIVE_FAILED,      /* it does not answer, or is of no kind that can be read: *err */
};

/*
 * Makes sure the kind is watched, for as long as an object of it is there or is to be there: in the whole cluster; Secrets in `namespace` as `account`. An
 * installation without cluster roles (core_options.namespaced) watches each kind in `namespace`, too, as itself.
 */
enum live_state live_want(struct live *live, const struct kube_kind *kind, const char *namespace, const char *account,
			  struct error *err);

/* NULL when it is not known to exist. Borrowed until the next event. */
const struct live_object *live_find(const struct live *live, const char *key);
/* Never NULL. */
const struct live_more *live_more(const struct live_object *object);
bool live_has_uid(const struct live_object *object, const char *uid);
/*
 * Digest of what we wrote of an object, of what others added to it, of its images, and of what of it weakens security: all that a
 * write of ours may change, and nothing that its own controller notes on it. Zero: not known. `custom`: where policies say that it
 * keeps images.
 */
struct digest live_state(const struct live_object *object);
struct digest live_state_of(const struct json *object, const struct custom_paths *custom);
char *live_uid(const struct live_object *object, struct arena *arena);

/* Who may write the object of this key, whether it exists or not; for claims.h. NULL: nobody. */
struct app *live_holder(const struct live *live, const char *key);
void live_hold(struct live *live, const char *key, struct app *holder);

/* Takes in an object that was read or written by a run (full, with managedFields). */
void live_take(struct live *live, const struct json *object, const char *group, const char *kind);
/* D1 (fields_digest) of an object that was read or written; what was taken in was digested then. */
struct digest live_owned(const struct live *live, const char *key, const struct json *object);
/* Of the extras of a drifted object, leaves out what is declared: that is drift, and told as such. */
void live_declared(struct live *live, const char *key, const struct json *object, const struct json *desired);
/* Policies say otherwise where objects of the kind keep images: each is read and digested anew. */
void live_read_again(struct live *live, const char *group, const char *kind);
/* Forgets one that a run deleted or found missing. */
void live_drop(struct live *live, const char *key);
/* A run's deletion of it was accepted; it may take its time to go. */
void live_deleted(struct live *live, const char *key);
/* Something of the app that we deleted and is still there; NULL: nothing. */
const struct live_object *live_leaving(const struct live *live, const struct app *app);
/* Whether an object of the app that is known to exist is not as its inventory says. */
bool live_drifted(const struct live *live, const struct app *app);
#endif
