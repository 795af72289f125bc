"""A Git server whose answers begin byte by byte: told with the cause, what runs is kept as it is, other repositories are not held up. It takes two
minutes of waiting, so at full length only (make torture ONLY=tests)."""

import os

from harness.gitproxy import GitProxy
from harness.manifests import config_map, text
from harness.site import Site
from harness.wait import until


def value(site):
    return site.find("v1", "ConfigMap", "c")["data"]["key"]


def head_that_comes_byte_by_byte_is_told_and_holds_up_nobody_else(stack, kube, registry, keys, tmp_path):
    site = Site(stack, kube, registry, keys, tmp_path / "site", "git-slow")
    with GitProxy(stack.git_url) as proxy:
        try:
            site.install(repos=[f"{address}/open/{site.name}/*" for address in (f"http://{proxy.address}", stack.git_url)])
            site.controller.start()
            repo = site.repo({"app/c.yaml": text(config_map("c", key="1"))})
            app = site.team.application("app", repo, "app")
            app["spec"]["source"]["repoURL"] = f"http://{proxy.address}{repo.path_on_server}"
            kube.apply(app)
            site.settled("app")
            proxy.slow = 0.5
            commit = repo.push("two", {"app/c.yaml": text(config_map("c", key="2"))})
            until("a head to begin", lambda: proxy.hits, seconds=10)
            site.deploy({"app/o.yaml": text(config_map("other"))}, name="other")
            kube.patch("v1", "ConfigMap", site.namespace, "c", {"data": {"key": "drifted"}})
            # files are read by the process that fetches: the heal waits until it has given the server up, twice 20 s
            site.wait_condition("Synced", "False", "app", said=repo.path_on_server, reason="RepositoryTimeout", seconds=60)
            until("drift to be healed all the same", lambda: value(site), lambda key: key == "1", seconds=20)
            proxy.slow = 0
            site.synced_at(commit, "app", seconds=60)
        finally:
            site.close()


if "TORTURE_ROUNDS" in os.environ:
    test_head_that_comes_byte_by_byte_is_told_and_holds_up_nobody_else = head_that_comes_byte_by_byte_is_told_and_holds_up_nobody_else
