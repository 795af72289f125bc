/*
 * One pass over one Application, as a table of steps in reading order
 * (steps.c). A step looks at the whole state again, does its part and says how
 * it went; only run_advance moves on. The last step, record, runs on every
 * path. A step that waits is entered again when something it asked for came.
 *
 * A run ends in one of four ways: done, later (at a time), retry (backoff),
 * never (until something changes): run_finish turns the error's kind into one.
 */
#ifndef RECONCILE_RUN_H
#define RECONCILE_RUN_H

#include "api/project.h"
#include "apply/action.h"
#include "base/map.h"
#include "gate/images.h"
#include "reconcile/app.h"

enum step_result { STEP_NEXT, STEP_WAIT, STEP_STOP, STEP_FAIL };

struct step {
	const char *name;
	enum step_result (*go)(struct run *run);
};

enum run_goal {
	GOAL_SYNC,      /* make the cluster look like the newest revision */
	GOAL_HEAL,      /* keep the applied revision as it was left, while a newer one may not be applied; without self-heal, tell what differs from it */
	GOAL_DELETE,    /* take everything away */
	GOAL_FORGET,    /* the Application is gone or goes without its objects: drop what we remember */
};

struct desired {                     /* one object of the revision */
	struct json *object;         /* as it is applied: tracked, defaulted, pinned */
	const struct kube_kind *kind_known;   /* never NULL; in the run's arena */
	bool kind_later;                      /* its CRD comes in this very revision */
	const char *group, *version, *kind, *namespace, *name, *key;
	const char *file;
	uint32_t line;
	int wave, rank;
	bool namespaced, has_images;
	const char *account;         /* who writes it: "namespace:name" */
	struct digest digest;        /* canonical, after pinning and ignoring */
	struct sync_options options; /* the Application's, and what its own annotation says */
	const char *released;        /* pointers of ignored fields, one a line; "" none */
	const char *taken;           /* those of which the live value is applied (diff/ignore.h); "" none */
	struct json *full;           /* with the ignored fields, for its creation; NULL when there are none */
	const struct json *found;    /* it was there already just as declared, but in no inventory; NULL otherwise */
	bool images_outdated;        /* the digest that is remembered is of fewer or other places than policies look at now */
	bool unmanaged;              /* made by CreateNamespace: not in the inventory, never pruned */
	const char *from;            /* key of the Application that it is taken over from; NULL: it is nobody else's */
	bool images_allowed;         /* by the verdict; also when it carries none */
	const struct json *allowed;  /* foreign images that were judged and may stay; array of texts, or NULL */
};

struct violation {                   /* an image that somebody put into a live object and may not run */
	const struct desired *desired;
	size_t image;                /* the same for each place of one image */
	const char *reason, *text;
};

struct run {
	struct app *app;
	struct core *core;
	struct arena *arena;
	enum run_goal goal;
	size_t step;
	unsigned pending;            /* completions still to come: the run is not freed before */
	bool in_step, woken, canceled, finished;
	struct error err;            /* the first failure; reason "" while there is none */
	int64_t started_ns, began_ms, deadline_ms;

	/* turns.c */
	bool at_work;
	int64_t moved_ms;            /* when it last took a step */
	struct run *work_next, *work_before;

	/* load, permit */
	struct application spec;     /* copied: the app's may change meanwhile */
	bool rewritten;              /* the commit does not descend from the one that was applied, and nobody has allowed that */
	const char *repo_shown;      /* its repository without secrets: what is told, recorded and remembered */
	struct project project;
	const char *account;         /* "namespace:name" for the destination namespace */
	bool permitted;              /* the spec reads, and its Project lets it come as far as its repository */
	bool refreshed, hard, dirty;        /* why it runs: somebody asked; tags anew; an object was touched */
	bool manual;                        /* an operation asks for this sync */
	bool operation_refused;             /* it asks for what is not built */
	bool forced;                        /* something else asks for it too: a refresh, a changed policy */
	const struct json *operation;
	bool operation_prune, operation_dry_run;
	const char *operation_revision, *initiated_by;

	/* resolve, tree, render */
	int64_t resolve_since_ms;
	bool fresh;                  /* an answer that the repository gave before the run does not do */
	bool resolving;              /* waits for the target revision, and will take what is newest then */
	bool quiet;                  /* nothing to do and nothing to tell but health */
	bool early;                  /* the revision was judged and its time has not come again */
	const char *tip;             /* commit that the target revision stands for */
	int64_t found_ms;            /* monotonic: when it was asked for and first seen; 0: not known */
	const char *commit_author, *commit_subject;
	int64_t committed_s;         /* since 1970, as the committer says */
	const char *revision;        /* newest commit that changed what is read */
	struct digest input;
	int tree_fd;
	bool tree_asked, tree_done, render_asked, render_done, unchanged;
	struct rendered_object *rendered;
	size_t rendered_count;
	struct desired *desired;
	size_t desired_count, desired_capacity;
	bool declared;               /* what the revision declares is known to the others */
	bool refused;                /* an object of it belongs to another Application */

	/* read */
	bool discovery_asked, discovery_done;
	struct map reads;            /* object key -> the live object; JSON null: absent; NULL: asked for */
	size_t reading;
	bool looked;                 /* at what the watches tell of its objects; before that it needs no other run to look at more of it */

	/* judge */
	struct judging *judging;     /* step_judge.c's part */
	struct custom_paths custom;  /* where policies say that custom resources keep images */
	struct pins pins;            /* of this revision */
	bool judged, verified;       /* verdicts are there; all allow (or warn) */
	uint64_t policies_version;   /* by which they were ruled (objects.h) */
	int64_t exempt_until_ns;     /* when the first exemption in use ends; 0: none is */
	bool judge_failed;           /* denied, or evidence could not be had: tried again by itself */
	struct violation *violations;
	size_t violation_count;
	struct json *images;         /* for the records: {ref, digest, verdict, ...} */
	struct json *policy;         /* for the records: {rules, exemptions} */

	/* plan */
	struct map keys;             /* of what is desired */
	struct action *actions;
	size_t action_count, action_capacity;
	bool out_of_sync;            /* the cluster differs from the revision */
	bool same_revision;          /* the revision is the one that is applied */
	bool prune_refused, found_any;
	bool outdated;               /* what is remembered of objects is not as it would be now, though nothing of them is written */
	bool only_told;              /* err is what the plan has to tell; the rest of it goes on */
	const char *prune_waits;     /* what has to be known before anything is pruned; NULL: nothing */
	const char *going;           /* the first object that Git declares no longer and that is deleted but not gone: what it waits for; NULL: none */
	size_t going_count;
	bool moves;                  /* another Application declares now what this one does no longer */
	struct error undone;         /* reason "" unless something is left as it is for now: a field that others take back each time, one that is still being deleted */
	bool contested_anew;         /* of what is told as Contested, something was not told before */
	const char *vanishing;       /* title of the first object that is not made anew yet, having been deleted so often; NULL: none */
	size_t vanishing_count;
	bool holds_back;             /* ...and it is not for us to change that now */
	struct json *differences;    /* status.resources: what is not in order, and why; the first of them */
	size_t differing;            /* how many there are */

	/* intent, apply, settle */
	uint64_t intent_seq;
	int64_t inventory_ms;        /* monotonic: before it an inventory that was not taken is not sent again */
	bool intent_asked, intent_durable, remembered, result_asked, result_durable;
	size_t in_flight;
	bool applying;               /* writes may be on their way: the run is not cut off */
	struct map disturbed;        /* keys of objects that meanwhile are not as they were remembered: by this run, or by somebody else */
	bool apply_failed;
	bool definitions_applied, discovering;
	int64_t see_by_ms;           /* monotonic: until then what came with it is watched; 0: not waited for */
	struct timer *wait;          /* run_wake_in's */
};

/* Starts a run of the app if none is under way and it is time for one. */
void run_start(struct app *app);
/* Enters the current step again, soon; harmless when the run does not wait. */
void run_wake(struct run *run);
/* The same in `ms` milliseconds; one time at most is waited for. */
void run_wake_in(struct run *run, int64_t ms);
/* Around every completion: run_hold when it is asked for, run_release in it (may free the run). */
void run_hold(struct run *run);
void run_release(struct run *run);
/* Sets the run's error if it has none yet; returns STEP_FAIL. */
enum step_result run_fail(struct run *run, const struct error *err);
/* Asks it to end at the next step boundary. */
void run_cancel(struct run *run);

/* The steps' table; NULL go at its end. */
extern const struct step sync_steps[];

#endif
