/*
 * One action of a plan: one object brought to where it should be, by the few
 * requests that may take (its stages), each retried while that may help. The
 * only caller of kube_write, and so the only code that writes to the cluster
 * what Git declares.
 *
 * Every request is safe to repeat: applies name their whole content, patches
 * test the resourceVersion they rest on, deletes the uid. An answer that was
 * lost is asked for again by repeating the request.
 */
#ifndef APPLY_ACTION_H
#define APPLY_ACTION_H

#include "base/digest.h"
#include "io/loop.h"
#include "kube/discovery.h"
#include "kube/write.h"

enum act { ACT_NONE = 0, ACT_CREATE, ACT_ADOPT, ACT_UPDATE, ACT_HEAL, ACT_DELETE };

/* "create", "adopt", "update", "heal", "delete": `op` of the records. */
const char *act_name(enum act act);

/* The requests that an action may take, in this order; each is left out where it is not needed. */
enum stage {
	STAGE_CHECK,      /* adoption: a dry run without force tells who else holds what we declare */
	STAGE_OWN,        /* adoption: kubectl's fields become ours, or a key dropped from Git would stay for ever */
	STAGE_FULL,       /* creation with ignored fields: once with them, as Argo CD does */
	STAGE_RELEASE,    /* ignored fields: their live value is handed to a manager of its own */
	STAGE_APPLY,      /* the server-side apply */
	STAGE_STRIP,      /* foreign images and other weakening extras are taken out again */
	STAGE_LOOK,       /* deletion: is it the object we made, and still ours? */
	STAGE_DELETE,
	STAGE_DONE,
};

struct attempt {
	uint32_t number;             /* from 1, over all stages */
	int code;                    /* HTTP; 0: no answer */
};

struct action;

/* What only the caller knows, asked while an action is under way; `data` is action_start's. */
struct action_rules {
	/* Before each single write: does the Project, as it is now, permit it? Nothing is sent without. */
	int (*may_send)(const struct action *action, void *data, struct error *err);
	/* Of an object that is about to be deleted, as it is now: why it is no longer the Application's, and stays; NULL: it is. */
	const char *(*why_kept)(const struct action *action, const struct json *live, void *data);
};

struct action {
	/* the plan */
	enum act act;
	enum stage stage;            /* where to begin */
	const struct kube_kind *resource;
	const char *group, *version, *kind, *namespace, *name, *key, *uid;
	const char *why;             /* one line for people */
	const char *title;           /* "Deployment shop/web (shop/web.yaml:12)" */
	const char *file;            /* NULL for deletes */
	uint32_t line;
	bool destination;            /* the Namespace that CreateNamespace makes */
	const struct json *object;   /* what is applied; NULL for deletes. STAGE_FULL makes it anew */
	const struct json *full;     /* with ignored fields; NULL when there are none */
	const char *released;        /* pointers of ignored fields, one a line */
	const char *taken;           /* those of which the live value is applied (diff/ignore.h) */
	const struct json *allowed;  /* array of image texts that were judged and may stay though Git does not declare them */
	const struct custom_paths *custom;   /* where else than in pods it may hold images, or NULL */
	const struct json *live;     /* the object as it was read, or NULL */
	bool force, adopt_any, validate, kind_later;
	const struct application *exact;     /* STAGE_STRIP takes out every extra but what it leaves to others; NULL: only what weakens security */
	int wave, rank;
	uint32_t ordinal;            /* in the intent */
	struct write_permit permit;

	/* the outcome */
	bool in_plan;                /* it is in the intent */
	bool in_flight, finished;
	bool applied;                /* all that is declared was sent and taken; what failed came after it */
	bool clean;                  /* STAGE_STRIP found nothing to take out of what the last answer gave */
	const char *kept;            /* of a deletion: why the object stays after all; NULL: it goes */
	struct error err;            /* reason "" while it is well */
	struct attempt *attempts;    /* each request that was sent: no two have one Audit-ID */
	size_t attempt_count, attempt_capacity;
	struct json *after;          /* the object as the last answer gave it; NULL after a delete */

	/* while it is under way */
	struct kube *kube;
	struct loop *loop;
	struct arena *arena;
	struct timer *retry;
	const struct action_rules *rules;
	unsigned failures;           /* of this stage, in a row */
	void (*on_done)(struct action *action, void *data);
	void *data;
};

/*
 * Starts it; on_done comes once, never from inside. Everything is taken from `arena`, which must live until then.
 * ASSERTs that the permit is whole: without a durable intent and an allowing verdict nothing is sent; and rules->may_send is
 * asked before each write.
 */
void action_start(struct action *action, struct kube *kube, struct loop *loop, struct arena *arena, const struct action_rules *rules,
		  void (*on_done)(struct action *action, void *data), void *data);
void action_release(struct action *action);

/* Puts back what somebody changed in an object that is there as it was applied: whatever its wave, that waits for nothing. */
bool action_comes_first(const struct action *action);
/* Of a creation: an object of that name came after it was looked for, and was written into. */
bool action_met_another(const struct action *action);

#endif
