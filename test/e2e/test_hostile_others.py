"""Controllers and people that have every right to write to our objects: they are not fought, and their values outlive us."""

import json

import pytest

from harness.manifests import config_map, deployment, text
from harness.tenant import image_policy, obj
from harness.wait import stays, until

REPLICAS = [{"group": "apps", "kind": "Deployment", "jsonPointers": ["/spec/replicas"]}]


def web(site):
    return site.kube.get("apps/v1", "Deployment", site.namespace, "web")


def manifest(site, replicas=1):
    return deployment("web", site.image("web").ref, replicas=replicas)


def replicas_of(site):
    return web(site)["spec"]["replicas"]


def unfought(site, seconds=2):
    """Nothing governed was written since the mark, and the Application is good."""
    site.nothing_sent(site.requests, seconds=seconds)
    site.settled("app")


def test_rollout_restart_sends_nothing(site):
    site.deploy({"app/web.yaml": text(manifest(site))})
    site.requests.mark()
    site.kube.kubectl("-n", site.namespace, "rollout", "restart", "deployment/web")
    unfought(site)
    assert "kubectl.kubernetes.io/restartedAt" in web(site)["spec"]["template"]["metadata"]["annotations"]


def test_scale_with_ignored_replicas_sends_nothing(site):
    site.deploy({"app/web.yaml": text(manifest(site))}, ignoreDifferences=REPLICAS)
    site.requests.mark()
    site.kube.kubectl("-n", site.namespace, "scale", "deployment/web", "--replicas=4")
    unfought(site)
    assert replicas_of(site) == 4


def test_replicas_ignored_from_the_first_sync_keep_what_runs(site):
    existing = manifest(site, replicas=5)
    existing["metadata"]["namespace"] = site.namespace
    site.kube.kubectl("apply", "-f", "-", text=json.dumps(existing))
    site.deploy({"app/web.yaml": text(manifest(site))}, ignoreDifferences=REPLICAS)
    stays("5 replicas", lambda: replicas_of(site), lambda n: n == 5)


def test_scale_then_commit_then_restart_keeps_ignored_replicas(site):
    repo = site.deploy({"app/web.yaml": text(manifest(site))}, ignoreDifferences=REPLICAS)
    site.kube.kubectl("-n", site.namespace, "scale", "deployment/web", "--replicas=3")
    commit = repo.push("more", repo.replace("app/web.yaml", '"replicas": 1', '"minReadySeconds": 1, "replicas": 2'))
    site.synced_at(commit, "app")
    assert replicas_of(site) == 3 and web(site)["spec"]["minReadySeconds"] == 1
    site.requests.mark()
    site.controller.restart()
    unfought(site)
    assert replicas_of(site) == 3


def test_autoscaler_of_undeclared_replicas_is_not_fought(site):
    workload = manifest(site)
    del workload["spec"]["replicas"]
    site.deploy({"app/web.yaml": text(workload)})
    site.requests.mark()
    hpa = obj("autoscaling/v2", "HorizontalPodAutoscaler", "web", site.namespace, spec={
        "minReplicas": 3, "maxReplicas": 5, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}]})
    site.kube.create(hpa)
    until("the autoscaler to scale to its minimum", lambda: replicas_of(site), lambda n: n == 3, seconds=40)
    unfought(site)
    assert replicas_of(site) == 3


def test_controller_that_writes_its_own_annotations_and_status_is_not_fought(site):
    site.deploy({"app/web.yaml": text(manifest(site), config_map("config"))})
    site.requests.mark()
    for number in range(10):
        for kind, api, name in (("Deployment", "apps/v1", "web"), ("ConfigMap", "v1", "config")):
            site.kube.patch(api, kind, site.namespace, name, {"metadata": {"annotations": {"other.example/seen": str(number)}}}, manager="other-controller")
        site.kube.patch("apps/v1", "Deployment", site.namespace, "web", {"status": {"observedGeneration": number}}, manager="other-controller", subresource="status")
    unfought(site)
    assert web(site)["metadata"]["annotations"]["other.example/seen"] == "9"


ADMISSION = "admissionregistration.k8s.io/v1"


@pytest.fixture
def mutating(site):
    """Has the API server itself mutate Deployments of the test's namespace on every write, as a mutating webhook would."""
    made = []

    def make(expression):
        name = f"mutates-{site.name}"
        policy = obj(ADMISSION, "MutatingAdmissionPolicy", name, spec={
            "failurePolicy": "Fail", "reinvocationPolicy": "Never",
            "matchConstraints": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": site.namespace}},
                                 "resourceRules": [{"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"], "operations": ["CREATE", "UPDATE"]}]},
            "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}]})
        binding = obj(ADMISSION, "MutatingAdmissionPolicyBinding", name, spec={"policyName": name})
        site.kube.apply(policy, binding)
        made.append(name)
        probe = deployment("probe", "x", site.namespace, replicas=0)
        until("the mutation to be in force", lambda: site.kube.request(
            "POST", site.kube.path("apps/v1", "Deployment", site.namespace) + "?dryRun=All", probe), lambda seen: "mutated" in json.dumps(seen), seconds=20)

    yield make
    for name in made:
        for kind in ("MutatingAdmissionPolicyBinding", "MutatingAdmissionPolicy"):
            site.kube.delete(ADMISSION, kind, None, name, missing_ok=True)


LABEL = 'metadata: Object.metadata{labels: {"mutated": "yes"}}'


def sidecar(image):
    return ('Object{%s, spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{containers: '
            '[Object.spec.template.spec.containers{name: "sidecar", image: "%s"}]}}}}' % (LABEL, image))


def test_webhook_that_adds_a_label_and_a_signed_sidecar_is_not_fought(site, mutating):
    mutating(sidecar(site.image("sidecar").pinned))
    site.deploy({"app/web.yaml": text(manifest(site))})
    assert len(site.running()) == 2 and web(site)["metadata"]["labels"]["mutated"] == "yes"
    site.requests.mark()
    site.controller.restart()
    site.kube.patch("apps/v1", "Deployment", site.namespace, "web", {"metadata": {"annotations": {"a": "b"}}}, manager="somebody")
    unfought(site)
    assert len(site.running()) == 2


def test_unsigned_sidecar_of_a_webhook_is_a_violation_that_is_named(site, mutating):
    evil = site.image("sidecar", signed=False).pinned
    mutating(sidecar(evil))
    site.deploy({"app/web.yaml": text(manifest(site))}, wait=False)
    site.wait_condition("Verified", "False", "app", said="sidecar")
    site.requests.mark()
    stays("the violation told", lambda: site.condition("Verified", "app"), lambda c: c["status"] == "False", seconds=4)
    assert len(site.governed()) <= 4, "a mutation that comes back with each write is not fought in a hot loop"


# --- an image that Git leaves to an updater -------------------------------------------------------------------------------------

IMAGE = [{"group": "apps", "kind": "Deployment", "jsonPointers": ["/spec/template/spec/containers/0/image"]}]


def set_image(site, ref):
    site.kube.patch("apps/v1", "Deployment", site.namespace, "web", {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": ref}]}}}},
                    manager="updater")


def test_ignored_image_may_be_moved_to_a_signed_one(site):
    site.deploy({"app/web.yaml": text(manifest(site))}, ignoreDifferences=IMAGE)
    other = site.image("web", "2")
    site.requests.mark()
    set_image(site, f"{other.ref}@{other.digest}" if "@" not in other.ref else other.ref)
    unfought(site)
    assert other.digest in site.running()[0]


def test_ignored_image_that_becomes_an_unsigned_one_is_a_violation_and_goes(site):
    site.deploy({"app/web.yaml": text(manifest(site))}, ignoreDifferences=IMAGE)
    good = site.running()
    evil = site.image("evil", signed=False)
    set_image(site, evil.ref)
    until("the unsigned image to go", site.running, lambda seen: seen == good, seconds=5)
    drift = until("the drift record", lambda: site.records("drift", 0, "app"))
    assert "updater" in json.dumps(drift) and "evil" in json.dumps(drift), drift


def ignoring(**what):
    return [{"group": "apps", "kind": "Deployment", **what}]


@pytest.mark.parametrize("what", [
    ignoring(jsonPointers=["/metadata/labels"]), ignoring(jsonPointers=["/metadata/labels/countersign.dev~1app"]),
    ignoring(jsonPointers=["/metadata/labels", "/metadata/annotations", "/spec"]), ignoring(managedFieldsManagers=["kubectl"]),
], ids=["labels", "our label", "almost all", "the other's fields"])
def test_nothing_that_is_ignored_lets_an_unsigned_image_stay(site, what):
    site.deploy({"app/web.yaml": text(manifest(site))}, ignoreDifferences=what)
    good, label = site.running(), {"metadata": {"labels": {"countersign.dev/app": None}}}
    site.kube.patch("apps/v1", "Deployment", site.namespace, "web", label, manager="kubectl")
    until("our label to be back", lambda: web(site)["metadata"].get("labels", {}), lambda labels: "countersign.dev/app" in labels, seconds=5)
    set_image(site, site.image("evil", signed=False).pinned)
    until("the unsigned image to go", site.running, lambda seen: seen == good, seconds=5)


def test_our_own_fields_cannot_be_ignored(site):
    repo = site.repo({"app/web.yaml": text(manifest(site))})
    site.kube.apply(site.team.application("app", repo, "app", ignoreDifferences=ignoring(managedFieldsManagers=["countersign"])))
    seen = site.wait_condition("Synced", "False", "app", reason="InvalidSpec")
    assert "managedFieldsManagers" in seen["message"], seen


def test_two_fields_of_one_container_can_be_ignored_from_now_on(site):
    container = {"name": "main", "image": site.image("web").ref, "env": [{"name": "A", "value": "1"}], "args": ["x"]}
    site.deploy({"app/web.yaml": text(deployment("web", container["image"], containers=[container]))})
    item = "/spec/template/spec/containers/0"
    site.kube.patch_application(site.system, "app", {"spec": {"ignoreDifferences": ignoring(jsonPointers=[f"{item}/args", f"{item}/env"])}})
    until("the fields to be others'", lambda: [m["manager"] for m in web(site)["metadata"]["managedFields"]], lambda names: "countersign-released" in names)
    site.settled("app")
    assert web(site)["spec"]["template"]["spec"]["containers"][0]["args"] == ["x"]


def test_ignored_image_set_to_gits_own_tag_runs_what_the_tag_says_now_and_goes(site):
    good = site.image("web")
    site.deploy({"app/web.yaml": text(manifest(site))}, ignoreDifferences=IMAGE)
    before = site.running()
    site.registry.crane("copy", site.image("evil", signed=False).pinned, good.ref)
    set_image(site, good.ref)
    until("the tag to go", site.running, lambda seen: seen == before, seconds=5)


def add_container(site, ref):
    path = site.kube.path("apps/v1", "Deployment", site.namespace, "web")
    site.kube.request("PATCH", f"{path}?fieldManager=somebody", {"spec": {"template": {"spec": {"containers": [{"name": "extra", "image": ref}]}}}},
                      "application/strategic-merge-patch+json")


@pytest.mark.parametrize("name", ["of_git", "of_another"])
def test_signed_image_that_somebody_adds_by_its_tag_goes(site, name):
    site.deploy({"app/web.yaml": text(manifest(site))})
    add_container(site, site.image("web" if name == "of_git" else "other").ref)
    until("it to go", site.running, lambda seen: len(seen) == 1, seconds=5)


EXEMPTS = {"exemptions": [{"glob": "**", "namespaces": ["*"], "reason": "migrates", "expires": "2099-01-01T00:00:00Z"}]}


@pytest.mark.parametrize("more", [EXEMPTS, {"mode": "warn"}], ids=["exempts", "warns"])
def test_signed_image_that_somebody_adds_by_its_tag_goes_though_another_policy(site, keys, more):
    site.kube.apply(image_policy(site.system, "another", [f"{site.registry.address}/{site.name}/other"], [keys("partner", "rsa3072")], **more))
    site.deploy({"app/web.yaml": text(manifest(site))})
    add_container(site, site.image("other").ref)
    until("it to go", site.running, lambda seen: len(seen) == 1, seconds=5)
    site.settled("app")


def test_signed_image_that_somebody_adds_by_its_tag_stays_where_policies_only_warn(new_site):
    site = new_site().install(policy=False)
    site.kube.apply(image_policy(site.system, "lenient", [f"{site.registry.address}/{site.name}/**"], [site.key], mode="warn"))
    site.controller.start()
    site.deploy({"app/web.yaml": text(manifest(site))})
    site.requests.mark()
    add_container(site, site.image("other").ref)
    unfought(site)
    assert len(site.running()) == 2


def test_signed_sidecar_of_a_webhook_that_names_a_tag_is_told_with_the_digest_to_name(site, mutating):
    image = site.image("sidecar")
    mutating(sidecar(image.ref))
    site.deploy({"app/web.yaml": text(manifest(site))}, wait=False)
    site.wait_condition("Verified", "False", "app", said=image.digest, reason="NotPinned")


def test_unsigned_image_behind_a_label_that_was_taken_off_while_we_were_away_is_a_violation(site):
    site.deploy({"app/web.yaml": text(manifest(site), config_map("config"))}, automated={"prune": True})
    site.controller.stop()
    evil = site.image("evil", signed=False)
    site.kube.patch("apps/v1", "Deployment", site.namespace, "web", {"metadata": {"labels": {"countersign.dev/app": None}}}, manager="somebody")
    add_container(site, evil.pinned)
    site.kube.delete("v1", "ConfigMap", site.namespace, "config")
    site.controller.start()
    site.wait_condition("Verified", "False", "app", said=evil.digest)
    said = site.wait_condition("Synced", "False", "app", said="somebody")["message"]
    assert "ConfigMap" in said and said.count("was deleted by somebody") == 1, said
    drift = {r["objects"][0]["name"]: r["reason"] for r in site.records("drift", 0, "app")}
    assert "deleted" in drift["config"] and "deleted" not in drift["web"], drift


def test_unsigned_ephemeral_container_is_a_violation_and_its_pod_made_anew_when_it_is_deleted(site):
    good, bad = site.image("web"), site.image("bad", signed=False)
    site.deploy({"app/pod.yaml": text(obj("v1", "Pod", "w", spec={"containers": [{"name": "main", "image": good.ref}]}))}, wait=False)
    site.wait_condition("Synced", "True", "app")
    site.kube.patch("v1", "Pod", site.namespace, "w", {"spec": {"ephemeralContainers": [{"name": "debug", "image": bad.ref}]}}, manager="kubectl-debug",
                    subresource="ephemeralcontainers")
    site.wait_condition("Verified", "False", "app", said=bad.ref, seconds=5)
    told = site.wait_condition("Synced", "False", "app", said="delete the object, and it is made anew without it", reason="CannotBeTakenOut")["message"]
    assert told.count("delete the object") == 1, told
    site.kube.delete("v1", "Pod", site.namespace, "w")
    until("a Pod without it", lambda: site.find("v1", "Pod", "w"), lambda pod: pod and "ephemeralContainers" not in pod["spec"], seconds=60)
    site.wait_condition("Verified", "True", "app")
