/*
 * The images of one run while they are judged: collected from all objects,
 * one entry for each reference and namespace. step_judge.c walks its phases;
 * foreign.c finds what Git does not name, logins.c the credentials, questions.c
 * asks the registries.
 */
#ifndef RECONCILE_JUDGING_H
#define RECONCILE_JUDGING_H

#include "gate/images.h"
#include "gate/verdict.h"
#include "reconcile/run.h"
#include "reconcile/vetting.h"

struct judged_use {                  /* where an image stands */
	struct desired *desired;
	struct image_use *use;
	bool foreign;                /* in the live object, not in Git */
};

struct judged_image {
	const char *text;            /* as written */
	const char *namespace;
	struct reference reference;
	bool loose;                  /* a tag that somebody else put into a live object: what it stands for there is not known */
	bool readable;               /* the reference reads */
	bool known;                  /* claims are there */
	struct digest digest;
	struct claims claims;
	struct error problem;        /* reason "" while there is none */
	const char **pull_secrets;   /* names, NULL at the end: of the pods or their account */
	const char *account;         /* who may read them: "namespace:name" */
	struct credential *logins;   /* of the pull secrets, in their order: tried one after the other, as a kubelet does */
	size_t login_count, login_capacity;
	bool logins_known;           /* all secrets were read */
	size_t login;                /* the one that is tried; anonymous where there are none */
	struct judged_use *uses;
	size_t use_count, use_capacity;
	struct ruling_detail detail;
};

enum judging_phase { JUDGE_COLLECT = 0, JUDGE_LOGIN, JUDGE_RESOLVE, JUDGE_CLAIMS, JUDGE_RULE };

struct judging {
	struct run *run;
	enum judging_phase phase;
	bool asked;                  /* the phase's requests are out */
	size_t waiting;
	struct judged_image *images;
	size_t count, capacity;
	struct map places; /* what tells an image apart -> its place in `images` + 1 */
	struct policy_set policies;
	struct trust trust;
	struct map documents;        /* "sa/NS/NAME", "secret/NS/NAME" -> JSON, or JSON null when absent */
};

/* The one that was collected, or NULL; `loose`: see struct judged_image. */
struct judged_image *judging_find(const struct judging *judging, const char *text, const char *namespace, bool loose);
/* One more place where an image stands. */
void judging_add_use(struct judging *judging, struct desired *desired, struct image_use *use, bool foreign);
/* Adds those of live objects that Git does not name, after what it names was collected and its tags have their pins. */
void foreign_collect(struct judging *judging);

/*
 * Finds the registry logins of images that are still to be fetched. Returns true when all is read; else the run is woken
 * when more came (judging->waiting counts). What may not be read becomes the image's problem.
 */
bool logins_find(struct judging *judging);

/* The login to ask with. */
const struct credential *login_of(const struct judged_image *image);
/* Whether another login may help where this one failed by `err`; it is then the one to ask with. */
bool login_next(struct judged_image *image, const struct error *err);

/* Asks for the digests of tags, and for the claims of digests; the run is woken with each answer, judging->waiting counts. */
void questions_resolve(struct judging *judging);
void questions_claim(struct judging *judging);

#endif
