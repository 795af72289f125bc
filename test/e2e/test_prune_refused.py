"""What is not deleted, since too much would go or the Project says no: the rest of the plan goes on, and is told and tried as without it."""

import pytest

from harness.manifests import config_map, text
from harness.tenant import obj, role_pair
from harness.wait import stays, until

MAPS = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]}
SERVICES = {"apiGroups": [""], "resources": ["services"], "verbs": ["*"]}
AGAIN = {"automated": {"prune": True, "selfHeal": True}, "retry": {"limit": 30, "backoff": {"duration": "1s", "maxDuration": "1s"}}}


def service(name):
    return obj("v1", "Service", name, spec={"ports": [{"port": 80}]})


def maps(count):
    return {f"app/m{n}.yaml": text(config_map(f"m{n}")) for n in range(count)}


@pytest.fixture
def place(new_site):
    def make(*rules):
        site = new_site().install(rules=list(rules))
        site.controller.start()
        return site
    return make


def there(site, count):
    return [n for n in range(count) if site.find("v1", "ConfigMap", f"m{n}")]


def test_so_many_may_not_go_though_one_of_them_is_refused_by_the_project(place):
    site = place(MAPS, SERVICES)
    repo = site.deploy({**maps(6), "app/s.yaml": text(service("s"))})
    site.kube.patch("countersign.dev/v1alpha1", "Project", site.system, "red", {"spec": {"namespaceResourceBlacklist": [{"group": "", "kind": "Service"}]}})
    for n in range(1, 6):
        repo.git("rm", "-q", f"app/m{n}.yaml")
    repo.git("rm", "-q", "app/s.yaml")
    site.compared_at(repo.push("most of it goes"), "app")
    site.wait_condition("Synced", "False", "app", reason="PruneRefused", said="5 of 7 objects would be deleted at once")
    stays("all is there", lambda: there(site, 6), lambda seen: len(seen) == 6, 1.5)
    assert site.find("v1", "Service", "s")


def test_what_could_not_be_applied_beside_a_refused_prune_is_told_and_tried_again(place):
    site = place(MAPS)
    repo = site.deploy(maps(6), syncPolicy=AGAIN)
    for n in range(1, 6):
        repo.git("rm", "-q", f"app/m{n}.yaml")
    repo.push("most of it goes, and what may not be written comes", {"app/s.yaml": text(service("s"))})
    site.wait_condition("Synced", "False", "app", reason="Forbidden", said="Service")
    site.kube.apply(*role_pair("Role", "late", site.namespace, [SERVICES], site.team.applier, site.system))
    until("the service to be made when the right is there", lambda: site.find("v1", "Service", "s"), seconds=15)
    site.wait_condition("Synced", "False", "app", reason="PruneRefused")
    assert len(there(site, 6)) == 6
