"""Repositories: how they are reached, and that those which are not allowed are not even contacted."""

import base64
import shutil
import time

import pytest

from harness.controller import cli
from harness.kube import ApiError
from harness.manifests import config_map, deployment, text
from harness.stack import run
from harness.tenant import image_policy, obj
from harness.wait import stays, until
from harness.webproxy import WebProxy

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


def test_long_and_many_revisions_are_nobody_elses_trouble(site):
    """What others ask of a repository does not keep its server from being asked."""
    repo = site.deploy(FILES)
    first = repo.git("rev-parse", "HEAD")
    commit = repo.push("two", {"app/config.yaml": text(config_map("config", key="two"))})
    site.synced_at(commit, "app")
    app = site.team.application("long", repo, "app", automated=None)
    app["spec"]["source"]["targetRevision"] = "x" * 1025
    with pytest.raises(ApiError, match="targetRevision"):
        site.kube.apply(app)
    with pytest.raises(ApiError, match="revision"):
        site.kube.patch_application(site.system, "app", {"operation": {"sync": {"revision": "x" * 1025}}})
    for number in range(40):
        app["metadata"]["name"], app["spec"]["source"]["targetRevision"] = f"long{number}", f"{number:04}" + "x" * 1020
        site.kube.apply(app)
    app["metadata"]["name"], app["spec"]["source"]["targetRevision"] = "pinned", first
    site.kube.apply(app)
    site.wait_condition("Synced", "False", "long39", reason="RevisionNotFound")
    site.compared_at(first, "pinned")
    site.synced_at(repo.push("three", {"app/config.yaml": text(config_map("config", key="three"))}), "app")


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


def test_branch_that_was_deleted_and_is_put_back_as_it_was_is_told_to_be_in_order_again(site):
    repo = site.deploy(FILES)
    tip = repo.git("rev-parse", "HEAD")
    run("git", "-C", repo.bare, "update-ref", "-d", "refs/heads/main")
    site.wait_condition("Synced", "False", "app", reason="RevisionNotFound", seconds=20)
    run("git", "-C", repo.bare, "update-ref", "refs/heads/main", tip)
    site.synced_at(tip, "app", seconds=20)


def test_repository_whose_credential_is_of_another_project_is_not_contacted(site):
    repo = site.repo({"app/c.yaml": text(config_map("c", key="one"))})
    secret = obj("v1", "Secret", "git-c", site.system, stringData={"url": repo.url, "username": "u", "password": "p", "project": "blue"})
    secret["metadata"]["labels"] = {"argocd.argoproj.io/secret-type": "repository"}
    site.kube.apply(secret)
    asked = len(repo.requests())
    site.kube.apply(site.team.application("app", repo, "app"))
    said = site.wait_condition("Synced", "False", "app", reason="RepositoryNotPermitted")["message"]
    assert "project blue alone" in said and "git-c" in said and len(repo.requests()) == asked, said
    site.kube.patch("v1", "Secret", site.system, "git-c", {"stringData": {"project": "red"}})
    site.kube.patch_application(site.system, "app", {"metadata": {"annotations": {"countersign.dev/refresh": "normal"}}})
    site.settled("app")


# --- a branch whose history was rewritten ---------------------------------------------------------------------------------------

def rewritten(site, **project):
    """An Application in order, whose branch is then replaced by another commit on the same base; (repo, applied, new commit)."""
    if project:
        site.team.project_fields = project
        site.kube.apply(site.team.project)
    repo = site.repo({"app/c.yaml": text(config_map("c", key="base"))})
    applied = repo.push("two", {"app/c.yaml": text(config_map("c", key="applied"))})
    site.kube.apply(site.team.application("app", repo, "app"))
    site.synced_at(applied, "app")
    repo.git("reset", "-q", "--hard", "HEAD~1")
    new = repo.commit("another two", {"app/c.yaml": text(config_map("c", key="rewritten"))})
    site.requests.mark()
    repo.force_push()
    return repo, applied, new


def data_of(site):
    return site.find("v1", "ConfigMap", "c")["data"]["key"]


def test_branch_that_was_rewritten_is_held_and_told_also_after_a_restart(site):
    repo, applied, new = rewritten(site)
    said = site.wait_condition("Synced", "False", "app", reason="HistoryRewritten")["message"]
    assert applied[:12] in said and new[:12] in said and "countersign sync app --revision" in said, said
    site.nothing_sent(site.requests)
    site.controller.restart()
    site.wait_condition("Synced", "False", "app", reason="HistoryRewritten")
    site.nothing_sent(site.requests)
    assert data_of(site) == "applied"
    described = cli("describe", "app", "-n", site.system, kubeconfig=site.stack.kubeconfig, check=True).stdout
    assert "HistoryRewritten" in described and "Find out who rewrote the branch" in described
    refused = site.records("sync.denied", 0, "app")
    assert refused and all(r["reason"] == "HistoryRewritten" and new[:12] in r["message"] for r in refused), refused


def test_branch_that_the_application_changed_to_is_held_too_when_it_is_rewritten(site):
    """Also one that says what the former branch said, so that nothing had to be written for it."""
    repo = site.deploy({"app/c.yaml": text(config_map("c", key="applied"))})
    repo.git("push", "-q", str(repo.bare), "HEAD:refs/heads/release")
    site.kube.patch_application(site.system, "app", {"spec": {"source": {"targetRevision": "release"}}})
    generation = site.app("app")["metadata"]["generation"]
    until("the change to be seen", lambda: site.app("app")["status"]["observedGeneration"], lambda seen: seen == generation)
    site.settled("app")
    repo.git("checkout", "-q", "--orphan", "other")
    new = repo.commit("another beginning", {"app/c.yaml": text(config_map("c", key="rewritten"))})
    repo.git("push", "-q", "--force", str(repo.bare), "HEAD:refs/heads/release")
    said = site.wait_condition("Synced", "False", "app", reason="HistoryRewritten")["message"]
    assert new[:12] in said and data_of(site) == "applied", said


def test_branch_that_takes_the_name_of_the_tag_that_runs_does_not_take_its_place(site):
    repo = site.deploy({"app/c.yaml": text(config_map("c", key="applied"))})
    repo.git("tag", "v1")
    repo.git("push", "-q", str(repo.bare), "refs/tags/v1")
    site.kube.patch_application(site.system, "app", {"spec": {"source": {"targetRevision": "v1"}}})
    site.settled("app")
    repo.commit("what nobody released", {"app/c.yaml": text(config_map("c", key="hijacked"))})
    repo.git("push", "-q", str(repo.bare), "HEAD:refs/heads/v1")
    said = site.wait_condition("Synced", "False", "app", reason="AmbiguousRevision")["message"]
    assert "refs/tags/v1" in said and data_of(site) == "applied", said
    assert [r["reason"] for r in site.records("sync.denied", 0, "app")] == ["AmbiguousRevision"]
    site.kube.patch_application(site.system, "app", {"spec": {"source": {"targetRevision": "refs/tags/v1"}}})
    site.settled("app")
    assert data_of(site) == "applied"


def test_rewritten_branch_is_held_while_what_runs_is_still_healed(site):
    rewritten(site)
    site.wait_condition("Synced", "False", "app", reason="HistoryRewritten")
    site.kube.patch("v1", "ConfigMap", site.namespace, "c", {"data": {"key": "meddled"}}, manager="meddler")
    until("the change to be healed", lambda: data_of(site), lambda key: key == "applied")


def test_person_may_sync_a_rewritten_branch_and_it_goes_on_from_there(site):
    repo, _, new = rewritten(site)
    site.wait_condition("Synced", "False", "app", reason="HistoryRewritten")
    done = cli("sync", "app", "--revision", new, "-n", site.system, kubeconfig=site.stack.kubeconfig)
    assert done.returncode == 0, done.stdout + done.stderr
    assert data_of(site) == "rewritten"
    following = repo.push("three", {"app/c.yaml": text(config_map("c", key="three"))})
    site.synced_at(following, "app")
    assert data_of(site) == "three"


def test_rewritten_branch_is_followed_where_the_project_says_so(site):
    _, _, new = rewritten(site, allowRewrittenHistory=True)
    site.synced_at(new, "app")
    assert data_of(site) == "rewritten"


def test_good_push_ends_the_hold_when_the_applied_commit_is_in_it_again(site):
    repo, applied, _ = rewritten(site)
    site.wait_condition("Synced", "False", "app", reason="HistoryRewritten")
    repo.git("reset", "-q", "--hard", applied)
    repo.force_push()
    site.settled("app")
    assert data_of(site) == "applied"


def changed_target(site):
    """An Application in order on main, whose target is then another branch that does not descend from it and is denied; (repo, applied, image)."""
    image = site.image("web", signed=False)
    repo = site.repo({"app/c.yaml": text(config_map("c", key="base"))})
    repo.git("checkout", "-q", "-b", "release")
    repo.commit("release", {"app/c.yaml": text(config_map("c", key="release")), "app/web.yaml": text(deployment("web", image.ref))})
    repo.git("push", "-q", str(repo._push_url()), "release")
    repo.git("checkout", "-q", "main")
    applied = repo.push("main goes on", {"app/c.yaml": text(config_map("c", key="main"))})
    site.kube.apply(site.team.application("app", repo, "app"))
    site.synced_at(applied, "app")
    site.kube.patch_application(site.system, "app", {"spec": {"source": {"targetRevision": "release"}}})
    site.wait_condition("Verified", "False", "app", said=image.digest)
    site.kube.patch("v1", "ConfigMap", site.namespace, "c", {"data": {"key": "meddled"}}, manager="meddler")
    until("the change to be healed", lambda: data_of(site), lambda key: key == "main")
    return repo, applied, image


def test_heal_while_the_changed_target_is_refused_is_no_rewriting(site):
    _, _, image = changed_target(site)
    image.sign(site.key)
    until("the other branch to run", lambda: data_of(site), lambda key: key == "release", seconds=70)
    site.settled("app")


def test_heal_while_the_changed_target_is_refused_lets_no_rewritten_branch_through(site):
    repo, applied, _ = changed_target(site)
    repo.git("reset", "-q", "--hard", "HEAD~1")
    repo.commit("another", {"app/c.yaml": text(config_map("c", key="rewritten"))})
    repo.force_push()
    site.kube.patch_application(site.system, "app", {"spec": {"source": {"targetRevision": "main"}}})
    said = site.wait_condition("Synced", "False", "app", reason="HistoryRewritten")["message"]
    assert applied[:12] in said and data_of(site) == "main", said


def test_changed_target_revision_and_a_moved_tag_are_no_rewriting(site):
    repo = site.repo({"app/c.yaml": text(config_map("c", key="base"))})
    repo.git("tag", "v1")
    repo.git("push", "-q", str(repo._push_url()), "v1")
    repo.git("checkout", "-q", "-b", "other")
    repo.commit("other", {"app/c.yaml": text(config_map("c", key="other"))})
    repo.git("push", "-q", str(repo._push_url()), "other")
    site.kube.apply(site.team.application("app", repo, "app"))
    site.settled("app")
    repo.git("checkout", "-q", "main")
    main = repo.push("main goes on", {"app/c.yaml": text(config_map("c", key="main"))})
    site.synced_at(main, "app")
    site.kube.patch_application(site.system, "app", {"spec": {"source": {"targetRevision": "other"}}})
    until("the other branch to run", lambda: data_of(site), lambda key: key == "other")
    site.kube.patch_application(site.system, "app", {"spec": {"source": {"targetRevision": "v1"}}})
    until("the tag to run", lambda: data_of(site), lambda key: key == "base")
    repo.git("tag", "-f", "v1", "other")
    repo.git("push", "-q", "-f", str(repo._push_url()), "v1")
    until("the moved tag to run", lambda: data_of(site), lambda key: key == "other")


def test_dry_run_of_another_branch_that_says_the_same_changes_nothing(site):
    repo = site.deploy({"app/c.yaml": text(config_map("c", key="one"))})
    held = lambda: [one["data"] for one in site.kube.list("countersign.dev/v1alpha1", "ApplicationInventory", site.system)]
    before = held()
    repo.git("checkout", "-q", "-b", "other")
    other = repo.commit("a comment", {"app/c.yaml": "# the same\n" + repo.read("app/c.yaml")})
    repo.git("push", "-q", str(repo._push_url()), "other")
    site.kube.patch_application(site.system, "app", {"operation": {"sync": {"revision": other, "dryRun": True}}})
    until("its end to be told", lambda: site.app("app")["status"].get("operationState", {}), lambda state: state.get("phase") == "Succeeded" and "dryRun" in str(state))
    until("the Application to turn to its own revision", lambda: site.app("app"), lambda app: app["status"]["sync"]["revision"] != other and "operation" not in app)
    assert len(before) == 1 and held() == before
    repo.git("checkout", "-q", "main")
    site.synced_at(repo.push("main goes on", {"app/c.yaml": text(config_map("c", key="two"))}), "app")


class Nowhere:
    """A repository that its server does not have."""

    def __init__(self, site, number):
        self.url, self.branch = f"{site.stack.git_url}/open/{site.name}/nowhere{number}.git", "main"


def test_any_number_of_repositories_takes_a_bounded_number_of_processes(new_site):
    site = new_site().install()
    site.controller.start()
    site.kube.apply(*(site.team.application(f"a{i:03}", Nowhere(site, i), "app") for i in range(150)))
    most = []

    def told():
        most.append(len(site.controller.pids("source")))
        return sum(any(c["reason"] == "RepositoryNotFound" for c in a.get("status", {}).get("conditions", []))
                   for a in site.kube.list("countersign.dev/v1alpha1", "Application", site.system))

    until("all to be told", told, lambda count: count == 150, seconds=30)
    # as many as are kept for their next job, and as are asked at a time
    assert max(most) <= 32 + 48, most
    site.deploy({"app/c.yaml": text(config_map("c"))}, name="beside")


def test_more_repositories_than_processes_are_looked_at_in_turns(new_site):
    """Fifty, polled every second: a process that is started for each look at the others would keep a core busy."""
    site = new_site().install()
    repo = site.repo(FILES)
    for number in range(50):
        shutil.copytree(repo.bare, repo.bare.parent / f"copy{number}.git")
        application = site.team.application(f"a{number:02}", repo, "app", automated=None)
        application["spec"]["source"]["repoURL"] = repo.url.replace("/r1.git", f"/copy{number}.git")
        site.kube.apply(application)
    site.controller.start()
    until("all to be compared", lambda: sum(a.get("status", {}).get("sync", {}).get("revision") is not None
                                            for a in site.kube.list("countersign.dev/v1alpha1", "Application", site.system)),
          lambda count: count == 50, seconds=40)
    time.sleep(3)
    seen, end = set(site.controller.pids("source")), time.monotonic() + 8
    before = len(seen)
    while time.monotonic() < end:
        seen.update(site.controller.pids("source"))
        time.sleep(0.02)
    assert 0 < len(seen) - before <= 20, "two in a second were asked for"
    repo.commit("second", {"app/config.yaml": text(config_map("config", key="two"))})
    repo.git("push", "-q", str(repo.bare.parent / "copy49.git"), "HEAD:refs/heads/main")
    commit = repo.git("rev-parse", "HEAD")
    until("the new commit to be seen", lambda: site.app("a49")["status"]["sync"]["revision"], lambda revision: revision == commit, seconds=40)


def test_process_of_a_repository_that_nobody_wants_any_more_ends(site):
    site.deploy({"app/c.yaml": text(config_map("c"))})
    assert len(site.controller.pids("source")) == 1
    site.kube.delete("countersign.dev/v1alpha1", "Application", site.system, "app")
    until("its process to end", lambda: site.controller.pids("source"), lambda pids: not pids, seconds=10)


def test_git_and_registry_are_had_through_the_proxy_of_the_environment(new_site, monkeypatch):
    """Names that only the proxy can resolve; the API server is asked directly."""
    with WebProxy() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
        site = new_site()
        registry = f"registry.invalid:{site.registry.address.split(':')[1]}"
        git = site.stack.git_url.replace("127.0.0.1", "git.invalid")
        site.install(repos=[f"{git}/open/{site.name}/*"], policy=False)
        site.kube.apply(image_policy(site.system, "release", [f"{registry}/{site.name}/**"], [site.key]))
        site.controller.plain_http.append(registry)
        site.controller.start()
        image = site.image("web")
        repo = site.repo({"app/web.yaml": text(deployment("web", image.ref.replace(site.registry.address, registry)))})
        application = site.team.application("app", repo, "app")
        application["spec"]["source"]["repoURL"] = repo.url.replace(site.stack.git_url, git)
        site.kube.apply(application)
        site.wait_condition("Synced", "True", "app")
        assert site.running() == [f"{registry}/{image.name}:1@{image.digest}"]
        assert {("GET", "git.invalid"), ("POST", "git.invalid"), ("GET", "registry.invalid")} <= proxy.asked, proxy.asked
