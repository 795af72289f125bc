"""A repository of many Applications arrives at once: what is skipped for speed then is not skipped in what it guards."""

import re

import pytest

from harness.kube import Kube
from harness.manifests import config_map, text
from harness.site import Site
from harness.tenant import API
from harness.wait import until
from rig.proxy import Proxy

MANY = 120  # more than may work at a time (turns.c)


class Crowd:
    """MANY Applications of one repository, one ConfigMap each, behind the proxy; they wait for their first commit."""

    def __init__(self, stack, kube, registry, keys, folder, proxy, name):
        self.site = Site(stack, kube, registry, keys, folder / "site", name)
        self.site.install()
        self.proxy = proxy
        self.site.controller.kubeconfig = proxy.kubeconfig(self.site.installation, folder / "kubeconfig")
        self.site.controller.start()
        self.names = [f"m{i:03d}" for i in range(MANY)]
        self.repo = self.site.repo({"README": "nothing yet\n"})
        kube.apply(*[self.site.team.application(n, self.repo, n) for n in self.names])
        until("all to be refused: their folders do not exist yet", self.refused, lambda seen: seen == MANY, seconds=30)
        proxy.ledger.clear()

    def refused(self):
        seen = self.conditions("Synced")
        return sum(c.get("reason") == "PathNotFound" for c in seen.values())

    def conditions(self, kind):
        out = {}
        for app in self.site.kube.list(API, "Application", self.site.system):
            listed = app.get("status", {}).get("conditions", [])
            out[app["metadata"]["name"]] = next((c for c in listed if c["type"] == kind), {})
        return out

    def push(self):
        return self.repo.push("all", {f"{n}/c.yaml": text(config_map(f"c-{n}")) for n in self.names})

    def synced(self):
        return sum(c.get("status") == "True" for c in self.conditions("Synced").values())

    def in_inventories(self):
        return sum(i.get("count", 0) for i in self.site.kube.list(API, "ApplicationInventory", self.site.system))

    def asked(self, method, pattern):
        return [r for r in self.proxy.ledger if r.method == method and re.search(pattern, r.path)]


@pytest.fixture
def crowd(stack, kube, registry, keys, tmp_path, request):
    with Proxy(stack) as proxy:
        made = Crowd(stack, kube, registry, keys, tmp_path, proxy, request.node.name)
        try:
            yield made
        finally:
            made.site.close()


def test_a_crowd_is_looked_for_by_lists_and_what_belongs_to_others_is_found(crowd):
    site = crowd.site
    site.kube.apply(config_map("c-m077", site.namespace, key="theirs"), manager="other-operator")
    crowd.push()
    until("all but one to be in sync", crowd.synced, lambda seen: seen == MANY - 1, seconds=60)
    said = crowd.conditions("Synced")["m077"]
    assert "other-operator" in said["message"] and "c-m077" in said["message"], said
    assert site.find("v1", "ConfigMap", "c-m077")["data"] == {"key": "theirs"}
    assert len(crowd.asked("GET", r"/configmaps/c-m")) < MANY / 4
    assert crowd.asked("GET", r"/configmaps\?labelSelector=%21countersign")


def test_a_crash_in_a_crowd_loses_nothing_of_what_was_made(crowd):
    """Results wait for inventories, which wait for objects: the process dies when many are owed."""
    site = crowd.site

    def plan(request):
        # no inventory comes through, so that all results are owed
        if request.method == "PATCH" and "/applicationinventories/" in request.path:
            return lambda exchange: exchange.reset()

    crowd.proxy.plan = plan
    crowd.push()
    until("many objects to be made", lambda: len(site.kube.list("v1", "ConfigMap", site.namespace)), lambda seen: seen > 40, seconds=60)
    site.controller.kill()
    crowd.proxy.plan = None
    made = {c["metadata"]["name"]: c["metadata"]["uid"] for c in site.kube.list("v1", "ConfigMap", site.namespace)}
    site.controller.start()
    until("all to be in sync and in the inventories", lambda: (crowd.synced(), crowd.in_inventories()), lambda seen: seen == (MANY, MANY), seconds=60)
    now = {c["metadata"]["name"]: c["metadata"]["uid"] for c in site.kube.list("v1", "ConfigMap", site.namespace)}
    assert {name: now.get(name) for name in made} == made, "an object was made anew"
    until("no intent to be open", lambda: open_intents(site), lambda seen: not seen, seconds=20)
    site.log.verify()


def test_an_orderly_stop_in_a_crowd_owes_no_result(crowd):
    site = crowd.site
    crowd.push()
    until("some objects to be made", lambda: len(site.kube.list("v1", "ConfigMap", site.namespace)), lambda seen: seen > 20, seconds=60)
    site.controller.stop()
    assert open_intents(site) == []
    site.log.verify()


def open_intents(site):
    intents = {r["seq"] for r in site.log.records(kind="sync.intent")}
    return sorted(intents - {r["intent"] for r in site.log.records(kind="sync.result")})


def test_an_object_that_comes_between_look_and_write_is_not_taken_over_in_silence(stack, kube, registry, keys, tmp_path):
    site = Site(stack, kube, registry, keys, tmp_path / "site", "comes-between").install()
    with Proxy(stack) as proxy:
        try:
            site.controller.kubeconfig = proxy.kubeconfig(site.installation, tmp_path / "kubeconfig")
            site.controller.start()

            def make_it_first(exchange):
                # nothing that conflicts: the apply merges with it
                Kube.admin(stack).apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one", "namespace": site.namespace},
                                         "data": {"other": "theirs"}}, manager="other-operator")
                exchange.deliver(exchange.forward())

            def plan(request):
                if request.governed and request.path.split("?")[0].endswith("/configmaps/one"):
                    proxy.plan = None
                    return make_it_first

            proxy.plan = plan
            site.deploy({"app/c.yaml": text(config_map("one"))})
            until("an event about it", lambda: told(site), lambda seen: any("was there" in note for note in seen), seconds=10)
            result = site.log.records(kind="sync.result")[-1]
            assert "was there" in result["objects"][0]["message"], result
        finally:
            site.close()


def told(site):
    events = site.kube.list("events.k8s.io/v1", "Event", site.system)
    return [e.get("note", "") for e in events if e.get("reason") == "AdoptedUnseen"]
