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
    "rehearsal": (["--dry-run"], 0),
    "rehearsal of another revision": (["--dry-run", "--revision", "other"], 0),
    "no such revision": (["--revision", "typo"], 1),
}


def asked(site, name, beside):
    words, status = BESIDE[beside]
    done = sync(site, name, *words)
    assert done.returncode in (status, 1), done.stderr # a rehearsal is refused for what the sync would be
    return done


@pytest.mark.parametrize("beside", BESIDE)
def test_commit_that_such_a_sync_saw_first_is_applied_all_the_same(home, beside):
    name = "seen-" + beside.replace(" ", "-")
    repo = home.deploy({"app/a.yaml": text(config_map(name, key="one"))}, name=name)
    repo.git("branch", "other")
    for turn in range(3):
        commit = repo.push(f"turn {turn}", {"app/a.yaml": text(config_map(name, key=f"turn {turn}"))})
        asked(home, name, beside)
        home.synced_at(commit, name)


@pytest.mark.parametrize("beside", BESIDE)
def test_denied_commit_is_judged_again_after_such_a_sync(home, beside):
    name = "denied-" + beside.replace(" ", "-")
    repo = home.deploy({"app/a.yaml": text(config_map(name, key="one"))}, name=name)
    repo.git("branch", "other")
    image = home.image(name, signed=False)
    commit = repo.push("an image", {"app/web.yaml": text(deployment(name, image.ref))})
    told = home.wait_condition("Synced", "False", name, said=image.digest)
    asked(home, name, beside)
    assert home.wait_condition("Synced", "False", name)["message"] == told["message"]
    image.sign(home.key)
    home.synced_at(commit, name, seconds=30)


@pytest.mark.parametrize("beside", BESIDE)
def test_attempt_that_is_to_follow_follows_after_such_a_sync(home, beside):
    name = "retry-" + beside.replace(" ", "-")
    home.kube.apply(obj("v1", "ResourceQuota", "none", home.namespace, spec={"hard": {"services": "0"}}))
    until("the quota to be in force", lambda: home.find("v1", "ResourceQuota", "none").get("status", {}).get("hard"))
    repo = home.deploy({"app/a.yaml": text(config_map(name, key="one"))}, name=name,
                       syncPolicy={"automated": {}, "retry": {"limit": 20, "backoff": {"duration": "3s", "factor": 1}}})
    repo.git("branch", "other")
    commit = repo.push("a service", {"app/s.yaml": text(obj("v1", "Service", name, spec={"ports": [{"port": 80}]}))})
    home.wait_condition("Synced", "False", name, said="quota")
    asked(home, name, beside)
    home.kube.delete("v1", "ResourceQuota", home.namespace, "none")
    home.synced_at(commit, name)


@pytest.mark.parametrize("beside", [*BESIDE, "an operation that is not built"])
def test_status_of_an_application_in_order_stays_as_it_was(home, beside):
    name = "order-" + beside.replace(" ", "-")
    repo = home.deploy({"app/a.yaml": text(config_map(name, key="one"))}, name=name)
    repo.git("branch", "other")
    before = home.app(name)["status"]["conditions"]
    if beside in BESIDE:
        asked(home, name, beside)
    else:
        home.kube.patch("countersign.dev/v1alpha1", "Application", home.system, name, {"operation": {"sync": {"resources": [{"kind": "ConfigMap", "name": "x"}]}}})
        until("the refusal", lambda: home.app(name)["status"].get("operationState", {}), lambda state: state.get("phase") == "Error")
    same = lambda: json.dumps([{k: c[k] for k in ("type", "status", "reason", "message")} for c in home.app(name)["status"]["conditions"]])
    was = json.dumps([{k: c[k] for k in ("type", "status", "reason", "message")} for c in before])
    stays("the conditions", same, lambda now: now == was, seconds=4)
