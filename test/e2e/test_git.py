"""Repositories: how they are reached, and that those which are not allowed are not even contacted."""

import base64
import time

import pytest

from harness.manifests import config_map, text
from harness.tenant import obj
from harness.wait import stays, until

FILES = {"app/config.yaml": text(config_map("config", key="one"))}


def credentials(site, repo, label="countersign.dev/secret-type", **fields):
    secret = obj("v1", "Secret", "repository", site.system, stringData={"type": "git", "url": repo.url, **fields})
    secret["metadata"]["labels"] = {label: "repository"}
    site.kube.apply(secret)


def trust(site, ca):
    with open(ca) as file:
        site.kube.apply(obj("v1", "ConfigMap", "countersign-tls-certs", site.system, data={"localhost": file.read()}))


def closed(new_site, folder):
    """A site whose team may use a repository behind credentials, over TLS; nothing is configured yet."""
    site = new_site()
    site.install(repos=[f"{site.stack.git_url_tls}/{folder}/{site.name}/*"])
    repo = site.repo(FILES, folder, tls=True)
    site.controller.start()
    return site, repo


def reached(site, repo):
    site.kube.apply(site.team.application("app", repo, "app"))
    site.settled("app")
    assert site.find("v1", "ConfigMap", "config")["data"] == {"key": "one"}


@pytest.mark.parametrize("label", ["countersign.dev/secret-type", "argocd.argoproj.io/secret-type"])
def test_basic_credentials_over_tls_with_a_private_authority(new_site, label):
    site, repo = closed(new_site, "basic")
    trust(site, site.stack.git_ca)
    credentials(site, repo, label, username="git", password="secret")
    reached(site, repo)


def test_bearer_token(new_site):
    site, repo = closed(new_site, "bearer")
    trust(site, site.stack.git_ca)
    credentials(site, repo, bearerToken="git-token")
    reached(site, repo)


def test_client_certificate(new_site):
    site, repo = closed(new_site, "mtls")
    trust(site, site.stack.git_ca)
    with open(site.stack.git_client_cert) as cert, open(site.stack.git_client_key) as key:
        credentials(site, repo, tlsClientCertData=cert.read(), tlsClientCertKey=key.read())
    reached(site, repo)


def test_wrong_password_is_told_without_the_password(new_site):
    site, repo = closed(new_site, "basic")
    trust(site, site.stack.git_ca)
    credentials(site, repo, username="git", password="wr0ng-pa55word")
    site.kube.apply(site.team.application("app", repo, "app"))
    seen = site.wait_condition("Synced", "False", "app", said=repo.url)
    assert "401" in seen["message"] or "credentials" in seen["message"], seen["message"]
    everything = site.controller.tail(10000) + str(site.app("app")) + str(site.log.records())
    encoded = base64.b64encode(b"git:wr0ng-pa55word").decode()
    assert "wr0ng-pa55word" not in everything and encoded not in everything


def test_server_of_an_unknown_authority_is_not_trusted(new_site):
    site, repo = closed(new_site, "basic")
    trust(site, site.stack.api_ca)
    credentials(site, repo, username="git", password="secret")
    site.kube.apply(site.team.application("app", repo, "app"))
    seen = site.wait_condition("Synced", "False", "app", said=repo.url)
    assert "certificate" in seen["message"].lower(), seen["message"]


def test_repository_that_the_project_does_not_allow_is_not_contacted(site):
    repo = site.repo(FILES)
    other = site.new_team("blue", [site.namespace], repos=["http://127.0.0.1:1/nothing/*"])
    site.kube.apply(other.application("app", repo, "app"))
    seen = site.wait_condition("Synced", "False", "app", said=repo.url)
    assert "blue" in seen["message"], seen["message"]
    assert repo.requests("GET .*info/refs\\?service=git-upload-pack") == []


def test_missing_branch_and_missing_path_are_told_by_name(site):
    repo = site.repo(FILES)
    app = site.team.application("app", repo, "nowhere")
    site.kube.apply(app)
    assert "nowhere" in site.wait_condition("Synced", "False", "app", said="nowhere")["message"]
    app["spec"]["source"].update(path="app", targetRevision="no-such-branch")
    site.kube.apply(app)
    site.wait_condition("Synced", "False", "app", said="no-such-branch")
    app["spec"]["source"]["targetRevision"] = "main"
    site.kube.apply(app)
    site.settled("app")


@pytest.mark.parametrize("wanted", ["v1.2.0", "1.x", "HEAD", "commit"])
def test_revision_is_resolved(site, wanted):
    repo = site.repo()
    first = repo.push("first", {"app/config.yaml": text(config_map("config", key="first"))})
    for tag in ("v1.2.0", "v1.1.9", "v2.0.0-rc.1"):
        repo.git("tag", tag)
    repo.git("push", "-q", str(repo.bare), "--tags")
    repo.push("second", {"app/config.yaml": text(config_map("config", key="second"))})
    app = site.team.application("app", repo, "app")
    app["spec"]["source"]["targetRevision"] = first if wanted == "commit" else wanted
    site.kube.apply(app)
    site.settled("app")
    expected = "second" if wanted == "HEAD" else "first"
    assert site.find("v1", "ConfigMap", "config")["data"]["key"] == expected


def test_commit_that_changes_nothing_it_reads_is_no_work(site):
    repo = site.deploy({**FILES, "other/file.txt": "1"})
    before = site.app("app")
    repo.push("elsewhere", {"other/file.txt": "2"})
    until("the push to be seen", repo.noticed_after_push)
    time.sleep(2.5)
    after = site.app("app")
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"], "the status was written"
    assert after["status"]["sync"]["revision"] == before["status"]["sync"]["revision"]


def test_polling_asks_for_references_only(site):
    repo = site.deploy(FILES)
    before = len(repo.requests())
    time.sleep(3)
    polls = repo.requests()[before:]
    assert 1 <= len(polls) <= 10, f"expected about one poll a second, saw {len(polls)} requests in 3 s"
    assert site.stack.git_requests() and len(repo.requests("git-receive-pack")) == 2, "only the push of the test wrote there"


def test_two_applications_of_one_repository_share_a_fetch(site):
    repo = site.deploy({"app/a.yaml": text(config_map("a")), "more/b.yaml": text(config_map("b"))}, name="first")
    site.kube.apply(site.team.application("second", repo, "more"))
    site.settled("second")
    before = len(repo.requests("POST .*git-upload-pack"))
    commit = repo.push("both", {"app/a.yaml": text(config_map("a", key="2")), "more/b.yaml": text(config_map("b", key="2"))})
    site.synced_at(commit, "first")
    site.synced_at(commit, "second")
    fetches = repo.requests("POST .*git-upload-pack")[before:]
    assert len(fetches) <= 8, f"expected polls and one fetch, saw {fetches}"


def test_git_outage_keeps_what_runs_and_heals_drift(site, stack):
    repo = site.deploy(FILES)
    with stack.outage("git"):
        site.kube.patch("v1", "ConfigMap", site.namespace, "config", {"data": {"key": "changed"}})
        until("drift to be healed without Git", lambda: site.find("v1", "ConfigMap", "config")["data"], lambda d: d == {"key": "one"}, seconds=5)
        stays("the object stays", lambda: site.find("v1", "ConfigMap", "config"), seconds=1)
    commit = repo.push("after the outage", {"app/config.yaml": text(config_map("config", key="two"))})
    site.synced_at(commit, "app", seconds=60)
