"""What runs is kept as it is while something is refused or fails: other drift is healed, nothing is undone, and nobody runs in circles."""

import time

import pytest

from harness.manifests import config_map, deployment, text, wave
from harness.tenant import WORKLOAD_RULES, obj
from harness.wait import stays, until
from harness.web import total

MAP = ("v1", "ConfigMap")
ONCE = {"automated": {"prune": True, "selfHeal": True}, "retry": {"limit": 0}}


def rests(site, seconds=4):
    """No more runs than retries with growing pauses make."""
    before = total(site.web.metrics(), "countersign_runs_total")
    time.sleep(seconds)
    runs = total(site.web.metrics(), "countersign_runs_total") - before
    assert runs < 20, f"{runs} runs within {seconds} s"


def drift(site, name, **data):
    site.kube.patch(*MAP, site.namespace, name, {"data": data}, manager="somebody")


def value(site, name):
    found = site.find(*MAP, name)
    return found and found["data"].get("key")


def healed(site, name, key="value", seconds=10):
    until(f"the drift of {name} to be healed", lambda: value(site, name), lambda seen: seen == key, seconds)


def test_drift_while_the_project_is_gone_makes_no_circle_and_is_healed_when_it_is_back(ready_site):
    site = ready_site
    site.deploy({"app/a.yaml": text(config_map("a"))})
    site.kube.delete("countersign.dev/v1alpha1", "Project", site.system, "red")
    site.wait_condition("Synced", "False", "app", reason="ProjectNotFound")
    drift(site, "a", key="drifted")
    time.sleep(1)
    rests(site)
    site.team.create()
    healed(site, "a")
    site.settled("app")


def test_addition_of_others_while_pruning_is_refused_makes_no_circle(ready_site):
    site = ready_site
    repo = site.deploy({f"app/m{n}.yaml": text(config_map(f"m{n}")) for n in range(6)})
    site.compared_at(repo.push("most of it goes", {f"app/m{n}.yaml": None for n in range(1, 6)}), "app")
    site.wait_condition("Synced", "False", "app", reason="PruneRefused")
    site.kube.patch(*MAP, site.namespace, "m0", {"metadata": {"labels": {"added": "by-hand"}}}, manager="somebody")
    time.sleep(1)
    rests(site)
    drift(site, "m0", key="drifted")
    healed(site, "m0")


def test_refused_pruning_keeps_nobody_from_healing_while_a_later_revision_is_denied(site):
    image = site.image("web")
    files = {f"app/m{n}.yaml": text(config_map(f"m{n}")) for n in range(6)}
    repo = site.deploy(files)
    repo.push("most of it goes", {**{f"app/m{n}.yaml": None for n in range(1, 6)}, "app/new.yaml": text(config_map("new")), "app/web.yaml": text(deployment("web", image.ref))})
    site.wait_condition("Synced", "False", "app", reason="PruneRefused")
    until("the rest of it to be there", lambda: value(site, "new"))
    repo.push("unsigned", {"app/web.yaml": text(deployment("web", site.image("web", "2", signed=False).ref))})
    site.wait_condition("Verified", "False", "app")
    drift(site, "m0", key="drifted")
    healed(site, "m0")


def only(names):
    """Rights to all but updates of those config maps."""
    others = [rule for rule in WORKLOAD_RULES if "configmaps" not in rule["resources"]]
    return others + [{"apiGroups": [""], "resources": ["secrets", "services", "deployments"], "verbs": ["*"]},
                     {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch", "create", "delete"]},
                     {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": names, "verbs": ["*"]}]


def allow(site, rules):
    site.kube.patch("rbac.authorization.k8s.io/v1", "ClusterRole", None, f"{site.system}-{site.team.applier}", {"rules": rules})


def test_object_that_cannot_be_healed_keeps_no_other_from_being_healed(ready_site):
    """Not one that comes behind it in the order either; and when it can be, that is told."""
    site = ready_site
    replicas = lambda: site.kube.get("apps/v1", "Deployment", site.namespace, "web")["spec"]["replicas"]
    site.deploy({"app/a.yaml": text(config_map("a")), "app/b.yaml": text(config_map("b")), "app/web.yaml": text(deployment("web", site.image("web").ref))},
                syncPolicy=ONCE)
    allow(site, only(["b"]))
    drift(site, "a", key="drifted")
    site.wait_condition("Synced", "False", "app", reason="Forbidden")
    for turn in range(2):
        drift(site, "b", key=f"drifted {turn}")
        site.kube.patch("apps/v1", "Deployment", site.namespace, "web", {"spec": {"replicas": 3}}, manager="somebody")
        healed(site, "b")
        until("the replicas to be healed", replicas, lambda n: n == 1)
    time.sleep(2)
    rests(site)
    allow(site, WORKLOAD_RULES)
    healed(site, "a", seconds=70)
    site.settled("app")


def test_drift_is_healed_though_a_part_of_the_newest_revision_is_refused_for_good(ready_site):
    site = ready_site
    repo = site.deploy({"app/a.yaml": text(config_map("a", key="1")), "app/b.yaml": text(config_map("b", key="1"))}, syncPolicy=ONCE)
    repo.push("two", {"app/a.yaml": text(config_map("a", key="2")), "app/s.yaml": text(obj("v1", "Service", "s", spec={"ports": [{"port": 99999}]}))})
    site.wait_condition("Synced", "False", "app", said="99999")
    assert value(site, "a") == "2"
    for turn in range(2):
        drift(site, "b", key=f"drifted {turn}")
        healed(site, "b", "1")
    drift(site, "a", key="drifted")
    healed(site, "a", "2")
    time.sleep(2)
    rests(site)


@pytest.mark.parametrize("automated", [{"prune": True}, None], ids=["automated", "by hand"])
def test_drift_is_told_without_self_heal_while_a_newer_revision_is_denied(site, automated):
    good, bad = site.image("web"), site.image("bad", signed=False)
    repo = site.deploy({"app/web.yaml": text(deployment("web", good.ref)), "app/a.yaml": text(config_map("a"))}, automated=automated, wait=False)
    if not automated:
        site.wait_condition("Synced", "False", "app")
        site.kube.patch_application(site.system, "app", {"operation": {"sync": {}}})
    site.settled("app")
    repo.push("unsigned", {"app/web.yaml": text(deployment("web", bad.ref))})
    site.wait_condition("Verified", "False", "app", said=bad.digest)
    since = site.log.next_seq()
    drift(site, "a", key="drifted")
    until("the drift to be recorded", lambda: [o["name"] for r in site.records("drift", since, "app") for o in r["objects"]], lambda names: "a" in names)
    until("it to be told", lambda: site.app("app")["status"].get("resources"), lambda list: "somebody" in str(list))
    sidecar = [{"op": "add", "path": "/spec/template/spec/containers/-", "value": {"name": "evil", "image": bad.ref}}]
    site.kube.patch("apps/v1", "Deployment", site.namespace, "web", sidecar, manager="somebody")
    until("the foreign image to be recorded", lambda: str(site.records("drift", since, "app")), lambda said: "evil" in said)
    stays("nothing is written", lambda: value(site, "a"), lambda seen: seen == "drifted", seconds=1)


def test_unsigned_sidecar_that_a_second_heal_takes_out_is_told_no_more(site):
    repo = site.deploy({"app/web.yaml": text(deployment("web", site.image("web").ref))})
    repo.push("not allowed", {"app/role.yaml": text(obj("rbac.authorization.k8s.io/v1", "ClusterRole", "wide", rules=[]))})
    site.wait_condition("Synced", "False", "app", said="ClusterRole")
    before = site.condition("Verified", "app")["status"]
    allow(site, [rule for rule in WORKLOAD_RULES if "deployments" not in rule["resources"]]
          + [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list", "watch"]}])
    sidecar = [{"op": "add", "path": "/spec/template/spec/containers/-", "value": {"name": "extra", "image": site.image("evil", signed=False).pinned}}]
    site.kube.patch("apps/v1", "Deployment", site.namespace, "web", sidecar, manager="somebody")
    site.wait_condition("Verified", "False", "app", said="container extra")
    allow(site, WORKLOAD_RULES)
    until("the sidecar to be taken out", site.running, lambda images: len(images) == 1, seconds=20)
    site.wait_condition("Verified", before, "app")


def refused_after(site, repo, patch, files):
    """The newest revision is denied, as the changed spec has it too; then something of what runs drifts. Returns when that was looked at."""
    image = site.image("bad", signed=False)
    site.compared_at(repo.push("unsigned", {**files, "app/base/bad.yaml": text(deployment("bad", image.ref))}), "app")
    site.kube.patch_application(site.system, "app", {"spec": patch})
    generation = site.app("app")["metadata"]["generation"]
    until("the change to be seen", lambda: site.app("app")["status"]["observedGeneration"], lambda seen: seen == generation)
    site.wait_condition("Verified", "False", "app", said=image.digest)
    for turn in range(2):
        drift(site, "a", key=f"drifted {turn}")
        time.sleep(1)


def test_heal_deletes_nothing_that_a_changed_include_no_longer_reads_while_the_newest_revision_is_denied(ready_site):
    site = ready_site
    source = {"directory": {"recurse": True, "include": "{base,old}/*"}}
    moved = text(config_map("moved"))
    repo = site.repo({"app/base/a.yaml": text(config_map("a")), "app/base/b.yaml": text(config_map("b")), "app/old/moved.yaml": moved})
    application = site.team.application("app", repo, "app")
    application["spec"]["source"].update(source)
    site.kube.apply(application)
    site.settled("app")
    uid = site.find(*MAP, "moved")["metadata"]["uid"]
    refused_after(site, repo, {"source": {"directory": {"include": "{base,new}/*"}}}, {"app/old/moved.yaml": None, "app/new/moved.yaml": moved})
    stays("what both revisions declare", lambda: (site.find(*MAP, "moved") or {"metadata": {"uid": None}})["metadata"]["uid"], lambda seen: seen == uid, seconds=2)
    rests(site)
    commit = repo.push("signed", {"app/base/bad.yaml": None})
    site.synced_at(commit, "app", seconds=70)
    assert site.find(*MAP, "moved")["metadata"]["uid"] == uid and value(site, "a") == "value"


def test_heal_moves_nothing_to_another_namespace_while_the_newest_revision_is_denied(ready_site):
    site = ready_site
    other = f"other-{site.name}"
    site.team.namespaces.append(other)
    site.kube.apply(obj("v1", "Namespace", other), site.team.project)
    try:
        repo = site.deploy({"app/base/a.yaml": text(config_map("a")), "app/base/b.yaml": text(config_map("b"))}, path="app/base")
        refused_after(site, repo, {"destination": {"namespace": other}}, {})
        there = lambda: (value(site, "b"), site.find(*MAP, "a", other))
        stays("what runs", there, lambda seen: seen == ("value", None), seconds=2)
        rests(site)
    finally:
        site.kube.delete("v1", "Namespace", None, other, missing_ok=True)


@pytest.mark.parametrize("broken", ["a: [", text(obj("v1", "Secret", "s", stringData={"key": 5}))], ids=["no YAML", "refused by rendering"])
def test_drift_is_healed_after_a_restart_though_the_newest_revision_cannot_be_read(site, broken):
    """The run of the newest revision ends before anything of the cluster was looked at: nothing would be watched."""
    repo = site.deploy({"app/a.yaml": text(config_map("a")), "app/b.yaml": text(config_map("b"))})
    repo.push("broken", {"app/broken.yaml": broken})
    site.wait_condition("Synced", "False", "app")
    site.controller.stop()
    drift(site, "a", key="while away")
    site.controller.start()
    healed(site, "a", seconds=20)
    drift(site, "b", key="afterwards")
    healed(site, "b")
    assert site.wait_condition("Synced", "False", "app")


def git_away(repo):
    repo.bare.rename(repo.bare.with_suffix(".away"))


def git_back(repo):
    repo.bare.with_suffix(".away").rename(repo.bare)


def test_part_of_a_revision_that_was_applied_is_not_undone_by_a_restart_while_git_is_away(site):
    repo = site.deploy({"app/a.yaml": text(config_map("a", key="1")), "app/b.yaml": text(config_map("b", key="1"))}, syncPolicy=ONCE)
    repo.push("two", {"app/a.yaml": text(config_map("a", key="2")), "app/new.yaml": text(config_map("new")),
                      "app/s.yaml": text(obj("v1", "Service", "s", spec={"ports": [{"port": 99999}]}))})
    site.wait_condition("Synced", "False", "app", said="99999")
    site.controller.stop()
    git_away(repo)
    site.controller.start()
    stays("what was applied", lambda: (value(site, "a"), value(site, "new")), lambda seen: seen == ("2", "value"), seconds=6)
    git_back(repo)
    commit = repo.push("three", {"app/s.yaml": None})
    site.synced_at(commit, "app", seconds=90)


def test_part_of_a_revision_that_was_applied_is_not_undone_after_a_kill_while_git_is_away(site):
    repo = site.deploy({"app/a.yaml": text(config_map("a", key="1")), "app/b.yaml": text(config_map("b", key="1"))})
    slow = site.image("slow")
    repo.push("two", {"app/a.yaml": text(wave(config_map("a", key="2"), -2)), "app/new.yaml": text(wave(config_map("new"), -2)),
                      "app/web.yaml": text(wave(deployment("web", slow.ref, replicas=0, nodeSelector={"none": "such"}), -1))})
    until("the first wave", lambda: value(site, "new"))
    site.controller.kill()
    git_away(repo)
    site.controller.start()
    stays("what was applied", lambda: (value(site, "a"), value(site, "new")), lambda seen: seen == ("2", "value"), seconds=6)
    git_back(repo)
    site.settled("app", seconds=90)


def test_namespace_that_takes_longer_to_go_than_syncs_are_tried_again_is_made_anew_when_it_is_gone(new_site):
    site = new_site().install()
    target = f"new-{site.name}"
    site.team.namespaces.append(target)
    site.kube.apply(site.team.project)
    site.controller.start()
    there = lambda: (site.find(*MAP, "a", target) or {}).get("data")
    try:
        site.deploy({"app/a.yaml": text(config_map("a"))}, namespace=target, syncPolicy={**ONCE, "syncOptions": ["CreateNamespace=true"]})
        stuck = config_map("stuck", target)
        stuck["metadata"]["finalizers"] = ["example.com/hold"]
        site.kube.apply(stuck)
        site.kube.delete("v1", "Namespace", None, target)
        until("what is in it to go", there, lambda data: data is None, seconds=20)
        site.wait_condition("Synced", "False", "app", said="terminat")
        time.sleep(3)
        site.kube.patch(*MAP, target, "stuck", {"metadata": {"finalizers": None}})
        until("all of it to be there again", there, lambda data: data == {"key": "value"}, seconds=90)
        site.settled("app")
    finally:
        if site.find(*MAP, "stuck", target):
            site.kube.patch(*MAP, target, "stuck", {"metadata": {"finalizers": None}})
        site.kube.delete("v1", "Namespace", None, target, missing_ok=True)
