"""A Git server on its worst day: what runs stays, the condition says what is wrong, and the next good commit recovers."""

import base64
import os
import shutil
import subprocess
import time

import pytest

from harness.gitproxy import GitProxy
from harness.manifests import config_map, text
from harness.stack import run
from harness.wait import stays, until


@pytest.fixture
def proxied(new_site, stack):
    """A site whose repositories are reached through the proxy; (site, proxy, repository, Application in order)."""
    site = new_site()
    with GitProxy(stack.git_url) as proxy:
        site.install(repos=[f"http://{proxy.address}/open/{site.name}/*"])
        site.controller.start()
        repo = site.repo({"app/c.yaml": text(config_map("c", key="1"))})
        app = site.team.application("app", repo, "app")
        app["spec"]["source"]["repoURL"] = f"http://{proxy.address}{repo.path_on_server}"
        site.kube.apply(app)
        site.settled("app")
        yield site, proxy, repo


def value(site):
    return site.find("v1", "ConfigMap", "c")["data"]["key"]


def flip(data):
    """One bit behind the header of the pack."""
    at = data.index(b"PACK") + 20
    return data[:at] + bytes([data[at] ^ 4]) + data[at + 1:]


@pytest.mark.parametrize("damage", [lambda data: data[:data.index(b"PACK") + 16], flip], ids=["cut in mid-pack", "a bit flipped"])
def test_pack_that_is_damaged_is_told_and_the_next_good_one_recovers(proxied, damage):
    site, proxy, repo = proxied
    proxy.damage = damage
    site.requests.mark()
    commit = repo.push("two", {"app/c.yaml": text(config_map("c", key="2"))})
    seen = site.wait_condition("Synced", "False", "app", said=repo.path_on_server, seconds=20)
    assert seen["reason"] in ("FetchFailed", "RepositoryUnreachable"), seen
    assert proxy.hits and site.governed() == [] and value(site) == "1"
    hits = proxy.hits
    stays("it is not asked without end", lambda: proxy.hits - hits, lambda more: more <= 8, 3)
    proxy.damage = None
    site.synced_at(commit, "app", seconds=60)
    assert value(site) == "2"


def test_status_is_not_said_to_be_of_a_generation_that_came_while_the_one_before_was_looked_at(proxied):
    """Whoever changes the spec and waits until it is ready must not be told of the spec before."""
    site, proxy, _ = proxied
    proxy.slow = 0.02
    site.kube.patch_application(site.system, "app", {"metadata": {"annotations": {"countersign.dev/refresh": "normal"}}})
    until("the server to be asked", lambda: proxy.hits)
    site.kube.patch_application(site.system, "app", {"spec": {"source": {"targetRevision": "nowhere"}}})
    generation, seen = site.app("app")["metadata"]["generation"], []

    def told():
        status = site.app("app")["status"]
        ready = next(c["status"] for c in status["conditions"] if c["type"] == "Ready")
        seen.append((status["observedGeneration"], ready))
        return ready

    until("the change to be told", told, lambda ready: ready == "False", seconds=40)
    assert set(seen) == {(generation - 1, "True"), (generation, "False")}, set(seen)


def test_repository_replaced_by_another_is_held_as_rewritten(site):
    repo = site.deploy({"app/c.yaml": text(config_map("c", key="1"))})
    site.requests.mark()
    other = site.repo({"app/c.yaml": text(config_map("c", key="of another"))})
    shutil.rmtree(repo.bare)
    shutil.copytree(other.bare, repo.bare)
    site.wait_condition("Synced", "False", "app", reason="HistoryRewritten", seconds=20)
    site.nothing_sent(site.requests)
    assert value(site) == "1"


def test_deleted_branch_keeps_what_runs_and_its_return_recovers(site):
    repo = site.deploy({"app/c.yaml": text(config_map("c", key="1"))})
    site.requests.mark()
    run("git", "-C", repo.bare, "update-ref", "-d", "refs/heads/main")
    site.wait_condition("Synced", "False", "app", said="main", seconds=20)
    site.nothing_sent(site.requests)
    commit = repo.push("back", {"app/c.yaml": text(config_map("c", key="2"))})
    site.synced_at(commit, "app", seconds=40)


def test_deleted_repository_keeps_what_runs_and_its_return_recovers(site, tmp_path):
    repo = site.deploy({"app/c.yaml": text(config_map("c", key="1"))})
    site.requests.mark()
    repo.bare.rename(tmp_path / "away.git")
    site.wait_condition("Synced", "False", "app", said=repo.url, seconds=20)
    site.nothing_sent(site.requests)
    (tmp_path / "away.git").rename(repo.bare)
    site.synced_at(repo.push("back", {"app/c.yaml": text(config_map("c", key="2"))}), "app", seconds=60)


def test_hundred_thousand_refs_do_not_matter(site):
    repo = site.repo({"app/c.yaml": text(config_map("c", key="1"))})
    head = repo.git("rev-parse", "HEAD")
    (repo.bare / "packed-refs").write_text("# pack-refs with: peeled fully-peeled sorted \n" +
                                           "".join(f"{head} refs/heads/b{n:06}\n" for n in range(100_000)))
    site.kube.apply(site.team.application("app", repo, "app"))
    site.settled("app", seconds=40)
    site.synced_at(repo.push("two", {"app/c.yaml": text(config_map("c", key="2"))}), "app", seconds=40)
    app = site.team.application("old", repo, "app", namespace=site.namespace)
    app["spec"]["source"]["targetRevision"] = "b099999"
    site.kube.delete("countersign.dev/v1alpha1", "Application", site.system, "app")
    until("it to go", lambda: site.kube.find_application(site.system, "app"), lambda found: found is None)
    site.kube.apply(app)
    site.compared_at(head, "old", seconds=40)


def test_drift_that_is_nobodys_to_heal_is_not_looked_at_without_end_while_the_repository_is_away(site, tmp_path):
    repo = site.deploy({"app/c.yaml": text(config_map("c", key="1"))})
    site.kube.patch_application(site.system, "app", {"spec": {"syncPolicy": None}})
    repo.bare.rename(tmp_path / "away.git")
    site.wait_condition("Synced", "False", "app", said=repo.url, seconds=20)
    site.kube.patch("v1", "ConfigMap", site.namespace, "c", {"data": {"key": "drifted"}})
    stays("it fails a few times", lambda: site.controller.output.read_text().count('"run failed"'), lambda failed: failed <= 6, 4)


def test_drift_is_left_alone_without_self_heal_also_while_the_repository_is_away(site, tmp_path):
    repo = site.deploy({"app/c.yaml": text(config_map("c", key="1"))}, automated={"prune": True})
    repo.bare.rename(tmp_path / "away.git")
    site.wait_condition("Synced", "False", "app", said=repo.url, seconds=20)
    site.kube.patch("v1", "ConfigMap", site.namespace, "c", {"data": {"key": "by hand"}})
    stays("it is as somebody wanted it", lambda: value(site), lambda key: key == "by hand", 4)
    site.controller.restart()
    stays("also after a restart", lambda: value(site), lambda key: key == "by hand", 4)


def test_drift_from_before_a_start_is_healed_also_while_the_repository_is_away(site, tmp_path):
    repo = site.deploy({"app/c.yaml": text(config_map("c", key="1"))})
    site.controller.stop()
    repo.bare.rename(tmp_path / "away.git")
    site.kube.patch("v1", "ConfigMap", site.namespace, "c", {"data": {"key": "drifted"}})
    site.controller.start()
    until("drift to be healed", lambda: value(site), lambda key: key == "1", seconds=5)
    site.wait_condition("Synced", "False", "app", said=repo.url, seconds=5)
    stays("it is not looked at without end", lambda: site.controller.output.read_text().count('"run failed"'), lambda failed: failed <= 6, 3)


def test_field_that_is_fought_over_while_git_is_away_is_looked_at_ever_less_often(site, stack):
    site.deploy({"app/c.yaml": text(config_map("c", key="value"))})

    def change(to):
        site.kube.patch("v1", "ConfigMap", site.namespace, "c", {"data": {"key": to}}, manager="mallory")

    for number in range(5):
        change(f"mine {number}")
        until("it to be taken back", lambda: value(site), lambda seen: seen == "value", seconds=10)
    change("mine for good")
    site.wait_condition("Synced", "False", "app", reason="Contested")
    with stack.outage("git"):
        change("mine without Git")
        time.sleep(4)
        since = site.log.next_seq()
        time.sleep(6)
        looks = site.log.records("drift", since=since)
    assert value(site) == "mine without Git"
    assert len(looks) <= 6, f"{len(looks)} looks in 6 s"


def test_packs_that_take_their_time_hold_up_nobody_elses_commit(new_site, stack):
    """Servers that answer at once what they have, and then send it as slowly as is not called dead."""
    site = new_site()
    with GitProxy(stack.git_url) as proxy:
        site.install()
        slow = site.new_team("slow", [site.namespace], repos=[f"http://{proxy.address}/**"])
        site.controller.start()
        good = site.deploy({"app/c.yaml": text(config_map("c", key="1"))})
        repo = site.repo({"app/s.yaml": text(config_map("s"))})
        for number in range(60):
            shutil.copytree(repo.bare, repo.bare.parent / f"slow{number}.git")
            application = slow.application(f"slow{number:02}", repo, "app", automated=None)
            application["spec"]["source"]["repoURL"] = f"http://{proxy.address}{repo.path_on_server}".replace("/r2.git", f"/slow{number}.git")
            site.kube.apply(application)
        until("all of them to be read", lambda: sum("revision" in a.get("status", {}).get("sync", {}) for a in site.kube.list(
            "countersign.dev/v1alpha1", "Application", site.system) if a["metadata"]["name"].startswith("slow")), lambda count: count == 60, seconds=40)
        proxy.drip = 2048
        repo.commit("large", {"app/s.txt": base64.b64encode(os.urandom(1 << 20)).decode()})
        for number in range(60):
            repo.git("push", "-q", str(repo.bare.parent / f"slow{number}.git"), "HEAD:refs/heads/main")
        until("packs to be under way", lambda: proxy.held, lambda held: held == 12, seconds=20)
        stays("a project has half of the places", lambda: proxy.held, lambda held: held <= 12, seconds=3)
        site.synced_at(good.push("two", {"app/c.yaml": text(config_map("c", key="2"))}), "app", seconds=10)
        new = site.deploy({"app/n.yaml": text(config_map("n"))}, name="new")
        assert new and proxy.held == 12


@pytest.fixture
def small_volume(new_site):
    """A site whose data folder is a file system of 16 MiB."""
    site = new_site().install()
    data = site.controller.data
    data.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", data], check=True)
    site.controller.start()
    yield site
    site.controller.stop()
    subprocess.run(["umount", "-l", data], check=True)


def test_repository_that_would_fill_the_volume_leaves_the_audit_log_its_room(small_volume):
    site = small_volume
    big = base64.b64encode(os.urandom(18 << 20)).decode()
    repo = site.repo()
    repo.git("config", "http.postBuffer", str(64 << 20))
    repo.push("big", {"app/c.yaml": text(config_map("big")), "big/history.txt": big})
    site.kube.apply(site.team.application("big", repo, "app"))
    seen = site.wait_condition("Synced", "False", "big", reason="VolumeFull")
    assert "audit log" in seen["message"], seen["message"]
    site.deploy({"app/c.yaml": text(config_map("small"))}, name="small")
    assert site.find("v1", "ConfigMap", "small") and site.find("v1", "ConfigMap", "big") is None
    assert shutil.disk_usage(site.controller.data).free > 2 << 20


def test_repository_that_grows_and_grows_leaves_the_others_room(small_volume):
    """Each of its commits is small; what is full in the end is its own share of the volume."""
    site = small_volume
    small = site.deploy({"app/c.yaml": text(config_map("small", key="1"))}, name="small")
    repo = site.deploy({"app/c.yaml": text(config_map("big"))}, name="big")
    repo.git("config", "http.postBuffer", str(8 << 20))
    for number in range(20):
        commit = repo.push(f"{number}", {f"history/{number}.txt": base64.b64encode(os.urandom(1 << 20)).decode(), "app/c.yaml": text(config_map("big", turn=str(number)))})
        synced = until("what came of it", lambda commit=commit: site.app("big")["status"],
                       lambda seen: seen.get("appliedRevision") == commit or any(c["reason"] == "VolumeFull" for c in seen["conditions"]), seconds=20)
        if synced.get("appliedRevision") != commit:
            break
    assert 6 <= number <= 12, f"{number} MiB of 14"
    said = site.wait_condition("Synced", "False", "big", reason="VolumeFull")["message"]
    assert "to all other repositories" in said, said
    site.synced_at(small.push("two", {"app/c.yaml": text(config_map("small", key="2"))}), "small")
    new = base64.b64encode(os.urandom(1 << 19)).decode()
    site.deploy({"app/c.yaml": text(config_map("new")), "history.txt": new}, name="new")
