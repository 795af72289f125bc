"""Objects that other tools made before Git declares them: adopted or refused as said; a key that Git lacks goes; nothing restarts."""

import base64
import copy
import json

import pytest

from harness.manifests import config_map, deployment, text
from harness.tenant import obj

ARGO, HELM = "argocd-controller", "helm"


def made_by(site, how, *objects):
    """As that tool makes objects: its field manager, and its way to send them."""
    for plain in objects:
        one = copy.deepcopy(plain)
        one["metadata"]["namespace"] = site.namespace
        if how == "kubectl":
            site.kube.kubectl("apply", "-f", "-", text=json.dumps(one))
        elif how == "kubectl-server-side":
            site.kube.kubectl("apply", "--server-side", "-f", "-", text=json.dumps(one))
        elif how == "argocd-server-side":
            site.kube.apply(one, manager=ARGO)
        else:  # a client-side create, as Helm and Argo CD send it: an Update entry
            path = site.kube.path(one["apiVersion"], one["kind"], site.namespace)
            site.kube.request("POST", f"{path}?fieldManager={ARGO if how == 'argocd' else HELM}", one)


BY_KUBECTL = ["kubectl", "kubectl-server-side"]
BY_OTHERS = ["argocd", "argocd-server-side", "helm"]


def workload(site, **env):
    """A Deployment of one pinned image: what Git pins it to is what runs, so that adoption has no reason to roll."""
    made = deployment("web", site.image("web").pinned)
    made["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": k, "value": v} for k, v in env.items()]
    return made


def options(how):
    return ["Adopt=any"] if how in BY_OTHERS else []


def data(site, kind="ConfigMap", name="config"):
    return site.find("v1", kind, name)["data"]


@pytest.mark.parametrize("how", BY_KUBECTL + BY_OTHERS)
def test_key_that_git_lacks_goes_with_adoption_by(site, how):
    made_by(site, how, config_map("config", key="before", theirs="x"))
    site.deploy({"app/config.yaml": text(config_map("config", key="git"))}, options=options(how))
    assert data(site) == {"key": "git"}


@pytest.mark.parametrize("how", BY_KUBECTL + BY_OTHERS)
def test_secret_of_string_data_is_adopted_and_its_dropped_key_goes_by(site, how):
    secret = obj("v1", "Secret", "secret", stringData={"key": "before", "theirs": "x"})
    made_by(site, how, secret)
    site.deploy({"app/secret.yaml": text(obj("v1", "Secret", "secret", stringData={"key": "git"}))}, options=options(how))
    assert data(site, "Secret", "secret") == {"key": base64.b64encode(b"git").decode()}


@pytest.mark.parametrize("how", BY_KUBECTL + BY_OTHERS)
def test_key_dropped_from_git_later_goes_though_made_by(site, how):
    made_by(site, how, config_map("config", key="git", more="x"))
    repo = site.deploy({"app/config.yaml": text(config_map("config", key="git", more="x"))}, options=options(how))
    commit = repo.push("less", {"app/config.yaml": text(config_map("config", key="git"))})
    site.synced_at(commit, "app")
    assert data(site) == {"key": "git"}


@pytest.mark.parametrize("how", BY_KUBECTL + BY_OTHERS)
def test_nothing_restarts_when_adopting_from(site, how):
    manifest = workload(site, KEY="git")
    made_by(site, how, manifest)
    before = site.find("apps/v1", "Deployment", "web")
    site.deploy({"app/web.yaml": text(manifest)}, options=options(how))
    after = site.find("apps/v1", "Deployment", "web")
    assert after["spec"]["template"] == before["spec"]["template"] and after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["spec"] == before["spec"]
    assert len(site.kube.list("apps/v1", "ReplicaSet", site.namespace)) == 1


@pytest.mark.parametrize("how", BY_OTHERS)
def test_without_adopt_any_it_is_refused_naming_the_manager(site, how):
    made_by(site, how, config_map("config", key="before", theirs="x"))
    site.requests.mark()
    site.deploy({"app/config.yaml": text(config_map("config", key="git"))}, wait=False)
    site.wait_condition("Synced", "False", "app", said=HELM if how == "helm" else ARGO)
    assert data(site) == {"key": "before", "theirs": "x"}


@pytest.mark.parametrize("how", BY_KUBECTL)
def test_unsigned_container_of_an_adopted_deployment_goes(site, how):
    manifest = workload(site)
    live = copy.deepcopy(manifest)
    live["spec"]["template"]["spec"]["containers"].append({"name": "evil", "image": site.image("evil", signed=False).pinned})
    live["spec"]["template"]["spec"]["hostNetwork"] = True
    made_by(site, how, live)
    site.deploy({"app/web.yaml": text(manifest)})
    assert len(site.running()) == 1 and "hostNetwork" not in site.find("apps/v1", "Deployment", "web")["spec"]["template"]["spec"]
