"""What a person asks for beside the Application's own course (a rehearsal, a revision that is not to be had) leaves that as it was."""

import json

import pytest

from harness.controller import cli
from harness.manifests import config_map, deployment, text
from harness.tenant import obj
from harness.wait import stays, until


@pytest.fixture(scope="module")
def home(shared_site):
    return shared_site


def sync(site, name, *more):
    return cli("sync", name, "-n", site.system, *more, "--timeout", "15s", kubeconfig=site.stack.kubeconfig)


BESIDE = {
    "rehearsal": ["--dry-run"],
    "rehearsal of another revision": ["--dry-run", "--revision", "other"],
    "no such revision": ["--revision", "typo"],
}


def deployed(site, name, **more):
    """An Application of one ConfigMap, and in its repository another branch; the repository."""
    repo = site.deploy({"app/a.yaml": text(config_map(name, key="one"))}, name=name, **more)
    repo.git("push", "-q", str(repo.bare), "HEAD:refs/heads/other")
    return repo


def asked(site, name, beside, refused=()):
    """It ends as it should: a rehearsal is refused for what the sync would be."""
    done = sync(site, name, *BESIDE[beside])
    assert done.returncode == (1 if beside in ("no such revision", *refused) else 0), done.stdout + done.stderr


@pytest.mark.parametrize("beside", BESIDE)
def test_commit_that_such_a_sync_saw_first_is_applied_all_the_same(home, beside):
    name = "seen-" + beside.replace(" ", "-")
    repo = deployed(home, name)
    for turn in range(3):
        commit = repo.push(f"turn {turn}", {"app/a.yaml": text(config_map(name, key=f"turn {turn}"))})
        asked(home, name, beside)
        home.synced_at(commit, name)


@pytest.mark.parametrize("beside", BESIDE)
def test_denied_commit_is_judged_again_after_such_a_sync(home, beside):
    name = "denied-" + beside.replace(" ", "-")
    repo = deployed(home, name)
    image = home.image(name, signed=False)
    commit = repo.push("an image", {"app/web.yaml": text(deployment(name, image.ref))})
    told = home.wait_condition("Synced", "False", name, said=image.digest)
    asked(home, name, beside, refused=["rehearsal"])
    assert home.wait_condition("Synced", "False", name)["message"] == told["message"]
    image.sign(home.key)
    home.synced_at(commit, name, seconds=30)


@pytest.mark.parametrize("beside", BESIDE)
def test_attempt_that_is_to_follow_follows_after_such_a_sync(home, beside):
    name = "retry-" + beside.replace(" ", "-")
    home.kube.apply(obj("v1", "ResourceQuota", "none", home.namespace, spec={"hard": {"services": "0"}}))
    until("the quota to be in force", lambda: home.find("v1", "ResourceQuota", "none").get("status", {}).get("hard"))
    repo = deployed(home, name, syncPolicy={"automated": {}, "retry": {"limit": 20, "backoff": {"duration": "3s", "factor": 1}}})
    commit = repo.push("a service", {"app/s.yaml": text(obj("v1", "Service", name, spec={"ports": [{"port": 80}]}))})
    home.wait_condition("Synced", "False", name, said="quota")
    asked(home, name, beside)
    home.kube.delete("v1", "ResourceQuota", home.namespace, "none")
    home.synced_at(commit, name)


@pytest.mark.parametrize("beside", [*BESIDE, "an operation that is not built"])
def test_status_of_an_application_in_order_stays_as_it_was(home, beside):
    name = "order-" + beside.replace(" ", "-")
    deployed(home, name)
    before = home.app(name)["status"]["conditions"]
    if beside in BESIDE:
        asked(home, name, beside)
    else:
        home.kube.patch("countersign.dev/v1alpha1", "Application", home.system, name, {"operation": {"sync": {"resources": [{"kind": "ConfigMap", "name": "x"}]}}})
        until("the refusal", lambda: home.app(name)["status"].get("operationState", {}), lambda state: state.get("phase") == "Error")
    same = lambda: json.dumps([{k: c[k] for k in ("type", "status", "reason", "message")} for c in home.app(name)["status"]["conditions"]])
    was = json.dumps([{k: c[k] for k in ("type", "status", "reason", "message")} for c in before])
    stays("the conditions", same, lambda now: now == was, seconds=4)


def test_object_that_another_revision_does_not_declare_is_not_forgotten_by_its_rehearsal(home):
    """It is missing, and nothing heals it by itself: that stays so."""
    repo = deployed(home, "kept", automated={"selfHeal": False})
    home.synced_at(repo.push("more", {"app/b.yaml": text(config_map("kept-more", key="x"))}), "kept")
    home.kube.delete("v1", "ConfigMap", home.namespace, "kept-more")
    home.wait_condition("Synced", "False", "kept", said="self-heal or pruning is off")
    asked(home, "kept", "rehearsal of another revision")
    stays("it is missing", lambda: home.find("v1", "ConfigMap", "kept-more"), lambda found: found is None, seconds=5)
