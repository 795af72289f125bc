"""Objects that were there before: adopted, or refused naming whose they are."""

import json

import pytest

from harness.manifests import config_map, text
from harness.wait import stays, until

GIT = {"app/config.yaml": text(config_map("config", key="git"))}


def existing(site, manager, key="before", **annotations):
    obj = config_map("config", site.namespace, key=key, extra="kept")
    obj["metadata"]["annotations"] = annotations
    site.kube.apply(obj, manager=manager)


def data(site):
    found = site.find("v1", "ConfigMap", "config")
    return found["data"] if found else None


def test_object_of_kubectl_is_adopted(site):
    existing(site, "kubectl")
    site.deploy(GIT)
    assert data(site)["key"] == "git"


def test_key_dropped_from_git_after_adoption_goes(site):
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "config", "namespace": site.namespace},
                "data": {"key": "before", "more": "x"}}
    site.kube.kubectl("apply", "-f", "-", text=json.dumps(manifest))  # client-side: its manager's entry is an Update
    repo = site.deploy({"app/config.yaml": text(config_map("config", key="git", more="x"))})
    commit = repo.push("less", {"app/config.yaml": text(config_map("config", key="git"))})
    site.synced_at(commit, "app")
    assert data(site) == {"key": "git"}


def test_object_of_another_manager_is_refused_by_name(site):
    existing(site, "other-operator")
    site.deploy(GIT, wait=False)
    seen = site.wait_condition("Synced", "False", "app", said="other-operator")
    for word in ("ConfigMap", "config", "Adopt"):
        assert word in seen["message"], seen["message"]
    assert data(site)["key"] == "before"


def test_adopt_any_takes_an_object_of_another_manager(site):
    existing(site, "other-operator")
    site.deploy(GIT, options=["Adopt=any"])
    assert data(site)["key"] == "git"


def test_adopt_never_refuses_even_kubectl(site):
    existing(site, "kubectl")
    site.deploy(GIT, options=["Adopt=never"], wait=False)
    site.wait_condition("Synced", "False", "app", said="kubectl")
    assert data(site)["key"] == "before"


@pytest.mark.parametrize("option", [(), ["Adopt=any"]])
def test_object_that_argo_tracks_is_never_taken_silently(site, option):
    existing(site, "argocd-controller", **{"argocd.argoproj.io/tracking-id": f"theirs:/ConfigMap:{site.namespace}/config"})
    site.deploy(GIT, options=option, wait=False)
    seen = site.wait_condition("Synced", "False", "app", said="theirs")
    assert "config" in seen["message"] and data(site)["key"] == "before", seen["message"]


def test_fields_that_git_does_not_declare_stay_with_their_manager(site):
    other = config_map("config", site.namespace, theirs="x")
    site.kube.apply(other, manager="other-operator")
    site.deploy(GIT)
    assert data(site) == {"key": "git", "theirs": "x"}


def test_two_applications_that_claim_one_object_are_told_apart(site):
    site.deploy(GIT, name="first")
    site.deploy({"app/config.yaml": text(config_map("config", key="second"))}, name="second", wait=False)
    seen = site.wait_condition("Synced", "False", "second", said="first")
    assert "config" in seen["message"] and "second" in seen["message"], seen["message"]
    assert data(site)["key"] == "git"
    site.settled("first")


def test_claim_passes_on_when_the_first_application_lets_go(site):
    repo = site.deploy({**GIT, "app/other.yaml": text(config_map("other")), "app/third.yaml": text(config_map("third"))}, name="first")
    site.deploy({"app/config.yaml": text(config_map("config", key="second"))}, name="second", wait=False)
    site.wait_condition("Synced", "False", "second", said="first")
    repo.push("let go", {"app/config.yaml": None})
    until("the second Application to have it", lambda: data(site), lambda d: d == {"key": "second"}, seconds=70)


def test_object_whose_adoption_failed_half_way_is_not_called_in_order_by_the_next_try(site):
    """It is ours in its managedFields by then, and yet nothing of what Git declares was taken."""
    manifest = {**config_map("config", site.namespace, key="before"), "immutable": True}
    site.kube.kubectl("apply", "-f", "-", text=json.dumps(manifest))
    repo = site.deploy({"app/config.yaml": text({**config_map("config", key="git"), "immutable": True})}, wait=False,
                       syncPolicy={"automated": {"prune": True, "selfHeal": True}, "retry": {"limit": 3, "backoff": {"duration": "1s", "factor": 1}}})
    site.wait_condition("Synced", "False", "app", said="immutable")
    stays("it to be told", lambda: site.condition("Synced", "app"), lambda c: c["status"] == "False" and "immutable" in c["message"], seconds=6)
    site.controller.restart()
    site.wait_condition("Synced", "False", "app", said="immutable")
    assert data(site)["key"] == "before"
    site.kube.delete("v1", "ConfigMap", site.namespace, "config")
    commit = repo.push("anew", {"other.yaml": "x: y\n", "app/more.yaml": text(config_map("more"))})
    site.synced_at(commit, "app")
    assert data(site)["key"] == "git"
