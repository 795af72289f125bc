"""A Git server that accepts connections and says nothing, stops in the middle of a pack, or begins its answers byte by byte: told with the cause, what
runs is kept as it is at the usual speed, other repositories are not held up. The last takes two minutes of waiting, so at full length only
(make torture ONLY=tests)."""

import contextlib
import os

import pytest

from harness.gitproxy import GitProxy
from harness.manifests import config_map, text
from harness.site import Site
from harness.wait import until

# What a heal may take whose Git server hangs; one whose server answers takes a tenth of a second.
HEALED_SECONDS = 3


@contextlib.contextmanager
def behind_a_proxy(stack, kube, registry, keys, folder, name):
    """A site whose Application "app" is in order and has its repository behind the proxy; (site, proxy, repository)."""
    site = Site(stack, kube, registry, keys, folder / "site", name)
    with GitProxy(stack.git_url) as proxy:
        try:
            site.install(repos=[f"{address}/open/{site.name}/*" for address in (f"http://{proxy.address}", stack.git_url)])
            site.controller.start()
            repo = site.repo({"app/c.yaml": text(config_map("c", key="1"))})
            app = site.team.application("app", repo, "app")
            app["spec"]["source"]["repoURL"] = f"http://{proxy.address}{repo.path_on_server}"
            kube.apply(app)
            site.settled("app")
            yield site, proxy, repo
        finally:
            site.close()


@pytest.fixture
def proxied(stack, kube, registry, keys, tmp_path):
    with behind_a_proxy(stack, kube, registry, keys, tmp_path, "git-slow") as all_of_it:
        yield all_of_it


def value(site):
    return site.find("v1", "ConfigMap", "c")["data"]["key"]


def drift(site):
    site.kube.patch("v1", "ConfigMap", site.namespace, "c", {"data": {"key": "drifted"}})


def heals(site, proxy, seconds=HEALED_SECONDS):
    """Drifts, and is healed while the server is still waited for."""
    drift(site)
    until("drift to be healed", lambda: value(site), lambda key: key == "1", seconds)
    assert proxy.held, "the server was given up meanwhile"


def one_process_again(site):
    """Whoever read meanwhile is gone."""
    until("one process for the repository", lambda: site.controller.pids("source"), lambda pids: len(pids) == 1, seconds=20)


def test_drift_is_healed_while_the_git_server_says_nothing(proxied):
    site, proxy, repo = proxied
    proxy.silent = True
    until("a poll to hang", lambda: proxy.held)
    heals(site, proxy)
    heals(site, proxy)
    site.wait_condition("Synced", "False", "app", said=repo.path_on_server, reason="RepositoryTimeout", seconds=60)
    until("another poll to hang", lambda: proxy.held, seconds=30)
    heals(site, proxy)
    proxy.silent = False
    site.synced_at(repo.push("two", {"app/c.yaml": text(config_map("c", key="2"))}), "app", seconds=60)
    one_process_again(site)


def test_drift_is_healed_while_a_pack_stops_half_way(proxied):
    site, proxy, repo = proxied
    proxy.stalled = True
    commit = repo.push("two", {"app/c.yaml": text(config_map("c", key="2"))})
    until("a pack to stop", lambda: proxy.held)
    heals(site, proxy)
    heals(site, proxy)
    site.wait_condition("Synced", "False", "app", said=repo.path_on_server, reason="RepositoryTimeout", seconds=60)
    until("another pack to stop", lambda: proxy.held, seconds=30)
    heals(site, proxy)
    proxy.stalled = False
    site.synced_at(commit, "app", seconds=60)
    assert value(site) == "2"
    one_process_again(site)


def test_drift_is_healed_after_a_restart_while_the_git_server_says_nothing(proxied):
    site, proxy, repo = proxied
    site.controller.stop()
    drift(site)
    proxy.silent = True
    site.controller.start()
    until("drift to be healed", lambda: value(site), lambda key: key == "1", HEALED_SECONDS)
    assert proxy.held, "the server was given up meanwhile"
    heals(site, proxy)
    site.wait_condition("Synced", "False", "app", said=repo.path_on_server, reason="RepositoryTimeout", seconds=60)


def head_that_comes_byte_by_byte_is_told_and_holds_up_nobody_else(proxied):
    site, proxy, repo = proxied
    proxy.slow = 0.5
    commit = repo.push("two", {"app/c.yaml": text(config_map("c", key="2"))})
    until("a head to begin", lambda: proxy.hits, seconds=10)
    site.deploy({"app/o.yaml": text(config_map("other"))}, name="other")
    drift(site)
    until("drift to be healed", lambda: value(site), lambda key: key == "1", HEALED_SECONDS)
    site.wait_condition("Synced", "False", "app", said=repo.path_on_server, reason="RepositoryTimeout", seconds=60)
    proxy.slow = 0
    site.synced_at(commit, "app", seconds=60)


if "TORTURE_ROUNDS" in os.environ:
    test_head_that_comes_byte_by_byte_is_told_and_holds_up_nobody_else = head_that_comes_byte_by_byte_is_told_and_holds_up_nobody_else
