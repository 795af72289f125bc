/*
 * judge: every image of every object gets a verdict for the very digest that
 * will be applied, and is pinned to it. One that is denied, or of which it
 * could not be found out, stops the revision: nothing of it is sent.
 */
#include "base/clock.h"
#include "base/encode.h"
#include "base/limits.h"
#include "base/metric.h"
#include "reconcile/judging.h"
#include "reconcile/objects.h"
#include "reconcile/report.h"
#include "reconcile/steps.h"
#include "verify/pem.h"

#define MESSAGES_MAX 5

/* --- policies ------------------------------------------------------------------------------------------------------ */

/* A key from a Secret of the installation's namespace; what is wrong makes the policy invalid. */
static const char *secret_key(struct judging *judging, struct image_policy *policy, const struct authority *authority)
{
	const struct json *secret = objects_secret(judging->run->core->objects, authority->secret_name);
	const char *encoded = json_text(json_path(secret, "data", authority->secret_key, NULL));
	CLEANUP(str_release) struct str text = STR_INIT;
	struct error bad = ERROR_INIT;

	if (encoded && !base64_decode(span_of(encoded), &text, &bad))
		return arena_strndup(judging->run->arena, str_span(&text));
	error_set(&policy->problem, ERROR_INVALID, "InvalidPolicy",
		  "ImagePolicy %s: authority %s takes its key from Secret %s, key %s, in the installation's namespace, which %s", policy->name,
		  authority->name, authority->secret_name, authority->secret_key, secret ? "has no such key" : "does not exist");
	return NULL;
}

static void load_policies(struct judging *judging)
{
	struct arena *arena = judging->run->arena;
	const struct map *copies = objects_policies(judging->run->core->objects);
	struct image_policy *policies = arena_calloc(arena, copies->count, sizeof(*policies));
	size_t keys = 0, count = 0;
	struct trust_key *trusted;

	MAP_EACH(entry, copies) {
		const struct object_copy *copy = entry->value;

		image_policy_decode(json_copy(arena, copy->object), arena, &policies[count]);
		keys += policies[count++].authority_count;
	}
	trusted = arena_calloc(arena, keys + 1, sizeof(*trusted));
	judging->trust.keys = trusted;
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < policies[i].authority_count && !policies[i].problem.reason[0]; k++) {
			const struct authority *authority = &policies[i].authorities[k];
			const char *pem = authority->key_pem ? authority->key_pem : secret_key(judging, &policies[i], authority);

			if (pem)
				trusted[judging->trust.key_count++] =
					(struct trust_key){ verdict_key_id(&policies[i], k, arena), pem };
		}
	judging->policies = (struct policy_set){ policies, count };
}

/* --- collecting ------------------------------------------------------------------------------------------------------ */

/* What Git names is never the same entry as a foreign tag of the same text: that one runs as its registry says, not as Git's is pinned. */
static void add_place(struct str *key, const char *text, const char *namespace, bool loose)
{
	str_addf(key, "%d %zu %s%s", loose, strlen(namespace), namespace, text);
}

struct judged_image *judging_find(const struct judging *judging, const char *text, const char *namespace, bool loose)
{
	CLEANUP(str_release) struct str key = STR_INIT;
	size_t place;

	add_place(&key, text, namespace, loose);
	place = (size_t)(uintptr_t)map_get(&judging->places, str_span(&key));
	return place ? &judging->images[place - 1] : NULL;
}

static struct judged_image *image_add(struct judging *judging, const char *text, const char *namespace, bool loose)
{
	struct arena *arena = judging->run->arena;
	struct judged_image *image = arena_push(arena, &judging->images, &judging->count, &judging->capacity, sizeof(*image));
	CLEANUP(str_release) struct str key = STR_INIT;

	image->text = text;
	image->namespace = namespace;
	image->loose = loose;
	add_place(&key, text, namespace, loose);
	map_set(&judging->places, str_span(&key), (void *)(uintptr_t)judging->count);
	return image;
}

/* All that are too many are one, which is refused wherever it stands. */
static struct judged_image *image_too_many(struct judging *judging)
{
	struct judged_image *image = judging_find(judging, "", "", false);

	if (image)
		return image;
	image = image_add(judging, "", "", false);
	error_set(&image->problem, ERROR_LIMIT, "TooManyImages",
		  "the revision, and what runs of it, name more than %u different images: "
		  "divide it into several Applications",
		  LIMIT_IMAGES);
	return image;
}

/* By a map: a file can name as many images as it has lines, and all Applications wait meanwhile. */
static struct judged_image *image_get(struct judging *judging, const char *text, const char *namespace, bool foreign)
{
	bool loose = foreign && !strchr(text, '@');
	struct judged_image *image = judging_find(judging, text, namespace, loose);

	if (image)
		return image;
	if (judging->count >= LIMIT_IMAGES)
		return image_too_many(judging);
	image = image_add(judging, text, namespace, loose);
	image->readable = !reference_parse(span_of(text), judging->run->arena, &image->reference, &image->problem);
	if (image->readable && image->reference.has_digest)
		image->digest = image->reference.digest;
	return image;
}

void judging_add_use(struct judging *judging, struct desired *desired, struct image_use *use, bool foreign)
{
	struct judged_image *image = image_get(judging, use->problem ? use->pointer : use->image, desired->namespace, foreign);
	struct judged_use *entry =
		arena_push(judging->run->arena, &image->uses, &image->use_count, &image->use_capacity, sizeof(*entry));

	*entry = (struct judged_use){ desired, use, foreign };
	if (!use->problem)
		return;
	image->readable = false;
	error_set(&image->problem, ERROR_INVALID, "BadImageReference", "%s %s %s", use->position, use->container, use->problem);
}

static void collect(struct judging *judging)
{
	struct run *run = judging->run;

	run->policies_version = objects_policies_version(run->core->objects);
	load_policies(judging);
	run->custom = verdict_custom_paths(&judging->policies, run->arena);
	for (size_t i = 0; i < run->desired_count; i++) {
		struct desired *desired = &run->desired[i];
		struct image_use *uses;
		size_t count;

		gate_find_images(desired->object, &run->custom, run->arena, &uses, &count);
		desired->has_images = count != 0;
		desired->images_allowed = count == 0;
		for (size_t k = 0; k < count; k++)
			judging_add_use(judging, desired, &uses[k], false);
	}
}

/* A tag that was resolved for this revision before keeps its digest, also after a restart. */
static void use_pins(struct judging *judging)
{
	const struct run *run = judging->run;
	const struct inventory *inventory = app_inventory(run->app);
	bool applied = !strcmp(inventory->applied.revision, run->revision), pending = !strcmp(inventory->pending.revision, run->revision);

	for (size_t i = 0; i < judging->count; i++) {
		struct judged_image *image = &judging->images[i];
		const struct digest *digest = NULL;

		if (!image->readable || image->reference.has_digest || run->hard)
			continue;
		if (pending)
			digest = pins_find(&inventory->pending, span_of(image->text));
		if (!digest && applied)
			digest = pins_find(&inventory->applied, span_of(image->text));
		if (digest)
			image->digest = *digest;
	}
}

/* --- ruling --------------------------------------------------------------------------------------------------------------- */

/* A signature is of a digest, and only what is applied from Git is pinned to it. */
static void refuse_loose(struct judging *judging, struct judged_image *image)
{
	CLEANUP(str_release) struct str pinned = STR_INIT;

	reference_pin(&image->reference, &image->digest, &pinned);
	image->detail.ruling = RULING_DENY;
	image->detail.reason = "NotPinned";
	image->detail.message = arena_printf(judging->run->arena, "it is named by a tag, which may stand for another image by the time it is "
					     "pulled; have whoever puts it there name the digest: %s", str_c(&pinned));
}

static void rule_one(struct judging *judging, struct judged_image *image, int64_t now_ns)
{
	static const struct claims none;
	struct image_facts facts = { image->readable ? &image->reference : NULL, image->namespace, image->digest,
				     image->known ? &image->claims : NULL, image->problem.reason[0] ? &image->problem : NULL };

	/* no usable key anywhere: nothing was asked, and nothing is proved */
	if (image->readable && !image->problem.reason[0] && !image->known)
		facts.claims = &none;
	verdict_judge(&judging->policies, &facts, now_ns, judging->run->arena, &image->detail);
	/* whatever else exempts it or only warns of it */
	if (image->loose && ruling_permits(image->detail.ruling) && image->detail.by_signature)
		refuse_loose(judging, image);
}

/* Which key that was, whatever it is called now or later: SHA-256 of its DER, as of `openssl pkey -pubin -outform DER`. */
static void add_key(const struct judging *judging, const char *id, struct json *out)
{
	char label[PEM_LABEL_MAX], hex[DIGEST_HEX];

	for (size_t i = 0; *id && i < judging->trust.key_count; i++) {
		CLEANUP(str_release) struct str der = STR_INIT;
		struct digest digest;

		if (strcmp(judging->trust.keys[i].id, id) || pem_read(span_of(judging->trust.keys[i].pem), label, &der, NULL))
			continue;
		digest = digest_of(str_span(&der));
		digest_hex(&digest, hex);
		json_set_string(judging->run->arena, out, "key_sha256", hex);
		return;
	}
}

static struct json *image_json(struct judging *judging, const struct judged_image *image)
{
	struct arena *arena = judging->run->arena;
	const struct ruling_detail *detail = &image->detail;
	CLEANUP(str_release) struct str pinned = STR_INIT;
	struct json *one = json_object(arena);
	char digest[DIGEST_TEXT];

	json_set_string(arena, one, "ref", image->readable ? image->text : image->uses[0].use->image);
	json_set_string(arena, one, "namespace", image->namespace);
	json_set_string(arena, one, "verdict", ruling_name(detail->ruling));
	json_set_string(arena, one, "policy", detail->policy);
	json_set_string(arena, one, "identity", detail->authority);
	add_key(judging, detail->key_id, one);
	if (*detail->reason)
		json_set_string(arena, one, "reason", detail->reason);
	if (*detail->exemption)
		json_set_string(arena, one, "exemption", detail->exemption);
	json_set(arena, one, "at", json_stringf(arena, "%s:%u", image->uses[0].desired->file, image->uses[0].use->line));
	if (digest_is_zero(&image->digest))
		return one;
	digest_text(&image->digest, digest);
	json_set_string(arena, one, "digest", digest);
	reference_pin(&image->reference, &image->digest, &pinned);
	json_set_string(arena, one, "pinned", str_c(&pinned));
	return one;
}

static void pin(struct judging *judging, struct judged_image *image)
{
	CLEANUP(str_release) struct str pinned = STR_INIT;

	reference_pin(&image->reference, &image->digest, &pinned);
	for (size_t i = 0; i < image->use_count; i++) {
		struct judged_use *use = &image->uses[i];

		if (!use->foreign && use->use->value)
			use->use->value->as.text = arena_span(judging->run->arena, str_span(&pinned));
	}
}

/* Every object is allowed whose images all are; one foreign image more or less changes nothing in that. */
static void allow_objects(struct judging *judging)
{
	struct run *run = judging->run;

	for (size_t i = 0; i < run->desired_count; i++)
		run->desired[i].images_allowed = true;
	for (size_t i = 0; i < judging->count; i++) {
		struct judged_image *image = &judging->images[i];

		for (size_t k = 0; k < image->use_count; k++) {
			struct desired *desired = image->uses[k].desired;

			if (!image->uses[k].foreign && !ruling_permits(image->detail.ruling))
				desired->images_allowed = false;
			if (!image->uses[k].foreign || !ruling_permits(image->detail.ruling))
				continue;
			if (!desired->allowed)
				desired->allowed = json_array(run->arena);
			json_append_string(run->arena, (struct json *)(uintptr_t)desired->allowed, image->uses[k].use->image);
		}
	}
}

static bool is_foreign_only(const struct judged_image *image)
{
	for (size_t i = 0; i < image->use_count; i++)
		if (!image->uses[i].foreign)
			return false;
	return true;
}

static void remember_pins(struct judging *judging)
{
	struct run *run = judging->run;
	size_t capacity = 0;

	run->pins = (struct pins){ run->revision, NULL, 0 };
	for (size_t i = 0; i < judging->count; i++) {
		const struct judged_image *image = &judging->images[i];
		struct pin *pin;

		if (!image->readable || digest_is_zero(&image->digest) || is_foreign_only(image) ||
		    pins_find(&run->pins, span_of(image->text)))
			continue;
		pin = arena_push(run->arena, &run->pins.pins, &run->pins.count, &capacity, sizeof(*pin));
		*pin = (struct pin){ image->text, image->digest };
	}
}

static void where(const struct judged_image *image, struct str *out)
{
	const struct judged_use *use = &image->uses[0];

	str_addf(out, "%s:%u: %s %s of %s %s%s%s, image %s", use->desired->file, use->use->line, use->use->position,
		 *use->use->container ? use->use->container : use->use->pointer, use->desired->kind, use->desired->namespace,
		 *use->desired->namespace ? "/" : "", use->desired->name, image->readable ? image->text : use->use->image);
}

/* The words of the condition: each refused image with file, line, reason and fix. Returns how many rule so. */
static size_t describe(const struct judging *judging, enum ruling ruling, struct str *out, const char **reason)
{
	size_t count = 0;

	for (size_t i = 0; i < judging->count; i++) {
		const struct judged_image *image = &judging->images[i];
		char digest[DIGEST_TEXT] = "";

		if (image->detail.ruling != ruling || is_foreign_only(image))
			continue;
		if (!count++)
			*reason = image->detail.reason;
		if (count > MESSAGES_MAX)
			continue;
		if (out->length)
			str_addc(out, '\n');
		where(image, out);
		if (!digest_is_zero(&image->digest)) {
			digest_text(&image->digest, digest);
			str_addf(out, " (%s)", digest);
		}
		str_addf(out, ": %s%s%s: %s", *image->detail.policy ? "policy " : "", image->detail.policy,
			 *image->detail.policy ? "" : "no policy", image->detail.reason);
		str_addf(out, ": %s", image->detail.message);
	}
	if (count > MESSAGES_MAX)
		str_addf(out, "\nand %zu more", count - MESSAGES_MAX);
	return count;
}

static const char *foreign_text(const struct judging *judging, const struct judged_image *image, const struct judged_use *use)
{
	return arena_printf(judging->run->arena, "in the cluster, not in Git: %s %s of %s %s/%s runs image %s: %s: %s", use->use->position,
			    use->use->container, use->desired->kind, use->desired->namespace, use->desired->name, use->use->image,
			    image->detail.reason, image->detail.message);
}

/* Of a revision that is refused no plan is made, which would tell of what somebody else has put in. */
static void describe_foreign(const struct judging *judging, struct str *out)
{
	size_t count = 0;

	for (size_t i = 0; i < judging->count && count < MESSAGES_MAX; i++) {
		const struct judged_image *image = &judging->images[i];

		if (image->detail.ruling != RULING_DENY || !is_foreign_only(image))
			continue;
		str_addf(out, "\n%s", foreign_text(judging, image, &image->uses[0]));
		count++;
	}
}

/* A signature that came since is to be seen at the next look; what is refused for its tag alone lacks none. */
static void forget_insufficient(const struct judging *judging)
{
	const struct run *run = judging->run;

	for (size_t i = 0; i < judging->count; i++) {
		const struct judged_image *image = &judging->images[i];

		if (image->known && !ruling_permits(image->detail.ruling) && strcmp(image->detail.reason, "NotPinned"))
			vetting_forget(run->core->vetting, run->spec.project, &image->reference, &image->digest, &judging->trust);
	}
}

static enum step_result refuse_run(struct run *run, const struct error *err)
{
	run->judge_failed = true;
	if (run->goal == GOAL_SYNC)
		report_condition(run->app, CONDITION_VERIFIED, err->kind == ERROR_TRANSIENT ? TRUTH_UNKNOWN : TRUTH_FALSE,
				 err->reason, "%s", err->text);
	return run_fail(run, err);
}

static enum step_result refuse_revision(struct judging *judging, enum ruling ruling)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	const char *reason = "";
	struct error err = ERROR_INIT;

	describe(judging, ruling, &text, &reason);
	describe_foreign(judging, &text);
	error_set(&err, ruling == RULING_DENY ? ERROR_DENIED : ERROR_TRANSIENT, reason, "%s", str_c(&text));
	return refuse_run(judging->run, &err);
}

/* No registry is asked for any of them. */
static enum step_result refuse_number(struct run *run, const struct judged_image *image)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	struct error err = ERROR_INIT;

	where(image, &text);
	error_set(&err, ERROR_LIMIT, image->problem.reason, "%s: %s", str_c(&text), image->problem.text);
	return refuse_run(run, &err);
}

static void tell_allowed(struct judging *judging)
{
	struct run *run = judging->run;
	CLEANUP(str_release) struct str text = STR_INIT;
	const char *reason = "";
	size_t images = 0, exempted = 0;

	for (size_t i = 0; i < judging->count; i++) {
		images += !is_foreign_only(&judging->images[i]);
		exempted += judging->images[i].detail.ruling == RULING_EXEMPT && !is_foreign_only(&judging->images[i]);
	}
	if (describe(judging, RULING_WARN, &text, &reason))
		report_condition(run->app, CONDITION_VERIFIED, TRUTH_FALSE, "PolicyWarning", "%s", str_c(&text));
	else if (!images)
		report_condition(run->app, CONDITION_VERIFIED, TRUTH_TRUE, "NoImages", "the revision carries no image");
	else if (exempted)
		report_condition(run->app, CONDITION_VERIFIED, TRUTH_TRUE, "Exempted", "%zu of %zu images run by an exemption of a policy",
				 exempted, images);
	else
		report_condition(run->app, CONDITION_VERIFIED, TRUTH_TRUE, "Verified", "%zu images are signed by whom policy says", images);
}

/* What somebody put into the cluster by hand and may not run. Whether it is taken out, wherever it was put in, the run will show. */
static void note_violations(struct judging *judging)
{
	struct run *run = judging->run;
	size_t capacity = 0;

	for (size_t i = 0; i < judging->count; i++) {
		const struct judged_image *image = &judging->images[i];

		if (!is_foreign_only(image) || ruling_permits(image->detail.ruling))
			continue;
		for (size_t k = 0; k < image->use_count; k++) {
			struct violation *violation =
				arena_push(run->arena, &run->violations, &run->violation_count, &capacity, sizeof(*violation));

			violation->desired = image->uses[k].desired;
			violation->image = i;
			violation->reason = *image->detail.reason ? image->detail.reason : "ForeignImage";
			violation->text = foreign_text(judging, image, &image->uses[k]);
		}
	}
}

static void note_policies(struct judging *judging)
{
	struct arena *arena = judging->run->arena;
	struct json *policy = json_object(arena), *rules = json_array(arena), *exemptions = json_array(arena);

	for (size_t i = 0; i < judging->policies.count; i++)
		json_append(arena, rules, json_stringf(arena, "%s@%lld", judging->policies.policies[i].name,
						       (long long)judging->policies.policies[i].generation));
	for (size_t i = 0; i < judging->count; i++)
		if (*judging->images[i].detail.exemption)
			json_append(arena, exemptions,
				    json_stringf(arena, "%s: %s", judging->images[i].text, judging->images[i].detail.exemption));
	json_set(arena, policy, "rules", rules);
	json_set(arena, policy, "exemptions", exemptions);
	judging->run->policy = policy;
}

static enum step_result rule(struct judging *judging)
{
	struct run *run = judging->run;
	int64_t now_ns = clock_wall_ns();
	bool denied = false, unknown = false;

	run->judged = true;
	run->images = json_array(run->arena);
	for (size_t i = 0; i < judging->count; i++) {
		struct judged_image *image = &judging->images[i];

		rule_one(judging, image, now_ns);
		metric_add(METRIC_VERIFICATIONS, 1, ruling_name(image->detail.ruling), image->detail.reason, NULL);
		json_append(run->arena, run->images, image_json(judging, image));
		if (image->detail.exempt_until_ns && (!run->exempt_until_ns || image->detail.exempt_until_ns < run->exempt_until_ns))
			run->exempt_until_ns = image->detail.exempt_until_ns;
		if (is_foreign_only(image))
			continue;
		denied |= image->detail.ruling == RULING_DENY;
		unknown |= image->detail.ruling == RULING_UNKNOWN;
	}
	note_policies(judging);
	remember_pins(judging);
	forget_insufficient(judging);
	if (denied || unknown)
		return refuse_revision(judging, denied ? RULING_DENY : RULING_UNKNOWN);
	for (size_t i = 0; i < judging->count; i++)
		if (!is_foreign_only(&judging->images[i]))
			pin(judging, &judging->images[i]);
	allow_objects(judging);
	run->verified = true;
	if (run->goal == GOAL_SYNC)
		tell_allowed(judging);
	note_violations(judging);
	return STEP_NEXT;
}

/* --- the step ----------------------------------------------------------------------------------------------------------- */

/* Sends the phase's requests once; true when it is over. */
static bool phase_over(struct judging *judging, void (*send)(struct judging *))
{
	if (!judging->asked) {
		judging->asked = true;
		send(judging);
	}
	if (judging->waiting)
		return false;
	judging->asked = false;
	judging->phase++;
	return true;
}

static void judging_release(void *data)
{
	struct judging *judging = data;

	map_release(&judging->places);
	map_release(&judging->documents);
}

enum step_result step_judge(struct run *run)
{
	struct judging *judging = run->judging;
	const struct judged_image *too_many;

	if (run->goal == GOAL_DELETE)
		return STEP_NEXT;
	if (!judging) {
		judging = run->judging = ARENA_NEW(run->arena, struct judging);
		judging->run = run;
		arena_defer(run->arena, judging_release, judging);
		collect(judging);
		use_pins(judging);
		foreign_collect(judging);
		too_many = judging_find(judging, "", "", false);
		if (too_many && !is_foreign_only(too_many))
			return refuse_number(run, too_many);
		judging->phase = JUDGE_LOGIN;
	}
	if (judging->phase == JUDGE_LOGIN) {
		if (!logins_find(judging))
			return STEP_WAIT;
		judging->phase = JUDGE_RESOLVE;
	}
	if (judging->phase == JUDGE_RESOLVE && !phase_over(judging, questions_resolve))
		return STEP_WAIT;
	if (judging->phase == JUDGE_CLAIMS && !phase_over(judging, questions_claim))
		return STEP_WAIT;
	return rule(judging);
}
