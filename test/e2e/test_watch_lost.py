"""A kind that could be watched and can be no longer: of what is not seen nobody is told that it is in order, and it is taken up again."""

import pytest

from harness.controller import cli
from harness.manifests import config_map, text, wave
from harness.tenant import CRD_RULES, WORKLOAD_RULES, obj, reads
from harness.wait import stays, until

EXTENSIONS, REGISTRATION = "apiextensions.k8s.io/v1", "apiregistration.k8s.io/v1"


def is_stale(kube, group):
    """Whether discovery says so of the group: the server that answers for it is away."""
    groups = kube.request("GET", "/apis", headers={"Accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"})["items"]
    return any(v.get("freshness") == "Stale" for g in groups if g["metadata"]["name"] == group for v in g["versions"])


class Gears:
    """A kind of the test's own, what an Application has of it, and the controller's right to read it."""

    def __init__(self, new_site, versions):
        site = new_site()
        self.site, self.group = site, f"{site.name}.example"
        site.install(rules=[*WORKLOAD_RULES, {"apiGroups": [self.group], "resources": ["gears"], "verbs": ["*"]}])
        self.serve(*versions)
        self.right = reads(site.kube, site.system, self.group, ["gears"])
        site.controller.start()

    def serve(self, *versions):
        """Versions as (name, served, stored)."""
        schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
        self.site.kube.apply(obj(EXTENSIONS, "CustomResourceDefinition", f"gears.{self.group}", spec={
            "group": self.group, "scope": "Namespaced", "names": {"plural": "gears", "singular": "gear", "kind": "Gear"},
            "versions": [{"name": name, "served": served, "storage": stored, "schema": schema} for name, served, stored in versions]}))
        for name, served, _ in versions:
            if served:
                until(f"version {name} to be served", lambda name=name: self.site.kube.request("GET", f"/apis/{self.group}/{name}"), seconds=20)

    def manifest(self, version, teeth):
        return {"app/gear.yaml": text(obj(f"{self.group}/{version}", "Gear", "g", spec={"teeth": teeth}))}

    def change(self, teeth):
        self.site.kube.patch(f"{self.group}/v1", "Gear", self.site.namespace, "g", {"spec": {"teeth": teeth}}, manager="somebody")

    def teeth(self):
        return self.site.find(f"{self.group}/v1", "Gear", "g")["spec"]["teeth"]


@pytest.fixture
def gears(new_site):
    made = []

    def make(*versions):
        made.append(Gears(new_site, versions))
        return made[0]

    yield make
    for one in made:
        one.site.kube.delete(EXTENSIONS, "CustomResourceDefinition", None, f"gears.{one.group}", missing_ok=True)


def test_version_that_is_served_no_longer_gives_way_to_the_one_that_git_names(gears):
    kind = gears(("v1beta1", True, True))
    site = kind.site
    repo = site.deploy(kind.manifest("v1beta1", 1))
    kind.serve(("v1beta1", True, False), ("v1", True, True))
    site.synced_at(repo.push("v1", kind.manifest("v1", 2)), "app")
    kind.serve(("v1beta1", False, False), ("v1", True, True))
    kind.change(99)
    until("the drift to be healed", kind.teeth, lambda seen: seen == 2, seconds=20)
    site.synced_at(repo.push("more", kind.manifest("v1", 3)), "app")


def test_diff_shows_what_would_be_pruned_though_its_version_is_served_no_longer(gears, tmp_path):
    kind = gears(("v1beta1", True, True))
    kind.site.deploy(kind.manifest("v1beta1", 1))
    kind.serve(("v1beta1", True, False), ("v1", True, True))
    kind.serve(("v1beta1", False, False), ("v1", True, True))
    until("the version to go", lambda: kind.site.kube.find(f"{kind.group}/v1beta1", "Gear", kind.site.namespace, "g"), lambda found: found is None, seconds=20)
    empty = tmp_path / "empty"
    empty.mkdir()
    done = cli("diff", "app", "--local", empty, "-n", kind.site.system, kubeconfig=kind.site.stack.kubeconfig)
    assert done.returncode == 1 and "-kind: Gear" in done.stdout, (done.stdout, done.stderr)


def test_right_to_read_that_is_taken_away_is_told_and_what_was_missed_is_healed_when_it_is_back(gears):
    kind = gears(("v1", True, True))
    site = kind.site
    site.deploy(kind.manifest("v1", 1))
    site.kube.delete("rbac.authorization.k8s.io/v1", "ClusterRole", None, kind.right["metadata"]["name"])
    # A watch that runs is not cut off: it ends with the kind's next change.
    kind.serve(("v1", True, True), ("v2", True, False))
    site.wait_condition("Synced", "False", "app", reason="CannotRead", seconds=30)
    kind.change(99)
    site.kube.apply(kind.right)
    until("the drift to be healed", kind.teeth, lambda seen: seen == 1, seconds=40)
    site.settled("app")


def test_while_policies_may_not_be_read_nothing_is_applied_by_what_they_said_once(site):
    rbac, kube = "rbac.authorization.k8s.io/v1", site.kube
    repo = site.deploy({"app/a.yaml": text(config_map("a"))})
    own = kube.get(rbac, "Role", site.system, "countersign-controller")
    without = [r for r in own["rules"] if "imagepolicies" not in r["resources"]]
    kube.patch(rbac, "Role", site.system, "countersign-controller", {"rules": without})
    for binding in kube.list(rbac, "ClusterRoleBinding"):
        if binding["metadata"]["name"].endswith(f"-{site.system}"):
            kube.delete(rbac, "ClusterRoleBinding", None, binding["metadata"]["name"])
    # a watch that runs is not cut off: it ends with the kind's next change
    kind = lambda names: kube.patch(EXTENSIONS, "CustomResourceDefinition", None, "imagepolicies.countersign.dev", {"spec": {"names": {"shortNames": names}}})
    try:
        kind(["lost"])
        seen = site.wait_condition("Synced", "False", "app", reason="SettingsUnreadable", seconds=30)
        assert "imagepolicies" in seen["message"], seen
        commit = repo.push("new", {"app/a.yaml": text(config_map("a", key="new"))})
        stays("nothing applied", lambda: site.find("v1", "ConfigMap", "a")["data"]["key"], lambda key: key == "value", seconds=3)
    finally:
        kind(None)
    site.installation.install()
    site.synced_at(commit, "app", seconds=60)
    assert site.find("v1", "ConfigMap", "a")["data"]["key"] == "new"


def test_kinds_that_come_with_applications_at_the_same_time_are_all_watched(new_site):
    """Discovery that one sync asked for may be older than the CRD of another."""
    site = new_site()
    groups = [f"k{n}.{site.name}.example" for n in range(4)]
    site.install(rules=WORKLOAD_RULES + CRD_RULES + [{"apiGroups": groups, "resources": ["gears"], "verbs": ["*"]}],
                 project={"clusterResourceWhitelist": [{"group": "*", "kind": "CustomResourceDefinition"}]})
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    applications = []
    for n, group in enumerate(groups):
        reads(site.kube, site.system, group, ["gears"])
        definition = obj(EXTENSIONS, "CustomResourceDefinition", f"gears.{group}", spec={
            "group": group, "scope": "Namespaced", "names": {"plural": "gears", "singular": "gear", "kind": "Gear"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}]})
        repo = site.repo({"app/gear.yaml": text(definition, obj(f"{group}/v1", "Gear", "g", spec={"teeth": 1}))})
        applications.append(site.team.application(f"a{n}", repo, "app"))
    try:
        site.controller.start()
        site.kube.apply(*applications)
        site.settled(*[f"a{n}" for n in range(4)])
        for group in groups:
            site.kube.delete(f"{group}/v1", "Gear", site.namespace, "g")
        until("all to be made anew", lambda: [g for g in groups if not site.find(f"{g}/v1", "Gear", "g")], lambda missing: not missing, seconds=20)
    finally:
        for group in groups:
            site.kube.delete(EXTENSIONS, "CustomResourceDefinition", None, f"gears.{group}", missing_ok=True)


def send_away(kind):
    """Its group's server is away; returns what brings it back."""
    kube, service = kind.site.kube, f"v1.{kind.group}"
    kube.patch(REGISTRATION, "APIService", None, service, {"metadata": {"labels": {"kube-aggregator.kubernetes.io/automanaged": None}}, "spec": {
        "insecureSkipTLSVerify": True, "service": {"namespace": kind.site.namespace, "name": "away", "port": 443}}})
    until("the group to be stale", lambda: is_stale(kube, kind.group), seconds=40)
    return lambda: kube.delete(REGISTRATION, "APIService", None, service, missing_ok=True)


@pytest.fixture
def away(gears):
    """A gear and a map of an Application, while the server of the gears' group is away; .back() brings that back."""
    kind = gears(("v1", True, True))
    site = kind.site
    repo = site.repo({**kind.manifest("v1", 1), "app/a.yaml": text(config_map("a"))})
    application = site.team.application("app", repo, "app")
    application["metadata"]["finalizers"] = ["resources-finalizer.countersign.dev"]
    site.kube.apply(application)
    site.settled("app")
    site.controller.stop()
    kind.repo, kind.back = repo, send_away(kind)
    site.controller.start()
    yield kind
    kind.back()


def gear(kind):
    until("the kind to be served again", lambda: kind.site.kube.request("GET", f"/apis/{kind.group}/v1"), seconds=20)
    return kind.site.find(f"{kind.group}/v1", "Gear", "g")


def test_application_does_not_go_without_objects_whose_group_s_server_is_away(away):
    site = away.site
    site.kube.delete("countersign.dev/v1alpha1", "Application", site.system, "app")
    site.wait_condition("Synced", "False", "app", reason="DiscoveryStale", said=away.group)
    # for a moment there is no such group at all, which is no matter here
    site.controller.stop()
    away.back()
    gear(away)
    site.controller.start()
    until("the Application to go", lambda: site.kube.find("countersign.dev/v1alpha1", "Application", site.system, "app"), lambda seen: not seen, seconds=60)
    left = gear(away)
    assert left is None or "deletionTimestamp" in left["metadata"], "its object was left behind"


def test_object_whose_group_s_server_was_away_is_pruned_when_that_is_back(away):
    site = away.site
    away.repo.git("rm", "-q", "app/gear.yaml")
    commit = away.repo.push("no gear")
    site.wait_condition("Synced", "False", "app", said="the server of its group does not answer")
    away.back()
    site.synced_at(commit, "app", seconds=60)
    left = gear(away)
    assert left is None or "deletionTimestamp" in left["metadata"]


def test_interrupted_write_in_a_group_whose_server_is_away_is_not_said_not_to_have_been_done(gears):
    kind = gears(("v1", True, True))
    site, since = kind.site, kind.site.log.next_seq()
    waits = obj("v1", "Service", "waits", spec={"type": "LoadBalancer", "ports": [{"port": 80}]})
    site.deploy({**kind.manifest("v1", 1), "app/s.yaml": text(waits), "app/later.yaml": text(wave(config_map("later"), 1))}, wait=False)
    until("the gear to be made", lambda: site.find(f"{kind.group}/v1", "Gear", "g"))
    site.wait_condition("Synced", "Unknown", "app", reason="WaitingForHealth")
    site.controller.kill()
    back = send_away(kind)
    try:
        site.controller.start()
        result = until("the result", lambda: site.records("sync.result", since, "app"))[0]
        assert {o["name"]: o["outcome"] for o in result["objects"]} == {"g": "unknown", "waits": "ok", "later": "not-done"}
    finally:
        back()
