"""Objects that are deleted and held by somebody's finalizer: until they are gone, and after."""

import time

import pytest

from harness.controller import cli
from harness.manifests import config_map, text
from harness.tenant import obj
from harness.wait import stays, until

HELD = "example.com/hold"


def held(name):
    one = config_map(name, key="x")
    one["metadata"]["finalizers"] = [HELD]
    return one


def let_go(site, name):
    site.kube.patch("v1", "ConfigMap", site.namespace, name, {"metadata": {"finalizers": None}})
    until(f"{name} to be gone", lambda: site.find("v1", "ConfigMap", name), lambda found: found is None)


@pytest.mark.parametrize("automated", [None, {"selfHeal": True}], ids=["no automated sync", "no automated prune"])
@pytest.mark.parametrize("restart", [False, True], ids=["running", "restarted"])
def test_object_that_a_person_had_pruned_is_told_until_it_is_gone_and_then_forgotten(site, automated, restart):
    files = {"app/a.yaml": text(config_map("a", key="one")), "app/held.yaml": text(held("held"))}
    repo = site.deploy(files, automated=automated, wait=False)
    sync = lambda: cli("sync", "app", "-n", site.system, "--prune", "--timeout", "15s", kubeconfig=site.stack.kubeconfig)
    assert sync().returncode == 0
    site.compared_at(repo.push("less", {"app/held.yaml": None}), "app")
    site.wait_condition("Synced", "False", "app", said="pruning is off" if automated else "")
    sync()
    site.wait_condition("Synced", "False", "app", reason="BeingDeleted", said=HELD)
    if restart:
        site.controller.stop()
    let_go(site, "held")
    if restart:
        site.controller.start()
    site.settled("app")
    assert site.app("app")["status"]["resources"] == [] and site.app("app")["status"]["summary"]["objects"] == 1


def test_object_that_hangs_gives_a_sync_that_was_given_up_no_further_tries(site):
    repo = site.deploy({"app/a.yaml": text(config_map("a", key="one")), "app/held.yaml": text(held("held"))},
                       syncPolicy={"automated": {"prune": True, "selfHeal": True}, "retry": {"limit": 1, "backoff": {"duration": "1s", "factor": 1}}})
    repo.push("less", {"app/held.yaml": None})
    site.wait_condition("Synced", "False", "app", reason="BeingDeleted")
    repo.push("in part", {"app/a.yaml": text(config_map("a", key="two")), "app/s.yaml": text(obj("v1", "Service", "s", spec={"ports": [{"port": 70000}]}))})
    site.wait_condition("Synced", "False", "app", said="is not tried again before something changes", seconds=20)
    time.sleep(1)
    since = site.log.next_seq()
    stays("no further attempt", lambda: [r["kind"] for r in site.records("sync.intent", since, "app")], lambda seen: seen == [], seconds=8)


def test_application_whose_project_goes_while_an_object_is_held_ends_when_that_is_gone(site):
    app = site.team.application("app", site.repo({"app/a.yaml": text(config_map("a", key="one")), "app/held.yaml": text(held("held"))}), "app")
    app["metadata"]["finalizers"] = ["resources-finalizer.countersign.dev"]
    site.kube.apply(app)
    site.settled("app")
    site.kube.delete("countersign.dev/v1alpha1", "Application", site.system, "app")
    until("the other object to go", lambda: site.find("v1", "ConfigMap", "a"), lambda found: found is None)
    until("the deletion to be remembered", lambda: [r for r in site.records("sync.result", 0, "app") if "delete" in str(r)])
    site.kube.delete("countersign.dev/v1alpha1", "Project", site.system, site.team.name)
    stays("the Application stays", lambda: site.kube.find_application(site.system, "app"), seconds=2)
    let_go(site, "held")
    until("the Application to go", lambda: site.kube.find_application(site.system, "app"), lambda found: found is None, seconds=20)
