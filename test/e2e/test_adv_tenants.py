"""Published mistakes of others about tenants and projects, tried here. Each test is named after its advisory; ADVISORIES.md lists them."""

import pytest

from harness.manifests import config_map, text
from harness.tenant import obj
from harness.wait import stays, until

RBAC, API = "rbac.authorization.k8s.io/v1", "countersign.dev/v1alpha1"


@pytest.fixture(scope="module")
def home(shared_site):
    """One running installation for the file; the team's account may do everything, so that its Project alone is in the way."""
    shared_site.team.rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
    shared_site.kube.apply(*shared_site.team.rights())
    return shared_site


def refused(site, name, files, reason, **application):
    """Deploys them and waits for the refusal; nothing may have been sent. Returns the message."""
    site.requests.mark()
    site.deploy(files, name=name, wait=False, **application)
    seen = site.wait_condition("Synced", "False", name, reason=reason)
    site.nothing_sent(site.requests, seconds=0.5)
    return seen["message"]


@pytest.mark.parametrize("phase", ["PreSync", "PostSync", "PreDelete", "PostDelete", "SyncFail"])
def test_adv_cve_2026_77459_hook_is_no_way_past_the_project(home, phase):
    role = obj(RBAC, "ClusterRole", f"hook-{phase.lower()}", rules=[])
    role["metadata"]["annotations"] = {"argocd.argoproj.io/hook": phase}
    message = refused(home, f"hook-{phase.lower()}", {"app/a.yaml": text(role)}, "NotSupported")
    assert "is a hook" in message and "app/a.yaml:1" in message
    assert home.kube.find(RBAC, "ClusterRole", None, f"hook-{phase.lower()}") is None


@pytest.mark.parametrize("brings", ["manifests", "source", "sources", "resources"])
def test_adv_cve_2023_50726_operation_may_not_bring_manifests_or_a_source_of_its_own(home, brings):
    name = f"brings-{brings}"
    home.deploy({"app/a.yaml": text(config_map(name))}, name=name)
    evil = text(obj(RBAC, "ClusterRole", name, rules=[]))
    own = {"manifests": [evil], "source": {"repoURL": "https://evil.example/x", "path": "."}, "sources": [{"repoURL": "https://evil.example/x"}],
           "resources": [{"kind": "ConfigMap", "name": name}]}[brings]
    home.requests.mark()
    home.kube.patch_application(home.system, name, {"operation": {"sync": {brings: own}}})
    state = until("the operation to end", lambda: home.app(name)["status"].get("operationState", {}), lambda s: brings in s.get("operation", {}).get("sync", {}))
    assert state["phase"] == "Error" and "operation.sync" in state["message"], state
    home.nothing_sent(home.requests, seconds=0.5)
    assert home.kube.find(RBAC, "ClusterRole", None, name) is None


def test_operation_in_git_is_no_way_to_ask_in_the_name_of_another(home):
    home.team.namespaces.append(home.system)
    home.kube.apply(home.team.project)
    child = home.team.application("asked", home.repo({"app/a.yaml": text(config_map("asked"))}), "app")
    child["operation"] = {"initiatedBy": {"username": "security-officer"}, "sync": {}}
    message = refused(home, "asks", {"app/a.yaml": text(child)}, "NotSupported", namespace=home.system)
    assert "operation" in message and "app/a.yaml:1" in message
    assert home.kube.find_application(home.system, "asked") is None


def test_adv_cve_2024_31990_application_in_another_namespace_is_not_looked_at(home):
    app = home.team.application("elsewhere", home.repo({"app/a.yaml": text(config_map("elsewhere"))}), "app")
    app["metadata"]["namespace"] = home.namespace
    home.requests.mark()
    home.kube.apply(app)
    home.nothing_sent(home.requests, seconds=2)
    assert "status" not in home.kube.application(home.namespace, "elsewhere") and home.find("v1", "ConfigMap", "elsewhere") is None


@pytest.mark.parametrize("project", [None, "", "default"])
def test_adv_atm_011_no_project_means_nothing_is_allowed(home, project):
    name = f"none-{'absent' if project is None else project or 'empty'}"
    app = home.team.application(name, home.repo({"app/a.yaml": text(config_map(name))}), "app")
    app["spec"]["project"] = project
    if project is None:
        del app["spec"]["project"]
    home.requests.mark()
    home.kube.apply(app)
    assert '"default"' in home.wait_condition("Synced", "False", name, reason="ProjectNotFound")["message"]
    home.nothing_sent(home.requests, seconds=0.5)


def test_adv_cve_2023_34091_object_that_says_it_is_being_deleted_is_checked_like_any_other(home):
    role = obj(RBAC, "ClusterRole", "going", rules=[])
    role["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": 0, "finalizers": ["example.com/x"]}
    refused(home, "going", {"app/a.yaml": text(config_map("going")), "app/b.yaml": text(role)}, "KindNotPermitted")
    assert home.find("v1", "ConfigMap", "going") is None


PATHS = ["../../kube-system/configmaps/x", "..", "%2e%2e%2fx", "x/../../../kube-system/configmaps/x", "x?fieldManager=kubectl", "x#y", "x%00", "a b"]


@pytest.mark.parametrize("at", range(len(PATHS)))
@pytest.mark.parametrize("field", ["name", "namespace"])
def test_adv_cve_2026_22039_name_that_is_a_path_reaches_no_other_namespace(home, field, at):
    name = f"path-{field}-{at}"
    made = config_map(PATHS[at] if field == "name" else name, PATHS[at] if field == "namespace" else None)
    before = {m["metadata"]["name"] for m in home.kube.list("v1", "ConfigMap", "kube-system")}
    home.requests.mark()
    home.deploy({"app/a.yaml": text(made)}, name=name, wait=False)
    home.wait_condition("Synced", "False", name)
    stays("no write succeeds, and none goes elsewhere", lambda: [
        e["requestURI"] for e in home.governed() if e["responseStatus"]["code"] < 300 or e["objectRef"].get("namespace") not in (home.namespace, None)],
        lambda seen: seen == [], seconds=0.3)
    assert {m["metadata"]["name"] for m in home.kube.list("v1", "ConfigMap", "kube-system")} == before
