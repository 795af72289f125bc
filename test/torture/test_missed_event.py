"""A watch that leaves out one event and says nothing of it: no drift is seen where there is none, nothing wrong is done by what is not known, and the next
list finds what was missed. That comes at a stream's end within the hour (unit/kube/test_watch.c); here the stream is made to end with 410."""

import json
import threading

import pytest

from harness.manifests import config_map, text
from harness.site import Site
from harness.wait import stays, until
from rig.proxy import Proxy
from rig.streams import EXPIRED, rewritten


class Gap:
    """Watches of one resource: events that `missed` (type, object) names are left out; `closing` ends the streams with 410 at their next event."""

    def __init__(self, resource, missed):
        self.resource, self.missed = resource, missed
        self.armed, self.left_out, self.closing = threading.Event(), threading.Event(), threading.Event()

    def __call__(self, request):
        return rewritten(self.rewrite) if request.watch and request.path.split("?")[0].endswith(f"/{self.resource}") else None

    def rewrite(self, batch):
        out = [line for line in batch if not self.is_left_out(line)]
        if self.closing.is_set():
            out += [json.dumps(EXPIRED).encode() + b"\n", b""]
        return out

    def is_left_out(self, line):
        event = json.loads(line)
        hit = self.armed.is_set() and self.missed(event["type"], event["object"])
        if hit:
            self.left_out.set()
        return hit


@pytest.fixture
def world(stack, kube, registry, keys, tmp_path):
    """A site behind the proxy with ConfigMaps c0 to c2; deploy(gap) begins it."""
    site = Site(stack, kube, registry, keys, tmp_path / "site", "missed").install()
    with Proxy(stack) as proxy:
        def deploy(gap):
            proxy.plan = gap
            site.controller.kubeconfig = proxy.kubeconfig(site.installation, tmp_path / "kubeconfig")
            site.controller.start()
            site.deploy({f"app/c{n}.yaml": text(config_map(f"c{n}")) for n in range(3)})
            site.requests.mark()
            gap.armed.set()
            return site
        yield deploy
        site.close()


def values(site):
    return {o["metadata"]["name"]: o["data"]["key"] for o in site.kube.list("v1", "ConfigMap", site.namespace) if o["metadata"]["name"] != "kube-root-ca.crt"}


def drift(site, name):
    site.kube.patch("v1", "ConfigMap", site.namespace, name, {"data": {"key": "drifted"}})


def quiet(site, expected):
    """Nothing is written by what is not known, and what is told of the rest stays."""
    stays("nothing is done", lambda: (values(site), len(site.governed()), site.condition("Ready", "app")["status"]), lambda seen: seen == (expected, 0, "True"), 2)


@pytest.mark.parametrize("kind", ["MODIFIED", "DELETED"])
def test_change_of_an_object_that_was_not_told_is_found_by_the_next_list(world, kind):
    gap = Gap("configmaps", lambda event, found: event == kind and found["metadata"]["name"] == "c0" and not gap.left_out.is_set())
    site = world(gap)
    expected = {f"c{n}": "value" for n in range(3)}
    if kind == "MODIFIED":
        drift(site, "c0")
        expected["c0"] = "drifted"
    else:
        site.kube.delete("v1", "ConfigMap", site.namespace, "c0")
        del expected["c0"]
    until("the event to be left out", gap.left_out.is_set, seconds=10)
    quiet(site, expected)
    drift(site, "c1")  # is told, as ever
    until("c1 to be healed", lambda: values(site)["c1"], lambda key: key == "value", seconds=20)
    gap.closing.set()
    drift(site, "c2")
    until("all to be as Git says", lambda: values(site), lambda seen: seen == {f"c{n}": "value" for n in range(3)}, seconds=30)
    site.settled("app")
    names = [e["objectRef"]["name"] for e in site.governed()]
    assert sorted(names) == ["c0", "c1", "c2"], names


def test_operation_that_was_not_told_is_done_after_the_next_list(world):
    gap = Gap("applications", lambda _, found: "operation" in found)
    site = world(gap)
    expected = {f"c{n}": "value" for n in range(3)}
    site.kube.patch_application(site.system, "app", {"operation": {"initiatedBy": {"username": "ann"}, "sync": {}}})
    until("the event to be left out", gap.left_out.is_set, seconds=10)
    quiet(site, expected)
    assert "operation" in site.app("app"), "it is still to be done"
    gap.closing.set()
    site.kube.apply(site.team.application("other", site.repo({"app/o.yaml": text(config_map("other"))}), "app"))
    until("the operation to be done", lambda: site.app("app"), lambda app: "operation" not in app, seconds=30)
    site.settled("app", "other")
