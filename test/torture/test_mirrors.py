"""The copies of repositories on the controller's volume go when nobody wants them any more. At full length only (make torture ONLY=tests): an hour
passes in three minutes."""

import os

from harness.images import open_registry
from harness.manifests import config_map, text
from harness.site import Site
from harness.wait import until

PACE = 20


def mirrors(site):
    return sorted(path.name for path in (site.controller.data / "mirrors").iterdir())


def mirror_of_a_repository_that_nobody_wants_goes_and_comes_again(stack, kube, registry, keys, tmp_path):
    site = Site(stack, kube, registry, keys, tmp_path / "site", "mirrors").install()
    site.controller.pace = PACE
    try:
        site.controller.start()
        first = site.repo()
        before = first.push("first", {"app/c.yaml": text(config_map("c", key="1"))})
        site.kube.apply(site.team.application("app", first, "app"))
        site.synced_at(before, "app")
        (former,) = mirrors(site)
        second = site.repo()
        after = second.push("first", {"app/c.yaml": text(config_map("c", key="2"))})
        site.kube.patch_application(site.system, "app", {"spec": {"source": {"repoURL": second.url}}})
        site.synced_at(after, "app")
        until("the former mirror to go", lambda: mirrors(site), lambda names: len(names) == 1 and former not in names, seconds=3 * 3600 / PACE)
        site.kube.patch_application(site.system, "app", {"spec": {"source": {"repoURL": first.url}}})
        site.synced_at(before, "app")
        assert former in mirrors(site)
    finally:
        site.close()


if "TORTURE_ROUNDS" in os.environ:
    test_mirror_of_a_repository_that_nobody_wants_goes_and_comes_again = mirror_of_a_repository_that_nobody_wants_goes_and_comes_again
