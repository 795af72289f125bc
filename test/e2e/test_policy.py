"""Image policies: which apply, what passes them, and every place where an image can hide."""

import base64
import contextlib
import datetime
import hashlib
import time

import pytest

from harness.images import is_pinned
from harness.kube import images
from harness.manifests import config_map, deployment, text, wave
from harness.tenant import image_policy, obj, reads
from harness.wait import stays, until
from harness.web import total

EVIL_PLACES = {
    "containers": lambda good, evil: {"containers": [{"name": "a", "image": good}, {"name": "b", "image": evil}]},
    "initContainers": lambda good, evil: {"containers": [{"name": "a", "image": good}], "initContainers": [{"name": "b", "image": evil}]},
    "image volume": lambda good, evil: {"containers": [{"name": "a", "image": good}],
                                        "volumes": [{"name": "v", "image": {"reference": evil, "pullPolicy": "Always"}}]},
}


def workload(kind, pod, name="web"):
    meta = {"labels": {"app": name}}
    selector = {"matchLabels": {"app": name}}
    pod = {**pod, "restartPolicy": "Never"} if kind in ("Job", "CronJob", "Pod") else pod
    template = {"metadata": meta, "spec": pod}
    specs = {
        "Deployment": ("apps/v1", {"selector": selector, "template": template}),
        "StatefulSet": ("apps/v1", {"selector": selector, "serviceName": name, "template": template}),
        "DaemonSet": ("apps/v1", {"selector": selector, "template": template}),
        "Job": ("batch/v1", {"template": template}),
        "CronJob": ("batch/v1", {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": template}}}),
        "Pod": ("v1", pod),
    }
    version, spec = specs[kind]
    return obj(version, kind, name, spec=spec)


@pytest.fixture
def pair(site):
    return site.image("good"), site.image("evil", signed=False)


@pytest.mark.parametrize("place", EVIL_PLACES)
@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "Pod"])
def test_unsigned_image_is_found_in_every_place_of_every_workload(shared_site, kind, place):
    site, name = shared_site, f"{kind}-{place}".lower().replace(" ", "-")
    good, evil = site.image("good"), site.image("evil", signed=False)
    manifest = workload(kind, EVIL_PLACES[place](good.ref, evil.ref), name)
    site.deploy({"app/web.yaml": text(manifest)}, name=name, wait=False)
    site.wait_condition("Verified", "False", name, said=evil.digest)
    assert site.find(manifest["apiVersion"], kind, name) is None


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet", "CronJob"])
def test_signed_images_are_pinned_in_every_place(shared_site, kind):
    site, name = shared_site, f"good-{kind}".lower()
    one, two = site.image("one"), site.image("two")
    pod = {"containers": [{"name": "a", "image": one.ref}], "initContainers": [{"name": "b", "image": two.ref}],
           "volumes": [{"name": "v", "image": {"reference": one.ref}}]}
    manifest = workload(kind, pod, name)
    site.deploy({"app/web.yaml": text(manifest)}, name=name, wait=False)
    found = until(f"the {kind}", lambda: site.find(manifest["apiVersion"], kind, name))
    seen = images(found)
    assert len(seen) == 3 and all(is_pinned(i) for i in seen), seen
    assert [i.rsplit("@", 1)[1] for i in seen] == [one.digest, two.digest, one.digest]


def test_unsigned_image_inside_a_list_is_found(site, pair):
    good, evil = pair
    items = [deployment("good", good.ref), deployment("evil", evil.ref)]
    site.deploy({"app/list.yaml": text({"apiVersion": "v1", "kind": "List", "items": items})}, wait=False)
    site.wait_condition("Verified", "False", "app", said=evil.digest)
    assert site.find("apps/v1", "Deployment", "good") is None


def custom(site, schema):
    """A custom kind of the test's own, which the team may write and the controller may read."""
    group = f"{site.name}.example"
    crd = obj("apiextensions.k8s.io/v1", "CustomResourceDefinition", f"runs.{group}", spec={
        "group": group, "scope": "Namespaced", "names": {"kind": "Run", "plural": "runs", "singular": "run", "listKind": "RunList"},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object", "properties": {
            "spec": schema}}}}]})
    site.kube.apply(crd)
    reads(site.kube, site.system, group, ["runs"])
    site.team.rules = [*site.team.rules, {"apiGroups": [group], "resources": ["runs"], "verbs": ["*"]}]
    site.kube.apply(*site.team.rights())
    until("the custom kind", lambda: site.kube.resource(f"{group}/v1", "Run"))
    return group, crd


OPEN = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def test_pod_shape_in_a_custom_resource_is_found(site, pair):
    _, evil = pair
    group, crd = custom(site, OPEN)
    run = obj(f"{group}/v1", "Run", "run", spec={"deep": {"template": {"spec": {"containers": [{"name": "a", "image": evil.ref}]}}}})
    try:
        site.deploy({"app/run.yaml": text(run)}, wait=False)
        site.wait_condition("Verified", "False", "app", said=evil.digest)
        assert site.find(f"{group}/v1", "Run", "run") is None
    finally:
        site.kube.delete(crd["apiVersion"], crd["kind"], None, crd["metadata"]["name"])


def test_custom_resource_may_leave_the_image_of_a_container_to_its_operator(site):
    """As those of ECK and of the Prometheus operator do; but what somebody puts in there is an image like any other."""
    group, crd = custom(site, OPEN)
    pod = {"template": {"spec": {"containers": [{"name": "elasticsearch", "tty": True}, {"name": "web", "image": site.image("web").ref}]}}}
    try:
        site.deploy({"app/run.yaml": text(obj(f"{group}/v1", "Run", "run", spec=pod))})
        evil = site.image("evil", signed=False)
        site.kube.patch(f"{group}/v1", "Run", site.namespace, "run", [{"op": "add", "path": "/spec/template/spec/containers/0/image", "value": evil.ref}])
        until("the image to go", lambda: site.find(f"{group}/v1", "Run", "run")["spec"]["template"]["spec"]["containers"][0],
              lambda seen: seen == {"name": "elasticsearch", "tty": True})
        site.settled("app")
    finally:
        site.kube.delete(crd["apiVersion"], crd["kind"], None, crd["metadata"]["name"])


def test_path_that_a_policy_names_is_an_image(site, pair):
    good, evil = pair
    group, crd = custom(site, OPEN)
    site.kube.apply(image_policy(site.system, "release", [f"{site.registry.address}/{site.name}/**"], [site.key],
                                 customResources=[{"group": group, "kind": "Run", "imagePaths": [".spec.runner"]}]))
    try:
        repo = site.deploy({"app/run.yaml": text(obj(f"{group}/v1", "Run", "run", spec={"runner": evil.ref}))}, wait=False)
        site.wait_condition("Verified", "False", "app", said=evil.digest)
        repo.push("signed", repo.replace("app/run.yaml", evil.ref, good.ref))
        found = until("the custom object", lambda: site.find(f"{group}/v1", "Run", "run"), seconds=20)
        assert found["spec"]["runner"].endswith("@" + good.digest), found["spec"]
    finally:
        site.kube.delete(crd["apiVersion"], crd["kind"], None, crd["metadata"]["name"])


def test_no_policy_that_matches_means_deny(new_site):
    site = new_site().install(policy=False)
    site.controller.start()
    image = site.image("web")
    site.deploy({"app/web.yaml": text(deployment("web", image.ref))}, wait=False)
    seen = site.wait_condition("Verified", "False", "app", said=f"{site.name}/web")
    assert "policy" in seen["message"].lower(), seen["message"]


def test_all_policies_that_apply_must_pass(site, keys):
    site.kube.apply(image_policy(site.system, "second", [f"{site.registry.address}/**"], [keys("partner", "rsa3072")]))
    image = site.image("web")
    site.deploy({"app/web.yaml": text(deployment("web", image.ref))}, wait=False)
    seen = site.wait_condition("Verified", "False", "app", said=image.digest)
    assert "second" in seen["message"], seen["message"]
    image.sign(keys("partner", "rsa3072"))
    site.settled("app", seconds=70)


@pytest.mark.parametrize("glob,applies", [
    ("{registry}/{name}/*", True), ("{registry}/*", False), ("{registry}/{name}/web:1", True), ("{registry}/{name}/web:2", False),
    ("{registry}/{name}/web@{digest}", True),
], ids=["one_level", "star_does_not_cross_slash", "with_tag", "with_another_tag", "with_digest"])
def test_globs_are_matched_by_name_tag_and_digest(new_site, glob, applies):
    site = new_site().install(policy=False)
    image = site.image("web")
    pattern = glob.format(registry=site.registry.address, name=site.name, digest=image.digest)
    site.kube.apply(image_policy(site.system, "glob", [pattern], [site.key]))
    site.controller.start()
    site.deploy({"app/web.yaml": text(deployment("web", image.ref))}, wait=applies)
    if not applies:
        site.wait_condition("Verified", "False", "app", said=f"{site.name}/web")


def test_warn_lets_a_failed_signature_pass_and_says_so_everywhere(new_site):
    site = new_site().install(policy=False)
    site.kube.apply(image_policy(site.system, "lenient", [f"{site.registry.address}/{site.name}/**"], [site.key], mode="warn"))
    site.controller.start()
    evil = site.image("web", signed=False)
    site.deploy({"app/web.yaml": text(deployment("web", evil.ref))}, wait=False)
    site.wait_running(evil)
    seen = site.wait_condition("Verified", "False", "app", reason="PolicyWarning")
    assert evil.digest in seen["message"]
    ready = site.wait_condition("Ready", "True", "app")
    assert "PolicyWarning" in ready["reason"] + ready["message"], ready
    assert is_pinned(site.running()[0])
    intents = site.records("sync.intent", 0, "app")
    assert any(i["digest"] == evil.digest and i["verdict"] == "warn" for r in intents for i in r["images"]), intents


def test_warn_still_needs_a_registry_that_answers(new_site, stack):
    site = new_site().install(policy=False)
    site.kube.apply(image_policy(site.system, "lenient", [f"{site.registry.address}/{site.name}/**"], [site.key], mode="warn"))
    site.controller.start()
    evil = site.image("web", signed=False)
    with stack.registry_fault(f"503 /{site.name}/web/manifests/"):
        site.deploy({"app/web.yaml": text(deployment("web", evil.ref))}, wait=False)
        site.wait_condition("Verified", "Unknown", "app", reason="FetchError")


def exemption(site, **fields):
    return [{"glob": f"{site.registry.address}/{site.name}/old/**", "namespaces": [site.namespace], "reason": "migrates in March",
             "expires": when(hours=1), **fields}]


def when(**delta):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(**delta)).strftime("%Y-%m-%dT%H:%M:%SZ")


def exempting_policy(site, **fields):
    return image_policy(site.system, "exempting", [f"{site.registry.address}/{site.name}/**"], [site.key], exemptions=exemption(site, **fields))


def exempting(new_site, **fields):
    site = new_site().install(policy=False)
    site.kube.apply(exempting_policy(site, **fields))
    site.controller.start()
    image = site.image("old/web", signed=False)
    site.deploy({"app/web.yaml": text(deployment("web", image.ref))}, wait=False)
    return site, image


def test_exemption_lets_its_images_pass_and_is_in_the_record(new_site):
    site, image = exempting(new_site)
    site.wait_running(image)
    site.wait_condition("Verified", "True", "app", reason="Exempted")
    records = str(site.records("sync.intent", 0, "app"))
    assert "migrates in March" in records and is_pinned(site.running()[0])


@pytest.mark.parametrize("fields", [{"expires": "2020-01-01T00:00:00Z"}, {"namespaces": ["elsewhere"]}, {"glob": "other.example/**"}],
                         ids=["expired", "other_namespace", "other_image"])
def test_exemption_does_not_reach_further(new_site, fields):
    site, image = exempting(new_site, **fields)
    site.wait_condition("Verified", "False", "app", said=image.digest)


def test_exemption_of_a_tag_is_none_of_a_digest_that_is_written_beside_it(new_site):
    site, _ = exempting(new_site, glob="*/**/old/web:1")
    site.wait_condition("Verified", "True", "app", reason="Exempted")
    other = site.image("old/web", tag="dev", signed=False)
    site.deploy({"app/web.yaml": text(deployment("other", f"{other.ref.rsplit(':', 1)[0]}:1@{other.digest}"))}, name="other", wait=False)
    site.wait_condition("Verified", "False", "other", said=other.digest)


def test_exemption_that_expires_while_it_is_in_use_ends(new_site):
    site, image = exempting(new_site)
    site.wait_condition("Verified", "True", "app", reason="Exempted")
    site.kube.apply(exempting_policy(site, expires=when(seconds=8)))
    site.wait_condition("Verified", "False", "app", said=image.digest, seconds=30)


def test_exemption_that_ends_while_its_application_is_being_deleted_makes_no_circle(ready_site):
    site = ready_site
    held = config_map("held")
    held["metadata"]["finalizers"] = ["example.com/held"]
    site.kube.delete("countersign.dev/v1alpha1", "ImagePolicy", site.system, "release")
    site.kube.apply(exempting_policy(site, expires=when(seconds=8)))
    image = site.image("old/web", signed=False)
    repo = site.repo({"app/web.yaml": text(deployment("web", image.ref)), "app/held.yaml": text(held)})
    application = site.team.application("app", repo, "app")
    application["metadata"]["finalizers"] = ["resources-finalizer.countersign.dev"]
    site.kube.apply(application)
    site.wait_condition("Verified", "True", "app", reason="Exempted", seconds=5)
    site.kube.delete("countersign.dev/v1alpha1", "Application", site.system, "app")
    until("the deletion to be held", lambda: site.find("v1", "ConfigMap", "held")["metadata"], lambda found: found.get("deletionTimestamp"))
    runs = lambda: total(site.web.metrics(), "countersign_runs_total")
    try:
        time.sleep(8)
        before = runs()
        time.sleep(3)
        assert runs() - before < 20, f"{runs() - before} runs within 3 s"
    finally:
        site.kube.patch("v1", "ConfigMap", site.namespace, "held", {"metadata": {"finalizers": None}})
    until("the Application to be gone", lambda: site.kube.find("countersign.dev/v1alpha1", "Application", site.system, "app"), lambda found: found is None)


def test_unknown_field_makes_a_policy_invalid_and_what_it_governs_denied(site):
    policy = image_policy(site.system, "release", [f"{site.registry.address}/{site.name}/**"], [site.key], requireUnicorns=True)
    site.kube.apply(policy)
    image = site.image("web")
    site.deploy({"app/web.yaml": text(deployment("web", image.ref))}, wait=False)
    seen = site.wait_condition("Verified", "False", "app", said="release")
    assert "requireUnicorns" in seen["message"], seen["message"]


def test_key_can_come_from_a_secret(new_site):
    site = new_site().install(policy=False)
    site.kube.apply(obj("v1", "Secret", "release-key", site.system, stringData={"cosign.pub": site.key.pem}))
    policy = image_policy(site.system, "release", [f"{site.registry.address}/{site.name}/**"], [])
    policy["spec"]["authorities"] = [{"name": "release", "key": {"secretRef": {"name": "release-key", "key": "cosign.pub"}}}]
    site.kube.apply(policy)
    site.controller.start()
    image = site.image("web")
    site.deploy({"app/web.yaml": text(deployment("web", image.ref))})
    site.wait_running(image)
    signed = [i for r in site.records("sync.intent", 0, "app") for i in r["images"]]
    der = base64.b64decode("".join(site.key.pem.splitlines()[1:-1]))
    assert [i["key_sha256"] for i in signed] == [hashlib.sha256(der).hexdigest()], "a Secret may be replaced: which key it was stands in the record"


@pytest.fixture
def keyed(new_site):
    """An installation whose policy takes its key from a Secret."""
    site = new_site().install(policy=False)
    policy = image_policy(site.system, "release", [f"{site.registry.address}/{site.name}/**"], [])
    policy["spec"]["authorities"] = [{"name": "release", "key": {"secretRef": {"name": "release-key", "key": "cosign.pub"}}}]
    site.kube.apply(policy, key_secret(site, site.key))
    site.controller.start()
    return site


def key_secret(site, key):
    return obj("v1", "Secret", "release-key", site.system, stringData={"cosign.pub": key.pem})


def test_key_replaced_in_its_secret_makes_what_runs_a_violation_and_is_recorded(keyed, keys):
    image = keyed.image("web")
    keyed.deploy({"app/web.yaml": text(deployment("web", image.ref))})
    since = keyed.log.next_seq()
    keyed.kube.apply(key_secret(keyed, keys("partner", "rsa3072")))
    keyed.wait_condition("Verified", "False", "app", said=image.digest, seconds=10)
    changes = keyed.log.records("config.change", since=since)
    assert [(c["config"]["kind"], c["config"]["name"]) for c in changes] == [("Secret", "release-key")], changes


def test_key_secret_that_goes_makes_what_runs_a_violation_until_it_is_back(keyed):
    keyed.deploy({"app/web.yaml": text(deployment("web", keyed.image("web").ref))})
    keyed.kube.delete("v1", "Secret", keyed.system, "release-key")
    keyed.wait_condition("Verified", "False", "app", said="release-key", seconds=10)
    keyed.kube.apply(key_secret(keyed, keyed.key))
    keyed.settled("app", seconds=5)


def test_policy_in_another_namespace_counts_for_nothing(new_site):
    site = new_site().install(policy=False)
    image = site.image("web", signed=False)
    site.kube.apply(image_policy(site.namespace, "own-gate", ["**"], [site.key], mode="warn"))
    site.controller.start()
    site.deploy({"app/web.yaml": text(deployment("web", image.ref))}, wait=False)
    site.wait_condition("Verified", "False", "app", said=image.ref, reason="NoPolicy")


def test_tightened_policy_makes_what_runs_a_violation(site, keys):
    image = site.image("web")
    site.deploy({"app/web.yaml": text(deployment("web", image.ref))})
    since = site.log.next_seq()
    site.kube.apply(image_policy(site.system, "release", [f"{site.registry.address}/{site.name}/**"], [keys("partner", "rsa3072")]))
    site.wait_condition("Verified", "False", "app", said=image.digest, seconds=30)
    changes = site.log.records("config.change", since=since)
    assert [(c["config"]["name"], c["config"]["op"]) for c in changes] == [("release", "update")], changes
    assert changes[0]["actor"]["type"] == "manager" and changes[0]["actor"]["user"] and changes[0]["actor"]["time"], changes


def test_unsigned_sidecar_is_told_and_recorded_though_the_newest_revision_is_refused(site):
    repo = site.deploy({"app/web.yaml": text(deployment("web", site.image("web").ref))}, automated={"prune": True})
    evil = site.image("evil", signed=False)
    repo.push("evil", {"app/evil.yaml": text(deployment("evil", evil.ref))})
    site.wait_condition("Verified", "False", "app", said=evil.digest)
    path = site.kube.path("apps/v1", "Deployment", site.namespace, "web")
    site.kube.request("PATCH", f"{path}?fieldManager=somebody", {"spec": {"template": {"spec": {"containers": [{"name": "extra", "image": evil.pinned}]}}}},
                      "application/strategic-merge-patch+json")
    seen = site.wait_condition("Verified", "False", "app", said="in the cluster, not in Git: container extra", seconds=30)
    assert "app/evil.yaml" in seen["message"], seen
    until("the record", lambda: site.records("sync.denied", 0, "app"), lambda found: "container extra" in found[-1]["message"])


def sidecar(site, **fields):
    path = site.kube.path("apps/v1", "Deployment", site.namespace, "web")
    site.kube.request("PATCH", f"{path}?fieldManager=somebody", {"spec": {"template": {"spec": {"containers": [{"name": "extra", **fields}]}}}},
                      "application/strategic-merge-patch+json")


def test_unsigned_sidecar_that_somebody_takes_out_again_is_told_no_more(site):
    site.deploy({"app/web.yaml": text(deployment("web", site.image("web").ref))}, automated={"prune": True})
    sidecar(site, image=site.image("evil", signed=False).pinned)
    site.wait_condition("Verified", "False", "app", said="in the cluster, not in Git: container extra")
    sidecar(site, **{"$patch": "delete"})
    site.settled("app")
    assert site.app("app")["status"]["resources"] == []


def test_unsigned_sidecar_that_somebody_takes_out_again_is_told_no_more_though_the_newest_revision_is_refused(site):
    """For good, so that no later try tells it anew; other drift stays told."""
    repo = site.deploy({"app/web.yaml": text(deployment("web", site.image("web").ref)), "app/a.yaml": text(config_map("a"))}, automated={"prune": True})
    repo.push("not allowed", {"app/role.yaml": text(obj("rbac.authorization.k8s.io/v1", "ClusterRole", "wide", rules=[]))})
    site.wait_condition("Synced", "False", "app", said="ClusterRole")
    before = site.condition("Verified", "app")["status"]
    told = lambda: [one["name"] for one in site.app("app")["status"].get("resources", [])]
    sidecar(site, image=site.image("evil", signed=False).pinned)
    site.wait_condition("Verified", "False", "app", said="in the cluster, not in Git: container extra")
    assert told() == ["web"]
    sidecar(site, **{"$patch": "delete"})
    site.wait_condition("Verified", before, "app")
    until("no object to be told of", told, lambda names: names == [])
    sidecar(site, image=site.image("evil", "2", signed=False).pinned)
    site.wait_condition("Verified", "False", "app", said="in the cluster, not in Git: container extra")
    site.kube.patch("v1", "ConfigMap", site.namespace, "a", {"data": {"key": "changed"}}, manager="somebody")
    until("both to be told of", told, lambda names: sorted(names) == ["a", "web"])
    sidecar(site, **{"$patch": "delete"})
    site.wait_condition("Verified", before, "app")
    until("the other to be told of", told, lambda names: names == ["a"])


def test_unsigned_image_in_what_git_declares_no_longer_is_a_violation(site):
    left = deployment("left", site.image("left").ref)
    left["metadata"]["annotations"] = {"argocd.argoproj.io/compare-options": "IgnoreExtraneous"}
    repo = site.deploy({"app/web.yaml": text(deployment("web", site.image("web").ref)), "app/left.yaml": text(left)}, automated={"selfHeal": True})
    site.synced_at(repo.push("less", {"app/left.yaml": None}), "app")
    site.kube.patch("apps/v1", "Deployment", site.namespace, "left", {"spec": {"replicas": 2}}, manager="somebody")
    stays("in order", lambda: site.condition("Verified", "app")["status"], lambda status: status == "True", seconds=2)
    evil = site.image("evil", signed=False)
    path = site.kube.path("apps/v1", "Deployment", site.namespace, "left")
    site.kube.request("PATCH", f"{path}?fieldManager=somebody", {"spec": {"template": {"spec": {"containers": [{"name": "extra", "image": evil.pinned}]}}}},
                      "application/strategic-merge-patch+json")
    site.wait_condition("Verified", "False", "app", said="container extra of Deployment")
    site.kube.delete("apps/v1", "Deployment", site.namespace, "left")
    site.wait_condition("Verified", "True", "app")


def test_unsigned_image_in_two_objects_is_a_violation_until_it_is_out_of_both(site):
    left = deployment("left", site.image("left").ref)
    repo = site.deploy({"app/web.yaml": text(deployment("web", site.image("web").ref)), "app/left.yaml": text(left)}, automated={"selfHeal": True})
    commit = repo.push("less", {"app/left.yaml": None})
    site.compared_at(commit, "app")
    evil = site.image("evil", signed=False)
    site.controller.stop()
    for name in ("web", "left"):
        path = site.kube.path("apps/v1", "Deployment", site.namespace, name)
        site.kube.request("PATCH", f"{path}?fieldManager=somebody", {"spec": {"template": {"spec": {"containers": [{"name": "extra", "image": evil.pinned}]}}}},
                          "application/strategic-merge-patch+json")
    site.controller.start()
    until("web to be healed", lambda: site.running(), lambda seen: len(seen) == 1)
    site.wait_condition("Verified", "False", "app", said="container extra of Deployment")
    stays("a violation", lambda: site.condition("Verified", "app")["status"], lambda status: status == "False", seconds=2)


WAITS = {"policies": "yes"}


@contextlib.contextmanager
def waiting(site, second):
    """A sync whose first wave waits for its health, and whose second runs that image; yields what lets it go on."""
    site.deploy({"app/a.yaml": text(wave(deployment("first", site.image("first").ref, nodeSelector=WAITS), 0)),
                 "app/b.yaml": text(wave(deployment("second", second.ref), 1))}, wait=False)
    site.wait_condition("Synced", "Unknown", "app", reason="WaitingForHealth")
    node = site.kube.list("v1", "Node")[0]["metadata"]["name"]
    try:
        yield lambda: site.kube.patch("v1", "Node", None, node, {"metadata": {"labels": WAITS}})
    finally:
        site.kube.patch("v1", "Node", None, node, {"metadata": {"labels": dict.fromkeys(WAITS)}})


def is_not_written(site):
    stays("the later wave unwritten", lambda: site.find("apps/v1", "Deployment", "second"), lambda found: found is None)


def test_key_that_is_no_longer_trusted_lets_no_later_wave_be_written(site, keys):
    second = site.image("second")
    with waiting(site, second) as release:
        site.kube.apply(image_policy(site.system, "release", [f"{site.registry.address}/{site.name}/**"], [keys("partner", "rsa3072")]))
        release()
        site.wait_condition("Verified", "False", "app", said=second.digest, seconds=5)
        is_not_written(site)


def test_exemption_that_ends_lets_no_later_wave_be_written(new_site):
    site = new_site().install(policy=False)
    site.kube.apply(exempting_policy(site, expires=when(seconds=12)))
    site.controller.start()
    second = site.image("old/second", signed=False)
    with waiting(site, second) as release:
        site.wait_condition("Verified", "False", "app", said=second.digest, seconds=20)
        release()
        is_not_written(site)


def test_policy_that_changes_during_a_sync_and_still_holds_lets_it_end(site, keys):
    second = site.image("second")
    with waiting(site, second) as release:
        site.kube.apply(image_policy(site.system, "release", [f"{site.registry.address}/{site.name}/**"], [site.key, keys("partner", "rsa3072")]))
        release()
        site.settled("app", seconds=20)
        site.wait_running(second, "second")


def test_application_without_images_is_verified_saying_so(site):
    site.deploy({"app/config.yaml": text(config_map("config"))})
    assert site.condition("Verified", "app")["reason"] == "NoImages"


def test_image_by_digest_needs_no_tag(site):
    image = site.image("web")
    site.deploy({"app/web.yaml": text(deployment("web", image.pinned))})
    site.wait_running(image)


def test_annotation_that_claims_verification_changes_nothing(site):
    evil = site.image("web", signed=False)
    manifest = deployment("web", evil.ref)
    manifest["metadata"]["annotations"] = {"countersign.dev/verified": "true", "kyverno.io/verify-images": '{"*":true}'}
    site.deploy({"app/web.yaml": text(manifest)}, wait=False)
    site.wait_condition("Verified", "False", "app", said=evil.digest)
