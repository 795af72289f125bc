/*
 * What registries are asked of the images of one run: the digest of each tag, and what signs each digest. Where one login fails the
 * next is tried.
 */
#include "reconcile/judging.h"

struct asking {
	struct judging *judging;
	size_t index;
};

static struct asking *ask(struct judging *judging, size_t index)
{
	struct asking *asking = mem_alloc(sizeof(*asking));

	*asking = (struct asking){ judging, index };
	judging->waiting++;
	run_hold(judging->run);
	return asking;
}

static void answered(struct asking *asking)
{
	struct run *run = asking->judging->run;

	asking->judging->waiting--;
	free(asking);
	run_wake(run);
	run_release(run);
}

/* From when on an answer about a tag counts for this run: a commit judged for the first time is as new as its discovery. */
static int64_t tags_since(const struct run *run)
{
	const struct app *app = run->app;
	bool again = run->refreshed || run->hard || run->manual || (app->tried_revision && !strcmp(app->tried_revision, run->revision));

	return run->found_ms && !again ? run->found_ms : run->began_ms;
}

static void on_resolved(void *data, const struct digest *digest, const struct error *err);

static void resolve(struct asking *asking)
{
	const struct judging *judging = asking->judging;
	const struct judged_image *image = &judging->images[asking->index];

	vetting_resolve(judging->run->core->vetting, judging->run->spec.project, &image->reference, login_of(image), tags_since(judging->run),
			on_resolved, asking);
}

static void on_resolved(void *data, const struct digest *digest, const struct error *err)
{
	struct asking *asking = data;
	struct judged_image *image = &asking->judging->images[asking->index];

	if (err && login_next(image, err)) {
		resolve(asking);
		return;
	}
	if (err)
		image->problem = *err;
	else
		image->digest = *digest;
	answered(asking);
}

void questions_resolve(struct judging *judging)
{
	for (size_t i = 0; i < judging->count; i++) {
		struct judged_image *image = &judging->images[i];

		/* a registry that no policy speaks of is not asked: a repository could name any host */
		if (image->readable && !image->problem.reason[0] && digest_is_zero(&image->digest) &&
		    verdict_may_govern(&judging->policies, &image->reference))
			resolve(ask(judging, i));
	}
}

static void on_claims(void *data, const struct claims *claims, const struct error *err);

static void claim(struct asking *asking)
{
	const struct judging *judging = asking->judging;
	const struct judged_image *image = &judging->images[asking->index];

	vetting_claims(judging->run->core->vetting, judging->run->spec.project, &image->reference, &image->digest, login_of(image),
		       &judging->trust, on_claims, asking);
}

static void on_claims(void *data, const struct claims *claims, const struct error *err)
{
	struct asking *asking = data;
	struct judged_image *image = &asking->judging->images[asking->index];
	CLEANUP(str_release) struct str frame = STR_INIT;

	if (err && login_next(image, err)) {
		claim(asking);
		return;
	}
	if (err) {
		image->problem = *err;
	} else {
		/* the claims are borrowed: a copy by way of their frame */
		claims_encode(claims, &frame);
		if (claims_decode(arena_span(asking->judging->run->arena, str_span(&frame)), asking->judging->run->arena, &image->claims,
				  &image->problem) == 0)
			image->known = true;
	}
	answered(asking);
}

void questions_claim(struct judging *judging)
{
	for (size_t i = 0; i < judging->count; i++) {
		struct judged_image *image = &judging->images[i];

		if (image->readable && !image->problem.reason[0] && judging->trust.key_count && !digest_is_zero(&image->digest) &&
		    verdict_may_govern(&judging->policies, &image->reference))
			claim(ask(judging, i));
	}
}
