"""An unsigned image in every position that a kubelet would run it from, and the ways to hide one: found, denied, and named by its line."""

import base64
import json
import zlib

import pytest

from harness.manifests import deployment, text
from harness.tenant import API, obj, reads
from harness.wait import stays, until

DIGEST = "sha256:" + "ab" * 32


def container(image, name="main"):
    return {"name": name, "image": image}


def pod_with(good, **more):
    return {"containers": [container(good)], "restartPolicy": "Never", **more}


POSITIONS = {
    "container": lambda good, bad: pod_with(good, containers=[container(good), container(bad, "bad")]),
    "init_container": lambda good, bad: pod_with(good, initContainers=[container(bad, "bad")]),
    "sidecar": lambda good, bad: pod_with(good, initContainers=[container(bad, "bad") | {"restartPolicy": "Always"}]),
    "ephemeral_container": lambda good, bad: pod_with(good, ephemeralContainers=[container(bad, "bad")]),
    "image_volume": lambda good, bad: pod_with(good, volumes=[{"name": "bad", "image": {"reference": bad}}]),
}


def workload(kind, spec):
    labels = {"matchLabels": {"a": "b"}}
    template = {"metadata": {"labels": {"a": "b"}}, "spec": spec}
    job = {"template": template}
    always = {"template": {**template, "spec": {**spec, "restartPolicy": "Always"}}, "selector": labels}
    return {
        "Pod": lambda: obj("v1", "Pod", "w", spec=spec),
        "PodTemplate": lambda: obj("v1", "PodTemplate", "w", template=template),
        "ReplicationController": lambda: obj("v1", "ReplicationController", "w", spec={**always, "selector": {"a": "b"}}),
        "Deployment": lambda: obj("apps/v1", "Deployment", "w", spec=always),
        "ReplicaSet": lambda: obj("apps/v1", "ReplicaSet", "w", spec=always),
        "StatefulSet": lambda: obj("apps/v1", "StatefulSet", "w", spec={**always, "serviceName": "w"}),
        "DaemonSet": lambda: obj("apps/v1", "DaemonSet", "w", spec=always),
        "Job": lambda: obj("batch/v1", "Job", "w", spec=job),
        "CronJob": lambda: obj("batch/v1", "CronJob", "w", spec={"schedule": "0 0 * * *", "jobTemplate": {"spec": job}}),
        "List": lambda: {"apiVersion": "v1", "kind": "List", "items": [obj("apps/v1", "Deployment", "w", spec=always)]},
    }[kind]()


KINDS = ["Pod", "PodTemplate", "ReplicationController", "Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "CronJob", "List"]
_made = {}


def good_and_bad(site):
    if site.name not in _made:
        _made[site.name] = site.image("good").ref, site.image("bad", signed=False).ref
    return _made[site.name]


def refused(site, name, manifest, said, line=None):
    """Deploys it as an Application of that name; its message must name the image, and nothing may be sent."""
    site.requests.mark()
    site.deploy({"app/w.yaml": manifest}, name=name, wait=False)
    seen = site.wait_condition("Verified", "False", name, said=said)
    assert "w.yaml:" + (str(line) if line else "") in seen["message"], seen["message"]
    site.nothing_sent(site.requests, seconds=0.5)


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_unsigned_image_is_denied_in(shared_site, kind, position):
    site = shared_site
    good, bad = good_and_bad(site)
    manifest = json.dumps(workload(kind, POSITIONS[position](good, bad)), indent=1)
    line = 1 + next(i for i, row in enumerate(manifest.splitlines()) if bad in row)
    refused(site, f"{kind}-{position}".lower().replace("_", "-"), manifest, bad, line)


def unsigned_digest(site):
    """Of an image that lies beside the signed one, in its own repository."""
    return site.registry.image(f"{site.name}/good", "unsigned", content="not signed").digest


# How an image that no policy allows, or that is unsigned, may be written: (what stands in Git, from the unsigned and the signed reference).
DISGUISES = {
    "tag_plus_digest_of_another": lambda site, good, bad: f"{good}@{DIGEST}",
    "signed_tag_and_unsigned_digest": lambda site, good, bad: f"{good}@{unsigned_digest(site)}",
    "docker_hub_by_short_name": lambda site, good, bad: "nginx",
    "docker_hub_by_library": lambda site, good, bad: "docker.io/library/nginx:latest",
    "docker_hub_by_index": lambda site, good, bad: "index.docker.io/nginx",
    "docker_hub_by_registry": lambda site, good, bad: "registry-1.docker.io/library/nginx",
    "upper_case_repository": lambda site, good, bad: good.replace("good", "GOOD"),
    "empty_tag": lambda site, good, bad: good.rsplit(":", 1)[0] + ":",
    "two_tags": lambda site, good, bad: good + ":1",
    "empty_digest": lambda site, good, bad: good + "@",
    "short_digest": lambda site, good, bad: good + "@sha256:abcd",
    "other_digest_algorithm": lambda site, good, bad: good + "@md5:" + "0" * 32,
    "unicode_look_alike": lambda site, good, bad: good.replace("good", "g\u043e\u043ed"),
    "full_width_colon": lambda site, good, bad: good.replace(":1", "\uff1a1"),
    "zero_width_space": lambda site, good, bad: good.replace("good", "go\u200bod"),
    "trailing_space": lambda site, good, bad: good + " ",
    "leading_newline": lambda site, good, bad: "\n" + good,
    "dot_segments": lambda site, good, bad: good.replace("/good", "/good/../bad"),
    "doubled_slash": lambda site, good, bad: good.replace("/good", "//bad"),
    "user_in_host": lambda site, good, bad: "registry@" + bad,
    "scheme": lambda site, good, bad: "http://" + good,
    "other_port": lambda site, good, bad: good.replace(site.registry.address, site.registry.address.split(":")[0] + ":1"),
}


@pytest.mark.parametrize("disguise", DISGUISES)
def test_disguised_image_is_denied(shared_site, disguise):
    site = shared_site
    good, bad = good_and_bad(site)
    image = DISGUISES[disguise](site, good, bad)
    manifest = text(deployment("w", image))
    site.requests.mark()
    site.deploy({"app/w.yaml": manifest}, name=f"hides-{disguise}".replace("_", "-"), wait=False)
    name = f"hides-{disguise}".replace("_", "-")
    # Unknown where there is no such image at all: refused just the same
    seen = until("the image to be refused", lambda: site.condition("Verified", name), lambda c: c["status"] in ("False", "Unknown") and "w.yaml:" in c["message"],
                 seconds=15)
    assert image.strip() in seen["message"] or json.dumps(image.strip())[1:-1] in seen["message"], seen["message"]
    site.nothing_sent(site.requests, seconds=0.5)


@pytest.mark.parametrize("field", ["Image", "IMAGE"])
def test_image_under_an_odd_case_key_is_no_way_in(shared_site, field):
    site = shared_site
    good, bad = good_and_bad(site)
    odd = deployment("w", good)
    odd["spec"]["template"]["spec"]["containers"] = [{"name": "main", "image": good, field: bad}]
    name = "odd-upper" if field.isupper() else "odd-title"
    site.deploy({"app/w.yaml": text(odd)}, name=name, wait=False)
    site.wait_condition("Synced", "False", name)
    live = site.find("apps/v1", "Deployment", "w")
    assert live is None or bad not in json.dumps(live["spec"]), live
    # What the API server refused is tried again, and the next tests watch for requests.
    site.kube.delete(API, "Application", site.system, name)


def crd(group, plural, kind):
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return obj("apiextensions.k8s.io/v1", "CustomResourceDefinition", f"{plural}.{group}", spec={
        "group": group, "scope": "Namespaced", "names": {"plural": plural, "singular": kind.lower(), "kind": kind},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}]})


def define(site, plural, kind):
    site.kube.apply(crd("hostile.example", plural, kind))
    reads(site.kube, site.system, "hostile.example", ["holders", "runners"])


@pytest.mark.parametrize("depth", [1, 3, 8])
def test_pod_shape_in_a_custom_resource_is_denied_at_depth(shared_site, depth):
    site = shared_site
    good, bad = good_and_bad(site)
    value = pod_with(good, initContainers=[container(bad, "bad")])
    for level in range(depth):
        value = {"inner": [value]} if level % 2 else {"inner": value}
    resource = obj("hostile.example/v1", "Holder", "w", spec=value)
    define(site, "holders", "Holder")
    refused(site, f"shape-{depth}", json.dumps(resource, indent=1), bad)


def test_image_at_a_path_that_a_policy_names_is_denied(shared_site):
    site = shared_site
    good, bad = good_and_bad(site)
    define(site, "runners", "Runner")
    policy = obj(API, "ImagePolicy", "paths", site.system, spec={
        "images": [{"glob": "nothing.example/**"}], "authorities": [{"name": "release", "key": {"data": site.key.pem}}],
        "customResources": [{"group": "hostile.example", "kind": "Runner", "imagePaths": [".spec.jobs[*].runs"]}]})
    site.kube.apply(policy)
    resource = obj("hostile.example/v1", "Runner", "w", spec={"jobs": [{"runs": good}, {"runs": bad}]})
    refused(site, "custom-path", json.dumps(resource, indent=1), bad)


@pytest.mark.parametrize("entry, more", [
    ({"imagePaths": [".spec.jobs[*].runs"]}, {"requireUnicorns": True}),
    ({"imagePaths": [".spec.jobs[?(@.runs)].runs"]}, {}),
    ({"paths": [".spec.jobs[*].runs"]}, {}),
], ids=["wrong elsewhere", "path with a filter", "paths under another name"])
def test_policy_that_is_wrong_hides_no_image_of_a_custom_resource(shared_site, entry, more):
    site = shared_site
    _, bad = good_and_bad(site)
    define(site, "runners", "Runner")
    site.kube.apply(obj(API, "ImagePolicy", "paths", site.system, spec={
        "images": [{"glob": "nothing.example/**"}], "authorities": [{"name": "release", "key": {"data": site.key.pem}}],
        "customResources": [{"group": "hostile.example", "kind": "Runner", **entry}], **more}))
    name = "wrong-" + "-".join([*entry, *more]).lower() + ("-filter" if "?" in str(entry) else "")
    resource = obj("hostile.example/v1", "Runner", name, spec={"jobs": [{"runs": bad}]})
    try:
        site.deploy({"app/w.json": json.dumps(resource)}, name=name, wait=False)
        site.wait_condition("Verified", "False", name)
        assert site.find("hostile.example/v1", "Runner", name) is None
    finally:
        site.kube.delete(API, "ImagePolicy", site.system, "paths")


@pytest.mark.parametrize("image", ["nginx", "docker.io/library/nginx:1", "127.0.0.1:1/other/image:1", f"127.0.0.1:1/other/image@{DIGEST}"])
def test_registry_that_no_policy_names_is_not_contacted(shared_site, image):
    name = "nowhere-" + "".join(c for c in image if c.isalnum())[:24].lower()
    shared_site.deploy({"app/w.yaml": text(deployment("w", image))}, name=name, wait=False)
    seen = shared_site.wait_condition("Verified", "False", name, said=image)
    assert "NoPolicy" in seen["message"] and "connect" not in seen["message"] and "resolve host" not in seen["message"], seen["message"]


@pytest.fixture
def runners(new_site):
    """A running installation whose policy names a path of a custom resource: runners(path) applies the policy."""
    site = new_site().install(rules=[{"apiGroups": ["hostile.example"], "resources": ["runners"], "verbs": ["*"]}])
    define(site, "runners", "Runner")
    site.controller.start()

    def name_path(path):
        site.kube.apply(obj(API, "ImagePolicy", "paths", site.system, spec={
            "images": [{"glob": "nothing.example/**"}], "authorities": [{"name": "release", "key": {"data": site.key.pem}}],
            "customResources": [{"group": "hostile.example", "kind": "Runner", "imagePaths": [path]}]}))

    site.name_path = name_path
    return site


def runner(site):
    return site.find("hostile.example/v1", "Runner", "w")["spec"]


def change(site, spec):
    """As a client would that calls itself by our own name, so that nothing but content tells."""
    site.kube.patch("hostile.example/v1", "Runner", site.namespace, "w", {"spec": spec}, manager="countersign")


def test_unsigned_image_that_somebody_adds_at_a_path_that_a_policy_names_goes(runners):
    runners.name_path(".spec.image")
    runners.deploy({"app/w.yaml": json.dumps(obj("hostile.example/v1", "Runner", "w", spec={"size": 1}))})
    change(runners, {"image": runners.image("bad", signed=False).pinned})
    until("the image to go", lambda: runner(runners), lambda spec: spec == {"size": 1}, seconds=5)
    good = runners.image("good").pinned
    change(runners, {"image": good})
    stays("a signed one", lambda: runner(runners), lambda spec: spec.get("image") == good, seconds=3)


def test_unsigned_image_at_a_path_that_a_policy_names_later_goes(runners):
    runners.deploy({"app/w.yaml": json.dumps(obj("hostile.example/v1", "Runner", "w", spec={"size": 1}))})
    change(runners, {"jobs": [{"name": "a", "runs": runners.image("bad", signed=False).pinned}]})
    runners.name_path(".spec.jobs[*].runs")
    until("the image to go", lambda: runner(runners)["jobs"], lambda jobs: jobs == [{"name": "a"}], seconds=5)


def test_image_of_git_at_a_path_that_a_policy_names_later_is_remembered_without_a_write(runners):
    runners.deploy({"app/w.yaml": json.dumps(obj("hostile.example/v1", "Runner", "w", spec={"image": runners.image("good").pinned}))})

    def remembered():
        (inventory,) = runners.kube.list(API, "ApplicationInventory", runners.system)
        return json.loads(zlib.decompress(base64.b64decode(inventory["data"])))["items"][0].get("i")

    before = remembered()
    runners.requests.mark()
    runners.name_path(".spec.image")
    until("the inventory to say so", remembered, lambda digest: digest != before, seconds=10)
    runners.nothing_sent(runners.requests)
    runners.settled("app")


def test_ignored_image_at_a_path_that_a_policy_names_is_put_back(runners):
    runners.name_path(".spec.image")
    runners.deploy({"app/w.yaml": json.dumps(obj("hostile.example/v1", "Runner", "w", spec={"image": runners.image("good").ref}))},
                   ignoreDifferences=[{"group": "hostile.example", "kind": "Runner", "jsonPointers": ["/spec/image"]}])
    before = runner(runners)
    change(runners, {"image": runners.image("bad", signed=False).pinned})
    until("Git's image to be back", lambda: runner(runners), lambda spec: spec == before, seconds=5)
