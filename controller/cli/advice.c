/* The table of next steps; see advice.h. */
#include "cli/advice.h"

/* {app} {ns} {project} stand for the names. A type or status of "" fits any; the first line that fits is taken. */
static const struct {
	const char *type, *reasons;     /* reasons between spaces; "" fits any */
	const char *status, *step;
} table[] = {
	{ "Verified", " PolicyWarning ", "", "Sign what the message names before the policy's mode becomes enforce: nothing is blocked yet." },
	{ "Verified", " NoPolicy ", "False", "Write an ImagePolicy in namespace {ns} whose globs match the image: an image that no policy governs is denied." },
	{ "Verified", " InvalidPolicy ", "", "Repair the ImagePolicy that the message names (countersign get policies -o wide): until then all that it governs is denied." },
	{ "Verified", " ImageNotFound ", "", "Push the image that the message names, or correct its name in Git. It is looked for again by itself, at once with: countersign sync {app} -n {ns}" },
	{ "Verified", " BadImageReference InvalidImageReference ManifestMediaType ", "", "Correct the image's name in the file that the message names, and push." },
	{ "Verified", " NotPinned ", "False", "Have whoever puts it there (a webhook, an updater, a person) name the image by the digest that the message tells, or take it out: it is signed, but a tag may stand for another one later." },
	{ "Verified", "", "False", "Sign the image that the message names (cosign sign --key KEY IMAGE@DIGEST). No commit is needed: it is checked again within a minute, at once with: countersign sync {app} -n {ns}" },
	{ "Verified", " NotEvaluated ", "Unknown", "" },
	{ "Verified", " TooManyReferrers TooManySignatures TooManyRequests TooLarge ", "", "Remove old signatures and attestations of the image that the message names from its registry (crane delete; cosign tree lists them). It is looked at again by itself." },
	{ "Verified", " PullSecretUnreadable BadDockerConfig ", "", "Repair the pull secret that the message names, or let the account that it names read it. It is looked at again by itself." },
	{ "Verified", "", "Unknown", "The registry could not be asked. See whether it answers and whether the pod's pull secret is right; it is tried again by itself." },
	{ "Synced", " VerificationFailed ", "", "" },
	{ "Synced", " OutOfSync ", "False", "countersign diff {app} -n {ns} shows what differs; countersign sync {app} -n {ns} makes the cluster as Git says." },
	{ "Synced", " PruneRefused ", "", "If the objects shall really go: countersign sync {app} -n {ns} --prune, or allowEmpty: true in spec.syncPolicy.automated. If not, put their files back into Git." },
	{ "Synced", " ProjectNotFound InvalidProject RepositoryNotPermitted DestinationNotPermitted KindNotPermitted NamespaceNotPermitted ApplicationNotPermitted PolicyNotPermitted InstallationNotPermitted TokenNotPermitted ProjectChanged NoServiceAccount ", "",
	  "Ask whoever keeps Project {project} to allow it (kubectl -n {ns} get csproj {project} -o yaml), or take it out of Git." },
	{ "Synced", " RepositoryAuth ", "", "Check the repository's credential: a Secret in namespace {ns} labelled countersign.dev/secret-type=repository, with url, username and password." },
	{ "Synced", " RepositoryUnreachable RepositoryTimeout RepositoryNotFound CertificateError NotAGitRepository BadRedirect BadURL ", "", "Check spec.source.repoURL and the Git server. What runs stays and is kept as it is; it is tried again by itself." },
	{ "Synced", " RevisionNotFound AmbiguousRevision RevisionMoved PathNotFound PathIsFile ", "", "Check spec.source.targetRevision and spec.source.path against the repository." },
	{ "Synced", " HistoryRewritten ", "", "Find out who rewrote the branch and why (git log of both commits). If it is meant: countersign sync {app} -n {ns} --revision COMMIT with the commit that the message names." },
	{ "Synced", " ClusterRestored ", "", "Compare Applications, Projects and policies with what was decided since the snapshot, apply what is missing, look at countersign diff {app} -n {ns}, then countersign sync {app} -n {ns}." },
	{ "Synced", " InvalidSpec NotSupported ", "", "Correct the field that the message names: kubectl -n {ns} edit csapp {app}, or in the repository that declares this Application." },
	{ "Synced", " YAMLError DuplicateKey UnknownTag BadKey BadAlias BadMerge BadNumber BadJSON AliasBomb TooDeep TooLarge NotAnObject MissingAPIVersion MissingKind MissingName BadMetadata BadSecret BadConfigMap DuplicateObject BadSyncWave BadList UnknownKind NoNamespace ", "",
	  "Repair the file at the line that the message names, try it with countersign build DIR, and push. Nothing of that commit was applied." },
	{ "Synced", " SharedResource ", "", "Take the object out of one of the two Applications: one object has one Application." },
	{ "Synced", " ApplicationCycle ", "", "Take one of the declarations that the message names out of Git, so that the Applications form a tree again." },
	{ "Synced", " EscalationForbidden ", "", "Let an administrator make the object that the message names, or grant the account itself what it is to grant." },
	{ "Synced", " ImpersonationForbidden ", "", "Grant the Role that the message names to countersign's own service account." },
	{ "Synced", " OwnedByAnother NotAdopted FieldConflict Conflict ", "", "Let its owner give the object up, or allow taking it over by spec.syncPolicy.syncOptions: [Adopt=any]." },
	{ "Synced", " Contested ", "", "Make the manager that the message names stop, or leave the field to it by spec.ignoreDifferences. An object that is deleted each time: find out who deletes it, or take it out of Git; then countersign sync {app} -n {ns}" },
	{ "Synced", " AdmissionDenied ", "", "Change the object so that the cluster's admission rule lets it in (Pod Security, a quota or limit range, a policy: the message names it), or let its owner exempt it." },
	{ "Synced", " Forbidden Unauthorized ", "", "Grant the right that the message names to the account that the message names." },
	{ "Synced", " NamespaceTerminating BeingDeleted DiscoveryStale ServerError ServerTimeout TooManyRequests WebhookFailed QuotaExceeded ConnectionError Timeout WorkerCrashed WorkerTimeout ", "", "Nothing, if it passes: it is tried again by itself, a sync as often as spec.syncPolicy.retry says. If it stays, repair what the message names, then: countersign sync {app} -n {ns}" },
	{ "Synced", " SettingsUnreadable ", "", "Give the controller back the right that the message names: install the version that runs again (its Roles, and its CustomResourceDefinitions). Until then it decides nothing." },
	{ "Synced", " NotEvaluated ", "", "" },
	{ "Synced", "", "False", "Do what the message says; countersign sync {app} -n {ns} tries again at once." },
	{ "Healthy", " NothingApplied Progressing ", "", "" },
	{ "Healthy", " Missing ", "False", "An object is gone: countersign sync {app} -n {ns} puts it back." },
	{ "Healthy", "", "False", "Look at the object that the message names: kubectl describe it, and the logs of its pods." },
};

const struct json *advice_condition(const struct json *application, const char *type)
{
	const struct json *list = json_path(application, "status", "conditions", NULL);

	for (size_t i = 0; i < json_count(list); i++)
		if (span_is(json_text_span(json_get(json_at(list, i), "type")), type))
			return json_at(list, i);
	return NULL;
}

/* The step with its names filled in. */
static const char *filled(const char *step, const struct json *application, struct arena *arena)
{
	const char *project = json_text(json_path(application, "spec", "project", NULL));
	const struct {
		const char *name, *value;
	} names[] = {
		{ "{app}", json_text(json_path(application, "metadata", "name", NULL)) },
		{ "{ns}", json_text(json_path(application, "metadata", "namespace", NULL)) },
		{ "{project}", project && *project ? project : "default" },
	};
	CLEANUP(str_release) struct str out = STR_INIT;
	struct span rest = span_of(step);

	while (rest.length) {
		size_t used = 0;

		for (size_t i = 0; i < COUNT_OF(names) && !used; i++)
			if (span_starts(rest, names[i].name)) {
				str_adds(&out, names[i].value ? names[i].value : "");
				used = strlen(names[i].name);
			}
		if (!used)
			str_addc(&out, rest.data[0]);
		rest = span_from(rest, used ? used : 1);
	}
	return arena_strndup(arena, str_span(&out));
}

struct steps {
	const char ***list;
	size_t *count, capacity;
	struct arena *arena;
};

static void add(struct steps *steps, const char *step)
{
	const char **slot;

	if (!*step)
		return;
	for (size_t i = 0; i < *steps->count; i++)
		if (!strcmp((*steps->list)[i], step))
			return;
	slot = arena_push(steps->arena, steps->list, steps->count, &steps->capacity, sizeof(*slot));
	*slot = step;
}

/* Whether one of the words between spaces is the reason. */
static bool has_word(const char *words, struct span reason)
{
	struct span rest = span_of(words);

	while (rest.length)
		if (span_equal(span_cut(&rest, ' '), reason) && reason.length)
			return true;
	return false;
}

static const char *step_for(const char *type, const struct json *condition)
{
	struct span reason = json_text_span(json_get(condition, "reason")), status = json_text_span(json_get(condition, "status"));

	for (size_t i = 0; i < COUNT_OF(table); i++)
		if (!strcmp(table[i].type, type) && (!*table[i].status || span_is(status, table[i].status)) &&
		    (!*table[i].reasons || has_word(table[i].reasons, reason)))
			return table[i].step;
	return "";
}

static void from_conditions(struct steps *steps, const struct json *application)
{
	static const char *const types[] = { "Verified", "Synced", "Healthy" };

	for (size_t i = 0; i < COUNT_OF(types); i++) {
		const struct json *condition = advice_condition(application, types[i]);

		if (!condition || span_is(json_text_span(json_get(condition, "status")), "True"))
			continue;
		add(steps, filled(step_for(types[i], condition), application, steps->arena));
	}
}

void advice_of(const struct json *application, struct arena *arena, const char ***list, size_t *count)
{
	struct steps steps = { list, count, 0, arena };
	const struct json *status = json_get(application, "status");
	int64_t generation = json_get_int(json_get(application, "metadata"), "generation", 0);

	if (!json_count(json_get(status, "conditions")))
		add(&steps, filled("The controller has not looked at it yet. Is it running, and for namespace {ns}? kubectl -n {ns} get statefulset,lease",
				   application, arena));
	else if (json_get_int(status, "observedGeneration", 0) < generation && json_path(application, "operation", NULL) == NULL)
		add(&steps, "The status is about an earlier version of this Application. If that does not change within seconds, see whether "
			    "the controller runs.");
	if (json_text(json_path(application, "metadata", "deletionTimestamp", NULL)))
		add(&steps, "It is being deleted: its objects go first. The Synced condition says what holds that up, if anything does.");
	from_conditions(&steps, application);
	if (json_count(json_get(status, "extras")))
		add(&steps, "Others have added fields to its objects (above). They stay unless Git declares the field, or spec.syncPolicy.syncOptions "
			    "has Exact=true.");
}
